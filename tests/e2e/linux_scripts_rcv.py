"""Packet scripts: the receiver: acknowledgements, windows, what is refused."""
import time

import segment as sg
from tcpscript import check

SCRIPTS = []


def script(fn):
    SCRIPTS.append(fn)
    return fn


def feed(p, segments, size=1000):
    """In-order segments, and what acknowledges them, until the start is over."""
    for _ in range(segments):
        p.send('.', size)
    end = time.time() + 2
    while time.time() < end:
        s = p.get(0.3)
        if s and s.ack == p.seq:
            return
    check(False, 'the data were not acknowledged')


def past_quick_acks(p):
    """What a peer sends at first is acknowledged at once; here that is over: the application
    answered, so acknowledgements may ride on data."""
    feed(p, 20)
    p.app.read(20000)
    p.send('P.', 100)
    p.expect('.', ack=p.seq)
    p.app.read(100)
    p.app.write(100)
    s = p.expect('.', ack=p.seq)
    check(s.len == 100, 'no answer')
    p.ack_to(p.ack + 100)
    time.sleep(0.1)


@script
def first_data_is_acknowledged_at_once(p):
    p.open()
    p.send('P.', 1000)
    s = p.expect('.', ack=1001, seq=1, len=0)
    check(s.when - p.sent_at < 0.02 + 0.1, 'late')


@script
def quick_acks_at_the_start(p):
    """Linux acknowledges each of the first segments."""
    p.open()
    for i in range(6):
        p.send('P.', 1000)
        p.expect('.', ack=1001 + 1000 * i, within=0.03 + 0.1)


@script
def delayed_ack_at_most_40_ms(p):
    p.open()
    past_quick_acks(p)
    p.send('P.', 100)
    s = p.expect('.', ack=p.seq, len=0)
    took = s.when - p.sent_at
    check(took < 0.045 + 0.1, f'after {took:.3f} s')


@script
def every_second_full_segment(p):
    p.open()
    past_quick_acks(p)
    p.send('.', 1000)
    p.send('.', 1000)
    s = p.expect('.', ack=p.seq, len=0)
    check(s.when - p.sent_at < 0.03, 'late')


@script
def ack_rides_on_data(p):
    p.open()
    past_quick_acks(p)
    p.send('P.', 100)
    p.app.read(100)
    p.app.write(50)
    s = p.expect('.', ack=p.seq)
    check(s.len == 50, f'{s.len} bytes')
    p.ack_to(p.ack + 50)
    p.silence(0.1)


@script
def timestamp_echo_is_of_the_first_unacknowledged(p):
    """RFC 7323 section 4.3: of two segments that one ACK covers, the older one's."""
    p.open()
    past_quick_acks(p)
    t = p.now_ts()
    p.send('.', 1000, tsval=t)
    p.send('.', 1000, tsval=t + 5)
    s = p.expect('.', ack=p.seq)
    check(s.opts.ts[1] == t, f'echo {s.opts.ts[1] - t:+}')


@script
def timestamp_echo_not_of_out_of_order(p):
    p.open()
    t = p.now_ts()
    p.send('P.', 100, tsval=t)
    p.expect('.', ack=101)
    p.send('.', 100, seq=201, tsval=t + 50)
    s = p.expect('.', ack=101)
    check(s.opts.ts[1] == t, f'echo {s.opts.ts[1] - t:+}')
    p.send('.', 100, seq=101, tsval=t + 60)
    s = p.expect('.', ack=301)
    check(s.opts.ts[1] == t + 60, f'echo {s.opts.ts[1] - t:+}')


@script
def gap_is_acknowledged_at_once_with_sack(p):
    p.open()
    p.send('.', 1000, seq=1001)
    p.expect('.', ack=1, sack=[(1001, 2001)], len=0)


