"""What packet scripts run against: a socket of the Linux kernel, or Tidegate's L4 listener.

Both stand at the same addresses of a lab of the same shape (scripts/lab.sh), so that a script
cannot tell which one it is:

    peer 10.77.1.1xx ---- 10.77.1.1 port 9100+slot      a connection accepted
    peer 10.77.2.100 ---- 10.77.2.1 to port 7500+slot   a connection dialled

Several scripts run at once; each has a slot, that is a port, of its own.
"""
import contextlib
import os
import random
import socket
import struct
import subprocess
import threading

import netns
from lab import CLIENT4, GATE4, GATE6, ORIGIN4, PREFIX, ROOT
from tcpscript import Link, Peer

PEERS = 100  # addresses of peers: what was learnt of one (path MTU) does not disturb another
FAR4, FAR6 = '10.77.2.100', 'fd77:2::100'
SOUTH4, SOUTH6 = '10.77.2.1', 'fd77:2::1'
ACCEPT, ACCEPT6, DIAL, DIAL6, APP, FAR = 9100, 9100, 9300, 9300, 7000, 7500
SLOTS = 6

# The kernel as it comes, but for what would make a run depend on the one before it (metrics) and
# SYN retransmissions, which RFC 6298 wants to back off from the first one on.
SYSCTLS = {
    'net.ipv4.tcp_no_metrics_save': '1',
    'net.ipv4.tcp_syn_linear_timeouts': '0',
    'net.ipv4.tcp_rmem': '4096 131072 6291456',
    'net.ipv4.tcp_wmem': '4096 16384 4194304',
}


def _listen(ns, addr):
    with netns.inside(ns):
        s = socket.socket(socket.AF_INET6 if ':' in addr[0] else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b'cubic')
    s.bind(addr)
    s.listen(16)
    s.settimeout(3)
    return s


def _peer(i):
    return f'10.77.1.{100 + i}', f'fd77:1::1:{i:x}'


class Target:
    """client, origin: the namespaces at the two cables."""

    name = '?'

    def __init__(self, client, origin):
        self.link = Link(client, [a for i in range(PEERS) for a in _peer(i)], '02:77:00:00:01:00')
        self.far = Link(origin, [FAR4, FAR6], '02:77:00:00:02:00')
        self.socks = {}
        self.ports = random.randrange(20000, 40000)
        self.lock = threading.Lock()
        self.strangers = set()

    def close(self):
        self.link.close()
        self.far.close()
        for s in self.socks.values():
            s.close()

    def peer(self, slot, v6=False, port=None):
        """The side that connects."""
        self.slot_v6 = {**getattr(self, 'slot_v6', {}), slot: v6}
        with self.lock:
            self.ports += 1
            return Peer(self, slot, v6, port or self.ports)

    def pair(self, v6):
        own = _peer(self.ports % PEERS)[v6]
        return own, GATE6 if v6 else GATE4

    def port(self, slot):
        return ACCEPT + slot

    def listening(self, slot):
        return self.socks[slot]

    def accept(self, slot):
        return self.listening(slot).accept()[0]

    def rest(self, slot):
        """Ends what a script left unaccepted."""
        s = self.listening(slot)
        s.settimeout(0)
        with contextlib.suppress(OSError):
            while True:
                c = s.accept()[0]
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                c.close()
        s.settimeout(3)

    def listener(self, slot, v6=False):
        """A Peer that waits to be connected to: see dial()."""
        p = Peer.__new__(Peer)
        p.target = _FarTarget(self)
        Peer.__init__(p, p.target, slot, v6, FAR + slot)
        return p


class _FarTarget:
    """The same target seen from the other cable."""

    def __init__(self, base):
        self.base, self.link, self.name = base, base.far, base.name
        self.strangers = base.strangers

    def pair(self, v6):
        return (FAR6, SOUTH6) if v6 else (FAR4, SOUTH4)

    def port(self, slot):
        return 0

    def dial(self, slot, v6):
        return self.base.dial(slot, v6)

    def rest(self, slot):
        pass


class LinuxTarget(Target):
    name = 'linux'

    def __init__(self):
        self.lab = f'{PREFIX}{os.getpid()}x90'
        script = os.path.join(ROOT, 'scripts', 'lab.sh')
        netns.run(None, [script, 'up', self.lab])
        gate = f'{self.lab}-gate'
        self.gate = gate
        for k, v in SYSCTLS.items():
            netns.run(gate, ['sysctl', '-q', '-w', f'{k}={v}'])
        for dev, a4, a6 in (('tgn0', GATE4, GATE6), ('tgs0', SOUTH4, SOUTH6)):
            netns.run(gate, ['sysctl', '-q', '-w', f'net.ipv6.conf.{dev}.disable_ipv6=0'])
            netns.run(None, ['ip', '-n', gate, 'addr', 'add', f'{a4}/24', 'dev', dev])
            netns.run(None, ['ip', '-n', gate, 'addr', 'add', f'{a6}/64', 'dev', dev, 'nodad'])
        super().__init__(f'{self.lab}-client', f'{self.lab}-origin')
        for slot in range(SLOTS):
            for v6 in (False, True):
                self.socks[slot, v6] = _listen(gate, (GATE6 if v6 else GATE4, ACCEPT + slot))

    def listening(self, slot):
        return self.socks[slot, self.slot_v6[slot]]

    def dial(self, slot, v6):
        with netns.inside(self.gate):
            s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b'cubic')
        s.setblocking(False)
        s.connect_ex((FAR6 if v6 else FAR4, FAR + slot))
        return s

    def close(self):
        super().close()
        subprocess.run([os.path.join(ROOT, 'scripts', 'lab.sh'), 'down', self.lab], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class GateTarget(Target):
    name = 'tidegate'

    def __init__(self, lab):
        super().__init__(lab.client, lab.origin)
        self.lab = lab
        for slot in range(SLOTS):
            self.socks[slot] = _listen(lab.origin, (ORIGIN4, APP + slot))

    def dial(self, slot, v6):
        with netns.inside(self.lab.client):
            s = socket.socket()
        s.setblocking(False)
        s.connect_ex((GATE4, (DIAL6 + 50 if v6 else DIAL) + slot))
        return s


def gate_config():
    """(listeners, clusters) for lab.Lab's $extra_listeners and $extra_clusters."""
    ls, cs = [], []

    def listener(name, addr, cluster, more=''):
        ls.append(f'{{ name = "{name}"; address = "{addr}"; protocol = "tcp"; '
                  f'cluster = "{cluster}"; idle_timeout = "0s"; {more} }}')

    def cluster(name, addr):
        cs.append(f'{{ name = "{name}"; connect_timeout = "100s"; '
                  f'endpoints: ( {{ address = "{addr}"; }} ); }}')
    for i in range(SLOTS):
        cluster(f'app{i}', f'{ORIGIN4}:{APP + i}')
        cluster(f'far{i}', f'{FAR4}:{FAR + i}')
        cluster(f'far6{i}', f'[{FAR6}]:{FAR + i}')
        listener(f'a{i}', f'{GATE4}:{ACCEPT + i}', f'app{i}')
        listener(f'a6{i}', f'[{GATE6}]:{ACCEPT + i}', f'app{i}')
        listener(f'd{i}', f'{GATE4}:{DIAL + i}', f'far{i}')
        listener(f'd6{i}', f'{GATE4}:{DIAL6 + 50 + i}', f'far6{i}')
    return ', ' + ',\n  '.join(ls), ', ' + ',\n  '.join(cs)


__all__ = ['LinuxTarget', 'GateTarget', 'gate_config', 'SLOTS', 'CLIENT4']
