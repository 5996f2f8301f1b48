"""What a hostile or broken TLS 1.3 client may say in its hellos: cases for test_tls_refusals.py. What it may do
besides stands in tls_cases_more.py.

A case drives a tls_wire.Client as far as it wants; a connection that is open when it returns gets a
request, so that what was tolerated is told from what was refused.
"""
import random

from tls_wire import ALERT, CCS, DATA, FINISHED, HANDSHAKE, P256, P384, X25519, Client, bends, ext, message, u16, u8


class Case:
    """where: 'plain' or 'mtls', the server; needs_ticket: the client resumes."""

    def __init__(self, name, run, where='plain', needs_ticket=False):
        self.name, self.run, self.where, self.needs_ticket = name, run, where, needs_ticket


GROUPS = {}


def group(fn):
    """fn(rng, long): the cases of a group. rng: seeded; long: more of them."""
    GROUPS[fn.__name__] = fn
    return fn


class _NoSocket:
    def setsockopt(self, *_):
        pass


def template(ticket=None):
    """A client that only shows the shape of its messages."""
    return Client(_NoSocket(), ticket=ticket)


SHAPE = (0x1301, bytes(32), bytes(32), 0)  # of a ticket

# --- ClientHello ---


@group
def hello_fields(rng, long):
    """Each field of a ClientHello, each way."""
    for name, bend in bends(template().hello()):
        def run(c, bend=bend):
            tree = c.hello()
            bend(tree)
            c.open(tree.encode())
        yield Case(name, run)


RETRIED = {'groups': (P256, X25519), 'shares': ()}


@group
def second_hello_fields(rng, long):
    """The same for the answer to a HelloRetryRequest."""
    shape = template().hello(groups=(P256, X25519), shares=(P256,))
    for name, bend in bends(shape):
        if not long and any(x in name for x in ('.sigalgs', '.alpn', '.formats', '.sni')) and rng.random() < 0.5:
            continue

        def run(c, bend=bend):
            def again(m):
                tree = c.second(m, groups=RETRIED['groups'])
                bend(tree)
                return tree.encode()
            c.start(c.hello(**RETRIED).encode(), again)
            c.complete()
        yield Case(name, run)


@group
def resuming_hello_fields(rng, long):
    """The same for one with a ticket: with a binder over what is sent, and (the fields of the list of binders)
    without."""
    shape = template(SHAPE).hello(psk=True)
    for name, bend in bends(shape):
        if '.psk' not in name and '.modes' not in name and not (long or name.endswith((':none', ':empty'))):
            continue
        right = '.binders' not in name and '.psk.data' in name

        def run(c, bend=bend, right=right):
            tree = c.hello(psk=True)
            raw = c.bind(tree)
            good = raw[len(raw) - len(tree.find('body', 'extensions', 'psk', 'data', 'binders', 'b0').body):]
            tree.find('body', 'extensions', 'psk', 'data', 'binders', 'b0').body = good
            bend(tree)
            c.open(c.bind(tree) if right else tree.encode())
        yield Case(name, run, needs_ticket=True)


def hello_with(**how):
    return lambda c: c.open(c.hello(**how).encode())


def hello_bent(fn, **how):
    """fn(extensions, body): bends the lists of fields."""
    def run(c):
        tree = c.hello(**how)
        body = tree.find('body')
        fn(body.find('extensions').body, body)
        c.open(tree.encode())
    return run


def put(name, value):
    """The data of this extension."""
    def fn(exts, _body):
        next(e for e in exts if e.name == name).find('data').body = value
    return hello_bent(fn)


def also(kind, value, at=None):
    """One more extension."""
    def fn(exts, _body):
        exts.insert(len(exts) if at is None else at, ext('also', kind, value))
    return hello_bent(fn)


def part(name, value):
    """A part of the body that is no extension."""
    def fn(_exts, body):
        body.find(name).body = value
    return hello_bent(fn)


def share_list(*entries):
    return b''.join(u16(g) + u16(len(k)) + k for g, k in entries)


