#!/usr/bin/python3
"""Active checks and outlier detection over two workers: an origin behind two addresses that fails, resets, hangs and
dies as it is told. The clusters are the cookbook's (cfg/health.cfg), with shorter times."""
import os
import re

from lab import ROOT, Lab
from tap import case, check, equal, main, wait_for
from wire import Client, request

MORE = ''',
  { name = "eject"; endpoints: ( { address = "10.77.2.2:8081"; }, { address = "[fd77:2::2]:8081"; } );
    outlier_detection: { consecutive_5xx = 7; interval = "100ms"; base_ejection_time = "$base"; max_ejection_percent = 50; }; },
  { name = "some"; endpoints: ( { address = "10.77.2.2:8081"; }, { address = "10.77.2.2:9"; }, { address = "10.77.2.99:8081"; },
                                { address = "10.77.2.2:9006"; } );
    common_lb_config: { healthy_panic_threshold = 0; };
    health_checks: ( { timeout = "500ms"; interval = "200ms"; no_traffic_interval = "200ms"; unhealthy_threshold = 3;
                       healthy_threshold = 1; http_health_check: { path = "/told/some"; }; } ); },
  { name = "half"; endpoints: ( { address = "10.77.2.2:8081"; }, { address = "[fd77:2::2]:8081"; } );
    health_checks: ( { timeout = "500ms"; interval = "100ms"; no_traffic_interval = "100ms"; unhealthy_threshold = 1;
                       healthy_threshold = 1; http_health_check: { path = "/told/panicked"; }; } ); }
'''
PLAIN = ''',
  { name = "shop"; endpoints: ( { address = "10.77.2.2:8081"; }, { address = "[fd77:2::2]:8081"; } ); },
  { name = "db"; endpoints: ( { address = "10.77.2.2:9001"; }, { address = "[fd77:2::2]:9001"; } ); },
  { name = "eject"; endpoints: ( { address = "10.77.2.2:8081"; }, { address = "[fd77:2::2]:8081"; } ); },
  { name = "some"; endpoints: ( { address = "10.77.2.2:8081"; }, { address = "10.77.2.2:9"; } ); },
  { name = "half"; endpoints: ( { address = "10.77.2.2:8081"; }, { address = "[fd77:2::2]:8081"; } ); }
'''
VHOSTS = ''',
  { name = "health"; domains = ["health.test"]; routes: (
      { match: { prefix = "/told/traffic"; }; route: { cluster = "shop"; timeout = "0s"; }; },
      { match: { prefix = "/told/eject"; }; route: { cluster = "eject"; }; },
      { match: { prefix = "/told/panic"; }; route: { cluster = "half"; }; },
      { match: { prefix = "/told/some"; }; route: { cluster = "some"; }; } ); }
'''


def clusters(base):
    """The clusters of cfg/health.cfg, asked more often, and ours. base: how long the first ejection lasts."""
    with open(os.path.join(ROOT, 'cfg', 'health.cfg'), encoding='utf-8') as f:
        text = f.read()
    text = text[text.index('{ name = "shop";', text.index('clusters: (')):text.rindex(');')]
    for a, b in (('"/healthz"', '"/told/health"'), ('interval = "5s"', 'interval = "100ms"'),
                 ('_interval = "1s"', '_interval = "50ms"'), ('interval_jitter = "100ms"', 'interval_jitter = "10ms"')):
        check(a in text, f'{a} is not in cfg/health.cfg')
        text = text.replace(a, b)
    return ', ' + text + MORE.replace('$base', base)


def flags(lab, cluster):
    """What /clusters says of each endpoint."""
    return dict(re.findall(rf'^{cluster}::(.+)::health_flags::(.*)$', lab.get('/clusters')[1], re.M))


def becomes(lab, cluster, endpoint, want):
    wait_for(lambda: flags(lab, cluster)[endpoint] == want, lambda: f'{endpoint} to be {want}: {flags(lab, cluster)}')


def tell(lab, **how):
    for key, what in how.items():
        lab.origin_do('tell', key=key.replace('_', '.'), how=what)


def count(lab, key):
    return lab.origin_do('counts').get(key, 0)


def ask(lab, path, n, conns=8):
    """n requests over connections of both workers, one after the other; how often each status came."""
    got = {}
    clients = [Client(lab.connect()) for _ in range(conns)]
    for i in range(n):
        r = clients[i % conns].ask(request('GET', path, 'health.test'))
        got[r.status] = got.get(r.status, 0) + 1
    for c in clients:
        c.close()
    return got


