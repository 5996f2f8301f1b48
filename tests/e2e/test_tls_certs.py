#!/usr/bin/python3
"""Whose certificate is refused, on both legs: with OpenSSL's alert for it, a counter, and a line that says who
and why; and an origin that is somebody else gets no byte of a request."""
import os
import re
import ssl
import string
import subprocess

import certs
import netns
import tlspeer
from lab import CLIENT4, GATE4, ORIGIN4, VHOSTS, Lab
from tap import case, check, equal, main, note, wait_for
from wire import Client, request

ID = 'spiffe://mesh.example/ns/a/sa/b'
SANS = ['DNS:origin.test', 'URI:' + ID]
REF_OPENSSL, REF_HAPROXY, REF_CRL = 7443, 7444, 7445
ORIGIN = 8443
LOG_LINES_A_SECOND = 10  # more failures than that are only counted (dpdk_app/tls.c)

LISTENERS = '''
  , { name = "mtls"; address = "10.77.1.1:8443"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "ca.crt";
             require_client_certificate = true; }; }
  , { name = "svid"; address = "10.77.1.1:8444"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificate = "gate.crt"; private_key = "gate.key"; client_ca = "ca.crt";
             require_client_certificate = true; require_spiffe_id = true;
             trust_domains: ( { name = "partner.example"; ca = "partner.crt"; } ); }; }
  , { name = "fickle"; address = "10.77.1.1:8445"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "bundle.crt";
             require_client_certificate = true; }; }
  , { name = "listed"; address = "10.77.1.1:8446"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "ca.crt"; crl = "ca.crl";
             require_client_certificate = true; }; }
  , { name = "up"; address = "10.77.1.1:8081"; protocol = "http"; virtual_hosts = ["up"]; }
  , { name = "l4up"; address = "10.77.1.1:8082"; protocol = "tcp"; cluster = "named"; }
'''
VHOST = '''
  , { name = "up"; domains = ["*"];
      routes: ( { match: { prefix = "/named/"; }; route: { cluster = "named"; }; },
                { match: { prefix = "/svid/"; }; route: { cluster = "svid"; }; },
                { match: { prefix = "/listed/"; }; route: { cluster = "listed"; }; },
                { match: { prefix = "/below/"; }; route: { cluster = "below"; }; } ); }
'''
CLUSTERS = '''
  , { name = "named"; endpoints: ( { address = "10.77.2.2:8443"; } ); connect_timeout = "20s";
      tls: { ca = "ca.crt"; sni = "origin.test"; certificate = "gate.crt"; private_key = "gate.key"; }; }
  , { name = "listed"; endpoints: ( { address = "10.77.2.2:8443"; } ); connect_timeout = "20s";
      tls: { ca = "ca.crt"; crl = "ca.crl"; sni = "origin.test"; certificate = "gate.crt"; private_key = "gate.key"; }; }
  , { name = "svid"; endpoints: ( { address = "10.77.2.2:8443"; } ); connect_timeout = "20s";
      tls: { ca = "ca.crt"; certificate = "gate.crt"; private_key = "gate.key";
             match_spiffe_ids = ["spiffe://mesh.example/ns/a/sa/b"]; }; }
  , { name = "below"; endpoints: ( { address = "10.77.2.2:8443"; } ); connect_timeout = "20s";
      tls: { ca = "ca.crt"; match_spiffe_ids = ["spiffe://mesh.example/ns/a/*", "spiffe://partner.example/ns/*"];
             certificate = "gate.crt"; private_key = "gate.key";
             trust_domains: ( { name = "partner.example"; ca = "partner.crt"; } ); }; }
'''
ACCESS = '%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_TRANSPORT_FAILURE_REASON%'

HAPROXY = '''
global
  stats timeout 5s
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 10s
frontend f
  bind 127.0.0.1:{port} ssl crt {dir}/server.pem ca-file {dir}/ca.crt verify required ssl-min-ver TLSv1.3
  http-request return status 200
'''


def make_chain(ca, name, n):
    for i in range(n):
        ca = ca.sub(f'{name}{i}')
    ca.issue(name, SANS)


