#!/usr/bin/python3
"""Answers that Tidegate gives itself: status, whether the connection lives on, flags in the log."""
import socket
import struct
import time

from lab import GATE4, Lab, wait_for
from tap import case, check, equal, main
from wire import Client, Closed, request

STRICT = (GATE4, 81)
_n = 0


def ask(lab, host, target, status, flags, *, alive, body=None, method='GET', seconds=30):
    """One request; its status, what becomes of the connection, its line in the access log."""
    global _n
    _n += 1
    mark = f'{target}{"&" if "?" in target else "?"}n={_n}'
    with Client(lab.connect(timeout=seconds)) as c:
        r = c.ask(request(method, mark, host, body))
        equal(r.status, status, f'status of {target}')
        if alive is not None:
            equal(r.keep_alive(), alive, f'keep-alive after {target}: {r}')
        if r.keep_alive():
            equal(c.ask(request('GET', '/status/200', 'py.test')).status, 200, 'the next request')
        else:
            check(c.at_end(), f'open after {target}')
    line = lab.wait_access(mark)[0]
    check(f'" {status} ' in line, line)
    got = line.split(f'" {status} ')[1].split(' ')[0]
    check(set(flags.split('|')) & set(got.split(',')), f'flag {got}, wanted {flags}: {line}')
    return r


@case
def no_route_404(lab):
    r = ask(lab, 'only.test', '/elsewhere', 404, 'NR', alive=True)
    equal(r.get('server'), 'tidegate')
    ask(lab, 'nobody.test', '/', 404, 'NR', alive=True)
    ask(lab, 'only.test', '/elsewhere', 404, 'NR', alive=True, method='HEAD')
    # What is not read of its body may cost the connection, but not the answer.
    for n in (10, 3000, 2_000_000):
        ask(lab, 'only.test', '/elsewhere', 404, 'NR', alive=None, method='POST', body=b'x' * n)


@case
def connect_refused_503(lab):
    ask(lab, 'dead.test', '/', 503, 'UF', alive=True)
    ask(lab, 'dead.test', '/', 503, 'UF', alive=None, method='POST', body=b'x' * 3000)


@case
def no_such_host_503(lab):
    ask(lab, 'void.test', '/', 503, 'UF', alive=True)


@case
def route_timeout_504(lab):
    t = time.monotonic()
    ask(lab, 'slow.test', '/slow?delay=3600', 504, 'UT', alive=True)
    took = time.monotonic() - t
    check(took > 0.9, f'{took:.1f} s with a timeout of 1 s')
    equal(lab.curl('slow.test', '/slow?delay=0.1').stdout, b'at last\n')


@case
def stream_idle(lab):
    ask(lab, 'idle.test', '/hang', 408, 'SI', alive=None)


@case
def stream_idle_after_the_head_cuts(lab):
    with Client(lab.connect()) as c:
        c.send(request('GET', '/hang-mid?si', 'idle.test'))
        try:
            c.response()
            check(False, 'a cut response looked complete')
        except Closed as e:
            check(e.how in ('closed', 'reset'), str(e))
    line = lab.wait_access('/hang-mid?si')[0]
    check(' 200 SI ' in line, line)


@case
def upstream_reset_503(lab):
    for what in ('reset', 'close'):
        ask(lab, 'py.test', f'/{what}', 503, 'UC|UR', alive=True)


@case
def upstream_fails_mid_body(lab):
    for what in ('reset-mid', 'close-mid'):
        with Client(lab.connect()) as c:
            c.send(request('GET', f'/{what}?cut', 'py.test'))
            try:
                c.response()
                check(False, 'a cut response looked complete')
            except Closed as e:
                check(e.how in ('closed', 'reset'), str(e))
        line = lab.wait_access(f'/{what}?cut')[0]
        check(' 200 UC ' in line or ' 200 UR ' in line, line)


@case
def client_goes_away(lab):
    for target in ('/slow?delay=3&dc', '/hang?dc', '/bytes/50000000?rate=1000000&dc'):
        with Client(lab.connect()) as c:
            c.send(request('GET', target, 'py.test'))
            wait_for(lambda t=target: lab.origin_do('requests', prefix=t), 'the request')
            # By a reset: a FIN alone may come from a client that still waits for its answer.
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        line = lab.wait_access(target)[0]
        check(' DC ' in line, line)
    # The upstream connection goes too: the origin is not left talking to nobody.
    wait_for(lambda: lab.stat('cluster.py.upstream_rq_active') == 0, 'upstream requests ended')


