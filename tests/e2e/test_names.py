#!/usr/bin/python3
"""Endpoints by DNS: a server whose answers change, and the kernel's way to it from the control core."""
import os
import signal

import nameserver
import netns
from hammer import Hammer
from lab import Lab, wait_for
from nameserver import AAAA, NXDOMAIN, SERVFAIL
from tap import case, check, equal, main
from wire import Client, request

DNS = ('dns_lookup_family = "$family"; dns_refresh_rate = "50ms"; dns_query_timeout = "50ms"; '
       'dns_query_tries = 2; no_default_search_domain = true; dns_resolvers = ["127.0.0.1:$port"]; '
       'connect_timeout = "60s"; idle_timeout = "15s";')
MORE = {'auto': 'lb_policy = "ring_hash";', 'churn': 'outlier_detection: { };', 'ttl': 'respect_dns_ttl = true; dns_min_refresh_rate = "10ms";'}
CLUSTERS = {'strict': ('STRICT_DNS', 'ALL', 8081), 'logical': ('LOGICAL_DNS', 'V4_ONLY', 8081),
            'auto': ('STRICT_DNS', 'AUTO', 8081), 'late': ('STRICT_DNS', 'V4_ONLY', 8081),
            'ttl': ('STRICT_DNS', 'V4_ONLY', 8081), 'many': ('STRICT_DNS', 'V4_PREFERRED', 8081),
            'churn': ('STRICT_DNS', 'V4_ONLY', 8081),
            'own': ('STRICT_DNS', 'V4_ONLY', 80), 'echo': ('STRICT_DNS', 'V6_ONLY', 9001)}
IPS = ['10.77.2.2', '10.77.2.3', '10.77.2.4', 'fd77:2::2']
dns = None


# Two priorities, each with a name; and one whose endpoints start slowly.
MORE_CLUSTERS = {'levels': ('common_lb_config: { healthy_panic_threshold = 0; };',
                            '{ address = "near.names.test:8081"; }, { address = "far.names.test:8081"; priority = 1; }'),
                 'zone': ('common_lb_config: { zone_aware_lb_config: { min_cluster_size = 2; force_local_zone: { }; }; };',
                          '{ address = "far.names.test:8081"; }, '
                          '{ address = "near.names.test:8081"; locality: { zone = "here"; }; }'),
                 'fleet': ('', '{ address = "callers.names.test:80"; locality: { zone = "here"; }; }, '
                               '{ address = "others.names.test:80"; }'),
                 'aware': ('common_lb_config: { zone_aware_lb_config: { min_cluster_size = 3; }; };',
                           '{ address = "mine.names.test:8081"; locality: { zone = "here"; }; }, '
                           '{ address = "theirs.names.test:8081"; }'),
                 'weights': ('common_lb_config: { locality_weighted_lb_config: { }; }; '
                             'localities: ( { locality: { zone = "here"; }; load_balancing_weight = 75; }, '
                             '{ load_balancing_weight = 25; } );',
                             '{ address = "mine.names.test:8081"; locality: { zone = "here"; }; }, '
                             '{ address = "theirs.names.test:8081"; }'),
                 'eject': ('outlier_detection: { consecutive_5xx = 1; base_ejection_time = "10m"; };',
                           '{ address = "eject.names.test:8081"; }'),
                 'slow': ('round_robin_lb_config: { slow_start_config: { slow_start_window = "10m"; min_weight_percent = 0; }; };',
                          '{ address = "slow.names.test:8081"; }')}


def clusters(port):
    return ',\n'.join([
        f'{{ name = "{n}"; type = "STRICT_DNS"; {how} '
        + DNS.replace('$family', 'V4_ONLY').replace('$port', str(port)) + f' endpoints: ( {which} ); }}'
        for n, (how, which) in MORE_CLUSTERS.items()] + [
        f'{{ name = "{n}"; type = "{kind}"; {MORE.get(n, "")} '
        + DNS.replace('$family', family).replace('$port', str(port)).replace('"50ms"', '"2ms"' if n == 'churn' else '"50ms"', 1)
        + f' endpoints: ( {{ address = "{n}.names.test:{at}"; }} ); }}'
        for n, (kind, family, at) in CLUSTERS.items()])


