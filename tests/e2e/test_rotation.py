#!/usr/bin/python3
"""Certificate, key and CA files change under load: used from the next handshake on, and no request fails."""
import contextlib
import os
import shutil
import ssl
import string
import time

import certs
from lab import GATE4, VHOSTS, Lab
from tap import case, check, equal, main, wait_for
from tlsload import Load, ask, becomes, context, handshake, shown

# Each listener has its files in another kind of place.
LISTENERS = """
  , { name = "plain"; address = "10.77.1.1:443"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificate = "plain/tls.crt"; private_key = "plain/tls.key"; client_ca = "plain/ca.crt"; }; }
  , { name = "swapped"; address = "10.77.1.1:444"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificate = "k8s/tls.crt"; private_key = "k8s/tls.key"; }; }
""" + (TICKETS := """
  , { name = "tickets"; address = "10.77.1.1:445"; protocol = "http"; virtual_hosts = [$vhosts];
      tls: { certificate = "tickets/tls.crt"; private_key = "tickets/tls.key"; client_ca = "ca.crt";
             session_ticket_keys = ["tickets/new.key", "tickets/old.key"]; }; }
""")
SANS = ['DNS:nginx.test']


class Files:
    """The lab's certificates."""

    def __init__(self, folder):
        self.dir = folder
        self.ca = certs.CA(folder)
        self.other = certs.CA(folder, 'other', 'Other CA')
        self.n = 0
        self.ca.issue('client', ['DNS:client'])
        self.other.issue('stranger', ['DNS:stranger'])

    def issue(self):
        """A new pair: (certificate, key, serial)."""
        self.n += 1
        crt, key = self.ca.issue(f'new{self.n}', SANS)
        with open(crt, encoding='ascii') as f:
            der = ssl.PEM_cert_to_DER_cert(f.read())
        return crt, key, der

    def bytes(self, *names):
        got = b''
        for name in names:
            with open(os.path.join(self.dir, name), 'rb') as f:
                got += f.read()
        return got


def write(path, data):
    """In place: truncated, then written."""
    with open(path, 'wb') as f:
        f.write(data)


def rename_over(path, data):
    write(path + '.tmp', data)
    os.replace(path + '.tmp', path)


def generation(lab, crt, key):
    """A new folder of Kubernetes' kind, swapped in at once."""
    root = f'{lab.dir}/k8s'
    new = f'..{time.monotonic_ns()}'
    os.mkdir(f'{root}/{new}')
    shutil.copy(crt, f'{root}/{new}/tls.crt')
    shutil.copy(key, f'{root}/{new}/tls.key')
    old = os.readlink(f'{root}/..data') if os.path.islink(f'{root}/..data') else None
    os.symlink(new, f'{root}/..data_tmp')
    os.rename(f'{root}/..data_tmp', f'{root}/..data')
    if old:
        shutil.rmtree(f'{root}/{old}')


def share_tickets(lab, keys):
    """A certificate of this process's own, the keys of tickets of all."""
    crt, key, _ = lab.files.issue()
    os.mkdir(f'{lab.dir}/tickets')
    shutil.copy(crt, f'{lab.dir}/tickets/tls.crt')
    shutil.copy(key, f'{lab.dir}/tickets/tls.key')
    for name, data in zip(('new', 'old'), keys):
        rename_over(f'{lab.dir}/tickets/{name}.key', data)


def before(lab):
    lab.files = f = Files(lab.dir)
    os.mkdir(f'{lab.dir}/plain')
    os.mkdir(f'{lab.dir}/k8s')
    crt, key, _ = f.issue()
    shutil.copy(crt, f'{lab.dir}/plain/tls.crt')
    shutil.copy(key, f'{lab.dir}/plain/tls.key')
    shutil.copy(f'{lab.dir}/ca.crt', f'{lab.dir}/plain/ca.crt')
    generation(lab, crt, key)
    lab.keys = [os.urandom(80), os.urandom(80)]
    share_tickets(lab, lab.keys)
    os.chmod(f'{lab.dir}/tickets/old.key', 0o600)
    for name in ('tls.crt', 'tls.key'):
        os.symlink(f'..data/{name}', f'{lab.dir}/k8s/{name}')


def logged(lab, text, n):
    wait_for(lambda: lab.log_text().count(text) >= n, f'the log to say {text!r} {n} times', 20)


@case
def files_are_watched(lab):
    check('compared each second' not in lab.log_text(), 'inotify is not used')


