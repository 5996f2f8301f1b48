#!/usr/bin/python3
"""TLS 1.3 on both legs: curl, Python's ssl (OpenSSL) and nginx as peers."""
import hashlib
import json
import os
import random
import re
import shutil
import socket
import ssl
import string
import subprocess
import urllib.parse

import certs
import netns
from lab import GATE4, GATE6, VHOSTS, Lab, wait_for
from origin import pattern
from tap import case, check, equal, main
from tlspeer import ask, mutate

LISTENERS = '''
  , { name = "tls"; address = "10.77.1.1:443"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificates: ( { certificate = "server.crt"; private_key = "server.key"; },
                             { certificate = "other.crt"; private_key = "other.key"; } ); }; }
  , { name = "tls6"; address = "[fd77:1::1]:443"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificate = "server.crt"; private_key = "server.key"; }; }
  , { name = "mtls"; address = "10.77.1.1:8443"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificate = "rsa.crt"; private_key = "rsa.key"; client_ca = "ca.crt"; crl = "ca.crl";
             require_client_certificate = true; };
      forward_client_cert_details = "append_forward";
      set_current_client_cert_details: { subject = true; uri = true; cert = true; dns = true; }; }
  , { name = "l4tls"; address = "10.77.1.1:9443"; protocol = "tcp"; cluster = "echo";
      tls: { certificate = "server.crt"; private_key = "server.key"; }; }
  , { name = "slowtls"; address = "10.77.1.1:9444"; protocol = "tcp"; cluster = "echo";
      tls: { certificate = "server.crt"; private_key = "server.key"; handshake_timeout = "1s"; }; }
  , { name = "up"; address = "10.77.1.1:8081"; protocol = "http"; virtual_hosts = ["up"]; }
'''
VHOST = '''
  , { name = "up"; domains = ["*"];
      routes: ( { match: { prefix = "/wrong-name/"; }; route: { cluster = "wrong-name"; }; },
                { match: { prefix = "/wrong-ca/"; }; route: { cluster = "wrong-ca"; }; },
                { match: { prefix = "/"; }; route: { cluster = "secure"; }; } ); }
'''
CLUSTERS = '''
  , { name = "secure"; idle_timeout = "1s"; endpoints: ( { address = "10.77.2.2:8443"; } );
      tls: { ca = "ca.crt"; sni = "origin.test"; certificate = "client.crt"; private_key = "client.key"; }; }
  , { name = "wrong-name"; endpoints: ( { address = "10.77.2.2:8443"; } );
      tls: { ca = "ca.crt"; sni = "elsewhere.test"; certificate = "client.crt"; private_key = "client.key"; }; }
  , { name = "wrong-ca"; endpoints: ( { address = "10.77.2.2:8443"; } );
      tls: { ca = "stranger.crt"; sni = "origin.test"; certificate = "client.crt"; private_key = "client.key"; }; }
  , { name = "asked"; endpoints: ( { address = "10.77.2.2:8443"; } );
      health_checks: ( { timeout = "10s"; interval = "1h"; no_traffic_interval = "1h"; reuse_connection = false; unhealthy_threshold = 1;
                         healthy_threshold = 1; http_health_check: { path = "/who"; }; } );
      tls: { ca = "ca.crt"; sni = "origin.test"; certificate = "client.crt"; private_key = "client.key"; }; }
  , { name = "asked-wrong"; endpoints: ( { address = "10.77.2.2:8443"; } );
      health_checks: ( { timeout = "10s"; interval = "1h"; no_traffic_interval = "1h"; reuse_connection = false; unhealthy_threshold = 1;
                         healthy_threshold = 1; tcp_health_check: { }; } );
      tls: { ca = "ca.crt"; sni = "elsewhere.test"; certificate = "client.crt"; private_key = "client.key"; }; }
'''
NGINX = '''
worker_processes 1; daemon off; pid $dir/tls-nginx.pid; error_log $dir/tls-nginx.log warn; user root;
events { worker_connections 1000; }
http {
  access_log off; client_body_temp_path $dir/s1; proxy_temp_path $dir/s2; fastcgi_temp_path $dir/s3;
  uwsgi_temp_path $dir/s4; scgi_temp_path $dir/s5;
  server {
    listen 8443 ssl; ssl_protocols TLSv1.3; root $dir/www;
    ssl_certificate $dir/origin.crt; ssl_certificate_key $dir/origin.key;
    ssl_client_certificate $dir/ca.crt; ssl_verify_client on;
    location = /who { return 200 "$$ssl_client_s_dn $$ssl_server_name $$ssl_session_reused\\n"; }
  }
}
'''


