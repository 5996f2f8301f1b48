"""A lab for one test file: namespaces, origins, a Tidegate between them; all gone afterwards.

    client namespace          gate namespace             origin namespace
    10.77.1.2  fd77:1::2 ---- tidegate on tgn0, tgs0 ---- 10.77.2.2  fd77:2::2
                                                          nginx :8080, origin.py (see there)

The name of a lab holds the id of the process that made it: two can run side by side, and
`lab.py sweep` removes those whose maker is gone.
"""
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
import threading
import time

import netns
import origin
from tap import QUICK, Skip, check, note, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get('TG_BUILD', os.path.join(ROOT, 'build'))
TIDEGATE = os.environ.get('TG_TIDEGATE', os.path.join(BUILD, 'dpdk_app', 'tidegate'))
TGCTL = os.path.join(BUILD, 'dpdk_app', 'tgctl')
SANITIZED = os.environ.get('TG_SANITIZED') == '1'
PREFIX = 'tge'

GATE4, GATE6 = '10.77.1.1', 'fd77:1::1'
CLIENT4, CLIENT6 = '10.77.1.2', 'fd77:1::2'
ORIGIN4, ORIGIN6 = '10.77.2.2', 'fd77:2::2'

BASE = '''
dataplane: { workers = $workers; idle = "adaptive"; memory = "$memory"; eal = "$eal";
             drain_time = "$drain_time"; $dataplane };
admin: { socket = "$dir/admin.sock"; access_log = "$dir/access.log"; $admin };
ports: ( $ports );
$top
'''

