#!/usr/bin/python3
"""Memory short by ten times: Tidegate refuses in its order (idle connections closed, 503, SYNs
dropped), counts each under its name, and serves all again when the load falls."""
import socket
import struct
import time

from lab import GATE4, Lab, wait_for
from netattack import counted, mbufs, pool_size
from tap import case, check, equal, main, note
from wire import Client, Closed, request

CONNS = 400  # what the pool has; the load wants ten times that
GET = request('GET', '/hello', 'nginx.test')
HANG = request('GET', '/hang', 'py.test')
SHED, REFUSED, DROPPED = 'conn_shed', 'conn_no_memory', 'tcp_syn_dropped'


def serves(lab):
    with Client(lab.connect()) as c:
        r = c.ask(GET)
        equal((r.status, r.body), (200, b'hello from nginx\n'))


def reset_all(clients):
    """A FIN would only say that no more requests come: who waits for an answer goes on waiting."""
    for c in clients:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        c.close()


def outcome(c):
    """What became of a request: its status, 'closed' or 'waiting'."""
    c.sock.settimeout(0.01)
    try:
        return c.response().status
    except Closed as e:
        return 'waiting' if e.how == 'silence' else 'closed'


@case
def idle_connections_go_first_then_503_then_syns(lab):
    now = counted(lab)
    clients = []
    try:
        # Idle ones without end: each new one is served, the oldest idle ones make room.
        for _ in range(10 * CONNS):
            c = Client(lab.connect())
            clients.append(c)
            equal(c.ask(GET).status, 200)
        got = now()
        note(f'{len(clients)} idle connections: {got}')
        check(got.get(SHED, 0) >= 8 * CONNS, f'idle ones closed: {got}')
        check(not got.get(REFUSED) and not got.get(DROPPED), f'more than idle ones: {got}')
        check(lab.pools()[('tcb', 0)] <= CONNS, 'more than there are')
        for c in clients[-10:]:  # those used last are still there
            equal(c.ask(GET).status, 200)
        # Busy ones: no idle one is left to close, so requests are refused.
        busy = []
        for _ in range(CONNS):
            c = Client(lab.connect())
            c.send(HANG)
            busy.append(c)
            if now().get(REFUSED):
                break
        clients += busy
        got = now()
        note(f'{len(busy)} busy connections: {got}')
        check(got.get(REFUSED, 0) > 0, f'no 503: {got}')
        check(not got.get(DROPPED), f'SYNs dropped before a request was refused: {got}')
        wait_for(lambda: any(outcome(c) == 503 for c in busy), 'a 503', 5)
        # More of them than can even be told so: their SYNs are dropped.
        socks = []
        for _ in range(CONNS):
            s = lab.socket()
            s.setblocking(False)
            s.connect_ex((GATE4, 80))
            socks.append(s)
            if now().get(DROPPED):
                break
            for t in socks:
                try:
                    t.send(b'G')
                except OSError:
                    pass
        clients += [Client(s) for s in socks]
        wait_for(lambda: now().get(DROPPED), lambda: f'dropped SYNs: {now()}', 10)
        note(f'then {len(socks)} that never finish: {now()}')
        check(lab.proc.poll() is None, 'it died')
    finally:
        reset_all(clients)
    wait_for(lambda: lab.pools()[('tcb', 0)] < CONNS // 4, 'the load falls', 20)
    now = counted(lab)
    for _ in range(CONNS):
        serves(lab)
    got = now()
    check(not got.get(SHED) and not got.get(REFUSED) and not got.get(DROPPED), f'still refusing: {got}')


@case
def what_stands_still_goes_when_buffers_are_short(_):
    """Readers that read nothing hold buffers for as long as they like, until there are too few. Each holds a
    small share by then, so it takes many: more connections than the other case wants to have."""
    with Lab(memory='150MiB', allowed=None, empty_seconds=80, dataplane='max_connections = 3000;') as lab:
        stands_still(lab)
        lab.check_end()


def stands_still(lab):
    now = counted(lab)
    total = pool_size(lab, 'mbuf')
    get = request('GET', '/bytes/3000000', 'py.test')
    held = []
    try:
        most = 0
        end = time.monotonic() + 20
        while time.monotonic() < end and not now().get('req_shed'):
            if len(held) < 1400:
                c = Client(lab.connect(rcvbuf=2048))
                c.send_some(get)
                held.append(c)
            if len(held) % 20 == 0 or len(held) == 1400:
                most = max(most, mbufs(lab))
        got = now()
        note(f'{len(held)} readers that stand still: at most {most} of {total} buffers; {got}')
        check(got.get('req_shed', 0) > 0, f'not shed: {got}')
        serves(lab)
    finally:
        reset_all(held)
    wait_for(lambda: mbufs(lab) < total / 2, 'the buffers to come back', 20)
    now = counted(lab)
    for _ in range(100):
        serves(lab)
    got = now()
    check(not got.get('req_shed') and not got.get('req_no_memory') and not got.get(DROPPED),
          f'still refusing: {got}')


if __name__ == '__main__':
    main(lambda: Lab(memory='100MiB', allowed=None, empty_seconds=80,
                     dataplane=f'max_connections = {CONNS};'))
