#!/usr/bin/python3
"""Routes: the canary of the cookbook, rewriting, redirects, answers, fields; with curl and an origin that remembers."""
import base64
import json
import os
import re
import shlex

from lab import ROOT, Lab
from tap import case, check, equal, main, wait_for
from wire import Client, request

ACTIONS = r'''
  , { name = "actions"; address = "10.77.1.1:81"; virtual_hosts = ["actions"];
      request_headers_to_add: ( { header: { key = "x-edge"; value = "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"; }; } );
      response_headers_to_remove = ["x-path"]; }
'''
VHOST = r'''
  , { name = "dry"; domains = ["dry.test"];
      response_headers_to_add: ( { header: { key = "x-route"; value = "%ROUTE_NAME% %RESPONSE_CODE% %UPSTREAM_HOST%"; }; } );
      routes: (
        { name = "limited"; match: { prefix = "/limited"; }; route: { cluster = "v1"; prefix_rewrite = "/see"; };
          filters: ( { name = "local_ratelimit"; token_bucket: { max_tokens = 3; fill_interval = "1h"; }; } ); },
        { name = "closed"; match: { prefix = "/closed"; }; route: { cluster = "v1"; };
          filters: ( { name = "rbac"; policies: ( { name = "posts"; methods = ["POST"]; } ); } ); },
        { name = "user"; match: { prefix = "/see"; headers: ( { name = "x-user"; present = true; } ); };
          route: { cluster = "ring"; hash_policy: ( { header: { header_name = "x-user"; }; } ); }; },
        { name = "turn"; match: { prefix = "/see"; }; route: { cluster = "turn"; }; } ); }
  , { name = "actions"; domains = ["*"];
      response_headers_to_add: ( { header: { key = "x-route"; value = "%ROUTE_NAME% %RESPONSE_CODE% %UPSTREAM_HOST%"; }; } );
      routes: (
        { name = "prefix"; match: { prefix = "/old/"; }; route: { cluster = "v1"; prefix_rewrite = "/"; }; },
        { name = "regex"; match: { safe_regex = "/v[0-9]+/see"; };
          route: { cluster = "v1"; regex_rewrite: { pattern = "^/v([0-9]+)(/.*)$"; substitution = "\\2"; };
                   host_rewrite_literal = "see.internal"; append_x_forwarded_host = true; }; },
        { match: { path_separated_prefix = "/secure"; }; redirect: { https_redirect = true; port_redirect = 8443; }; },
        { match: { prefix = "/GO/"; case_sensitive = false; };
          redirect: { host_redirect = "www.example"; prefix_rewrite = "/"; response_code = 308; strip_query = true; }; },
        { name = "closed"; match: { path = "/closed"; }; direct_response: { status = 403; body = "closed\n"; }; },
        { match: { prefix = "/named"; }; route: { cluster_header = "x-cluster"; prefix_rewrite = "/see"; }; },
        { name = "two"; match: { prefix = "/see"; query_parameters: ( { name = "v"; exact = "2"; } );
                   headers: ( { name = "x-shard"; range: { start = 0; end = 10; }; } ); };
          route: { cluster = "v2"; };
          request_headers_to_add: ( { header: { key = "x-a"; value = "%REQ(x-none?x-shard)%%%"; };
                                      append_action = "OVERWRITE_IF_EXISTS_OR_ADD"; } );
          request_headers_to_remove = ["x-secret"]; },
        { match: { path = "/echo"; };
          route: { cluster = "v1"; timeout = "2s"; request_mirror_policies: ( { cluster = "deaf"; } ); }; },
        { match: { safe_regex = "/evil/(a+)+"; }; route: { cluster = "v2"; }; },
        { name = "rest"; match: { prefix = "/"; }; route: { cluster = "v1"; }; } ); },
  { name = "tls"; domains = ["tls.test"]; require_tls = "ALL";
      routes: ( { match: { prefix = "/"; }; route: { cluster = "v1"; }; } ); }
'''


