#!/usr/bin/python3
"""The same requests over every kind of port, and with two workers."""
import os
import shutil
import socket
import subprocess

import netns
from lab import GATE4, GATE6, HERE, NORTH, SOUTH, Lab, port, quick, wait_for
from origin import pattern
from tap import Skip, case, check, equal, main, note
from wire import Client, request


def works(lab, seconds=quick(3, 2), v4_fragments=True):
    """Requests of both families, a pipeline, a large body, L4, fragments, load."""
    for host, v6 in (('nginx.test', False), ('nginx6.test', True), ('nginx.test', True)):
        equal(lab.curl(host, '/hello', v6=v6).stdout, b'hello from nginx\n')
        check(lab.curl(host, '/100k', v6=v6).stdout == pattern(102400), '100k differs')
    with Client(lab.connect()) as c:
        c.send(request('POST', '/echo', 'py.test', pattern(500000)) +
               request('GET', '/bytes/5000000', 'py.test'))
        check(c.response('POST').body == pattern(500000), 'echo differs')
        check(c.response().body == pattern(5000000), '5 MB differ')
    with Client(lab.connect((GATE4, 9001))) as c:
        c.send(pattern(100000))
        check(c.exactly(100000) == pattern(100000), 'L4 echo differs')
    for ip, size in ((GATE4, 56), (GATE6, 56), (GATE6, 4000), (GATE4, 4000 if v4_fragments else 1400)):
        lab.ping(ip, size)
    r = lab.wrk(seconds=seconds, conns=40)
    note(f'wrk: {r["rps"]:.0f} requests/s')
    check(r['errors'] == 0 and r['non2xx'] == 0 and r['requests'] > 100, r['text'])


def in_lab(cls=Lab, then=None, v4_fragments=True, **kw):
    """Runs works() in a lab of its own, with all that must hold afterwards."""
    with cls(**kw) as lab:
        try:
            works(lab, v4_fragments=v4_fragments)
            if then:
                then(lab)
            lab.check_end()
        except BaseException:
            lab.explain()
            raise


def spread(lab):
    """Both workers did something."""
    accepted = [v for k, v in sorted(lab.stats().items()) if 'tcp_accepted' in k]
    note(f'accepted: {accepted}, steered: {lab.stat("server.rx_steered_in")}')


class TwoSides(Lab):
    """Cables that are not there when Tidegate starts: the driver makes one end."""

    def cable(self, ns, name, addresses):
        """The kernel's end `name`, which appeared in the gate's namespace, becomes eth0 of ns."""
        run = netns.run
        wait_for(lambda: run(self.gate, ['ip', 'link', 'show', name], check=False).returncode == 0,
                 f'{name} in the namespace', 20)
        run(None, ['ip', '-n', self.gate, 'link', 'set', name, 'netns', ns])
        # The driver gave the kernel's end the address of its own.
        run(ns, ['ip', 'link', 'set', name, 'down'])
        run(ns, ['ip', 'link', 'set', name, 'name', 'eth0', 'address', f'02:77:00:00:00:{len(ns):02x}'])
        run(ns, ['ethtool', '-K', 'eth0', 'tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'],
            check=False)
        for a in addresses:
            run(ns, ['ip', 'addr', 'add', a, 'dev', 'eth0', *(['nodad'] if ':' in a else [])])
        run(ns, ['ip', 'link', 'set', 'eth0', 'up'])


class TapLab(TwoSides):
    def start(self, seconds=60):
        for dev in ('tgn0', 'tgs0'):
            netns.run(None, ['ip', '-n', self.gate, 'link', 'del', dev])
        super().start(seconds)
        self.cable(self.client, 'tgn0', ['10.77.1.2/24', 'fd77:1::2/64'])
        self.cable(self.origin, 'tgs0', ['10.77.2.2/24', 'fd77:2::2/64'])


