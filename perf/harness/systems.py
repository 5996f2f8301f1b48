"""The systems that are compared, each configured at its best for the same work.

A system is started for one run and ended after it. sample() gives what it has used of the CPU so far: ns and,
if it counts them itself, requests.
"""
import http.client
import json
import os
import re
import resource
import shutil
import socket
import string
import subprocess
import time

from place import GENERATOR_CPU, SYSTEM_CPU, TIDEGATE, netns


def most_files():
    """Of one process; the most that we are allowed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def wait_for(fn, what, seconds=30):
    end = time.monotonic() + seconds
    while True:
        got = fn()
        if got:
            return got
        if time.monotonic() > end:
            raise RuntimeError(f'{what}: not within {seconds} s')
        time.sleep(0.02)


class System:
    """work: tls_down, tls_up, connections; table: 'best' or 'veth'."""

    name = None

    def __init__(self, place, work, table):
        self.place, self.work, self.table = place, work, table
        self.proc = None
        self.log = os.path.join(place.dir, self.name + '.log')

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc):
        self.stop()

    def write(self, name, text, **values):
        path = self.place.path(name)
        with open(path, 'w', encoding='ascii') as f:
            f.write(string.Template(text).substitute(dir=self.place.dir, **values))
        return path

    def spawn(self, argv):
        most_files()
        with open(self.log, 'wb') as log:
            self.proc = netns.popen(self.place.gate, argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def check_alive(self):
        if self.proc.poll() is not None:
            with open(self.log, encoding='utf-8', errors='replace') as f:
                raise RuntimeError(f'{self.name} ended with {self.proc.returncode}:\n{f.read()[-3000:]}')

    def stop(self):
        if self.proc:
            netns.stop(self.proc, 8)

    def pids(self):
        """The process and its children."""
        found = [self.proc.pid]
        for p in found:
            try:
                with open(f'/proc/{p}/task/{p}/children', encoding='ascii') as f:
                    found += [int(x) for x in f.read().split()]
            except OSError:
                pass
        return found


class Tidegate(System):
    name = 'tidegate'
    version = 'this tree'

    CONFIG = '''
dataplane: { workers = 1; cpus = [$cpu]; idle = "$idle"; memory = "$memory"; drain_time = "1s"; $more };
admin: { socket = "$dir/admin.sock"; };
ports: ( { name = "north"; device = "$north"; addresses = ["10.77.1.1/24"]; },
         { name = "south"; device = "$south"; addresses = ["10.77.2.1/24"]; } );
listeners: ( { name = "web"; address = "10.77.1.1:80"; virtual_hosts = ["all"]; $tls_down } );
virtual_hosts: ( { name = "all"; domains = ["*"];
  routes: ( { match: { prefix = "/"; }; route: { cluster = "origin"; timeout = "0s"; }; } ); } );
clusters: ( { name = "origin"; connect_timeout = "60s"; endpoints: ( { address = "10.77.2.2:8080"; } );
  circuit_breakers: { max_connections = 100000; max_pending_requests = 100000; max_requests = 100000; };
  $tls_up } );
'''
    TLS_DOWN = '''tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "ca.crt";
      require_client_certificate = true; };'''
    TLS_UP = '''tls: { ca = "ca.crt"; sni = "origin.test"; certificate = "proxy.crt"; private_key = "proxy.key"; };'''

    def start(self):
        best = self.table == 'best'
        for x in ('north', 'south', 'admin'):
            if os.path.exists(self.place.path(x + '.sock')):
                os.unlink(self.place.path(x + '.sock'))
        memif = 'net_memif{},role=server,id=0,socket-abstract=no,socket=' + self.place.dir + '/{}.sock'
        n = self.work.connections
        config = self.write(
            'tidegate.cfg', self.CONFIG, cpu=SYSTEM_CPU, idle='spin' if best else 'adaptive',
            north=memif.format(0, 'north') if best else 'net_af_xdp0,iface=tgn0',
            south=memif.format(1, 'south') if best else 'net_af_xdp1,iface=tgs0',
            memory=f'{512 + n * 5 // 1024}MiB', more=f'max_connections = {n + 4096};' if n > 8192 else '',
            tls_down=self.TLS_DOWN if self.work.tls_down else '', tls_up=self.TLS_UP if self.work.tls_up else '')
        self.spawn([TIDEGATE, '-c', config])

        def sockets():
            self.check_alive()
            return all(os.path.exists(self.place.path(x + '.sock')) for x in ('north', 'south'))

        if best:  # it waits for the other side
            wait_for(sockets, 'memif')
        else:
            wait_for(self.ready, 'tidegate')

    def load_args(self):
        args = ['--client', '10.77.1.2/24', '--origin', '10.77.2.2:8080', '--target', '10.77.1.1:80']
        if self.table == 'best':
            memif = 'net_memif{},role=client,id=0,socket-abstract=no,socket=' + self.place.dir + '/{}.sock'
            return args + ['--north', memif.format(0, 'north'), '--south', memif.format(1, 'south'),
                           '--memory', '768']
        return args + ['--client-netns', self.place.client, '--origin-netns', self.place.origin]

    def get(self, path):
        c = http.client.HTTPConnection('admin', timeout=10)
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.settimeout(10)
        c.sock.connect(self.place.path('admin.sock'))
        try:
            c.request('GET', path)
            return c.getresponse().read().decode()
        finally:
            c.close()

    def ready(self):
        self.check_alive()
        try:
            return self.get('/ready').startswith('LIVE')
        except OSError:
            return False

    def sample(self):
        """Cycles of turns in which there was something to do; a poll that finds nothing costs nobody anything."""
        text = self.get('/stats')
        now = time.monotonic_ns()

        def value(name):
            return int(re.search(f'^{re.escape(name)}: (\\d+)$', text, re.M).group(1))
        busy, idle = value('worker.0.busy_cycles'), value('worker.0.idle_cycles')
        return {'busy': busy, 'cycles': busy + idle, 'at': now,
                'requests': value('http.web.downstream_rq_total')}

    @staticmethod
    def cpu_ns(a, b):
        return (b['busy'] - a['busy']) / (b['cycles'] - a['cycles']) * (b['at'] - a['at'])

    def pids(self):
        """Behind `ip netns exec` it is the process itself."""
        return [self.proc.pid]

    def resident(self):
        with open(f'/proc/{self.proc.pid}/status', encoding='ascii') as f:
            return 1024 * sum(int(x) for x in re.findall(r'(?:VmRSS|HugetlbPages):\s+(\d+)', f.read()))

    def worker_tasks(self):
        """The thread that is bound to the system's CPU."""
        found = []
        for t in os.listdir(f'/proc/{self.proc.pid}/task'):
            with open(f'/proc/{self.proc.pid}/task/{t}/status', encoding='ascii') as f:
                if re.search(f'^Cpus_allowed_list:\\s+{SYSTEM_CPU}$', f.read(), re.M):
                    found.append(f'/proc/{self.proc.pid}/task/{t}')
        return found


