"""Packet scripts: the sender: windows, growth, loss and its repair, timers."""
import time

import segment as sg
from tcpscript import check

SCRIPTS = []


def script(fn):
    SCRIPTS.append(fn)
    return fn


def start(p, rtt=0.1, **kw):
    """An open connection whose round trip is known to be rtt. Returns the segment size."""
    p.open(rtt=rtt, **kw)
    return min(kw.get('mss', 1460), 1440 if p.v6 else 1460) - (12 if p.ts else 0)


def window(p, n, mss, seq=1):
    """n full segments from seq on, at once, in order, and nothing else."""
    got = []
    for i in range(n):
        s = p.expect('.', seq=seq + i * mss, len=mss, within=0.5)
        got.append(s)
    return got


# --- windows ---

@script
def initial_window_is_10(p):
    mss = start(p)
    p.app.write(30 * mss)
    got = p.burst(0.04)
    check([s.len for s in got] == [mss] * 10, f'{[s.len for s in got]}')
    check(max(s.when for s in got) - min(s.when for s in got) < 0.02 + 0.1, 'paced')


@script
def initial_window_is_10_without_options(p):
    mss = start(p, sack=False, ts=False, wscale=None)
    p.app.write(30 * mss)
    got = p.burst(0.04)
    check([s.len for s in got] == [mss] * 10, f'{[s.len for s in got]}')


@script
def initial_window_is_10_small_segments(p):
    mss = start(p, mss=1000)
    p.app.write(30 * mss)
    got = p.burst(0.04)
    check([s.len for s in got] == [mss] * 10, f'{[s.len for s in got]}')


@script
def initial_window_is_10_tiny_segments(p):
    mss = start(p, mss=300, ts=False)
    p.app.write(30 * mss)
    got = p.burst(0.04)
    check([s.len for s in got] == [mss] * 10, f'{[s.len for s in got]}')


@script
def write_is_cut_into_full_segments(p):
    mss = start(p, mss=1000)
    p.app.write(5 * mss + 100)
    got = p.data(5 * mss + 100, 0.03)
    check([s.len for s in got] == [mss] * 5 + [100], f'{[s.len for s in got]}')
    check(got[-1].flags & sg.PSH, 'no PSH on the last')
    check(not got[0].flags & sg.PSH, 'PSH on the first')


@script
def slow_start_two_for_each_ack(p):
    mss = start(p)
    p.app.write(100 * mss)
    window(p, 10, mss)
    time.sleep(0.05)
    for i in range(5):
        p.ack_to(1 + 2 * (i + 1) * mss)
        window(p, 4, mss, 1 + (10 + 4 * i) * mss)
    p.silence(0.03)


@script
def slow_start_counts_bytes(p):
    """RFC 3465: one ACK of ten segments opens the window by ten."""
    mss = start(p)
    p.app.write(100 * mss)
    window(p, 10, mss)
    time.sleep(0.05)
    p.ack_to(1 + 10 * mss)
    window(p, 20, mss, 1 + 10 * mss)
    p.silence(0.03)


@script
def slow_start_one_segment_acked(p):
    mss = start(p)
    p.app.write(100 * mss)
    window(p, 10, mss)
    time.sleep(0.05)
    p.ack_to(1 + mss)
    window(p, 2, mss, 1 + 10 * mss)
    p.silence(0.03)


@script
def window_not_used_does_not_grow(p):
    """Application limited: the window stays about as large as what was used."""
    mss = start(p)
    for i in range(6):
        p.app.write(2 * mss)
        window(p, 2, mss, 1 + 2 * i * mss)
        time.sleep(0.02)
        p.ack_to(1 + 2 * (i + 1) * mss)
    p.app.write(40 * mss)
    got = p.burst(0.04)
    check(len(got) <= 12, f'{len(got)} segments')


@script
def peer_window_bounds_the_flight(p):
    mss = start(p, wscale=0, win=5000, ts=False)
    p.app.write(20000)
    got = p.burst(0.04)
    check(sum(s.len for s in got) <= 5000, 'beyond the window')
    check(sum(s.len for s in got) > 5000 - mss, f'{sum(s.len for s in got)} bytes')


@script
def window_scale_of_the_peer_counts(p):
    mss = start(p, wscale=10, win=14)
    p.app.write(30 * mss)
    got = p.burst(0.04)
    total = sum(s.len for s in got)
    check(14336 - mss < total <= 14336, f'{total} bytes')


