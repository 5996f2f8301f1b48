#!/usr/bin/python3
"""Change under load: reloads, bad files, drain, an origin that dies and comes back."""
import os
import signal
import time

from hammer import Hammer
from lab import GATE4, VHOSTS, Background, Lab, quick, wait_for
from tap import case, check, equal, main
from wire import Client, Closed, request


@case
def reload_under_load_loses_nothing(lab):
    h = Hammer(lab)
    for i in range(quick(20, 8)):
        # A different file each time: another server name, a cluster more or less.
        equal(lab.reload(web=f'server_name = "gen{i}";',
                         extra_clusters=f', {{ name = "c{i}"; endpoints: '
                                        f'( {{ address = "10.77.2.2:{7000 + i}"; }} ); }}'), 'applied')
        time.sleep(0.1)
    counts = h.end()
    check(not h.wrong, f'{len(h.wrong)}: {h.wrong[:5]}')
    check(counts[200] > 100, counts)
    with Client(lab.connect()) as c:  # the new file is what is in use
        r = c.ask(request('GET', '/', 'nobody.test'))
        check((r.get('server') or '').startswith('gen'), r)
    equal(lab.reload(), 'applied')


# What one host's requests may meet, each in the place of the one before. None of it may cost a request.
POLICIES = [
    'routes: ( { match: { prefix = "/"; }; route: { cluster = "any"; }; } );',
    'routes: ( { match: { prefix = "/"; }; route: { weighted_clusters: ( { cluster = "any"; weight = 90; }, '
    '{ cluster = "py6"; weight = 10; } ); }; } );',
    'routes: ( { match: { safe_regex = "/st[a-z]+/[0-9]+"; }; route: { cluster = "py"; timeout = "60s"; priority = "HIGH"; }; } );',
    'routes: ( { match: { prefix = "/st"; }; route: { cluster = "any"; timeout = "60s"; prefix_rewrite = "/st"; '
    'retry_policy: { retry_on = "5xx"; per_try_timeout = "20s"; }; hedge_policy: { hedge_on_per_try_timeout = true; }; }; } );',
    'filters: ( { name = "local_ratelimit"; token_bucket: { max_tokens = 10000000; fill_interval = "1h"; }; }, '
    '{ name = "fault"; delay: { fixed_delay = "1ms"; percentage = 50; }; }, '
    '{ name = "rbac"; policies: ( { name = "all"; principals = ["*"]; } ); } ); '
    'routes: ( { match: { prefix = "/"; }; route: { cluster = "any"; hash_policy: ( { header: { header_name = "x"; }; } ); }; } );',
    'request_mirror_policies: ( { cluster = "py6"; } ); '
    'routes: ( { match: { prefix = "/"; runtime_fraction: { default_value: { numerator = 0; }; }; }; '
    'route: { cluster_header = "x-none"; }; }, '
    '{ match: { prefix = "/"; }; route: { cluster = "any"; }; } );']
BALANCERS = ('round_robin', 'least_request', 'random', 'ring_hash', 'maglev')
OVERLOAD = ('overload_manager: { resource_monitors: ( { name = "envoy.resource_monitors.global_downstream_max_connections"; '
            'max_active_downstream_connections = 100000; } ); actions: ( { name = "envoy.overload_actions.stop_accepting_requests"; '
            'triggers: ( { name = "envoy.resource_monitors.global_downstream_max_connections"; threshold: { value = 0.9; }; } ); } ); };')


