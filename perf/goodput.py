#!/usr/bin/python3
"""Goodput over a lossy cable: Tidegate beside Linux, both against a Linux client, same seeds.

    perf/goodput.py [--loss 1] [--rtt 20] [--seeds 7] [--flows 4] [--size 4000000] [--out FILE]

Down: the client downloads, so what is measured is the sender: Tidegate (its L4 listener; the origin
behind it is on a clean cable) or a kernel socket with CUBIC at the same place. Up: the client
(CUBIC) uploads, and the receiver is measured. The cable is tests/e2e/lossylink.c: no rate limit, so
that flows do not disturb each other; of each seed's flows the goodputs are pooled. A flow's goodput
is its bytes by the time from its connect() to its last byte (up: to the receiver's answer that it
has everything). Buffers: Linux 4 MB at the most each way, grown by itself; Tidegate
per_connection_buffer_limit_bytes = 4 MiB. Runs of the two alternate, and Tidegate and lossylink run ahead of
other processes, as the kernel's TCP does, so that a busy machine troubles both alike.
"""
import argparse
import contextlib
import os
import platform
import socket
import statistics
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'e2e'))
# pylint: disable=wrong-import-position
import netns  # noqa: E402
from lab import GATE4, ORIGIN4, PREFIX, Lab  # noqa: E402
from lossy import BadCable  # noqa: E402

PORT_DOWN, PORT_UP = 9501, 9502
SYSCTLS = {'net.ipv4.tcp_no_metrics_save': '1', 'net.ipv4.tcp_rmem': '4096 131072 6291456',
           'net.ipv4.tcp_wmem': '4096 16384 4194304'}


def cubic(s):
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b'cubic')
    return s


class Server(threading.Thread):
    """Gives `size` bytes on one port, takes that many on the other and says so."""

    def __init__(self, ns, ip, size):
        super().__init__(daemon=True)
        self.data, self.size = os.urandom(1 << 20), size
        self.socks = []
        for port, serve in ((PORT_DOWN, self.give), (PORT_UP, self.take)):
            with netns.inside(ns):
                s = cubic(socket.socket())
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((ip, port))
            s.listen(64)
            self.socks.append(s)
            threading.Thread(target=self.accept, args=(s, serve), daemon=True).start()

    def accept(self, s, serve):
        while True:
            try:
                c = s.accept()[0]
            except OSError:
                return
            threading.Thread(target=serve, args=(c,), daemon=True).start()

    def give(self, c):
        left = self.size
        with c, contextlib.suppress(OSError):
            while left:
                left -= c.send(self.data[:min(left, len(self.data))])
            c.shutdown(socket.SHUT_WR)
            c.recv(1)

    def take(self, c):
        got = 0
        with c, contextlib.suppress(OSError):
            while got < self.size:
                b = c.recv(1 << 18)
                if not b:
                    return
                got += len(b)
            c.sendall(b'!')
            c.recv(1)


def one(ns, down, size, out):
    with netns.inside(ns):
        s = cubic(socket.socket())
    s.settimeout(300)
    start = time.monotonic()
    s.connect((GATE4, PORT_DOWN if down else PORT_UP))
    if down:
        got = 0
        while got < size:
            b = s.recv(1 << 18)
            if not b:
                raise AssertionError(f'{got} of {size} bytes')
            got += len(b)
    else:
        s.sendall(b'x' * size)
        if s.recv(1) != b'!':
            raise AssertionError('no answer')
    out.append(size * 8 / (time.monotonic() - start) / 1e6)
    s.close()


def flows(ns, down, args):
    """Mbit/s of each of the flows at once."""
    out = []
    ts = [threading.Thread(target=one, args=(ns, down, args.size, out)) for _ in range(args.flows)]
    for t in ts:
        t.start()
    for t in ts:
        t.join()
    if len(out) != args.flows:
        raise AssertionError('a flow failed')
    return out


class Kernel:
    """A lab in which the kernel stands at Tidegate's place."""

    def __init__(self, size):
        self.lab = f'{PREFIX}{os.getpid()}x91'
        self.script = os.path.join(ROOT, 'scripts', 'lab.sh')
        netns.run(None, [self.script, 'up', self.lab])
        self.client = f'{self.lab}-client'
        gate = f'{self.lab}-gate'
        netns.run(None, ['ip', '-n', gate, 'addr', 'add', f'{GATE4}/24', 'dev', 'tgn0'])
        self.cable = BadCable(self.lab)
        tune(gate)
        tune(self.client)
        self.server = Server(gate, GATE4, size)

    def close(self):
        self.cable.close()
        netns.run(None, [self.script, 'down', self.lab], check=False)


