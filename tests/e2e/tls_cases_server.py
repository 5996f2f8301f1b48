"""What a hostile or broken TLS 1.3 server may do: cases for test_tls_origins.py.

A case drives a tls_wire.Server; a connection that is open when it returns gets the answer to its request.
"""
from random import Random

from tls_cases import Case
from tls_cases_more import MESSAGES, TYPES, VERSIONS
from tls_wire import (ALERT, CCS, CERTIFICATE_VERIFY, DATA, FINISHED, HANDSHAKE, KEY_UPDATE, P256, P384, RESPONSE, RETRY,
                      TICKET, X25519, Field, Server, bends, ext, handshake, message, u16, u24, u32, u8)

GROUPS = {}


def group(fn):
    GROUPS[fn.__name__] = fn
    return fn


class _NoSocket:
    def setsockopt(self, *_):
        pass


def _shape():
    s = Server(_NoSocket(), 1, None)
    s.session = bytes(32)
    return s


ENTRY = Field('entry', [Field('cert', b'\0', 3), Field('extensions', b'', 2)])
SHAPES = {
    'hello': lambda: _shape().hello(),
    'extensions': lambda: _shape().extensions(),
    'certificate': lambda: handshake('certificate', 11, [Field('context', b'', 1), Field('list', [ENTRY], 3)]),
    'verify': lambda: handshake('verify', CERTIFICATE_VERIFY, [Field('scheme', b'\0\0'), Field('signature', b'\0', 2)]),
    'finished': lambda: handshake('finished', FINISHED, [Field('mac', bytes(32))]),
}


@group
def flight_fields(rng, long):
    """Each field of the server's messages, each way."""
    for part, shape in SHAPES.items():
        for name, bend in bends(shape()):
            yield Case(name, lambda s, b=bend, p=part: s.open(bend=b, part=p))
    for name, bend in bends(_shape().retry(cookie=b'abc')):
        def run(s, bend=bend):
            s.read_hello()
            t = s.retry(cookie=b'abc')
            bend(t)
            s.say_retry(t.encode())
            s.log.append('again')
            s.PARTS = Server.PARTS
            s.hello = lambda: Server.hello(s, group=P256)
            s.flight()
            s.complete()
        yield Case(name, run)
    for name, bend in bends(_shape().certificate_request()):
        def asks(s, bend=bend):
            s.read_hello()
            s.flight(before=lambda p: p == 'certificate' and (lambda t: (bend(t), s.say(t.encode())))(s.certificate_request()))
            s.complete()
        yield Case(name, asks)


def hello_bent(fn, **how):
    """fn(extensions, body, s): bends the lists of a ServerHello's fields."""
    def run(s):
        s.hello = lambda: Server.hello(s, **how)
        s.open(bend=lambda t: fn(t.find('body', 'extensions').body, t.find('body'), s), part='hello')
    return run


def put(part, name, value):
    def bend(t):
        t.find('body', name).body = value
    return lambda s: s.open(bend=bend, part=part)


def also(part, kind, value, listname='extensions'):
    def bend(t):
        t.find('body', listname).body = [*t.find('body', listname).body, ext('also', kind, value)]
    return lambda s: s.open(bend=bend, part=part)


