#!/usr/bin/python3
"""Thousands of requests and responses that nobody wrote down, judged on both sides by attack.py.

A client gets one answer for each request that a strict reader takes, then one refusal and the end
of the connection; the origin gets exactly those requests, one by one, with their meaning unchanged.
And the other way round. TG_ATTACK=SEED:COUNT chooses other cases; a failure prints what to repeat.
"""
import base64
import collections
import hashlib
import os
import re
import socket

import attack
from lab import Background, Lab, VHOSTS, quick
from tap import case, check, equal, main, note
from wire import Client, Closed, request

SEED, _, COUNT = os.environ.get('TG_ATTACK', '20241101:').partition(':')
ANY = (', { name = "any"; domains = ["*"]; routes: ( { match: { prefix = "/"; };'
       ' route: { cluster = "py"; timeout = "0s"; }; } ); }')
THREADS = 4


def send(sock, raw, r):
    """In one piece, in a few, or byte by byte: each a packet of its own."""
    kind = r.random()
    cuts = []
    if kind < 0.03 and len(raw) < 400:
        cuts = range(1, len(raw))
    elif kind < 0.3:
        ends = [m.end() for m in re.finditer(rb'\r|\n', raw)] if kind < 0.15 else range(1, len(raw))
        cuts = sorted(r.sample(ends, min(len(ends), r.randint(1, 4))))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    last = 0
    try:
        for at in [*cuts, len(raw)]:
            sock.sendall(raw[last:at])
            last = at
    except OSError:
        pass  # refused and closed before the end


def ask(lab, raw, want, end, r):
    """(status of each answer, how the connection ended)."""
    got = []
    with Client(lab.connect(timeout=15)) as c:
        send(c.sock, raw, r)
        if not isinstance(end, set):
            try:
                c.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        try:
            for w in want:
                got.append(c.response(w.method.decode()).status)
                if got[-1] >= 400:
                    break
            else:
                head = c.head()
                got.append(head.status)
                out, how = c.rest()
                check(len(out) in (0, int(head.get('content-length') or 0)), f'more behind the last: {out!r}')
                return got, how
            return got, c.rest()[1]
        except Closed as e:
            check(not e.partial, f'half an answer: {e}')
            return got, e.how


def same(seen, w):
    """What differs between a request at the origin and what the client sent, or ''."""
    head = attack.Head(base64.b64decode(seen['head'])[:-4].split(b'\r\n')[1:])
    pairs = (('method', seen['method'].encode(), w.method),
             ('target', attack.normal(seen['target'].encode()), w.target),
             ('hosts', head.all(b'host')[w.host is None:], [w.host] * (w.host is not None)),
             ('length', seen['length'], len(w.body)),
             ('body', seen['sha256'], hashlib.sha256(w.body).hexdigest()),
             ('fields', head.end_to_end(), w.end_to_end()),
             ('faults', head.faults, set()))
    return '; '.join(f'{k} {a!r} instead of {b!r}' for k, a, b in pairs if a != b)


def verdict(raw, answers, how, seen):
    """What is wrong with this outcome, or ''."""
    want, end = attack.requests(raw)
    whole = [s for s in seen if s['done']]
    if how == 'silence':
        return f'no end; answers {answers}'
    if len(whole) > len(want):
        return f'the origin got {[s["target"] for s in whole]}, a strict reader takes {len(want)}'
    rest = iter(want)
    for s in whole:
        diffs = []
        for w in rest:  # one whose number was changed is not among those seen
            diffs.append(same(s, w))
            if not diffs[-1]:
                break
        else:
            return f'changed on the way: {diffs}'
    for i, status in enumerate(answers):
        if i < len(want) and status != 200 and not want[i].choice:
            return f'{status} for good request {i}'
        if i < len(want) and status != 200:
            return ''
        if i == len(want) and isinstance(end, set) and status not in end:
            return f'{status}, not one of {end}'
        if i == len(want) and end == 'end':
            return f'{status} for nothing'
        if i == len(want) and end == 'unfinished' and status not in (400, 408, 414, 417, 431, 501, 505):
            return f'{status} for half a request'
    if len(answers) < len(want) or (isinstance(end, set) and len(answers) == len(want)):
        return f'answers {answers}, then {how}; wanted {len(want)} and {end}'
    return ''


def run_requests(lab, cases):
    """cases: [(number, bytes)]. Returns what was wrong, and how many of each outcome."""
    outcome, bad, kinds = {}, [], collections.Counter()

    def some(part):
        r = attack.rng(f'{SEED} {part}')
        for n, raw in cases[part::THREADS]:
            want, end = attack.requests(raw)
            kinds[str(len(want)) + ' good, then ' + ('a refusal' if isinstance(end, set) else end)] += 1
            try:
                outcome[n] = ask(lab, raw, want, end, r)
            except AssertionError as e:
                bad.append(f'{n}: {e}: {raw[:600]!r}')
    for w in [Background(some, i) for i in range(THREADS)]:
        w.result(280)
    seen = collections.defaultdict(list)
    for s in lab.origin_do('requests', clear=True):
        m = re.search(rb'(?i)(?:/[hs]/|x-id: *)([0-9]{7})(?![0-9])', base64.b64decode(s['head']))
        seen[attack.number(m.group(1)) if m else None].append(s)
    for n, raw in cases:
        text = verdict(raw, *outcome[n], seen.pop(n, [])) if n in outcome else ''
        if text:
            bad.append(f'{n}: {text}: {raw[:600]!r}')
    return bad, kinds, seen


