"""TLS clients in the lab's client namespace, and a load of them that must not notice anything."""
import ssl
import threading
import time

from lab import GATE4
from tap import check, wait_for


def context(lab, cert=None):
    """A client's: believes ca.crt, shows cert.crt."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.load_verify_locations(f'{lab.dir}/ca.crt')
    if cert:
        c.load_cert_chain(f'{lab.dir}/{cert}.crt', f'{lab.dir}/{cert}.key')
    return c


def handshake(lab, port=443, cert=None):
    return context(lab, cert).wrap_socket(lab.connect((GATE4, port)), server_hostname='nginx.test')


def ask(s):
    s.sendall(b'GET /hello HTTP/1.1\r\nHost: nginx.test\r\n\r\n')
    got = b''
    while not got.endswith(b'hello from nginx\n'):
        b = s.recv(4096)
        check(b, f'closed after {got!r}')
        got += b
    check(got.startswith(b'HTTP/1.1 200'), str(got))


def shown(lab, port, cert=None):
    """The certificate (DER) with which a request is answered."""
    with handshake(lab, port, cert) as s:
        ask(s)
        return s.getpeercert(True)


class Load:
    """One connection that stays, and new ones without end; every request must be answered."""

    def __init__(self, lab, port, cert=None):
        self.lab, self.port, self.cert, self.done, self.failed, self.n = lab, port, cert, False, None, 0
        self.threads = [threading.Thread(target=self._run, args=(fn,), daemon=True)
                        for fn in (self._stay, self._come)]

    def _run(self, fn):
        try:
            fn()
        except BaseException as e:  # pylint: disable=broad-except
            self.failed = e

    def _stay(self):
        with handshake(self.lab, self.port, self.cert) as s:
            while not self.done:
                ask(s)
                self.n += 1
                time.sleep(0.002)

    def _come(self):
        while not self.done:
            shown(self.lab, self.port, self.cert)
            self.n += 1

    def __enter__(self):
        for t in self.threads:
            t.start()
        wait_for(lambda: self.n > 20 or self.failed, 'the load')
        return self

    def __exit__(self, *exc):
        self.done = True
        for t in self.threads:
            t.join(30)
        if exc[0] is None and self.failed:
            raise self.failed


def becomes(lab, port, der, load=None, cert=None):
    """Until the certificate is shown; the load must have gone on meanwhile."""
    wait_for(lambda: shown(lab, port, cert) == der, 'the new certificate', 20, 0.02)
    if load:
        seen = load.n
        wait_for(lambda: load.n > seen + 20 or load.failed, 'more requests')
        check(not load.failed, f'a request failed: {load.failed!r}')
