"""Packet scripts: opening."""
import segment as sg
from tcpscript import check

SCRIPTS = []


def script(fn):
    SCRIPTS.append(fn)
    return fn


FULL = ['mss', 'sackOK', 'TS', 'nop', 'wscale']


@script
def synack_all_options(p):
    p.syn()
    s = p.expect('S.', ack=1, mss=1440 if p.v6 else 1460, wscale=7, order=FULL,
                 win=64260 if p.v6 else 65160, data=b'')
    check(abs(s.opts.ts[1] - p.now_ts()) < 2000, 'echo')
    check((s.ttl, s.tos, s.df) == (64, 0, True), f'ttl {s.ttl} tos {s.tos} df {s.df}')


@script
def synack_echoes_timestamp(p):
    p.send('S', opts=sg.mss(1460) + sg.SACK_OK + sg.ts(0x12345678, 0xffffffff), seq=0)
    s = p.expect('S.', ack=1)
    check(s.opts.ts[1] == 0x12345678, f'echo {s.opts.ts[1]:#x}')


@script
def synack_no_options(p):
    p.syn(mss=None, sack=False, ts=False, wscale=None)
    p.expect('S.', ack=1, order=['mss'], win=64800 if p.v6 else 64240)


@script
def synack_only_mss(p):
    p.syn(mss=1460, sack=False, ts=False, wscale=None)
    p.expect('S.', ack=1, order=['mss'])


@script
def synack_mss_and_sack(p):
    p.syn(ts=False, wscale=None)
    p.expect('S.', ack=1, order=['mss', 'nop', 'nop', 'sackOK'])


@script
def synack_mss_and_ts(p):
    p.syn(sack=False, wscale=None)
    p.expect('S.', ack=1, order=['mss', 'nop', 'nop', 'TS'])


@script
def synack_mss_and_wscale(p):
    p.syn(sack=False, ts=False)
    p.expect('S.', ack=1, order=['mss', 'nop', 'wscale'])


@script
def synack_sack_and_wscale(p):
    p.syn(ts=False)
    p.expect('S.', ack=1, order=['mss', 'nop', 'nop', 'sackOK', 'nop', 'wscale'])


@script
def wscale_above_14_is_14(p):
    """RFC 7323 section 2.3: the window that 15 stands for is that of 14."""
    p.syn(opts=sg.mss(1460) + sg.NOP + sg.wscale(15), win=65535)
    p.expect('S.', ack=1, wscale=7)
    p.ack = 1
    p.send('.', win=2)
    p.accept()
    p.app.write(60000)
    segs = p.burst()
    n = sum(s.len for s in segs)
    check(n == 14600 or n == 10 * (1440 if p.v6 else 1460), f'{n} bytes: 2 << 14 is enough for 10')


@script
def options_padded_oddly(p):
    p.syn(opts=sg.NOP * 3 + sg.mss(1000) + sg.NOP + sg.SACK_OK + sg.NOP + sg.wscale(2) + sg.NOP)
    p.expect('S.', ack=1, order=['mss', 'nop', 'nop', 'sackOK', 'nop', 'wscale'])


@script
def options_after_eol_do_not_count(p):
    p.syn(opts=sg.mss(1000) + sg.EOL + sg.wscale(7) + sg.SACK_OK)
    p.expect('S.', ack=1, order=['mss'])


@script
def option_of_length_0(p):
    p.syn(opts=sg.mss(1000) + bytes((254, 0)) + sg.SACK_OK)
    p.expect('S.', ack=1, order=['mss'])


@script
def option_of_length_1(p):
    p.syn(opts=sg.SACK_OK + bytes((77, 1)) + sg.mss(1000))
    p.expect('S.', ack=1, order=['mss', 'nop', 'nop', 'sackOK'])


@script
def option_over_the_end(p):
    p.syn(opts=sg.SACK_OK + sg.NOP * 4 + bytes((2, 4)))
    p.expect('S.', ack=1, order=['mss', 'nop', 'nop', 'sackOK'])


@script
def unknown_options_and_fast_open_request(p):
    p.syn(opts=sg.mss(1460) + bytes((34, 2)) + bytes((253, 6, 1, 2, 3, 4)) + sg.SACK_OK + sg.NOP * 2)
    p.expect('S.', ack=1, order=['mss', 'nop', 'nop', 'sackOK'])


@script
def wrong_length_mss_is_ignored(p):
    p.syn(opts=bytes((2, 3, 1)) + sg.NOP)
    p.expect('S.', ack=1)
    p.ack = 1
    p.send('.')
    p.accept()
    p.app.write(5000)
    s = p.expect('.', seq=1)
    check(s.len == (1220 if p.v6 else 536), f'{s.len} bytes')


@script
def mss_zero_is_the_default(p):
    p.open(mss=0, sack=False, ts=False, wscale=None)
    p.app.write(5000)
    s = p.expect('.', seq=1)
    check(s.len == (1220 if p.v6 else 536), f'{s.len} bytes')


@script
def mss_tiny_is_48(p):
    p.open(mss=1, sack=False, ts=False, wscale=None)
    p.app.write(1000)
    s = p.expect('.', seq=1)
    check(s.len == 48, f'{s.len} bytes')


@script
def mss_of_the_peer_less_timestamps(p):
    p.open(mss=1000)
    p.app.write(5000)
    s = p.expect('.', seq=1)
    check(s.len == 988, f'{s.len} bytes')


@script
def data_on_syn_is_not_taken(p):
    p.syn(data=b'hello')
    p.expect('S.', ack=1)


