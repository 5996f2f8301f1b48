"""An HTTP/1.1 client that sends what it is told, byte for byte, and reads strictly."""
import errno
import re
import socket

STATUS = re.compile(rb'HTTP/1\.([01]) ([0-9]{3}) ([\t \x21-\x7e\x80-\xff]*)\Z')
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x21-\x7e\x80-\xff]?"
                   rb'(?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)[ \t]*\Z')


class Closed(Exception):
    """The peer closed or reset before a whole response; partial: what came."""

    def __init__(self, partial, how):
        super().__init__(f'{how} after {partial[:300]!r}')
        self.partial, self.how = partial, how


class Response:
    def __init__(self, minor, status, reason, fields):
        self.minor, self.status, self.reason, self.fields = minor, status, reason, fields
        self.body, self.trailers, self.interim = b'', [], []

    def all(self, name):
        return [v for k, v in self.fields if k == name]

    def get(self, name):
        v = self.all(name)
        return v[0] if v else None

    def keep_alive(self):
        return 'close' not in (self.get('connection') or '').lower()

    def __repr__(self):
        return f'<{self.status} {self.fields} {self.body[:80]!r}>'


class Client:
    def __init__(self, sock):
        self.sock = sock
        self.buf = b''

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def send_some(self, data):
        """As send, but a peer that has closed already is no error (nor is our own close)."""
        try:
            self.sock.sendall(data)
        except OSError as e:
            if e.errno not in (errno.EPIPE, errno.ECONNRESET, errno.EBADF):
                raise

    def _more(self):
        try:
            b = self.sock.recv(262144)
        except ConnectionResetError:
            raise Closed(self.buf, 'reset') from None
        except socket.timeout:
            raise Closed(self.buf, 'silence') from None
        if not b:
            raise Closed(self.buf, 'closed')
        self.buf += b

    def line(self):
        while b'\r\n' not in self.buf:
            self._more()
        line, self.buf = self.buf.split(b'\r\n', 1)
        return line

    def exactly(self, n):
        parts, have = [self.buf[:n]], min(n, len(self.buf))
        self.buf = self.buf[n:]
        while have < n:
            self._more()
            part, self.buf = self.buf[:n - have], self.buf[n - have:]
            parts.append(part)
            have += len(part)
        return b''.join(parts)

    def _fields(self):
        found = []
        while True:
            line = self.line()
            if not line:
                return found
            m = FIELD.match(line)
            if not m:
                raise AssertionError(f'malformed field line in a response: {line!r}')
            found.append((m.group(1).decode().lower(), m.group(2).decode('latin-1')))

    def head(self):
        """The next head, interim ones too."""
        line = self.line()
        m = STATUS.match(line)
        if not m:
            raise AssertionError(f'malformed status line: {line!r}')
        return Response(int(m.group(1)), int(m.group(2)), m.group(3).decode('latin-1'),
                        self._fields())

    def response(self, method='GET'):
        """The next final response with its whole body."""
        interim = []
        r = self.head()
        while 100 <= r.status < 200 and r.status != 101:
            interim.append(r)
            r = self.head()
        r.interim = interim
        te, cl = r.all('transfer-encoding'), r.all('content-length')
        assert not (te and cl), f'both framings in a response: {r.fields}'
        assert len(cl) <= 1 and len(te) <= 1, f'repeated framing in a response: {r.fields}'
        if method == 'HEAD' or r.status in (101, 204, 304):
            return r
        if te:
            assert te[0].lower() == 'chunked', te
            parts = []
            while True:
                size = int(self.line().split(b';')[0], 16)
                if size == 0:
                    break
                parts.append(self.exactly(size))
                assert self.exactly(2) == b'\r\n'
            r.trailers = self._fields()
            r.body = b''.join(parts)
        elif cl:
            r.body = self.exactly(int(cl[0]))
        else:
            try:
                while True:
                    self._more()
            except Closed as e:
                if e.how != 'closed':
                    raise
                r.body, self.buf = self.buf, b''
        return r

    def ask(self, data, method=None):
        """Sends a request and reads its response."""
        self.send(data)
        return self.response(method or data.split(b' ', 1)[0].decode('latin-1'))

    def rest(self, limit=1 << 22):
        """Everything until the peer's end; returns (bytes, 'closed' | 'reset' | 'silence')."""
        try:
            while len(self.buf) < limit:
                self._more()
        except Closed as e:
            out, self.buf = self.buf, b''
            return out, e.how
        return self.buf, 'silence'

    def at_end(self):
        """True when the peer has closed and nothing more came."""
        out, how = self.rest()
        return not out and how in ('closed', 'reset')


def request(method, target, host, body=None, chunked=False, fields=(), version='1.1'):
    lines = [f'{method} {target} HTTP/{version}']
    if host is not None:
        lines.append(f'Host: {host}')
    lines += [f'{k}: {v}' for k, v in fields]
    if chunked:
        lines.append('Transfer-Encoding: chunked')
        framed = b''.join(b'%x\r\n%b\r\n' % (len(b), b) for b in body if b) + b'0\r\n\r\n'
    else:
        framed = body or b''
        if body is not None:
            lines.append(f'Content-Length: {len(body)}')
    return '\r\n'.join(lines).encode('latin-1') + b'\r\n\r\n' + framed
