#!/usr/bin/python3
"""perf/results/: README.md and the plots (gnuplot, SVG), and the goals of perf/README.md, from the newest raw data of each
scenario."""
import os
import subprocess
import sys

import goals
import report
from report import RESULTS

# One colour a system in all plots, told apart also without colours by its mark.
STYLE = {'tidegate': ('#0b6e4f', 7), 'haproxy': ('#c8553d', 5), 'haproxy-busy': ('#e0a08f', 4), 'nginx': ('#3d5a80', 9),
         'h2o': ('#8e6bbf', 11), 'direct': ('#7fb8a4', 6), 'direct-kernel': ('#999999', 8)}
NAMES = {'direct': 'direct (memif)', 'direct-kernel': 'direct (sockets)',
         'haproxy-busy': 'haproxy, busy-polling'}
HEAD = '''set terminal svg size 900,480 dynamic font "sans-serif,13" background "white"
set output "{out}"
set title "{title}" noenhanced
set xlabel "{x}" noenhanced
set ylabel "{y}" noenhanced
set grid lc rgb "#dddddd"
set key {key} noenhanced
set border 3
set tics nomirror
{more}
'''


def plot(name, title, x, y, series, more='', key='outside right top'):
    """series: [(system, text, points)]"""
    series = [s for s in series if s[2]]
    if not series:
        return
    out = os.path.join(RESULTS, name + '.svg')
    script = HEAD.format(out=out, title=title, x=x, y=y, key=key, more=more)
    blocks, curves = [], []
    for i, (system, text, points) in enumerate(series):
        colour, mark = STYLE[system]
        blocks.append(f'$d{i} << EOD\n' + '\n'.join(f'{a} {b}' for a, b in points) + '\nEOD\n')
        every = max(1, len(points) // 8)
        dash = ' dt 2' if text.endswith('Zipf') else ''
        curves.append(f'$d{i} using 1:2 with linespoints lw 2 pt {mark} ps 0.7 pi {every} lc rgb "{colour}"{dash} '
                      f'title "{text}"')
    subprocess.run(['gnuplot'], input=script + ''.join(blocks) + 'plot ' + ', \\\n  '.join(curves) + '\n', text=True,
                   check=True)
    print(os.path.relpath(out), file=sys.stderr)


def called(system):
    return NAMES.get(system, system)


def commit(r):
    return f'{r["machine"]["date"][:10]}, {r["machine"]["commit"]}'


def latency(r, table, name):
    """Percentiles on an axis where each step is ten times fewer requests."""
    series = [(n, called(n), [(100 / (100 - p), us) for p, us in row.get('curve', ())])
              for n, row in r['tables'][table].items()]
    marks = ', '.join(f'"{t}" {x}' for t, x in (('0', 1), ('90', 10), ('99', 100), ('99.9', 1000),
                                                ('99.99', 10000), ('99.999', 100000)))
    plot(name, f'Latency, open loop: {r["scenario"]} ({commit(r)})', 'per cent of the requests, up to',
         'microseconds from when it was due', series, f'set logscale xy\nset xtics ({marks})')


def swept(r, name, field, title, x, y, value, more):
    series = []
    for n, row in r['tables']['best'].items():
        kinds = sorted({p['series'] for p in row['points']})
        for kind in kinds:
            text = called(n) + (f', {"Zipf" if kind == "zipf" else kind}' if len(kinds) > 1 else '')
            series.append((n, text, [(p[field], p[value]) for p in row['points'] if p['series'] == kind]))
    plot(name, f'{title} ({commit(r)})', x, y, series, more)


def main():
    found = report.newest()
    for (scenario, table), r in found.items():
        if scenario.startswith('latency'):
            latency(r, table, scenario if table == 'best' else f'{scenario}-{table}')
        elif scenario == 'scale-connections':
            swept(r, scenario, 'connections', 'Cost of a request among many connections', 'connections',
                  'CPU ns a request', 'cpu_ns_per_request', 'set logscale x\nset yrange [0:*]\nset format x "10^{%L}"')
        elif scenario == 'scale-routes':
            swept(r, scenario, 'routes', 'Cost of a request among many routes', 'routes', 'CPU ns a request',
                  'cpu_ns_per_request', 'set logscale x\nset yrange [0:*]\nset format x "10^{%L}"')
        elif scenario.startswith('bulk'):
            swept(r, scenario, 'body', f'{scenario}: throughput by size of a response', 'bytes of content',
                  'Gbit/s of content', 'gbit_per_second', 'set logscale x 2\nset yrange [0:*]\n'
                  'set xtics ("1 KiB" 1024, "16 KiB" 16384, "128 KiB" 131072, "1 MiB" 1048576)')
        elif scenario.startswith('idle-memory'):
            plot(scenario, f'Memory of idle connections: {scenario} ({commit(r)})', 'connections', 'MiB more than at the '
                 'first point', [(n, called(n), [(c, b / (1 << 20)) for c, b in row['curve']])
                                 for n, row in r['tables'][table].items()],
                 'set logscale xy\nset xrange [*:*]')
    with open(os.path.join(RESULTS, 'README.md'), 'w', encoding='utf-8') as f:
        f.write(report.markdown(found))
    goals.write(found)


if __name__ == '__main__':
    main()
