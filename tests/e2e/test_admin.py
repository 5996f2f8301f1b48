#!/usr/bin/python3
"""The admin interface, tgctl and the access log of a running Tidegate."""
import json
import os
import pwd
import re
import signal
import stat
import subprocess
import sys

import netns
from lab import CLIENT4, GATE4, ROOT, TGCTL, Lab
from tap import case, check, equal, main, wait_for
from wire import Client, request

sys.path.insert(0, os.path.join(ROOT, 'tests', 'unit', 'telem'))
import check_prometheus  # noqa: E402  pylint: disable=wrong-import-position


def tgctl(lab, *args, code=0):
    """Standard output of tgctl; the exit code is checked."""
    p = lab.tgctl(*args)
    equal(p.returncode, code, f'exit of tgctl {" ".join(args)}: {p.stderr}')
    return p.stdout if code == 0 else p.stdout + p.stderr


def hello(lab, n=1):
    for _ in range(n):
        equal(lab.curl('nginx.test', '/hello').stdout, b'hello from nginx\n')


@case
def ready_and_health(lab):
    equal(lab.get('/ready'), (200, 'LIVE\n'))
    equal(lab.get('/healthcheck/fail', 'POST')[0], 200)
    equal(lab.get('/ready'), (503, 'DRAINING\n'))
    equal(tgctl(lab, 'ready', code=1), 'DRAINING\n')
    hello(lab)  # only the answer changes
    equal(tgctl(lab, 'healthcheck', 'ok'), 'OK\n')
    equal(tgctl(lab, 'ready'), 'LIVE\n')


@case
def mutations_need_post(lab):
    for path in ('/drain', '/drain_listeners', '/quitquitquit', '/reload', '/reopen_logs',
                 '/healthcheck/fail', '/tax/sample'):
        equal(lab.get(path)[0], 405, path)
    equal(lab.get('/ready', 'POST')[0], 405)
    equal(lab.get('/ready'), (200, 'LIVE\n'))
    equal(lab.get('/no/such')[0], 404)
    check('/stats/prometheus' in lab.get('/help')[1], 'help lists the paths')


@case
def socket_is_for_owner_and_group(lab):
    mode = os.stat(os.path.join(lab.dir, 'admin.sock')).st_mode
    check(stat.S_ISSOCK(mode), oct(mode))
    equal(stat.S_IMODE(mode), 0o660)
    equal(stat.S_IMODE(os.stat(os.path.join(lab.dir, 'access.log')).st_mode) & 0o137, 0)


@case
def server_info(lab):
    j = lab.json('/server_info')
    equal(j['state'], 'LIVE')
    equal(j['pid'], lab.gate_pid())
    equal(len(j['workers']), j['concurrency'])
    check(re.fullmatch(r'\d+s', j['uptime_current_epoch']), j['uptime_current_epoch'])
    check(j['version'].startswith('tidegate/'), j['version'])
    equal({w['config_generation'] for w in j['workers']}, {j['config_generation']})
    check(f'pid {lab.gate_pid()}' in tgctl(lab, 'info'), 'tgctl info')


@case
def listeners_ports_and_config(lab):
    text = lab.get('/listeners')[1]
    check(f'web::{GATE4}:80\n' in text, text)
    check('web6::[fd77:1::1]:80\n' in text, text)
    check('not_open' not in text, text)
    web = [x for x in lab.json('/listeners')['listener_statuses'] if x['name'] == 'web'][0]
    equal(web['local_address'], {'socket_address': {'address': GATE4, 'port_value': 80}})
    equal((web['listening'], web['workers']), (1, 1))
    equal(lab.stat('listener.web.listening'), 1)
    ports = {p['name']: p for p in lab.json('/ports')['ports']}
    equal(set(ports), {'north', 'south'})
    check(GATE4 in ports['north']['addresses'], ports['north'])
    dump = lab.json('/config_dump')['configs'][0]
    with open(lab.config, encoding='utf-8') as f:
        source = f.read()
    equal(dump['source'], source)
    equal(tgctl(lab, 'config'), source)
    check('web ' in tgctl(lab, 'listeners') and 'north ' in tgctl(lab, 'ports'), 'tgctl tables')


def host_stats(lab, cluster):
    c = [c for c in lab.json('/clusters')['cluster_statuses'] if c['name'] == cluster][0]
    return {s['name']: int(s['value']) for s in c['host_statuses'][0]['stats']}


