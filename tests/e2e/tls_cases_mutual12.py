"""What a hostile or broken TLS 1.2 client may do with certificates and tickets: cases for test_tls_refusals.py."""
from random import Random

from tls_cases import Case, group
from tls_cases_more import MESSAGES, damage
from tls_cases_mutual import CHAINS, right_scheme, sign_as, spoiled, with_pair
from tls_wire import ALERT, CCS, CERTIFICATE, CERTIFICATE_VERIFY, DATA, FINISHED, HANDSHAKE, Field, bends, ext, handshake, u16
from tls_wire12 import CLIENT_KEY_EXCHANGE


def certificate(ders):
    return handshake('certificate', CERTIFICATE, [Field('list', [Field(f'cert{i}', d, 3) for i, d in enumerate(ders)], 3)])


def prove(c, scheme=None, spoil=lambda s: s):
    s = scheme or right_scheme(c.pair.key)
    return handshake('verify', CERTIFICATE_VERIFY, [Field('scheme', u16(s)), Field('signature', spoil(sign_as(c.pair.key, s, c.transcript)), 2)])


def show(c, order='cxvkf', hello=None, ders=None, bend=None, part=None, scheme=None, spoil=lambda s: s, cut=16384):
    """Our second flight: Certificate, the key exchange, CertificateVerify, change of keys, Finished. bend spoils a part."""
    c.start(hello)
    for w in order:
        if w == 'k':
            c.change()
            continue
        if w == 'x':
            c.exchange(bend if part == 'x' else None, cut)
            continue
        tree = {'c': lambda: certificate(c.pair.chain if ders is None else ders), 'e': lambda: certificate([]),
                'v': lambda: prove(c, scheme, spoil), 'f': c.finished}[w]()
        if part == w:
            bend(tree)
        c.say(tree.encode(), cut)
    c.finish_up()


def case(name, run, where='mtls12'):
    return Case(name, run, where)