class KernelSystem(System):
    """Lives on sockets; its CPU time is what the scheduler says it ran."""

    def __init__(self, place, work, table):
        super().__init__(place, work, table)
        self.gate = None
        self.front, self.back = ('127.0.0.1', '127.0.0.1') if table == 'best' else ('10.77.1.1', '10.77.2.2')

    def start(self):
        if self.table == 'veth':
            self.gate = self.place.kernel_gate()
            self.gate.__enter__()  # pylint: disable=unnecessary-dunder-call
        self.spawn(['taskset', '-c', str(SYSTEM_CPU), *self.command()])

        def listening():
            self.check_alive()
            with netns.inside(self.place.gate):
                s = socket.socket()
            with s:
                return s.connect_ex((self.front, 8000)) == 0
        wait_for(listening, self.name)

    def stop(self):
        super().stop()
        if self.gate:
            self.gate.__exit__(None, None, None)
            self.gate = None

    def load_args(self):
        args = ['--target', f'{self.front}:8000', '--origin', f'{self.back}:8080']
        if self.table == 'best':
            return args + ['--client', '127.0.1.1/8', '--client-netns', self.place.gate,
                           '--origin-netns', self.place.gate]
        return args + ['--client', '10.77.1.2/24', '--client-netns', self.place.client,
                       '--origin-netns', self.place.origin]

    def sample(self):
        ns = 0
        for task in self.worker_tasks():
            with open(task + '/schedstat', encoding='ascii') as f:
                ns += int(f.read().split()[0])
        return {'ns': ns}

    @staticmethod
    def cpu_ns(a, b):
        return b['ns'] - a['ns']

    def worker_tasks(self):
        return [f'/proc/{p}/task/{t}' for p in self.pids() for t in os.listdir(f'/proc/{p}/task')]

    def resident(self):
        total = 0
        for p in self.pids():
            with open(f'/proc/{p}/smaps_rollup', encoding='ascii') as f:
                total += 1024 * int(re.search(r'^Pss:\s+(\d+)', f.read(), re.M).group(1))
        return total