@script
def gap_filled_is_acknowledged_at_once(p):
    p.open()
    past_quick_acks(p)
    n = p.seq
    p.send('.', 1000, seq=n + 1000)
    p.expect('.', ack=n, sack=[(n + 1000, n + 2000)])
    p.send('.', 1000, seq=n)
    s = p.expect('.', ack=n + 2000, sack=[])
    check(s.when - p.sent_at < 0.03, 'late')


@script
def newest_block_first(p):
    p.open()
    p.send('.', 1000, seq=2001)
    p.expect('.', ack=1, sack=[(2001, 3001)])
    p.send('.', 1000, seq=6001)
    p.expect('.', ack=1, sack=[(6001, 7001), (2001, 3001)])
    p.send('.', 1000, seq=4001)
    p.expect('.', ack=1, sack=[(4001, 5001), (6001, 7001), (2001, 3001)])
    p.send('.', 1000, seq=3001)
    p.expect('.', ack=1, sack=[(2001, 5001), (6001, 7001)])


@script
def three_blocks_beside_timestamps(p):
    p.open()
    for i in range(3):
        p.send('.', 1000, seq=2001 + 2000 * i)
        p.expect('.', ack=1)
    p.send('.', 1000, seq=8001)
    p.expect('.', ack=1, sack=[(8001, 9001), (6001, 7001), (4001, 5001)])


@script
def four_blocks_without_timestamps(p):
    p.open(ts=False)
    for i in range(4):
        p.send('.', 1000, seq=2001 + 2000 * i)
        p.expect('.', ack=1)
    p.send('.', 1000, seq=10001)
    p.expect('.', ack=1, sack=[(10001, 11001), (8001, 9001), (6001, 7001), (4001, 5001)])


@script
def partial_fill_keeps_the_rest(p):
    p.open()
    p.send('.', 1000, seq=1001)
    p.expect('.', sack=[(1001, 2001)])
    p.send('.', 1000, seq=3001)
    p.expect('.', sack=[(3001, 4001), (1001, 2001)])
    p.send('.', 1000, seq=1)
    p.expect('.', ack=2001, sack=[(3001, 4001)])


@script
def no_sack_when_not_agreed(p):
    p.open(sack=False)
    p.send('.', 1000, seq=1001)
    s = p.expect('.', ack=1, sack=[])
    check(s.opts.order == ['nop', 'nop', 'TS'], f'{s.opts.order}')


@script
def dsack_of_an_old_segment(p):
    p.open()
    p.send('.', 1000)
    p.expect('.', ack=1001)
    p.send('.', 1000, seq=1)
    p.expect('.', ack=1001, sack=[(1, 1001)])


@script
def dsack_of_part_of_a_segment(p):
    p.open()
    p.send('.', 1000)
    p.expect('.', ack=1001)
    p.send('.', 1000, seq=501)
    p.expect('.', ack=1501, sack=[(501, 1001)])


@script
def dsack_before_the_blocks(p):
    p.open()
    p.send('.', 1000)
    p.expect('.', ack=1001)
    p.send('.', 1000, seq=3001)
    p.expect('.', ack=1001, sack=[(3001, 4001)])
    p.send('.', 1000, seq=1)
    p.expect('.', ack=1001, sack=[(1, 1001), (3001, 4001)])


@script
def dsack_inside_the_out_of_order_data(p):
    p.open()
    p.send('.', 1000, seq=2001)
    p.expect('.', ack=1, sack=[(2001, 3001)])
    p.send('.', 1000, seq=2001)
    p.expect('.', ack=1, sack=[(2001, 3001), (2001, 3001)])


@script
def dsack_once_only(p):
    p.open()
    p.send('.', 1000)
    p.expect('.', ack=1001)
    p.send('.', 1000, seq=1)
    p.expect('.', ack=1001, sack=[(1, 1001)])
    p.send('.', 1000, seq=1001)
    p.expect('.', ack=2001, sack=[])


@script
def overlapping_segments_give_the_bytes_once(p):
    p.open()
    p.send('.', b'a' * 600, seq=601)
    p.expect('.', ack=1)
    p.send('.', b'b' * 900, seq=1)
    p.expect('.', ack=1201)
    got = p.app.read(1200)
    check(got[:600] == b'b' * 600 and got[900:] == b'a' * 300, 'wrong bytes')


