#!/usr/bin/python3
"""TLS 1.2, where min_version asks for it: curl, openssl, gnutls-cli and Python as clients, nginx and haproxy as
origins."""
import hashlib
import os
import random
import shutil
import socket
import ssl
import string
import subprocess

import certs
import netns
import tlspeer
from lab import GATE4, GATE6, VHOSTS, Lab, wait_for
from tap import case, check, equal, main
from tlspeer import ask, mutate

BOTH = '''certificates: ( { certificate = "server.crt"; private_key = "server.key"; },
                             { certificate = "rsa.crt"; private_key = "rsa.key"; },
                             { certificate = "other.crt"; private_key = "other.key"; } );'''
LISTENERS = f'''
  , {{ name = "tls"; address = "10.77.1.1:443"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: {{ min_version = "1.2"; {BOTH} }}; }}
  , {{ name = "tls6"; address = "[fd77:1::1]:443"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: {{ min_version = "1.2"; {BOTH} }}; }}
  , {{ name = "new"; address = "10.77.1.1:7443"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: {{ {BOTH} }}; }}
  , {{ name = "mtls"; address = "10.77.1.1:8443"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: {{ min_version = "1.2"; {BOTH} client_ca = "ca.crt"; require_client_certificate = true; }}; }}
  , {{ name = "may"; address = "10.77.1.1:8444"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: {{ min_version = "1.2"; {BOTH} client_ca = "ca.crt"; }}; }}
  , {{ name = "l4tls"; address = "10.77.1.1:9443"; protocol = "tcp"; cluster = "echo";
      tls: {{ min_version = "1.2"; {BOTH} }}; }}
  , {{ name = "up"; address = "10.77.1.1:8081"; protocol = "http"; virtual_hosts = ["up"]; }}
'''
VHOST = '''
  , { name = "up"; domains = ["*"];
      routes: ( { match: { prefix = "/new/"; }; route: { cluster = "new"; }; },
                { match: { prefix = "/haproxy/"; }; route: { cluster = "haproxy"; timeout = "0s"; }; },
                { match: { prefix = "/"; }; route: { cluster = "old"; timeout = "0s"; }; } ); }
'''
TLS = 'ca = "ca.crt"; sni = "origin.test"; certificate = "client.crt"; private_key = "client.key";'
CLUSTERS = f'''
  , {{ name = "old"; idle_timeout = "1s"; endpoints: ( {{ address = "10.77.2.2:8443"; }} );
      tls: {{ min_version = "1.2"; {TLS} }}; }}
  , {{ name = "haproxy"; idle_timeout = "1s"; endpoints: ( {{ address = "10.77.2.2:8444"; }} );
      tls: {{ min_version = "1.2"; {TLS} }}; }}
  , {{ name = "new"; endpoints: ( {{ address = "10.77.2.2:8443"; }} ); tls: {{ {TLS} }}; }}
'''
NGINX = '''
worker_processes 1; daemon off; pid $dir/old-nginx.pid; error_log $dir/old-nginx.log warn; user root;
events { worker_connections 1000; }
http {
  access_log off; client_body_temp_path $dir/o1; proxy_temp_path $dir/o2; fastcgi_temp_path $dir/o3;
  uwsgi_temp_path $dir/o4; scgi_temp_path $dir/o5;
  server {
    listen 8443 ssl; ssl_protocols TLSv1.2; root $dir/www;
    ssl_certificate $dir/origin.crt; ssl_certificate_key $dir/origin.key;
    ssl_client_certificate $dir/ca.crt; ssl_verify_client on;
    location = /who { return 200 "$$ssl_client_s_dn $$ssl_server_name $$ssl_protocol $$ssl_session_reused\\n"; }
  }
}
'''
HAPROXY = '''
global
  log /dev/null local0
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 10s
frontend f
  bind 10.77.2.2:8444 ssl crt $dir/origin.pem ca-file $dir/ca.crt verify required ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.2
  http-request set-path %[path,regsub(^/haproxy,,)]
  http-response set-header x-tls %[ssl_fc_protocol]
  default_backend b
backend b
  server s 10.77.2.2:8080
'''
SUITES = [f'ECDHE-{key}-{aead}' for key in ('ECDSA', 'RSA')
          for aead in ('AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305')]