@script
def zero_window_is_probed(p):
    """At an RTO's distance, then twice as far; one number before the next byte, no data."""
    mss = start(p, rtt=0.1)
    p.send('.', win=0)
    p.win = 0
    p.app.write(3 * mss)
    first = p.expect('.', seq=0, len=0, after=0.15, within=1)
    p.send('.')
    p.from_segment(first)
    second = p.expect('.', seq=0, len=0, at=0.6, tol=0.15)
    p.send('.')
    p.from_segment(second)
    p.expect('.', seq=0, len=0, at=1.2, tol=0.3)
    p.win = 1000
    p.send('.')
    p.expect('.', seq=1, len=mss)


@script
def window_update_lets_go_on(p):
    mss = start(p, win=0)
    p.app.write(3 * mss)
    p.silence(0.1)
    p.win = 1000
    p.send('.')
    window(p, 3, mss)


@script
def window_closed_in_mid_flight(p):
    mss = start(p, win=1000)
    p.app.write(20 * mss)
    window(p, 10, mss)
    p.win = 0
    p.ack_to(1 + 10 * mss)
    p.silence(0.15)
    p.win = 1000
    p.send('.')
    s = p.expect('.', seq=1 + 10 * mss)
    check(s.len == mss, f'{s.len} bytes')


@script
def small_segments_do_not_wait(p):
    """An application that does not want Nagle's algorithm (a proxy never does)."""
    start(p)
    for i in range(5):
        p.app.write(100, nodelay=True)
        p.expect('P.', seq=1 + 100 * i, len=100, push=True, within=0.1)
        time.sleep(0.005)


# --- the retransmission timer ---

@script
def rto_without_sack_doubles(p):
    mss = start(p, rtt=0.1, sack=False)
    p.app.write(mss)
    first = p.expect('.', seq=1, len=mss)
    p.from_segment(first)
    p.expect('.', seq=1, len=mss, at=0.3, tol=0.03)
    p.expect('.', seq=1, len=mss, at=0.9, tol=0.06)
    p.expect('.', seq=1, len=mss, at=2.1, tol=0.12)


@script
def rto_minimum_is_200_ms(p):
    mss = start(p, rtt=0, sack=False)
    p.app.write(mss)
    first = p.expect('.', seq=1)
    p.from_segment(first)
    p.expect('.', seq=1, len=mss, at=0.204, tol=0.02)


@script
def rto_after_a_lost_synack_is_3_s(p):
    """RFC 6298 section 5.7: the SYN-ACK was sent twice and there are no timestamps."""
    p.syn(ts=False, sack=False)
    p.expect('S.')
    p.expect('S.', within=1.5)
    p.ack = 1
    p.send('.')
    p.accept()
    p.app.write(1000)
    first = p.expect('.', seq=1)
    p.from_segment(first)
    p.expect('.', seq=1, len=1000, at=3.0, tol=0.2)


@script
def rto_after_an_ack_is_as_at_first(p):
    mss = start(p, rtt=0.1, sack=False)
    p.app.write(mss)
    p.expect('.', seq=1)
    p.expect('.', seq=1, within=0.6)
    p.expect('.', seq=1, within=1.0)
    p.ack_to(1 + mss)
    time.sleep(0.02)
    p.app.write(mss)
    first = p.expect('.', seq=1 + mss)
    p.from_segment(first)
    s = p.expect('.', seq=1 + mss)
    # The sample of the ACK that echoes the retransmission: the timer is near its start again.
    check(s.when - first.when < 0.75, f'{s.when - first.when:.3f} s')


@script
def rto_karn_without_timestamps(p):
    """The ACK of a retransmission is no sample: the back-off stays until one that is."""
    mss = start(p, rtt=0.1, sack=False, ts=False)
    p.app.write(mss)
    p.expect('.', seq=1)
    p.expect('.', seq=1, within=0.6)
    p.ack_to(1 + mss)
    time.sleep(0.02)
    p.app.write(mss)
    first = p.expect('.', seq=1 + mss)
    p.from_segment(first)
    p.expect('.', seq=1 + mss, at=0.6, tol=0.06)


@script
def rto_sends_one_segment(p):
    mss = start(p, rtt=0.1, sack=False)
    p.app.write(10 * mss)
    window(p, 10, mss)
    p.expect('.', seq=1, len=mss, within=0.6)
    p.silence(0.2)


