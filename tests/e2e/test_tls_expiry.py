#!/usr/bin/python3
"""An SVID that expires ends the connections that it authenticated, after the exchange under way: clients',
origins' and our own; idle, busy, pooled, tunnels and L4 pairs."""
import os
import ssl
import string
import time

import certs
import tlspeer
from lab import GATE4, VHOSTS, Background, Lab
from origin import pattern
from tap import case, check, equal, main, wait_for
from wire import Client, request

SECONDS = 9  # that a certificate is good for: all is set up within them

LISTENERS = '''
  , { name = "mtls"; address = "10.77.1.1:8443"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "ca.crt";
             require_client_certificate = true; }; }
  , { name = "own"; address = "10.77.1.1:8444"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificate = "own.crt"; private_key = "own.key"; }; }
  , { name = "l4tls"; address = "10.77.1.1:9443"; protocol = "tcp"; cluster = "echo";
      tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "ca.crt";
             require_client_certificate = true; }; }
  , { name = "up"; address = "10.77.1.1:8081"; protocol = "http"; virtual_hosts = ["up"]; }
  , { name = "l4up"; address = "10.77.1.1:8082"; protocol = "tcp"; cluster = "l4brief"; }
'''
VHOST = '''
  , { name = "up"; domains = ["*"];
      routes: ( { match: { prefix = "/brief/"; }; route: { cluster = "brief"; }; },
                { match: { prefix = "/own/"; }; route: { cluster = "own"; }; } ); }
'''
CLUSTERS = '''
  , { name = "brief"; endpoints: ( { address = "10.77.2.2:8443"; } );
      tls: { ca = "ca.crt"; match_spiffe_ids = ["spiffe://mesh.example/origin"]; }; }
  , { name = "l4brief"; endpoints: ( { address = "10.77.2.2:8444"; } );
      tls: { ca = "ca.crt"; match_spiffe_ids = ["spiffe://mesh.example/origin"]; }; }
  , { name = "own"; endpoints: ( { address = "10.77.2.2:8445"; } );
      tls: { ca = "ca.crt"; match_spiffe_ids = ["spiffe://mesh.example/origin"];
             certificate = "own.crt"; private_key = "own.key"; }; }
'''


def make_certs(lab):
    ca = certs.CA(lab.dir)
    ca.issue('server', ['DNS:nginx.test'])
    ca.issue('own', ['DNS:nginx.test', 'URI:spiffe://mesh.example/gate'])
    ca.issue('origin', ['URI:spiffe://mesh.example/origin'])
    lab.origins = {'brief': tlspeer.Origin(lab, 8443, keep=True), 'l4': tlspeer.Origin(lab, 8444, echo=True),
                   'own': tlspeer.Origin(lab, 8445, keep=True)}
    lab.origins['own'].ctx = tlspeer.server_context(lab, 'origin', 'ca')


def brief(lab, name, sans):
    """A certificate of SECONDS seconds; returns when it ends, as time.time()."""
    end = int(time.time()) + SECONDS
    certs.CA.there(lab.dir).issue(name, sans, end=time.strftime('%Y%m%d%H%M%SZ', time.gmtime(end)))
    return end


class Secure(Client):
    """HTTP over TLS; ended() says how the connection ended: 'closed' is with close_notify."""

    def __init__(self, lab, port, cert=None, session=None, ctx=None):
        ctx = ctx or tlspeer.client_context(lab, cert)
        super().__init__(ctx.wrap_socket(lab.connect((GATE4, port), 40), server_hostname='nginx.test', session=session,
                                         suppress_ragged_eofs=False))

    def ended(self):
        try:
            out, how = self.rest()
            equal(out, b'', 'what came before the end')
            return how
        except ssl.SSLEOFError:
            return 'truncated'


def not_before(end, what):
    check(time.time() >= end, f'{what}: {end - time.time():.2f} s before the certificate ends')


@case
def clients_certificate_ends_while_they_are_connected(lab):
    end = brief(lab, 'brief-client', ['URI:spiffe://mesh.example/client'])
    ctx = tlspeer.client_context(lab, 'brief-client')
    before = lab.stat('drop.tls_peer_expired')
    with Secure(lab, 8443, ctx=ctx) as idle, Secure(lab, 8443, ctx=ctx) as waits, Secure(lab, 8443, ctx=ctx) as reads, \
            Secure(lab, 9443, ctx=ctx) as l4, Secure(lab, 8443, ctx=ctx) as ws:
        equal(idle.ask(request('GET', '/hello', 'nginx.test')).status, 200)
        session = idle.sock.session
        waits.send(request('GET', f'/slow?delay={end - time.time() + 1:.2f}', 'py.test'))
        n = 30000
        reads.send(request('GET', f'/bytes/{n}?rate={int(n / (end - time.time() + 1.5))}', 'py.test'))
        l4.send(b'x')
        equal(l4.exactly(1), b'x')
        ws.send(request('GET', '/chat', 'ws.test', fields=[
            ('Upgrade', 'websocket'), ('Connection', 'Upgrade'), ('Sec-WebSocket-Version', '13'),
            ('Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ==')]))
        equal(ws.head().status, 101)
        head = reads.head()
        equal(head.status, 200)
        check(time.time() < end - 1, f'the machine was too slow: set up {end - time.time():.1f} s before the end')
        # Idle: a proper end. Raw bytes and tunnels have no end of their own: they are cut.
        equal(idle.ended(), 'closed', 'idle')
        not_before(end, 'idle')
        check(l4.ended() in ('reset', 'truncated'), 'L4')
        check(ws.ended() in ('reset', 'truncated'), 'tunnel')
        not_before(end, 'tunnel')
        # What was under way is finished, and is the last.
        r = waits.response()
        equal((r.status, r.get('connection')), (200, 'close'), 'an answer after the end')
        equal(waits.ended(), 'closed', 'waiting')
        check(reads.exactly(n) == pattern(n), 'the body that was under way')
        not_before(end, 'body')
        equal(reads.ended(), 'closed', 'reading')
    wait_for(lambda: lab.stat('drop.tls_peer_expired') == before + 5,
             lambda: f'5 counted: {lab.stat("drop.tls_peer_expired") - before}')
    for how in (None, session):
        try:
            with Secure(lab, 8443, ctx=ctx, session=how) as c:
                c.ask(request('GET', '/hello', 'nginx.test'))
            raise AssertionError('let in after the end')
        except ssl.SSLError as e:
            equal(tlspeer.alert_of(e), 'CERTIFICATE_EXPIRED', f'with ticket: {how is not None}')


