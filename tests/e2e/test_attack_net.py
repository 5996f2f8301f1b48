#!/usr/bin/python3
"""Attacks, bounded: floods, forgeries, things that never end. While each goes on a well-behaved
client connects within 100 ms, again and again, and sees no failure; afterwards Tidegate is alive,
its ledger balances and its pools are as at the start."""
import contextlib
import random
import resource
import socket
import statistics
import struct
import time

import netns
from netattack import (ACK, FIN, LONG, PSH, RST, SYN, SYN_OPTIONS, URG, AttackLab, Side, counted,
                       dialled, good_client, judge, mbufs, parse_tcp, pool_size, unguessable)
from lab import CLIENT4, CLIENT6, GATE4, GATE6, ROUTES, quick, wait_for
from tap import case, check, equal, main, note
from wire import Client, request

SECONDS = 20 if LONG else quick(3, 2)
IP_ROUTES = '''
ip_routes: ( { destination = "10.66.0.0/16"; via = "10.77.1.2"; },
             { destination = "fd66::/32"; via = "fd77:1::2"; } );
'''


def spoofed(n, v=4):
    """n sources that do not answer, behind the client."""
    rng = random.Random(n + v)
    for _ in range(n):
        if v == 4:
            yield f'10.66.{rng.randrange(256)}.{rng.randrange(1, 255)}'
        else:
            yield f'fd66::{rng.randrange(1, 65536):x}:{rng.randrange(1, 65536):x}'


