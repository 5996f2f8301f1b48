#!/usr/bin/python3
"""What Tidegate answers to malformed, hostile and odd TLS clients is what nginx with OpenSSL answers.

Some nine thousand cases (tls_cases.py, tls_cases_more.py, tls_cases_mutual.py; TLS 1.2: tls_cases12.py, tls_cases_mutual12.py), each played against both with the same certificates: the
same alerts, the same answers to what is tolerated, and the end of the connection by whom it must come from. What
differs on purpose stands in ALLOWED, with its reason.

    test_tls_refusals.py [--long] [--seed N] [--show] [group ...]

--long: more cases of those that are drawn at random; --show: every case's outcome; --only TEXT: cases with this in
their names.
"""
import contextlib
import random

import certs
import tls_cases
import tls_cases12  # pylint: disable=unused-import
import tls_cases_more  # pylint: disable=unused-import
import tls_cases_mutual
import tls_cases_mutual12
from lab import GATE4, Lab
from tap import main
from tls_compare import cuts_of, define, judge, outcome, parse, play_all, start_nginx
from tls_wire import Client, Pair, Stop
from tls_wire12 import Client12

OLD = '''ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305;'''
ASKS, MAY = ('ssl_client_certificate $dir/ca.crt; ssl_verify_client %s;' % x for x in ('on', 'optional'))
MAY_TOO = 'client_ca = "ca.crt";'
ASKS_TOO = MAY_TOO + ' require_client_certificate = true;'
# A case's `where`: (port, more for Tidegate's listener, more for nginx's, certificate).
SERVERS = {
    'plain': (443, '', '', 'server'),
    'rsa': (445, '', '', 'server-rsa'),
    'mtls': (8443, ASKS_TOO, ASKS, 'server'),
    'may': (8444, MAY_TOO, MAY, 'server'),
    'tls12': (444, 'min_version = "1.2";', OLD, 'server'),
    'mtls12': (8445, 'min_version = "1.2"; ' + ASKS_TOO, OLD + ASKS, 'server'),
    'may12': (8446, 'min_version = "1.2"; ' + MAY_TOO, OLD + MAY, 'server'),
}
LISTENERS = ''.join('''
  , {{ name = "{0}"; address = "10.77.1.1:{1[0]}"; protocol = "http"; virtual_hosts = ["nginx"];
      tls: {{ certificate = "{1[3]}.crt"; private_key = "{1[3]}.key"; {1[1]} }}; }}'''.format(name, x) for name, x in SERVERS.items())
# The same in nginx, in the client's namespace. Where Tidegate has no choice (suites, groups), nginx gets the same.
NGINX = '''
worker_processes 1; daemon off; pid $dir/peer.pid; error_log $dir/peer.log crit; user root;
events { worker_connections 1000; }
http {
  access_log off; client_body_temp_path $dir/p1; proxy_temp_path $dir/p2; fastcgi_temp_path $dir/p3;
  uwsgi_temp_path $dir/p4; scgi_temp_path $dir/p5; keepalive_timeout 3600s;
  ssl_protocols TLSv1.3; ssl_ecdh_curve X25519:prime256v1; ssl_prefer_server_ciphers on;
  ssl_conf_command Options PrioritizeChaCha;
  ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256;
''' + ''.join('''  server {{
    listen 127.0.0.1:{0[0]} ssl; ssl_certificate $dir/{0[3]}.crt; ssl_certificate_key $dir/{0[3]}.key; {0[2]}
    location = /hello {{ return 200 "hello from nginx\\n"; }}
  }}
'''.format(x) for x in SERVERS.values()) + '}\n'
PEERS = {'nginx': '127.0.0.1', 'tidegate': GATE4}
THREADS = 12

