"""TLS peers: other people's servers and clients beside Tidegate, and what each says to a certificate."""
import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import threading

import netns
from tap import check, wait_for


def client_context(lab, cert=None, ca='ca', version=ssl.TLSVersion.TLSv1_3):
    """A client that believes in ca and shows cert, however bad that is."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.minimum_version = c.maximum_version = version
    c.set_ciphers('DEFAULT:@SECLEVEL=0')
    c.load_verify_locations(f'{lab.dir}/{ca}.crt')
    if cert:
        c.load_cert_chain(f'{lab.dir}/{cert}.crt', f'{lab.dir}/{cert}.key')
    return c


def server_context(lab, cert, ca=None):
    """A server that shows cert; ca: asks for clients' certificates and believes in it."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.minimum_version = ssl.TLSVersion.TLSv1_3
    c.set_ciphers('DEFAULT:@SECLEVEL=0')
    c.load_cert_chain(f'{lab.dir}/{cert}.crt', f'{lab.dir}/{cert}.key')
    if ca:
        c.load_verify_locations(f'{lab.dir}/{ca}.crt')
        c.verify_mode = ssl.CERT_REQUIRED
    return c


def alert_of(e):
    """'BAD_CERTIFICATE' of an ssl.SSLError that an alert caused; else its whole text."""
    reason = getattr(e, 'reason', None) or str(e)
    return reason.split('ALERT_', 1)[1] if 'ALERT_' in reason else reason


def answer_to(ctx, sock, name, ask=b''):
    """What a server says to a client: the name of its alert, or ''. ask: what is sent first."""
    try:
        with ctx.wrap_socket(sock, server_hostname=name) as s:
            s.sendall(ask) if ask else None
            while s.recv(65536):
                pass
        return ''
    except TimeoutError:
        return '' if not ask else 'no answer'  # it waits for a request: the client is welcome
    except ssl.SSLEOFError:
        return 'no alert'
    except ssl.SSLError as e:
        return alert_of(e)


def connect(ns, addr, timeout=10):
    with netns.inside(ns):
        s = socket.socket(socket.AF_INET6 if ':' in addr[0] else socket.AF_INET)
    s.settimeout(timeout)
    s.connect(addr)
    return s


def accepts(ns, addr):
    try:
        connect(ns, addr).close()
        return True
    except OSError:
        return False


def program(name):
    found = shutil.which(name) or shutil.which(name, path='/usr/sbin:/usr/local/sbin')
    check(found, f'{name} is not installed: scripts/setup.sh')
    return found


def start(lab, ns, argv, port, log, ip='127.0.0.1', **kw):
    """A server in a namespace; ends with the lab. Waits until it accepts."""
    with open(os.path.join(lab.dir, log), 'ab') as out:
        p = netns.popen(ns, [program(argv[0]), *argv[1:]], stdout=out, stderr=out,
                        stdin=kw.pop('stdin', subprocess.DEVNULL), **kw)
    lab.procs.append(p)

    def up():
        if p.poll() is not None:
            with open(os.path.join(lab.dir, log), encoding='utf-8', errors='replace') as f:
                raise AssertionError(f'{argv[0]} ended:\n{f.read()[-3000:]}')
        return accepts(ns, (ip, port))
    wait_for(up, f'{argv[0]} at {port}', 15)
    return p


class Origin:
    """A TLS server of Python's in the origin's namespace that shows what it is told to, and notes how each
    connection ended: (alert, bytes that came)."""

    def __init__(self, lab, port, addr='0.0.0.0', keep=False, echo=False):
        """keep: connections stay open for further requests; echo: raw bytes go back instead of answers."""
        self.ctx = None
        self.ends = []
        self.keep, self.echo = keep, echo
        self.open = set()
        with netns.inside(lab.origin):
            self.sock = socket.create_server((addr, port), reuse_port=True)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                raw, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(raw,), daemon=True).start()

    def _one(self, raw):
        raw.settimeout(20)
        alert, got = '', b''
        try:
            with self.ctx.wrap_socket(raw, server_side=True) as s:
                self.open.add(s)
                while b := s.recv(65536):
                    got += b
                    if self.echo:
                        s.sendall(b)
                    elif got.endswith(b'\r\n\r\n'):
                        s.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n'
                                  + (b'' if self.keep else b'Connection: close\r\n') + b'\r\nok\n')
                        if not self.keep:
                            break
                with contextlib.suppress(OSError, ValueError):
                    s.unwrap()
        except ssl.SSLError as e:
            alert = alert_of(e)
        except OSError as e:
            alert = str(e)
        finally:
            self.open = {s for s in self.open if s.fileno() >= 0}
        self.ends.append((alert, got))

    def next_end(self, before):
        """How the connection after the first `before` ones ended."""
        return wait_for(lambda: self.ends[before:] or None, 'the end of a connection')[0]

    def hang_up(self):
        """Ends what is open."""
        for s in self.open:
            s.shutdown(socket.SHUT_RDWR)


def ask(s, path='/hello', host='nginx.test', more=''):
    s.sendall(f'GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n'.encode())
    got = b''
    while b'\r\n\r\n' not in got:
        b = s.recv(65536)
        check(b, f'closed after {got!r}')
        got += b
    head, _, body = got.partition(b'\r\n\r\n')
    n = next(int(x.split(b':')[1]) for x in head.split(b'\r\n') if x.lower().startswith(b'content-length'))
    while len(body) < n:
        b = s.recv(65536)
        check(b, 'body cut')
        body += b
    return head.decode(), body


def mutate(rng, b):
    b = bytearray(b)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(b) + 1)
        how = rng.randrange(4)
        if how == 0:
            b[at:at + 1] = rng.randbytes(1)
        elif how == 1:
            del b[at:at + rng.randrange(1, 20)]
        elif how == 2:
            b[at:at] = rng.randbytes(rng.randrange(1, 20))
        else:
            del b[at:]
    return bytes(b)