@script
def ecn_setup_syn(p):
    p.syn(flags='SEW')
    p.expect('S.E', ack=1)


@script
def ecn_setup_syn_on_ect_packet(p):
    p.send('SEW', opts=sg.mss(1460), seq=0, tos=1)
    s = p.get()
    check(s is not None and s.flags & sg.SYN, 'no SYN-ACK')


@script
def syn_with_ece_only(p):
    p.syn(flags='SE')
    p.expect('S.', ack=1)


@script
def syn_with_psh_urg(p):
    p.syn(flags='SPU')
    p.expect('S.', ack=1)


@script
def syn_fin_to_a_listener(p):
    p.syn(flags='SF')
    p.silence(0.3)


@script
def syn_rst_to_a_listener(p):
    p.syn(flags='SR')
    p.silence(0.3)


@script
def null_segment_to_a_listener(p):
    p.send('', seq=0)
    p.silence(0.3)


@script
def fin_to_a_listener(p):
    p.send('F', seq=0)
    p.silence(0.3)


@script
def christmas_tree_to_a_listener(p):
    p.send('FPU', seq=0, urg=1)
    p.silence(0.3)


@script
def ack_to_a_listener(p):
    p.irs = 0
    p.send('.', seq=1, ack=1000)
    s = p.expect('R')
    check(s.raw_seq == 1000, f'seq {s.raw_seq}')


@script
def synack_to_a_listener(p):
    p.irs = 0
    p.send('S.', seq=1, ack=1000)
    s = p.expect('R')
    check(s.raw_seq == 1000, f'seq {s.raw_seq}')


@script
def rst_to_a_listener(p):
    p.send('R', seq=0)
    p.silence(0.2)


def _closed(p):
    p.dport = 4


@script
def closed_port_syn(p):
    _closed(p)
    p.syn(data=b'abc')
    s = p.expect('R.', ack=4, win=0, order=[])
    check(s.raw_seq == 0, 'sequence number')


@script
def closed_port_ack(p):
    _closed(p)
    p.irs = 0
    p.send('.', b'data', seq=5, ack=77)
    s = p.expect('R', win=0)
    check(s.raw_seq == 77 and s.raw_ack == 0, f'{s.raw_seq} {s.raw_ack}')


@script
def closed_port_fin(p):
    _closed(p)
    p.send('F', b'xy', seq=5)
    p.expect('R.', ack=8)


@script
def closed_port_null(p):
    _closed(p)
    p.send('', b'xy', seq=5)
    p.expect('R.', ack=7)


@script
def closed_port_christmas_tree(p):
    _closed(p)
    p.send('FPU', seq=5, urg=3)
    p.expect('R.', ack=6)


@script
def closed_port_rst(p):
    _closed(p)
    p.send('R', seq=5)
    p.silence(0.2)


@script
def synack_retransmissions(p):
    p.syn()
    first = p.expect('S.')
    p.from_segment(first)
    for at in (1, 3, 7):  # Linux's timer wheel is coarse for long times
        s = p.expect('S.', at=at, tol=0.04 * at, ack=1, order=FULL)
        check(s.raw_seq == first.raw_seq, 'another sequence number')


@script
def syn_again_in_syn_received(p):
    p.syn()
    p.expect('S.')
    p.syn()
    p.expect('S.', seq=0, ack=1, within=0.5)


@script
def bad_ack_in_syn_received(p):
    p.syn()
    p.expect('S.')
    p.ack = 1
    p.send('.', ack=5000)
    p.expect('R', seq=5000)
    p.send('.')
    p.accept()


@script
def rst_in_syn_received(p):
    p.syn()
    p.expect('S.')
    p.send('R', seq=1)
    p.silence(1.3)


@script
def third_ack_with_data(p):
    p.syn()
    p.ts = True
    p.expect('S.')
    p.ack = 1
    p.send('P.', b'hello')
    p.expect('.', ack=6)
    p.accept()
    check(p.app.read(5) == b'hello', 'data')


@script
def third_ack_with_data_and_fin(p):
    p.syn()
    p.ts = True
    p.expect('S.')
    p.ack = 1
    p.send('FP.', b'hello')
    p.expect('.', ack=7)
    p.accept()
    check(p.app.read(5) == b'hello', 'data')
    p.app.at_eof()


@script
def data_before_the_third_ack_opens(p):
    """The third ACK is lost; the second data segment comes first."""
    p.syn()
    p.ts = True
    p.expect('S.')
    p.ack = 1
    p.send('.', 1000, seq=1001)
    s = p.expect('.', ack=1)
    check(s.blocks == [(1001, 2001)], f'{s.blocks}')


@script
def bad_checksum_syn(p):
    p.send('S', opts=sg.mss(1460), seq=0, bad_csum=True)
    p.silence(0.3)


@script
def header_length_too_small(p):
    p.send('S', seq=0, doff=4)
    p.silence(0.3)


@script
def header_length_beyond_the_packet(p):
    p.send('S', seq=0, doff=15)
    p.silence(0.3)


@script
def reserved_bits_are_ignored(p):
    p.syn(sack=False, ts=False, wscale=None)
    p.expect('S.', ack=1)
    p.ack = 1
    p.send('.')
    p.accept()
    p.send('P.', b'abc', reserved=7)
    p.expect('.', ack=4)


@script
def sequence_numbers_wrap_in_the_handshake(p):
    p.iss = 0xffffffff
    p.open()
    p.send('P.', 100)
    p.expect('.', ack=101)
