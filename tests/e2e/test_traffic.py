#!/usr/bin/python3
"""Faults on purpose, from HTTP down to TCP, and limits, on two workers. Where chance decides, the bounds are six
standard deviations: a run in half a billion misses them."""
import json
import math
import re
import socket
import ssl
import struct
import time

import certs
from lab import GATE4, GATE6, Lab, Background, wait_for
from tap import case, check, equal, main, note
from wire import Client, Closed, request

ROUTES = '''
listeners: (
  { name = "web"; address = "10.77.1.1:80"; virtual_hosts = ["main"]; filters: (
      { name = "fault"; abort: { http_status = 503; }; headers: ( { name = "x-break"; present = true; } ); },
      { name = "fault"; id = "asked"; delay: { header_delay = true; }; abort: { header_abort = true; };
        response_rate_limit: { header_limit = true; }; } ); },
  { name = "limited"; address = "10.77.1.1:81"; virtual_hosts = ["limited"]; filters: (
      { name = "local_ratelimit"; token_bucket: { max_tokens = 200; fill_interval = "24h"; };
        enable_x_ratelimit_headers = "DRAFT_VERSION_03";
        response_headers_to_add: ( { name = "x-local-rate-limit"; value = "true"; } ); } ); },
  { name = "mesh"; address = "10.77.1.1:443"; virtual_hosts = ["limited"];
    tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "ca.crt"; };
    filters: ( { name = "local_ratelimit"; rate_limits: ( { actions: ( { spiffe_id: { }; } ); } );
                 descriptors: ( { entries: ( { key = "spiffe_id"; } );
                                  token_bucket: { max_tokens = 2; fill_interval = "24h"; }; } ); } ); },
  { name = "mesh2"; address = "10.77.1.1:444"; virtual_hosts = ["main"];
    request_headers_to_add: ( { header: { key = "x-sni"; value = "%REQUESTED_SERVER_NAME%"; }; } );
    tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "ca.crt"; }; },
  { name = "conns"; address = "10.77.1.1:82"; virtual_hosts = ["main"];
    connection_rate_limit: { token_bucket: { max_tokens = 5; fill_interval = "24h"; }; }; },
  { name = "conns4"; address = "10.77.1.1:9001"; protocol = "tcp"; cluster = "echo"; $clients },
  { name = "conns6"; address = "[fd77:1::1]:9001"; protocol = "tcp"; cluster = "echo"; $clients }
);
virtual_hosts: (
  { name = "main"; domains = ["*"]; routes: (
      { match: { path = "/status/200"; }; route: { cluster = "py"; };
        filters: ( { name = "fault"; disabled = true; } ); },
      { match: { prefix = "/echo"; }; route: { cluster = "py"; };
        filters: ( { name = "fault"; id = "half"; abort: { http_status = 500; percentage = 50; }; } ); },
      { match: { path = "/bytes/5"; }; route: { cluster = "py"; };
        filters: ( { name = "fault"; id = "slow"; delay: { fixed_delay = "400ms"; };
                     upstream_cluster = "py"; max_active_faults = 2; } ); },
      { match: { prefix = "/"; headers: ( { name = "x-net"; exact = "lossy"; } ); }; route: { cluster = "py"; };
        filters: ( { name = "fault"; id = "net"; transport: { loss = 10; duplicate = 10; reorder = 10; }; } ); },
      { match: { prefix = "/"; headers: ( { name = "x-net"; exact = "shut"; } ); }; route: { cluster = "py"; };
        filters: ( { name = "fault"; id = "net"; transport: { zero_window = "1s"; }; } ); },
      { match: { prefix = "/"; headers: ( { name = "x-net"; exact = "reset"; } ); }; route: { cluster = "py"; };
        filters: ( { name = "fault"; id = "net"; transport: { end = "RESET"; end_after = "1000B"; }; } ); },
      { match: { prefix = "/"; headers: ( { name = "x-net"; exact = "fin"; } ); }; route: { cluster = "py"; };
        filters: ( { name = "fault"; id = "net"; transport: { end = "FIN"; end_after = "1000B"; }; } ); },
      { match: { prefix = "/"; headers: ( { name = "x-net"; exact = "alert"; } ); }; route: { cluster = "py"; };
        filters: ( { name = "fault"; id = "net"; transport: { end = "TLS_ALERT"; end_after = "1000B"; tls_alert = 49; };
                     principals = ["spiffe://mesh.example/web"]; } ); },
      { match: { prefix = "/"; }; route: { cluster = "py"; }; } ); },
  { name = "limited"; domains = ["*"]; routes: (
      { match: { prefix = "/big"; }; route: { cluster = "py"; };
        filters: ( { name = "local_ratelimit"; token_bucket: { max_tokens = 2000; fill_interval = "24h"; }; },
                   { name = "fault"; abort: { http_status = 204; }; } ); },
      { match: { prefix = "/tenants"; }; route: { cluster = "py"; };
        filters: ( { name = "local_ratelimit"; max_dynamic_descriptors = 1000;
                     rate_limits: ( { actions: (
                       { request_headers: { header_name = "x-tenant"; descriptor_key = "tenant"; }; } ); } );
                     descriptors: ( { entries: ( { key = "tenant"; value = "gold"; } );
                                      token_bucket: { max_tokens = 20; fill_interval = "24h"; }; },
                                    { entries: ( { key = "tenant"; } );
                                      token_bucket: { max_tokens = 3; fill_interval = "24h"; }; } ); } ); },
      { match: { prefix = "/shadow"; }; route: { cluster = "py"; };
        filters: ( { name = "local_ratelimit"; token_bucket: { max_tokens = 1; fill_interval = "24h"; };
                     filter_enforced = 0; } ); },
      { match: { prefix = "/free"; }; route: { cluster = "py"; };
        filters: ( { name = "local_ratelimit"; disabled = true; } ); },
      { match: { prefix = "/"; }; route: { cluster = "py"; }; } ); }
);
clusters: ( { name = "py";
              circuit_breakers: { max_connections = 1000; max_pending_requests = 1000; max_requests = 1000; };
              endpoints: ( { address = "10.77.2.2:8081"; } ); },
            { name = "echo"; endpoints: ( { address = "10.77.2.2:9001"; } ); } );
'''
CLIENTS = '''connection_rate_limit: { per_client: { token_bucket: { max_tokens = 3; fill_interval = "24h"; };
                                           v4_prefix_mask_len = 24; }; };'''
