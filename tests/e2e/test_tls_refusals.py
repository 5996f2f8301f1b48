#!/usr/bin/python3
"""What Tidegate answers to malformed, hostile and odd TLS clients is what nginx with OpenSSL answers.

Some eight thousand cases (tls_cases.py, tls_cases_more.py; TLS 1.2: tls_cases12.py), each played against both with the same certificates: the
same alerts, the same answers to what is tolerated, and the end of the connection by whom it must come from. What
differs on purpose stands in ALLOWED, with its reason.

    test_tls_refusals.py [--long] [--seed N] [--show] [group ...]

--long: more cases of those that are drawn at random; --show: every case's outcome; --only TEXT: cases with this in
their names.
"""
import argparse
import collections
import fnmatch
import os
import queue
import random
import shutil
import string
import subprocess
import sys
import threading
import zlib

import certs
import netns
import tap
import tls_cases
import tls_cases12  # pylint: disable=unused-import
import tls_cases_more  # pylint: disable=unused-import
from lab import GATE4, Lab, quick
from tap import check, main, note, wait_for
from tls_wire import Client, Pair, Stop
from tls_wire12 import Client12

LISTENERS = '''
  , { name = "plain"; address = "10.77.1.1:443"; protocol = "http"; virtual_hosts = ["nginx"];
      tls: { certificate = "server.crt"; private_key = "server.key"; }; }
  , { name = "mtls"; address = "10.77.1.1:8443"; protocol = "http"; virtual_hosts = ["nginx"];
      tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "ca.crt";
             require_client_certificate = true; }; }
  , { name = "tls12"; address = "10.77.1.1:444"; protocol = "http"; virtual_hosts = ["nginx"];
      tls: { certificate = "server.crt"; private_key = "server.key"; min_version = "1.2"; }; }
'''
# The same in nginx, in the client's namespace. Where Tidegate has no choice (suites, groups), nginx gets the same.
NGINX = '''
worker_processes 1; daemon off; pid $dir/peer.pid; error_log $dir/peer.log crit; user root;
events { worker_connections 1000; }
http {
  access_log off; client_body_temp_path $dir/p1; proxy_temp_path $dir/p2; fastcgi_temp_path $dir/p3;
  uwsgi_temp_path $dir/p4; scgi_temp_path $dir/p5; keepalive_timeout 3600s;
  ssl_protocols TLSv1.3; ssl_ecdh_curve X25519:prime256v1; ssl_prefer_server_ciphers on;
  ssl_conf_command Options PrioritizeChaCha;
  ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256;
  ssl_certificate $dir/server.crt; ssl_certificate_key $dir/server.key;
  server {
    listen 127.0.0.1:443 ssl;
    location = /hello { return 200 "hello from nginx\\n"; }
  }
  server {
    listen 127.0.0.1:444 ssl; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305;
    location = /hello { return 200 "hello from nginx\\n"; }
  }
  server {
    listen 127.0.0.1:8443 ssl; ssl_client_certificate $dir/ca.crt; ssl_verify_client on;
    location = /hello { return 200 "hello from nginx\\n"; }
  }
}
'''
PORTS = {'plain': 443, 'mtls': 8443, 'tls12': 444}
PEERS = {'nginx': '127.0.0.1', 'tidegate': GATE4}
THREADS = 12
PATIENCE, MORE_PATIENCE = 1.0, 6.0

# (group, case, nginx's outcome, Tidegate's): patterns, and why they may differ.
NO_TLS = 'nginx looks at the first byte alone: what is neither 22 nor above 127 is plain HTTP to it'
VERIFIES = 'nginx takes any client certificate and answers 400; Tidegate refuses in the handshake, as OpenSSL does'
TICKETS = 'where lengths are spoiled, what the bytes behind mean depends on the ticket; the servers\' differ in length'
ALLOWED = (
    ('*', '*', 'plain:HTTP/1.1 400 close', 'alert:2:?? close', NO_TLS),
    ('*', '*', 'plain:HTTP/1.1 400 close', 'close', NO_TLS),
    # OpenSSL passes over a CCS of no bytes.
    ('change_cipher_spec', 'first-empty*', 'plain:HTTP/1.1 400 close', 'hello:1301:1d http:200 close', NO_TLS),
    ('client_certificates', 'der-bit-*', 'hello:1301:1d asks*', 'hello:1301:1d asks alert:2:51 close', VERIFIES),
    ('client_certificates', 'der-bit-*', 'hello:1301:1d asks*', 'hello:1301:1d asks alert:2:48 close', VERIFIES),
    ('client_certificates', '*cert:last-bit', 'hello:1301:1d asks*', 'hello:1301:1d asks alert:2:51 close', VERIFIES),
    ('client_certificates', '*', 'hello:1301:1d asks http:400 close', 'hello:1301:1d asks alert:2:116 close', VERIFIES),
    ('client_certificates', '*', 'hello:1301:1d asks alert:2:10 close', 'hello:1301:1d asks alert:2:116 close', VERIFIES),
    ('*', '*', 'hello* close', 'hello* alert:1:0 close',
     'our close_notify answers the peer\'s (RFC 8446 section 6.1); nginx closes without one'),
    ('data12', 'inside-hello-*', 'hello12:c02b http:400 close', 'hello12:c02b warning:1:100 http:400 close',
     'a spoiled request inside a ClientHello: nginx answers it and closes before it reads the rest'),
    ('flight12', 'finished:tail', 'hello12:c02b http:200 close', 'hello12:c02b alert:2:10 close',
     'a byte behind Finished, as if of a message to come: OpenSSL waits for the rest of it'),
    ('resuming_hello_fields', '*.psk.data:head', '*', '*', TICKETS),
    ('random_damage', 'resuming-*', 'alert:2:*', 'alert:2:*', TICKETS),
)