@group
def client_certificates12(rng, long):
    """Certificate and CertificateVerify: each field, each order, each kind."""
    for where in ('mtls12', 'may12'):
        for name in CHAINS:
            yield case(f'{where}-{name}', with_pair(name, show), where)
        yield case(f'{where}-none', lambda c: show(c, 'exkf'), where)
    for name, bend in bends(handshake('certificate', CERTIFICATE, [Field('list', [Field('cert0', b'\0', 3)], 3)])):
        yield case(name, lambda c, b=bend: show(c, bend=b, part='c'))
    for name, bend in bends(handshake('verify', CERTIFICATE_VERIFY, [Field('scheme', b'\0\0'), Field('signature', b'\0', 2)])):
        yield case(name, lambda c, b=bend: show(c, bend=b, part='v'))
    for name, bend in bends(handshake('exchange', CLIENT_KEY_EXCHANGE, [Field('key', bytes([9]) * 32, 1)])):
        if long or rng.random() < 0.3:
            yield case(name, lambda c, b=bend: show(c, bend=b, part='x'))
    for order in ('cxkf', 'cvxkf', 'xcvkf', 'xvckf', 'cxvf', 'cxvvkf', 'ccxvkf', 'exvkf', 'ecxvkf', 'xkf', 'cxkvf', 'vcxkf', 'cxvk', 'xckf', 'cf', 'cxvkff', 'excvkf', 'cxxvkf'):
        yield case(f'order-{order}', lambda c, o=order: show(c, o))
        if 'c' in order and (long or len(order) < 5):
            yield case(f'order-{order}-unasked', lambda c, o=order: show(c, o), 'tls12')
    for name in ('client', 'client-rsa', 'client-p384', 'client-ed25519', 'rsa-pss'):
        for s in (0x0201, 0x0203, 0x0401, 0x0403, 0x0501, 0x0503, 0x0601, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807, 0x0809):
            yield case(f'{name}-as-{s:04x}', with_pair(name, lambda c, s=s: show(c, scheme=s)))
        for how, fn in {'empty': lambda s: b'', 'zero': lambda s: bytes(len(s)), 'longer': lambda s: s + b'\0', 'shorter': lambda s: s[:-1],
                        'last-bit': lambda s: s[:-1] + bytes([s[-1] ^ 1])}.items():
            yield case(f'{name}-signature-{how}', with_pair(name, lambda c, f=fn: show(c, spoil=f)))
    for how, fn in {'twice': lambda c: c.pair.chain * 2, 'with-root': lambda c: [*c.pair.chain, c.root], 'root-first': lambda c: [c.root, *c.pair.chain],
                    'with-junk': lambda c: [*c.pair.chain, b'junk'], 'with-empty': lambda c: [*c.pair.chain, b''], 'empty-first': lambda c: [b'', *c.pair.chain],
                    'with-tail': lambda c: [c.pair.der + b'\0'], 'half': lambda c: [c.pair.der[:200]], 'leaf-only': lambda c: c.pair.chain[:1]}.items():
        for name in ('client', 'below'):
            yield case(f'{name}-{how}', with_pair(name, lambda c, f=fn: show(c, ders=f(c))))
    for n in (1, 10, 100):
        yield case(f'in-pieces-of-{n}', lambda c, n=n: show(c, cut=n))
    for i in range(30 if not long else 1000):
        seed, which = rng.getrandbits(48), rng.choice('cvxf')

        def damaged(c, seed=seed, which=which):
            r = Random(seed)
            c.start()
            for w in 'cxvkf':
                if w == 'k':
                    c.change()
                    continue
                m = {'c': lambda: certificate(c.pair.chain), 'v': lambda: prove(c), 'f': c.finished, 'x': c.key_exchange}[w]().encode()
                c.say(spoiled(r, w, m) if w == which else m, r.choice((16384, 50, 7)))
                if w == 'x':
                    c.derive()
            c.finish_up()
        yield case(f'damaged-{which}-{i}', damaged)


# --- tickets (RFC 5077) ---


def resume(c, *, bend=None, id_of=lambda t: t.ticket, session=b'', after=None, spoil=None, ccs=b'\1', **how):
    """Up to our Finished with another connection's ticket. after(c): between the server's Finished and ours."""
    t = c.ticket
    tree = c.hello12(more=(ext('old', 35, id_of(t)),), **how)
    tree.find('body', 'session').body = session
    if bend:
        bend(tree)
    c.send_hello(tree.encode())
    c.resume(t)
    if after:
        after(c)
    if ccs is not None:
        c.change(ccs)
    f = c.finished()
    if spoil:
        spoil(f)
    c.say(f.encode())
    c.app = True


def flip(at):
    def fn(t):
        b = bytearray(t.ticket)
        b[at % len(b)] ^= 1
        return bytes(b)
    return fn


