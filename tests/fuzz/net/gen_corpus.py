#!/usr/bin/python3
"""Writes corpus/: programs of fuzz_net.c made of the frames of the unit tests (vectors.hex)."""
from pathlib import Path

here = Path(__file__).parent
frames = dict(line.split() for line in (here / '../../unit/net/vectors.hex').read_text().splitlines()
              if not line.startswith('#'))


def frame(name, op=0x38):  # our MAC, right checksums
    b = bytes.fromhex(frames[name])
    return bytes([op]) + len(b).to_bytes(2, 'big') + b


def out(to, worker=0, keep=0, size=10):
    return bytes([2 | to << 2 | worker << 5 | keep << 6 | 0x80, size])


SECOND, MINUTE, RINGS = b'\x01\x09', b'\x01\xdb', b'\x07\x03'

programs = {
    'resolve': out(0) + out(1) + frame('arp_reply') + frame('na') + MINUTE + out(0) + out(1) + SECOND * 20,
    'resolve_fails': out(0) * 10 + out(1, 1, 1) + SECOND * 30 + out(0),
    'resolve_mirrored': out(0, 1) + out(1, 1) + frame('arp_reply') + frame('na', 0) + RINGS,
    'moved': out(0) + out(1) + frame('arp_reply') + frame('na') + frame('arp_gratuitous') +
             frame('na_other_no_override') + frame('na_other_override') + frame('ns', 0) + b'\x17' + MINUTE,
    'defend': frame('arp_conflict', 0) + frame('na_ours') + b'\x0b' + frame('mld_query', 0),
}
for stem in ['arp', 'ns', 'na', 'bad_arp', 'bad_n', 'bad_src', 'bad_ip', 'bad_opt', 'bad_ext', 'bad_frag', 'bad_tcp',
             'bad_icmp', 'err4', 'err6', 'frag4', 'frag6', 'tcp4', 'tcp6', 'echo', 'udp', 'sctp', 'bad_rh', 'bad_hbh']:
    names = [n for n in frames if n.startswith(stem)]
    programs['all_' + stem] = b''.join(frame(n, 0x30) + RINGS for n in names if len(frames[n]) < 600) + MINUTE
for k in (0, 1, 2):
    for v in '46':
        order = [(k + i) % 3 for i in range(3)]
        programs['fragments%s_%d' % (v, k)] = b''.join(frame('frag%s_%d' % (v, i)) for i in order) + RINGS
programs['chains'] = b''.join(frame(n, 0x78) for n in ('tcp4', 'tcp6_ext', 'echo4', 'echo6', 'arp_request', 'ns'))

(here / 'corpus').mkdir(exist_ok=True)
for name, b in programs.items():
    (here / 'corpus' / name).write_bytes(b)
