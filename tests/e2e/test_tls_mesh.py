#!/usr/bin/python3
"""A mesh of two: client -> sidecar -> mTLS -> sidecar -> origin, each a Tidegate with its own SVID; and what
x-forwarded-client-cert says in each of Envoy's modes, whatever a client claims."""
import hashlib
import json
import os
import ssl
import string
import urllib.parse

import certs
import netns
import tls_wire
import tlspeer
from lab import GATE4, NORTH, SOUTH, VHOSTS, Lab, port
from tap import case, check, equal, main, wait_for
from wire import Client, request

WEB, API, EDGE = (f'spiffe://mesh.example/ns/shop/sa/{x}' for x in ('web', 'api', 'edge'))
MODES = ('sanitize', 'forward_only', 'append_forward', 'sanitize_set', 'always_forward_only')
LIE = 'By=me;Hash=00;URI=spiffe://mesh.example/ns/shop/sa/admin'
SEE = ('subject', 'cert', 'uri', 'dns')

# The client's side: plain text from the application, and the edge, where clients show certificates.
WEB_LISTENERS = '''
  , { name = "outbound"; address = "10.77.1.1:8080"; protocol = "http"; virtual_hosts = ["api"]; }
  , { name = "edge"; address = "10.77.1.1:8443"; protocol = "http"; virtual_hosts = ["api"];
      tls: { certificate = "web.crt"; private_key = "web.key"; client_ca = "ca.crt";
             require_client_certificate = true; require_spiffe_id = true; };
      forward_client_cert_details = "append_forward"; set_current_client_cert_details: { uri = true; }; }
'''
API_VHOST = '''
  , { name = "api"; domains = ["*"];
      routes: ( { match: { prefix = "/wrong/"; }; route: { cluster = "wrong"; }; },
                { match: { prefix = "/six/"; }; route: { cluster = "api6"; }; },
                { match: { prefix = "/"; }; route: { cluster = "api"; }; } ); }
'''
WEB_CLUSTERS = string.Template('''
  , { name = "api"; idle_timeout = "1s"; endpoints: ( { address = "10.77.3.2:15006"; } );
      tls: { ca = "ca.crt"; certificate = "web.crt"; private_key = "web.key"; match_spiffe_ids = ["$api"]; }; }
  , { name = "api6"; idle_timeout = "1s"; endpoints: ( { address = "[fd77:3::2]:15006"; } );
      tls: { ca = "ca.crt"; certificate = "web.crt"; private_key = "web.key"; match_spiffe_ids = ["$api"]; }; }
  , { name = "wrong"; endpoints: ( { address = "10.77.3.2:15006"; } );
      tls: { ca = "ca.crt"; certificate = "web.crt"; private_key = "web.key"; match_spiffe_ids = ["$web"]; }; }
''').substitute(api=API, web=WEB)

# The server's side: for the mesh, and a port for each mode.
API_LISTENERS = '''
  , { name = "inbound"; address = "10.77.3.2:15006"; protocol = "http"; virtual_hosts = ["origin"];
      tls: { certificate = "api.crt"; private_key = "api.key"; client_ca = "ca.crt";
             require_client_certificate = true; require_spiffe_id = true; };
      forward_client_cert_details = "append_forward"; set_current_client_cert_details: { uri = true; }; }
  , { name = "inbound6"; address = "[fd77:3::2]:15006"; protocol = "http"; virtual_hosts = ["origin"];
      tls: { certificate = "api.crt"; private_key = "api.key"; client_ca = "ca.crt";
             require_client_certificate = true; require_spiffe_id = true; };
      forward_client_cert_details = "sanitize_set"; set_current_client_cert_details: { uri = true; }; }
'''
MODE_LISTENER = string.Template('''
  , { name = "$mode"; address = "10.77.1.1:$port"; protocol = "http"; virtual_hosts = ["origin"];
      tls: { certificate = "api.crt"; private_key = "api.key"; client_ca = "ca.crt"; };
      forward_client_cert_details = "$mode";
      set_current_client_cert_details: { subject = true; cert = true; uri = true; dns = true; }; }
  , { name = "p$mode"; address = "10.77.1.1:1$port"; protocol = "http"; virtual_hosts = ["origin"];
      forward_client_cert_details = "$mode"; set_current_client_cert_details: { uri = true; }; }
''')
ORIGIN_VHOST = '''
  , { name = "origin"; domains = ["*"]; routes: ( { match: { prefix = "/"; }; route: { cluster = "py"; }; } ); }
'''
ALLOWED = {'tls_truncated', 'tls_wrong_name', 'req_connect_failure', 'tls_peer_alert', 'conn_reset_by_peer', 'tls_closed',
           'tls_no_certificate', 'tls_alert', 'conn_idle', 'conn_linger', 'tcp_after_close',
           'req_malformed'}