ROUTES = '''
node: { locality: { zone = "here"; }; };
cluster_manager: { local_cluster_name = "fleet"; };
listeners: (
  { name = "web"; address = "10.77.1.1:80"; protocol = "http"; virtual_hosts = ["names"]; $web },
  { name = "echo"; address = "10.77.1.1:9001"; protocol = "tcp"; cluster = "echo"; }
);
virtual_hosts: ( { name = "names"; domains = ["*"]; routes: ( $routes ); } );
clusters: ( $clusters );
'''
ROUTES = ROUTES.replace('$routes', ', '.join(
    f'{{ match: {{ prefix = "/status/200?{n}"; }}; route: {{ cluster = "{n}"; timeout = "0s"; }}; }}'
    .replace('?', '/') for n in [*CLUSTERS, *MORE_CLUSTERS])
    + ''.join(f', {{ match: {{ prefix = "{p}"; }}; route: {{ cluster = "{c}"; timeout = "0s"; }}; }}'
              for p, c in {'/hold/names': 'strict', '/hold/churn': 'churn', '/status/500/eject': 'eject'}.items()))


def before(lab):
    global dns
    for ip in IPS[1:3]:
        netns.run(None, ['ip', '-n', lab.origin, 'addr', 'add', f'{ip}/24', 'dev', 'eth0'])
    dns = nameserver.make(lab)
    lab.subst['clusters'] = clusters(dns.port)
    dns.set('strict.names.test', '10.77.2.2', '10.77.2.3', 'fd77:2::2')
    dns.set('logical.names.test', '10.77.2.3', '10.77.2.2')
    dns.set('auto.names.test', '10.77.2.2', 'fd77:2::2')
    dns.set('ttl.names.test', '10.77.2.2')
    dns.set('many.names.test', *(f'10.77.3.{i}' for i in range(1, 151)))
    dns.set('own.names.test', '10.77.1.1', '224.0.0.1')
    dns.set('echo.names.test', 'fd77:2::2')
    dns.set('near.names.test', '10.77.2.2', '10.77.2.3')
    dns.set('far.names.test', '10.77.2.4')
    dns.set('slow.names.test', '10.77.2.2')
    dns.set('callers.names.test', '10.77.1.1')  # this process
    dns.set('others.names.test', '10.77.1.51')
    dns.set('mine.names.test', '10.77.2.2')
    dns.set('theirs.names.test', '10.77.2.3', '10.77.2.4')
    dns.set('churn.names.test', '10.77.2.2')
    dns.set('eject.names.test', '10.77.2.2', '10.77.2.3')


def hosts(lab, cluster):
    """{address: {statistic: value}} of /clusters."""
    found = {}
    for c in lab.json('/clusters')['cluster_statuses']:
        if c['name'] == cluster:
            for h in c['host_statuses']:
                a = h['address']['socket_address']
                found[a['address']] = {s['name']: int(s.get('value', 0)) for s in h['stats']}
    return found


def becomes(lab, cluster, *ips):
    wait_for(lambda: sorted(hosts(lab, cluster)) == sorted(ips),
             lambda: f'{cluster}: {sorted(ips)}; there are {sorted(hosts(lab, cluster))}')


def stat(lab, cluster, name):
    return lab.stat(f'cluster.{cluster}.{name}')


def rises(lab, cluster, name, by=2):
    """At least so many more of them, counted from now."""
    was = stat(lab, cluster, name)
    wait_for(lambda: stat(lab, cluster, name) >= was + by, f'{cluster}.{name} to rise')


def ask(lab, cluster, n=1, status=200):
    with Client(lab.connect()) as c:
        for _ in range(n):
            equal(c.ask(request('GET', f'/status/200/{cluster}', 'x.test')).status, status, 'status')


