"""What a hostile or broken client may do where more is at stake: client certificates of every kind, tickets that stand
for them, TLS 1.3 where 1.2 would do as well, and chains of odd steps. Cases for test_tls_refusals.py."""
from random import Random

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from tls_cases import GROUPS, RETRIED, SHAPE, Case, group, share_list, template
from tls_cases_more import MESSAGES, damage
from tls_wire import (ALERT, CCS, CERTIFICATE, CERTIFICATE_VERIFY, DATA, FINISHED, HANDSHAKE, P256, P384, REQUEST,
                      X25519, Field, bends, ecdsa, ext, handshake, message, u16, u8)

# --- TLS 1.3 at a listener that has both ---


@group
def both_versions(rng, long):
    """A part of what hellos can say, where TLS 1.2 is offered as well."""
    for name in ('hello_fields', 'hello_meanings', 'second_hello_meanings'):
        for case in GROUPS[name](rng, False):
            if long or rng.random() < (0.4 if 'version' in case.name else 0.1):
                yield Case(f'{name}-{case.name}', case.run, 'both')
    old, new = (0xc02b, 0xcca9), (0x1301, 0x1303)
    for versions in ((0x304, 0x303), (0x303, 0x304), (0x303,), (0x304, 0x302), (0x303, 0x302), (0x302,), (0x7f1c, 0x303), (0x305, 0x303)):
        for name, suites in {'both': new + old, 'old': old, 'new': new, 'new-last': old + new, 'fallback': new + old + (0x5600,)}.items():
            for shares in ((X25519,), ()):
                def run(c, v=versions, s=suites, k=shares):
                    c.open(c.hello(versions=v, suites=s, shares=k).encode())
                yield Case(f'{name}-{"-".join(f"{v:x}" for v in versions)}-{len(shares)}', run, 'both')


@group
def rsa_server(rng, long):
    """Where the certificate is an RSA one: what of it depends on the client's signature algorithms."""
    for name, s in {'right': (0x0804,), 'pss-384': (0x0805,), 'pss-512': (0x0806,), 'pss-pss': (0x0809,), 'pkcs1': (0x0401,), 'pkcs1-and-pss': (0x0401, 0x0804),
                    'ecdsa': (0x0403,), 'ecdsa-and-pss': (0x0403, 0x0806), 'none': (), 'unknown': (0xfefe,), 'sha1': (0x0201,)}.items():
        def run(c, s=s):
            t = c.hello()
            t.find('body', 'extensions', 'sigalgs', 'data', 'list').body = b''.join(u16(x) for x in s)
            c.open(t.encode())
        yield Case(f'sigalgs-{name}', run, 'rsa')

        def cert(c, s=s):
            v = b''.join(u16(x) for x in s)
            c.open(c.hello(more=(ext('x', 50, u16(len(v)) + v),)).encode())
        yield Case(f'sigalgs-cert-{name}', cert, 'rsa')
    for case in GROUPS['hello_fields'](rng, False):
        if '.sigalgs' in case.name or rng.random() < (0.3 if long else 0.02):
            yield Case(case.name, case.run, 'rsa')


# --- shares and groups that do not fit together ---


@group
def share_lists(rng, long):
    """Lists of shares against lists of groups (RFC 8446 section 4.2.8: each offered, once, in the same order)."""
    sizes = {X25519: 32, P256: 65, P384: 97, 0x1e: 56, 0x100: 256, 0x2a2a: 1, 0x1234: 10}
    for i in range(80 if not long else 3000):
        seed = rng.getrandbits(48)

        def run(c, seed=seed):
            r = Random(seed)
            groups = r.sample(sorted(sizes), r.randrange(0, 5))
            shares = []
            for _ in range(r.randrange(0, 4)):
                g = r.choice(groups if groups and r.random() < 0.8 else sorted(sizes))
                key = c.share(g) if g in (X25519, P256, P384) else bytes([9]) * sizes[g]
                shares.append((g, key if r.random() < 0.8 else r.choice((b'', key[:-1], key + b'\0', bytes(len(key)), b'\4' + key[1:]))))
            t = c.hello(groups=groups)
            v = share_list(*shares)
            t.find('body', 'extensions', 'shares', 'data').body = u16(len(v)) + v
            c.open(t.encode())
        yield Case(f'{i}-{seed:x}', run)


# --- certificates ---

