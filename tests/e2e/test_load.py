#!/usr/bin/python3
"""wrk and h2load at full speed, ten thousand connections at once: no error, none but 2xx."""
import re
import resource
import selectors
import time

from lab import GATE4, GATE6, Lab, quick, wait_for
from tap import case, check, equal, main, note
from wire import Client, request

SECONDS = quick(5, 2)


def clean(r, what):
    note(f'{what}: {r["rps"]:.0f} requests/s, {r["requests"]} in all')
    check(r['errors'] == 0 and r['non2xx'] == 0 and r['requests'] > 100, f'{what}:\n{r["text"]}')


@case
def wrk_small_answers(lab):
    before = lab.stat('http.web.downstream_rq_2xx')
    r = lab.wrk(seconds=SECONDS)
    clean(r, 'wrk 32 connections')
    after = lab.stat('http.web.downstream_rq_2xx')
    check(after - before >= r['requests'], f'{after - before} counted, {r["requests"]} reported')


@case
def wrk_v6_and_larger_answers(lab):
    clean(lab.wrk(host='nginx6.test', path='/100k', seconds=SECONDS, conns=16, v6=True),
          'wrk 100 KiB over IPv6')


@case
def wrk_500_connections(lab):
    clean(lab.wrk(path='/1k', seconds=SECONDS, conns=500), 'wrk 500 connections')


@case
def wrk_new_connection_each(lab):
    r = lab.wrk('nginx.test', '/hello', SECONDS, 16, 1, False, '-H', 'Connection: close')
    clean(r, 'wrk, a connection a request')


def h2load(lab, *args, host='nginx.test', path='/hello', v6=False, timeout=120):
    ip = f'[{GATE6}]' if v6 else GATE4
    p = lab.in_client(['h2load', '--h1', '-H', f':authority: {host}', *args, f'http://{ip}{path}'],
                      timeout=timeout)
    m = re.search(r'requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, '
                  r'(\d+) errored, (\d+) timeout', p.stdout)
    check(m, p.stdout)
    total, done, good, failed, errored, late = (int(x) for x in m.groups())
    rps = re.search(r'finished in [^,]+, ([\d.]+) req/s', p.stdout)
    note(f'h2load {" ".join(map(str, args))}: {rps.group(1) if rps else "?"} requests/s')
    check(total == done == good and not failed and not errored and not late, p.stdout)
    m = re.search(r'status codes: (\d+) 2xx', p.stdout)
    equal(int(m.group(1)), total, '2xx')
    return p.stdout


@case
def h2load_h1(lab):
    h2load(lab, '-n', quick(100000, 20000), '-c', 50, '-t', 1)


@case
def h2load_h1_pipelined(lab):
    h2load(lab, '-n', quick(50000, 10000), '-c', 20, '-m', 8, '-t', 1, path='/1k')


@case
def h2load_h1_v6_two_endpoints(lab):
    h2load(lab, '-n', quick(30000, 6000), '-c', 30, '-t', 1, host='two.test', v6=True)
    s = lab.json('/clusters')
    text = str(s)
    check('10.77.2.2' in text and 'fd77:2::2' in text, text[:300])


@case(seconds=180)
def ten_thousand_connections_at_once(lab):
    n = quick(10000, 2000)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n + 500), max(hard, n + 500)))
    accepted = lab.stat('server.tcp_accepted')
    clients, sel = [], selectors.DefaultSelector()
    try:
        t = time.monotonic()
        for _ in range(n):
            clients.append(Client(lab.connect(timeout=30)))
        note(f'{n} connections in {time.monotonic() - t:.1f} s')
        wait_for(lambda: lab.stat('server.tcp_accepted') - accepted >= n, 'all accepted', 10)
        check(lab.stat('http.web.downstream_cx_active') >= n, 'not all at once')
        # Each of them is alive: a request on every one, many at a time, twice.
        for round_ in range(2):
            for i, c in enumerate(clients):
                c.send(request('GET', '/hello', 'nginx.test'))
                c.sock.setblocking(False)
                sel.register(c.sock, selectors.EVENT_READ, (i, c))
            left, end = n, time.monotonic() + 60
            while left and time.monotonic() < end:
                for key, _ in sel.select(1):
                    _, c = key.data
                    c.buf += c.sock.recv(4096)
                    if c.buf.endswith(b'hello from nginx\n'):
                        check(c.buf.startswith(b'HTTP/1.1 200'), c.buf)
                        c.buf = b''
                        sel.unregister(c.sock)
                        c.sock.settimeout(30)
                        left -= 1
            equal(left, 0, f'connections without an answer in round {round_}')
        note(f'resident memory {lab.rss_kib()} KiB')
    finally:
        for c in clients:
            c.close()
        sel.close()
    wait_for(lambda: lab.stat('http.web.downstream_cx_active') == 0, 'all closed', 30)


@case
def wrk_after_all_that(lab):
    clean(lab.wrk(seconds=2), 'wrk again')


if __name__ == '__main__':
    main(lambda: Lab(memory='768MiB', allowed={
        'rx_no_buffer', 'conn_reset_by_peer', 'req_downstream_gone', 'conn_aborted', 'tcp_after_close',
        'conn_linger', 'tcp_rst_blind', 'tcp_out_of_window',
        'tx_pending_full'}))  # the first connects of a burst, before the origin's address is known: eight wait