# What most tests route. $extra_* are for one test's own.
ROUTES = '''
listeners: (
  { name = "web"; address = "10.77.1.1:80"; protocol = "http"; virtual_hosts = [$vhosts]; $web },
  { name = "web6"; address = "[fd77:1::1]:80"; protocol = "http"; virtual_hosts = [$vhosts]; $web },
  { name = "echo"; address = "10.77.1.1:9001"; protocol = "tcp"; cluster = "echo"; },
  { name = "echo6"; address = "[fd77:1::1]:9001"; protocol = "tcp"; cluster = "echo6"; },
  { name = "greet"; address = "10.77.1.1:9002"; protocol = "tcp"; cluster = "greet"; },
  { name = "count"; address = "10.77.1.1:9003"; protocol = "tcp"; cluster = "count"; },
  { name = "give"; address = "10.77.1.1:9004"; protocol = "tcp"; cluster = "give"; },
  { name = "deaf"; address = "10.77.1.1:9005"; protocol = "tcp"; cluster = "deaf"; },
  { name = "rst"; address = "10.77.1.1:9006"; protocol = "tcp"; cluster = "rst"; },
  { name = "tcpdead"; address = "10.77.1.1:9007"; protocol = "tcp"; cluster = "dead"; }
  $extra_listeners
);
virtual_hosts: (
  { name = "nginx"; domains = ["nginx.test", "*.nginx.test"];
    routes: (
      { match: { prefix = "/py/"; }; route: { cluster = "py"; }; },
      { match: { path = "/exact"; }; route: { cluster = "py"; }; },
      { match: { prefix = "/"; headers: ( { name = "x-to"; exact = "py"; } ); };
        route: { cluster = "py"; }; },
      { match: { prefix = "/"; }; route: { cluster = "nginx"; timeout = "0s"; }; } ); },
  { name = "nginx6"; domains = ["nginx6.test"];
    routes: ( { match: { prefix = "/"; }; route: { cluster = "nginx6"; timeout = "0s"; }; } ); },
  { name = "py"; domains = ["py.test"];
    routes: ( { match: { prefix = "/"; }; route: { cluster = "py"; timeout = "0s"; }; } ); },
  { name = "py6"; domains = ["py6.test"];
    routes: ( { match: { prefix = "/"; }; route: { cluster = "py6"; timeout = "0s"; }; } ); },
  { name = "ws"; domains = ["ws.test"];
    routes: ( { match: { prefix = "/"; }; route: { cluster = "ws"; timeout = "0s"; }; } ); },
  { name = "slow"; domains = ["slow.test"];
    routes: ( { match: { prefix = "/"; }; route: { cluster = "py"; timeout = "1s"; }; } ); },
  { name = "idle"; domains = ["idle.test"];
    routes: ( { match: { prefix = "/"; };
                route: { cluster = "py"; timeout = "0s"; idle_timeout = "1s"; }; } ); },
  { name = "dead"; domains = ["dead.test"];
    routes: ( { match: { prefix = "/"; }; route: { cluster = "dead"; }; } ); },
  { name = "void"; domains = ["void.test"];
    routes: ( { match: { prefix = "/"; }; route: { cluster = "void"; }; } ); },
  { name = "only"; domains = ["only.test"];
    routes: ( { match: { prefix = "/only/"; }; route: { cluster = "py"; }; } ); },
  { name = "two"; domains = ["two.test"];
    routes: ( { match: { prefix = "/"; }; route: { cluster = "two"; timeout = "0s"; }; } ); }
  $extra_vhosts
);
clusters: (
  { name = "nginx"; $breakers endpoints: ( { address = "10.77.2.2:8080"; } ); },
  { name = "nginx6"; $breakers endpoints: ( { address = "[fd77:2::2]:8080"; } ); },
  { name = "py"; $breakers endpoints: ( { address = "10.77.2.2:8081"; } ); },
  { name = "py6"; $breakers endpoints: ( { address = "[fd77:2::2]:8081"; } ); },
  { name = "ws"; endpoints: ( { address = "10.77.2.2:8083"; } ); },
  { name = "two"; $breakers endpoints: ( { address = "10.77.2.2:8080"; },
                                         { address = "[fd77:2::2]:8080"; } ); },
  { name = "dead"; connect_timeout = "1s"; endpoints: ( { address = "10.77.2.2:9"; } ); },
  { name = "void"; connect_timeout = "1s"; endpoints: ( { address = "10.77.2.99:80"; } ); },
  { name = "echo"; $breakers endpoints: ( { address = "10.77.2.2:9001"; } ); },
  { name = "echo6"; $breakers endpoints: ( { address = "[fd77:2::2]:9001"; } ); },
  { name = "greet"; endpoints: ( { address = "10.77.2.2:9002"; } ); },
  { name = "count"; endpoints: ( { address = "10.77.2.2:9003"; } ); },
  { name = "give"; endpoints: ( { address = "10.77.2.2:9004"; } ); },
  { name = "deaf"; endpoints: ( { address = "10.77.2.2:9005"; } ); },
  { name = "rst"; endpoints: ( { address = "10.77.2.2:9006"; } ); }
  $extra_clusters
);
'''
VHOSTS = ('nginx', 'nginx6', 'py', 'py6', 'ws', 'slow', 'idle', 'dead', 'void', 'only', 'two')
# No breaker in the way, and no connect timeout that a busy machine could meet.
BREAKERS = ('connect_timeout = "60s"; circuit_breakers: { max_connections = 100000; max_pending_requests = 100000; '
            'max_requests = 100000; };')

NGINX = '''
worker_processes 1; daemon off; pid $dir/nginx.pid; error_log $dir/nginx-error.log warn;
events { worker_connections 30000; }
http {
  access_log off; keepalive_requests 100000000; keepalive_timeout 3600s; sendfile on;
  client_body_temp_path $dir/t1; proxy_temp_path $dir/t2; fastcgi_temp_path $dir/t3;
  uwsgi_temp_path $dir/t4; scgi_temp_path $dir/t5; client_max_body_size 0;
  default_type text/plain;
  server {
    listen 8080 backlog=8192; listen [::]:8080 ipv6only=on backlog=8192; root $dir/www;
    location = /hello { return 200 "hello from nginx\\n"; }
    location = /1k { }
    location = /where { return 200 "$$host $$request_uri $$http_x_forwarded_for\\n"; }
  }
}
'''

