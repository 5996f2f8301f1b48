"""A SPIFFE Workload API server (agent/agent.js, on grpc-js) and SVIDs to serve."""
import base64
import json
import os
import queue
import shutil
import ssl
import subprocess
import threading
import time

import certs
import netns
from tap import check

HERE = os.path.dirname(os.path.abspath(__file__))
SVIDS, BUNDLES = 'FetchX509SVID', 'FetchX509Bundles'


def der(path):
    """All certificates of a PEM file, one behind the other."""
    with open(path, encoding='ascii') as f:
        text = f.read()
    end = '-----END CERTIFICATE-----\n'
    return b''.join(ssl.PEM_cert_to_DER_cert(c + end) for c in text.split(end) if c.strip())


def key_der(path):
    return subprocess.run(['openssl', 'pkcs8', '-topk8', '-nocrypt', '-in', path, '-outform', 'DER'],
                          capture_output=True, check=True).stdout


def b64(b):
    return base64.b64encode(b).decode()


class Domain:
    """A trust domain with one CA."""

    def __init__(self, folder, name, file):
        self.dir, self.name, self.file, self.n = folder, name, file, 0
        self.ca = certs.CA(folder, file, f'{file} of {name}')

    def issue(self, path, file=None, hours=1, sans=()):
        """An SVID of one hour: the name of its files."""
        self.n += 1
        file = file or f'{self.file}-{self.n}'
        end = time.strftime('%Y%m%d%H%M%SZ', time.gmtime(time.time() + hours * 3600))
        self.ca.issue(file, [f'URI:spiffe://{self.name}{path}', *sans], end=end)
        return file

    def svid(self, path, file=None, hint='', sans=('DNS:nginx.test',)):
        """(message, DER of the certificate)"""
        file = self.issue(path, file, sans=sans)
        crt = der(f'{self.dir}/{file}.crt')
        return {'spiffe_id': f'spiffe://{self.name}{path}', 'hint': hint, 'x509_svid': b64(crt),
                'x509_svid_key': b64(key_der(f'{self.dir}/{file}.key')), 'bundle': b64(self.bundle())}, crt

    def bundle(self):
        return der(self.ca.path)


class Agent:
    """The server; in a namespace, but a unix socket is seen from all."""

    def __init__(self, lab):
        self.lab, self.socket, self.proc = lab, f'{lab.dir}/agent.sock', None
        self.events, self.kept = None, []
        check(os.path.isdir(f'{HERE}/agent/node_modules'), 'grpc-js is not installed: run scripts/setup.sh')

    def start(self):
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        self.events, self.kept = queue.Queue(), []
        self.proc = netns.popen(self.lab.origin,
                                [shutil.which('node') or 'nodejs', f'{HERE}/agent/agent.js', f'unix:{self.socket}'],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lab.procs.append(self.proc)
        threading.Thread(target=self._read, args=(self.proc, self.events), daemon=True).start()
        self.wait('ready')

    @staticmethod
    def _read(proc, events):
        for line in proc.stdout:
            events.put(json.loads(line))

    def wait(self, event, call=None, seconds=30):
        """The next event of this kind; others before it are passed over."""
        end = time.monotonic() + seconds
        while True:
            try:
                e = self.kept.pop(0) if self.kept else self.events.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f'no {event} within {seconds} s') from None
            if e['event'] == event and call in (None, e.get('call')):
                return e

    def _tell(self, **what):
        """A call that comes meanwhile is still there to be waited for."""
        self.proc.stdin.write(json.dumps(what) + '\n')
        self.proc.stdin.flush()
        kept = [*self.kept]
        self.kept = []
        while (e := self.events.get(timeout=30))['event'] != 'said':
            kept.append(e)
        self.kept = kept

    def say(self, call, **fields):
        self._tell(call=call, say=fields)

    def raw(self, call, data):
        self._tell(call=call, raw=b64(data))

    def refuse(self, call, status, text=''):
        self._tell(call=call, status=status, text=text)

    def kill(self):
        self.proc.kill()
        self.proc.wait()
