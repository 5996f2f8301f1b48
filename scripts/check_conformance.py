#!/usr/bin/python3
"""Checks docs/tcp.md: every test that it names exists, every MUST and SHLD number of RFC 9293 has its line, and
every line has a test or a reason.

    scripts/check_conformance.py [ROOT]
"""
import os
import re
import sys

MUSTS, SHOULDS = 69, 31
SCRIPT = re.compile(r'^\t\{((?:\s*"(?:[^"\\]|\\.)*")+),', re.M)
UNIT = re.compile(r'\{((?:\s*"(?:[^"\\]|\\.)*")+),\s*[a-z_0-9]+\}')


def strings(text):
    """The value of adjacent C string literals."""
    return ''.join(re.findall(r'"((?:[^"\\]|\\.)*)"', text)).replace('\\"', '"')


def known_tests(root):
    """{suite: {name}}"""
    tests = {}
    scripts = os.path.join(root, 'tests/unit/tcp')
    for f in sorted(os.listdir(scripts)):
        if f.startswith('test_') and f.endswith('.c'):
            text = open(os.path.join(scripts, f), encoding='utf-8').read()
            tests[f[5:-2]] = {strings(m.group(1)) for m in SCRIPT.finditer(text)}
    for d in ('net', 'tcpleaf'):
        folder = os.path.join(root, 'tests/unit', d)
        for f in sorted(os.listdir(folder)):
            if f.startswith('test_') and f.endswith('.c'):
                text = open(os.path.join(folder, f), encoding='utf-8').read()
                text = text[text.index('TG_TEST_MAIN'):]
                tests[f'{d}/{f[:-2]}'] = {strings(m.group(1)) for m in UNIT.finditer(text)}
    folder = os.path.join(root, 'tests/e2e')
    for f in sorted(os.listdir(folder)):
        if f.startswith('test_') and f.endswith('.py'):
            text = open(os.path.join(folder, f), encoding='utf-8').read()
            tests[f'e2e/{f[:-3]}'] = set(re.findall(r'^@case.*\ndef (\w+)', text, re.M))
    folder = os.path.join(root, 'tests/sim')
    text = ''.join(open(os.path.join(folder, f), encoding='utf-8').read()
                   for f in sorted(os.listdir(folder)) if f.endswith('.c'))
    tests['sim'] = set(re.findall(r'^(?:static )?\w[\w *]*?\*?(\w+)\(', text, re.M))
    return tests


def rows(text):
    """(line number, requirement, proof) of the tables of requirements."""
    inside = False
    for n, line in enumerate(text.splitlines(), 1):
        if line.startswith('| Requirement |'):
            inside = True
        elif not line.startswith('|'):
            inside = False
        elif inside and not line.startswith('|---'):
            cells = [c.strip() for c in re.split(r'(?<!\\)\|', line)[1:-1]]
            yield n, cells[0], ' | '.join(cells[1:])


def check(text, tests):
    """Complaints, and the number of lines and of tests named."""
    bad, seen, lines, named = [], {}, 0, 0
    for n, what, proof in rows(text):
        lines += 1
        for number in re.findall(r'(?:MUST|SHLD)-\d+', what):
            if number in seen:
                bad.append(f'line {n}: {number} stands in line {seen[number]} already')
            seen[number] = n
        refs = re.findall(r'`((?:[a-z]+/)?[a-z_0-9]+): ([^`]+)`', proof)
        for suite, name in refs:
            named += 1
            if name not in tests.get(suite, ()):
                bad.append(f'line {n}: there is no test "{suite}: {name}"')
        if not refs and len(re.sub(r'[`*]', '', proof)) < 10:
            bad.append(f'line {n}: neither a test nor a reason')
    for kind, count in (('MUST', MUSTS), ('SHLD', SHOULDS)):
        bad += [f'{kind}-{i} of RFC 9293 is missing' for i in range(1, count + 1) if f'{kind}-{i}' not in seen]
    return bad, lines, named


def self_test():
    tests = {'open': {'a'}}
    head = '| Requirement | Test |\n|---|---|\n'
    assert check(head + '| MUST-1 x | `open: b` |\n', tests)[0][0].endswith('no test "open: b"')
    assert any('neither' in b for b in check(head + '| MUST-1 x | |\n', tests)[0])
    assert any('already' in b for b in check(head + '| MUST-1 | `open: a` |\n| MUST-1 | `open: a` |\n', tests)[0])
    assert any('MUST-2 of' in b for b in check(head + '| MUST-1 | `open: a` |\n', tests)[0])
    assert not any('MUST-1 of' in b for b in check(head + '| MUST-1 | `open: a` |\n', tests)[0])


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else '.'
    self_test()
    with open(os.path.join(root, 'docs/tcp.md'), encoding='utf-8') as f:
        bad, lines, named = check(f.read(), known_tests(root))
    for b in bad:
        print(f'docs/tcp.md: {b}')
    print(f'{lines} requirements, {named} tests named, {len(bad)} complaints')
    return bool(bad)


sys.exit(main())