# Background of the kernels at both ends, and what ends of connections leave behind: never a fault.
# Packet buffers that lie in a device's rings or in a cache of a core are in use and in nobody's hands.
MBUF_SLACK = 600
NORMAL = {
    'ip_multicast', 'icmp_ignored', 'tcp_time_wait', 'tcp_no_connection', 'tcp_old_data',
    'tcp_paws', 'conn_peer_gone', 'tcp_ack_old', 'tcp_embryonic',
    'tcp_out_of_window',  # Linux probes a zero window with a byte before it
    'conn_aborted',
    'rx_no_buffer',  # a machine that gives the worker no CPU for longer than the device's ring lasts
}
# Pools that give back on a clock of their own (2 MSL, ageing, a minute for fragments), not when a
# connection ends.
TIMED = re.compile(r'time.?wait|neighbour|path_mtu' + ('|reassembly' if QUICK else ''))


def port(name, device, addresses, mtu=1500, more=''):
    quoted = ', '.join(f'"{a}"' for a in addresses)
    return (f'{{ name = "{name}"; device = "{device}"; addresses = [{quoted}]; '
            f'mtu = {mtu}; {more} }}')


NORTH = [f'{GATE4}/24', f'{GATE6}/64']
SOUTH = ['10.77.2.1/24', 'fd77:2::1/64']


class Reasons(dict):
    """{reason: count} of the drop reasons that were counted. To ask for one that does not exist is an error:
    a misspelt name would never be counted."""

    def __init__(self, every):
        super().__init__({k: v for k, v in every.items() if v})
        self._known = frozenset(every)

    def must_exist(self, names):
        unknown = sorted(set(names) - self._known)
        check(not unknown, f'there is no drop reason {unknown}')

    def of(self, names):
        """Those of these that were counted."""
        self.must_exist(names)
        return {k: v for k, v in self.items() if k in names}

    def get(self, key, default=None):
        self.must_exist([key])
        return super().get(key, default)

    def __contains__(self, key):
        self.must_exist([key])
        return super().__contains__(key)

    def __missing__(self, key):
        self.must_exist([key])
        return 0


