#!/usr/bin/python3
"""What Tidegate answers to malformed, hostile and odd TLS origins is what nginx with OpenSSL answers as a proxy.

Each case (tls_cases_server.py, TLS 1.2: tls_cases_server12.py) is an origin that serves one request of each of the two: the same alerts to the
origin, and the same kind of answer to the client. What differs on purpose stands in ALLOWED, with its reason.

    test_tls_origins.py [--long] [--seed N] [--show] [--only TEXT] [group ...]
"""
import contextlib
import random
import select
import socket
import time

import certs
import tls_cases_server
import tls_cases_server12  # pylint: disable=unused-import
from lab import GATE4, ORIGIN4, Lab
from tap import main
from tls_compare import cuts_of, define, judge, outcome, parse, play_all, start_nginx
from tls_wire import Pair, Server, Stop
from tls_wire12 import Server12

THREADS = 8
PORT = 7000  # and the next ones: a thread's own origin
OTHERS = ('expired', 'stranger', 'other-name', 'client-only', 'rsa', 'self-signed')

LISTENER = '''
  , { name = "front"; address = "10.77.1.1:8000"; protocol = "http"; virtual_hosts = ["front"]; }
'''
ROUTE = '{{ match: {{ prefix = "/{where}/{i}/"; }}; route: {{ cluster = "{where}-{i}"; timeout = "30s"; }}; }}'
CLUSTER = '''
  , {{ name = "{where}-{i}"; endpoints: ( {{ address = "10.77.2.2:{port}"; }} ); connect_timeout = "20s";
       tls: {{ ca = "ca.crt"; sni = "origin.test"; min_version = "{version}"; }}; }}'''
NGINX = '''
worker_processes 1; daemon off; pid $dir/proxy.pid; error_log $dir/proxy.log crit; user root;
events { worker_connections 1000; }
http {
  access_log off; client_body_temp_path $dir/p1; proxy_temp_path $dir/p2; fastcgi_temp_path $dir/p3;
  uwsgi_temp_path $dir/p4; scgi_temp_path $dir/p5;
  proxy_ssl_protocols TLSv1.3; proxy_ssl_server_name on; proxy_ssl_name origin.test;
  proxy_ssl_verify on; proxy_ssl_verify_depth 8; proxy_ssl_trusted_certificate $dir/ca.crt;
  proxy_ssl_conf_command Groups X25519:P-256; proxy_http_version 1.1; proxy_next_upstream off;
  proxy_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256;
  server { listen 127.0.0.1:8000; $locations }
}
'''
LOCATION = 'location /{where}/{i}/ {{ proxy_pass https://127.0.0.1:{port}; {more} }} '
# A case's `where`: (oldest version, more for nginx).
WHERE = {'plain': ('1.3', ''), 'tls12': ('1.2', 'proxy_ssl_protocols TLSv1.2 TLSv1.3; proxy_ssl_ciphers '
                                         'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:'
                                         'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;')}

# As in test_tls_refusals.py.
VERIFIES = 'nginx finishes the handshake and looks at the certificate then; Tidegate refuses it in the handshake'
ECHO = 'what is shifted into the place of a length is of the session id, which is each client\'s own'
ALLOWED = (
    *(('flight_fields', f'*.body{x}:*', 'hello alert:2:* -> 5xx', 'hello alert:2:* -> 5xx', ECHO)
      for x in ('', '.version', '.random', '.session')),
    ('random_damage', 'hello-*', 'hello alert:2:* -> 5xx', 'hello alert:2:* -> 5xx', ECHO),
    ('proofs', 'certificate-*', 'hello finished alert:1:0 close -> 5xx', 'hello alert:2:4? close -> 5xx', VERIFIES),
    ('proofs', 'certificate-*', 'hello finished alert:1:0 close -> 5xx', 'hello alert:2:51 close -> 5xx', VERIFIES),
    ('proofs', 'certificate-*', 'hello alert:2:80 close -> 5xx', 'hello alert:2:42 close -> 5xx', VERIFIES),
    ('flight_fields', '*.cert:last-bit', 'hello finished alert:1:0 close -> 5xx', 'hello alert:2:51 close -> 5xx', VERIFIES),
    ('order', 'data-before-client-finished', 'hello finished request served -> 2xx', 'hello* -> 5xx',
     'an answer to a request that was not acknowledged yet: Tidegate takes none, whether it has sent the request by then or not'),
    ('flight_fields12', '*.cert:last-bit', 'hello finished alert:1:0 close -> 5xx', 'hello alert:2:51 close -> 5xx', VERIFIES),
    ('proofs12', 'certificate-*', 'hello finished alert:1:0 close -> 5xx', 'hello alert:2:4? close -> 5xx', VERIFIES),
    ('proofs12', 'certificate-*', 'hello alert:2:80 close -> 5xx', 'hello alert:2:42 close -> 5xx', VERIFIES),
    ('proofs12', 'certificate-self-signed', 'hello alert:2:40 close -> 5xx', 'hello alert:2:48 close -> 5xx', VERIFIES),
    ('order12', 'twice-finished', 'hello finished request served alert:2:10 -> 5xx', 'hello finished alert:2:10 close -> 5xx',
     'the record right behind the handshake\'s last: nginx has sent its request before it reads on'),
    ('flight_fields12', 'finished:t*', 'hello finished request served*', 'hello finished alert:2:10 close -> 5xx',
     'bytes behind Finished, as if of a message to come: OpenSSL waits for the rest of it'),
    ('records12', 'after-*', 'hello finished request served alert:2:*', 'hello finished alert:2:* close -> 5xx',
     'the record right behind the handshake\'s last: nginx has sent its request before it reads on'),
    *(('strange_ways', '*', f'hello finished request served alert:2:{a} -> 5xx', f'hello finished alert:2:{a} close -> 5xx',
       'the record right behind the handshake\'s last: nginx has sent its request before it reads on') for a in (10, 20, 22, 47, 50, 70)),
    ('*12', '*-hello-request*', 'hello finished request served -> 2xx', 'hello finished*warning:1:100* -> 2xx',
     'RFC 5246 section 7.4.1.1: a client passes over a HelloRequest, or says no_renegotiation'),
)