# (group, case, nginx's outcome, Tidegate's): patterns, and why they may differ.
NO_TLS = 'nginx looks at the first byte alone: what is neither 22 nor above 127 is plain HTTP to it'
VERIFIES = 'nginx takes any client certificate and answers 400; Tidegate refuses in the handshake, as OpenSSL does'
BEFORE_PROOF = VERIFIES + ', and before it looks at the proof'
MISSED = 'the rest of a chain that has been verified is not needed again (verify.c)'
NO_CERTIFICATE12 = 'without a certificate, and with its proof: Tidegate refuses the first, nginx, which lets it pass, the second'
TICKETS = 'where lengths are spoiled, what the bytes behind mean depends on the ticket; the servers\' differ in length'
ALLOWED = (
    ('*', '*', 'plain:HTTP/1.1 400 close', 'alert:2:?? close', NO_TLS),
    ('*', '*', 'plain:HTTP/1.1 400 close', 'close', NO_TLS),
    # OpenSSL passes over a CCS of no bytes.
    ('strange_ways', '*', 'plain:HTTP/1.1 400 close', '*hello:1301:1d*', NO_TLS),
    ('change_cipher_spec', 'first-empty*', 'plain:HTTP/1.1 400 close', 'hello:1301:1d http:200 close', NO_TLS),
    ('client_certificates', 'der-bit-*', 'hello:1301:1d asks*', 'hello:1301:1d asks alert:2:51 close', VERIFIES),
    ('client_certificates', 'der-bit-*', 'hello:1301:1d asks*', 'hello:1301:1d asks alert:2:48 close', VERIFIES),
    ('client_certificates', '*cert:last-bit', 'hello:1301:1d asks*', 'hello:1301:1d asks alert:2:51 close', VERIFIES),
    ('client_certificates', '*', 'hello:1301:1d asks http:400 close', 'hello:1301:1d asks alert:2:116 close', VERIFIES),
    ('client_certificates', '*', 'hello:1301:1d asks alert:2:10 close', 'hello:1301:1d asks alert:2:116 close', VERIFIES),
    ('client_chains', 'below-leaf-only', 'hello* asks http:400 close', 'hello* asks http:200 close', MISSED),
    ('client_certificates12', 'below-leaf-only', 'hello* asks http:400 close', 'hello* asks http:200 close', MISSED),
    *((group, case, f'hello* asks{before} close', f'hello* asks alert:2:{after} close', BEFORE_PROOF)
      for group, case in (('client_chains', '*'), ('client_certificates12', '*'), ('damaged_proofs', 'c-*'), ('strange_ways', '*'))
      for before in (' http:400', '', ' alert:2:51') for after in ('4?', '51', '116')),
    ('client_chains', '*-root-first', 'hello* asks alert:2:47 close', 'hello* asks alert:2:43 close', BEFORE_PROOF),
    *((group, case, f'hello* asks alert:2:{before} close', f'hello* asks alert:2:{after} close', BEFORE_PROOF)
      for group, case in (('damaged_proofs', 'c-*'), ('client_certificates12', 'damaged-c-*')) for before in ('10', '42', '80') for after in ('4?', '51')),
    ('client_certificates12', '*', 'hello12:c02b asks alert:2:10 close', 'hello12:c02b asks alert:2:40 close', NO_CERTIFICATE12),
    ('resumption12', 'finished:tail', 'hello* resumed:* http:200 close', 'hello* resumed:* alert:2:10 close',
     'a byte behind Finished, as if of a message to come: OpenSSL waits for the rest of it'),
    ('*', '*', 'hello* close', 'hello* alert:1:0 close',
     'our close_notify answers the peer\'s (RFC 8446 section 6.1); nginx closes without one'),
    ('data12', 'inside-hello-*', 'hello12:c02b http:400 close', 'hello12:c02b warning:1:100 http:400 close',
     'a spoiled request inside a ClientHello: nginx answers it and closes before it reads the rest'),
    ('flight12', 'finished:tail', 'hello12:c02b http:200 close', 'hello12:c02b alert:2:10 close',
     'a byte behind Finished, as if of a message to come: OpenSSL waits for the rest of it'),
    ('resuming_hello_fields', '*.psk.data:head', '*', '*', TICKETS),
    ('random_damage', 'resuming-*', 'alert:2:*', 'alert:2:*', TICKETS),
)


def make_certs(lab):
    ca = certs.CA(lab.dir)
    ca.issue('server', ['DNS:nginx.test'])
    ca.issue('server-rsa', ['DNS:nginx.test'], key='rsa')
    make_clients(lab, ca)
    start_nginx(lab, NGINX, 8443)


