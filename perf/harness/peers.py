"""The systems beside Tidegate, each configured at its best for the same work; and nothing, for what a run costs
without any."""
import os
import shutil
import socket
import string

from place import SYSTEM_CPU, netns
from systems import System, Tidegate, most_files, routes_of, wait_for
from systems import KERNEL_PORT


class KernelSystem(System):
    """Lives on sockets; its CPU time is what the scheduler says it ran."""

    def __init__(self, place, work, table):
        super().__init__(place, work, table)
        self.gate = None
        self.front, self.back = ('127.0.0.1', '127.0.0.1') if table == 'best' else ('10.77.1.1', '10.77.2.2')

    def start(self):
        if self.table != 'best':
            self.gate = self.place.kernel_gate(self.table == 'veth')
            self.gate.__enter__()  # pylint: disable=unnecessary-dunder-call
        self.spawn(['taskset', '-c', str(SYSTEM_CPU), *self.command()])

        def listening():
            self.check_alive()
            with netns.inside(self.place.gate):
                s = socket.socket()
            with s:
                return s.connect_ex((self.front, KERNEL_PORT)) == 0
        wait_for(listening, self.name, 60)

    def stop(self):
        super().stop()
        if self.gate:
            self.gate.__exit__(None, None, None)
            self.gate = None

    def load_args(self):
        args = ['--target', f'{self.front}:{KERNEL_PORT}', '--origin', f'{self.back}:8080']
        if self.table == 'best':
            return args + ['--client', '127.0.1.1/8', '--client-netns', self.place.gate,
                           '--origin-netns', self.place.gate]
        return args + self.cable_args()

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
                total += 1024 * int(next(x for x in f if x.startswith('Pss:')).split()[1])
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
    proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_set_header Host $$host; proxy_set_header X-Forwarded-For $$proxy_add_x_forwarded_for;
    proxy_read_timeout 3600s;
    $tls_up
$locations
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
        scheme = 'https' if self.work.tls_up else 'http'
        path = self.write('nginx.conf', self.CONFIG, front=self.front, back=self.back, files=most_files(),
                          ssl='ssl' if self.work.tls_down else '',
                          tls_down=self.TLS_DOWN if self.work.tls_down else '',
                          tls_up=self.TLS_UP if self.work.tls_up else '',
                          locations='\n'.join(f'    location {p} {{ proxy_pass {scheme}://origin; }}'
                                              for p in routes_of(self.work)))
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
  # Or it closes connections to the origin as soon as clients have a quarter of all file descriptors.
  tune.pool-low-fd-ratio 90
  tune.pool-high-fd-ratio 95
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
  $choose
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
        choose = ''
        if self.work.routes:  # its fastest way: a tree of prefixes
            with open(self.place.path('routes.map'), 'w', encoding='ascii') as f:
                f.writelines(f'{p} origin\n' for p in routes_of(self.work))
            choose = f'use_backend %[path,map_beg({self.place.path("routes.map")},origin)]'
        path = self.write('haproxy.cfg', self.CONFIG, front=self.front, back=self.back, choose=choose,
                          conns=most_files() // 2 - 100,
                          tls_down=string.Template(self.TLS_DOWN).substitute(at) if self.work.tls_down else '',
                          tls_up=string.Template(self.TLS_UP).substitute(at) if self.work.tls_up else '',
                          **{'global': self.GLOBAL})
        return [self.program(), '-db', '-q', '-f', path]


class HaproxyBusy(Haproxy):
    """Never sleeps."""
    name = 'haproxy-busy'
    GLOBAL = 'busy-polling'
    variant_of = 'haproxy'
    variant = 'busy-polling'


class H2o(KernelSystem):
    """2.2 asks no certificates of clients, and chooses by whole segments of a path."""
    name = 'h2o'
    CONFIG = '''
user: root
num-threads: 1
max-connections: $conns
listen:
  host: $front
  port: 8000
http1-request-timeout: 3600
error-log: $dir/h2o-error.log
proxy.timeout.keepalive: 3600000
proxy.timeout.io: 3600000
proxy.preserve-host: ON
proxy.emit-via-header: OFF
hosts:
  default:
    paths:
      "/":
        proxy.reverse.url: "http://$back:8080/"
'''

    @staticmethod
    def program():
        return shutil.which('h2o') or '/usr/bin/h2o'

    @classmethod
    def can(cls, work):
        return super().can(work) and os.path.exists(cls.program()) and not (work.tls_down or work.tls_up or
                                             (work.sweep and work.sweep.field == 'routes'))

    def command(self):
        return [self.program(), '-c', self.write('h2o.conf', self.CONFIG, front=self.front, back=self.back,
                                                 conns=most_files() // 2 - 100)]


class Direct(System):
    """Clients and origin on one cable, on the transport that Tidegate has in this table, or that the others have."""
    shown = False

    def start(self):
        pass

    def sample(self):
        return {}

    @staticmethod
    def cpu_ns(a, b):
        return 0

    def worker_tasks(self):
        return []

    def tls(self):
        both = self.work.tls_down or self.work.tls_up
        return both, both, 'origin.test'


class DirectMemif(Direct):
    name = 'direct'

    def load_args(self):
        end = 'net_memif{},role={},id=0,socket-abstract=no,socket=' + self.place.path('direct.sock')
        if os.path.exists(self.place.path('direct.sock')):
            os.unlink(self.place.path('direct.sock'))
        return ['--client', '10.77.1.2/24', '--origin', '10.77.1.100:8080', '--target', '10.77.1.100:8080',
                '--north', end.format(0, 'server'), '--south', end.format(1, 'client'), '--memory', '768']


class DirectKernel(Direct):
    name = 'direct-kernel'

    def __init__(self, place, work, table):
        super().__init__(place, work, table)
        self.gate = place.kernel_gate(True) if table != 'best' else None

    def start(self):
        if self.gate:
            self.gate.__enter__()  # pylint: disable=unnecessary-dunder-call

    def stop(self):
        if self.gate:
            self.gate.__exit__(None, None, None)

    def load_args(self):
        best = self.table == 'best'
        at = '127.0.0.1:8080' if best else '10.77.1.1:8080'
        return ['--target', at, '--origin', at, '--origin-netns', self.place.gate,
                '--client', '127.0.1.1/8' if best else '10.77.1.2/24',
                '--client-netns', self.place.gate if best else self.place.client]


ALL = {c.name: c for c in (Tidegate, Haproxy, HaproxyBusy, Nginx, H2o, DirectMemif, DirectKernel)}
COMPARED = ('tidegate', 'haproxy', 'haproxy-busy', 'nginx', 'h2o')
DIRECT = ('direct', 'direct-kernel')


def direct_of(name, table):
    """What has the same cable as this system."""
    return 'direct' if name == 'tidegate' and table == 'best' else 'direct-kernel'