def make_certs(lab):
    ca = certs.CA(lab.dir)
    ca.issue('server', ['DNS:nginx.test'])
    ca.issue('gate', ['DNS:nginx.test', 'URI:spiffe://mesh.example/gate'])
    ca.issue('good', SANS)
    ca.issue('good-rsa', SANS, key='rsa')
    certs.CA(lab.dir, 'stranger', 'Stranger CA').issue('unknown', SANS)
    partner = certs.CA(lab.dir, 'partner', 'Partner CA')
    ca.issue('expired', SANS, start=certs.at(-7200), end=certs.at(-60))
    ca.issue('future', SANS, start=certs.at(7200))
    certs.self_signed(lab.dir, 'alone', SANS)
    certs.forged(lab.dir, 'forged', 'good')
    ca.issue('authority', SANS, ca=True, usage='keyCertSign,cRLSign')
    ca.issue('encipher', SANS, usage='keyCertSign')
    ca.issue('for-servers', SANS, more=['extendedKeyUsage=serverAuth'])
    ca.issue('for-clients', SANS, more=['extendedKeyUsage=clientAuth'])
    ca.issue('weak', SANS, key='rsa1024')
    ca.issue('sha1', SANS, md='sha1')
    ca.issue('critical', SANS, more=['1.2.3.4=critical,ASN1:NULL'])
    make_chain(ca, 'long', 10)
    make_chain(ca, 'short', 2)
    low = ca.sub('low', pathlen=0)
    low.sub('lower').issue('too-deep', SANS)
    fenced = ca.sub('fenced', more=['nameConstraints=critical,permitted;DNS:.mesh.example'])
    fenced.issue('outside', ['DNS:origin.test'])
    ca.sub('old', start=certs.at(-7200), end=certs.at(-60)).issue('old-middle', SANS)
    cut = ca.sub('cut')
    cut.above = ''
    cut.issue('no-middle', SANS)
    # SPIFFE's own rules
    ca.issue('no-uri', ['DNS:origin.test'])
    ca.issue('two-uris', [*SANS, 'URI:spiffe://mesh.example/other'])
    ca.issue('not-spiffe', ['URI:https://mesh.example/ns/a'])
    ca.issue('upper', ['URI:spiffe://Mesh.example/ns/a/sa/b'])
    ca.issue('no-path', ['URI:spiffe://mesh.example'])
    ca.issue('signer', SANS, usage='digitalSignature,keyCertSign')
    ca.issue('no-signature', SANS, usage='keyAgreement')
    ca.issue('no-usage', SANS, usage=None)
    ca.issue('far', ['URI:spiffe://far.example/ns/a/sa/b'])
    ca.issue('not-theirs', ['URI:spiffe://partner.example/ns/a/sa/b'])  # partner's name, our CA
    partner.issue('not-ours', SANS)                                     # our name, partner's CA
    partner.issue('partner-ok', ['URI:spiffe://partner.example/ns/p/sa/q'])
    ca.issue('other-name', ['DNS:elsewhere.test', 'URI:spiffe://mesh.example/ns/b/sa/b'])
    ca.issue('beside', ['DNS:*.origin.test', 'URI:spiffe://mesh.example/ns/ab/sa/b'])
    ca.crl(f'{lab.dir}/ca.crl', [ca.issue('revoked', SANS)[0]])
    with open(f'{lab.dir}/bundle.crt', 'w', encoding='ascii') as out:
        for name in ('ca', 'stranger'):
            with open(f'{lab.dir}/{name}.crt', encoding='ascii') as f:
                out.write(f.read())
    with open(f'{lab.dir}/server.pem', 'w', encoding='ascii') as out:
        for x in ('crt', 'key'):
            with open(f'{lab.dir}/server.{x}', encoding='ascii') as f:
                out.write(f.read())
    lab.origin_tls = tlspeer.Origin(lab, ORIGIN)


def s_server(lab, port, *more):
    tlspeer.start(lab, lab.client, [
        'openssl', 's_server', '-accept', f'127.0.0.1:{port}', '-cert', f'{lab.dir}/server.crt', '-key',
        f'{lab.dir}/server.key', '-CAfile', f'{lab.dir}/ca.crt', '-Verify', '20', '-verify_depth', '8',
        '-verify_return_error', '-tls1_3', '-www', '-quiet', *more], port, f's_server{port}.log')


def start_references(lab):
    s_server(lab, REF_OPENSSL)
    conf = f'{lab.dir}/ref-haproxy.cfg'
    with open(conf, 'w', encoding='ascii') as f:
        f.write(HAPROXY.format(port=REF_HAPROXY, dir=lab.dir))
    tlspeer.start(lab, lab.client, ['haproxy', '-db', '-f', conf], REF_HAPROXY, 'haproxy.log')


