"""A lab whose ports are memif with two queues, and whose other side hashes as a NIC does: what two workers on a NIC
with RSS have."""
import contextlib
import os
import shutil
import signal
import subprocess

import netns
from lab import BUILD, GATE4, GATE6, NORTH, SOUTH, Lab, port, wait_for
from tap import check, equal, note

PEER = os.path.join(BUILD, 'tests', 'e2e', 'memif_peer')
QUEUES = 2
DEVICE = 'net_memif{},role=server,id=0,socket-abstract=no,socket=$dir/{}.sock'


class SpreadLab(Lab):
    """memif_peer carries frames between memif and the cables."""

    def __init__(self, allowed=(), **kw):
        # Until the peer connects, its ring takes nothing. A SYN that was lost, and whose request went over
        # another connection, may go out again after the origin has ended.
        super().__init__(workers=2, allowed={
            'conn_reset_by_peer', 'req_downstream_gone', 'tcp_rst_blind', 'tx_ring_full', 'conn_refused', *allowed},
            ports=', '.join(port(name, DEVICE.format(i, name), addresses, more=f'queues = {QUEUES};')
                            for i, (name, addresses) in enumerate((('north', NORTH), ('south', SOUTH)))), **kw)
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


def busy(lab, pool):
    """The most that was in use of a pool, of each worker."""
    return [p['peak'] for p in lab.json('/memory')['pools'] if p['name'] == pool]