def syns(side, n=16384, port=80):
    rng = random.Random(1)
    for i, v in enumerate((4, 6)):
        for src in spoofed(n // 2, v):
            yield side.tcp(rng.randrange(1024, 65536), port, SYN, rng.randrange(1 << 32), src=src,
                           v=v, options=SYN_OPTIONS)


@contextlib.contextmanager
def dead_end(lab):
    """An interface in the client's namespace that leads nowhere: what a flood costs its sender."""
    netns.run(lab.client, ['ip', 'link', 'add', 'dead0', 'type', 'veth', 'peer', 'name', 'dead1'])
    for dev in ('dead0', 'dead1'):
        netns.run(lab.client, ['ip', 'link', 'set', dev, 'up'])
    try:
        yield 'dead0'
    finally:
        netns.run(lab.client, ['ip', 'link', 'del', 'dead0'])


@case(seconds=180)
def syn_flood_established_keep_their_throughput(lab):
    """The same load, with the flood into Tidegate and with the flood into a dead end, in turns: so
    the CPU that the sender takes from the load's own programs is the same in both."""
    with Side(lab) as side, dead_end(lab) as dead:
        frames = list(syns(side))
        rps, waited = {'eth0': [], dead: []}, lab.waited_ms()
        for _ in range(5 if LONG else quick(3, 2)):
            for dev in rps:
                flood = side.flood(frames, 2.6, iface=dev)
                time.sleep(0.3)
                r = lab.wrk(seconds=2, conns=32, path='/1k')
                sent, rate = flood.result()
                check(r['errors'] == 0 and r['non2xx'] == 0, r['text'])
                rps[dev].append(r['rps'])
                note(f'{dev}: {r["rps"]:.0f} requests/s beside {rate:.0f} frames/s')
        kept = statistics.median(rps['eth0']) / statistics.median(rps[dead])
        note(f'established connections keep {100 * kept:.0f}% of their throughput')
        waited = lab.waited_ms() - waited
        judge(waited, kept >= 0.8, f'only {100 * kept:.0f}% of the throughput')


@case
def syn_flood_new_clients_connect_by_cookies(lab):
    before = lab.stats()
    with Side(lab) as side, good_client(lab):
        sent, rate = side.flood(syns(side), SECONDS).result()
        note(f'{sent} SYNs, {rate:.0f} a second')
    after = lab.stats()
    grown = {k: after[f'server.{k}'] - before[f'server.{k}'] for k in
             ('tcp_cookies_sent', 'tcp_cookies_accepted', 'rx_packets')}
    note(str(grown))
    check(grown['tcp_cookies_accepted'] > 0, 'nobody came in by a cookie')


# --- forgeries around one connection ---


class Raw:
    """A TCP connection made by hand, from an address that no kernel answers for."""

    def __init__(self, side, sport, dport, src='10.66.1.1', v=4, window=65535, options=b''):
        self.side, self.sport, self.dport, self.src, self.v = side, sport, dport, src, v
        self.window = window
        self.heard = side.lab.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3), where=side.ns)
        self.heard.bind(('eth0', 3))
        self.heard.settimeout(5)
        self.seq, self.ack = 1000, 0
        self.send(SYN, options=options)
        flags, seq, _, _ = self.receive(lambda f, *_: f & SYN and f & ACK)
        self.seq, self.ack = self.seq + 1, (seq + 1) & 0xffffffff
        self.send(ACK)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0]:  # a case that begins anew opens it anew
            self.reset()
        self.heard.close()

    def frame(self, flags, payload=b'', seq=None, ack=None, options=b''):
        return self.side.tcp(self.sport, self.dport, flags, self.seq if seq is None else seq,
                             self.ack if ack is None else ack, payload, src=self.src, v=self.v,
                             window=self.window, options=options)

    def send(self, *args, **kw):
        self.side.send(self.frame(*args, **kw))

    def segments(self, seconds):
        """(flags, seq, ack, payload) of what Tidegate sends to us within so long."""
        end = time.monotonic() + seconds
        while True:
            self.heard.settimeout(max(0.001, end - time.monotonic()))
            try:
                b = self.heard.recv(65536)
            except TimeoutError:
                return
            if time.monotonic() > end:
                return
            got = parse_tcp(b)
            if got and got[:2] == (self.dport, self.sport):
                yield got[2:]

    def receive(self, want, seconds=5):
        for s in self.segments(seconds):
            if want(*s):
                return s
        raise AssertionError('Tidegate did not answer')

    def talk(self, payload):
        """Data and their echo; both acknowledged."""
        self.send(PSH | ACK, payload)
        self.seq += len(payload)
        got = b''
        for _, seq, _, data in self.segments(5):
            if data and seq == self.ack:
                got += data
                self.ack = (self.ack + len(data)) & 0xffffffff
                self.send(ACK)
            if len(got) >= len(payload):
                break
        equal(got, payload, 'echo')

    def reset(self):
        self.send(RST)


@case
def blind_injection_is_challenged_ten_times_a_second(lab):
    """Each kind, a thousand a second: at most ten answers in any second; the connection lives; an
    exact RST ends it."""
    kinds = {
        'RST in the window': lambda c, i: c.frame(RST, seq=c.seq + 1 + i),
        'SYN in the window': lambda c, i: c.frame(SYN, seq=c.seq + i),
        'SYN anywhere': lambda c, i: c.frame(SYN, seq=c.seq + i * 4000037),
        'data behind the window': lambda c, i: c.frame(ACK | PSH, b'evil' * 5,
                                                       seq=c.seq + 10000000 + i * 1000003),
        'data from long ago': lambda c, i: c.frame(ACK | PSH, b'evil' * 5,
                                                   seq=c.seq - 10000000 - i * 1000003),
        'data with an ACK of nothing': lambda c, i: c.frame(ACK | PSH, b'evil', seq=c.seq + i % 50,
                                                            ack=c.ack + 1000000 + i),
        'data with an ACK of long ago': lambda c, i: c.frame(ACK | PSH, b'evil', seq=c.seq + i % 50,
                                                             ack=c.ack - 10000000 - i),
        'bare ACK of nothing': lambda c, i: c.frame(ACK, ack=c.ack + 1000000 + i),
    }
    with Side(lab) as side, good_client(lab):
        for n, (what, make) in enumerate(kinds.items()):
            for v, src in ((4, f'10.66.2.{n + 1}'), (6, f'fd66::2:{n + 1:x}')):
                with Raw(side, 4000 + n, 9001, src, v) as c:
                    c.talk(b'hello')
                    frames = [make(c, i) for i in range(200)]
                    at = []
                    for i in range(0, 200, 20):
                        for f in frames[i:i + 20]:
                            side.send(f)
                        at += [time.monotonic() for _ in c.segments(0.03)]
                    most = max((sum(t <= u < t + 1 for u in at) for t in at), default=0)
                    check(most <= 10, f'{what}, IPv{v}: {most} answers in a second')
                    c.talk(b'still here')
                    before = lab.stat('server.tcp_connections')
                    c.reset()
                    wait_for(lambda b=before: lab.stat('server.tcp_connections') < b,
                             f'{what}: an exact RST to close', 5)


