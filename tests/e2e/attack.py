"""Requests and responses made up at random from hostile parts, and a strict reader that judges them.

The reader is written from RFC 9110 and 9112 and knows nothing of Tidegate's: what it takes from a
client's bytes is all that an origin may be sent, and what it takes from an origin's bytes is all
that a client may be told. Where the RFCs leave a choice, it names both.
"""
import ipaddress
import random
import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb'(' + TOKEN + rb') ([!$%&\'()*+,\-./0-9:;=?@A-Z\[\]^_`a-z{|}~]+) HTTP/([0-9])\.([0-9])')
STATUS_LINE = re.compile(rb'HTTP/1\.([0-9]) ([1-5][0-9][0-9]) ([\t \x21-\x7e\x80-\xff]*)')
FIELD = re.compile(rb'(' + TOKEN + rb'):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*')
HOST = re.compile(rb'(?:[A-Za-z0-9\-._~]{1,255}|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{1,5}))?')
EXT = rb'(?:[ \t]*;[ \t]*' + TOKEN + rb'(?:[ \t]*=[ \t]*(?:' + TOKEN + rb'|"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*'
CHUNK_LINE = re.compile(rb'([0-9A-Fa-f]+)' + EXT)
NEVER_TRAILER = {b'host', b'content-length', b'transfer-encoding', b'connection', b'authorization', b'cookie',
                 b'set-cookie', b'trailer', b'te', b'expect', b'content-type', b'x-forwarded-for', b'range'}
NEVER_NAMED = {b'host', b'content-length', b'transfer-encoding', b'expect', b'cookie', b'authorization',
               b'content-type', b'x-forwarded-for'}
HEAD_MAX, TARGET_MAX, FIELDS_MAX, LINE_MAX = 60 * 1024, 8 * 1024, 100, 256


class Refused(Exception):
    """statuses: what may be answered."""

    def __init__(self, *statuses):
        super().__init__(statuses)
        self.statuses = set(statuses)


class Unfinished(Exception):
    """The bytes end inside a message."""


def words(values):
    return [w.strip(b' \t').lower() for v in values for w in v.split(b',')]


class Head:
    def __init__(self, lines):
        self.fields, self.faults = [], set()
        for line in lines:
            m = FIELD.fullmatch(line)
            if not m:
                self.faults.add(400)
                continue
            self.fields.append((m.group(1).lower(), m.group(2)))
        if len(lines) > FIELDS_MAX:
            self.faults.add(431)
        if {n.replace(b'_', b'-') for n, _ in self.fields if b'_' in n} & {b'content-length', b'transfer-encoding'}:
            self.faults.add(400)
        self.framing()

    def all(self, name):
        return [v for n, v in self.fields if n == name]

    def framing(self):
        self.te, self.cl = self.all(b'transfer-encoding'), self.all(b'content-length')
        codings = words(self.te)
        self.chunked, self.length, self.choice = bool(self.te), None, False
        if self.te:
            if self.cl or not all(re.fullmatch(TOKEN, c) for c in codings):
                self.faults.add(400)
            if codings != [b'chunked']:
                self.faults |= {400, 501}
        if self.cl:
            if not re.fullmatch(rb'[0-9]+', self.cl[0]) or int(self.cl[0]) >= 1 << 63 or len(set(self.cl)) > 1:
                self.faults.add(400)
            else:
                self.length = int(self.cl[0])
            # The same length twice and zeros before it may be taken (RFC 9112 section 6.3 item 5).
            self.choice |= len(self.cl) > 1
        options = words(self.all(b'connection'))
        if not all(re.fullmatch(TOKEN, o) for o in options if o) or set(options) & NEVER_NAMED or len(options) > 32:
            self.faults.add(400)
        self.options = set(options)

    def end_to_end(self, ignored=frozenset()):
        """The fields that nobody on the way may touch."""
        return [(n, v) for n, v in self.fields
                if n not in self.options and n not in ignored and n.startswith(b'x-')
                and not n.startswith((b'x-forwarded', b'x-request-id', b'x-envoy'))]


