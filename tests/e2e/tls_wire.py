"""TLS 1.3 by hand, for tests: both roles' records and messages, so that each can be spoiled anywhere.

    Field     a message as a tree of named fields, each of which can be spoiled (bends())
    Half      one direction's record protection
    Wire      records over a socket, and a log of what the other side said
    Client    a client's handshake, step by step
    Server    a server's

Nothing here verifies the other side: that is what tests do with what is logged.
"""
import base64
import hashlib
import hmac
import random
import socket
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

CCS, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
(CLIENT_HELLO, SERVER_HELLO, TICKET, END_OF_EARLY_DATA, ENCRYPTED_EXTENSIONS, CERTIFICATE, CERTIFICATE_REQUEST,
 CERTIFICATE_VERIFY, FINISHED, KEY_UPDATE) = 1, 2, 4, 5, 8, 11, 13, 15, 20, 24
X25519, P256, P384 = 0x001d, 0x0017, 0x0018
RETRY = bytes.fromhex('cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c')
SUITES = {0x1301: ('sha256', 16, AESGCM), 0x1302: ('sha384', 32, AESGCM), 0x1303: ('sha256', 32, ChaCha20Poly1305)}
SIGNATURES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805)


def u8(n):
    return n.to_bytes(1, 'big')


def u16(n):
    return n.to_bytes(2, 'big')


def u24(n):
    return n.to_bytes(3, 'big')


def u32(n):
    return n.to_bytes(4, 'big')


def message(kind, body):
    return u8(kind) + u24(len(body)) + body


# --- fields ---

class Field:
    """body: bytes, or a list of fields; size: bytes of the length in front of it (0: none)."""

    def __init__(self, name, body, size=0):
        self.name, self.body, self.size, self.skew = name, body, size, 0

    def encode(self):
        b = self.body if isinstance(self.body, bytes) else b''.join(f.encode() for f in self.body)
        if not self.size:
            return b
        return ((len(b) + self.skew) % 256 ** self.size).to_bytes(self.size, 'big') + b

    def at(self, path):
        f = self
        for i in path:
            f = f.body[i]
        return f

    def find(self, *names):
        """The field that this path of names leads to."""
        f = self
        for n in names:
            f = next(x for x in f.body if x.name == n)
        return f

    def walk(self, path=(), name=''):
        """(path, name) of every field, this one first."""
        name = f'{name}.{self.name}' if name else self.name
        yield path, name
        if not isinstance(self.body, bytes):
            for i, f in enumerate(self.body):
                yield from f.walk((*path, i), name)