LIMIT = 'http.limited.local_rate_limit.'
FAULT = 'http.web.fault.'


def fields(**f):
    return [(k.replace('_', '-'), str(v)) for k, v in f.items()]


def get(lab, path, **f):
    with Client(lab.connect()) as c:
        return c.ask(request('GET', path, 'x', fields=fields(**f)))


class Counted:
    """Statistics with a prefix, before and after."""

    def __init__(self, lab, prefix):
        self.lab, self.prefix = lab, prefix
        self.before = self.now()

    def now(self):
        found = {k[len(self.prefix):]: v for k, v in self.lab.stats().items() if k.startswith(self.prefix)}
        check(found, f'no statistics {self.prefix}*')
        return found

    def grew(self):
        return {k: v - self.before[k] for k, v in self.now().items() if v != self.before[k]}


def on_many(lab, clients, fn):
    """fn(connection, number) on so many connections at once; their results."""
    def run(i):
        with Client(lab.connect()) as c:
            return fn(c, i)
    return [t.result() for t in [Background(run, i) for i in range(clients)]]


@case
def fault_aborts_whom_it_concerns(lab):
    n, seen = Counted(lab, FAULT), len(lab.origin_do('requests'))
    r = get(lab, '/see?aborted', x_break=1)
    equal((r.status, r.body), (503, b'fault filter abort'))
    equal(len(lab.origin_do('requests')), seen)
    check(lab.wait_access('/see?aborted')[0].endswith(' 503 FI fault_filter_abort'), lab.wait_access('aborted'))
    equal(get(lab, '/see').status, 200)
    equal(get(lab, '/status/200', x_break=1).status, 200)  # its route takes the filter out
    equal(n.grew(), {'aborts_injected': 1})


