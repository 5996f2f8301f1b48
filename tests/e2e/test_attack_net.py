#!/usr/bin/python3
"""Attacks, bounded: floods, forgeries, things that never end. While each goes on a well-behaved
client connects within 100 ms, again and again, and sees no failure; afterwards Tidegate is alive,
its ledger balances and its pools are as at the start."""
import contextlib
import random
import statistics
import time

import netns
from netattack import (ACK, FIN, LONG, PSH, RST, SYN, SYN_OPTIONS, URG, AttackLab, Side, counted,
                    good_client)
from lab import CLIENT4, GATE4, GATE6, ROUTES, quick, wait_for
from tap import case, check, equal, main, note
from wire import Client, request

SECONDS = 20 if LONG else quick(3, 2)
IP_ROUTES = '''
ip_routes: ( { destination = "10.66.0.0/16"; via = "10.77.1.2"; },
             { destination = "fd66::/32"; via = "fd77:1::2"; } );
'''


def spoofed(n, v=4):
    """n sources that do not answer, behind the client."""
    rng = random.Random(n + v)
    for _ in range(n):
        if v == 4:
            yield f'10.66.{rng.randrange(256)}.{rng.randrange(1, 255)}'
        else:
            yield f'fd66::{rng.randrange(1, 65536):x}:{rng.randrange(1, 65536):x}'


def syns(side, n=16384, port=80):
    rng = random.Random(1)
    for i, v in enumerate((4, 6)):
        for src in spoofed(n // 2, v):
            yield side.tcp(rng.randrange(1024, 65536), port, SYN, rng.randrange(1 << 32), src=src,
                           v=v, options=SYN_OPTIONS)


@contextlib.contextmanager
def dead_end(lab):
    """A cable in the client's namespace whose frames nobody takes: what a flood costs its sender."""
    netns.run(lab.client, ['ip', 'link', 'add', 'dead0', 'type', 'veth', 'peer', 'name', 'dead1'])
    for dev in ('dead0', 'dead1'):
        netns.run(lab.client, ['ip', 'link', 'set', dev, 'up'])
    try:
        yield 'dead0'
    finally:
        netns.run(lab.client, ['ip', 'link', 'del', 'dead0'])


@case(seconds=180)
def syn_flood_established_keep_their_throughput(lab):
    """The same load, with the flood into Tidegate and with the flood into a dead end, in turns: so
    the CPU that the sender takes from the load's own programs is the same in both."""
    with Side(lab) as side, dead_end(lab) as dead:
        frames = list(syns(side))
        rps = {'eth0': [], dead: []}
        for _ in range(5 if LONG else quick(3, 2)):
            for dev in rps:
                flood = side.flood(frames, 2.6, iface=dev)
                time.sleep(0.3)
                r = lab.wrk(seconds=2, conns=32, path='/1k')
                sent, rate = flood.result()
                check(r['errors'] == 0 and r['non2xx'] == 0, r['text'])
                rps[dev].append(r['rps'])
                note(f'{dev}: {r["rps"]:.0f} requests/s beside {rate:.0f} frames/s')
        kept = statistics.median(rps['eth0']) / statistics.median(rps[dead])
        note(f'established connections keep {100 * kept:.0f}% of their throughput')
        check(kept >= 0.8, f'only {100 * kept:.0f}% of the throughput')


@case
def syn_flood_new_clients_connect_by_cookies(lab):
    before = lab.stats()
    with Side(lab) as side, good_client(lab):
        sent, rate = side.flood(syns(side), SECONDS).result()
        note(f'{sent} SYNs, {rate:.0f} a second')
    after = lab.stats()
    grown = {k: after[f'server.{k}'] - before[f'server.{k}'] for k in
             ('tcp_cookies_sent', 'tcp_cookies_accepted', 'rx_packets')}
    note(str(grown))
    check(grown['tcp_cookies_accepted'] > 0, 'nobody came in by a cookie')


if __name__ == '__main__':
    main(lambda: AttackLab(routes=IP_ROUTES + ROUTES))