def prefer(*pids):
    """Ahead of whatever else the machine does: the kernel's TCP is served ahead of it too."""
    for pid in pids:
        for tid in os.listdir(f'/proc/{pid}/task'):
            with contextlib.suppress(OSError):
                os.sched_setscheduler(int(tid), os.SCHED_RR, os.sched_param(1))


def tune(ns):
    for k, v in SYSCTLS.items():
        netns.run(ns, ['sysctl', '-q', '-w', f'{k}={v}'])


class Gate(Lab):
    def __init__(self, size):
        self.cable, self.size = None, size

        def listener(name, port):
            return (f', {{ name = "{name}"; address = "{GATE4}:{port}"; protocol = "tcp"; '
                    f'cluster = "{name}"; per_connection_buffer_limit_bytes = "4MiB"; }}')

        def cluster(name, port):
            return (f', {{ name = "{name}"; per_connection_buffer_limit_bytes = "4MiB"; '
                    f'endpoints: ( {{ address = "{ORIGIN4}:{port}"; }} ); }}')
        super().__init__(
            nginx=False, allowed=None, before=self.cut,
            extra_listeners=listener('gdown', PORT_DOWN) + listener('gup', PORT_UP),
            extra_clusters=cluster('gdown', PORT_DOWN) + cluster('gup', PORT_UP))

    @staticmethod
    def cut(lab):
        lab.cable = BadCable(lab.name)
        lab.cable.set()
        tune(lab.client)
        tune(lab.origin)
        lab.server = Server(lab.origin, ORIGIN4, lab.size)

    def _down(self):
        super()._down()
        if self.cable:
            self.cable.close()


def measure(args, gate, kernel):
    """{(down, who): [Mbit/s of each flow]}, {(down, seed, who): median}"""
    pooled, by_seed = {}, {}
    for seed in range(1, args.seeds + 1):
        for down in (True, False):
            for who, lab in (('tidegate', gate), ('linux', kernel)):
                lab.cable.set(seed=seed, loss=args.loss, delay=args.rtt / 2)
                prefer(lab.cable.proc.pid)
                got = flows(lab.client, down, args)
                pooled.setdefault((down, who), []).extend(got)
                by_seed[down, seed, who] = statistics.median(got)
                print(f'# seed {seed} {"down" if down else "up"} {who}: '
                      + ' '.join(f'{g:.2f}' for g in got), file=sys.stderr, flush=True)
    return pooled, by_seed


def table(args, pooled, by_seed):
    lines = [
        f'Goodput at {args.loss:g}% loss each way and {args.rtt:g} ms round trip, Mbit/s: medians of '
        f'{args.seeds} seeds x {args.flows} flows of {args.size} bytes.',
        f'Linux {platform.release()}, {os.cpu_count()} CPUs; CUBIC on every side; lossylink without '
        'rate limit; load average ' + ' '.join(f'{x:.1f}' for x in os.getloadavg()) + '.',
        f'Command: perf/goodput.py --loss {args.loss:g} --rtt {args.rtt:g} --seeds {args.seeds} '
        f'--flows {args.flows} --size {args.size}', '',
        '| direction | Tidegate | Linux | Tidegate/Linux |', '|---|---|---|---|']
    worst = 9.9
    for down, text in ((True, 'download: the sender is measured'),
                       (False, 'upload: the receiver is measured')):
        t, k = (statistics.median(pooled[down, w]) for w in ('tidegate', 'linux'))
        worst = min(worst, t / k)
        lines.append(f'| {text} | {t:.2f} | {k:.2f} | {t / k:.3f} |')
    lines += ['', '| seed | down Tidegate | down Linux | up Tidegate | up Linux |',
              '|---|---|---|---|---|']
    for seed in range(1, args.seeds + 1):
        lines.append(f'| {seed} | ' + ' | '.join(
            f'{by_seed[d, seed, w]:.2f}' for d in (True, False)
            for w in ('tidegate', 'linux')) + ' |')
    return '\n'.join(lines) + '\n', worst


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    p.add_argument('--loss', type=float, default=1)
    p.add_argument('--rtt', type=float, default=20)
    p.add_argument('--seeds', type=int, default=7)
    p.add_argument('--flows', type=int, default=4)
    p.add_argument('--size', type=int, default=4_000_000)
    p.add_argument('--out')
    args = p.parse_args()
    with Gate(args.size) as gate, contextlib.closing(Kernel(args.size)) as kernel:
        prefer(gate.gate_pid())
        text, worst = table(args, *measure(args, gate, kernel))
    print(text)
    if args.out:
        with open(args.out, 'w', encoding='utf-8') as f:
            f.write(text)
    print(f'{"within" if worst >= 0.9 else "NOT within"} 10% of Linux')
    return 0 if worst >= 0.9 else 1


if __name__ == '__main__':
    sys.exit(main())