def canary():
    """cfg/canary.cfg from its listeners on, with ours in it."""
    with open(os.path.join(ROOT, 'cfg', 'canary.cfg'), encoding='utf-8') as f:
        text = f.read()
    text = text[text.index('listeners: ('):]
    with open(os.path.join(ROOT, 'cfg', 'mirroring.cfg'), encoding='utf-8') as f:
        mirroring = f.read()
    actions = ',' + item(mirroring, 'listeners') + ACTIONS.replace('["actions"]', '["actions", "tls", "dry"]')
    text = text.replace(' } );\n\nvirtual_hosts', ' }' + actions + ');\n\nvirtual_hosts', 1)
    text = text.replace('\nclusters: (', '\nclusters: ( { name = "deaf"; endpoints: ( { address = "10.77.2.2:9005"; } ); },' +
                        ''.join(f'''{{ name = "{name}"; lb_policy = "{policy}";
                                     endpoints: ( {{ address = "10.77.2.2:8081"; }}, {{ address = "[fd77:2::2]:8081"; }} ); }},'''
                                for name, policy in (('turn', 'round_robin'), ('ring', 'ring_hash'))), 1)
    return text.replace('\t}\n);\n\nclusters', '\t},' + item(mirroring, 'virtual_hosts') + VHOST + ');\n\nclusters', 1).replace('$', '$$')


def item(text, section):
    """The one item of a section of a configuration."""
    return re.search(section + r': \(\n(\t\{.*?\})\n\);', text, re.S).group(1)


def totals(lab):
    s = lab.stats()
    return [s[f'cluster.{c}.upstream_rq_total'] for c in ('v1', 'v2')]


def ask(lab, target, n=1, port=80, **fields):
    with Client(lab.connect(('10.77.1.1', port))) as c:
        return [c.ask(request('GET', target, 'shop.test', fields=[(k.replace('_', '-'), v) for k, v in fields.items()]))
                for _ in range(n)]


def grew(lab, what):
    before = totals(lab)
    answers = what()
    return [b - a for a, b in zip(before, totals(lab))], answers


@case
def a_tenth_goes_to_the_canary(lab):
    """Of 3000 a fair draw gives 300 with a deviation of 16.4; beyond six of these (98) it is not fair."""
    n, answers = grew(lab, lambda: ask(lab, '/status/200', 3000))
    equal(sum(n), 3000)
    check(abs(n[1] - 300) < 99, f'{n[1]} of 3000')
    equal(sum(r.get('x-served-by') == 'canary' for r in answers), n[1], 'marked answers')


@case
def canary_by_field_and_by_client(lab):
    equal(grew(lab, lambda: ask(lab, '/status/200', 50, x_beta_group='true'))[0], [0, 50])
    equal(grew(lab, lambda: ask(lab, '/status/200', 50, user_agent='Mozilla/5.0 (Mobile; rv:1)'))[0], [0, 50])
    before = totals(lab)
    lab.curl('shop.test', '/status/200', '-A', 'Some Mobile Thing')
    equal(totals(lab)[1] - before[1], 1)


def curl(lab, target, *args, host='shop.test'):
    """Status, fields and content, by curl."""
    out = lab.in_client(['curl', '-s', '-i', '--max-time', '10', '-H', f'Host: {host}', *args,
                         f'http://10.77.1.1:81{target}']).stdout
    head, body = out.split('\n\n', 1) if '\r' not in out else out.split('\r\n\r\n', 1)
    lines = head.replace('\r', '').split('\n')
    return int(lines[0].split()[1]), {k.lower(): v.strip().lower() for k, v in (x.split(':', 1) for x in lines[1:])}, body


def seen(body):
    """What the origin says that it got."""
    see = json.loads(body)
    return see['target'], {k.lower(): v for k, v in see['fields']}


