#!/usr/bin/python3
"""Packets, good and bad: ping, fragments, unreachable, path MTU; truncated, random and hostile
frames into both ports. The process lives, each drop has its reason, the ledger balances."""
import random
import re
import socket
import subprocess

import netns
from lab import CLIENT4, CLIENT6, GATE4, GATE6, ROUTES, Lab, quick, wait_for
from origin import pattern
from tap import Skip, case, check, equal, main, note

try:
    import logging
    logging.getLogger('scapy.runtime').setLevel(logging.ERROR)
    from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
    from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, IPv6,
                                    ICMPv6PacketTooBig, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                    IPv6ExtHdrHopByHop, IPv6ExtHdrRouting)
    from scapy.layers.l2 import ARP, Dot1Q, Ether
    from scapy.packet import Raw
    SCAPY = True
except ImportError:
    SCAPY = False

FAR = 'far'


class Wire:
    """Raw frames out of the interface of a namespace towards Tidegate."""

    def __init__(self, lab, side='client'):
        if not SCAPY:
            raise Skip('python3-scapy is not installed')
        self.ns = getattr(lab, side)
        self.gate4, self.gate6 = ((GATE4, GATE6) if side == 'client'
                                  else ('10.77.2.1', 'fd77:2::1'))
        self.own4, self.own6 = ((CLIENT4, CLIENT6) if side == 'client'
                                else ('10.77.2.2', 'fd77:2::2'))
        lab.ping(self.gate4, n=1, where=self.ns)
        text = netns.run(self.ns, ['ip', 'neigh', 'show', self.gate4]).stdout
        self.gate_mac = re.search(r'lladdr (\S+)', text).group(1)
        text = netns.run(self.ns, ['ip', '-o', 'link', 'show', 'eth0']).stdout
        self.own_mac = re.search(r'link/ether (\S+)', text).group(1)
        self.sock = lab.socket(socket.AF_PACKET, socket.SOCK_RAW, 0, where=self.ns)
        self.sock.bind(('eth0', 0))
        self.sock.settimeout(5)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    def eth(self, **kw):
        return Ether(src=self.own_mac, dst=kw.pop('dst', self.gate_mac), **kw)

    def ip4(self, **kw):
        return self.eth() / IP(src=kw.pop('src', self.own4), dst=kw.pop('dst', self.gate4), **kw)

    def ip6(self, **kw):
        return self.eth() / IPv6(src=kw.pop('src', self.own6), dst=kw.pop('dst', self.gate6), **kw)

    def send(self, frame):
        raw = frame if isinstance(frame, bytes) else bytes(frame)
        if len(raw) >= 14:
            self.sock.send(raw)


def serves(lab):
    """Tidegate still does its job on both ports and both families. (A forged ARP answer may have
    sent it astray: neighbour unreachability detection mends that within seconds.)"""
    for host, v6 in (('nginx.test', False), ('nginx6.test', True)):
        equal(lab.curl(host, '/hello', v6=v6, timeout=30).stdout, b'hello from nginx\n')
    lab.check_ledger()


def counted(lab, w, frames, reason, per=1):
    """Each of these frames is one drop with this reason (and with no other)."""
    before = lab.drops()[1]
    for f in frames:
        w.send(f)
    n = len(frames) * per
    noise = {'ip_multicast', 'icmp_ignored'}

    def now():
        got = lab.drops()[1]
        return {k: v - before.get(k, 0) for k, v in got.items() if v > before.get(k, 0)}
    wait_for(lambda: now().get(reason, 0) >= n, lambda: f'{n} of {reason}: {now()}', 5)
    got = now()
    equal(got.pop(reason), n, reason)
    check(not set(got) - noise, f'{reason} and also {got}')
    lab.check_ledger()


@case
def ping_of_every_size(lab):
    for ip in (GATE4, GATE6):
        for size in (0, 1, 56, 1400, 1452, 1472, 1473, 3000, 8000):
            lab.ping(ip, size)
    lab.ping('fd77:2::1', 8000, where=lab.origin)
    lab.check_ledger()


@case
def ping_from_one_side_to_the_other_address(lab):
    # Tidegate is no router: a packet for a neighbour of the other port goes nowhere.
    netns.run(lab.client, ['ip', 'route', 'replace', '10.77.2.0/24', 'via', GATE4])
    p = lab.in_client(['ping', '-c', 2, '-i', 0.1, '-W', 1, '10.77.2.2'], check=False)
    check(' 0 received' in p.stdout, p.stdout)
    netns.run(lab.client, ['ip', 'route', 'del', '10.77.2.0/24'])


