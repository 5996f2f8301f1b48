#!/usr/bin/python3
"""TLS 1.3 with other people's TLS: OpenSSL's and GnuTLS's programs, nginx and haproxy, as clients that show a
certificate and as origins that ask for one; every suite, both groups, both kinds of key."""
import hashlib
import json
import os
import re
import string
import subprocess
import threading

import certs
import netns
import tlspeer
from lab import GATE4, GATE6, ORIGIN4, VHOSTS, Lab
from origin import pattern
from tap import case, check, equal, main, wait_for
from wire import Client, request

SUITES = {'TLS_AES_128_GCM_SHA256': 'AES-128-GCM', 'TLS_AES_256_GCM_SHA384': 'AES-256-GCM',
          'TLS_CHACHA20_POLY1305_SHA256': 'CHACHA20-POLY1305'}
GROUPS = {'X25519': ('GROUP-X25519', 'X25519'), 'P-256': ('GROUP-SECP256R1', 'SECP256R1')}
SERVERS = {443: 'ECDSA', 445: 'RSA-PSS'}  # ports by the kind of the certificate's key
# What the peers that are configured once have: each suite, both groups, both kinds of key.
COMBOS = (('TLS_AES_128_GCM_SHA256', 'X25519', 'ec'), ('TLS_AES_256_GCM_SHA384', 'P-256', 'rsa'),
          ('TLS_CHACHA20_POLY1305_SHA256', 'P-256', 'ec'))
PROGRAMS = {'nginx': 7100, 'haproxy': 7200, 's_server': 7300, 'gnutls': 7400}  # ports of the origins, + combo
HELLO = 'GET /hello HTTP/1.1\r\nHost: nginx.test\r\nConnection: close\r\n\r\n'

LISTENERS = '''
  , { name = "ec"; address = "10.77.1.1:443"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificates: ( { certificate = "server.crt"; private_key = "server.key"; },
                             { certificate = "wild.crt"; private_key = "wild.key"; } ); }; }
  , { name = "ec6"; address = "[fd77:1::1]:443"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificate = "server.crt"; private_key = "server.key"; }; }
  , { name = "both"; address = "10.77.1.1:444"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificates: ( { certificate = "server.crt"; private_key = "server.key"; },
                             { certificate = "rsa.crt"; private_key = "rsa.key"; } ); }; }
  , { name = "rsa"; address = "10.77.1.1:445"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificate = "rsa.crt"; private_key = "rsa.key"; }; }
  , { name = "mtls"; address = "10.77.1.1:8443"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "ca.crt";
             require_client_certificate = true; };
      forward_client_cert_details = "sanitize_set"; set_current_client_cert_details: { uri = true; }; }
  , { name = "mtls6"; address = "[fd77:1::1]:8443"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificate = "rsa.crt"; private_key = "rsa.key"; client_ca = "ca.crt";
             require_client_certificate = true; };
      forward_client_cert_details = "sanitize_set"; set_current_client_cert_details: { uri = true; }; }
  , { name = "up"; address = "10.77.1.1:8081"; protocol = "http"; virtual_hosts = ["up"]; }
  , { name = "l4up"; address = "10.77.1.1:8082"; protocol = "tcp"; cluster = "l4"; }
'''
ROUTE = '{{ match: {{ prefix = "/{0}/"; }}; route: {{ cluster = "{0}"; timeout = "0s"; }}; }}'
CLUSTER = '''
  , {{ name = "{0}"; idle_timeout = "300ms"; connect_timeout = "30s"; endpoints: ( {{ address = "{1}:{2}"; }} );
      tls: {{ ca = "ca.crt"; sni = "origin.test"; certificate = "{3}.crt"; private_key = "{3}.key";
             alpn_protocols = ["http/1.1"]; }}; }}
'''