@case
def rewriting(lab):
    status, fields, body = curl(lab, '/old/see?x=1')
    target, got = seen(body)
    equal((status, target, got['x-envoy-original-path']), (200, '/see?x=1', '/old/see?x=1'))
    equal(fields['x-route'], 'prefix 200 10.77.2.2:8081')
    equal(got['x-edge'], '10.77.1.2')
    target, got = seen(curl(lab, '/v12/see')[2])
    equal((target, got['host'], got['x-forwarded-host']), ('/see', 'see.internal', 'shop.test'))
    target, got = seen(curl(lab, '/old/../see', '--path-as-is')[2])  # it is no path of that prefix
    equal((target, 'x-envoy-original-path' in got), ('/see', False))


@case
def redirects(lab):
    status, fields, body = curl(lab, '/secure/x?y=1', host='shop.test:81')
    equal((status, fields['location'], body), (301, 'https://shop.test:8443/secure/x?y=1', ''))
    status, fields, _ = curl(lab, '/go/there?y=1')
    equal((status, fields['location']), (308, 'http://www.example/there'))
    equal(curl(lab, '/securely')[1]['x-route'].split()[0], 'rest')
    status, fields, _ = curl(lab, '/a?b', host='tls.test')
    equal((status, fields['location']), (301, 'https://tls.test/a?b'))


@case
def answers_of_its_own(lab):
    status, fields, body = curl(lab, '/closed')
    equal((status, fields['content-length'], fields['x-route'], body), (403, '7', 'closed 403', 'closed\n'))
    n = lab.stat('cluster.v1.upstream_rq_total')
    status, _, _ = curl(lab, '/named', '-H', 'x-cluster: v1')
    equal((status, lab.stat('cluster.v1.upstream_rq_total') - n), (200, 1))
    equal([curl(lab, '/named', '-H', f'x-cluster: {c}')[0] for c in ('v3', 'v11', '')], [503] * 3)
    lab.wait_access(' NC ', 3)


@case
def fields_and_predicates(lab):
    (n, answers) = grew(lab, lambda: ask(lab, '/see?v=2', 1, 81, x_shard='7', x_secret='s', x_a='old'))
    _, got = seen(answers[0].body)
    equal((n, got['x-a'], 'x-secret' in got), ([0, 1], '7%', False))
    for target, shard in (('/see?v=1', '7'), ('/see?v=2', '10'), ('/see?v=2', '7a'), ('/see', '7')):
        equal(grew(lab, lambda t=target, s=shard: ask(lab, t, 1, 81, x_shard=s))[0], [1, 0], f'{target} {shard}')


@case
def an_evil_path_takes_its_steps_and_no_more(lab):
    before = lab.stat('server.regex_limit')
    equal(grew(lab, lambda: ask(lab, '/evil/' + 'a' * 2000 + 'b', 1, 81))[0], [1, 0])
    equal(lab.stat('server.regex_limit') - before, 1)


def heads(lab, target):
    return [base64.b64decode(r['head']).decode() for r in lab.origin_do('requests', prefix=target)]


@case
def a_mirror_gets_a_copy(lab):
    body = os.urandom(30000)
    with Client(lab.connect(('10.77.1.1', 8080))) as c:
        for chunked in (False, True):
            r = c.ask(request('POST', f'/see?mirror={chunked}', 'shop.test:8080', chunked=chunked,
                              body=[body[:7], body[7:]] if chunked else body))
            got = json.loads(r.body)
            equal((r.status, got['length']), (200, len(body)))
    for target in ('/see?mirror=False', '/see?mirror=True'):
        wait_for(lambda t=target: len(heads(lab, t)) == 2, 'the copy')
        hosts = sorted(re.search(r'\r\nhost: (.*?)\r\n', h, re.I).group(1) for h in heads(lab, target))
        equal(hosts, ['shop.test-shadow:8080', 'shop.test:8080'])
    equal(lab.stat('cluster.v2.mirror_rq_dropped'), 0)
    wait_for(lambda: lab.stat('cluster.v2.upstream_rq_2xx') >= 2, 'the answers to the copies')


