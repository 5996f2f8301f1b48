"""What a hostile or broken TLS 1.2 server may do: cases for test_tls_origins.py.

As tls_cases_server.py, towards proxies that take TLS 1.2 from their origins.
"""
from tls_cases import Case
from tls_cases_more import MESSAGES, TYPES, VERSIONS
from tls_cases_server import _NoSocket, group
from tls_wire import (ALERT, CCS, DATA, FINISHED, HANDSHAKE, P256, P384, RESPONSE, TICKET, X25519, Field, bends, ext, handshake, message,
                      u8, u16, u24, u32)
from tls_wire12 import Server12


def case(name, run):
    return Case(name, run, 'tls12')


def shape(part):
    s = Server12(_NoSocket(), 1, None)
    s.client_random = s.random = bytes(32)
    s.offered = {23: b'', 65281: b'\0', 11: b'', 35: b''}
    return {'hello': s.hello, 'certificate': lambda: handshake('certificate', 11, [Field('list', [Field('cert', b'\0', 3)], 3)]),
            'exchange': lambda: handshake('exchange', 12, [Field('type', b'\3'), Field('group', u16(X25519)), Field('key', bytes(32), 1),
                                                           Field('scheme', u16(0x403)), Field('signature', b'\0', 2)]),
            'done': s.done, 'finished': lambda: handshake('finished', FINISHED, [Field('mac', bytes(12))])}[part]()


@group
def flight_fields12(rng, long):
    """Each field of the server's messages, each way."""
    for part in Server12.PARTS12:
        for name, bend in bends(shape(part)):
            yield case(name, lambda s, b=bend, p=part: s.open(bend=b, part=p))
    for name, bend in bends(Server12(_NoSocket(), 1, None).certificate_request()):
        def asks(s, bend=bend):
            def before(p):
                if p == 'done':
                    t = s.certificate_request()
                    bend(t)
                    s.say(t.encode())
            s.open(before=before)
        yield case(name, asks)


def asked(s, what):
    """what(s) between the request and its answer."""
    s.open()
    s.request()
    what(s)
    s.send(DATA, RESPONSE)
    s.log.append('served')


def put(part, name, value):
    return lambda s: s.open(bend=lambda t: t.find('body', name).__setattr__('body', value), part=part)


@group
def hello_meanings12(rng, long):
    """ServerHellos that are well formed and mean something odd."""
    for v in VERSIONS:
        yield case(f'version-{v:04x}', put('hello', 'version', u16(v)))
    for tail in (b'DOWNGRD\0', b'DOWNGRD\1', b'DOWNGRD\2'):
        yield case(f'downgrade-mark-{tail[-1]}', put('hello', 'random', bytes(24) + tail))
    for n in (0, 1, 31, 32, 33, 255):
        yield case(f'session-{n}', put('hello', 'session', bytes([7]) * n))
    yield case('session-of-the-client', lambda s: s.open(bend=lambda t: t.find('body', 'session').__setattr__('body', s.session), part='hello'))
    for x in ('0000', '002f', '009c', '1301', 'c009', 'c023', 'c02b', 'c02c', 'c02f', 'cca8', 'cca9', 'c0ac', '00ff', '5600', 'ffff'):
        yield case(f'suite-{x}', put('hello', 'suite', bytes.fromhex(x)))
    for suite in (0xc02c, 0xcca9):
        def real(s, suite=suite):
            s.suite = suite
            s.open()
        yield case(f'real-suite-{suite:x}', real)
    for c in (1, 64, 255):
        yield case(f'compression-{c}', put('hello', 'compression', u8(c)))
    for kind in (0, 1, 5, 10, 11, 13, 15, 16, 18, 21, 22, 23, 28, 35, 41, 42, 43, 44, 45, 49, 50, 51, 13172, 65281, 0x0a0a, 0xabcd):
        for v in (b'', b'\0', b'\1', b'\0\0', b'\3\4'):
            def also(s, kind=kind, v=v):
                s.more = (ext('also', kind, v),)
                s.open()
            yield case(f'extension-{kind}-{v.hex()}', also)
    for name, gone in {'ems': (23,), 'renegotiation': (65281,), 'any': (23, 65281)}.items():
        def without(s, gone=gone):
            s.without = gone
            s.open()
        yield case(f'without-{name}', without)
    for v in (b'\1\0', b'\x0c' + bytes(12), b'\0\0'):
        def renegotiation(s, v=v):
            s.without, s.more = (65281,), (ext('renegotiation', 65281, v),)
            s.open()
        yield case(f'renegotiation-{v.hex()}', renegotiation)