@case
def all_addresses_of_a_name_are_endpoints(lab):
    equal(sorted(hosts(lab, 'strict')), sorted(['10.77.2.2', '10.77.2.3', 'fd77:2::2']))
    ask(lab, 'strict', 12)
    # One worker has this connection, and gives each endpoint its turn.
    equal({h['rq_total'] for h in hosts(lab, 'strict').values()}, {4}, 'requests at each')
    equal(stat(lab, 'strict', 'membership_total'), 3)
    s = lab.stats()
    check(s['cluster.strict.update_attempt'] >= s['cluster.strict.update_success'] >= 1, 'lookups')
    rises(lab, 'strict', 'update_no_rebuild')
    equal(stat(lab, 'strict', 'membership_change'), 1)


@case
def families(lab):
    equal(list(hosts(lab, 'auto')), ['fd77:2::2'])
    dns.set('auto.names.test', '10.77.2.4')
    becomes(lab, 'auto', '10.77.2.4')  # no AAAA: so A
    ask(lab, 'auto')
    check(dns.count('auto.names.test', AAAA) > 0, 'AAAA was not asked for')
    with lab.connect(('10.77.1.1', 9001)) as s:
        s.sendall(b'hello')
        equal(s.recv(5), b'hello')
    equal(list(hosts(lab, 'echo')), ['fd77:2::2'])
    equal(dns.count('echo.names.test'), 0, 'questions for A')


@case
def a_long_answer_comes_over_tcp(lab):
    equal(stat(lab, 'many', 'membership_total'), 128)  # not more of a name


@case
def own_addresses_are_no_endpoints(lab):
    equal(hosts(lab, 'own'), {})
    ask(lab, 'own', status=503)


@case
def changes_under_load_lose_nothing(lab):
    h = Hammer(lab, host='x.test', path='/status/200/strict')
    sets = [('10.77.2.3', '10.77.2.4'), ('10.77.2.4',), ('fd77:2::2', '10.77.2.2'), ('10.77.2.3', ),
            ('10.77.2.2', '10.77.2.3', '10.77.2.4', 'fd77:2::2')]
    for ips in sets * 2:
        dns.set('strict.names.test', *ips)
        becomes(lab, 'strict', *ips)
        seen = sum(h.counts.values())
        wait_for(lambda seen=seen: sum(h.counts.values()) > seen + 40, 'requests to go on')
    counts = h.end()
    check(not h.wrong, f'{len(h.wrong)} went wrong: {h.wrong[:3]}')
    check(set(counts) == {200}, str(counts))
    dns.set('strict.names.test', '10.77.2.2')
    becomes(lab, 'strict', '10.77.2.2')
    # Of the others nothing is left, now that nothing is under way there.
    wait_for(lambda: stat(lab, 'strict', 'upstream_cx_active') == hosts(lab, 'strict')['10.77.2.2']['cx_active'],
             'connections to endpoints that are gone to end')


@case
def who_is_gone_finishes_what_is_under_way(lab):
    with Client(lab.connect()) as c:
        lab.origin_do('arm', key='names')
        c.send(request('GET', '/hold/names', 'x.test'))
        wait_for(lambda: lab.origin_do('held', key='names')['now'], 'the request')
        dns.set('strict.names.test', '10.77.2.3')
        becomes(lab, 'strict', '10.77.2.3')
        equal(lab.reload(web='server_name = "held";'), 'applied')
        dns.set('strict.names.test', '10.77.2.2')
        becomes(lab, 'strict', '10.77.2.2')
        lab.origin_do('release', key='names')
        equal(c.response().status, 200)


@case
def changes_while_a_request_lasts_cost_no_memory(lab):
    with Client(lab.connect()) as c:
        lab.origin_do('arm', key='churn')
        c.send(request('GET', '/hold/churn', 'x.test'))
        wait_for(lambda: lab.origin_do('held', key='churn')['now'], 'the request')
        changes = stat(lab, 'churn', 'membership_change')
        dns.set('churn.names.test', '10.77.2.4', '10.77.2.3', turns=['10.77.2.3'])
        wait_for(lambda: stat(lab, 'churn', 'membership_change') >= changes + 300, '300 changes')
        dns.set('churn.names.test', '10.77.2.3')
        becomes(lab, 'churn', '10.77.2.3')
        # One for each cluster of the configuration in use, and of the first, which stays.
        sets = 2 * len([*CLUSTERS, *MORE_CLUSTERS])
        wait_for(lambda: lab.stat('dns.endpoint_sets') <= sets, 'sets of endpoints to be freed')
        lab.origin_do('release', key='churn')
        equal(c.response().status, 200)  # of an endpoint that is long gone


