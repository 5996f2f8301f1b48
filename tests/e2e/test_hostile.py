#!/usr/bin/python3
"""Requests and responses that try to be read in two ways: none changes its meaning on the way."""
import base64
import random
import socket
import time

import hostile
from lab import Background, Lab, quick
from tap import case, check, equal, main, wait_for
from wire import Client, Closed, request

REFUSED = {400, 404, 408, 411, 413, 414, 417, 421, 431, 501, 505}


def seen(lab, n):
    """What the origin saw of case n: its own requests, and hidden ones."""
    own = [r for r in lab.origin_do('requests', prefix=f'/h/{n}')
           if r['target'].split('?')[0].split('/')[2] == str(n)]
    hidden = lab.origin_do('requests', prefix='/s')
    return own, [r for r in hidden if r['target'].startswith(('/smuggled/', '/s/'))]


def send_in(c, raw, cuts):
    """In pieces cut at these places, each a packet of its own."""
    c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    last = 0
    for at in [*sorted(cuts), len(raw)]:
        c.send_some(raw[last:at])
        last = at


def one(lab, n, name, raw, meanings, cuts=()):
    with Client(lab.connect(timeout=20)) as c:
        send_in(c, raw, cuts)
        if meanings is None:
            try:
                r = c.response()
            except Closed as e:
                # Refused without a word is no smuggling, but a client deserves an answer. What
                # is larger than any bound may end in a reset that overtakes the answer.
                check(e.how == 'reset' and len(raw) > 60000, f'{name}: {e.how}, {e.partial[:100]!r}')
                r = None
            if r is not None:
                check(r.status in REFUSED, f'{name}: {r.status}')
                out, how = c.rest()
                check(how != 'silence', f'{name}: open after {r.status}')
                check(not out, f'{name}: more after {r.status}: {out[:100]!r}')
        else:
            answers = []
            try:
                for _ in range(len(meanings) + 1):
                    answers.append(c.response(raw.strip().split(b' ')[0].decode('latin-1')).status)
                    if len(answers) == len(meanings):
                        c.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # refused and closed before we could say that we are done
            except Closed as e:
                check(e.how != 'silence', f'{name}: no answer; had {answers}, {e.partial[:80]!r}')
    own, hidden = seen(lab, n)
    check(not hidden, f'{name}: smuggled {hidden}')
    # What was forwarded before a fault showed (a body's start) may be there, but not look whole.
    whole = [(r['target'], r['length']) for r in own if r['done']]
    if meanings is None:
        check(not whole, f'{name}: reached the origin as {whole}')
    elif whole or 200 in answers:
        equal(whole, meanings, f'{name}: meaning at the origin (answers {answers})')


def judge(lab, cases):
    bad = []
    for n, name, raw, meanings, cuts in cases:
        try:
            one(lab, n, name, raw, meanings, cuts)
        except AssertionError as e:
            bad.append(str(e))
            lab.origin_do('requests', clear=True)
    # Once more when nothing is under way: what arrived after its client had been refused.
    wait_for(lambda: lab.stat('server.http_exchanges') == 0, 'the end of every exchange')
    for n, name, _, meanings, _ in cases:
        own, hidden = seen(lab, n)
        if hidden or (meanings is None and any(r['done'] for r in own)):
            bad.append(f'{name}: later at the origin: {own} {hidden}')
    lab.origin_do('requests', clear=True)
    breaches = lab.origin_do('breaches', clear=True)
    # A head that Tidegate has begun to send is sent whole, whatever comes after.
    bad += [f'breach: {b["text"]}' for b in breaches]
    check(not bad, f'{len(bad)} of {len(cases)}:\n' + '\n'.join(bad[:25]))


@case(seconds=300)
def corpus_in_one_piece(lab):
    judge(lab, [(n, name, raw, m, ()) for n, (name, raw, m) in enumerate(hostile.requests())])


@case(seconds=300)
def corpus_cut_at_random_places(lab):
    rng = random.Random(20240607)
    cases = [(n, name, raw, m, rng.sample(range(1, len(raw)), min(4, len(raw) - 1)))
             for n, (name, raw, m) in enumerate(hostile.requests())]
    judge(lab, cases[::quick(1, 5)])


@case
def corpus_behind_a_good_request(lab):
    """The same as second in a pipeline: the first is answered, the bad one ends the connection."""
    bad = []
    for n, (name, raw, meanings) in enumerate(hostile.requests()):
        if meanings is not None or len(raw) > 50000 or n % quick(1, 4):
            continue
        with Client(lab.connect(timeout=20)) as c:
            c.send_some(request('GET', '/bytes/4', 'py.test') + raw)
            try:
                first = c.response()
                if (first.status, first.body) != (200, bytes(range(4))):
                    bad.append(f'{name}: the good one got {first}')
                second = c.response()
                if second.status not in REFUSED:
                    bad.append(f'{name}: {second.status}')
                _, how = c.rest()
                if how == 'silence':
                    bad.append(f'{name}: open')
            except Closed as e:
                bad.append(f'{name}: {e}')
        _, hidden = seen(lab, n)
        if hidden:
            bad.append(f'{name}: smuggled {hidden}')
        lab.origin_do('requests', clear=True)
    bad += [f'breach: {b["text"]}' for b in lab.origin_do('breaches', clear=True)]
    check(not bad, f'{len(bad)}:\n' + '\n'.join(bad[:25]))


