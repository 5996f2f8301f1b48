"""One run: a system, tg_load around it, and what both used."""
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import time

from place import ADDRESSES, GENERATOR_CPU, LOAD, SYSTEM_CPU, netns
from peers import ALL
from systems import wait_for


def cpu_ticks(cpu):
    """(busy, steal) of a CPU in ns: all that is not idle, interrupts and the kernel's own threads included."""
    tick = 1000000000 // os.sysconf('SC_CLK_TCK')
    with open('/proc/stat', encoding='ascii') as f:
        for line in f:
            if line.startswith(f'cpu{cpu} '):
                v = [int(x) for x in line.split()[1:9]]
                return (sum(v) - v[3] - v[4] - v[7]) * tick, v[7] * tick
    raise RuntimeError(f'no CPU {cpu}')


def scheduled(tasks):
    """ns that tasks ran, and that they were runnable and waited for their CPU: others had it."""
    ran = late = 0
    for t in tasks:
        with open(t + '/schedstat', encoding='ascii') as f:
            a, b = f.read().split()[:2]
        ran, late = ran + int(a), late + int(b)
    return ran, late


class Generator:
    """tg_load; its events one at a time."""

    def __init__(self, system, args):
        p = system.place
        down, up, sni = system.tls()
        argv = [LOAD, '--cpu', GENERATOR_CPU, '--addresses', ADDRESSES, *system.load_args(), *args]
        if down:
            argv += ['--client-tls', ','.join(p.path(x) for x in ('ca.crt', 'client.crt', 'client.key')),
                     '--sni', sni]
        if up:
            argv += ['--origin-tls', ','.join(p.path(x) for x in ('ca.crt', 'origin.crt', 'origin.key'))]
        self.err = open(p.path('load.log'), 'w+', encoding='utf-8')
        self.proc = netns.popen(None, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err, text=True)

    def event(self, name):
        for line in self.proc.stdout:
            if not line.startswith('{'):
                continue
            e = json.loads(line)
            if e['event'] == name:
                return e
            if e['event'] == 'result':
                break
        self.proc.wait(10)
        self.err.seek(0)
        raise RuntimeError(f'tg_load ended with {self.proc.returncode} before "{name}": {self.err.read()[-1000:]}{line}')

    def go_on(self):
        self.proc.stdin.write('\n')
        self.proc.stdin.flush()

    def end(self):
        self.proc.stdin.close()
        netns.stop(self.proc, 5)
        self.err.close()


class Used:
    """Of the CPUs, between two moments."""

    def __init__(self, system):
        self.system = system
        self.at = time.monotonic()
        self.sample = system.sample()
        self.ticks = [cpu_ticks(c) for c in (SYSTEM_CPU, GENERATOR_CPU)]
        self.ran, self.late = scheduled(system.worker_tasks())

    def since(self, a):
        wall = (self.at - a.at) * 1e9
        return {'wall': wall, 'own': self.system.cpu_ns(a.sample, self.sample),
                'all': self.ticks[0][0] - a.ticks[0][0],
                'stolen': max(x[1] - y[1] for x, y in zip(self.ticks, a.ticks)) / wall,
                'ran': (self.ran - a.ran) / wall, 'waited': (self.late - a.late) / wall}


def run(name, place, work, table, seconds, warmup):
    """What one run of `work` gave, all figures."""
    with ALL[name](place, work, table) as system:
        g = Generator(system, [*work.args(), '--seconds', seconds, '--warmup', warmup])
        try:
            g.event('begin')
            a = Used(system)
            for _ in range(work.reloads):
                time.sleep(seconds / (work.reloads + 1))
                os.kill(system.proc.pid, signal.SIGHUP)
            g.event('end')
            b = Used(system)
            while not system.moved(a.sample, b.sample):
                time.sleep(0.01)
                b = Used(system)
            r = g.event('result')
        finally:
            g.end()
    w = r['window']
    # An open loop leaves requests behind where the system cannot keep up: that is a result, all else is an error.
    late = r['all']['unanswered'] if work.rate else 0
    if r['all']['errors'] > late or not w['responses']:
        raise RuntimeError(f'{name}: not every answer was right: {json.dumps(r["all"])}')
    n = b.sample['requests'] - a.sample['requests'] if 'requests' in a.sample else w['responses']
    return figures(work, r, b.since(a), n, name == 'tidegate')


SETTLE, TURN = 0.05, 0.2  # seconds


