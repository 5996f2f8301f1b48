"""Hostile requests and responses, each with the judgement that RFC 9112 and good sense ask for.

A request case is (name, bytes, meanings). meanings None: it must be refused and nothing of it may
reach an origin. A list: it may be refused as a whole, or the origin must see exactly these
requests, (target, length of body) each. ID in the bytes is replaced by the case's number; a target
below /smuggled/ is one that a proxy sees only if it misreads the framing.
"""

HOST = b'Host: py.test\r\n'
INNER = b'GET /smuggled/ID HTTP/1.1\r\nHost: py.test\r\n\r\n'


def _get(line=b'GET /h/ID HTTP/1.1', fields=HOST):
    return line + b'\r\n' + fields + b'\r\n'


def _post(fields, body, host=HOST):
    return b'POST /h/ID HTTP/1.1\r\n' + host + fields + b'\r\n' + body


ONE = [(b'/h/ID', 0)]


def request_lines():
    for name, line in (
            ('no target', b'GET HTTP/1.1'), ('no version', b'GET /h/ID'),
            ('http 0.9', b'GET /h/ID\r\n'), ('two spaces', b'GET  /h/ID HTTP/1.1'),
            ('two spaces before version', b'GET /h/ID  HTTP/1.1'),
            ('trailing space', b'GET /h/ID HTTP/1.1 '), ('leading space', b' GET /h/ID HTTP/1.1'),
            ('tab', b'GET\t/h/ID\tHTTP/1.1'), ('vertical tab', b'GET\x0b/h/ID HTTP/1.1'),
            ('space in target', b'GET /h/ID x HTTP/1.1'), ('nul in target', b'GET /h/ID\0 HTTP/1.1'),
            ('nul in method', b'G\0T /h/ID HTTP/1.1'), ('cr in target', b'GET /h/ID\rX HTTP/1.1'),
            ('cr before version', b'GET /h/ID \rHTTP/1.1'), ('del in target', b'GET /h/ID\x7f HTTP/1.1'),
            ('high byte in target', b'GET /h/ID\xc3\xa4 HTTP/1.1'),
            ('control in target', b'GET /h/ID\x01 HTTP/1.1'),
            ('fragment', b'GET /h/ID#f HTTP/1.1'), ('relative target', b'GET h/ID HTTP/1.1'),
            ('backslash start', b'GET \\h\\ID HTTP/1.1'), ('query only', b'GET ?h=ID HTTP/1.1'),
            ('star for get', b'GET * HTTP/1.1'), ('lower http', b'GET /h/ID http/1.1'),
            ('mixed http', b'GET /h/ID Http/1.1'), ('version 1.2 digits', b'GET /h/ID HTTP/1.11'),
            ('version 01.1', b'GET /h/ID HTTP/01.1'), ('version 1', b'GET /h/ID HTTP/1'),
            ('version 1.', b'GET /h/ID HTTP/1.'), ('version .1', b'GET /h/ID HTTP/.1'),
            ('version -1.1', b'GET /h/ID HTTP/-1.1'), ('version 1,1', b'GET /h/ID HTTP/1,1'),
            ('version 2.0', b'GET /h/ID HTTP/2.0'), ('version 3.0', b'GET /h/ID HTTP/3.0'),
            ('version 0.9', b'GET /h/ID HTTP/0.9'), ('version x', b'GET /h/ID HTTP/x.y'),
            ('protocol', b'GET /h/ID FOO/1.1'), ('no slash', b'GET /h/ID HTTP1.1'),
            ('slash only', b'GET /h/ID /1.1'), ('method with colon', b'GE:T /h/ID HTTP/1.1'),
            ('method with slash', b'GE/T /h/ID HTTP/1.1'), ('method quoted', b'"GET" /h/ID HTTP/1.1'),
            ('method in brackets', b'(GET) /h/ID HTTP/1.1'), ('empty method', b' /h/ID HTTP/1.1'),
            ('h2 preface', b'PRI * HTTP/2.0'), ('only spaces', b'   '),
            ('version twice', b'GET /h/ID HTTP/1.1 HTTP/1.1'),
            ('host in target', b'GET py.test/h/ID HTTP/1.1'),
            ('absolute without authority', b'GET http:///h/ID HTTP/1.1'),
            ('absolute with user', b'GET http://u:p@py.test/h/ID HTTP/1.1'),
            ('absolute with space', b'GET http://py .test/h/ID HTTP/1.1'),
            ('absolute with bad port', b'GET http://py.test:x/h/ID HTTP/1.1'),
            ('absolute with huge port', b'GET http://py.test:99999999/h/ID HTTP/1.1'),
            ('absolute of another scheme', b'GET ftp://py.test/h/ID HTTP/1.1'),
            ('absolute with backslash', b'GET http:\\\\py.test\\h\\ID HTTP/1.1'),
            ('connect', b'CONNECT py.test:80 HTTP/1.1'), ('connect path', b'CONNECT /h/ID HTTP/1.1'),
    ):
        yield 'request line: ' + name, _get(line), None
    yield 'request line: lf only', b'GET /h/ID HTTP/1.1\nHost: py.test\n\n', None
    yield 'request line: lf ends the first', b'GET /h/ID HTTP/1.1\nHost: py.test\r\n\r\n', None
    yield 'request line: cr only', b'GET /h/ID HTTP/1.1\rHost: py.test\r\r', None
    yield 'request line: empty line first', b'\r\n' + _get(), ONE
    yield 'request line: lf first', b'\n' + _get(), ONE
    yield 'request line: twenty empty lines', b'\r\n' * 20 + _get(), ONE
    yield 'request line: nul first', b'\0' + _get(), None
    yield 'request line: tls hello', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + b'\r\n\r\n', None
    yield 'request line: binary', bytes(range(256)) + b'\r\n\r\n', None
    yield 'request line: http/1.2 is read as 1.1', _get(b'GET /h/ID HTTP/1.2'), ONE