@group
def order12(rng, long):
    """Messages left out, twice, at the wrong time; CCS and alerts anywhere."""
    parts = Server12.PARTS12
    for p in parts:
        def without(s, p=p):
            s.leave = p
            s.open()

        def twice(s, p=p):
            s.double = p
            s.open()
        yield case(f'without-{p}', without)
        yield case(f'twice-{p}', twice)
    for a in range(4):
        for b in range(a + 1, 4):
            def swapped(s, a=a, b=b):
                x = list(parts[:4])
                x[a], x[b] = x[b], x[a]
                s.PARTS12 = (*x, 'finished')
                s.open()
            yield case(f'swapped-{parts[a]}-{parts[b]}', swapped)

    def before(p, what):
        def run(s):
            if p == 'open':
                asked(s, what)
            else:
                s.open(before=lambda q: what(s) if q == p else None)
        return run
    extra = {n: m for n, m in MESSAGES.items() if m is not None}
    extra['ticket-12'] = message(TICKET, u32(7200) + u16(50) + bytes(50))
    for p in (*parts, 'open'):
        for name, m in [*extra.items()][::1 if long or p in ('exchange', 'finished', 'open') else 4]:
            yield case(f'{p}-{name}', before(p, lambda s, m=m: s.send(HANDSHAKE, m)))
        for name, (kind, v) in {'ccs': (CCS, b'\1'), 'ccs-0': (CCS, b'\0'), 'ccs-long': (CCS, b'\1\1'), 'ccs-empty': (CCS, b''), 'fatal': (ALERT, b'\2\x28'),
                                'warning': (ALERT, b'\1\x5a'), 'no-renegotiation': (ALERT, b'\1\x64'), 'close': (ALERT, b'\1\0'), 'odd': (ALERT, b'\3\x28'),
                                'short': (ALERT, b'\2'), 'long': (ALERT, b'\2\x28\0'), 'data': (DATA, b'xyz'), 'data-empty': (DATA, b''),
                                'heartbeat': (24, b'\1\0\0'), 'empty': (HANDSHAKE, b'')}.items():
            yield case(f'{p}-{name}', before(p, lambda s, k=kind, v=v: s.send(k, v)))
    for v in (b'', b'\0', b'\2', b'\1\1'):
        def ccs(s, v=v):
            s.ccs = v
            s.open()
        yield case(f'change-of-{v.hex()}', ccs)

    def unsealed(s):
        s.unsealed = True
        s.open()
    yield case('finished-unsealed', unsealed)
    yield case('without-change', lambda s: (s.__setattr__('ccs', None), s.open()))
    for n in (1, 5, 50, 200):
        yield case(f'in-records-of-{n}', lambda s, n=n: s.open(cut=n))