@case
def refused_heads(lab):
    cases = [
        (400, b'GET / HTTP/1.1\r\n\r\n'),                               # no Host
        (400, b'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'),
        (400, b'GET  / HTTP/1.1\r\nHost: py.test\r\n\r\n'),
        (400, b'GET / HTTP/1.1\r\nHost: py.test\r\nA : b\r\n\r\n'),
        (400, b'G@T / HTTP/1.1\r\nHost: py.test\r\n\r\n'),
        (400, b'GET / HTTP/1.1\r\nHost: py.test\r\n folded: x\r\n\r\n'),
        (400, b'GET / HTTP/1.1\r\nHost: py.test\r\nX: a\0b\r\n\r\n'),
        (400, b'POST / HTTP/1.1\r\nHost: py.test\r\nContent-Length: 3\r\n'
              b'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
        (414, b'GET /' + b'a' * 9000 + b' HTTP/1.1\r\nHost: py.test\r\n\r\n'),
        (431, b'GET / HTTP/1.1\r\nHost: py.test\r\nX: ' + b'a' * 70000 + b'\r\n\r\n'),
        (431, b'GET / HTTP/1.1\r\nHost: py.test\r\n' + b'X: y\r\n' * 200 + b'\r\n'),
        (501, b'POST / HTTP/1.1\r\nHost: py.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'),
        (505, b'GET / HTTP/2.0\r\nHost: py.test\r\n\r\n'),
        (417, b'POST / HTTP/1.1\r\nHost: py.test\r\nExpect: wonders\r\nContent-Length: 1\r\n\r\nx'),
    ]
    before = lab.origin_do('counts').get('requests', 0)
    for status, raw in cases:
        with Client(lab.connect()) as c:
            c.send_some(raw)
            r = c.response(raw.split(b' ')[0].decode())
            equal(r.status, status, f'answer to {raw[:90]!r}')
            check(not r.keep_alive(), f'keep-alive after {raw[:90]!r}: {r}')
            check(c.at_end(), f'open after {raw[:90]!r}')
    equal(lab.origin_do('counts').get('requests', 0), before, 'requests at the origin')


@case
def a_large_head_within_the_bound_passes(lab):
    with Client(lab.connect()) as c:
        r = c.ask(request('GET', '/' + 'a' * 8000, 'py.test', fields=[('X', 'b' * 48000)]))
        equal(r.status, 200)


@case
def a_bad_chunk_after_the_head(lab):
    with Client(lab.connect()) as c:
        c.send(b'POST /see HTTP/1.1\r\nHost: py.test\r\nTransfer-Encoding: chunked\r\n\r\n'
               b'3\r\nabc\r\nxyz\r\n')
        r = c.response('POST')
        equal(r.status, 400)
        check(c.at_end(), 'open after a bad chunk')
    with Client(lab.connect()) as c:
        equal(c.ask(request('GET', '/see', 'py.test')).status, 200)


@case
def request_timeouts_408(lab):
    with Client(lab.connect(STRICT)) as c:  # a head that never ends
        c.send(b'GET /never HTTP/1.1\r\nHost: py.test\r\n')
        t = time.monotonic()
        equal(c.response().status, 408)
        check(time.monotonic() - t > 0.8, 'head timeout is 1 s')
        check(c.at_end(), 'open after 408')
    with Client(lab.connect(STRICT)) as c:  # a body that never ends
        c.send(b'POST /see HTTP/1.1\r\nHost: py.test\r\nContent-Length: 100\r\n\r\nabc')
        equal(c.response('POST').status, 408)
        check(c.at_end(), 'open after 408')
    with Client(lab.connect(STRICT)) as c:  # one byte a while does not help
        t = time.monotonic()
        for b in b'GET /drip HTTP/1.1\r\nHost: py.test\r\nX: yyyyyyyyyyyyyyyyyy':
            c.send_some(bytes([b]))
            time.sleep(0.1)
            if time.monotonic() - t > 2.5:
                break
        equal(c.response().status, 408)


@case
def idle_connection_is_closed(lab):
    with Client(lab.connect(STRICT)) as c:
        equal(c.ask(request('GET', '/see', 'py.test')).status, 200)
        t = time.monotonic()
        check(c.at_end(), 'not closed')
        check(time.monotonic() - t > 1.5, 'idle timeout is 2 s')


@case
def connection_of_limited_life(lab):
    t = time.monotonic()
    with Client(lab.connect((GATE4, 82), timeout=30)) as c:
        n = 0
        try:
            while True:  # the case's own bound ends it
                r = c.ask(request('GET', '/bytes/10', 'py.test'))
                equal(r.status, 200)
                n += 1
                if not r.keep_alive():
                    check(c.at_end(), 'open after Connection: close')
                    break
                time.sleep(0.02)
        except Closed as e:  # closed between two requests, never inside a response
            check(not e.partial, str(e))
        check(n > 0 and time.monotonic() - t > 0.8, f'{n} requests in {time.monotonic() - t:.1f} s')


EXTRA = ''',
  { name = "strict"; address = "10.77.1.1:81"; protocol = "http"; virtual_hosts = ["py"];
    request_headers_timeout = "1s"; request_timeout = "1s"; idle_timeout = "2s"; },
  { name = "brief"; address = "10.77.1.1:82"; protocol = "http"; virtual_hosts = ["py"];
    max_connection_duration = "1s"; }
'''

if __name__ == '__main__':
    main(lambda: Lab(extra_listeners=EXTRA, allowed={
        'req_malformed', 'req_target_too_long', 'req_head_too_big', 'req_coding', 'req_version',
        'req_expectation', 'req_timeout', 'req_no_route', 'req_no_host', 'req_connect_failure',
        'req_upstream_reset', 'req_upstream_timeout', 'req_cut_upstream', 'req_cut_timeout',
        'req_downstream_gone', 'conn_reset_by_peer', 'conn_refused', 'conn_connect_timeout',
        'conn_unreachable', 'conn_aborted', 'conn_idle', 'conn_max_duration', 'conn_linger',
        'tx_no_neighbour', 'tx_pending_full', 'tcp_after_close'}))