def mesh_port(n, iface, address):
    return port('mesh', f'net_af_xdp2,iface={iface}', [f'10.77.3.{address}/24', f'fd77:3::{address}/64'])


def ports(iface, address):
    return ', '.join((port('north', 'net_af_xdp0,iface=tgn0', NORTH), port('south', 'net_af_xdp1,iface=tgs0', SOUTH),
                      mesh_port(2, iface, address)))


class Mesh(Lab):
    """The server's sidecar, which stands first, and the client's beside it, on a cable between them."""

    def __init__(self):
        vhosts = ', '.join(f'"{v}"' for v in VHOSTS)
        listeners = API_LISTENERS + ''.join(MODE_LISTENER.substitute(mode=m, port=8441 + i)
                                            for i, m in enumerate(MODES))
        super().__init__(before=self.make_certs, ports=ports('tgm0', 2), nginx=False, allowed=ALLOWED,
                         extra_listeners=listeners, extra_vhosts=ORIGIN_VHOST)
        self.web = Lab(before=self.lay_cable, ports=ports('tgm0', 1), nginx=False, allowed=ALLOWED,
                       extra_listeners=WEB_LISTENERS, extra_vhosts=API_VHOST, extra_clusters=WEB_CLUSTERS)
        self.vhosts = vhosts

    @staticmethod
    def make_certs(lab):
        ca = certs.CA(lab.dir)
        for name, i in (('web', WEB), ('api', API), ('edge', EDGE)):
            ca.issue(name, ['URI:' + i])
        ca.issue('rich', ['URI:' + EDGE, 'URI:spiffe://mesh.example/second', 'DNS:a.test', 'DNS:b.test',
                          'URI:spiffe://mesh.example/semi;By=me', 'URI:spiffe://mesh.example/quote\\";By=me'], cn='a, "b"; c=d\\\\')
        ca.issue('poor', ['email:nobody@mesh.example'])
        Mesh.cable(lab)

    @staticmethod
    def cable(lab):
        """One end here; the other waits for the second lab."""
        ns = lab.gate
        netns.run(ns, ['ip', 'link', 'add', 'tgm0', 'numrxqueues', 1, 'numtxqueues', 1, 'type', 'veth', 'peer', 'name',
                       'tgm1', 'numrxqueues', 1, 'numtxqueues', 1])
        Mesh.quiet(ns, 'tgm0')

    @staticmethod
    def quiet(ns, dev):
        netns.run(ns, ['sysctl', '-q', '-w', f'net.ipv6.conf.{dev}.disable_ipv6=1'])
        for x in ('rx', 'tx', 'sg', 'tso', 'gso', 'gro', 'txvlan', 'rxvlan'):
            netns.run(ns, ['ethtool', '-K', dev, x, 'off'], check=False)
        netns.run(ns, ['ip', 'link', 'set', dev, 'up'])

    def lay_cable(self, web):
        netns.run(self.gate, ['ip', 'link', 'set', 'tgm1', 'netns', web.gate, 'name', 'tgm0'])
        self.quiet(web.gate, 'tgm0')
        for name in ('ca', 'web'):
            for x in ('crt', 'key'):
                os.link(f'{self.dir}/{name}.{x}', f'{web.dir}/{name}.{x}')

    def _up(self):
        super()._up()
        self.web.__enter__()

    def _down(self):
        self.web.__exit__(None, None, None)
        super()._down()

    def explain(self):
        self.web.explain()
        super().explain()

    def check_end(self):
        self.web.check_end()  # its pooled connections end, so that ours can be gone
        super().check_end()