@group
def resumption12(rng, long):
    """Tickets and what goes with them."""
    def case_(name, run, where='tls12'):
        return Case(name, run, where, needs_ticket=True)
    for where in ('tls12', 'mtls12', 'may12'):
        yield case_(f'{where}-right', resume, where)
        yield case_(f'{where}-session-id', lambda c: resume(c, session=bytes(range(32))), where)
        yield case_(f'{where}-other-suite', lambda c: resume(c, suites=(0xc02c,)), where)
        yield case_(f'{where}-no-ems', lambda c: resume(c, ems=False), where)
        yield case_(f'{where}-name-spoiled', lambda c: resume(c, id_of=flip(0)), where)
        yield case_(f'{where}-mac-spoiled', lambda c: resume(c, id_of=flip(-1)), where)
    yield case_('ticket-of-one-that-asks-nobody', lambda c: setattr(c, 'ticket', c.tickets['tls12']) or resume(c), 'mtls12')
    for n in (1, 16, 31, 32):
        yield case_(f'session-of-{n}', lambda c, n=n: resume(c, session=b's' * n))
    for at in (0, 5, 15, 16, 20, 31, 32, 40, 60, 100, -33, -32, -17, -2, -1):
        yield case_(f'bit-at-{at}', lambda c, a=at: resume(c, id_of=flip(a)))
    for n in (0, 1, 15, 16, 31, 47, 48, 63, 64, 80):
        yield case_(f'cut-to-{n}', lambda c, n=n: resume(c, id_of=lambda t: t.ticket[:n]))
    for n in (1, 15, 16, 17, 1000):
        yield case_(f'longer-by-{n}', lambda c, n=n: resume(c, id_of=lambda t: t.ticket + bytes(n)))
    for name, kw in {'chacha': {'suites': (0xcca9,)}, 'order': {'suites': (0xcca9, 0xc02b)}, 'p256': {'groups': (0x17,)}, 'no-groups': {'groups': ()},
                     'more': {'suites': (0xc02b, 0x1301), 'versions': (0x303,)}}.items():
        yield case_(f'with-{name}', lambda c, kw=kw: resume(c, **kw))

    def named(value):
        def bend(t):
            t.find('body', 'extensions', 'sni', 'data', 'list', 'name').body = value
        return bend

    def without(name):
        def bend(t):
            e = t.find('body', 'extensions')
            e.body = [x for x in e.body if x.name != name]
        return bend
    yield case_('other-name', lambda c: resume(c, bend=named(b'other.test')))
    for name in ('sni', 'alpn', 'groups', 'formats', 'sigalgs', 'renegotiation', 'ems'):
        yield case_(f'without-{name}', lambda c, n=name: resume(c, bend=without(n)))

    def alpn(t):
        t.find('body', 'extensions', 'alpn', 'data', 'list').body = b'\3foo'
    yield case_('alpn-foreign', lambda c: resume(c, bend=alpn))
    for name, bend in bends(handshake('finished', FINISHED, [Field('mac', bytes(12))])):
        yield case_(name, lambda c, b=bend: resume(c, spoil=b))
    for v in (None, b'', b'\0', b'\1\1', b'\2'):
        yield case_(f'ccs-{v.hex() if v is not None else "none"}', lambda c, v=v: resume(c, ccs=v))
    for name, m in MESSAGES.items():
        yield case_(f'message-{name}', lambda c, m=m: resume(c, after=lambda c: c.send(HANDSHAKE, m if m is not None else c.hello12().encode())))
    for name, (k, v) in {'ccs': (CCS, b'\1'), 'data': (DATA, b'x'), 'data-empty': (DATA, b''), 'empty': (HANDSHAKE, b''), 'warning': (ALERT, b'\1\x5a'), 'fatal': (ALERT, b'\2\x28'),
                         'close': (ALERT, b'\1\0'), 'no-renegotiation': (ALERT, b'\1\x64'), 'heartbeat': (24, b'\1\0\0')}.items():
        yield case_(f'record-{name}', lambda c, k=k, v=v: resume(c, after=lambda c: c.send(k, v)))

    def key_exchange_all_the_same(c):
        def after(c):
            c.group = 0x1d
            c.say(c.key_exchange().encode())
        resume(c, after=after)
    yield case_('key-exchange', key_exchange_all_the_same)
    for i in range(30 if not long else 1500):
        seed = rng.getrandbits(48)

        def damaged(c, seed=seed):
            """The ticket stays: the servers' differ in length."""
            raw = c.hello12(more=(ext('old', 35, c.ticket.ticket),)).encode()
            begin = raw.index(c.ticket.ticket)
            m = damage(Random(seed), raw[4:begin]) + raw[begin:]
            c.send_hello(raw[:1] + len(m).to_bytes(3, 'big') + m)
            c.resume(c.ticket)
            c.change()
            c.say(c.finished().encode())
            c.app = True
        yield case_(f'damaged-{i}', damaged)
