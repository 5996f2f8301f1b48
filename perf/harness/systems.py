"""What is measured: what every system has, and Tidegate. peers.py has the others.

A system is started for one run and ended after it. sample() gives what it has used of the CPU so far: ns and,
if it counts them itself, requests.
"""
import http.client
import os
import re
import resource
import socket
import string
import subprocess
import time

from place import SYSTEM_CPU, TIDEGATE, netns

KERNEL_PORT = 8000


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


def routes_of(work):
    """Prefixes of tg_load's 100,000 paths, /load/00000000/ to /load/00099999/, so that each path has one."""
    if not work.routes:
        return ['/']
    digits = len(str(work.routes)) - 1
    return [f'/load/000{i:0{digits}}' for i in range(work.routes)]


class System:
    """work: of scenarios.py; table: 'best', 'veth' or 'xdp'."""

    name = None
    variant_of = None  # another way to set up the system of this name ...
    variant = None     # ... and what it is called
    shown = True       # in a table

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

    @classmethod
    def can(cls, work):
        return not work.only or cls.name in work.only

    def tls(self):
        """Whether clients, and the origin, speak TLS; the name that the clients expect."""
        return self.work.tls_down, self.work.tls_up, 'load.test'

    def cable_args(self):
        """tg_load at both far ends of the virtual cables."""
        args = ['--client', '10.77.1.2/24', '--client-netns', self.place.client,
                '--origin-netns', self.place.origin]
        if self.table == 'xdp':
            args += ['--north', 'net_af_xdp0,iface=eth0', '--south', 'net_af_xdp1,iface=eth0', '--memory', '768']
        return args

    @staticmethod
    def moved(a, b):
        """Whether anything was counted between the two samples: on a machine that is busy otherwise it may come late."""
        return 'requests' not in a or (b['cycles'] > a['cycles'] and b['requests'] > a['requests'])

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
dataplane: { workers = 1; cpus = [$cpu]; idle = "$idle"; memory = "$memory"; drain_time = "50ms"; $more };
admin: { socket = "$dir/admin.sock"; };
ports: ( { name = "north"; device = "$north"; addresses = ["10.77.1.1/24"]; },
         { name = "south"; device = "$south"; addresses = ["10.77.2.1/24"]; } );
listeners: ( { name = "web"; address = "10.77.1.1:80"; virtual_hosts = ["all"]; $tls_down $filters } );
virtual_hosts: ( { name = "all"; domains = ["*"];
  routes: ( $routes ); } );
clusters: ( { name = "origin"; connect_timeout = "60s"; endpoints: ( { address = "10.77.2.2:8080"; } );
  circuit_breakers: { max_connections = 100000; max_pending_requests = 100000; max_requests = 100000; };
  $tls_up } );
'''
    TLS_DOWN = '''tls: { certificate = "server.crt"; private_key = "server.key"; client_ca = "ca.crt";
      require_client_certificate = true; };'''
    ROUTE = '{ match: { prefix = "%s"; }; route: { cluster = "origin"; timeout = "0s"; }; }'
    RBAC = '''filters: ( { name = "rbac"; action = "ALLOW"; policies: ( { name = "load";
      principals = ["spiffe://mesh.example/ns/load/sa/client"]; methods = ["GET"]; paths = ["/load/*"]; },
      { name = "others"; principals = [$others]; } ); } );'''
    TLS_UP = '''tls: { ca = "ca.crt"; sni = "origin.test"; certificate = "proxy.crt"; private_key = "proxy.key"; };'''

    def filters(self):
        if not self.work.rbac:
            return ''
        others = ', '.join(f'"spiffe://mesh.example/ns/load/sa/other{i}"' for i in range(100))
        return string.Template(self.RBAC).substitute(others=others)

    def start(self):
        best = self.table == 'best'
        for x in ('north', 'south', 'admin'):
            if os.path.exists(self.place.path(x + '.sock')):
                os.unlink(self.place.path(x + '.sock'))
        memif = 'net_memif{},role=server,id=0,socket-abstract=no,socket=' + self.place.dir + '/{}.sock'
        n = self.work.connections
        config = self.write(
            'tidegate.cfg', self.CONFIG, cpu=SYSTEM_CPU, idle=self.work.idle or ('spin' if best else 'adaptive'),
            north=memif.format(0, 'north') if best else 'net_af_xdp0,iface=tgn0',
            south=memif.format(1, 'south') if best else 'net_af_xdp1,iface=tgs0',
            memory=f'{512 + n * 5 // 1024 + self.work.routes // 256}MiB', more=f'max_connections = {n + 4096};' if n > 8192 else '',
            routes=',\n'.join(self.ROUTE % p for p in routes_of(self.work)), filters=self.filters(),
            tls_down=self.TLS_DOWN if self.work.tls_down else '', tls_up=self.TLS_UP if self.work.tls_up else '')
        self.spawn([TIDEGATE, '-c', config])

        def sockets():
            self.check_alive()
            return all(os.path.exists(self.place.path(x + '.sock')) for x in ('north', 'south'))

        if best:  # it waits for the other side
            wait_for(sockets, 'memif', 120)
        else:
            wait_for(self.ready, 'tidegate')

    def load_args(self):
        args = ['--origin', '10.77.2.2:8080', '--target', '10.77.1.1:80']
        if self.table == 'best':
            args += ['--client', '10.77.1.2/24']
            memif = 'net_memif{},role=client,id=0,socket-abstract=no,socket=' + self.place.dir + '/{}.sock'
            return args + ['--north', memif.format(0, 'north'), '--south', memif.format(1, 'south'),
                           '--memory', 768 if self.work.connections > 1024 else 320]
        return args + self.cable_args()

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