# certificate, reason, what the line in the log says. The alert is OpenSSL's.
PLAIN = (
    (None, 'tls_no_certificate', 'did not return a certificate'),
    ('unknown', 'tls_unknown_ca', 'unable to get local issuer certificate'),
    ('expired', 'tls_expired', 'certificate has expired'),
    ('future', 'tls_not_yet_valid', 'not yet valid'),
    ('alone', 'tls_self_signed', 'self-signed certificate'),
    ('forged', 'tls_cert_bad', 'signature failure'),
    ('authority', 'tls_cert_bad', 'unsuitable certificate purpose'),
    ('encipher', 'tls_cert_bad', 'unsuitable certificate purpose'),
    ('for-servers', 'tls_cert_bad', 'unsuitable certificate purpose'),
    ('weak', 'tls_cert_bad', 'key too weak'),
    ('sha1', 'tls_cert_bad', 'CA signature digest algorithm too weak'),
    ('critical', 'tls_cert_bad', 'unhandled critical extension'),
    ('long', 'tls_cert_bad', 'certificate chain too long ("CN=long'),
    ('too-deep', 'tls_cert_bad', 'path length constraint exceeded'),
    ('outside', 'tls_cert_bad', 'permitted subtree violation'),
    ('old-middle', 'tls_expired', 'certificate has expired ("CN=old")'),
    ('no-middle', 'tls_unknown_ca', 'unable to get local issuer certificate'),
)
# certificate, reason, alert, what the line says: rules of X.509-SVIDs, which OpenSSL does not know
SVID = (
    ('no-uri', 'tls_svid_bad', 'BAD_CERTIFICATE', 'has no URI name'),
    ('two-uris', 'tls_svid_bad', 'BAD_CERTIFICATE', 'has more than one URI name'),
    ('not-spiffe', 'tls_svid_bad', 'BAD_CERTIFICATE', 'its URI name is not a SPIFFE ID'),
    ('upper', 'tls_svid_bad', 'BAD_CERTIFICATE', 'its URI name is not a SPIFFE ID'),
    ('no-path', 'tls_svid_bad', 'BAD_CERTIFICATE', 'its SPIFFE ID has no path'),
    ('authority', 'tls_svid_bad', 'BAD_CERTIFICATE', 'is a CA certificate'),
    ('signer', 'tls_svid_bad', 'BAD_CERTIFICATE', 'its key may sign certificates or CRLs'),
    ('no-signature', 'tls_svid_bad', 'BAD_CERTIFICATE', 'its key usage lacks digitalSignature'),
    ('no-usage', 'tls_svid_bad', 'BAD_CERTIFICATE', 'has no key usage'),
    ('far', 'tls_trust_domain', 'UNKNOWN_CA', 'its trust domain has no bundle here'),
    ('not-theirs', 'tls_unknown_ca', 'UNKNOWN_CA', 'self-signed certificate in certificate chain ("CN=Test CA")'),
    ('not-ours', 'tls_unknown_ca', 'UNKNOWN_CA', 'unable to get local issuer certificate'),
    ('expired', 'tls_expired', 'CERTIFICATE_EXPIRED', 'certificate has expired'),
    ('unknown', 'tls_unknown_ca', 'UNKNOWN_CA', 'unable to get local issuer certificate'),
    ('alone', 'tls_self_signed', 'UNKNOWN_CA', 'self-signed certificate'),
    (None, 'tls_no_certificate', 'CERTIFICATE_REQUIRED', 'did not return a certificate'),
)


class Lines:
    """Lines that the log must have: looked for in batches, since only so many are written a second."""

    def __init__(self, lab):
        self.lab, self.want = lab, []

    def expect(self, pattern):
        self.want.append(pattern)
        if len(self.want) == LOG_LINES_A_SECOND - 2:
            self.flush()

    def missing(self):
        text = self.lab.log_text()
        return [p for p in self.want if not re.search(p, text)]

    def flush(self):
        wait_for(lambda: not self.missing(), lambda: f'lines {self.missing()} in the log:\n{self.lab.log_tail(15)}')
        self.want = []


def who(cert):
    """How the log calls a peer."""
    return 'peer ' + (f'"CN={dict(forged="good").get(cert, cert)}"' if cert else '')