@case
def keys_that_all_may_read(lab):
    logged(lab, 'tickets/new.key: everybody on this machine may read this key', 1)
    check('old.key: everybody' not in lab.log_text(), 'a warning about a file that only root may read')


@case
def written_in_place(lab):
    with Load(lab, 443) as load:
        for _ in range(3):
            crt, key, der = lab.files.issue()
            write(f'{lab.dir}/plain/tls.key', lab.files.bytes(key))
            write(f'{lab.dir}/plain/tls.crt', lab.files.bytes(crt))
            becomes(lab, 443, der, load)


@case
def renamed_over(lab):
    with Load(lab, 443) as load:
        for _ in range(3):
            crt, key, der = lab.files.issue()
            rename_over(f'{lab.dir}/plain/tls.crt', lab.files.bytes(crt))
            rename_over(f'{lab.dir}/plain/tls.key', lab.files.bytes(key))
            becomes(lab, 443, der, load)


@case
def links_are_swapped(lab):
    with Load(lab, 444) as load:
        for _ in range(3):
            crt, key, der = lab.files.issue()
            generation(lab, crt, key)
            becomes(lab, 444, der, load)


@case
def the_key_comes_long_before_the_certificate(lab):
    fault = 'the key does not belong to the certificate'
    before_ = lab.log_text().count(fault)
    crt, key, der = lab.files.issue()
    with Load(lab, 443) as load:
        old = shown(lab, 443)
        rename_over(f'{lab.dir}/plain/tls.key', lab.files.bytes(key))
        logged(lab, fault, before_ + 1)
        equal(shown(lab, 443), old, 'the old pair stays in use')
        # Each second it is tried again; that is not said again.
        tries = lab.stat('tls.rotation_failures')
        wait_for(lambda: lab.stat('tls.rotation_failures') >= tries + 2, 'two more tries', 20)
        equal(lab.log_text().count(fault), before_ + 1, 'lines about it')
        rename_over(f'{lab.dir}/plain/tls.crt', lab.files.bytes(crt))
        becomes(lab, 443, der, load)


@case
def half_a_file_is_not_read(lab):
    """A bundle of two CAs is written slowly, cut between the two, while another file changes."""
    both = lab.files.bytes('other.crt'), lab.files.bytes('ca.crt')

    def let_in(cert):
        with contextlib.suppress(ssl.SSLError):
            with handshake(lab, 443, cert) as s:
                ask(s)
                return True
        return False
    check(let_in('client') and not let_in('stranger'), 'whom the old bundle lets in')
    failures, done = lab.stat('tls.rotation_failures'), lab.stat('tls.rotations')
    with Load(lab, 443) as load, open(f'{lab.dir}/plain/ca.crt', 'wb', buffering=0) as f:
        f.write(both[0])
        crt, key, der = lab.files.issue()
        generation(lab, crt, key)
        seen = load.n
        wait_for(lambda: load.n > seen + 50 or load.failed, 'more requests')
        check(let_in('client'), 'the CA that was not written yet is still believed')
        f.write(both[1])
        f.close()
        becomes(lab, 444, der, load)
    check(let_in('client') and let_in('stranger'), 'whom the new bundle lets in')
    equal((lab.stat('tls.rotation_failures'), lab.stat('tls.rotations')), (failures, done + 1))


@case
def a_file_that_is_no_certificate(lab):
    old = shown(lab, 443)
    before_ = lab.log_text().count('holds no certificate in PEM form')
    good = lab.files.bytes('plain/tls.crt')
    with Load(lab, 443):
        write(f'{lab.dir}/plain/tls.crt', b'not a certificate\n')
        logged(lab, 'holds no certificate in PEM form', before_ + 1)
        equal(shown(lab, 443), old)
        write(f'{lab.dir}/plain/tls.crt', good)
        logged(lab, 'the files are again what is in use', 1)
    equal(shown(lab, 443), old)


@case
def a_directory_goes_and_comes_back(lab):
    crt, key, der = lab.files.issue()
    gone = lab.log_text().count('plain/tls.crt: cannot be opened')
    with Load(lab, 443) as load:
        old = shown(lab, 443)
        shutil.copy(f'{lab.dir}/plain/ca.crt', f'{lab.dir}/kept.crt')
        shutil.rmtree(f'{lab.dir}/plain')
        logged(lab, 'plain/tls.crt: cannot be opened', gone + 1)
        equal(shown(lab, 443), old)
        os.mkdir(f'{lab.dir}/plain')
        shutil.copy(f'{lab.dir}/kept.crt', f'{lab.dir}/plain/ca.crt')
        shutil.copy(crt, f'{lab.dir}/plain/tls.crt')
        shutil.copy(key, f'{lab.dir}/plain/tls.key')
        becomes(lab, 443, der, load)