def use_own(lab, name):
    """Makes NAME our own certificate, and waits until it is in use."""
    serial = certs.serial(f'{lab.dir}/{name}.crt')
    for x in ('key', 'crt'):
        os.replace(f'{lab.dir}/{name}.{x}', f'{lab.dir}/own.{x}')

    def used():
        return [c for c in lab.json('/certs')['certificates'] if c['path'].endswith('/own.crt')
                and int(c['serial_number'], 16) == serial]
    wait_for(used, f'{name} to be used', 10, 0.05)


@case
def certificates_of_origins_and_our_own_end(lab):
    """Pooled connections go with them, and are not taken for idle ones; an L4 pair is cut."""
    o = lab.origins
    end = brief(lab, 'brief-origin', ['URI:spiffe://mesh.example/origin'])
    o['brief'].ctx = o['l4'].ctx = tlspeer.server_context(lab, 'brief-origin')
    own_end = brief(lab, 'brief-own', ['DNS:nginx.test', 'URI:spiffe://mesh.example/gate'])
    use_own(lab, 'brief-own')
    names = ['drop.tls_peer_expired', 'drop.tls_own_expired', 'cluster.brief.upstream_cx_idle_timeout',
             'cluster.own.upstream_cx_idle_timeout']
    before = [lab.stat(x) for x in names]
    with Client(lab.connect((GATE4, 8081))) as c, Client(lab.connect((GATE4, 8082), 40)) as l4, Secure(lab, 8444) as down:
        for way in ('brief', 'own', 'brief', 'own'):
            equal(c.ask(request('GET', f'/{way}/', 'x')).body, b'ok\n', way)
        l4.send(b'x')
        equal(l4.exactly(1), b'x')
        equal(down.ask(request('GET', '/hello', 'nginx.test')).status, 200)
        for way in ('brief', 'own'):
            equal((lab.stat(f'cluster.{way}.upstream_cx_active'), len(o[way].ends)), (1, 0), f'{way} is pooled')
        check(time.time() < end - 1, f'the machine was too slow: set up {end - time.time():.1f} s before the end')
        # The next pair is there in time, as a rotation has it.
        certs.CA.there(lab.dir).issue('next', ['DNS:nginx.test', 'URI:spiffe://mesh.example/gate'])
        use_own(lab, 'next')
        equal(c.ask(request('GET', '/own/', 'x')).body, b'ok\n')
        wait_for(lambda: o['brief'].ends, 'the end of the connection to the origin', 40)
        not_before(end, 'origin')
        equal(o['brief'].ends[0][0], '', 'a proper end')
        wait_for(lambda: o['own'].ends, 'the end of the connection with our own', 40)
        not_before(own_end, 'own')
        equal(o['own'].ends[0][0], '', 'a proper end')
        equal(down.ended(), 'closed', 'a client of our own')
        equal(l4.rest()[0], b'', 'L4')
        wait_for(lambda: [lab.stat(x) - y for x, y in zip(names, before)] == [2, 2, 0, 0],
                 lambda: f'{names}: {[lab.stat(x) - y for x, y in zip(names, before)]}')
        r = c.ask(request('GET', '/brief/', 'x'))
        equal(r.status, 503)
        check(b'TLS error: certificate has expired' in r.body, f'{r.body}')
        equal(c.ask(request('GET', '/own/', 'x')).body, b'ok\n', 'with the next pair')
    o['own'].hang_up()


def make_lab():
    vhosts = ', '.join(f'"{v}"' for v in VHOSTS)
    return Lab(before=make_certs, extra_listeners=string.Template(LISTENERS).substitute(vhosts=vhosts),
               extra_vhosts=VHOST, extra_clusters=CLUSTERS,
               allowed={'tls_peer_expired', 'tls_own_expired', 'tls_expired', 'req_connect_failure', 'conn_reset_by_peer',
                        'tls_truncated', 'conn_linger', 'tcp_after_close'})


if __name__ == '__main__':
    main(make_lab)