def make_certs(lab):
    ca = certs.CA(lab.dir)
    ca.issue('server', ['DNS:nginx.test'])
    ca.issue('client', ['DNS:client.test'])
    conf = os.path.join(lab.dir, 'peer.conf')
    with open(conf, 'w', encoding='ascii') as f:
        f.write(string.Template(NGINX).substitute(dir=lab.dir))
    netns.run(lab.client, ['ip', 'link', 'set', 'lo', 'up'])
    nginx = shutil.which('nginx') or '/usr/sbin/nginx'
    p = netns.popen(lab.client, [nginx, '-c', conf, '-p', lab.dir], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lab.procs.append(p)

    def up():
        check(p.poll() is None, 'the other nginx ended')
        with lab.socket() as s:
            return s.connect_ex(('127.0.0.1', 8443)) == 0
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


class Player:
    """Plays cases against one peer; holds a ticket of each of its servers."""

    def __init__(self, lab, peer):
        self.lab, self.addr = lab, PEERS[peer]
        self.pair = Pair(f'{lab.dir}/client')
        self.tickets = {where: self.get_ticket(where) for where in ('plain',)}

    def get_ticket(self, where):
        with self.lab.connect((self.addr, PORTS[where])) as s:
            c = Client(s, 10)
            c.open(c.hello(suites=(0x1301,)).encode())
            c.ask()
            while not c.new_ticket:
                c.messages += c.get()[1]
                c.take(c.message())
            return c.new_ticket

    def play(self, case, seconds):
        with self.lab.connect((self.addr, PORTS[case.where])) as s:
            ticket = self.tickets[case.where] if case.needs_ticket else None
            c = (Client12 if case.where == 'tls12' else Client)(s, seconds, ticket, self.pair, case.name)
            c.cuts = cuts_of(case)
            try:
                case.run(c)
                if c.app and 'http:200' not in c.log:
                    c.ask()
            except Stop:
                pass
            except Exception as e:  # pylint: disable=broad-except
                c.log.append(f'{type(e).__name__}: {e}')
            if c.alerted:
                c.rest()
                if not c.ended:
                    c.log.append('stays')
            c.finish()
            return outcome(c.log)


def compare(group, case, players, results):
    seen = {}
    for seconds in (PATIENCE, MORE_PATIENCE, MORE_PATIENCE):
        for peer, p in players.items():
            seen[peer] = p.play(case, seconds)
        if seen['nginx'] == seen['tidegate']:
            break
    results.put((group, case.name, seen['nginx'], seen['tidegate']))


def worker(todo, players, results):
    while True:
        try:
            group, case = todo.get_nowait()
        except queue.Empty:
            return
        try:
            compare(group, case, players, results)
        except Exception as e:  # pylint: disable=broad-except
            results.put((group, case.name, 'played', f'{type(e).__name__}: {e}'))


def play_all(lab, groups, opts):
    """[(group, case, nginx's outcome, Tidegate's)]"""
    todo, results = queue.Queue(), queue.Queue()
    for name in groups:
        for case in tls_cases.GROUPS[name](random.Random(f'{opts.seed}{name}'), opts.long):
            if opts.only in case.name:
                todo.put((name, case))
    players = {peer: Player(lab, peer) for peer in PEERS}
    threads = [threading.Thread(target=worker, args=(todo, players, results), daemon=True) for _ in range(THREADS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return sorted(results.queue)


def allowed(table, group, case, nginx, tidegate):
    return any(fnmatch.fnmatchcase(group, g) and fnmatch.fnmatchcase(case, c) and fnmatch.fnmatchcase(nginx, n) and
               fnmatch.fnmatchcase(tidegate, t) for g, c, n, t, _ in table)


def run_group(lab, name, opts):
    got = play_all(lab, [name], opts)
    check(got, f'{name}: no case')
    bad = []
    refused = collections.Counter()
    for g, case, nginx, tidegate in got:
        if opts.show:
            note(f'{g} {case}: {nginx}' + ('' if nginx == tidegate else f' | {tidegate}'))
        refused[nginx.split()[-2] if nginx.endswith(' close') and 'alert' in nginx else 'other'] += 1
        if nginx != tidegate and not allowed(ALLOWED, g, case, nginx, tidegate):
            bad.append(f'{case}: nginx {nginx} | tidegate {tidegate}')
    note(f'{name}: {len(got)} cases, {dict(refused)}')
    check(not bad, f'{len(bad)} of {len(got)} differ (seed {opts.seed}):\n' + '\n'.join(bad[:400 if opts.show else 30]))


def define(name, opts):
    def fn(lab):
        run_group(lab, name, opts)
    fn.__name__ = name
    tap.case(fn, seconds=quick(600, 600))


def make_lab():
    return Lab(before=make_certs, workers=1, extra_listeners=LISTENERS,
               allowed=('tls_no_certificate', 'tls_unknown_ca', 'tls_truncated', 'tls_record', 'tls_closed', 'tls_not_tls',
                        'tls_malformed', 'tls_bad_mac', 'tls_version', 'tls_cipher', 'tls_bad_proof', 'tls_peer_alert', 'tls_alert',
                        'tls_alpn', 'tls_internal', 'tls_cert_bad', 'tls_self_signed', 'req_malformed', 'conn_reset_by_peer', 'conn_idle',
                        'req_downstream_gone', 'tcp_after_close', 'conn_linger'))


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


if __name__ == '__main__':
    OPTS = parse()
    for GROUP in tls_cases.GROUPS:
        define(GROUP, OPTS)
    main(make_lab)