# Names of files that test_tls_refusals.py makes, and whether a server can believe them.
CHAINS = ('client', 'client-rsa', 'client-rsa1024', 'client-rsa3072', 'client-p384', 'client-p521', 'client-ed25519', 'client-k1', 'expired', 'not-yet', 'stranger',
          'self-signed', 'server-only', 'no-signing', 'is-ca', 'below', 'sha1', 'critical', 'rsa-pss')
SCHEMES = (0x0201, 0x0203, 0x0401, 0x0403, 0x0501, 0x0503, 0x0601, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807, 0x0808, 0x0809, 0x080a, 0x080b)
HASHES = {2: hashes.SHA1, 4: hashes.SHA256, 5: hashes.SHA384, 6: hashes.SHA512}


def hash_of(scheme):
    if scheme >> 8 == 8:
        return (hashes.SHA256, hashes.SHA384, hashes.SHA512)[(scheme - 0x0804) % 5 % 3] if scheme not in (0x0807, 0x0808) else hashes.SHA256
    return HASHES[scheme >> 8]


def sign_as(key, scheme, text):
    """A signature as the scheme asks for it, as far as the key can make one."""
    h = hash_of(scheme)()
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(text, padding.PSS(padding.MGF1(h), h.digest_size) if scheme >> 8 == 8 else padding.PKCS1v15(), h)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return ecdsa(key, text, h)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return key.sign(text)


def right_scheme(key):
    if isinstance(key, rsa.RSAPrivateKey):
        return 0x0804
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {256: 0x0403, 384: 0x0503, 521: 0x0603}[key.curve.key_size]
    return 0x0807


def entry(der, exts=b''):
    return Field('entry', [Field('cert', der, 3), Field('extensions', exts, 2)])


def chain_message(context, ders):
    return handshake('certificate', CERTIFICATE, [Field('context', context, 1), Field('list', [entry(d) for d in ders], 3)])


def prove(c, scheme, text=None):
    """Our CertificateVerify of this scheme."""
    h = hashes.Hash(hashes.SHA384() if c.schedule.h == 'sha384' else hashes.SHA256())
    h.update(c.transcript)
    sig = sign_as(c.pair.key, scheme, text or b' ' * 64 + b'TLS 1.3, client CertificateVerify\0' + h.finalize())
    return handshake('verify', CERTIFICATE_VERIFY, [Field('scheme', u16(scheme)), Field('signature', sig, 2)])


def show(c, ders, scheme=None, spoil=lambda sig: sig):
    """Our second flight with this chain."""
    c.start()
    c.secure()
    c.say(chain_message(c.request or b'', ders).encode())
    v = prove(c, scheme or right_scheme(c.pair.key))
    f = v.find('body', 'signature')
    f.body = spoil(f.body)
    c.say(v.encode())
    c.say(c.finished().encode())
    c.opened()


def with_pair(name, run):
    def fn(c):
        c.pair = c.pairs[name]
        run(c)
    return fn


@group
def client_chains(rng, long):
    """Certificates of every kind with every scheme, and chains that are odd."""
    for where in ('mtls', 'may'):
        for name in CHAINS:
            yield Case(f'{where}-{name}', with_pair(name, lambda c: show(c, c.pair.chain)), where)
        yield Case(f'{where}-none', lambda c: setattr(c, 'pair', None) or c.open(), where)
    for name in ('client', 'client-rsa', 'client-p384', 'client-p521', 'client-ed25519', 'rsa-pss', 'client-k1'):
        for s in SCHEMES:
            yield Case(f'{name}-as-{s:04x}', with_pair(name, lambda c, s=s: show(c, c.pair.chain, s)), 'mtls')
        for how, fn in {'empty': lambda s: b'', 'zero': lambda s: bytes(len(s)), 'longer': lambda s: s + b'\0', 'shorter': lambda s: s[:-1],
                        'last-bit': lambda s: s[:-1] + bytes([s[-1] ^ 1]), 'first-bit': lambda s: bytes([s[0] ^ 1]) + s[1:],
                        'r-0': lambda s: bytes.fromhex('3006020100020100'), 'negative': lambda s: bytes.fromhex('3006020181020181'),
                        'huge': lambda s: s * 100}.items():
            yield Case(f'{name}-signature-{how}', with_pair(name, lambda c, fn=fn: show(c, c.pair.chain, spoil=fn)), 'mtls')
    for how, fn in {
            'leaf-twice': lambda c: c.pair.chain * 2, 'with-root': lambda c: [*c.pair.chain, c.root], 'root-first': lambda c: [c.root, *c.pair.chain],
            'with-stranger': lambda c: [*c.pair.chain, c.pairs['stranger'].der], 'with-junk': lambda c: [*c.pair.chain, b'\x30\3\2\1\0'],
            'with-empty': lambda c: [*c.pair.chain, b''], 'empty-first': lambda c: [b'', *c.pair.chain], 'junk': lambda c: [b'junk'],
            'reversed': lambda c: c.pair.chain[::-1], 'leaf-only': lambda c: c.pair.chain[:1], 'ten': lambda c: c.pair.chain * 10,
            'hundred': lambda c: c.pair.chain * 100, 'with-tail': lambda c: [c.pair.der + b'\0'], 'half': lambda c: [c.pair.der[:200]],
            'two-in-one': lambda c: [c.pair.der * 2]}.items():
        for name in ('client', 'below', 'client-rsa'):
            yield Case(f'{name}-{how}', with_pair(name, lambda c, fn=fn: show(c, fn(c))), 'mtls')


