"""Certificates for one test run, by the openssl command: nothing that expires is kept in the tree."""
import os
import subprocess
import tempfile


def _openssl(*args, stdin=None):
    p = subprocess.run(['openssl', *args], input=stdin, capture_output=True, check=False)
    if p.returncode:
        raise AssertionError(f'openssl {" ".join(args)}: {p.stderr.decode()}')
    return p.stdout


class CA:
    """A certification authority in a folder: `path` is its certificate."""

    def __init__(self, folder, name='ca', cn='Test CA', curve='P-256'):
        self.dir, self.name = folder, name
        self.path = os.path.join(folder, f'{name}.crt')
        self.key = os.path.join(folder, f'{name}.key')
        _openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', f'ec_paramgen_curve:{curve}', '-nodes',
                 '-keyout', self.key, '-out', self.path, '-days', '2', '-subj', f'/CN={cn}',
                 '-addext', 'basicConstraints=critical,CA:TRUE',
                 '-addext', 'keyUsage=critical,keyCertSign,cRLSign')

    def issue(self, name, sans, cn=None, key='ec', days=1, start=None, end=None, usage=None,
              ca=False):
        """NAME.crt and NAME.key: (certificate path, key path). sans: ["DNS:a", "URI:spiffe://..."];
        start and end: YYYYMMDDHHMMSSZ."""
        crt, pem = (os.path.join(self.dir, f'{name}.{x}') for x in ('crt', 'key'))
        if key == 'rsa':
            _openssl('genrsa', '-out', pem, '2048')
        else:
            _openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256',
                     '-out', pem)
        csr = _openssl('req', '-new', '-key', pem, '-subj', f'/CN={cn or name}')
        ext = ['basicConstraints=critical,CA:' + ('TRUE' if ca else 'FALSE'),
               'keyUsage=critical,' + (usage or 'digitalSignature')]
        if sans:
            ext.append('subjectAltName=' + ','.join(sans))
        with tempfile.TemporaryDirectory() as tmp:
            files = {x: os.path.join(tmp, x) for x in ('ext', 'csr', 'db', 'serial', 'conf')}
            with open(files['ext'], 'w', encoding='ascii') as f:
                f.write('\n'.join(ext) + '\n')
            with open(files['csr'], 'wb') as f:
                f.write(csr)
            if start or end:
                open(files['db'], 'w', encoding='ascii').close()
                with open(files['serial'], 'w', encoding='ascii') as f:
                    f.write(os.urandom(8).hex() + '\n')
                with open(files['conf'], 'w', encoding='ascii') as f:
                    f.write(f'[ca]\ndefault_ca=c\n[c]\ndatabase={files["db"]}\nnew_certs_dir={tmp}\n'
                            f'serial={files["serial"]}\ndefault_md=sha256\npolicy=p\n'
                            'unique_subject=no\n[p]\ncommonName=supplied\n')
                _openssl('ca', '-batch', '-config', files['conf'], '-in', files['csr'], '-cert',
                         self.path, '-keyfile', self.key, '-out', crt, '-notext', '-extfile',
                         files['ext'], '-startdate', start or '20200101000000Z', '-enddate',
                         end or '20991231235959Z')
            else:
                _openssl('x509', '-req', '-in', files['csr'], '-CA', self.path, '-CAkey', self.key,
                         '-set_serial', '0x' + os.urandom(8).hex(), '-days', str(days),
                         '-extfile', files['ext'], '-out', crt)
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
