/* A busy flow, its next hop and a worker that gets no CPU at the wrong moment: RFC 4861 section 7.3
 * as a stream sees it.
 *
 * The device has a ring: what the peer answers lies in it, behind whatever else came, until the
 * worker takes it out, RX_A_TURN frames a turn. A turn is as a worker's: receive, then the timers,
 * then send. So after a pause the timers fire before the answer is read. */
#include "rig.h"

#define RING 1024
#define RX_A_TURN 64
#define TURN TG_MS
#define BACKLOG 300 /* frames in the ring after a pause, before the answer */

struct hop {
	const char *local, *remote, *answer;
};

static const struct hop hops[] = {
	{"10.77.1.1", "10.77.1.2", "arp_reply"}, {"fd77:1::1", "fd77:1::2", "na"}};

/* The peer answers each one_in-th question; none while it is deaf. */
static const struct hop *hop;
static bool deaf;
static uint32_t one_in, asked;
static uint32_t in_ring;
static bool ring[RING]; /* true: an answer; false: some other frame */
static struct tg_dst dst;
static uint64_t lost;

static bool is_question(const struct rig_frame *f)
{
	uint16_t type = tg_load_be16(f->b + 12);

	return type == 0x0806 ? tg_load_be16(f->b + 20) == 1
			      : type == 0x86dd && f->b[20] == 58 && f->b[54] == 135;
}

/* What left: questions are answered, the rest is the flow's. Returns the flow's frames. */
static uint32_t peer_looks(void)
{
	uint32_t data = 0;

	for (uint32_t i = 0; i < rig_n_sent; i++) {
		const struct rig_frame *f = &rig_sent[i % RIG_FRAMES];

		if (!is_question(f)) {
			CU_ASSERT_EQUAL(f->b[5], 2);
			data++;
		} else if (!deaf && asked++ % one_in == one_in - 1 && in_ring < RING) {
			ring[in_ring++] = true;
		}
	}
	rig_clear();
	return data;
}

static void receive(void)
{
	uint32_t n = RTE_MIN(in_ring, (uint32_t)RX_A_TURN);

	for (uint32_t i = 0; i < n; i++)
		if (ring[i])
			rig_in(hop->answer);
	in_ring -= n;
	memmove(ring, ring + n, in_ring * sizeof(*ring));
}

/* One turn at the time that it is `ns` later; the flow sends a segment. How many left. */
static uint32_t turn(uint64_t ns)
{
	rig_wheel.now += ns; /* as the worker does: the time is new, the timers have not fired */
	receive();
	tg_wheel_advance(&rig_wheel, rig_wheel.now, 0);
	rig_send(hop->local, hop->remote, 0, &dst);
	return peer_looks();
}

/* The worker is away; meanwhile the flow's peer fills the ring. */
static uint32_t pause_worker(uint64_t ns)
{
	for (uint32_t i = 0; i < BACKLOG && in_ring < RING; i++)
		ring[in_ring++] = false;
	return turn(ns);
}

/* A flow over a neighbour that was known and is idle: its first segment begins DELAY. */
static void begin(const struct hop *h)
{
	rig_up();
	hop = h;
	deaf = false;
	one_in = 1;
	asked = in_ring = 0;
	dst = (struct tg_dst){0};
	rig_know_peer();
	rig_wait(46 * TG_SEC);
	rig_clear();
	lost = rig_why(TG_WHY_tx_pending_full) + rig_why(TG_WHY_tx_no_neighbour);
}

static void end(void)
{
	CU_ASSERT_EQUAL(rig_why(TG_WHY_tx_pending_full) + rig_why(TG_WHY_tx_no_neighbour), lost);
	CU_ASSERT_EQUAL(rig_stats[0].neighbours, 2);
	rig_down();
}

/* Sends for so long; every segment leaves in the turn in which it was sent. */
static void flows(uint64_t ns)
{
	uint32_t late = 0;

	for (uint64_t t = 0; t < ns; t += TURN)
		late += turn(TURN) != 1;
	CU_ASSERT_EQUAL(late, 0);
}

