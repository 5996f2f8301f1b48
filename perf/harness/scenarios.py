"""What is measured: the same work for every system."""
import dataclasses


@dataclasses.dataclass
class Work:
    tls_down: bool = False
    tls_up: bool = False
    connections: int = 64
    each: int = 0          # requests on a connection, then a new one
    rate: int = 0          # requests a second, open loop
    body: int = 64
    headers: str = 'usual'
    shows: tuple = ('requests_per_second', 'cpu_ns_per_request', 'p50_us', 'p99_us')
    about: str = ''
    against: str = ''      # Tidegate's cost is also given as so many times that of this scenario

    def args(self):
        a = ['--connections', self.connections, '--body', self.body, '--headers', self.headers]
        if self.each:
            a += ['--each', self.each]
        if self.rate:
            a += ['--rate', self.rate]
        return a


REQUESTS = ('requests_per_second', 'cpu_ns_per_request', 'generator_busy', 'system_busy')
LATENCY = ('p50_us', 'p90_us', 'p99_us', 'p99_9_us', 'cpu_ns_per_request')
BULK = ('gbit_per_second', 'cpu_ns_per_kib', 'generator_busy', 'system_busy')

SCENARIOS = {
    'plain': Work(shows=REQUESTS, about='keep-alive, GET, 64 connections, closed loop, 64 bytes of content'),
    'mtls': Work(tls_down=True, tls_up=True, against='plain', shows=(*REQUESTS, 'times_plain'),
                 about='the same with TLS 1.3 and certificates of both sides on both legs'),
    'connections': Work(each=1, connections=128, shows=('connections_per_second', *REQUESTS[1:]),
                        about='a new connection for each request, pooled ones to the origin'),
    'handshakes': Work(each=1, tls_down=True, connections=32, shows=('connections_per_second', *REQUESTS[1:]),
                       about='a full handshake with certificates of both sides for each request, none resumed; '
                             'the origin in plain text'),
    'bulk': Work(body=1 << 20, connections=8, shows=BULK, about='responses of 1 MiB'),
    'bulk-mtls': Work(body=1 << 20, connections=8, tls_down=True, tls_up=True, shows=BULK,
                      about='responses of 1 MiB, decrypted and encrypted again'),
    'latency': Work(rate=10000, shows=LATENCY, about='open loop, Poisson, 10,000 requests a second, plain text; '
                                                     'time counts from when a request was due'),
    'latency-mtls': Work(rate=5000, tls_down=True, tls_up=True, shows=LATENCY,
                         about='the same at 5,000 requests a second with TLS on both legs'),
    'idle-memory': Work(tls_down=True, shows=('bytes_per_idle_connection', 'process_bytes', 'kernel_bytes'),
                        about='an idle connection with TLS and a verified client, after one request each'),
    'idle-memory-plain': Work(shows=('bytes_per_idle_connection', 'process_bytes', 'kernel_bytes'),
                              about='an idle connection in plain text, after one request each'),
}
MEMORY = {'idle-memory', 'idle-memory-plain'}
# The connections between which the slope is taken: of the others fewer, for lack of file descriptors.
LEVELS = {'tidegate': {True: (10000, 30000), False: (10000, 100000)}}
LEVELS_KERNEL = {True: (1000, 4000), False: (1000, 8000)}