@script
def rto_then_slow_start(p):
    """After a timeout: one, then two for its ACK, without SACK."""
    mss = start(p, rtt=0.1, sack=False, ts=False)
    p.app.write(10 * mss)
    window(p, 10, mss)
    p.expect('.', seq=1, len=mss, within=0.6)
    time.sleep(0.05)
    p.ack_to(1 + mss)
    got = p.burst(0.05)
    check(1 <= len(got) <= 2, f'{len(got)} segments')


@script
def rtt_makes_the_rto(p):
    """srtt 0.3: 0.3 + 4 * 0.15 = 0.9."""
    mss = start(p, rtt=0.3, sack=False)
    p.app.write(mss)
    first = p.expect('.', seq=1)
    p.from_segment(first)
    p.expect('.', seq=1, len=mss, at=0.9, tol=0.05)


# --- fast retransmit ---

@script
def third_duplicate_ack_retransmits(p):
    mss = start(p)
    p.app.write(10 * mss)
    window(p, 10, mss)
    time.sleep(0.05)
    for i in range(3):
        p.ack_to(1, sack=[(1 + mss, 1 + (2 + i) * mss)])
        time.sleep(0.003)
    p.expect('.', seq=1, len=mss, within=0.1)


@script
def two_duplicate_acks_do_not(p):
    mss = start(p, sack=False)
    p.app.write(10 * mss)
    window(p, 10, mss)
    time.sleep(0.05)
    p.send('.')
    p.send('.')
    p.silence(0.1)


@script
def third_duplicate_ack_without_sack(p):
    mss = start(p, sack=False)
    p.app.write(10 * mss)
    window(p, 10, mss)
    time.sleep(0.05)
    for _ in range(3):
        p.send('.')
    p.expect('.', seq=1, len=mss, within=0.1)


@script
def newreno_partial_ack_retransmits_the_next(p):
    mss = start(p, sack=False)
    p.app.write(10 * mss)
    window(p, 10, mss)
    time.sleep(0.05)
    for _ in range(5):
        p.send('.')
    p.expect('.', seq=1, len=mss, within=0.1)
    time.sleep(0.05)
    p.ack_to(1 + 4 * mss)
    p.expect('.', seq=1 + 4 * mss, len=mss, within=0.1)


@script
def limited_transmit(p):
    """RFC 3042: each of the first two duplicate ACKs lets a new segment out."""
    mss = start(p, sack=False)
    p.app.write(20 * mss)
    window(p, 10, mss)
    time.sleep(0.05)
    p.send('.')
    p.expect('.', seq=1 + 10 * mss, len=mss, within=0.1)
    p.send('.')
    p.expect('.', seq=1 + 11 * mss, len=mss, within=0.1)
    p.send('.')
    p.expect('.', seq=1, len=mss, within=0.1)


@script
def limited_transmit_with_sack(p):
    mss = start(p)
    p.app.write(20 * mss)
    window(p, 10, mss)
    time.sleep(0.05)
    p.ack_to(1, sack=[(1 + mss, 1 + 2 * mss)])
    p.expect('.', seq=1 + 10 * mss, len=mss, within=0.03)
    p.ack_to(1, sack=[(1 + mss, 1 + 3 * mss)])
    p.expect('.', seq=1 + 11 * mss, len=mss, within=0.03)
    p.ack_to(1, sack=[(1 + mss, 1 + 4 * mss)])
    p.expect('.', seq=1, len=mss, within=0.03)


@script
def sacked_far_ahead_retransmits_at_once(p):
    """One ACK whose blocks say that more than three segments have come."""
    mss = start(p)
    p.app.write(10 * mss)
    window(p, 10, mss)
    time.sleep(0.05)
    p.ack_to(1, sack=[(1 + 2 * mss, 1 + 8 * mss)])
    p.expect('.', seq=1, len=mss, within=0.1)


@script
def two_holes_are_filled_in_order(p):
    mss = start(p)
    p.app.write(10 * mss)
    window(p, 10, mss)
    time.sleep(0.1)
    p.ack_to(1, sack=[(1 + mss, 1 + 5 * mss)])
    p.expect('.', seq=1, len=mss, within=0.1)
    p.ack_to(1, sack=[(1 + 6 * mss, 1 + 10 * mss), (1 + mss, 1 + 5 * mss)])
    p.expect('.', seq=1 + 5 * mss, len=mss, within=0.1)