class Stream:
    """Bytes that are read from the front."""

    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def left(self):
        return len(self.raw) - self.at

    def head(self):
        end = self.raw.find(b'\r\n\r\n', self.at)
        head = self.raw[self.at:end + 4 if end >= 0 else len(self.raw)]
        # A line that is wrong is wrong however the head ends.
        if len(head) > HEAD_MAX:
            raise Refused(400, 414, 431, 505)
        if re.search(rb'(?<!\r)\n|\r(?!\n)', head if end >= 0 else head.rstrip(b'\r')):
            raise Refused(400, 414, 417, 431, 501, 505)
        if end < 0:
            raise Unfinished
        self.at = end + 4
        return head[:-4].split(b'\r\n')

    def take(self, n):
        if self.left() < n:
            raise Unfinished
        self.at += n
        return self.raw[self.at - n:self.at]

    def line(self, most):
        end = self.raw.find(b'\r\n', self.at)
        part = self.raw[self.at:end if end >= 0 else len(self.raw)]
        if len(part) > most or b'\n' in part or b'\r' in part.rstrip(b'\r'):
            raise Refused(400, 431)
        if end < 0:
            raise Unfinished
        self.at = end + 2
        return part

    def chunks(self):
        body = b''
        while True:
            m = CHUNK_LINE.fullmatch(self.line(LINE_MAX))
            if not m or int(m.group(1), 16) >= 1 << 63:
                raise Refused(400)
            size = int(m.group(1), 16)
            if size == 0:
                break
            body += self.take(size)
            if self.take(2) != b'\r\n':
                raise Refused(400)
        size = 0
        while True:
            line = self.line(8192)
            size += len(line) + 2
            if not line:
                return body
            m = FIELD.fullmatch(line)
            if not m or m.group(1).lower().replace(b'_', b'-') in NEVER_TRAILER or size > 2048:
                raise Refused(400, 431)


def normal(target):
    """RFC 3986 section 6.2.2 on the path, or None: escapes that are none, or beyond the root."""
    path, mark, query = target.partition(b'?')
    if path == b'*':
        return target
    if re.search(rb'%(?![0-9A-Fa-f]{2})', path) or b'%00' in path:
        return None

    def unescape(m):
        c = bytes([int(m.group(1), 16)])
        return c if re.fullmatch(rb'[A-Za-z0-9\-._~]', c) else b'%' + m.group(1).upper()
    out = []
    segments = re.sub(rb'%([0-9A-Fa-f]{2})', unescape, path).split(b'/')[1:]
    for i, s in enumerate(segments):
        last = i == len(segments) - 1
        if s == b'..':
            if not out:
                return None
            out.pop()
        elif s != b'.':
            out.append(s)
            continue
        if last:
            out.append(b'')
    return b'/' + b'/'.join(out) + mark + query


def host_ok(host):
    m = HOST.fullmatch(host)
    if not m or int(m.group(2) or 0) > 65535:
        return False
    if m.group(1):
        try:
            ipaddress.IPv6Address(m.group(1).decode())
        except ValueError:
            return False
    return True


