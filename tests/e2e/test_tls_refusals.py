#!/usr/bin/python3
"""What Tidegate answers to malformed, hostile and odd TLS clients is what nginx with OpenSSL answers.

Some eight thousand cases (tls_cases.py, tls_cases_more.py; TLS 1.2: tls_cases12.py), each played against both with the same certificates: the
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
from lab import GATE4, Lab
from tap import main
from tls_compare import cuts_of, define, judge, outcome, parse, play_all, start_nginx
from tls_wire import Client, Pair, Stop
from tls_wire12 import Client12

LISTENERS = '''
  , { name = "plain"; address = "10.77.1.1:443"; protocol = "http"; virtual_hosts = ["nginx"];
      tls: { certificate = "server.crt"; private_key = "server.key"; }; }
  , { name = "mtls"; address = "10.77.1.1:8443"; protocol = "http"; virtual_hosts = ["nginx"];
      tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "ca.crt";
             require_client_certificate = true; }; }
  , { name = "tls12"; address = "10.77.1.1:444"; protocol = "http"; virtual_hosts = ["nginx"];
      tls: { certificate = "server.crt"; private_key = "server.key"; min_version = "1.2"; }; }
'''
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
  ssl_certificate $dir/server.crt; ssl_certificate_key $dir/server.key;
  server {
    listen 127.0.0.1:443 ssl;
    location = /hello { return 200 "hello from nginx\\n"; }
  }
  server {
    listen 127.0.0.1:444 ssl; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305;
    location = /hello { return 200 "hello from nginx\\n"; }
  }
  server {
    listen 127.0.0.1:8443 ssl; ssl_client_certificate $dir/ca.crt; ssl_verify_client on;
    location = /hello { return 200 "hello from nginx\\n"; }
  }
}
'''
PORTS = {'plain': 443, 'mtls': 8443, 'tls12': 444}
PEERS = {'nginx': '127.0.0.1', 'tidegate': GATE4}
THREADS = 12

# (group, case, nginx's outcome, Tidegate's): patterns, and why they may differ.
NO_TLS = 'nginx looks at the first byte alone: what is neither 22 nor above 127 is plain HTTP to it'
VERIFIES = 'nginx takes any client certificate and answers 400; Tidegate refuses in the handshake, as OpenSSL does'
TICKETS = 'where lengths are spoiled, what the bytes behind mean depends on the ticket; the servers\' differ in length'
ALLOWED = (
    ('*', '*', 'plain:HTTP/1.1 400 close', 'alert:2:?? close', NO_TLS),
    ('*', '*', 'plain:HTTP/1.1 400 close', 'close', NO_TLS),
    # OpenSSL passes over a CCS of no bytes.
    ('change_cipher_spec', 'first-empty*', 'plain:HTTP/1.1 400 close', 'hello:1301:1d http:200 close', NO_TLS),
    ('client_certificates', 'der-bit-*', 'hello:1301:1d asks*', 'hello:1301:1d asks alert:2:51 close', VERIFIES),
    ('client_certificates', 'der-bit-*', 'hello:1301:1d asks*', 'hello:1301:1d asks alert:2:48 close', VERIFIES),
    ('client_certificates', '*cert:last-bit', 'hello:1301:1d asks*', 'hello:1301:1d asks alert:2:51 close', VERIFIES),
    ('client_certificates', '*', 'hello:1301:1d asks http:400 close', 'hello:1301:1d asks alert:2:116 close', VERIFIES),
    ('client_certificates', '*', 'hello:1301:1d asks alert:2:10 close', 'hello:1301:1d asks alert:2:116 close', VERIFIES),
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
    ca.issue('client', ['DNS:client.test'])
    start_nginx(lab, NGINX, 8443)


class Player:
    """Plays cases against one peer; holds a ticket of each of its servers."""

    def __init__(self, lab, peer):
        self.lab, self.addr = lab, PEERS[peer]
        self.pair = Pair(f'{lab.dir}/client')
        self.tickets = {where: self.get_ticket(where) for where in ('plain',)}

    def get_ticket(self, where):
        with self.lab.connect((self.addr, PORTS[where])) as s:
            c = Client(s, 10)
            c.open(c.hello(suites=(0x1301,)).encode())
            c.ask()
            while not c.new_ticket:
                c.messages += c.get()[1]
                c.take(c.message())
            return c.new_ticket

    def play(self, case, seconds):
        with self.lab.connect((self.addr, PORTS[case.where])) as s:
            ticket = self.tickets[case.where] if case.needs_ticket else None
            c = (Client12 if case.where == 'tls12' else Client)(s, seconds, ticket, self.pair, case.name)
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
                        'tls_malformed', 'tls_bad_mac', 'tls_version', 'tls_cipher', 'tls_bad_proof', 'tls_peer_alert', 'tls_alert',
                        'tls_alpn', 'tls_internal', 'tls_cert_bad', 'tls_self_signed', 'req_malformed', 'conn_reset_by_peer', 'conn_idle',
                        'req_downstream_gone', 'tcp_after_close', 'conn_linger'))


if __name__ == '__main__':
    OPTS = parse()
    for GROUP in tls_cases.GROUPS:
        define(GROUP, run_group, OPTS)
    main(make_lab)
