"""Packet scripts: closing, and the connections that we are asked for."""
import time

import segment as sg
from tcpscript import App, check

SCRIPTS = []


def script(fn):
    SCRIPTS.append(fn)
    return fn


def dials(fn):
    """The script is the one that is connected to."""
    fn.dials = True
    SCRIPTS.append(fn)
    return fn


# --- FIN ---

@script
def fin_is_acknowledged_and_half_open(p):
    p.open()
    p.send('F.')
    p.expect('.', ack=2, seq=1)
    p.app.at_eof()
    p.app.write(100)
    p.expect('P.', seq=1, len=100, ack=2, push=True)
    p.ack_to(101)
    p.app.shutdown()
    p.expect('F.', seq=101, ack=2)
    p.ack_to(102)
    p.silence(0.3)


@script
def fin_with_data(p):
    p.open()
    p.send('FP.', b'bye')
    p.expect('.', ack=5)
    check(p.app.read(3) == b'bye', 'data')
    p.app.at_eof()


@script
def fin_of_the_application(p):
    p.open()
    p.app.shutdown()
    p.expect('F.', seq=1, ack=1)
    p.ack_to(2)
    p.send('P.', 100)
    p.expect('.', ack=101, seq=2)
    p.send('F.')
    p.expect('.', ack=102, seq=2)
    p.silence(0.3)


@script
def data_then_fin_of_the_application(p):
    p.open(rtt=0.1)
    p.app.write(3000)
    p.app.shutdown()
    got = p.burst(0.04)
    check(got[-1].flags & sg.FIN and got[-1].end == 3002, f'{got[-1].end}')
    p.ack_to(3002)
    p.silence(0.2)


@script
def fin_waits_for_the_window(p):
    p.open(rtt=0.1, win=1000, wscale=0)
    p.app.write(1500)
    p.app.shutdown()
    got = p.burst(0.04)
    check(sum(s.len for s in got) == 1000 and not got[-1].flags & sg.FIN, 'beyond the window')
    p.win = 60000
    p.ack_to(1001)
    s = p.expect(None, seq=1001)
    if not s.flags & sg.FIN:
        s = p.expect('F.')
    check(s.end == 1502, f'{s.end}')


@script
def simultaneous_close(p):
    p.open()
    p.app.shutdown()
    p.expect('F.', seq=1, ack=1)
    p.send('F.', ack=1)
    p.expect('.', seq=2, ack=2)
    p.ack_to(2)
    p.silence(0.3)


@script
def fin_crosses_and_acknowledges(p):
    """Their FIN and ours; ours acknowledges theirs: TIME-WAIT at once."""
    p.open()
    p.app.shutdown()
    p.expect('F.', seq=1, ack=1)
    p.ack = 2
    p.send('F.')
    p.expect('.', seq=2, ack=2)
    time.sleep(0.6)
    p.send('F.', seq=1)
    p.expect('.', seq=2, ack=2)


@script
def fin_again_in_time_wait(p):
    p.open()
    p.app.shutdown()
    p.expect('F.')
    p.ack_to(2)
    p.send('F.')
    p.expect('.', ack=2)
    for _ in range(2):
        time.sleep(0.6)
        p.send('F.', seq=1)
        p.expect('.', ack=2, seq=2)


@script
def fin_again_in_close_wait(p):
    p.open()
    p.send('F.')
    p.expect('.', ack=2)
    time.sleep(0.6)
    p.send('F.', seq=1)
    p.expect('.', ack=2)


@script
def fin_out_of_order(p):
    p.open()
    p.send('F.', seq=1001)
    p.expect('.', ack=1, sack=[(1001, 1002)])
    p.send('.', 1000, seq=1)
    p.expect('.', ack=1002)
    p.app.read(1000)
    p.app.at_eof()


@script
def fin_with_data_out_of_order(p):
    p.open()
    p.send('FP.', 500, seq=501)
    p.expect('.', ack=1, sack=[(501, 1002)])
    p.send('.', 500, seq=1)
    p.expect('.', ack=1002)
    p.app.read(1000)
    p.app.at_eof()


@script
def data_behind_a_fin(p):
    p.open()
    p.send('F.')
    p.expect('.', ack=2)
    p.send('P.', 10, seq=2)
    s = p.get(0.3)
    check(s is None or s.ack == 2, 'data behind the FIN were taken')


