#!/usr/bin/python3
"""The filter rbac, with clients of different SPIFFE IDs: the example of docs/filters.md, and beyond it."""
import os
import re
import ssl
import threading

import certs
from lab import GATE4, GATE6, ROOT, Lab, Background, wait_for
from tap import case, check, equal, main, note
from wire import Client, Closed, request

# More listeners beside those of the example.
MORE = '''
  , { name = "plain"; address = "10.77.1.1:80"; virtual_hosts = ["shop"];
      filters: ( { name = "rbac"; disabled = true; },
                 { name = "rbac"; id = "net"; policies: ( { name = "v4"; source_ips = ["10.77.1.2/32"]; methods = ["GET"]; } ); } ); }
  , { name = "plain6"; address = "[fd77:1::1]:80"; virtual_hosts = ["shop"];
      filters: ( { name = "rbac"; action = "DENY"; policies: ( { name = "v6"; source_ips = ["fd77:1::/64"]; } ); } ); }
  , { name = "office"; address = "10.77.1.1:5433"; protocol = "tcp"; cluster = "db";
      filters: ( { name = "rbac"; policies: ( { name = "office"; source_ips = ["10.77.1.0/24"]; } ); } ); }
  , { name = "office6"; address = "[fd77:1::1]:5433"; protocol = "tcp"; cluster = "db";
      filters: ( { name = "rbac"; policies: ( { name = "office"; source_ips = ["10.77.1.0/24"]; } ); } ); }
  , { name = "strict"; address = "10.77.1.1:8443"; virtual_hosts = ["shop"];
      tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "ca.crt"; require_spiffe_id = true; };
      filters: ( { name = "rbac"; policies: ( { name = "$policy"; principals = [$principals]; } ); } ); }
'''
MESH = 'spiffe://mesh.example/'
CLIENTS = {'web': ['URI:' + MESH + 'ns/shop/sa/web'], 'ops': ['URI:' + MESH + 'ns/ops/sa/alice'],
           'cart': ['URI:' + MESH + 'ns/shop/sa/cart'], 'evil': ['URI:spiffe://mesh.example.evil/ns/ops/sa/x'],
           'prefix': ['URI:' + MESH + 'ns/shop/sa/webx'], 'climb': ['URI:' + MESH + 'ns/ops/../shop/sa/x'],
           'dns': ['DNS:web.example']}
WEB = '"' + MESH + 'ns/shop/sa/web"'


def example():
    """The block of docs/filters.md behind "## An example", with our listeners in it."""
    with open(os.path.join(ROOT, 'docs', 'filters.md'), encoding='utf-8') as f:
        text = f.read()
    block = re.search(r'## An example\n.*?\n```\n(.*?)\n```', text, re.S).group(1)
    return block.replace('\n);\nvirtual_hosts', MORE + '\n);\nvirtual_hosts', 1)


def make_certs(lab):
    ca = certs.CA(lab.dir)
    ca.issue('server', ['DNS:shop.test', 'URI:' + MESH + 'ns/edge/sa/gate'])
    for name, sans in CLIENTS.items():
        ca.issue(name, sans)


def tls(lab, cert=None, port=443):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.load_verify_locations(f'{lab.dir}/ca.crt')
    if cert:
        c.load_cert_chain(f'{lab.dir}/{cert}.crt', f'{lab.dir}/{cert}.key')
    return c.wrap_socket(lab.connect((GATE4, port)), server_hostname='shop.test')


def explained(lab, cert, method, path, port, body, fields):
    """The status that tgctl explain foretells; of what is forwarded, the origin's 200."""
    args = [x for k, v in fields for x in ('-H', f'{k}: {v}')]
    if cert:
        args += ['--identity', CLIENTS[cert][0].partition(':')[2]]
    if body:
        args += ['--body-size', str(len(body))]
    d = lab.dry(method, f'https://shop.test:{port}{path}', '--from', '10.77.1.2', *args)
    return d['answer']['status'] if d['outcome'] == 'answered' else 200


