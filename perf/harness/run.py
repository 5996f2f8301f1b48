#!/usr/bin/python3
"""perf/run.sh: Tidegate beside nginx and haproxy on the same work.

    run.py SCENARIO [--quick] [--json] [--table best|veth|both] [--systems a,b] [--runs N] [--seconds S] [--save]

Progress goes to standard error; a table (--json: one JSON object) to standard output.
"""
import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time

import measure
import scenarios
import systems
from place import ROOT, Place

RESULTS = os.path.join(ROOT, 'perf', 'results')
DISTURBED = 0.03  # part of the time


def say(text):
    print(text, file=sys.stderr, flush=True)


def machine():
    def read(path):
        with open(path, encoding='ascii', errors='replace') as f:
            return f.read()
    model = next((x.split(':')[1].strip() for x in read('/proc/cpuinfo').splitlines() if x.startswith('model name')),
                 platform.machine())
    t = time.perf_counter_ns()
    for _ in range(100000):
        os.getppid()
    getppid = (time.perf_counter_ns() - t) / 100000
    commit = subprocess.run(['git', '-C', ROOT, 'describe', '--always', '--dirty'], capture_output=True, text=True,
                            check=False).stdout.strip()
    return {'cpu': model, 'cpus': os.cpu_count(), 'kernel': platform.release(), 'load': os.getloadavg(),
            'getppid_ns_from_python': round(getppid), 'commit': commit,
            'date': time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime()), 'versions': systems.versions()}


def order(names, i):
    """ABC CBA ABC ...: what drifts on the machine meets all alike."""
    return names if i % 2 == 0 else names[::-1]


def undisturbed(name, place, work, table, opts):
    """A run during which others took the CPU from the system is made again, twice at most; what then remains says
    so (waited) and is kept."""
    for left in (2, 1, 0):
        r = measure.run(name, place, work, table, opts.seconds, opts.warmup)
        if r['waited'] + r['stolen'] <= DISTURBED or not left:
            return r
        say(f'{name}: others had the CPU for {r["waited"] + r["stolen"]:.0%} of the time: again')
    raise AssertionError


def collect(place, scenario, table, names, opts):
    work = scenarios.SCENARIOS[scenario]
    found = {n: [] for n in names}
    for i in range(opts.runs):
        for n in order(names, i):
            if scenario in scenarios.MEMORY:
                levels = scenarios.LEVELS.get(n, scenarios.LEVELS_KERNEL)[opts.quick]
                work.connections = levels[-1]
                r = measure.idle_memory(n, place, work, table, levels)
            else:
                r = undisturbed(n, place, work, table, opts)
                r['times_plain'] = None
                if work.against and n == 'tidegate':
                    other = undisturbed(n, place, scenarios.SCENARIOS[work.against], table, opts)
                    r['times_plain'] = r['cpu_ns_per_request'] / other['cpu_ns_per_request']
            found[n].append(r)
            say(f'{scenario} [{table}] run {i + 1}/{opts.runs} {n}: ' +
                ', '.join(f'{k} {number(r[k])}' for k in work.shows))
    return found


def number(x):
    if x is None:
        return '-'
    return f'{x:,.0f}' if abs(x) >= 100 else f'{x:.3g}'


def summary(runs):
    """Medians, and for each figure its range."""
    out = {'ranges': {}}
    for k in runs[0]:
        values = [r[k] for r in runs if r[k] is not None]
        if values:
            out[k] = round(statistics.median(values), 4)
            out['ranges'][k] = [round(min(values), 4), round(max(values), 4)]
    if 'cpu_ns_per_request' in out:
        out['requests_per_core_second'] = round(1e9 / out['cpu_ns_per_request'], 1)
    return out


TABLES = {'best': 'each on its best transport: tidegate over memif, the others over loopback',
          'veth': 'everyone over virtual cables, the same kernel clients and origin'}