@group
def hello_meanings(rng, long):
    """ServerHellos and HelloRetryRequests that are well formed and mean something odd."""
    for v in VERSIONS:
        yield Case(f'legacy-version-{v:04x}', put('hello', 'version', u16(v)))

        def selected(es, _b, _s, v=v):
            es[0].find('data').body = u16(v)
        yield Case(f'version-{v:04x}', hello_bent(selected))

        def only_legacy(es, b, _s, v=v):
            del es[0]
            b.find('version').body = u16(v)
        yield Case(f'no-versions-legacy-{v:04x}', hello_bent(only_legacy))
    for tail in (b'DOWNGRD\0', b'DOWNGRD\1'):
        def down(es, b, _s, tail=tail):
            del es[:]
            b.find('random').body = bytes(24) + tail
            b.find('suite').body = b'\xc0\x2b'
        yield Case(f'downgrade-{tail[-1]}', hello_bent(down))
        yield Case(f'downgrade-mark-{tail[-1]}', put('hello', 'random', bytes(24) + tail))
    for n in (0, 1, 31, 32, 33, 255):
        yield Case(f'session-{n}', put('hello', 'session', bytes(n)))
    for x in ('0000', '1300', '1302', '1303', '1304', '1305', '13ff', 'c02b', '0a0a', 'ffff', '00ff'):
        yield Case(f'suite-{x}', put('hello', 'suite', bytes.fromhex(x)))
    for s in (0x1302, 0x1303):
        yield Case(f'real-suite-{s:x}', hello_bent(lambda e, b, s_: None, suite=s))
    for c in (1, 64, 255):
        yield Case(f'compression-{c}', put('hello', 'compression', u8(c)))
    for kind in (0, 1, 5, 10, 11, 13, 16, 18, 21, 22, 23, 28, 35, 41, 42, 43, 44, 45, 49, 50, 51, 13172, 65281, 0x0a0a, 0xabcd):
        for v in (b'', b'\0', b'\0\0', b'\0\2\0\0'):
            yield Case(f'hello-extension-{kind}-{v.hex()}', also('hello', kind, v))
            yield Case(f'encrypted-extension-{kind}-{v.hex()}', also('extensions', kind, v, 'list'))
    for name, key in {'empty': b'', 'zero': bytes(32), 'one': b'\1' + bytes(31), '31': bytes([9]) * 31, '33': bytes([9]) * 33, 'ones': b'\xff' * 32,
                      'order-8': bytes.fromhex('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800')}.items():
        yield Case(f'share-{name}', hello_bent(lambda es, _b, _s, k=key: es[1].find('data', 'key').__setattr__('body', k)))
    for g in (0, P256, P384, 0x1e, 0x100, 0x0a0a, 0xffff):
        yield Case(f'share-group-{g:x}', hello_bent(lambda es, _b, _s, g=g: es[1].find('data', 'group').__setattr__('body', u16(g))))
    yield Case('p256-unasked', hello_bent(lambda es, b, s: None, group=P256))

    def retried(times=1, group_=P256, then=P256, cookie=None, suite=0x1301, then_suite=0x1301, more=()):
        def run(s):
            s.read_hello()
            for _ in range(times):
                s.say_retry(s.retry(group=group_, cookie=cookie, suite=suite, more=more).encode())
            s.hello = lambda: Server.hello(s, group=then, suite=then_suite)
            s.flight()
            s.complete()
        return run
    yield Case('retry', retried())
    yield Case('retry-cookie', retried(cookie=b'c' * 100))
    yield Case('retry-cookie-only', retried(group_=None, then=X25519, cookie=b'x'))
    yield Case('retry-cookie-empty', retried(cookie=b''))
    yield Case('retry-cookie-huge', retried(cookie=b'c' * 60000))
    yield Case('retry-twice', retried(2))
    yield Case('retry-nothing', retried(group_=None, then=X25519))
    for g in (X25519, P384, 0x1e, 0x100, 0x0a0a, 0, 0xffff):
        yield Case(f'retry-group-{g:x}', retried(group_=g, then=X25519))
    yield Case('retry-then-other-group', retried(then=X25519))
    for a, b in ((0x1301, 0x1302), (0x1302, 0x1301), (0x1303, 0x1303), (0x1304, 0x1301)):
        if a in (0x1301, 0x1302, 0x1303):
            yield Case(f'retry-suites-{a:x}-{b:x}', retried(suite=a, then_suite=b))
    for kind in (0, 10, 16, 41, 42, 0xabcd):
        yield Case(f'retry-extension-{kind}', retried(more=(ext('x', kind, b''),)))
    for v in (b'\0\4\0\2h2', b'\0\3\2h2', b'\0\x09\x08http/1.1', b'\0\0', b'\0\x12\x08http/1.1\x08http/1.0'):
        yield Case(f'alpn-{v.hex()}', also('extensions', 16, v, 'list'))
    for v in (b'\1', b'\5', b'\0', b'\1\1'):
        yield Case(f'max-fragment-{v.hex()}', also('extensions', 1, v, 'list'))
    yield Case('early-data-accepted', also('extensions', 42, b'', 'list'))
    yield Case('name-body', also('extensions', 0, b'\0\3\0\0\0', 'list'))
    yield Case('retry-in-place-of-hello', lambda s: (s.read_hello(), s.send(HANDSHAKE, s.retry().encode() + s.retry().encode()), s.get()))
    yield Case('random-retry', put('hello', 'random', RETRY))


