#!/usr/bin/python3
"""Instructions in user space for one request through the whole program, by callgrind: Tidegate (TCP and drivers
included) beside haproxy (whose TCP is the kernel's, and is not counted).

    perf/callgrind.py [plain] [mtls] [--systems tidegate,haproxy[,nginx,h2o]] [--seconds S] [--connections N] [--markdown]
                      [--top N]

Each system runs the work of perf/run.sh (keep-alive, closed loop, everything verified) twice under valgrind, for a short
and for a long time, with tg_load outside of it. What the second run executed more is divided by the requests that it
served more, so start, handshakes and end drop out. Of Tidegate a third run, at a few requests a second, tells what a
turn without work costs: those are taken off. Needs root; about half a minute for each system and work.
--top N: the functions with most instructions of their own, of the long run.

Under valgrind the system is slow and its peer is not, so it always finds work: bursts are as full as the connections
make them. Valgrind's CPU has AVX2, and neither AVX-512 nor VAES.
"""
import argparse
import dataclasses
import glob
import json
import os
import re
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, 'harness'))
# pylint: disable=wrong-import-position
import measure  # noqa: E402
from place import Place  # noqa: E402
from scenarios import SCENARIOS  # noqa: E402
from peers import ALL  # noqa: E402

SHORT = 2


def counted(base):
    """The system, under callgrind, whose output goes into the lab's folder."""
    class Counted(base):
        name = base.name

        def spawn(self, argv):
            argv = argv[3:] if argv[0] == 'taskset' else argv
            super().spawn(['valgrind', '--tool=callgrind', '--fair-sched=yes', '--trace-children=yes',
                           f'--callgrind-out-file={self.place.dir}/callgrind.%p', *argv])

        def stop(self):
            if self.proc:
                measure.netns.stop(self.proc, 30)

    return Counted


def instructions(place):
    """Of all processes of the last run; the files are taken away."""
    total = 0
    for path in glob.glob(place.path('callgrind.*')):
        with open(path, encoding='utf-8', errors='replace') as f:
            total += sum(int(x) for x in re.findall(r'^totals: (\d+)', f.read(), re.M))
        os.replace(path, place.path('last.' + os.path.basename(path)))
    if not total:
        raise RuntimeError('callgrind wrote nothing')
    return total


def empty_turns(system):
    text = system.get('/stats')
    turns, busy = (int(re.search(f'^worker.0.{x}: (\\d+)$', text, re.M)[1]) for x in ('turns', 'turns_busy'))
    return turns - busy


def run(place, base, work, seconds):
    """(instructions, requests, turns without work) of a run from start to end."""
    for path in glob.glob(place.path('last.*')):
        os.unlink(path)
    with counted(base)(place, work, 'best') as system:
        g = measure.Generator(system, [*work.args(), '--seconds', seconds, '--warmup', 1, '--patience', 60])
        try:
            g.event('begin')
            g.event('end')
            empty = empty_turns(system) if base.name == 'tidegate' else 0
            r = g.event('result')
        finally:
            g.end()
    if r['all']['errors'] or not r['all']['responses']:
        raise RuntimeError(f'{base.name}: not every answer was right: {json.dumps(r["all"])}')
    return instructions(place), r['all']['responses'], empty


def solve(few, many, idle):
    """Instructions a request, and for a turn without work. Each run: fixed + each * requests + turn * empty turns."""
    (i, r, e), (i2, r2, e2) = ((x - y for x, y in zip(run_, few)) for run_ in (many, idle or many))
    turn = (i2 * r - i * r2) / (e2 * r - e * r2) if idle else 0
    return (i - turn * e) / r, turn


def top(place, n):
    """The busiest functions of the last run."""
    path = max(glob.glob(place.path('last.*')), key=os.path.getsize)
    out = subprocess.run(['callgrind_annotate', '--threshold=99', path], capture_output=True, text=True, check=True).stdout
    lines = [x for x in out.splitlines() if re.match(r'^\s*[\d,]+ \(', x)]
    for line in lines[1:n + 1]:
        print('    ' + re.sub(r'\S*/', '', line.split('[')[0]).strip())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('work', nargs='*', help='plain, mtls (both)')
    p.add_argument('--systems', default='tidegate,haproxy')
    p.add_argument('--seconds', type=int, default=8)
    p.add_argument('--connections', type=int, default=0, help='64; with TLS 16, lest handshakes take longer than they may')
    p.add_argument('--markdown', action='store_true')
    p.add_argument('--top', type=int, default=0)
    args = p.parse_args()
    if args.markdown:
        print('| work | system | instructions a request | requests |\n|---|---|---|---|')
    for name in args.work or ['plain', 'mtls']:
        work = SCENARIOS[name]
        # It sleeps when it finds nothing, lest the waiting be counted.
        work = dataclasses.replace(work, connections=args.connections or (16 if work.tls_down else 64), idle='adaptive')
        slow = dataclasses.replace(work, rate=20)
        for system in args.systems.split(','):
            with Place() as place:
                few = run(place, ALL[system], work, SHORT)
                idle = run(place, ALL[system], slow, SHORT + args.seconds) if system == 'tidegate' else None
                many = run(place, ALL[system], work, SHORT + args.seconds)
                if many[1] < 2 * few[1]:
                    raise RuntimeError(f'{system}: {many[1]} requests in the long run, {few[1]} in the short one: others '
                                       'had the CPUs; --seconds')
                each, turn = solve(few, many, idle)
                if idle:
                    print(f'{many[2] - few[2]:,} turns without work, {turn:,.0f} instructions each, are not counted',
                          file=sys.stderr)
                print(f'| {name} | {system} | {each:,.0f} | {many[1] - few[1]:,} |' if args.markdown else
                      f'{name:6} {system:9} {each:9,.0f} instructions a request, of {many[1] - few[1]:,}', flush=True)
                if args.top:
                    top(place, args.top)


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # takes the lab down
    main()