class Request(Head):
    def __init__(self, lines):
        super().__init__(lines[1:])
        self.method = self.target = self.host = None
        m = REQUEST_LINE.fullmatch(lines[0])
        self.minor = 1
        if not m or len(m.group(1)) > 32:
            self.faults |= {400, 414, 505}
        elif m.group(3) != b'1':
            self.faults |= {400, 505}
        else:
            self.method, self.minor = m.group(1), min(1, int(m.group(4)))
            self.split(m.group(2))
        self.check()
        if self.faults:
            raise Refused(*self.faults)

    def split(self, target):
        host = None
        if len(target) > TARGET_MAX:
            self.faults.add(414)
        m = re.fullmatch(rb'[Hh][Tt][Tt][Pp]://([^/?]*)(.*)', target)
        if self.method == b'CONNECT':
            self.faults |= {400, 404}  # no tunnels here
        elif m:
            host, target = m.groups()
            if not target and self.method == b'OPTIONS':
                target = b'*'
            elif not target.startswith(b'/'):
                target = b'/' + target
        elif not (target.startswith(b'/') or (target == b'*' and self.method == b'OPTIONS')):
            self.faults.add(400)
        hosts = self.all(b'host')
        if len(hosts) > 1 or (not hosts and self.minor):
            self.faults.add(400)
        if not all(host_ok(h) for h in [*hosts, *([host] if host is not None else [])]):
            self.faults.add(400)
        self.host = host if host is not None else hosts[0] if hosts else None
        self.target = normal(target) if not self.faults else None
        if self.target is None:
            self.faults.add(400)

    def check(self):
        if self.te and not self.minor:
            self.faults.add(400)
        if any(e.lower() != b'100-continue' for e in self.all(b'expect')):
            self.faults.add(417)
        if not all(re.fullmatch(TOKEN + rb'(/' + TOKEN + rb')?', u) for u in words(self.all(b'upgrade'))):
            self.faults.add(400)
        if self.method == b'TRACE' and (self.te or self.length):
            self.faults.add(400)
        self.close = b'close' in self.options or (not self.minor and b'keep-alive' not in self.options)

    def read(self, s):
        self.body = s.chunks() if self.chunked else s.take(self.length or 0)


def requests(raw):
    """(requests that are whole, what follows them: 'end', 'unfinished', or a set of statuses)."""
    s, got = Stream(raw), []
    try:
        while True:
            for _ in range(2):
                if s.raw.startswith(b'\r\n', s.at):
                    s.at += 2
            if not s.left():
                return got, 'end'
            r = Request(s.head())
            r.read(s)
            got.append(r)
            if r.close:
                return got, 'end'
    except Refused as e:
        return got, e.statuses
    except Unfinished:
        return got, 'unfinished'


class Response(Head):
    """One final response; interim: how many went before. whole: it ends where it should."""

    def __init__(self, raw, method, closed):
        s, self.interim, self.body, self.whole = Stream(raw), 0, b'', False
        self.in_head = True
        while True:
            lines = s.head()
            m = STATUS_LINE.fullmatch(lines[0])
            super().__init__(lines[1:])
            if not m:
                raise Refused(502)
            self.minor, self.status = min(1, int(m.group(1))), int(m.group(2))
            self.check(method)
            if self.faults:
                raise Refused(502)
            if self.status >= 200:
                break
            self.interim += 1
            if self.interim > 16:
                raise Refused(502)
        self.in_head = False
        self.until_close = False
        if method == b'HEAD' or self.status in (204, 304):
            self.whole = True
        elif self.chunked:
            self.body = s.chunks()
            self.whole = True
        elif self.length is not None:
            self.body = s.take(self.length)
            self.whole = True
        else:
            self.body, self.until_close = s.take(s.left()), True
            self.whole = closed
        self.extra = s.left()

    def check(self, method):
        if self.te and not self.minor:
            self.faults.add(502)
        if self.status == 101 or (self.status < 200 and (self.te or self.cl or not self.minor)):
            self.faults.add(502)
        if self.status == 204 and (self.te or self.length):
            self.faults.add(502)
        # One that says its length twice may be taken or not.
        self.may_refuse = self.choice


# --- what they are made of: (weight of the good ones, good, bad or odd) ---

LINES = (b'GET /h/ID HTTP/1.1', b'POST /h/ID?q=1 HTTP/1.1', b'PUT /h/ID HTTP/1.1', b'HEAD /h/ID HTTP/1.1',
         b'GET /h/ID HTTP/1.0', b'OPTIONS /h/ID HTTP/1.1', b'DELETE /h/ID HTTP/1.1', b'BREW /h/ID HTTP/1.1')