V4, V6 = '10.77.2.2:8081', '[fd77:2::2]:8081'


@case
def an_unhealthy_endpoint_gets_nothing(lab):
    for e in (V4, V6):
        becomes(lab, 'shop', e, 'healthy')
    equal(ask(lab, '/told/traffic', 40), {200: 40}, 'statuses')
    check(count(lab, 'traffic.v4') > 0 and count(lab, 'traffic.v6') > 0, 'both are used')
    for how, want in (('500', '/failed_active_hc'), ('429', '/failed_active_hc'), ('reset', '/failed_active_hc'),
                      ('close', '/failed_active_hc'), ('hang', '/failed_active_hc/active_hc_timeout')):
        tell(lab, health_v6=how)
        becomes(lab, 'shop', V6, want)
        equal(flags(lab, 'shop')[V4], 'healthy', 'the other one')
        before = count(lab, 'traffic.v6')
        equal(ask(lab, '/told/traffic', 40), {200: 40}, f'statuses: {how}')
        equal(count(lab, 'traffic.v6'), before, f'requests to it: {how}')
        tell(lab, health_v6='200')
        becomes(lab, 'shop', V6, 'healthy')
    before = count(lab, 'traffic.v6')
    equal(ask(lab, '/told/traffic', 40), {200: 40}, 'statuses')
    check(count(lab, 'traffic.v6') > before, 'it is used again')
    s = lab.stats()
    equal((s['cluster.shop.membership_total'], s['cluster.shop.membership_healthy'], s['cluster.shop.health_check.healthy']),
          (2, 2, 2), 'members')
    equal(s['cluster.shop.health_check.attempt'] - s['cluster.shop.health_check.success']
          - s['cluster.shop.health_check.failure'] in (0, 1, 2), True, 'each check has a result')
    check(s['cluster.shop.health_check.network_failure'] >= 3, 'lost ones and timeouts')
    wait_for(lambda: 'cluster shop: [fd77:2::2]:8081 is unhealthy: no answer in time' in lab.log_text(), 'a line of log')


@case
def a_degraded_endpoint_is_healthy_and_last(lab):
    tell(lab, health_v6='degraded')
    becomes(lab, 'shop', V6, '/degraded_active_hc')
    s = lab.stats()
    equal([s[f'cluster.shop.{n}'] for n in ('membership_total', 'membership_healthy', 'membership_degraded',
                                            'health_check.healthy', 'health_check.degraded')], [2, 1, 1, 2, 1])
    tell(lab, health_v6='200')
    becomes(lab, 'shop', V6, 'healthy')
    equal(lab.stat('cluster.shop.health_check.degraded'), 0)


@case
def nobody_is_left(lab):
    tell(lab, health_v4='503', health_v6='503')
    for e in (V4, V6):
        becomes(lab, 'shop', e, '/failed_active_hc')
    with Client(lab.connect()) as c:
        r = c.ask(request('GET', '/told/traffic', 'health.test'))
        equal(r.status, 503, 'status')
    lab.wait_access(' 503 UH ')
    tell(lab, health_v4='200', health_v6='200')
    for e in (V4, V6):
        becomes(lab, 'shop', e, 'healthy')


@case
def in_panic_all_are_asked(lab):
    # One of two is half of them, which is no panic yet (healthy_panic_threshold is 50).
    tell(lab, panicked_v6='500')
    becomes(lab, 'half', V6, '/failed_active_hc')
    equal(ask(lab, '/told/panic', 40), {200: 40}, 'statuses')
    equal((count(lab, 'panic.v6'), lab.stat('cluster.half.lb_healthy_panic')), (0, 0), 'no panic')
    tell(lab, panicked_v4='500')
    becomes(lab, 'half', V4, '/failed_active_hc')
    equal(ask(lab, '/told/panic', 40), {200: 40}, 'statuses')
    check(count(lab, 'panic.v6') > 0, 'the first one is asked again')
    equal(lab.stat('cluster.half.lb_healthy_panic'), 40, 'lb_healthy_panic')
    tell(lab, panicked_v4='200', panicked_v6='200')
    for e in (V4, V6):
        becomes(lab, 'half', e, 'healthy')


