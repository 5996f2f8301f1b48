#!/usr/bin/python3
"""curl against nginx and the Python origin through Tidegate: methods, bodies, framing, routes."""
import hashlib
import json
import os
import time

from lab import CLIENT4, CLIENT6, GATE4, Lab
from origin import pattern
from tap import case, check, equal, main
from wire import Client, request


def see(lab, *args, host='py.test', path='/see', v6=False):
    return json.loads(lab.curl(host, path, *args, v6=v6).stdout)


def fields(seen, name):
    return [v for k, v in seen['fields'] if k == name]


@case
def get_v4_and_v6_from_nginx(lab):
    for host in ('nginx.test', 'nginx6.test'):
        for v6 in (False, True):
            equal(lab.curl(host, '/hello', v6=v6).stdout, b'hello from nginx\n', f'{host} {v6}')
            equal(lab.curl(host, '/100k', v6=v6).stdout, pattern(102400), f'100k {host} {v6}')


@case
def get_status_and_fields(lab):
    p = lab.curl('nginx.test', '/1k', '-D', '-', '-o', '/dev/null')
    head = p.stdout.decode().lower()
    check(head.startswith('http/1.1 200 ok\r\n'), head)
    check('content-length: 1024\r\n' in head, head)
    check('connection: close' not in head, head)


@case
def head(lab):
    p = lab.curl('nginx.test', '/100k', '-I')
    check(b'content-length: 102400' in p.stdout.lower(), p.stdout)
    # The connection stays usable after a HEAD: no body was awaited or sent.
    with Client(lab.connect()) as c:
        for _ in range(3):
            r = c.ask(request('HEAD', '/bytes/5000', 'py.test'))
            equal((r.status, r.get('content-length')), (200, '5000'))
            r = c.ask(request('GET', '/bytes/10', 'py.test'))
            equal(r.body, pattern(10))


@case
def post_and_put_with_body(lab):
    body = pattern(300000)
    path = os.path.join(lab.dir, 'body')
    with open(path, 'wb') as f:
        f.write(body)
    for v6 in (False, True):
        for args, method in ((['--data-binary', f'@{path}'], 'POST'), (['-T', path], 'PUT')):
            for host in ('py.test', 'py6.test'):
                s = see(lab, '-H', 'Expect:', *args, host=host, v6=v6)
                equal((s['method'], s['length'], s['sha256']),
                      (method, len(body), hashlib.sha256(body).hexdigest()))


@case
def post_echo_returns_the_bytes(lab):
    body = pattern(1000003)
    path = os.path.join(lab.dir, 'echo')
    with open(path, 'wb') as f:
        f.write(body)
    p = lab.curl('py.test', '/echo', '-H', 'Expect:', '--data-binary', f'@{path}')
    check(p.stdout == body, 'echoed body differs')


@case
def upload_chunked(lab):
    body = pattern(700001)
    path = os.path.join(lab.dir, 'chunked')
    with open(path, 'wb') as f:
        f.write(body)
    s = see(lab, '-H', 'Transfer-Encoding: chunked', '-H', 'Expect:', '-T', path)
    equal((s['length'], s['sha256']), (len(body), hashlib.sha256(body).hexdigest()))
    equal(fields(s, 'transfer-encoding'), ['chunked'])
    equal(fields(s, 'content-length'), [])
    p = lab.curl('py.test', '/echo', '-H', 'Transfer-Encoding: chunked', '-H', 'Expect:', '-T', path)
    check(p.stdout == body, 'echoed chunked body differs')