class Nginx(KernelSystem):
    name = 'nginx'
    CONFIG = '''
worker_processes 1; daemon off; pid $dir/nginx.pid; error_log $dir/nginx-error.log warn; user root;
events { worker_connections $files; use epoll; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; tcp_nodelay on; server_tokens off;
  client_body_temp_path $dir/n1; proxy_temp_path $dir/n2; fastcgi_temp_path $dir/n3; uwsgi_temp_path $dir/n4;
  scgi_temp_path $dir/n5; client_max_body_size 0;
  upstream origin { server $back:8080; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 3600s; }
  server {
    listen $front:8000 $ssl backlog=65535 reuseport;
    $tls_down
    location / {
      proxy_pass $scheme://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $$host; proxy_set_header X-Forwarded-For $$proxy_add_x_forwarded_for;
      proxy_read_timeout 3600s;
      $tls_up
    }
  }
}
'''
    TLS_DOWN = '''ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; ssl_ecdh_curve X25519;
    ssl_certificate server.crt; ssl_certificate_key server.key; ssl_client_certificate ca.crt; ssl_verify_client on;
    ssl_session_tickets off; ssl_session_cache off;'''
    TLS_UP = '''proxy_ssl_protocols TLSv1.3; proxy_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
      proxy_ssl_certificate proxy.crt; proxy_ssl_certificate_key proxy.key; proxy_ssl_trusted_certificate ca.crt;
      proxy_ssl_verify on; proxy_ssl_name origin.test; proxy_ssl_server_name on; proxy_ssl_session_reuse off;'''

    @staticmethod
    def program():
        return shutil.which('nginx') or '/usr/sbin/nginx'

    def command(self):
        path = self.write('nginx.conf', self.CONFIG, front=self.front, back=self.back, files=most_files(),
                          ssl='ssl' if self.work.tls_down else '', scheme='https' if self.work.tls_up else 'http',
                          tls_down=self.TLS_DOWN if self.work.tls_down else '',
                          tls_up=self.TLS_UP if self.work.tls_up else '')
        return [self.program(), '-c', path, '-p', self.place.dir]


class Haproxy(KernelSystem):
    name = 'haproxy'
    CONFIG = '''
global
  nbthread 1
  maxconn $conns
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
  ssl-default-bind-curves X25519
  tune.ssl.cachesize 0
  $global
defaults
  mode http
  timeout connect 60s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  http-reuse always
  option http-keep-alive
frontend web
  bind $front:8000 backlog 65535 $tls_down
  option forwardfor
  default_backend origin
backend origin
  server one $back:8080 $tls_up
'''
    TLS_DOWN = 'ssl crt $dir/server.pem ca-file $dir/ca.crt verify required alpn http/1.1'
    TLS_UP = ('ssl crt $dir/proxy.pem ca-file $dir/ca.crt verify required verifyhost origin.test '
              'sni str(origin.test) no-ssl-reuse')
    GLOBAL = ''

    @staticmethod
    def program():
        return shutil.which('haproxy') or '/usr/sbin/haproxy'

    def command(self):
        at = {'dir': self.place.dir}
        path = self.write('haproxy.cfg', self.CONFIG, front=self.front, back=self.back,
                          conns=most_files() // 2 - 100, tls_down=string.Template(self.TLS_DOWN).substitute(at) if self.work.tls_down else '',
                          tls_up=string.Template(self.TLS_UP).substitute(at) if self.work.tls_up else '',
                          **{'global': self.GLOBAL})
        return [self.program(), '-db', '-q', '-f', path]


ALL = {c.name: c for c in (Tidegate, Haproxy, Nginx)}


def versions():
    def first(argv):
        try:
            p = subprocess.run(argv, capture_output=True, text=True, check=False)
            return (p.stdout + p.stderr).splitlines()[0]
        except (OSError, IndexError):
            return 'not there'
    return {'nginx': first([Nginx.program(), '-v']), 'haproxy': first([Haproxy.program(), '-v']),
            'openssl': first(['openssl', 'version']), 'tidegate': first([TIDEGATE, '--version']),
            'generator_cpu': GENERATOR_CPU, 'system_cpu': SYSTEM_CPU}


def to_json(x):
    return json.dumps(x, sort_keys=True)
