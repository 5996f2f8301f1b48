"""Attacks in a lab: raw frames made fast, floods of them, and a good client that must notice
nothing meanwhile."""
import collections
import contextlib
import json
import math
import os
import re
import socket
import struct
import subprocess
import time

import netns
from lab import BUILD, CLIENT4, CLIENT6, GATE4, GATE6, HERE, Background, Lab
from tap import Disturbed, check, note

FLOOD = os.path.join(BUILD, 'tests', 'e2e', 'tg_flood')
LONG = os.environ.get('TG_TEST_MODE') == 'long'
CALM_MS = 50.0  # a worker that waited longer for its CPU was disturbed
CONNECT_MS = 100.0  # what a well-behaved client waits for a connection at most
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << i for i in range(8))
CPUS = sorted(os.sched_getaffinity(0))
WORKER_CPU, OTHERS = CPUS[-1], CPUS[:-1] or CPUS


def judge(waited, cond, text):
    """Fails unless cond: for good if the worker had its CPU all along, else Disturbed."""
    if not cond:
        raise (Disturbed if waited > CALM_MS else AssertionError)(
            f'{text} (the worker waited {waited:.0f} ms for its CPU)')


def _sum(b):
    if len(b) % 2:
        b += b'\0'
    s = sum(struct.unpack(f'>{len(b) // 2}H', b))
    s = (s & 0xffff) + (s >> 16)
    return (s & 0xffff) + (s >> 16)


def _fold(s):
    s = (s & 0xffff) + (s >> 16)
    return ~((s & 0xffff) + (s >> 16)) & 0xffff


def ip_bytes(ip):
    return socket.inet_pton(socket.AF_INET6 if ':' in ip else socket.AF_INET, ip)


SYN_OPTIONS = bytes.fromhex('020405b40402080a000000010000000001030307')