class Admin(http.client.HTTPConnection):
    """HTTP over the admin's unix socket."""

    def __init__(self, path, timeout=10):
        super().__init__('admin', timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Lab:
    """routes: the second half of the configuration; allowed: drop reasons that are no fault
    (None: all); empty_seconds: within which the pools must be as at the start; before: called ahead of Tidegate's start; ready: what /ready says then; values of the placeholders as keyword arguments."""

    _count = 0

    def __init__(self, *, routes=ROUTES, ports=None, workers=1, memory='256MiB', mtu=1500,
                 drain_time='5s', allowed=(), nginx=True, start=True, eal='', before=None,
                 empty_seconds=20, ready=('LIVE',), **subst):
        Lab._count += 1
        self.name = f'{PREFIX}{os.getpid()}x{Lab._count}'
        self.client, self.gate, self.origin = (
            f'{self.name}-{x}' for x in ('client', 'gate', 'origin'))
        self.dir = tempfile.mkdtemp(prefix=f'{self.name}-')
        os.chmod(self.dir, 0o755)
        self.allowed = None if allowed is None else NORMAL | set(allowed)
        self.mtu, self.want_nginx, self.want_start = mtu, nginx, start
        self.before, self.empty_seconds, self.ready = before, empty_seconds, ready
        self.routes = routes
        self.procs = []
        self.proc = self.nginx = self.py = self._ctl = None
        self.exit_code = None
        self.base_pools = {}
        self.subst = {
            'dir': self.dir, 'workers': workers, 'memory': memory,
            'eal': eal, 'drain_time': drain_time,
            'vhosts': ', '.join(f'"{v}"' for v in VHOSTS), 'breakers': BREAKERS,
            'ports': string.Template(ports).substitute(dir=self.dir) if ports else ', '.join((
                port('north', 'net_af_xdp0,iface=tgn0', NORTH, mtu),
                port('south', 'net_af_xdp1,iface=tgs0', SOUTH, mtu))),
            'web': '', 'dataplane': '', 'admin': '', 'top': '', 'extra_listeners': '', 'extra_vhosts': '',
            'extra_clusters': '', **subst}
        self.config = os.path.join(self.dir, 'tidegate.cfg')

    # --- life ---

    def __enter__(self):
        try:
            self._up()
        except BaseException:
            self._down()
            raise
        return self

    def __exit__(self, *exc):
        self._down()

    def _up(self):
        netns.run(None, [os.path.join(ROOT, 'scripts', 'lab.sh'), 'up', self.name,
                         '--mtu', str(self.mtu)])
        self.start_py()
        if self.want_nginx:
            self.start_nginx()
        if self.before:
            self.before(self)
        if self.want_start:
            self.start()

    def _down(self):
        for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
            signal.signal(s, signal.SIG_IGN)
        for p in [self.proc, *self.procs, self.nginx, self.py]:
            if p:
                with contextlib.suppress(OSError):
                    netns.stop(p, 3)
        subprocess.run([os.path.join(ROOT, 'scripts', 'lab.sh'), 'down', self.name],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def write_config(self, **subst):
        text = string.Template(BASE + self.routes).substitute({**self.subst, **subst})
        with open(self.config, 'w', encoding='utf-8') as f:
            f.write(text)

    def start(self, seconds=60):
        if not os.access(TIDEGATE, os.X_OK):
            raise AssertionError(f'{TIDEGATE} is not there: build first')
        self.write_config()
        self.log = open(os.path.join(self.dir, 'tidegate.log'), 'ab')
        env = dict(os.environ)
        if SANITIZED:
            env['LSAN_OPTIONS'] = f'print_suppressions=0:suppressions={HERE}/lsan.supp'
        self.proc = netns.popen(self.gate, [TIDEGATE, '-c', self.config], env=env,
                                stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self.wait_ready(seconds)
        self.base_pools = self.pools()

    def wait_ready(self, seconds=60):
        def ready():
            if self.proc.poll() is not None:
                raise AssertionError(
                    f'tidegate ended with {self.proc.returncode} before it was ready:\n'
                    + self.log_tail())
            try:
                return self.get('/ready')[1].split('\n')[0] in self.ready
            except OSError:
                return False
        wait_for(ready, lambda: 'ready\n' + self.log_tail(), seconds)

    def terminate(self, seconds=15):
        """SIGTERM; returns the exit code."""
        self.proc.terminate()
        try:
            self.proc.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'still there {seconds} s after SIGTERM') from None
        self.exit_code = self.proc.returncode
        return self.exit_code

    # --- origins ---

    def start_py(self):
        sock = os.path.join(self.dir, 'origin.sock')
        with contextlib.suppress(FileNotFoundError):
            os.unlink(sock)
        log = open(os.path.join(self.dir, 'origin.log'), 'ab')
        self.py = netns.popen(self.origin, ['/usr/bin/python3', os.path.join(HERE, 'origin.py'),
                                            sock], stdout=log, stderr=log)
        log.close()
        self._ctl = None

        def up():
            if self.py.poll() is not None:
                with open(os.path.join(self.dir, 'origin.log'), encoding='utf-8') as f:
                    raise AssertionError('the origin ended:\n' + f.read())
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(sock)
            except OSError:
                s.close()
                return None
            return s
        self._ctl = wait_for(up, 'the Python origin', 20).makefile('rwb')

    def stop_py(self, how=signal.SIGKILL):
        self.py.send_signal(how)
        self.py.wait()

    def origin_do(self, cmd, **args):
        """A word to the Python origin (see its ctl_ functions)."""
        self._ctl.write(json.dumps({'cmd': cmd, **args}).encode() + b'\n')
        self._ctl.flush()
        return json.loads(self._ctl.readline())

    def start_nginx(self):
        www = os.path.join(self.dir, 'www')
        if not os.path.isdir(www):
            os.mkdir(www)
            with open(os.path.join(www, '1k'), 'wb') as f:
                f.write(origin.pattern(1024))
            with open(os.path.join(www, '100k'), 'wb') as f:
                f.write(origin.pattern(102400))
            with open(os.path.join(www, 'index.html'), 'w', encoding='ascii') as f:
                f.write('<h1>index</h1>\n')
        conf = os.path.join(self.dir, 'nginx.conf')
        with open(conf, 'w', encoding='ascii') as f:
            f.write(string.Template(NGINX).substitute(dir=self.dir))
            if os.geteuid() == 0:
                f.write('user root;\n')
        nginx = shutil.which('nginx') or '/usr/sbin/nginx'
        if not os.access(nginx, os.X_OK):
            raise Skip('nginx is not installed')
        log = open(os.path.join(self.dir, 'nginx.out'), 'ab')
        self.nginx = netns.popen(self.origin, [nginx, '-c', conf, '-p', self.dir],
                                 stdout=log, stderr=log)
        log.close()

        def up():
            if self.nginx.poll() is not None:
                with open(os.path.join(self.dir, 'nginx.out'), encoding='utf-8') as f:
                    raise AssertionError('nginx ended:\n' + f.read())
            with netns.inside(self.origin):
                s = socket.socket()
            with s:
                return s.connect_ex(('127.0.0.1', 8080)) == 0
        wait_for(up, 'nginx', 10)

    def stop_nginx(self):
        netns.stop(self.nginx)

    # --- looking at Tidegate ---

    def get(self, path, method='GET'):
        """(status, text) of the admin interface."""
        c = Admin(os.path.join(self.dir, 'admin.sock'))
        try:
            c.request(method, path)
            r = c.getresponse()
            return r.status, r.read().decode()
        finally:
            c.close()

    def tgctl(self, *args):
        """What tgctl did, and said."""
        return subprocess.run([TGCTL, '-s', os.path.join(self.dir, 'admin.sock'), *args], capture_output=True, text=True,
                              timeout=30, check=False)

    def dry(self, method, url, *args):
        """What would become of a request."""
        p = self.tgctl('--json', 'explain', method, url, *args)
        check(p.returncode == 0, f'tgctl explain {method} {url}: {p.stderr}')
        return json.loads(p.stdout)

    def json(self, path):
        status, text = self.get(path + ('&' if '?' in path else '?') + 'format=json')
        check(status == 200, f'{path}: {status} {text[:200]}')
        return json.loads(text)

    def stats(self):
        """{name: value} of /stats."""
        status, text = self.get('/stats')
        check(status == 200, f'/stats: {status}')
        found = {}
        for line in text.splitlines():
            k, _, v = line.rpartition(': ')
            if k and re.fullmatch(r'-?\d+', v):
                found[k] = int(v)
        return found

    def stat(self, name):
        """One statistic; a name that is not there is an error, not a zero."""
        s = self.stats()
        if name not in s:
            raise AssertionError(f'no statistic {name}; there are e.g. {sorted(s)[:5]}')
        return s[name]

    def drops(self):
        """(ledger, Reasons)"""
        d = self.json('/drops')
        return d['ledger'], Reasons({r['reason']: r['count'] for r in d['reasons']})

    def pools(self):
        """{(pool, worker): in use}."""
        return {(p['name'], p['worker']): p['in_use'] for p in self.json('/memory')['pools']}

    def rss_kib(self):
        """Resident memory of the process."""
        with open(f'/proc/{self.gate_pid()}/status', encoding='ascii') as f:
            return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1))

    def gate_pid(self):
        return self.proc.pid  # `ip netns exec` becomes the program

    def gate_threads(self):
        """(thread id, whether it is a worker) of each thread of Tidegate's."""
        for tid in os.listdir(f'/proc/{self.gate_pid()}/task'):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                with open(f'/proc/{self.gate_pid()}/task/{tid}/comm', encoding='ascii') as f:
                    yield int(tid), f.read().startswith('rte-worker')

    def waited_ms(self):
        """How long the workers have been ready to run without their CPUs; with cores of their own: never."""
        ms = 0
        for tid in (t for t, worker in self.gate_threads() if worker):
            with open(f'/proc/{self.gate_pid()}/task/{tid}/schedstat', encoding='ascii') as f:
                ms += int(f.read().split()[1]) / 1e6
        return ms

    def log_text(self):
        with open(os.path.join(self.dir, 'tidegate.log'), encoding='utf-8', errors='replace') as f:
            return f.read()

    def log_tail(self, lines=40):
        return '\n'.join(self.log_text().splitlines()[-lines:])

    def access_log(self):
        try:
            with open(os.path.join(self.dir, 'access.log'), encoding='utf-8',
                      errors='replace') as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def wait_access(self, needle, n=1, seconds=10):
        """Waits for n lines of the access log that contain needle; returns them."""
        def got():
            found = [line for line in self.access_log() if needle in line]
            return found if len(found) >= n else None
        return wait_for(got, lambda: f'{n} access-log lines with {needle!r}; the last are:\n'
                        + '\n'.join(self.access_log()[-5:]), seconds)

    def reload(self, seconds=10, **subst):
        """Writes a new configuration, sends SIGHUP, waits until it is in use or refused."""
        before = self.stats()
        self.write_config(**subst)
        self.proc.send_signal(signal.SIGHUP)

        def done():
            s = self.stats()
            if s['config.reloads'] > before['config.reloads']:
                return 'applied'
            if s['config.reload_failures'] > before['config.reload_failures']:
                return 'refused'
            return None
        return wait_for(done, 'the reload', seconds)

    # --- clients ---

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, proto=0, where=None):
        """A socket that lives in the client's namespace (or in `where`)."""
        with netns.inside(where or self.client):
            return socket.socket(family, kind, proto)

    def connect(self, addr=(GATE4, 80), timeout=10, rcvbuf=None, sndbuf=None):
        s = self.socket(socket.AF_INET6 if ':' in addr[0] else socket.AF_INET)
        try:
            s.settimeout(timeout)
            if rcvbuf:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            if sndbuf:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
            s.connect(addr)
        except BaseException:
            s.close()
            raise
        return s

    def curl(self, host, path, *args, v6=False, timeout=60, check_exit=True):
        """curl in the client's namespace; returns the finished process (bytes)."""
        ip = f'[{GATE6}]' if v6 else GATE4
        argv = ['curl', '-sS', '-g', '--max-time', str(timeout), '--resolve', f'{host}:80:{ip}',
                *args, f'http://{host}{path}']
        p = netns.run(self.client, argv, timeout=timeout + 10, check=False, text=False)
        if check_exit and p.returncode != 0:
            raise AssertionError(f'curl {host}{path}: exit {p.returncode}: {p.stderr.decode()}')
        return p

    def ping(self, ip, size=56, n=3, where=None):
        """n answers come back, in the client's namespace or `where`; late ones are no loss."""
        p = netns.run(where or self.client, ['ping', '-c', n, '-i', 0.05, '-w', 30, '-s', size, ip],
                      check=False)
        got = re.search(r' (\d+) received', p.stdout)
        check(got and int(got.group(1)) >= n, f'ping -s {size} {ip}:\n{p.stdout}{p.stderr[:300]}')

    def in_client(self, argv, **kw):
        return netns.run(self.client, argv, **kw)

    def wrk(self, host='nginx.test', path='/hello', seconds=3, conns=32, threads=1, v6=False, *more):
        """wrk; returns {requests, rps, errors, non2xx, text}."""
        ip = f'[{GATE6}]' if v6 else GATE4
        p = netns.run(self.client, ['wrk', '-t', threads, '-c', conns, '-d', f'{seconds}s',
                                    '--latency', '-H', f'Host: {host}', *more,
                                    f'http://{ip}{path}'], timeout=seconds + 60)
        return parse_wrk(p.stdout)

    # --- afterwards ---

    def is_dead(self):
        return self.proc is not None and self.exit_code is None and self.proc.poll() is not None

    def explain(self):
        """What helps to understand a failure."""
        if self.proc is None:
            return
        note(f'tidegate: {"alive" if self.proc.poll() is None else self.proc.returncode}')
        note('\n'.join(line for line in self.log_text().splitlines()
                       if not re.search(r' info: |^lib(bpf|xdp): ', line))[-6000:])
        with contextlib.suppress(Exception):
            ledger, why = self.drops()
            note(f'ledger {ledger} reasons {why}')
        for line in self.access_log()[-5:]:
            note(f'access: {line}')

    def check_ledger(self, seconds=5):
        last = {}

        def balanced():
            last['l'] = self.drops()[0]
            return last['l']['balanced']
        wait_for(balanced, lambda: f'a balanced packet ledger: {last["l"]}', seconds)

    def wait_quiet(self, seconds=30):
        """Until Tidegate has seen its clients go: a busy machine keeps their last packets, and the
        requests in them, in its queues for seconds. What a case left open on purpose ends later."""
        def quiet():
            return not any(v for k, v in self.stats().items()
                           if k == 'server.http_exchanges' or k.endswith('.downstream_cx_active'))
        with contextlib.suppress(AssertionError):
            wait_for(quiet, 'no request under way', seconds)

    def leaks(self):
        """Pools that hold more than at the start."""
        now = self.pools()
        return {f'{k[0]}@{k[1]}': f'{self.base_pools.get(k, 0)} -> {v}' for k, v in now.items()
                if v > self.base_pools.get(k, 0) + (MBUF_SLACK if k[0] == 'mbuf' else 0)
                and not TIMED.search(k[0])}

    def check_empty(self, seconds=20):
        """Nothing is under way any more, so every pool is as at the start."""
        wait_for(lambda: not self.leaks(), lambda: f'pools empty: {self.leaks()}', seconds)

    def check_reasons(self):
        if self.allowed is None:
            return
        got = self.drops()[1]
        got.must_exist(self.allowed)
        odd = {k: v for k, v in got.items() if k not in self.allowed}
        check(not odd, f'drop reasons that this test does not expect: {odd}')

    def check_end(self):
        """Alive, ledger balanced, pools empty, no odd drops; SIGTERM: exit 0, a clean log."""
        if self.exit_code is None and self.proc is not None:
            check(self.proc.poll() is None, f'tidegate ended with {self.proc.returncode}')
            breaches = self.origin_do('breaches') if self.py.poll() is None else []
            self.wait_quiet()
            self.stop_py()  # ends the pooled connections, so that the pools can be empty
            if self.nginx:
                self.stop_nginx()
            self.check_empty(self.empty_seconds)
            self.check_ledger()
            self.check_reasons()
            code = self.terminate()
            check(code == 0, f'exit {code} after SIGTERM')
            check(not breaches, f'the origin received what no strict reader takes: {breaches[:3]}')
        for bad in ('AddressSanitizer', 'runtime error:', 'LeakSanitizer', 'panic'):
            check(bad not in self.log_text(), f'{bad} in the log:\n{self.log_tail(60)}')


