"""Packet scripts against a TCP that is looked at from outside only.

A script is a function of one Peer. It injects segments made by hand, says what must come back and
when, and tells the application behind the TCP what to do:

    def fin_is_acknowledged(p):
        p.open()
        p.send('F.')
        p.expect('.', ack=2)
        p.app.shutdown()
        p.expect('F.', seq=1, ack=2)

The same script runs against a socket of the Linux kernel and against Tidegate's L4 listener, whose
application is the origin. Sequence numbers are relative to the two initial ones: a SYN is 0, the
first byte is 1. Flags are packetdrill's letters. The Peer is no host of its kernel: it answers ARP
and neighbour solicitations for its own addresses itself, so that no kernel resets what it plays.

Times are those of the kernel's receive stamps, so a late script thread does not falsify them.
"""
import ipaddress
import queue
import random
import socket
import struct
import threading
import time

import netns
import segment as sg
from segment import flags_of, flags_text

SO_TIMESTAMPNS = 35
ETH4, ETH6, ETHARP = b'\x08\x00', b'\x86\xdd', b'\x08\x06'


class Mismatch(AssertionError):
    pass


class Link:
    """The peers' side of one cable: several addresses, one made-up MAC, one receiving thread."""

    def __init__(self, ns, addresses, mac):
        self.mac = bytes.fromhex(mac.replace(':', ''))
        self.addresses = {ipaddress.ip_address(a).packed for a in addresses}
        self.macs = {}
        self.queues = {}
        self.icmp = queue.Queue()
        self.arps = []
        with netns.inside(ns):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.sock.bind(('eth0', 3))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.thread = threading.Thread(target=self._receive, daemon=True)
        self.thread.start()

    def close(self):
        self.addresses = set()
        self.sock.close()

    def _receive(self):
        while True:
            try:
                frame, anc, _flags, addr = self.sock.recvmsg(65536, 128)
            except OSError:
                return
            if addr[2] == socket.PACKET_OUTGOING:
                continue
            when = time.time()
            for level, kind, data in anc:
                if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    s, ns = struct.unpack('qq', data[:16])
                    when = s + ns / 1e9
            try:
                self._frame(frame, when)
            except (ValueError, IndexError, struct.error):
                pass

    def _frame(self, frame, when):
        kind, body = frame[12:14], frame[14:]
        if kind == ETHARP:
            self._arp(body)
        elif kind in (ETH4, ETH6):
            s = sg.parse_ip(body, when)
            if isinstance(s, sg.Segment):
                q = self.queues.get((s.ip[2], s.ip[3]))
                if q:
                    q.put(s)
            elif s and s[0] == 58 and s[3][:1] == b'\x87':
                self._solicited(frame[6:12], s)
            elif s and s[0] == 58 and s[3][:1] == b'\x88':
                self.macs[ipaddress.ip_address(s[1]).packed] = frame[6:12]

    def _arp(self, b):
        op, smac, sip, tip = struct.unpack('!H', b[6:8])[0], b[8:14], b[14:18], b[24:28]
        if tip in self.addresses:
            self.macs[sip] = smac
            if op == 1:
                self.raw(smac, ETHARP, struct.pack('!HHBBH', 1, 0x800, 6, 4, 2)
                         + self.mac + tip + smac + sip)

    def _solicited(self, mac, s):
        target = s[3][8:24]
        if target not in self.addresses:
            return
        src = str(ipaddress.ip_address(target))
        if s[1] != '::':
            self.macs[ipaddress.ip_address(s[1]).packed] = mac
        body = b'\x88\0\0\0\x60\0\0\0' + target + b'\x02\x01' + self.mac
        self._icmp6(mac, src, s[1] if s[1] != '::' else 'ff02::1', body)

    def _icmp6(self, mac, src, dst, body):
        c = sg.csum(sg.pseudo(src, dst, 58, len(body)) + body)
        body = body[:2] + struct.pack('!H', c) + body[4:]
        self.raw(mac, ETH6, sg.build_ip(src, dst, 58, body, ttl=255))

    def raw(self, mac, kind, body):
        self.sock.send((mac + self.mac + kind + body).ljust(60, b'\0'))

    def resolve(self, own, remote):
        """The MAC of remote, asked for until it answers."""
        key = ipaddress.ip_address(remote).packed
        src = ipaddress.ip_address(own).packed
        for _ in range(50):
            if key in self.macs:
                return self.macs[key]
            if len(key) == 4:
                self.raw(b'\xff' * 6, ETHARP, struct.pack('!HHBBH', 1, 0x800, 6, 4, 1)
                         + self.mac + src + b'\0' * 6 + key)
            else:
                dst = 'ff02::1:ff' + '%02x:%02x%02x' % tuple(key[13:])
                body = b'\x87\0\0\0\0\0\0\0' + key + b'\x01\x01' + self.mac
                self._icmp6(b'\x33\x33\xff' + key[13:], own, dst, body)
            time.sleep(0.1)
        raise AssertionError(f'{remote} does not answer ARP or ND')

    def ip(self, own, remote, pkt):
        self.raw(self.resolve(own, remote), ETH6 if ':' in remote else ETH4, pkt)


