"""The goals, each beside what was measured: the table in perf/README.md, from the newest raw data.

A figure that is not here (another tool measured it, or nobody yet) stands as text, with its source."""
import os
import re

from place import ROOT
from report import number

README = os.path.join(ROOT, 'perf', 'README.md')
PEERS = ('haproxy', 'haproxy-busy', 'nginx', 'h2o')


class Found:
    """Medians in table (A), by scenario, system and figure; None where there are none."""

    def __init__(self, found):
        self.found = found

    def row(self, scenario, system='tidegate', table='best'):
        r = self.found.get((scenario, table))
        return r['tables'][table].get(system) if r else None

    def get(self, scenario, key, system='tidegate'):
        r = self.row(scenario, system)
        return r.get(key) if r else None

    def ratio(self, scenario, key, *systems):
        """How many times Tidegate's the best of the systems has."""
        ours = self.get(scenario, key)
        theirs = [v for v in (self.get(scenario, key, s) for s in systems) if v]
        return min(theirs) / ours if ours and theirs else None

    def points(self, scenario, series=''):
        r = self.row(scenario)
        return [p for p in r.get('points', ()) if p['series'] == series] if r else []


def times(x):
    return '-' if x is None else f'{x:.1f} times'


def yes(*conditions):
    """Met, not met, or not known."""
    return None if any(c is None for c in conditions) else all(conditions)


def least(x, limit):
    return None if x is None else x >= limit


def most(x, limit):
    return None if x is None else x <= limit


def parts(ratio, absolute):
    """A goal that has both: the ratio to others on the same machine decides, and an absolute figure, which holds on one
    machine only, is told apart."""
    return 'ratio' if ratio and absolute is False else yes(ratio, absolute)


def g1(f):
    h, n = (f.ratio('plain', 'cpu_ns_per_request', *s) for s in (('haproxy', 'haproxy-busy'), ('nginx',)))
    ns = f.get('plain', 'cpu_ns_per_request')
    return (f'{times(h)} haproxy, {times(n)} nginx; {number(ns)} ns',
            parts(yes(least(h, 5), least(n, 7)), most(ns, 1400)), yes(least(h, 10), most(ns, 800)))


def g2(f):
    h = f.ratio('mtls', 'cpu_ns_per_request', 'haproxy', 'haproxy-busy')
    p = f.get('mtls', 'times_plain')
    own = None if p is None else 100 / p
    return (f'{times(h)} haproxy; {number(own)} % of own plain ({number(f.get("mtls", "cpu_ns_per_request"))} ns)',
            yes(least(h, 8), least(own, 75)), yes(least(h, 12), least(own, 85)))


def g3(f):
    h = f.ratio('connections', 'cpu_ns_per_request', 'haproxy', 'haproxy-busy')
    ns = f.get('connections', 'cpu_ns_per_request')
    core = 1e9 / ns if ns else None
    return (f'{times(h)} haproxy; {number(core)} a core-second',
            parts(least(h, 8), least(core, 300000)), yes(least(h, 15), least(core, 600000)))


def g4(f):
    ns = f.get('handshakes', 'cpu_ns_per_request')
    core = 1e9 / ns if ns else None
    h = f.ratio('handshakes', 'cpu_ns_per_request', *PEERS)
    return (f'{number(core)} a core-second, {times(h)} the best other', yes(least(core, 0.9 * 4650)),
            yes(least(core, 3 * 4650)))


def g5(f):
    ns = f.get('bulk-mtls', 'cpu_ns_per_kib')
    gbit = 8192 / ns if ns else None
    return (f'{number(gbit)} Gbit/s a core (MSS 1448)', least(gbit, 18), least(gbit, 37))


