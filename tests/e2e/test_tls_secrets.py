#!/usr/bin/python3
"""Secrets do not outlive their connection: after each way in which one can end, the whole memory of the process is
searched for what protected it. And a crash writes no core dump, which would have the private keys.

Both ends of the TLS are ours (tls_wire.py), so that all secrets are known. That the search finds them is shown while
the connections are open.
"""
import base64
import contextlib
import os
import re
import resource
import signal
import socket
import subprocess

from cryptography.hazmat.primitives import serialization

import certs
import tls_wire
import tls_wire12
import tlspeer
from lab import GATE4, ORIGIN4, Lab
from tap import case, check, equal, main, note, wait_for

PORT = 7000
PAIR = 'certificate = "server.crt"; private_key = "server.key";'
LISTENERS = f'''
  , {{ name = "new"; address = "10.77.1.1:443"; protocol = "http"; virtual_hosts = ["nginx"]; tls: {{ {PAIR} }}; }}
  , {{ name = "old"; address = "10.77.1.1:444"; protocol = "http"; virtual_hosts = ["nginx"];
      tls: {{ {PAIR} min_version = "1.2"; }}; }}
  , {{ name = "mutual"; address = "10.77.1.1:445"; protocol = "http"; virtual_hosts = ["nginx"];
      tls: {{ {PAIR} client_ca = "ca.crt"; require_client_certificate = true; }}; }}
  , {{ name = "front"; address = "10.77.1.1:8000"; protocol = "http"; virtual_hosts = ["front"]; }}
'''
VHOST = '''
  , { name = "front"; domains = ["*"];
      routes: ( { match: { prefix = "/old"; }; route: { cluster = "old"; }; },
                { match: { prefix = "/"; }; route: { cluster = "new"; }; } ); }
'''
CLUSTERS = f'''
  , {{ name = "new"; endpoints: ( {{ address = "10.77.2.2:{PORT}"; }} ); connect_timeout = "20s";
       tls: {{ ca = "ca.crt"; sni = "origin.test"; session_tickets = false; }}; }}
  , {{ name = "old"; endpoints: ( {{ address = "10.77.2.2:{PORT}"; }} ); connect_timeout = "20s";
       tls: {{ ca = "ca.crt"; sni = "origin.test"; min_version = "1.2"; session_tickets = false; }}; }}
'''
CHUNK = 1 << 16


def make_certs(lab):
    ca = certs.CA(lab.dir)
    ca.issue('server', ['DNS:nginx.test'])
    ca.issue('client', ['DNS:client.test'])
    ca.issue('origin', ['DNS:origin.test'])


# --- memory ---

def areas(pid):
    """(begin, end) of what the process can read and has written, or could have."""
    with open(f'/proc/{pid}/maps', encoding='ascii') as f:
        for line in f:
            span, mode, *_, name = (line.split(None, 5) + [''])[:6]
            if mode.startswith('rw') and '[v' not in name:
                yield tuple(int(x, 16) for x in span.split('-'))


def found(pid, secrets):
    """Names of those of {name: bytes} that stand in the memory, with how often."""
    left = {}
    longest = max(len(s) for s in secrets.values())
    with open(f'/proc/{pid}/mem', 'rb', 0) as f:
        for begin, end in areas(pid):
            tail = b''
            for at in range(begin, end, CHUNK):
                try:
                    f.seek(at)
                    b = f.read(min(CHUNK, end - at))
                except OSError:
                    break
                if not b.strip(b'\0'):
                    tail = b''
                    continue
                for name, s in secrets.items():
                    n = (tail + b).count(s)
                    if n:
                        left[name] = left.get(name, 0) + n
                tail = b[1 - longest:]
    return left


def key_of(half):
    """RFC 8446 section 7.3. The IV is the first record's nonce, and no secret."""
    return tls_wire.expand_label(half.h, half.secret, b'key', b'', tls_wire.SUITES[half.suite][1])


def secrets13(x, what):
    """Of a tls_wire.Client or Server."""
    out = {}
    halves = {'client handshake': x.hs[0], 'server handshake': x.hs[1]} if x.hs else {}
    if x.keys:
        halves |= {'client data': x.keys[0], 'server data': x.keys[1]}
    for name, h in halves.items():
        out[f'{what}: {name} secret'] = h.secret
        if 'data' in name:
            out[f'{what}: {name} key'] = key_of(h)
    for name in ('hs', 'master'):
        v = getattr(x.schedule, name)
        if v:
            out[f'{what}: {name}'] = v
    return out


