"""TLS 1.2 by hand, for tests: client and server with ECDHE and AEAD suites (RFC 5246, 5288, 7627, 7905)."""
import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from tls_wire import (CCS, CERTIFICATE, CERTIFICATE_REQUEST, CLIENT_HELLO, FINISHED, HANDSHAKE, P256, SERVER_HELLO, TICKET, X25519,
                      Client, Field, Server, Share, Stop, ext, handshake, u16, u8)

SERVER_KEY_EXCHANGE, HELLO_DONE, CLIENT_KEY_EXCHANGE = 12, 14, 16
SUITES12 = {0xc02b: ('sha256', 16, 4, AESGCM), 0xc02c: ('sha384', 32, 4, AESGCM), 0xcca9: ('sha256', 32, 12, ChaCha20Poly1305)}


def prf(h, secret, label, seed, n):
    seed, out = label + seed, b''
    a = seed
    while len(out) < n:
        a = hmac.new(secret, a, h).digest()
        out += hmac.new(secret, a + seed, h).digest()
    return out[:n]


class Half12:
    """One direction's protection of records. Content has its type behind it, as in TLS 1.3, up to here."""

    typed = True

    def __init__(self, suite, key, iv):
        self.suite, self.key, self.iv, self.seq = suite, key, iv, 0
        self.aead = SUITES12[suite][3](key)

    def clone(self):
        return Half12(self.suite, self.key, self.iv)

    def _nonce(self, explicit):
        if len(self.iv) == 4:
            return self.iv + explicit
        return (int.from_bytes(self.iv, 'big') ^ self.seq).to_bytes(12, 'big')

    def seal(self, inner, header=None, explicit=None):
        """header: type and version, of the record and of what is authenticated."""
        content, kind = inner[:-1], inner[-1:]
        header = header or kind + b'\3\3'
        explicit = (self.seq.to_bytes(8, 'big') if explicit is None else explicit) if len(self.iv) == 4 else b''
        aad = self.seq.to_bytes(8, 'big') + header + u16(len(content))
        body = explicit + self.aead.encrypt(self._nonce(explicit), content, aad)
        self.seq += 1
        return header + u16(len(body)) + body

    def open(self, header, body):
        explicit, sealed = (body[:8], body[8:]) if len(self.iv) == 4 else (b'', body)
        aad = self.seq.to_bytes(8, 'big') + header[:3] + u16(max(len(sealed) - 16, 0))
        try:
            content = self.aead.decrypt(self._nonce(explicit), sealed, aad)
        except (InvalidTag, ValueError):
            return None
        self.seq += 1
        return header[0], content


class Ticket12:
    """What a client keeps of a connection to come again with."""

    def __init__(self, suite, master, ticket):
        self.suite, self.master, self.ticket = suite, master, ticket