@case(seconds=200)
def mutants_never_reach_the_origin_malformed(lab):
    """Bytes changed at random: whatever passes is well-formed to a strict reader."""
    rng = random.Random(20240608)
    base = [
        request('GET', '/m/get?a=b', 'py.test', fields=[('Cookie', 'a=b'), ('Accept', '*/*')]),
        request('POST', '/m/post', 'py.test', b'hello world'),
        request('POST', '/m/chunked', 'py.test', [b'hello', b' world'], chunked=True),
        b'POST http://py.test:80/m/abs HTTP/1.1\r\nHost: py.test:80\r\nConnection: x, close\r\n'
        b'X: y\r\nContent-Length: 3\r\n\r\nabc',
    ]
    special = b'\r\n\0 \t:;,\x7f\x80\xff"0123456789abcdefgxGET/HTP.1-+_'

    def run(seed, count):
        r = random.Random(seed)
        for _ in range(count):
            raw = bytearray(r.choice(base))
            for _ in range(r.randint(1, 3)):
                at, op = r.randrange(len(raw)), r.randrange(4)
                b = r.choice(special) if r.random() < 0.8 else r.randrange(256)
                if op == 0:
                    raw[at] = b
                elif op == 1:
                    raw.insert(at, b)
                elif op == 2:
                    del raw[at]
                else:
                    end = min(len(raw), at + r.randint(1, 20))
                    raw[at:at] = raw[at:end]
            with Client(lab.connect(timeout=20)) as c:
                c.send_some(bytes(raw) + bytes(raw))
                try:
                    c.sock.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                out, how = c.rest()
                check(how != 'silence', f'no end for {bytes(raw)!r}: {out[:200]!r}')
    workers = [Background(run, rng.random(), quick(600, 100)) for _ in range(4)]
    for w in workers:
        w.result(190)
    breaches = lab.origin_do('breaches', clear=True)
    check(not breaches, f'{len(breaches)}: {[b["text"] for b in breaches[:5]]}')


@case(seconds=300)
def hostile_responses(lab):
    cases = list(hostile.responses())
    lab.origin_do('raw', entries={str(n): {
        'pieces': [base64.b64encode(p).decode() for p in pieces], 'then': then,
        'pause': 0.001 if len(pieces) > 1 else 0}
        for n, (_, pieces, then, _, _) in enumerate(cases)})
    bad = []
    for n, (name, _, _, method, verdict) in enumerate(cases):
        try:
            response_case(lab, n, name, method, verdict)
        except AssertionError as e:
            bad.append(str(e))
    lab.origin_do('hangup')
    check(not bad, f'{len(bad)} of {len(cases)}:\n' + '\n'.join(bad[:25]))


def response_case(lab, n, name, method, verdict):
    with Client(lab.connect(timeout=20)) as c:
        try:
            # One write: what the origin lies about must not become the second answer.
            second = request('GET', '/bytes/9', 'py.test')
            c.send(request(method, f'/raw/{n}', 'py.test') + (b'' if verdict == 'late' else second))
            r = c.response(method)
            if verdict == 'late':
                time.sleep(0.1)  # nobody tells when the origin has lied
                c.send(second)
        except Closed as e:
            check(verdict == 'cut' and e.how != 'silence', f'{name}: {e}')
            check(b'POISON' not in e.partial, f'{name}: {e}')
            r = None
        if r is not None:
            want = {'bad': {502}, 'cut': {502, 503}, 'ok': {200}, 'late': {200}, 'okish': {200, 502, 600, 999},
                    'gone': {502, 503}, 'empty': {204, 304}}[verdict]
            check(r.status in want, f'{name}: {r.status} instead of {want}')
            if verdict == 'ok' and method != 'HEAD':
                check(r.body == b'hello', f'{name}: body {r.body[:50]!r}')
            check(b'POISON' not in r.body, f'{name}: {r.body[:50]!r}')
            try:
                second = c.response()
                check(second.body == bytes(range(9)), f'{name}: the next answer is {second}')
            except Closed as e:
                check(not r.keep_alive(), f'{name}: second request: {e}')
    with Client(lab.connect(timeout=20)) as c:
        for _ in range(2):
            r = c.ask(request('GET', '/bytes/9', 'py.test'))
            check(r.body == bytes(range(9)), f'{name}: a later answer is {r}')


@case
def healthy_after_all_that(lab):
    with Client(lab.connect()) as c:
        for _ in range(20):
            equal(c.ask(request('GET', '/bytes/9', 'py.test')).body, bytes(range(9)))


if __name__ == '__main__':
    main(lambda: Lab(nginx=False, allowed={
        'req_malformed', 'req_target_too_long', 'req_head_too_big', 'req_coding', 'req_version',
        'req_expectation', 'req_timeout', 'req_no_route', 'req_upstream_bad', 'req_upstream_reset',
        'req_cut_upstream', 'req_downstream_gone', 'conn_reset_by_peer', 'conn_aborted',
        'conn_linger', 'tcp_after_close', 'tcp_rst_blind'}))
