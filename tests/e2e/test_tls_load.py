#!/usr/bin/python3
"""TLS on both legs under load: bodies of a GiB, thousands of requests, reloads, drains, slow readers; and a storm
of handshakes beside established connections."""
import hashlib
import json
import os
import re
import signal
import ssl
import string
import subprocess
import threading
import time

import certs
import netns
import tlspeer
from lab import GATE4, VHOSTS, Background, Lab, parse_wrk, quick
from origin import pattern
from tap import case, check, equal, main, note, wait_for
from wire import Client, request

LONG = os.environ.get('TG_TEST_MODE') == 'long'
SIZE = 1 << 30 if LONG else quick(64 << 20, 16 << 20)
BETWEEN = 16 << 20  # of bytes that may lie between an origin and a client that reads nothing

LISTENERS = '''
  , { name = "tls"; address = "10.77.1.1:443"; protocol = "http"; virtual_hosts = [$vhosts, "mesh"];
      tls: { certificate = "server.crt"; private_key = "server.key"; }; }
  , { name = "mtls"; address = "10.77.1.1:8443"; protocol = "http"; virtual_hosts = [$vhosts, "mesh"];
      tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "ca.crt";
             require_client_certificate = true; }; }
'''
VHOST = '''
  , { name = "mesh"; domains = ["mesh.test"];
      routes: ( { match: { prefix = "/"; }; route: { cluster = "mesh"; timeout = "0s"; }; } ); }
'''
CLUSTERS = '''
  , { name = "mesh"; connect_timeout = "60s"; endpoints: ( { address = "10.77.2.2:8443"; } );
      circuit_breakers: { max_connections = 100000; max_pending_requests = 100000; max_requests = 100000; };
      tls: { ca = "ca.crt"; sni = "origin.test"; certificate = "client.crt"; private_key = "client.key"; }; }
'''
NGINX = '''
worker_processes 1; daemon off; pid {dir}/tls.pid; error_log {dir}/tls.log warn; user root;
events {{ worker_connections 10000; }}
http {{
  access_log off; client_body_temp_path {dir}/tls1; proxy_temp_path {dir}/tls2; fastcgi_temp_path {dir}/tls3;
  uwsgi_temp_path {dir}/tls4; scgi_temp_path {dir}/tls5; client_max_body_size 0; keepalive_requests 100000000;
  server {{
    listen 8443 ssl; ssl_protocols TLSv1.3; ssl_certificate {dir}/origin.crt; ssl_certificate_key {dir}/origin.key;
    ssl_client_certificate {dir}/ca.crt; ssl_verify_client on; root {dir}/www;
    location = /hello {{ return 200 "hello from nginx\\n"; }}
    location / {{ }}
    location /up/ {{ proxy_pass http://127.0.0.1:8081/; proxy_request_buffering off; proxy_http_version 1.1; }}
  }}
}}
'''


def make_certs(lab):
    ca = certs.CA(lab.dir)
    ca.issue('server', ['DNS:nginx.test', 'DNS:mesh.test', 'DNS:py.test'])
    ca.issue('client', ['URI:spiffe://mesh.example/client'])
    ca.issue('origin', ['DNS:origin.test'])
    conf = f'{lab.dir}/tls-nginx.conf'
    with open(conf, 'w', encoding='ascii') as f:
        f.write(NGINX.format(dir=lab.dir))
    tlspeer.start(lab, lab.origin, ['nginx', '-c', conf, '-p', lab.dir], 8443, 'tls-nginx.out')


def make_file(lab):
    path, h = f'{lab.dir}/www/big', hashlib.sha256()
    if not os.path.exists(path):
        block = os.urandom(1 << 20)
        with open(path, 'wb') as f:
            for i in range(SIZE >> 20):
                b = i.to_bytes(8, 'big') + block[8:]
                h.update(b)
                f.write(b)
        lab.big_digest = h.hexdigest()
    return path, lab.big_digest


def curl(lab, what, *more):
    return (f"curl -sS --max-time 300 --cacert {lab.dir}/ca.crt --cert {lab.dir}/client.crt --key {lab.dir}/client.key "
            f"--resolve mesh.test:8443:{GATE4} -w '%{{stderr}}%{{time_total}}' {' '.join(more)} https://mesh.test:8443{what}")


@case(seconds=330)
def a_large_body_down(lab):
    _, want = make_file(lab)
    before = lab.rss_kib()
    p = netns.run(lab.client, ['bash', '-o', 'pipefail', '-c', curl(lab, '/big') + ' | sha256sum'], timeout=320)
    equal(p.stdout.split()[0], want, 'SHA-256')
    check(lab.rss_kib() - before < 16384, f'resident memory {before} -> {lab.rss_kib()} KiB')
    note(f'{SIZE >> 20} MiB down by mTLS on both legs: {SIZE / float(p.stderr) / 1e6:.0f} MB/s')