ODD_LINES = (
    b'GET http://py.test/h/ID HTTP/1.1', b'GET HTTP://other.test:81/h/ID?x HTTP/1.1', b'OPTIONS * HTTP/1.1',
    b'OPTIONS http://py.test HTTP/1.1', b'GET https://py.test/h/ID HTTP/1.1', b'GET ftp://py.test/h/ID HTTP/1.1',
    b'GET http://a@py.test/h/ID HTTP/1.1', b'GET http://py.test:x/h/ID HTTP/1.1', b'GET http:/h/ID HTTP/1.1',
    b'CONNECT py.test:80 HTTP/1.1', b'TRACE /h/ID HTTP/1.1', b'get /h/ID HTTP/1.1', b'GET /h/ID HTTP/1.2',
    b'GET /h/ID HTTP/1.9', b'GET /h/ID HTTP/2.0', b'GET /h/ID HTTP/0.9', b'GET /h/ID http/1.1', b'GET /h/ID HTTP/1.10',
    b'GET /h/ID HTTP/1', b'GET /h/ID HTTP/11', b'GET /h/ID', b'GET', b'PRI * HTTP/2.0', b'GET  /h/ID HTTP/1.1',
    b'GET /h/ID  HTTP/1.1', b'GET /h/ID HTTP/1.1 ', b' GET /h/ID HTTP/1.1', b'GET\t/h/ID HTTP/1.1',
    b'GET /h/ID\tHTTP/1.1', b'GET /h/ID x HTTP/1.1', b'GET /h/ID#f HTTP/1.1', b'GET \\h\\ID HTTP/1.1',
    b'GET /h\\ID HTTP/1.1', b'GET /h/ID\0 HTTP/1.1', b'GET /h/ID\xc3\xa4 HTTP/1.1', b'GET h/ID HTTP/1.1',
    b'GET * HTTP/1.1', b'GET /x/../h/ID HTTP/1.1', b'GET /h/./ID HTTP/1.1', b'GET /h/ID/.. HTTP/1.1',
    b'GET /../h/ID HTTP/1.1', b'GET /%2e%2e/h/ID HTTP/1.1', b'GET /x/%2E./h/ID HTTP/1.1', b'GET /%68/ID HTTP/1.1',
    b'GET /h/ID/%2f%5c HTTP/1.1', b'GET /h/ID/%00 HTTP/1.1', b'GET /h/ID/%zz HTTP/1.1', b'GET /h/ID/% HTTP/1.1',
    b'GET /h/ID/a//b HTTP/1.1', b'GET //h/ID HTTP/1.1', b'GET /h/ID/..;/x HTTP/1.1', b'GET /h/ID?%00%zz/../ HTTP/1.1',
    b'GET /h/ID? HTTP/1.1', b'GET /h/ID\r HTTP/1.1', b'GET /h/ID\n HTTP/1.1', b'G\0ET /h/ID HTTP/1.1',
    b'"GET" /h/ID HTTP/1.1', b'GET(a) /h/ID HTTP/1.1', b'GET /h/ID HTTP/1.1\r\nX-A: b\r\n\r\nGET /s/ID HTTP/1.1',
    b'\r\nGET /h/ID HTTP/1.1', b'\r\n\r\n\r\nGET /h/ID HTTP/1.1', b'\nGET /h/ID HTTP/1.1', b'\0GET /h/ID HTTP/1.1')
HOSTS = (b'Host: py.test\r\n', b'host:py.test\r\n', b'HOST: \t py.test:80 \r\n', b'Host: [::1]:80\r\n', b'Host: 10.0.0.1\r\n')
ODD_HOSTS = (
    b'', b'Host:\r\n', b'Host: \t\r\n', b'Host: py.test\r\nHost: py.test\r\n', b'Host: py.test\r\nhost: b\r\n',
    b'Host : py.test\r\n', b' Host: py.test\r\n', b'Host: a b\r\n', b'Host: a,b\r\n', b'Host: a@b\r\n', b'Host: a/b\r\n',
    b'Host: http://a\r\n', b'Host: a:\r\n', b'Host: a:b\r\n', b'Host: a:65536\r\n', b'Host: a:-1\r\n', b'Host: a:80:80\r\n',
    b'Host: [::1\r\n', b'Host: [::1]x\r\n', b'Host: [::g]\r\n', b'Host: ::1\r\n', b'Host: a%2eb\r\n', b'Host: \xff\r\n',
    b'Host: a\0b\r\n', b'Host: a\r\n b\r\n', b'Host: py.test\n', b'Host: py.test\r', b'Host: a?b\r\n', b'Host: a#b\r\n',
    b'Host: "a"\r\n', b'Host: a\\b\r\n', b'Ho\xc5\x9ft: a\r\n', b'Host\0: a\r\n', b'Host: *\r\n', b'Host: a_b\r\n')