@case
def clusters_count_what_endpoints_get(lab):
    before = host_stats(lab, 'nginx')
    hello(lab, 5)
    after = host_stats(lab, 'nginx')
    equal(after['rq_total'] - before['rq_total'], 5)
    equal(after['rq_error'], before['rq_error'])
    check(after['cx_active'] >= 1, after)
    text = lab.get('/clusters')[1]
    check('nginx::10.77.2.2:8080::health_flags::healthy\n' in text, text[:400])
    check(f'nginx::10.77.2.2:8080::rq_total::{after["rq_total"]}\n' in text, text[:400])
    row = [x for x in tgctl(lab, 'clusters').splitlines() if x.startswith('nginx ')][0].split()
    equal((row[1], row[7]), ('10.77.2.2:8080', str(after['rq_total'])))


@case
def prometheus_is_valid_and_agrees(lab):
    hello(lab)

    def both():
        return (check_prometheus.read(lab.get('/stats/prometheus')[1]), lab.stats())
    prom, text = both()
    key = ('envoy_cluster_upstream_rq_total', (('envoy_cluster_name', 'nginx'),))
    equal(prom[key], text['cluster.nginx.upstream_rq_total'])
    key = ('envoy_http_downstream_rq_xx',
           (('envoy_http_conn_manager_prefix', 'web'), ('envoy_response_code_class', '2')))
    equal(prom[key], text['http.web.downstream_rq_2xx'])
    equal(prom[('envoy_server_live', ())], 1)
    check(prom[('tidegate_rq_duration_seconds_count', ())] >= 1, 'durations are recorded')
    equal(check_prometheus.read(lab.get('/stats?format=prometheus')[1]).keys(), prom.keys())


@case
def stats_filter(lab):
    status, text = lab.get('/stats?usedonly&filter=%5Ecluster%5C.nginx%5C.')
    equal(status, 200)
    check(text and all(re.match(r'cluster\.nginx\.\w+: [1-9]', x) for x in text.splitlines()), text)
    equal(lab.get('/stats?filter=(')[0], 400)
    out = tgctl(lab, 'stats', r'^cluster\.nginx\.upstream_rq_2xx')
    check(re.fullmatch(r'cluster\.nginx\.upstream_rq_2xx +[1-9]\d*\n', out), out)
    names = {s['name'] for s in json.loads(tgctl(lab, '--json', 'stats'))['stats']}
    check('server.rx_packets' in names and 'server.rq_duration_us' in names, sorted(names)[:20])


@case
def durations_are_in_the_histogram(lab):
    def hist():
        return [s for s in lab.json('/stats')['stats'] if s['name'] == 'server.rq_duration_us'][0]
    before = hist()['count']
    equal(lab.curl('py.test', '/slow?delay=0.3').returncode, 0)
    h = wait_for(lambda: hist() if hist()['count'] > before else None, 'the request in the histogram')
    check(250e3 < h['percentiles']['100'] < 60e6, h)


@case
def memory_shows_every_pool(lab):
    pools = lab.json('/memory')['pools']
    names = {p['name'] for p in pools}
    for name in ('mbuf', 'tcb', 'neighbours', 'log_ring'):
        check(name in names, f'{name} in {sorted(names)}')
    equal({p['name'] for p in pools if p['peak'] is None} & {'mbuf', 'tcb', 'exchange'}, set())
    for p in pools:
        check(0 <= p['in_use'] <= p['count'], p)
        check(p['peak'] is None or p['in_use'] <= p['peak'] <= p['count'], p)
    head, first = tgctl(lab, '--all', 'memory').splitlines()[:2]
    equal(head.split(), ['pool', 'worker', 'size', 'count', 'in_use', 'peak', 'refused'])
    equal(first.split()[:2], ['mbuf', 'all'])


@case
def drops_name_the_reason(lab):
    before = lab.drops()[1].get('req_no_route', 0)
    equal(lab.curl('only.test', '/elsewhere', '-o', '/dev/null', '-w', '%{http_code}').stdout, b'404')
    equal(lab.drops()[1].get('req_no_route', 0), before + 1)
    lab.check_ledger()
    out = tgctl(lab, 'drops')
    check(re.match(r'received \d+ = delivered \d+ \+ dropped \d+ \+ in flight \d+', out), out)
    check(re.search(r' req +req_no_route +404: ', out), out)


@case
def reload_by_post(lab):
    before = lab.stats()
    lab.write_config(extra_vhosts=', { name = "later"; domains = ["later.test"]; routes: () }',
                     vhosts='"nginx", "no-such-host"')
    status, text = lab.get('/reload', 'POST')
    equal(status, 400, text)
    check(f'{lab.config}:' in text and 'no-such-host' in text, text)
    check(text.endswith('nothing was changed\n'), text)
    check('no-such-host' in tgctl(lab, 'reload', code=1), 'tgctl prints the errors')
    hello(lab)
    lab.write_config(breakers='')
    status, text = lab.get('/reload', 'POST')
    equal(status, 200, text)
    check(text.startswith('OK\ngeneration '), text)
    lab.write_config()
    check(tgctl(lab, 'reload').startswith('OK\n'), 'tgctl reload')
    hello(lab)
    equal(lab.stat('config.reloads') - before['config.reloads'], 2)
    check(lab.stat('config.generation') > before['config.generation'], 'a new generation')


