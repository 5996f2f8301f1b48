#!/usr/bin/python3
"""An origin that does as it is told: slow, failing, resetting, hanging, lying; and that remembers.

HTTP on PORT_HTTP. The target says what to do:

  /echo             the request's body back, with its own framing (Content-Length or chunked)
  /see              JSON of what arrived: method, target, fields, body's length and SHA-256
  /bytes/N          N bytes of a known pattern; ?chunked=1 ?rate=BYTES/S ?delay=S ?md=1 (sha256 field)
  /status/N         that status, a short body
  /raw/KEY          the bytes stored under KEY (control: raw), nothing else
  /hang             no answer, for ever          /hang-mid    a head, half a body, silence
  /reset            RST before an answer         /reset-mid   RST after half the body
  /close            FIN before an answer         /close-mid   FIN after half the body
  /slow?delay=S     an answer after S seconds
  /hold/KEY         an answer when told to (control: arm, release); ?delay=S: after S seconds. How many are
                    under way at once, and were at most, is counted by KEY (control: held)
  /flaky/KEY?fails=N&how=X   the first N under a key fail: X is a status, reset, close or hang; then as /see
  /told/KEY        as KEY.v4 or KEY.v6, by the address it came to, was told to (control: tell): a status, reset, close
                    or hang; 200 at first. Counted by that key
  /second/KEY       503 to a first try (x-envoy-attempt-count), any other waits as with /hold
  /early            103 Early Hints, then 200    /refuse      417 to Expect, body not read
  /trailers         chunked with a trailer       /until-close HTTP/1.0, body ends with the connection
  /no-content 204   /not-modified 304            /last        200 with Connection: close
  /quit-idle        200 with keep-alive, then closes without a word; ?gap: a little later

Every request is remembered byte for byte (control: requests). A request that a strict reader of
RFC 9112 would not take is remembered as a breach: whoever sent it let something through.

TCP on PORT_ECHO (echo), PORT_GREET (speaks first), PORT_COUNT (counts until FIN, answers the count
and the SHA-256), PORT_GIVE (64 KiB, FIN, then reads on), PORT_DEAF (never reads), PORT_RST (resets
what it accepts); a WebSocket echo on PORT_WS.

The control socket (unix, one JSON object a line each way) is the test's.
"""
import asyncio
import base64
import collections
import hashlib
import json
import re
import signal
import socket
import struct
import sys
import urllib.parse

PORT_HTTP, PORT_WS = 8081, 8083
PORT_ECHO, PORT_GREET, PORT_COUNT, PORT_GIVE, PORT_DEAF, PORT_RST = 9001, 9002, 9003, 9004, 9005, 9006

HEAD_MAX = 1 << 20
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb'(' + TOKEN + rb') ([\x21-\x7e]+) HTTP/1\.([01])\Z')
FIELD = re.compile(rb'(' + TOKEN + rb'):[ \t]*([\x21-\x7e\x80-\xff]?(?:[\t \x21-\x7e\x80-\xff]*'
                   rb'[\x21-\x7e\x80-\xff])?)[ \t]*\Z')
CHUNK_SIZE = re.compile(rb'([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n\Z')


