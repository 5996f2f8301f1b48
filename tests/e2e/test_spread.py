#!/usr/bin/python3
"""Two workers on memif ports with two queues, whose other side hashes as a NIC does: each packet arrives
at the worker that owns its flow, upstream too, and nothing crosses between the cores."""
import contextlib
import hashlib

from lab import GATE4, GATE6, Background, quick, wait_for
from origin import pattern
from spread import QUEUES, SpreadLab, busy, crossed
from tap import case, check, equal, main, note
from wire import Client, request


def exchanges(lab, host, ip, n, new):
    """Small requests and their answers: each over a connection of its own, or all over one."""
    with contextlib.ExitStack() as stack:
        c = None
        for i in range(n):
            if new or not c:
                c = stack.enter_context(Client(lab.connect((ip, 80))))
            body = pattern(100 + i)
            c.send(request('POST', '/echo', host, body))
            equal(c.response('POST').body, body, f'echo {i} of {host}')


def bulk(lab, host, ip, n):
    """An upload and a download of n bytes at once, over connections of their own."""
    data = pattern(n)
    with Client(lab.connect((ip, 80), 60)) as up, Client(lab.connect((ip, 80), 60)) as down:
        down.send(request('GET', f'/bytes/{n}', host))
        sent = Background(up.send, request('POST', '/echo', host, data))
        for got in (down.response().body, up.response('POST').body):
            equal(hashlib.sha256(got).hexdigest(), hashlib.sha256(data).hexdigest(), 'checksum')
        sent.result()


def l4(lab, ip, n):
    data = pattern(n)
    with Client(lab.connect((ip, 9001), 60)) as c:
        sent = Background(c.send, data)
        equal(hashlib.sha256(c.exactly(n)).hexdigest(), hashlib.sha256(data).hexdigest(), 'checksum')
        sent.result()


def traffic(lab):
    """HTTP over new and kept connections, bulk both ways, L4: in both families at once."""
    jobs = []
    for host, ip in (('py.test', GATE4), ('py6.test', GATE6)):
        jobs += [Background(exchanges, lab, host, ip, quick(40, 15), True),
                 Background(exchanges, lab, host, ip, quick(100, 30), False)]
        jobs += [Background(bulk, lab, host, ip, quick(2000000, 500000)) for _ in range(2)]
        jobs += [Background(l4, lab, ip, quick(1000000, 300000)) for _ in range(3)]
    for j in jobs:
        j.result(90)


@case
def nothing_crosses_between_the_cores(lab):
    equal(crossed(lab), (0, 0), 'steered before the first connection')
    traffic(lab)
    r = lab.wrk(seconds=quick(3, 2), conns=40)
    check(r['errors'] == 0 and r['non2xx'] == 0 and r['requests'] > 100, r['text'])
    received = lab.stat('server.rx_packets')
    equal(crossed(lab), (0, 0), f'steered of {received} packets')
    for pool in ('tcb', 'upstream'):
        peaks = busy(lab, pool)
        check(len(peaks) == 2 and min(peaks) > 2, f'{pool} of each worker: {peaks}')
    note(f'{received} packets received, none crossed; wrk {r["rps"]:.0f} requests/s')


@case
def both_queues_were_used_and_the_wrong_one_costs_crossings_only(lab):
    used = lab.stop_peer()
    check(len(used) == QUEUES and min(used) > 1000, f'TCP packets of each queue: {used}')
    equal(crossed(lab), (0, 0), 'steered')
    note(f'TCP packets of each queue: {used}')
    lab.start_peer(shift=1)
    traffic(lab)

    def all_arrived():
        into, out = crossed(lab)
        return into if into == out else None
    n = wait_for(all_arrived, lambda: f'steered in as many as out: {crossed(lab)}')
    check(n > 1000, f'{n} steered, with a peer that takes the other queue')
    check('steer_full' not in lab.drops()[1], 'a ring was full')
    note(f'a peer that takes the other queue: {n} packets crossed')


if __name__ == '__main__':
    main(SpreadLab)
