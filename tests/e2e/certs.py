"""Certificates for one test run, by the openssl command: nothing that expires is kept in the tree."""
import os
import ssl
import subprocess
import tempfile
import time

POLICY = '''
[ca]
default_ca=c
[c]
database={db}
new_certs_dir={tmp}
serial={serial}
default_md={md}
policy=p
unique_subject=no
[p]
commonName=optional
'''


def _openssl(*args, stdin=None):
    p = subprocess.run(['openssl', *args], input=stdin, capture_output=True, check=False)
    if p.returncode:
        raise AssertionError(f'openssl {" ".join(args)}: {p.stderr.decode()}')
    return p.stdout


def at(seconds):
    """Now and so many seconds, as start and end want it."""
    return time.strftime('%Y%m%d%H%M%SZ', time.gmtime(time.time() + seconds))


def serial(path):
    """The serial number of a certificate."""
    return int(_openssl('x509', '-noout', '-serial', '-in', path).decode().split('=')[1], 16)


def new_key(path, kind):
    """kind: ec (P-256), rsa (2048), rsaBITS, rsa-pss, ed25519, another curve (P-384)."""
    if kind in ('ed25519', 'rsa-pss'):
        _openssl('genpkey', '-algorithm', kind, '-out', path)
    elif kind.startswith('rsa'):
        _openssl('genrsa', '-out', path, kind[3:] or '2048')
    else:
        _openssl('genpkey', '-algorithm', 'EC', '-pkeyopt',
                 f'ec_paramgen_curve:{"P-256" if kind == "ec" else kind}', '-out', path)


class CA:
    """A certification authority in a folder: `path` is its certificate. above: PEM of the certificates
    between what it issues and the root, which go into the files of leaves."""

    def __init__(self, folder, name='ca', cn='Test CA', curve='P-256'):
        self._of(folder, name, '')
        _openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', f'ec_paramgen_curve:{curve}', '-nodes',
                 '-keyout', self.key, '-out', self.path, '-days', '2', '-subj', f'/CN={cn}',
                 '-addext', 'basicConstraints=critical,CA:TRUE',
                 '-addext', 'keyUsage=critical,keyCertSign,cRLSign')

    def _of(self, folder, name, above):
        self.dir, self.name, self.above = folder, name, above
        self.path = os.path.join(folder, f'{name}.crt')
        self.key = os.path.join(folder, f'{name}.key')
        return self

    @classmethod
    def there(cls, folder, name='ca'):
        """The authority that another process, or another CA object, made."""
        return cls.__new__(cls)._of(folder, name, '')

    def sub(self, name, pathlen=None, more=(), **kw):
        """An authority below this one."""
        self.issue(name, [], ca=True, usage='keyCertSign,cRLSign', pathlen=pathlen, more=more, **kw)
        with open(os.path.join(self.dir, f'{name}.crt'), encoding='ascii') as f:
            return CA.__new__(CA)._of(self.dir, name, f.read())

    def issue(self, name, sans, cn=None, key='ec', days=1, start=None, end=None, usage='digitalSignature',
              ca=False, pathlen=None, more=(), md='sha256'):
        """NAME.crt (with the chain below the root) and NAME.key: (certificate path, key path).
        sans: ["DNS:a", "URI:spiffe://..."]; start and end: YYYYMMDDHHMMSSZ; usage None: no key usage; more:
        further lines of extensions."""
        crt, pem = (os.path.join(self.dir, f'{name}.{x}') for x in ('crt', 'key'))
        new_key(pem, key)
        csr = _openssl('req', '-new', '-key', pem, '-subj', f'/CN={cn or name}')
        ext = ['basicConstraints=critical,CA:' + ('TRUE' if ca else 'FALSE')
               + (f',pathlen:{pathlen}' if pathlen is not None else '')]
        if usage:
            ext.append('keyUsage=critical,' + usage)
        if sans:
            ext.append('subjectAltName=' + ','.join(sans))
        ext += more
        with tempfile.TemporaryDirectory() as tmp:
            files = {x: os.path.join(tmp, x) for x in ('ext', 'csr', 'db', 'serial', 'conf')}
            for what, text in (('ext', '\n'.join(ext) + '\n'), ('csr', csr.decode()), ('db', ''),
                               ('serial', os.urandom(8).hex() + '\n'),
                               ('conf', POLICY.format(tmp=tmp, md=md, **{k: files[k] for k in ('db', 'serial')}))):
                with open(files[what], 'w', encoding='ascii') as f:
                    f.write(text)
            _openssl('ca', '-batch', '-config', files['conf'], '-in', files['csr'], '-cert', self.path,
                     '-keyfile', self.key, '-out', crt, '-notext', '-extfile', files['ext'], '-startdate',
                     start or at(-3600), '-enddate', end or at(86400 * days))
        with open(crt, 'a', encoding='ascii') as f:
            f.write(self.above)
        return crt, pem

    def crl(self, path, revoked=(), hours=24):
        """Writes this CA's revocation list: revoked are paths of certificates."""
        with tempfile.TemporaryDirectory() as tmp:
            files = {x: os.path.join(tmp, x) for x in ('db', 'number', 'conf', 'out')}
            open(files['db'], 'w', encoding='ascii').close()
            with open(files['number'], 'w', encoding='ascii') as f:
                f.write(os.urandom(8).hex() + '\n')
            with open(files['conf'], 'w', encoding='ascii') as f:
                f.write(f'[ca]\ndefault_ca=c\n[c]\ndatabase={files["db"]}\ncrlnumber={files["number"]}\n'
                        'default_md=sha256\n')
            common = ['ca', '-batch', '-config', files['conf'], '-cert', self.path, '-keyfile', self.key]
            for crt in revoked:
                _openssl(*common, '-revoke', crt)
            _openssl(*common, '-gencrl', '-crlhours', str(hours), '-out', files['out'])
            with open(files['out'], 'rb') as f, open(path + '.new', 'wb') as to:
                to.write(f.read())
        os.replace(path + '.new', path)


def self_signed(folder, name, sans):
    """NAME.crt and NAME.key, vouched for by nobody."""
    crt, pem = (os.path.join(folder, f'{name}.{x}') for x in ('crt', 'key'))
    _openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', pem,
             '-out', crt, '-days', '1', '-subj', f'/CN={name}', '-addext', 'basicConstraints=critical,CA:FALSE',
             '-addext', 'keyUsage=critical,digitalSignature', '-addext', 'subjectAltName=' + ','.join(sans))
    return crt, pem


def forged(folder, name, of):
    """NAME.crt and NAME.key: those of `of`, with the last byte of the signature changed."""
    with open(os.path.join(folder, f'{of}.crt'), encoding='ascii') as f:
        der = bytearray(ssl.PEM_cert_to_DER_cert(f.read()))
    der[-1] ^= 1
    with open(os.path.join(folder, f'{name}.crt'), 'w', encoding='ascii') as f:
        f.write(ssl.DER_cert_to_PEM_cert(bytes(der)))
    with open(os.path.join(folder, f'{of}.key'), encoding='ascii') as f, \
            open(os.path.join(folder, f'{name}.key'), 'w', encoding='ascii') as g:
        g.write(f.read())
