"""What was measured, as text, as a file of raw data, and as Markdown."""
import json
import os
import re

import machine
from place import ROOT

RESULTS = os.path.join(ROOT, 'perf', 'results')
RAW = os.path.join(RESULTS, 'raw')
TABLES = {'best': '(A) each on its best transport: tidegate over memif, the others over loopback',
          'veth': '(B) everyone over virtual cables, the same kernel clients and origin',
          'xdp': '(B, clients and origin on AF_XDP) everyone over virtual cables'}


def number(x):
    if x is None:
        return '-'
    return f'{x:,.0f}' if abs(x) >= 100 else f'{x:.3g}'


def cell(r, k):
    if k not in r:
        return '-'
    low, high = r['ranges'].get(k, (r[k], r[k]))
    return number(r[k]) if low == high else f'{number(r[k])} ({number(low)}..{number(high)})'


def rows_of(result, table):
    """Head and lines: each system, at each of its points."""
    shows = result['shows']
    head, lines, swept = ['system', *shows], [], False
    for n, r in result['tables'][table].items():
        for p in r.get('points') or [r]:
            at = ' '.join(str(p[k]) if k == 'series' else f'{k} {p[k]:,}' for k in ('series', 'body', 'connections',
                                                                                   'routes') if p.get(k))
            swept = swept or 'points' in r
            lines.append([n, *([at] if 'points' in r else []), *(cell(p, k) for k in shows)])
    return (['system', 'at', *shows] if swept else head), lines


def aligned(rows):
    width = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ['  '.join(c.ljust(width[i]) for i, c in enumerate(row)).rstrip() for row in rows]


def text(result, disturbed):
    out = [f'{result["scenario"]}: {result["about"]}']
    for table, rows in result['tables'].items():
        head, lines = rows_of(result, table)
        out += ['', TABLES[table], '', *aligned([head, *lines])]
        out += [f'{n}: others had its CPU for {r["waited"] + r["stolen"]:.0%} of the time: not to be relied on'
                for n, r in rows.items() if r.get('waited', 0) + r.get('stolen', 0) > disturbed]
        out += [f'{n}: could not keep up, {number(r["left_behind"])} requests had no answer at the end'
                for n, r in rows.items() if r.get('left_behind')]
    return '\n'.join(out) + '\n'


def rounded(x):
    """Five digits say all that there is to say."""
    if isinstance(x, float):
        return float(f'{x:.5g}')
    if isinstance(x, dict):
        return {k: rounded(v) for k, v in x.items()}
    return [rounded(v) for v in x] if isinstance(x, (list, tuple)) else x


def save(result):
    """One file a scenario and run of perf/run.sh, by date and commit; returns where."""
    os.makedirs(RAW, exist_ok=True)
    m = result['machine']
    when = m['date'].replace('-', '').replace(':', '')
    path = os.path.join(RAW, f'{result["scenario"]}-{when}-{m["commit"]}.json')
    with open(path, 'w', encoding='utf-8') as f:
        # One line for each system and table: a difference can be read.
        json.dump({k: v for k, v in result.items() if k not in ('tables', 'raw')}, f, sort_keys=True)
        f.write('\n')
        for kind in ('tables', 'raw'):
            for table, rows in result[kind].items():
                for n, r in rows.items():
                    f.write(json.dumps([kind, table, n, rounded(r)]) + '\n')
    return os.path.relpath(path, ROOT)


def load(path):
    with open(path, encoding='utf-8') as f:
        result = json.loads(f.readline())
        result['file'] = os.path.basename(path)
        for line in f:
            kind, table, n, r = json.loads(line)
            result.setdefault(kind, {}).setdefault(table, {})[n] = r
    return result


def newest():
    """Of each scenario and table, the newest run: {(scenario, table): result}."""
    found = {}
    when = re.compile(r'-(\d{8}T\d{6}Z)-')
    for name in sorted((x for x in os.listdir(RAW) if when.search(x)), key=lambda x: when.search(x)[1]):
        r = load(os.path.join(RAW, name))
        for table in r['tables']:
            found[r['scenario'], table] = r
    return found


def markdown(found):
    out = ['# Results', '', 'Made by `perf/harness/plots.py` from `raw/`: medians (ranges) of interleaved runs; '
           '`../README.md` says what is counted, and how to read it.']
    for table, about in TABLES.items():
        mine = {s: r for (s, t), r in found.items() if t == table}
        if not mine:
            continue
        out += ['', f'## {about}']
        for scenario, r in mine.items():
            head, lines = rows_of(r, table)
            out += ['', f'### {scenario}', '', r['about'][0].upper() + r['about'][1:] + '.', '',
                    '| ' + ' | '.join(x.replace('_', ' ') for x in head) + ' |', '|---' * len(head) + '|',
                    *('| ' + ' | '.join(x) + ' |' for x in lines), '',
                    f'{next(iter(r["tables"][table].values()))["runs"]} runs'
                    + (f' of {r["seconds"]:g} s' if r.get('seconds') else '') + f'; `raw/{r["file"]}`; '
                    + machine.text(r['machine']) + '.']
    return '\n'.join(out) + '\n'
