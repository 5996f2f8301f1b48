#!/usr/bin/python3
"""perf/run.sh, for short: every answer that tg_load gets over memif is right, in plain text and with TLS on both
legs, over kept and new connections; and tg_load notices answers that are not. Nothing is timed here."""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading

from tap import case, check, equal, main

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'perf', 'harness'))
# pylint: disable=wrong-import-position
import netns  # noqa: E402
import scenarios  # noqa: E402
from lab import TGCTL  # noqa: E402
from measure import Generator  # noqa: E402
from place import LOAD, Place  # noqa: E402
from scenarios import Work  # noqa: E402
from systems import Tidegate  # noqa: E402

TINY = ['--quick', '--json', '--runs', '1', '--seconds', '0.2', '--tiny']


class PerfLab(Place):
    """run.sh makes places of its own; this one is for tg_load alone."""

    def is_dead(self):
        return False

    def explain(self):
        pass

    def check_end(self):
        """Nothing is left of what run.sh made."""
        left = netns.run(None, ['ip', 'netns', 'list']).stdout.split()
        check(not [x for x in left if x.startswith(f'tge{os.getpid()}') and self.name not in x], f'left: {left}')


def run_sh(*args):
    p = subprocess.run([os.path.join(ROOT, 'perf', 'run.sh'), *args], capture_output=True, text=True, check=False,
                       timeout=200)
    equal(p.returncode, 0, f'exit of run.sh {" ".join(args)}:\n{p.stderr[-3000:]}\n')
    return json.loads(p.stdout)


def four(s, what):
    for key in ('requests_per_second', 'cpu_ns_per_request', 'p50_us', 'p99_us'):
        check(s[key] > 0, f'{what}: {key} is {s[key]}')


@case
def plain_text_beside_the_others(_):
    r = run_sh('plain', *TINY)
    equal(list(r), ['scenario', 'systems'], 'the object')
    equal(r['scenario'], 'plain', 'scenario')
    wanted = {'haproxy', 'nginx', 'tidegate'} | ({'h2o'} if shutil.which('h2o') else set())
    equal(set(r['systems']), wanted, 'systems')
    for name, s in r['systems'].items():
        four(s, name)
        check(s['generator_alone_times'] > 0, f'{name}: no direct run')


# Each for Tidegate alone and for an instant: what it says of one system it says of all.
@case
def every_scenario(_):
    objects = run_sh('all', *TINY, '--systems', 'tidegate')
    equal([objects['scenario'], list(objects['systems'])], ['all', ['tidegate']], 'the object')
    s = {r['scenario']: r['systems']['tidegate'] for r in objects['scenarios']}
    check({'plain', 'mtls', 'connections', 'handshakes', 'bulk', 'bulk-mtls', 'latency', 'scale-connections',
           'scale-routes'} <= set(s), f'scenarios: {sorted(s)}')
    for name, r in s.items():
        if name in scenarios.MEMORY:
            check(r['bytes_per_idle_connection'] > 0, f'{name}: {r}')
        else:
            four(r, name)
    for name, field in (('scale-connections', 'connections'), ('scale-routes', 'routes')):
        xs = [p[field] for p in s[name]['points']]
        check(len(xs) > 1 and s[name]['requests'] == s[name]['points'][-1]['requests'], f'{name}: {xs}')
        check(s[name]['cost_ratio'] > 0, f'{name}: cost_ratio')
    equal(s['bulk']['points'][0]['body'], 16384, 'bulk')


@case
def kernel_clients_over_virtual_cables(_):
    r = run_sh('plain', *TINY, '--systems', 'tidegate', '--table', 'veth')
    four(r['systems']['tidegate'], 'veth')
    check(r['tables']['veth']['tidegate']['requests'] > 0, 'requests')
    check('best' not in r['tables'], 'one table alone')


def tax(system, interval):
    p = netns.run(None, [TGCTL, '-s', system.place.path('admin.sock'), '--json', '--interval', interval, 'tax'])
    return json.loads(p.stdout)