@case
def chunks_of_every_size(lab):
    pieces = [pattern(n, n) for n in (1, 2, 15, 16, 17, 255, 256, 1459, 1460, 1461, 4095, 65536, 3)]
    with Client(lab.connect()) as c:
        r = c.ask(request('POST', '/see', 'py.test', pieces, chunked=True))
        s = json.loads(r.body)
        equal(s['sha256'], hashlib.sha256(b''.join(pieces)).hexdigest())
        # Byte by byte, extensions and trailers too.
        raw = (b'POST /see HTTP/1.1\r\nHost: py.test\r\nTransfer-Encoding: chunked\r\n\r\n'
               b'3;x=y\r\nabc\r\n1 ;q="a;b"\r\nd\r\n0\r\nX-Check: 1\r\n\r\n')
        for i in range(len(raw)):
            c.send(raw[i:i + 1])
        s = json.loads(c.response().body)
        equal((s['length'], s['sha256']), (4, hashlib.sha256(b'abcd').hexdigest()))


@case
def response_chunked_with_trailers(lab):
    with Client(lab.connect()) as c:
        r = c.ask(request('GET', '/trailers', 'py.test', fields=[('TE', 'trailers')]))
        equal(r.body, b'hello')
        check(('x-sum', '42') in r.trailers, r.trailers)
        r = c.ask(request('GET', '/bytes/200000?chunked=1', 'py.test'))
        check(r.body == pattern(200000), 'chunked body differs')


@case
def ranges(lab):
    p = lab.curl('nginx.test', '/100k', '-r', '100-199', '-D', '-')
    check(p.stdout.startswith(b'HTTP/1.1 206 '), p.stdout[:100])
    check(p.stdout.endswith(pattern(100, 100)), 'range differs')
    p = lab.curl('nginx.test', '/100k', '-r', '-10')
    equal(p.stdout, pattern(10, 102390))
    p = lab.curl('nginx.test', '/100k', '-r', '200000-', '-o', '/dev/null', '-w', '%{http_code}')
    equal(p.stdout, b'416')


@case
def conditional_request_304(lab):
    tag = [line.split(b' ', 1)[1] for line in lab.curl('nginx.test', '/1k', '-I').stdout.split(b'\r\n')
           if line.lower().startswith(b'etag:')][0].decode()
    with Client(lab.connect()) as c:
        r = c.ask(request('GET', '/1k', 'nginx.test', fields=[('If-None-Match', tag)]))
        equal(r.status, 304)
        equal(c.ask(request('GET', '/1k', 'nginx.test')).body, pattern(1024))


@case
def expect_100_continue(lab):
    body = pattern(100000)
    path = os.path.join(lab.dir, 'expect')
    with open(path, 'wb') as f:
        f.write(body)
    p = lab.curl('py.test', '/see', '-v', '-H', 'Expect: 100-continue', '--data-binary', f'@{path}',
                 '--expect100-timeout', '30')
    check(b'100 Continue' in p.stderr, 'curl saw no 100')
    equal(json.loads(p.stdout)['length'], len(body))
    with Client(lab.connect()) as c:
        # The origin refuses: no 100, its answer comes at once, the body is never asked for.
        c.send(b'POST /refuse HTTP/1.1\r\nHost: py.test\r\nContent-Length: 100000\r\n'
               b'Expect: 100-continue\r\n\r\n')
        r = c.response()
        equal((r.status, r.interim), (417, []))


@case
def early_hints_pass(lab):
    with Client(lab.connect()) as c:
        r = c.ask(request('GET', '/early', 'py.test'))
        equal((r.status, r.body), (200, b'late\n'))
        equal([i.status for i in r.interim], [103])
        equal(r.interim[0].get('link'), '</a.css>; rel=preload')


@case
def no_body_statuses(lab):
    with Client(lab.connect()) as c:
        for _ in range(2):
            equal(c.ask(request('GET', '/no-content', 'py.test')).status, 204)
            equal(c.ask(request('GET', '/not-modified', 'py.test')).status, 304)
            equal(c.ask(request('GET', '/status/200', 'py.test')).body, b'told so\n')


@case
def statuses_pass_unchanged(lab):
    with Client(lab.connect()) as c:
        for status in (200, 201, 203, 206, 301, 302, 400, 401, 403, 404, 409, 418, 429, 451, 500,
                       501, 502, 503, 504, 599):
            r = c.ask(request('GET', f'/status/{status}', 'py.test'))
            equal((r.status, r.body), (status, b'told so\n'))