def spoiled(r, which, m):
    """A message with bytes changed, and of a Certificate also lost and added, mostly in its front: what is further
    behind is said by the verification. Nothing is moved where it would put bytes that differ in each run (a signature,
    a MAC) in the place of a length."""
    if which != 'c':
        return damage(r, m, len(m))
    n = 60 if r.random() < 0.8 else len(m)
    return message(m[0], damage(r, m[4:n]) + m[n:])


@group
def damaged_proofs(rng, long):
    """The client's messages with bytes changed, lost and added, but sealed well."""
    for i in range(40 if not long else 1200):
        seed, which = rng.getrandbits(48), rng.choice('cvf')

        def run(c, seed=seed, which=which):
            r = Random(seed)
            c.start()
            c.secure()
            for w in 'cvf':
                m = {'c': lambda: c.pair.certificate(c.request), 'v': lambda: c.pair.verify(b'client', c.transcript, c.schedule.h),
                     'f': c.finished}[w]().encode()
                c.say(spoiled(r, w, m) if w == which else m, r.choice((16384, 16384, 50, 7)))
            c.opened()
        yield Case(f'{which}-{i}-{seed:x}', run, 'mtls')


# --- tickets of clients with certificates ---


@group
def mutual_resumption(rng, long):
    """Tickets where a certificate is wanted."""
    for where in ('mtls', 'may'):
        for name, bend in bends(template(SHAPE).hello(psk=True).find('body', 'extensions', 'psk')):
            def bent(c, bend=bend):
                t = c.hello(psk=True)
                bend(t.find('body', 'extensions', 'psk'))
                c.open(c.bind(t) if '.ids' in name else t.encode())
            if long or rng.random() < 0.4:
                yield Case(f'{where}-{name}', bent, where, needs_ticket=True)
        for how, kw in {'right': {}, '1302': {'suites': (0x1302,)}, '1303-1301': {'suites': (0x1303, 0x1301)}, 'p256': {'shares': (P256,)}, 'no-share': {'shares': ()},
                        'other-name': {'name': b'other.test'}, 'alpn': {'alpn': (b'foo',)}, 'early': {'early': True}}.items():
            yield Case(f'{where}-{how}', lambda c, kw=kw: c.open(c.bind(c.hello(psk=True, **kw))), where, needs_ticket=True)

        def wrong_binder(c):
            c.open(c.bind(c.hello(psk=True), bytes(32)))
        yield Case(f'{where}-wrong-binder', wrong_binder, where, needs_ticket=True)

        def certificate_all_the_same(c):
            c.start(c.bind(c.hello(psk=True)))
            c.secure()
            c.say(c.pair.certificate(b'').encode())
            c.say(c.pair.verify(b'client', c.transcript, c.schedule.h).encode())
            c.say(c.finished().encode())
            c.opened()
        yield Case(f'{where}-certificate-unasked', certificate_all_the_same, where, needs_ticket=True)
        for name, bend in bends(handshake('finished', FINISHED, [Field('mac', bytes(32))])):
            def fin(c, bend=bend):
                c.start(c.bind(c.hello(psk=True)))
                c.secure()
                t = c.finished()
                bend(t)
                c.say(t.encode())
                c.opened()
            yield Case(f'{where}-{name}', fin, where, needs_ticket=True)

    def without_cert_then(c):
        """A ticket of a server that asks nobody, shown to one that does."""
        c.ticket = c.tickets['plain']
        c.open(c.bind(c.hello(psk=True)))
    yield Case('ticket-of-plain', without_cert_then, 'mtls', needs_ticket=True)


