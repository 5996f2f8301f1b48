#!/usr/bin/python3
"""Runs benchmarks that use bench.h: once alone, for ns and TSC cycles, and once under callgrind, for instructions.

    perf/bench.py PROGRAM ...             a line for each piece: median, range (without the outer tenths), cycles,
                                          instructions
    perf/bench.py --markdown PROGRAM ...  the same as rows of a table

Without valgrind (or its header when the programs were built) there are no instructions: "-". Callgrind is given the
CPU that valgrind plays, which has no AVX-512: where code chooses by CPU, another path may be counted than was timed.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

LINE = re.compile(r'^(?P<name>\S.*?)\s+(?P<ns>[\d.]+) ns \((?P<low>[\d.]+) \.\. (?P<high>[\d.]+)\)\s+(?P<cycles>\d+) cycles')


def timed(program):
    """name -> (ns, low, high, cycles), in order."""
    out = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = {}
    for line in out.splitlines():
        m = LINE.match(line)
        if m:
            found[m['name']] = tuple(float(m[k]) for k in ('ns', 'low', 'high', 'cycles'))
    return found


def parse_dumps(folder):
    """name -> instructions for one, from callgrind's dumps at bench_more()'s requests."""
    found = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding='utf-8', errors='replace') as f:
            text = f.read()
        for trigger, rest in re.findall(r'^desc: Trigger: Client Request: ([^\n]*)$(.*?)(?=^desc: Trigger|\Z)', text, re.M | re.S):
            what, _, count = trigger.partition('\t')
            total = re.search(r'^(?:summary|totals): (\d+)', rest, re.M)
            if count and total:
                found[what] = int(total[1]) / int(count)
    return found


def counted(program):
    if not shutil.which('valgrind'):
        return {}
    with tempfile.TemporaryDirectory() as folder:
        p = subprocess.run(['valgrind', '--tool=callgrind', '--collect-atstart=no', '--combine-dumps=no',
                            f'--callgrind-out-file={folder}/out', program], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, check=False)
        if p.returncode:
            print(f'{program}: under valgrind: exit {p.returncode}\n{p.stdout[-2000:]}', file=sys.stderr)
            return {}
        return parse_dumps(folder)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--markdown', action='store_true')
    p.add_argument('--counts', help='a file: instructions are read from it, or written there if it is not there yet, '
                                    'and nothing is timed (timing wants a quiet machine, counting time)')
    p.add_argument('program', nargs='+')
    args = p.parse_args()
    bad = 0
    saved = {}
    if args.counts and not os.path.exists(args.counts):
        for program in args.program:
            saved[os.path.basename(program)] = counted(os.path.abspath(program))
        with open(args.counts, 'w', encoding='utf-8') as f:
            json.dump(saved, f)
        return 0
    if args.counts:
        with open(args.counts, encoding='utf-8') as f:
            saved = json.load(f)
    if args.markdown:
        print('| piece | ns, median | range | TSC cycles | instructions |\n|---|---|---|---|---|')
    for program in args.program:
        program = os.path.abspath(program)
        instructions = saved[os.path.basename(program)] if saved else counted(program)
        for name, (ns, low, high, cycles) in timed(program).items():
            ir = instructions.get(name) or instructions.get(re.sub(r'1000000\b', '100000', name))
            ir = f'{ir:.1f}' if ir else '-'
            if args.markdown:
                print(f'| {name} | {ns:.1f} | {low:.1f}..{high:.1f} | {cycles:.0f} | {ir} |')
            else:
                print(f'{name:44} {ns:9.1f} ns ({low:.1f} .. {high:.1f}) {cycles:9.0f} cycles {ir:>9} instructions')
            sys.stdout.flush()
        bad += shutil.which('valgrind') is not None and not instructions
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