@case
def closed_udp_port_says_unreachable(lab):
    for family, ip in ((socket.AF_INET, GATE4), (socket.AF_INET6, GATE6)):
        with lab.socket(family, socket.SOCK_DGRAM) as s:
            s.settimeout(3)
            s.connect((ip, 33434))
            s.send(b'anybody?')
            try:
                s.recv(100)
                check(False, 'an answer from a closed port')
            except ConnectionRefusedError:
                pass
    check(lab.drops()[1].get('udp_closed', 0) >= 2, 'not counted')


@case
def closed_tcp_port_resets(lab):
    for family, ip in ((socket.AF_INET, GATE4), (socket.AF_INET6, GATE6)):
        with lab.socket(family) as s:
            s.settimeout(3)
            equal(s.connect_ex((ip, 4)), 111, 'connect')


@case
def path_mtu_is_learnt(lab):
    """A host behind a router whose link carries less than both ends believe."""
    far, near = f'{lab.name}-{FAR}', lab.client
    netns.run(None, ['ip', 'netns', 'add', far])
    try:
        for argv in (
                ['ip', '-n', near, 'link', 'add', 'eth1', 'mtu', '1320', 'type', 'veth', 'peer',
                 'name', 'eth0', 'netns', far],
                ['ip', '-n', near, 'addr', 'add', '10.77.9.1/24', 'dev', 'eth1'],
                ['ip', '-n', near, 'addr', 'add', 'fd77:9::1/64', 'dev', 'eth1', 'nodad'],
                ['ip', '-n', far, 'addr', 'add', '10.77.9.2/24', 'dev', 'eth0'],
                ['ip', '-n', far, 'addr', 'add', 'fd77:9::2/64', 'dev', 'eth0', 'nodad'],
                ['ip', '-n', near, 'link', 'set', 'eth1', 'up'],
                ['ip', '-n', far, 'link', 'set', 'eth0', 'up'],
                ['ip', '-n', far, 'route', 'add', 'default', 'via', '10.77.9.1'],
                ['ip', '-n', far, '-6', 'route', 'add', 'default', 'via', 'fd77:9::1']):
            netns.run(None, argv)
        netns.run(near, ['sysctl', '-q', '-w', 'net.ipv4.ip_forward=1',
                         'net.ipv6.conf.all.forwarding=1'])
        netns.run(far, ['ethtool', '-K', 'eth0', 'tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'])
        netns.run(near, ['ethtool', '-K', 'eth1', 'tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'])
        before = {k[0]: v for k, v in lab.pools().items()}.get('path_mtu', 0)
        for host, ip in (('nginx.test', GATE4), ('nginx6.test', f'[{GATE6}]')):
            p = netns.run(far, ['curl', '-sS', '-g', '--max-time', '15', '-H', f'Host: {host}',
                                f'http://{ip}/100k'], text=False, timeout=20)
            check(p.stdout == pattern(102400), f'{host}: {len(p.stdout)} bytes')
        after = {k[0]: v for k, v in lab.pools().items()}.get('path_mtu', 0)
        check(after >= before + 2, f'path MTU entries {before} -> {after}')
        # Packets larger than the path are answered in fragments that fit it.
        netns.run(far, ['ip', 'route', 'change', 'default', 'via', '10.77.9.1', 'mtu', '1300'])
        lab.ping(GATE4, 4000, where=far)
    finally:
        subprocess.run(['ip', '-n', near, 'link', 'del', 'eth1'], check=False,
                       stderr=subprocess.DEVNULL)
        netns.run(None, ['ip', 'netns', 'del', far])