@script
def paws_drops_and_acknowledges(p):
    p.open()
    t = p.now_ts()
    p.send('P.', 100, tsval=t)
    p.expect('.', ack=101)
    p.send('P.', 100, tsval=t - 1000, keep=True)
    s = p.expect('.', ack=101)
    check(s.opts.ts[1] == t, 'echo')


@script
def paws_does_not_stop_a_reset(p):
    p.open()
    p.send('R.', tsval=p.now_ts() - 100000)
    p.app.was_reset()


@script
def segment_without_timestamps(p):
    """RFC 7323 section 3.2 says SHOULD drop; Linux takes it."""
    p.open()
    p.send('P.', 100, opts=b'')
    p.expect('.', ack=101)


@script
def data_beyond_the_window(p):
    p.open()
    p.send('.', 1000, seq=1 + (8 << 20))
    p.expect('.', ack=1, sack=[], len=0)


@script
def data_of_the_past(p):
    p.open()
    p.send('P.', 1000)
    p.expect('.', ack=1001)
    p.send('.', b'x', seq=0)
    p.expect('.', ack=1001)


@script
def keepalive_probe_is_answered(p):
    p.open()
    p.send('P.', 100)
    p.expect('.', ack=101)
    time.sleep(0.6)
    p.send('.', seq=100)
    p.expect('.', ack=101, len=0)
    time.sleep(0.6)
    p.send('.', b'x', seq=100)
    p.expect('.', ack=101, len=0)


@script
def ack_of_unsent_data(p):
    p.open()
    time.sleep(0.6)
    p.send('P.', 100, ack=5000, keep=True)
    p.expect('.', ack=1, seq=1)
    p.send('P.', 100)
    p.expect('.', ack=101)


@script
def old_ack_in_the_window_is_harmless(p):
    p.open()
    p.app.write(1000)
    p.expect('.', seq=1)
    p.ack_to(1001)
    p.send('P.', 100, ack=500)
    p.expect('.', ack=101)


@script
def very_old_ack_is_challenged(p):
    p.open()
    time.sleep(0.6)
    p.send('P.', 100, ack=-(64 << 20), keep=True)
    p.expect('.', ack=1, len=0)


@script
def no_ack_flag_is_dropped(p):
    p.open()
    p.send('P', 100, keep=True)
    p.silence(0.2)
    p.send('P.', 100)
    p.expect('.', ack=101)


@script
def null_segment_is_dropped(p):
    p.open()
    p.send('', 100, keep=True)
    p.silence(0.2)


@script
def fin_without_ack_is_dropped(p):
    p.open()
    p.send('F', keep=True)
    p.silence(0.2)


@script
def christmas_tree_is_dropped(p):
    p.open()
    p.send('FPU', 10, keep=True, urg=5)
    p.silence(0.2)


@script
def syn_is_challenged(p):
    p.open()
    time.sleep(0.6)
    p.send('S', seq=1, keep=True)
    p.expect('.', ack=1, seq=1, len=0)


@script
def syn_out_of_the_window_is_challenged(p):
    p.open()
    time.sleep(0.6)
    p.send('S', seq=-50000, keep=True)
    p.expect('.', ack=1, seq=1, len=0)


@script
def synack_is_challenged(p):
    p.open()
    time.sleep(0.6)
    p.send('S.', seq=1, keep=True)
    p.expect('.', ack=1, seq=1, len=0)


@script
def synack_again_is_acknowledged(p):
    p.open()
    time.sleep(0.6)
    p.send('S.', seq=0, keep=True)
    p.expect('.', ack=1, seq=1, len=0)


@script
def syn_fin_is_challenged(p):
    p.open()
    time.sleep(0.6)
    p.send('SF.', seq=1, keep=True)
    p.expect('.', ack=1, seq=1, len=0)