# Framing with a body of its own; INNER is a whole request, <n> its length, HEX too.
FRAMINGS = (
    (b'', b''), (b'Content-Length: <n>\r\n', b'INNER'), (b'Content-Length: 0\r\n', b''),
    (b'Transfer-Encoding: chunked\r\n', b'HEX\r\nINNER\r\n0\r\n\r\n'),
    (b'transfer-encoding:Chunked\r\n', b'5;a=b;c="d\\"e"\r\nhello\r\n0\r\n\r\n'),
    (b'Transfer-Encoding: chunked\r\nTrailer: x-t\r\n', b'1\r\na\r\nHEX\r\nINNER\r\n000\r\nx-t: 1\r\n\r\n'))
TE_VALUES = (
    b'chunked', b'identity', b'gzip', b'gzip, chunked', b'chunked, gzip', b'chunked, chunked', b'chunked,', b',chunked',
    b', ,chunked', b'xchunked', b'chunkedx', b'chunked;q=1', b'chunked ;', b'"chunked"', b'\x0bchunked', b'chunked\x0c', b'chunk ed',
    b'chunked\0', b'chunked\x01', b'', b',', b'CHUNKED', b'chunked \t', b'\tchunked', b'identity, chunked', b'chunked\xa0', b'cow',
    b"'chunked'", b'chunked\r\n\t', b'chunked\r\n , identity', b'chunked\rX', b'chunked\nX-A: b')
CL_VALUES = (
    b'<n>', b'0', b'<n>, <n>', b'<n>,<n>', b'<n>, 0', b'+<n>', b'-0', b'-<n>', b'0<n>', b'00000000000000000000000000<n>', b'<n> ', b'\t<n>',
    b'<n>\0', b'<n>\x0b', b' ', b'', b'0x10', b'1e1', b'<n>.0', b'<n>;', b'9223372036854775807', b'9223372036854775808',
    b'18446744073709551616', b'18446744073709551621', b'4294967296', b'99999999999999999999999999', b'"<n>"', b'L', b'\xd9\xa3', b'1_0',
    b'<n>\r\n <n>', b'<n>\n', b'<n> <n>')
TE_NAMES = (b'Transfer-Encoding', b'transfer-encoding', b'Transfer_Encoding', b'Transfer-Encoding ', b' Transfer-Encoding',
            b'Transfer-Encoding\t', b'Transfer-Encoding\0', b'Transfer\r\n-Encoding', b'X: y\rTransfer-Encoding',
            b'X-A: y\nTransfer-Encoding', b'Transfer-Encodin\xc7', b'TRANSFER-ENCODING', b'Transfer-Encoding:')
CL_NAMES = (b'Content-Length', b'content-length', b'Content_Length', b'Content-Length ', b'\tContent-Length', b'Content-Length\x0b',
            b'X: y\rContent-Length', b'X-A: y\nContent-Length', b'CONTENT-LENGTH', b'Content Length', b'Content-Length:')