LEAF = {
    'empty': lambda b: b'',
    'first-bit': lambda b: bytes([b[0] ^ 0x80]) + b[1:],
    'last-bit': lambda b: b[:-1] + bytes([b[-1] ^ 1]),
    'zero': lambda b: bytes(len(b)),
    'ones': lambda b: b'\xff' * len(b),
    'shorter': lambda b: b[:-1],
    'longer': lambda b: b + b'\0',
    'twice': lambda b: b + b,
}
LENGTH = {
    'len+1': lambda n, size: 1,
    'len-1': lambda n, size: -1,
    'len0': lambda n, size: -n,
    'len-max': lambda n, size: 256 ** size - 1 - n,
    'len/2': lambda n, size: -(n // 2) - 1,
}
LIST = {
    'none': lambda fs: [],
    'tail': lambda fs: [*fs, Field('x', b'\0')],
    'head': lambda fs: [Field('x', b'\0'), *fs],
    'reversed': lambda fs: fs[::-1],
}


def _bend_length(path, how):
    def bend(root):
        f = root.at(path)
        f.skew = how(len(f.encode()) - f.size, f.size)
    return bend


def _bend_body(path, how):
    def bend(root):
        root.at(path).body = how(root.at(path).body)
    return bend


def bends(root):
    """(name, function that spoils a tree of this shape) for every way to spoil one of its fields."""
    for path, name in root.walk():
        f = root.at(path)
        if f.size:
            for how, fn in LENGTH.items():
                yield f'{name}:{how}', _bend_length(path, fn)
        if isinstance(f.body, bytes):
            for how, fn in LEAF.items():
                if f.body or how in ('longer',):
                    yield f'{name}:{how}', _bend_body(path, fn)
            continue
        for how, fn in LIST.items():
            yield f'{name}:{how}', _bend_body(path, fn)
        for i, g in enumerate(f.body):
            yield f'{name}:without-{g.name}', _bend_body(path, lambda fs, i=i: fs[:i] + fs[i + 1:])
            yield f'{name}:twice-{g.name}', _bend_body(path, lambda fs, i=i: fs[:i + 1] + fs[i:])


def ext(name, kind, body):
    """An extension; body: bytes or fields."""
    return Field(name, [Field('type', u16(kind)), Field('data', body, 2)])


def handshake(name, kind, body):
    return Field(name, [Field('type', u8(kind)), Field('body', body, 3)])


# --- keys ---

def expand_label(h, secret, label, context, n):
    info = u16(n) + u8(6 + len(label)) + b'tls13 ' + label + u8(len(context)) + context
    out, block, i = b'', b'', 0
    while len(out) < n:
        i += 1
        block = hmac.new(secret, block + info + bytes([i]), h).digest()
        out += block
    return out[:n]


def derive(h, secret, label, transcript):
    d = hashlib.new(h, transcript).digest()
    return expand_label(h, secret, label, d, len(d))


def extract(h, salt, ikm):
    return hmac.new(salt, ikm, h).digest()


class Half:
    """One direction's protection of records."""

    def __init__(self, suite, secret):
        self.suite, self.secret, self.seq = suite, secret, 0
        self.h, n, aead = SUITES[suite]
        self.aead = aead(expand_label(self.h, secret, b'key', b'', n))
        self.iv = expand_label(self.h, secret, b'iv', b'', 12)

    def nonce(self):
        n = (int.from_bytes(self.iv, 'big') ^ self.seq).to_bytes(12, 'big')
        self.seq += 1
        return n

    def seal(self, inner, header=None):
        """A record of this inner plaintext, its type byte included."""
        header = header or b'\x17\x03\x03' + u16(len(inner) + 16)
        return header + self.aead.encrypt(self.nonce(), inner, header)

    def open(self, header, body):
        """(type, content), or None: it does not open; the sequence number is unchanged then."""
        try:
            inner = self.aead.decrypt(self.nonce(), body, header).rstrip(b'\0')
        except (InvalidTag, ValueError):
            self.seq -= 1
            return None
        return (inner[-1], inner[:-1]) if inner else (0, b'')

    def next(self):
        return Half(self.suite, expand_label(self.h, self.secret, b'traffic upd', b'', len(self.secret)))

    def finished(self, transcript):
        key = expand_label(self.h, self.secret, b'finished', b'', len(self.secret))
        return hmac.new(key, hashlib.new(self.h, transcript).digest(), self.h).digest()


class Schedule:
    """RFC 8446 section 7.1."""

    def __init__(self, suite, psk=b''):
        self.suite, self.h = suite, SUITES[suite][0]
        n = hashlib.new(self.h).digest_size
        self.zeros = bytes(n)
        self.early = extract(self.h, self.zeros, psk or self.zeros)
        self.hs = self.master = None

    def binder(self, transcript, external=False):
        key = derive(self.h, self.early, b'ext binder' if external else b'res binder', b'')
        key = expand_label(self.h, key, b'finished', b'', len(key))
        return hmac.new(key, hashlib.new(self.h, transcript).digest(), self.h).digest()

    def half(self, secret, label, transcript):
        return Half(self.suite, derive(self.h, secret, label, transcript))

    def early_half(self, transcript):
        return self.half(self.early, b'c e traffic', transcript)

    def handshake(self, shared, transcript):
        """(client's, server's)"""
        self.hs = extract(self.h, derive(self.h, self.early, b'derived', b''), shared)
        self.master = extract(self.h, derive(self.h, self.hs, b'derived', b''), self.zeros)
        return tuple(self.half(self.hs, x + b' hs traffic', transcript) for x in (b'c', b's'))

    def application(self, transcript):
        return tuple(self.half(self.master, x + b' ap traffic', transcript) for x in (b'c', b's'))

    def psk_of(self, transcript, nonce):
        res = derive(self.h, self.master, b'res master', transcript)
        return expand_label(self.h, res, b'resumption', nonce, len(res))


class Share:
    """A key exchange of one group. rng: where the private key comes from."""

    def __init__(self, group, rng):
        self.group, raw = group, rng.randbytes(32)
        self.key = (x25519.X25519PrivateKey.from_private_bytes(raw) if group == X25519 else ec.derive_private_key(
            int.from_bytes(raw, 'big') >> 1 | 1, ec.SECP256R1() if group == P256 else ec.SECP384R1()))

    def public(self):
        k = self.key.public_key()
        if self.group == X25519:
            return k.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return k.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)

    def agree(self, other):
        if self.group == X25519:
            return self.key.exchange(x25519.X25519PublicKey.from_public_bytes(other))
        return self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(self.key.curve, other))