@group
def proofs12(rng, long):
    """Certificates, parameters and signatures that do not hold."""
    for x in (0, 0x0201, 0x0203, 0x0401, 0x0403, 0x0501, 0x0503, 0x0601, 0x0603, 0x0804, 0x0805, 0x0807, 0x0202, 0x0a0a, 0xffff):
        yield case(f'scheme-{x:04x}', put('exchange', 'scheme', u16(x)))

    def flip(part, path, bit):
        def bend(t):
            f = t.find('body', *path)
            b = bytearray(f.body)
            b[bit // 8 % len(b)] ^= 1 << bit % 8
            f.body = bytes(b)
        return lambda s: s.open(bend=bend, part=part)
    step = 1 if long else 29
    for bit in range(0, 70 * 8, step):
        yield case(f'signature-bit-{bit}', flip('exchange', ('signature',), bit))
    for bit in range(0, 32 * 8, step):
        yield case(f'key-bit-{bit}', flip('exchange', ('key',), bit))
    for bit in range(0, 12 * 8, 1 if long else 7):
        yield case(f'finished-bit-{bit}', flip('finished', ('mac',), bit))
    for g in (0, P256, P384, 0x1e, 0x0a0a, 0xffff):
        yield case(f'group-{g:x}-in-name', put('exchange', 'group', u16(g)))
    for g in (P256, P384):
        def other_group(s, g=g):
            s.group = g
            s.open()
        yield case(f'group-{g:x}', other_group)
    for t in (0, 1, 2, 4, 255):
        yield case(f'curve-type-{t}', put('exchange', 'type', u8(t)))
    for name, key in {'empty': b'', 'zero': bytes(32), 'one': b'\1' + bytes(31), '31': bytes([9]) * 31, '33': bytes([9]) * 33}.items():
        def signed(s, key=key):
            s.public = key
            s.open()
        yield case(f'signed-key-{name}', signed)
    for name in ('expired', 'stranger', 'other-name', 'client-only', 'rsa', 'self-signed'):
        def other(s, name=name):
            s.pair = s.pairs[name]
            s.open()
        yield case(f'certificate-{name}', other)
    for n in (0, 2, 10, 100):
        def many(s, n=n):
            der = s.pair.der
            s.open(bend=lambda t: t.find('body', 'list').__setattr__('body', (u24(len(der)) + der) * n), part='certificate')
        yield case(f'{n}-certificates', many)


@group
def records12(rng, long):
    """Records of an open connection."""
    def late(fn, suite=0xc02b):
        def run(s):
            s.suite = suite
            s.open()
            s.request()
            s.raw(fn(s))
            s.log.append('sent')
            s.get()
        return run

    def flip(bit):
        def fn(s):
            r = bytearray(s.tx.seal(RESPONSE + u8(DATA)))
            r[bit // 8 % len(r)] ^= 1 << bit % 8
            return bytes(r)
        return fn
    for suite in (0xc02b, 0xcca9):
        for bit in [*range(24), *range(40, (5 + 8 + len(RESPONSE) + 16) * 8, 1 if long else 31)]:
            yield case(f'{suite:x}-bit-{bit}', late(flip(bit), suite))
        for n in (0, 1, 15, 16, 23, 24, 25, 16408, 16409, 18432, 18433, 65535):
            yield case(f'{suite:x}-garbage-{n}', late(lambda s, n=n: b'\x17\3\3' + u16(n) + bytes(n), suite))
        for n in (16384, 16385, 17000):
            yield case(f'{suite:x}-content-{n}', late(lambda s, n=n: s.tx.seal(b'y' * n + u8(DATA)), suite))
        for n in (32, 33, 100):
            yield case(f'{suite:x}-{n}-empty', late(lambda s, n=n: b''.join(s.tx.seal(u8(DATA)) for _ in range(n)), suite))
    for t in TYPES:
        yield case(f'type-{t}', late(lambda s, t=t: s.tx.seal(RESPONSE + u8(t))))
        yield case(f'type-{t}-unbound', late(lambda s, t=t: u8(t) + s.tx.seal(RESPONSE + u8(DATA))[1:]))

    def skipped(s):
        s.tx.seq += 1
        return s.tx.seal(RESPONSE + u8(DATA))

    def replayed(s):
        r = s.tx.seal(RESPONSE[:10] + u8(DATA))
        return r + r
    yield case('skipped', late(skipped))
    yield case('replayed', late(replayed))
    yield case('in-the-clear', late(lambda s: RESPONSE))
    for name, content in {'hello-request': message(0, b''), 'two-hello-requests': message(0, b'') * 2, 'hello-request-long': message(0, b'x'),
                          'hello-request-cut': b'\0\0', 'server-hello': MESSAGES['server-hello'], 'key-update': MESSAGES['key-update'],
                          'ticket': message(TICKET, u32(7200) + u16(50) + bytes(50))}.items():
        def after(s, content=content):
            s.open()
            s.send(HANDSHAKE, content)
        yield case(f'after-{name}', after)
    for d in (*range(0, 120, 10), 255):
        for level in (1, 2):
            yield case(f'alert-{level}-{d}', lambda s, b=bytes([level, d]): asked(s, lambda s: s.send(ALERT, b)))
    for n in (4, 5, 6):
        yield case(f'{n}-warnings', lambda s, n=n: asked(s, lambda s: [s.send(ALERT, b'\1\x5a') for _ in range(n)]))
