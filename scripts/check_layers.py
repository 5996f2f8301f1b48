#!/usr/bin/python3
"""Checks that the floors of docs/architecture.md hold: files include only downward.

    scripts/check_layers.py [ROOT]      exit 0, or 1 with FILE:LINE: message for each violation
    scripts/check_layers.py --self-test  every rule must catch a violation planted for it

Also: headers of libraries only where the library belongs, no filter includes another, lib/x/*.h is
private to x, no file over MAX_LINES, no marker of unfinished work.
"""
import re
import sys
import tempfile
from pathlib import Path

MAX_LINES = 900

# module: modules whose public headers it may include, besides its own. Bottom to top.
MAY_USE = {
    'base': set(),
    'spiffe': {'base'},
    'dns': {'base'},
    'redis': {'base'},
    'telem': {'base'},
    'io': {'base'},
    'net': {'base', 'telem'},
    'tcp': {'base', 'telem', 'io', 'net'},
    'tls': {'base', 'telem', 'io', 'net'},
    'http': {'base', 'telem'},
    'route': {'base', 'telem', 'io', 'http'},
    'filter': {'base', 'telem', 'io', 'http', 'tls'},
    'proxy': {'base', 'telem', 'io', 'net', 'tcp', 'tls', 'http', 'route', 'filter'},
    'config': {'base', 'spiffe', 'dns', 'redis', 'telem', 'io', 'net', 'tcp', 'tls', 'http', 'route', 'filter', 'proxy'},
}
ALL = set(MAY_USE)

# Contracts whose types travel below the module that makes them: (user, header). The proxy runs on
# the snapshot that config compiles; it reads the struct and calls nothing of config's.
TYPES_ONLY = {('proxy', 'config.h')}

# Which module a contract in include/tidegate belongs to, where it is not the name of the header.
OWNER = {
    'addr': 'base', 'arena': 'base', 'err': 'base', 'hash': 'base', 'lease': 'base', 'list': 'base', 'overload': 'base', 'pages': 'base', 'pool': 'base',
    'quota': 'base',
    'rng': 'base', 'tax': 'base', 'view': 'base', 'wheel': 'base', 'why': 'base', 'clock': 'base',
    'conn': 'io', 'ready': 'io', 'memconn': 'io', 'traced': 'io',
    'stats': 'telem', 'log': 'telem', 'hist': 'telem',
    'steer': 'net',
    'edit': 'http', 'http1': 'http', 'match': 'http', 'msg': 'http', 'regex': 'http',
    'rbac': 'filter',
    'fault': 'filter',
    'ratelimit': 'filter',
    'bucket': 'base', 'connlimit': 'base',
    'breaker': 'route', 'health': 'route', 'lb': 'route', 'retry': 'route',
    'dry': 'proxy',
}

