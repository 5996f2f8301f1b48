"""A DNS server of the test's own (RFC 1035), over UDP and TCP, whose answers the test changes at any time."""
import ipaddress
import select
import socket
import struct
import threading

A, AAAA = 1, 28
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


class Name:
    """What is said of a name. silent: nothing at all. turns: and these addresses every other time."""

    def __init__(self, *addresses, ttl=3600, rcode=NOERROR, silent=False, turns=()):
        self.addresses, self.turns = ([ipaddress.ip_address(a) for a in s] for s in (addresses, turns))
        self.ttl, self.rcode, self.silent = ttl, rcode, silent


class NameServer:
    """udp and tcp: sockets on the same port, in the namespace where Tidegate's control core lives."""

    def __init__(self, udp, tcp):
        udp.bind(('127.0.0.1', 0))
        self.port = udp.getsockname()[1]
        tcp.bind(('127.0.0.1', self.port))
        tcp.listen(16)
        self.udp, self.tcp = udp, tcp
        self.names, self.lock = {}, threading.Lock()
        self.asked = {}  # {(name, type): how often}
        self._ending = False
        threading.Thread(target=self._run, daemon=True).start()

    def set(self, name, *addresses, **how):
        with self.lock:
            self.names[name] = Name(*addresses, **how)

    def count(self, name, kind=A):
        with self.lock:
            return self.asked.get((name, kind), 0)

    def close(self):
        self._ending = True

    def _run(self):
        conns = []
        while not self._ending:
            for s in select.select([self.udp, self.tcp, *conns], [], [], 0.5)[0]:
                if s is self.udp:
                    query, peer = s.recvfrom(4096)
                    answer = self._answer(query, 512)
                    if answer:
                        s.sendto(answer, peer)
                elif s is self.tcp:
                    conns.append(s.accept()[0])
                else:
                    try:
                        query = s.recv(4096)
                    except ConnectionResetError:
                        query = b''
                    answer = self._answer(query[2:], 65535) if query else None
                    if answer:
                        s.sendall(struct.pack('!H', len(answer)) + answer)
                    elif not query:
                        conns.remove(s)
                        s.close()
        for s in [self.udp, self.tcp, *conns]:
            s.close()

    def _answer(self, query, room):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += query[at] + 1
        name, kind = '.'.join(labels).lower(), struct.unpack_from('!H', query, at + 1)[0]
        with self.lock:
            self.asked[name, kind] = self.asked.get((name, kind), 0) + 1
            said = self.names.get(name) or Name(rcode=NXDOMAIN)
            if said.turns:
                said.addresses, said.turns = said.turns, said.addresses
        if said.silent:
            return None
        version = {A: 4, AAAA: 6}.get(kind)
        records = [b'\xc0\x0c' + struct.pack('!HHIH', kind, 1, said.ttl, len(a.packed)) + a.packed
                   for a in said.addresses if a.version == version and said.rcode == NOERROR]
        question, body = query[12:at + 5], b''.join(records)
        cut = 12 + len(question) + len(body) > room
        if cut:
            records, body = [], b''
        flags = 0x8400 | (0x0200 if cut else 0) | said.rcode
        return query[:2] + struct.pack('!HHHHH', flags, 1, len(records), 0, 0) + question + body


def make(lab):
    """In the gate's namespace of this lab."""
    return NameServer(lab.socket(kind=socket.SOCK_DGRAM, where=lab.gate), lab.socket(where=lab.gate))