def g6(f):
    ours = [(f.get('latency', k), f.get('latency', k, 'direct')) for k in ('p50_us', 'p99_us', 'p99_9_us')]
    if any(v is None for pair in ours for v in pair):
        return 'not measured', None, None
    added = [a - b for a, b in ours]
    theirs = min(v for v in (f.get('latency', 'p50_us', s) for s in ('haproxy', 'haproxy-busy')) if v)
    theirs -= f.get('latency', 'p50_us', 'direct-kernel') or 0
    text = ' / '.join(f'{number(a)} (direct: {number(b)})' for a, b in ours)
    return (f'{text} us at p50 / p99 / p99.9; haproxy adds {number(theirs)} us at p50',
            parts(most(added[0], theirs / 5), yes(most(added[0], 5), most(added[1], 15), most(added[2], 60))),
            yes(most(added[0], 2), most(added[1], 6), most(added[2], 25), most(added[0], theirs / 15)))


def g7(f):
    tls, plain = f.get('idle-memory', 'bytes_per_idle_connection'), f.get('idle-memory-plain', 'bytes_per_idle_connection')
    return (f'{number(tls)} B TLS, {number(plain)} B plain', yes(most(tls, 1024), most(plain, 384)), most(tls, 512))


def g8(f):
    p = f.points('scale-connections')
    x = p[-1]['cost_ratio'] if p else None
    return (f'{number(x)} times at {p[-1]["connections"]:,}' if p else 'not measured',
            yes(most(x, 1.3), p and p[-1]['connections'] >= 1000000), most(x, 1.12))


def g9(f):
    u, z = (f.points('scale-routes', s) for s in ('uniform', 'zipf'))
    if not u or not z:
        return 'not measured', None, None
    worst = max(u[-1]['cost_ratio'], z[-1]['cost_ratio'])
    more = max(p[-1]['cpu_ns_per_request'] - p[0]['cpu_ns_per_request'] for p in (u, z))
    return (f'{u[-1]["cost_ratio"]:.2f} times uniform, {z[-1]["cost_ratio"]:.2f} Zipf at {u[-1]["routes"]:,}; '
            f'{number(more)} ns more', yes(most(worst, 1.15), most(more, 200)), yes(most(worst, 1.05), most(more, 100)))


def g12(f):
    share, a, b = (f.get(s, k) for s, k in (('idle', 'cpu_share'), ('idle', 'p50_us'), ('idle-spin', 'p50_us')))
    wake = None if a is None or b is None else a - b
    percent = None if share is None else 100 * share
    return (f'{number(percent)} % of a CPU at 20 requests a second; waking adds {number(wake)} us at p50',
            yes(most(percent, 3), most(wake, 100)), yes(most(percent, 1), most(wake, 40)))


def g14(f):
    a, b = f.get('crowd', 'requests_per_second'), f.get('plain', 'requests_per_second')
    goodput = 100 * a / b if a and b else None
    x, y = f.get('reload', 'p99_us'), f.get('reload-none', 'p99_us')
    p99, lost = x / y if x and y else None, f.get('reload', 'left_behind')
    return (f'{number(goodput)} % of peak at 16 times the requests at once; swap of 100,000 routes: '
            f'{number(lost)} requests lost, p99 {number(p99)} times',
            yes(least(goodput, 90), most(lost, 0), most(p99, 2)), yes(least(goodput, 98), most(lost, 0), most(p99, 1.1)))


def g15(f):
    x = f.get('mesh', 'cores_per_1000_requests')
    return f'{number(x)} cores', most(x, 0.003), most(x, 0.001)


def elsewhere(text, must=None, stretch=None):
    return lambda f: (text, must, stretch)