@script
def lost_retransmission_is_found(p):
    """RACK: segments sent after the retransmission are delivered, it is not."""
    mss = start(p)
    p.app.write(20 * mss)
    window(p, 10, mss)
    time.sleep(0.1)
    p.ack_to(1, sack=[(1 + mss, 1 + 8 * mss)])
    got = p.burst(0.05)
    check(got and got[0].seq == 1, 'no retransmission')
    new = [s for s in got if s.seq > 9 * mss]
    check(new, 'nothing new was sent')
    time.sleep(0.1)
    p.ack_to(1, sack=[(1 + mss, new[0].end)])
    p.expect('.', seq=1, within=0.1)


@script
def reordering_within_a_quarter_rtt_is_no_loss(p):
    """RACK: fewer than three sacked: it waits a quarter of the round trip."""
    mss = start(p, rtt=0.2)
    p.app.write(10 * mss)
    window(p, 10, mss)
    time.sleep(0.2)
    p.ack_to(1, sack=[(1 + mss, 1 + 2 * mss)])
    time.sleep(0.02)
    p.ack_to(1 + 2 * mss)
    p.silence(0.05)


@script
def reordering_timer_retransmits(p):
    """... and then sends it again without another ACK."""
    mss = start(p, rtt=0.2)
    p.app.write(4 * mss)
    window(p, 4, mss)
    time.sleep(0.2)
    p.ack_to(1, sack=[(1 + mss, 1 + 2 * mss)])
    p.expect('.', seq=1, len=mss, at=0.05, tol=0.02)


@script
def recovery_halves_not_the_window(p):
    """CUBIC: 0.7 of it. PRR: one for each delivered until then."""
    mss = start(p, rtt=0.3)
    p.app.write(60 * mss)
    window(p, 10, mss)
    time.sleep(0.15)
    p.ack_to(1 + 10 * mss)
    window(p, 20, mss, 1 + 10 * mss)
    time.sleep(0.15)
    base = 1 + 10 * mss
    sent = []
    for i in range(1, 20):
        p.ack_to(base, sack=[(base + mss, base + (i + 1) * mss)])
        time.sleep(0.004)
    sent = p.burst(0.04)
    check(sent and any(s.seq == base for s in sent), 'no retransmission')
    # 20 in flight, ssthresh 14, one lost: about 14 leave during the recovery.
    check(12 <= len(sent) <= 16, f'{len(sent)} segments')


@script
def prr_does_not_burst(p):
    mss = start(p, rtt=0.3)
    p.app.write(60 * mss)
    window(p, 10, mss)
    time.sleep(0.15)
    p.ack_to(1 + 10 * mss)
    window(p, 20, mss, 1 + 10 * mss)
    time.sleep(0.15)
    base = 1 + 10 * mss
    p.ack_to(base, sack=[(base + 4 * mss, base + 8 * mss)])
    got = p.burst(0.04)
    check(1 <= len(got) <= 4, f'{len(got)} segments at the first ACK of recovery')
    check(got[0].seq == base, 'not the hole')


@script
def after_recovery_the_window_is_ssthresh(p):
    mss = start(p)
    p.app.write(60 * mss)
    window(p, 10, mss)
    time.sleep(0.1)
    for i in range(3):
        p.ack_to(1, sack=[(1 + mss, 1 + (2 + i) * mss)])
        time.sleep(0.002)
    got = p.burst(0.04)
    end = max(s.end for s in got)
    check(any(s.seq == 1 for s in got), 'no retransmission')
    time.sleep(0.05)
    p.ack_to(end)
    got = p.burst(0.04)
    check(6 <= len(got) <= 8, f'{len(got)} segments')


# --- tail loss probe ---

@script
def tail_loss_probe_of_one_segment(p):
    """Two round trips and the peer's delayed ACK, but not later than the RTO."""
    mss = start(p, rtt=0.1)
    p.app.write(mss)
    first = p.expect('.', seq=1)
    p.from_segment(first)
    p.expect('.', seq=1, len=mss, at=0.3, tol=0.03)


@script
def tail_loss_probe_of_several(p):
    """The last one, after two round trips."""
    mss = start(p, rtt=0.1)
    p.app.write(4 * mss)
    last = window(p, 4, mss)[-1]
    p.from_segment(last)
    p.expect('.', seq=1 + 3 * mss, len=mss, at=0.2, tol=0.025)


