#!/usr/bin/python3
"""SVIDs and bundles from a real gRPC server of the SPIFFE Workload API: taken into use, rotated, withdrawn."""
import base64
import os
import shutil
import ssl
import string
import subprocess
import time

import certs
import netns
from lab import GATE4, VHOSTS, Lab
from tap import case, check, equal, main, wait_for
from tlsload import Load, ask, becomes, handshake, shown
from workload import BUNDLES, SVIDS, Agent, Domain, b64, der

LISTENERS = """
  , { name = "mesh"; address = "10.77.1.1:443"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { workload_api = true; require_client_certificate = true; session_tickets = false; }; }
  , { name = "hint"; address = "10.77.1.1:444"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { workload_api = true; svid = "internal"; }; }
  , { name = "edge"; address = "10.77.1.1:445"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { workload_api = true; certificate = "web.crt"; private_key = "web.key";
             require_client_certificate = true; }; }
  , { name = "up"; address = "10.77.1.1:8081"; protocol = "http"; virtual_hosts = ["up"]; }
"""
VHOST = """
  , { name = "up"; domains = ["*"]; routes: ( { match: { prefix = "/"; }; route: { cluster = "secure"; }; } ); }
"""
CLUSTERS = """
  , { name = "secure"; idle_timeout = "1s"; endpoints: ( { address = "10.77.2.2:8443"; } );
      tls: { workload_api = true; match_spiffe_ids = ["spiffe://mesh.example/origin"]; }; }
"""
NGINX = """
worker_processes 1; daemon off; pid $dir/tls-nginx.pid; error_log $dir/tls-nginx.log warn; user root;
events { worker_connections 1000; }
http {
  access_log off; client_body_temp_path $dir/s1; proxy_temp_path $dir/s2; fastcgi_temp_path $dir/s3;
  uwsgi_temp_path $dir/s4; scgi_temp_path $dir/s5;
  server {
    listen 8443 ssl; ssl_protocols TLSv1.3; ssl_certificate $dir/origin.crt; ssl_certificate_key $dir/origin.key;
    ssl_client_certificate $dir/ca.crt; ssl_verify_client on;
    location / { return 200 "$$ssl_client_serial\\n"; }
  }
}
"""