@case
def access_log_line(lab):
    lab.curl('py.test', '/echo?line', '-H', 'User-Agent: agent 1', '-H', 'Expect:', '-d', '12345')
    line = lab.wait_access('/echo?line')[0]
    m = re.fullmatch(r'\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\] "POST /echo\?line HTTP/1\.1" 200 - '
                     r'5 5 \d+ \d+ "([^"]*)" "agent 1" "([0-9a-f-]{36})" "py\.test" '
                     r'"10\.77\.2\.2:8081"', line)
    check(m, line)
    check(CLIENT4 in m.group(2), line)
    lab.curl('only.test', '/unrouted-line')
    line = lab.wait_access('/unrouted-line')[0]
    check(' 404 NR 0 0 ' in line or re.search(r' 404 NR 0 \d+ ', line), line)
    check(line.endswith('"only.test" "-"'), line)


@case
def no_client_can_forge_a_line(lab):
    with Client(lab.connect((GATE4, 80))) as c:
        agent = b'forged\\" 200 \x80\xff\t"GET /admin'
        r = c.ask(b'GET /hello?forge"x HTTP/1.1\r\nHost: nginx.test\r\nUser-Agent: ' + agent +
                  b'\r\n\r\n')
    line = lab.wait_access('/hello?forge')[0] if r.status == 200 else ''
    if line:
        check(line.isascii() and line.isprintable(), line)
        check('"forged\\x5C\\x22 200 \\x80\\xFF\\x09\\x22GET /admin"' in line, line)
    else:
        equal(r.status, 400)  # or the quote in the target is refused at once
    with Client(lab.connect((GATE4, 80))) as c:
        r = c.ask(b'GET /hello?agent HTTP/1.1\r\nHost: nginx.test\r\nUser-Agent: ' + agent +
                  b'\r\n\r\n')
        equal(r.status, 200)
    line = lab.wait_access('/hello?agent')[0]
    check(line.isascii() and line.isprintable(), line)
    check('"forged\\x5C\\x22 200 \\x80\\xFF\\x09\\x22GET /admin"' in line, line)


@case
def log_rotation(lab):
    path = os.path.join(lab.dir, 'access.log')
    hello(lab)
    lab.wait_access('/hello')
    for n, ask in enumerate((lambda: lab.proc.send_signal(signal.SIGUSR1),
                             lambda: tgctl(lab, 'reopen-logs'))):
        before = lab.stat('access_log.reopened')
        os.rename(path, f'{path}.{n}')
        ask()
        wait_for(lambda b=before: lab.stat('access_log.reopened') > b, 'the log opened anew')
        lab.curl('nginx.test', f'/hello?rotated{n}')
        lab.wait_access(f'rotated{n}')
        with open(f'{path}.{n}', encoding='utf-8') as f:
            check(f'rotated{n}' not in f.read(), 'the old file gets no more lines')


@case
def a_line_for_every_request(lab):
    before = lab.stats()
    with Client(lab.connect((GATE4, 80))) as c:
        for i in range(500):
            c.ask(request('GET', f'/hello?many{i}', 'nginx.test'))
    lines = lab.wait_access('/hello?many', 500)
    equal([int(re.search(r'many(\d+)', x).group(1)) for x in lines], list(range(500)))
    after = lab.stats()
    equal(after['server.log_records'] - before['server.log_records'], 500)
    equal(after['server.log_dropped'], before['server.log_dropped'])
    equal(after['access_log.lines_lost'], 0)


def tax_under_requests(lab, *args):
    """The report, made while requests go through."""
    p = subprocess.Popen([TGCTL, '-s', os.path.join(lab.dir, 'admin.sock'), '--interval', '500ms', *args, 'tax'],
                         stdout=subprocess.PIPE, text=True)
    with Client(lab.connect((GATE4, 80))) as c:
        while p.poll() is None:
            for _ in range(20):
                equal(c.ask(request('GET', '/hello', 'nginx.test')).status, 200)
    out = p.communicate(timeout=30)[0]
    equal(p.returncode, 0)
    return out


