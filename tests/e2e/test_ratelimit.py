#!/usr/bin/python3
"""Limits over three Tidegate processes and one Redis: no request waits, the limit holds within what is documented of
credit, and exactly without; all of it passes in the end. Redis that hangs, dies, and comes back; more keys than there is
room for.

Where numbers are exact Redis has 5 s to answer: that it has no CPU for a while is not to look as if it were away."""
import os
import re
import signal
import subprocess
import time

import netns
from lab import Lab, Background, quick, wait_for
from tap import Skip, case, check, equal, main, note
from wire import Client, request

REDIS = '/usr/bin/redis-server'
ROUTES = '''
rate_limit_service: { $redis max_keys = 4000; timeout = "$silence"; };
listeners: ( { name = "web"; address = "10.77.1.1:80"; virtual_hosts = ["main"]; } );
virtual_hosts: (
  { name = "main"; domains = ["*"];
    filters: (
      { name = "ratelimit"; domain = "e2e"; enable_x_ratelimit_headers = "DRAFT_VERSION_03";
        rate_limits: (
          { actions: ( { request_headers: { header_name = "x-tenant"; descriptor_key = "tenant"; }; } ); },
          { actions: ( { request_headers: { header_name = "x-api"; descriptor_key = "api"; }; } ); } );
        descriptors: (
          { entries: ( { key = "tenant"; value = "gold"; } ); rate_limit: { unlimited = true; }; },
          { entries: ( { key = "tenant"; value = "closed"; } ); rate_limit: { requests_per_unit = 0; }; },
          { entries: ( { key = "tenant"; value = "watched"; } );
            rate_limit: { unit = "day"; requests_per_unit = 2; }; shadow_mode = true; },
          { entries: ( { key = "tenant"; } ); rate_limit: { unit = "day"; requests_per_unit = 5; }; },
          { entries: ( { key = "api"; } ); rate_limit: { unit = "day"; requests_per_unit = 3000; }; } ); } );
    routes: (
      { match: { prefix = "/deny"; }; direct_response: { status = 200; };
        filters: ( $failing failure_mode_deny = true; status_on_error = 503; } ); },
      { match: { prefix = "/allow"; }; direct_response: { status = 200; }; filters: ( $failing } ); },
      { match: { prefix = "/strict"; }; direct_response: { status = 200; };
        filters: ( $counted no_lease_behavior = "DENY"; } ); },
      { match: { prefix = "/one"; }; direct_response: { status = 200; }; filters: ( $counted max_credit = 1; } ); },
      { match: { prefix = "/free"; }; direct_response: { status = 200; };
        filters: ( { name = "ratelimit"; disabled = true; } ); },
      { match: { prefix = "/"; }; direct_response: { status = 200; }; } ); } );
clusters: ( { name = "py"; endpoints: ( { address = "10.77.2.2:8081"; } ); } );
'''
# In the place of the filter above.
FAILING = '''{ name = "ratelimit"; domain = "failing";
  rate_limits: ( { actions: ( { path: { }; }, { generic_key: { descriptor_value = "$run"; }; } ); } );
  descriptors: ( { entries: ( { key = "path"; }, { key = "generic_key"; } );
                   rate_limit: { unit = "day"; requests_per_unit = 100; }; } ); '''
COUNTED = FAILING.replace('"failing"', '"counted"').replace('= 100', '= 500')
STAT = 'http.web.ratelimit.'
PER_NODE = 3000 // 64  # on credit: docs/filters.md
SECRET = 'not-for-logs'


