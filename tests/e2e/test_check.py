#!/usr/bin/python3
"""The program without a network: --check, --help, wrong usage, a start that cannot succeed."""
import glob
import os
import re
import shutil
import subprocess
import tempfile

import certs
from lab import ROOT, TIDEGATE
from tap import case, check, equal, main


def tidegate(*args, timeout=20):
    return subprocess.run([TIDEGATE, *args], capture_output=True, text=True, timeout=timeout,
                          check=False)


def check_text(text):
    with tempfile.NamedTemporaryFile('w', suffix='.cfg', encoding='utf-8') as f:
        f.write(text)
        f.flush()
        p = tidegate('-c', f.name, '--check')
        return p.returncode, (p.stdout + p.stderr).replace(f.name, 'FILE').splitlines()


@case
def shipped_configurations_are_good(_):
    files = sorted(glob.glob(os.path.join(ROOT, 'cfg', '*.cfg')))
    check(len(files) >= 4, files)
    for f in files:
        p = tidegate('-c', f, '--check')
        if f.endswith(('/tls.cfg', '/rbac.cfg')):  # its certificates are the user's to bring
            equal(p.returncode, 1, f)
            check(all('cannot be opened: No such file' in x for x in p.stderr.splitlines()), p.stderr)
            with tempfile.TemporaryDirectory() as tmp:
                f = shutil.copy(f, tmp)
                ca = certs.CA(tmp)
                for name, san in (('server', 'DNS:shop.example,URI:spiffe://mesh.example/gate'), ('other', 'DNS:*.shop.example'),
                                  ('client', 'URI:spiffe://mesh.example/ns/edge/sa/gate')):
                    ca.issue(name, [san])
                certs.CA(tmp, 'partner', 'Partner CA')
                ca.crl(os.path.join(tmp, 'revoked.crl'))
                for name in ('tickets-new.key', 'tickets-old.key'):
                    with open(os.path.join(tmp, name), 'wb') as key:
                        key.write(os.urandom(80))
                p = tidegate('-c', f, '--check')
        equal(p.returncode, 0, f'{f}: {p.stdout}{p.stderr}')


@case
def ten_mistakes_are_ten_lines(_):
    rc, lines = check_text('''\
dataplane: { workers = 0; };
admin: { address = "nowhere"; };
ports: (
  { name = "north"; device = "net_af_xdp0,iface=tgn0"; addresses = ["10.77.1.1/33"]; mtu = 100; }
);
listeners: (
  { name = "web"; address = "10.77.1.1:80"; protocol = "gopher"; virtual_hosts = ["shop"]; },
  { name = "web"; address = "10.77.1.1:81"; virtual_hosts = ["nobody"]; idle_timeout = "soon"; }
);
virtual_hosts: (
  { name = "shop"; domains = ["*"]; colour = "red";
    routes: ( { match: { prefix = "/"; }; route: { cluster = "missing"; }; } ); }
);
clusters: ( { name = "v1"; endpoints: ( { address = "10.77.2.2:8080"; weight = "heavy"; } ); } );
''')
    equal(rc, 1)
    equal(len(lines), 11, '\n'.join(lines))
    for line in lines:
        check(re.match(r'FILE:\d+: \S', line), line)
    at = [int(line.split(':')[1]) for line in lines]
    equal(sorted(set(at)), [1, 2, 4, 7, 8, 11, 12, 14], '\n'.join(lines))


@case
def syntax_errors_have_a_line(_):
    rc, lines = check_text('ports: (\n  { name = "a" device = "b"; }\n);\n')
    equal(rc, 1)
    check(lines and re.match(r'FILE:2: ', lines[0]), lines)


@case
def missing_and_odd_files(_):
    for path in ('/nonexistent.cfg', '/dev/null', '/'):
        p = tidegate('-c', path, '--check')
        equal(p.returncode, 1, path)
        check(p.stderr or p.stdout, f'{path}: not a word')


@case
def usage(_):
    equal(tidegate('--help').returncode, 0)
    check(re.search(r'\d+\.\d+', tidegate('--version').stdout), 'version')
    for args in ((), ('-c',), ('--nonsense',), ('stray',)):
        p = tidegate(*args)
        check(p.returncode not in (0, -11, -6), f'{args}: exit {p.returncode}')
        check(p.stderr, f'{args}: not a word')


@case
def a_device_that_is_not_there(_):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 'x.cfg')
        with open(path, 'w', encoding='utf-8') as f:
            f.write('''
ports: ( { name = "north"; device = "net_af_xdp0,iface=nosuch0"; addresses = ["10.77.1.1/24"]; } );
listeners: ( { name = "web"; address = "10.77.1.1:80"; virtual_hosts = ["all"]; } );
virtual_hosts: ( { name = "all"; domains = ["*"];
  routes: ( { match: { prefix = "/"; }; route: { cluster = "o"; }; } ); } );
clusters: ( { name = "o"; endpoints: ( { address = "10.77.1.2:80"; } ); } );
''')
        p = tidegate('-c', path, timeout=40)
        equal(p.returncode, 1)
        check('nosuch0' in p.stderr, p.stderr)


class NoLab:
    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def explain(self):
        pass

    def is_dead(self):
        return False

    def check_end(self):
        pass


if __name__ == '__main__':
    main(NoLab)
