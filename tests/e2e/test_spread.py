#!/usr/bin/python3
"""Two workers on memif ports with two queues, whose other side hashes as a NIC does: each packet arrives
at the worker that owns its flow, upstream too, and nothing crosses between the cores."""
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess

import netns
from lab import BUILD, GATE4, GATE6, NORTH, SOUTH, Background, Lab, port, quick, wait_for
from origin import pattern
from tap import case, check, equal, main, note
from wire import Client, request

PEER = os.path.join(BUILD, 'tests', 'e2e', 'memif_peer')
QUEUES = 2
DEVICE = 'net_memif{},role=server,id=0,socket-abstract=no,socket=$dir/{}.sock'


class SpreadLab(Lab):
    """memif_peer carries frames between memif and the cables."""

    def __init__(self):
        # Until the peer connects, its ring takes nothing. A SYN that was lost, and whose request went over
        # another connection, may go out again after the origin has ended.
        super().__init__(workers=2, allowed={
            'conn_reset_by_peer', 'req_downstream_gone', 'tcp_rst_blind', 'tx_ring_full', 'conn_refused'},
            ports=', '.join(port(name, DEVICE.format(i, name), addresses, more=f'queues = {QUEUES};')
                            for i, (name, addresses) in enumerate((('north', NORTH), ('south', SOUTH)))))
        self.peer = None

    def start(self, seconds=60):
        super().start(seconds)
        self.start_peer()

    def peer_log(self):
        with open(os.path.join(self.dir, 'peer.log'), encoding='utf-8', errors='replace') as f:
            return f.read()

    def start_peer(self, shift=0):
        """shift: 0 hashes as Tidegate expects, 1 gives every flow to the other worker."""
        argv = [PEER, '--lcores', '0@(0,1)', '--no-huge', '-m', '128', '--no-pci', '--no-telemetry',
                '--file-prefix', self.name + 'peer']
        for i, (dev, sock) in enumerate((('tgn0', 'north'), ('tgs0', 'south'))):
            argv += ['--vdev', f'net_memif{i},role=client,id=0,socket-abstract=no,'
                               f'socket={self.dir}/{sock}.sock',
                     '--vdev', f'net_af_packet{i},iface={dev}']
        with open(os.path.join(self.dir, 'peer.log'), 'wb') as log:
            self.peer = netns.popen(self.gate, [*argv, '--', QUEUES, shift], stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log)
        self.procs.append(self.peer)

        def linked():
            check(self.peer.poll() is None, f'memif_peer ended:\n{self.peer_log()}')
            return all(netns.run(ns, ['ping', '-c', '1', '-W', '1', ip], check=False).returncode == 0
                       for ns, ip in ((self.client, GATE4), (self.client, GATE6),
                                      (self.origin, '10.77.2.1'), (self.origin, 'fd77:2::1')))
        wait_for(linked, lambda: 'memif is linked:\n' + self.peer_log()[-2000:], 30)

    def stop_peer(self):
        """Ends the peer; returns how many TCP packets each queue got."""
        self.peer.send_signal(signal.SIGTERM)
        equal(self.peer.wait(20), 0, f'exit of memif_peer:\n{self.peer_log()}')
        words = [line.split() for line in self.peer_log().splitlines()]
        return [int(w[2]) for w in words if w[0] == 'queue']

    def explain(self):
        super().explain()
        with contextlib.suppress(OSError):
            note('peer: ' + self.peer_log()[-1000:])

    def _down(self):
        super()._down()
        shutil.rmtree(f'/var/run/dpdk/{self.name}peer', ignore_errors=True)


def crossed(lab):
    s = lab.stats()
    return s['server.rx_steered_in'], s['server.rx_steered_out']


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


def busy(lab, pool):
    """The most that was in use of a pool, of each worker."""
    return [p['peak'] for p in lab.json('/memory')['pools'] if p['name'] == pool]


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