@script
def challenge_acks_are_limited(p):
    """Of one connection: Linux one in half a second, RFC 5961 ten in five."""
    p.open()
    time.sleep(0.6)
    for _ in range(30):
        p.send('S', seq=1, keep=True)
    n = len(p.burst(0.2))
    check(1 <= n <= 10, f'{n} of 30')
    time.sleep(0.6)
    p.send('S', seq=1, keep=True)
    p.expect('.', ack=1)


@script
def data_out_of_the_window_is_always_answered(p):
    p.open()
    p.send('P.', 100)
    p.expect('.', ack=101)
    for _ in range(5):
        p.send('.', 50, seq=1)
        p.expect('.', ack=101, sack=[(1, 51)])


@script
def rst_exact_closes(p):
    p.open()
    p.send('R', seq=1)
    p.app.was_reset()
    p.send('.', seq=1)
    p.expect('R', seq=1)


@script
def rst_in_the_window_is_challenged(p):
    p.open()
    time.sleep(0.6)
    p.send('R', seq=1001, keep=True)
    p.expect('.', ack=1, seq=1)
    p.send('P.', 100, seq=1)
    p.expect('.', ack=101)


@script
def rst_beyond_the_window_is_ignored(p):
    p.open()
    time.sleep(0.6)
    p.send('R', seq=1 + (8 << 20), keep=True)
    p.silence(0.2)


@script
def rst_before_the_window_is_ignored(p):
    p.open()
    time.sleep(0.6)
    p.send('R', seq=0, keep=True)
    p.silence(0.2)


@script
def rst_at_the_edge_of_sacked_data_closes(p):
    """Linux: also a reset right behind the newest data that came out of order."""
    p.open()
    p.send('.', 1000, seq=1001)
    p.expect('.', ack=1)
    p.send('R', seq=2001)
    p.app.was_reset()


@script
def bad_checksum_is_dropped(p):
    p.open()
    p.send('P.', 100, bad_csum=True, keep=True)
    p.silence(0.2)
    p.send('P.', 100)
    p.expect('.', ack=101)


@script
def bad_checksum_rst_is_dropped(p):
    p.open()
    p.send('R', seq=1, bad_csum=True)
    p.send('P.', 100, seq=1)
    p.expect('.', ack=101)


@script
def urgent_data_stay_in_line_or_not(p):
    """The urgent flag does not disturb the sequence numbers."""
    p.open()
    p.send('PU.', b'abc', urg=3)
    p.expect('.', ack=4)
    p.send('P.', b'def')
    p.expect('.', ack=7)


@script
def malformed_options_in_data(p):
    p.open(ts=False)
    p.send('P.', 100, opts=bytes((254, 0, 0, 0)))
    p.expect('.', ack=101)
    p.send('P.', 100, opts=bytes((254, 1, 7, 7)))
    p.expect('.', ack=201)
    p.send('P.', 100, opts=bytes((1, 1, 5, 40)))
    p.expect('.', ack=301)


@script
def mss_option_outside_a_syn_is_ignored(p):
    p.open(ts=False)
    p.send('P.', 100, opts=sg.mss(100))
    p.expect('.', ack=101)
    p.app.write(1400)
    s = p.expect('.')
    check(s.len == 1400, f'{s.len} bytes')


@script
def sequence_numbers_wrap(p):
    p.iss = 0xffffff00
    p.open()
    for i in range(4):
        p.send('P.', 200)
        p.expect('.', ack=201 + 200 * i)
    p.send('.', 200, seq=p.seq + 200, keep=True)
    p.expect('.', ack=801, sack=[(1001, 1201)])


@script
def many_segments_at_once(p):
    """One ACK for every second segment at the least."""
    p.open()
    past_quick_acks(p)
    for _ in range(10):
        p.send('.', 1000)
        p.send('.', 1000)
        s = p.expect('.', ack=p.seq, within=0.035)
        p.app.read(2000)


