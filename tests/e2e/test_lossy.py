#!/usr/bin/python3
"""A Linux client behind a cable that loses, repeats and reorders: every byte arrives all the same."""
import hashlib
import os
import socket

from lab import GATE4, GATE6, Background, Lab, quick
from lossy import BadCable
from origin import pattern
from tap import case, check, equal, main
from wire import Client

# Loss in per cent, bytes each way: about as long for each.
SIZES = {0: quick(8_000_000, 2_000_000), 1: quick(4_000_000, 1_000_000),
         5: quick(1_000_000, 300_000), 20: quick(100_000, 40_000)}


class LossyLab(Lab):
    def __init__(self, **kw):
        self.cable = None
        super().__init__(before=self._cut, **kw)

    @staticmethod
    def _cut(lab):
        lab.cable = BadCable(lab.name)
        lab.cable.set()

    def _down(self):
        super()._down()
        if self.cable:
            self.cable.close()

    def check_end(self):
        self.cable.set()
        super().check_end()


def upload_l4(lab, addr, n):
    data = os.urandom(n)
    with Client(lab.connect(addr, timeout=100)) as c:
        c.send(data)
        c.sock.shutdown(socket.SHUT_WR)
        out, how = c.rest()
    equal(how, 'closed')
    count, digest = out.split()
    equal((int(count), digest.decode()), (n, hashlib.sha256(data).hexdigest()), 'upload')


def echo_l4(lab, addr, n):
    """Both ways at once."""
    data = os.urandom(n)
    with Client(lab.connect(addr, timeout=100)) as c:
        got = Background(c.exactly, n)
        c.send(data)
        equal(hashlib.sha256(got.result(110)).digest(), hashlib.sha256(data).digest(), 'echo')


def download_http(lab, host, v6, n):
    p = lab.curl(host, f'/bytes/{n}', v6=v6, timeout=110)
    equal(hashlib.sha256(p.stdout).digest(), hashlib.sha256(pattern(n)).digest(), 'download')


def upload_http(lab, host, v6, n):
    data = os.urandom(n)
    path = os.path.join(lab.dir, f'up-{os.getpid()}-{host}-{n}')
    with open(path, 'wb') as f:
        f.write(data)
    p = lab.curl(host, '/see', '-H', 'Expect:', '-T', path, v6=v6, timeout=110)
    check(hashlib.sha256(data).hexdigest().encode() in p.stdout, f'upload: {p.stdout[:300]}')
    os.unlink(path)


def everything(lab, n):
    jobs = [Background(upload_l4, lab, (GATE4, 9003), n),
            Background(echo_l4, lab, (GATE4, 9001), n),
            Background(echo_l4, lab, (GATE6, 9001), n),
            Background(download_http, lab, 'py.test', False, n),
            Background(download_http, lab, 'py6.test', True, n),
            Background(upload_http, lab, 'py.test', False, n),
            Background(upload_http, lab, 'py6.test', True, n)]
    for j in jobs:
        j.result(115)


def losing(lab, percent, **more):
    lab.cable.set(seed=percent + 1, loss=percent, delay=2, **more)
    everything(lab, SIZES[percent])


@case
def no_loss(lab):
    losing(lab, 0)


@case
def one_per_cent_each_way(lab):
    losing(lab, 1)


@case
def five_per_cent_each_way(lab):
    losing(lab, 5)


@case
def twenty_per_cent_each_way(lab):
    losing(lab, 20)


@case
def reordering_repeating_and_loss(lab):
    losing(lab, 1, reorder=5, dup=3, jitter=3)


@case
def slow_line_with_a_short_queue(lab):
    lab.cable.set(seed=9, delay=5, rate=50, queue=40)
    everything(lab, SIZES[5])


if __name__ == '__main__':
    main(lambda: LossyLab(nginx=False, allowed=None, empty_seconds=60))