@case
def policy_changes_under_load(lab):
    """Routes, filters, retries, balancers, breakers, outlier detection and overload change while requests run."""
    h = None
    for i in range(quick(24, 12)):
        policy = POLICIES[i % len(POLICIES)]
        extra = f''', {{ name = "any"; lb_policy = "{BALANCERS[i % len(BALANCERS)]}"; connect_timeout = "60s";
            circuit_breakers: {{ max_requests = {1000 + i}; max_connections = {1000 + i % 3}; max_retries = {3 + i % 2}; }};
            {'outlier_detection: { consecutive_5xx = 3; };' if i % 2 else ''}
            endpoints: ( {{ address = "10.77.2.2:8081"; weight = {1 + i % 4}; }}, {{ address = "[fd77:2::2]:8081"; }} ); }}'''
        equal(lab.reload(vhosts='"nginx", "policy"', top=OVERLOAD if i % 3 else '', extra_clusters=extra,
                         extra_vhosts=f', {{ name = "policy"; domains = ["policy.test"]; {policy} }}'), 'applied', policy)
        h = h or Hammer(lab, 6, host='policy.test', path='/status/200')
        before = h.counts.get(200, 0)
        wait_for(lambda b=before: h.counts.get(200, 0) > b + 30 or h.wrong, 'requests under it')
    counts = h.end()
    check(not h.wrong, f'{len(h.wrong)}: {h.wrong[:5]}')
    check(set(counts) == {200} and lab.stat('cluster.py6.mirror_rq_total') > 0, counts)
    equal(lab.reload(), 'applied')


@case
def reload_moves_routes_and_listeners(lab):
    r = lab.curl('only.test', '/new/x', '-o', '/dev/null', '-w', '%{http_code}')
    equal(r.stdout, b'404')
    equal(lab.reload(
        extra_vhosts=', { name = "fresh"; domains = ["fresh.test"]; routes: '
                     '( { match: { prefix = "/"; }; route: { cluster = "py"; }; } ); }',
        vhosts=', '.join(f'"{v}"' for v in (*VHOSTS, 'fresh')),
        extra_listeners=', { name = "more"; address = "10.77.1.1:8888"; protocol = "tcp"; '
                        'cluster = "echo"; }'), 'applied')
    equal(lab.curl('fresh.test', '/status/200').stdout, b'told so\n')
    with Client(lab.connect((GATE4, 8888))) as c:
        c.send(b'ping')
        equal(c.exactly(4), b'ping')
        equal(lab.reload(), 'applied')  # takes the listener away again
        c.send(b'pong')  # what is established lives on
        equal(c.exactly(4), b'pong')

    def gone():
        with lab.socket() as s:
            s.settimeout(3)
            return s.connect_ex((GATE4, 8888)) == 111
    wait_for(gone, 'the removed listener refuses')
    p = lab.curl('fresh.test', '/', '-o', '/dev/null', '-w', '%{http_code}')
    equal(p.stdout, b'404')


@case
def exchange_under_way_keeps_its_configuration(lab):
    with Client(lab.connect(timeout=20)) as c:
        c.send(request('GET', '/slow?delay=1.5', 'py.test'))
        wait_for(lambda: lab.origin_do('requests', prefix='/slow'), 'the request')
        # Its virtual host goes away while it waits.
        equal(lab.reload(vhosts='"nginx"'), 'applied')
        equal(c.response().body, b'at last\n')
        equal(c.ask(request('GET', '/', 'py.test')).status, 404)
    equal(lab.reload(), 'applied')


@case
def bad_file_changes_nothing(lab):
    h = Hammer(lab, 4)
    generation = lab.stat('config.generation')
    for bad in ('no_such_key = 1;', 'protocol = "gopher";', 'this is not a configuration {{{',
                'idle_timeout = "soon";'):
        equal(lab.reload(web=bad), 'refused')
    equal(lab.stat('config.generation'), generation)
    h.end()
    check(not h.wrong, h.wrong[:5])
    log = lab.log_text()
    check('tidegate.cfg:' in log, 'no FILE:LINE in the log')
    # What is fixed at start cannot be changed by a reload, and is said.
    equal(lab.reload(workers='2'), 'refused')
    check('workers' in lab.log_text(), 'the log does not say what')
    os.unlink(lab.config)
    before = lab.stat('config.reload_failures')
    lab.proc.send_signal(signal.SIGHUP)
    wait_for(lambda: lab.stat('config.reload_failures') > before, 'a missing file is refused')
    equal(lab.reload(), 'applied')