@case(seconds=330)
def a_large_body_up(lab):
    path, want = make_file(lab)
    before = lab.rss_kib()
    for how in (('-T', path), ('-H', '"Transfer-Encoding: chunked"', '-T', path)):
        p = netns.run(lab.client, ['bash', '-c', curl(lab, '/up/see', '-H', 'Expect:', *how)], timeout=320)
        s = json.loads(p.stdout)
        equal((s['length'], s['sha256']), (SIZE, want), 'length and SHA-256')
        note(f'{SIZE >> 20} MiB up: {SIZE / float(p.stderr) / 1e6:.0f} MB/s')
    check(lab.rss_kib() - before < 16384, f'resident memory {before} -> {lab.rss_kib()} KiB')


def wrk(lab, seconds, host='mesh.test', conns=32):
    p = netns.run(lab.client, ['wrk', '-t', 1, '-c', conns, '-d', f'{seconds}s', '-H', f'Host: {host}',
                               f'https://{GATE4}/hello'], timeout=seconds + 60)
    return parse_wrk(p.stdout)


@case
def thousands_of_requests_by_wrk_and_h2load(lab):
    before = lab.stat('server.tls_handshakes')
    r = wrk(lab, quick(4, 2))
    check(r['errors'] == 0 and r['non2xx'] == 0 and r['requests'] > 1000, r['text'])
    n = quick(20000, 3000)
    p = netns.run(lab.client, ['h2load', '--h1', '-n', n, '-c', 20, '-t', 1, f'--connect-to={GATE4}:443',
                               'https://mesh.test/hello'], timeout=100)
    check(re.search(rf'requests: {n} total, {n} started, {n} done, {n} succeeded, 0 failed, 0 errored', p.stdout), p.stdout)
    hs = lab.stat('server.tls_handshakes') - before
    check(hs < 400, f'{hs} handshakes: connections are not kept')
    note(f'wrk {r["rps"]:.0f} requests/s, {r["requests"] + n} requests over {hs} handshakes of both legs')


@case
def reloads_under_load_lose_nothing(lab):
    job = Background(wrk, lab, quick(5, 3))
    for i in range(3):
        time.sleep(0.7)
        equal(lab.reload(web=f'idle_timeout = "{3000 + i}s";'), 'applied')
    r = job.result()
    check(r['errors'] == 0 and r['non2xx'] == 0 and r['requests'] > 500, r['text'])


@case
def a_client_that_does_not_read(lab):
    """The origin stops; memory is flat; when it reads, nothing is lost."""
    n = quick(40_000_000, 25_000_000)
    before = lab.rss_kib()
    ctx = tlspeer.client_context(lab)
    path = f'/bytes/{n}?stuck=tls'
    with Client(ctx.wrap_socket(lab.connect((GATE4, 443), 60, rcvbuf=8192), server_hostname='py.test')) as c:
        c.send(request('GET', path, 'py.test'))
        wait_for(lambda: lab.origin_do('requests', prefix=path), 'the request')
        last, since = -1, time.monotonic()
        while time.monotonic() - since < 1.5:
            sent = lab.origin_do('requests', prefix=path)[0].get('sent', 0)
            if sent != last:
                last, since = sent, time.monotonic()
            time.sleep(0.05)
        check(last < BETWEEN, f'{last} bytes left the origin')
        check(lab.rss_kib() - before < 8192, f'stuck: resident memory {before} -> {lab.rss_kib()} KiB')
        check(c.response().body == pattern(n), 'body differs')
    check(lab.rss_kib() - before < 8192, f'resident memory {before} -> {lab.rss_kib()} KiB')


class Steady:
    """One connection that asks one thing after the other."""

    def __init__(self, lab, sock):
        self.c, self.n, self.error, self.stop = Client(sock), 0, None, False
        self.t = threading.Thread(target=self._run, daemon=True)
        self.t.start()

    def _run(self):
        try:
            while not self.stop:
                equal(self.c.ask(request('GET', '/hello', 'nginx.test')).body, b'hello from nginx\n')
                self.n += 1
        except Exception as e:  # pylint: disable=broad-except
            self.error = e

    def end(self):
        self.stop = True
        self.t.join(20)
        self.c.close()
        check(self.error is None, f'after {self.n} requests: {self.error!r}')
        return self.n