def before(lab):
    lab.mesh = Domain(lab.dir, 'mesh.example', 'ca')
    lab.partner = Domain(lab.dir, 'partner.example', 'partner')
    lab.mesh.issue('/client', 'client')
    lab.mesh.issue('/origin', 'origin')
    lab.partner.issue('/guest', 'guest')
    certs.CA(lab.dir, 'webca', 'Web CA').issue('web', ['DNS:nginx.test'])
    conf = f'{lab.dir}/tls-nginx.conf'
    with open(conf, 'w', encoding='ascii') as f:
        f.write(string.Template(NGINX).substitute(dir=lab.dir))
    lab.procs.append(netns.popen(lab.origin, [shutil.which('nginx') or '/usr/sbin/nginx', '-c', conf, '-p', lab.dir],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    lab.agent = Agent(lab)


def serve(lab, **more):
    """A new SVID from now on; returns its DER."""
    svid, crt = lab.mesh.svid('/gate')
    lab.agent.say(SVIDS, svids=[svid], **more)
    return crt


def refused(lab, port, alert, cert='client'):
    try:
        with handshake(lab, port, cert) as s:
            ask(s)
        return False
    except ssl.SSLError as e:
        check(alert in str(e), f'{alert}: {e}')
        return True
    except AssertionError as e:
        check(str(e).startswith('closed after'), str(e))
        return False
    except OSError:
        return alert == ''


def unusable(lab, port, cert='client'):
    """A handshake is not even begun: there is no certificate."""
    try:
        handshake(lab, port, cert).close()
    except OSError:
        return True
    return False


def logged(lab, text, n=1):
    wait_for(lambda: lab.log_text().count(text) >= n, f'the log to say {text!r} {n} times', 30)


def serial(crt):
    return subprocess.run(['openssl', 'x509', '-inform', 'DER', '-noout', '-serial'], input=crt, capture_output=True,
                          check=True).stdout.decode().strip().removeprefix('serial=')


@case
def without_an_agent_nobody_is_let_in(lab):
    check(unusable(lab, 443), 'a handshake without an SVID')
    with lab.connect((GATE4, 8081)) as s:
        s.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        check(s.recv(100).startswith(b'HTTP/1.1 503'), 'no SVID for the origin')
    check(lab.drops()[1]['tls_not_loaded'] >= 1, 'counted')
    equal(lab.get('/ready'), (503, 'INITIALIZING\nlistener mesh waits for the Workload API: an SVID\n'
                              'listener hint waits for the Workload API: the SVID internal\n'
                              'listener edge waits for the Workload API: bundles\n'))
    equal((lab.stat('server.live'), lab.stat('server.state')), (0, 3))
    logged(lab, 'Workload API: cannot connect')
    equal(lab.stat('workload_api.connected'), 0)


@case
def the_agent_comes(lab):
    """Also: the marker that the standard wants, and nothing about the key in the log."""
    lab.agent.start()
    crt = serve(lab)
    meta = lab.agent.wait('call', SVIDS)['metadata']
    equal(meta['workload.spiffe.io'], 'true', str(meta))
    lab.agent.wait('call', BUNDLES)
    wait_for(lambda: not unusable(lab, 443), 'the SVID', 30)
    equal(shown(lab, 443, 'client'), crt)
    p = netns.run(lab.client, ['curl', '-sS', '-m', '20', '--cacert', f'{lab.dir}/ca.crt', '--cert',
                               f'{lab.dir}/client.crt', '--key', f'{lab.dir}/client.key', '--resolve',
                               f'nginx.test:443:{GATE4}', 'https://nginx.test/hello'], check=False)
    equal((p.returncode, p.stdout), (0, 'hello from nginx\n'), p.stderr)
    check('PRIVATE' not in lab.log_text(), 'a key in the log')
    logged(lab, 'the first spiffe://mesh.example/gate')


@case
def svids_are_shown(lab):
    shown_ = lab.json('/certs')['certificates']
    own = [c for c in shown_ if c['spiffe_id'] == 'spiffe://mesh.example/gate' and c['kind'] == 'cert_chain']
    check(own and own[0]['path'] == '' and own[0]['days_until_expiration'] == 0, str(shown_))
    stats = lab.stats()
    end = stats['certificate.spiffe_//mesh.example/gate.expiration_unix_time_seconds']
    check(0 < end - time.time() <= 3600, f'{end}: an SVID of one hour')
    equal(stats['server.days_until_first_cert_expiring'], 0)
    check(f'expiration_unix_time_seconds{{certificate="spiffe://mesh.example/gate"}} {end}' in
          lab.get('/stats/prometheus')[1], 'in Prometheus')
    name = 'ssl.certificate.spiffe_//mesh.example/gate.expiration_unix_time_seconds'
    equal((stats[f'listener.mesh.{name}'], stats[f'cluster.secure.{name}']), (end, end), "Envoy's")
    labels = 'envoy_{0}="{1}",envoy_tls_certificate="spiffe://mesh.example/gate"'
    for who in ('listener', 'listener_address', 'mesh'), ('cluster', 'cluster_name', 'secure'):
        check(f'envoy_{who[0]}_ssl_certificate_expiration_unix_time_seconds{{{labels.format(*who[1:])}}} {end}\n' in
              lab.get('/stats/prometheus')[1], f'{who[0]} in Prometheus')
    check(any(c['kind'] == 'ca_cert' and c['spiffe_id'] == 'spiffe://mesh.example' for c in shown_), str(shown_))


@case
def rotation_under_load(lab):
    with Load(lab, 443, 'client') as load:
        for _ in range(5):
            before_ = lab.stat('tls.rotations')
            becomes(lab, 443, serve(lab), load, 'client')
            check(lab.stat('tls.rotations') > before_, 'counted')


@case
def the_same_again_changes_nothing(lab):
    svid, crt = lab.mesh.svid('/gate')
    lab.agent.say(SVIDS, svids=[svid])
    becomes(lab, 443, crt, None, 'client')
    n, updates = lab.stat('tls.rotations'), lab.stat('workload_api.updates')
    lab.agent.say(SVIDS, svids=[svid])
    wait_for(lambda: lab.stat('workload_api.updates') > updates, 'the response')
    equal(lab.stat('tls.rotations'), n)


@case
def origins_see_the_svid(lab):
    def seen():
        with lab.connect((GATE4, 8081)) as s:
            s.sendall(b'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
            got = b''
            while b := s.recv(4096):
                got += b
            return got.partition(b'\r\n\r\n')[2].strip().decode()
    for _ in range(2):  # a connection to the origin that is open stays; an idle one ends within a second
        want = serial(serve(lab))
        wait_for(lambda: seen() == want, 'the origin to see the new SVID', 30, 1.5)  # pylint: disable=cell-var-from-loop


@case
def one_of_several_by_its_hint(lab):
    first, crt = lab.mesh.svid('/gate')
    second, internal = lab.mesh.svid('/inside', hint='internal')
    check(unusable(lab, 444), 'no SVID with that hint yet')
    logged(lab, 'gives us no SVID "internal"')
    lab.agent.say(SVIDS, svids=[first, second])
    wait_for(lambda: not unusable(lab, 444), 'the SVID with that hint', 30, 0.05)
    equal(shown(lab, 444), internal)
    equal(lab.get('/ready'), (503, 'INITIALIZING\nlistener edge waits for the Workload API: bundles\n'))
    equal(shown(lab, 443, 'client'), crt)
    # Withdrawn alone: the other goes on.
    lab.agent.say(SVIDS, svids=[first])
    wait_for(lambda: unusable(lab, 444), 'the SVID to be withdrawn', 30, 0.05)
    equal(shown(lab, 443, 'client'), crt)


@case
def federation_comes_and_goes(lab):
    check(refused(lab, 443, 'unknown ca', 'guest'), 'a stranger')
    serve(lab, federated_bundles={'spiffe://partner.example': b64(lab.partner.bundle())})
    wait_for(lambda: not refused(lab, 443, 'unknown ca', 'guest'), 'the partner to be let in', 30, 0.05)
    kept = handshake(lab, 443, 'guest')
    ask(kept)
    # A federated CA speaks for its own trust domain only.
    lab.partner.ca.issue('liar', ['URI:spiffe://mesh.example/client'])
    check(refused(lab, 443, 'unknown ca', 'liar'), 'an SVID of ours by the partner')
    before_ = lab.stat('drop.tls_trust_domain')
    serve(lab)
    wait_for(lambda: refused(lab, 443, 'unknown ca', 'guest'), 'the partner to be refused', 30, 0.05)
    check(lab.stat('drop.tls_trust_domain') > before_, 'counted')
    logged(lab, 'spiffe://partner.example/guest): its trust domain has no bundle here')
    ask(kept)
    kept.close()


@case
def a_ca_is_replaced(lab):
    """First both CAs, then only the new one: whom the old one signed is refused, open connections stay."""
    old = lab.mesh.ca
    new = certs.CA(lab.dir, 'ca2', 'New CA')
    svid, crt = lab.mesh.svid('/gate')
    kept = handshake(lab, 443, 'client')
    ask(kept)
    new.issue('client2', ['URI:spiffe://mesh.example/client'])
    check(refused(lab, 443, 'unknown ca', 'client2'), 'not known yet')
    svid['bundle'] = b64(der(old.path) + der(new.path))
    lab.agent.say(SVIDS, svids=[svid])
    wait_for(lambda: not refused(lab, 443, 'unknown ca', 'client2'), 'the new CA', 30, 0.05)
    equal(shown(lab, 443, 'client'), crt)
    svid['bundle'] = b64(der(new.path))
    lab.agent.say(SVIDS, svids=[svid])
    wait_for(lambda: refused(lab, 443, 'unknown ca', 'client'), 'the old CA to be refused', 30, 0.05)
    check(not refused(lab, 443, '', 'client2'), 'whom the new CA signed')
    ask(kept)
    kept.close()
    serve(lab)
    wait_for(lambda: not refused(lab, 443, 'unknown ca', 'client'), 'all as before', 30, 0.05)


@case
def revocation_lists(lab):
    crl = f'{lab.dir}/mesh.crl'
    lab.mesh.issue('/gone', 'gone')
    check(not refused(lab, 443, '', 'gone'), 'not revoked yet')
    lab.mesh.ca.crl(crl, [f'{lab.dir}/gone.crt'])
    data = subprocess.run(['openssl', 'crl', '-in', crl, '-outform', 'DER'], capture_output=True, check=True).stdout
    # The partner publishes none, and is not touched.
    serve(lab, crl=[b64(data)], federated_bundles={'spiffe://partner.example': b64(lab.partner.bundle())})
    wait_for(lambda: refused(lab, 443, 'certificate revoked', 'gone'), 'the list', 30, 0.05)
    check(not refused(lab, 443, '', 'client') and not refused(lab, 443, '', 'guest'), 'the others')
    serve(lab)
    wait_for(lambda: not refused(lab, 443, 'certificate revoked', 'gone'), 'no list any more', 30, 0.05)


@case
def garbage_changes_nothing(lab):
    crt = serve(lab)
    becomes(lab, 443, crt, None, 'client')
    good, _ = lab.mesh.svid('/gate')
    other, _ = lab.mesh.svid('/gate')
    big = dict(good, bundle=b64(os.urandom(5 << 20)))
    with Load(lab, 443, 'client') as load:
        for say, fault in (
                (b'\xff\xff\xff\xff', 'cannot be decoded'),
                (b'\x0a\x80\x80\x80\x80\x08', 'cannot be decoded'),
                ([], 'no SVID in it'),
                ([dict(good, x509_svid_key='')], 'without x509_svid_key'),
                ([dict(good, bundle='')], 'without bundle'),
                ([dict(good, x509_svid=b64(b'not DER'))], 'certificate 1 cannot be read'),
                ([dict(good, x509_svid_key=b64(b'not DER'))], 'no private key in PKCS#8 form'),
                ([dict(good, x509_svid_key=other['x509_svid_key'])], 'the key does not belong to'),
                ([dict(good, spiffe_id='spiffe://mesh.example/other')], 'the certificate is for'),
                ([dict(good, spiffe_id='gate')], '"gate" is no SPIFFE ID'),
                ([big], 'longer than 4 MiB')):
            n = lab.stat('workload_api.updates_bad')
            if isinstance(say, bytes):
                lab.agent.raw(SVIDS, say)
            else:
                lab.agent.say(SVIDS, svids=say)
            wait_for(lambda: lab.stat('workload_api.updates_bad') > n, f'it to be counted: {fault}', 30)  # pylint: disable=cell-var-from-loop
            logged(lab, fault)
            equal(shown(lab, 443, 'client'), crt, fault)
            lab.agent.say(SVIDS, svids=[good])  # also shortens the next wait
            becomes(lab, 443, crt := der_of(good), load, 'client')


def der_of(svid):
    return base64.b64decode(svid['x509_svid'])


@case
def all_is_withdrawn(lab):
    kept = handshake(lab, 443, 'client')
    ask(kept)
    lab.agent.refuse(SVIDS, 7, 'no identity issued')
    wait_for(lambda: unusable(lab, 443), 'the SVID to be withdrawn', 30, 0.05)
    logged(lab, 'PERMISSION_DENIED: no identity issued')
    logged(lab, 'our SVIDs are withdrawn')
    ask(kept)
    check(not any(c['kind'] == 'cert_chain' and c['path'] == '' for c in lab.json('/certs')['certificates']), '/certs')
    crt = serve(lab)  # it is asked again by itself
    wait_for(lambda: not unusable(lab, 443), 'an SVID again', 30)
    equal(shown(lab, 443, 'client'), crt)
    ask(kept)
    kept.close()


@case
def the_agent_dies_and_comes_back(lab):
    crt = serve(lab)
    becomes(lab, 443, crt, None, 'client')
    with Load(lab, 443, 'client') as load:
        for _ in range(2):
            failures = lab.stat('workload_api.failures')
            lab.agent.kill()
            wait_for(lambda: lab.stat('workload_api.failures') > failures + 1, 'tries to connect')  # pylint: disable=cell-var-from-loop
            equal(shown(lab, 443, 'client'), crt, 'what was said last stays in use')
            lab.agent.start()
            crt = serve(lab)
            becomes(lab, 443, crt, load, 'client')
            lab.agent.say(BUNDLES, bundles={'spiffe://mesh.example': b64(lab.mesh.bundle())})


@case
def bundles_alone(lab):
    """An edge with a certificate of the web, for clients with SVIDs."""
    lab.agent.say(BUNDLES, bundles={'spiffe://mesh.example': b64(lab.mesh.bundle()),
                                    'spiffe://partner.example': b64(lab.partner.bundle())})

    def let_in(cert):
        c = ssl.create_default_context(cafile=f'{lab.dir}/webca.crt')
        c.load_cert_chain(f'{lab.dir}/{cert}.crt', f'{lab.dir}/{cert}.key')
        try:
            with c.wrap_socket(lab.connect((GATE4, 445)), server_hostname='nginx.test') as s:
                ask(s)
            return True
        except OSError:
            return False
    wait_for(lambda: let_in('guest'), 'the bundles', 30, 0.05)
    check(let_in('client'), 'a client of ours')
    check(f'listener.edge.ssl.certificate.{lab.dir}/web.crt.expiration_unix_time_seconds' in lab.stats(), 'a file')
    check('listener edge waits' not in lab.get('/ready')[1], 'ready')
    lab.agent.say(BUNDLES, bundles={'spiffe://mesh.example': b64(lab.mesh.bundle())})
    wait_for(lambda: not let_in('guest'), 'the bundle to be gone', 30, 0.05)
    check(let_in('client'), 'a client of ours')


@case
def what_must_not_be_asked_again(lab):
    """InvalidArgument: an error, no new call before a reload; what there is stays in use."""
    crt = shown(lab, 443, 'client')
    lab.agent.refuse(SVIDS, 3, 'security header missing')
    logged(lab, 'INVALID_ARGUMENT: security header missing: it is not asked again before a reload')
    equal(shown(lab, 443, 'client'), crt)
    crt = serve(lab)
    equal(lab.reload(), 'applied')
    becomes(lab, 443, crt, None, 'client')


def make_lab():
    vhosts = ', '.join(f'"{v}"' for v in VHOSTS)
    lab = Lab(before=before, ready=('INITIALIZING',), extra_listeners=string.Template(LISTENERS).substitute(vhosts=vhosts), extra_vhosts=VHOST,
              extra_clusters=CLUSTERS,
              allowed=('tls_not_loaded', 'tls_unknown_ca', 'tls_trust_domain', 'tls_revoked', 'tls_truncated',
                       'tls_closed', 'conn_reset_by_peer', 'req_downstream_gone', 'req_connect_failure',
                       'conn_idle', 'conn_aborted'))
    lab.subst['ports'] += f'); spiffe: {{ socket = "unix://{lab.dir}/agent.sock"; }}; ip_routes: ('
    return lab


if __name__ == '__main__':
    main(make_lab)