def field_lines():
    for name, line in (
            ('space before colon', b'A : b'), ('tab before colon', b'A\t: b'), ('no colon', b'A b'),
            ('no name', b': b'), ('space in name', b'A B: c'), ('nul in name', b'A\0: b'),
            ('nul in value', b'A: b\0c'), ('cr in value', b'A: b\rc'), ('cr in name', b'A\rB: c'),
            ('cr at the end', b'A: b\r'), ('bell in value', b'A: b\x07c'), ('del in value', b'A: b\x7fc'),
            ('escape in value', b'A: \x1b[0m'), ('vertical tab', b'A:\x0bb'), ('form feed', b'A: b\x0c'),
            ('fold', b'A: b\r\n c'), ('fold by tab', b'A: b\r\n\tc'),
            ('fold of nothing', b'A: b\r\n '), ('name in quotes', b'"A": b'),
            ('name in brackets', b'(A): b'), ('high byte in name', b'\xc3\x84: b'),
            ('at in name', b'A@B: c'), ('slash in name', b'A/B: c'), ('equals in name', b'A=B: c'),
            ('comma in name', b'A,B: c'), ('semicolon in name', b'A;B: c'),
            ('question in name', b'A?B: c'), ('braces in name', b'{A}: b'),
            ('square brackets in name', b'[A]: b'), ('lf inside', b'A: b\nC: d'),
            ('second request line', b'GET /smuggled/ID HTTP/1.1'),
            ('cr and a hidden length', b'A: b\rContent-Length: 5'),
            ('pseudo header', b':method: GET'),
    ):
        yield 'field: ' + name, _get(fields=HOST + line + b'\r\n'), None
        if 'fold' not in name:
            yield f'field first: {name}', _get(fields=line + b'\r\n' + HOST), None
    yield 'field: fold before the first', _get(fields=b' A: b\r\n' + HOST), None
    yield 'field: lf ends the head', b'GET /h/ID HTTP/1.1\r\nHost: py.test\r\n\n', None
    yield 'field: lf ends a field', b'GET /h/ID HTTP/1.1\r\nHost: py.test\nA: b\r\n\r\n', None
    yield 'field: cr lf cr', b'GET /h/ID HTTP/1.1\r\nHost: py.test\r\n\rX: y\r\n\r\n', None
    yield 'field: empty value', _get(fields=HOST + b'A:\r\n'), ONE
    yield 'field: only whitespace', _get(fields=HOST + b'A: \t \r\n'), ONE
    yield 'field: high bytes in value', _get(fields=HOST + b'A: \xff\xfe\x80\r\n'), ONE
    yield 'field: every token character', _get(fields=HOST + b"!#$%&'*+-.^_`|~09azAZ: x\r\n"), ONE