def ecdsa(key, data, h):
    """A signature of always the same length and shape, so that what is spoiled in it is the same each time."""
    half = (key.curve.key_size + 7) // 8
    while True:
        sig = key.sign(data, ec.ECDSA(h))
        begin = 3 if sig[1] & 0x80 else 2
        first = sig[begin + 1]
        if half == 66 or (first == half + 1 and len(sig) == begin + 4 + first + half):
            return sig


class Pair:
    """Certificate and key from PEM files."""

    def __init__(self, path):
        with open(f'{path}.crt', 'rb') as f:
            self.chain = [base64.b64decode(x.partition(b'-----END')[0]) for x in f.read().split(b'-----BEGIN CERTIFICATE-----\n')[1:]]
        self.der = self.chain[0]
        with open(f'{path}.key', 'rb') as f:
            self.key = serialization.load_pem_private_key(f.read(), None)
        self.scheme = 0x0804 if isinstance(self.key, rsa.RSAPrivateKey) else 0x0403

    def sign(self, data, h=None):
        h = h or hashes.SHA256()
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PSS(padding.MGF1(h), h.digest_size), h)
        return ecdsa(self.key, data, h)

    def certificate(self, context=b''):
        entry = [Field('cert', self.der, 3), Field('extensions', b'', 2)]
        return handshake('certificate', CERTIFICATE,
                         [Field('context', context, 1), Field('list', [Field('entry', entry)], 3)])

    def verify(self, who, transcript, h, scheme=None):
        text = b' ' * 64 + b'TLS 1.3, ' + who + b' CertificateVerify\0' + hashlib.new(h, transcript).digest()
        return handshake('verify', CERTIFICATE_VERIFY, [Field('scheme', u16(scheme or self.scheme)),
                                                        Field('signature', self.sign(text), 2)])


# --- the wire ---

class Stop(Exception):
    """The other side ended the conversation; what it said is in the log."""