@case
def tax_adds_up(lab):
    r = json.loads(tax_under_requests(lab, '--json'))
    check(r['requests'] > 20 and r['traced_turns'] > 0, r)
    stages = {s['stage']: s for s in r['stages']}
    # To the cycle, in what the worker counted; as percentages, to their last digit.
    equal(sum(s['traced_cycles'] for s in r['stages']), r['traced_cycles'])
    check(abs(sum(s['percent'] for s in r['stages']) - 100) < 1e-6, r)
    check(abs(sum(s['ns_per_request'] for s in r['stages']) / r['ns_per_request'] - 1) < 1e-6, r)
    for name in ('rx', 'tcp', 'http', 'route', 'upstream', 'tx', 'loop'):
        check(stages[name]['traced_cycles'] > 0, f'{name}: {stages[name]}')
    equal(stages['filters']['traced_cycles'], 0)
    w = r['workers'][0]
    check(w['sleeps'] > 0 and w['voluntary_switches'] > 0, f'it sleeps when idle, and sends by system calls: {w}')
    # Nobody asks any longer: no turn is traced.
    wait_for(lambda: not lab.json('/tax')['workers'][0]['sampling'], 'end of sampling')
    wait_for(lambda: traced(lab) == traced(lab), 'end of the last traced turn')
    before = traced(lab)
    hello(lab, 3)
    equal(traced(lab), before)


def traced(lab):
    t = lab.json('/tax')['workers'][0]['traced']
    return t['turns'] + t['empty_turns']


@case
def tax_beside_a_direct_run(lab):
    path = os.path.join(lab.dir, 'direct.json')
    with open(path, 'w', encoding='ascii') as f:
        json.dump({'requests_per_second': 1000000, 'p50_us': 10}, f)
    out = tax_under_requests(lab, '--direct', path, '--through', path)
    check(re.search(r'^http +\d+\.\d %', out, re.M), out)
    check('a request takes 0 % more' in out and 'median latency 10.0 us directly' in out, out)
    check('no run' in tgctl(lab, 'tax', '--direct', lab.config, code=2), 'a file of another kind')
    for args in (['--direct', '/no/such/file'], ['--interval', '5'], ['--interval', '0s'], ['--interval', '3601s']):
        tgctl(lab, 'tax', *args, code=2)


@case
def tgctl_says_what_is_wrong(lab):
    p = subprocess.run([TGCTL, '-s', '/no/such/socket', 'ready'], capture_output=True, text=True,
                       check=False)
    equal(p.returncode, 3)
    check('is tidegate running?' in p.stderr, p.stderr)
    check('tgctl --help' in tgctl(lab, 'nonsense', code=2), 'unknown command')
    check('usage:' in tgctl(lab, 'healthcheck', 'maybe', code=2), 'wrong argument')
    check('Exit status' in tgctl(lab, '--help'), 'help')
    equal(tgctl(lab, 'get', '/ready'), 'LIVE\n')


@case
def another_user_after_the_start(_):
    """dataplane.user: what needs root is done by then, and undone at the end by the janitor."""
    nobody = pwd.getpwnam('nobody')
    with Lab(nginx=False, allowed=None, dataplane='user = "nobody";') as lab:
        with open(f'/proc/{lab.gate_pid()}/status', encoding='ascii') as f:
            text = f.read()
        for ids in ('Uid', 'Gid'):
            got = set(re.search(rf'^{ids}:\s+(.*)$', text, re.M).group(1).split())
            equal(got, {str(nobody.pw_uid if ids == 'Uid' else nobody.pw_gid)}, ids)
        log = os.path.join(lab.dir, 'access.log')

        def ask(mark):
            equal(lab.curl('py.test', f'/status/200?{mark}').stdout, b'told so\n')
            return lab.wait_access(mark)

        def signal_until(what, n):
            lab.proc.send_signal(signal.SIGUSR1)
            wait_for(lambda: lab.stat(what) == n, what)
        ask('before')
        # As logrotate does with "create 0640 nobody": the new file is there before the signal.
        os.rename(log, log + '.1')
        with open(log, 'w', encoding='ascii') as f:
            os.fchown(f.fileno(), nobody.pw_uid, nobody.pw_gid)
        signal_until('access_log.reopened', 1)
        ask('after')
        equal(len(lab.access_log()), 1, 'lines in the new file')
        # It cannot make one here: the old file is kept, and the log says why.
        os.rename(log, log + '.2')
        signal_until('access_log.reopen_failed', 1)
        check('Permission denied; the old file is kept' in lab.log_text(), lab.log_tail())
        equal(lab.curl('py.test', '/status/200?kept').stdout, b'told so\n')
        os.rename(log + '.2', log)
        lab.wait_access('kept')
        equal(lab.reload(web='server_name = "anew";'), 'applied')
        lab.check_end()
        left = netns.run(lab.gate, ['ip', '-d', 'link']).stdout
        check('xdp' not in left, left)
        check(not os.path.exists(os.path.join(lab.dir, 'admin.sock')), 'the admin socket is left')


if __name__ == '__main__':
    main(lambda: Lab(allowed={'req_no_route', 'req_malformed', 'conn_reset_by_peer',
                              'req_downstream_gone'}))