class Nodes(Lab):
    """Three labs; Redis runs in the first one's gate."""

    def __init__(self):
        super().__init__(**self.how(0))
        self.nodes = [self, Lab(**self.how(1)), Lab(**self.how(2))]
        self.redis = None

    @staticmethod
    def how(number):
        return {'routes': ROUTES, 'nginx': False, 'memory': '192MiB', 'start': number > 0,
                'failing': FAILING.replace('$run', '1'),
                'counted': COUNTED.replace('$run', '1'), 'silence': '5s', 'allowed': ('req_rate_limited', 'req_rate_limit_error'),
                'redis': '',
                'admin': 'access_log_format = "%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% '
                         '%RESPONSE_CODE_DETAILS%";'}

    def _up(self):
        if not os.access(REDIS, os.X_OK):
            raise Skip('redis-server is not installed')
        super()._up()
        with open(f'{self.dir}/password', 'w', encoding='ascii') as f:
            f.write(SECRET + '\n')
        self.start_redis()
        auth = f'user = "tide"; password_file = "{self.dir}/password";'
        self.subst['redis'] = f'address = "[::1]:7777"; {auth}'
        self.nodes[1].subst['redis'] = f'socket = "{self.dir}/redis.sock"; database = 0; {auth}'
        self.nodes[2].subst['redis'] = (f'socket = "{self.dir}/redis.sock"; user = "tide"; '
                                        f'password = "{SECRET}";')
        self.start()
        for n in self.nodes[1:]:
            n.__enter__()
        for n in self.nodes:
            n.wait_answers()

    def _down(self):
        for n in self.nodes[1:]:
            n._down()
        if self.redis:
            self.redis.kill()
            self.redis.wait()
        super()._down()

    def start_redis(self):
        with open(f'{self.dir}/redis.conf', 'w', encoding='ascii') as f:
            f.write(f'port 7777\nbind 127.0.0.1 ::1\nunixsocket {self.dir}/redis.sock\nunixsocketperm 700\nsave ""\n'
                    f'appendonly no\ndaemonize no\ndir {self.dir}\nloglevel warning\n'
                    f'user default off\nuser tide on >{SECRET} ~tidegate|* -@all +evalsha +script|load +ping '
                    '+get +incrby +expire\nuser admin on >admin ~* +@all\n')
        self.redis = netns.popen(self.gate, [REDIS, f'{self.dir}/redis.conf'],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def redis_do(self, *words):
        p = netns.run(self.gate, ['redis-cli', '-p', '7777', '--user', 'admin', '--pass', 'admin', '--no-auth-warning',
                                  *words], check=False)
        return p.stdout.strip()

    def check_end(self):
        for n in self.nodes[1:]:
            n.check_end()
        super().check_end()
        for n in self.nodes:
            check(SECRET not in n.log_text(), 'the password is in the log')


def wait_answers(node, connected=1, seconds=60):
    wait_for(lambda: node.stat('ratelimit.connected') == connected, f'ratelimit.connected {connected}', seconds)


Lab.wait_answers = wait_answers


def status(c, path='/', **f):
    return c.ask(request('GET', path, 'x', fields=[(k.replace('_', '-'), v) for k, v in f.items()])).status


def get(node, path='/', **f):
    with Client(node.connect(timeout=30)) as c:
        return c.ask(request('GET', path, 'x', fields=[(k.replace('_', '-'), v) for k, v in f.items()]))


def load(nodes, clients, refused, path='/', **f):
    """So many clients at every node at once, until each was refused so often; how many requests passed."""
    def run(node):
        with Client(node.connect(timeout=60)) as c:
            got = []
            while got.count(429) < refused:
                got.append(status(c, path, **f))
            check(set(got) <= {200, 429}, set(got))
            return got.count(200)
    return sum(t.result() for t in [Background(run, n) for n in nodes for _ in range(clients)])


def charged(node):
    """What was given on credit is counted by Redis."""
    def both():
        s = node.stats()
        return s['ratelimit.tokens_on_credit'], s[STAT + 'on_credit']
    wait_for(lambda: both()[0] >= both()[1], lambda: f'credit is charged: {both()}', 30)


def counted(lab, key):
    """What Redis has counted of a key whose windows are days: of all of them, for midnight may have passed."""
    return sum(int(lab.redis_do('get', k)) for k in lab.redis_do('keys', f'tidegate|{key}|86400|*').split())


@case
def small_limits_are_exact_at_one_node(lab):
    """However fast they come."""
    for tenant in ('a', 'b c|=%', 'x' * 400):
        with Client(lab.connect()) as c:
            equal([status(c, x_tenant=tenant) for _ in range(9)], [200] * 5 + [429] * 4, tenant)
    equal([get(n, x_tenant='gold').status for n in lab.nodes * 3], [200] * 9)
    equal([get(n, '/free', x_tenant='a').status for n in lab.nodes], [200] * 3)
    equal(get(lab, x_tenant='closed').status, 429)
    equal([get(lab, x_tenant='watched').status for _ in range(6)], [200] * 6)
    equal(lab.stat(STAT + 'shadow_mode'), 4)


@case
def the_others_get_no_more_than_their_credit(lab):
    """One node has had all of the limit. At the others as many pass as may be given before Redis was heard; all are counted,
    and then none passes anywhere."""
    equal([get(lab, x_tenant='spent').status for _ in range(6)], [200] * 5 + [429])
    charged(lab)
    total = 5
    for n in lab.nodes[1:]:
        got = [get(n, x_tenant='spent').status for _ in range(7)]
        check(1 <= got.count(200) <= 5 and got[0] == 200, got)
        total += got.count(200)
        charged(n)
    equal([get(n, x_tenant='spent').status for n in lab.nodes * 3], [429] * 9)
    equal(counted(lab, 'e2e|tenant=spent'), total)


@case
def what_the_client_is_told(lab):
    for left in (4, 3, 2, 1, 0):
        r = get(lab, '/told', x_tenant='told')
        equal((r.status, r.get('x-ratelimit-limit'), r.get('x-ratelimit-remaining')), (200, '5, 5;w=86400', str(left)))
        check(0 < int(r.get('x-ratelimit-reset')) <= 86400, r)
    r = get(lab, '/told', x_tenant='told')
    equal((r.status, r.get('x-envoy-ratelimited'), r.get('x-ratelimit-remaining')), (429, 'true', '0'))
    check(0 < int(r.get('retry-after')) <= 86400, r)
    check(lab.wait_access('/told 429')[0].endswith('429 RL request_rate_limited'), lab.wait_access('/told 429'))


def rest(lab, total, limit, path='/', **f):
    """Goes on until as many as the limit have passed; how many that are."""
    def more():
        nonlocal total
        total += sum(get(n, path, **f).status == 200 for n in lab.nodes)
        return total >= limit
    wait_for(more, lambda: f'the rest: {total}', 30)
    return total


@case
def one_limit_for_all_under_load(lab):
    """Over by the nodes' credit at most; early by what the others hold at most; in the end all of it, and Redis has counted
    each one that passed."""
    total = load(lab.nodes, 4, 5, x_api='one')
    note(f'{total} of 3000 at once')
    check(total <= 3000 + 3 * PER_NODE, total)
    total = rest(lab, total, 3000, x_api='one')
    for n in lab.nodes:
        charged(n)
    check(total <= 3000 + 3 * PER_NODE, total)
    total += load(lab.nodes, 1, 30, x_api='one')  # whoever still holds one
    for n in lab.nodes:
        charged(n)
    equal([get(n, x_api='one').status for n in lab.nodes * 2], [429] * 6)
    check(total <= 3000 + 3 * PER_NODE, total)
    equal(counted(lab, 'e2e|api=one'), total)
    over = [n.stat(STAT + 'over_limit') for n in lab.nodes]
    check(min(over) >= 20, over)
    note(f'leased by each: {[n.stat("ratelimit.tokens_leased") for n in lab.nodes]}; '
         f'{sum(n.stat(STAT + "on_credit") for n in lab.nodes)} on credit')


@case
def without_credit_never_one_more(lab):
    total = load(lab.nodes, 2, 5, '/strict/load')
    note(f'{total} of 500 at once')
    check(total <= 500, total)
    equal(rest(lab, total, 500, '/strict/load'), 500)
    equal(load(lab.nodes, 1, 20, '/strict/load'), 0)
    equal(counted(lab, 'counted|path=/strict/load|generic_key=1'), 500)


@case
def nobody_waits(lab):
    """Redis stands still, and nobody has noticed yet: each request is decided all the same."""
    before = lab.stats()
    lab.redis.send_signal(signal.SIGSTOP)
    with Client(lab.connect()) as c:
        small = [status(c, x_tenant='still') for _ in range(9)]
        one = [status(c, '/one/still') for _ in range(4)]
        none = [status(c, '/strict/still') for _ in range(4)]
    now = lab.stats()
    lab.redis.send_signal(signal.SIGCONT)
    equal(small, [200] * 5 + [429] * 4)
    equal(one, [200] + [429] * 3)
    equal(none, [429] * 4)
    equal({k: now[STAT + k] - before[STAT + k] for k in ('ok', 'on_credit', 'over_limit', 'no_lease', 'error')},
          {'ok': 6, 'on_credit': 6, 'over_limit': 11, 'no_lease': 7, 'error': 0})
    # And paid for.
    charged(lab)
    equal(counted(lab, 'e2e|tenant=still'), 5)
    wait_for(lambda: get(lab, '/strict/still').status == 200, 'a token was leased', 30)


@case
def a_reload_gives_nothing_anew(lab):
    equal(get(lab, x_tenant='reload').status, 200)
    charged(lab)
    equal(lab.reload(), 'applied')
    equal([get(lab, x_tenant='reload').status for _ in range(6)], [200] * 4 + [429] * 2)
    equal(lab.reload(redis=lab.subst['redis'] + ' max_keys = 5000;'), 'refused')
    equal(lab.reload(), 'applied')


@case
def secrets_stay_secret(lab):
    for n in lab.nodes:
        _, text = n.get('/config_dump')
        check('rate_limit_service' in text and SECRET not in text, 'the password is in /config_dump')


@case
def redis_hangs_and_goes_on(lab):
    """Nobody waits for one that is silent, and failure_mode_deny decides."""
    for n in lab.nodes:
        equal(n.reload(silence='100ms'), 'applied')
    for n in lab.nodes:
        n.wait_answers()
    lab.redis.send_signal(signal.SIGSTOP)
    for n in lab.nodes:
        n.wait_answers(0)
    before = [n.stats() for n in lab.nodes]
    with Client(lab.connect()) as c:
        equal([status(c, '/allow/hang') for _ in range(300)], [200] * 300)
        equal([status(c, '/deny/hang') for _ in range(20)], [503] * 20)
    now = lab.stats()
    grew = {k: now[STAT + k] - before[0][STAT + k] for k in ('ok', 'error', 'failure_mode_allowed', 'no_lease')}
    equal(grew, {'ok': 0, 'error': 320, 'failure_mode_allowed': 300, 'no_lease': 0})
    check(lab.wait_access('/deny/hang 503')[0].endswith('503 RLSE rate_limiter_error'), 'log')
    lab.redis.send_signal(signal.SIGCONT)
    for n in lab.nodes:
        n.wait_answers()
        equal(n.reload(silence='5s'), 'applied')
    for n in lab.nodes:
        n.wait_answers()
    equal(get(lab, x_tenant='after-hang').status, 200)


@case
def redis_dies_and_comes_back(lab):
    """Under load at all nodes. With failure_mode_deny nobody passes whom Redis has not counted; without, all do."""
    stop = []

    def run(node, path):
        got = []
        with Client(node.connect(timeout=60)) as c:
            while not stop:
                got.append(status(c, path))
        return got
    # Each request has a key of its own place: the limits of /deny/load are taken from by all nodes.
    clients = [(Background(run, n, p), p) for n in lab.nodes for p in ('/deny/load', '/allow/load')]
    wait_for(lambda: all(n.stat(STAT + 'over_limit') > 50 for n in lab.nodes), 'the limits are reached', 60)
    before = [n.stats() for n in lab.nodes]
    lab.redis.kill()
    lab.redis.wait()
    for n in lab.nodes:
        n.wait_answers(0)

    def grew(name, by):
        return all(n.stat(STAT + name) >= b[STAT + name] + by for n, b in zip(lab.nodes, before))
    wait_for(lambda: grew('failure_mode_allowed', 50) and grew('error', 100), 'failures are counted', 60)
    lab.start_redis()
    for n in lab.nodes:
        n.wait_answers()
    before = [n.stats() for n in lab.nodes]
    wait_for(lambda: grew('over_limit', 50), 'the limits hold again', 60)
    stop.append(1)
    denied = allowed = 0
    for t, path in clients:
        got = t.result()
        check(set(got) <= ({200, 429, 503} if 'deny' in path else {200, 429}), set(got))
        denied += got.count(200) if 'deny' in path else 0
        allowed += got.count(200) if 'allow' in path else 0
    # A hundred of each Redis, for it has forgotten what it had counted; and credit.
    note(f'{denied} passed with failure_mode_deny, {allowed} without')
    check(100 < denied <= 2 * (100 + 3 * 16), denied)
    check(allowed > 300, allowed)
    for n in lab.nodes:
        check(re.search(r'warning: rate_limit_service: .*redis.sock|\[::1\]:7777', n.log_text()), 'the log says so')
        check(n.log_text().count(' answers') >= 2, n.log_tail())


@case
def a_wrong_password_and_a_right_one(lab):
    with open(f'{lab.dir}/password', 'w', encoding='ascii') as f:
        f.write('wrong')
    lab.redis.kill()
    lab.redis.wait()
    lab.start_redis()
    wait_for(lambda: 'AUTH: WRONGPASS' in lab.log_text(), 'it was refused', 60)
    lab.nodes[2].wait_answers()
    equal(lab.stat('ratelimit.connected'), 0)
    with open(f'{lab.dir}/password', 'w', encoding='ascii') as f:
        f.write(SECRET + '\n')
    for n in lab.nodes:
        n.wait_answers()
    equal(get(lab, x_tenant='after-password').status, 200)


@case
def more_keys_than_there_is_room_for(lab):
    """All get their first token, and the memory stays as it is. TG_LONG=1: a hundred thousand, as the unit test has."""
    conns, keys = 100, 100000 if os.environ.get('TG_LONG') else quick(30000, 12000)
    socks = [Client(lab.connect(timeout=60)) for _ in range(conns)]

    def ask(first):
        todo = list(range(conns))
        while todo:  # a key that found no room comes again
            for i in todo:
                socks[i].send(request('GET', '/', 'x', fields=[('x-tenant', f'many-{first + i}')]))
            got = {i: socks[i].response() for i in todo}
            todo = [i for i, r in got.items() if r.status != 200]
            check(all(got[i].get('retry-after') == '1' for i in todo), 'one was refused for good')
            again[0] += len(todo)
    again = [0]
    for first in range(0, 8000, conns):
        ask(first)
    rss, began = lab.rss_kib(), time.monotonic()
    for first in range(8000, keys, conns):
        ask(first)
    grew = lab.rss_kib() - rss
    note(f'{keys} keys, the last {keys - 8000} in {time.monotonic() - began:.1f} s; RSS grew by {grew} KiB')
    wait_for(lambda: lab.stat('ratelimit.keys_evicted') >= keys - 4000, 'the last have made the others go', 30)
    s = lab.stats()
    equal((s['ratelimit.keys'], s['ratelimit.keys_max']), (4000, 4000))
    check(grew < 4096, f'memory grew by {grew} KiB')
    # Who was pushed out is not forgotten: Redis has the count. Of that the node knows when it has asked.
    c = socks[0]
    note(f'{again[0]} found no room and came again')
    for key in ('many-0', 'many-1'):
        equal(status(c, x_tenant=key), 200)
        charged(lab)
        equal([status(c, x_tenant=key) for _ in range(5)], [200] * 3 + [429] * 2)
    for c in socks:
        c.close()


if __name__ == '__main__':
    main(Nodes)