class Wire:
    """log: what the other side did, in order: 'hello:1301:001d', 'retry', 'alert:2:50', 'http:200',
    'plain:HTTP/1.1 400', 'opaque:19' (a record that opens with no key), 'close', 'reset', 'silence'."""

    def __init__(self, sock, seconds, seed):
        """seed: all that is random of ours follows from it, so that the same case sends the same bytes."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rng = random.Random(seed)
        self.sock, self.seconds = sock, seconds
        self.tx = self.rx = None
        self.more_rx = []   # further keys with which the other side may have sealed
        self.log, self.buf, self.messages, self.plain = [], b'', b'', b''
        self.transcript = b''
        self.ended = self.alerted = False
        self.heard = ()  # alerts that end nothing
        self.cuts = 0  # most segments more than one that bytes are sent in

    # out

    def raw(self, b):
        """Bytes as they are. That nobody reads them any more is seen when reading."""
        at = sorted(self.rng.randrange(len(b) + 1) for _ in range(self.cuts))
        try:
            for begin, end in zip([0, *at], [*at, len(b)]):
                self.sock.sendall(b[begin:end])
        except (BrokenPipeError, ConnectionResetError):
            pass

    version = 0x0301  # of unsealed records

    def record(self, kind, content):
        """The bytes of one record, sealed if there are keys."""
        if self.tx:
            return self.tx.seal(content + u8(kind))
        return u8(kind) + u16(self.version) + u16(len(content)) + content

    def send(self, kind, content, cut=16384):
        """In records of at most `cut` bytes."""
        pieces = [content[i:i + cut] for i in range(0, len(content), cut)] or [b'']
        self.raw(b''.join(self.record(kind, p) for p in pieces))

    # in

    def _fill(self, deadline):
        left = deadline - time.monotonic()
        self.sock.settimeout(max(left, 0.001))
        try:
            b = self.sock.recv(65536)
        except socket.timeout:
            self.log.append('silence')
            raise Stop() from None
        except OSError:
            self._end('reset')
        if not b:
            self._end('close')
        self.buf += b

    def _end(self, how):
        self.ended = True
        if self.buf:
            self.log.append(f'plain:{self.buf[:12].decode("latin-1")}')
            self.buf = b''
        self.log.append(how)
        raise Stop()

    def _open(self, header, body):
        for k in [k for k in (self.rx, *self.more_rx) if k]:
            got = k.open(header, body)
            if got:
                return got
        self.log.append(f'opaque:{len(body)}')
        return None

    def on_ccs(self):
        """A change_cipher_spec came: nothing in TLS 1.3."""

    def get(self):
        """(type, content) of the next record that is no CCS. An alert is logged, and Stop."""
        deadline = time.monotonic() + self.seconds
        while True:
            while len(self.buf) < 5 or (self.buf[0] in range(20, 24) and self.buf[1] == 3 and
                                        len(self.buf) < 5 + int.from_bytes(self.buf[3:5], 'big')):
                self._fill(deadline)
            if self.buf[0] not in range(20, 24) or self.buf[1] != 3:
                self._fill(deadline)
                continue
            n = 5 + int.from_bytes(self.buf[3:5], 'big')
            header, body, self.buf = self.buf[:5], self.buf[5:n], self.buf[n:]
            kind = header[0]
            if kind == CCS:
                self.on_ccs()
                continue
            if kind == DATA or getattr(self.rx, 'typed', False):
                got = self._open(header, body)
                if not got:
                    continue
                kind, body = got
            if kind == ALERT and tuple(body) in self.heard:
                self.log.append('warning:' + ':'.join(str(x) for x in body))
                continue
            if kind == ALERT:
                self.log.append('alert:' + ':'.join(str(x) for x in body))
                self.alerted = True
                raise Stop()
            return kind, body

    def message(self):
        """The next handshake message, head included."""
        while len(self.messages) < 4 or len(self.messages) < 4 + int.from_bytes(self.messages[1:4], 'big'):
            kind, body = self.get()
            if kind != HANDSHAKE:
                self.log.append(f'record:{kind}')
                raise Stop()
            self.messages += body
        n = 4 + int.from_bytes(self.messages[1:4], 'big')
        m, self.messages = self.messages[:n], self.messages[n:]
        return m

    def rest(self):
        """Reads to the end: what else it says is logged."""
        while not self.ended:
            try:
                self.get()
            except Stop:
                if self.log[-1] == 'silence':
                    return

    def finish(self):
        """Our FIN; then everything that still comes."""
        if not self.ended:
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            self.rest()


# --- a client ---

REQUEST = b'GET /hello HTTP/1.1\r\nHost: nginx.test\r\n\r\n'


class Client(Wire):
    """ticket: (suite, psk, identity, age_add), another's new_ticket; pair: our certificate."""

    def __init__(self, sock, seconds=5, ticket=None, pair=None, seed='seed'):
        super().__init__(sock, seconds, seed)
        self.shares, self.pair, self.ticket = {}, pair, ticket
        self.suite = self.schedule = self.request = None
        self.app = self.resumed = False
        self.new_ticket = self.body = None
        self.random, self.session = self.rng.randbytes(32), self.rng.randbytes(32)

    def share(self, group):
        if group not in self.shares:
            self.shares[group] = Share(group, self.rng)
        return self.shares[group].public()

    def hello(self, *, groups=(X25519, P256), shares=(X25519,), suites=(0x1301, 0x1302, 0x1303), more=(),
              name=b'nginx.test', alpn=(b'http/1.1',), cookie=None, psk=False, versions=(0x0304,), early=False):
        """A ClientHello as a tree."""
        exts = [
            ext('sni', 0, [Field('list', [Field('kind', b'\0'), Field('name', name, 2)], 2)]),
            ext('groups', 10, [Field('list', [Field(f'g{g:x}', u16(g)) for g in groups], 2)]),
            ext('formats', 11, [Field('list', b'\0', 1)]),
            ext('sigalgs', 13, [Field('list', [Field(f's{s:x}', u16(s)) for s in SIGNATURES], 2)]),
            ext('alpn', 16, [Field('list', [Field(f'p{i}', a, 1) for i, a in enumerate(alpn)], 2)]),
            ext('ems', 23, b''),
            ext('versions', 43, [Field('list', [Field(f'v{v:x}', u16(v)) for v in versions], 1)]),
            ext('modes', 45, [Field('list', b'\1', 1)]),
            ext('shares', 51, [Field('list', [
                Field(f'k{g:x}', [Field('group', u16(g)), Field('key', self.share(g), 2)]) for g in shares], 2)]),
            *more]
        if cookie is not None:
            exts.append(ext('cookie', 44, [Field('cookie', cookie, 2)]))
        if early:
            exts.append(ext('early', 42, b''))
        if psk:
            suite, _, ident, add = self.ticket
            age = u32((int(1000) + add) % 2 ** 32)
            n = hashlib.new(SUITES[suite][0]).digest_size
            exts.append(ext('psk', 41, [
                Field('ids', [Field('id0', [Field('ticket', ident, 2), Field('age', age)])], 2),
                Field('binders', [Field('b0', bytes(n), 1)], 2)]))
        return handshake('hello', CLIENT_HELLO, [
            Field('version', b'\x03\x03'), Field('random', self.random), Field('session', self.session, 1),
            Field('suites', [Field(f'c{s:x}', u16(s)) for s in suites], 2), Field('compression', b'\0', 1),
            Field('extensions', exts, 2)])

    def bind(self, tree, binder=None):
        """The bytes of a hello whose last field is the list of binders: with the right one."""
        suite, psk, _, _ = self.ticket
        raw = tree.encode()
        n = hashlib.new(SUITES[suite][0]).digest_size
        right = Schedule(suite, psk).binder(self.transcript + raw[:-n - 3])
        return raw[:-n] + (right if binder is None else binder)

    def send_hello(self, raw, cut=16384):
        self.transcript += raw
        self.send(HANDSHAKE, raw, cut)

    def flight(self, again=None):
        """The server's answer to our hello, up to its Finished. again(retry message): our second hello, if
        the server asks for it; None: it has been sent."""
        while True:
            m = self.message()
            if m[0] != SERVER_HELLO:
                self.log.append(f'message:{m[0]}')
                raise Stop()
            if m[6:38] != RETRY:
                break
            self.retry(m)
            raw = again(m) if again else self.second(m).encode()
            if raw is not None:
                self.send_hello(raw)
        self.server_hello(m)
        while True:
            m = self.message()
            if m[0] == CERTIFICATE_REQUEST:
                self.request = m[5:5 + m[4]]
                self.log.append('asks')
            if m[0] == FINISHED:
                break
            self.transcript += m
        self.transcript += m
        self.keys = self.schedule.application(self.transcript)
        self.more_rx.append(self.keys[1])

    def retry(self, m):
        self.log.append('retry')
        suite = self.answer(m)[0]
        first = hashlib.new(SUITES[suite][0], self.transcript).digest()
        self.transcript = message(254, first) + m

    @staticmethod
    def answer(m):
        """(suite, {extension: value}) of a ServerHello or HelloRetryRequest."""
        at = 39 + m[38]
        suite = int.from_bytes(m[at:at + 2], 'big')
        exts, at = {}, at + 5
        while at < len(m):
            n = int.from_bytes(m[at + 2:at + 4], 'big')
            exts[int.from_bytes(m[at:at + 2], 'big')] = m[at + 4:at + 4 + n]
            at += 4 + n
        return suite, exts

    def second(self, m, **how):
        """The second hello that a HelloRetryRequest asks for, as a tree."""
        exts = self.answer(m)[1]
        group = int.from_bytes(exts.get(51, b'\0\x1d'), 'big')
        cookie = exts.get(44)
        return self.hello(**{'shares': (group,), 'cookie': cookie[2:] if cookie else None, **how})

    def server_hello(self, m):
        self.transcript += m
        self.suite, exts = self.answer(m)
        if 43 not in exts:
            self.log.append(f'hello12:{self.suite:x}' + (':downgrade' if m[30:38] == b'DOWNGRD\1' else ''))
            raise Stop()
        share = exts.get(51, b'\0\0\0\0')
        group = int.from_bytes(share[:2], 'big')
        self.resumed = 41 in exts
        self.log.append(f'hello:{self.suite:x}:{group:x}' + (':psk' if self.resumed else ''))
        self.schedule = Schedule(self.suite, self.ticket[1] if self.resumed else b'')
        shared = self.shares[group].agree(share[4:])
        self.hs = self.schedule.handshake(shared, self.transcript)
        self.rx = self.hs[1]

    def certificates(self):
        """Our Certificate and CertificateVerify as trees, as far as the server asked."""
        if self.request is None:
            return []
        if not self.pair:
            return [handshake('certificate', CERTIFICATE, [Field('context', self.request, 1), Field('list', b'', 3)])]
        cert = self.pair.certificate(self.request)
        return [cert, self.pair.verify(b'client', self.transcript + cert.encode(), self.schedule.h)]

    def finished(self):
        return handshake('finished', FINISHED, [Field('mac', self.hs[0].finished(self.transcript))])

    def start(self, raw=None, again=None):
        """Up to the server's Finished."""
        self.send_hello(raw if raw is not None else self.hello().encode())
        self.flight(again)

    def secure(self):
        """From here on we seal with handshake keys."""
        self.tx = self.hs[0]

    def complete(self, ccs=True, cut=16384):
        """Our part after the server's: the connection is open then."""
        if ccs:
            self.raw(b'\x14\x03\x03\x00\x01\x01')
        self.secure()
        for tree in self.certificates():
            self.say(tree.encode(), cut)
        self.say(self.finished().encode(), cut)
        self.opened()

    def say(self, m, cut=16384):
        self.send(HANDSHAKE, m, cut)
        self.transcript += m

    def opened(self):
        self.tx, self.rx = self.keys
        self.app = True

    def open(self, raw=None):
        self.start(raw)
        self.complete()

    def take(self, m):
        """A message after the handshake."""
        if m[0] == TICKET:
            n = 12 + 1 + m[12]
            nonce, size = m[13:n], int.from_bytes(m[n:n + 2], 'big')
            self.new_ticket = (self.suite, self.schedule.psk_of(self.transcript, nonce), m[n + 2:n + 2 + size],
                               int.from_bytes(m[8:12], 'big'))
        elif m[0] == KEY_UPDATE:
            self.rx = self.rx.next()
            self.log.append('update')

    def ask(self, request=REQUEST):
        """A request; its answer's status is logged, and its content is in body."""
        self.send(DATA, request)
        self.response()

    def response(self):
        got = b''
        while True:
            kind, body = self.get()
            if kind == HANDSHAKE:
                self.messages += body
                while len(self.messages) >= 4 + int.from_bytes(self.messages[1:4], 'big'):
                    self.take(self.message())
                continue
            got += body
            head, end, rest = got.partition(b'\r\n\r\n')
            if not end:
                continue
            size = next((int(x.split(b':')[1]) for x in head.split(b'\r\n')
                         if x.lower().startswith(b'content-length:')), 0)
            if len(rest) >= size:
                self.body = rest[:size]
                self.log.append(f'http:{head[9:12].decode("latin-1")}')
                return