@case
def ack_storm_between_two_stacks(lab):
    """Both ends are made to believe in bytes that the other never sent: each then acknowledges what
    the other has not sent, and is told so. It comes to rest by itself."""
    with Side(lab) as side, good_client(lab):
        heard = lab.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3), where=lab.client)
        heard.bind(('eth0', 3))
        with heard, Client(lab.connect((GATE4, 9001))) as c, \
                lab.socket(socket.AF_PACKET, socket.SOCK_RAW, 0, where=lab.gate) as to_client:
            to_client.bind(('tgn0', 0))
            c.send(b'hello')
            equal(c.exactly(5), b'hello')
            own = c.sock.getsockname()[1]
            last = {}
            heard.settimeout(0.2)
            end = time.monotonic() + 0.3
            with contextlib.suppress(TimeoutError):
                while time.monotonic() < end:
                    b = heard.recv(65536)
                    p = parse_tcp(b)
                    if p and own in p[:2]:
                        last[p[0] == own] = p, b
            (_, _, _, seq, ack, data), _ = last[True]
            seq += len(data)
            forged = side.tcp(own, 9001, ACK | PSH, seq, ack, b'x' * 10, options=stamp_of(last[True][1]))
            side.send(forged)
            back = side.tcp(9001, own, ACK | PSH, ack, seq, b'y' * 10, src=GATE4, dst=CLIENT4,
                            options=stamp_of(last[False][1]))
            to_client.send(side.own_mac + side.gate_mac + back[12:])
            n, end = 0, time.monotonic() + 3
            heard.settimeout(0.1)
            while time.monotonic() < end:
                with contextlib.suppress(TimeoutError):
                    p = parse_tcp(heard.recv(65536))
                    n += bool(p and own in p[:2])
            note(f'{n} segments in 3 s after the two lost each other')
            check(n <= 120, f'{n} segments in 3 s')


def stamp_of(frame):
    """The timestamp option of a frame's segment, padded, or nothing."""
    at = 14 + (frame[14] & 15) * 4
    options = frame[at + 20:at + (frame[at + 12] >> 4) * 4]
    i = options.find(b'\x08\x0a')
    return b'\x01\x01' + options[i:i + 10] if i >= 0 else b''


@case
def christmas_trees_and_null_segments(lab):
    rng = random.Random(5)
    with Side(lab) as side, Raw(side, 5000, 9001, '10.66.3.1') as c:
        now = counted(lab)
        frames = []
        for flags in (0, FIN, FIN | PSH | URG, 0xff, SYN | FIN, SYN | RST, SYN | FIN | ACK, URG, PSH):
            for i in range(200):
                v = 4 if i % 2 else 6
                frames.append(side.tcp(rng.randrange(1024, 65536), 80, flags, rng.randrange(1 << 32), v=v))
                frames.append(c.frame(flags, seq=c.seq + rng.randrange(100)))
        with good_client(lab):
            sent, rate = side.flood(frames, SECONDS).result()
        c.talk(b'still here')
        c.reset()
        got = now()
        note(f'{sent} segments, {rate:.0f} a second: {got}')
        check(got.get('tcp_bad_flags', 0) > 1000, f'not counted: {got}')