# id, what, must, stretch, measured by, command, what stands in the way
GOALS = (
    ('G1', 'plain keep-alive, CPU a request', '5 times haproxy, 7 nginx; 1.4 us', '10 times; 0.8 us', g1, 'run.sh plain',
     'no single function: two TCP connections\' segments, two heads, the exchange'),
    ('G2', 'mTLS on both legs', '8 times haproxy; 75 % of own plain', '12 times; 85 %', g2, 'run.sh mtls',
     'four short records of AES-GCM a request (`results/aead.txt`); keys of hundreds of connections do not stay in the cache'),
    ('G3', 'a connection a request', '8 times haproxy; 300,000/s', '15 times; 600,000/s', g3, 'run.sh connections',
     'seven packets each'),
    ('G4', 'mutual handshakes a second', '0.9 of OpenSSL\'s bound (4,650/s)', '3 times the bound', g4, 'run.sh handshakes',
     'the engine alone: 0.95 of the bound on this CPU (`results/handshake.txt`), where it is lower'),
    ('G5', 're-encrypting', '18 Gbit/s', '37 Gbit/s at 9 kB', g5, 'run.sh bulk-mtls',
     'copies on memif and software checksums at MTU 1500'),
    ('G6', 'added latency, open loop', '5 / 15 / 60 us; 1/5 of haproxy\'s', '2 / 6 / 25 us; 1/15', g6, 'run.sh latency',
     'two spinning virtual CPUs of a shared host: the direct run\'s tail is the machine\'s'),
    ('G7', 'bytes an idle connection', '1,024 TLS, 384 plain', '512 TLS', g7, 'run.sh idle-memory, idle-memory-plain',
     'the state that TLS keeps at rest'),
    ('G8', 'cost at 1,000,000 connections by that at 1,000', '1.3 times', '1.12 times', g8, 'run.sh scale-connections',
     'cold lines; small pages'),
    ('G9', 'cost at 100,000 routes by that at 10', '1.15 times; 200 ns', '1.05 times; 100 ns', g9, 'run.sh scale-routes',
     'cold lines of the tables'),
    ('G10', 'instructions a request', 'fewer, TCP included, than haproxy in user space', '3,000',
     elsewhere('22,021; with TLS on both legs 28,180 (by ipsec-mb: valgrind has no VAES); haproxy 37,101 without its TCP', True, False), 'perf/callgrind.py',
     'as G1'),
    ('G11', 'HTTP/2 to HTTP/1.1', '0.7 of own HTTP/1.1', '0.9', elsewhere('not there yet'), '-', 'HTTP/2'),
    ('G12', 'idle', '3 %; 100 us to wake', '1 %; 40 us', g12, 'run.sh idle, idle-spin', 'sleeps, not interrupts'),
    ('G13', '2 workers by 1', '1.8 times, no packet crosses', '1.95 times', elsewhere('not measured'), '-',
     'two CPUs: the generator needs one of them. That no packet crosses over memif is in tests/e2e/test_spread.py'),
    ('G14', 'overload; swap of 100,000 routes', '90 % of peak; none lost; p99 2 times', '98 %; 1.1 times', g14,
     'run.sh crowd, plain, reload, reload-none', 'the control core shares the generator\'s CPU here'),
    ('G15', 'tax of a mesh, for 1,000 requests a second', '0.003 cores', '0.001 cores', g15, 'run.sh mesh', 'as G2'),
)


def verdict(must, stretch):
    if must == 'ratio':
        return 'ratio met, absolute not'
    return 'stretch met' if must and stretch else 'met' if must else 'open' if must is None else '**not met**'


def table(found):
    f = Found(found)
    lines = ['| goal | must | stretch | measured | | by | what stands in the way of more |', '|---' * 7 + '|']
    for goal, what, must, stretch, measure, command, why in GOALS:
        figure, met, more = measure(f)
        lines.append(f'| {goal} {what} | {must} | {stretch} | {figure} | {verdict(met, more)} | `{command}` | {why} |')
    return '\n'.join(lines)


def write(found):
    with open(README, encoding='utf-8') as f:
        text = f.read()
    text, n = re.subn(r'(<!-- goals -->\n).*?(\n<!-- /goals -->)', lambda m: m[1] + table(found) + m[2], text, flags=re.S)
    if n != 1:
        raise RuntimeError('perf/README.md: no place for the goals')
    with open(README, 'w', encoding='utf-8') as f:
        f.write(text)