def _shares(fn):
    def run(c):
        tree = c.hello()
        v = share_list(*fn(c))
        tree.find('body', 'extensions', 'shares', 'data').body = u16(len(v)) + v
        c.open(tree.encode())
    return run


KNOWN = (0, 1, 5, 10, 11, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 27, 28, 35, 41, 42, 43, 44, 45, 47, 48, 49, 50, 51,
         57, 13172, 17513, 65037, 65281, 0x0a0a, 0xfafa, 0xffff)


@group
def hello_meanings(rng, long):
    """ClientHellos that are well formed or nearly so, and mean something odd."""
    # versions
    for v in (0, 2, 0x100, 0x200, 0x2ff, 0x300, 0x301, 0x302, 0x303, 0x304, 0x305, 0x3ff, 0x400, 0x7f17, 0x7f1c,
              0xfeff, 0xfefd, 0xffff):
        yield Case(f'legacy-version-{v:04x}', part('version', u16(v)))
        yield Case(f'only-version-{v:04x}', hello_with(versions=(v,)))
        yield Case(f'versions-{v:04x}-and-13', hello_with(versions=(v, 0x304)))
        yield Case(f'versions-13-and-{v:04x}', hello_with(versions=(0x304, v)))

        def only_legacy(c, v=v):
            tree = c.hello()
            exts = tree.find('body', 'extensions')
            exts.body = [e for e in exts.body if e.name not in ('versions', 'shares')]
            tree.find('body', 'version').body = u16(v)
            tree.find('body', 'suites').body = bytes.fromhex('c02bc02fc02cc030cca9cca81301')
            c.open(tree.encode())
        yield Case(f'no-versions-legacy-{v:04x}', only_legacy)
    yield Case('versions-many', hello_with(versions=tuple(0x0a0a + 0x1010 * i for i in range(16)) + (0x304,)))
    yield Case('versions-127', hello_with(versions=(0x7777,) * 126 + (0x304,)))
    for n in range(0, 6):
        yield Case(f'versions-raw-{n}', put('versions', u8(n) + b'\3\4\3\3\3'[:n]))
    # session id
    for n in (0, 1, 16, 31, 32, 33, 64, 255):
        yield Case(f'session-id-{n}', part('session', bytes(n)))
    # random
    yield Case('random-zero', part('random', bytes(32)))
    yield Case('random-retry', part('random', bytes.fromhex(
        'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c')))
    # suites
    for name, s in {'none': b'', 'one-byte': b'\x13', 'three-bytes': b'\x13\1\x13', 'unknown': b'\x13\xff\x00\xff',
                    'grease': b'\x0a\x0a\x13\x01', 'twice': b'\x13\1\x13\1', 'ccm': b'\x13\4\x13\5',
                    'ccm-and-gcm': b'\x13\5\x13\1', 'scsv': b'\0\xff\x13\1', 'fallback': b'\x56\0\x13\1',
                    'fallback-last': b'\x13\1\x56\0', 'null': b'\0\0', 'null-and-good': b'\0\0\x13\1', '12-only': b'\xc0\x2b\xc0\x2f',
                    '256': b'\x13\x03', '384': b'\x13\2', 'many': b'\x5a\x5a' * 2000 + b'\x13\1',
                    'max': b'\x5a\x5a' * 32000 + b'\x13\1', 'export': b'\0\3\0\x08', 'all-12': b'\0\x2f\0\x35\xc0\x09'}.items():
        yield Case(f'suites-{name}', part('suites', s))
    # compression
    for name, s in {'none': b'', 'deflate': b'\1', 'null-deflate': b'\0\1', 'deflate-null': b'\1\0', 'null-null': b'\0\0',
                    'lzs': b'\x40', '255': bytes(255), 'ff-00': b'\xff\0'}.items():
        yield Case(f'compression-{name}', part('compression', s))
    # extensions: missing ones, and their block
    exts = [e.name for e in template().hello().find('body', 'extensions').body]
    for a in exts:
        for b in exts:
            if a < b:
                yield Case(f'without-{a}-{b}', hello_bent(
                    lambda es, _b, a=a, b=b: es.__setitem__(slice(None), [e for e in es if e.name not in (a, b)])))

    def no_block(_exts, body):
        body.body = [f for f in body.body if f.name != 'extensions']
    yield Case('no-extension-block', hello_bent(no_block))
    yield Case('no-extension-block-12-suites', hello_bent(lambda e, b: (no_block(e, b), b.find('suites').__setattr__(
        'body', bytes.fromhex('c02bc02f1301')))))
    for n in range(1, 6):
        yield Case(f'extension-block-of-{n}', hello_bent(lambda es, b, n=n: b.find('extensions').__setattr__('body', bytes(n))))
    # each extension number that means something, with nothing, something and too much in it; unknown ones
    for kind in KNOWN:
        for name, v in {'empty': b'', 'zero': b'\0', 'two': b'\0\0', 'list': b'\0\2\0\0', 'four': b'\0\0\0\0',
                        'big': b'\0' * 300}.items():
            def fn(es, _b, kind=kind, v=v):
                es[:] = [e for e in es if e.find('type').body != u16(kind)] + [ext('it', kind, v)]
            yield Case(f'extension-{kind}-{name}', hello_bent(fn))
        if kind not in (0, 10, 11, 13, 16, 23, 43, 45, 51):
            yield Case(f'extension-{kind}-twice', hello_bent(lambda es, _b, k=kind: es.extend(
                [ext('a', k, b'\0\0'), ext('b', k, b'\0\0')])))
    for n in (1000, 8000, 15000, 16000, 30000, 50000, 65000):
        yield Case(f'padding-{n}', also(21, bytes(n)))
        yield Case(f'unknown-extension-{n}', also(0xabcd, bytes(n)))
    yield Case('padding-of-ones', also(21, b'\xff' * 100))
    yield Case('many-extensions', hello_bent(lambda es, _b: es.extend(ext('x', 0x4000 + i, b'') for i in range(2000))))
    # renegotiation_info
    for v in (b'\0', b'\1\0', b'', b'\0\0', b'\x0c' + bytes(12)):
        yield Case(f'renegotiation-{v.hex()}', also(65281, v))
    # server_name
    for name, host in {'empty': b'', 'long-255': b'a' * 255, 'long-256': b'a' * 256, 'long-1000': b'a' * 1000, 'nul': b'nginx\0.test',
                       'nul-last': b'nginx.test\0', 'dot': b'nginx.test.', 'dots': b'..', 'one-dot': b'.', 'address': b'10.77.1.1',
                       'v6': b'[fd77::1]', 'v6-bare': b'fd77::1', 'space': b'nginx .test', 'latin': b'\xe4\xff.test', 'slash': b'../../etc',
                       'upper': b'NGINX.TEST', 'star': b'*.test', 'port': b'nginx.test:443', 'crlf': b'a\r\nb', 'unknown': b'other.invalid',
                       'leading-dot': b'.nginx.test', 'percent': b'%s%n'}.items():
        yield Case(f'sni-{name}', hello_with(name=host))
    for name, v in {'type-1': b'\0\x05\1\0\2ab', 'two-hosts': b'\0\x0a\0\0\2ab\0\0\2cd', 'host-and-other': b'\0\x0a\0\0\2ab\1\0\2cd',
                    'other-and-host': b'\0\x0a\1\0\2ab\0\0\2cd', 'no-list': b'', 'list-of-0': b'\0\0', 'type-only': b'\0\1\0'}.items():
        yield Case(f'sni-raw-{name}', put('sni', v))
    # alpn
    for name, ps in {'foreign': (b'foo',), 'h2': (b'h2',), 'h2-first': (b'h2', b'http/1.1'), 'twice': (b'http/1.1',) * 2,
                     'upper': (b'HTTP/1.1',), 'long': (b'x' * 255, b'http/1.1'), 'many': (b'y',) * 1000 + (b'http/1.1',),
                     'prefix': (b'http/1.',), 'nul': (b'http/1.1\0',), 'empty-name': (b'',), 'empty-and-good': (b'', b'http/1.1'),
                     'good-and-empty': (b'http/1.1', b''), 'grease': (b'\x0a\x0a', b'http/1.1')}.items():
        yield Case(f'alpn-{name}', hello_with(alpn=ps))
    # groups and shares
    for name, gs in {'none': (), 'unknown': (0x1234,), 'grease': (0x2a2a, X25519), 'twice': (X25519, X25519), 'p384': (P384,),
                     'without-share': (P256,), 'ffdhe': (0x100,), 'explicit': (0xff01, X25519), 'many': (0x7777,) * 500 + (X25519,),
                     'zero': (0,), 'x448': (0x1e,)}.items():
        yield Case(f'groups-{name}', hello_with(groups=gs))
        yield Case(f'groups-{name}-no-share', hello_with(groups=gs, shares=()))
    for name, gs in {'p256': (P256,), 'both': (P256, X25519), 'both-reversed': (X25519, P256), 'p384': (P384,),
                     'three': (P384, P256, X25519)}.items():
        yield Case(f'shares-{name}', hello_with(shares=gs))
        yield Case(f'shares-{name}-in-groups', hello_with(groups=gs, shares=gs))
    x, p = lambda c: (X25519, c.share(X25519)), lambda c: (P256, c.share(P256))
    for name, fn in {
            'twice': lambda c: [x(c), x(c)], 'grease': lambda c: [(0x2a2a, b'\0'), x(c)], 'grease-empty': lambda c: [(0x2a2a, b''), x(c)],
            'unknown': lambda c: [(0x1234, b'abc')], 'x-empty': lambda c: [(X25519, b'')], 'x-31': lambda c: [(X25519, bytes([9]) * 31)],
            'x-33': lambda c: [(X25519, bytes([9]) * 33)], 'x-zero': lambda c: [(X25519, bytes(32))],
            'x-one': lambda c: [(X25519, b'\1' + bytes(31))], 'x-p': lambda c: [(X25519, b'\xed' + b'\xff' * 30 + b'\x7f')],
            'x-p-1': lambda c: [(X25519, b'\xec' + b'\xff' * 30 + b'\x7f')], 'x-p+1': lambda c: [(X25519, b'\xee' + b'\xff' * 30 + b'\x7f')],
            'x-order-8': lambda c: [(X25519, bytes.fromhex('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'))],
            'x-order-8-b': lambda c: [(X25519, bytes.fromhex('5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157'))],
            'x-ones': lambda c: [(X25519, b'\xff' * 32)], 'p-empty': lambda c: [(P256, b'')], 'p-zero': lambda c: [(P256, bytes(65))],
            'p-infinity': lambda c: [(P256, b'\0')], 'p-off-curve': lambda c: [(P256, p(c)[1][:-1] + bytes([p(c)[1][-1] ^ 1]))],
            'p-off-curve-x': lambda c: [(P256, b'\4' + bytes([p(c)[1][1] ^ 1]) + p(c)[1][2:])],
            'p-compressed': lambda c: [(P256, bytes([2 + (p(c)[1][-1] & 1)]) + p(c)[1][1:33])],
            'p-hybrid': lambda c: [(P256, bytes([6 + (p(c)[1][-1] & 1)]) + p(c)[1][1:])],
            'p-form-5': lambda c: [(P256, b'\5' + p(c)[1][1:])], 'p-64': lambda c: [(P256, p(c)[1][:64])],
            'p-66': lambda c: [(P256, p(c)[1] + b'\0')], 'p-ones': lambda c: [(P256, b'\4' + b'\xff' * 64)],
            'p-as-x': lambda c: [(X25519, p(c)[1])], 'x-as-p': lambda c: [(P256, x(c)[1])], 'group-0': lambda c: [(0, b'x')],
            'many-grease': lambda c: [(0x2a2a, b'\0')] * 500 + [x(c)], 'good-then-bad': lambda c: [x(c), (P256, b'\4')],
            'bad-then-good': lambda c: [(P256, b'\4'), x(c)], 'three-x': lambda c: [x(c), p(c), x(c)]}.items():
        yield Case(f'share-{name}', _shares(fn))
    # signature algorithms
    for name, ss in {'none': b'\0\0', 'sha1': b'\0\4\2\1\2\3', 'unknown': b'\0\2\xfe\xfe', 'grease': b'\0\4\x0a\x0a\4\3', 'odd': b'\0\3\4\3\4',
                     'rsa-only': b'\0\2\4\1', 'pss-only': b'\0\2\x08\4', 'p384-only': b'\0\2\5\3', 'ed25519': b'\0\2\x08\7', 'one': b'\0\2\4\3',
                     'p521': b'\0\2\6\3', 'twice': b'\0\4\4\3\4\3', 'many': u16(2000) + b'\4\3' * 1000, 'sha224': b'\0\2\3\3',
                     'md5': b'\0\2\1\1'}.items():
        yield Case(f'sigalgs-{name}', put('sigalgs', ss))
        yield Case(f'sigalgs-cert-{name}', also(50, ss))
    # psk modes
    for v in (b'\1\0', b'\2\0\1', b'\2\1\0', b'\1\2', b'\0', b'\2\x0a\1', b'\xff' + bytes(255), b'\1\xff'):
        yield Case(f'modes-{v[:4].hex()}', put('modes', v))
    # formats, extended master secret, encrypt then mac, limits, others
    for v in (b'', b'\0', b'\1\1', b'\2\0\1', b'\2\1\2', b'\3\0\1\2', b'\1\xff', b'\2\0'):
        yield Case(f'formats-{v.hex()}', put('formats', v))
    for v in (b'', b'\1', b'\2', b'\5', b'\0', b'\xff', b'\1\1'):
        yield Case(f'max-fragment-{v.hex()}', also(1, v))
    for v in (0, 1, 63, 64, 512, 16384, 16385, 65535):
        yield Case(f'record-size-limit-{v}', also(28, u16(v)))
    yield Case('post-handshake-auth', also(49, b''))
    yield Case('post-handshake-auth-body', also(49, b'\0'))
    yield Case('ems-body', put('ems', b'\0'))
    for v in (b'\1\0\0\0\0', b'\1', b'\2\0\0\0\0', b'\1\0\1\0\0\0', b'\1\0\0\0\1', b'\0\0\0\0\0', b''):
        yield Case(f'status-request-{v.hex()}', also(5, v))
    for n in (0, 1, 100, 1000):
        yield Case(f'session-ticket-{n}', also(35, bytes(n)))
    for v in (b'', b'\0\0', b'\0\1a', b'\0\2a', u16(300) + bytes(300)):
        yield Case(f'cookie-unasked-{v[:4].hex()}-{len(v)}', also(44, v))
    yield Case('early-data-no-psk', also(42, b''))
    yield Case('early-data-no-psk-body', also(42, b'\0\0\0\1'))
    for i in range(40 if not long else 400):
        seed = rng.random()

        def shuffled(es, _b, seed=seed):
            random.Random(seed).shuffle(es)
        yield Case(f'shuffled-{i}', hello_bent(shuffled))