def status(lab, cert, method, path, port=443, body=None, **fields):
    """Of a request, which explain has to know beforehand."""
    fields = [(k.replace('_', '-'), v) for k, v in fields.items()]
    want = explained(lab, cert, method, path, port, body, fields)
    with Client(tls(lab, cert, port)) as c:
        r = c.ask(request(method, path, 'shop.test', body=body, fields=fields))
        if r.status == 403:
            equal(r.body, b'' if method == 'HEAD' else b'RBAC: access denied')
        equal(want, r.status, f'explain of {method} {path} by {cert}')
        return r.status


class Counted:
    """Statistics of a filter before and after."""

    def __init__(self, lab, prefix):
        self.lab, self.prefix = lab, prefix
        self.before = self.now()

    def now(self):
        return {k[len(self.prefix):]: v for k, v in self.lab.stats().items() if k.startswith(self.prefix)}

    def grew(self):
        now = self.now()
        check(now, f'no statistics {self.prefix}*')
        return {k: v - self.before[k] for k, v in now.items() if v != self.before[k]}


@case
def by_principal(lab):
    n = Counted(lab, 'http.mesh.rbac.')
    equal(status(lab, 'web', 'GET', '/see'), 200)
    for who in ('cart', 'evil', 'prefix', 'climb', 'dns', None):
        equal((who, status(lab, who, 'GET', '/see')), (who, 403))
    equal(n.grew(), {'allowed': 1, 'denied': 6, 'deny.allowed': 7, 'shadow_allowed': 1, 'shadow_denied': 6})
    equal(status(lab, 'ops', 'GET', '/see', x_ticket='OPS-7'), 200)


@case
def by_path_method_and_header(lab):
    equal(status(lab, 'web', 'GET', '/see?/secret'), 200)
    equal(status(lab, 'web', 'POST', '/echo', body=b'x'), 200)
    equal(status(lab, 'web', 'GET', '/echo/../see'), 200)
    equal(status(lab, 'web', 'GET', '/see/'), 403)
    equal(status(lab, 'web', 'GET', '/bytes/5'), 403)
    equal(status(lab, 'web', 'GET', '/echo/../bytes/5'), 403)
    equal(status(lab, 'web', 'PUT', '/see'), 403)
    equal(status(lab, 'web', 'HEAD', '/see'), 403)
    equal(status(lab, 'ops', 'GET', '/bytes/5'), 403)
    equal(status(lab, 'ops', 'GET', '/bytes/5', x_ticket='ops-7'), 403)
    equal(status(lab, 'ops', 'DELETE', '/bytes/5', x_ticket='OPS-7'), 200)
    # a field that the origin will not see convinces nobody
    equal(status(lab, 'ops', 'GET', '/bytes/5', x_ticket='OPS-7', connection='x-ticket'), 403)


@case
def denied_by_whatever_spelling(lab):
    paths = ('/debug', '/debug/', '/debug/x?y', '/see/../debug', '/%64ebug', '//debug', '/x/..%2fdebug',
             '/see/..;/debug', '/%2Fdebug', '/debug;x', '/debug%2fx', '/x//y%2f..%2f..%2fdebug')
    for path in paths:
        equal((path, status(lab, 'web', 'GET', path)), (path, 403))
    lab.wait_access('rbac_access_denied_matched_policy[no-debug]', len(paths))
    # operators get past the first filter, and past the second with the header that it wants
    equal(status(lab, 'ops', 'GET', '/debug', x_ticket='OPS-1'), 200)


@case
def why_is_in_the_log(lab):
    equal(status(lab, 'cart', 'GET', '/see?log=none'), 403)
    check(' 403 ' in lab.wait_access('log=none')[0], lab.wait_access('log=none'))
    check('rbac_access_denied_matched_policy[none]' in lab.wait_access('log=none')[0], lab.wait_access('log=none'))
    check(lab.wait_access('log=none')[0].endswith(CLIENTS['cart'][0][4:]), lab.wait_access('log=none'))
    equal(status(lab, 'web', 'GET', '/debug/log-policy'), 403)
    check('rbac_access_denied_matched_policy[no-debug]' in lab.wait_access('log-policy')[0],
          lab.wait_access('log-policy'))
    equal(status(lab, 'web', 'GET', '/see?log=good'), 200)
    check('via_upstream' in lab.wait_access('log=good')[0], lab.wait_access('log=good'))