@script
def tail_loss_probe_sends_new_data_first(p):
    mss = start(p, rtt=0.1, win=1000)
    p.app.write(12 * mss)
    last = window(p, 10, mss)[-1]
    p.from_segment(last)
    p.expect('.', seq=1 + 10 * mss, len=mss, at=0.2, tol=0.025)


@script
def tail_loss_probe_once_then_rto(p):
    mss = start(p, rtt=0.1)
    p.app.write(4 * mss)
    window(p, 4, mss)
    probe = p.expect('.', seq=1 + 3 * mss, len=mss, within=0.5)
    p.from_segment(probe)
    p.expect('.', seq=1, len=mss, at=0.3, tol=0.04)


@script
def no_probe_without_sack(p):
    mss = start(p, rtt=0.1, sack=False)
    p.app.write(4 * mss)
    last = window(p, 4, mss)[-1]
    p.from_segment(last)
    p.expect('.', seq=1, len=mss, at=0.3, tol=0.03)


# --- spurious ones ---

@script
def spurious_rto_is_undone_by_timestamps(p):
    mss = start(p, rtt=0.1)
    p.app.write(60 * mss)
    got = window(p, 10, mss)
    early = got[0].opts.ts[0]
    time.sleep(0.9)
    p.burst(0.01)
    p.ack_to(1 + 10 * mss, tsecr=early)
    got = p.burst(0.05)
    check(len(got) >= 9, f'{len(got)} segments: the window was not restored')


@script
def spurious_recovery_is_undone_by_dsack(p):
    mss = start(p, rtt=0.1)
    p.app.write(60 * mss)
    window(p, 10, mss)
    time.sleep(0.05)
    for i in range(3):
        p.ack_to(1, sack=[(1 + mss, 1 + (2 + i) * mss)])
        time.sleep(0.002)
    got = p.burst(0.04)
    check(any(s.seq == 1 for s in got), 'no retransmission')
    end = max(s.end for s in got)
    p.ack_to(end)
    n = len(p.burst(0.04))
    p.ack_to(end, sack=[(1, 1 + mss)])
    n += len(p.burst(0.04))
    check(n >= 10, f'{n} segments')


@script
def frto_needs_new_acks(p):
    """Duplicate ACKs after a timeout: it was a loss; slow start goes on."""
    mss = start(p, rtt=0.1, ts=False)
    p.app.write(10 * mss)
    window(p, 10, mss)
    p.expect('.', seq=1 + 9 * mss, within=0.5)
    p.expect('.', seq=1, len=mss, within=0.7)
    p.ack_to(1 + mss)
    s = p.get(0.5)
    check(s is not None and s.seq == 1 + mss, 'not the next hole')


@script
def reneged_sack_is_sent_again(p):
    """A timeout on a head that was sacked: everything goes again."""
    mss = start(p, rtt=0.1)
    p.app.write(4 * mss)
    window(p, 4, mss)
    time.sleep(0.05)
    p.ack_to(1, sack=[(1 + mss, 1 + 4 * mss)])
    p.expect('.', seq=1, within=0.2)
    time.sleep(0.05)
    p.ack_to(1 + mss)
    s = p.expect('.', within=1.5)
    check(s.seq == 1 + mss, f'seq {s.seq}')


# --- path MTU ---

def too_big(p, mtu, seq, n):
    if p.v6:
        p.icmp(2, 0, mtu, p.quote(seq, n))
    else:
        p.icmp(3, 4, mtu, p.quote(seq, n))


@script
def path_mtu_shrinks(p):
    mss = start(p, rtt=0.1)
    p.app.write(4 * mss)
    window(p, 4, mss)
    mtu = 1300
    less = mtu - (72 if p.v6 else 52)
    too_big(p, mtu, 1, mss)
    s = p.expect('.', seq=1, within=0.2)
    check(s.len == less, f'{s.len} bytes, wanted {less}')


@script
def path_mtu_of_what_was_never_sent_is_ignored(p):
    mss = start(p, rtt=0.2)
    p.app.write(4 * mss)
    window(p, 4, mss)
    too_big(p, 1300, 100000, mss)
    p.silence(0.15)


@script
def unreachable_is_soft_when_open(p):
    mss = start(p, rtt=0.2)
    p.app.write(2 * mss)
    window(p, 2, mss)
    if p.v6:
        p.icmp(1, 0, 0, p.quote(1, mss))
    else:
        p.icmp(3, 1, 0, p.quote(1, mss))
    time.sleep(0.05)
    p.ack_to(1 + 2 * mss)
    p.app.write(100)
    p.expect('P.', seq=1 + 2 * mss, push=True)