@case
def a_mirror_that_hangs_holds_nobody_up(lab):
    body = os.urandom(1 << 20)
    total, dropped = (lab.stat('cluster.deaf.mirror_rq_' + x) for x in ('total', 'dropped'))
    for _ in range(20):
        equal(ask(lab, '/echo', 1, 81)[0].status, 200)
    equal(lab.stat('cluster.deaf.upstream_rq_active'), 20)
    with Client(lab.connect(('10.77.1.1', 81))) as c:
        r = c.ask(request('POST', '/echo', 'shop.test', body=body))
        equal((r.status, r.body == body), (200, True))
    equal((lab.stat('cluster.deaf.mirror_rq_total') - total, lab.stat('cluster.deaf.mirror_rq_dropped') - dropped), (21, 1))
    wait_for(lambda: lab.stat('cluster.deaf.upstream_rq_active') == 0, 'the route\'s timeout')


def really(lab, method, target, host, fields):
    """What becomes of a request: status, route and endpoint as the answer has them, Location, the target that came."""
    with Client(lab.connect(('10.77.1.1', 81))) as c:
        r = c.ask(request(method, target, host, fields=fields))
    route, status, endpoint = re.match(r'(\D\S*)? ?(\d*) ?(.*)', r.get('x-route') or '').groups()
    check(status in ('', str(r.status)), r.get('x-route'))
    return r.status, route, endpoint, r.get('location'), seen(r.body)[0] if b'"target"' in r.body else None


def dryly(lab, method, target, host, fields):
    """The same by tgctl explain."""
    d = lab.dry(method, f'http://{host}{target}', '--listener', 'actions', '--from', '10.77.1.2',
                *(x for k, v in fields for x in ('-H', f'{k}: {v}')))
    if d['outcome'] == 'answered':
        location = re.search(r'\r\nlocation: (.*?)\r\n', d['answer']['head'])
        route = re.search(r'\r\nx-route: (\S+) ', d['answer']['head'])
        return (d['answer']['status'], route and route.group(1), '', location and location.group(1), None), d
    equal((d['outcome'], len(d['clusters'])), ('forwarded', 1))
    return (200, d['route']['name'], d['clusters'][0]['next'][0]['endpoint'], None, d['sent'].split()[1]), d


ASKED = [('GET', '/old/see?x=1', 'a.test', ()), ('GET', '/v7/see', 'a.test', ()), ('GET', '/secure/x', 'a.test:81', ()),
         ('GET', '/Go/x?y', 'a.test', ()), ('GET', '/closed', 'a.test', ()), ('GET', '/named', 'a.test', [('x-cluster', 'v2')]),
         ('GET', '/named', 'a.test', [('x-cluster', 'v9')]), ('GET', '/see?v=2', 'a.test', [('x-shard', '7')]),
         ('GET', '/see?v=2', 'a.test', [('X-Shard', '70')]), ('GET', '/b', 'tls.test', ()), ('GET', '/none', 'dry.test', ()),
         ('GET', '/closed', 'dry.test', ()), ('GET', '/old/../see', 'a.test', ()), ('GET', '/see%2', 'a.test', ()),
         ('GET', '/limited', 'dry.test', ())]
ASKED += [('GET', f'/see?{i}', 'dry.test', [('x-user', f'u{i}')]) for i in range(12)]
ASKED += [('GET', f'/see?t={i}', 'dry.test', ()) for i in range(7)]


@case
def explained_as_it_happens(lab):
    """Of requests of every kind, explain says beforehand what then happens; and it says so twice."""
    for method, target, host, fields in ASKED:
        want, _ = dryly(lab, method, target, host, fields)
        equal(dryly(lab, method, target, host, fields)[0], want, 'a second time')
        got = really(lab, method, target, host, fields)
        equal(tuple(x or '' for x in got), tuple(x or '' for x in want), f'{method} {host}{target} {fields}')