@case
def response_until_close(lab):
    p = lab.curl('py.test', '/until-close')
    equal(p.stdout, b'until the end\n')
    with Client(lab.connect()) as c:
        r = c.ask(request('GET', '/until-close', 'py.test'))
        equal((r.minor, r.status, r.body), (1, 200, b'until the end\n'))


@case
def routes_by_host_path_header(lab):
    equal(lab.curl('nginx.test', '/hello').stdout, b'hello from nginx\n')
    equal(see(lab, host='nginx.test', path='/py/x?y=1')['target'], '/py/x?y=1')
    equal(see(lab, host='nginx.test', path='/exact')['target'], '/exact')
    equal(see(lab, host='nginx.test', path='/exact?q')['target'], '/exact?q')
    equal(see(lab, '-H', 'X-To: py', host='nginx.test', path='/hello')['target'], '/hello')
    equal(lab.curl('nginx.test', '/hello', '-H', 'X-To: pyx').stdout, b'hello from nginx\n')
    equal(lab.curl('a.b.nginx.test', '/hello').stdout, b'hello from nginx\n')
    with Client(lab.connect()) as c:  # host names know no case, a port is not part of the name
        equal(c.ask(request('GET', '/hello', 'NGINX.Test:80')).body, b'hello from nginx\n')
    p = lab.curl('nginx.test', '/exact/', '-o', '/dev/null', '-w', '%{http_code}')
    equal(p.stdout, b'404')


@case
def forwarded_fields(lab):
    for v6, ip in ((False, CLIENT4), (True, CLIENT6)):
        s = see(lab, v6=v6)
        equal(fields(s, 'x-forwarded-for'), [ip])
        equal(fields(s, 'x-forwarded-proto'), ['http'])
        ids = fields(s, 'x-request-id')
        check(len(ids) == 1 and len(ids[0]) == 36 and ids[0].count('-') == 4, ids)
        equal(fields(s, 'host'), ['py.test'])
    s = see(lab, '-H', 'X-Forwarded-For: 192.0.2.1')
    equal(','.join(fields(s, 'x-forwarded-for')).replace(' ', ''), f'192.0.2.1,{CLIENT4}')
    a, b = see(lab), see(lab)
    check(fields(a, 'x-request-id') != fields(b, 'x-request-id'), 'the same id twice')


@case
def hop_by_hop_fields_do_not_pass(lab):
    with Client(lab.connect()) as c:
        r = c.ask(request('GET', '/see', 'py.test', fields=[
            ('Connection', 'keep-alive, X-Private'), ('X-Private', 'secret'),
            ('Keep-Alive', 'timeout=5'), ('Proxy-Connection', 'keep-alive'),
            ('TE', 'gzip'), ('X-Public', 'yes')]))
        s = json.loads(r.body)
        equal(fields(s, 'x-public'), ['yes'])
        for name in ('x-private', 'keep-alive', 'proxy-connection'):
            equal(fields(s, name), [], name)
        check('gzip' not in ''.join(fields(s, 'te')), s['fields'])
        for name in ('keep-alive', 'proxy-connection'):
            equal(r.all(name), [], f'{name} in the response')


@case
def keep_alive_and_close(lab):
    with Client(lab.connect()) as c:
        for i in range(50):
            equal(c.ask(request('GET', f'/bytes/{i}', 'py.test')).body, pattern(i))
        r = c.ask(request('GET', '/bytes/3', 'py.test', fields=[('Connection', 'close')]))
        equal(r.body, pattern(3))
        check(not r.keep_alive(), r)
        check(c.at_end(), 'not closed after Connection: close')
    with Client(lab.connect()) as c:  # the origin's wish to close is the origin's alone
        equal(c.ask(request('GET', '/last', 'py.test')).body, b'last\n')
        equal(c.ask(request('GET', '/last', 'py.test')).body, b'last\n')