class Paused:
    """A system with its generator, both of which stand still but for their turns."""

    def __init__(self, stack, name, place, work, table, warmup):
        self.system = stack.enter_context(ALL[name](place, work, table))
        self.g = Generator(self.system, [*work.args(), '--seconds', 3600, '--warmup', warmup])
        stack.callback(self.g.end)
        stack.callback(self.signal, signal.SIGCONT)
        self.g.event('begin')
        self.signal(signal.SIGSTOP)

    def signal(self, which):
        for p in (self.g.proc, self.system.proc):
            if p.poll() is None:
                os.kill(p.pid, which)

    def moved_from(self, a):
        b = self.system.sample()
        return b if self.system.moved(a, b) else None

    def turn(self):
        """(ns of the CPU, requests) of the part of a turn in which it runs as if it had never stood still."""
        self.signal(signal.SIGCONT)
        time.sleep(SETTLE)
        a = self.system.sample()
        time.sleep(TURN)
        if self.g.proc.poll() is not None:
            raise RuntimeError(f'{self.system.name}: tg_load ended with {self.g.proc.returncode} before its time')
        b = wait_for(lambda: self.moved_from(a), f'{self.system.name}: a request', 10)
        self.signal(signal.SIGSTOP)
        return self.system.cpu_ns(a, b), b['requests'] - a['requests']


def times(name, places, works, table, seconds, warmup):
    """How many times the second work's CPU time a request of the first one takes: both systems run at once and take
    turns, several a second. What others do to the machine meets both alike; of two runs one after the other it often
    decides."""
    with contextlib.ExitStack() as stack:
        both = [Paused(stack, name, p, w, table, warmup) for p, w in zip(places, works)]
        turns = [[x.turn() for x in both] for _ in range(max(2, round(seconds / TURN)))]
    cpu, n = ([sum(t[i][k] for t in turns) for i in range(2)] for k in range(2))
    return cpu[0] / n[0] / (cpu[1] / n[1])


def figures(work, r, used, n, polls):
    """n: requests while `used` was used. polls: the system's thread never sleeps, what it was busy is its cost."""
    w, cpu = r['window'], used['own']
    generator = r['generator_busy'] * 1e9 * r['seconds'] / w['responses']
    return {'requests_per_second': w['responses'] / r['seconds'], 'cpu_ns_per_request': cpu / n,
            'connections_per_second': w['connections'] / r['seconds'],
            'gbit_per_second': w['body_bytes'] * 8e-9 / r['seconds'],
            'cpu_ns_per_kib': cpu / n / max(work.body / 1024, 1),
            'cores_per_1000_requests': cpu / n * 1e-6,
            'system_busy': cpu / used['wall'], 'cpu_share': used['ran'], 'generator_busy': r['generator_busy'],
            'generator_ns_per_request': generator,
            # Of both CPUs: all that the system's did, interrupts too, and what the generator's did for requests.
            'cpu_both_ns_per_request': generator + (cpu if polls else used['all']) / n,
            # Of that, what was stolen or given to others; the longest that the generator stood still.
            'stolen': used['stolen'], 'waited': used['waited'], 'hiccup_us': r['hiccup_us']['max'],
            **{p.replace('.', '_') + '_us': r['latency_us'][p] for p in ('p50', 'p90', 'p99', 'p99.9', 'max')},
            'requests': w['responses'], 'left_behind': r['all']['unanswered'], 'seconds': r['seconds'], 'curve': r['curve_us'] if work.rate else None}


def slab():
    with open('/proc/meminfo', encoding='ascii') as f:
        v = {line.split(':')[0]: int(line.split()[1]) * 1024 for line in f}
    return v['Slab'] + v['KernelStack'] + v['PageTables']


def small_pages():
    """Of what is started from now on: pages of 2 MiB would round what a few thousand connections take."""
    ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE


def idle_memory(name, place, work, table, levels):
    """Bytes of the process, and of the kernel for it, for each idle connection between two levels."""
    small_pages()
    with ALL[name](place, work, table) as system:
        g = Generator(system, [*work.args(), '--hold', ','.join(str(x) for x in levels)])
        held = []
        try:
            for _ in levels:
                g.event('held')
                time.sleep(1)
                held.append((system.resident(), slab()))
                g.go_on()
            r = g.event('result')
        finally:
            g.end()
    if r['all']['errors']:
        raise RuntimeError(f'{name}: {json.dumps(r["all"])}')
    shared = 0 if name == 'tidegate' else 0.5  # the other half of the kernel's is the generator's
    at = [(n, process + shared * kernel) for n, (process, kernel) in zip(levels, held)]
    n = levels[-1] - levels[0]
    process = (held[-1][0] - held[0][0]) / n
    kernel = shared * (held[-1][1] - held[0][1]) / n
    return {'bytes_per_idle_connection': process + kernel, 'process_bytes': process, 'kernel_bytes': kernel,
            'from': levels[0], 'to': levels[-1], 'curve': [[n, round(b - at[0][1])] for n, b in at]}
