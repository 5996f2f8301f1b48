#!/usr/bin/python3
"""Two workers on devices that do not hash as we do: the steering rings carry what arrives on the wrong
one, all of it, and source ports are as unpredictable as with one worker."""
import hashlib

from lab import GATE4, GATE6, NORTH, SOUTH, Background, Lab, port, quick
from origin import pattern
from netattack import dialled, unguessable
from tap import case, check, equal, main, note, wait_for
from wire import Client, request

LOSS = {'steer_full', 'no_mbuf', 'tcp_rcv_full', 'tx_no_mbuf'}


def steered(lab):
    s = lab.stats()
    return s['server.rx_steered_in'], s['server.rx_steered_out']


def transfer(lab, host, ip, n):
    """An upload and a download of n bytes at once, over connections of their own."""
    data = pattern(n)
    with Client(lab.connect((ip, 80))) as up, Client(lab.connect((ip, 80))) as down:
        up.sock.settimeout(60)
        down.sock.settimeout(60)
        down.send(request('GET', f'/bytes/{n}', host))
        t = Background(up.send, request('POST', '/echo', host, data))
        got = down.response().body
        echo = up.response('POST').body
        t.result()
    for b in (got, echo):
        equal(hashlib.sha256(b).hexdigest(), hashlib.sha256(data).hexdigest(), 'checksum')


@case(seconds=180)
def flows_of_both_workers_arrive_whole(lab):
    before = steered(lab)
    n = quick(3000000, 1000000)
    jobs = [Background(transfer, lab, host, ip, n) for host, ip in
            (('py.test', GATE4), ('py6.test', GATE6)) for _ in range(4)]
    for j in jobs:
        j.result(120)

    def all_arrived():
        into, out = steered(lab)  # of each worker by itself, so not at one moment
        return into if into == out else None
    n_steered = wait_for(all_arrived, lambda: f'steered in as many as out: {steered(lab)}')
    check(n_steered > before[0], 'nothing was steered: the test shows nothing')
    r = lab.wrk(seconds=quick(3, 2), conns=40)
    check(r['errors'] == 0 and r['non2xx'] == 0 and r['requests'] > 100, r['text'])
    gone = lab.drops()[1].of(LOSS)
    check(not gone, f'lost between the workers: {gone}')
    note(f'{steered(lab)[0]} of {lab.stat("server.rx_packets")} packets steered; '
         f'wrk {r["rps"]:.0f} requests/s')


@case
def ports_of_either_worker_are_unpredictable(lab):
    unguessable(dialled(lab, quick(2500, 1500)))


if __name__ == '__main__':
    main(lambda: Lab(workers=2, allowed=None, empty_seconds=80, ports=', '.join((
        port('north', 'net_af_packet0,iface=tgn0,qpairs=2', NORTH),
        port('south', 'net_af_packet1,iface=tgs0,qpairs=2', SOUTH)))))