@case
def fault_delays_then_aborts_as_asked(lab):
    n = Counted(lab, FAULT + 'asked.')
    start = time.monotonic()
    r = get(lab, '/see?asked', x_envoy_fault_delay_request=300, x_envoy_fault_abort_request=418)
    equal(r.status, 418)
    check(time.monotonic() - start >= 0.3, 'it was not delayed')
    check(lab.wait_access('/see?asked')[0].endswith(' 418 DI,FI fault_filter_abort'), lab.wait_access('asked'))
    r = get(lab, '/see', x_envoy_fault_abort_grpc_request=14)
    equal((r.status, r.get('grpc-status'), r.get('content-type'), r.body), (200, '14', 'application/grpc', b''))
    equal(get(lab, '/see', x_envoy_fault_abort_request=503, x_envoy_fault_abort_request_percentage=0).status, 200)
    equal(get(lab, '/see', x_envoy_fault_abort_request=99).status, 200)
    equal(n.grew(), {'delays_injected': 1, 'aborts_injected': 2})


@case
def fault_half_of_them(lab):
    """What clients see and what is counted is the same, and half."""
    clients, each = 8, 250
    n = Counted(lab, FAULT + 'half.')

    def run(c, _):
        return sum(c.ask(request('GET', '/echo', 'x')).status == 500 for _ in range(each))
    hit, total = sum(on_many(lab, clients, run)), clients * each
    note(f'{hit} of {total}')
    check(abs(hit - total / 2) < 6 * math.sqrt(total) / 2, f'{hit} of {total}')
    equal(n.grew(), {'aborts_injected': hit})


@case
def fault_at_most_two_at_a_time(lab):
    """Twelve at once on two workers: two wait, the others find the places taken."""
    n = Counted(lab, FAULT + 'slow.')
    got = on_many(lab, 12, lambda c, i: c.ask(request('GET', '/bytes/5', 'x')).status)
    equal(got, [200] * 12)
    grew = n.grew()
    equal(grew['delays_injected'] + grew['faults_overflow'], 12)
    check(grew['delays_injected'] >= 2, grew)
    equal(get(lab, '/bytes/5').status, 200)
    equal(lab.stat(FAULT + 'slow.active_faults'), 0)
    log = [line for line in lab.wait_access('/bytes/5', 13) if ' DI ' in line]
    equal(len(log), n.grew()['delays_injected'])


@case
def fault_slow_response(lab):
    n = Counted(lab, FAULT + 'asked.')
    start = time.monotonic()
    r = get(lab, '/bytes/32768', x_envoy_fault_throughput_response=64)
    took = time.monotonic() - start
    equal(len(r.body), 32768)
    check(took >= 0.4, f'32 KiB at 64 KiB/s took {took} s')
    equal(n.grew(), {'response_rl_injected': 1})


@case
def fault_a_client_that_leaves_while_it_waits(lab):
    with Client(lab.connect()) as c:
        c.send(request('GET', '/see?gone', 'x', fields=fields(x_envoy_fault_delay_request=60000)))
        wait_for(lambda: lab.stat(FAULT + 'asked.active_faults') == 1, 'it waits', 20)
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))  # a reset
    wait_for(lambda: lab.stat(FAULT + 'asked.active_faults') == 0, 'it is gone', 20)
    check(' 0 DC,DI ' in lab.wait_access('/see?gone')[0], lab.wait_access('/see?gone'))


NET = 'http.web.fault.net.'