def ejected(lab):
    return [h for h in hosts(lab, 'eject') if f'eject::{h}:8081::health_flags::/failed_outlier_check' in lab.get('/clusters')[1]]


@case
def who_is_gone_takes_no_place_among_the_ejected(lab):
    bad = request('GET', '/status/500/eject', 'x.test')
    with Client(lab.connect()) as held, Client(lab.connect()) as c:
        lab.origin_do('arm', key='names')
        held.send(request('GET', '/hold/names', 'x.test'))
        wait_for(lambda: lab.origin_do('held', key='names')['now'], 'a request that keeps the old snapshot')
        for how in ('DNS', 'reload'):
            equal(c.ask(bad).status, 500)
            wait_for(lambda: ejected(lab), 'an ejection')
            here = {'10.77.2.2', '10.77.2.3'} - set(ejected(lab))
            if how == 'reload':
                equal(lab.reload(web='server_name = "gone";'), 'applied')
            dns.set('eject.names.test', *here, '10.77.2.4')
            becomes(lab, 'eject', *here, '10.77.2.4')
            equal(ejected(lab), [])
            for _ in range(2):
                equal(c.ask(bad).status, 500)
            wait_for(lambda: ejected(lab), 'another ejection')
            dns.set('eject.names.test', '10.77.2.2', '10.77.2.3')
            becomes(lab, 'eject', '10.77.2.2', '10.77.2.3')
        lab.origin_do('release', key='names')
        equal(held.response().status, 200)


@case
def no_answer_changes_nothing(lab):
    for how in ({'rcode': SERVFAIL}, {'silent': True}):
        dns.set('strict.names.test', **how)
        rises(lab, 'strict', 'update_failure')
        equal(list(hosts(lab, 'strict')), ['10.77.2.2'])
        ask(lab, 'strict')
    check('name strict.names.test: ' in lab.log_text(), 'nothing in the log')
    dns.set('strict.names.test', '10.77.2.4')
    becomes(lab, 'strict', '10.77.2.4')
    check('found again' in lab.log_text(), 'nothing in the log')


@case
def no_such_name_no_endpoints(lab):
    dns.set('strict.names.test', rcode=NXDOMAIN)
    becomes(lab, 'strict')
    check(stat(lab, 'strict', 'update_empty') > 0, 'update_empty')
    none = stat(lab, 'strict', 'upstream_cx_none_healthy')
    ask(lab, 'strict', 3, 503)
    equal(stat(lab, 'strict', 'upstream_cx_none_healthy'), none + 3)
    check(lab.wait_access('/status/200/strict HTTP/1.1" 503 UH', 3), '')
    dns.set('strict.names.test', '10.77.2.2', '10.77.2.3')
    becomes(lab, 'strict', '10.77.2.2', '10.77.2.3')
    ask(lab, 'strict')


@case
def the_first_address_for_new_connections(lab):
    equal(list(hosts(lab, 'logical')), ['10.77.2.3'])
    with Client(lab.connect()) as c:  # on one worker, and so on one connection to the origin
        ok = request('GET', '/status/200/logical', 'x.test')
        equal(c.ask(ok).status, 200)
        total = stat(lab, 'logical', 'upstream_cx_total')
        dns.set('logical.names.test', '10.77.2.4', '10.77.2.3')
        becomes(lab, 'logical', '10.77.2.4')
        equal(c.ask(ok).status, 200)
        equal(stat(lab, 'logical', 'upstream_cx_total'), total, 'connections opened')
    dns.set('logical.names.test', rcode=NXDOMAIN)
    rises(lab, 'logical', 'update_empty')
    equal(list(hosts(lab, 'logical')), ['10.77.2.4'])
    ask(lab, 'logical')


