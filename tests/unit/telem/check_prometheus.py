#!/usr/bin/env python3
"""Reads a Prometheus text exposition (format 0.0.4) strictly and fails on whatever a scraper would refuse.

With a program as argument, runs it (telem_prom_sample) and also checks the values that it must print;
with a file name or '-', only the form. read() is for other tests.
"""
import os
import re
import shlex
import subprocess
import sys

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
SAMPLE = re.compile(rf'({NAME})(\{{(.*)\}})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
NUMBER = re.compile(r'[+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf)|NaN')


def labels(text, where):
    out, at = {}, 0
    while at < len(text):
        m = LABEL.match(text, at)
        assert m, f'{where}: bad labels at {text[at:]!r}'
        assert m[1] not in out, f'{where}: label {m[1]} twice'
        out[m[1]] = re.sub(r'\\(.)', lambda e: '\n' if e[1] == 'n' else e[1], m[2])
        at = m.end()
    assert not text.endswith(','), f'{where}: trailing comma'
    return out


def family_of(name, types):
    for suffix in ('_bucket', '_sum', '_count'):
        base = name.removesuffix(suffix)
        if base != name and types.get(base) == 'histogram':
            return base
    return name


def read(text):
    """{(name, (label pairs)): value}; AssertionError with a sentence when the text is not valid."""
    assert text.endswith('\n'), 'last line is not ended'
    types, helps, closed, current, samples = {}, set(), set(), None, {}
    for i, line in enumerate(text.split('\n')[:-1], 1):
        where = f'line {i}'
        assert line, f'{where}: empty'
        if line.startswith('#'):
            m = re.fullmatch(rf'# (HELP|TYPE) ({NAME}) (.+)', line)
            assert m, f'{where}: bad comment {line!r}'
            kind, name, rest = m.groups()
            if name != current:
                assert name not in closed and name not in types, f'{where}: family {name} in two places'
                closed.add(current)
                current = name
            if kind == 'HELP':
                assert name not in helps, f'{where}: second HELP'
                helps.add(name)
            else:
                assert name not in types, f'{where}: second TYPE'
                assert rest in ('counter', 'gauge', 'histogram'), f'{where}: type {rest}'
                types[name] = rest
            continue
        m = SAMPLE.fullmatch(line)
        assert m, f'{where}: bad sample {line!r}'
        name, lab, value = m[1], labels(m[3] or '', where), m[4]
        assert NUMBER.fullmatch(value), f'{where}: bad value {value!r}'
        family = family_of(name, types)
        assert family == current and family in types, f'{where}: {name} is not under its TYPE'
        if types[family] == 'counter':
            assert float(value) >= 0, f'{where}: negative counter'
        key = (name, tuple(sorted(lab.items())))
        assert key not in samples, f'{where}: {key} twice'
        samples[key] = float(value.replace('Inf', 'inf'))
    check_histograms(samples, types)
    return samples


def check_histograms(samples, types):
    for family, kind in types.items():
        if kind != 'histogram':
            continue
        buckets = sorted((float(dict(lab)['le']), v) for (n, lab), v in samples.items() if n == family + '_bucket')
        assert buckets and buckets[-1][0] == float('inf'), f'{family}: no +Inf bucket'
        assert all(a[1] <= b[1] for a, b in zip(buckets, buckets[1:])), f'{family}: not cumulative'
        assert buckets[-1][1] == samples[(family + '_count', ())], f'{family}: count is not the +Inf bucket'
        assert (family + '_sum', ()) in samples, f'{family}: no sum'


def check_sample(s):
    def get(name, **lab):
        return s[(name, tuple(sorted(lab.items())))]

    assert get('envoy_server_uptime') == 7
    assert get('tidegate_pool_in_use', pool='arena') == 4
    assert get('tidegate_pool_refused_total', pool='tcb') == 1
    assert get('tidegate_rx_packets_total', worker='1') == 101
    assert get('tidegate_rx_in_flight', worker='1') == -1
    assert get('tidegate_drops_total', reason='ip_bad_checksum', **{'class': 'pkt'}) == 7
    assert get('envoy_cluster_upstream_rq_xx', envoy_cluster_name='v1', envoy_response_code_class='2') == 20
    assert get('envoy_cluster_upstream_rq_xx', envoy_cluster_name='odd "name"\\\n} 1', envoy_response_code_class='5') == 2
    assert get('envoy_http_downstream_rq_xx', envoy_http_conn_manager_prefix='web', envoy_response_code_class='4') == 4
    assert get('envoy_tcp_downstream_cx_total', envoy_tcp_prefix='raw') == 4
    assert get('envoy_listener_downstream_cx_total', envoy_listener_address='raw') == 4
    assert get('tidegate_cluster_upstream_rq_retry_unacked_total', cluster='v1') == 0
    assert ('envoy_tcp_downstream_cx_total', (('envoy_tcp_prefix', 'web'),)) not in s
    count = get('tidegate_rq_duration_seconds_count')
    assert 0 < get('tidegate_rq_duration_seconds_bucket', le='0.001') < count
    assert get('tidegate_rq_duration_seconds_bucket', le='3600') < count


def cross_check(text):
    """The same text through Prometheus' own Python client, where it is installed."""
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError:
        return
    assert sum(len(f.samples) for f in text_string_to_metric_families(text)) == len(read(text))


def main():
    what = sys.argv[1]
    if what == '-':
        read(sys.stdin.read())
        return
    with open(what, 'rb') as f:
        if f.read(4) != b'\x7fELF':
            with open(what, encoding='utf-8') as text:
                read(text.read())
            return
    wrapper = shlex.split(os.environ.get('MESON_EXE_WRAPPER', ''))  # an emulator, in a cross build
    text = subprocess.run(wrapper + [what], check=True, stdout=subprocess.PIPE, text=True).stdout
    check_sample(read(text))
    cross_check(text)


if __name__ == '__main__':
    main()
