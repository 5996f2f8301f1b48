#!/usr/bin/python3
"""protocol = "tcp": bytes pass as they are, FIN in each direction by itself, resets as resets."""
import hashlib
import os
import socket
import time

from lab import GATE4, GATE6, Background, Lab, quick, wait_for
from origin import pattern
from tap import case, check, equal, main
from wire import Client, Closed


def read_all(s):
    out = b''
    while True:
        b = s.recv(262144)
        if not b:
            return out
        out += b


@case
def echo_v4_and_v6(lab):
    for addr in ((GATE4, 9001), (GATE6, 9001)):
        with Client(lab.connect(addr)) as c:
            for n in (1, 2, 1459, 1460, 1461, 70000):
                c.send(pattern(n, n))
                check(c.exactly(n) == pattern(n, n), f'{n} bytes differ')


@case
def upstream_is_dialled_on_accept(lab):
    # The origin speaks first: without a byte from the client its greeting must come.
    with Client(lab.connect((GATE4, 9002))) as c:
        equal(c.exactly(6), b'hello\n')
        c.send(b'and back')
        equal(c.exactly(8), b'and back')


@case
def half_close_by_the_client(lab):
    data = os.urandom(3_000_000)
    with Client(lab.connect((GATE4, 9003))) as c:
        c.send(data)
        c.sock.shutdown(socket.SHUT_WR)
        n, digest = read_all(c.sock).split()
        equal((int(n), digest.decode()), (len(data), hashlib.sha256(data).hexdigest()))
    with Client(lab.connect((GATE4, 9003))) as c:  # FIN without any byte
        c.sock.shutdown(socket.SHUT_WR)
        check(read_all(c.sock).startswith(b'0 '), 'empty stream')


@case
def half_close_by_the_origin(lab):
    before = len(lab.origin_do('counts')['given'])
    with Client(lab.connect((GATE4, 9004))) as c:
        check(read_all(c.sock) == pattern(65536), 'bytes before the FIN differ')
        # Our direction is still open.
        for i in range(20):
            c.send(pattern(5000, i))
        c.sock.shutdown(socket.SHUT_WR)
    wait_for(lambda: len(lab.origin_do('counts')['given']) > before, 'the origin to see our FIN')
    equal(lab.origin_do('counts')['given'][-1], 100000)


@case
def at_least_256_kib_in_flight(lab):
    # The origin never reads. Its kernel's and our own kernel's buffers hold some too, so both
    # are made small; what fits beyond them is Tidegate's.
    s = lab.connect((GATE4, 9005), sndbuf=4096)
    with s:
        s.setblocking(False)
        sent, last = 0, time.monotonic()
        while time.monotonic() - last < (30 if sent < 262144 else 1) and sent < 64 << 20:
            try:
                sent += s.send(b'z' * 65536)
                last = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        check(sent >= 262144, f'only {sent} bytes were taken')
        check(sent < 32 << 20, f'{sent} bytes were taken: not bounded')
    lab.origin_do('hangup')


@case
def reset_is_passed_on(lab):
    with Client(lab.connect((GATE4, 9006))) as c:
        out, how = c.rest()
        equal((out, how), (b'', 'reset'))


@case
def origin_refuses(lab):
    try:
        with Client(lab.connect((GATE4, 9007))) as c:
            out, how = c.rest()
            check(not out and how in ('reset', 'closed'), f'{out!r} {how}')
    except ConnectionResetError:
        pass  # the refusal was faster than connect()
    lines = lab.wait_access('UF')
    check('UF' in lines[-1], lines[-1])


@case
def client_reset_reaches_the_origin(lab):
    import struct
    wait_for(lambda: lab.origin_do('counts')['open'] == 0, 'the origin idle')
    for _ in range(10):
        c = Client(lab.connect((GATE4, 9001)))
        c.send(b'x')
        equal(c.exactly(1), b'x')
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        c.close()
    wait_for(lambda: lab.origin_do('counts')['open'] == 0, 'the origin to be told')


@case
def many_streams_at_once(lab):
    def one(i):
        data = pattern(quick(400000, 100000), i)
        with Client(lab.connect((GATE4 if i % 2 else GATE6, 9001), timeout=60)) as c:
            got = Background(c.exactly, len(data))
            c.send(data)
            check(got.result() == data, f'stream {i} differs')
    threads = [Background(one, i) for i in range(40)]
    for t in threads:
        t.result()