@group
def order(rng, long):
    """Messages left out, twice, at the wrong time, unsealed; CCS and alerts anywhere."""
    parts = Server.PARTS
    for p in parts:
        def without(s, p=p):
            s.PARTS = tuple(x for x in parts if x != p)
            s.open()
        if p != 'hello':
            yield Case(f'without-{p}', without)

            def twice(s, p=p):
                s.PARTS = tuple(y for x in parts for y in ((x, x) if x == p else (x,)))
                s.open()
            yield Case(f'twice-{p}', twice)
    for a in range(1, 5):
        for b in range(a + 1, 5):
            def swapped(s, a=a, b=b):
                x = list(parts)
                x[a], x[b] = x[b], x[a]
                s.PARTS = tuple(x)
                s.open()
            yield Case(f'swapped-{parts[a]}-{parts[b]}', swapped)
    extra = {n: m for n, m in MESSAGES.items() if m is not None}
    extra['ticket-good'] = message(TICKET, u32(7200) + u32(1) + b'\1\0' + u16(50) + bytes(50) + b'\0\0')
    extra['huge-ticket'] = u8(TICKET) + u24(0xffffff) + bytes(100)
    extra['certificate-of-max'] = u8(11) + u24(200000) + bytes(100)

    def before(p, what):
        """what(s) ahead of this part; sealed as the others are then."""
        return lambda s: s.open(before=lambda q: what(s) if q == p else None)
    for p in (*parts, 'done'):
        for name, m in extra.items():
            def say(s, m=m):
                s.send(HANDSHAKE, m)
            if p == 'done':
                def late(s, f=say):
                    s.open()
                    f(s)
                yield Case(f'open-{name}', late)
            else:
                yield Case(f'before-{p}-{name}', before(p, say))
        for name, (kind, v) in {'ccs': (CCS, b'\1'), 'ccs-0': (CCS, b'\0'), 'ccs-long': (CCS, b'\1\1'), 'ccs-empty': (CCS, b''), 'fatal': (ALERT, b'\2\x28'),
                                'warning': (ALERT, b'\1\x5a'), 'close': (ALERT, b'\1\0'), 'odd': (ALERT, b'\3\x28'), 'short': (ALERT, b'\2'), 'long': (ALERT, b'\2\x28\0'),
                                'unknown': (ALERT, b'\2\xfe'), 'warning-112': (ALERT, b'\1\x70'), 'data': (DATA, b'xyz'), 'data-empty': (DATA, b''),
                                'heartbeat': (24, b'\1\0\0'), 'empty': (HANDSHAKE, b'')}.items():
            def plain(s, k=kind, v=v):
                s.raw(u8(k) + b'\3\3' + u16(len(v)) + v)

            def sealed(s, k=kind, v=v):
                s.send(k, v)
            for how, fn in (('plain', plain), ('sealed', sealed)):
                if p == 'done':
                    def late_record(s, f=fn):
                        s.open()
                        f(s)
                    yield Case(f'open-{how}-{name}', late_record)
                elif how == 'plain' or p != 'hello':
                    yield Case(f'before-{p}-{how}-{name}', before(p, fn))
    for n in (31, 32, 33, 100):
        yield Case(f'{n}-ccs', before('extensions', lambda s, n=n: s.raw(b'\x14\3\3\0\1\1' * n)))

    def in_one(s):
        s.read_hello()
        h = s.hello().encode()
        s.transcript += h
        s.send(HANDSHAKE, h + message(8, b'\0\0'))
        s.get()
    yield Case('extensions-unsealed-behind-hello', in_one)

    def data_first(s):
        """The answer before the client's Finished (RFC 8446 section 4.4.4 allows data then)."""
        s.read_hello()
        s.flight()
        kept, s.tx = s.tx, s.keys[1]
        s.send(DATA, RESPONSE)
        s.tx = kept
        s.complete()
    yield Case('data-before-client-finished', data_first)

    def ticket_first(s):
        s.read_hello()
        s.flight()
        s.tx = s.keys[1]
        s.send(HANDSHAKE, extra['ticket-good'])
        s.rx = s.hs[0]
        s.complete()
        s.tx.seq = 1
    yield Case('ticket-before-client-finished', ticket_first)
    for n in (1, 5, 50, 200):
        yield Case(f'in-records-of-{n}', lambda s, n=n: s.open(cut=n))


