"""What is measured: the same work for every system."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A curve, or several: the work at each of some values of one field."""
    field: str
    quick: tuple
    full: tuple
    tiny: tuple          # for tests
    kernel: tuple = ()   # for systems on sockets, quick or not; (): the same
    ratio: bool = False  # cost at the last by cost at the first is what counts
    series: tuple = (('', {}),)  # (name, other fields); the last point of the first is the scenario's headline

    def points(self, name, opts):
        if opts.tiny:
            return [(self.series[0][0], x) for x in self.tiny]
        xs = self.kernel if self.kernel and name != 'tidegate' else self.quick if opts.quick else self.full
        return [(s, x) for s, _ in self.series for x in xs]

    def work(self, base, series, x):
        return dataclasses.replace(base, **{self.field: x}, **dict(self.series)[series])


@dataclasses.dataclass(frozen=True)
class Work:
    tls_down: bool = False
    tls_up: bool = False
    connections: int = 64
    active: int = 0        # requests at once, each on any connection; 0: one on each
    each: int = 0          # requests on a connection, then a new one
    rate: int = 0          # requests a second, open loop
    body: int = 64
    headers: str = 'usual'
    slow: int = 0          # clients of slow_rate bytes a second
    slow_rate: int = 20000
    routes: int = 0        # of the system, each for its share of the paths; 0: one for all
    zipf: float = 0        # how paths are chosen; 0: all alike
    rbac: bool = False     # who may is asked for each request
    idle: str = ''         # Tidegate's way when there is nothing to do; '': spin over memif, else adaptive
    reloads: int = 0       # of Tidegate's configuration during a run
    shows: tuple = ('requests_per_second', 'cpu_ns_per_request', 'p50_us', 'p99_us')
    about: str = ''
    against: str = ''      # Tidegate's cost is also given as so many times that of this scenario
    sweep: Sweep = None
    best: str = 'cpu_ns_per_request'  # of two ways to set a system up, the one with the least of it counts
    direct: bool = True    # the generator is also run with nothing in between
    only: tuple = ()       # the systems that can do it; (): all
    seconds: float = 0     # of a run that is not quick; 0: as usual

    def args(self):
        a = ['--connections', self.connections, '--body', self.body, '--headers', self.headers]
        for name in ('active', 'each', 'rate', 'zipf'):
            if getattr(self, name):
                a += ['--' + name, getattr(self, name)]
        if self.slow:
            a += ['--slow', self.slow, '--slow-rate', self.slow_rate]
        if self.each or self.connections > 1024:
            a += ['--opening', 128]
        return a


REQUESTS = ('requests_per_second', 'cpu_ns_per_request', 'cpu_net_ns_per_request', 'generator_busy', 'system_busy',
            'generator_alone_times')
LATENCY = ('p50_us', 'p90_us', 'p99_us', 'p99_9_us', 'cpu_ns_per_request')
BULK = ('gbit_per_second', 'cpu_ns_per_kib', 'generator_busy', 'system_busy')
IDLE = ('cpu_share', 'p50_us', 'p99_us')
MEMORY_SHOWS = ('bytes_per_idle_connection', 'process_bytes', 'kernel_bytes')
SCALE = ('requests_per_second', 'cpu_ns_per_request', 'cost_ratio', 'generator_busy', 'system_busy')

BODIES = Sweep('body', quick=(16 << 10, 1 << 20), full=(1 << 10, 16 << 10, 128 << 10, 1 << 20),
               tiny=(16 << 10,))
MANY = Sweep('connections', quick=(1000, 10000, 100000), full=(1000, 10000, 100000, 1000000), tiny=(100, 1000),
             kernel=(1000, 9000), ratio=True)
ROUTES = Sweep('routes', quick=(10, 100000), full=(10, 100, 1000, 10000, 100000), tiny=(10, 100), ratio=True,
               series=(('uniform', {'zipf': 0}), ('zipf', {'zipf': 1.0})))
ONE_EACH = ('tidegate', 'haproxy', 'nginx', 'h2o')  # curves: each set up in one way