@case
def port_scan_and_silent_connections(lab):
    before = lab.stat('server.tcp_accepted')
    socks = [lab.connect((GATE4, 9001)) for _ in range(300)]
    wait_for(lambda: lab.stat('server.tcp_accepted') - before >= 300, 'accepted')
    for s in socks:
        s.close()
    # A port where nothing listens answers.
    s = lab.socket()
    with s:
        s.settimeout(20)
        rc = s.connect_ex((GATE4, 12345))
        equal(rc, 111, 'connect to a closed port (ECONNREFUSED)')


@case
def a_slow_pair_does_not_stop_others(lab):
    # One stream stands still in both directions; another runs at full speed.
    with Client(lab.connect((GATE4, 9005))) as stuck:
        stuck.sock.setblocking(False)
        try:
            while True:
                stuck.sock.send(b'q' * 65536)
        except BlockingIOError:
            pass
        with Client(lab.connect((GATE4, 9001))) as c:
            data = pattern(2_000_000)
            got = Background(c.exactly, len(data))
            c.send(data)
            check(got.result(20) == data, 'the other stream')
    lab.origin_do('hangup')


MORE = ''',
  { name = "parted"; address = "10.77.1.1:9011"; protocol = "tcp";
    weighted_clusters: ( { cluster = "echo"; weight = 50; }, { cluster = "greet"; weight = 50; } ); },
  { name = "patient"; address = "10.77.1.1:9012"; protocol = "tcp"; cluster = "half"; max_connect_attempts = 2; },
  { name = "hasty"; address = "10.77.1.1:9013"; protocol = "tcp"; cluster = "half"; },
  { name = "sticky"; address = "10.77.1.1:9014"; protocol = "tcp"; cluster = "ring";
    hash_policy: ( { connection_properties: { source_ip = true; }; } ); }'''
CLUSTERS = ''',
  { name = "half"; endpoints: ( { address = "10.77.2.2:9"; }, { address = "10.77.2.2:9001"; } ); },
  { name = "ring"; lb_policy = "ring_hash"; endpoints: ( { address = "10.77.2.2:9001"; }, { address = "10.77.2.2:9002"; } ); }'''


def greets(lab, port):
    """Whether the origin behind it speaks first, or only says again what it was told; None: neither."""
    try:
        with Client(lab.connect((GATE4, port))) as c:  # the reset may come before connect() returns
            c.send(b'hello\n')
            c.exactly(6)
            c.send(b'!')
            return c.exactly(1) != b'!'
    except (Closed, OSError):
        return None


@case
def clusters_by_weight(lab):
    """Of 200 a fair draw gives 100 with a deviation of 7.1; beyond six of these it is not fair."""
    n = [greets(lab, 9011) for _ in range(200)].count(True)
    check(58 <= n <= 142, f'{n} of 200')


@case
def another_endpoint_is_tried(lab):
    before = lab.stat('cluster.half.upstream_cx_connect_fail')
    equal([greets(lab, 9012) for _ in range(20)], [False] * 20, 'with two attempts')
    check(lab.stat('cluster.half.upstream_cx_connect_fail') - before >= 5, 'the dead one was not tried')
    check(None in [greets(lab, 9013) for _ in range(4)], 'with one')
    check(lab.stat('cluster.half.upstream_cx_connect_attempts_exceeded') > 0, 'attempts_exceeded')


@case
def a_client_stays_with_its_endpoint(lab):
    equal(len({greets(lab, 9014) for _ in range(16)}), 1, 'endpoints')  # by chance one in 2**15
    d = lab.dry('CONNECT', 'tcp://10.77.1.1:9011', '--listener', 'parted')
    equal([(c['name'], c['share']) for c in d['clusters']], [('echo', 0.5), ('greet', 0.5)], 'explained')


if __name__ == '__main__':
    main(lambda: Lab(nginx=False, extra_listeners=MORE, extra_clusters=CLUSTERS, allowed={
        'conn_reset_by_peer', 'conn_refused', 'conn_aborted', 'tcp_no_listener', 'tcp_after_close',
        'req_connect_failure', 'conn_linger', 'tcp_rst_blind'}))
