"""What a hostile or broken TLS 1.3 client may do besides its hellos: records, order, keys, certificates, what follows
the handshake, and bytes that are no TLS at all. Cases for test_tls_refusals.py."""
from random import Random

from tls_cases import Case, group
from tls_wire import (ALERT, CCS, CERTIFICATE, CERTIFICATE_REQUEST, CERTIFICATE_VERIFY, CLIENT_HELLO, DATA,
                      ENCRYPTED_EXTENSIONS, END_OF_EARLY_DATA, FINISHED, HANDSHAKE, KEY_UPDATE, P256, REQUEST, SERVER_HELLO,
                      TICKET, Field, Schedule, bends, ext, handshake, message, u16, u24, u8)

TYPES = (*range(0, 30), 32, 64, 100, 127, 128, 129, 150, 200, 254, 255)
VERSIONS = (0, 2, 0x1ff, 0x200, 0x2ff, 0x300, 0x301, 0x302, 0x303, 0x304, 0x305, 0x3ff, 0x400, 0x7f1c, 0xfefd, 0xffff)
MESSAGES = {
    'hello-request': message(0, b''), 'client-hello': None, 'server-hello': message(SERVER_HELLO, b'\3\3' + bytes(32) + b'\0\x13\1\0'),
    'hello-verify': message(3, b'\3\3\0'), 'ticket': message(TICKET, bytes(8) + b'\1\0\0\1x\0\0'), 'end-of-early-data': message(END_OF_EARLY_DATA, b''),
    'end-of-early-data-body': message(END_OF_EARLY_DATA, b'\0'), 'retry-old': message(6, bytes(40)),
    'encrypted-extensions': message(ENCRYPTED_EXTENSIONS, b'\0\0'), 'certificate': message(CERTIFICATE, b'\0\0\0\0'),
    'certificate-12': message(CERTIFICATE, b'\0\0\0'), 'server-key-exchange': message(12, bytes(10)),
    'certificate-request': message(CERTIFICATE_REQUEST, b'\0\0\x08\0\x0d\0\4\0\2\4\3'), 'hello-done': message(14, b''),
    'certificate-verify': message(CERTIFICATE_VERIFY, b'\4\3\0\x40' + bytes(64)), 'client-key-exchange': message(16, bytes(33)),
    'finished-32': message(FINISHED, bytes(32)), 'finished-48': message(FINISHED, bytes(48)), 'finished-12': message(FINISHED, bytes(12)),
    'finished-empty': message(FINISHED, b''), 'certificate-status': message(22, b'\1\0\0\1\0'), 'supplemental': message(23, b'\0\0\0'),
    'key-update': message(KEY_UPDATE, b'\0'), 'key-update-asked': message(KEY_UPDATE, b'\1'), 'key-update-2': message(KEY_UPDATE, b'\2'),
    'key-update-255': message(KEY_UPDATE, b'\xff'), 'key-update-empty': message(KEY_UPDATE, b''), 'key-update-long': message(KEY_UPDATE, b'\0\0'),
    'compressed-certificate': message(25, b'\0\2\0\0\x10\0\0\1x'), 'next-protocol': message(67, bytes(32)), 'message-hash': message(254, bytes(32)),
    'unknown-200': message(200, b''), 'unknown-255': message(255, b'abc'), 'huge': u8(FINISHED) + u24(0xffffff) + bytes(100),
    'huge-certificate': u8(CERTIFICATE) + u24(0xffffff) + bytes(100), 'big-certificate': u8(CERTIFICATE) + u24(100000) + bytes(100),
    'certificate-of-102401': u8(CERTIFICATE) + u24(102401) + bytes(100), 'huge-hello': u8(CLIENT_HELLO) + u24(0xffffff) + bytes(100),
    'hello-of-131397': u8(CLIENT_HELLO) + u24(131397) + bytes(100),
    'hello-of-131396': u8(CLIENT_HELLO) + u24(131396) + bytes(100), 'huge-unknown': u8(99) + u24(0xffffff) + bytes(100)}
STAGES = ('first', 'after-hello', 'after-flight', 'after-flight-sealed', 'open')


def at(stage, do):
    """do(c) when the connection has come so far; the handshake goes on behind it."""
    def run(c):
        if stage == 'first':
            do(c)
            c.open()
            return
        if stage == 'after-hello':
            raw = c.hello().encode()
            c.send_hello(raw)
            do(c)
            c.flight()
            c.complete()
            return
        c.start()
        if stage == 'open':
            c.complete()
            do(c)
            return
        if stage == 'after-flight-sealed':
            c.secure()
        do(c)
        c.complete(ccs=False)
    return run


def say(m):
    return lambda c: c.send(HANDSHAKE, m if m is not None else c.hello().encode())