def make_certs(lab):
    ca = certs.CA(lab.dir)
    ca.issue('server', ['DNS:nginx.test', 'DNS:py.test'])
    ca.issue('other', ['DNS:*.other.test'])
    ca.issue('rsa', ['DNS:nginx.test'], key='rsa')
    ca.issue('origin', ['DNS:origin.test'])
    ca.issue('client', ['URI:spiffe://mesh.example/ns/a/sa/b'])
    ca.issue('expired', ['URI:spiffe://mesh.example/ns/a/sa/b'], start='20200101000000Z',
             end='20200102000000Z')
    revoked, _ = ca.issue('revoked', ['URI:spiffe://mesh.example/ns/a/sa/b'])
    ca.crl(f'{lab.dir}/ca.crl', [revoked])
    certs.CA(lab.dir, 'stranger', 'Stranger CA').issue('unknown', ['DNS:a'])
    conf = os.path.join(lab.dir, 'tls-nginx.conf')
    with open(conf, 'w', encoding='ascii') as f:
        f.write(string.Template(NGINX).substitute(dir=lab.dir))
    nginx = shutil.which('nginx') or '/usr/sbin/nginx'
    lab.procs.append(netns.popen(lab.origin, [nginx, '-c', conf, '-p', lab.dir],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


def curl(lab, *args):
    resolve = [x for p in (443, 8443) for x in ('--resolve', f'nginx.test:{p}:{GATE4}')]
    p = netns.run(lab.client, ['curl', '-sS', '-m', '20', '--cacert', f'{lab.dir}/ca.crt', *resolve,
                               *args], check=False, text=False)
    return p.returncode, p.stdout, p.stderr.decode()


def context(lab, cert=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.minimum_version = ssl.TLSVersion.TLSv1_3
    c.load_verify_locations(f'{lab.dir}/ca.crt')
    if cert:
        c.load_cert_chain(f'{lab.dir}/{cert}.crt', f'{lab.dir}/{cert}.key')
    return c


def secure(lab, port, name='nginx.test', cert=None, addr=GATE4, session=None, ctx=None):
    return (ctx or context(lab, cert)).wrap_socket(lab.connect((addr, port)), server_hostname=name,
                                                   session=session)


@case
def health_checks_speak_tls_too(lab):
    # Once each, at the start: one that can be verified, one with another name.
    def flags(cluster):
        return re.search(rf'^{cluster}::10.77.2.2:8443::health_flags::(.*)$', lab.get('/clusters')[1], re.M)[1]
    wait_for(lambda: flags('asked') == 'healthy', lambda: f'healthy: {flags("asked")}')
    wait_for(lambda: flags('asked-wrong') == '/failed_active_hc', lambda: f'not: {flags("asked-wrong")}')


@case
def curl_verifies_and_keeps_alive(lab):
    rc, out, err = curl(lab, 'https://nginx.test/hello', 'https://nginx.test/hello', '-w', '%{num_connects} %{http_code}\n')
    equal((rc, out), (0, b'hello from nginx\n1 200\nhello from nginx\n0 200\n'), err)
    rc, out, err = curl(lab, '--http1.0', 'https://nginx.test/hello')  # which asks for http/1.0 by ALPN
    equal((rc, out), (0, b'hello from nginx\n'), err)
    rc, out, err = curl(lab, 'http://nginx.test:443/hello', '--resolve', f'nginx.test:443:{GATE4}', '-w', '%{http_code}')
    check(rc == 0 and out.endswith(b'400'), f'plain HTTP to a TLS port: {rc} {out} {err}')
    rc, out, err = curl(lab, '-6', '--resolve', f'py.test:443:[{GATE6}]', 'https://py.test/headers')
    equal(rc, 0, err)


@case
def every_cipher_suite(lab):
    for suite in ('TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'):
        rc, out, err = curl(lab, '--tls13-ciphers', suite, 'https://nginx.test/100k', '-o', f'{lab.dir}/got')
        equal(rc, 0, err)
        with open(f'{lab.dir}/got', 'rb') as f:
            check(f.read() == pattern(102400), f'{suite}: bytes differ')


@case
def bulk_both_ways(lab):
    data = os.urandom(5_000_000)
    with open(f'{lab.dir}/up', 'wb') as f:
        f.write(data)
    rc, out, err = curl(lab, '--resolve', f'py.test:443:{GATE4}', '-T', f'{lab.dir}/up', 'https://py.test/sha256')
    equal(rc, 0, err)
    check(hashlib.sha256(data).hexdigest().encode() in out, f'upload arrived as {out[:100]!r}')


@case
def certificates_by_server_name(lab):
    for name, want in (('nginx.test', 'nginx.test'), ('a.other.test', '*.other.test')):
        with secure(lab, 443, name) as s:
            names = [v for _, v in s.getpeercert()['subjectAltName']]
            check(want in names, f'{name}: {names}')
    c = context(lab)
    c.check_hostname = False
    with c.wrap_socket(lab.connect((GATE4, 443)), server_hostname='nobody.test') as s:
        check('nginx.test' in str(s.getpeercert()), 'the first certificate for an unknown name')


@case
def client_certificates(lab):
    with secure(lab, 8443, cert='client') as s:
        equal(ask(s)[1], b'hello from nginx\n')
    for cert, alert, why in ((None, 'certificate required', 'tls_no_certificate'),
                             ('expired', 'certificate expired', 'tls_expired'),
                             ('revoked', 'certificate revoked', 'tls_revoked'),
                             ('unknown', 'unknown ca', 'tls_unknown_ca')):
        before = lab.stat(f'drop.{why}')
        try:
            with secure(lab, 8443, cert=cert) as s:
                ask(s)
            raise AssertionError(f'{cert}: was let in')
        except ssl.SSLError as e:
            check(alert in str(e), f'{cert}: {e}')
        equal(lab.stat(f'drop.{why}'), before + 1, why)
    wait_for(lambda: 'certificate has expired' in lab.log_text(), 'the log to say who was refused and why')


@case
def who_the_client_is_is_told_to_the_origin(lab):
    def fields(s, more):
        seen = json.loads(ask(s, '/see', 'py.test', more)[1])['fields']
        return [v for k, v in seen if k.lower() == 'x-forwarded-client-cert']
    lie = 'X-Forwarded-Client-Cert: By=me;Hash=00\r\nx-forwarded-client-cert: URI=spiffe://evil/x\r\n'
    with lab.connect((GATE4, 80)) as s:
        equal(fields(s, lie), [], 'plain text')
    with secure(lab, 443) as s:
        equal(fields(s, lie), [], 'no certificate')
    with secure(lab, 8443, cert='client') as s:
        got, = fields(s, lie)
    with open(f'{lab.dir}/client.crt', 'rb') as f:
        der = ssl.PEM_cert_to_DER_cert(f.read().decode())
    mine = got.removeprefix('By=me;Hash=00,URI=spiffe://evil/x,')
    check(mine.startswith(f'Hash={hashlib.sha256(der).hexdigest()};Cert="'), got)
    pem = urllib.parse.unquote(re.search(r'Cert="([^"]*)"', mine).group(1))
    equal(ssl.PEM_cert_to_DER_cert(pem), der)
    check(mine.endswith(';Subject="CN=client";URI=spiffe://mesh.example/ns/a/sa/b'), got)


@case
def resumption(lab):
    ctx = context(lab)
    with secure(lab, 443, ctx=ctx) as s:
        ask(s)
        session = s.session
    before = lab.stat('server.tls_resumed')
    with secure(lab, 443, ctx=ctx, session=session) as s:
        ask(s)
        check(s.session_reused, 'the ticket was not taken')
    equal(lab.stat('server.tls_resumed'), before + 1)


@case
def single_bytes(lab):
    """ClientHello, Finished and request, each in segments and records of one byte."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    obj = context(lab).wrap_bio(incoming, outgoing, server_hostname='nginx.test')
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


@case
def truncation_is_noticed(lab):
    lab.wait_quiet()  # Python's other sockets end without close_notify too
    before = lab.stat('drop.tls_truncated')
    s = secure(lab, 9443)
    s.sendall(b'x')
    s.recv(1)
    socket.socket(fileno=s.detach()).close()  # TCP's FIN without close_notify
    wait_for(lambda: lab.stat('drop.tls_truncated') == before + 1, 'the truncation to be counted')


@case
def a_broken_record_gets_its_alert(lab):
    s = secure(lab, 443)
    ask(s)
    raw = socket.socket(fileno=s.detach())
    raw.settimeout(20)
    with raw:
        raw.sendall(b'\x17\x03\x03\x00\x20' + bytes(32))
        got = b''
        while True:
            b = raw.recv(65536)
            if not b:
                break
            got += b
    # Encrypted, so its size says what it is: an alert of two bytes, then the FIN.
    check(got.endswith(got[-24:]) and got[-24:-19] == b'\x17\x03\x03\x00\x13', f'{got[-40:]!r}')
    wait_for(lambda: 'broke the rules of TLS: was sent alert bad record mac (20)' in lab.log_text(), 'the log to say why')


@case
def a_handshake_has_its_time(lab):
    before = lab.stat('drop.tls_timeout')
    socks = [lab.connect((GATE4, 9444), timeout=20) for _ in range(3)]
    socks[1].sendall(b'\x16\x03\x01')
    socks[2].sendall(b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03')
    for s in socks:
        with s:
            try:
                check(s.recv(1) == b'', 'bytes instead of the end')
            except ConnectionResetError:
                pass
    equal(lab.stat('drop.tls_timeout'), before + 3)
    wait_for(lambda: lab.log_text().count('the handshake was not done in time') >= 3, 'the log to say why')


def spoil(lab, rng, ctx, s):
    """A handshake and some requests, spoiled at one place; the client's FIN follows."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    obj = ctx.wrap_bio(incoming, outgoing, server_hostname='nginx.test')
    where = rng.randrange(4)
    if where == 0:
        s.sendall(rng.randbytes(rng.randrange(1, 3000)))
        return
    while True:
        try:
            obj.do_handshake()
            break
        except ssl.SSLWantReadError:
            flight = outgoing.read()
            s.sendall(mutate(rng, flight) if where == 1 else flight)
            if where == 1:
                return
            incoming.write(s.recv(65536))
    flight = outgoing.read()
    s.sendall(mutate(rng, flight) if where == 2 else flight)
    if where == 2:
        return
    for _ in range(rng.randrange(1, 5)):
        obj.write(rng.choice((b'x', b'GET /hello HTTP/1.1\r\nHost: nginx.test\r\n\r\n',
                              rng.randbytes(rng.randrange(1, 20000)))))
    s.sendall(mutate(rng, outgoing.read()))


@case
def whatever_a_client_sends_it_ends(lab):
    seed = int(os.environ.get('TG_SEED', '1'))
    rng, ctx = random.Random(seed), context(lab, 'client')
    for n in range(400):
        with lab.connect((GATE4, rng.choice((443, 8443, 9443)))) as s:
            s.settimeout(20)
            try:
                spoil(lab, rng, ctx, s)
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
def origins_by_mutual_tls(lab):
    with lab.connect((GATE4, 8081)) as s:
        for i in range(3):
            _, body = ask(s, '/who', 'x')
            check(body.startswith(b'CN=client origin.test'), str(body))
        check(ask(s, '/100k', 'x')[1] == pattern(102400), 'bytes differ')


@case
def wrong_origins_are_refused(lab):
    for path, why in (('/wrong-name/', 'tls_wrong_name'), ('/wrong-ca/', 'tls_unknown_ca')):
        before = lab.stat(f'drop.{why}')
        with lab.connect((GATE4, 8081)) as s:
            head, _ = ask(s, path, 'x')
            check(head.startswith('HTTP/1.1 503'), head)
        check(lab.stat(f'drop.{why}') > before, why)


@case
def certificates_rotate(lab):
    ca = certs.CA.there(lab.dir)
    kept = secure(lab, 443)
    old = kept.getpeercert()['serialNumber']
    ca.issue('new', ['DNS:nginx.test', 'DNS:py.test'])
    os.replace(f'{lab.dir}/new.key', f'{lab.dir}/server.key')
    os.replace(f'{lab.dir}/new.crt', f'{lab.dir}/server.crt')

    def changed():
        with secure(lab, 443) as s:
            return s.getpeercert()['serialNumber'] != old
    wait_for(changed, 'the new certificate', 15, 0.2)
    equal(ask(kept)[1], b'hello from nginx\n')
    kept.close()


@case
def a_new_revocation_list(lab):
    """Who was let in before, and even has a ticket, is refused once the list says so; not before."""
    ca = certs.CA.there(lab.dir)
    later, _ = ca.issue('later', ['URI:spiffe://mesh.example/later'])
    ctx = context(lab, 'later')
    with secure(lab, 8443, ctx=ctx) as s:
        ask(s)
        session = s.session
    with secure(lab, 8443, ctx=ctx, session=session) as s:
        ask(s)
        check(s.session_reused, 'the ticket was not taken')
        session = s.session
    ca.crl(f'{lab.dir}/ca.crl', [f'{lab.dir}/revoked.crt', later])

    def refused():
        try:
            with secure(lab, 8443, ctx=ctx, session=session) as s:
                ask(s)
                return False
        except ssl.SSLError as e:
            check('certificate revoked' in str(e), str(e))
            return True
    wait_for(refused, 'the new list', 15, 0.2)
    with secure(lab, 8443, cert='client') as s:
        equal(ask(s)[1], b'hello from nginx\n')


@case
def certs_are_shown(lab):
    certs_ = lab.json('/certs')['certificates']
    ours = [c for c in certs_ if c['kind'] == 'cert_chain' and c['path'].endswith('/server.crt')]
    check(ours and all({'dns': 'nginx.test'} in c['subject_alt_names'] for c in ours), str(certs_)[:500])
    check(any(c['kind'] == 'ca_cert' and c['path'].endswith('/ca.crt') for c in certs_), 'the CA')
    check(all(0 <= c['days_until_expiration'] <= 2 for c in ours), str(ours))
    client = [c for c in certs_ if c['path'].endswith('/client.crt')]
    equal(client[0]['spiffe_id'], 'spiffe://mesh.example/ns/a/sa/b')


@case
def reload_keeps_what_is_open(lab):
    kept = secure(lab, 443)
    ask(kept)
    lab.write_config(extra_listeners=lab.subst['extra_listeners'].replace('"l4tls"', '"renamed"'))
    lab.proc.send_signal(1)
    wait_for(lambda: 'reloaded' in lab.log_text(), 'the reload')
    equal(ask(kept)[1], b'hello from nginx\n')
    kept.close()
    with secure(lab, 443) as s:
        equal(ask(s)[1], b'hello from nginx\n')


def make_lab():
    vhosts = ', '.join(f'"{v}"' for v in VHOSTS)
    return Lab(before=make_certs, workers=1,
               extra_listeners=string.Template(LISTENERS).substitute(vhosts=vhosts),
               extra_vhosts=VHOST, extra_clusters=CLUSTERS,
               allowed=('tls_timeout', 'tls_no_certificate', 'tls_revoked', 'tls_expired', 'tls_unknown_ca', 'tls_truncated',
                        'tls_record', 'tls_wrong_name', 'tls_closed', 'tls_not_tls', 'tls_malformed',
                        'tls_bad_mac', 'tls_version', 'tls_cipher', 'tls_bad_proof', 'tls_peer_alert',
                        'tls_alert', 'tls_alpn', 'req_malformed', 'req_connect_failure',
                        'conn_reset_by_peer', 'conn_idle', 'req_downstream_gone'))


if __name__ == '__main__':
    main(make_lab)