def make_certs(lab):
    ca = certs.CA(lab.dir)
    ca.issue('origin', ['DNS:origin.test'])
    ca.issue('expired', ['DNS:origin.test'], start='20200101000000Z', end='20200102000000Z')
    ca.issue('other-name', ['DNS:elsewhere.test'])
    ca.issue('rsa', ['DNS:origin.test'], key='rsa')
    ca.issue('client-only', ['DNS:origin.test'], usage='keyAgreement')
    certs.CA(lab.dir, 'strange-ca', 'Strange CA').issue('stranger', ['DNS:origin.test'])
    certs.CA(lab.dir, 'self-signed', 'origin.test')
    start_nginx(lab, NGINX, 8000, locations=''.join(
        LOCATION.format(where=w, i=i, port=PORT + i, more=more) for w, (_, more) in WHERE.items() for i in range(THREADS)))


class Origin:
    """One thread's origins: the same case for each of the two proxies."""

    def __init__(self, lab, i):
        self.lab, self.i = lab, i
        self.pair = Pair(f'{lab.dir}/origin')
        self.pairs = {name: Pair(f'{lab.dir}/{name}') for name in OTHERS}
        self.listeners = {'nginx': self.listen(lab.client, '127.0.0.1'), 'tidegate': self.listen(lab.origin, ORIGIN4)}

    def listen(self, where, addr):
        s = self.lab.socket(where=where)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((addr, PORT + self.i))
        s.listen(16)
        s.settimeout(20)
        return s

    def close(self):
        for s in self.listeners.values():
            s.close()

    def play(self, proxy, case, seconds):
        addr = {'nginx': '127.0.0.1', 'tidegate': GATE4}[proxy]
        with self.lab.connect((addr, 8000), timeout=30) as front:
            front.sendall(f'GET /{case.where}/{self.i}/x HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n'.encode())
            sock, _ = self.listeners[proxy].accept()
            with sock:
                log = [x for x in self.serve(sock, case, seconds) if x == 'opaque:19' or not x.startswith('opaque')]
            answer = self.answer(front, self.listeners[proxy], log)
        if not answer.startswith(b'HTTP/1.'):
            answer = b'HTTP/1.1 5' if answer else b''  # nginx passes on what it takes for HTTP/0.9
        return f'{outcome(log)} -> {answer[9:10].decode("latin-1") + "xx" if answer else "none"}'

    @staticmethod
    def answer(front, listener, log):
        """The status line. Who comes again meanwhile is sent away: it would be taken for the next case's."""
        answer, end = b'', time.monotonic() + 30
        while b'\r\n' not in answer:
            ready = select.select([front, listener], [], [], max(0, end - time.monotonic()))[0]
            if not ready:
                raise TimeoutError('no answer')
            if listener in ready:
                listener.accept()[0].close()
                log.append('again')
            else:
                b = front.recv(4096)
                if not b:
                    break
                answer += b
        return answer

    def serve(self, sock, case, seconds):
        s = (Server12 if case.where == 'tls12' else Server)(sock, seconds, self.pair, case.name)
        s.cuts, s.pairs = cuts_of(case), self.pairs
        try:
            case.run(s)
            if s.app and 'request' not in s.log:
                s.serve()
                s.log.append('served')
        except Stop:
            pass
        except Exception as e:  # pylint: disable=broad-except
            s.log.append(f'{type(e).__name__}: {e}')
        if 'served' in s.log:
            s.rest()
            # How a connection that was good ends is not the matter; KeyUpdates and a request may come or not.
            return [x for x in s.log if x not in ('alert:1:0', 'close', 'reset', 'silence', 'opaque:19')
                    and not x.startswith('record:')]
        if s.alerted:
            s.rest()
            if not s.ended:
                s.log.append('stays')
        s.finish()
        return s.log


def run_group(lab, name, opts):
    cases = tls_cases_server.GROUPS[name](random.Random(f'{opts.seed}{name}'), opts.long)
    got = play_all(name, cases, opts, THREADS, ALLOWED, lambda i: contextlib.closing(Origin(lab, i)))
    judge(name, got, opts, ALLOWED)


def make_lab():
    routes = ', '.join(ROUTE.format(where=w, i=i) for w in WHERE for i in range(THREADS))
    return Lab(before=make_certs, workers=1, extra_listeners=LISTENER,
               extra_vhosts=f', {{ name = "front"; domains = ["*"]; routes: ( {routes} ); }}',
               extra_clusters=''.join(CLUSTER.format(where=w, i=i, port=PORT + i, version=v) for w, (v, _) in WHERE.items()
                                      for i in range(THREADS)),
               allowed=None)


if __name__ == '__main__':
    OPTS = parse()
    for GROUP in tls_cases_server.GROUPS:
        define(GROUP, run_group, OPTS)
    main(make_lab)