NGINX_ORIGIN = '''
  server {{
    listen {port} ssl; listen [::]:{port} ssl; ssl_protocols TLSv1.3; ssl_ecdh_curve {group};
    ssl_conf_command Ciphersuites {suite}; ssl_certificate {dir}/{cert}.crt; ssl_certificate_key {dir}/{cert}.key;
    ssl_client_certificate {dir}/ca.crt; ssl_verify_client on; ssl_session_tickets on;
    location / {{ return 200 "$ssl_cipher $ssl_curve $ssl_client_s_dn $ssl_server_name $ssl_alpn_protocol \
$ssl_session_reused\\n"; }}
  }}
'''
NGINX_CLIENT = '''
  map $http_x_close $end{n} {{ default ""; yes close; }}
  upstream u{n} {{ server {to}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass https://u{n}; proxy_http_version 1.1; proxy_set_header Connection $end{n}; proxy_set_header Host $http_host;
      proxy_ssl_protocols TLSv1.3; proxy_ssl_certificate {dir}/{cert}.crt; proxy_ssl_certificate_key {dir}/{cert}.key;
      proxy_ssl_conf_command Ciphersuites {suite}; proxy_ssl_conf_command Groups {group};
      proxy_ssl_trusted_certificate {dir}/ca.crt; proxy_ssl_verify on; proxy_ssl_name nginx.test;
      proxy_ssl_server_name on; client_max_body_size 0;
    }}
  }}
'''
NGINX = '''
worker_processes 1; daemon off; pid {dir}/{name}.pid; error_log {dir}/{name}.log warn; user root;
events {{ worker_connections 1000; }}
http {{
  access_log off; client_body_temp_path {dir}/{name}1; proxy_temp_path {dir}/{name}2;
  fastcgi_temp_path {dir}/{name}3; uwsgi_temp_path {dir}/{name}4; scgi_temp_path {dir}/{name}5;
  {servers}
}}
'''
HAPROXY = '''
global
  stats timeout 5s
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 30s
{servers}
'''
HAPROXY_ORIGIN = '''
frontend o{n}
  bind :::{port} v4v6 ssl crt {dir}/{cert}.pem ca-file {dir}/ca.crt verify required ssl-min-ver TLSv1.3 \
ciphersuites {suite} curves {group} alpn http/1.1
  http-request return status 200 content-type text/plain lf-string "%[ssl_fc_cipher] {group} %[ssl_c_s_dn] \
%[ssl_fc_sni] %[ssl_fc_alpn] %[ssl_fc_is_resumed,iif(r,.)]\\n"
'''
HAPROXY_CLIENT = '''
frontend f{n}
  bind 127.0.0.1:{port}
  default_backend b{n}
backend b{n}
  http-request set-header connection close if {{ req.hdr(x-close) yes }}
  server s {to} ssl crt {dir}/{cert}.pem ca-file {dir}/ca.crt verify required verifyhost nginx.test sni str(nginx.test) \
ciphersuites {suite} force-tlsv13 alpn http/1.1
'''


def pem(lab, name):
    with open(f'{lab.dir}/{name}.pem', 'w', encoding='ascii') as out:
        for x in ('crt', 'key'):
            with open(f'{lab.dir}/{name}.{x}', encoding='ascii') as f:
                out.write(f.read())


def combo(lab, n, certs_of, **more):
    suite, group, key = COMBOS[n]
    return {'n': n, 'dir': lab.dir, 'suite': suite, 'group': group, 'cert': certs_of[key], **more}


def write(lab, name, text):
    path = f'{lab.dir}/{name}.conf'
    with open(path, 'w', encoding='ascii') as f:
        f.write(text)
    return path


def start_nginx(lab, ns, name, port, servers):
    conf = write(lab, name, NGINX.format(dir=lab.dir, name=name, servers=servers))
    tlspeer.start(lab, ns, ['nginx', '-c', conf, '-p', lab.dir], port, f'{name}.out')


def start_haproxy(lab, ns, name, port, servers):
    conf = write(lab, name, HAPROXY.format(servers=servers))
    tlspeer.start(lab, ns, ['haproxy', '-db', '-f', conf], port, f'{name}.out')


def gnutls_priority(suite, group):
    return (f'NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+{SUITES[suite]}:-GROUP-ALL:+{GROUPS[group][0]}')