@case
def a_ca_that_is_withdrawn(lab):
    """New handshakes are refused with unknown_ca, counted and logged; who was let in stays until it expires."""
    s = handshake(lab, 443, 'stranger')
    ask(s)
    before_ = lab.stat('drop.tls_unknown_ca')
    rename_over(f'{lab.dir}/plain/ca.crt', lab.files.bytes('ca.crt'))

    def refused():
        try:
            with handshake(lab, 443, 'stranger') as other:
                ask(other)
                return False
        except ssl.SSLError as e:
            check('unknown ca' in str(e), str(e))
            return True
    wait_for(refused, 'the refusal', 20, 0.02)
    check(lab.stat('drop.tls_unknown_ca') > before_, 'counted')
    logged(lab, 'peer "CN=stranger": unable to get local issuer certificate', 1)
    ask(s)
    s.close()
    with handshake(lab, 443, 'client') as s:
        ask(s)


def meet(lab, ctx, session=None):
    """A request by mTLS: (whether it was resumed, the session for the next one)."""
    s = ctx.wrap_socket(lab.connect((GATE4, 445)), server_hostname='nginx.test', session=session)
    with s:
        ask(s)
        return s.session_reused, s.session


def rotate(lab, fresh):
    """The newest key becomes the old one, as one would do it by hand."""
    for name, key in (('old', lab.keys[0]), ('new', fresh)):
        done = lab.stat('tls.rotations')
        rename_over(f'{lab.dir}/tickets/{name}.key', key)
        wait_for(lambda done=done: lab.stat('tls.rotations') > done, 'the rotation', 20)
    lab.keys = [fresh, lab.keys[0]]


@case
def keys_of_tickets_rotate(lab):
    ctx = context(lab, 'client')
    _, old = meet(lab, ctx)
    equal(meet(lab, ctx, old)[0], True, 'resumed with the key that made it')
    rotate(lab, os.urandom(80))
    resumed, fresh = meet(lab, ctx, old)
    equal(resumed, True, 'resumed after one rotation')
    rotate(lab, os.urandom(80))
    equal(meet(lab, ctx, old)[0], False, 'resumed after the key has left the files')
    equal(meet(lab, ctx, fresh)[0], True, 'resumed with the ticket that was given instead')


@case
def keys_of_tickets_that_are_wrong(lab):
    ctx = context(lab, 'client')
    _, session = meet(lab, ctx)
    write(f'{lab.dir}/tickets/new.key', os.urandom(79))
    logged(lab, 'tickets/new.key: has 79 bytes, and a key for tickets has 80', 1)
    equal(meet(lab, ctx, session)[0], True, 'the keys that were there stay')
    write(f'{lab.dir}/tickets/new.key', lab.keys[0])


@case
def tickets_are_good_at_another_process(lab):
    """And at this one after a start anew."""
    ctx = context(lab, 'client')

    def prepare(other):
        other.files = lab.files
        shutil.copy(f'{lab.dir}/ca.crt', f'{other.dir}/ca.crt')
        share_tickets(other, lab.keys)
    vhosts = ', '.join(f'"{v}"' for v in VHOSTS)
    with Lab(before=prepare, extra_listeners=string.Template(TICKETS).substitute(vhosts=vhosts),
             allowed=('tls_truncated',)) as other:
        _, session = meet(lab, ctx)
        resumed, session = meet(other, ctx, session)
        equal(resumed, True, 'the ticket of the first process, at the second')
        equal(other.stat('server.tls_resumed'), 1, 'counted')
        resumed, session = meet(lab, ctx, session)
        equal(resumed, True, 'the ticket of the second process, at the first')
        other.check_end()
    lab.wait_quiet()
    equal(lab.terminate(), 0, 'exit status')
    lab.start()
    lab.exit_code = None
    equal(meet(lab, ctx, session)[0], True, 'after a start anew')


def make_lab():
    vhosts = ', '.join(f'"{v}"' for v in VHOSTS)
    return Lab(before=before, extra_listeners=string.Template(LISTENERS).substitute(vhosts=vhosts),
               allowed=('tls_unknown_ca', 'tls_truncated', 'tls_closed', 'conn_reset_by_peer',
                        'req_downstream_gone'))


if __name__ == '__main__':
    main(make_lab)
