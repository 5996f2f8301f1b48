"""Load that judges every answer, for what must not be noticed."""
import threading

from lab import Background
from tap import note
from wire import Client, Closed, request


class Hammer:
    """Keep-alive clients in threads that ask one after the other and judge every answer."""

    def __init__(self, lab, n=8, ok=frozenset({200}), host='nginx.test', path='/hello',
                 may_close=False):
        self.lab, self.ok, self.host, self.path = lab, ok, host, path
        self.may_close = may_close
        self.stop = threading.Event()
        self.counts, self.wrong = {}, []
        self.threads = [Background(self.run) for _ in range(n)]

    def run(self):
        c = None
        while not self.stop.is_set():
            try:
                if c is None:
                    c = Client(self.lab.connect(timeout=20))
                r = c.ask(request('GET', self.path, self.host))
                self.counts[r.status] = self.counts.get(r.status, 0) + 1
                if r.status not in self.ok:
                    self.wrong.append(f'{r.status} {r.body[:80]!r}')
                if not r.keep_alive():
                    c.close()
                    c = None
            except (Closed, OSError) as e:
                quiet = isinstance(e, Closed) and not e.partial and self.may_close
                refused = isinstance(e, ConnectionRefusedError) and self.may_close
                if not quiet and not refused:
                    self.wrong.append(repr(e))
                if c:
                    c.close()
                c = None
                if self.may_close:
                    return
        if c:
            c.close()

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.result(30)
        note(f'answers: {self.counts}')
        return self.counts
