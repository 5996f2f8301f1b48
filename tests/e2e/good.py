#!/usr/bin/python3
"""A well-behaved client: connects, asks, is answered, again and again, and on one connection that
it keeps; until its standard input ends. Then it prints what happened, as JSON.

    good.py PORT HOST ADDRESS [ADDRESS ...]

Each connect is timed by the clock here, and by the kernel's: its estimate of the handshake's round
trip and the number of SYNs. A connect that was quick by the kernel's and slow by ours waited for a
CPU on this side, not for Tidegate.
"""
import json
import select
import socket
import struct
import sys
import time

PAUSE = 0.01
PATIENCE = 10.0


def tcp_info(s):
    """(round trip in ms, retransmitted segments), Linux struct tcp_info."""
    b = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return struct.unpack_from('I', b, 68)[0] / 1000, struct.unpack_from('I', b, 100)[0]


def ask(s, host, close):
    end = 'close' if close else 'keep-alive'
    s.sendall(f'GET /hello HTTP/1.1\r\nHost: {host}\r\nConnection: {end}\r\n\r\n'.encode())
    got = b''
    while not got.endswith(b'hello from nginx\n'):
        b = s.recv(65536)
        if not b:
            raise ConnectionError(f'closed after {got[:200]!r}')
        got += b
    if not got.startswith(b'HTTP/1.1 200 '):
        raise ValueError(got[:200].decode('latin-1'))


def connect(ip, port):
    s = socket.socket(socket.AF_INET6 if ':' in ip else socket.AF_INET)
    s.settimeout(PATIENCE)
    s.connect((ip, port))
    return s


def main():
    port, host, ips = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    kept = {ip: connect(ip, port) for ip in ips}
    took, prompt, failures, again, asked = [], [], [], 0, 0
    print('ready', flush=True)
    i = 0
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        ip = ips[i % len(ips)]
        i += 1
        try:
            t = time.monotonic()
            with connect(ip, port) as s:
                took.append((time.monotonic() - t) * 1000)
                rtt, retrans = tcp_info(s)
                again += retrans > 0
                # Late by this program's clock but not by the kernel's: it waited for a CPU itself.
                if not retrans:
                    prompt.append(min(took[-1], rtt))
                ask(s, host, True)
            ask(kept[ip], host, False)
            asked += 2
        except (OSError, ValueError) as e:
            failures.append(f'{ip}: {type(e).__name__}: {e}')
            if len(failures) > 5:
                break
    print(json.dumps({'connects': len(took), 'requests': asked, 'failures': failures,
                      'max_ms': max(took, default=0), 'prompt_max_ms': max(prompt, default=0),
                      'median_ms': sorted(took)[len(took) // 2] if took else 0,
                      'retransmitted': again}), flush=True)


if __name__ == '__main__':
    main()