@case
def tiny_segments(lab):
    """A byte a segment, out of order and in order, to an origin that does not read: the buffers
    that this pins are bounded by the bytes, not by the segments."""
    with Side(lab) as side, good_client(lab):
        conns = [Raw(side, 6000 + i, 9005, f'10.66.4.{i + 1}') for i in range(8)]
        before = mbufs(lab)
        for i in range(0, 4000, 50):
            for c in conns:
                for k in range(50):
                    c.send(ACK | PSH, b'z', seq=c.seq + i + k)
        time.sleep(0.3)
        used = mbufs(lab) - before
        note(f'{8 * 4000} segments of a byte take {used} buffers')
        check(used <= 600, f'{used} buffers for {8 * 4000} bytes')
        for c in conns:
            c.reset()
            c.heard.close()


@case
def holes_do_not_pin_memory(lab):
    """Many connections, each with as many holes as it may have: a part of the buffers, no more."""
    n = 400
    with Side(lab) as side, good_client(lab):
        conns = []
        for i in range(n):
            c = Raw(side, 7000 + i, 9005, f'10.66.{5 + i // 250}.{i % 250 + 1}')
            c.heard.close()
            conns.append(c)
        before = mbufs(lab)
        frames = [c.frame(ACK, b'h' * 8, seq=c.seq + 100 + k * 200) for k in range(300) for c in conns]
        side.flood(frames, max(SECONDS, 3), 60000).result()
        used, total = mbufs(lab) - before, pool_size(lab, 'mbuf')
        note(f'{n} connections with 300 holes each: {used} of {total} buffers')
        check(used <= total / 4, f'{used} of {total} buffers pinned')
        for c in conns:
            c.reset()


# --- connections that never end ---