@case
def explained_limits(lab):
    def left_of(d):
        return [x['left'] for x in d['filters'][0]['limits']]
    most = left_of(dryly(lab, 'GET', '/limited', 'dry.test', ())[1])[0]
    check(most <= 3, most)
    for left in range(most, -1, -1):
        _, d = dryly(lab, 'GET', '/limited', 'dry.test', ())
        equal(left_of(d), [left])
        equal(really(lab, 'GET', '/limited', 'dry.test', ())[0], 200 if left else 429)
    equal(d['filters'][0]['verdict'], 'reply')
    equal((d['answer']['status'], d['answer']['flags']), (429, ['RL']))
    _, d = dryly(lab, 'GET', '/closed', 'dry.test', ())
    equal(d['filters'][0]['details'], 'rbac_access_denied_matched_policy[none]')
    check('does not match for the method' in d['filters'][0]['says'][1], d['filters'])


@case
def explaining_leaves_no_trace(lab):
    def counts():  # connections of before may end meanwhile
        return {k: v for k, v in lab.stats().items() if k.startswith(('cluster.', 'http.', 'drop.req_')) and '_cx_' not in k}
    lab.wait_quiet()
    before = counts()
    check(any('local_rate_limit' in k for k in before) and any('rbac' in k for k in before), 'filters count')
    for method, target, host, fields in ASKED:
        dryly(lab, method, target, host, fields)
    equal(counts(), before)


@case
def the_page_on_explain(lab):
    """Its examples, which are about cfg/canary.cfg."""
    with open(os.path.join(ROOT, 'docs', 'explain.md'), encoding='utf-8') as f:
        blocks = re.findall(r'```console\n\$ tgctl (.*?)\n(.*?)```', f.read(), re.S)
    check(len(blocks) >= 3, 'examples')

    def plain(text):  # what differs from time to time
        text = re.sub(r'x-request-id: \S+', 'x-request-id: ID', text)
        return re.sub(r'\d+ connections \(\d+ idle\), \d+ requests|\d+ of 1024 left', 'N', text)
    for command, text in blocks:
        p = lab.tgctl(*shlex.split(command))
        equal(plain(p.stdout + p.stderr), plain(text), command)


@case
def wrong_questions_have_answers(lab):
    url = 'http://shop.test/'
    for args, code, text in (
            (('GET',), 2, 'usage: tgctl explain METHOD URL'), (('GET', url, 'x'), 2, 'usage: tgctl explain'),
            (('GET', 'shop.test'), 1, 'url: http://HOST/PATH'), (('GET', url, '-H', 'x'), 1, 'header: "NAME: VALUE"'),
            (('GET', url, '--listener', 'x'), 1, 'listener: there is none of that name or address; there are: web (http'),
            (('GET', url, '--identity', 'spiffe://a/b'), 1, 'identity: listener "web" has no TLS'),
            (('GET', url, '--from', 'x'), 1, 'from: an address is expected'),
            (('GET', 'http://shop.test:7/'), 1, 'none fits'), (('GET', url, '--body-size', 'x'), 1, 'body-size: a number'),
            (('GET', url, '--nonsense'), 2, 'unrecognized option')):
        p = lab.tgctl('explain', *args)
        equal(p.returncode, code, str(args))
        check(text in p.stderr, f'{args}: {p.stderr}')
    p = lab.tgctl('ready', '-H', 'a: b')
    equal((p.returncode, 'are for explain' in p.stderr), (2, True))
    check('tgctl explain METHOD URL' in lab.tgctl('explain', '--help').stdout, 'help')
    equal(lab.get('/explain?method=GET&urk=x')[0], 400)
    equal(lab.get('/explain?method=GET&url=http://shop.test/&url=x')[0], 400)


if __name__ == '__main__':
    main(lambda: Lab(routes=canary(), nginx=False, allowed={
        'req_no_cluster', 'req_no_route', 'req_denied', 'req_rate_limited', 'req_malformed'}))