@group
def proofs(rng, long):
    """Certificates and signatures that do not hold."""
    for s_ in (0, 0x0201, 0x0203, 0x0401, 0x0501, 0x0503, 0x0601, 0x0603, 0x0804, 0x0805, 0x0807, 0x0809, 0x0202, 0x0a0a, 0xffff):
        def scheme(s, x=s_):
            s.verify = lambda: Server.verify(s, scheme=x)
            s.open()
        yield Case(f'scheme-{s_:04x}', scheme)

    def flip(part, path, bit):
        def bend(t):
            f = t.find('body', *path)
            b = bytearray(f.body)
            b[bit // 8 % len(b)] ^= 1 << bit % 8
            f.body = bytes(b)
        return lambda s: s.open(bend=bend, part=part)
    for bit in range(0, 71 * 8, 1 if long else 11):
        yield Case(f'signature-bit-{bit}', flip('verify', ('signature',), bit))
    for bit in range(0, 32 * 8, 1 if long else 11):
        yield Case(f'finished-bit-{bit}', flip('finished', ('mac',), bit))
    for bit in range(0, 400 * 8, 5 if long else 61):
        yield Case(f'certificate-bit-{bit}', flip('certificate', ('list', 'entry', 'cert'), bit))
    for kind in (0, 5, 13, 16, 18, 21, 43, 51, 0x0a0a, 0xffff):
        for v in (b'', b'\0', b'\1\0\0\1\0'):
            def bend(t, k=kind, v=v):
                t.find('body', 'list', 'entry', 'extensions').body = u16(k) + u16(len(v)) + v
            yield Case(f'entry-extension-{kind}-{v.hex()}', lambda s, b=bend: s.open(bend=b, part='certificate'))
    yield Case('client-context-string', lambda s: (s.__setattr__('verify', lambda: s.pair.verify(b'client', s.transcript, s.schedule.h)), s.open()))
    for name in ('expired', 'stranger', 'other-name', 'client-only', 'rsa', 'self-signed'):
        def other(s, name=name):
            s.pair = s.pairs[name]
            s.open()
        yield Case(f'certificate-{name}', other)

    def many(s, n):
        der = s.pair.der

        def bend(t):
            one = u24(len(der)) + der + b'\0\0'
            t.find('body', 'list').body = one * n
        s.open(bend=bend, part='certificate')
    for n in (2, 10, 100, 200, 400):
        yield Case(f'{n}-certificates', lambda s, n=n: many(s, n))


@group
def records(rng, long):
    """Records that are odd, at each stage."""
    def first(make):
        """make(ServerHello): the bytes in its place."""
        def run(s):
            s.read_hello()
            h = s.hello().encode()
            s.transcript += h
            s.raw(make(h))
            s.get()
        return run

    def rec(b, kind=HANDSHAKE, version=0x303, size=None):
        return u8(kind) + u16(version) + u16(len(b) if size is None else size) + b
    for t in (*range(0, 32), 64, 128, 255):
        yield Case(f'hello-type-{t}', first(lambda h, t=t: rec(h, t)))
    for v in VERSIONS:
        yield Case(f'hello-version-{v:04x}', first(lambda h, v=v: rec(h, version=v)))
    for n in (0, 1, 4, 16384, 16385, 16640, 16641, 18432, 18433, 65535):
        yield Case(f'hello-length-{n}', first(lambda h, n=n: rec((h + bytes(65536))[:n])))
    for name, b in {'http': b'HTTP/1.1 400 Bad Request\r\n\r\n', 'ssh': b'SSH-2.0-x\r\n', 'zeros': bytes(20), 'ones': b'\xff' * 20, 'smtp': b'220 a ESMTP\r\n',
                    'ssl2': b'\x80\x2e\4\0\1\0\2' + bytes(40), 'nothing': b'', 'one-byte': b'\x16', 'alert-40': rec(b'\2\x28', ALERT), 'alert-70': rec(b'\2\x46', ALERT),
                    'alert-close': rec(b'\1\0', ALERT), 'alert-warning': rec(b'\1\x70', ALERT), 'alert-level-0': rec(b'\0\0', ALERT), 'alert-short': rec(b'\2', ALERT),
                    'alert-unknown': rec(b'\2\xff', ALERT), 'alert-twice': rec(b'\2\x28\2\x28', ALERT)}.items():
        def instead(s, b=b):
            s.read_hello()
            s.raw(b)
            s.finish() if not b or len(b) < 5 else s.get()
        yield Case(f'instead-of-hello-{name}', instead)
    size = 5 + len(RESPONSE) + 17

    def late(fn):
        def run(s):
            s.open()
            s.request()
            s.raw(fn(s))
            s.log.append('sent')
            s.get()
        return run

    def flip(bit):
        def fn(s):
            r = bytearray(s.tx.seal(RESPONSE + u8(DATA)))
            r[bit // 8] ^= 1 << bit % 8
            return bytes(r)
        return fn
    for bit in [*range(24), *range(40, size * 8, 1 if long else 7)]:
        yield Case(f'data-bit-{bit}', late(flip(bit)))
    for t in TYPES:
        yield Case(f'data-inner-type-{t}', late(lambda s, t=t: s.tx.seal(RESPONSE + u8(t))))
        yield Case(f'data-outer-type-{t}', late(lambda s, t=t: u8(t) + s.tx.seal(RESPONSE + u8(DATA))[1:]))
    for n in (0, 1, 16, 17, 16640, 16641, 65535):
        yield Case(f'data-garbage-{n}', late(lambda s, n=n: b'\x17\3\3' + u16(n) + bytes(n)))
    for n in (16384, 16385, 16500):
        yield Case(f'data-content-{n}', late(lambda s, n=n: s.tx.seal(bytes([121]) * n + u8(DATA))))
    for n in (1, 16384, 16500):
        yield Case(f'data-zeros-{n}', late(lambda s, n=n: s.tx.seal(bytes(n))))
    for n in (32, 33, 100):
        yield Case(f'data-{n}-empty', late(lambda s, n=n: b''.join(s.tx.seal(u8(DATA)) for _ in range(n))))

    def replay(s):
        r = s.tx.seal(RESPONSE[:10] + u8(DATA))
        return r + r

    def skipped(s):
        s.tx.seq += 1
        return s.tx.seal(RESPONSE + u8(DATA))
    yield Case('data-replayed', late(replay))
    yield Case('data-skipped', late(skipped))
    for where in range(0, 400, 3 if long else 17):
        def sealed_bit(s, where=where):
            """One bit of the sealed EncryptedExtensions."""
            s.read_hello()
            s.say_hello(s.hello().encode())
            s.secure()
            r = bytearray(s.record(HANDSHAKE, s.extensions().encode()))
            r[where // 8 % len(r)] ^= 1 << where % 8
            s.raw(bytes(r))
            s.get()
        yield Case(f'sealed-bit-{where}', sealed_bit)


@group
def after(rng, long):
    """Messages after the handshake, ahead of the answer."""
    def late(fn):
        def run(s):
            s.open()
            fn(s)
        return run

    def update(s, v=0):
        s.send(HANDSHAKE, message(KEY_UPDATE, u8(v)))
        s.tx = s.tx.next()
    for v in (0, 1, 2, 3, 127, 255):
        yield Case(f'update-{v}', late(lambda s, v=v: update(s, v)))
    for n in (2, 32, 33, 100):
        yield Case(f'{n}-updates', late(lambda s, n=n: [update(s) for _ in range(n)]))
        yield Case(f'{n}-updates-asked', late(lambda s, n=n: [update(s, 1) for _ in range(n)]))
    ticket = handshake('ticket', TICKET, [Field('lifetime', u32(7200)), Field('add', u32(5)), Field('nonce', b'\0', 1), Field('ticket', bytes(60), 2),
                                          Field('extensions', [ext('early', 42, u32(0))], 2)])
    for name, bend in bends(ticket):
        def run(s, bend=bend):
            s.open()
            t = handshake('ticket', TICKET, [Field('lifetime', u32(7200)), Field('add', u32(5)), Field('nonce', b'\0', 1), Field('ticket', bytes(60), 2),
                                             Field('extensions', [ext('early', 42, u32(0))], 2)])
            bend(t)
            s.send(HANDSHAKE, t.encode())
        yield Case(name, run)
    for n in (1, 1000, 16000, 65000):
        yield Case(f'ticket-of-{n}', late(lambda s, n=n: s.send(HANDSHAKE, message(TICKET, bytes(8) + b'\1\0' + u16(n) + bytes(n) + b'\0\0'))))
    for n in (2, 10, 100):
        yield Case(f'{n}-tickets', late(lambda s, n=n: [s.send(HANDSHAKE, ticket.encode()) for _ in range(n)]))
    for d in (*range(0, 120, 5), 10, 20, 40, 90, 100, 255):
        for level in (1, 2):
            yield Case(f'alert-{level}-{d}', late(lambda s, b=bytes([level, d]): s.send(ALERT, b)))
    for n in (4, 5, 6):
        yield Case(f'{n}-warnings', late(lambda s, n=n: [s.send(ALERT, b'\1\x5a') for _ in range(n)]))


@group
def random_damage(rng, long):
    def damage(r, b):
        b = bytearray(b)
        for _ in range(r.randrange(1, 4)):
            where, how = r.randrange(len(b)), r.randrange(4)
            if how == 0:
                b[where] ^= 1 << r.randrange(8)
            elif how == 1:
                b[where] ^= r.randrange(1, 256)
            elif how == 2:
                del b[where:where + r.randrange(1, 8)]
            else:
                b[where:where] = r.randbytes(r.randrange(1, 8))
            b = b or bytearray(1)
        return bytes(b)
    for part in Server.PARTS:
        for i in range(30 if not long else 400):
            seed = rng.getrandbits(48)

            def bend(t, seed=seed):
                t.body[1].body = damage(Random(seed), t.body[1].encode()[3:])
            if part not in ('certificate', 'verify'):  # whose lengths differ from run to run
                yield Case(f'{part}-{i}', lambda s, b=bend, p=part: s.open(bend=b, part=p))


# --- chains of odd steps ---

CONTENTS = (b'', b'\0', b'\1', b'\1\1', b'\1\x5a', b'\2\x28', b'\2\x5a', b'\1\x64', b'\x18\0\0\1\0', b'\x18\0\0\1\1', b'\x18\0\0\1\2', b'\x18\0\0', b'\x14\0\0\x20' + bytes(32),
            message(TICKET, bytes(8) + b'\1\0\0\1x\0\0'), bytes(17), b'\1\0\0\0')


def odd_step(r, s):
    """One thing that does not belong where it is, or that may."""
    kind, content = r.choice((CCS, ALERT, HANDSHAKE, DATA, HANDSHAKE, CCS, 24, 0, 99)), r.choice(CONTENTS)
    if r.random() < 0.2:
        m = r.choice(list(MESSAGES.values()))
        kind, content = HANDSHAKE, m if m is not None else message(1, bytes(60))
        content = content[:r.choice((len(content), len(content), 1, 3, 4, 5))]
    if kind == DATA:
        content = b''  # no part of an answer
    keys = [None, s.tx, s.tx, *([s.hs[1]] if s.hs else []), *([s.keys[1]] if s.keys else [])]
    k, times = r.choice(keys), r.choice((1, 1, 1, 2, 5, 33))
    for _ in range(times):
        if k:
            s.raw(k.seal(content + u8(kind) + bytes(r.choice((0, 0, 0, 1, 100)))))
        else:
            s.raw(u8(kind) + u16(r.choice((0x303, 0x303, 0x301, 0x304, 0x203))) + u16(len(content)) + content)


def strange_way(seed, steps):
    """A handshake and an answer, with odd steps in between, in records of odd sizes."""
    def run(s):
        r = Random(seed)
        places = (*Server.PARTS, 'flown', 'open', 'inside')
        at = [r.choice(places) for _ in range(steps)]

        def odd(place):
            for a in at:
                if a == place:
                    odd_step(r, s)
        s.read_hello()
        s.flight(before=odd, cut=r.choice((16384, 16384, 16384, 50)), ccs=r.random() < 0.7)
        odd('flown')
        s.complete()
        s.request()
        odd('open')
        s.send(DATA, RESPONSE[:9])
        odd('inside')
        s.send(DATA, RESPONSE[9:], r.choice((16384, 1, 5)))
        s.log.append('served')
    return run


@group
def strange_ways(rng, long):
    """One, two and three odd steps on the way, drawn at random."""
    for i in range(60 if not long else 3000):
        seed, steps = rng.getrandbits(48), rng.choice((1, 1, 2, 2, 3))
        yield Case(f'{i}-{seed:x}-{steps}', strange_way(seed, steps))