def hosts():
    for name, fields in (
            ('none', b''), ('twice', HOST + HOST), ('twice, different', HOST + b'Host: nginx.test\r\n'),
            ('twice, other case', HOST + b'hOST: nginx.test\r\n'), ('list', b'Host: py.test, nginx.test\r\n'),
            ('space', b'Host: py.test x\r\n'), ('user', b'Host: a@py.test\r\n'),
            ('path', b'Host: py.test/x\r\n'), ('scheme', b'Host: http://py.test\r\n'),
            ('query', b'Host: py.test?x\r\n'), ('fragment', b'Host: py.test#x\r\n'),
            ('bad port', b'Host: py.test:80x\r\n'), ('two ports', b'Host: py.test:80:80\r\n'),
            ('huge port', b'Host: py.test:99999\r\n'), ('negative port', b'Host: py.test:-1\r\n'),
            ('bracket', b'Host: [::1\r\n'), ('backslash', b'Host: py.test\\x\r\n'),
            ('high byte', b'Host: py\xfftest\r\n'), ('quote', b'Host: "py.test"\r\n'),
            ('hidden by a space', b'Host : py.test\r\n'),
    ):
        yield 'host: ' + name, _get(fields=fields), None
    yield 'host: twice around', _get(fields=HOST + b'A: b\r\n' + HOST), None
    yield ('host: absolute target, no Host', b'GET http://py.test/h/ID HTTP/1.1\r\n\r\n', None)


def lengths():
    for name, value in (
            ('plus', b'+5'), ('minus', b'-5'), ('hex', b'0x5'), ('octal o', b'0o5'), ('float', b'5.0'),
            ('exponent', b'5e0'), ('space inside', b'5 5'), ('list of same', b'5, 5'),
            ('list of different', b'5, 6'), ('trailing comma', b'5,'), ('leading comma', b',5'),
            ('semicolon', b'5;x'), ('empty', b''), ('word', b'five'), ('quote', b'"5"'),
            ('2^63', b'9223372036854775808'), ('2^64', b'18446744073709551616'),
            ('2^64+5', b'18446744073709551621'), ('2^32+5 times 2^32', b'18446744078004518917'),
            ('forty digits', b'9' * 40), ('underscore', b'1_0'), ('high digit', b'\xd9\xa3'),
            ('nul', b'5\0'), ('vertical tab', b'\x0b5'), ('trailing letter', b'5a'),
            ('minus zero', b'-0'), ('plus zero', b'+0'), ('brackets', b'(5)'),
    ):
        yield 'length: ' + name, _post(b'Content-Length: ' + value + b'\r\n', b'hello' + INNER), None
    for name, fields in (
            ('twice, different', b'Content-Length: 5\r\nContent-Length: 6\r\n'),
            ('twice, different, apart', b'Content-Length: 5\r\nA: b\r\nContent-Length: 50\r\n'),
            ('twice, other case', b'Content-Length: 5\r\ncontent-length: 0\r\n'),
            ('space before colon', b'Content-Length : 5\r\n'),
            ('folded', b'Content-Length:\r\n 5\r\n'), ('tab before colon', b'Content-Length\t: 5\r\n'),
            ('nul in name', b'Content-Length\0: 5\r\n'),
            ('cr', b'A: b\rContent-Length: 5\r\n'), ('lf', b'A: b\nContent-Length: 5\r\n'),
    ):
        yield 'length: ' + name, _post(fields, b'hello' + INNER), None
    yield ('length: twice, same', _post(b'Content-Length: 5\r\nContent-Length: 5\r\n', b'hello'),
           [(b'/h/ID', 5)])
    yield 'length: zeros before', _post(b'Content-Length: 0005\r\n', b'hello'), [(b'/h/ID', 5)]
    yield 'length: spaces around', _post(b'Content-Length: \t 5 \t\r\n', b'hello'), [(b'/h/ID', 5)]
    yield ('length: body of a get', b'GET /h/ID HTTP/1.1\r\n' + HOST + b'Content-Length: 5\r\n\r\nhello',
           [(b'/h/ID', 5)])
    yield ('length: other names are other fields',
           _post(b'Content_Length: 50\r\nContent-Length: 5\r\nXContent-Length: 9\r\n', b'hello'),
           [(b'/h/ID', 5)])
    yield ('length: named in Connection',
           _post(b'Connection: Content-Length\r\nContent-Length: %d\r\n' % len(INNER), INNER),
           [(b'/h/ID', len(INNER))])
    yield ('length: named in Connection, keep-alive',
           _post(b'Connection: keep-alive, content-length\r\nContent-Length: %d\r\n' % len(INNER), INNER),
           [(b'/h/ID', len(INNER))])