static const uint64_t pauses[] = {50, 100, 250, 500, 900, 990, 1000, 1500, 2000, 3000};

/* One pause at each point of the cycle, the peer answers: nobody notices. */
static void a_pause_stops_no_flow(void)
{
	for (uint32_t h = 0; h < TG_ARRAY_LEN(hops); h++) {
		for (uint32_t p = 0; p < TG_ARRAY_LEN(pauses); p++) {
			for (uint64_t at = 4000; at < 6000; at += 250) {
				begin(&hops[h]);
				flows(at * TG_MS);
				CU_ASSERT_EQUAL(pause_worker(pauses[p] * TG_MS), 1);
				flows(2 * TG_SEC);
				end();
			}
		}
	}
}

/* A worker that is away again and again, just after each question, until its time is over. */
static void many_pauses_stop_no_flow(void)
{
	for (uint32_t h = 0; h < TG_ARRAY_LEN(hops); h++) {
		for (uint32_t p = 0; p < TG_ARRAY_LEN(pauses); p++) {
			uint32_t late = 0;

			begin(&hops[h]);
			flows(4 * TG_SEC);
			for (uint32_t i = 0; i < 20; i++)
				late += pause_worker(pauses[p] * TG_MS) != 1;
			CU_ASSERT_EQUAL(late, 0);
			flows(2 * TG_SEC);
			end();
		}
	}
}

/* Questions or answers are lost: of each so many one is answered. */
static void lost_answers_stop_no_flow(void)
{
	for (uint32_t h = 0; h < TG_ARRAY_LEN(hops); h++) {
		for (uint32_t n = 1; n <= 6; n++) {
			begin(&hops[h]);
			one_in = n;
			flows(60 * TG_SEC);
			end();
		}
	}
}

/* The neighbour is silent for a while. The flow does not even stop before it counts as gone, which
 * takes five seconds in which nobody asks and six questions; after that it goes on within a second
 * of the neighbour's return. */
static void silence(const struct hop *h, uint64_t ms)
{
	bool gone = ms >= 10000; /* the last question was asked, and was not answered */
	uint32_t tries = 0;

	begin(h);
	deaf = true;
	for (uint64_t t = 0; t < ms; t++)
		turn(TURN);
	deaf = false;
	while (gone && !asked && ++tries < 5000)
		turn(TURN);
	CU_ASSERT_TRUE(tries <= 1010);
	turn(TURN);
	flows(10 * TG_SEC);
	CU_ASSERT_TRUE(asked >= 1);
	if (gone)
		lost = rig_why(TG_WHY_tx_pending_full) + rig_why(TG_WHY_tx_no_neighbour);
	end();
}

static void a_silence_is_over_at_once(void)
{
	for (uint32_t h = 0; h < TG_ARRAY_LEN(hops); h++)
		for (uint64_t ms = 500; ms < 31000; ms += 1000)
			silence(&hops[h], ms);
}

/* A worker that is always late still finds out that a neighbour is gone, once it has time. */
static void the_dead_are_given_up(void)
{
	begin(&hops[0]);
	deaf = true;
	for (uint32_t i = 0; i < 10; i++)
		turn(3 * TG_SEC);
	CU_ASSERT_EQUAL(rig_stats[0].neighbours, 2);
	flows(4 * TG_SEC);
	for (uint32_t i = 0; i < 5000; i++)
		turn(TURN);
	CU_ASSERT_TRUE(rig_why(TG_WHY_tx_pending_full) > lost);
	rig_down();
}

TG_TEST_MAIN("net unreachability", {"a pause stops no flow", a_pause_stops_no_flow},
	{"many pauses stop no flow", many_pauses_stop_no_flow},
	{"lost answers stop no flow", lost_answers_stop_no_flow},
	{"a silence is over at once", a_silence_is_over_at_once},
	{"the dead are given up", the_dead_are_given_up})