CHUNKS = (
    b'HEX\r\nINNER\r\n0\r\n\r\n', b'HEX\nINNER\r\n0\r\n\r\n', b'HEX\r\nINNER\n0\r\n\r\n', b'HEX\r\nINNER0\r\n\r\n', b'HEX\r\nINNER\r\n0\r\n',
    b'HEX\r\nINNER\r\n0\r\n\n', b'HEX\r\nINNER\r\n0\n\r\n', b'0xHEX\r\nINNER\r\n0\r\n\r\n', b'+HEX\r\nINNER\r\n0\r\n\r\n',
    b'-HEX\r\nINNER\r\n0\r\n\r\n', b' HEX\r\nINNER\r\n0\r\n\r\n', b'HEX \r\nINNER\r\n0\r\n\r\n', b'HEX\t\r\nINNER\r\n0\r\n\r\n',
    b'HEX ;a\r\nINNER\r\n0\r\n\r\n', b'HEX;\r\nINNER\r\n0\r\n\r\n', b'HEX;a=\r\nINNER\r\n0\r\n\r\n', b'HEX;a=b;\r\nINNER\r\n0\r\n\r\n',
    b'HEX;a="\r\nINNER\r\n0\r\n\r\n', b'HEX;a="\n"\r\nINNER\r\n0\r\n\r\n', b'HEX;a=b\nINNER\r\n0\r\n\r\n', b'HEX;a="b\rc"\r\nINNER\r\n0\r\n\r\n',
    b'HEX;' + b'a' * 300 + b'\r\nINNER\r\n0\r\n\r\n', b'000000000000000000000HEX\r\nINNER\r\n0\r\n\r\n', b'10000000000000HEX\r\nINNER\r\n0\r\n\r\n',
    b'100000000000000HEX\r\nINNER\r\n0\r\n\r\n', b'FFFFFFFFFFFFFFFF\r\nINNER\r\n0\r\n\r\n', b'7FFFFFFFFFFFFFFF\r\nINNER', b'HEX\0\r\nINNER\r\n0\r\n\r\n',
    b'\r\nHEX\r\nINNER\r\n0\r\n\r\n', b'HEX\r\r\nINNER\r\n0\r\n\r\n', b'HEXg\r\nINNER\r\n0\r\n\r\n', b'0\r\nContent-Length: 5\r\n\r\nINNER',
    b'0\r\nHost: evil\r\n\r\n', b'0\r\nX-T: 1\r\n\r\n', b'0\r\nx y: 1\r\n\r\n', b'0\r\nX-T: 1\r\n 2\r\n\r\n', b'0\r\nX-T: 1\n\r\n', b'0\r\nX\r\n\r\n',
    b'0\r\nX-T: ' + b'a' * 9000 + b'\r\n\r\n', b'0\r\n' + b'X-T: 1\r\n' * 400 + b'\r\n', b'0\r\nTransfer_Encoding: a\r\n\r\n', b'0;a=b\r\n\r\n',
    b'0\r\n\r\nINNER', b'1\r\nINNER\r\n0\r\n\r\n', b'5\r\nhello\r\nINNER', b'', b'0', b'0\r', b'5\r\nhel', b'INNER', b'HEX,HEX\r\nINNER\r\n0\r\n\r\n')
FIELDS = (b'', b'X-A: b\r\n', b'Accept: */*\r\nCookie: a=b; c=d\r\n', b'X-A: \xc3\xa4\r\nX-B:\r\nX-A: 2\r\n', b'User-Agent: x (y; z)\r\n')
ODD_FIELDS = (
    b'Connection: close\r\n', b'Connection: keep-alive\r\n', b'Connection: X-A\r\nX-A: b\r\n', b'Connection: Content-Length\r\n',
    b'Connection: Transfer-Encoding\r\n', b'Connection: Host\r\n', b'Connection: close, X-B , ,\r\nX-B: 1\r\n', b'Connection: a b\r\n',
    b'Connection: "close"\r\n', b'Connection: ' + b'a,' * 40 + b'b\r\n', b'Expect: 100-continue\r\n', b'Expect: 200-ok\r\n', b'Expect: \r\n',
    b'Expect: 100-continue, x\r\n', b'Connection: Upgrade\r\nUpgrade: h2c\r\n', b'Connection: Upgrade\r\nUpgrade: websocket\r\n',
    b'Upgrade: a b\r\n', b'TE: trailers, chunked\r\n', b'TE: chunked;q=0\r\n', b'Proxy-Connection: close\r\n', b'Keep-Alive: timeout=5\r\n',
    b'X-A : b\r\n', b'X-A\r\n', b': b\r\n', b'X A: b\r\n', b'X-A: b\0\r\n', b'X-A: b\x7f\r\n', b'X-A: b\x0b\r\n', b'X-A: b\rc\r\n', b'X-A: b\nX-B: c\r\n',
    b'X-A: b\r\n c\r\n', b'X-A: b\r\n\tc\r\n', b'X-A: b\r\r\n', b'\xffX: b\r\n', b'X-A: b\r\n\r\n', b'X-A: ' + b'a' * 62000 + b'\r\n',
    b'A' * 62000 + b': b\r\n', b'X-A: b\r\n' * 120, b'X-A(b): c\r\n', b'X-A: b\r\n\rX: y\r\n', b'X-HTTP-Method-Override: DELETE\r\n',
    b'Content-Encoding: chunked\r\n', b'Content-Type: application/x-www-form-urlencoded\r\n', b'Range: bytes=0-1\r\n', b'Trailer: Content-Length\r\n')