def start_origins(lab):
    mine = {'ec': 'origin', 'rsa': 'origin-rsa'}
    for name, text, start in (('nginx', NGINX_ORIGIN, start_nginx), ('haproxy', HAPROXY_ORIGIN, start_haproxy)):
        start(lab, lab.origin, f'{name}-origin', PROGRAMS[name], ''.join(
            text.format(**combo(lab, n, mine, port=PROGRAMS[name] + n)) for n in range(3)))
    for n in range(3):
        c = combo(lab, n, mine)
        port = PROGRAMS['s_server'] + n
        tlspeer.start(lab, lab.origin, [
            'openssl', 's_server', '-accept', port, '-cert', f'{lab.dir}/{c["cert"]}.crt', '-key',
            f'{lab.dir}/{c["cert"]}.key', '-CAfile', f'{lab.dir}/ca.crt', '-Verify', '4', '-verify_return_error',
            '-tls1_3', '-ciphersuites', c['suite'], '-groups', c['group'], '-alpn', 'http/1.1', '-www', '-quiet'],
            port, f's_server{n}.log')
        port = PROGRAMS['gnutls'] + n
        tlspeer.start(lab, lab.origin, [
            'gnutls-serv', '--http', '-p', port, '--x509certfile', f'{lab.dir}/{c["cert"]}.crt', '--x509keyfile',
            f'{lab.dir}/{c["cert"]}.key', '--x509cafile', f'{lab.dir}/ca.crt', '--require-client-cert',
            '--verify-client-cert', '--priority', gnutls_priority(c['suite'], c['group'])], port, f'gnutls{n}.log')


def make_certs(lab):
    ca = certs.CA(lab.dir)
    names = ['DNS:nginx.test', 'DNS:py.test']
    ca.issue('server', names)
    ca.issue('rsa', names, key='rsa')
    ca.issue('wild', ['DNS:*.wild.test'])
    ca.sub('middle').issue('origin', ['DNS:origin.test'])
    ca.issue('origin-rsa', ['DNS:origin.test'], key='rsa')
    ca.issue('client', ['URI:spiffe://mesh.example/client'])
    ca.issue('client-rsa', ['URI:spiffe://mesh.example/client'], key='rsa')
    for name in ('origin', 'origin-rsa', 'client', 'client-rsa'):
        pem(lab, name)
    start_origins(lab)


# --- clients -------------------------------------------------------------------------------------