def parse_wrk(text):
    def num(pattern, default=0.0):
        m = re.search(pattern, text)
        return float(m.group(1)) if m else default
    errors = [int(x) for x in re.findall(
        r'(?:connect|read|write|timeout) (\d+)', text)] if 'Socket errors' in text else [0]
    return {'requests': int(num(r'(\d+) requests in')), 'rps': num(r'Requests/sec:\s+([\d.]+)'),
            'errors': sum(errors), 'non2xx': int(num(r'Non-2xx or 3xx responses: (\d+)')),
            'text': text}


class Background:
    """Runs fn in a thread; result() waits for it and raises what it raised."""

    def __init__(self, fn, *args):
        self._out = self._err = None
        self._t = threading.Thread(target=self._run, args=(fn, args), daemon=True)
        self._t.start()

    def _run(self, fn, args):
        try:
            self._out = fn(*args)
        except BaseException as e:  # pylint: disable=broad-except
            self._err = e

    def running(self):
        return self._t.is_alive()

    def result(self, timeout=60):
        self._t.join(timeout)
        check(not self._t.is_alive(), f'still running after {timeout} s')
        if self._err:
            raise self._err
        return self._out


def sweep():
    """Removes labs whose maker is gone (it was killed before it could)."""
    out = subprocess.run(['ip', 'netns', 'list'], capture_output=True, text=True, check=False).stdout
    names = {m.group(0) for m in re.finditer(rf'\b{PREFIX}(\d+)x\d+(?=-)', out)
             if not os.path.exists(f'/proc/{m.group(1)}')}
    for name in sorted(names):
        subprocess.run([os.path.join(ROOT, 'scripts', 'lab.sh'), 'down', name], check=False)
        print(f'removed the lab {name}, whose test is gone')
    tmp = tempfile.gettempdir()
    for d in os.listdir(tmp):
        m = re.fullmatch(rf'{PREFIX}(\d+)x\d+-\w+', d)
        if m and not os.path.exists(f'/proc/{m.group(1)}'):
            shutil.rmtree(os.path.join(tmp, d), ignore_errors=True)


def quick(full, short):
    """A size or a time: the full one, or the one of --quick and of sanitized builds."""
    return short if QUICK or SANITIZED else full


if __name__ == '__main__':
    if sys.argv[1:] == ['sweep']:
        sweep()
    else:
        print(__doc__)