@script
def idle_connection_starts_slowly_again(p):
    """RFC 5681 section 4.1: after an idle time the window is at most the initial one."""
    mss = start(p, rtt=0.05)
    p.app.write(10 * mss)
    window(p, 10, mss)
    time.sleep(0.02)
    p.ack_to(1 + 10 * mss)
    p.app.write(20 * mss)
    window(p, 20, mss, 1 + 10 * mss)
    time.sleep(0.02)
    p.ack_to(1 + 30 * mss)
    time.sleep(3.5)
    p.app.write(60 * mss)
    got = p.burst(0.04)
    check(len(got) <= 15, f'{len(got)} segments')


# --- headers ---

@script
def headers_of_data(p):
    mss = start(p)
    p.app.write(3 * mss)
    got = window(p, 3, mss)
    for s in got:
        check((s.ttl, s.tos, s.df, s.urg) == (64, 0, True, 0),
              f'ttl {s.ttl} tos {s.tos} df {s.df} urg {s.urg}')
        check(s.opts.order == ['nop', 'nop', 'TS'], f'{s.opts.order}')


@script
def timestamp_clock_is_milliseconds(p):
    p.open()
    p.send('P.', 10)
    a = p.expect('.', ack=11)
    time.sleep(0.5)
    p.send('P.', 10)
    b = p.expect('.', ack=21)
    ticks, ms = b.opts.ts[0] - a.opts.ts[0], (b.when - a.when) * 1000
    check(abs(ticks - ms) < 15, f'{ticks} ticks in {ms:.0f} ms')


# --- more of the sender ---

@script
def three_losses_in_one_window(p):
    mss = start(p, rtt=0.2)
    p.app.write(10 * mss)
    window(p, 10, mss)
    time.sleep(0.1)
    p.ack_to(1, sack=[(1 + mss, 1 + 2 * mss)])
    p.ack_to(1, sack=[(1 + 3 * mss, 1 + 4 * mss), (1 + mss, 1 + 2 * mss)])
    p.ack_to(1, sack=[(1 + 5 * mss, 1 + 10 * mss), (1 + 3 * mss, 1 + 4 * mss),
                      (1 + mss, 1 + 2 * mss)])
    got = [s.seq for s in p.burst(0.03)]
    check(got == [1, 1 + 2 * mss, 1 + 4 * mss], f'{got}')


@script
def timeout_then_the_holes_by_sack(p):
    """What was sacked is not sent again; two holes are left."""
    mss = start(p, rtt=0.1)
    p.app.write(4 * mss)
    window(p, 4, mss)
    p.expect('.', seq=1 + 3 * mss, within=0.6)  # the probe
    p.expect('.', seq=1, within=0.8)
    time.sleep(0.02)
    p.ack_to(1 + mss, sack=[(1 + 2 * mss, 1 + 3 * mss)])
    got = [s.seq for s in p.burst(0.04)]
    check(got and got[0] == 1 + mss and 1 + 2 * mss not in got, f'{got}')


@script
def probe_that_was_needless_costs_nothing(p):
    mss = start(p, rtt=0.1)
    p.app.write(10 * mss)
    window(p, 10, mss)
    p.expect('.', seq=1 + 9 * mss, len=mss, within=0.6)
    p.ack_to(1 + 10 * mss)
    p.ack_to(1 + 10 * mss, sack=[(1 + 9 * mss, 1 + 10 * mss)])
    time.sleep(0.02)
    p.app.write(30 * mss)
    got = p.burst(0.03)
    check(len(got) >= 10, f'{len(got)} segments')


@script
def window_updates_are_no_duplicates(p):
    mss = start(p, sack=False, win=50000)
    p.app.write(5 * mss)
    window(p, 5, mss)
    time.sleep(0.02)
    for i in range(5):
        p.send('.', win=50100 + 100 * i)
    p.silence(0.08)


@script
def data_with_the_same_ack_are_no_duplicates(p):
    mss = start(p, sack=False)
    p.app.write(5 * mss)
    window(p, 5, mss)
    time.sleep(0.02)
    for _ in range(5):
        p.send('P.', 10)
    for s in p.burst(0.06):
        check(not s.len, 'a retransmission')


