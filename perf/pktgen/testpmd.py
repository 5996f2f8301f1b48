#!/usr/bin/python3
"""What pktgen does between nodes, here with dpdk-testpmd over memif: packets a second, and the time for each.

    perf/pktgen/testpmd.py [null|ring|memif|syn|ack|udp|all] [--seconds S] [--json]
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'harness'))
# pylint: disable=wrong-import-position
import scenarios  # noqa: E402
from place import GENERATOR_CPU, SYSTEM_CPU, Place, netns  # noqa: E402
from systems import Tidegate, wait_for  # noqa: E402

MAC, ROUTER = '02:00:00:00:01:01', '02:00:00:00:01:fe'
PACKETS = 4096
MEMIF = 'net_memif{},role={},id=0,socket-abstract=no,socket={}'


class Testpmd:
    """One process on one CPU; its counters by its own prompt."""

    def __init__(self, place, name, cpu, vdevs, args):
        self.log, self.ports = place.path(name + '.log'), len(vdevs)
        self.out = open(self.log, 'wb')
        argv = ['stdbuf', '-o0', 'dpdk-testpmd', '--lcores', f'0@{cpu},1@{cpu}', '--no-huge', '-m', '256', '--no-pci', '--no-telemetry',
                '--file-prefix', place.name + name]
        for v in vdevs:
            argv += ['--vdev', v]
        argv += ['--', '-i', '--total-num-mbufs=16384', *args]
        self.proc = netns.popen(place.gate, argv, stdin=subprocess.PIPE, stdout=self.out, stderr=self.out, text=True)
        wait_for(lambda: 'testpmd>' in self.text(), name, 30)

    def text(self):
        if self.proc.poll() is not None:
            raise RuntimeError(f'testpmd ended with {self.proc.returncode}: {self.read()[-2000:]}')
        return self.read()

    def read(self):
        with open(self.log, encoding='utf-8', errors='replace') as f:
            return f.read()

    def say(self, line):
        self.proc.stdin.write(line + '\n')
        self.proc.stdin.flush()

    def counters(self):
        """[(received, sent)] of each port, now."""
        before = len(self.text())
        self.say('show port stats all')

        def answer():
            t = self.text()[before:]
            return re.findall(r'RX-packets: (\d+).*?TX-packets: (\d+)', t, re.S) if t.count('Tx-bps') == self.ports else None
        got = wait_for(answer, 'counters')
        return [(int(a), int(b)) for a, b in got]

    def end(self):
        netns.stop(self.proc, 3)
        self.proc.stdin.close()
        self.out.close()


def rate(testpmd, seconds, port, sent):
    a, t = testpmd.counters()[port][sent], time.monotonic()
    time.sleep(seconds)
    b = testpmd.counters()[port][sent]
    return (b - a) / (time.monotonic() - t)


def alone(place, seconds, vdev, args, commands):
    """Packets a second that one core passes on."""
    t = Testpmd(place, 'alone', SYSTEM_CPU, [vdev], args)
    try:
        for c in commands:
            t.say(c)
        time.sleep(0.5)
        r = rate(t, seconds, 0, 0)
    finally:
        t.end()
    return {'packets_per_second': r, 'ns_per_packet': 1e9 / r}


def null(place, seconds):
    return alone(place, seconds, 'net_null0,size=64', ['--forward-mode=io'], ['start'])


def ring(place, seconds):
    return alone(place, seconds, 'net_ring0', ['--forward-mode=io', '--port-topology=loop'], ['start tx_first'])


def memif(place, seconds):
    """Flows of UDP out, the same with addresses and ports swapped back."""
    sock = place.path('pair.sock')
    end = Testpmd(place, 'swap', SYSTEM_CPU, [MEMIF.format(0, 'server', sock)], ['--forward-mode=5tswap'])
    try:
        end.say('start')
        source = Testpmd(place, 'flows', GENERATOR_CPU, [MEMIF.format(0, 'client', sock)],
                         ['--forward-mode=flowgen', '--flowgen-flows=4096'])
        try:
            source.say('start')
            time.sleep(1)
            back = rate(source, seconds, 0, 0)
        finally:
            source.end()
    finally:
        end.end()
    return {'packets_per_second': back, 'ns_per_packet': 1e9 / back}


def packets(kind):
    """As the .pkt files have them; the router, behind which all of them are, tells its address in between."""
    # pylint: disable=import-outside-toplevel,no-name-in-module
    from scapy.all import ARP, IP, TCP, UDP, Ether
    out = []
    for i in range(PACKETS):
        if i % 1024 == 0:
            out.append(Ether(src=ROUTER, dst=MAC) / ARP(op=2, hwsrc=ROUTER, psrc='10.77.1.254', hwdst=MAC,
                                                         pdst='10.77.1.1'))
            continue
        ip = Ether(src=ROUTER, dst=MAC) / IP(src=f'10.99.0.{1 + i % 64}', dst='10.77.1.1')
        port = 1024 + i
        out.append(ip / (UDP(sport=port, dport=9) / bytes(18) if kind == 'udp' else
                         TCP(sport=port, dport=80, flags='S' if kind == 'syn' else 'A', seq=i * 7919)))
    return out


class Node(Tidegate):
    CONFIG = Tidegate.CONFIG.replace('device = "$north"', 'device = "$north,mac=' + MAC + '"').replace(
        'listeners:', 'ip_routes: ( { destination = "10.99.0.0/24"; via = "10.77.1.254"; } );\nlisteners:')

    def counts(self):
        text = self.get('/stats')
        return {k: int(v) for k, v in re.findall(r'^(\S+): (\d+)$', text, re.M)}


def into_tidegate(place, seconds, kind):
    from scapy.all import wrpcap  # pylint: disable=import-outside-toplevel,no-name-in-module
    pcap = place.path(kind + '.pcap')
    wrpcap(pcap, packets(kind))
    with Node(place, scenarios.Work(), 'best') as node:
        t = Testpmd(place, kind, GENERATOR_CPU,
                    [f'net_pcap0,rx_pcap={pcap},infinite_rx=1', MEMIF.format(0, 'client', place.path('north.sock')),
                     MEMIF.format(1, 'client', place.path('south.sock'))],
                    ['--forward-mode=io', '--portlist=0,1'])
        try:
            wait_for(node.ready, 'tidegate')
            t.say('start')
            time.sleep(1)
            a, sent = node.counts(), t.counters()[1]
            at = time.monotonic()
            time.sleep(seconds)
            b, sent2 = node.counts(), t.counters()[1]
            wall = time.monotonic() - at
        finally:
            t.end()
    d = {k: b[k] - a.get(k, 0) for k in b}
    n = d['worker.0.rx_packets']
    busy = d['worker.0.busy_cycles'] / (d['worker.0.busy_cycles'] + d['worker.0.idle_cycles'])
    drops = {k[5:]: round(v / wall) for k, v in d.items() if k.startswith('drop.') and v > n / 1000}
    return {'packets_per_second': n / wall, 'ns_per_packet': busy * wall * 1e9 / n, 'busy': busy,
            'answers_per_second': (sent2[0] - sent[0]) / wall, 'offered_per_second': (sent2[1] - sent[1]) / wall,
            'drops_per_second': drops}


MODES = {'null': null, 'ring': ring, 'memif': memif,
         **{k: (lambda p, s, k=k: into_tidegate(p, s, k)) for k in ('syn', 'ack', 'udp')}}


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    p.add_argument('mode', nargs='?', default='all', choices=[*MODES, 'all'])
    p.add_argument('--seconds', type=float, default=3)
    p.add_argument('--json', action='store_true')
    o = p.parse_args()
    if os.geteuid():
        sys.exit('testpmd.py needs root: network namespaces')
    found = {}
    with Place() as place:
        for m in MODES if o.mode == 'all' else [o.mode]:
            r = found[m] = MODES[m](place, o.seconds)
            text = f'{m:6} {r["packets_per_second"] / 1e6:8.3f} Mpps  {r["ns_per_packet"]:7.0f} ns a packet'
            if 'busy' in r:
                text += f'  {r["answers_per_second"] / 1e6:.3f} M answers/s; dropped a second: {r["drops_per_second"]}'
            print(text, file=sys.stderr if o.json else sys.stdout, flush=True)
    if o.json:
        print(json.dumps(found))


if __name__ == '__main__':
    main()
