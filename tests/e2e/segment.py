"""One TCP segment: built byte by byte as a script wants it, and read back.

Nothing is corrected: a wrong checksum, a header length that lies or an option that cannot be goes
out as it was asked for.
"""
import ipaddress
import struct

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE = 1, 2, 4, 8, 16, 32, 64, 128, 256
LETTERS = 'FSRP.UEWA'


def flags_of(text):
    """'S', 'S.', 'FP.', 'SEW': packetdrill's letters, "." is ACK."""
    return sum(1 << LETTERS.index(c) for c in text)


def flags_text(bits):
    return ''.join(c for i, c in enumerate(LETTERS) if bits >> i & 1)


def csum(data):
    if len(data) & 1:
        data += b'\0'
    s = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


# --- options ---

def mss(n):
    return struct.pack('!BBH', 2, 4, n)


def wscale(n):
    return bytes((3, 3, n))


SACK_OK = b'\x04\x02'
NOP = b'\x01'
EOL = b'\0'


def ts(val, ecr):
    return struct.pack('!BBII', 8, 10, val & 0xffffffff, ecr & 0xffffffff)


def sack(*blocks):
    return bytes((5, 2 + 8 * len(blocks))) + b''.join(
        struct.pack('!II', a & 0xffffffff, b & 0xffffffff) for a, b in blocks)


def pad(opts, fill=NOP):
    return opts + fill * (-len(opts) % 4)


class Options:
    """What a header's options say; order: the kinds as they stand."""

    def __init__(self, raw):
        self.raw, self.order = raw, []
        self.mss = self.wscale = self.ts = None
        self.sack_ok, self.sack, self.bad = False, [], False
        i = 0
        while i < len(raw):
            kind = raw[i]
            self.order.append({0: 'eol', 1: 'nop', 2: 'mss', 3: 'wscale', 4: 'sackOK', 5: 'sack',
                               8: 'TS'}.get(kind, str(kind)))
            if kind == 0:
                break
            if kind == 1:
                i += 1
                continue
            if i + 1 >= len(raw) or raw[i + 1] < 2 or i + raw[i + 1] > len(raw):
                self.bad = True
                break
            body = raw[i + 2:i + raw[i + 1]]
            if kind == 2:
                self.mss = struct.unpack('!H', body)[0]
            elif kind == 3:
                self.wscale = body[0]
            elif kind == 4:
                self.sack_ok = True
            elif kind == 5:
                n = struct.unpack(f'!{len(body) // 4}I', body)
                self.sack = list(zip(n[::2], n[1::2]))
            elif kind == 8:
                self.ts = struct.unpack('!II', body)
            i += raw[i + 1]


class Segment:
    """A received one. when: seconds, the kernel's receive stamp."""

    def __init__(self, ip, seq, ack, flags, win, opts, data, when, info):
        self.ip, self.seq, self.ack, self.flags = ip, seq, ack, flags
        self.win, self.opts, self.data, self.when = win, opts, data, when
        self.urg = info.get('urg', 0)
        self.ttl, self.tos, self.df, self.ipid = (info[k] for k in ('ttl', 'tos', 'df', 'ipid'))
        self.csum_ok = info['csum_ok']

    @property
    def len(self):
        return len(self.data)

    @property
    def end(self):
        return self.seq + len(self.data) + bool(self.flags & SYN) + bool(self.flags & FIN)


def pseudo(src, dst, proto, n):
    s, d = ipaddress.ip_address(src).packed, ipaddress.ip_address(dst).packed
    if len(s) == 4:
        return s + d + struct.pack('!BBH', 0, proto, n)
    return s + d + struct.pack('!IxxxB', n, proto)


def build_ip(src, dst, proto, payload, *, tos=0, ttl=64, df=True, ipid=0):
    s, d = ipaddress.ip_address(src).packed, ipaddress.ip_address(dst).packed
    if len(s) == 4:
        head = struct.pack('!BBHHHBBH', 0x45, tos, 20 + len(payload), ipid, 0x4000 if df else 0,
                           ttl, proto, 0) + s + d
        return head[:10] + struct.pack('!H', csum(head)) + head[12:] + payload
    return struct.pack('!IHBB', 0x60000000 | tos << 20, len(payload), proto, ttl) + s + d + payload


def build_tcp(src, dst, sport, dport, *, seq, ack=0, flags=ACK, win=65535, opts=b'', data=b'',
              urg=0, bad_csum=False, doff=None, reserved=0):
    opts = pad(opts, EOL)
    off = (20 + len(opts)) // 4 if doff is None else doff
    head = struct.pack('!HHIIBBHHH', sport, dport, seq & 0xffffffff, ack & 0xffffffff,
                       off << 4 | reserved << 1 | flags >> 8, flags & 0xff, win, 0, urg)
    raw = head + opts + data
    c = csum(pseudo(src, dst, 6, len(raw)) + raw)
    if bad_csum:
        c ^= 0x5555
    return raw[:16] + struct.pack('!H', c) + raw[18:]


def parse_ip(pkt, when):
    """A TCP segment in an IP packet, or (proto, src, dst, payload), or None."""
    if len(pkt) < 20:
        return None
    if pkt[0] >> 4 == 4:
        hl, total, ipid, frag, ttl, proto = (
            (pkt[0] & 15) * 4, *struct.unpack('!HHH', pkt[2:8]), pkt[8], pkt[9])
        src, dst = (str(ipaddress.ip_address(pkt[i:i + 4])) for i in (12, 16))
        info = {'ttl': ttl, 'tos': pkt[1], 'df': bool(frag & 0x4000), 'ipid': ipid}
        body = pkt[hl:total]
    elif pkt[0] >> 4 == 6 and len(pkt) >= 40:
        n, proto, ttl = struct.unpack('!HBB', pkt[4:8])
        src, dst = (str(ipaddress.ip_address(pkt[i:i + 16])) for i in (8, 24))
        info = {'ttl': ttl, 'tos': (struct.unpack('!I', pkt[:4])[0] >> 20) & 255, 'df': True,
                'ipid': 0}
        body = pkt[40:40 + n]
    else:
        return None
    if proto != 6 or len(body) < 20:
        return proto, src, dst, body
    sport, dport, seq, ack, off, fl, win, _c, urg = struct.unpack('!HHIIBBHHH', body[:20])
    hl = (off >> 4) * 4
    info['urg'] = urg
    info['csum_ok'] = csum(pseudo(src, dst, 6, len(body)) + body) == 0
    return Segment((src, sport, dst, dport), seq, ack, fl | (off & 1) << 8, win,
                   Options(body[20:hl]), body[hl:], when, info)
