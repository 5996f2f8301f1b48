#!/usr/bin/python3
"""With hugepages: the same service, and dpdk-dumpcap captures from the running process."""
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import time

import netns
from lab import Lab, wait_for
from tap import Skip, case, check, equal, main, note

PAGES = '/proc/sys/vm/nr_hugepages'
WANTED = 200
MOUNT = '/mnt'
CLONE_NEWNS = 0x20000


class HugeLab(Lab):
    """Hugepages for as long as the lab stands; their mount is seen by this test alone."""

    def __enter__(self):
        with open(PAGES, encoding='ascii') as f:
            self.pages_before = int(f.read())
        try:
            self.reserve()
            return super().__enter__()
        except BaseException:
            self.release()
            raise

    def __exit__(self, *exc):
        super().__exit__(*exc)
        self.release()

    def reserve(self):
        if self.pages_before < WANTED:
            with open(PAGES, 'w', encoding='ascii') as f:
                f.write(str(WANTED))
        with open('/proc/meminfo', encoding='ascii') as f:
            free = int(re.search(r'HugePages_Free:\s+(\d+)', f.read()).group(1))
        if free < WANTED:
            raise Skip(f'only {free} hugepages of 2 MiB can be had')
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNS) != 0:
            raise Skip('no mount namespace of our own')
        subprocess.run(['mount', '--make-rprivate', '/'], check=True)
        subprocess.run(['mount', '-t', 'hugetlbfs', '-o', 'pagesize=2M', 'none', MOUNT], check=True)

    def release(self):
        subprocess.run(['umount', MOUNT], check=False, stderr=subprocess.DEVNULL)
        with open(PAGES, 'w', encoding='ascii') as f:
            f.write(str(self.pages_before))

    def prefix(self):
        m = re.search(r'dpdk-dumpcap --file-prefix=(\S+)', self.log_text())
        check(m, 'the log does not say how to capture:\n' + self.log_tail())
        return m.group(1)


def capture(lab, port, traffic, *args):
    """What dpdk-dumpcap writes while traffic() runs; returns the file's name."""
    if not shutil.which('dpdk-dumpcap'):
        raise Skip('dpdk-dumpcap is not installed')
    path = os.path.join(lab.dir, f'{port}.pcapng')
    log = os.path.join(lab.dir, 'dumpcap.log')
    with open(log, 'wb') as f:
        p = netns.popen(lab.gate, ['dpdk-dumpcap', f'--file-prefix={lab.prefix()}', '-i', port, '-w',
                                   path, *args], stdout=f, stderr=f)

    def running():
        with open(log, encoding='utf-8', errors='replace') as f:
            text = f.read()
        check(p.poll() is None, f'dpdk-dumpcap ended: {text}')
        return os.path.exists(path)

    def sees(mark):
        """A ping with this pattern is in the file. It says nothing when its callbacks are in place,
        and what it has not written at its end is lost."""
        where, ip = ((lab.client, '10.77.1.1'), (lab.origin, '10.77.2.1'))[int(port)]
        netns.run(where, ['ping', '-c', 1, '-W', 1, '-s', 64, '-p', mark * 2, ip], check=False)
        with open(path, 'rb') as f:
            return bytes.fromhex(mark * 8) in f.read() and running()
    try:
        wait_for(running, 'dpdk-dumpcap', 20)
        wait_for(lambda: sees('a55a'), 'the first packet in the file', 20)
        traffic()
        wait_for(lambda: sees('c33c'), 'the last packet in the file', 20)
        p.send_signal(signal.SIGINT)
        equal(p.wait(10), 0, 'exit of dpdk-dumpcap')
    finally:
        netns.stop(p)
    return path


def read(path, *fields):
    """tshark's view: one dict a packet."""
    if not shutil.which('tshark'):
        raise Skip('tshark is not installed')
    argv = ['tshark', '-r', path, '-T', 'fields', '-E', 'separator=|']
    for f in fields:
        argv += ['-e', f]
    out = netns.run(None, argv, timeout=60).stdout
    return [dict(zip(fields, line.split('|'))) for line in out.splitlines()]


@case
def serves_from_hugepages(lab):
    equal(json.loads(lab.get('/memory?format=json')[1])['hugepages'], True)
    r = lab.wrk(seconds=2)
    note(f'{r["rps"]:.0f} requests/s')
    check(r['errors'] == 0 and r['non2xx'] == 0 and r['requests'] > 100, r['text'])


@case
def captured_on_both_ports(lab):
    def traffic():
        for i in range(5):
            equal(lab.curl('nginx.test', f'/hello?cap={i}').stdout, b'hello from nginx\n')
    for port, ours in (('0', '10.77.1.1'), ('1', '10.77.2.1')):
        began = time.time()
        got = read(capture(lab, port, traffic), 'ip.src', 'ip.dst', 'http.request.uri',
                   'http.response.code', 'frame.time_epoch')
        for p in got:  # 0.1 s: the two clocks are not read at one moment
            check(began - 0.1 < float(p['frame.time_epoch']) < time.time() + 0.1, f'began {began}: {p}')
        uris = [p['http.request.uri'] for p in got if p['http.request.uri']]
        equal([u for u in uris if '?cap=' in u], [f'/hello?cap={i}' for i in range(5)])
        equal(len([p for p in got if p['http.response.code'] == '200']), 5)
        check(any(p['ip.src'] == ours for p in got) and any(p['ip.dst'] == ours for p in got),
              'both directions')


@case
def capture_under_load_loses_no_request(lab):
    result = {}

    def traffic():
        result.update(lab.wrk(seconds=2))
    capture(lab, '0', traffic, '-s', '128')
    check(result['errors'] == 0 and result['non2xx'] == 0, result['text'])
    note(f'{result["rps"]:.0f} requests/s while capturing')


if __name__ == '__main__':
    main(lambda: HugeLab(allowed={'conn_reset_by_peer', 'conn_aborted', 'tx_pending_full'}))