@case
def each_bad_frame_has_its_reason(lab):
    with Wire(lab) as w:
        syn = TCP(sport=1234, dport=80, flags='S', seq=1)
        n = 5
        counted(lab, w, [bytes(w.eth(dst='02:00:00:00:00:77') / IP(dst=GATE4) / syn)] * n,
                'eth_other_host')
        counted(lab, w, [bytes(w.eth(type=0x88b5)) + b'x' * 50] * n, 'eth_type')
        counted(lab, w, [w.eth() / Dot1Q(vlan=7) / IP(src=CLIENT4, dst=GATE4) / syn] * n, 'eth_vlan')
        counted(lab, w, [w.ip4(dst='10.77.1.77') / syn] * n, 'ip_not_ours')
        counted(lab, w, [w.ip6(dst='fd77:1::77') / syn] * n, 'ip_not_ours')
        counted(lab, w, [w.ip4(chksum=0x1234) / syn] * n, 'ip_bad_checksum')
        counted(lab, w, [w.ip4(version=5) / syn] * n, 'ip_bad_header')
        counted(lab, w, [w.ip4(ihl=3) / syn] * n, 'ip_bad_header')
        counted(lab, w, [w.ip4(len=2000) / syn] * n, 'ip_bad_header')
        counted(lab, w, [w.ip4(src='127.0.0.1') / syn] * n, 'ip_bad_source')
        counted(lab, w, [w.ip4(src='224.0.0.1') / syn] * n, 'ip_bad_source')
        counted(lab, w, [w.ip4(src='255.255.255.255') / syn] * n, 'ip_bad_source')
        counted(lab, w, [w.ip4(src=GATE4) / syn] * n, 'ip_bad_source')
        counted(lab, w, [w.ip6(src='ff02::1') / syn] * n, 'ip_bad_source')
        counted(lab, w, [w.ip6(src='::1') / syn] * n, 'ip_bad_source')
        counted(lab, w, [w.ip4(proto=99) / Raw(b'x' * 30)] * n, 'ip_protocol')
        counted(lab, w, [w.ip4() / TCP(sport=1, dport=80, flags='S', chksum=0x1111)] * n,
                'tcp_bad_checksum')
        counted(lab, w, [w.ip4() / TCP(sport=1, dport=80, flags='S', dataofs=4)] * n,
                'tcp_bad_header')
        counted(lab, w, [w.ip4() / TCP(sport=1, dport=80, flags='S', dataofs=15)] * n,
                'tcp_bad_header')
        counted(lab, w, [w.ip4() / TCP(sport=9, dport=80, flags='')] * n, 'tcp_bad_flags')
        counted(lab, w, [w.ip4() / TCP(sport=9, dport=80, flags='SF')] * n, 'tcp_bad_flags')
        counted(lab, w, [w.ip4() / TCP(sport=9, dport=80, flags='SR')] * n, 'tcp_no_connection')
        counted(lab, w, [w.ip4() / TCP(sport=9, dport=4, flags='S', seq=5)] * n, 'tcp_no_listener')
        counted(lab, w, [w.ip4() / TCP(sport=9, dport=80, flags='A', seq=5, ack=7)] * n,
                'tcp_no_connection')
        counted(lab, w, [w.ip6() / ICMPv6EchoRequest(cksum=0x1234)] * n, 'icmp_bad')
        counted(lab, w, [w.ip4() / ICMP(type=8, chksum=0x1234)] * n, 'icmp_bad')
    serves(lab)


@case
def fragments_of_every_bad_kind(lab):
    with Wire(lab) as w:
        big = Raw(b'f' * 3000)
        # Overlapping, the same twice, only the last, only the first, beyond 64 KiB, tiny.
        frags = fragment(IP(src=CLIENT4, dst=GATE4, id=1) / UDP(dport=7) / big, fragsize=1000)
        for _ in range(3):
            for f in (frags[0], frags[1], frags[1], frags[0]):
                w.send(w.eth() / f)
        for i in range(200):
            w.send(w.ip4(id=1000 + i, flags='MF', frag=0, proto=6) / Raw(b'x' * 64))
            w.send(w.ip4(id=3000 + i, frag=8191, proto=17) / Raw(b'x' * 600))
            w.send(w.ip4(id=5000 + i, flags='MF', frag=1, proto=6) / Raw(b'x' * 7))
            w.send(w.ip6() / IPv6ExtHdrFragment(id=7000 + i, m=1, offset=0, nh=6) / Raw(b'x' * 64))
            w.send(w.ip6() / IPv6ExtHdrFragment(id=9000 + i, m=0, offset=8000, nh=17) / Raw(b'x' * 9))
            w.send(w.ip6() / IPv6ExtHdrFragment(id=9900 + i, m=1, offset=3, nh=17) / Raw(b'x' * 13))
        # Teardrop.
        w.send(w.ip4(id=42, flags='MF', proto=17) / Raw(b'a' * 40))
        w.send(w.ip4(id=42, frag=3, proto=17) / Raw(b'b' * 4))
    serves(lab)
    # The table was full of fragments that wait for others; the oldest give way.
    lab.ping(GATE4, 8000)


