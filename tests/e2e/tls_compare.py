"""Cases of spoiled TLS, played against two peers: what test_tls_refusals.py and test_tls_origins.py share."""
import argparse
import fnmatch
import os
import queue
import shutil
import string
import subprocess
import sys
import threading
import zlib

import netns
import tap
from tap import check, note, wait_for

PATIENCE, MORE_PATIENCE = 1.0, 6.0


def start_nginx(lab, conf, port, **values):
    """nginx in the client's namespace; port: one that it listens on."""
    path = os.path.join(lab.dir, 'other-nginx.conf')
    with open(path, 'w', encoding='ascii') as f:
        f.write(string.Template(conf).substitute(dir=lab.dir, **values))
    netns.run(lab.client, ['ip', 'link', 'set', 'lo', 'up'])
    nginx = shutil.which('nginx') or '/usr/sbin/nginx'
    p = netns.popen(lab.client, [nginx, '-c', path, '-p', lab.dir], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lab.procs.append(p)

    def up():
        check(p.poll() is None, 'the other nginx ended')
        with lab.socket() as s:
            return s.connect_ex(('127.0.0.1', port)) == 0
    wait_for(up, 'the other nginx')


def outcome(log):
    """What a case came to, from the log: without what depends on timing."""
    out = []
    for x in log:
        if x == 'reset':
            x = 'close'
        if x.startswith('opaque:') and x != 'opaque:19':
            # A flight that the client cannot read: how long it is depends on a signature, and in how many records it
            # comes is the sender's choice. 19: an alert
            x = 'opaque'
            if out and out[-1] == x:
                continue
        if x == 'silence' or (x == 'alert:1:0' and out and out[-1].startswith('http:')):
            continue
        if x == 'close' and out and out[-1] == 'close':
            continue
        out.append(x)
    if log and log[-1] == 'silence':
        out.append('open')
    return ' '.join(out)


def cuts_of(case):
    """Half of the cases arrive in pieces."""
    return 5 if zlib.crc32(case.name.encode()) & 1 else 0


def allowed(table, group, case, nginx, tidegate):
    return any(fnmatch.fnmatchcase(group, g) and fnmatch.fnmatchcase(case, c) and fnmatch.fnmatchcase(nginx, n) and
               fnmatch.fnmatchcase(tidegate, t) for g, c, n, t, _ in table)


def compare(table, group, case, play):
    """(group, case, nginx's outcome, Tidegate's); play(peer, seconds) is a peer's. Who differs gets more time, unless
    the table has this difference."""
    seen = {}
    for seconds in (PATIENCE, MORE_PATIENCE, MORE_PATIENCE):
        for peer in ('nginx', 'tidegate'):
            seen[peer] = play(peer, seconds)
        if seen['nginx'] == seen['tidegate'] or allowed(table, group, case.name, seen['nginx'], seen['tidegate']):
            break
    return group, case.name, seen['nginx'], seen['tidegate']


def play_all(group, cases, opts, threads, table, player):
    """compare()'s results of every case, sorted. player(): a context manager of a thread, whose play(peer, case, seconds)
    plays."""
    todo, results = queue.Queue(), queue.Queue()
    for case in cases:
        if opts.only in case.name:
            todo.put(case)

    def work(i):
        with player(i) as p:
            while True:
                try:
                    case = todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    results.put(compare(table, group, case, lambda peer, seconds: p.play(peer, case, seconds)))  # pylint: disable=cell-var-from-loop
                except Exception as e:  # pylint: disable=broad-except
                    results.put((group, case.name, 'played', f'{type(e).__name__}: {e}'))
    running = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(threads)]
    for t in running:
        t.start()
    for t in running:
        t.join()
    return sorted(results.queue)


def judge(group, got, opts, table):
    """No difference that the table has not."""
    bad = []
    check(got, f'{group}: no case')
    for g, case, nginx, tidegate in got:
        if opts.show:
            note(f'{g} {case}: {nginx}' + ('' if nginx == tidegate else f' | {tidegate}'))
        if nginx != tidegate and not allowed(table, g, case, nginx, tidegate):
            bad.append(f'{case}: nginx {nginx} | tidegate {tidegate}')
    note(f'{group}: {len(got)} cases, {sum(" alert:2:" in " " + x[2] for x in got)} with an alert')
    check(not bad, f'{len(bad)} of {len(got)} differ (seed {opts.seed}):\n' + '\n'.join(bad[:400 if opts.show else 30]))


def define(name, run, opts):
    """A case of tap's for a group."""
    def fn(lab):
        run(lab, name, opts)
    fn.__name__ = name
    tap.case(fn, seconds=600)


def parse():
    p = argparse.ArgumentParser()
    p.add_argument('--long', action='store_true')
    p.add_argument('--show', action='store_true')
    p.add_argument('--seed', default=os.environ.get('TG_SEED', '1'))
    p.add_argument('--only', default='')
    p.add_argument('groups', nargs='*')
    opts = p.parse_args()
    sys.argv[1:] = opts.groups
    return opts
