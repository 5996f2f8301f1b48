#!/usr/bin/python3
"""Large bodies: a GiB down and up, checksums equal at both ends, memory flat."""
import functools
import hashlib
import json
import os

from lab import GATE4, GATE6, Background, Lab, quick
import netns
from tap import case, check, equal, main, note

SIZE = quick(1 << 30, 64 << 20)


# What a device may lose for each millisecond that its worker waited for a CPU: at 10 Gbit/s, twice.
LOST_A_MS = 2000


def nothing_is_lost(fn):
    """No frame of the transfer is lost but by a device whose worker the machine kept from its CPU."""
    @functools.wraps(fn)
    def case_fn(lab):
        waited, before = lab.waited_ms(), lab.drops()[1]
        fn(lab)
        waited, after = lab.waited_ms() - waited, lab.drops()[1]
        gone = {k: after[k] - before.get(k, 0) for k in ('rx_no_buffer', 'tx_pending_full', 'no_mbuf',
                                                         'tx_no_mbuf', 'tcp_rcv_full', 'steer_full')
                if after.get(k, 0) > before.get(k, 0)}
        note(f'lost: {gone or "nothing"}; the worker waited {waited:.0f} ms for its CPU')
        check(set(gone) <= {'rx_no_buffer'}, f'lost: {gone}')
        check(gone.get('rx_no_buffer', 0) <= waited * LOST_A_MS, f'lost: {gone}, with the CPU at hand')
    return case_fn


def make_file(lab):
    """A file of SIZE bytes that no part of repeats; its SHA-256."""
    path = os.path.join(lab.dir, 'www', 'big')
    if os.path.exists(path):
        return path, lab.big_digest
    h = hashlib.sha256()
    with open(path, 'wb') as f:
        block = os.urandom(1 << 20)
        for i in range(SIZE >> 20):
            b = i.to_bytes(8, 'big') + block[8:]
            h.update(b)
            f.write(b)
    lab.big_digest = h.hexdigest()
    return path, lab.big_digest


def rate(text, seconds):
    note(f'{text}: {SIZE / seconds / 1e6:.0f} MB/s')


def download(lab, host, ip):
    """curl | sha256sum in the client's namespace."""
    script = (f"curl -sS -g --max-time 300 --resolve {host}:80:{ip} -w '%{{stderr}}%{{time_total}}' "
              f'http://{host}/big | sha256sum')
    p = netns.run(lab.client, ['bash', '-o', 'pipefail', '-c', script], timeout=320)
    return p.stdout.split()[0], float(p.stderr)


@case(seconds=330)
@nothing_is_lost
def download_v4(lab):
    _, digest = make_file(lab)
    before = lab.rss_kib()
    got, took = download(lab, 'nginx.test', GATE4)
    equal(got, digest, 'SHA-256')
    rate('download', took)
    check(lab.rss_kib() - before < 16384, f'resident memory {before} -> {lab.rss_kib()} KiB')


@case(seconds=330)
@nothing_is_lost
def download_v6(lab):
    _, digest = make_file(lab)
    got, took = download(lab, 'nginx6.test', f'[{GATE6}]')
    equal(got, digest, 'SHA-256')
    rate('download over IPv6', took)


def upload(lab, *args):
    path, digest = make_file(lab)
    before = lab.rss_kib()
    p = lab.curl('py.test', '/see', '-H', 'Expect:', *args, '-T', path, '-w', '%{stderr}%{time_total}',
                 timeout=300)
    s = json.loads(p.stdout)
    equal((s['length'], s['sha256']), (SIZE, digest), 'length and SHA-256')
    rate('upload ' + ' '.join(args), float(p.stderr))
    check(lab.rss_kib() - before < 16384, f'resident memory {before} -> {lab.rss_kib()} KiB')


@case(seconds=330)
@nothing_is_lost
def upload_with_length(lab):
    upload(lab)


@case(seconds=330)
@nothing_is_lost
def upload_chunked(lab):
    upload(lab, '-H', 'Transfer-Encoding: chunked')


@case(seconds=330)
@nothing_is_lost
def both_ways_at_once_through_tcp(lab):
    """An L4 echo of SIZE / 8 each: both directions full at the same time."""
    n = SIZE // 8
    block = os.urandom(1 << 20)

    def one():
        sent, got = hashlib.sha256(), hashlib.sha256()
        s = lab.connect((GATE4, 9001), timeout=60)

        def write():
            for i in range(n >> 20):
                b = i.to_bytes(8, 'big') + block[8:]
                sent.update(b)
                s.sendall(b)
        w = Background(write)
        left = n
        while left:
            b = s.recv(min(left, 1 << 18))
            check(b, 'ended early')
            got.update(b)
            left -= len(b)
        w.result()
        s.close()
        equal(got.hexdigest(), sent.hexdigest(), 'SHA-256')
    pair = [Background(one), Background(one)]
    for b in pair:
        b.result(300)


@case
@nothing_is_lost
def eight_downloads_at_once(lab):
    p = netns.run(lab.client, ['bash', '-c', f'''
        for i in 1 2 3 4 5 6 7 8; do
            curl -sS --max-time 100 -H 'Host: nginx.test' -r 0-{min(SIZE, 32 << 20) - 1} \
                http://{GATE4}/big | sha256sum &
        done; wait'''], timeout=110)
    path, _ = make_file(lab)
    with open(path, 'rb') as f:
        want = hashlib.sha256(f.read(min(SIZE, 32 << 20))).hexdigest()
    equal({line.split()[0] for line in p.stdout.splitlines()}, {want})


if __name__ == '__main__':
    main(Lab)
