"""What a hostile or broken TLS 1.2 client may do: cases for test_tls_refusals.py."""
from random import Random

from tls_cases import Case, _NoSocket, group
from tls_cases_more import MESSAGES, TYPES, VERSIONS, damage
from tls_wire import ALERT, CCS, DATA, FINISHED, HANDSHAKE, P256, REQUEST, X25519, Field, bends, ext, handshake, message, u16, u8
from tls_wire12 import CLIENT_KEY_EXCHANGE, Client12


def case(name, run):
    return Case(name, run, 'tls12')


@group
def hello12(rng, long):
    """Hellos that end in TLS 1.2, or nearly."""
    for name, bend in bends(Client12(_NoSocket()).hello12()):
        def run(c, bend=bend):
            tree = c.hello12()
            bend(tree)
            c.open(tree.encode())
        yield case(name, run)
    for v in ((0x303,), (0x303, 0x302), (0x302,), (0x301, 0x300), (0x7777, 0x303), (0x304, 0x303), (0x303, 0x304)):
        yield case('versions-' + '-'.join(f'{x:x}' for x in v), lambda c, v=v: c.open(c.hello12(versions=v).encode()))
    for v in VERSIONS:
        def legacy(c, v=v):
            t = c.hello12()
            t.find('body', 'version').body = u16(v)
            c.open(t.encode())
        yield case(f'version-{v:04x}', legacy)
    for name, s in {'aes128': (0xc02b,), 'aes256': (0xc02c,), 'chacha': (0xcca9,), 'rsa': (0xc02f,), 'static': (0x9c,), 'cbc': (0xc023,), '13': (0x1301,), 'none': (),
                    'scsv': (0xc02b, 0xff), 'fallback': (0xc02b, 0x5600), 'null': (0,), 'ccm': (0xc0ac,)}.items():
        yield case(f'suites-{name}', lambda c, s=s: c.open(c.hello12(suites=s).encode()))
    for name, g in {'p256': (P256,), 'none': (), 'unknown': (0x1234,), 'p384': (0x18,), 'grease': (0x2a2a, X25519)}.items():
        yield case(f'groups-{name}', lambda c, g=g: c.open(c.hello12(groups=g).encode()))
    yield case('no-ems', lambda c: c.open(c.hello12(ems=False).encode()))
    yield case('ticket', lambda c: c.open(c.hello12(ticket=True).encode()))
    for v in (b'\0', b'\1\0', b'\x0c' + bytes(12), b'', b'\0\0'):
        yield case(f'renegotiation-{v.hex()}', lambda c, v=v: c.open(_renegotiation(c, v)))
    for kind in (1, 5, 15, 18, 21, 22, 28, 35, 41, 42, 44, 45, 49, 51, 13172, 0xabcd):
        for v in (b'', b'\0', b'\1', b'\0\0'):
            yield case(f'extension-{kind}-{v.hex()}', lambda c, k=kind, v=v: c.open(c.hello12(more=(ext('x', k, v),)).encode()))
    for v in (1, 2, 3, 4):
        yield case(f'max-fragment-{v}', lambda c, v=v: c.open(c.hello12(more=(ext('x', 1, u8(v)),)).encode()))


def _renegotiation(c, v):
    t = c.hello12()
    t.find('body', 'extensions', 'renegotiation', 'data').body = v
    return t.encode()


STAGES12 = ('after-flight', 'after-exchange', 'after-ccs', 'open')


def at12(stage, do):
    def run(c):
        c.start()
        if stage == 'after-flight':
            do(c)
        c.exchange()
        if stage == 'after-exchange':
            do(c)
        c.change()
        if stage == 'after-ccs':
            do(c)
        c.say(c.finished().encode())
        c.finish_up()
        if stage == 'open':
            do(c)
    return run