def seen(c, fields=(), path='/see', host='shop.test'):
    """What the origin saw of x-forwarded-client-cert: a list of values."""
    r = c.ask(request('GET', path, host, fields=fields))
    equal(r.status, 200, path)
    return [v for k, v in json.loads(r.body)['fields'] if k.lower() == 'x-forwarded-client-cert']


def digest(lab, name):
    return hashlib.sha256(der(lab, name)).hexdigest()


def der(lab, name):
    with open(f'{lab.dir}/{name}.crt', encoding='ascii') as f:
        return ssl.PEM_cert_to_DER_cert(f.read())


def secure(lab, addr_port, cert, where=None):
    ctx = tlspeer.client_context(lab, cert)
    ctx.check_hostname = False
    return Client(ctx.wrap_socket((where or lab).connect((GATE4, addr_port))))


@case
def application_to_application(lab):
    """Both sidecars know each other; the applications speak plain text, and a lie ends at the first of them."""
    with Client(lab.web.connect((GATE4, 8080))) as c:
        for i in range(20):
            got, = seen(c, [('X-Forwarded-Client-Cert', LIE)] if i % 2 else ())
            equal(got, f'By={API};Hash={digest(lab, "web")};URI={WEB}')
        got, = seen(c, path='/six/../see')
        equal(got, f'By={API};Hash={digest(lab, "web")};URI={WEB}', 'normalised, so not by IPv6')
    hs = lab.stat('server.tls_handshakes')
    check(1 <= hs <= 3, f'{hs} handshakes for 21 requests: connections are pooled')


@case
def over_ipv6(lab):
    with Client(lab.web.connect((GATE4, 8080))) as c:
        got, = seen(c, [('X-Forwarded-Client-Cert', LIE)], '/six/see')
    equal(got, f'By={API};Hash={digest(lab, "web")};URI={WEB}')
    equal(lab.web.stat('cluster.api6.upstream_rq_2xx'), 1)
    check(lab.stat('listener.inbound6.downstream_cx_total') >= 1, 'by inbound6')


@case
def nobody_else_is_taken_for_the_origin(lab):
    with Client(lab.web.connect((GATE4, 8080))) as c:
        r = c.ask(request('GET', '/wrong/see', 'shop.test'))
    equal(r.status, 503)
    check(b'TLS error: ' in r.body, f'{r.body}')
    equal(lab.web.stat('drop.tls_wrong_name'), 1)
    check(f'({API}): is not in match_spiffe_ids' in wait_log(lab.web, 'match_spiffe_ids'), 'the log')


def wait_log(lab, needle):
    wait_for(lambda: needle in lab.log_text(), f'{needle} in the log')
    return lab.log_text()


@case
def a_chain_of_proofs(lab):
    """edge client -> web -> api: two elements, each signed off by the one that added it."""
    with secure(lab, 8443, 'edge', lab.web) as c:
        got, = seen(c, [('x-forwarded-client-cert', LIE)])
    equal(got, f'{LIE},By={WEB};Hash={digest(lab, "edge")};URI={EDGE},By={API};Hash={digest(lab, "web")};URI={WEB}')


def element(lab, cert):
    """What Envoy says of a certificate with all details."""
    pem = urllib.parse.quote(ssl.DER_cert_to_PEM_cert(der(lab, cert)), safe='')
    what = {'rich': ('CN=a\\, \\"b\\"\\; c=d\\5C', (EDGE, 'spiffe://mesh.example/second', '"spiffe://mesh.example/semi;By=me"'),
                     ('a.test', 'b.test')),
            'poor': ('CN=poor', ('',), ())}[cert]
    return (f'By={API};Hash={digest(lab, cert)};Cert="{pem}";' + 'Subject="' + what[0] + '"'
            + ''.join(f';URI={u}' for u in what[1]) + ''.join(f';DNS={d}' for d in what[2]))