class App:
    """The application's end of a connection: a kernel socket that does what a script says."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(5)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)

    def write(self, n, nodelay=False):
        if nodelay:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(bytes(range(256)) * (n // 256) + bytes(range(n % 256)))

    def read(self, n, within=3):
        """Exactly n bytes, or fewer at the end of the stream."""
        self.sock.settimeout(within)
        out = b''
        while len(out) < n:
            try:
                part = self.sock.recv(n - len(out))
            except socket.timeout:
                raise Mismatch(f'the application got {len(out)} of {n} bytes') from None
            if not part:
                break
            out += part
        return out

    def at_eof(self, within=3):
        if self.read(1, within):
            raise Mismatch('the application got a byte where the stream should end')

    def was_reset(self, within=3):
        try:
            self.read(1 << 20, within)
        except (ConnectionResetError, BrokenPipeError):
            return
        except Mismatch:
            pass
        raise Mismatch('the application saw no reset')

    def shutdown(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def abort(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.sock.close()


class Peer:
    """One side of one connection, played by hand. target: see linux_target.py."""

    def __init__(self, target, slot, v6, port):
        self.target, self.slot, self.v6 = target, slot, v6
        self.link = target.link
        self.own, self.remote = target.pair(v6)
        self.sport, self.dport = port, target.port(slot)
        self.strangers, self.acked = target.strangers, 1
        self.iss = random.getrandbits(32)
        self.irs = None
        self.seq, self.ack = 0, 0  # next own byte; next byte of theirs that we acknowledge
        self.ts, self.ts_base, self.tsecr = False, random.getrandbits(31), 0
        self.t0 = time.time()
        self.win, self.app, self.log = 65535, None, []
        self.sent_at = self.t0
        self.mark = None
        self.queue = self.link.queues[(self.own, self.sport)] = queue.Queue()

    def end(self):
        if self.irs is not None:
            self.strangers.add(self.dport)
            for at in {self.seq, self.acked}:
                self.send('R.', seq=at, opts=b'')
        self.link.queues.pop((self.own, self.sport), None)
        if self.app:
            self.app.close()
        self.target.rest(self.slot)

    # --- sending ---

    def now_ts(self):
        return (self.ts_base + int((time.time() - self.t0) * 1000)) & 0xffffffff

    def _note(self, how, when, text):
        self.log.append(f'{when - self.t0:8.4f} {how} {text}')

    def send(self, flags='.', data=b'', *, seq=None, ack=None, win=None, opts=None, tsval=None,
             tsecr=None, urg=0, bad_csum=False, tos=0, doff=None, reserved=0, keep=False):
        """data: bytes or how many. keep: our own next sequence number does not move."""
        data = bytes(data) if isinstance(data, int) else data
        bits = flags_of(flags)
        at = self.seq if seq is None else seq
        if opts is None:
            opts = b''
            if self.ts:
                val = self.now_ts() if tsval is None else tsval
                opts = sg.NOP * 2 + sg.ts(val, self.tsecr if tsecr is None else tsecr)
        their = 0 if self.irs is None else self.irs
        number = self.ack if ack is None else ack
        raw = sg.build_tcp(
            self.own, self.remote, self.sport, self.dport, seq=self.iss + at,
            ack=their + number if bits & sg.ACK else 0, flags=bits,
            win=self.win if win is None else win, opts=opts, data=data, urg=urg,
            bad_csum=bad_csum, doff=doff, reserved=reserved)
        pkt = sg.build_ip(self.own, self.remote, 6, raw, tos=tos)
        self.sent_at = time.time()
        self._note('>', self.sent_at, f'{flags} {at}:{at + len(data)}({len(data)}) ack {number}')
        self.link.ip(self.own, self.remote, pkt)
        if seq is None and not keep:
            self.seq = at + len(data) + bool(bits & sg.SYN) + bool(bits & sg.FIN)

    def ack_to(self, n, sack=(), **kw):
        """An ACK of everything below n; blocks are relative to their numbers."""
        if sack:
            opts = b''
            if self.ts:
                opts = sg.NOP * 2 + sg.ts(kw.pop('tsval', self.now_ts()),
                                          kw.pop('tsecr', self.tsecr))
            blocks = [(self.irs + a, self.irs + b) for a, b in sack]
            kw['opts'] = opts + sg.NOP * 2 + sg.sack(*blocks)
        self.ack = max(self.ack, n)
        self.send('.', ack=n, **kw)

    def icmp(self, kind, code, rest, quoted):
        """An ICMP error that quotes an IP packet of theirs."""
        if self.v6:
            body = struct.pack('!BBHI', kind, code, 0, rest) + quoted[:1200]
            c = sg.csum(sg.pseudo(self.own, self.remote, 58, len(body)) + body)
            proto = 58
        else:
            body = struct.pack('!BBHI', kind, code, 0, rest) + quoted[:28]
            c, proto = sg.csum(body), 1
        body = body[:2] + struct.pack('!H', c) + body[4:]
        self._note('>', time.time(), f'icmp {kind} {code} {rest}')
        self.link.ip(self.own, self.remote, sg.build_ip(self.own, self.remote, proto, body))

    def quote(self, seq, n=0):
        """Their segment of these numbers, as a router would quote it."""
        raw = sg.build_tcp(self.remote, self.own, self.dport, self.sport, seq=self.irs + seq,
                           ack=self.iss + self.seq, data=bytes(n))
        return sg.build_ip(self.remote, self.own, 6, raw)

    # --- receiving ---

    def _next(self, within):
        end = time.time() + within
        while True:
            try:
                s = self.queue.get(timeout=max(0, end - time.time()))
            except queue.Empty:
                return None
            if self.dport == s.ip[1] or (not self.dport and s.flags & sg.SYN
                                         and s.ip[1] not in self.strangers):
                return s  # else it is of a connection of an earlier script

    def get(self, within=1.0):
        """The next segment of theirs, with relative numbers; None: silence."""
        s = self._next(within)
        if s is None:
            return None
        if self.irs is None and s.flags & sg.SYN:
            self.irs = s.seq
        s.raw_seq, s.raw_ack = s.seq, s.ack
        s.seq = _signed(s.seq - (self.irs or 0))
        s.ack = _signed(s.ack - self.iss) if s.flags & sg.ACK else 0
        self.acked = max(self.acked, s.ack)
        s.blocks = [(_signed(a - self.iss), _signed(b - self.iss)) for a, b in s.opts.sack]
        if s.opts.ts:
            self.tsecr = s.opts.ts[0]
        text = f'{flags_text(s.flags)} {s.seq}:{s.seq + s.len}({s.len}) ack {s.ack} win {s.win}'
        if s.blocks:
            text += f' sack {s.blocks}'
        self._note('<', s.when, text)
        if not s.csum_ok:
            raise Mismatch('a segment with a bad checksum')
        return s

    def expect(self, flags=None, *, within=1.5, push=False, after=None, at=None, tol=0.04, **want):
        """The next segment must have these flags (PSH counts only with push) and fields. after,
        at: seconds since self.mark (default: our last segment), not before / within tol of it."""
        start = self.mark if self.mark is not None else self.sent_at
        s = self.get(max(within, (at or 0) + 1, (after or 0) + 1))
        what = f'wanted {flags} {want}'
        if s is None:
            raise Mismatch(f'{what}, got silence')
        if flags is not None:
            mask = ~0 if push else ~sg.PSH
            if s.flags & mask != flags_of(flags) & mask:
                raise Mismatch(f'{what}, got {flags_text(s.flags)}')
        for name, value in want.items():
            got = {'sack': s.blocks, 'mss': s.opts.mss, 'wscale': s.opts.wscale,
                   'order': s.opts.order}.get(name, getattr(s, name, None))
            if got != value:
                raise Mismatch(f'{what}: {name} is {got}')
        took = s.when - start
        if after is not None and took < after:
            raise Mismatch(f'{what}: after {took:.3f} s, not before {after} wanted')
        if at is not None and not at - tol <= took <= at + tol + LATE:
            raise Mismatch(f'{what}: after {took:.3f} s, wanted {at} +- {tol}')
        return s

    def silence(self, seconds=0.15):
        s = self.get(seconds)
        if s is not None:
            raise Mismatch(f'wanted silence, got {self.log[-1]}')

    def burst(self, quiet=0.06, first=1.5):
        """Segments until none comes for `quiet` seconds."""
        out, wait = [], first
        while True:
            s = self.get(wait)
            if s is None:
                return out
            out.append(s)
            wait = quiet

    def data(self, total, quiet=0.06):
        """Data segments until `total` bytes are there, in order."""
        out, have = [], 0
        while have < total:
            s = self.get(1.5)
            if s is None:
                raise Mismatch(f'{have} of {total} bytes came')
            if s.len:
                out.append(s)
                have += s.len
        rest = self.get(quiet)
        if rest is not None:
            raise Mismatch(f'more than {total} bytes: {self.log[-1]}')
        return out

    # --- the usual beginnings ---

    def syn(self, *, mss=1460, sack=True, ts=True, wscale=7, flags='S', win=65535, opts=None,
            data=b''):
        if opts is None:
            opts = sg.mss(mss) if mss is not None else b''
            val = sg.ts(self.now_ts(), 0) if ts else b''
            if sack:
                opts += sg.SACK_OK + val if ts else sg.NOP * 2 + sg.SACK_OK
            elif ts:
                opts += sg.NOP * 2 + val
            if wscale is not None:
                opts += sg.NOP + sg.wscale(wscale)
        self.send(flags, opts=opts, win=win, data=data, seq=0)
        self.seq = 1

    def open(self, *, mss=1460, sack=True, ts=True, wscale=7, win=65535, rtt=0, accept=True):
        """The three-way handshake, our ACK rtt seconds after their SYN-ACK."""
        self.syn(mss=mss, sack=sack, ts=ts, wscale=wscale, win=min(win, 65535))
        s = self.expect('S.', ack=1)
        self.ts, self.win = ts and s.opts.ts is not None, win
        self.ack = 1
        if rtt:
            time.sleep(max(0, s.when + rtt - time.time()))
        self.send('.')
        if accept:
            self.accept()
        return s

    def accept(self):
        self.app = App(self.target.accept(self.slot))
        time.sleep(0.02)
        self.mark = None
        return self.app

    def sleep_until(self, when):
        time.sleep(max(0, when - time.time()))

    def from_now(self):
        """Later `at` and `after` count from here."""
        self.mark = time.time()
        return self.mark

    def from_segment(self, s):
        self.mark = s.when


# What a loaded machine may add to a time, seconds. Too early is never excused.
LATE = 0.15


def _signed(n):
    n &= 0xffffffff
    return n - (1 << 32) if n >= 1 << 31 else n


def check(cond, text):
    if not cond:
        raise Mismatch(text)


def run(fn, make_peer):
    """None, or why the script failed with its trace."""
    p = make_peer()
    try:
        fn(p)
        return None
    except (AssertionError, OSError) as e:
        return f'{type(e).__name__}: {e}\n' + '\n'.join(p.log[-60:])
    finally:
        p.end()
