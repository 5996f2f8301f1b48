#!/usr/bin/python3
"""All source ports towards one endpoint are taken: a clear refusal, counted, and nothing else suffers."""
import contextlib
import select
import socket
import struct
import threading

from lab import GATE4, GATE6, Background, Lab
from netattack import AttackLab, good_client
from origin import pattern
from tap import case, check, equal, main, note, wait_for
from wire import Client, Closed, request

N = 16
SOURCE_PORTS = f'source_ports = [40000, {40000 + N - 1}];'
CLIENTS = 60  # so many that either worker gets more of them than it has ports: 8
TEXT = b'no free source port'


def refused(lab):
    return lab.drops()[1]['conn_no_port']


def hold(lab, stack, host, ip):
    """CLIENTS requests, each of which takes a connection of its own for ever: the clients that got an answer
    instead."""
    clients = []
    for _ in range(CLIENTS):
        clients.append(stack.enter_context(Client(lab.connect((ip, 80)))))
        # Closed by a reset: after a mere FIN, the answer would be waited for.
        clients[-1].sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        clients[-1].send(request('GET', '/hang', host))

    def answered():
        return set(select.select([c.sock for c in clients], [], [], 0)[0])
    wait_for(lambda: len(answered()) >= CLIENTS - N, lambda: f'{CLIENTS - N} answers: {len(answered())}')
    now = answered()
    return [c for c in clients if c.sock in now]


def answers(lab, host, ip, n=30):
    """n requests at once over connections of their own are answered with 200."""
    with contextlib.ExitStack() as stack:
        for _ in range(n):
            c = stack.enter_context(Client(lab.connect((ip, 80))))
            c.send(request('GET', '/status/200', host))
            status = c.response().status
            if status != 200:
                return False
    return True


def http(lab, host, ip, other):
    before = refused(lab)
    with contextlib.ExitStack() as stack:
        unlucky = hold(lab, stack, host, ip)
        for c in unlucky:
            r = c.response()
            equal(r.status, 503)
            check(TEXT in r.body, r.body)
            check(r.keep_alive(), 'the connection of a refused client ends')
        # Other endpoints are not concerned, not even for a client that was refused.
        for c in unlucky:
            c.send(request('GET', '/hello', other))
            equal(c.response().body, b'hello from nginx\n')
        equal((len(unlucky), refused(lab) - before), (CLIENTS - N, CLIENTS - N), 'refused, counted')
    lines = lab.wait_access(f'"{host}"', CLIENTS)
    equal(len([x for x in lines if ' 503 UF ' in x]), CLIENTS - N, 'log lines with 503 UF')
    wait_for(lambda: answers(lab, host, ip), 'service comes back when ports are free', 20)


@case
def http_over_ipv4(lab):
    http(lab, 'py.test', GATE4, 'nginx.test')


@case
def http_over_ipv6(lab):
    http(lab, 'py6.test', GATE6, 'nginx6.test')


def carried(lab, stack):
    """A connection to the echo, or None: it was reset, as nothing could be dialled for it."""
    with contextlib.suppress(Closed, ConnectionError):
        c = stack.enter_context(Client(lab.connect((GATE4, 9001))))
        c.send(b'?')
        equal(c.exactly(1), b'?')
        return c
    return None


@case
def l4_and_ports_in_time_wait(lab):
    """Tidegate closes first, so the ports are in TIME-WAIT: taken again after a second (RFC 6191)."""
    before = refused(lab)
    failures = lab.drops()[1]['req_connect_failure']
    with contextlib.ExitStack() as stack:
        good = [c for c in (carried(lab, stack) for _ in range(CLIENTS)) if c]
        equal((len(good), refused(lab) - before), (N, CLIENTS - N), 'carried, refused')
        equal(lab.drops()[1]['req_connect_failure'] - failures, CLIENTS - N, 'each counted once')
        for c in good:  # they are not disturbed
            c.send(pattern(5000))
            equal(c.exactly(5000), pattern(5000), 'echo')
    lines = [x for x in lab.wait_access(':9001"', CLIENTS) if ' UF ' in x]
    equal(len(lines), CLIENTS - N, 'log lines with UF')

    def served():
        with contextlib.ExitStack() as stack:
            return carried(lab, stack)
    wait_for(served, 'an L4 connection after the ports are free', 20)
    note(f'conn_no_port: {refused(lab)}')


@case
def a_good_client_notices_nothing(_):
    """While an attacker keeps every port taken, and asks on and on for more."""
    def more(unlucky, stop):
        n = 0
        while not stop.wait(0.001):
            c = unlucky[n % len(unlucky)]
            c.send(request('GET', '/hang', 'py.test'))
            equal(c.response().status, 503)
            n += 1
        return n

    with AttackLab(dataplane=SOURCE_PORTS) as lab:
        with contextlib.ExitStack() as stack:
            unlucky = hold(lab, stack, 'py.test', GATE4)
            check(all(c.response().status == 503 for c in unlucky), 'not a 503')
            stop = threading.Event()
            attack = Background(more, unlucky, stop)
            try:
                with good_client(lab, seconds=2):
                    pass
            finally:
                stop.set()
            note(f'{attack.result()} more requests were refused meanwhile')
            check(refused(lab) >= CLIENTS - N + 100, 'the attack was none')
        lab.check_end()


if __name__ == '__main__':
    main(lambda: Lab(workers=2, dataplane=SOURCE_PORTS, allowed={
        'conn_no_port', 'req_connect_failure', 'req_downstream_gone', 'conn_reset_by_peer',
        'tcp_rst_blind'}))