@script
def window_taken_back(p):
    """The peer breaks its word: nothing new leaves; the timer sends the oldest again."""
    mss = start(p, rtt=0.1, sack=False)
    p.app.write(20 * mss)
    window(p, 10, mss)
    p.win = 0
    p.send('.')
    s = p.expect('.', within=1.0)
    check(s.seq in (0, 1) or s.seq == 1 + 10 * mss, f'seq {s.seq}')
    check(s.seq != 1 + 10 * mss or not s.len, 'new data beyond the window')


@script
def ack_of_a_part_of_a_segment(p):
    mss = start(p, rtt=0.1)
    p.app.write(mss)
    p.expect('.', seq=1)
    p.ack_to(501)
    s = p.expect('.', within=0.8)
    check(s.end == 1 + mss and s.seq in (1, 501), f'{s.seq}:{s.end}')
    p.ack_to(1 + mss)
    p.silence(0.3)


@script
def path_mtu_not_below_552(p):
    """IPv4: min_pmtu; IPv6: never below 1280."""
    mss = start(p, rtt=0.1)
    p.app.write(3 * mss)
    window(p, 3, mss)
    too_big(p, 600 if p.v6 else 296, 1, mss)
    s = p.expect('.', within=1.0)
    least = 1280 - 72 if p.v6 else 552 - 52
    check(s.len >= least, f'{s.len} bytes')


@script
def path_mtu_larger_than_ours_is_ignored(p):
    mss = start(p, rtt=0.2)
    p.app.write(3 * mss)
    window(p, 3, mss)
    too_big(p, 1500, 1, mss)
    p.silence(0.15)


@script
def retransmission_has_a_new_timestamp(p):
    mss = start(p, rtt=0.1, sack=False)
    p.app.write(mss)
    a = p.expect('.', seq=1)
    b = p.expect('.', seq=1, within=0.8)
    check(b.opts.ts[0] - a.opts.ts[0] >= 250, f'{a.opts.ts} {b.opts.ts}')


@script
def ack_without_timestamps_is_taken(p):
    mss = start(p, rtt=0.1)
    p.app.write(mss)
    p.expect('.', seq=1)
    p.send('.', ack=1 + mss, opts=b'')
    p.silence(0.5)


@script
def old_pure_ack_is_no_paws_violation(p):
    """A reordered ACK: no answer (tcp_disordered_ack)."""
    mss = start(p, rtt=0.1)
    p.app.write(mss)
    p.expect('.', seq=1)
    t = p.now_ts()
    p.ack_to(1 + mss, tsval=t)
    p.send('.', tsval=t - 20)
    p.silence(0.15)


@script
def both_ways_at_once(p):
    mss = start(p, rtt=0.05)
    for i in range(5):
        p.app.write(mss)
        s = p.expect('.')
        while not s.len:
            s = p.expect('.')
        check((s.seq, s.len, s.ack) == (1 + i * mss, mss, p.seq), f'{s.seq} {s.len} {s.ack}')
        p.ack = s.end
        p.send('P.', 100)
        p.app.read(100)
        time.sleep(0.005)


@script
def loss_at_the_end_of_slow_start_then_growth(p):
    """After recovery: congestion avoidance, not one for one."""
    mss = start(p, rtt=0.1)
    p.app.write(100 * mss)
    window(p, 10, mss)
    time.sleep(0.08)
    for i in range(3):
        p.ack_to(1, sack=[(1 + mss, 1 + (2 + i) * mss)])
        time.sleep(0.002)
    end = max(s.end for s in p.burst(0.03))
    p.ack_to(end)
    first = p.burst(0.03)
    time.sleep(0.05)
    p.ack_to(first[-1].end)
    second = p.burst(0.03)
    check(len(first) <= len(second) <= len(first) + 2, f'{len(first)}, then {len(second)}')


@script
def timeout_then_all_is_there(p):
    """Without SACK: one hole was filled. Slow start ends at ssthresh, seven of ten."""
    mss = start(p, rtt=0.1, sack=False)
    p.app.write(40 * mss)
    window(p, 10, mss)
    p.expect('.', seq=1, within=0.8)
    time.sleep(0.02)
    p.ack_to(1 + 10 * mss)
    a = p.burst(0.03)
    time.sleep(0.05)
    p.ack_to(a[-1].end)
    b = p.burst(0.03)
    check(len(a) == 7 and 7 <= len(b) <= 8, f'{len(a)}, then {len(b)}')
