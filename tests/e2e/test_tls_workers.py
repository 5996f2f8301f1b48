#!/usr/bin/python3
"""TLS on two workers: tickets of one are taken by the other, both see a rotation, and no packet crosses between
the cores, neither of clients nor of origins."""
import hashlib
import os
import string

import certs
import tlspeer
from lab import GATE4, GATE6, VHOSTS, Background, quick
from origin import pattern
from spread import SpreadLab, busy, crossed
from tap import case, check, equal, main, note, wait_for
from wire import Client, request

WORKERS = (0, 1)
TRIES = 60  # connections until both workers must have had one: a coin that falls on one side so often is none

LISTENERS = '''
  , { name = "tls"; address = "10.77.1.1:443"; protocol = "http"; virtual_hosts = [$vhosts, "up"];
      tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "ca.crt";
             require_client_certificate = true; }; }
  , { name = "tls6"; address = "[fd77:1::1]:443"; protocol = "http"; virtual_hosts = [$vhosts, "up"];
      tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "ca.crt";
             require_client_certificate = true; }; }
'''
VHOST = '''
  , { name = "up"; domains = ["up.test"]; routes: ( { match: { prefix = "/"; }; route: { cluster = "up"; }; } ); }
'''
CLUSTERS = '''
  , { name = "up"; idle_timeout = "200ms"; endpoints: ( { address = "10.77.2.2:8443"; } ); $breakers
      tls: { ca = "ca.crt"; sni = "origin.test"; certificate = "client.crt"; private_key = "client.key"; }; }
'''


def make_certs(lab):
    ca = certs.CA(lab.dir)
    ca.issue('server', ['DNS:nginx.test'])
    ca.issue('client', ['URI:spiffe://mesh.example/client'])
    ca.issue('origin', ['DNS:origin.test'])
    lab.tls_origin = tlspeer.Origin(lab, 8443, keep=True)
    lab.tls_origin.ctx = tlspeer.server_context(lab, 'origin', 'ca')


def handshakes(lab):
    s = lab.stats()
    return [s[f'worker.{w}.tls_handshakes'] for w in WORKERS]


def secure(lab, ctx, session=None, ip=GATE4):
    return ctx.wrap_socket(lab.connect((ip, 443), 30), server_hostname='nginx.test', session=session)


def one(lab, ctx, session=None):
    """A connection and a request on it: (worker that had it, session for the next, resumed, serial number)."""
    before = handshakes(lab)
    with Client(secure(lab, ctx, session)) as c:
        equal(c.ask(request('GET', '/hello', 'nginx.test')).body, b'hello from nginx\n')
        after = handshakes(lab)
        moved = [w for w in WORKERS if after[w] != before[w]]
        check(len(moved) == 1, f'handshakes {before} -> {after}')
        return moved[0], c.sock.session, c.sock.session_reused, c.sock.getpeercert()['serialNumber']


@case
def tickets_are_good_at_either_worker(lab):
    ctx = tlspeer.client_context(lab, 'client')
    was, session, _, _ = one(lab, ctx)
    ways = set()
    for n in range(TRIES):
        now, session, resumed, _ = one(lab, ctx, session)
        check(resumed, f'connection {n}: the ticket of worker {was} was not taken by worker {now}')
        ways.add((was, now))
        was = now
        if len(ways) == 4:
            break
    equal(len(ways), 4, f'ways {ways} after {TRIES} connections')
    equal(crossed(lab), (0, 0), 'steered')


@case
def both_workers_see_a_rotation(lab):
    ctx = tlspeer.client_context(lab, 'client')
    old = one(lab, ctx)[3]
    certs.CA.there(lab.dir).issue('next', ['DNS:nginx.test'])
    for x in ('key', 'crt'):
        os.replace(f'{lab.dir}/next.{x}', f'{lab.dir}/server.{x}')
    wait_for(lambda: one(lab, ctx)[3] != old, 'the new certificate', 15)
    seen = set()
    for _ in range(TRIES):
        worker, _, _, serial = one(lab, ctx)
        check(serial != old, f'worker {worker} still shows the old one')
        seen.add(worker)
        if len(seen) == 2:
            break
    equal(len(seen), 2, f'workers {seen}')


def bulk(lab, ctx, host, ip, n):
    data = pattern(n)
    with Client(secure(lab, ctx, ip=ip)) as up, Client(secure(lab, ctx, ip=ip)) as down:
        down.send(request('GET', f'/bytes/{n}', host))
        sent = Background(up.send, request('POST', '/echo', host, data))
        for got in (down.response().body, up.response('POST').body):
            equal(hashlib.sha256(got).hexdigest(), hashlib.sha256(data).hexdigest(), 'checksum')
        sent.result()


def over_tls_origin(lab, ctx, n):
    """Each a connection of its own to us; ours to the origin are pooled by each worker."""
    for _ in range(n):
        with Client(secure(lab, ctx)) as c:
            equal(c.ask(request('GET', '/', 'up.test')).body, b'ok\n')


@case
def nothing_crosses(lab):
    ctx = tlspeer.client_context(lab, 'client')
    jobs = [Background(bulk, lab, ctx, host, ip, quick(2000000, 500000))
            for host, ip in (('py.test', GATE4), ('py6.test', GATE6)) for _ in range(3)]
    jobs += [Background(over_tls_origin, lab, ctx, quick(15, 8)) for _ in range(4)]
    for j in jobs:
        j.result(90)
    wait_for(lambda: lab.stat('cluster.up.upstream_cx_active') == 0, 'the pools to be empty')
    over_tls_origin(lab, ctx, quick(15, 8))  # new connections to the origin, some by its tickets
    equal(crossed(lab), (0, 0), f'steered of {lab.stat("server.rx_packets")} packets')
    peaks = busy(lab, 'upstream')
    check(len(peaks) == 2 and min(peaks) > 0, f'upstream connections of each worker: {peaks}')
    check('steer_full' not in lab.drops()[1], 'a ring was full')
    note(f'{lab.stat("server.rx_packets")} packets, none crossed; handshakes {handshakes(lab)}')
    lab.tls_origin.hang_up()


def make_lab():
    vhosts = ', '.join(f'"{v}"' for v in VHOSTS)
    lab = SpreadLab(allowed={'tls_truncated', 'conn_idle', 'tcp_after_close', 'conn_linger', 'tcp_after_close'}, before=make_certs,
                    extra_listeners=string.Template(LISTENERS).substitute(vhosts=vhosts), extra_vhosts=VHOST)
    lab.subst['extra_clusters'] = string.Template(CLUSTERS).substitute(breakers=lab.subst['breakers'])
    return lab


if __name__ == '__main__':
    main(make_lab)