def codings():
    chunked = b'5\r\nhello\r\n0\r\n\r\n'
    smug = b'0\r\n\r\n' + INNER
    for name, value in (
            ('identity', b'identity'), ('gzip', b'gzip'), ('gzip, chunked', b'gzip, chunked'),
            ('chunked, gzip', b'chunked, gzip'), ('chunked twice', b'chunked, chunked'),
            ('chunked, identity', b'chunked, identity'), ('identity, chunked', b'identity, chunked'),
            ('xchunked', b'xchunked'), ('chunkedx', b'chunkedx'), ('chunke', b'chunke'),
            ('parameter', b'chunked;q=1'), ('parameter with space', b'chunked ; a=b'),
            ('quoted', b'"chunked"'), ('vertical tab', b'\x0bchunked'), ('form feed', b'\x0cchunked'),
            ('trailing vertical tab', b'chunked\x0b'), ('nul', b'chunked\0'), ('space inside', b'chunk ed'),
            ('leading comma', b', chunked'), ('trailing comma', b'chunked,'), ('empty', b''),
            ('comma only', b','), ('cr', b'chunked\rx'), ('colon', b': chunked'),
            ('brackets', b'(chunked)'), ('semicolon', b'chunked;'), ('high byte', b'chunked\xff'),
            ('cow', b'cow'), ('dotless', b'chun\xc4\xb1ed'),
    ):
        yield 'coding: ' + name, _post(b'Transfer-Encoding: ' + value + b'\r\n', smug), None
        yield (f'coding with length: {name}',
               _post(b'Content-Length: %d\r\nTransfer-Encoding: ' % len(smug) + value + b'\r\n', smug),
               None)
    for name, fields in (
            ('length first', b'Content-Length: 44\r\nTransfer-Encoding: chunked\r\n'),
            ('length last', b'Transfer-Encoding: chunked\r\nContent-Length: 44\r\n'),
            ('length 0', b'Content-Length: 0\r\nTransfer-Encoding: chunked\r\n'),
            ('bad length', b'Content-Length: x\r\nTransfer-Encoding: chunked\r\n'),
            ('two fields', b'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'),
            ('two fields, identity', b'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n'),
            ('two fields, cow', b'Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n'),
            ('space before colon', b'Transfer-Encoding : chunked\r\n'),
            ('tab before colon', b'Transfer-Encoding\t: chunked\r\n'),
            ('folded value', b'Transfer-Encoding:\r\n chunked\r\n'),
            ('folded into another', b'A: b\r\n Transfer-Encoding: chunked\r\n'),
            ('behind a cr', b'A: b\rTransfer-Encoding: chunked\r\n'),
            ('behind a lf', b'A: b\nTransfer-Encoding: chunked\r\n'),
            ('nul in name', b'Transfer-Encoding\0: chunked\r\n'),
            ('leading space', b' Transfer-Encoding: chunked\r\n'),
    ):
        yield 'coding: ' + name, _post(fields, smug), None
    yield ('coding: in HTTP/1.0', b'POST /h/ID HTTP/1.0\r\n' + HOST
           + b'Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n' + smug, None)
    yield ('coding: upper case', _post(b'TRANSFER-ENCODING: CHUNKED\r\n', chunked), [(b'/h/ID', 5)])
    yield ('coding: other names are other fields',
           _post(b'Transfer_Encoding: chunked\r\nContent-Length: 5\r\n', b'hello'), [(b'/h/ID', 5)])
    yield ('coding: X-Transfer-Encoding',
           _post(b'X-Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', b'hello'), [(b'/h/ID', 5)])
    yield ('coding: named in Connection',
           _post(b'Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n', chunked),
           [(b'/h/ID', 5)])
    yield ('coding: of a get', b'GET /h/ID HTTP/1.1\r\n' + HOST + b'Transfer-Encoding: chunked\r\n\r\n'
           + chunked, [(b'/h/ID', 5)])