def table_text(result):
    lines = [f'{result["scenario"]}: {result["about"]}']
    for table in TABLES:
        rows = result['tables'].get(table)
        if not rows:
            continue
        shows = result['shows']
        lines += ['', f'({"AB"[list(TABLES).index(table)]}) {TABLES[table]}', '']
        head = ['system', *shows]
        body = [[n, *(f'{number(r.get(k))} ({number(r["ranges"][k][0])}..{number(r["ranges"][k][1])})'
                      if k in r else '-' for k in shows)] for n, r in rows.items()]
        width = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
        lines += ['  '.join(c.ljust(width[i]) for i, c in enumerate(row)).rstrip() for row in [head, *body]]
        lines += [f'{n}: others had its CPU for {r["waited"] + r["stolen"]:.0%} of the time: not to be relied on'
                  for n, r in rows.items() if r.get('waited', 0) + r.get('stolen', 0) > DISTURBED]
    return '\n'.join(lines) + '\n'


def one(scenario, opts):
    names = opts.systems.split(',')
    result = {'scenario': scenario, 'about': scenarios.SCENARIOS[scenario].about, 'runs': opts.runs,
              'seconds': opts.seconds, 'shows': scenarios.SCENARIOS[scenario].shows, 'machine': machine(),
              'tables': {}, 'raw': {}}
    tables = list(TABLES) if opts.table == 'both' else [opts.table]
    with Place() as place:
        for table in tables:
            if table == 'veth' and scenario in scenarios.MEMORY:
                continue
            raw = collect(place, scenario, table, names, opts)
            result['raw'][table] = raw
            result['tables'][table] = {n: summary(r) for n, r in raw.items()}
    # The first table under the names that everybody knows; the other never beside it.
    result['systems'] = result['tables'].get('best') or result['tables'].get('veth', {})
    return result


def save(result):
    os.makedirs(RESULTS, exist_ok=True)
    base = os.path.join(RESULTS, result['scenario'])
    with open(base + '.json', 'w', encoding='utf-8') as f:
        json.dump(result, f, indent=1, sort_keys=True)
        f.write('\n')
    m = result['machine']
    with open(base + '.txt', 'w', encoding='utf-8') as f:
        f.write(f'perf/run.sh {result["scenario"]}: medians (ranges) of {result["runs"]} interleaved runs of '
                f'{result["seconds"]} s\n{m["date"]}, {m["commit"]}, {m["cpu"]}, {m["cpus"]} CPUs, '
                f'Linux {m["kernel"]}; {m["versions"]["nginx"]}; {m["versions"]["haproxy"]}; '
                f'{m["versions"]["openssl"]}\n\n')
        f.write(table_text(result))
    say(f'saved: {base}.json, {base}.txt')


def options():
    p = argparse.ArgumentParser(prog='perf/run.sh', description='Tidegate beside nginx and haproxy on the same work')
    p.add_argument('scenario', choices=[*scenarios.SCENARIOS, 'all'])
    p.add_argument('--quick', action='store_true', help='ends within four minutes')
    p.add_argument('--json', action='store_true', help='one JSON object instead of tables')
    p.add_argument('--table', choices=['best', 'veth', 'both'], help='default: both, with --quick: best')
    p.add_argument('--systems', default=','.join(systems.ALL), help='default: all of %(default)s')
    p.add_argument('--runs', type=int, help='default: 7, with --quick 3, all --quick 1')
    p.add_argument('--seconds', type=float, help='of a run; default: 4, with --quick 2')
    p.add_argument('--save', action='store_true', help='raw data, table and machine under perf/results/')
    o = p.parse_args()
    every = o.scenario == 'all'
    o.table = o.table or ('best' if o.quick else 'both')
    o.runs = o.runs or (1 if o.quick and every else 3 if o.quick else 7)
    o.seconds = o.seconds or (2 if o.quick else 4)
    o.warmup = 0.5 if o.quick else 1
    return o


def main():
    opts = options()
    if os.geteuid():
        sys.exit('perf/run.sh needs root: network namespaces')
    for s in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, lambda signo, _: sys.exit(128 + signo))
    names = list(scenarios.SCENARIOS) if opts.scenario == 'all' else [opts.scenario]
    results = []
    for n in names:
        results.append(one(n, opts))
        if opts.save:
            save(results[-1])
        if not opts.json:
            print(table_text(results[-1]), flush=True)
    if opts.json:
        print(json.dumps(results[0] if opts.scenario != 'all' else {'scenario': 'all', 'scenarios': results}))


if __name__ == '__main__':
    main()
