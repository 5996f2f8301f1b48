#!/usr/bin/python3
"""How long 100,000 routes take to load: `tidegate --check` of three files, CPU time and time on the wall.

    perf/routes_load.py [--routes N] [--runs R]

    prefix   /team-T/service-N/v1
    front    safe_regex /team-T/service-N/v[0-9]+/.*: they differ in what they begin with, so one program serves all
    behind   safe_regex /team-T/(items|things)/v[0-9]+/service-N(/.*)?: each is another program

The process as a whole: start, reading, checking, compiling, freeing. One thread. Median and range of the runs, which
are interleaved. TG_BUILD: the build directory. Needs neither root nor devices; the goal (issue 6) is 2 s.
"""
import argparse
import os
import resource
import statistics
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get('TG_BUILD', os.path.join(HERE, '..', 'build'))

MATCHES = {
    'prefix': 'prefix = "/team-{team}/service-{number}/v1"',
    'front': 'safe_regex = "/team-{team}/service-{number}/v[0-9]+/.*"',
    'behind': 'safe_regex = "/team-{team}/(items|things)/v[0-9]+/service-{number}(/.*)?"',
}

FILE = '''ports: ( {{ name = "p0"; device = "net_null0"; addresses = ["10.77.1.2/24"]; }} );
clusters: ( {{ name = "origin"; endpoints: ( {{ address = "10.77.2.2:8080"; }} ); }} );
listeners: ( {{ name = "web"; address = "10.77.1.2:80"; protocol = "http"; virtual_hosts = ["all"]; }} );
virtual_hosts: ( {{ name = "all"; domains = ["*"]; routes: (
{routes}
); }} );
'''


def write(path, match, routes):
    """A configuration with so many routes."""
    lines = ('{ match: { %s; }; route: { cluster = "origin"; }; }' % match.format(team=n % 100, number=n)
             for n in range(routes))
    with open(path, 'w', encoding='ascii') as out:
        out.write(FILE.format(routes=',\n'.join(lines)))


def load(path):
    """CPU and wall seconds of one check."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([os.path.join(BUILD, 'dpdk_app', 'tidegate'), '-c', path, '--check'], check=True,
                   stdout=subprocess.DEVNULL)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, ended - began


def text(seconds):
    """Median and range."""
    return f'{statistics.median(seconds):.2f} s ({min(seconds):.2f} .. {max(seconds):.2f})'


def main():
    """As the text above says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--routes', type=int, default=100000)
    parser.add_argument('--runs', type=int, default=5)
    args = parser.parse_args()
    taken = {kind: [] for kind in MATCHES}
    with tempfile.TemporaryDirectory() as folder:
        for kind, match in MATCHES.items():
            write(os.path.join(folder, kind), match, args.routes)
        for _ in range(args.runs):
            for kind, times in taken.items():
                times.append(load(os.path.join(folder, kind)))
    for kind, times in taken.items():
        print(f'load: {args.routes} routes, {kind:7} CPU {text([t[0] for t in times])}, '
              f'wall {text([t[1] for t in times])}')


if __name__ == '__main__':
    main()