@case
def network_that_loses_doubles_and_reorders(lab):
    """All arrives all the same, and TCP had work to do."""
    n, before = Counted(lab, NET), lab.stats()
    for _ in range(3):
        r = get(lab, '/bytes/200000', x_net='lossy')
        equal((r.status, len(r.body)), (200, 200000))
    equal(n.grew(), {'transport_injected': 3})
    now = lab.stats()
    grew = {k: now[k] - before[k] for k in ('drop.tx_fault', 'server.tcp_retransmits')}
    note(f'{grew}')
    check(grew['drop.tx_fault'] > 10 and grew['server.tcp_retransmits'] >= grew['drop.tx_fault'] // 2, grew)


@case
def network_whose_window_is_shut(lab):
    start = time.monotonic()
    with Client(lab.connect(timeout=30)) as c:
        r = c.ask(request('POST', '/see', 'x', body=b'x' * 3000000, fields=fields(x_net='shut')))
        equal(r.status, 200)
    check(time.monotonic() - start >= 1.0, 'the window was open')


def cut_response(c):
    """Content bytes that came of a response of 5000, and how it ended."""
    c.send(request('GET', '/bytes/5000', 'x', fields=fields(x_net=c.how)))
    r = c.head()
    equal((r.status, r.get('content-length')), (200, '5000'))
    try:
        return len(c.exactly(5000)), 'whole'
    except Closed as e:
        return 'cut', e.how
    except ssl.SSLError as e:
        return 'cut', e.reason or type(e).__name__


def cut_on(lab, how, cert=None, port=80):
    sock = lab.connect((GATE4, port))
    if cert:
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Else a FIN alone looks as if close_notify had come.
        ctx.options &= ~getattr(ssl, 'OP_IGNORE_UNEXPECTED_EOF', 0x80)
        ctx.load_verify_locations(f'{lab.dir}/ca.crt')
        ctx.load_cert_chain(f'{lab.dir}/{cert}.crt', f'{lab.dir}/{cert}.key')
        sock = ctx.wrap_socket(sock, server_hostname='shop.test', suppress_ragged_eofs=False)
    with Client(sock) as c:
        c.how = how
        return cut_response(c)


@case
def response_cut_by_a_reset_or_a_fin(lab):
    n = Counted(lab, NET)
    equal(cut_on(lab, 'reset'), ('cut', 'reset'))
    equal(cut_on(lab, 'fin'), ('cut', 'closed'))
    equal(n.grew(), {'transport_injected': 2})
    for line in lab.wait_access('/bytes/5000', 2):
        check(line.endswith(' 200 FI fault_filter_transport'), line)


@case
def response_cut_over_tls(lab):
    equal(cut_on(lab, 'fin', 'web', 444)[1], 'UNEXPECTED_EOF_WHILE_READING')
    equal(cut_on(lab, 'alert', 'web', 444)[1], 'TLSV1_ALERT_ACCESS_DENIED')
    equal(cut_on(lab, 'alert', 'ops', 444), (5000, 'whole'))  # another identity
    resets = lab.stat('server.tcp_resets_sent')
    check(cut_on(lab, 'reset', 'web', 444)[1] in ('reset', 'SSLEOFError'), 'as the ssl module puts it')
    check(lab.stat('server.tcp_resets_sent') > resets, 'no reset')


def ask(c, path, **f):
    return c.ask(request('GET', path, 'x', fields=fields(**f)))


def on_limited(lab, clients, each, path, **f):
    """{status: how many} of so many requests on so many connections at once."""
    found = {}

    def run(i):
        with Client(lab.connect((GATE4, 81))) as c:
            return [ask(c, path, **f).status for _ in range(each)]
    for t in [Background(run, i) for i in range(clients)]:
        for s in t.result():
            found[s] = found.get(s, 0) + 1
    return found


@case
def limit_is_exact_over_workers(lab):
    n = Counted(lab, LIMIT)
    equal(on_limited(lab, 8, 60, '/see'), {200: 200, 429: 280})
    equal(n.grew(), {'enabled': 480, 'ok': 200, 'rate_limited': 280, 'enforced': 280})
    workers = {k.split('.')[1]: v for k, v in lab.stats().items() if re.fullmatch(r'worker\.\d\.tcp_accepted', k)}
    check(len(workers) == 2 and all(workers.values()), f'both workers had connections: {workers}')
    with Client(lab.connect((GATE4, 81))) as c:
        r = ask(c, '/see?refused')
        equal((r.status, r.body, r.get('x-local-rate-limit')), (429, b'local_rate_limited', 'true'))
        equal((r.get('x-ratelimit-limit'), r.get('x-ratelimit-remaining')), ('200', '0'))
        check(0 < int(r.get('retry-after')) <= 86400 and r.get('x-ratelimit-reset') == r.get('retry-after'), r)
        equal(ask(c, '/free').status, 200)  # on the same connection
    check(lab.wait_access('/see?refused')[0].endswith(' 429 RL local_rate_limited'), lab.wait_access('refused'))


@case
def limit_of_many_tokens_is_never_exceeded(lab):
    """With leases: refusals may come early by a 64th."""
    n = Counted(lab, LIMIT)
    found = on_limited(lab, 8, 350, '/big')
    equal(sum(found.values()), 2800)
    check(2000 - 2000 // 64 <= found[204] <= 2000, found)
    equal(n.grew()['ok'], found[204])


@case
def limit_of_each_tenant(lab):
    equal(on_limited(lab, 6, 6, '/tenants', x_tenant='gold'), {200: 20, 429: 16})
    for t in ('a', 'b', 'Gold'):
        equal(on_limited(lab, 4, 2, '/tenants', x_tenant=t), {200: 3, 429: 5})
    equal(on_limited(lab, 1, 9, '/tenants'), {200: 9})


@case
def limit_that_is_only_counted(lab):
    n = Counted(lab, LIMIT)
    equal(on_limited(lab, 1, 5, '/shadow'), {200: 5})
    equal(n.grew(), {'enabled': 5, 'ok': 1, 'rate_limited': 4})


@case
def limit_of_each_identity(lab):
    for who, want in (('web', [200, 200, 429]), ('ops', [200, 200, 429]), (None, [200] * 4)):
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ctx.load_verify_locations(f'{lab.dir}/ca.crt')
        if who:
            ctx.load_cert_chain(f'{lab.dir}/{who}.crt', f'{lab.dir}/{who}.key')
        got = []
        for _ in want:  # each on a connection of its own
            with Client(ctx.wrap_socket(lab.connect((GATE4, 443)), server_hostname='shop.test')) as c:
                got.append(ask(c, '/see').status)
        equal((who, got), (who, want))


def connected(lab, addr, n):
    """How many of n connections open within half a second; all are kept until the last has been tried."""
    def run(_):
        try:
            return lab.connect(addr, timeout=0.5)
        except OSError:
            return None
    socks = [s for s in (t.result() for t in [Background(run, i) for i in range(n)]) if s]
    for s in socks:
        s.close()
    return len(socks)


@case
def server_name_in_a_field_is_a_name_or_nothing(lab):
    """A server name is the client's word, and any bytes."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.load_verify_locations(f'{lab.dir}/ca.crt')
    for name, want in ((b'shop.test', ['shop.test']), (b'shop.test\r\nx-evil: 1', []), (b'a b', [])):
        sock = ctx.wrap_socket(lab.connect((GATE4, 444)), server_hostname=name)
        with Client(sock) as c:
            seen = json.loads(c.ask(request('GET', '/see?sni', 'x')).body)['fields']
        equal([v for k, v in seen if k.lower() == 'x-sni'], want, name)
        check(not [k for k, v in seen if k.lower() == 'x-evil'], seen)


@case
def limit_of_new_connections(lab):
    before = lab.drops()[1]
    equal(connected(lab, (GATE4, 82), 20), 5)
    for addr in ((GATE4, 9001), (GATE6, 9001)):
        equal((addr, connected(lab, addr, 8)), (addr, 3))
    after = lab.drops()[1]
    check(after['tcp_listener_rate'] - before['tcp_listener_rate'] >= 15, after)
    check(after['tcp_client_rate'] - before['tcp_client_rate'] >= 10, after)


@case
def limits_begin_anew_with_a_reload(lab):
    equal(lab.reload(), 'applied')
    equal(on_limited(lab, 4, 60, '/see'), {200: 200, 429: 40})
    equal(connected(lab, (GATE4, 82), 7), 5)


def make_certs(lab):
    ca = certs.CA(lab.dir)
    ca.issue('server', ['DNS:shop.test'])
    for name in ('web', 'ops'):
        ca.issue(name, ['URI:spiffe://mesh.example/' + name])


def make_lab():
    return Lab(routes=ROUTES, nginx=False, workers=2, before=make_certs, clients=CLIENTS,
               admin='access_log_format = "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% '
                     '%RESPONSE_CODE_DETAILS%";',
               allowed=('req_filter', 'req_rate_limited', 'req_downstream_gone', 'conn_reset_by_peer',
                        'tcp_listener_rate', 'tcp_client_rate', 'tx_fault', 'tls_truncated', 'tls_alert'))


if __name__ == '__main__':
    main(make_lab)