# --- a server ---

RESPONSE = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'


class Server(Wire):
    """pair: our certificate."""

    def __init__(self, sock, seconds, pair, seed='seed'):
        super().__init__(sock, seconds, seed)
        self.pair = pair
        self.schedule = self.session = self.keys = self.hs = None
        self.shares, self.suite, self.app = {}, 0x1301, False
        self.context = None  # of our CertificateRequest

    def read_hello(self):
        """The client's hello: what of it we need."""
        m = self.message()
        if m[0] != CLIENT_HELLO:
            self.log.append(f'message:{m[0]}')
            raise Stop()
        self.transcript += m
        at = 39 + m[38]
        self.session = m[39:at]
        at += 2 + int.from_bytes(m[at:at + 2], 'big')
        at += 1 + m[at] + 2
        self.shares = {}
        while at < len(m):
            kind, n = int.from_bytes(m[at:at + 2], 'big'), int.from_bytes(m[at + 2:at + 4], 'big')
            if kind == 51:
                v = m[at + 6:at + 4 + n]
                while v:
                    size = int.from_bytes(v[2:4], 'big')
                    self.shares[int.from_bytes(v[:2], 'big')] = v[4:4 + size]
                    v = v[4 + size:]
            at += 4 + n
        self.log.append('hello')

    def hello(self, *, group=X25519, suite=0x1301, more=()):
        """A ServerHello as a tree."""
        self.suite, self.group, self.share = suite, group, Share(group, self.rng)
        return handshake('hello', SERVER_HELLO, [
            Field('version', b'\x03\x03'), Field('random', self.rng.randbytes(32)), Field('session', self.session, 1),
            Field('suite', u16(suite)), Field('compression', b'\0'),
            Field('extensions', [
                ext('versions', 43, [Field('version', b'\3\4')]),
                ext('share', 51, [Field('group', u16(group)), Field('key', self.share.public(), 2)]), *more], 2)])

    def retry(self, *, group=P256, suite=0x1301, cookie=None, more=()):
        """A HelloRetryRequest as a tree."""
        self.suite = suite
        exts = [ext('versions', 43, [Field('version', b'\3\4')])]
        if group is not None:
            exts.append(ext('share', 51, [Field('group', u16(group))]))
        if cookie is not None:
            exts.append(ext('cookie', 44, [Field('cookie', cookie, 2)]))
        return handshake('retry', SERVER_HELLO, [
            Field('version', b'\x03\x03'), Field('random', RETRY), Field('session', self.session, 1),
            Field('suite', u16(suite)), Field('compression', b'\0'), Field('extensions', [*exts, *more], 2)])

    def say_retry(self, raw):
        first = hashlib.new(SUITES[self.suite][0], self.transcript).digest()
        self.transcript = message(254, first) + raw
        self.send(HANDSHAKE, raw)
        self.read_hello()

    def say_hello(self, raw, cut=16384):
        self.transcript += raw
        self.send(HANDSHAKE, raw, cut)
        self.schedule = Schedule(self.suite)
        shared = self.share.agree(self.shares[self.group]) if self.group in self.shares else bytes(32)
        self.hs = self.schedule.handshake(shared, self.transcript)

    def secure(self):
        """From here on handshake keys are used."""
        self.tx, self.rx = self.hs[1], self.hs[0]

    def say(self, m, cut=16384):
        self.send(HANDSHAKE, m, cut)
        self.transcript += m

    def extensions(self):
        return handshake('extensions', ENCRYPTED_EXTENSIONS, [Field('list', [
            ext('groups', 10, [Field('list', [Field('g', u16(X25519))], 2)])], 2)])

    def certificate_request(self, context=b''):
        self.context = context
        return handshake('request', CERTIFICATE_REQUEST, [Field('context', context, 1), Field('extensions', [
            ext('sigalgs', 13, [Field('list', [Field(f's{s:x}', u16(s)) for s in SIGNATURES], 2)])], 2)])

    def certificate(self):
        return self.pair.certificate()

    def verify(self, **how):
        return self.pair.verify(b'server', self.transcript, self.schedule.h, **how)

    def finished(self):
        return handshake('finished', FINISHED, [Field('mac', self.hs[1].finished(self.transcript))])

    PARTS = ('hello', 'extensions', 'certificate', 'verify', 'finished')

    def flight(self, bend=None, part=None, ccs=True, cut=16384, before=None):
        """All of our first flight, each part as its tree; bend(tree) spoils one of them; before(part): called ahead
        of each."""
        for p in self.PARTS:
            if before:
                before(p)
            tree = getattr(self, p)()
            if p == part:
                bend(tree)
            if p == 'hello':
                self.say_hello(tree.encode(), cut)
                if ccs:
                    self.raw(b'\x14\3\3\0\1\1')
                self.secure()
            else:
                self.say(tree.encode(), cut)
        self.keys = self.schedule.application(self.transcript)

    def complete(self):
        """The client's part; the connection is open then."""
        while True:
            m = self.message()
            self.transcript += m
            if m[0] == FINISHED:
                break
            self.log.append(f'message:{m[0]}')
        self.log.append('finished')
        self.opened()

    def opened(self):
        self.rx, self.tx = self.keys
        self.app = True

    def open(self, **how):
        self.read_hello()
        self.flight(**how)
        self.complete()

    def serve(self):
        """Reads a request, and answers it."""
        self.request()
        self.send(DATA, RESPONSE)

    def request(self):
        got = b''
        while b'\r\n\r\n' not in got:
            kind, body = self.get()
            if kind == HANDSHAKE and body[:1] == u8(KEY_UPDATE):
                self.rx = self.rx.next()
                self.log.append('update')
            elif kind == DATA:
                got += body
            else:
                self.log.append(f'record:{kind}')
                raise Stop()
        self.log.append('request')