def chunks():
    te = b'Transfer-Encoding: chunked\r\n'
    for name, body in (
            ('no size', b'\r\nhello\r\n0\r\n\r\n'), ('not hex', b'g\r\nhello\r\n0\r\n\r\n'),
            ('plus', b'+5\r\nhello\r\n0\r\n\r\n'), ('minus', b'-5\r\nhello\r\n0\r\n\r\n'),
            ('0x', b'0x5\r\nhello\r\n0\r\n\r\n'), ('leading space', b' 5\r\nhello\r\n0\r\n\r\n'),
            ('leading tab', b'\t5\r\nhello\r\n0\r\n\r\n'), ('two numbers', b'5 5\r\nhello\r\n0\r\n\r\n'),
            ('trailing letter', b'5g\r\nhello\r\n0\r\n\r\n'), ('lf after size', b'5\nhello\r\n0\r\n\r\n'),
            ('cr after size', b'5\rhello\r\n0\r\n\r\n'), ('lf after data', b'5\r\nhello\n0\r\n\r\n'),
            ('cr after data', b'5\r\nhello\r0\r\n\r\n'), ('nothing after data', b'5\r\nhello0\r\n\r\n'),
            ('data longer', b'5\r\nhelloo\r\n0\r\n\r\n'), ('data shorter', b'5\r\nhell\r\n0\r\n\r\n'),
            ('2^64', b'10000000000000000\r\n' + INNER), ('2^64+5', b'10000000000000005\r\nhello\r\n0\r\n\r\n'),
            ('minus one', b'FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n'),
            ('thirty digits', b'1' * 30 + b'\r\nhello\r\n0\r\n\r\n'),
            ('nul', b'5\0\r\nhello\r\n0\r\n\r\n'), ('lf in extension', b'5;a\nb\r\nhello\r\n0\r\n\r\n'),
            ('cr in extension', b'5;a\rb\r\nhello\r\n0\r\n\r\n'),
            ('nul in extension', b'5;a\0b\r\nhello\r\n0\r\n\r\n'),
            ('lf ends extension', b'5;a\nhello\r\n0\r\n\r\n'),
            ('extension hides a chunk', b'2;\nxx\r\n4c\r\n0\r\n\r\n' + INNER),
            ('request instead of trailer', b'0\r\n' + INNER), ('trailer no colon', b'0\r\nA b\r\n\r\n'),
            ('trailer space before colon', b'0\r\nA : b\r\n\r\n'), ('trailer fold', b'0\r\nA: b\r\n c\r\n\r\n'),
            ('trailer nul', b'0\r\nA: \0\r\n\r\n'), ('trailer cr', b'0\r\nA: b\rc\r\n\r\n'),
            ('trailer lf', b'0\r\nA: b\n\r\n'), ('lf ends the last', b'0\r\n\n'),
            ('lf after the last size', b'0\n\r\n'), ('high byte', b'\xb5\r\nhello\r\n0\r\n\r\n'),
            ('comma', b'5,5\r\nhello\r\n0\r\n\r\n'), ('vertical tab', b'5\x0b\r\nhello\r\n0\r\n\r\n'),
            ('underscore', b'0_5\r\nhello\r\n0\r\n\r\n'),
            ('huge extension', b'5;' + b'a' * 200000 + b'\r\nhello\r\n0\r\n\r\n'),
            ('huge trailer', b'0\r\nA: ' + b'a' * 200000 + b'\r\n\r\n'),
            ('ten thousand trailers', b'0\r\n' + b'A: b\r\n' * 10000 + b'\r\n'),
    ):
        yield 'chunk: ' + name, _post(te, body), None
        yield f'chunk second: {name}', _post(te, b'3\r\nabc\r\n' + body), None
    good = [(b'/h/ID', 5)]
    yield 'chunk: extension', _post(te, b'5;a=b\r\nhello\r\n0;c\r\n\r\n'), good
    yield 'chunk: quoted extension', _post(te, b'5;a="b;\\"c"\r\nhello\r\n0\r\n\r\n'), good
    yield 'chunk: zeros', _post(te, b'0005\r\nhello\r\n000\r\n\r\n'), good
    yield 'chunk: upper and lower hex', _post(te, b'a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n'), [
        (b'/h/ID', 20)]
    for f in (b'Content-Length: 50', b'Transfer-Encoding: chunked', b'Host: nginx.test', b'Connection: close'):
        yield (f'chunk: trailer {f.decode()}', _post(te, b'5\r\nhello\r\n0\r\n' + f + b'\r\n\r\n'), good)
    yield ('chunk: body is a request', _post(te, b'%x\r\n%b\r\n0\r\n\r\n' % (len(INNER), INNER)), [
        (b'/h/ID', len(INNER))])