def pattern(n, offset=0):
    """Bytes [offset, offset + n) of the known stream: period 251, so that no power of two hides."""
    unit = bytes(range(251))
    start = offset % 251
    return (unit * (n // 251 + 2))[start:start + n]


class Breach(Exception):
    """What a strict reader does not take."""


class Request:
    def __init__(self, head):
        self.head = head
        lines = head[:-4].split(b'\r\n')
        m = REQUEST_LINE.match(lines[0])
        if not m:
            raise Breach(f'request line {lines[0]!r}')
        self.method, self.target = m.group(1).decode(), m.group(2).decode()
        self.minor = int(m.group(3))
        self.fields = []
        for line in lines[1:]:
            m = FIELD.match(line)
            if not m:
                raise Breach(f'field line {line!r}')
            self.fields.append((m.group(1).decode().lower(), m.group(2).decode('latin-1')))
        self._framing()
        url = urllib.parse.urlsplit(self.target)
        self.path, self.query = url.path, dict(urllib.parse.parse_qsl(url.query))

    def all(self, name):
        return [v for k, v in self.fields if k == name]

    def get(self, name):
        v = self.all(name)
        return v[0] if v else None

    def _framing(self):
        te, cl = self.all('transfer-encoding'), self.all('content-length')
        if te and cl:
            raise Breach('both Transfer-Encoding and Content-Length')
        if len(cl) > 1 or (cl and not re.fullmatch(r'[0-9]{1,19}', cl[0])):
            raise Breach(f'Content-Length {cl!r}')
        if te and [t.lower() for t in te] != ['chunked']:
            raise Breach(f'Transfer-Encoding {te!r}')
        if self.minor == 1 and len(self.all('host')) != 1:
            raise Breach(f'{len(self.all("host"))} Host fields')
        self.chunked = bool(te)
        self.length = int(cl[0]) if cl else 0

    def keep_alive(self):
        words = [w.strip().lower() for v in self.all('connection') for w in v.split(',')]
        return 'close' not in words and (self.minor == 1 or 'keep-alive' in words)


class Hold:
    """Requests that wait for a word."""

    def __init__(self):
        self.now = self.most = self.total = 0
        self.free = asyncio.Event()


class Origin:
    def __init__(self):
        self.seen = collections.deque(maxlen=20000)
        self.breaches = []
        self.raw = {}
        self.conns = 0
        self.open = set()
        self.given = []
        self.deaf = []
        self.counts = collections.Counter()
        self.holds = collections.defaultdict(Hold)
        self.flaky = collections.Counter()
        self.told = {}

    # --- HTTP ---

    async def http(self, reader, writer):
        conn = self.conns = self.conns + 1
        self.open.add(writer)
        self.counts['connections'] += 1
        seq = 0
        try:
            while True:
                head = await self._head(reader)
                if head is None:
                    return
                seq += 1
                try:
                    req = Request(head)
                except Breach as e:
                    self._breach(conn, seq, head, str(e))
                    return
                note = {'conn': conn, 'seq': seq, 'head': base64.b64encode(head).decode(),
                        'method': req.method, 'target': req.target, 'length': 0, 'done': False}
                self.seen.append(note)
                self.counts['requests'] += 1
                if not await self.answer(req, reader, writer, note):
                    return
        except Breach as e:
            self._breach(conn, seq, b'', str(e))
        except ConnectionResetError:
            self.counts['reset'] += 1
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()

    def _breach(self, conn, seq, head, text):
        self.breaches.append({'conn': conn, 'seq': seq, 'text': text,
                              'head': base64.b64encode(head[:4096]).decode()})

    @staticmethod
    async def _head(reader):
        try:
            return await reader.readuntil(b'\r\n\r\n')
        except asyncio.IncompleteReadError as e:
            if e.partial:
                raise Breach(f'connection ended inside a head: {e.partial[:200]!r}') from None
            return None

    @staticmethod
    async def body(req, reader):
        """Yields the body's pieces; strict about every byte of its framing."""
        if not req.chunked:
            left = req.length
            while left:
                b = await reader.read(min(left, 262144))
                if not b:
                    raise asyncio.IncompleteReadError(b'', left)
                left -= len(b)
                yield b
            return
        while True:
            line = await reader.readuntil(b'\n')
            m = CHUNK_SIZE.match(line)
            if not m:
                raise Breach(f'chunk size line {line!r}')
            left = int(m.group(1), 16)
            if left == 0:
                break
            while left:
                b = await reader.read(min(left, 262144))
                if not b:
                    raise asyncio.IncompleteReadError(b'', left)
                left -= len(b)
                yield b
            if await reader.readexactly(2) != b'\r\n':
                raise Breach('no CRLF after a chunk')
        while True:
            line = await reader.readuntil(b'\n')
            if line == b'\r\n':
                return
            if not FIELD.match(line[:-2]) or line[-2:] != b'\r\n':
                raise Breach(f'trailer line {line!r}')
            req.fields.append(('trailer:' + line.split(b':')[0].decode().lower(),
                               line.split(b':', 1)[1].strip().decode('latin-1')))

    async def read_all(self, req, reader, writer, note):
        if (req.get('expect') or '').lower() == '100-continue':
            note['expect'] = True
            writer.write(b'HTTP/1.1 100 Continue\r\n\r\n')
        rate = float(req.query.get('rate', 0)) if req.method in ('POST', 'PUT') else 0
        h = hashlib.sha256()
        small = b''
        async for b in self.body(req, reader):
            note['length'] += len(b)
            h.update(b)
            if len(small) < 65536:
                small += b
            if rate:
                await asyncio.sleep(len(b) / rate)
        note['done'], note['sha256'] = True, h.hexdigest()
        return small

    async def answer(self, req, reader, writer, note):
        what = req.path.split('/')[1] if req.path.startswith('/') else ''
        fn = getattr(self, 'do_' + what.replace('-', '_'), None)
        if fn and getattr(fn, 'raw', False):
            return await fn(req, reader, writer, note)
        body = await self.read_all(req, reader, writer, note)
        if fn is None:
            fn = self.do_default
        return await fn(req, writer, note, body)

    async def reply(self, req, writer, status, body=b'', fields=(), close=False):
        keep = req.keep_alive() and not close
        lines = [f'HTTP/1.1 {status} Told', 'Server: origin']
        lines += [f'{k}: {v}' for k, v in fields]
        if status >= 200 and status not in (204, 304):
            lines.append(f'Content-Length: {len(body)}')
        if not keep:
            lines.append('Connection: close')
        writer.write('\r\n'.join(lines).encode('latin-1') + b'\r\n\r\n')
        if req.method != 'HEAD' and status not in (204, 304):
            writer.write(body)
        await writer.drain()
        return keep

    async def do_default(self, req, writer, note, body):
        return await self.do_see(req, writer, note, body)

    async def do_see(self, req, writer, note, body):
        text = json.dumps({'method': req.method, 'target': req.target, 'minor': req.minor,
                           'fields': req.fields, 'length': note['length'],
                           'sha256': note['sha256'], 'conn': note['conn']}).encode()
        return await self.reply(req, writer, 200, text, [('Content-Type', 'application/json')])

    async def do_status(self, req, writer, note, body):
        status = int(req.path.split('/')[2])
        return await self.reply(req, writer, status, b'told so\n')

    async def do_slow(self, req, writer, note, body):
        await asyncio.sleep(float(req.query.get('delay', '1')))
        return await self.reply(req, writer, 200, b'at last\n')

    async def do_hold(self, req, writer, note, body):
        h = self.holds[req.path.split('/')[2]]
        h.now += 1
        h.total += 1
        h.most = max(h.most, h.now)
        try:
            if 'delay' in req.query:
                await asyncio.sleep(float(req.query['delay']))
            else:
                await h.free.wait()
        finally:
            h.now -= 1
        return await self.reply(req, writer, 200, b'held\n')

    async def do_second(self, req, writer, note, body):
        if req.get('x-envoy-attempt-count') == '1':
            return await self.reply(req, writer, 503, b'not yet\n')
        return await self.do_hold(req, writer, note, body)

    async def do_flaky(self, req, writer, note, body):
        key, how = req.path.split('/')[2], req.query['how']
        self.flaky[key] += 1
        if self.flaky[key] > int(req.query['fails']):
            return await self.do_see(req, writer, note, body)
        if how == 'hang':
            return await self.do_hang(req, writer, note, body)
        if how == 'reset':
            return self.reset(writer)
        return how != 'close' and await self.reply(req, writer, int(how), b'flaky\n')

    async def do_told(self, req, writer, note, body):
        v4 = writer.get_extra_info('sockname')[0].startswith('::ffff:')
        key = req.path.split('/')[2] + ('.v4' if v4 else '.v6')
        self.counts[key] += 1
        how = self.told.get(key, '200')
        if how == 'hang':
            return await self.do_hang(req, writer, note, body)
        if how == 'reset':
            return self.reset(writer)
        more = [('x-envoy-degraded', '1')] if how == 'degraded' else []
        return how != 'close' and await self.reply(req, writer, 200 if more else int(how), b'as told\n', more)

    async def do_echo(self, req, reader, writer, note):
        writer.write(b'HTTP/1.1 200 Told\r\n' +
                     (b'Transfer-Encoding: chunked\r\n\r\n' if req.chunked else
                      b'Content-Length: %d\r\n\r\n' % req.length))
        async for b in self.body(req, reader):
            note['length'] += len(b)
            writer.write(b'%x\r\n%b\r\n' % (len(b), b) if req.chunked else b)
            await writer.drain()
        if req.chunked:
            writer.write(b'0\r\n\r\n')
        note['done'] = True
        await writer.drain()
        return req.keep_alive()
    do_echo.raw = True

    async def do_bytes(self, req, writer, note, body):
        n = int(req.path.split('/')[2])
        chunked, rate = 'chunked' in req.query, float(req.query.get('rate', 0))
        await asyncio.sleep(float(req.query.get('delay', 0)))
        fields = 'HTTP/1.1 200 Told\r\nContent-Type: application/octet-stream\r\n'
        if 'md' in req.query:
            fields += f'X-Sha256: {hashlib.sha256(pattern(n)).hexdigest()}\r\n'
        fields += 'Transfer-Encoding: chunked\r\n' if chunked else f'Content-Length: {n}\r\n'
        writer.write(fields.encode() + b'\r\n')
        sent = 0
        note['sent'] = 0
        while sent < n and req.method != 'HEAD':
            step = min(n - sent, 65536 if not rate else max(1, int(rate / 20)))
            b = pattern(step, sent)
            writer.write(b'%x\r\n%b\r\n' % (len(b), b) if chunked else b)
            await writer.drain()
            sent += step
            note['sent'] = sent
            if rate:
                await asyncio.sleep(step / rate)
        if chunked and req.method != 'HEAD':
            writer.write(b'0\r\n\r\n')
        await writer.drain()
        return req.keep_alive()

    async def do_raw(self, req, writer, note, body):
        entry = self.raw[req.path.split('/')[2]]
        for b in entry['pieces']:
            writer.write(base64.b64decode(b))
            await writer.drain()
            if entry.get('pause'):
                await asyncio.sleep(entry['pause'])
        if entry['then'] == 'reset':
            return self.reset(writer)
        if entry['then'] == 'hang':
            await asyncio.sleep(3600)
        return entry['then'] == 'keep'

    @staticmethod
    def reset(writer):
        writer.get_extra_info('socket').setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        writer.transport.abort()
        return False

    async def do_hang(self, req, writer, note, body):
        await asyncio.sleep(3600)

    async def do_reset(self, req, writer, note, body):
        return self.reset(writer)

    async def do_close(self, req, writer, note, body):
        return False

    async def _half(self, writer):
        writer.write(b'HTTP/1.1 200 Told\r\nContent-Length: 20000\r\n\r\n' + pattern(10000))
        await writer.drain()
        await asyncio.sleep(0.1)

    async def do_hang_mid(self, req, writer, note, body):
        await self._half(writer)
        await asyncio.sleep(3600)

    async def do_reset_mid(self, req, writer, note, body):
        await self._half(writer)
        return self.reset(writer)

    async def do_close_mid(self, req, writer, note, body):
        await self._half(writer)
        return False

    async def do_early(self, req, writer, note, body):
        writer.write(b'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n')
        await writer.drain()
        await asyncio.sleep(0.05)
        return await self.reply(req, writer, 200, b'late\n')

    async def do_refuse(self, req, reader, writer, note):
        writer.write(b'HTTP/1.1 417 Told\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n')
        await writer.drain()
        return False
    do_refuse.raw = True

    async def do_trailers(self, req, writer, note, body):
        writer.write(b'HTTP/1.1 200 Told\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n'
                     b'5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n')
        await writer.drain()
        return req.keep_alive()

    async def do_until_close(self, req, writer, note, body):
        writer.write(b'HTTP/1.0 200 Told\r\nContent-Type: text/plain\r\n\r\nuntil the end\n')
        await writer.drain()
        return False

    async def do_no_content(self, req, writer, note, body):
        return await self.reply(req, writer, 204)

    async def do_not_modified(self, req, writer, note, body):
        return await self.reply(req, writer, 304, fields=[('ETag', '"x"')])

    async def do_last(self, req, writer, note, body):
        return await self.reply(req, writer, 200, b'last\n', close=True)

    async def do_quit_idle(self, req, writer, note, body):
        text = b'HTTP/1.1 200 Told\r\nContent-Length: 10\r\n\r\nsoon gone\n'
        if 'gap' in req.query:
            writer.write(text)
            writer.get_extra_info('socket').shutdown(socket.SHUT_RDWR)
            return False
        # The FIN in the packet of the answer: nothing can arrive between them.
        with socket.fromfd(writer.get_extra_info('socket').fileno(), socket.AF_INET6,
                           socket.SOCK_STREAM) as s:
            s.send(text, socket.MSG_MORE)
            s.shutdown(socket.SHUT_RDWR)
        return False

    # --- TCP ---

    def tcp(self, fn):
        async def run(reader, writer):
            self.counts['tcp'] += 1
            self.open.add(writer)
            try:
                await fn(reader, writer)
            except (ConnectionError, OSError):
                pass
            finally:
                self.open.discard(writer)
                if writer not in self.deaf:
                    writer.close()
        return run

    async def tcp_echo(self, reader, writer):
        while True:
            b = await reader.read(65536)
            if not b:
                return
            writer.write(b)
            await writer.drain()

    async def tcp_greet(self, reader, writer):
        writer.write(b'hello\n')
        await writer.drain()
        await self.tcp_echo(reader, writer)

    async def tcp_count(self, reader, writer):
        n, h = 0, hashlib.sha256()
        while True:
            b = await reader.read(262144)
            if not b:
                break
            n += len(b)
            h.update(b)
        writer.write(f'{n} {h.hexdigest()}\n'.encode())
        await writer.drain()

    async def tcp_give(self, reader, writer):
        writer.write(pattern(65536))
        await writer.drain()
        writer.write_eof()
        n = 0
        while True:
            b = await reader.read(65536)
            if not b:
                break
            n += len(b)
        self.given.append(n)

    async def tcp_deaf(self, reader, writer):
        writer.transport.pause_reading()
        self.deaf.append(writer)

    async def tcp_rst(self, reader, writer):
        self.reset(writer)

    # --- control ---

    async def control(self, reader, writer):
        while True:
            line = await reader.readline()
            if not line:
                break
            q = json.loads(line)
            a = getattr(self, 'ctl_' + q.pop('cmd'))(**q)
            writer.write(json.dumps(a).encode() + b'\n')
            await writer.drain()
        writer.close()

    def ctl_requests(self, prefix='', clear=False):
        got = [s for s in self.seen if s['target'].startswith(prefix)]
        if clear:
            self.seen.clear()
        return got

    def ctl_breaches(self, clear=False):
        got = list(self.breaches)
        if clear:
            self.breaches.clear()
        return got

    def ctl_raw(self, entries):
        self.raw.update(entries)
        return len(entries)

    def ctl_counts(self):
        return dict(self.counts, open=len(self.open), given=self.given)

    def ctl_held(self, key):
        h = self.holds[key]
        return {'now': h.now, 'most': h.most, 'total': h.total}

    def ctl_release(self, key):
        """Lets go of all that wait under a key, and of those that come."""
        self.holds[key].free.set()

    def ctl_tell(self, key, how):
        self.told[key] = how

    def ctl_arm(self, key):
        """From now on they wait, and are counted anew."""
        self.holds[key] = Hold()

    def ctl_hangup(self):
        """Ends every connection, deaf ones too."""
        n = len(self.open) + len(self.deaf)
        for w in list(self.open) + self.deaf:
            w.transport.abort()
        self.deaf.clear()
        return n


def listener(port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.bind(('::', port))
    s.listen(4096)
    return s


async def serve(path):
    o = Origin()
    for port, fn in ((PORT_ECHO, o.tcp_echo), (PORT_GREET, o.tcp_greet), (PORT_COUNT, o.tcp_count),
                     (PORT_GIVE, o.tcp_give), (PORT_DEAF, o.tcp_deaf), (PORT_RST, o.tcp_rst)):
        await asyncio.start_server(o.tcp(fn), sock=listener(port), limit=1 << 18)
    await asyncio.start_server(o.http, sock=listener(PORT_HTTP), limit=HEAD_MAX)
    try:
        import websockets

        async def echo(ws, _path=None):
            async for message in ws:
                await ws.send(message)
        await websockets.serve(echo, sock=listener(PORT_WS), max_size=1 << 26, ping_interval=None)
    except ImportError:
        pass  # the WebSocket test says that it was skipped
    await asyncio.start_unix_server(o.control, path, limit=1 << 26)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


if __name__ == '__main__':
    asyncio.run(serve(sys.argv[1]))