GOOD = b'GET /h/ID/good HTTP/1.1\r\nHost: py.test\r\nX-Id: ID\r\n\r\n'
INNER = b'GET /s/ID HTTP/1.1\r\nHost: py.test\r\nX-Id: ID\r\n\r\n'


STEP = 997  # numbers in the bytes are its multiples: a number that was changed is nobody's


def number(digits):
    n, rest = divmod(int(digits), STEP)
    return None if rest else n


def _fill(raw, n):
    num = b'%07d' % (n * STEP)
    inner = INNER.replace(b'ID', num)
    return (raw.replace(b'INNER', b'\xfe').replace(b'X-Id', b'\xfd').replace(b'ID', num).replace(b'<n>', b'%d' % len(inner))
            .replace(b'HEX', b'%x' % len(inner)).replace(b'\xfd', b'X-Id').replace(b'\xfe', inner))


def _framing(r):
    kind = r.randrange(6)
    if kind < 2:
        return r.choice(FRAMINGS)
    te = r.choice(TE_NAMES if r.random() < 0.4 else TE_NAMES[:1]) + b': ' + r.choice(TE_VALUES if r.random() < 0.7 else TE_VALUES[:1]) + b'\r\n'
    cl = r.choice(CL_NAMES if r.random() < 0.4 else CL_NAMES[:1]) + b': ' + r.choice(CL_VALUES if r.random() < 0.7 else CL_VALUES[:2]) + b'\r\n'
    if kind == 2:
        return te, r.choice(CHUNKS)
    if kind == 3:
        return cl, r.choice((b'INNER', b'', b'INNERINNER', b'x'))
    if kind == 4:
        return b''.join(r.sample((te, cl), 2)), r.choice(CHUNKS)
    return b'Transfer-Encoding: chunked\r\n', r.choice(CHUNKS)


def request_case(n, r):
    """Bytes of a connection, with one or two hostile parts."""
    line, host, fields, framing = r.choice(LINES), r.choice(HOSTS[:2]), r.choice(FIELDS), r.choice(FRAMINGS)
    for _ in range(r.choice((1, 1, 1, 2))):
        part = r.randrange(5)
        if part == 0:
            line = r.choice(ODD_LINES)
        elif part == 1:
            host = r.choice(ODD_HOSTS + HOSTS)
        elif part == 2:
            fields += r.choice(ODD_FIELDS)
        else:
            framing = _framing(r)
    parts = [host, b'X-Id: ID\r\n', fields, framing[0]]
    if r.random() < 0.3:
        r.shuffle(parts)
    raw = line + b'\r\n' + b''.join(parts) + b'\r\n' + framing[1]
    before, after = r.random() < 0.3, r.random() < 0.5
    raw = (GOOD if before else b'') + raw + ((INNER if r.random() < 0.5 else GOOD) if after else b'')
    return _fill(raw, n)


SPECIAL = b'\r\n\0 \t:;,"\\=/?#%\x7f\x80\xff\x0b0159aAfFxX-_+.HTPG'