# --- HelloRetryRequest ---


def retried(fn, first=None):
    """fn(c, tree of the right second hello, retry message): what is sent instead (bytes or a tree)."""
    def run(c):
        def again(m):
            tree = c.second(m, groups=RETRIED['groups'])
            sent = len(c.transcript)
            got = fn(c, tree, m) or tree
            if len(c.transcript) > sent:
                return None
            return got if isinstance(got, bytes) else got.encode()
        c.start(c.hello(**{**RETRIED, **(first or {})}).encode(), again)
        c.complete()
    return run


@group
def second_hello_meanings(rng, long):
    """What may not change between the two hellos, and what may."""
    def part_of(name, value):
        def fn(_c, tree, _m):
            tree.find('body', name).body = value
        return fn
    yield Case('right', retried(lambda c, t, m: None))
    yield Case('the-same-again', retried(lambda c, t, m: c.hello(**RETRIED)))
    yield Case('other-random', retried(part_of('random', bytes(32))))
    yield Case('other-session', retried(part_of('session', bytes(32))))
    yield Case('no-session', retried(part_of('session', b'')))
    yield Case('other-version', retried(part_of('version', b'\3\2')))
    for s in ('1302', '1303', '13021301', '13011302', '1301', 'c02b', '130213011303', '1304'):
        yield Case(f'other-suites-{s}', retried(part_of('suites', bytes.fromhex(s))))
    yield Case('other-compression', retried(part_of('compression', b'\1\0')))
    for gs in ((X25519,), (X25519, P256), (), (P384,), (P256, P384), (P256, X25519)):
        name = '-'.join(f'{g:x}' for g in gs)
        yield Case(f'shares-{name}', retried(lambda c, t, m, gs=gs: c.hello(groups=RETRIED['groups'], shares=gs)))
        yield Case(f'groups-{name}', retried(lambda c, t, m, gs=gs: c.hello(groups=gs, shares=(P256,))))
    for name, first in {'x-for-p256': {'groups': (X25519, P256), 'shares': (P384,)}, 'grease-first': {'groups': (0x2a2a, P256), 'shares': ()}}.items():
        yield Case(f'first-{name}', retried(lambda c, t, m: c.second(m, groups=(X25519, P256)), first))

    def no_versions(c, t, _m):
        e = t.find('body', 'extensions')
        e.body = [x for x in e.body if x.name != 'versions']
    yield Case('no-versions', retried(no_versions))
    yield Case('versions-12', retried(lambda c, t, m: c.second(m, groups=RETRIED['groups'], versions=(0x303,))))
    yield Case('versions-12-13', retried(lambda c, t, m: c.second(m, groups=RETRIED['groups'], versions=(0x303, 0x304))))
    yield Case('other-name', retried(lambda c, t, m: c.second(m, groups=RETRIED['groups'], name=b'other.test')))
    yield Case('other-alpn', retried(lambda c, t, m: c.second(m, groups=RETRIED['groups'], alpn=(b'foo',))))
    yield Case('no-alpn', retried(lambda c, t, m: t.find('body', 'extensions').body.__delitem__(4)))
    yield Case('cookie', retried(lambda c, t, m: c.second(m, groups=RETRIED['groups'], cookie=b'abc')))
    yield Case('early-data', retried(lambda c, t, m: c.second(m, groups=RETRIED['groups'], early=True)))
    yield Case('padding', retried(lambda c, t, m: c.second(m, groups=RETRIED['groups'], more=(ext('pad', 21, bytes(50)),))))
    yield Case('unknown', retried(lambda c, t, m: c.second(m, groups=RETRIED['groups'], more=(ext('x', 0xabcd, b''),))))
    yield Case('reversed', retried(lambda c, t, m: t.find('body', 'extensions').body.reverse()))
    for kind in (0, 2, 4, 5, 8, 11, 13, 15, 20, 24, 25, 254, 255):
        yield Case(f'instead-{kind}', retried(lambda c, t, m, k=kind: message(k, b'\0' * 32)))
    yield Case('trailing', retried(lambda c, t, m: t.encode() + b'\0'))
    yield Case('two-hellos', retried(lambda c, t, m: t.encode() + t.encode()))
    yield Case('finished-behind', retried(lambda c, t, m: t.encode() + message(FINISHED, bytes(32))))

    def with_record(kind, content):
        def fn(c, t, _m):
            c.send(kind, content)
        return retried(fn)
    for name, (k, v) in {'ccs': (CCS, b'\1'), 'ccs-0': (CCS, b'\0'), 'ccs-2': (CCS, b'\2'), 'ccs-long': (CCS, b'\1\1'), 'ccs-empty': (CCS, b''),
                         'alert': (ALERT, b'\2\x28'), 'warning': (ALERT, b'\1\x5a'), 'data': (DATA, bytes(20)), 'data-empty': (DATA, b''),
                         'heartbeat': (24, b'\1\0\0'), 'empty-handshake': (HANDSHAKE, b'')}.items():
        yield Case(f'{name}-between', with_record(k, v))
    yield Case('two-ccs-between', retried(lambda c, t, m: c.send(CCS, b'\1') or c.send(CCS, b'\1')))
    for n in (1, 10, 100):
        yield Case(f'in-records-of-{n}', retried(lambda c, t, m, n=n: c.send_hello(t.encode(), n)))
