"""TLS 1.2 by hand, for tests: a client with ECDHE and AEAD suites (RFC 5246, 5288, 7627, 7905)."""
import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from tls_wire import (ALERT, CCS, CERTIFICATE, CERTIFICATE_REQUEST, DATA, FINISHED, HANDSHAKE, P256, X25519, Client, Field, Stop, ext,
                      handshake, u16, u8)

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


class Client12(Client):
    """As Client; what it does otherwise."""

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

    def start(self, raw=None, again=None):
        """Up to ServerHelloDone."""
        self.send_hello(raw if raw is not None else self.hello12().encode())
        m = self.message()
        if m[0] != 2:
            self.log.append(f'message:{m[0]}')
            raise Stop()
        self.transcript += m
        self.suite, self.exts = self.answer(m)
        self.version = 0x0303
        self.server_random = m[6:38]
        self.log.append(f'hello12:{self.suite:x}')
        if 43 in self.exts:
            raise Stop()  # TLS 1.3 after all
        while True:
            m = self.message()
            self.transcript += m
            if m[0] == SERVER_KEY_EXCHANGE:
                self.group, self.peer_key = int.from_bytes(m[5:7], 'big'), m[8:8 + m[7]]
            elif m[0] == CERTIFICATE_REQUEST:
                self.request = b''
                self.log.append('asks')
            elif m[0] == HELLO_DONE:
                return

    def key_exchange(self):
        self.share(self.group)
        return handshake('exchange', CLIENT_KEY_EXCHANGE, [Field('key', self.shares[self.group].public(), 1)])

    def derive(self):
        """Keys from what has been said so far."""
        h, key, iv, _ = SUITES12[self.suite]
        shared = self.shares[self.group].agree(self.peer_key)
        if 23 in self.exts:
            self.master = prf(h, shared, b'extended master secret', hashlib.new(h, self.transcript).digest(), 48)
        else:
            self.master = prf(h, shared, b'master secret', self.random + self.server_random, 48)
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
        while self.message()[0] != FINISHED:
            pass
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