def show(lab, port, cert):
    """The alert that Tidegate's listener answers, and the client's port."""
    sock = lab.connect((GATE4, port))
    mine = sock.getsockname()[1]
    return tlspeer.answer_to(tlspeer.client_context(lab, cert), sock, 'nginx.test',
                             b'GET /hello HTTP/1.1\r\nHost: nginx.test\r\nConnection: close\r\n\r\n'), mine


def refused(lab, lines, port, cert, why, alert, text):
    name = {8443: 'mtls', 8444: 'svid', 8446: 'listed'}[port]
    before, errors = lab.stat(f'drop.{why}'), lab.stat(f'listener.{name}.downstream_cx_tls_error')
    got, mine = show(lab, port, cert)
    equal(got, alert, f'{cert}: alert')
    equal(lab.stat(f'drop.{why}'), before + 1, f'{cert}: drop.{why}')
    equal(lab.stat(f'listener.{name}.downstream_cx_tls_error'), errors + 1, f'{cert}: downstream_cx_tls_error')
    lines.expect(f'TLS from {CLIENT4}:{mine}: {re.escape(who(cert))}.*{re.escape(text)}')


@case
def clients_are_refused_as_openssl_does(lab):
    start_references(lab)
    lines = Lines(lab)
    for cert in ('good', 'good-rsa', 'short'):
        equal(show(lab, 8443, cert)[0], '', cert)
    for cert, why, text in PLAIN:
        alerts = [tlspeer.answer_to(tlspeer.client_context(lab, cert), tlspeer.connect(
            lab.client, ('127.0.0.1', port), 3), 'nginx.test') for port in (REF_OPENSSL, REF_HAPROXY)]
        if alerts[0] != alerts[1]:
            note(f'{cert}: OpenSSL {alerts[0] or "accepts"}, haproxy {alerts[1] or "accepts"}')
        refused(lab, lines, 8443, cert, why, alerts[0], text)
    lines.flush()


@case
def clients_that_were_revoked(lab):
    """As OpenSSL with the same list."""
    s_server(lab, REF_CRL, '-CRL', f'{lab.dir}/ca.crl', '-crl_check')
    lines = Lines(lab)
    equal(show(lab, 8446, 'good')[0], '', 'one that is not on the list')
    alert = tlspeer.answer_to(tlspeer.client_context(lab, 'revoked'),
                              tlspeer.connect(lab.client, ('127.0.0.1', REF_CRL), 3), 'nginx.test')
    equal(alert, 'CERTIFICATE_REVOKED', "OpenSSL's")
    refused(lab, lines, 8446, 'revoked', 'tls_revoked', alert, 'revoked')
    equal(show(lab, 8443, 'revoked')[0], '', 'where no list is configured')
    lines.flush()


@case
def clients_are_refused_by_the_rules_of_spiffe(lab):
    lines = Lines(lab)
    for cert in ('good', 'good-rsa', 'partner-ok', 'short'):
        equal(show(lab, 8444, cert)[0], '', cert)
    for cert, why, alert, text in SVID:
        refused(lab, lines, 8444, cert, why, alert, text)
    lines.flush()


@case
def the_log_says_who_came(lab):
    """Subject and SPIFFE ID, also of what they sign with; nothing that a certificate says can forge a line."""
    certs.CA.there(lab.dir).issue('liar', ['URI:' + ID], cn='x\n2026 TLS from 1.1.1.1:1: "ok', end=certs.at(-1),
                                  start=certs.at(-60))
    _, mine = show(lab, 8444, 'expired')
    _, liars = show(lab, 8444, 'liar')
    lines = Lines(lab)
    lines.expect(rf'TLS from {CLIENT4}:{mine}: peer "CN=expired" \({ID}\): certificate has expired')
    lines.expect(rf'TLS from {CLIENT4}:{liars}: peer "CN=x\\0A2026')
    lines.flush()
    check(not re.search('^2026 TLS from 1.1.1.1', lab.log_text(), re.M), 'a line was forged')


