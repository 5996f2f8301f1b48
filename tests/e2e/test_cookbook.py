#!/usr/bin/python3
"""The cookbook's configurations as they are in cfg/, with the lab's origin behind them: breaker, retry, balance, chaos and limits.
Others have files of their own: canary and mirroring test_routing.py, health test_health.py, names and failover test_names.py,
overload test_policy.py, global limits test_ratelimit.py."""
import math
import os
import re
import time

from lab import GATE4, ROOT, Background, Lab
from tap import case, check, equal, main, note, wait_for
from wire import Client, Closed, request

ORIGINS = '{ address = "10.77.2.2:8081"; }, { address = "[fd77:2::2]:8081"; }'
IDLE = 'idle_timeout = "15s"; '  # so that the end need not be waited for


def use(lab, name, *changes):
    """From its listeners on, with other paths, times or origins where the lab has others."""
    with open(os.path.join(ROOT, 'cfg', name + '.cfg'), encoding='utf-8') as f:
        text = f.read()
    text = text[text.index('\nlisteners: ('):]
    for a, b in changes:
        check(a in text, f'{a} is not in cfg/{name}.cfg')
        text = text.replace(a, b)
    head, clusters = text.split('\nclusters: (')
    clusters = re.sub(r'endpoints: \( .*? \);', f'endpoints: ( {ORIGINS} );', clusters, flags=re.S)
    clusters = re.sub(r'(\{ name = "\w+";)', r'\1 ' + IDLE, clusters)
    lab.routes = (head + '\nclusters: (' + clusters).replace('$', '$$')
    equal(lab.reload(), 'applied', name)


def ask(lab, path, n=1, **fields):
    with Client(lab.connect()) as c:
        return [c.ask(request('GET', path, 'shop.example', fields=[(k.replace('_', '-'), v) for k, v in fields.items()]))
                for _ in range(n)]


def many(lab, clients, each, path, **fields):
    """{status: how many} of so many requests on so many connections at once."""
    found = {}
    for t in [Background(ask, lab, path, each) for _ in range(clients)]:
        for r in t.result():
            found[r.status] = found.get(r.status, 0) + 1
    return found


@case
def breaker(lab):
    use(lab, 'breaker', ('/checkout/', '/hold/checkout'))
    for path, n, limit in (('/hold/checkout', 20, 8), ('/hold/other', 60, 32)):
        lab.origin_do('arm', key=path.split('/')[2])
        clients = [Client(lab.connect()) for _ in range(n)]
        for c in clients:
            c.send(request('GET', path, 'shop.example'))

        def held(path=path):
            return lab.origin_do('held', key=path.split('/')[2])
        wait_for(lambda n=n, limit=limit: lab.stat('cluster.shop.upstream_rq_pending_overflow') >= n - limit, 'refusals')
        wait_for(lambda limit=limit: held()['now'] == limit, lambda: f'{held()}')
        level = 'high' if limit == 8 else 'default'
        equal(lab.stat(f'cluster.shop.circuit_breakers.{level}.rq_open'), 1, 'rq_open')
        equal(lab.stat(f'cluster.shop.circuit_breakers.{level}.remaining_rq'), 0, 'remaining_rq')
        lab.origin_do('release', key=path.split('/')[2])
        got = [c.response() for c in clients]
        equal(sorted(r.status for r in got), [200] * limit + [503] * (n - limit), path)
        check(all(r.get('x-envoy-overloaded') == 'true' for r in got if r.status == 503), 'x-envoy-overloaded')
        equal(held()['most'], limit, 'at once')
        for c in clients:
            c.close()
    lab.wait_access(' 503 UO ', 40)


@case
def retry(lab):
    use(lab, 'retry', ('/catalogue/', '/flaky/catalogue'))
    r, = ask(lab, '/flaky/catalogue1?fails=2&how=503')
    equal((r.status, r.get('x-envoy-attempt-count')), (200, '3'), 'what may be done twice')
    r, = ask(lab, '/flaky/catalogue2?fails=1&how=409')
    equal((r.status, r.get('x-envoy-attempt-count')), (200, '2'), 'a conflict')
    r, = ask(lab, '/flaky/catalogue3?fails=3&how=503')
    equal((r.status, r.get('x-envoy-attempt-count')), (503, '3'), 'thrice in vain')
    lab.wait_access(' 503 URX ')
    r, = ask(lab, '/flaky/order?fails=1&how=503')
    equal((r.status, r.get('x-envoy-attempt-count')), (503, '1'), 'what may not')
    # But where there was no connection, nothing has been done yet.
    lab.routes = lab.routes.replace('[fd77:2::2]:8081', '10.77.2.2:9')
    equal(lab.reload(), 'applied')
    before = lab.stat('cluster.shop.upstream_rq_retry')
    equal({r.status for r in ask(lab, '/see', 20)}, {200})
    check(lab.stat('cluster.shop.upstream_rq_retry') - before >= 5, 'nothing was tried again')