@script
def fin_retransmitted_by_timer(p):
    p.open(rtt=0.1, sack=False)
    p.app.shutdown()
    first = p.expect('F.', seq=1)
    p.from_segment(first)
    p.expect('F.', seq=1, at=0.3, tol=0.03)
    p.expect('F.', seq=1, at=0.9, tol=0.06)
    p.ack_to(2)
    p.silence(0.3)


@script
def last_ack_then_gone(p):
    p.open()
    p.send('F.')
    p.expect('.', ack=2)
    p.app.at_eof()
    p.app.close()
    p.expect('F.', seq=1, ack=2)
    p.ack_to(2)
    time.sleep(0.1)
    p.send('P.', 10)
    p.expect('R', seq=2)


@script
def close_then_data_is_reset(p):
    """The application closed altogether: what comes later nobody will read."""
    p.open()
    p.app.close()
    p.expect('F.', seq=1)
    p.ack_to(2)
    p.send('P.', 10)
    for _ in range(3):
        s = p.get(1)
        check(s is not None, 'no reset')
        if s.flags & sg.RST:
            return
    check(False, 'no reset')


@script
def abort_of_the_application_resets(p):
    p.open()
    p.app.abort()
    p.expect('R.', seq=1, ack=1)
    time.sleep(0.05)
    p.send('.')
    p.expect('R', seq=1)


@script
def close_with_unread_data_resets(p):
    p.open()
    p.send('P.', 100)
    p.expect('.', ack=101)
    time.sleep(0.1)
    p.app.close()
    s = p.expect('R.', seq=1)
    check(s.ack == 101, f'ack {s.ack}')


@script
def rst_in_close_wait(p):
    p.open()
    p.send('F.')
    p.expect('.', ack=2)
    p.send('R', seq=2)
    time.sleep(0.05)
    p.send('.', seq=2)
    p.expect('R')


@script
def rst_in_fin_wait_2(p):
    p.open()
    p.app.shutdown()
    p.expect('F.')
    p.ack_to(2)
    p.send('R', seq=1)
    time.sleep(0.05)
    p.send('.', seq=1)
    p.expect('R')


@script
def syn_in_fin_wait_2_is_challenged(p):
    p.open()
    p.app.shutdown()
    p.expect('F.')
    p.ack_to(2)
    time.sleep(0.6)
    p.send('S', seq=1, keep=True)
    p.expect('.', ack=1, seq=2)


def to_time_wait(p):
    p.open()
    p.app.shutdown()
    p.expect('F.')
    p.ack_to(2)
    p.send('F.')
    p.expect('.', ack=2)
    time.sleep(0.02)


@script
def syn_reopens_time_wait(p):
    to_time_wait(p)
    old = p.irs
    time.sleep(0.01)
    p.iss = (p.iss + 100000) & 0xffffffff
    p.irs = None
    p.seq = p.ack = 0
    p.tsecr = 0
    p.syn()
    s = p.expect('S.', ack=1)
    check((s.raw_seq - old) & 0xffffffff < 1 << 31, 'the new sequence number is below the old')
    p.ack = 1
    p.send('.')
    p.accept()


@script
def old_syn_in_time_wait_is_acknowledged(p):
    """A SYN from before: lower sequence number and timestamp."""
    to_time_wait(p)
    time.sleep(0.6)
    p.send('S', seq=-5000, opts=sg.mss(1460) + sg.NOP * 2 + sg.ts(p.now_ts() - 100000, 0))
    p.expect('.', ack=2, seq=2)


@script
def data_in_time_wait_is_acknowledged(p):
    to_time_wait(p)
    time.sleep(0.6)
    p.send('P.', 10)
    s = p.get(0.5)
    check(s is None or s.flags & sg.RST or (s.ack == 2 and s.seq == 2), 'an odd answer')


@script
def ack_in_time_wait_is_quiet(p):
    to_time_wait(p)
    p.send('.')
    p.silence(0.2)


# --- the active side ---

def called(p, answer=True, **kw):
    """The application dials; their SYN is here, our SYN-ACK is sent."""
    p.client = p.target.dial(p.slot, p.v6)
    p.app = App(p.client)
    s = p.expect('S')
    p.dport = s.ip[1]
    p.ack = 1
    if answer:
        reply(p, s, **kw)
    return s