@case
def a_name_that_comes_later(lab):
    equal(hosts(lab, 'late'), {})
    ask(lab, 'late', status=503)
    dns.set('late.names.test', '10.77.2.3')
    becomes(lab, 'late', '10.77.2.3')
    ask(lab, 'late')


@case
def ttl_decides_and_reloads_ask_no_more(lab):
    def others(n):
        was = dns.count('late.names.test')
        wait_for(lambda: dns.count('late.names.test') >= was + n, 'others to be asked')
    others(5)
    equal(dns.count('ttl.names.test'), 1, 'asked, with an hour to live')
    equal(lab.reload(web='server_name = "again";'), 'applied')
    others(3)
    equal(dns.count('ttl.names.test'), 1, 'asked')
    ask(lab, 'ttl')
    # Another configuration of the name asks anew, before it is used.
    dns.set('ttl.names.test', '10.77.2.3', ttl=0)
    equal(lab.reload(clusters=clusters(dns.port).replace('respect_dns_ttl', 'use_tcp_for_dns_lookups = true; '
                                                         'respect_dns_ttl')), 'applied')
    equal(list(hosts(lab, 'ttl')), ['10.77.2.3'])
    ask(lab, 'ttl')
    was = dns.count('ttl.names.test')
    wait_for(lambda: dns.count('ttl.names.test') >= was + 3, 'a TTL of 0 to be asked at dns_refresh_rate')


def got(lab, cluster, n):
    """{address: how many of n requests}"""
    was = {ip: h['rq_total'] for ip, h in hosts(lab, cluster).items()}
    ask(lab, cluster, n)
    return {ip: h['rq_total'] - was[ip] for ip, h in hosts(lab, cluster).items()}


@case
def the_next_priority_when_the_first_is_gone(lab):
    equal(got(lab, 'levels', 20), {'10.77.2.2': 10, '10.77.2.3': 10, '10.77.2.4': 0})
    dns.set('near.names.test', rcode=NXDOMAIN)
    becomes(lab, 'levels', '10.77.2.4')
    equal(got(lab, 'levels', 20), {'10.77.2.4': 20})
    dns.set('near.names.test', '10.77.2.3')
    becomes(lab, 'levels', '10.77.2.3', '10.77.2.4')
    equal(got(lab, 'levels', 20), {'10.77.2.3': 20, '10.77.2.4': 0})
    check('levels::10.77.2.4:8081::priority::1' in lab.get('/clusters')[1], 'priority in /clusters')


@case
def the_own_zone_while_it_has_someone(lab):
    dns.set('near.names.test', '10.77.2.3')
    becomes(lab, 'zone', '10.77.2.3', '10.77.2.4')
    equal(got(lab, 'zone', 20), {'10.77.2.3': 20, '10.77.2.4': 0})
    check(stat(lab, 'zone', 'lb_zone_routing_all_directly') >= 20, 'lb_zone_routing_all_directly')
    dns.set('near.names.test', rcode=NXDOMAIN)
    becomes(lab, 'zone', '10.77.2.4')
    equal(got(lab, 'zone', 20), {'10.77.2.4': 20})
    equal(stat(lab, 'zone', 'lb_zone_cluster_too_small'), 20)


def zones(lab):
    """What tgctl explain says of the zones of `aware`: how, and {locality: share}."""
    z = lab.dry('GET', 'http://x.test/status/200/aware')['clusters'][0]['zones']
    return z['how'], {s['locality']: round(s['share'], 3) for s in z['shares']}