class MemifLab(Lab):
    """dpdk-testpmd carries frames between memif and the cables."""

    def start(self, seconds=60):
        super().start(seconds)
        argv = ['dpdk-testpmd', '-l', '0,1', '--no-huge', '-m', '128', '--no-pci', '--file-prefix',
                self.name + 'peer']
        for i, (dev, sock) in enumerate((('tgn0', 'north'), ('tgs0', 'south'))):
            argv += ['--vdev', f'net_memif{i},role=client,id=0,socket-abstract=no,'
                               f'socket={self.dir}/{sock}.sock',
                     '--vdev', f'net_af_packet{i},iface={dev}']
        argv += ['--', '--forward-mode=io', '--auto-start', '--total-num-mbufs=8192',
                 '--portlist=0,1,2,3', '--stats-period=0', '-i']
        log = open(os.path.join(self.dir, 'testpmd.log'), 'wb')
        peer = netns.popen(self.gate, argv, stdin=subprocess.PIPE, stdout=log, stderr=log)
        self.procs.append(peer)
        self.peer = peer

        def text():
            with open(os.path.join(self.dir, 'testpmd.log'), encoding='utf-8', errors='replace') as f:
                return f.read()

        def linked():
            check(peer.poll() is None, f'testpmd ended:\n{text()}')
            p = netns.run(self.client, ['ping', '-c', '1', '-W', '1', '10.77.1.1'], check=False)
            return p.returncode == 0
        wait_for(linked, lambda: 'memif is linked:\n' + text()[-2000:], 20)

    def _down(self):
        super()._down()
        shutil.rmtree(f'/var/run/dpdk/{self.name}peer', ignore_errors=True)


def ports(north, south, **kw):
    return ', '.join((port('north', north, NORTH, **kw), port('south', south, SOUTH, **kw)))


QUIET = {'conn_reset_by_peer', 'req_downstream_gone', 'eth_other_host', 'tcp_out_of_window',
         'arp_bad', 'nd_bad', 'tcp_rst_blind'}


@case
def af_xdp_two_workers_one_queue(_):
    in_lab(workers=2, allowed=QUIET, then=spread)


# The af_packet driver has the kernel reassemble IPv4 fragments; the whole does not fit its frames.
AF_PACKET = {'v4_fragments': False, 'allowed': QUIET}


@case
def af_packet_two_workers_two_queues(_):
    in_lab(workers=2, then=spread, **AF_PACKET, ports=ports(
        'net_af_packet0,iface=tgn0,qpairs=2', 'net_af_packet1,iface=tgs0,qpairs=2'))


@case
def af_packet_one_worker(_):
    in_lab(**AF_PACKET, ports=ports('net_af_packet0,iface=tgn0', 'net_af_packet1,iface=tgs0'))


@case
def tap(_):
    if not os.path.exists('/dev/net/tun'):
        raise Skip('no /dev/net/tun')
    # The kernel's end begins with the port's own MAC, and with its link-local address.
    in_lab(cls=TapLab, allowed=QUIET | {'ip_bad_source'}, ports=ports('net_tap0,iface=tgn0', 'net_tap1,iface=tgs0'))


@case
def memif(_):
    if not shutil.which('dpdk-testpmd'):
        raise Skip('dpdk-testpmd is not installed')
    # Until the peer connects, its ring takes nothing.
    in_lab(cls=MemifLab, v4_fragments=False, allowed=QUIET | {'tx_ring_full'}, ports=ports(
        'net_memif0,role=server,id=0,socket-abstract=no,socket=$dir/north.sock',
        'net_memif1,role=server,id=0,socket-abstract=no,socket=$dir/south.sock'))


@case
def smallest_mtu(_):
    in_lab(mtu=1280, allowed=QUIET)


@case
def largest_mtu_of_af_xdp(_):
    in_lab(mtu=3498, allowed=QUIET)