@group
def order(rng, long):
    """Each handshake message at each time when it does not belong, sealed or not."""
    for stage in STAGES:
        for name, m in MESSAGES.items():
            yield Case(f'{stage}-{name}', at(stage, say(m)))
        for kind in range(0, 256, 1 if long else 7):
            yield Case(f'{stage}-type-{kind}', at(stage, say(message(kind, bytes(5)))))

    def unsealed(m):
        def do(c):
            kept, c.tx = c.tx, None
            c.send(HANDSHAKE, m if m is not None else c.hello().encode())
            c.tx = kept
        return do
    for name, m in MESSAGES.items():
        yield Case(f'open-unsealed-{name}', at('open', unsealed(m)))
        yield Case(f'sealed-stage-unsealed-{name}', at('after-flight-sealed', unsealed(m)))

        def instead(c, m=m):
            c.start()
            c.secure()
            c.say(m if m is not None else c.hello().encode())
            c.opened()
        yield Case(f'instead-of-finished-{name}', instead)
    yield Case('nothing-but-data', at('after-flight-sealed', lambda c: c.send(DATA, REQUEST)))

    def early_app(c):
        c.start()
        c.tx = c.keys[0]
        c.send(DATA, REQUEST)
        c.complete()
    yield Case('data-with-application-keys-first', early_app)

    def finished_in_app_keys(c):
        c.start()
        c.tx = c.keys[0]
        c.say(c.finished().encode())
        c.opened()
    yield Case('finished-with-application-keys', finished_in_app_keys)

    def plain_finished(c):
        c.start()
        c.say(c.finished().encode())
        c.opened()
    yield Case('finished-unsealed', plain_finished)

    def twice(c):
        c.open()
        c.tx, app = c.hs[0], c.tx
        c.say(c.finished().encode())
        c.tx = app
    yield Case('finished-twice', twice)

    def hs_keys(c):
        c.open()
        c.tx = c.hs[0]
    yield Case('data-with-handshake-keys', hs_keys)

    def joined(c):
        """Finished and the first data in one record."""
        c.start()
        c.secure()
        c.send(HANDSHAKE, c.finished().encode() + b'GET ')
        c.opened()
    yield Case('bytes-behind-finished', joined)

    def joined_message(c):
        c.start()
        c.secure()
        c.send(HANDSHAKE, c.finished().encode() + message(KEY_UPDATE, b'\0'))
        c.opened()
    yield Case('key-update-behind-finished', joined_message)

    def straddle(c):
        """A KeyUpdate whose head came with the handshake's keys."""
        c.start()
        c.secure()
        c.send(HANDSHAKE, c.finished().encode() + message(KEY_UPDATE, b'\0')[:3])
        c.opened()
        c.send(HANDSHAKE, message(KEY_UPDATE, b'\0')[3:])
    yield Case('message-across-keys', straddle)

    def hello_straddles(c):
        raw = c.hello().encode()
        c.transcript += raw
        c.send(HANDSHAKE, raw + message(FINISHED, bytes(32))[:10])
        c.flight()
        c.complete()
    yield Case('bytes-behind-hello', hello_straddles)
    yield Case('two-hellos', lambda c: c.send_hello(c.hello().encode() * 2) or c.flight())
    for kind, content in ((CCS, b'\1'), (ALERT, b'\1\x5a'), (DATA, b'x'), (DATA, b''), (HANDSHAKE, b''), (ALERT, b'')):
        def inside(c, kind=kind, content=content):
            raw = c.hello().encode()
            c.transcript += raw
            c.send(HANDSHAKE, raw[:50])
            c.send(kind, content)
            c.send(HANDSHAKE, raw[50:])
            c.flight()
            c.complete()
        yield Case(f'inside-hello-{kind}-{content.hex()}', inside)

        def inside_finished(c, kind=kind, content=content):
            c.start()
            c.secure()
            m = c.finished().encode()
            c.send(HANDSHAKE, m[:10])
            c.send(kind, content)
            c.send(HANDSHAKE, m[10:])
            c.opened()
        yield Case(f'inside-finished-{kind}-{content.hex()}', inside_finished)

        def inside_update(c, kind=kind, content=content, n=4):
            c.open()
            m = message(KEY_UPDATE, b'\0')
            c.send(HANDSHAKE, m[:n])
            c.send(kind, content)
            c.send(HANDSHAKE, m[n:])
            c.tx = c.tx.next()
        for n in (1, 3, 4):
            yield Case(f'inside-update-{n}-{kind}-{content.hex()}', lambda c, f=inside_update, n=n: f(c, n=n))


@group
def change_cipher_spec(rng, long):
    """CCS at each time, in each shape (RFC 8446 section 5: one byte 1, only between the first hello and Finished)."""
    for stage in STAGES:
        for name, v in {'right': b'\1', 'zero': b'\0', 'two': b'\2', 'ff': b'\xff', 'long': b'\1\1', 'empty': b'', 'very-long': b'\1' * 1000}.items():
            def plain(c, v=v):
                c.raw(u8(CCS) + b'\3\3' + u16(len(v)) + v)
            yield Case(f'{stage}-{name}', at(stage, plain))
            yield Case(f'{stage}-{name}-twice', at(stage, lambda c, f=plain: f(c) or f(c)))
            yield Case(f'{stage}-{name}-sealed', at(stage, lambda c, v=v: c.send(CCS, v)))
        for n in (10, 31, 32, 33, 34, 100):
            yield Case(f'{stage}-{n}-times', at(stage, lambda c, n=n: c.raw(b'\x14\3\3\0\1\1' * n)))
        for v in VERSIONS:
            yield Case(f'{stage}-version-{v:04x}', at(stage, lambda c, v=v: c.raw(b'\x14' + u16(v) + b'\0\1\1')))


