"""What the machine is, as text that stands beside every figure."""
import functools
import os
import platform
import subprocess
import time

from place import GENERATOR_CPU, ROOT, SYSTEM_CPU, TIDEGATE
from peers import H2o, Haproxy, Nginx


def first_line(argv):
    try:
        p = subprocess.run(argv, capture_output=True, text=True, check=False)
        return (p.stdout + p.stderr).splitlines()[0]
    except (OSError, IndexError):
        return 'not there'


def read(path):
    try:
        with open(path, encoding='ascii', errors='replace') as f:
            return f.read().strip()
    except OSError:
        return '-'


def getppid_ns():
    """A system call that does nothing, less the loop around it; bare metal has some 40 to 60 ns."""
    def loop(call, n=50000):
        t = time.perf_counter_ns()
        for _ in range(n):
            call()
        return (time.perf_counter_ns() - t) / n
    return round(min(loop(os.getppid) for _ in range(5)) - min(loop(lambda: None) for _ in range(5)), 1)


def spin_slowdown():
    """How much slower a loop on one CPU is while the other one spins too: near 1 if they share no core."""
    code = ('import os,sys,time\nos.sched_setaffinity(0,{int(sys.argv[1])})\nn=0\ne=time.perf_counter()+0.3\n'
            'while time.perf_counter()<e: n+=1\nprint(n)')

    def start(cpu):
        return subprocess.Popen(['/usr/bin/python3', '-c', code, str(cpu)], stdout=subprocess.PIPE)
    alone = int(start(SYSTEM_CPU).communicate()[0])
    both = [start(c) for c in (SYSTEM_CPU, GENERATOR_CPU)]
    return round(alone / int([p.communicate()[0] for p in both][0]), 2)


@functools.lru_cache
def machine():
    model = next((x.split(':')[1].strip() for x in read('/proc/cpuinfo').splitlines() if x.startswith('model name')),
                 platform.machine())
    return {'cpu': model, 'cpus': os.cpu_count(), 'kernel': platform.release(), 'load': os.getloadavg()[0],
            'getppid_ns': getppid_ns(), 'spin_slowdown': spin_slowdown(),
            'huge_pages': read('/sys/kernel/mm/transparent_hugepage/enabled') + ', '
            + read('/proc/sys/vm/nr_hugepages') + ' reserved',
            'commit': first_line(['git', '-C', ROOT, 'describe', '--always', '--dirty']),
            'date': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()),
            'versions': {'nginx': first_line([Nginx.program(), '-v']), 'haproxy': first_line([Haproxy.program(), '-v']),
                         'h2o': first_line([H2o.program(), '-v']), 'openssl': first_line(['openssl', 'version']),
                         'tidegate': first_line([TIDEGATE, '--version'])}}


def text(m):
    v = m['versions']
    return (f'{m["date"]}, {m["commit"]}; {m["cpu"]}, {m["cpus"]} CPUs, Linux {m["kernel"]}, getppid {m["getppid_ns"]} ns, '
            f'load average {m["load"]:.1f}; {v["nginx"]}, {v["haproxy"].split(" 20")[0]}, {v["h2o"]}, '
            f'{v["openssl"]} (Debian 12 versions)')
