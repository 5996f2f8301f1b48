#!/usr/bin/python3
"""perf/run.sh: Tidegate beside nginx, haproxy and h2o on the same work.

    run.py SCENARIO [--quick] [--json] [--table best|veth|both|xdp] [--systems a,b] [--runs N] [--seconds S] [--save]

Progress goes to standard error; a table (--json: one JSON object) to standard output.
"""
import argparse
import dataclasses
import json
import os
import signal
import statistics
import sys
import time

import machine
import measure
import peers
import report
import scenarios
from place import Place

DISTURBED = 0.03     # part of the time
QUICK_SECONDS = 150  # after which a quick run begins nothing that it could do without
FIRST = ('requests_per_second', 'cpu_ns_per_request', 'p50_us', 'p99_us')


def say(text):
    print(text, file=sys.stderr, flush=True)


def order(names, i):
    """ABC CBA ABC ...: what drifts on the machine meets all alike."""
    return names if i % 2 == 0 else names[::-1]


class Bench:
    """One scenario in one table."""

    def __init__(self, place, scenario, table, opts):
        self.place, self.scenario, self.table, self.opts = place, scenario, table, opts
        self.work = scenarios.SCENARIOS[scenario]
        self.began = time.monotonic()
        names = [n for n in opts.systems.split(',') if peers.ALL[n].can(self.work)]
        if self.work.direct and not opts.systems_given:
            names += sorted({peers.direct_of(n, table) for n in names})
        self.names = names
        self.found = {n: {} for n in names}  # of each, its runs at each point
        self.seconds = opts.seconds or (2 if opts.quick else self.work.seconds or 4)

    def late(self):
        return self.opts.tiny or self.opts.quick and time.monotonic() - self.began > QUICK_SECONDS

    def undisturbed(self, name, work):
        """A run during which others took the CPU from the system is made again, twice at most; what then remains
        says so (waited) and is kept."""
        for left in (2, 1, 0):
            r = measure.run(name, self.place, work, self.table, self.seconds, self.opts.warmup)
            if r['waited'] + r['stolen'] <= DISTURBED or not left or self.late():
                return r
            say(f'{name}: others had the CPU for {r["waited"] + r["stolen"]:.0%} of the time: again')
        raise AssertionError

    def one(self, name, work):
        if self.scenario in scenarios.MEMORY:
            levels = (scenarios.LEVELS[name][self.scenario] if name in scenarios.LEVELS
                      else scenarios.LEVELS_KERNEL)[self.opts.quick]
            if self.opts.tiny:
                levels = (100, 300)
            work = dataclasses.replace(work, connections=levels[-1])
            return measure.idle_memory(name, self.place, work, self.table, levels)
        r = self.undisturbed(name, work)
        if work.against and name == 'tidegate' and not self.opts.tiny:
            with Place() as other:
                r['times_plain'] = measure.times(name, (self.place, other),
                                                 (work, scenarios.SCENARIOS[work.against]), self.table,
                                                 2 * self.seconds, self.opts.warmup)
        return r

    def points(self, name):
        sweep = self.work.sweep
        return sweep.points(name, self.opts) if sweep else [('', 0)]

    def work_at(self, point):
        return self.work.sweep.work(self.work, *point) if self.work.sweep else self.work

    def collect(self):
        for i in range(self.opts.runs):
            if i and self.late():
                say(f'{self.scenario}: {i} of {self.opts.runs} runs in the time of a quick one')
                break
            for n in order(self.names, i):
                for point in order(self.points(n), i):
                    r = self.one(n, self.work_at(point))
                    self.found[n].setdefault(point, []).append(r)
                    say(f'{self.scenario} [{self.table}] run {i + 1}/{self.opts.runs} {n}{label(self.work, point)}: ' +
                        ', '.join(f'{k} {report.number(r[k])}' for k in self.work.shows if r.get(k) is not None))
        self.subtract()
        return {n: self.summary(n) for n in self.names}

    def subtract(self):
        """What both CPUs did, less what clients and origin do by themselves on the same cable."""
        for n in self.names:
            for point, runs in self.found[n].items():
                direct = self.found.get(peers.direct_of(n, self.table), {}).get(point)
                if not direct or n in peers.DIRECT:
                    continue
                alone = statistics.median(r['cpu_both_ns_per_request'] for r in direct)
                rate = statistics.median(r['requests_per_second'] for r in direct)
                for r in runs:
                    r['cpu_net_ns_per_request'] = r['cpu_both_ns_per_request'] - alone
                    r['generator_alone_times'] = rate / r['requests_per_second']

    def summary(self, name):
        """Of the headline's point; with the others' as `points`."""
        found = {p: medians(undisturbed_of(runs)) for p, runs in self.found[name].items()}
        sweep = self.work.sweep
        points = self.points(name)
        if not sweep:
            return found[points[0]]
        last = [p for p in points if p[0] == sweep.series[0][0]][-1]
        if sweep.ratio:
            for s in sorted({s for s, _ in points}):
                first = next(p for p in points if p[0] == s)
                for p in points:
                    if p[0] == s:
                        found[p]['cost_ratio'] = round(
                            found[p]['cpu_ns_per_request'] / found[first]['cpu_ns_per_request'], 3)
        return {**found[last], 'points': [{'series': s, sweep.field: x, **found[s, x]} for s, x in points]}


def label(work, point):
    return f' {point[0]} {work.sweep.field} {point[1]:,}'.replace('  ', ' ') if work.sweep else ''