@case
def the_own_zone_has_its_part_of_the_endpoints(lab):
    # Half of the callers are here and a third of the endpoints: two thirds of what this one calls for can stay.
    how, share = zones(lab)
    check(how.startswith('to the own zone for its part'), how)
    equal(share, {'here': 0.667, 'no locality': 0.333})
    n = got(lab, 'aware', 300)
    sampled, cross = (stat(lab, 'aware', f'lb_zone_routing_{w}') for w in ('sampled', 'cross_zone'))
    equal(sampled + cross, 300)
    equal(n['10.77.2.2'], sampled)
    check(200 - 50 < sampled < 200 + 50, f'{sampled} of 300, six sigma from 200')
    # A third of the callers: all can stay. Every worker knows when DNS says so.
    changes = stat(lab, 'fleet', 'membership_change')
    dns.set('others.names.test', '10.77.1.51', '10.77.1.52')
    wait_for(lambda: stat(lab, 'fleet', 'membership_change') > changes, 'another caller')
    equal(zones(lab), ('to the own zone', {'here': 1, 'no locality': 0}))
    for _ in range(4):
        equal(got(lab, 'aware', 10), {'10.77.2.2': 10, '10.77.2.3': 0, '10.77.2.4': 0})
    equal(stat(lab, 'aware', 'lb_zone_routing_all_directly'), 40)
    # One endpoint less, and it is too small a cluster; nobody here, and all goes elsewhere.
    dns.set('theirs.names.test', '10.77.2.3')
    becomes(lab, 'aware', '10.77.2.2', '10.77.2.3')
    equal(got(lab, 'aware', 20), {'10.77.2.2': 10, '10.77.2.3': 10})
    equal(stat(lab, 'aware', 'lb_zone_cluster_too_small'), 20)
    dns.set('theirs.names.test', '10.77.2.3', '10.77.2.4')
    becomes(lab, 'aware', *IPS[:3])
    check(stat(lab, 'aware', 'lb_recalculate_zone_structures') > 4, 'lb_recalculate_zone_structures')


@case
def localities_are_told(lab):
    text = lab.get('/clusters')[1]
    check('aware::10.77.2.2:8081::zone::here\n' in text and 'aware::10.77.2.3:8081::zone::\n' in text, 'zones in /clusters')
    found = {h['address']['socket_address']['address']: h['locality'] for c in lab.json('/clusters')['cluster_statuses']
             if c['name'] == 'aware' for h in c['host_statuses']}
    equal(found, {'10.77.2.2': {'zone': 'here'}, '10.77.2.3': {}, '10.77.2.4': {}})


@case
def weights_of_localities(lab):
    n = got(lab, 'weights', 200)
    check(abs(n['10.77.2.2'] - 150) <= 3, f'{n}')
    check(abs(n['10.77.2.3'] - n['10.77.2.4']) <= 1, f'{n}')
    dns.set('mine.names.test', rcode=NXDOMAIN)
    becomes(lab, 'weights', '10.77.2.3', '10.77.2.4')
    equal(got(lab, 'weights', 20), {'10.77.2.3': 10, '10.77.2.4': 10})


@case
def a_new_endpoint_starts_slowly_and_a_reload_does_not_help_it(lab):
    def less():
        n = got(lab, 'slow', 200)
        check(n['10.77.2.3'] * 1.1 < n['10.77.2.2'], f'{n}')
    equal(got(lab, 'slow', 10), {'10.77.2.2': 10})
    dns.set('slow.names.test', '10.77.2.2', '10.77.2.3')
    becomes(lab, 'slow', '10.77.2.2', '10.77.2.3')
    less()  # by as much as it is younger, in ten minutes
    equal(lab.reload(web='server_name = "slow";'), 'applied')
    less()


@case
def reload_under_load_keeps_endpoints(lab):
    h = Hammer(lab, 4, host='x.test', path='/status/200/strict')
    for i in range(5):
        equal(lab.reload(web=f'server_name = "gen{i}";'), 'applied')
    h.end()
    check(not h.wrong, f'{len(h.wrong)} went wrong: {h.wrong[:3]}')
    equal(sorted(hosts(lab, 'strict')), ['10.77.2.2', '10.77.2.3'])
    os.kill(lab.gate_pid(), signal.SIGUSR1)  # still listens


if __name__ == '__main__':
    main(lambda: Lab(routes=ROUTES, workers=2, nginx=False, before=before, web='',
                     allowed={'req_no_host', 'conn_idle'}))