# Header of a library (a prefix) and the folders that may include it.
TOOLS = {'dpdk_app', 'perf', 'tests'}
LIBRARIES = [
    # The header-only pieces of DPDK need no EAL: telem's record ring is one of them.
    (re.compile(r'rte_(ring|ring_\w+|common|branch_prediction|atomic|pause|memory)\.h$'),
     {'net', 'tcp', 'telem'} | TOOLS),
    (re.compile(r'(rte_|cmdline_)\w+\.h$'), {'net', 'tcp'} | TOOLS),
    (re.compile(r'(openssl/|intel-ipsec-mb\.h)'), {'tls', 'filter'} | TOOLS),
    (re.compile(r'libconfig\.h'), {'config'} | TOOLS),
    (re.compile(r'pcre2\.h'), {'http'} | TOOLS),
    (re.compile(r'ares\w*\.h'), {'dns'} | TOOLS),
    (re.compile(r'nghttp2/'), {'http', 'spiffe'} | TOOLS),
    (re.compile(r'(protobuf-c/|workload\.pb-c\.h)'), {'spiffe'} | TOOLS),
    (re.compile(r'hiredis/'), {'redis'} | TOOLS),
    (re.compile(r'(microhttpd|curl/|jansson)'), TOOLS),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
UNFINISHED = re.compile(r'\b(TO' r'DO|FIX' r'ME|X' r'XX)\b')
SOURCE_DIRS = ('include', 'lib', 'dpdk_app', 'perf', 'tests', 'scripts', 'cfg', 'docs')
FOREIGN = {'__pycache__', 'node_modules'}
TEXT = {'.c', '.h', '.py', '.sh', '.build', '.cfg', '.md', '.js'}


def module_of(rel):
    """The floor a file stands on: a module's name, or dpdk_app, perf, tests."""
    p = rel.parts
    if p[0] == 'lib':
        return p[1]
    if p[0] == 'include':
        stem = rel.stem
        return OWNER.get(stem, stem)
    return p[0]


class Checker:
    def __init__(self, root):
        self.root = Path(root)
        self.found = []

    def bad(self, rel, line, text):
        self.found.append(f'{rel}:{line}: {text}')

    def contract(self, rel, n, me, name):
        stem = name[:-2] if name.endswith('.h') else name
        owner = OWNER.get(stem, stem)
        if owner not in ALL:
            self.bad(rel, n, f'<tidegate/{name}> belongs to no module known to check_layers.py')
            return
        if not (self.root / 'include' / 'tidegate' / name).exists():
            self.bad(rel, n, f'<tidegate/{name}> does not exist')
            return
        if me not in MAY_USE or owner == me or owner in MAY_USE[me]:
            return
        if (me, name) in TYPES_ONLY:
            return
        self.bad(rel, n, f'{me} may not include <tidegate/{name}>, which belongs to {owner}')

    def quoted(self, rel, n, me, name):
        target = (self.root / rel).parent / name
        if target.exists():
            target = target.resolve().relative_to(self.root.resolve())
        elif rel.parts[0] in ('tests', 'perf'):
            return  # a private header that the test's meson.build put in reach
        else:
            self.bad(rel, n, f'"{name}" is not beside the file: contracts are <tidegate/...>')
            return
        if target.parts[0] == 'lib' and target.parts[1] != me and rel.parts[0] != 'tests':
            self.bad(rel, n, f'{target} is private to {target.parts[1]}')
        # A filter's own parts: jwt.c and jwt_keys.c share jwt.h.
        own = rel.stem == target.stem or rel.stem.startswith(target.stem + '_')
        if me == 'filter' and target.stem != 'internal' and not own:
            self.bad(rel, n, f'a filter includes another: {target.name}')

    def angled(self, rel, n, me, name):
        if name.startswith('tidegate/'):
            self.contract(rel, n, me, name[len('tidegate/'):])
            return
        for pattern, allowed in LIBRARIES:
            if pattern.match(name):
                if me not in allowed:
                    self.bad(rel, n, f'<{name}> has no business in {me}')
                return

    def file(self, path):
        rel = path.relative_to(self.root)
        me = module_of(rel)
        code = path.suffix in ('.c', '.h')
        if code and rel.parts[0] in ('lib', 'include') and me not in ALL:
            self.bad(rel, 1, f'module "{me}" is not on a floor known to check_layers.py')
            return
        lines = path.read_text(errors='replace').splitlines()
        if code and len(lines) > MAX_LINES:
            self.bad(rel, len(lines), f'{len(lines)} lines, more than {MAX_LINES}')
        for n, line in enumerate(lines, 1):
            if UNFINISHED.search(line):
                self.bad(rel, n, 'unfinished work: finish it or open an issue')
            m = INCLUDE.match(line) if code else None
            if m and m.group(1) == '"':
                self.quoted(rel, n, me, m.group(2))
            elif m:
                self.angled(rel, n, me, m.group(2))

    def run(self):
        for top in SOURCE_DIRS:
            for path in sorted((self.root / top).rglob('*')):
                if path.suffix in TEXT and path.is_file() and not FOREIGN & set(path.parts):
                    self.file(path)
        return self.found


# path, content, what the checker must say (None: nothing)
PLANTED = [
    ('lib/base/a.c', '#include <tidegate/tcp.h>\n', 'base may not include <tidegate/tcp.h>'),
    ('lib/tcp/a.c', '#include <tidegate/http1.h>\n', 'tcp may not include <tidegate/http1.h>'),
    ('lib/http/a.c', '#include <tidegate/conn.h>\n', 'http may not include <tidegate/conn.h>'),
    ('include/tidegate/conn.h', '#include <tidegate/proxy.h>\n', 'io may not include'),
    ('lib/route/a.c', '#include <tidegate/config.h>\n', 'route may not include'),
    ('lib/proxy/a.c', '#include <tidegate/config.h>\n#include <tidegate/conn.h>\n', None),
    ('lib/proxy/b.c', '#include <rte_mbuf.h>\n', '<rte_mbuf.h> has no business in proxy'),
    ('lib/telem/a.c', '#include <rte_ring.h>\n', None),
    ('lib/telem/b.c', '#include <rte_mbuf.h>\n', 'no business in telem'),
    ('lib/http/b.c', '#include <openssl/ssl.h>\n', 'no business in http'),
    ('lib/route/b.c', '#include <libconfig.h>\n', 'no business in route'),
    ('lib/proxy/c.c', '#include <jansson.h>\n', 'no business in proxy'),
    ('lib/proxy/d.c', '#include "../tcp/tcb.h"\n', 'lib/tcp/tcb.h is private to tcp'),
    ('perf/a.c', '#include "tcb.h"\n', None),
    ('lib/proxy/e.c', '#include "nowhere.h"\n', 'is not beside the file'),
    ('lib/filter/rbac.c', '#include "jwt.h"\n', 'a filter includes another'),
    ('lib/filter/jwt.c', '#include "jwt.h"\n#include "internal.h"\n', None),
    ('lib/filter/jwt_keys.c', '#include "jwt.h"\n', None),
    ('lib/filter/jwtlike.c', '#include "jwt.h"\n', 'a filter includes another'),
    ('lib/base/b.c', '#include <tidegate/absent.h>\n', 'belongs to no module'),
    ('lib/nosuch/a.c', '\n', 'is not on a floor'),
    ('lib/base/long.c', '\n' * (MAX_LINES + 1), 'more than'),
    ('lib/base/todo.c', '/* TO' 'DO */\n', 'unfinished work'),
    ('dpdk_app/a.c', '#include <rte_eal.h>\n#include <microhttpd.h>\n#include <tidegate/tcp.h>\n',
     None),
]


def self_test():
    failed = 0
    for path, text, want in PLANTED:
        with tempfile.TemporaryDirectory() as d:
            root = Path(d)
            for name in ('tcp', 'http1', 'conn', 'proxy', 'config'):
                h = root / 'include' / 'tidegate' / f'{name}.h'
                h.parent.mkdir(parents=True, exist_ok=True)
                h.write_text('\n')
            for extra in ('lib/tcp/tcb.h', 'lib/filter/jwt.h', 'lib/filter/internal.h'):
                (root / extra).parent.mkdir(parents=True, exist_ok=True)
                (root / extra).write_text('\n')
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
            found = Checker(root).run()
        good = not found if want is None else len(found) == 1 and want in found[0]
        if not good:
            failed += 1
            print(f'planted in {path}: wanted {want!r}, found {found}')
    print(f'{len(PLANTED)} planted, {failed} judged wrongly')
    return 1 if failed else 0


def main():
    args = sys.argv[1:]
    if args == ['--self-test']:
        return self_test()
    root = Path(args[0]) if args else Path(__file__).resolve().parent.parent
    found = Checker(root).run()
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