@case
def http10_clients(lab):
    with Client(lab.connect()) as c:
        r = c.ask(b'GET /bytes/100 HTTP/1.0\r\nHost: py.test\r\n\r\n')
        equal(r.body, pattern(100))
        check(c.at_end(), 'HTTP/1.0 without keep-alive stays open')
    with Client(lab.connect()) as c:
        for _ in range(3):
            r = c.ask(b'GET /bytes/100 HTTP/1.0\r\nHost: py.test\r\nConnection: keep-alive\r\n\r\n')
            equal(r.body, pattern(100))
            check((r.get('connection') or '').lower() == 'keep-alive', r)
    with Client(lab.connect()) as c:  # no chunks towards a client that knows none
        r = c.ask(b'GET /bytes/70000?chunked=1 HTTP/1.0\r\nHost: py.test\r\n\r\n')
        equal(r.all('transfer-encoding'), [])
        check(r.body == pattern(70000), 'body differs')


@case
def absolute_form_and_options(lab):
    with Client(lab.connect()) as c:
        # RFC 9112 3.2.2: the authority of the target wins over Host.
        r = c.ask(b'GET http://py.test/see?a=b HTTP/1.1\r\nHost: nginx.test\r\n\r\n')
        s = json.loads(r.body)
        equal((s['target'], fields(s, 'host')), ('/see?a=b', ['py.test']))
        r = c.ask(b'GET http://py.test HTTP/1.1\r\nHost: py.test\r\n\r\n')
        equal(json.loads(r.body)['target'], '/')
        r = c.ask(b'OPTIONS * HTTP/1.1\r\nHost: py.test\r\n\r\n')
        s = json.loads(r.body)
        equal((s['method'], s['target']), ('OPTIONS', '*'))