@case
def balance(lab):
    use(lab, 'balance', ('"/thumbs/"', '"/see/thumbs"'))
    sent = []

    def send(n, query='', **fields):
        """Requests that should go to one place; the group's number."""
        group = [f'/see/thumbs{len(sent)}.{i}?{query}' for i in range(n)]
        sent.append(group)
        for path in group:
            equal(ask(lab, path, **fields)[0].status, 200)
        return len(sent) - 1
    by_id = [send(3, f'id={i}', x_tenant=str(i)) for i in range(24)]
    by_id += [send(1, f'id={i}', x_tenant=str(100 + i)) for i in range(24)]  # the parameter is terminal
    by_tenant = [send(3, x_tenant=str(i)) for i in range(24)]
    by_source = [send(8)]
    r, = ask(lab, '/see/cart')
    cookie = r.get('set-cookie')
    check(re.fullmatch('stick="[0-9a-f]{16}"; Max-Age=3600; Path=/; HttpOnly', cookie), cookie)
    sent.append(['/see/cart'] + [f'/see/cart{i}' for i in range(6)])
    for path in sent[-1][1:]:
        equal(ask(lab, path, cookie=cookie.split(';')[0])[0].get('set-cookie'), None, 'set-cookie')
    at = {x.split()[0]: x.split()[-1] for x in lab.wait_access('/see/', sum(map(len, sent)))}
    ends = [{at[path] for path in group} for group in sent]
    for group, e in zip(sent, ends):
        equal(len(e), 1, f'{group} went to {e}')
    equal(ends[:24], ends[24:48], 'the parameter alone decides')
    for groups in (by_id, by_tenant):  # by chance one in 2**23, and in the tables there is none
        equal(len(set().union(*(ends[g] for g in groups))), 2, 'endpoints of all')
    equal(len(ends[by_source[0]]), 1, 'endpoints of a client')


@case
def chaos(lab):
    """One in a hundred waits, one in two hundred is answered 500; bounds of six standard deviations, and what is counted is
    what is seen."""
    use(lab, 'chaos', ('"5s"', '"100ms"'), ('"/pay/"', '"/status/"'))
    total = 3000
    got = many(lab, 12, total // 12, '/see/chaos')
    stats = {k: lab.stat(f'http.web.fault.{k}') for k in ('aborts_injected', 'delays_injected', 'faults_overflow', 'active_faults')}
    note(f'{got} {stats}')
    equal(got[200] + got[500], total, got)
    for k, share in (('aborts_injected', 0.005), ('delays_injected', 0.01)):
        check(0 < stats[k] and abs(stats[k] - total * share) < 6 * math.sqrt(total * share), stats)
    equal((stats['aborts_injected'], stats['active_faults'], stats['faults_overflow']), (got[500], 0, 0), stats)
    lines = [x.split()[2] for x in lab.wait_access('/see/chaos ', total)]
    equal(sum('DI' in x for x in lines), stats['delays_injected'], 'DI')
    equal(sum('FI' in x for x in lines), got[500], 'FI')
    equal(many(lab, 4, 150, '/status/200'), {200: 600}, 'payments')
    equal(lab.stat('http.web.fault.delays_injected'), stats['delays_injected'], 'payments that waited')


def opened(lab, n):
    """How many of n connections open within half a second."""
    def run():
        try:
            return lab.connect((GATE4, 80), timeout=0.5)
        except OSError:
            return None
    socks = [s for s in (t.result() for t in [Background(run) for _ in range(n)]) if s]
    for s in socks:
        s.close()
    return len(socks)


@case
def limits(lab):
    begin = time.monotonic()
    use(lab, 'limits', ('"/healthz"', '"/status/200"'))

    def most(at_once, each_second):  # both bounds are those of what was given until now
        return at_once + each_second * (int(time.monotonic() - begin) + 1)
    got = ask(lab, '/see/limits', 60)
    passed = [r for r in got if r.status == 200]
    check(10 <= len(passed) <= most(10, 10), f'{len(passed)} of a client')
    for r in got:
        if r.status == 429:
            equal((r.body, int(r.get('retry-after')) >= 1), (b'local_rate_limited', True))
        equal(r.get('x-ratelimit-limit'), '1000', 'x-ratelimit-limit')
        equal(r.get('x-local-rate-limit'), None)
    check(len(passed) < 60, 'nobody was refused')
    lab.wait_access(' 429 RL ', 60 - len(passed))
    n = opened(lab, 60)
    check(5 <= n <= most(20, 10), f'{n} connections of a client')
    check(lab.drops()[1]['tcp_client_rate'] > 0, lab.drops())


if __name__ == '__main__':
    main(lambda: Lab(workers=2, nginx=False, empty_seconds=60,
                     admin='access_log_format = "%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_HOST%";',
                     allowed={'req_overflow', 'conn_refused', 'req_upstream_reset', 'conn_reset_by_peer', 'conn_idle', 'req_filter',
                              'req_rate_limited', 'tcp_client_rate', 'tcp_listener_rate', 'tcp_syn_challenged', 'tcp_ack_future',
                              'tx_pending_full', 'tx_no_neighbour'}))  # where sixty dial at once for an address not yet known
