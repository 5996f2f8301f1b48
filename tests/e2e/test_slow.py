#!/usr/bin/python3
"""Backpressure: who reads slowly slows the writer at the other end down; nobody's bytes pile up."""
import json
import socket
import time

from lab import GATE4, Background, Lab, quick, wait_for
from origin import pattern
from tap import case, check, equal, main, note
from wire import Client, request

BIG = quick(100_000_000, 30_000_000)
# What may lie between an origin and a client that reads nothing: Tidegate's two buffers and the
# kernels' at both ends (tcp_wmem and tcp_rmem grow to some MiB).
BETWEEN = 16 << 20


def flat(lab, before, what):
    now = lab.rss_kib()
    check(now - before < 8192, f'{what}: resident memory {before} -> {now} KiB')


@case
def client_that_does_not_read(lab):
    before = lab.rss_kib()
    with Client(lab.connect(rcvbuf=8192, timeout=60)) as c:
        c.send(request('GET', f'/bytes/{BIG}?stuck=1', 'py.test'))
        wait_for(lambda: lab.origin_do('requests', prefix=f'/bytes/{BIG}?stuck=1'), 'the request')
        last, since = -1, time.monotonic()
        while time.monotonic() - since < 1.5:  # until the origin stands still
            sent = lab.origin_do('requests', prefix=f'/bytes/{BIG}?stuck=1')[0].get('sent', 0)
            if sent != last:
                last, since = sent, time.monotonic()
            time.sleep(0.05)
        note(f'the origin stopped after {last} bytes')
        check(last < BETWEEN, f'{last} bytes left the origin')
        flat(lab, before, 'while stuck')
        # And it goes on when the client reads: nothing was lost.
        r = c.response()
        equal(len(r.body), BIG)
        check(r.body == pattern(BIG), 'body differs')
    flat(lab, before, 'afterwards')


@case
def origin_that_reads_slowly(lab):
    """An upload of which the origin takes 2 MB/s: the client is slowed to it."""
    n = quick(8_000_000, 4_000_000)
    before = lab.rss_kib()
    with Client(lab.connect(timeout=60)) as c:
        t = time.monotonic()
        c.send(b'POST /see?rate=2000000 HTTP/1.1\r\nHost: py.test\r\nContent-Length: %d\r\n\r\n' % n)
        c.sock.sendall(pattern(n))
        flat(lab, before, 'during the upload')
        s = json.loads(c.response('POST').body)
        equal(s['length'], n)
        check(time.monotonic() - t > n / 2e6 * 0.8, 'faster than the origin reads')


@case
def slow_client_reads_bit_by_bit(lab):
    before = lab.rss_kib()
    with Client(lab.connect(rcvbuf=4096, timeout=60)) as c:
        n = 600_000
        c.send(request('GET', f'/bytes/{n}?chunked=1', 'py.test'))
        r = c.head()
        equal(r.status, 200)
        got = c.buf
        end = time.monotonic() + 60
        while not got.endswith(b'0\r\n\r\n') and time.monotonic() < end:
            got += c.sock.recv(3000)
            time.sleep(0.002)
        check(got.count(b'\r\n') >= 3, 'chunks')
        check(len(got) > n, f'{len(got)} bytes')
    flat(lab, before, 'slow reader')


@case
def slow_writer_of_head_and_body(lab):
    with Client(lab.connect(timeout=30)) as c:
        raw = request('POST', '/see', 'py.test', pattern(300), fields=[('X-Slow', 'y' * 50)])
        for i in range(0, len(raw), 7):
            c.send(raw[i:i + 7])
            time.sleep(0.005)
        equal(json.loads(c.response('POST').body)['length'], 300)


@case
def slow_origin_writes_bit_by_bit(lab):
    with Client(lab.connect(timeout=30)) as c:
        r = c.ask(request('GET', '/bytes/40000?rate=40000&chunked=1', 'py.test'))
        check(r.body == pattern(40000), 'body differs')


@case
def three_hundred_slow_readers_and_one_fast(lab):
    """Many stuck clients take their buffers and no more; the others are not slowed down."""
    before = lab.rss_kib()
    stuck = []
    try:
        for i in range(quick(300, 100)):
            c = Client(lab.connect(rcvbuf=4096, timeout=30))
            c.send(request('GET', f'/bytes/20000000?many={i}', 'py.test'))
            stuck.append(c)
        wait_for(lambda: lab.stat('cluster.py.upstream_rq_active') >= len(stuck), 'all under way', 30)
        time.sleep(1)  # let them fill what there is to fill
        now = lab.rss_kib()
        note(f'resident memory {before} -> {now} KiB with {len(stuck)} stuck clients')
        # Pools are made at start; what is touched for the first time becomes resident.
        check(now - before < len(stuck) * 1024 + 8192, f'{before} -> {now} KiB')
        for _ in range(50):
            equal(lab.curl('nginx.test', '/hello').stdout, b'hello from nginx\n')
    finally:
        for c in stuck:
            c.close()
    wait_for(lambda: lab.stat('cluster.py.upstream_rq_active') == 0, 'all ended', 30)


@case
def upload_meets_an_early_answer(lab):
    """The origin answers 417 and closes while the client is still sending."""
    with Client(lab.connect(timeout=20)) as c:
        c.send(b'POST /refuse HTTP/1.1\r\nHost: py.test\r\nContent-Length: 50000000\r\n\r\n')
        w = Background(lambda: c.send_some(pattern(50_000_000)))
        r = c.response('POST')
        equal(r.status, 417)
        c.sock.shutdown(socket.SHUT_RDWR)
        w.result(20)


@case
def stuck_in_both_directions(lab):
    """An echo whose client writes but never reads: both buffers fill, the client is stopped."""
    before = lab.rss_kib()
    with Client(lab.connect((GATE4, 80), rcvbuf=8192, sndbuf=65536, timeout=5)) as c:
        c.send(b'POST /echo HTTP/1.1\r\nHost: py.test\r\nContent-Length: %d\r\n\r\n' % BIG)
        c.sock.setblocking(False)
        sent, last = 0, time.monotonic()
        while time.monotonic() - last < 1.5 and sent < BIG:
            try:
                sent += c.sock.send(pattern(65536, sent)[:BIG - sent])
                last = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        note(f'stopped after {sent} bytes')
        check(sent < 2 * BETWEEN, f'{sent} bytes were taken')
        flat(lab, before, 'stuck both ways')


if __name__ == '__main__':
    main(lambda: Lab(memory='512MiB', allowed={
        'rx_no_buffer',
        'req_downstream_gone', 'conn_reset_by_peer', 'conn_aborted', 'req_cut_upstream',
        'req_upstream_reset', 'conn_linger', 'tcp_after_close', 'tcp_rst_blind',
        'tcp_out_of_window', 'tcp_syn_challenged',  # what the device lost comes again
        # Buffers get short: what was promised is not taken beyond a share, and those that stand still go.
        'tcp_rcv_full', 'conn_shed', 'req_shed'}))