def make_clients(lab, ca):
    """What tls_cases_mutual.CHAINS names."""
    names = ['DNS:client.test']
    for name, key in (('client', 'ec'), ('client-rsa', 'rsa'), ('client-rsa1024', 'rsa1024'), ('client-rsa3072', 'rsa3072'), ('client-p384', 'P-384'),
                      ('client-p521', 'P-521'), ('client-k1', 'secp256k1'), ('client-ed25519', 'ed25519'), ('rsa-pss', 'rsa-pss')):
        ca.issue(name, names, key=key)
    ca.issue('expired', names, start=certs.at(-600), end=certs.at(-60))
    ca.issue('not-yet', names, start=certs.at(3600), end=certs.at(7200))
    ca.issue('server-only', names, more=['extendedKeyUsage=serverAuth'])
    ca.issue('no-signing', names, usage='keyAgreement')
    ca.issue('is-ca', names, ca=True, usage='keyCertSign,digitalSignature')
    ca.issue('critical', names, more=['1.2.3.4=critical,ASN1:NULL'])
    ca.sub('middle').issue('below', names)
    ca.issue('sha1', names, md='sha1')
    certs.CA(lab.dir, 'strange-ca', 'Strange CA').issue('stranger', names)
    certs.self_signed(lab.dir, 'self-signed', names)


class Player:
    """Plays cases against one peer; holds a ticket of each of its servers."""

    def __init__(self, lab, peer):
        self.lab, self.addr = lab, PEERS[peer]
        self.pairs = {name: Pair(f'{lab.dir}/{name}') for name in tls_cases_mutual.CHAINS}
        self.root = Pair(f'{lab.dir}/ca').der
        self.tickets = {where: self.get_ticket(where) for where in SERVERS}

    def client(self, where, sock, *more, **how):
        c = (Client12 if where.endswith('12') else Client)(sock, *more, pair=self.pairs['client'], **how)
        c.pairs, c.root, c.tickets = self.pairs, self.root, getattr(self, 'tickets', {})
        return c

    def get_ticket(self, where):
        with self.lab.connect((self.addr, SERVERS[where][0])) as s:
            c = self.client(where, s, 10)
            if where.endswith('12'):
                tls_cases_mutual12.show(c, order='cxvkf' if where != 'tls12' else 'xkf', hello=c.hello12(ticket=True).encode())
                return c.new_ticket
            c.open(c.hello(suites=(0x1301,)).encode())
            c.ask()
            while not c.new_ticket:
                c.messages += c.get()[1]
                c.take(c.message())
            return c.new_ticket

    def play(self, case, seconds):
        where = 'tls12' if case.where == 'both' else case.where
        with self.lab.connect((self.addr, SERVERS[where][0])) as s:
            ticket = self.tickets[where] if case.needs_ticket else None
            c = self.client(case.where, s, seconds, ticket, seed=case.name)
            c.cuts = cuts_of(case)
            try:
                case.run(c)
                if c.app and 'http:200' not in c.log:
                    c.ask()
            except Stop:
                pass
            except Exception as e:  # pylint: disable=broad-except
                c.log.append(f'{type(e).__name__}: {e}')
            if c.alerted:
                c.rest()
                if not c.ended:
                    c.log.append('stays')
            c.finish()
            return outcome(c.log)


class Players:
    """One against each peer, for all threads."""

    def __init__(self, lab):
        self.of = {peer: Player(lab, peer) for peer in PEERS}

    def play(self, peer, case, seconds):
        return self.of[peer].play(case, seconds)


def run_group(lab, name, opts):
    players = Players(lab)
    cases = tls_cases.GROUPS[name](random.Random(f'{opts.seed}{name}'), opts.long)
    got = play_all(name, cases, opts, THREADS, ALLOWED, lambda _: contextlib.nullcontext(players))
    judge(name, got, opts, ALLOWED)


def make_lab():
    return Lab(before=make_certs, workers=1, extra_listeners=LISTENERS,
               allowed=('tls_no_certificate', 'tls_unknown_ca', 'tls_truncated', 'tls_record', 'tls_closed', 'tls_not_tls',
                        'tls_malformed', 'tls_bad_mac', 'tls_version', 'tls_cipher', 'tls_bad_proof', 'tls_peer_alert', 'tls_alert', 'tls_expired', 'tls_not_yet_valid',
                        'tls_alpn', 'tls_internal', 'tls_cert_bad', 'tls_self_signed', 'req_malformed', 'conn_reset_by_peer', 'conn_idle',
                        'req_downstream_gone', 'tcp_after_close', 'conn_linger'))


if __name__ == '__main__':
    OPTS = parse()
    for GROUP in tls_cases.GROUPS:
        define(GROUP, run_group, OPTS)
    main(make_lab)