def report(bad, total):
    check(not bad, f'seed {SEED}: {len(bad)} of {total}:\n' + '\n'.join(sorted(bad)[:20]))


@case(seconds=300)
def requests_made_up(lab):
    r = attack.rng(SEED)
    total = int(COUNT or quick(3000, 500))
    cases = [(n, attack.request_case(n, r)) for n in range(total)]
    bad, kinds, strangers = run_requests(lab, cases)
    note(dict(kinds))
    bad += [f'at the origin from nobody: {s["target"]}' for some in strangers.values() for s in some]
    check(kinds['0 good, then a refusal'] > total / 10 and kinds['1 good, then end'] > total / 20,
          f'the mix of cases is not one: {kinds}')
    report(bad, total)


@case(seconds=300)
def requests_changed_at_random(lab):
    r = attack.rng(SEED + 'm')
    total = int(COUNT or quick(3000, 500))
    cases = [(n, attack.mutant(attack.request_case(n, r), r)) for n in range(total)]
    bad, kinds, _ = run_requests(lab, cases)  # the number may have changed, too
    note(dict(kinds))
    report(bad, total)


def response_outcome(raw, closed, method):
    """(the reader's response or None, what must become of it)."""
    r = attack.Response.__new__(attack.Response)
    r.in_head = True
    try:
        r.__init__(raw, method, closed)
        return r, 'whole' if r.whole else 'cut'
    except attack.Refused:
        return r, 'bad' if r.in_head else 'cut'
    except attack.Unfinished:
        return r, 'gone' if r.in_head else 'cut'


def response_case(lab, n, raw, closed, method):
    r, what = response_outcome(raw, closed, method)
    with Client(lab.connect(timeout=15)) as c:
        # One write: what the origin lies about must not become the second answer.
        c.send(request(method.decode(), f'/raw/{n}', 'py.test') + request('GET', '/bytes/9', 'py.test'))
        try:
            got = c.response(method.decode())
        except Closed as e:
            return '' if what == 'cut' and e.how != 'silence' else f'{what}, but {e}'
        if what == 'whole' and (got.status != 502 or not r.may_refuse):
            fields = [(k.encode(), v.encode('latin-1')) for k, v in got.fields if k.startswith('x-') and 'envoy' not in k]
            if (got.status, got.body, fields) != (r.status, r.body, r.end_to_end()):
                return f'got {got}, not {r.status} {r.body!r} {r.end_to_end()}'
        elif got.status not in ({502, 503} if what in ('gone', 'cut') else {502}):
            return f'{what}, but {got}'
        try:
            second = c.response()
            return '' if second.body == bytes(range(9)) else f'the next answer is {second}'
        except Closed as e:
            return f'second request: {e}' if got.keep_alive() else ''


@case(seconds=300)
def responses_made_up(lab):
    r = attack.rng(SEED + 'r')
    total = int(COUNT or quick(1200, 300))
    cases, kinds, bad = [], collections.Counter(), []
    for n in range(total):
        raw, method = attack.response_case(r)
        if n % 3 == 2:
            raw = attack.mutant(raw, r)
        # What has no end by itself is ended by the origin: a route without a timeout would wait.
        # The others are not: a connection that closes while the next request is on its way may cost it.
        what, end = response_outcome(raw, False, method)
        closed = end in ('gone', 'cut') or (end == 'whole' and what.until_close)
        cases.append((raw, closed, method))
        kinds[response_outcome(raw, closed, method)[1]] += 1
    lab.origin_do('raw', entries={str(n): {'pieces': [base64.b64encode(raw).decode()],
                                           'then': 'close' if closed else 'keep'}
                                  for n, (raw, closed, _) in enumerate(cases)})

    def some(part):
        for n in range(part, total, THREADS):
            try:
                text = response_case(lab, n, *cases[n])
            except AssertionError as e:
                text = str(e)
            if text:
                bad.append(f'{n}: {text}: {cases[n]!r}'[:1200])
    for w in [Background(some, i) for i in range(THREADS)]:
        w.result(280)
    note(dict(kinds))
    check(min(kinds[k] for k in ('whole', 'bad', 'cut')) > total / 20, f'the mix of cases is not one: {kinds}')
    report(bad, total)


@case
def healthy_after_all_that(lab):
    with Client(lab.connect()) as c:
        for _ in range(20):
            equal(c.ask(request('GET', '/bytes/9', 'py.test')).body, bytes(range(9)))
    breaches = lab.origin_do('breaches', clear=True)
    check(not breaches, f'{len(breaches)}: {[b["text"] for b in breaches[:5]]}')


if __name__ == '__main__':
    main(lambda: Lab(nginx=False, vhosts=', '.join(f'"{v}"' for v in (*VHOSTS, 'any')), extra_vhosts=ANY, allowed={
        'req_malformed', 'req_target_too_long', 'req_head_too_big', 'req_coding', 'req_version', 'req_expectation',
        'req_timeout', 'req_no_route', 'req_upstream_bad', 'req_upstream_reset', 'req_cut_upstream',
        'req_downstream_gone', 'conn_reset_by_peer', 'conn_aborted', 'conn_linger', 'tcp_after_close', 'tcp_rst_blind'}))