@case
def a_spinning_worker_stays_on_its_cpu_and_out_of_the_kernel(lab):
    """idle = "spin" over shared memory, warm, mTLS on both legs. What others make the kernel do on its CPU (they share
    it, and interrupts are charged to whom they hit) may show as involuntary switches and as system time, but not in
    every window; a switch of its own may not show at all."""
    work = Work(tls_down=True, tls_up=True, connections=32)
    windows = []
    with Tidegate(lab, work, 'best') as system:
        g = Generator(system, [*work.args(), '--seconds', 6, '--warmup', 1])
        try:
            g.event('begin')
            while len(windows) < 6 and not any(w['system_seconds'] == 0 for w in windows):
                r = tax(system, '700ms')
                check(r['requests'] > 100 and r['traced_turns'] > 0, r)
                equal(sum(s['traced_cycles'] for s in r['stages']), r['traced_cycles'], 'cycles of all stages')
                tls = [s for s in r['stages'] if s['stage'] == 'tls'][0]
                check(tls['traced_cycles'] > 0, tls)
                windows += r['workers']
        finally:
            g.end()
    for w in windows:
        print(f'# system {w["system_seconds"]} s of {w["run_seconds"]:.2f} s, switches: own {w["voluntary_switches"]}, '
              f'by others {w["involuntary_switches"]}')
    equal([w['voluntary_switches'] for w in windows], [0] * len(windows), 'switches of its own')
    equal([w['sleeps'] for w in windows], [0] * len(windows), 'sleeps')
    equal(windows[-1]['system_seconds'], 0, 'system time')


def lie(listener, change):
    """Answers one request after another, each answer changed."""
    while True:
        try:
            s, _ = listener.accept()
        except OSError:
            return
        with s, contextlib.suppress(OSError):  # whoever notices resets
            got = b''
            while b'\r\n\r\n' not in got:
                b = s.recv(4096)
                if not b:
                    break
                got += b
            number = got[len(b'GET /load/'):][:8]
            if len(number) < 8:
                continue
            head = b'HTTP/1.1 200 OK\r\nX-Load: ' + number + b'\r\nContent-Length: 4\r\n\r\n'
            s.sendall(change(head + right(int(number), 4)))
            s.recv(1)


PATTERN = {}


def right(number, n):
    """The content that tg_load expects is what its own origin sends."""
    return bytes(PATTERN['bytes'][(number + i) % 65536] for i in range(n))


def learn(lab):
    """All 65,536 bytes of the pattern, from tg_load's origin itself."""
    p = netns.popen(None, [LOAD, '--target', '127.0.0.1:9', '--origin', '127.0.0.1:9002', '--client-netns', lab.gate,
                           '--origin-netns', lab.gate, '--body', '65536'], stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL)
    try:
        with netns.inside(lab.gate):
            s = socket.socket()
        with s:
            from systems import wait_for  # pylint: disable=import-outside-toplevel
            wait_for(lambda: s.connect_ex(('127.0.0.1', 9002)) == 0, 'origin')
            s.sendall(b'GET /load/00000000/item HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
            got = b''
            while b := s.recv(65536):
                got += b
        PATTERN['bytes'] = got.partition(b'\r\n\r\n')[2]
        equal(len(PATTERN['bytes']), 65536, 'content')
    finally:
        netns.stop(p)


@case
def wrong_answers_are_noticed(lab):
    learn(lab)
    lies = {
        'none': (lambda a: a, None),
        'a flipped bit in the content': (lambda a: a[:-2] + bytes([a[-2] ^ 1]) + a[-1:], 'bad_body'),
        'the answer to another request': (lambda a: a.replace(b'X-Load: ', b'X-Load: 9'), 'bad_head'),
        'another length': (lambda a: a.replace(b'Length: 4', b'Length: 3'), 'bad_head'),
        'another status': (lambda a: a.replace(b'200 OK', b'503 No'), 'bad_status'),
        'a byte too many': (lambda a: a + b'x', 'bad_body'),
        'cut short': (lambda a: a[:-1], 'unanswered'),
    }
    for what, (change, count) in lies.items():
        with netns.inside(lab.gate):
            listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(('127.0.0.1', 9001))
        listener.listen(64)
        threading.Thread(target=lie, args=(listener, change), daemon=True).start()
        # One request for the one connection; what is never right ends it after its patience.
        p = netns.run(None, [LOAD, '--target', '127.0.0.1:9001', '--client-netns', lab.gate, '--body', '4', '--hold',
                             '1', '--patience', '1'], check=False, stdin=subprocess.DEVNULL)
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        r = json.loads(p.stdout.splitlines()[-1])['all']
        if count:
            check(r[count] > 0 and p.returncode == 1, f'{what}: exit {p.returncode}, {r}')
        else:
            check(r['responses'] == 1 and p.returncode == 0, f'{what}: exit {p.returncode}, {r}')


if __name__ == '__main__':
    main(PerfLab)
