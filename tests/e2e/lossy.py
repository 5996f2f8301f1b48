"""A lab with a bad cable between the client and Tidegate (or a kernel in its place).

    client eth0 ---- near [ link: lossylink.c ] far ---- tgn0 gate
"""
import os
import subprocess

import netns
from lab import BUILD, CLIENT4, CLIENT6

LOSSYLINK = os.environ.get('TG_LOSSYLINK', os.path.join(BUILD, 'tests', 'e2e', 'lossylink'))


def _ip(*argv):
    netns.run(None, ['ip', *argv])


class BadCable:
    """Cuts the cable of the lab called `name` in two; later set() says how bad what joins them is.
    For Lab(before=...): the cable must be there before Tidegate takes its port."""

    def __init__(self, name, mtu=1500):
        self.ns, client = f'{name}-link', f'{name}-client'
        self.proc = None
        _ip('netns', 'add', self.ns)
        try:
            self._join(client, mtu)
        except BaseException:
            self.close()
            raise

    def _join(self, client, mtu):
        _ip('-n', self.ns, 'link', 'set', 'lo', 'up')
        _ip('-n', client, 'link', 'set', 'eth0', 'down')
        _ip('-n', client, 'link', 'set', 'eth0', 'netns', self.ns, 'name', 'far')
        _ip('-n', client, 'link', 'add', 'eth0', 'mtu', str(mtu), 'numrxqueues', '1',
            'numtxqueues', '1', 'type', 'veth', 'peer', 'name', 'near', 'mtu', str(mtu), 'netns',
            self.ns)
        for ns, dev in ((client, 'eth0'), (self.ns, 'near'), (self.ns, 'far')):
            if dev != 'eth0':
                netns.run(ns, ['sysctl', '-q', '-w', f'net.ipv6.conf.{dev}.disable_ipv6=1'])
            netns.run(ns, ['ethtool', '-K', dev, 'tx', 'off', 'sg', 'off', 'tso', 'off', 'gso', 'off',
                           'gro', 'off'], check=False)
            _ip('-n', ns, 'link', 'set', dev, 'up')
        _ip('-n', client, 'addr', 'add', f'{CLIENT4}/24', 'dev', 'eth0')
        _ip('-n', client, 'addr', 'add', f'{CLIENT6}/64', 'dev', 'eth0', 'nodad')

    def set(self, **how):
        """loss, delay, jitter, reorder, dup, rate, queue, seed: lossylink's; all else is good."""
        self.unplug()
        argv = [LOSSYLINK, 'near', 'far']
        for k, v in how.items():
            argv += [f'--{k}', str(v)]
        self.proc = netns.popen(self.ns, argv, stdout=subprocess.PIPE, text=True)
        if self.proc.stdout.readline() != 'ready\n':
            raise AssertionError('lossylink did not start')

    def unplug(self):
        """Returns what lossylink says that it did."""
        if not self.proc:
            return ''
        self.proc.terminate()
        out = self.proc.communicate(timeout=5)[0]
        self.proc = None
        return out

    def close(self):
        if self.proc:
            netns.stop(self.proc)
        subprocess.run(['ip', 'netns', 'del', self.ns], check=False, stderr=subprocess.DEVNULL)