BULK = 100 << 20


def make_certs(lab):
    ca = certs.CA(lab.dir)
    ca.issue('server', ['DNS:nginx.test', 'DNS:py.test'])
    ca.issue('rsa', ['DNS:nginx.test', 'DNS:py.test'], key='rsa')
    ca.issue('other', ['DNS:*.other.test'])
    ca.issue('origin', ['DNS:origin.test'])
    ca.issue('client', ['URI:spiffe://mesh.example/ns/a/sa/b'])
    ca.issue('expired', ['DNS:a'], start=certs.at(-600), end=certs.at(-60))
    certs.CA(lab.dir, 'stranger', 'Stranger CA').issue('unknown', ['DNS:a'])
    with open(f'{lab.dir}/origin.pem', 'w', encoding='ascii') as f:
        for x in ('crt', 'key'):
            with open(f'{lab.dir}/origin.{x}', encoding='ascii') as g:
                f.write(g.read())
    for name, text, argv in (('old-nginx', NGINX, ['nginx', '-p', lab.dir, '-c']),
                             ('haproxy', HAPROXY, ['haproxy', '-db', '-f'])):
        conf = f'{lab.dir}/{name}.conf'
        with open(conf, 'w', encoding='ascii') as f:
            f.write(string.Template(text).substitute(dir=lab.dir))
        argv[0] = shutil.which(argv[0]) or f'/usr/sbin/{argv[0]}'
        lab.procs.append(netns.popen(lab.origin, [*argv, conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


def curl(lab, *args):
    resolve = [x for name in ('nginx.test', 'py.test') for x in ('--resolve', f'{name}:443:{GATE4}')]
    p = netns.run(lab.client, ['curl', '-sS', '-m', '100', '--tls-max', '1.2', '--cacert', f'{lab.dir}/ca.crt', *resolve,
                               *args], check=False, text=False, timeout=110)
    equal(p.returncode, 0, p.stderr.decode())
    return p.stdout


def old(lab, cert=None):
    return tlspeer.client_context(lab, cert, version=ssl.TLSVersion.TLSv1_2)


def secure(lab, port, name='nginx.test', cert=None, session=None, ctx=None):
    return (ctx or old(lab, cert)).wrap_socket(lab.connect((GATE4, port)), server_hostname=name, session=session)


def command(lab, argv, stdin='', timeout=30):
    """What a client's command printed, both streams."""
    p = subprocess.Popen(['ip', 'netns', 'exec', lab.client, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, errors='replace')
    try:
        return p.communicate(stdin, timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        p.kill()
        raise AssertionError(f'{argv[0]} does not end: {p.communicate()[0]}') from None


def s_client(lab, *args, stdin='Q\n'):
    return command(lab, ['openssl', 's_client', '-connect', f'{GATE4}:443', '-servername', 'nginx.test', '-tls1_2',
                         '-CAfile', f'{lab.dir}/ca.crt', *args], stdin)


@case
def every_cipher_suite(lab):
    with open(f'{lab.dir}/www/100k', 'rb') as f:
        want = f.read()
    for suite in SUITES:
        check(curl(lab, '--ciphers', suite, 'https://nginx.test/100k') == want, f'{suite}: bytes differ')
    out = curl(lab, 'https://nginx.test/hello', 'https://nginx.test/hello', '-w', '%{num_connects} %{http_code}\n')
    equal(out, b'hello from nginx\n1 200\nhello from nginx\n0 200\n')
    curl(lab, '-6', '--resolve', f'py.test:443:[{GATE6}]', 'https://py.test/see')


@case
def one_listener_speaks_both(lab):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with secure(lab, 443, ctx=tlspeer.client_context(lab, version=version)) as s:
            equal(ask(s)[1], b'hello from nginx\n')
            equal(s.version(), version.name.replace('_', '.'))
            equal(s.selected_alpn_protocol(), None)
    ctx = old(lab)
    ctx.set_alpn_protocols(['h2', 'http/1.1'])
    with secure(lab, 443, ctx=ctx) as s:
        equal(s.selected_alpn_protocol(), 'http/1.1')
    ctx.set_alpn_protocols(['h2'])
    got = tlspeer.answer_to(ctx, lab.connect((GATE4, 443)), 'nginx.test')
    check('no application protocol' in got, got)
    with secure(lab, 443, 'a.other.test') as s:
        check(('DNS', '*.other.test') in s.getpeercert()['subjectAltName'], 'certificate by server name')


@case
def what_is_too_old(lab):
    """1.2 by default; 1.1 and CBC, RSA key exchange and whatever is not AEAD in any case."""
    before = lab.stat('drop.tls_version')
    equal(tlspeer.answer_to(old(lab), lab.connect((GATE4, 7443)), 'nginx.test'), 'PROTOCOL_VERSION')
    equal(lab.stat('drop.tls_version'), before + 1)
    wait_for(lambda: 'unsupported protocol' in lab.log_text(), 'the log to say why')
    with secure(lab, 7443, ctx=tlspeer.client_context(lab)) as s:
        equal(ask(s)[1], b'hello from nginx\n')
    ctx = tlspeer.client_context(lab, version=ssl.TLSVersion.TLSv1_1)
    equal(tlspeer.answer_to(ctx, lab.connect((GATE4, 443)), 'nginx.test'), 'PROTOCOL_VERSION')
    for suites in ('ECDHE-RSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA384', 'AES128-GCM-SHA256', 'DHE-RSA-AES128-GCM-SHA256',
                   'ECDHE-ECDSA-AES128-CCM'):
        ctx = old(lab)
        ctx.set_ciphers(suites + ':@SECLEVEL=0')
        check(tlspeer.answer_to(ctx, lab.connect((GATE4, 443)), 'nginx.test').endswith('HANDSHAKE_FAILURE'), suites)


@case
def openssl_says_what_was_agreed(lab):
    out = s_client(lab)
    for text in ('Protocol  : TLSv1.2', 'Secure Renegotiation IS supported', 'Compression: NONE',
                 'Extended master secret: yes', 'Verify return code: 0 (ok)', 'TLS session ticket lifetime hint: 7200'):
        check(text in out, f'{text}: not in {out}')
    out = s_client(lab, '-reconnect')
    equal((out.count('New, TLSv1.2'), out.count('Reused, TLSv1.2')), (1, 5), out)
    out = s_client(lab, '-maxfraglen', '512', '-ign_eof', stdin='GET /100k HTTP/1.1\r\nHost: nginx.test\r\n'
                   'Connection: close\r\n\r\n')
    check('closed' in out and len(out) > 100000 and 'rror:' not in out, out[-600:])


@case
def renegotiation_is_refused(lab):
    before = lab.stat('drop.tls_alert')
    out = s_client(lab, stdin='R\n')
    check('RENEGOTIATING' in out and 'no renegotiation' in out, out)
    equal(lab.stat('drop.tls_alert'), before + 1, 'its handshake_failure')


@case
def gnutls(lab):
    for cipher in ('AES-128-GCM', 'AES-256-GCM', 'CHACHA20-POLY1305'):
        out = command(lab, ['gnutls-cli', '--priority', f'NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+{cipher}',
                            '--x509cafile', f'{lab.dir}/ca.crt', '--sni-hostname', 'nginx.test', '--verify-hostname',
                            'nginx.test', '-r', '-p', '443', GATE4],
                      'GET /hello HTTP/1.1\r\nHost: nginx.test\r\nConnection: close\r\n\r\n')
        check('TLS1.2-X.509' in out and cipher in out and 'extended master secret' in out, out)
        check('This is a resumed session' in out and 'hello from nginx' in out, out)


@case
def client_certificates(lab):
    with secure(lab, 8443, cert='client') as s:
        equal(ask(s)[1], b'hello from nginx\n')
    for cert, alert, why in ((None, 'HANDSHAKE_FAILURE', 'tls_no_certificate'),
                             ('expired', 'CERTIFICATE_EXPIRED', 'tls_expired'),
                             ('unknown', 'UNKNOWN_CA', 'tls_unknown_ca')):
        before = lab.stat(f'drop.{why}')
        got = tlspeer.answer_to(old(lab, cert), lab.connect((GATE4, 8443)), 'nginx.test')
        check(got.endswith(alert), f'{cert}: {got}')
        equal(lab.stat(f'drop.{why}'), before + 1, why)
    for cert in (None, 'client'):
        with secure(lab, 8444, cert=cert) as s:
            equal(ask(s)[1], b'hello from nginx\n')
    got = tlspeer.answer_to(old(lab, 'unknown'), lab.connect((GATE4, 8444)), 'nginx.test')
    equal(got, 'UNKNOWN_CA', 'one that may be left out')


@case
def resumption(lab):
    for port, cert in ((443, None), (8443, 'client')):
        ctx = old(lab, cert)
        with secure(lab, port, ctx=ctx) as s:
            ask(s)
            session = s.session
            check(session.has_ticket, 'no ticket')
        for _ in range(4):  # by any worker
            before = lab.stat('server.tls_resumed')
            with secure(lab, port, ctx=ctx, session=session) as s:
                ask(s)
                check(s.session_reused, 'the ticket was not taken')
            equal(lab.stat('server.tls_resumed'), before + 1)


@case
def an_expired_client_ends(lab):
    """Its connection, and what resumes it."""
    certs.CA.there(lab.dir).issue('short', ['DNS:a'], end=certs.at(3))
    ctx = old(lab, 'short')
    with secure(lab, 8443, ctx=ctx) as s:
        ask(s)
        session = s.session
        s.settimeout(20)
        equal(s.recv(100), b'', 'a clean close')
    got = tlspeer.answer_to(ctx, lab.connect((GATE4, 8443)), 'nginx.test')
    equal(got, 'CERTIFICATE_EXPIRED')
    try:
        with secure(lab, 8443, ctx=ctx, session=session) as s:
            ask(s)
        raise AssertionError('a ticket outlived its certificate')
    except ssl.SSLError as e:
        equal(tlspeer.alert_of(e), 'CERTIFICATE_EXPIRED')


@case
def a_hundred_mib_each_way(lab):
    path = f'{lab.dir}/www/bulk'
    h = hashlib.sha256()
    rng = random.Random(1)
    with open(path, 'wb') as f:
        for _ in range(BULK >> 20):
            b = rng.randbytes(1 << 20)
            h.update(b)
            f.write(b)
    curl(lab, 'https://nginx.test/bulk', '-o', f'{lab.dir}/got')
    got = hashlib.sha256()
    with open(f'{lab.dir}/got', 'rb') as f:
        while b := f.read(1 << 20):
            got.update(b)
    equal(got.hexdigest(), h.hexdigest(), 'download')
    check(h.hexdigest().encode() in curl(lab, '-T', path, 'https://py.test/see'), 'upload')
    os.unlink(f'{lab.dir}/got')


@case
def single_bytes(lab):
    """ClientHello, Finished and request, each in segments and records of one byte."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    obj = old(lab).wrap_bio(incoming, outgoing, server_hostname='nginx.test')
    with lab.connect((GATE4, 443)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def flush():
            for b in outgoing.read():
                s.sendall(bytes([b]))
        while True:
            try:
                obj.do_handshake()
                break
            except ssl.SSLWantReadError:
                flush()
                incoming.write(s.recv(65536))
        for b in b'GET /hello HTTP/1.1\r\nHost: nginx.test\r\nX-Pad: ' + b'p' * 300 + b'\r\n\r\n':
            obj.write(bytes([b]))
        flush()
        got = b''
        while not got.endswith(b'hello from nginx\n'):
            try:
                got += obj.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(s.recv(65536))


@case
def raw_bytes_pass_and_end_cleanly(lab):
    with secure(lab, 9443) as s:
        for n in (1, 1400, 16384, 16385, 200000):
            data = os.urandom(n)
            s.sendall(data)
            got = b''
            while len(got) < n:
                got += s.recv(65536)
            check(got == data, f'{n} bytes differ')
        s.unwrap()  # our close_notify is answered with one
    lab.wait_quiet()
    before = lab.stat('drop.tls_truncated')
    s = secure(lab, 9443)
    s.sendall(b'x')
    s.recv(1)
    socket.socket(fileno=s.detach()).close()
    wait_for(lambda: lab.stat('drop.tls_truncated') == before + 1, 'the truncation to be counted')


def spoil(rng, ctx, s):
    """A handshake and some requests, spoiled at one place."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    obj = ctx.wrap_bio(incoming, outgoing, server_hostname='nginx.test')
    where = rng.randrange(3)
    for flight in range(9):
        try:
            obj.do_handshake()
            break
        except ssl.SSLWantReadError:
            b = outgoing.read()
            s.sendall(mutate(rng, b) if where == flight else b)
            if where == flight:
                return
            incoming.write(s.recv(65536))
    for _ in range(rng.randrange(1, 5)):
        obj.write(rng.choice((b'x', b'GET /hello HTTP/1.1\r\nHost: nginx.test\r\n\r\n',
                              rng.randbytes(rng.randrange(1, 20000)))))
    s.sendall(mutate(rng, outgoing.read()))


@case
def whatever_a_client_sends_it_ends(lab):
    seed = int(os.environ.get('TG_SEED', '1'))
    rng, ctx = random.Random(seed), old(lab, 'client')
    for n in range(300):
        with lab.connect((GATE4, rng.choice((443, 8443, 8444, 9443)))) as s:
            s.settimeout(20)
            try:
                spoil(rng, ctx, s)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except TimeoutError:
                raise AssertionError(f'seed {seed}, connection {n}: no end') from None
            except (OSError, ssl.SSLError):
                pass  # refused one way or another
    with secure(lab, 443) as s:
        equal(ask(s)[1], b'hello from nginx\n')


@case
def origins_of_tls12(lab):
    with open(f'{lab.dir}/www/100k', 'rb') as f:
        want = f.read()
    with lab.connect((GATE4, 8081)) as s:
        seen = []
        for _ in range(3):
            seen.append(ask(s, '/who', 'x')[1])
            check(seen[-1].startswith(b'CN=client origin.test TLSv1.2'), str(seen))
        check(ask(s, '/100k', 'x')[1] == want, 'bytes differ')
        head, body = ask(s, '/haproxy/100k', 'nginx.test')
        check('x-tls: TLSv1.2' in head and body == want, head)
        head, _ = ask(s, '/new/who', 'x')
        check(head.startswith('HTTP/1.1 503'), head)
    # Connections close after a second; the next one resumes.
    wait_for(lambda: ask_once(lab, '/who').endswith(b' r\n'), 'a resumed connection to the origin', 20, 1.2)


def ask_once(lab, path):
    with lab.connect((GATE4, 8081)) as s:
        return ask(s, path, 'x')[1]


def make_lab():
    vhosts = ', '.join(f'"{v}"' for v in VHOSTS)
    return Lab(before=make_certs, workers=2,
               extra_listeners=string.Template(LISTENERS).substitute(vhosts=vhosts),
               extra_vhosts=VHOST, extra_clusters=CLUSTERS,
               allowed=('tls_no_certificate', 'tls_expired', 'tls_unknown_ca', 'tls_truncated', 'tls_record', 'tls_closed',
                        'tls_not_tls', 'tls_malformed', 'tls_bad_mac', 'tls_version', 'tls_cipher', 'tls_bad_proof',
                        'tls_peer_alert', 'tls_alert', 'tls_alpn', 'tls_cert_bad', 'req_malformed',
                        'req_connect_failure', 'conn_reset_by_peer', 'conn_idle', 'req_downstream_gone',
                        'tls_peer_expired',
                        # OpenSSL's alert where records of a handshake are too short to be sealed; nginx's too.
                        'tls_internal',
                        # openssl answers our close_notify, and nobody is there any more.
                        'tcp_after_close', 'conn_linger'))


if __name__ == '__main__':
    main(make_lab)
