#!/usr/bin/python3
"""Upgrade: a WebSocket client and server that nobody here wrote, through a tunnel."""
import asyncio
import os
import time

from lab import GATE4, GATE6, Lab, wait_for
from origin import pattern
from tap import Skip, case, check, equal, main
from wire import Client, request

try:
    import websockets
except ImportError:
    websockets = None


def talk(lab, fn, addr=(GATE4, 80)):
    if websockets is None:
        raise Skip('python3-websockets is not installed')

    async def run():
        sock = lab.connect(addr)
        sock.setblocking(False)
        async with websockets.connect('ws://ws.test/chat', sock=sock, max_size=1 << 26,
                                      ping_interval=None) as ws:
            await fn(ws)
    asyncio.run(asyncio.wait_for(run(), 60))


@case
def messages_come_back(lab):
    async def fn(ws):
        for text in ('hello', '', 'ä' * 1000, 'x' * 100000):
            await ws.send(text)
            equal(await ws.recv(), text)
    talk(lab, fn)
    talk(lab, fn, (GATE6, 80))


@case
def binary_megabytes_both_ways(lab):
    async def fn(ws):
        data = pattern(5_000_000)
        for _ in range(3):
            await ws.send(data)
            check(await ws.recv() == data, 'message differs')
    talk(lab, fn)


@case
def pings_and_many_in_flight(lab):
    async def fn(ws):
        for i in range(500):
            await ws.send(str(i))
        for i in range(500):
            equal(await ws.recv(), str(i))
        await asyncio.wait_for(await ws.ping(), 5)
    talk(lab, fn)


@case
def many_at_once(lab):
    if websockets is None:
        raise Skip('python3-websockets is not installed')

    async def one(i):
        sock = lab.connect()
        sock.setblocking(False)
        async with websockets.connect('ws://ws.test/', sock=sock, ping_interval=None) as ws:
            for j in range(5):
                await ws.send(f'{i}/{j}')
                equal(await ws.recv(), f'{i}/{j}')

    async def run():
        await asyncio.gather(*(one(i) for i in range(100)))
    asyncio.run(asyncio.wait_for(run(), 60))
    wait_for(lambda: lab.stat('http.web.downstream_cx_upgrades_active') == 0, 'tunnels closed')


@case
def close_is_passed_on_and_logged(lab):
    async def fn(ws):
        await ws.close(4001, 'bye')
        equal(ws.close_code, 4001)
    talk(lab, fn)
    line = lab.wait_access('GET /chat')[-1]
    check('" 101 ' in line, line)


@case
def refused_upgrade_stays_http(lab):
    # An origin that does not know the protocol answers as to any request; the connection lives on.
    with Client(lab.connect()) as c:
        r = c.ask(request('GET', '/hello', 'nginx.test', fields=[
            ('Connection', 'upgrade'), ('Upgrade', 'websocket'), ('Sec-WebSocket-Version', '13'),
            ('Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ==')]))
        equal((r.status, r.body), (200, b'hello from nginx\n'))
        equal(c.ask(request('GET', '/hello', 'nginx.test')).status, 200)


@case
def client_vanishes_inside_a_tunnel(lab):
    key = 'dGhlIHNhbXBsZSBub25jZQ=='
    for _ in range(20):
        with Client(lab.connect()) as c:
            c.send(request('GET', '/', 'ws.test', fields=[
                ('Connection', 'Upgrade'), ('Upgrade', 'websocket'),
                ('Sec-WebSocket-Version', '13'), ('Sec-WebSocket-Key', key)]))
            r = c.response()
            equal(r.status, 101)
            equal(r.get('sec-websocket-accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
            c.send(os.urandom(10))
    end = time.monotonic() + 10
    while lab.stat('http.web.downstream_cx_upgrades_active') and time.monotonic() < end:
        time.sleep(0.05)
    equal(lab.stat('http.web.downstream_cx_upgrades_active'), 0)


if __name__ == '__main__':
    main(lambda: Lab(allowed={'conn_reset_by_peer', 'req_downstream_gone', 'req_cut_upstream',
                              'tcp_after_close', 'conn_aborted', 'conn_linger'}))