class Client12(Client):
    """As Client; what it does otherwise. ticket: a Ticket12."""

    master = None

    def hello12(self, *, suites=(0xc02b, 0xcca9, 0xc02c), groups=(X25519, P256), more=(), versions=None, ems=True, ticket=False):
        exts = [
            ext('sni', 0, [Field('list', [Field('kind', b'\0'), Field('name', b'nginx.test', 2)], 2)]),
            ext('groups', 10, [Field('list', [Field(f'g{g:x}', u16(g)) for g in groups], 2)]),
            ext('formats', 11, [Field('list', b'\0', 1)]),
            ext('sigalgs', 13, [Field('list', b'\4\3\x08\4\4\1', 2)]),
            ext('alpn', 16, [Field('list', [Field('p0', b'http/1.1', 1)], 2)]),
            ext('renegotiation', 65281, [Field('verify', b'', 1)])]
        if ems:
            exts.append(ext('ems', 23, b''))
        if ticket:
            exts.append(ext('ticket', 35, b''))
        if versions:
            exts.append(ext('versions', 43, [Field('list', b''.join(u16(v) for v in versions), 1)]))
        return handshake('hello', 1, [
            Field('version', b'\x03\x03'), Field('random', self.random), Field('session', b'', 1),
            Field('suites', [Field(f'c{s:x}', u16(s)) for s in suites], 2), Field('compression', b'\0', 1),
            Field('extensions', [*exts, *more], 2)])

    def server_hello(self):
        m = self.message()
        if m[0] != 2:
            self.log.append(f'message:{m[0]}')
            raise Stop()
        self.transcript += m
        self.suite, self.exts = self.answer(m)
        self.version, self.server_random = 0x0303, m[6:38]
        return m

    def start(self, raw=None, again=None):
        """Up to ServerHelloDone."""
        self.send_hello(raw if raw is not None else self.hello12().encode())
        self.server_hello()
        self.log.append(f'hello12:{self.suite:x}')
        if 43 in self.exts:
            raise Stop()  # TLS 1.3 after all
        self.server_flight()

    def server_flight(self, m=None):
        """Up to ServerHelloDone. m: its first message, if that has been read."""
        while True:
            m = m or self.message()
            self.transcript += m
            if m[0] == SERVER_KEY_EXCHANGE:
                self.group, self.peer_key = int.from_bytes(m[5:7], 'big'), m[8:8 + m[7]]
            elif m[0] == CERTIFICATE_REQUEST:
                self.request = b''
                self.log.append('asks')
            elif m[0] == HELLO_DONE:
                return
            m = None

    def resume(self, ticket):
        """The server's answer to a hello with a ticket: all of its part, if it resumes; else the handshake is done in
        full, and that is the end."""
        session = self.server_hello()[38]
        self.log.append(f'hello12:{self.suite:x}' + (':ems' if 23 in self.exts else ''))
        if self.suite == ticket.suite:
            self.master = ticket.master
            self.expand()
        m = self.message()
        if m[0] == CERTIFICATE:
            self.log.append('full')
            del self.keys12
            self.server_flight(m)
            self.complete()
            self.ask()
            raise Stop()
        while m[0] != FINISHED:
            self.log.append(f'message:{m[0]}')
            self.transcript += m
            m = self.message()
        self.log.append(f'resumed:{session}')
        self.transcript += m

    def key_exchange(self):
        self.share(self.group)
        return handshake('exchange', CLIENT_KEY_EXCHANGE, [Field('key', self.shares[self.group].public(), 1)])

    def derive(self):
        """Keys from what has been said so far."""
        h = SUITES12[self.suite][0]
        shared = self.shares[self.group].agree(self.peer_key)
        if 23 in self.exts:
            self.master = prf(h, shared, b'extended master secret', hashlib.new(h, self.transcript).digest(), 48)
        else:
            self.master = prf(h, shared, b'master secret', self.random + self.server_random, 48)
        self.expand()

    def expand(self):
        h, key, iv, _ = SUITES12[self.suite]
        b = prf(h, self.master, b'key expansion', self.server_random + self.random, 2 * (key + iv))
        self.keys12 = tuple(Half12(self.suite, b[i * key:][:key], b[2 * key + i * iv:][:iv]) for i in (0, 1))

    def finished(self):
        h = SUITES12[self.suite][0]
        mac = prf(h, self.master, b'client finished', hashlib.new(h, self.transcript).digest(), 12)
        return handshake('finished', FINISHED, [Field('mac', mac)])

    def exchange(self, bend=None, cut=16384):
        tree = self.key_exchange()
        if bend:
            bend(tree)
        self.say(tree.encode(), cut)
        self.derive()

    def change(self, content=b'\1'):
        self.send(CCS, content)
        self.tx = self.keys12[0]

    def on_ccs(self):
        if hasattr(self, 'keys12'):
            self.rx = self.keys12[1]

    def finish_up(self):
        """The server's Finished; the connection is open then."""
        while True:
            m = self.message()
            if m[0] == FINISHED:
                break
            if m[0] == TICKET:
                self.new_ticket = Ticket12(self.suite, self.master, m[10:10 + int.from_bytes(m[8:10], 'big')])
        self.app = True

    def complete(self, ccs=True, cut=16384):
        self.exchange(cut=cut)
        if ccs:
            self.change()
        self.say(self.finished().encode(), cut)
        self.finish_up()

    def open(self, raw=None):
        self.start(raw)
        self.complete()

    def take(self, m):
        self.log.append(f'message:{m[0]}')