@contextlib.contextmanager
def many(lab, n, what, addr=(GATE4, 80), **kw):
    """n connections, each of which has sent `what`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n + 500), max(hard, n + 500)))
    conns = []
    try:
        for _ in range(n):
            s = lab.connect(addr, timeout=30, **kw)
            conns.append(s)
            if what:
                s.sendall(what)
        yield conns
    finally:
        for s in conns:
            s.close()


def most_mbufs(lab, seconds):
    """The most buffers in use that were seen in that time."""
    end, most = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        most = max(most, mbufs(lab))
    return most


@case
def slow_readers_with_a_zero_window_for_ever(lab):
    """They come one after another; then all ask at once, when windows have been promised that no
    memory could keep."""
    get = request('GET', '/bytes/3000000', 'py.test')
    n, total = quick(600, 200), pool_size(lab, 'mbuf')
    with good_client(lab, seconds=2):
        with many(lab, n, get, rcvbuf=2048), many(lab, 50, None, (GATE4, 9004), rcvbuf=2048):
            used = most_mbufs(lab, 1)
            note(f'{n} of them: {used} of {total} buffers')
            check(used < total * 15 / 16, f'{used} of {total} buffers')
    with good_client(lab, seconds=2):
        with many(lab, n, None, rcvbuf=2048) as conns:
            for s in conns:
                s.sendall(get)
            used = most_mbufs(lab, 2)
            note(f'{n} of them at once: {used} of {total} buffers')
            check(used < total * 15 / 16, f'{used} of {total} buffers')


@case
def never_finishing_connections(lab):
    """Half a head, half a body, nothing at all: more of each than there are exchanges."""
    head = b'GET /hello HTTP/1.1\r\nHost: nginx.test\r\nX-'
    body = b'POST /echo HTTP/1.1\r\nHost: py.test\r\nContent-Length: 1000000\r\n\r\nabc'
    n = quick(1500, 300)
    with good_client(lab, seconds=1):
        with many(lab, n, head), many(lab, n // 5, body), many(lab, n // 2, None), \
                many(lab, 200, None, (GATE4, 9001)):
            time.sleep(1)


@case
def half_open_handshakes(lab):
    """SYNs without end from real addresses and the ACKs of none."""
    with Side(lab) as side, good_client(lab):
        frames = list(syns(side, 4096)) + [
            side.tcp(1024 + i, 80, ACK, i * 77777, i * 33333, src=src) for i, src in
            enumerate(spoofed(4096))]
        sent, rate = side.flood(frames, SECONDS, 20000).result()
        note(f'{sent} segments, {rate:.0f} a second')
    wait_for(lambda: lab.stat('server.tcp_embryonic') <= pool_size(lab, 'tcp_embryonic'), 'bounded', 5)


# --- fragments, ARP, ND ---


@case
def fragment_floods_and_overlaps(lab):
    rng = random.Random(6)
    with Side(lab) as side:
        frames = []
        for i in range(4000):
            off = rng.randrange(0, 100)
            more = 0x2000 if rng.random() < 0.8 else 0
            frames.append(side.ip(rng.randbytes(8 * rng.randrange(1, 20)), rng.choice((6, 17)),
                                  src=f'10.66.9.{i % 250 + 1}', ident=i // 7, frag=more | off))
            fh = struct.pack('>BBHI', rng.choice((6, 17)), 0, off << 3 | (more and 1), i // 7)
            frames.append(side.ip(fh + rng.randbytes(8 * rng.randrange(1, 20)), 44,
                                  src=f'fd66::9:{i % 250 + 1:x}', v=6))
        now = counted(lab)
        with good_client(lab):
            sent, rate = side.flood(frames, SECONDS).result()
        got = now()
        note(f'{sent} fragments, {rate:.0f} a second: {got}')
        check(got.get('frag_table_full', 0) > 0 and got.get('frag_bad', 0) > 0, f'{got}')
        size = pool_size(lab, 'reassembly')
        check(lab.pools()[('reassembly', 0)] <= size, 'more than there is room for')


@case
def arp_and_nd_floods_and_spoofing(lab):
    """Claims of the client's address and of made-up ones, and SYNs from made-up neighbours: the
    table is bounded, what is in use stays, and stays right."""
    evil = bytes.fromhex('02deadbeef01')
    all_nodes = b'\x33\x33\x00\x00\x00\x01'
    with Side(lab) as side:
        frames = []
        for i in range(2000):
            made4, made6 = f'10.77.1.{i % 250 + 4}', f'fd77:1::{i + 16:x}'
            frames += [
                side.arp(2, evil, CLIENT4, GATE4, side.gate_mac, side.gate_mac),
                side.arp(1, evil, CLIENT4, GATE4),
                side.arp(1 + i % 2, evil, made4, GATE4),
                side.arp(2, evil, GATE4, GATE4),
                side.nd(136, CLIENT6, CLIENT6, GATE6, evil, 0x60000000, side.gate_mac),
                side.nd(136, CLIENT6, CLIENT6, 'ff02::1', evil, 0x20000000, all_nodes),
                side.nd(135, GATE6, CLIENT6, GATE6, evil, 0, side.gate_mac),
                side.nd(135, GATE6, made6, GATE6, evil, 0, side.gate_mac),
                side.tcp(1024 + i, 80, SYN, i, src=made4), side.tcp(1024 + i, 80, SYN, i, src=made6, v=6)]
        with good_client(lab, seconds=2):
            sent, rate = side.flood(frames, SECONDS).result()
        note(f'{sent} frames, {rate:.0f} a second; {lab.stat("server.neighbours")} neighbours')
        check(lab.stat('server.neighbours') <= pool_size(lab, 'neighbours'), 'more than the table')


# --- ports and numbers that nobody guesses ---


@case
def ports_and_isns_are_unpredictable(lab):
    unguessable(dialled(lab, quick(2500, 1500)))


if __name__ == '__main__':
    main(lambda: AttackLab(routes=IP_ROUTES + ROUTES), tries=3)