def reply(p, s, *, mss=1460, sack=True, ts=True, wscale=7, flags='S.', data=b'', ack=None,
          tsecr=None):
    p.ts = ts
    opts = sg.mss(mss)
    val = sg.ts(p.now_ts(), s.opts.ts[0] if tsecr is None else tsecr)
    if sack:
        opts += sg.SACK_OK + val if ts else sg.NOP * 2 + sg.SACK_OK
    elif ts:
        opts += sg.NOP * 2 + val
    if wscale is not None:
        opts += sg.NOP + sg.wscale(wscale)
    p.send(flags, data, opts=opts, seq=0, ack=ack)
    p.seq = 1 + (len(data) if isinstance(data, bytes) else data)


@dials
def syn_has_all_options(p):
    s = called(p, answer=False)
    check(s.opts.order == ['mss', 'sackOK', 'TS', 'nop', 'wscale'], f'{s.opts.order}')
    check(s.opts.mss == (1440 if p.v6 else 1460), f'mss {s.opts.mss}')
    check(s.opts.wscale == 7 and s.opts.ts[1] == 0, 'wscale, echo')
    check(s.win == (64800 if p.v6 else 64240), f'win {s.win}')
    check((s.ttl, s.tos, s.df, s.len) == (64, 0, True, 0), 'header')


@dials
def syn_again_at_1_3_7(p):
    s = called(p, answer=False)
    p.from_segment(s)
    for at in (1, 3, 7):
        p.expect('S', at=at, tol=0.05 * at, seq=0)


@dials
def synack_is_acknowledged(p):
    called(p)
    p.expect('.', seq=1, ack=1, len=0)
    p.app.write(100)
    p.expect('P.', seq=1, len=100, push=True)


@dials
def synack_with_data(p):
    called(p, data=b'hello')
    s = p.expect('.', seq=1)
    if s.ack != 6:
        check(s.ack == 1, f'ack {s.ack}')
        p.send('P.', b'hello', seq=1)
        p.seq = 6
        p.expect('.', ack=6)
    check(p.app.read(5) == b'hello', 'data')


@dials
def synack_without_options(p):
    called(p, sack=False, ts=False, wscale=None)
    s = p.expect('.', seq=1, ack=1)
    check(s.opts.order == [], f'{s.opts.order}')


@dials
def synack_again_is_acknowledged_again(p):
    s = called(p)
    p.expect('.', ack=1)
    time.sleep(0.6)
    reply(p, s)
    p.expect('.', seq=1, ack=1)


@dials
def synack_of_another_number_is_reset(p):
    s = called(p, ack=5000)
    p.expect('R', seq=5000)
    reply(p, s)
    p.expect('.', ack=1)


@dials
def synack_with_a_wrong_echo_is_reset(p):
    """Linux: an echo that was never sent (PAWS of the active side)."""
    s = called(p, answer=False)
    reply(p, s, tsecr=s.opts.ts[0] + 100000)
    p.expect('R', seq=1)


@dials
def rst_refuses(p):
    called(p, answer=False)
    p.send('R.', seq=0, opts=b'')
    p.silence(1.2)


@dials
def rst_without_ack_is_ignored(p):
    s = called(p, answer=False)
    p.send('R', seq=0)
    p.silence(0.2)
    reply(p, s)
    p.expect('.', ack=1)


@dials
def rst_with_a_wrong_ack_is_ignored(p):
    s = called(p, answer=False)
    p.send('R.', seq=0, ack=777)
    p.burst(0.1, 0.1)  # Linux sends its SYN again at once
    reply(p, s)
    p.expect('.', ack=1)


@dials
def ack_in_syn_sent_is_reset_or_dropped(p):
    s = called(p, answer=False)
    p.send('.', seq=0, ack=500)
    p.expect('R', seq=500)
    reply(p, s)
    p.expect('.', ack=1)


@dials
def simultaneous_open(p):
    s = called(p, answer=False)
    reply(p, s, flags='S')
    t = p.expect('S.', seq=0, ack=1)
    check(t.opts.order == ['mss', 'sackOK', 'TS', 'nop', 'wscale'], f'{t.opts.order}')
    p.send('.')
    time.sleep(0.05)
    p.app.write(10)
    p.expect('P.', seq=1, len=10, push=True)