@case
def connections_to_who_has_failed_end(lab):
    tell(lab, traffic_v4='hang', traffic_v6='hang')
    before = count(lab, 'traffic.v6')
    clients = [Client(lab.connect()) for _ in range(16)]
    for c in clients:
        c.send(request('GET', '/told/traffic', 'health.test'))
    wait_for(lambda: count(lab, 'traffic.v6') > before and lab.stat('cluster.shop.upstream_rq_active') == 16,
             'all to be under way')
    held = count(lab, 'traffic.v6') - before
    tell(lab, health_v6='500')
    wait_for(lambda: lab.stat('cluster.shop.upstream_rq_active') == 16 - held, 'those there to end')
    tell(lab, health_v4='500')
    for c in clients:
        equal(c.response().status, 503, 'status')
        c.close()
    lab.wait_access(' 503 UC ', 16)
    tell(lab, health_v4='200', health_v6='200', traffic_v4='200', traffic_v6='200')
    for e in (V4, V6):
        becomes(lab, 'shop', e, 'healthy')


@case
def dead_and_silent_ones_are_never_asked(lab):
    becomes(lab, 'some', '10.77.2.2:8081', 'healthy')
    for e in ('10.77.2.2:9', '10.77.2.2:9006', '10.77.2.99:8081'):  # refused, reset, silent
        wait_for(lambda e=e: re.fullmatch('/failed_active_hc(/active_hc_timeout)?', flags(lab, 'some')[e]), f'{e} to be out')
    equal(ask(lab, '/told/some', 40), {200: 40}, 'statuses')


@case
def tcp_is_checked_by_what_comes(lab):
    for e in ('10.77.2.2:9001', '[fd77:2::2]:9001'):
        becomes(lab, 'db', e, 'healthy')


@case
def verdicts_outlive_a_reload_under_load(lab):
    tell(lab, health_v6='500')
    becomes(lab, 'shop', V6, '/failed_active_hc')
    before = count(lab, 'traffic.v6')
    for _ in range(3):
        lab.reload()
        equal(ask(lab, '/told/traffic', 30), {200: 30}, 'statuses')
        equal(flags(lab, 'shop')[V6], '/failed_active_hc', 'flags')
    equal(count(lab, 'traffic.v6'), before, 'requests to it')
    tell(lab, health_v6='200')
    becomes(lab, 'shop', V6, 'healthy')


@case
def seven_in_a_row_eject(lab):
    # One after the other over both workers: exactly the seven that it takes are failed by it.
    tell(lab, eject_v6='500')
    got = ask(lab, '/told/eject', 60)
    equal(got, {200: 53, 500: 7}, 'statuses')
    equal(count(lab, 'eject.v6'), 7, 'requests to it')
    equal(flags(lab, 'eject')[V6], '/failed_outlier_check', 'flags')
    s = lab.stats()
    equal([s[f'cluster.eject.outlier_detection.{k}'] for k in
           ('ejections_enforced_total', 'ejections_enforced_consecutive_5xx', 'ejections_active')], [1, 1, 1], 'statistics')
    lab.reload()
    equal(flags(lab, 'eject')[V6], '/failed_outlier_check', 'flags after a reload')
    # A shorter term: it returns, and is used.
    tell(lab, eject_v6='200')
    lab.reload(extra_clusters=clusters('100ms'))
    becomes(lab, 'eject', V6, 'healthy')
    equal(ask(lab, '/told/eject', 40), {200: 40}, 'statuses')
    check(count(lab, 'eject.v6') > 7, 'it is used again')
    # No more than half of them: the other one goes on failing.
    tell(lab, eject_v4='500', eject_v6='500')
    lab.reload(extra_clusters=clusters('30s'))
    ask(lab, '/told/eject', 40)
    equal(sorted(flags(lab, 'eject').values()), ['/failed_outlier_check', 'healthy'], 'flags')
    check(lab.stat('cluster.eject.outlier_detection.ejections_overflow') > 0, 'overflow')
    wait_for(lambda: 'is ejected: consecutive_5xx' in lab.log_text(), 'a line of log')


@case
def without_checks_nobody_is_out(lab):
    lab.reload(extra_clusters=PLAIN)
    for name in ('shop', 'db', 'some', 'eject'):
        equal(set(flags(lab, name).values()), {'healthy'}, f'flags of {name}')
    equal(lab.stat('cluster.eject.outlier_detection.ejections_active'), 0, 'ejections_active')


if __name__ == '__main__':
    main(lambda: Lab(workers=2, nginx=False, empty_seconds=80, vhosts='"py", "health"',
                     extra_vhosts=VHOSTS, extra_clusters=clusters('30s'),
                     allowed={'conn_refused', 'conn_reset_by_peer', 'conn_connect_timeout', 'conn_idle',
                              'req_no_host', 'req_upstream_reset', 'tx_no_neighbour', 'tx_pending_full', 'conn_unreachable', 'conn_timeout'}))