@group
def hello_records(rng, long):
    """The ClientHello in records that are odd."""
    def run_raw(make):
        def run(c):
            raw = c.hello().encode()
            c.transcript += raw
            c.raw(make(raw))
            c.flight()
            c.complete()
        return run

    def rec(b, kind=HANDSHAKE, version=0x301, size=None):
        return u8(kind) + u16(version) + u16(len(b) if size is None else size) + b
    for t in range(256):
        if t < 32 or long or t % 8 == 0:
            yield Case(f'type-{t}', run_raw(lambda m, t=t: rec(m, t)))
    for v in VERSIONS:
        yield Case(f'version-{v:04x}', run_raw(lambda m, v=v: rec(m, version=v)))
        yield Case(f'second-version-{v:04x}', run_raw(lambda m, v=v: rec(m[:20]) + rec(m[20:], version=v)))
        yield Case(f'second-type-{v & 31}-{v:04x}', run_raw(lambda m, v=v: rec(m[:20]) + rec(m[20:], kind=v & 31)))
    for n in (0, 1, 2, 3, 4, 5, 16384, 16385, 16640, 16641, 18432, 18433, 32768, 65535):
        yield Case(f'length-{n}', run_raw(lambda m, n=n: rec(m, size=n)))
        yield Case(f'length-{n}-filled', run_raw(lambda m, n=n: rec((m + bytes(65536))[:n])))
    for d in (-10, -1, 1, 10):
        yield Case(f'length{d:+d}', run_raw(lambda m, d=d: rec(m, size=len(m) + d)))
        yield Case(f'length{d:+d}-and-more', run_raw(lambda m, d=d: rec(m, size=len(m) + d) + rec(b'\0' * 20)))
    for n in (1, 2, 3, 4, 5, 7, 10, 50, 100, 200):
        yield Case(f'pieces-of-{n}', run_raw(lambda m, n=n: b''.join(rec(m[i:i + n]) for i in range(0, len(m), n))))
    for n in (1, 2, 31, 32, 33, 34, 100):
        yield Case(f'{n}-empty-records-first', run_raw(lambda m, n=n: rec(b'') * n + rec(m)))
        yield Case(f'{n}-empty-records-inside', run_raw(lambda m, n=n: rec(m[:9]) + rec(b'') * n + rec(m[9:])))
        yield Case(f'{n}-empty-records-behind', run_raw(lambda m, n=n: rec(m) + rec(b'') * n))
    for n in range(0, 60, 1 if long else 3):
        yield Case(f'cut-at-{n}', run_raw(lambda m, n=n: rec(m)[:n]))
    for name, junk in {'zero': b'\0', 'zeros': bytes(5), 'crlf': b'\r\n', 'x': b'x', 'tls-byte': b'\x16', 'tls-head': b'\x16\3\1', 'ones': b'\xff' * 5,
                       'http': b'GET / HTTP/1.1\r\n\r\n', 'ssh': b'SSH-2.0-OpenSSH_9.2\r\n', 'proxy': b'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
                       'alert': b'\x15\3\1\0\2\1\0', 'fatal': b'\x15\3\1\0\2\2\x28', 'ccs': b'\x14\3\3\0\1\1', 'data': b'\x17\3\3\0\1x',
                       'heartbeat': b'\x18\3\2\0\3\1\x40\0', 'starttls': b'STARTTLS\r\n', 'hello-request': b'\x16\3\1\0\4\0\0\0\0'}.items():
        yield Case(f'{name}-first', run_raw(lambda m, j=junk: j + rec(m)))
        yield Case(f'{name}-behind', run_raw(lambda m, j=junk: rec(m) + j))

    def bytewise(c):
        raw = c.hello().encode()
        c.transcript += raw
        for b in rec(raw):
            c.raw(bytes([b]))
        c.flight()
        c.complete()
    yield Case('single-bytes', bytewise)
    for i in range(120 if not long else 2000):
        seed = rng.getrandbits(32)

        def run(c, seed=seed):
            raw = bytearray(rec(c.hello().encode()))
            at_ = seed % len(raw)
            raw[at_] ^= 1 << (seed >> 16) % 8
            c.transcript += bytes(raw[5:])
            c.raw(bytes(raw))
            c.flight()
            c.complete()
        yield Case(f'bit-{i}-{seed:x}', run)


# --- the client's second flight ---


def bent_finished(bend, cut=16384):
    def run(c):
        c.start()
        c.secure()
        tree = c.finished()
        bend(tree)
        c.say(tree.encode(), cut)
        c.opened()
    return run