SCENARIOS = {
    'plain': Work(connections=256, shows=REQUESTS, about='keep-alive, GET, 256 connections, closed loop, 64 bytes of content'),
    'mtls': Work(connections=256, tls_down=True, tls_up=True, against='plain', shows=(*REQUESTS, 'times_plain'),
                 about='the same with TLS 1.3 and certificates of both sides on both legs'),
    'connections': Work(each=1, connections=128, shows=('connections_per_second', *REQUESTS[1:]),
                        about='a new connection for each request, pooled ones to the origin'),
    'handshakes': Work(each=1, tls_down=True, connections=32, shows=('connections_per_second', *REQUESTS[1:]),
                       about='a full handshake with certificates of both sides for each request, none resumed; '
                             'the origin in plain text'),
    'bulk': Work(connections=8, body=1 << 20, shows=BULK, sweep=BODIES, about='responses of 1 MiB, and of less'),
    'bulk-mtls': Work(connections=8, body=1 << 20, tls_down=True, tls_up=True, shows=BULK, sweep=BODIES,
                      about='responses of 1 MiB, and of less, decrypted and encrypted again'),
    'latency': Work(rate=20000, shows=LATENCY, best='p99_us', seconds=8,
                    about='open loop, Poisson, 20,000 requests a second (half of what the slowest can), plain text; '
                          'time counts from when a request was due'),
    'latency-mtls': Work(rate=12000, tls_down=True, tls_up=True, shows=LATENCY, best='p99_us', seconds=8,
                         about='the same at 12,000 requests a second with TLS on both legs'),
    'idle-memory': Work(tls_down=True, shows=MEMORY_SHOWS, direct=False, best='bytes_per_idle_connection',
                        about='an idle connection with TLS and a verified client, after one request each'),
    'idle-memory-plain': Work(shows=MEMORY_SHOWS, direct=False, best='bytes_per_idle_connection',
                              about='an idle connection in plain text, after one request each'),
    'scale-connections': Work(active=64, shows=SCALE, sweep=MANY, direct=False, only=ONE_EACH,
                              about='64 requests at once on any of 1,000 to 1,000,000 connections, all used alike; '
                                    'systems on sockets: to 9,000, for lack of file descriptors'),
    'scale-routes': Work(shows=SCALE, sweep=ROUTES, direct=False, only=ONE_EACH,
                         about='10 to 100,000 routes by prefix over the same 100,000 paths, all asked for alike, '
                               'and by Zipf\'s law'),
    'mesh': Work(tls_down=True, tls_up=True, rbac=True, shows=(*REQUESTS, 'cores_per_1000_requests'),
                 only=('tidegate',), direct=False,
                 about='mtls with RBAC by SPIFFE identity, statistics and a request identity: the tax of a mesh'),
    'crowd': Work(connections=4096, shows=REQUESTS, direct=False,
                  about='4,096 requests at once instead of 64: what overload does to goodput'),
    'idle': Work(rate=20, idle='adaptive', shows=IDLE, best='cpu_share', direct=False, only=ONE_EACH,
                 about='64 connections and 20 requests a second: what is used when there is nothing to do, and what '
                       'waking up costs'),
    'idle-spin': Work(rate=20, idle='spin', shows=IDLE, best='cpu_share', direct=False, only=('tidegate',),
                      about='the same, and Tidegate never sleeps: p50 here and there differ by the waking up'),
    'reload': Work(rate=20000, routes=100000, reloads=3, shows=LATENCY, direct=False, only=('tidegate',),
                   about='20,000 requests a second while 100,000 routes are read again and swapped, three times'),
    'reload-none': Work(rate=20000, routes=100000, shows=LATENCY, direct=False, only=('tidegate',),
                        about='the same without a reload'),
    'slow-clients': Work(connections=1088, slow=1024, body=4096, shows=REQUESTS, direct=False,
                         about='64 connections as in plain beside 1,024 clients that send and read 20 kB a second'),
}
# Only when asked for by name.
NOT_IN_ALL = {'mesh', 'crowd', 'slow-clients', 'idle', 'idle-spin', 'reload', 'reload-none'}
NOT_TINY = {'latency-mtls', 'idle-memory-plain'}
MEMORY = {'idle-memory', 'idle-memory-plain'}
# The numbers of connections that the slope is taken over: of the others fewer, for lack of file descriptors.
LEVELS = {'tidegate': {'idle-memory': {True: (10000, 20000, 30000), False: (10000, 30000, 60000, 100000)},
                       'idle-memory-plain': {True: (10000, 30000, 100000),
                                             False: (10000, 30000, 100000, 300000, 1000000)}}}
LEVELS_KERNEL = {True: (1000, 2500, 4000), False: (1000, 2000, 4000, 8000)}