class Server12(Server):
    """As Server; what it does otherwise. What a case may set: suite, group, public (our key, if another than the right
    one), more (extensions), without (some), leave and double (a part), ccs (content; None: none), unsealed."""

    PARTS12 = ('hello', 'certificate', 'exchange', 'done', 'finished')
    version = 0x0303

    def __init__(self, *args, **how):
        super().__init__(*args, **how)
        self.suite, self.group, self.public = 0xc02b, X25519, None
        self.more, self.without = (), ()
        self.leave = self.double = None
        self.ccs, self.unsealed = b'\1', False
        self.heard = ((1, 100),)  # no_renegotiation
        self.client_random = self.random = bytes(32)
        self.offered = self.master = None

    def read_hello(self):
        m = self.message()
        if m[0] != CLIENT_HELLO:
            self.log.append(f'message:{m[0]}')
            raise Stop()
        self.transcript += m
        self.client_random, at = m[6:38], 39 + m[38]
        self.session = m[39:at]
        at += 2 + int.from_bytes(m[at:at + 2], 'big')
        at += 1 + m[at] + 2
        self.offered = {}
        while at < len(m):
            n = int.from_bytes(m[at + 2:at + 4], 'big')
            self.offered[int.from_bytes(m[at:at + 2], 'big')] = m[at + 4:at + 4 + n]
            at += 4 + n
        self.log.append('hello')

    def hello(self):  # pylint: disable=arguments-differ
        self.random = self.rng.randbytes(32)
        exts = [ext('renegotiation', 65281, [Field('verify', b'', 1)]), ext('ems', 23, b'')]
        exts = [e for e in exts if int.from_bytes(e.body[0].body, 'big') not in self.without]
        return handshake('hello', SERVER_HELLO, [
            Field('version', b'\3\3'), Field('random', self.random), Field('session', b'', 1), Field('suite', u16(self.suite)),
            Field('compression', b'\0'), Field('extensions', [*exts, *self.more], 2)])

    def certificate(self):
        return handshake('certificate', CERTIFICATE, [Field('list', [Field('cert', self.pair.der, 3)], 3)])

    def exchange(self):
        self.share = Share(self.group, self.rng)
        key = self.share.public() if self.public is None else self.public
        params = b'\3' + u16(self.group) + u8(len(key)) + key
        return handshake('exchange', SERVER_KEY_EXCHANGE, [
            Field('type', b'\3'), Field('group', u16(self.group)), Field('key', key, 1), Field('scheme', u16(self.pair.scheme)),
            Field('signature', self.pair.sign(self.client_random + self.random + params), 2)])

    def certificate_request(self):  # pylint: disable=arguments-differ
        return handshake('request', CERTIFICATE_REQUEST, [Field('types', b'\x40\1', 1), Field('sigalgs', b'\4\3\x08\4\4\1', 2),
                                                          Field('names', b'', 2)])

    @staticmethod
    def done():
        return handshake('done', HELLO_DONE, [Field('nothing', b'')])

    def finished(self):
        h = SUITES12[self.suite][0]
        mac = prf(h, self.master, b'server finished', hashlib.new(h, self.transcript).digest(), 12) if self.master else bytes(12)
        return handshake('finished', FINISHED, [Field('mac', mac)])

    def on_ccs(self):
        if self.master:
            self.rx = self.keys12[0]

    def client_part(self):
        """The client's messages up to its Finished."""
        while True:
            m = self.message()
            self.transcript += m
            if m[0] == FINISHED:
                self.log.append('finished')
                return
            if m[0] == CLIENT_KEY_EXCHANGE:
                self.derive(m[5:])
            else:
                self.log.append(f'message:{m[0]}')

    def derive(self, key):
        h, n, iv, _ = SUITES12[self.suite]
        shared = self.share.agree(key)
        if 23 in self.offered and 23 not in self.without:
            self.master = prf(h, shared, b'extended master secret', hashlib.new(h, self.transcript).digest(), 48)
        else:
            self.master = prf(h, shared, b'master secret', self.client_random + self.random, 48)
        b = prf(h, self.master, b'key expansion', self.random + self.client_random, 2 * (n + iv))
        self.keys12 = tuple(Half12(self.suite, b[i * n:][:n], b[2 * n + i * iv:][:iv]) for i in (0, 1))

    def open(self, bend=None, part=None, before=None, cut=16384):  # pylint: disable=arguments-differ
        self.read_hello()
        for p in self.PARTS12:
            if p == 'finished':
                self.client_part()
                if self.ccs is not None:
                    self.send(CCS, self.ccs)
                self.tx = None if self.unsealed else self.keys12[1]
            if before:
                before(p)
            if p == self.leave:
                continue
            tree = getattr(self, p)()
            if p == part:
                bend(tree)
            self.say(tree.encode(), cut)
            if p == self.double:
                self.say(tree.encode(), cut)
        self.tx, self.app = self.keys12[1], True