@script
def ecn_congestion_is_echoed(p):
    p.syn(flags='SEW')
    p.expect('S.E')
    p.ts, p.ack = True, 1
    p.send('.')
    p.accept()
    p.send('P.', 1000, tos=3)
    p.expect('.E', ack=1001)
    p.send('P.', 1000, tos=2)
    p.expect('.E', ack=2001)
    p.send('PW.', 1000, tos=2)
    p.expect('.', ack=3001)


@script
def ecn_data_is_ect0(p):
    p.syn(flags='SEW')
    p.expect('S.E')
    p.ts, p.ack = True, 1
    p.send('.')
    p.accept()
    p.app.write(1000)
    s = p.expect('.', seq=1)
    check(s.tos == 2, f'tos {s.tos}')
    p.ack_to(1001)
    p.send('P.', 10, tos=2)
    s = p.expect('.', len=0)
    check(s.tos == 0, f'tos {s.tos}')


@script
def ecn_ece_is_answered_by_cwr(p):
    p.syn(flags='SEW')
    p.expect('S.E')
    p.ts, p.ack = True, 1
    time.sleep(0.1)
    p.send('.')
    p.accept()
    p.app.write(10000)
    segs = p.data(10000)
    p.send('.E', ack=segs[-1].end)
    p.ack = segs[-1].end
    p.app.write(1000)
    p.expect('.W', seq=p.ack)
    p.ack_to(p.ack + 1000)
    p.app.write(1000)
    p.expect('.', seq=p.ack)


# --- the window ---

def fill(p):
    """Sends until the window is shut; the application reads nothing. Returns the scale."""
    scale = p.open().opts.wscale
    size = 1400
    edge, seen = p.ack + 64000, 1
    for _ in range(2000):
        while p.seq + size <= edge:
            p.send('.', size)
        s = p.get(0.25)
        if s is None and seen == p.seq:  # the rest of the window is less than a segment
            if edge == p.seq:
                return scale
            p.send('.', edge - p.seq)
            continue
        if s is None:
            check(False, 'the data were not acknowledged')
        seen = max(seen, s.ack)
        edge = max(edge, s.ack + (s.win << scale)) if s.win else edge
        if s.win == 0 and s.ack == p.seq:
            return scale
    check(False, 'the window does not shut')


@script
def zero_window_shuts_and_a_probe_is_answered(p):
    fill(p)
    p.burst(0.05, 0.05)
    end = p.seq
    time.sleep(0.6)
    p.send('.', seq=end - 1)
    p.expect('.', ack=end, win=0, len=0)
    p.send('.', b'x', seq=end)
    s = p.expect('.', win=0, len=0)
    check(s.ack == end, 'a byte was taken with the window shut')


@script
def zero_window_opens_by_itself(p):
    fill(p)
    p.burst(0.05, 0.05)
    end = p.seq
    total = len(p.app.read(end - 1))
    got = p.burst(0.1, 1.0)
    check(got and got[-1].win > 0 and got[-1].ack == end, 'no window update')
    p.send('P.', 1000)
    s = p.expect('.', ack=end + 1000)
    check(total == end - 1 and s.win > 0, 'bytes')


@script
def zero_window_does_not_open_by_a_little(p):
    """RFC 9293 section 3.8.6.2.2: not by less than a segment."""
    fill(p)
    p.burst(0.05, 0.05)
    p.app.read(100)
    p.silence(0.25)


@script
def right_edge_never_moves_back(p):
    scale = p.open().opts.wscale
    edge = 0
    for _ in range(60):
        p.send('P.', 700)
        s = p.expect('.', ack=p.seq)
        now = s.ack + (s.win << scale)
        check(now >= edge - (1 << scale), f'{edge} -> {now}')
        edge = max(edge, now)


@script
def fin_with_the_window_shut(p):
    fill(p)
    p.burst(0.05, 0.05)
    p.send('F.')
    s = p.get(0.5)
    check(s is not None and s.ack in (p.seq, p.seq - 1), 'no answer')