def sizes():
    yield 'size: long method', _get(b'A' * 100000 + b' /h/ID HTTP/1.1'), None
    yield 'size: long target', _get(b'GET /h/ID/' + b'a' * 100000 + b' HTTP/1.1'), None
    yield 'size: long field', _get(fields=HOST + b'A: ' + b'b' * 100000 + b'\r\n'), None
    yield 'size: long name', _get(fields=HOST + b'A' * 100000 + b': b\r\n'), None
    yield 'size: many fields', _get(fields=HOST + b'A: b\r\n' * 20000), None
    yield 'size: never ends', b'GET /h/ID HTTP/1.1\r\n' + HOST + b'A: ' + b'b' * 300000, None
    yield 'size: long host', _get(fields=b'Host: ' + b'a' * 70000 + b'\r\n'), None


def pipelines():
    yield 'pipeline: good, bad', (
        _get(b'GET /h/ID/1 HTTP/1.1') + _get(b'GET /h/ID/2 HTTP/1.1', HOST + b'A : b\r\n')
        + INNER), [(b'/h/ID/1', 0)]
    yield 'pipeline: after close', (
        _get(b'GET /h/ID HTTP/1.1', HOST + b'Connection: close\r\n') + INNER), ONE
    yield 'pipeline: after HTTP/1.0', (
        b'GET /h/ID HTTP/1.0\r\n' + HOST + b'\r\n' + INNER), ONE
    yield 'upgrade: h2c', _get(fields=HOST + (
        b'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n')), ONE
    yield 'upgrade: with body', _post(
        b'Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: %d\r\n' % len(INNER), INNER), [
            (b'/h/ID', len(INNER))]
    yield 'connection: names Host', _get(fields=HOST + b'Connection: Host\r\n'), ONE
    yield 'connection: names nothing', _get(fields=HOST + b'Connection: ,, ,\r\n'), ONE
    yield 'connection: bad token', _get(fields=HOST + b'Connection: a b\x0bc\r\n'), None
    yield 'expect: twice', _post(b'Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n',
                                 b'hello'), [(b'/h/ID', 5)]


def requests():
    """All of them: (name, bytes, meanings), ID replaced by the number."""
    n = 0
    for gen in (request_lines, field_lines, hosts, lengths, codings, chunks, sizes, pipelines):
        for name, raw, meanings in gen():
            num = b'%d' % n
            if meanings is not None:
                meanings = [(t.replace(b'ID', num).decode(), b) for t, b in meanings]
            # Bodies that carry INNER change their length with the number: INNER keeps its own.
            yield name, _numbered(raw, num), meanings
            n += 1