@dials
def fin_with_the_synack(p):
    called(p, flags='SF.')
    s = p.expect('.', seq=1)
    check(s.ack in (1, 2), f'ack {s.ack}')


@dials
def dialled_data_both_ways(p):
    called(p)
    p.expect('.', ack=1)
    p.app.write(3000)
    p.data(3000, 0)
    p.ack_to(3001)
    p.burst(0.01, 0.01)  # a probe may have been on its way
    p.send('P.', 1000)
    p.expect('.', ack=1001)
    check(len(p.app.read(1000)) == 1000, 'data')


@dials
def quick_retransmission_rtt_of_the_handshake(p):
    """The round trip of the SYN is the first sample: 0.3 s makes an RTO of 0.9 s."""
    s = called(p, answer=False)
    time.sleep(max(0, s.when + 0.3 - time.time()))
    reply(p, s, sack=False)
    p.expect('.', ack=1)
    p.app.write(1000)
    first = p.expect('.', seq=1, len=1000)
    p.from_segment(first)
    p.expect('.', seq=1, len=1000, at=0.9, tol=0.05)


def unreachable(p, s, code4, code6):
    """An ICMP error that quotes their SYN."""
    raw = sg.build_tcp(p.remote, p.own, s.ip[1], p.sport, seq=s.raw_seq, flags=sg.SYN)
    quoted = sg.build_ip(p.remote, p.own, 6, raw)
    p.icmp(1 if p.v6 else 3, code6 if p.v6 else code4, 0, quoted)


@dials
def port_unreachable_while_connecting_fails(p):
    s = called(p, answer=False)
    unreachable(p, s, 3, 4)
    p.silence(1.4)


@dials
def icmp_of_another_connection_is_ignored(p):
    s = called(p, answer=False)
    s.raw_seq = (s.raw_seq + 100000) & 0xffffffff
    unreachable(p, s, 3, 4)
    p.expect('S', within=1.5)


@dials
def synack_of_window_zero(p):
    s = called(p, answer=False)
    reply(p, s)
    p.expect('.', ack=1)
    p.win = 0
    p.send('.')
    p.app.write(100)
    p.expect('.', seq=0, len=0, within=2)


@script
def data_after_shutdown_still_arrive(p):
    p.open()
    p.app.shutdown()
    p.expect('F.', seq=1)
    p.ack_to(2)
    for i in range(4):
        p.send('P.', 500)
        p.expect('.', ack=p.seq, seq=2)
    check(len(p.app.read(2000)) == 2000, 'data')


@script
def fin_and_data_in_close_wait(p):
    p.open(rtt=0.1)
    p.send('F.')
    p.expect('.', ack=2)
    p.app.at_eof()
    p.app.write(20000)
    got = p.data(14480 if not p.v6 else 14280, 0.02)
    check(got[0].ack == 2, 'ack')
    p.ack_to(got[-1].end)
    p.burst(0.03)


@dials
def host_unreachable_while_connecting(p):
    s = called(p, answer=False)
    unreachable(p, s, 1, 3)
    p.silence(1.4)


@script
def fin_is_probed_when_the_tail_is_lost(p):
    """Data and FIN unacknowledged: the last of them again after two round trips."""
    p.open(rtt=0.1)
    p.app.write(3000)
    p.app.shutdown()
    got = p.burst(0.03)
    check(got[-1].flags & sg.FIN, 'no FIN')
    p.from_segment(got[-1])
    s = p.expect(None, at=0.2, tol=0.03)
    check(s.flags & sg.FIN, 'the probe is not the FIN')
    p.ack_to(3002)
    p.silence(0.3)


@script
def ack_of_the_fin_only_half(p):
    p.open(rtt=0.1, sack=False)
    p.app.write(100)
    p.app.shutdown()
    p.burst(0.03)
    p.ack_to(101)
    s = p.expect('F.', within=1.0)
    check(s.end == 102, f'{s.end}')
    p.ack_to(102)
    p.silence(0.3)


@script
def reset_after_the_application_left(p):
    """Unsent data are dropped when the peer resets; nothing follows."""
    p.open(rtt=0.1)
    p.app.write(60000)
    p.burst(0.03)
    p.send('R', seq=1)
    p.silence(0.6)
