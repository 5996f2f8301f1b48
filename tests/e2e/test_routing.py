#!/usr/bin/python3
"""Routes: the canary of the cookbook, rewriting, redirects, answers, fields; with curl and an origin that remembers."""
import base64
import json
import os
import re

from lab import ROOT, Lab
from tap import case, check, equal, main, wait_for
from wire import Client, request

ACTIONS = r'''
  , { name = "actions"; address = "10.77.1.1:81"; virtual_hosts = ["actions"];
      request_headers_to_add: ( { header: { key = "x-edge"; value = "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"; }; } );
      response_headers_to_remove = ["x-path"]; }
'''
VHOST = r'''
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
    actions = ',' + item(mirroring, 'listeners') + ACTIONS.replace('["actions"]', '["actions", "tls"]')
    text = text.replace(' } );\n\nvirtual_hosts', ' }' + actions + ');\n\nvirtual_hosts', 1)
    text = text.replace('\nclusters: (', '\nclusters: ( { name = "deaf"; endpoints: ( { address = "10.77.2.2:9005"; } ); },', 1)
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


if __name__ == '__main__':
    main(lambda: Lab(routes=canary(), nginx=False, allowed={'req_no_cluster'}))
