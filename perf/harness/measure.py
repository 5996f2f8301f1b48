"""One run: a system, tg_load around it, and what both used."""
import ctypes
import json
import os
import subprocess
import time

from place import ADDRESSES, GENERATOR_CPU, LOAD, SYSTEM_CPU, netns
from systems import ALL


def cpu_ticks(cpu):
    """(busy, steal) of a CPU in ns: all that is not idle, interrupts and the kernel's own threads included."""
    tick = 1000000000 // os.sysconf('SC_CLK_TCK')
    with open('/proc/stat', encoding='ascii') as f:
        for line in f:
            if line.startswith(f'cpu{cpu} '):
                v = [int(x) for x in line.split()[1:9]]
                return (sum(v) - v[3] - v[4] - v[7]) * tick, v[7] * tick
    raise RuntimeError(f'no CPU {cpu}')


def waited(tasks):
    """ns that runnable tasks waited for their CPU: others had it."""
    total = 0
    for t in tasks:
        with open(t + '/schedstat', encoding='ascii') as f:
            total += int(f.read().split()[1])
    return total


class Generator:
    """tg_load; its events one at a time."""

    def __init__(self, system, args):
        p, w = system.place, system.work
        argv = [LOAD, '--cpu', GENERATOR_CPU, '--addresses', ADDRESSES, *system.load_args(), *args]
        if w.tls_down:
            argv += ['--client-tls', ','.join(p.path(x) for x in ('ca.crt', 'client.crt', 'client.key')),
                     '--sni', 'load.test']
        if w.tls_up:
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


def run(name, place, work, table, seconds, warmup):
    """What one run of `work` gave, all figures."""
    with ALL[name](place, work, table) as system:
        g = Generator(system, [*work.args(), '--seconds', seconds, '--warmup', warmup])
        try:
            g.event('begin')
            a, ticks, late = system.sample(), cpu_ticks(SYSTEM_CPU), waited(system.worker_tasks())
            t = time.monotonic()
            g.event('end')
            wall = time.monotonic() - t
            b, ticks2, late2 = system.sample(), cpu_ticks(SYSTEM_CPU), waited(system.worker_tasks())
            r = g.event('result')
        finally:
            g.end()
    w = r['window']
    if r['all']['errors'] or not w['responses']:
        raise RuntimeError(f'{name}: not every answer was right: {json.dumps(r["all"])}')
    n = b['requests'] - a['requests'] if 'requests' in a else w['responses']
    cpu = system.cpu_ns(a, b)
    return {'requests_per_second': w['responses'] / r['seconds'], 'cpu_ns_per_request': cpu / n,
            'connections_per_second': w['connections'] / r['seconds'],
            'gbit_per_second': w['body_bytes'] * 8e-9 / r['seconds'],
            'cpu_ns_per_kib': cpu / n / max(work.body / 1024, 1),
            'system_busy': cpu / 1e9 / wall, 'generator_busy': r['generator_busy'],
            # All that the system's CPU did, and what of it was stolen or given to others.
            'cpu_all_ns_per_request': (ticks2[0] - ticks[0]) / n if table != 'best' or name != 'tidegate' else None,
            'stolen': (ticks2[1] - ticks[1]) / 1e9 / wall, 'waited': (late2 - late) / 1e9 / wall,
            **{p.replace('.', '_') + '_us': r['latency_us'][p] for p in ('p50', 'p90', 'p99', 'p99.9', 'max')},
            'requests': w['responses'], 'seconds': r['seconds']}


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
    n = levels[-1] - levels[0]
    kernel = 0 if name == 'tidegate' else (held[-1][1] - held[0][1]) / n / 2
    process = (held[-1][0] - held[0][0]) / n
    return {'bytes_per_idle_connection': process + kernel, 'process_bytes': process, 'kernel_bytes': kernel,
            'from': levels[0], 'to': levels[-1]}