@case
def methods_pass(lab):
    with Client(lab.connect()) as c:
        for m in ('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'REPORT', 'FOO'):
            body = b'x' if m in ('POST', 'PUT', 'PATCH') else None
            equal(json.loads(c.ask(request(m, '/see', 'py.test', body)).body)['method'], m)


@case
def fields_pass_byte_for_byte(lab):
    odd = [('X-A', 'a  b\tc'), ('X-Empty', ''), ('X-Latin', 'caf\xe9'), ("X-!#$%&'*+.^_`|~", 'ok'),
           ('X-Many', '1'), ('X-Many', '2'), ('Cookie', 'a=b; c=d'), ('X-Long', 'y' * 8000)]
    with Client(lab.connect()) as c:
        s = json.loads(c.ask(request('GET', '/see', 'py.test', fields=odd)).body)
        for k, _ in odd:
            equal(fields(s, k.lower()), [v for n, v in odd if n == k], k)


@case
def pipelined_answers_in_order(lab):
    with Client(lab.connect()) as c:
        n = 60
        # The first ones are slow: what follows must wait for its turn.
        c.send(b''.join(request('GET', f'/bytes/{100 + i}?delay={0.2 if i < 3 else 0}', 'py.test')
                        for i in range(n)))
        for i in range(n):
            equal(c.response().body, pattern(100 + i), f'answer {i}')
    with Client(lab.connect()) as c:  # bodies, HEAD and different origins in one pipeline
        c.send(request('POST', '/echo', 'py.test', b'one') + request('GET', '/hello', 'nginx.test')
               + request('HEAD', '/1k', 'nginx.test')
               + request('POST', '/echo', 'py.test', [b'tw', b'o'], chunked=True)
               + request('GET', '/bytes/7', 'py.test'))
        equal(c.response().body, b'one')
        equal(c.response().body, b'hello from nginx\n')
        equal(c.response('HEAD').get('content-length'), '1024')
        equal(c.response().body, b'two')
        equal(c.response().body, pattern(7))


@case
def half_closed_client_gets_its_answer(lab):
    with Client(lab.connect()) as c:
        c.send(request('GET', '/bytes/50000?delay=0.3', 'py.test'))
        c.sock.shutdown(1)
        equal(c.response().body, pattern(50000))
        check(c.at_end(), 'not closed')


@case
def pooled_connections_are_reused(lab):
    conns = set()
    with Client(lab.connect()) as c:
        for _ in range(20):
            conns.add(json.loads(c.ask(request('GET', '/see', 'py.test')).body)['conn'])
    check(len(conns) == 1, f'{len(conns)} upstream connections for 20 requests in a row')


@case
def stale_pooled_connection_is_no_error(lab):
    # The origin closes each connection with its answer, or right behind it, without a word. The next
    # request comes when the close has just come, whatever its method. (When it overtakes the close,
    # the origin's kernel acknowledges it, and nobody can know: that is in the simulator's tests.)
    with Client(lab.connect()) as c:
        for i in range(300):
            r = c.ask(request('GET', '/quit-idle' + ('?gap=1' if i % 3 else ''), 'py.test'))
            equal((r.status, r.body), (200, b'soon gone\n'))
            if i % 3:
                time.sleep(0.003)
            r = c.ask(request('POST', '/echo', 'py.test', b'precious'))
            equal((r.status, r.body), (200, b'precious'), f'round {i}')


@case
def access_log_line(lab):
    lab.curl('py.test', '/status/201?logged', '-A', 'ua/1')
    line = lab.wait_access('/status/201?logged')[0]
    for word in ('"GET /status/201?logged HTTP/1.1" 201 - ', '"ua/1"', '"py.test"',
                 '"10.77.2.2:8081"'):
        check(word in line, f'{word!r} not in {line!r}')


@case
def counters_count(lab):
    before = lab.stats()
    with Client(lab.connect((GATE4, 80))) as c:
        for _ in range(7):
            c.ask(request('GET', '/hello', 'nginx.test'))
    after = lab.stats()
    for name in ('http.web.downstream_rq_total', 'http.web.downstream_rq_2xx',
                 'cluster.nginx.upstream_rq_total', 'cluster.nginx.upstream_rq_2xx'):
        check(name in after, f'no {name}; there are {[k for k in after if "downstream_rq" in k][:4]}')
        equal(after[name] - before[name], 7, name)


@case
def options_and_trace_count_their_hops(lab):
    """RFC 9110 section 7.6.2: the last hop answers, every other one counts down."""
    def ask(method, hops, *more):
        with Client(lab.connect()) as c:
            return c.ask(request(method, '/see', 'py.test', fields=[
                *(('Max-Forwards', h) for h in hops), ('X-Mark', 'm'), *more]))
    for method in ('OPTIONS', 'TRACE'):
        for hops, left in (('1', '0'), ('007', '6')):
            seen = json.loads(ask(method, [hops]).body)
            equal([v for k, v in seen['fields'] if k == 'max-forwards'], [left], f'{method} {hops}')
        for bad in (['-1'], ['x'], [''], ['1', '1'], ['1, 1'], ['0x1']):
            equal(ask(method, bad).status, 400, f'{method} {bad}')
    equal([v for k, v in json.loads(ask('GET', ['0']).body)['fields'] if k == 'max-forwards'], ['0'])

    before = lab.origin_do('counts')['requests']
    with Client(lab.connect()) as c:  # the connection lives on
        r = c.ask(request('OPTIONS', '/see', 'py.test', fields=[('Max-Forwards', '0')]))
        equal((r.status, r.body, r.keep_alive()), (200, b'', True))
        r = c.ask(request('OPTIONS', '*', 'py.test', fields=[('Max-Forwards', '0')]))
        equal((r.status, r.body), (200, b''))
        equal(c.ask(request('TRACE', '/see?a=b', 'py.test', fields=[('Max-Forwards', '0')])).status, 501)
    equal(lab.origin_do('counts')['requests'], before, 'requests at the origin')
    lab.wait_access('"TRACE /see?a=b HTTP/1.1" 501 - ')


if __name__ == '__main__':
    main(lambda: Lab(allowed={'conn_reset_by_peer', 'req_upstream_reset', 'req_downstream_gone',
                              'req_malformed', 'req_coding'}))