@case
def a_withdrawn_bundle_refuses_at_once(lab):
    """New handshakes, and tickets that the withdrawn CA vouched for."""
    ctx = tlspeer.client_context(lab, 'unknown')
    hello = b'GET /hello HTTP/1.1\r\nHost: nginx.test\r\n\r\n'

    def session(how=None):
        s = ctx.wrap_socket(lab.connect((GATE4, 8445)), server_hostname='nginx.test', session=how)
        s.sendall(hello)
        check(s.recv(4096).startswith(b'HTTP/1.1 200'), 'answer')
        return s
    with session() as s:
        kept = s.session
    with session(kept) as s:
        check(s.session_reused, 'the ticket was not taken while the CA was there')
        kept = s.session
    certs_now = lab.json('/certs')['certificates']
    check(any('Stranger' in str(c) for c in certs_now), 'the bundle in /certs')
    with open(f'{lab.dir}/ca.crt', encoding='ascii') as f, open(f'{lab.dir}/bundle.new', 'w', encoding='ascii') as g:
        g.write(f.read())
    os.replace(f'{lab.dir}/bundle.new', f'{lab.dir}/bundle.crt')
    before = lab.stat('drop.tls_unknown_ca')
    wait_for(lambda: show(lab, 8445, 'unknown')[0] == 'UNKNOWN_CA', 'the CA to be withdrawn', 15, 0.2)
    check(lab.stat('drop.tls_unknown_ca') > before, 'counted')
    try:
        with session(kept):
            raise AssertionError('a ticket outlived its CA')
    except ssl.SSLError as e:
        equal(tlspeer.alert_of(e), 'UNKNOWN_CA', 'with a ticket of the withdrawn CA')
    equal(show(lab, 8445, 'good')[0], '', 'of the other CA')


# --- origins -------------------------------------------------------------------------------------

# cluster, certificate, reason; alert None: OpenSSL's s_client says it
ORIGINS = (
    ('named', 'unknown', 'tls_unknown_ca', None),
    ('named', 'expired', 'tls_expired', None),
    ('named', 'future', 'tls_not_yet_valid', None),
    ('named', 'alone', 'tls_self_signed', None),
    ('named', 'forged', 'tls_cert_bad', None),
    ('named', 'for-clients', 'tls_cert_bad', None),
    ('named', 'encipher', 'tls_cert_bad', None),
    ('named', 'weak', 'tls_cert_bad', None),
    ('named', 'long', 'tls_cert_bad', None),
    ('named', 'too-deep', 'tls_cert_bad', None),
    ('named', 'outside', 'tls_cert_bad', None),
    ('named', 'old-middle', 'tls_expired', None),
    ('named', 'no-middle', 'tls_unknown_ca', None),
    ('named', 'other-name', 'tls_wrong_name', None),
    ('named', 'beside', 'tls_wrong_name', None),
    ('listed', 'revoked', 'tls_revoked', 'CERTIFICATE_REVOKED'),
    ('svid', 'other-name', 'tls_wrong_name', 'BAD_CERTIFICATE'),
    ('svid', 'no-uri', 'tls_svid_bad', 'BAD_CERTIFICATE'),
    ('svid', 'two-uris', 'tls_svid_bad', 'BAD_CERTIFICATE'),
    ('svid', 'not-ours', 'tls_unknown_ca', 'UNKNOWN_CA'),
    ('svid', 'partner-ok', 'tls_trust_domain', 'UNKNOWN_CA'),
    ('svid', 'authority', 'tls_svid_bad', 'BAD_CERTIFICATE'),
    ('below', 'beside', 'tls_wrong_name', 'BAD_CERTIFICATE'),
    ('below', 'other-name', 'tls_wrong_name', 'BAD_CERTIFICATE'),
    ('below', 'not-theirs', 'tls_unknown_ca', 'UNKNOWN_CA'),
    ('below', 'expired', 'tls_expired', 'CERTIFICATE_EXPIRED'),
)


def s_client_alert(lab, n):
    """What s_client says to what the origin shows."""
    netns.run(lab.origin, ['openssl', 's_client', '-connect', f'127.0.0.1:{ORIGIN}', '-CAfile', f'{lab.dir}/ca.crt',
                           '-servername', 'origin.test', '-verify_hostname', 'origin.test', '-verify_return_error',
                           '-verify', '20', '-verify_depth', '8'], stdin=subprocess.DEVNULL, check=False)
    return lab.origin_tls.next_end(n)[0]


def fetch(lab, cluster, tag):
    with Client(lab.connect((GATE4, 8081))) as c:
        return c.ask(request('GET', f'/{cluster}/{tag}', 'up.test'))


