#!/usr/bin/python3
"""Faults on purpose, on two workers. Where chance decides, the bounds are six standard deviations: a run in half a
billion misses them."""
import math
import socket
import struct
import time

from lab import Lab, Background, wait_for
from tap import case, check, equal, main, note
from wire import Client, request

ROUTES = '''
listeners: (
  { name = "web"; address = "10.77.1.1:80"; virtual_hosts = ["main"]; filters: (
      { name = "fault"; abort: { http_status = 503; }; headers: ( { name = "x-break"; present = true; } ); },
      { name = "fault"; id = "asked"; delay: { header_delay = true; }; abort: { header_abort = true; };
        response_rate_limit: { header_limit = true; }; } ); }
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
      { match: { prefix = "/"; }; route: { cluster = "py"; }; } ); }
);
clusters: ( { name = "py"; circuit_breakers: { max_connections = 1000; max_pending_requests = 1000; max_requests = 1000; };
              endpoints: ( { address = "10.77.2.2:8081"; } ); } );
'''
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


def make_lab():
    return Lab(routes=ROUTES, nginx=False, workers=2,
               admin='access_log_format = "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% '
                     '%RESPONSE_CODE_DETAILS%";',
               allowed=('req_filter', 'req_downstream_gone', 'conn_reset_by_peer'))


if __name__ == '__main__':
    main(make_lab)