def secrets12(x, what):
    out = {f'{what}: master': x.master}
    for i, k in enumerate(x.keys12):
        out[f'{what}: key {i}'] = k.key
    return out


# --- cases ---

def gone(lab):
    """No connection is open any more, nor lingers."""
    def none():
        s = lab.stats()
        return not any(v for k, v in s.items() if k.endswith('downstream_cx_active') or k == 'pool.tls_connection.in_use')
    wait_for(none, 'the end of all connections')


class Open:
    """Connections that are open at one time, and all their secrets."""

    def __init__(self, lab):
        self.lab, self.stack, self.all, self.secrets, self.begun = lab, contextlib.ExitStack(), [], {}, {}
        self.listener = self.stack.enter_context(lab.socket(where=lab.origin))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((ORIGIN4, PORT))
        self.listener.listen(8)
        self.listener.settimeout(10)

    def client(self, port, kind=tls_wire.Client):
        s = self.stack.enter_context(self.lab.connect((GATE4, port)))
        return kind(s, 10, pair=tls_wire.Pair(f'{self.lab.dir}/client'), seed=os.urandom(8).hex())

    def begin(self, name, port, start, kind=tls_wire.Client):
        """A client: start(it) makes the handshake."""
        c = self.client(port, kind)
        start(c)
        c.ask()
        self.all.append((c, b''))
        self.secrets |= (secrets12 if kind is tls_wire12.Client12 else secrets13)(c, name)
        return c

    def leave(self, name, hello, rest=b''):
        """A client that gives up before its Finished, or (rest) says something else there."""
        c = self.client(443)
        c.start(hello(c))
        c.raw(rest)
        c.finish()
        self.begun |= secrets13(c, name)

    def origin(self, name, kind):
        front = self.stack.enter_context(self.lab.connect((GATE4, 8000)))
        front.sendall(f'GET /{name} HTTP/1.1\r\nHost: front.test\r\n\r\n'.encode())
        s = kind(self.stack.enter_context(self.listener.accept()[0]), 10, tls_wire.Pair(f'{self.lab.dir}/origin'), seed=os.urandom(8).hex())
        s.open()
        s.request()
        self.all.append((s, tls_wire.RESPONSE))
        self.secrets |= (secrets12 if kind is tls_wire12.Server12 else secrets13)(s, f'origin, {name}')

    def look(self):
        """What protects data is there, and what protected the handshake is not."""
        there = found(self.lab.gate_pid(), self.secrets)
        for name in self.secrets:
            if ' data secret' in name or ': key ' in name:
                check(name in there, f'{name} is not found, but {sorted(there)}')
            elif ' data ' not in name:
                check(name not in there, f'{name} is kept after the handshake')

    def end(self):
        for x, last in self.all:
            if last:
                x.send(tls_wire.DATA, last)
            x.send(tls_wire.ALERT, b'\1\0')
        self.stack.close()
        gone(self.lab)
        left = found(self.lab.gate_pid(), self.secrets | self.begun)
        check(not left, f'in memory still: {left}')


def first(c):
    return c.hello(suites=(0x1301,)).encode()


def asked_again(c):
    """What HelloRetryRequest answers, and OpenSSL makes the handshake."""
    return c.hello(groups=(tls_wire.P256, tls_wire.X25519), shares=()).encode()


@case
def are_gone_when_connections_end(lab):
    """Clients: handshakes of our own, full and resumed, and OpenSSL's, where it was asked again and of TLS 1.2; those
    that were given up or refused; origins."""
    o = Open(lab)
    c = o.begin('full', 445, lambda c: c.open(first(c)))
    check(c.new_ticket, 'a ticket')

    def again(d):
        d.ticket = c.new_ticket
        d.open(d.bind(d.hello(suites=(0x1301,), psk=True)))
        check(d.resumed, 'resumed')
    o.begin('resumed', 445, again)
    o.secrets['the ticket\'s PSK'] = c.new_ticket[1]
    o.leave('given up', first)
    o.leave('refused', first, b'\x17\3\3\0\x40' + bytes(64))
    o.leave('asked again and given up', asked_again)
    o.leave('asked again and refused', asked_again, b'\x17\3\3\0\x40' + bytes(64))
    o.begin('TLS 1.2', 444, lambda c: c.open(), tls_wire12.Client12)
    o.origin('old', tls_wire12.Server12)
    o.origin('new', tls_wire.Server)
    o.begin('asked again', 443, lambda c: c.open(asked_again(c)))
    o.look()
    o.end()