@case
def origins_are_refused_and_get_nothing(lab):
    o, lines = lab.origin_tls, Lines(lab)
    for cluster, cert in (('named', 'good'), ('named', 'good-rsa'), ('svid', 'good'), ('below', 'good'),
                          ('below', 'partner-ok')):
        o.ctx, seen = tlspeer.server_context(lab, cert), len(o.ends)
        equal(fetch(lab, cluster, 'ok').status, 200, f'{cluster} {cert}')
        equal(o.next_end(seen)[0], '', f'{cluster} {cert}')
    for n, (cluster, cert, why, alert) in enumerate(ORIGINS):
        o.ctx = tlspeer.server_context(lab, cert)
        if alert is None:
            alert = s_client_alert(lab, len(o.ends))
        seen = len(o.ends)
        names = [f'drop.{why}', 'drop.req_connect_failure', f'cluster.{cluster}.upstream_cx_connect_fail']
        before = [lab.stat(x) for x in names]
        r = fetch(lab, cluster, f'{cert}{n}')
        equal(r.status, 503, f'{cluster} {cert}')
        check(re.search(rb'reset reason: connection failure, transport failure reason: TLS error: \w+', r.body),
              f'{cert}: {r.body}')
        equal(o.next_end(seen), (alert, b''), f'{cluster} {cert}: the alert, and what the origin got')
        equal([lab.stat(x) for x in names], [x + 1 for x in before], f'{cert}: {names}')
        lines.expect(f'TLS to {ORIGIN4}:{ORIGIN}: {re.escape(who(cert))}')
    lines.flush()
    for n, (cluster, cert, *_) in enumerate(ORIGINS):
        line, = lab.wait_access(f'/{cluster}/{cert}{n} ')
        check(re.search(r' 503 UF upstream_reset_before_response_started\{connection_failure\|(TLS_error:_\S+)\} \1$',
                        line), line)


@case
def l4_of_a_refused_origin_ends(lab):
    lab.origin_tls.ctx = tlspeer.server_context(lab, 'expired')
    seen, before = len(lab.origin_tls.ends), lab.stat('drop.tls_expired')
    with lab.connect((GATE4, 8082)) as s:
        s.sendall(b'secret')
        try:
            equal(s.recv(100), b'', 'from an origin that was refused')
        except ConnectionResetError:
            pass
    equal(lab.origin_tls.next_end(seen), ('CERTIFICATE_EXPIRED', b''))
    equal(lab.stat('drop.tls_expired'), before + 1)
    wait_for(lambda: [x for x in lab.access_log() if ' 0 UF upstream_connect_failure{TLS_error:_' in x],
             lambda: f'the line of the L4 connection in {lab.access_log()[-3:]}')


@case
def an_origin_that_refuses_us(lab):
    """TLS 1.3: it says so only when the handshake is done. The client gets a 503 that tells why."""
    o = lab.origin_tls
    o.ctx = tlspeer.server_context(lab, 'good', 'stranger')
    seen, before = len(o.ends), lab.stat('drop.tls_alert')
    r = fetch(lab, 'named', 'refusing')
    equal(r.status, 503)
    check(b'TLS error: ' in r.body, f'{r.body}')
    check('certificate verify failed' in o.next_end(seen)[0].lower().replace('_', ' '), f'{o.ends[seen:]}')
    equal(o.ends[seen][1], b'', 'what it read')
    equal(lab.stat('drop.tls_alert'), before + 1)
    line, = lab.wait_access('/named/refusing ')
    check(re.search(r' 503 UC upstream_reset_before_response_started\{connection_termination\|TLS_error:_\S+\}', line), line)
    lines = Lines(lab)
    lines.expect(f'TLS to {ORIGIN4}:{ORIGIN}: peer "CN=good" .*sent alert unknown CA')
    lines.flush()


def make_lab():
    vhosts = ', '.join(f'"{v}"' for v in VHOSTS)
    return Lab(before=make_certs, admin=f'access_log_format = "{ACCESS}";',
               extra_listeners=string.Template(LISTENERS).substitute(vhosts=vhosts),
               extra_vhosts=VHOST, extra_clusters=CLUSTERS,
               allowed={'req_connect_failure', 'req_upstream_reset', 'tls_alert', 'conn_reset_by_peer', 'tcp_after_close',
                        'tls_truncated', 'tls_revoked', *(x[1] for x in PLAIN), *(x[1] for x in SVID), *(x[2] for x in ORIGINS)})


if __name__ == '__main__':
    main(make_lab)
