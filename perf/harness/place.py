"""Where a comparison stands: namespaces and cables, certificates, addresses.

    best   each system on its best transport: Tidegate over memif, the others over the loopback of one namespace
    veth   everyone on the same two virtual cables, with the same kernel clients and origin

The two are different tables: figures of one never stand beside figures of the other.
"""
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'e2e'))
# pylint: disable=wrong-import-position
import certs  # noqa: E402
import netns  # noqa: E402

BUILD = os.environ.get('TG_BUILD', os.path.join(ROOT, 'build'))
LOAD = os.path.join(BUILD, 'perf', 'load', 'tg_load')
TIDEGATE = os.environ.get('TG_TIDEGATE', os.path.join(BUILD, 'dpdk_app', 'tidegate'))
ADDRESSES = 16  # of clients, so that source ports do not run out
# As Tidegate chooses by itself: the system's is the last one.
GENERATOR_CPU, *_, SYSTEM_CPU = (sorted(os.sched_getaffinity(0)) * 2)[:max(2, len(os.sched_getaffinity(0)))]


class Place:
    _count = 0

    def __init__(self):
        Place._count += 1
        self.name = f'tge{os.getpid()}x{Place._count}'
        self.client, self.gate, self.origin = (f'{self.name}-{x}' for x in ('client', 'gate', 'origin'))
        self.dir = tempfile.mkdtemp(prefix=f'{self.name}-')
        os.chmod(self.dir, 0o755)

    def __enter__(self):
        try:
            self._lab('up')
            for i in range(ADDRESSES):
                netns.run(None, ['ip', '-n', self.client, 'addr', 'add', f'10.77.1.{2 + i}/24', 'dev', 'eth0'],
                          check=False)
            # More listening and fewer leftovers than the kernel allows by default.
            for ns in (self.client, self.gate, self.origin):
                netns.run(ns, ['sysctl', '-qw', 'net.core.somaxconn=65535', 'net.ipv4.tcp_max_syn_backlog=65535',
                               'net.ipv4.ip_local_port_range=1024 65535'])
            ca = certs.CA(self.dir)
            for name, san in (('server', 'DNS:load.test'), ('origin', 'DNS:origin.test'),
                              ('client', 'URI:spiffe://mesh.example/ns/load/sa/client'),
                              ('proxy', 'URI:spiffe://mesh.example/ns/load/sa/proxy')):
                ca.issue(name, [san])
                with open(self.path(name + '.pem'), 'wb') as out:  # haproxy wants both in one file
                    for part in ('crt', 'key'):
                        with open(self.path(f'{name}.{part}'), 'rb') as f:
                            out.write(f.read())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        self._lab('down')
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def _lab(self, what):
        subprocess.run([os.path.join(ROOT, 'scripts', 'lab.sh'), what, self.name], check=what == 'up',
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @contextlib.contextmanager
    def kernel_gate(self, offloads):
        """The kernel owns the gate's addresses, and may use all that virtual cables can offload."""
        ends = ((self.gate, 'tgn0'), (self.gate, 'tgs0'), (self.client, 'eth0'), (self.origin, 'eth0'))
        addresses = (('10.77.1.1/24', 'tgn0'), ('10.77.2.1/24', 'tgs0'))
        for a, dev in addresses:
            netns.run(None, ['ip', '-n', self.gate, 'addr', 'add', a, 'dev', dev])
        if offloads:
            self._offloads(ends, 'on')
        try:
            yield
        finally:
            self._offloads(ends, 'off')
            for a, dev in addresses:
                netns.run(None, ['ip', '-n', self.gate, 'addr', 'del', a, 'dev', dev], check=False)

    @staticmethod
    def _offloads(ends, word):
        for ns, dev in ends:
            netns.run(ns, ['ethtool', '-K', dev, 'rx', word, 'tx', word, 'sg', word, 'tso', word, 'gso', word,
                           'gro', word], check=False)