@case
def origin_killed_and_restarted_under_load(lab):
    h = Hammer(lab, 6, ok={200, 503}, host='py.test', path='/bytes/2000')
    time.sleep(0.5)
    for _ in range(quick(3, 2)):
        wait_for(lambda: h.counts.get(200, 0) > 20, 'requests')
        lab.stop_py(signal.SIGKILL)
        before = h.counts.get(503, 0)
        wait_for(lambda b=before: h.counts.get(503, 0) > b, '503 while the origin is away')
        lab.start_py()
        before = h.counts.get(200, 0)
        wait_for(lambda b=before: h.counts.get(200, 0) > b + 50, '200 when it is back')
    h.end()
    cut = [w for w in h.wrong if 'Closed' in w]
    other = [w for w in h.wrong if 'Closed' not in w]
    check(not other, other[:5])
    # A response whose head had passed when the origin died can only be cut.
    check(len(cut) <= 6 * 3, f'{len(cut)}: {cut[:3]}')
    wait_for(lambda: lab.curl('py.test', '/status/200').stdout == b'told so\n', 'all well')


@case
def origin_gone_quietly_503_and_back(lab):
    lab.stop_nginx()
    for _ in range(5):
        p = lab.curl('nginx.test', '/hello', '-o', '/dev/null', '-w', '%{http_code}')
        equal(p.stdout, b'503')
    lab.start_nginx()
    equal(lab.curl('nginx.test', '/hello').stdout, b'hello from nginx\n')


@case
def drain_under_load_exits_0(lab):
    """The last case: SIGTERM while requests run; each gets its answer, whole."""
    with Client(lab.connect(timeout=20)) as idle, Client(lab.connect(timeout=20)) as long:
        equal(idle.ask(request('GET', '/hello', 'nginx.test')).status, 200)
        long.send(request('GET', '/slow?delay=1.5&drain', 'py.test'))
        wait_for(lambda: lab.origin_do('requests', prefix='/slow?delay=1.5&drain'), 'the request')
        h = Hammer(lab, 6, may_close=True)
        wait_for(lambda: h.counts.get(200, 0) > 50, 'load')
        pool = [Background(lab.curl, 'py.test', '/slow?delay=0.2') for _ in range(4)]
        for p in pool:
            p.result()
        resets = lab.origin_do('counts').get('reset', 0)
        lab.proc.terminate()
        check(idle.at_end(), 'the idle connection stays open')
        wait_for(lambda: not_listening(lab), 'the listener is closed')
        r = long.response()
        equal((r.status, r.body), (200, b'at last\n'))
        check(not r.keep_alive(), 'no Connection: close while draining')
    lab.proc.wait(30)
    lab.exit_code = lab.proc.returncode
    equal(lab.exit_code, 0, 'exit code')
    h.end()
    check(not h.wrong, f'{len(h.wrong)}: {h.wrong[:5]}')
    # What was idle towards the origins got a FIN.
    equal(lab.origin_do('counts').get('reset', 0), resets, 'resets at the origin')


def not_listening(lab):
    with lab.socket() as s:
        s.settimeout(1)
        return s.connect_ex((GATE4, 80)) != 0


@case
def drain_time_is_a_bound(lab):
    """A fresh process with a request that never ends: SIGTERM still ends it, after drain_time."""
    lab.subst['drain_time'] = '2s'
    lab.exit_code = None
    lab.start()
    with Client(lab.connect(timeout=20)) as c:
        c.send(request('GET', '/hang?drain', 'py.test'))
        wait_for(lambda: lab.origin_do('requests', prefix='/hang?drain'), 'the request')
        t = time.monotonic()
        equal(lab.terminate(30), 0, 'exit code')
        took = time.monotonic() - t
        check(took > 1.5, f'{took:.1f} s with a drain time of 2 s')
        check(c.at_end(), 'the connection is left hanging')


if __name__ == '__main__':
    main(lambda: Lab(drain_time='8s', allowed={
        'req_connect_failure', 'req_upstream_reset', 'req_cut_upstream', 'conn_refused',
        'conn_reset_by_peer', 'conn_drain', 'req_drain', 'req_no_route', 'req_downstream_gone',
        'conn_aborted', 'tcp_no_listener', 'conn_linger', 'tcp_after_close'}))