@case
def refused_before_404_and_the_connection_goes_on(lab):
    with Client(tls(lab, 'web')) as c:
        equal(c.ask(request('GET', '/see', 'shop.test')).status, 200)
        equal(c.ask(request('GET', '/nothing', 'shop.test')).status, 403)
        r = c.ask(request('POST', '/nothing', 'shop.test', body=b'0123456789'))
        check(r.status == 403, r)
        if r.keep_alive():
            equal(c.ask(request('GET', '/see', 'shop.test')).status, 200)
    with Client(tls(lab, 'web')) as c:  # a body that is still to come: an answer, then an orderly end
        c.send(b'POST /nothing HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 100000\r\n\r\n' + b'x' * 1000)
        r = c.response('POST')
        equal((r.status, r.keep_alive()), (403, False))
        check(c.at_end(), 'the connection goes on behind half a request')


@case
def origin_sees_only_what_was_allowed(lab):
    before = len(lab.origin_do('requests'))
    equal(status(lab, 'cart', 'GET', '/see?never'), 403)
    check(len(lab.origin_do('requests')) == before, 'the origin saw a refused request')


@case
def routes_override(lab):
    equal(status(lab, None, 'GET', '/status/200'), 200)
    equal(status(lab, None, 'GET', '/status/201'), 403)
    equal(status(lab, None, 'GET', '/debug/../status/200'), 200)


@case
def by_address(lab):
    n4, n6 = Counted(lab, 'http.plain.rbac.'), Counted(lab, 'http.plain6.rbac.')
    with Client(lab.connect()) as c:
        equal(c.ask(request('GET', '/see', 'x')).status, 200)
        equal(c.ask(request('PUT', '/see', 'x')).status, 403)
        r = c.ask(request('GET', '/see', 'x', fields=[('x-forwarded-for', '10.9.9.9')]))
        equal(r.status, 200)
    with Client(lab.connect((GATE6, 80))) as c:
        equal(c.ask(request('GET', '/see', 'x')).status, 403)
        equal(c.ask(request('GET', '/status/200', 'x')).status, 200)  # its route says so
    equal(n4.grew(), {'net.allowed': 2, 'net.denied': 1})
    equal(n6.grew(), {'denied': 1})


def echoes(open_it):
    """True: the connection is carried. False: it was refused, at once or before it carried anything."""
    try:
        with open_it() as s:
            s.sendall(b'ping')
            return s.recv(4) == b'ping'
    except (ConnectionError, ssl.SSLError):
        return False


@case
def connections(lab):
    n, denied = Counted(lab, 'tcp.db.rbac.'), lab.drops()[1]['conn_denied']
    for who, want in (('web', True), ('cart', True), ('ops', False), ('evil', False), (None, False)):
        equal((who, echoes(lambda: tls(lab, who, 5432))), (who, want))
    equal(n.grew(), {'allowed': 2, 'denied': 3})
    equal(lab.drops()[1]['conn_denied'] - denied, 3)
    check(lab.wait_access('rbac_access_denied_matched_policy[none] db', 3), 'in the log')
    check(echoes(lambda: lab.connect((GATE4, 5433))), 'the office is let in')
    check(not echoes(lambda: lab.connect((GATE6, 5433))), 'and nobody else')
    equal(lab.stat('tcp.office6.rbac.denied'), 1)