class Side:
    """One end's raw view of its cable to Tidegate."""

    def __init__(self, lab, side='client'):
        self.lab, self.ns = lab, getattr(lab, side)
        north = side == 'client'
        self.gate = {4: GATE4 if north else '10.77.2.1', 6: GATE6 if north else 'fd77:2::1'}
        self.own = {4: CLIENT4 if north else '10.77.2.2', 6: CLIENT6 if north else 'fd77:2::2'}
        for ip in self.gate.values():
            netns.run(self.ns, ['ping', '-c', '1', '-W', '2', ip])
        text = netns.run(self.ns, ['ip', 'neigh', 'show', self.gate[4]]).stdout
        self.gate_mac = bytes.fromhex(re.search(r'lladdr (\S+)', text).group(1).replace(':', ''))
        text = netns.run(self.ns, ['ip', '-o', 'link', 'show', 'eth0']).stdout
        self.own_mac = bytes.fromhex(re.search(r'link/ether (\S+)', text).group(1).replace(':', ''))
        self.sock = lab.socket(socket.AF_PACKET, socket.SOCK_RAW, 0, where=self.ns)
        self.sock.bind(('eth0', 0))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    def send(self, frame):
        self.sock.send(frame)

    def eth(self, ethertype, dst=None, src=None):
        return (dst or self.gate_mac) + (src or self.own_mac) + struct.pack('>H', ethertype)

    def ip(self, payload, proto, src=None, dst=None, v=4, ident=0, frag=0):
        """A frame with this IP payload."""
        src, dst = src or self.own[v], dst or self.gate[v]
        if v == 4:
            h = struct.pack('>BBHHHBBH', 0x45, 0, 20 + len(payload), ident & 0xffff, frag, 64, proto,
                            0) + ip_bytes(src) + ip_bytes(dst)
            h = h[:10] + struct.pack('>H', _fold(_sum(h))) + h[12:]
            return self.eth(0x0800) + h + payload
        h = struct.pack('>IHBB', 6 << 28, len(payload), proto, 255) + ip_bytes(src) + ip_bytes(dst)
        return self.eth(0x86dd) + h + payload

    def tcp(self, sport, dport, flags, seq=0, ack=0, payload=b'', src=None, dst=None, v=4,
            window=65535, options=b''):
        src, dst = src or self.own[v], dst or self.gate[v]
        size = 20 + len(options) + len(payload)
        head = struct.pack('>HHIIBBHHH', sport, dport, seq & 0xffffffff, ack & 0xffffffff,
                           (20 + len(options)) // 4 << 4, flags, window, 0, 0) + options
        s = _sum(ip_bytes(src) + ip_bytes(dst)) + 6 + size + _sum(head) + _sum(payload)
        t = head[:16] + struct.pack('>H', _fold(s)) + head[18:] + payload
        return self.ip(t, 6, src, dst, v)

    def arp(self, op, sender_mac, sender, target, target_mac=b'\0' * 6, dst=None):
        return (self.eth(0x0806, dst or b'\xff' * 6, sender_mac) +
                struct.pack('>HHBBH', 1, 0x0800, 6, 4, op) + sender_mac + ip_bytes(sender) +
                target_mac + ip_bytes(target))

    def nd(self, kind, target, src, dst, mac, flags=0, eth_dst=None):
        """Neighbour solicitation (135) or advertisement (136) with the link-layer option."""
        body = struct.pack('>BBHI', kind, 0, 0, flags) + ip_bytes(target) + bytes(
            [1 if kind == 135 else 2, 1]) + mac
        s = _sum(ip_bytes(src) + ip_bytes(dst)) + 58 + len(body) + _sum(body)
        body = body[:2] + struct.pack('>H', _fold(s)) + body[4:]
        h = struct.pack('>IHBB', 6 << 28, len(body), 58, 255) + ip_bytes(src) + ip_bytes(dst)
        return self.eth(0x86dd, eth_dst, mac) + h + body

    # --- floods ---

    def flood(self, frames, seconds, rate=0, iface='eth0'):
        """tg_flood with these frames, apart from the worker's CPU; returns a running Flood."""
        path = os.path.join(self.lab.dir, f'frames{time.monotonic_ns()}')
        with open(path, 'wb') as f:
            for b in frames:
                f.write(struct.pack('>H', len(b)) + b)
        argv = ['nice', '-n', '5', 'taskset', '-c', str(OTHERS[0]), FLOOD, iface, path,
                str(seconds), str(rate)]
        return Flood(netns.popen(self.ns, argv, stdout=subprocess.PIPE, text=True), path, seconds)


class Flood:
    def __init__(self, proc, path, seconds):
        self.proc, self.path, self.seconds = proc, path, seconds

    def result(self):
        """(frames sent, frames a second)"""
        out, _ = self.proc.communicate(timeout=self.seconds + 60)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        check(self.proc.returncode == 0, f'tg_flood: exit {self.proc.returncode}')
        sent, _, took = out.split()
        return int(sent), int(sent) / float(took)


class Good:
    """The good client of good.py; stop() judges it."""

    def __init__(self, lab, ips=(GATE4, GATE6), host='nginx.test', port=80):
        self.lab = lab
        self.waited, self.lost = lab.waited_ms(), lost(lab)
        argv = ['nice', '-n', '-15', '/usr/bin/python3', os.path.join(HERE, 'good.py'), str(port), host,
                *ips]
        self.proc = netns.popen(lab.client, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                text=True)
        line = self.proc.stdout.readline()
        check(line == 'ready\n', f'the good client could not begin: {line!r}')

    def stop(self, least=20):
        out, _ = self.proc.communicate(input='', timeout=60)
        r = json.loads(out.splitlines()[-1])
        note(f'good client: {r["connects"]} connects, median {r["median_ms"]:.2f} ms, longest '
             f'{r["max_ms"]:.1f} ms ({r["prompt_max_ms"]:.1f} ms without a retransmission), '
             f'{r["requests"]} requests, {len(r["failures"])} failures')
        check(not r['failures'], f'the good client saw failures: {r["failures"][:3]}')
        waited, gone = self.lab.waited_ms() - self.waited, lost(self.lab) - self.lost
        note(f'{r["retransmitted"]} handshakes with a retransmission; the worker waited {waited:.0f} ms for '
             f'its CPU, the device lost {gone} frames')
        judge(waited, r['connects'] >= least, f'only {r["connects"]} connects in that time')
        judge(waited, r['prompt_max_ms'] <= CONNECT_MS, f'a connect took {r["prompt_max_ms"]:.0f} ms')
        # A SYN that the device lost while the machine gave the worker's CPU to others is not the
        # worker's, and shows by the clock alone: 1 s.
        excused = r['connects'] // 50 + 1 if waited > 5 and gone else 0
        judge(waited, r['retransmitted'] <= excused,
              f'{r["retransmitted"]} of {r["connects"]} handshakes had a retransmission')
        return r

    def kill(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.communicate()


@contextlib.contextmanager
def good_client(lab, least=20, seconds=0, **kw):
    """A good client runs meanwhile, and must have seen nothing. seconds: at least that long."""
    good = Good(lab, **kw)
    end = time.monotonic() + seconds
    try:
        yield good
        time.sleep(max(0, end - time.monotonic()))
        good.stop(least)
    finally:
        good.kill()
    lab.check_ledger()


class AttackLab(Lab):
    """Worker on a CPU of its own, as on a node that is Tidegate's: everything else of the lab, the
    floods too, shares the others."""

    def __init__(self, **kw):
        kw.setdefault('allowed', None)
        kw.setdefault('empty_seconds', 30)
        kw['dataplane'] = 'reassembly_timeout = "4s"; ' + kw.get('dataplane', '')
        if len(CPUS) > 1:
            kw['dataplane'] += f'cpus = [{WORKER_CPU}]; '
            os.sched_setaffinity(0, OTHERS)
        super().__init__(**kw)

    def start(self, seconds=60):
        os.sched_setaffinity(0, CPUS)  # Tidegate takes its worker's CPU from what it may use
        try:
            super().start(seconds)
        finally:
            os.sched_setaffinity(0, OTHERS)
        for tid, worker in self.gate_threads():
            os.setpriority(os.PRIO_PROCESS, tid, -20)
            if not worker:
                os.sched_setaffinity(tid, OTHERS)


def counted(lab):
    """How much each drop reason has grown since; a function."""
    before = lab.drops()[1]

    def now():
        return {k: v - before.get(k, 0) for k, v in lab.drops()[1].items()
                if v > before.get(k, 0)}
    return now


def lost(lab):
    """Frames that the device had no room for."""
    return lab.drops()[1].get('rx_no_buffer', 0)


def mbufs(lab):
    """Packet buffers in use."""
    return lab.pools()[('mbuf', None)]


def pool_size(lab, name):
    return next(p['count'] for p in lab.json('/memory')['pools'] if p['name'] == name)


def parse_tcp(b):
    """(sport, dport, flags, seq, ack, payload) of a frame, or None."""
    kind = struct.unpack_from('>H', b, 12)[0]
    if kind == 0x0800 and b[23] == 6:
        at, end = 14 + (b[14] & 15) * 4, 14 + struct.unpack_from('>H', b, 16)[0]
    elif kind == 0x86dd and b[20] == 6:
        at, end = 54, 54 + struct.unpack_from('>H', b, 18)[0]
    else:
        return None
    sport, dport, seq, ack, off, flags = struct.unpack_from('>HHIIBB', b, at)
    return sport, dport, flags, seq, ack, b[at + (off >> 4) * 4:end]


def coincidences(values):
    """Pairs of equal values."""
    return sum(n * (n - 1) // 2 for n in collections.Counter(values).values())


def dialled(lab, n):
    """(source port, ISN) of n connections that Tidegate opens to one origin, in their order."""
    heard = lab.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3), where=lab.origin)
    heard.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)  # SO_RCVBUFFORCE
    heard.bind(('eth0', 3))
    heard.settimeout(1)
    found = []

    def listen():
        while len(found) < n:
            p = parse_tcp(heard.recv(65536))
            if p and p[1] == 9001 and p[2] & SYN and not p[2] & ACK:
                found.append((p[0], p[3]))
    with heard:
        t = Background(listen)
        for _ in range(n):
            lab.connect((GATE4, 9001)).close()
        t.result(20)
    return found


def unguessable(pairs):
    """By the pairs that coincide, which 14 bits would bring n^2 / 2^15 of."""
    n = len(pairs)
    limit = n * n / (1 << 15)
    ports, isns = [p for p, _ in pairs], [i for _, i in pairs]
    for what, values in (('ports', ports), ('steps of ports', [b - a for a, b in zip(ports, ports[1:])]),
                         ('high halves of ISNs', [i >> 16 for i in isns]),
                         ('steps of ISNs', [(b - a) >> 16 for a, b in zip(isns, isns[1:])])):
        c = coincidences(values)
        bits = math.log2(n * n / 2 / max(c, 1))
        note(f'{what} of {n} connections: {c} coincide, {bits:.1f} bits')
        check(c <= limit, f'{what}: {c} coincidences of {n} are less than 14 bits')