@case
def every_mode(lab):
    """With a certificate, without one, in plain text; with and without a lie in the request."""
    lies = [[('X-Forwarded-Client-Cert', LIE)], [('X-Forwarded-Client-Cert', LIE), ('x-forwarded-client-cert', 'By=2')], []]
    for i, mode in enumerate(MODES):
        for lie in lies:
            sent = [v for _, v in lie]
            for cert in ('rich', 'poor'):
                want = {'sanitize': [], 'forward_only': sent, 'always_forward_only': sent,
                        'sanitize_set': [element(lab, cert)],
                        'append_forward': [','.join([*sent, element(lab, cert)])]}[mode]
                with secure(lab, 8441 + i, cert) as c:
                    equal(seen(c, lie), want, f'{mode} {cert} {sent}')
            want = sent if mode == 'always_forward_only' else []
            with secure(lab, 8441 + i, None) as c:
                equal(seen(c, lie), want, f'{mode}, no certificate')
            with Client(lab.connect((GATE4, 18441 + i))) as c:
                equal(seen(c, lie), want, f'{mode}, plain text')


def comes_again(lab, pair):
    """What x-forwarded-client-cert was for a client, and for the same one with the ticket that it got; whether that
    was taken."""
    seen_of, ticket = [], None
    for _ in range(2):
        with lab.connect((GATE4, 8441 + MODES.index('sanitize_set'))) as s:
            c = tls_wire.Client(s, 10, ticket, pair)
            c.open(c.bind(c.hello(suites=(0x1301,), psk=True)) if ticket else c.hello(suites=(0x1301,)).encode())
            while not c.new_ticket and len(seen_of) == 0 and 'http:200' not in c.log:
                c.ask(request('GET', '/see', 'shop.test'))
            if 'http:200' not in c.log:
                c.ask(request('GET', '/see', 'shop.test'))
            seen_of.append([v for k, v in json.loads(c.body)['fields'] if k.lower() == 'x-forwarded-client-cert'])
            ticket = c.new_ticket
            if not ticket:
                return (*seen_of, seen_of[0], False)
    return (*seen_of, c.resumed)


@case
def who_comes_again_is_the_same(lab):
    """A certificate has one hash, however its DER was written: what a ticket says is what the handshake said."""
    pair = tls_wire.Pair(f'{lab.dir}/poor')
    first, then, resumed = comes_again(lab, pair)
    equal((then, resumed), (first, True), 'in DER')
    check(f'Hash={digest(lab, "poor")}' in first[0], first)
    n = len(pair.der) - 4
    for long in (b'\x30\x83' + n.to_bytes(3, 'big') + pair.der[4:], b'\x30\x84' + n.to_bytes(4, 'big') + pair.der[4:]):
        pair.der = long
        first, then, _ = comes_again(lab, pair)
        equal(then, first, 'in BER')


@case
def names_that_would_be_others(lab):
    """Underscores, case and spaces make no second field out of the one that counts."""
    with secure(lab, 8441 + MODES.index('sanitize_set'), 'poor') as c:
        for name in ('X-FORWARDED-CLIENT-CERT', 'x-Forwarded-client-Cert'):
            got, = seen(c, [(name, LIE)])
            check('By=me' not in got and got.startswith(f'By={API};Hash={digest(lab, "poor")}'), got)
    for name in ('x-forwarded-client-cert ', ' x-forwarded-client-cert'):
        with secure(lab, 8441 + MODES.index('sanitize'), 'poor') as c:
            equal(c.ask(request('GET', '/see', 'shop.test', fields=[('A', 'b'), (name, LIE)])).status, 400, repr(name))


if __name__ == '__main__':
    main(Mesh)