@case
def a_resumed_session_is_the_same_client(lab):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.load_verify_locations(f'{lab.dir}/ca.crt')
    c.load_cert_chain(f'{lab.dir}/cart.crt', f'{lab.dir}/cart.key')
    session = None
    for want in (False, True):
        s = c.wrap_socket(lab.connect((GATE4, 443)), server_hostname='shop.test', session=session)
        with Client(s) as w:
            equal(s.session_reused, want)
            equal(w.ask(request('GET', '/see', 'shop.test')).status, 403)
            equal(w.ask(request('GET', '/status/200', 'shop.test')).status, 200)
            session = s.session
    lab.wait_access(CLIENTS['cart'][0][4:], 4)


class Hammer:
    """A client that asks without a pause, with a certificate, and keeps what it was answered."""

    def __init__(self, lab, cert, port):
        self.lab, self.cert, self.port = lab, cert, port
        self.stop = threading.Event()
        self.seen, self.wrong = {}, []
        self.thread = Background(self.run)

    def run(self):
        c = Client(tls(self.lab, self.cert, self.port))
        while not self.stop.is_set():
            try:
                r = c.ask(request('GET', '/see', 'shop.test'))
                self.seen[r.status] = self.seen.get(r.status, 0) + 1
                if not r.keep_alive():
                    self.wrong.append('closed')
                    return
            except (Closed, OSError) as e:
                self.wrong.append(repr(e))
                return
        c.close()

    def end(self):
        self.stop.set()
        self.thread.result(30)


@case
def reload_changes_policy_under_load(lab):
    """Whoever may under each of the policies never notices; who may under some is let in and out, on the
    connection that it had."""
    always = [Hammer(lab, 'web', 8443) for _ in range(3)]
    sometimes = Hammer(lab, 'cart', 8443)
    for i in range(6):
        both = i % 2 == 0
        equal(lab.reload(policy=f'gen{i}', principals=f'{WEB}, "{MESH}ns/shop/*"' if both else WEB), 'applied')
        want, so_far = (200 if both else 403), dict(sometimes.seen)
        wait_for(lambda: sometimes.seen.get(want, 0) > so_far.get(want, 0) + 20,
                 f'{want} for the other one', 20)
    for h in [*always, sometimes]:
        h.end()
    note(f'always {[h.seen for h in always]}, sometimes {sometimes.seen}')
    for h in always:
        check(not h.wrong and set(h.seen) == {200}, f'{h.seen} {h.wrong}')
    check(not sometimes.wrong and set(sometimes.seen) == {200, 403}, f'{sometimes.seen} {sometimes.wrong}')
    equal(lab.reload(), 'applied')


@case
def a_bad_policy_changes_nothing(lab):
    equal(lab.reload(principals='"spiffe://mesh.example/*/x"'), 'refused')
    check('principal "spiffe://mesh.example/*/x" has a *' in lab.log_text(), lab.log_tail())
    equal(status(lab, 'web', 'GET', '/see', port=8443), 200)
    equal(lab.reload(), 'applied')


@case
def statistics_have_envoys_names(lab):
    text = lab.get('/stats/prometheus')[1]
    for line in ('envoy_http_rbac_denied{envoy_http_conn_manager_prefix="mesh"}',
                 'envoy_http_rbac_deny_denied{envoy_http_conn_manager_prefix="mesh"}',
                 'envoy_tcp_rbac_denied{envoy_tcp_prefix="db"}'):
        check(re.search('^' + re.escape(line) + r' [1-9]\d*$', text, re.M), line)
    for family in re.findall(r'^# TYPE (envoy_\w+_rbac_\w+) ', text, re.M):
        equal(text.count(f'# TYPE {family} '), 1)


def make_lab():
    return Lab(routes=example(), nginx=False, before=make_certs, policy='web', principals=WEB,
               admin='access_log_format = "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% '
                     '%LISTENER_NAME% %RESPONSE_FLAGS% %DOWNSTREAM_PEER_URI_SAN%";',
               allowed=('conn_denied', 'req_denied', 'req_downstream_gone', 'tls_truncated',
                        'conn_reset_by_peer', 'tls_peer_alert'))


if __name__ == '__main__':
    main(make_lab)