def samples(w):
    """Good packets of every kind that Tidegate reads, as bytes."""
    opts = [('MSS', 1460), ('SAckOK', b''), ('Timestamp', (1, 0)), ('NOP', None), ('WScale', 7)]
    return [bytes(p) for p in (
        w.eth(dst='ff:ff:ff:ff:ff:ff') / ARP(psrc=w.own4, pdst=w.gate4, hwsrc=w.own_mac),
        w.ip4() / ICMP(type=8) / Raw(b'ping' * 10),
        w.ip4() / TCP(sport=2222, dport=80, flags='S', seq=99, options=opts),
        w.ip4() / TCP(sport=2223, dport=80, flags='PA', seq=9, ack=9) / Raw(b'GET / HTTP/1.1\r\n\r\n'),
        w.ip4() / UDP(sport=1, dport=53) / Raw(b'q' * 30),
        w.ip4(flags='MF', id=5) / UDP(sport=1, dport=53) / Raw(b'q' * 32),
        w.ip4() / ICMP(type=3, code=4) / IP(src=w.gate4, dst=w.own4) / TCP(sport=80, dport=2222),
        w.ip4() / ICMP(type=3, code=3) / IP(src=w.gate4, dst=w.own4) / UDP(sport=80, dport=2222),
        w.ip6() / ICMPv6EchoRequest(data=b'ping' * 10),
        w.ip6() / TCP(sport=2224, dport=80, flags='S', seq=99, options=opts),
        w.ip6() / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / TCP(sport=2225, dport=80, flags='S'),
        w.ip6() / IPv6ExtHdrFragment(id=1, m=1) / UDP(sport=1, dport=53) / Raw(b'q' * 32),
        w.ip6() / IPv6ExtHdrRouting() / UDP(sport=1, dport=53),
        w.ip6() / ICMPv6PacketTooBig(mtu=1280) / IPv6(src=w.gate6, dst=w.own6) / TCP(sport=80, dport=1),
        w.ip6(dst='ff02::1:ff00:1', hlim=255) / ICMPv6ND_NS(tgt=w.gate6),
        w.ip6(hlim=255) / ICMPv6ND_NA(tgt=w.own6), w.ip6(hlim=255) / ICMPv6ND_RA(),
    )]


def both(lab, fn):
    for side in ('client', 'origin'):
        with Wire(lab, side) as w:
            fn(w)
    serves(lab)


@case
def every_truncation_of_good_packets(lab):
    def fn(w):
        for raw in samples(w):
            for n in range(14, len(raw)):
                w.send(raw[:n])
    both(lab, fn)


@case
def every_bit_of_the_headers_flipped(lab):
    def fn(w):
        for raw in samples(w):
            for bit in range(0, min(len(raw), 94) * 8, quick(1, 3)):
                b = bytearray(raw)
                b[bit // 8] ^= 1 << (bit % 8)
                w.send(bytes(b))
    both(lab, fn)


@case
def options_of_every_kind_and_length(lab):
    def fn(w):
        for kind in range(256):
            for length in (0, 1, 2, 3, 10, 40, 255):
                body = bytes([kind, length]) + b'\x01' * 6
                w.send(w.ip4() / TCP(sport=3000 + kind, dport=80, flags='S', dataofs=7) / Raw(body))
                w.send(bytes(w.ip4(ihl=7, proto=17, len=60) / Raw(body + b'z' * 24)))
    both(lab, fn)


@case
def random_frames(lab):
    rng = random.Random(31337)

    def fn(w):
        head = bytes.fromhex((w.gate_mac + w.own_mac).replace(':', ''))
        types = (b'\x08\x00', b'\x86\xdd', b'\x08\x06', b'\x81\x00', b'\x88\xa8')
        good = samples(w)
        for i in range(quick(15000, 4000)):
            if i % 3 == 0:
                raw = head + rng.choice(types) + rng.randbytes(rng.randrange(0, 1400))
            elif i % 3 == 1:
                raw = bytearray(rng.choice(good))
                for _ in range(rng.randint(1, 8)):
                    raw[rng.randrange(12, len(raw))] = rng.randrange(256)
                raw = bytes(raw)
            else:
                raw = rng.randbytes(rng.randrange(14, 1500))
            w.send(raw)
    both(lab, fn)


@case
def largest_and_smallest_frames(lab):
    def fn(w):
        for n in (14, 15, 33, 34, 35, 59, 60, 61, 1513, 1514):
            for raw in samples(w):
                w.send((raw + b'\0' * 1514)[:n])
    both(lab, fn)


@case
def arp_and_nd_that_lie(lab):
    with Wire(lab) as w:
        evil = '02:de:ad:be:ef:01'
        for i in range(300):  # claims to be the client and to be Tidegate itself
            w.send(Ether(src=evil, dst='ff:ff:ff:ff:ff:ff') / ARP(
                op=2, hwsrc=evil, psrc=GATE4, hwdst='ff:ff:ff:ff:ff:ff', pdst=GATE4))
            w.send(w.eth() / ARP(op=1 + i % 2, hwsrc=evil, psrc=f'10.77.1.{i % 250 + 3}', pdst=GATE4))
            w.send(w.ip6(hlim=254) / ICMPv6ND_NA(tgt=CLIENT6))
            w.send(w.ip6(src=f'fd77:1::{i + 16:x}', hlim=255) / ICMPv6ND_NS(tgt=GATE6))
    serves(lab)


IP_ROUTES = '''
ip_routes: ( { destination = "10.77.9.0/24"; via = "10.77.1.2"; },
             { destination = "fd77:9::/64"; via = "fd77:1::2"; } );
'''

if __name__ == '__main__':
    main(lambda: Lab(allowed=None, routes=IP_ROUTES + ROUTES, dataplane='reassembly_timeout = "4s";'))