def talk(lab, argv, text, ns=None):
    """Runs a client that is given text and not the end of it, since some take that for the end of all; it ends
    when Tidegate closes. All that it printed."""
    p = netns.popen(ns or lab.client, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    timer = threading.Timer(30, p.kill)
    timer.start()
    try:
        p.stdin.write(text.encode())
        p.stdin.flush()
        return p.stdout.read().decode(errors='replace')
    finally:
        timer.cancel()
        p.kill()
        p.wait()


def s_client(lab, port, *more, addr=GATE4, name='nginx.test', text=HELLO):
    to = f'[{addr}]:{port}' if ':' in addr else f'{addr}:{port}'
    return talk(lab, ['openssl', 's_client', '-connect', to, '-servername', name, '-verify_hostname', name, '-CAfile',
                      f'{lab.dir}/ca.crt', '-verify_return_error', '-verify', '5', '-tls1_3', '-ign_eof', *more], text)


def has(out, *patterns):
    for p in patterns:
        check(re.search(p, out), f'no {p} in\n{out[-3000:]}')


ANSWERED = r'HTTP/1\.1 200 OK[\s\S]*\r\n\r\nhello from nginx\n'


@case
def s_client_in_every_combination(lab):
    for port, kind in SERVERS.items():
        for suite in SUITES:
            for group, temp in (('X25519', 'X25519, 253 bits'), ('P-256', 'ECDH, prime256v1, 256 bits')):
                out = s_client(lab, port, '-ciphersuites', suite, '-groups', group, '-alpn', 'h2,http/1.1')
                has(out, f'New, TLSv1.3, Cipher is {suite}', f'Server Temp Key: {temp}', f'Peer signature type: {kind}',
                    'ALPN protocol: http/1.1', 'Verify return code: 0', ANSWERED)


@case
def s_client_is_asked_for_another_group(lab):
    """HelloRetryRequest: its key share is of a group that is not ours."""
    for groups, temp in (('P-384:P-256', 'prime256v1'), ('X448:X25519', 'X25519')):
        out = s_client(lab, 443, '-groups', groups, '-msg')
        has(out, f'Server Temp Key: .*{temp}', 'hello from nginx')
        equal(len(re.findall(r'<<< TLS 1\.3, Handshake.*ServerHello', out)), 2, f'{groups}: ServerHello messages')
        equal(len(re.findall(r'>>> TLS 1\.3, Handshake.*ClientHello', out)), 2, f'{groups}: ClientHello messages')
    out = s_client(lab, 443, '-groups', 'P-384')
    has(out, 'alert handshake failure')


@case
def gnutls_cli_in_every_combination(lab):
    for port, kind in SERVERS.items():
        for suite, cipher in SUITES.items():
            for group in GROUPS:
                out = talk(lab, ['gnutls-cli', '-p', port, '--x509cafile', f'{lab.dir}/ca.crt', '--sni-hostname',
                                 'nginx.test', '--verify-hostname', 'nginx.test', '--alpn', 'http/1.1', '--priority',
                                 gnutls_priority(suite, group), GATE4], HELLO)
                has(out, rf'Description: \(TLS1\.3(-X\.509)?\)-\(ECDHE-{GROUPS[group][1]}\)-\({kind[:3]}.*\)-\({cipher}\)',
                    'Application protocol: http/1.1', 'The certificate is trusted', ANSWERED.replace('\\r', '\\r?'))


@case
def the_key_that_a_client_can_verify(lab):
    """One name, two certificates: chosen by the client's signature algorithms."""
    for algs, kind in (('rsa_pss_rsae_sha256', 'RSA-PSS'), ('ecdsa_secp256r1_sha256', 'ECDSA')):
        has(s_client(lab, 444, '-sigalgs', algs), f'Peer signature type: {kind}', ANSWERED)


@case
def names_exact_and_wildcard(lab):
    out = s_client(lab, 443, name='a.wild.test', text=HELLO.replace('nginx.test', 'x.nginx.test'))
    has(out, r'subject=CN = wild', 'Verify return code: 0', ANSWERED)
    has(s_client(lab, 443, name='a.b.wild.test'), 'Verify return code: 62', r'[Hh]ostname mismatch')
    has(s_client(lab, 443, name='NGINX.test'), 'subject=CN = server')


@case
def clients_with_certificates(lab):
    """Each over IPv4 and IPv6; the origin is told who it was."""
    ask = 'GET /see HTTP/1.1\r\nHost: py.test\r\nConnection: close\r\n\r\n'
    for addr in (GATE4, GATE6):
        host = f'[{addr}]' if ':' in addr else addr
        for cert in ('client', 'client-rsa'):
            pair = (f'{lab.dir}/{cert}.crt', f'{lab.dir}/{cert}.key')
            outs = [s_client(lab, 8443, '-cert', pair[0], '-key', pair[1], addr=addr, name='py.test', text=ask),
                    talk(lab, ['gnutls-cli', '-p', '8443', '--x509cafile', f'{lab.dir}/ca.crt', '--sni-hostname', 'py.test',
                               '--verify-hostname', 'py.test', '--x509certfile', pair[0], '--x509keyfile', pair[1],
                               addr], ask),
                    lab.in_client(['curl', '-sS', '-g', '--cacert', f'{lab.dir}/ca.crt', '--cert', pair[0], '--key', pair[1],
                                   '--resolve', f'py.test:8443:{host}', 'https://py.test:8443/see']).stdout]
            for out in outs:
                has(out, 'x-forwarded-client-cert.*URI=spiffe://mesh.example/client')


@case
def tickets(lab):
    """OpenSSL's and GnuTLS's clients resume, also after a reload."""
    ticket = f'{lab.dir}/ticket'
    for kind in (443, 445):
        has(s_client(lab, kind, '-sess_out', ticket), 'New, TLSv1.3')
        before = lab.stat('server.tls_resumed')
        has(s_client(lab, kind, '-sess_in', ticket, '-sess_out', ticket), 'Reused, TLSv1.3', ANSWERED)
        equal(lab.reload(web='idle_timeout = "1800s";' if kind == 443 else ''), 'applied')
        has(s_client(lab, kind, '-sess_in', ticket), 'Reused, TLSv1.3', ANSWERED)
        equal(lab.stat('server.tls_resumed'), before + 2, 'counted')
    before = lab.stat('server.tls_resumed')
    out = talk(lab, ['gnutls-cli', '-p', '443', '--x509cafile', f'{lab.dir}/ca.crt', '--sni-hostname', 'nginx.test',
                     '--verify-hostname', 'nginx.test', '--resume', '--waitresumption', GATE4], HELLO)
    has(out, 'This is a resumed session', ANSWERED.replace('\\r', '\\r?'))
    equal(lab.stat('server.tls_resumed'), before + 1, 'by gnutls-cli')


class Talk:
    """A program that is spoken to; what it prints is waited for."""

    def __init__(self, ns, argv):
        self.p = netns.popen(ns, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        self.out = b''
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while b := self.p.stdout.read(65536):
            self.out += b

    def say(self, text):
        self.p.stdin.write(text)

    def hears(self, pattern, n=1):
        wait_for(lambda: len(re.findall(pattern, self.out)) >= n, lambda: f'{n} of {pattern} in {self.out[-2000:]}', 15)

    def end(self):
        self.p.kill()
        self.p.wait()


@case
def keys_are_updated_by_s_client(lab):
    """K asks us to update ours too; requests in between are answered."""
    t = Talk(lab.client, ['openssl', 's_client', '-connect', f'{GATE4}:443', '-servername', 'nginx.test', '-CAfile',
                          f'{lab.dir}/ca.crt', '-tls1_3'])
    before = lab.stat('server.tls_key_updates')
    t.hears(b'Verify return code: 0')
    for i, key in enumerate((b'K', b'k', b'k', b'K', b'K')):
        t.say(key + b'\n')
        t.hears(b'KEYUPDATE', i + 1)
        t.say(HELLO.replace('Connection: close\r\n', '').encode())
        t.hears(b'hello from nginx', i + 1)
    t.end()
    equal(lab.stat('server.tls_key_updates'), before + 5, 'KeyUpdates')


# --- proxies in front of Tidegate ----------------------------------------------------------------

@case
def nginx_and_haproxy_as_clients(lab):
    mine = {'ec': 'client', 'rsa': 'client-rsa'}
    for name, text, start, base in (('nginx', NGINX_CLIENT, start_nginx, 7500), ('haproxy', HAPROXY_CLIENT, start_haproxy, 7600)):
        servers = ''.join(text.format(**combo(lab, n, mine, port=base + n, to=f'{GATE4}:8443')) for n in range(3))
        servers += text.format(**combo(lab, 0, mine, port=base + 3, to=f'[{GATE6}]:8443') | {'n': 3})
        start(lab, lab.client, f'{name}-client', base, servers)
        for n in range(4):
            before, resumed = lab.stat('server.tls_handshakes'), lab.stat('server.tls_resumed')
            with Client(tlspeer.connect(lab.client, ('127.0.0.1', base + n), 60)) as c:
                for _ in range(5):
                    r = c.ask(request('GET', '/see', 'py.test'))
                    equal(r.status, 200, f'{name} {n}')
                    seen = {k.lower(): v for k, v in json.loads(r.body)['fields']}
                    has(seen['x-forwarded-client-cert'], 'URI=spiffe://mesh.example/client')
                data = os.urandom(3_000_000)
                r = json.loads(c.ask(request('POST', '/see', 'py.test', data)).body)
                equal((r['length'], r['sha256']), (len(data), hashlib.sha256(data).hexdigest()), f'{name} {n}: up')
                check(c.ask(request('GET', f'/bytes/{len(data)}', 'py.test')).body == pattern(len(data)), f'{name}: down')
                for _ in range(4):  # its connection to us ends each time
                    equal(c.ask(request('GET', '/see?close', 'py.test', fields=[('X-Close', 'yes')])).status, 200)
            check(lab.stat('server.tls_handshakes') > before, f'{name} {n}: no handshake')
            check(lab.stat('server.tls_resumed') >= resumed + 2, f'{name} {n}: {lab.stat("server.tls_resumed") - resumed} '
                  'connections resumed')


# --- origins -------------------------------------------------------------------------------------

def ask_origin(lab, cluster, path=''):
    with Client(lab.connect((GATE4, 8081), 30)) as c:
        return c.ask(request('GET', f'/{cluster}/{path}', 'up.test'))


@case
def origins_of_every_kind(lab):
    """mTLS towards each program; the second connection is resumed by the first one's ticket."""
    for name in PROGRAMS:
        for n, (suite, group, key) in enumerate(COMBOS):
            cluster = f'{name}{n}'
            before = lab.stat('server.tls_resumed')
            bodies = []
            for _ in range(2):
                r = ask_origin(lab, cluster)
                equal(r.status, 200, cluster)
                bodies.append(r.body.decode(errors='replace'))
                wait_for(lambda c=cluster: lab.stat(f'cluster.{c}.upstream_cx_active') == 0, f'{cluster}: pool empty')
            dn = f'CN=client{"-rsa" if key == "rsa" else ""}'
            if name in ('nginx', 'haproxy'):
                curve = {'X25519': 'X25519', 'P-256': '(prime256v1|P-256)'}[group]
                for body, reused in zip(bodies, ('.', 'r')):
                    has(body, rf'^{suite} {curve} /?{dn} origin\.test http/1\.1 {reused}$')
            elif name == 's_server':
                has(bodies[0], f'New, TLSv1.3, Cipher is {suite}')
                has(bodies[1], f'Reused, TLSv1.3, Cipher is {suite}')
            else:
                has(bodies[0], SUITES[suite])
            equal(lab.stat('server.tls_resumed'), before + 1, f'{cluster}: resumed')


@case
def an_origin_over_ipv6(lab):
    r = ask_origin(lab, 'six')
    has(r.body.decode(), r'^TLS_AES_128_GCM_SHA256 X25519 CN=client origin\.test')


@case
def keys_are_updated_by_s_server(lab):
    """An L4 connection to it: K and k in one direction, bytes in both."""
    s = Talk(lab.origin, ['openssl', 's_server', '-accept', '7700', '-cert', f'{lab.dir}/origin.crt', '-key',
                          f'{lab.dir}/origin.key', '-tls1_3'])
    lab.procs.append(s.p)
    s.hears(b'ACCEPT')
    before = lab.stat('server.tls_key_updates')
    with Client(lab.connect((GATE4, 8082), 20)) as c:
        c.send(b'first\n')
        s.hears(b'first')
        for i, key in enumerate((b'K', b'k', b'K')):
            s.say(key + b'\n')
            wait_for(lambda n=i: lab.stat('server.tls_key_updates') == before + n + 1, 'the KeyUpdate')
            c.send(b'up%d\n' % i)
            s.hears(b'up%d' % i)
            s.say(b'down%d\n' % i)
            equal(c.exactly(6), b'down%d\n' % i)
    s.end()


def make_lab():
    vhosts = ', '.join(f'"{v}"' for v in VHOSTS)
    clusters = [(f'{p}{n}', ORIGIN4, base + n, 'client' if COMBOS[n][2] == 'ec' else 'client-rsa')
                for p, base in PROGRAMS.items() for n in range(3)]
    clusters += [('six', '[fd77:2::2]', PROGRAMS['nginx'], 'client'), ('l4', ORIGIN4, 7700, 'client')]
    routes = ', '.join(ROUTE.format(c[0]) for c in clusters[:-1])
    return Lab(before=make_certs, extra_listeners=string.Template(LISTENERS).substitute(vhosts=vhosts),
               extra_vhosts=f', {{ name = "up"; domains = ["*"]; routes: ( {routes} ); }}',
               extra_clusters=''.join(CLUSTER.format(*c) for c in clusters),
               allowed={'tls_truncated', 'tls_cipher', 'tls_closed', 'conn_idle', 'conn_reset_by_peer', 'tls_peer_alert',
                        'tls_alert', 'tcp_rst_blind', 'tcp_after_close', 'req_downstream_gone', 'conn_linger'})


if __name__ == '__main__':
    main(make_lab)