@case
def a_storm_of_handshakes_stops_nobody(lab):
    """openssl s_time and clients that never finish, beside established TLS and plain text."""
    names = ['handshake_steps', 'handshake_full_turns', 'handshake_cycles', 'handshakes', 'handshake_failed']

    def now():
        s = lab.stats()
        return [s[f'server.tls_{x}'] for x in names] + [s['drop.conn_reset_by_peer']]
    steady = [Steady(lab, tlspeer.client_context(lab).wrap_socket(lab.connect((GATE4, 443), 30), server_hostname='nginx.test'))
              for _ in range(2)] + [Steady(lab, lab.connect((GATE4, 80), 30)) for _ in range(2)]
    wait_for(lambda: all(s.n > 20 for s in steady), 'the steady ones')
    before = now()
    counted = [s.n for s in steady]
    seconds = quick(4, 2)
    storm = [netns.popen(lab.client, ['openssl', 's_time', '-connect', f'{GATE4}:443', '-new', '-time', seconds],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    crowd = quick(300, 120)  # who all come at once, and all get their answer
    storm.append(netns.popen(lab.client, ['h2load', '--h1', '-n', crowd, '-c', crowd, f'--connect-to={GATE4}:443',
                                          'https://nginx.test/hello'], stdout=subprocess.PIPE, text=True))
    halves = []
    hello = client_hello(lab)
    for _ in range(quick(100, 60)):  # all at once: each wants a signature, and goes
        s = lab.connect((GATE4, 443), 10)
        s.sendall(hello)
        halves.append(s)
    for p in storm:
        out = p.communicate(timeout=seconds + 60)[0]
    check(f'{crowd} succeeded, 0 failed, 0 errored' in out, out)
    for s in halves:
        s.close()
    took = [s.n - n for s, n in zip(steady, counted)]
    for s in steady:
        s.end()
    steps, full, cycles, done, failed, resets = (b - a for a, b in zip(before, now()))
    check(min(took) > 20, f'requests of the established during the storm: {took}')
    check(done >= crowd and steps >= done + len(halves) and cycles > 0, f'{steps} steps, {done} handshakes')
    check(resets <= failed + done + len(steady), f'{resets} resets counted: {failed} failed, {done} were open')
    check(full > 0, 'no turn spent its budget: that was no storm')
    note(f'{done} handshakes, {failed} unfinished: {steps} steps, {cycles / max(steps, 1):.0f} '
         f'cycles each, {full} turns spent their budget; requests of the established meanwhile: {took}')


def client_hello(lab):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    obj = tlspeer.client_context(lab).wrap_bio(incoming, outgoing, server_hostname='nginx.test')
    try:
        obj.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


@case
def handshakes_that_never_end_keep_nobody_out(lab):
    """As many clients as there is room for begin and say no more; others are let in long before their time is over."""
    room = sum(p['count'] for p in lab.json('/memory')['pools'] if p['name'] == 'tls_handshake')
    half = client_hello(lab)[:100]
    ctx = tlspeer.client_context(lab)
    before = lab.drops()[1]
    dull = []
    try:
        for _ in range(room):
            s = lab.connect((GATE4, 443), 10)
            s.sendall(half)
            dull.append(s)

        def let_in():
            try:
                with Client(ctx.wrap_socket(lab.connect((GATE4, 443), 10), server_hostname='nginx.test')) as c:
                    return c.ask(request('GET', '/hello', 'nginx.test')).status == 200
            except OSError:
                return False
        wait_for(let_in, 'a client among those that say nothing', 6, 0.1)
        for _ in range(10):
            check(let_in(), 'another one was not')
    finally:
        for s in dull:
            s.close()
    after = lab.drops()[1]
    check(after['conn_shed'] > before['conn_shed'], f'{room} places: none was shed')
    note(f'{room} places; {after["conn_shed"] - before["conn_shed"]} shed, '
         f'{after["tls_no_memory"] - before["tls_no_memory"]} turned away')


@case
def drain_finishes_what_is_under_way(lab):
    """SIGTERM: the last answers are whole and say close; a proper end of TLS; exit 0."""
    ctx = tlspeer.client_context(lab)

    def secure():
        return Client(ctx.wrap_socket(lab.connect((GATE4, 443), 30), server_hostname='py.test', suppress_ragged_eofs=False))
    with secure() as slow, secure() as idle, secure() as body:
        idle.ask(request('GET', '/hello', 'nginx.test'))
        slow.send(request('GET', '/slow?delay=1.5&drain', 'py.test'))
        n = 200000
        body.send(request('GET', f'/bytes/{n}?rate=150000', 'py.test'))
        equal(body.head().status, 200)
        wait_for(lambda: lab.origin_do('requests', prefix='/slow?delay=1.5&drain'), 'the request')
        lab.proc.send_signal(signal.SIGTERM)
        equal(idle.rest(), (b'', 'closed'), 'the idle one')
        r = slow.response()
        equal((r.status, r.get('connection')), (200, 'close'))
        equal(slow.rest(), (b'', 'closed'), 'the slow one')
        check(body.exactly(n) == pattern(n), 'the body')
        equal(body.rest(), (b'', 'closed'), 'behind the body')
    equal(lab.terminate(20), 0, 'exit')


def make_lab():
    vhosts = ', '.join(f'"{v}"' for v in VHOSTS)
    return Lab(before=make_certs, memory='512MiB', drain_time='10s',
               extra_listeners=string.Template(LISTENERS).substitute(vhosts=vhosts),
               extra_vhosts=VHOST, extra_clusters=CLUSTERS,
               allowed={'tls_truncated', 'tls_closed', 'req_downstream_gone', 'conn_reset_by_peer', 'tcp_rst_blind',
                        'tcp_after_close', 'conn_drain', 'tcp_out_of_window', 'conn_linger', 'tls_no_memory', 'conn_shed'})


if __name__ == '__main__':
    main(make_lab)
