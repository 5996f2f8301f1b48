#!/usr/bin/python3
"""Very many idle connections held by the program itself, over memif; then requests on random ones.

    TG_SCALE_CONNECTIONS   how many; 100,000, quick 10,000, long 1,000,000
"""
import os
import re
import shutil
import subprocess
import time

import netns
from lab import BUILD, SANITIZED, Lab, port, quick, wait_for
from tap import case, check, equal, main, note

LONG = os.environ.get('TG_TEST_MODE') == 'long'
CONNECTIONS = int(os.environ.get('TG_SCALE_CONNECTIONS', 1000000 if LONG else quick(100000, 10000)))
CROWD = os.path.join(BUILD, 'tests', 'scale', 'tg_crowd')
LIMIT = 384  # bytes of an idle connection

ROUTES = '''
ip_routes: ( { destination = "10.64.0.0/10"; via = "10.0.0.2"; },
             { destination = "fd64::/64"; via = "fd10::2"; } );
listeners: ( { name = "web"; address = "10.0.0.1:80"; virtual_hosts = ["all"]; },
             { name = "web6"; address = "[fd10::1]:80"; virtual_hosts = ["all"]; } );
virtual_hosts: ( { name = "all"; domains = ["*"];
  routes: ( { match: { prefix = "/"; }; route: { cluster = "origin"; timeout = "0s"; }; } ); } );
clusters: ( { name = "origin"; connect_timeout = "60s"; idle_timeout = "5s";
  endpoints: ( { address = "10.1.0.2:8080"; } ); } );
'''


class CrowdLab(Lab):
    """The crowd is at the other end of both ports; the lab's namespaces stay empty."""

    def wait_ready(self, seconds=60):
        """Tidegate makes the sockets and waits for whoever connects."""
        wait_for(lambda: all(os.path.exists(f'{self.dir}/{x}.sock') for x in ('north', 'south')) or
                 self.proc.poll() is not None, lambda: 'the sockets\n' + self.log_tail(), seconds)
        argv = [CROWD, str(CONNECTIONS), '-l', '0', '--no-huge', '-m', '256', '--no-pci',
                '--no-telemetry', '--file-prefix', self.name + 'peer']
        for i, sock in enumerate(('north', 'south')):
            argv += ['--vdev', f'net_memif{i},role=client,id=0,socket-abstract=no,'
                               f'socket={self.dir}/{sock}.sock']
        log = open(os.path.join(self.dir, 'crowd.log'), 'wb')
        self.crowd = netns.popen(self.gate, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=log)
        self.procs.append(self.crowd)
        super().wait_ready(seconds)
        equal(self.tell('greet'), 'ready')

    def tell(self, line):
        self.crowd.stdin.write(line.encode() + b'\n')
        self.crowd.stdin.flush()
        while True:
            answer = self.crowd.stdout.readline().decode()
            check(answer, f'the crowd ended at {line!r}')
            if not re.match(r'EAL|TELEMETRY|\s*$', answer):
                return answer.strip()

    def active(self):
        s = self.stats()
        return s['http.web.downstream_cx_active'] + s['http.web6.downstream_cx_active']

    def memory(self):
        """Bytes of the process: resident and in hugepages."""
        with open(f'/proc/{self.gate_pid()}/status', encoding='ascii') as f:
            text = f.read()
        return 1024 * sum(int(x) for x in re.findall(r'(?:VmRSS|HugetlbPages):\s+(\d+)', text))

    def _down(self):
        super()._down()
        shutil.rmtree(f'/var/run/dpdk/{self.name}peer', ignore_errors=True)


@case(seconds=1500)
def many_idle_connections(lab):
    n, few = CONNECTIONS, CONNECTIONS // 10
    # Alone, one of each family: only a few packets wait for the neighbour's answer.
    for i in range(2):
        equal(lab.tell(f'open {i} {i + 1}'), 'opened 1')
        equal(lab.tell(f'close {i} {i + 1}'), 'closed 1')
    t = time.monotonic()
    equal(lab.tell(f'open 0 {few}'), f'opened {few}')
    before = lab.memory()
    equal(lab.tell(f'open {few} {n}'), f'opened {n - few}')
    note(f'{n} connections opened in {time.monotonic() - t:.1f} s')
    slope = (lab.memory() - before) / (n - few)
    note(f'{slope:.0f} bytes each, from {few} to {n} (resident memory and hugepages)')
    # What the kernel counts has the grain of its pages: large ones below a hundred thousand.
    check(slope <= LIMIT or n < 100000 or SANITIZED, f'{slope:.0f} bytes a connection')
    wait_for(lambda: lab.active() == n, 'the last ACK is taken', 10)
    pools = {k[0]: v for k, v in lab.pools().items()}
    equal((pools['tcb'], pools['downstream']), (n, n))

    t = time.monotonic()
    asked = max(n // 10, 1000)
    equal(lab.tell(f'ask {asked} {n}'), f'answered {asked}')
    note(f'{asked} requests on random ones in {time.monotonic() - t:.1f} s')

    t = time.monotonic()
    equal(lab.tell(f'close 0 {n}'), f'closed {n}')
    note(f'closed in {time.monotonic() - t:.1f} s; {lab.tell("count")}')
    wait_for(lambda: lab.active() == 0, 'all closed', 30)
    # The origin's connections are closed after five seconds; the rest at once. All of it, exactly.
    exact = ('tcb', 'tcp_transmit', 'tcp_embryonic', 'downstream', 'upstream', 'exchange', 'l4_pair',
             'arena_small', 'arena_large')

    def left():
        return {k: v for k, v in lab.pools().items() if k[0] in exact and v}
    wait_for(lambda: not left(), lambda: f'empty pools, but {left()}', 30)


def budget():
    return max(1024, CONNECTIONS * 2300 // (1 << 20) + 640)


if __name__ == '__main__':
    main(lambda: CrowdLab(
        routes=ROUTES, nginx=False, memory=f'{budget()}MiB',
        dataplane=f'max_connections = {CONNECTIONS + 4096};',
        # Until the peer connects, its ring takes nothing. Strangers who come in whole bursts may have
        # to ask twice, and eight packets wait for a neighbour's address.
        allowed={'tx_ring_full', 'tcp_no_connection', 'conn_idle', 'tcp_syn_dropped', 'tx_pending_full'},
        ports=', '.join(port(name, f'net_memif{i},role=server,id=0,socket-abstract=no,'
                             f'socket=$dir/{name}.sock', [f'10.{i}.0.1/24', f'fd1{i}::1/64'])
                        for i, name in enumerate(('north', 'south')))))