def mutant(raw, r):
    """Few bytes changed, doubled or lost."""
    raw = bytearray(raw)
    for _ in range(r.choice((1, 1, 2, 3))):
        at, op = r.randrange(len(raw)), r.randrange(5)
        if op == 0:
            raw[at] = r.choice(SPECIAL)
        elif op == 1:
            raw.insert(at, r.choice(SPECIAL))
        elif op == 2:
            del raw[at]
        elif op == 3:
            raw[at:at] = raw[at:at + r.randint(1, 24)]
        else:
            raw[at] ^= 1 << r.randrange(8)
        if not raw:
            return b'\r\n'
    return bytes(raw)


STATUS_LINES = (b'HTTP/1.1 200 OK', b'HTTP/1.1 200 OK', b'HTTP/1.1 404 Not Found', b'HTTP/1.1 200 ', b'HTTP/1.0 200 OK', b'HTTP/1.1 299 \xc3\xa4 x')
ODD_STATUS_LINES = (
    b'HTTP/1.1 200', b'HTTP/1.1 099 X', b'HTTP/1.1 600 X', b'HTTP/1.1 999 X', b'HTTP/1.1 1000 X', b'HTTP/1.1 -1 X', b'HTTP/1.1 20 X', b'HTTP/1.1  200 OK',
    b'HTTP/1.1 200OK', b'HTTP/2.0 200 OK', b'HTTP/1.2 200 OK', b'HTTP/0.9 200 OK', b'http/1.1 200 OK', b'ICY 200 OK', b'HTTP/1.1 204 No', b'HTTP/1.1 304 No',
    b'HTTP/1.1 101 Switching', b'HTTP/1.1 100 Continue', b'HTTP/1.1 200 O\0K', b'HTTP/1.1 200 O\rK', b'HTTP/1.1 200 OK\nX: y', b'', b'\r\nHTTP/1.1 200 OK',
    b' HTTP/1.1 200 OK', b'HTTP/1.1\t200 OK', b'HTTP/1.1 200\tOK', b'HTTP/1.1 2 0 OK', b'GET / HTTP/1.1', b'SSH-2.0-x', b'HTTP/1.1 205 Reset',
    b'HTTP/1.1 103 E\r\nX-A: b\r\n\r\nHTTP/1.1 200 OK', b'HTTP/1.1 103 E\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK',
    b'HTTP/1.1 100 C\r\n\r\n' * 20 + b'HTTP/1.1 200 OK', b'HTTP/1.1 100 C\r\n\r\n' * 3 + b'HTTP/1.1 200 OK')
RESPONSE_FRAMINGS = (
    (b'Content-Length: 5\r\n', b'hello'), (b'Transfer-Encoding: chunked\r\n', b'5\r\nhello\r\n0\r\n\r\n'), (b'', b'hello'), (b'Content-Length: 0\r\n', b''),
    (b'Transfer-Encoding: chunked\r\n', b'1;a\r\nh\r\n4\r\nello\r\n0\r\nX-T: 1\r\n\r\n'))
POISON = b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON'


def response_case(r):
    """(bytes, the request's method)."""
    line, fields, framing = r.choice(STATUS_LINES), r.choice(FIELDS), r.choice(RESPONSE_FRAMINGS)
    for _ in range(r.choice((1, 1, 2))):
        part = r.randrange(4)
        if part == 0:
            line = r.choice(ODD_STATUS_LINES)
        elif part == 1:
            fields += r.choice([f for f in ODD_FIELDS if b'pgrade' not in f])
        else:
            head, body = _framing(r)
            framing = head, body.replace(b'INNER', POISON)
    fields = fields.replace(b'<n>', b'%d' % len(POISON))
    raw = line + b'\r\n' + fields + framing[0] + b'\r\n' + framing[1]
    raw = raw.replace(b'<n>', b'%d' % len(POISON)).replace(b'HEX', b'%x' % len(POISON))
    if r.random() < 0.3:
        raw += r.choice((POISON, b'\r\n', b'\0', b'x'))
    return raw, b'HEAD' if r.random() < 0.15 else b'GET'


def rng(seed):
    return random.Random(seed)