@case
def mtu_9000_on_af_packet(_):
    frames = 'framesz=9216,blocksz=294912,framecnt=512'
    in_lab(**AF_PACKET, mtu=9000, ports=ports(
        f'net_af_packet0,iface=tgn0,{frames}', f'net_af_packet1,iface=tgs0,{frames}', mtu=9000))


@case
def mtu_that_a_device_cannot_take_is_refused(_):
    for north, south, mtu, text in (
            ('net_af_xdp0,iface=tgn0', 'net_af_xdp1,iface=tgs0', 3499, 'at most 3498'),
            ('net_tap0,iface=tgt0', 'net_tap1,iface=tgt1', 1505, 'net_tap takes at most 1504'),
            ('net_af_packet0,iface=tgn0', 'net_af_packet1,iface=tgs0', 9000, 'framesz=9216')):
        with Lab(nginx=False, start=False, ports=ports(north, south, mtu=mtu)) as lab:
            try:
                lab.start()
            except AssertionError as e:
                check(f'mtu = {mtu}' in str(e) and text in str(e), e)
                equal(lab.proc.returncode, 1)
            else:
                raise AssertionError(f'{north} takes mtu {mtu}')
    small = ports('net_af_xdp0,iface=tgn0', 'net_af_xdp1,iface=tgs0', mtu=1500)
    with Lab(nginx=False, start=False, mtu=9000, ports=small) as lab:
        try:
            lab.start()  # the other end of the cable is too large for XDP
        except AssertionError as e:
            check('veth peer' in str(e), e)
        else:
            raise AssertionError('af_xdp on a veth whose peer has mtu 9000')


class VlanLab(Lab):
    """Both cables carry tagged frames: VLAN 77 to the client, 4094 to the origin."""

    def start(self, seconds=60):
        for ns, tag, mac, addresses in (
                (self.client, 77, '02:77:00:00:00:01', ('10.77.1.2/24', 'fd77:1::2/64')),
                (self.origin, 4094, '02:77:00:00:00:02', ('10.77.2.2/24', 'fd77:2::2/64'))):
            def ip(*args, where=ns, check=True):
                return netns.run(None, ['ip', '-n', where, *args], check=check)
            ip('addr', 'flush', 'dev', 'eth0', 'scope', 'global')
            tagger = netns.popen(ns, [os.path.join(HERE, 'tagger.py'), 'eth0', tag, 'tagged'])
            self.procs.append(tagger)
            wait_for(lambda i=ip: i('link', 'show', 'tagged', check=False).returncode == 0,
                     'the tagged interface')
            ip('link', 'set', 'tagged', 'address', mac, 'up')
            for a in addresses:
                ip('addr', 'add', a, 'dev', 'tagged', *(['nodad'] if ':' in a else []))
        super().start(seconds)


@case
def vlan(_):
    if not os.path.exists('/dev/net/tun'):
        raise Skip('no /dev/net/tun')

    def untagged_is_not_ours(lab):
        with lab.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
            s.bind(('eth0', 0))
            s.send(b'\xff' * 6 + bytes.fromhex('020000000001') + b'\x08\x06' + bytes(46))
        wait_for(lambda: lab.drops()[1].get('eth_vlan', 0) > 0, 'an untagged frame is counted')

    in_lab(cls=VlanLab, allowed=QUIET | {'eth_vlan'}, then=untagged_is_not_ours, ports=', '.join((
        port('north', 'net_af_xdp0,iface=tgn0', NORTH, more='vlan = 77;'),
        port('south', 'net_af_xdp1,iface=tgs0', SOUTH, more='vlan = 4094;'))))


class NoLab:
    """The cases make their own."""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def explain(self):
        pass

    def is_dead(self):
        return False

    def check_end(self):
        """Nothing of the labs is left."""
        out = netns.run(None, ['ip', 'netns', 'list']).stdout
        check(f'tge{os.getpid()}x' not in out, out)


if __name__ == '__main__':
    main(NoLab)