# --- chains of odd steps ---

CONTENTS = (b'', b'\0', b'\1', b'\1\1', b'\1\0', b'\1\x5a', b'\2\x28', b'\2\x5a', b'\1\x64', b'\x18\0\0\1\0', b'\x18\0\0\1\1', b'\x18\0\0\1\2', b'\x18\0\0', b'\x14\0\0\x20' + bytes(32),
            b'\r\n', bytes(17), b'\1\0\0\0')


def odd_step(r, c):
    """One thing that does not belong where it is, or that may."""
    keys = [None, c.tx, c.tx]
    if getattr(c, 'hs', None):
        keys.append(c.hs[0])
    if getattr(c, 'keys', None):
        keys.append(c.keys[0])
    kind = r.choice((CCS, ALERT, HANDSHAKE, DATA, HANDSHAKE, CCS, 24, 0, 99))
    content = r.choice(CONTENTS)
    if r.random() < 0.2:
        m = r.choice(list(MESSAGES.values()))
        kind, content = HANDSHAKE, m if m is not None else c.hello().encode()
        content = content[:r.choice((len(content), len(content), 1, 3, 4, 5))]
    # What a request that is spoiled or cut is answered with is not the matter.
    if c.app and kind == DATA:
        content = b''
    if c.app and content == b'\1\0':
        content = b'\1\x5a'
    k, times = r.choice(keys), r.choice((1, 1, 1, 2, 5, 33))
    for _ in range(times):
        if k:
            pad = r.choice((0, 0, 0, 1, 100))
            c.raw(k.seal(content + u8(kind) + bytes(pad)))
        else:
            c.raw(u8(kind) + u16(r.choice((0x303, 0x303, 0x301, 0x304, 0x203))) + u16(len(content)) + content)


def strange_way(seed, steps):
    """A handshake and a request, with odd steps in between, in records of odd sizes."""
    def run(c):
        r = Random(seed)
        at = sorted(r.randrange(6) for _ in range(steps))

        def odd(n):
            for a in at:
                if a == n:
                    odd_step(r, c)
        odd(0)
        raw = c.hello(**(RETRIED if r.random() < 0.2 else {})).encode()
        c.transcript += raw
        cut = r.choice((16384, 16384, 16384, 30, 1 + r.randrange(len(raw))))
        pieces = [raw[i:i + cut] for i in range(0, len(raw), cut)]
        for i, p in enumerate(pieces):
            c.send(HANDSHAKE, p)
            if i == 0:
                odd(1)
        c.flight()
        odd(2)
        c.secure()
        parts = [t.encode() for t in c.certificates()]
        for m in parts:
            c.say(m, r.choice((16384, 16384, 100)))
            odd(3)
        m = c.finished().encode()
        if r.random() < 0.2:
            c.send(HANDSHAKE, m[:10])
            c.transcript += m
            odd(4)
            c.send(HANDSHAKE, m[10:])
        else:
            odd(4)
            c.say(m)
        c.opened()
        c.raw(c.record(DATA, REQUEST[:9]))
        odd(5)
        c.send(DATA, REQUEST[9:], r.choice((16384, 1, 5)))
        c.response()
    return run


@group
def strange_ways(rng, long):
    """One, two and three odd steps on the way, drawn at random."""
    for i in range(150 if not long else 4000):
        seed, steps = rng.getrandbits(48), rng.choice((1, 1, 2, 2, 3))
        yield Case(f'{i}-{seed:x}-{steps}', strange_way(seed, steps), rng.choice(('plain', 'plain', 'mtls', 'both')))


def damaged_retry(seed):
    def run(c):
        def again(m):
            t = c.second(m, groups=RETRIED['groups']).encode()
            return message(1, damage(Random(seed), t[4:]))
        c.start(c.hello(**RETRIED).encode(), again)
        c.complete()
    return run


@group
def damaged_second_hellos(rng, long):
    """The answer to a HelloRetryRequest with bytes changed, lost and added."""
    for i in range(30 if not long else 1500):
        seed = rng.getrandbits(48)
        yield Case(f'{i}-{seed:x}', damaged_retry(seed))