def undisturbed_of(runs):
    """The runs that count: those that others disturbed only where there are no others."""
    return [r for r in runs if r.get('waited', 0) + r.get('stolen', 0) <= DISTURBED] or runs


def medians(runs):
    """Medians, and of each figure its range; of a curve the median of each point."""
    out = {'ranges': {}}
    for k in runs[0]:
        values = [r[k] for r in runs if r.get(k) is not None]
        if values and k == 'curve':
            n = min(len(v) for v in values)
            out[k] = [[values[0][i][0], round(statistics.median(v[i][1] for v in values), 2)] for i in range(n)]
        elif values:
            out[k] = round(statistics.median(values), 4)
            out['ranges'][k] = [round(min(values), 4), round(max(values), 4)]
    if 'cpu_ns_per_request' in out and out['cpu_ns_per_request']:
        out['requests_per_core_second'] = round(1e9 / out['cpu_ns_per_request'], 1)
    out['runs'] = len(runs)
    return out


def one(scenario, place, opts):
    result = {'scenario': scenario, 'about': scenarios.SCENARIOS[scenario].about, 'runs': opts.runs,
              'shows': scenarios.SCENARIOS[scenario].shows, 'machine': machine.machine(), 'tables': {}}
    for table in ('best', 'veth') if opts.table == 'both' else (opts.table,):
        if table != 'best' and (scenario in scenarios.MEMORY or scenarios.SCENARIOS[scenario].sweep):
            continue
        b = Bench(place, scenario, table, opts)
        result['seconds'] = b.seconds
        result['tables'][table] = b.collect()
        result.setdefault('raw', {})[table] = {
            n: [{'point': p, 'runs': [{k: v for k, v in r.items() if k != 'curve'} for r in runs]}
                for p, runs in points.items()] for n, points in b.found.items()}
    return result


def best_of(rows, least):
    """What is compared, each system once: of two ways to set one up, the better."""
    out = {}
    for n, r in rows.items():
        kind = peers.ALL[n]
        name = kind.variant_of or n
        if not kind.shown or (name in out and out[name].get(least, 0) <= r.get(least, 0)):
            continue
        out[name] = {k: r[k] for k in FIRST if k in r}
        out[name].update({k: v for k, v in r.items() if k not in FIRST and k not in ('curve', 'ranges')})
        out[name]['ranges'] = r['ranges']
        if 'points' in r:
            out[name]['points'] = [{k: v for k, v in p.items() if k != 'ranges'} for p in r['points']]
        if kind.variant:
            out[name]['variant'] = kind.variant
    return out


def as_object(result):
    """What --json prints: of the first table; when both were asked for, the other by its own name."""
    least = scenarios.SCENARIOS[result['scenario']].best
    tables = {t: best_of(rows, least) for t, rows in result['tables'].items()}
    first = next(iter(tables), None)
    out = {'scenario': result['scenario'], 'systems': tables.get(first, {})}
    if first != 'best' or len(tables) > 1:
        out['tables'] = tables
    return out


def options():
    p = argparse.ArgumentParser(prog='perf/run.sh', description='Tidegate beside nginx, haproxy and h2o on the same '
                                'work')
    p.add_argument('scenario', choices=[*scenarios.SCENARIOS, 'all'])
    p.add_argument('--quick', action='store_true', help='each scenario ends within four minutes (all: their sum)')
    p.add_argument('--json', action='store_true', help='one JSON object instead of tables')
    p.add_argument('--table', choices=['best', 'veth', 'both', 'xdp'], help='default: both, with --quick: best; '
                   'xdp: as veth, with tg_load on AF_XDP')
    p.add_argument('--systems', help=f'default: what can do it of {",".join(peers.COMPARED)}, and direct runs '
                   f'({", ".join(peers.DIRECT)})')
    p.add_argument('--runs', type=int, help='default: 7, with --quick 3')
    p.add_argument('--seconds', type=float, help='of a run; default: 4 (latency: 8), with --quick 2')
    p.add_argument('--tiny', action='store_true', help='for tests: small points of each curve, no run again')
    p.add_argument('--save', action='store_true', help='raw data and machine under perf/results/raw/')
    o = p.parse_args()
    o.systems_given = bool(o.systems)
    o.systems = o.systems or ','.join(peers.COMPARED)
    for n in o.systems.split(','):
        if n not in peers.ALL:
            p.error(f'no system {n}')
    o.table = o.table or ('best' if o.quick else 'both')
    o.runs = o.runs or (3 if o.quick else 7)
    o.warmup = 0.3 if o.quick else 1
    return o


def main():
    opts = options()
    if os.geteuid():
        sys.exit('perf/run.sh needs root: network namespaces')
    for s in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, lambda signo, _: sys.exit(128 + signo))
    every = opts.scenario == 'all'
    left_out = scenarios.NOT_IN_ALL | (scenarios.NOT_TINY if opts.tiny else set())
    names = [s for s in scenarios.SCENARIOS if s not in left_out] if every else [opts.scenario]
    objects = []
    with Place() as place:
        for n in names:
            result = one(n, place, opts)
            objects.append(as_object(result))
            if opts.save:
                say('saved: ' + report.save(result))
            if not opts.json:
                print(report.text(result, DISTURBED), flush=True)
    if opts.json:
        print(json.dumps({'scenario': 'all', 'systems': objects[0]['systems'], 'scenarios': objects} if every
                         else objects[0]))


if __name__ == '__main__':
    main()