def _numbered(raw, num):
    inner = INNER.replace(b'/smuggled/ID', b'/smuggled/' + num)
    # Keep the length of the hidden request, which framing fields state: pad by a field's name.
    pad = len(INNER) - len(inner)
    if pad < 0:
        inner = INNER.replace(b'/smuggled/ID', b'/s/' + num)
        pad = len(INNER) - len(inner)
    inner = inner.replace(b' HTTP/1.1', b'?' * min(pad, 1) + b'x' * max(pad - 1, 0) + b' HTTP/1.1')
    return raw.replace(INNER, inner).replace(b'ID', num)


BODY = b'Content-Length: 5\r\n\r\nhello'
POISON = b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON'


def responses():
    """(name, pieces, then, method, verdict): what an origin answers.

    verdict 'bad': 502, nothing else. 'cut': a head may pass, then the connection must break; never a
    whole response. 'ok': 200 with body 'hello'. 'okish': either ok or bad. 'late': ok, and what
    comes after it meets an idle connection. In every case the next
    request must get its own answer.
    """
    bad = []
    for name, line in (
            ('garbage', b'\x00\x01\x02\x03\r\n'), ('empty line', b''), ('no version', b'200 OK'),
            ('icy', b'ICY 200 OK'), ('http 2', b'HTTP/2 200 OK'), ('http 2.0', b'HTTP/2.0 200 OK'),
            ('http 0.9', b'HTTP/0.9 200 OK'), ('lower', b'http/1.1 200 OK'), ('1.11', b'HTTP/1.11 200 OK'),
            ('no status', b'HTTP/1.1 '), ('two digits', b'HTTP/1.1 20 OK'), ('four digits', b'HTTP/1.1 2000 OK'),
            ('letters', b'HTTP/1.1 2x0 OK'), ('minus', b'HTTP/1.1 -200 OK'), ('status 000', b'HTTP/1.1 000 OK'),
            ('status 099', b'HTTP/1.1 099 OK'), ('leading space', b' HTTP/1.1 200 OK'),
            ('two spaces', b'HTTP/1.1  200 OK'), ('tab', b'HTTP/1.1\t200 OK'), ('nul in reason', b'HTTP/1.1 200 O\0K'),
            ('cr in reason', b'HTTP/1.1 200 O\rK'), ('a request', b'GET / HTTP/1.1'),
            ('status glued', b'HTTP/1.1200 OK'), ('ssh', b'SSH-2.0-OpenSSH_9.2'),
    ):
        bad.append(('status line: ' + name, line + b'\r\n' + BODY))
    for name, line in (
            ('space before colon', b'A : b'), ('no colon', b'A b'), ('no name', b': b'), ('nul', b'A: \0'),
            ('cr', b'A: b\rc'), ('fold', b'A: b\r\n c'), ('space in name', b'A B: c'), ('bell', b'A: \x07'),
            ('lf', b'A: b\nC: d'), ('high name', b'\xff: b'), ('split', b'A: b\r\rHTTP/1.1 200 OK'),
    ):
        bad.append(('field: ' + name, b'HTTP/1.1 200 OK\r\n' + line + b'\r\n' + BODY))
    for name, value in (
            ('minus', b'-5'), ('plus', b'+5'), ('hex', b'0x5'), ('list', b'5, 6'), ('word', b'five'),
            ('2^64', b'18446744073709551621'), ('empty', b''), ('float', b'5.0'), ('two', b'5 5')):
        bad.append(('length: ' + name,
                    b'HTTP/1.1 200 OK\r\nContent-Length: ' + value + b'\r\n\r\nhello'))
    bad += [
        ('length: twice, different', b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n' + BODY),
        ('length and coding', b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n' + BODY),
        ('coding: gzip', b'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello'),
        ('coding: chunked, gzip', b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nhello'),
        ('coding: twice', b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n'
                          b'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
        ('coding: xchunked', b'HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'),
        ('line ends: lf', b'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'),
        ('head too large', b'HTTP/1.1 200 OK\r\nA: ' + b'b' * 300000 + b'\r\n' + BODY),
        ('head never ends', b'HTTP/1.1 200 OK\r\n' + b'A: b\r\n' * 50000),
        ('101 not asked for', b'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n'
                              b'Upgrade: websocket\r\n\r\n' + POISON),
    ]
    for name, raw in bad:
        yield name, [raw], 'close', 'GET', 'bad'
        yield f'{name}, kept open', [raw], 'hang', 'GET', 'bad'
    cut = [
        ('length: short body', b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello'),
        ('chunked: no end', b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'),
        ('chunked: half a chunk', b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe'),
        ('chunked: bad size', b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxx\r\n\r\n'),
        ('chunked: minus', b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n-1\r\n\r\n'),
        ('chunked: 2^64', b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'
                          b'10000000000000000\r\n\r\n'),
        ('chunked: no crlf', b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n'),
        ('chunked: lf', b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n'),
        ('chunked: bad trailer', b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA b\r\n\r\n'),
    ]
    for name, raw in cut:
        yield name, [raw], 'close', 'GET', 'cut'
    ok = b'HTTP/1.1 200 OK\r\n' + BODY
    yield 'extra: a second response', [ok + POISON], 'keep', 'GET', 'ok'
    yield 'extra: a second response, late', [ok, POISON], 'keep', 'GET', 'late'
    yield 'extra: garbage', [ok + b'\0\1\2'], 'keep', 'GET', 'ok'
    yield 'extra: crlf', [ok + b'\r\n\r\n'], 'keep', 'GET', 'ok'
    yield 'extra: body of a HEAD', [b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % len(POISON) + POISON], (
        'keep'), 'HEAD', 'ok'
    yield 'extra: body of a 204', [b'HTTP/1.1 204 No\r\n\r\n' + POISON], 'keep', 'GET', 'empty'
    yield 'extra: body of a 304', [b'HTTP/1.1 304 No\r\nContent-Length: %d\r\n\r\n' % len(POISON) + POISON], (
        'keep'), 'GET', 'empty'
    yield 'extra: after chunks', [b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
                                  + POISON], 'keep', 'GET', 'ok'
    yield 'interim: two', [b'HTTP/1.1 103 Early\r\nA: b\r\n\r\n' * 2 + ok], 'keep', 'GET', 'ok'
    yield 'interim: with length', [b'HTTP/1.1 103 E\r\nContent-Length: 50\r\n\r\n' + ok], 'close', 'GET', 'okish'
    yield 'interim: flood', [b'HTTP/1.1 102 Processing\r\n\r\n' * 20000 + ok], 'close', 'GET', 'okish'
    yield 'interim: only', [b'HTTP/1.1 100 Continue\r\n\r\n'], 'close', 'GET', 'gone'
    yield 'length: twice, same', [b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n' + BODY], 'keep', 'GET', 'okish'
    yield 'reason: none', [b'HTTP/1.1 200\r\n' + BODY], 'keep', 'GET', 'okish'
    yield 'reason: empty', [b'HTTP/1.1 200 \r\n' + BODY], 'keep', 'GET', 'ok'
    yield 'reason: high bytes', [b'HTTP/1.1 200 \xc3\xa4\r\n' + BODY], 'keep', 'GET', 'okish'
    yield 'head by single bytes', [bytes([b]) for b in ok], 'keep', 'GET', 'ok'
    yield 'nothing', [], 'close', 'GET', 'gone'
    yield 'nothing, reset', [], 'reset', 'GET', 'gone'
    yield 'half a head', [b'HTTP/1.1 200 OK\r\nConte'], 'close', 'GET', 'gone'
    yield 'half a head, reset', [b'HTTP/1.1 200 OK\r\nConte'], 'reset', 'GET', 'gone'
    yield 'status 600', [b'HTTP/1.1 600 Odd\r\n' + BODY], 'keep', 'GET', 'okish'
    yield 'status 999', [b'HTTP/1.1 999 Odd\r\n' + BODY], 'keep', 'GET', 'okish'