@group
def finished(rng, long):
    for name, bend in bends(handshake('finished', FINISHED, [Field('mac', bytes(32))])):
        yield Case(name, bent_finished(bend))
        yield Case(f'{name}-in-pieces', bent_finished(bend, 3))
    for bit in range(0, 256, 1 if long else 8):
        def flip(t, bit=bit):
            b = bytearray(t.find('body', 'mac').body)
            b[bit // 8] ^= 1 << bit % 8
            t.find('body', 'mac').body = bytes(b)
        yield Case(f'mac-bit-{bit}', bent_finished(flip))

    def sealed_bit(where):
        def run(c):
            c.start()
            c.secure()
            m = c.finished().encode()
            rec = bytearray(c.record(HANDSHAKE, m))
            rec[where // 8] ^= 1 << where % 8
            c.transcript += m
            c.raw(bytes(rec))
            c.opened()
        return run
    for where in range(0, (5 + 36 + 17) * 8, 1 if long else 5):
        yield Case(f'record-bit-{where}', sealed_bit(where))
    for n in (1, 2, 5, 16, 35):
        yield Case(f'in-pieces-of-{n}', lambda c, n=n: c.start() or c.complete(cut=n))
    for pad in (1, 100, 16384 - 37, 16384 - 36, 16384 - 35, 16640 - 36 - 17, 16384):
        def padded(c, pad=pad):
            c.start()
            c.secure()
            m = c.finished().encode()
            c.raw(c.tx.seal(m + u8(HANDSHAKE) + bytes(pad)))
            c.transcript += m
            c.opened()
        yield Case(f'padded-{pad}', padded)
    for t in TYPES:
        def typed(c, t=t):
            c.start()
            c.secure()
            c.send(t, c.finished().encode())
            c.opened()
        yield Case(f'inner-type-{t}', typed)
    yield Case('skipped', lambda c: c.start() or c.opened())
    yield Case('replayed-record', _replayed)


def _replayed(c):
    c.start()
    c.raw(b'\x14\3\3\0\1\1')
    c.secure()
    r = c.record(HANDSHAKE, c.finished().encode())
    c.raw(r + r)
    c.opened()


@group
def client_certificates(rng, long):
    """Certificate and CertificateVerify, each field, each way."""
    def run_cert(bend):
        def run(c):
            c.start()
            c.secure()
            cert = c.pair.certificate(c.request)
            bend(cert)
            c.say(cert.encode())
            c.say(c.pair.verify(b'client', c.transcript, c.schedule.h).encode())
            c.say(c.finished().encode())
            c.opened()
        return run

    def run_verify(bend, **how):
        def run(c):
            c.start()
            c.secure()
            c.say(c.pair.certificate(c.request).encode())
            v = c.pair.verify(b'client', c.transcript, c.schedule.h, **how)
            bend(v)
            c.say(v.encode())
            c.say(c.finished().encode())
            c.opened()
        return run
    shape = handshake('certificate', CERTIFICATE, [Field('context', b'', 1), Field('list', [
        Field('entry', [Field('cert', b'\0', 3), Field('extensions', b'', 2)])], 3)])
    for name, bend in bends(shape):
        yield Case(name, run_cert(bend), 'mtls')
    for name, bend in bends(handshake('verify', CERTIFICATE_VERIFY, [Field('scheme', b'\0\0'), Field('signature', b'\0', 2)])):
        yield Case(name, run_verify(bend), 'mtls')
    for s in (0, 0x0201, 0x0203, 0x0401, 0x0403, 0x0501, 0x0503, 0x0601, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807, 0x0808, 0x0809, 0x0202, 0x0a0a, 0xfefe, 0xffff):
        yield Case(f'scheme-{s:04x}', run_verify(lambda v: None, scheme=s), 'mtls')

    def nothing(_tree):
        pass
    yield Case('right', run_cert(nothing), 'mtls')

    def der_bit(bit):
        def bend(t):
            f = t.find('body', 'list', 'entry', 'cert')
            b = bytearray(f.body)
            b[bit // 8 % len(b)] ^= 1 << bit % 8
            f.body = bytes(b)
        return bend
    # In front stands the DER of structure; what lies behind is said by the chain's verification.
    for bit in range(0, 8 * 30, 1 if long else 3):
        yield Case(f'der-bit-{bit}', run_cert(der_bit(bit)), 'mtls')
    for kind in (0, 5, 13, 16, 18, 21, 27, 43, 51, 0x0a0a, 0xffff):
        for v in (b'', b'\0', b'\1\0\0\1\0'):
            yield Case(f'extension-{kind}-{v.hex()}', run_cert(lambda t, k=kind, v=v: t.find('body', 'list', 'entry', 'extensions').__setattr__(
                'body', u16(k) + u16(len(v)) + v)), 'mtls')

    def parts(*which):
        """Only these of certificate, verify, finished, in this order."""
        def run(c):
            c.start()
            c.secure()
            for w in which:
                c.say({'c': lambda: c.pair.certificate(c.request), 'v': lambda: c.pair.verify(b'client', c.transcript, c.schedule.h),
                       'f': c.finished, 'e': lambda: handshake('certificate', CERTIFICATE, [Field('context', c.request, 1), Field('list', b'', 3)]),
                       's': lambda: c.pair.verify(b'server', c.transcript, c.schedule.h)}[w]().encode())
            c.opened()
        return run
    for which in ('vf', 'cf', 'f', 'ccvf', 'cvvf', 'vcf', 'cfv', 'fcv', 'evf', 'ef', 'ecvf', 'csf', 'cvcvf', 'cvff'):
        yield Case(f'parts-{which}', parts(*which), 'mtls')
    for cut in (1, 10, 100):
        yield Case(f'in-pieces-of-{cut}', lambda c, n=cut: c.start() or c.complete(cut=n), 'mtls')

    def one_record(c):
        c.start()
        c.secure()
        cert = c.pair.certificate(c.request).encode()
        c.transcript += cert
        v = c.pair.verify(b'client', c.transcript, c.schedule.h).encode()
        c.transcript += v
        f = c.finished().encode()
        c.send(HANDSHAKE, cert + v + f)
        c.opened()
    yield Case('one-record', one_record, 'mtls')

    def unasked(c):
        c.start()
        c.secure()
        c.say(c.pair.certificate(b'').encode())
        c.say(c.pair.verify(b'client', c.transcript, c.schedule.h).encode())
        c.say(c.finished().encode())
        c.opened()
    yield Case('unasked', unasked)


# --- after the handshake ---


@group
def alerts(rng, long):
    """Alerts of all kinds, at each time."""
    descriptions = range(256) if long else (*range(0, 120, 3), 0, 10, 20, 21, 22, 40, 41, 42, 46, 48, 50, 51, 70, 80, 86, 90, 100, 109, 112, 116, 120, 200, 255)
    for level in (0, 1, 2, 3, 255):
        for d in sorted(set(descriptions)):
            if level in (1, 2) or d in (0, 10, 90, 255):
                yield Case(f'open-{level}-{d}', at('open', lambda c, b=bytes([level, d]): c.send(ALERT, b)))
        for d in (0, 10, 40, 90, 100, 255):
            for stage in ('first', 'after-hello', 'after-flight', 'after-flight-sealed'):
                yield Case(f'{stage}-{level}-{d}', at(stage, lambda c, b=bytes([level, d]): c.send(ALERT, b)))
    for stage in ('after-flight', 'after-flight-sealed', 'open'):
        for name, v in {'empty': b'', 'one-byte': b'\2', 'three': b'\2\x28\0', 'two-alerts': b'\1\x5a\1\x5a', 'long': b'\1' * 1000}.items():
            yield Case(f'{stage}-{name}', at(stage, lambda c, v=v: c.send(ALERT, v)))
        yield Case(f'{stage}-halves', at(stage, lambda c: c.send(ALERT, b'\1\x5a', 1)))
        for n in (1, 2, 3, 4, 5, 6, 10, 100):
            yield Case(f'{stage}-{n}-warnings', at(stage, lambda c, n=n: [c.send(ALERT, b'\1\x5a') for _ in range(n)]))

    def unsealed(b):
        return lambda c: c.raw(b'\x15\3\3' + u16(len(b)) + b)
    for b in (b'\1\0', b'\2\0', b'\1\x5a', b'\2\x28', b'\2\x14', b'', b'\2', b'\0\0\0'):
        yield Case(f'open-unsealed-{b.hex()}', at('open', unsealed(b)))
        yield Case(f'sealed-stage-unsealed-{b.hex()}', at('after-flight-sealed', unsealed(b)))
    yield Case('data-behind-close', at('open', lambda c: c.send(ALERT, b'\1\0') or c.send(DATA, REQUEST)))
    yield Case('close-twice', at('open', lambda c: c.send(ALERT, b'\1\0') or c.send(ALERT, b'\1\0')))
    yield Case('request-and-close', at('open', lambda c: c.send(DATA, REQUEST) or c.send(ALERT, b'\1\0')))
    for a in (b'\1\x5a', b'\2\x5a', b'\1\x64'):
        yield Case(f'warnings-between-data-{a.hex()}', at('open', lambda c, a=a: [c.send(ALERT, a) or c.send(DATA, x) for x in
                   (b'GET /hello HT', b'TP/1.1\r\n', b'Host: ngi', b'nx.test\r\n', b'X: y\r\n', b'\r\n')] and c.response()))


@group
def updates(rng, long):
    """KeyUpdate and the other messages after the handshake."""
    def update(c, v=0):
        c.send(HANDSHAKE, message(KEY_UPDATE, u8(v)))
        c.tx = c.tx.next()
    for v in range(256):
        if v < 4 or v % 16 == 0 or v == 255 or long:
            yield Case(f'value-{v}', at('open', lambda c, v=v: update(c, v)))
    for n in (2, 10, 32, 33, 100):
        yield Case(f'{n}-times', at('open', lambda c, n=n: [update(c) for _ in range(n)]))
        yield Case(f'{n}-times-asked', at('open', lambda c, n=n: [update(c, 1) for _ in range(n)]))
    yield Case('keys-not-changed', at('open', lambda c: c.send(HANDSHAKE, message(KEY_UPDATE, b'\0'))))
    yield Case('keys-changed-silently', at('open', lambda c: c.__setattr__('tx', c.tx.next())))
    yield Case('in-single-bytes', at('open', lambda c: c.send(HANDSHAKE, message(KEY_UPDATE, b'\0'), 1) or c.__setattr__('tx', c.tx.next())))
    yield Case('two-in-one-record', at('open', lambda c: c.send(HANDSHAKE, message(KEY_UPDATE, b'\0') * 2) or c.__setattr__('tx', c.tx.next())))
    yield Case('byte-behind', at('open', lambda c: c.send(HANDSHAKE, message(KEY_UPDATE, b'\0') + b'\0') or c.__setattr__('tx', c.tx.next())))
    for name, bend in bends(handshake('update', KEY_UPDATE, [Field('value', b'\0')])):
        def run(c, bend=bend):
            c.open()
            t = handshake('update', KEY_UPDATE, [Field('value', b'\0')])
            bend(t)
            c.send(HANDSHAKE, t.encode())
            c.tx = c.tx.next()
        yield Case(name, run)
    for n in (0, 1, 2, 3):
        yield Case(f'head-of-{n}-then-data', at('open', lambda c, n=n: c.send(HANDSHAKE, message(KEY_UPDATE, b'\0')[:n])))


@group
def data(rng, long):
    """Records of application data."""
    def rec(fn):
        """fn(c): the raw bytes instead of the request's record."""
        return at('open', lambda c: c.raw(fn(c)))
    size = 5 + len(REQUEST) + 17

    def flip(bit):
        def fn(c):
            r = bytearray(c.tx.seal(REQUEST + u8(DATA)))
            r[bit // 8] ^= 1 << bit % 8
            return bytes(r)
        return fn
    for bit in [*range(40), *range(40, size * 8, 1 if long else 3)]:
        yield Case(f'bit-{bit}', rec(flip(bit)))
    for t in range(256):
        if t < 30 or t % 8 == 0 or t == 255 or long:
            yield Case(f'inner-type-{t}', rec(lambda c, t=t: c.tx.seal(REQUEST + u8(t))))
            yield Case(f'outer-type-{t}', rec(lambda c, t=t: u8(t) + c.tx.seal(REQUEST + u8(DATA))[1:]))
            yield Case(f'outer-type-{t}-bound', rec(lambda c, t=t: c.tx.seal(REQUEST + u8(DATA), u8(t) + b'\3\3' + u16(len(REQUEST) + 17))))
    for v in VERSIONS:
        yield Case(f'version-{v:04x}', rec(lambda c, v=v: b'\x17' + u16(v) + c.tx.seal(REQUEST + u8(DATA))[3:]))
        yield Case(f'version-{v:04x}-bound', rec(lambda c, v=v: c.tx.seal(REQUEST + u8(DATA), b'\x17' + u16(v) + u16(len(REQUEST) + 17))))
    for n in (*range(0, 20), 100, 16384, 16400, 16401, 16639, 16640, 16641, 16642, 18432, 32767, 32768, 65535):
        yield Case(f'garbage-{n}', rec(lambda c, n=n: b'\x17\3\3' + u16(n) + bytes(n)))
        yield Case(f'header-says-{n}', rec(lambda c, n=n: b'\x17\3\3' + u16(n)))
    pad = b'GET /hello HTTP/1.1\r\nHost: nginx.test\r\nX: '

    def filled(n):
        return b'y' * n
    for n in (1, 16382, 16383, 16384, 16385, 16386, 16500, 16622, 16623):
        yield Case(f'content-{n}', rec(lambda c, n=n: c.tx.seal(filled(n) + u8(DATA))))
        yield Case(f'content-padded-to-{n}', rec(lambda c, n=n: c.tx.seal((REQUEST + u8(DATA)).ljust(n + 1, b'\0'))))
        yield Case(f'zeros-{n}', rec(lambda c, n=n: c.tx.seal(bytes(n))))
        yield Case(f'empty-padded-{n}', rec(lambda c, n=n: c.tx.seal(u8(DATA) + bytes(n))))
        yield Case(f'empty-alert-padded-{n}', rec(lambda c, n=n: c.tx.seal(u8(ALERT) + bytes(n))))
        yield Case(f'empty-handshake-padded-{n}', rec(lambda c, n=n: c.tx.seal(u8(HANDSHAKE) + bytes(n))))
    for n in (0, 1):
        yield Case(f'nothing-sealed-{n}', rec(lambda c, n=n: c.tx.seal(bytes(n))))
    for n in (1, 2, 10, 31, 32, 33, 34, 100, 1000):
        yield Case(f'{n}-empty', rec(lambda c, n=n: b''.join(c.tx.seal(u8(DATA)) for _ in range(n))))
        yield Case(f'{n}-empty-with-data-between', rec(lambda c, n=n: b''.join(
            c.tx.seal(x) for x in [u8(DATA)] * (n // 2) + [b'\r\n' + u8(DATA)] + [u8(DATA)] * (n // 2))))

    def skip(c):
        c.tx.seq += 1
        return b''

    def back(c):
        r = c.tx.seal(b'\r\n' + u8(DATA))
        c.tx.seq -= 1
        return r

    def replay(c):
        r = c.tx.seal(b'\r\n' + u8(DATA))
        return r + r

    def swapped(c):
        a, b = c.tx.seal(pad + u8(DATA)), c.tx.seal(b'z\r\n\r\n' + u8(DATA))
        return b + a

    def other_side(c):
        return c.rx.__class__(c.suite, c.rx.secret).seal(REQUEST + u8(DATA))
    for name, fn in {'skipped': skip, 'used-twice': back, 'replayed': replay, 'swapped': swapped, 'reflected': other_side}.items():
        yield Case(name, rec(fn))
    for n in (1, 4, 5, 6, 20, size - 1):
        yield Case(f'cut-{n}', rec(lambda c, n=n: c.tx.seal(REQUEST + u8(DATA))[:n]))
        yield Case(f'without-tail-{n}', rec(lambda c, n=n: (lambda r: r[:3] + u16(len(r) - 5 - n) + r[5:len(r) - n])(c.tx.seal(REQUEST + u8(DATA)))
                                            if n < size - 5 else c.tx.seal(REQUEST + u8(DATA))))
        yield Case(f'with-tail-{n}', rec(lambda c, n=n: (lambda r: r[:3] + u16(len(r) - 5 + n) + r[5:] + bytes(n))(c.tx.seal(REQUEST + u8(DATA)))))
    yield Case('request-in-single-bytes', at('open', lambda c: c.send(DATA, REQUEST, 1) or c.response()))
    yield Case('plain-http', rec(lambda c: REQUEST))
    yield Case('plain-data-record', rec(lambda c: b'\x17\3\3' + u16(len(REQUEST)) + REQUEST))
    yield Case('ssl2', rec(lambda c: b'\x80\x2e\1\0\2' + bytes(43)))
    yield Case('renegotiation', rec(lambda c: b'\x16\3\3' + u16(len(c.hello().encode())) + c.hello().encode()))


@group
def early_data(rng, long):
    """0-RTT data: refused without breaking the handshake (RFC 8446 section 4.2.10), up to a bound."""
    def run(*records, sealed=True, retry=False):
        def fn(c):
            raw = c.bind(c.hello(psk=True, early=True, **({'groups': (P256, 0x1d), 'shares': ()} if retry else {})))
            c.send_hello(raw)
            k = Schedule(c.ticket[0], c.ticket[1]).early_half(c.transcript)
            c.raw(b'\x14\3\3\0\1\1')
            for r in records:
                c.raw(k.seal(r + u8(DATA)) if sealed else b'\x17\3\3' + u16(len(r)) + r)
            c.flight((lambda m: c.bind(c.second(m, psk=True))) if retry else None)
            c.complete(ccs=False)
        return fn
    for n, size in ((0, 0), (1, 0), (1, 1), (1, 100), (1, 16384), (1, 16385), (2, 100), (10, 100), (31, 10), (33, 10), (100, 10), (1, 16000),
                    (2, 8000), (2, 9000), (3, 16000), (10, 16000)):
        yield Case(f'{n}-of-{size}', run(*[bytes(size)] * n), needs_ticket=True)
        yield Case(f'{n}-of-{size}-junk', run(*[bytes(size)] * n, sealed=False), needs_ticket=True)
        yield Case(f'{n}-of-{size}-retry', run(*[bytes(size)] * n, retry=True), needs_ticket=True)

    def with_end(c):
        c.send_hello(c.bind(c.hello(psk=True, early=True)))
        c.flight()
        c.secure()
        c.send(HANDSHAKE, message(END_OF_EARLY_DATA, b''))
        c.complete()
    yield Case('end-of-early-data', with_end, needs_ticket=True)

    def no_psk(c):
        c.send_hello(c.hello(early=True).encode())
        c.raw(b'\x17\3\3\0\x40' + bytes(64))
        c.flight()
        c.complete()
    yield Case('without-psk', no_psk)

    def late(c):
        c.open(c.bind(c.hello(psk=True, early=True)))
        c.raw(b'\x17\3\3\0\x40' + bytes(64))
    yield Case('behind-finished', late, needs_ticket=True)


@group
def resumption(rng, long):
    """Tickets and binders that do not hold."""
    def with_psk(fn, modes=None):
        def run(c):
            suite, psk, ident, add = c.ticket
            n = 48 if suite == 0x1302 else 32
            ids, binders = fn(ident, add, n)
            tree = c.hello()
            exts = tree.find('body', 'extensions').body
            if modes is not None:
                next(e for e in exts if e.name == 'modes').find('data').body = modes
            a = b''.join(u16(len(i)) + i + age for i, age in ids)
            b = b''.join(u8(len(x)) + x for x in binders)
            exts.append(ext('psk', 41, u16(len(a)) + a + u16(len(b)) + b))
            raw = tree.encode()
            if binders and len(binders[0]) == n:
                right = Schedule(suite, psk).binder(raw[:len(raw) - len(b) - 2])
                marks = b''.join(u8(len(x)) + (right if x == b'R' * n else x) for x in binders)
                raw = raw[:len(raw) - len(b)] + marks
            c.open(raw)
        return run
    zero = bytes(4)
    for name, fn in {
            'right': lambda i, a, n: ([(i, zero)], [b'R' * n]), 'wrong-binder': lambda i, a, n: ([(i, zero)], [bytes(n)]),
            'unknown': lambda i, a, n: ([(b'x' * 100, zero)], [bytes(n)]), 'unknown-then-right': lambda i, a, n: ([(b'x' * 100, zero), (i, zero)], [bytes(n), b'R' * n]),
            'right-then-unknown': lambda i, a, n: ([(i, zero), (b'x', zero)], [b'R' * n, bytes(n)]), 'twice': lambda i, a, n: ([(i, zero)] * 2, [b'R' * n] * 2),
            'binder-missing': lambda i, a, n: ([(i, zero), (b'x', zero)], [b'R' * n]), 'binder-too-many': lambda i, a, n: ([(i, zero)], [b'R' * n, bytes(n)]),
            'empty-id': lambda i, a, n: ([(b'', zero)], [bytes(n)]), 'short-id': lambda i, a, n: ([(i[:10], zero)], [bytes(n)]),
            'binder-31': lambda i, a, n: ([(i, zero)], [bytes(31)]), 'binder-33': lambda i, a, n: ([(i, zero)], [bytes(33)]),
            'binder-255': lambda i, a, n: ([(i, zero)], [bytes(255)]), 'binder-of-other-hash': lambda i, a, n: ([(i, zero)], [bytes(80 - n)]),
            'unknown-with-short-binder': lambda i, a, n: ([(b'x' * 50, zero)], [b'\0']), 'no-ids': lambda i, a, n: ([], []),
            'no-binders': lambda i, a, n: ([(i, zero)], []), 'ids-100': lambda i, a, n: ([(b'x' * 20, zero)] * 100, [bytes(n)] * 100),
            'spoiled-name': lambda i, a, n: ([(bytes([i[0] ^ 1]) + i[1:], zero)], [bytes(n)]), 'spoiled-iv': lambda i, a, n: ([(i[:20] + bytes([i[20] ^ 1]) + i[21:], zero)], [bytes(n)]),
            'spoiled-body': lambda i, a, n: ([(i[:60] + bytes([i[60] ^ 1]) + i[61:], zero)], [bytes(n)]), 'spoiled-mac': lambda i, a, n: ([(i[:-1] + bytes([i[-1] ^ 1]), zero)], [bytes(n)]),
            'longer-id': lambda i, a, n: ([(i + b'\0', zero)], [bytes(n)]), 'age-ff': lambda i, a, n: ([(i, b'\xff' * 4)], [b'R' * n])}.items():
        yield Case(name, with_psk(fn), needs_ticket=True)
    for m in (b'\1\0', b'\2\0\1', b'\1\x0a', b'\0', b''):
        yield Case(f'modes-{m.hex()}', with_psk(lambda i, a, n: ([(i, zero)], [b'R' * n]), m), needs_ticket=True)

    def without(name):
        def run(c):
            tree = c.hello(psk=True)
            e = tree.find('body', 'extensions')
            e.body = [x for x in e.body if x.name != name]
            c.open(c.bind(tree))
        return run
    for name in ('modes', 'shares', 'groups', 'sigalgs', 'versions', 'sni', 'alpn', 'ems'):
        yield Case(f'without-{name}', without(name), needs_ticket=True)

    def not_last(c):
        tree = c.hello(psk=True)
        e = tree.find('body', 'extensions').body
        e.append(ext('x', 0xabcd, b''))
        c.open(tree.encode())
    yield Case('not-last', not_last, needs_ticket=True)

    def twice(c):
        tree = c.hello(psk=True)
        e = tree.find('body', 'extensions').body
        e.append(e[-1])
        c.open(c.bind(tree))
    yield Case('extension-twice', twice, needs_ticket=True)
    for suites in ((0x1302,), (0x1303,), (0x1301,), (0x1303, 0x1301), (0x1302, 0x1301)):
        yield Case('suites-' + '-'.join(f'{s:x}' for s in suites), lambda c, s=suites: c.open(c.bind(c.hello(psk=True, suites=s))), needs_ticket=True)
    for how in ({'name': b'other.test'}, {'alpn': (b'foo',)}, {'alpn': (b'http/1.0',)}, {'shares': (P256,)}, {'versions': (0x303, 0x304)}):
        yield Case('with-' + str(next(iter(how.items()))), lambda c, h=how: c.open(c.bind(c.hello(psk=True, **h))), needs_ticket=True)

    def retried(again):
        def run(c):
            c.start(c.bind(c.hello(psk=True, groups=(P256, 0x1d), shares=())), lambda m: again(c, m))
            c.complete()
        return run
    for name, fn in {'right': lambda c, m: c.bind(c.second(m, psk=True)), 'dropped': lambda c, m: c.second(m).encode(),
                     'unbound': lambda c, m: c.second(m, psk=True).encode()}.items():
        yield Case(f'retried-{name}', retried(fn), needs_ticket=True)

    def added(c):
        c.start(c.hello(groups=(P256, 0x1d), shares=()).encode(), lambda m: c.bind(c.second(m, psk=True)))
        c.complete()
    yield Case('added-in-second-hello', added, needs_ticket=True)


# --- no TLS 1.3 at all ---


@group
def other_protocols(rng, long):
    def raw(b):
        def run(c):
            c.raw(b)
            c.get()
        return run
    for name, b in {
            'get': b'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'get-10': b'GET / HTTP/1.0\r\n\r\n', 'head': b'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n',
            'post': b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc', 'put': b'PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n',
            'connect': b'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n', 'options': b'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', 'delete': b'DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n',
            'h2': b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0', 'smtp': b'EHLO a\r\n', 'ssh': b'SSH-2.0-OpenSSH_9.2\r\n', 'lf': b'\n\n\n\n\n\n', 'ftp': b'USER a\r\n'}.items():
        yield Case(name, raw(b))

    def hello12(version, suites=b'\xc0\x2b\xc0\x2f\0\x9c\0\x2f', scsv=False, record=0x301):
        def run(c):
            tree = c.hello()
            e = tree.find('body', 'extensions')
            e.body = [x for x in e.body if x.name not in ('versions', 'shares', 'modes')]
            tree.find('body', 'version').body = u16(version)
            tree.find('body', 'suites').body = suites + (b'\x56\0' if scsv else b'')
            m = tree.encode()
            c.raw(b'\x16' + u16(record) + u16(len(m)) + m)
            c.get()
        return run
    for v in (0x2ff, 0x300, 0x301, 0x302, 0x303, 0x304, 0x400):
        yield Case(f'only-{v:04x}', hello12(v))
        yield Case(f'only-{v:04x}-scsv', hello12(v, scsv=True))
        yield Case(f'only-{v:04x}-record', hello12(v, record=v))

    def ssl2(version, suites=b'\1\0\x80\2\0\x80', session=b'', challenge=bytes(16), kind=1):
        body = u8(kind) + u16(version) + u16(len(suites)) + u16(len(session)) + u16(len(challenge)) + suites + session + challenge
        return u16(0x8000 | len(body)) + body
    for v in (0, 2, 0x200, 0x300, 0x301, 0x303, 0x304):
        yield Case(f'ssl2-{v:04x}', raw(ssl2(v)))
    for name, b in {'odd-suites': ssl2(0x301, b'\1\0'), 'no-suites': ssl2(0x301, b''), 'session': ssl2(0x301, session=bytes(16)),
                    'short-challenge': ssl2(0x301, challenge=bytes(15)), 'long-challenge': ssl2(0x301, challenge=bytes(33)),
                    'kind-2': ssl2(2, kind=2), 'three-byte-header': b'\0\x20\0' + ssl2(2)[2:], 'tiny': b'\x80\3\1\3\1', 'tls-suites': ssl2(0x303, b'\0\x13\1\0\xc0\x2b')}.items():
        yield Case(f'ssl2-{name}', raw(b))
    dtls = b'\x16\xfe\xfd' + bytes(8) + u16(60) + b'\1' + bytes(59)
    yield Case('dtls', raw(dtls))
    yield Case('dtls-1.3', raw(b'\x16\xfe\xfd\0\0' + dtls[5:]))
    for i in range(60 if not long else 1000):
        b = rng.randbytes(rng.choice((5, 6, 20, 100, 1000)))
        yield Case(f'random-{i}-{b[:2].hex()}', raw(b))
        yield Case(f'random-behind-header-{i}', raw(b'\x16\3\1' + u16(len(b)) + b))
        yield Case(f'random-hello-{i}', raw((lambda m: b'\x16\3\1' + u16(len(m)) + m)(message(CLIENT_HELLO, b))))
        yield Case(f'random-hello-body-{i}', raw((lambda m: b'\x16\3\1' + u16(len(m)) + m)(message(CLIENT_HELLO, b'\3\3' + bytes(32) + b'\0' + b))))


def damage(r, b, head=0):
    """Of the first `head` bytes, a record's, bits are changed and none lost or added: bytes of sealed content in the
    place of a length would mean something else in each run. No byte is replaced by what it was, which for a binder
    or a sealed byte would be another one with each server."""
    b = bytearray(b)
    for _ in range(r.randrange(1, 4)):
        where = r.randrange(len(b))
        how = r.randrange(2 if where < head else 4)
        if how == 0:
            b[where] ^= 1 << r.randrange(8)
        elif how == 1:
            b[where] ^= r.randrange(1, 256)
        elif how == 2:
            del b[where:where + r.randrange(1, 8)]
        else:
            b[where:where] = r.randbytes(r.randrange(1, 8))
        if not b:
            b = bytearray(1)
    return bytes(b)


@group
def random_damage(rng, long):
    """Bytes changed, lost and added at places that a seed chooses, in hellos, flights and data."""
    for i in range(250 if not long else 5000):
        seed = rng.getrandbits(48)

        def hello_message(c, seed=seed):
            m = damage(Random(seed), c.hello().encode()[4:])
            c.open(message(CLIENT_HELLO, m))
        yield Case(f'hello-{i}', hello_message)
    for i in range(60 if not long else 1000):
        seed = rng.getrandbits(48)

        def resuming(c, seed=seed):
            """The ticket itself stays: the two servers' differ in length."""
            raw, ident = c.bind(c.hello(psk=True)), c.ticket[2]
            begin = raw.index(ident)
            front, back = raw[4:begin], raw[begin + len(ident):]
            r = Random(seed)
            if r.random() < 0.6:
                back = damage(r, back)
            else:
                front = damage(r, front)
            c.open(message(CLIENT_HELLO, front + ident + back))
        yield Case(f'resuming-{i}', resuming, needs_ticket=True)

        def flight(c, seed=seed):
            c.start()
            c.secure()
            m = c.finished().encode()
            c.transcript += m
            c.raw(damage(Random(seed), c.record(HANDSHAKE, m), 5))
            c.opened()
        yield Case(f'flight-{i}', flight)

        def records(c, seed=seed):
            c.open()
            c.raw(c.record(DATA, REQUEST[:20]) + damage(Random(seed), c.record(DATA, REQUEST[20:]), 5))
        yield Case(f'data-{i}', records)