@group
def flight12(rng, long):
    """ClientKeyExchange, ChangeCipherSpec and Finished: each field, each order."""
    for name, bend in bends(handshake('exchange', CLIENT_KEY_EXCHANGE, [Field('key', bytes([9]) * 32, 1)])):
        def run(c, bend=bend):
            c.start()
            c.exchange(bend)
            c.change()
            c.say(c.finished().encode())
            c.finish_up()
        yield case(name, run)
    for name, key in {'one': b'\1' + bytes(31), 'order-8': bytes.fromhex('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'), 'p256': b'\4' + bytes(64)}.items():
        def odd(c, key=key):
            c.start()
            c.exchange(lambda t: t.find('body', 'key').__setattr__('body', key))
            c.change()
            c.say(c.finished().encode())
            c.finish_up()
        yield case(f'share-{name}', odd)
    for name, key in {'off-curve': lambda k: k[:-1] + bytes([k[-1] ^ 1]), 'compressed': lambda k: bytes([2 + (k[-1] & 1)]) + k[1:33], 'infinity': lambda k: b'\0', 'short': lambda k: k[:64],
                      'zero': lambda k: bytes(65), 'hybrid': lambda k: bytes([6 + (k[-1] & 1)]) + k[1:]}.items():
        def off(c, key=key):
            c.start(c.hello12(groups=(P256,)).encode())
            c.exchange(lambda t: t.find('body', 'key').__setattr__('body', key(t.find('body', 'key').body)))
            c.change()
            c.say(c.finished().encode())
            c.finish_up()
        yield case(f'p256-{name}', off)
    for name, bend in bends(handshake('finished', FINISHED, [Field('mac', bytes(12))])):
        def fin(c, bend=bend):
            c.start()
            c.exchange()
            c.change()
            t = c.finished()
            bend(t)
            c.say(t.encode())
            c.finish_up()
        yield case(name, fin)
    for where in range(0, (5 + 8 + 16 + 16) * 8, 1 if long else 3):
        def bit(c, where=where):
            c.start()
            c.exchange()
            c.change()
            r = bytearray(c.record(HANDSHAKE, c.finished().encode()))
            r[where // 8] ^= 1 << where % 8
            c.raw(bytes(r))
            c.finish_up()
        yield case(f'finished-record-bit-{where}', bit)
    for v in (b'', b'\0', b'\2', b'\1\1', b'\1' * 100):
        def ccs(c, v=v):
            c.start()
            c.exchange()
            c.change(v)
            c.say(c.finished().encode())
            c.finish_up()
        yield case(f'ccs-{v[:3].hex()}-{len(v)}', ccs)
    for stage in STAGES12:
        for name, m in MESSAGES.items():
            yield case(f'{stage}-{name}', at12(stage, lambda c, m=m: c.send(HANDSHAKE, m if m is not None else c.hello12().encode())))
        for name, (k, v) in {'ccs': (CCS, b'\1'), 'ccs-0': (CCS, b'\0'), 'ccs-long': (CCS, b'\1\1'), 'ccs-empty': (CCS, b''), 'data': (DATA, b'\r\n'), 'data-empty': (DATA, b''),
                             'heartbeat': (24, b'\1\0\0'), 'empty': (HANDSHAKE, b''), 'unknown': (77, b'x'), 'alert-empty': (ALERT, b'')}.items():
            yield case(f'{stage}-{name}', at12(stage, lambda c, k=k, v=v: c.send(k, v)))

            def unsealed(c, k=k, v=v):
                c.raw(u8(k) + b'\3\3' + u16(len(v)) + v)
            yield case(f'{stage}-unsealed-{name}', at12(stage, unsealed))
        for level in (0, 1, 2, 3):
            for d in (0, 10, 20, 40, 41, 90, 100, 110, 255):
                yield case(f'{stage}-alert-{level}-{d}', at12(stage, lambda c, b=bytes([level, d]): c.send(ALERT, b)))
        for n in (1, 3):
            yield case(f'{stage}-alert-of-{n}', at12(stage, lambda c, n=n: c.send(ALERT, b'\2' * n)))
        for n in (4, 5, 6):
            yield case(f'{stage}-{n}-warnings', at12(stage, lambda c, n=n: [c.send(ALERT, b'\1\x5a') for _ in range(n)]))
            yield case(f'{stage}-{n}-warnings-100', at12(stage, lambda c, n=n: [c.send(ALERT, b'\1\x64') for _ in range(n)]))

    def parts(which):
        def run(c):
            c.start()
            for w in which:
                {'x': c.exchange, 'c': c.change, 'f': lambda: c.say(c.finished().encode())}[w]()
            c.finish_up()
        return run
    for which in ('xcf', 'xf', 'xxcf', 'xccf', 'xcff', 'xfc'):
        yield case(f'parts-{which}', parts(which))

    def early_ccs(c):
        """CVE-2014-0224: a change of ciphers before there are keys."""
        c.start()
        c.send(CCS, b'\1')
        c.exchange()
        c.change()
        c.say(c.finished().encode())
        c.finish_up()
    yield case('early-ccs', early_ccs)

    def ccs_first(c):
        c.send(CCS, b'\1')
        c.open()
    yield case('ccs-first', ccs_first)
    for n in (1, 5, 10):
        yield case(f'in-pieces-of-{n}', lambda c, n=n: c.start() or c.complete(cut=n))


@group
def renegotiation12(rng, long):
    """A second handshake on an open connection."""
    def again(do):
        def run(c):
            c.heard = ((1, 100),)
            c.open()
            do(c)
        return run
    yield case('hello', again(lambda c: c.send(HANDSHAKE, c.hello12().encode())))
    yield case('hello-13', again(lambda c: c.send(HANDSHAKE, c.hello().encode())))
    yield case('hello-verified', again(lambda c: c.send(HANDSHAKE, _renegotiation(c, b'\x0c' + bytes(12)))))
    yield case('hello-in-pieces', again(lambda c: c.send(HANDSHAKE, c.hello12().encode(), 20)))
    for n in (2, 4, 5, 6, 10, 33):
        yield case(f'{n}-hellos', again(lambda c, n=n: [c.send(HANDSHAKE, c.hello12().encode()) for _ in range(n)]))
    for n in (1, 3, 4, 10, 50):
        yield case(f'hello-cut-{n}', again(lambda c, n=n: c.send(HANDSHAKE, c.hello12().encode()[:n])))
    for body in (b'', b'\0', b'\3\3', bytes(40)):
        yield case(f'hello-of-{len(body)}', again(lambda c, b=body: c.send(HANDSHAKE, message(1, b))))
    for kind in range(0, 256, 1 if long else 5):
        yield case(f'type-{kind}', again(lambda c, k=kind: c.send(HANDSHAKE, message(k, b'abc'))))
    yield case('hello-request', again(lambda c: c.send(HANDSHAKE, message(0, b''))))
    yield case('hello-request-twice', again(lambda c: c.send(HANDSHAKE, message(0, b'') * 2)))
    yield case('hello-huge', again(lambda c: c.send(HANDSHAKE, b'\1\xff\xff\xff' + bytes(1000))))
    yield case('hello-of-131397', again(lambda c: c.send(HANDSHAKE, b'\1\2\1\x45' + bytes(1000))))
    yield case('hello-of-16385', again(lambda c: c.send(HANDSHAKE, b'\1\0\x40\1' + bytes(16385))))
    yield case('ccs', again(lambda c: c.send(CCS, b'\1')))


@group
def data12(rng, long):
    """Records of an open connection."""
    def rec(fn, suites=(0xc02b,)):
        def run(c):
            c.open(c.hello12(suites=suites).encode())
            c.raw(fn(c))
        return run
    for name, suites in (('gcm', (0xc02b,)), ('gcm256', (0xc02c,)), ('chacha', (0xcca9,))):
        size = 5 + (0 if name == 'chacha' else 8) + len(REQUEST) + 16
        step = 1 if long else 2 if name == 'gcm' else 9

        def flip(bit):
            def fn(c):
                r = bytearray(c.tx.seal(REQUEST + u8(DATA)))
                r[bit // 8] ^= 1 << bit % 8
                return bytes(r)
            return fn
        for bit in [*range(24), *range(40, size * 8, step)]:
            yield case(f'{name}-bit-{bit}', rec(flip(bit), suites))
        for n in (*range(0, 34), 16384, 16400, 16408, 16409, 16640, 17408, 18432, 18433, 65535):
            yield case(f'{name}-garbage-{n}', rec(lambda c, n=n: b'\x17\3\3' + u16(n) + bytes(n), suites))
            yield case(f'{name}-header-says-{n}', rec(lambda c, n=n: b'\x17\3\3' + u16(n), suites))
        for n in (1, 16383, 16384, 16385, 16500, 17000, 18000):
            yield case(f'{name}-content-{n}', rec(lambda c, n=n: c.tx.seal(b'y' * n + u8(DATA)), suites))
        for n in (1, 2, 31, 32, 33, 34, 100):
            yield case(f'{name}-{n}-empty', rec(lambda c, n=n: b''.join(c.tx.seal(u8(DATA)) for _ in range(n)), suites))
            yield case(f'{name}-{n}-empty-alerts', rec(lambda c, n=n: b''.join(c.tx.seal(u8(ALERT)) for _ in range(n)), suites))
            yield case(f'{name}-{n}-empty-messages', rec(lambda c, n=n: b''.join(c.tx.seal(u8(HANDSHAKE)) for _ in range(n)), suites))
    for t in TYPES:
        yield case(f'type-{t}', rec(lambda c, t=t: c.tx.seal(REQUEST + u8(t))))
        yield case(f'type-{t}-unbound', rec(lambda c, t=t: u8(t) + c.tx.seal(REQUEST + u8(DATA))[1:]))
        yield case(f'type-{t}-empty', rec(lambda c, t=t: c.tx.seal(u8(t))))
    for v in VERSIONS:
        yield case(f'version-{v:04x}', rec(lambda c, v=v: c.tx.seal(REQUEST + u8(DATA), b'\x17' + u16(v))))
        yield case(f'version-{v:04x}-unbound', rec(lambda c, v=v: b'\x17' + u16(v) + c.tx.seal(REQUEST + u8(DATA))[3:]))

    def skip(c):
        c.tx.seq += 1
        return b''

    def replay(c):
        r = c.tx.seal(b'\r\n' + u8(DATA))
        return r + r

    def swapped(c):
        a, b = c.tx.seal(REQUEST[:9] + u8(DATA)), c.tx.seal(REQUEST[9:] + u8(DATA))
        return b + a

    def reflected(c):
        return c.rx.clone().seal(REQUEST + u8(DATA))
    for name, fn in {'skipped': skip, 'replayed': replay, 'swapped': swapped, 'reflected': reflected}.items():
        yield case(name, rec(fn))
    for e in (bytes(8), b'\xff' * 8, b'12345678'):
        yield case(f'explicit-{e.hex()}', rec(lambda c, e=e: c.tx.seal(b'\r\n' + u8(DATA), explicit=e)))
    yield case('single-bytes', lambda c: c.open() or c.send(DATA, REQUEST, 1) or c.response())
    yield case('plain-http', rec(lambda c: REQUEST))
    yield case('plain-data', rec(lambda c: b'\x17\3\3' + u16(len(REQUEST)) + REQUEST))
    yield case('ssl2', rec(lambda c: b'\x80\x2e\1\0\2' + bytes(43)))
    yield case('data-behind-close', lambda c: c.open() or c.send(ALERT, b'\1\0') or c.send(DATA, REQUEST))
    for n in (1, 4, 5, 12, 13, 20):
        yield case(f'cut-{n}', rec(lambda c, n=n: c.tx.seal(REQUEST + u8(DATA))[:n]))
    for kind, content in ((ALERT, b'\1\x5a'), (DATA, b'x'), (DATA, b''), (CCS, b'\1'), (HANDSHAKE, b'')):
        for n in (1, 3, 4, 10):
            def inside(c, kind=kind, content=content, n=n):
                c.heard = ((1, 100),)
                c.open()
                m = c.hello12().encode()
                c.send(HANDSHAKE, m[:n])
                c.send(kind, content)
                c.send(HANDSHAKE, m[n:])
            yield case(f'inside-hello-{n}-{kind}-{content.hex()}', inside)
    for i in range(60 if not long else 1000):
        seed = rng.getrandbits(48)

        def damaged(c, seed=seed):
            c.open()
            c.raw(c.record(DATA, REQUEST[:20]) + damage(Random(seed), c.record(DATA, REQUEST[20:]), 5))
        yield case(f'damage-{i}', damaged)

        def damaged_hello(c, seed=seed):
            c.open(message(1, damage(Random(seed), c.hello12().encode()[4:])))
        yield case(f'damaged-hello-{i}', damaged_hello)