# --- private keys ---

def forms_of(path):
    """A private key as it may lie in memory, or be written somewhere."""
    with open(path, 'rb') as f:
        pem = f.read()
    n = serialization.load_pem_private_key(pem, None).private_numbers().private_value
    big = n.to_bytes(32, 'big')
    body = b''.join(pem.splitlines()[1:-1])
    return {'its number': big[::-1], 'its DER': big, 'its PEM': pem.splitlines()[1], 'its base64': base64.b64encode(big),
            'its body': body, 'its digits': big.hex().encode(), 'its capital digits': big.hex().upper().encode()}


def shows(lab):
    """The serial number of the certificate that a client is shown."""
    ctx = tlspeer.client_context(lab)
    with ctx.wrap_socket(lab.connect((GATE4, 444)), server_hostname='nginx.test') as s:
        return int(s.getpeercert()['serialNumber'], 16)


@case
def of_keys_that_were_replaced_are_gone(lab):
    """Of the file nothing is kept but the key, and that as long as it is in use; nobody is told it, whatever he asks."""
    key, crt = f'{lab.dir}/server.key', f'{lab.dir}/server.crt'
    old, pid = forms_of(key), lab.gate_pid()
    there = found(pid, old)
    check('its number' in there, f'the search finds {sorted(there)}')
    check(set(there) <= {'its number'}, f'the file is kept: {sorted(there)}')
    certs.CA.there(lab.dir).issue('next', ['DNS:nginx.test'])
    with open(key, 'w', encoding='ascii') as f, open(f'{lab.dir}/next.key', encoding='ascii') as g:
        half = g.read()
        f.write(half[:len(half) // 2])  # something is wrong with it: that is said
    wait_for(lambda: 'server.key' in lab.log_text(), 'a complaint')
    now = {**forms_of(f'{lab.dir}/next.key'), **{f'{k}, old': v for k, v in old.items()}}
    for name in ('key', 'crt'):
        os.replace(f'{lab.dir}/next.{name}', f'{lab.dir}/server.{name}')
    new = certs.serial(crt)
    wait_for(lambda: shows(lab) == new, 'the new certificate')
    said = {'the log': lab.log_text()}
    for path in re.findall(r'^\s*(/[a-z_/]+)', lab.get('/help')[1], re.M):
        said[path] = lab.get(path)[1]  # what changes something wants a POST
    check({'/certs', '/config_dump', '/stats'} <= set(said), f'the admin interface has {sorted(said)}')
    for where, text in said.items():
        for name, secret in now.items():
            check(secret not in text.encode('utf-8', 'surrogateescape'), f'{name} is in {where}')
    gone(lab)
    wait_for(lambda: not found(pid, old), lambda: f'the old key to be gone: {found(pid, old)}')


def ends_by(proc):
    """os.CLD_DUMPED or os.CLD_KILLED: how SIGABRT ends it."""
    proc.send_signal(signal.SIGABRT)
    how = os.waitid(os.P_PID, proc.pid, os.WEXITED | os.WNOWAIT).si_code
    proc.wait()
    return how


@case
def are_not_in_core_dumps(lab):
    """Unless they are wanted."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    os.chdir(lab.dir)  # where dumps go, as a rule
    with subprocess.Popen(['sleep', '100']) as p:
        if ends_by(p) != os.CLD_DUMPED:
            note(f'no process dumps core here (limit {hard}): nothing to see')
            return
    equal(lab.terminate(), 0, 'exit status')
    for more, how in (('core_dumps = true;', os.CLD_DUMPED), ('', os.CLD_KILLED)):
        lab.subst['dataplane'] = more
        lab.start()
        with open(f'/proc/{lab.gate_pid()}/coredump_filter', 'w', encoding='ascii') as f:
            f.write('0')  # a small one
        equal(ends_by(lab.proc), how, more)
    lab.start()
    lab.exit_code = None


if __name__ == '__main__':
    main(lambda: Lab(before=make_certs, workers=1, extra_listeners=LISTENERS, extra_vhosts=VHOST, extra_clusters=CLUSTERS, allowed=None))
