/* lossylink.c: a cable that loses, delays, reorders, repeats and slows down packets, from a seed.
 *
 *   lossylink IFACE IFACE [--seed N] [--loss P] [--delay MS] [--jitter MS] [--reorder P] [--dup P]
 *             [--rate MBIT] [--queue N]
 *
 * Carries frames between two interfaces of its namespace, both ways alike. P is per cent of the
 * packets; a reordered one waits one delay longer (at least 1 ms); jitter keeps the order. rate
 * (0: none) is of each way, with a queue of N packets in front of it (default 1000): what does not
 * fit is lost. ARP and neighbour discovery are spared, so that a lost one does not cost a second.
 * Each way has a generator of its own, so the n-th packet of a way has the same fate in every run
 * with the same seed.
 *
 * It prints "ready" when packets pass, and what it did when SIGTERM ends it. Single-threaded;
 * memory is bounded by QUEUE_MAX packets a way.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>

#define FRAME_MAX 9216
#define QUEUE_MAX 65536
#define NS_PER_MS 1000000.0

struct frame {
	uint64_t due; /* ns */
	uint64_t order;
	uint32_t len;
	uint8_t data[];
};

struct conf {
	double loss, reorder, dup; /* 0 .. 1 */
	double delay, jitter;      /* ns */
	double ns_per_byte;        /* 0: no rate limit */
	uint32_t queue;
};

/* One way: frames in a binary heap by the time at which they leave. */
struct way {
	int in, out;
	uint64_t rng;
	struct frame *heap[QUEUE_MAX];
	uint32_t n;
	uint64_t count;
	uint64_t line_free; /* ns: when the slow line has sent what it has */
	uint64_t last_due;  /* jitter keeps the order */
	uint64_t passed, lost, overflowed, repeated, reordered;
};

static volatile sig_atomic_t stop;

static void on_signal(int signo)
{
	(void)signo;
	stop = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "lossylink: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* splitmix64; 0 <= result < 1 */
static double chance(struct way *w)
{
	uint64_t z = w->rng += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static bool before(const struct frame *a, const struct frame *b)
{
	return a->due < b->due || (a->due == b->due && a->order < b->order);
}

static void push(struct way *w, struct frame *f)
{
	uint32_t i = w->n++;

	for (; i && before(f, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = f;
}

static struct frame *pop(struct way *w)
{
	struct frame *top = w->heap[0], *last = w->heap[--w->n];
	uint32_t i = 0;

	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= w->n)
			break;
		if (child + 1 < w->n && before(w->heap[child + 1], w->heap[child]))
			child++;
		if (!before(w->heap[child], last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	w->heap[i] = last;
	return top;
}

/* ARP, or ICMPv6 neighbour solicitations and advertisements. */
static bool spared(const uint8_t *p, uint32_t len)
{
	uint32_t type = (uint32_t)p[12] << 8 | p[13];

	if (type == ETHERTYPE_ARP)
		return true;
	return type == ETHERTYPE_IPV6 && len > 54 && p[20] == 58 && (p[54] == 135 || p[54] == 136);
}

static void enqueue(struct way *w, const uint8_t *p, uint32_t len, uint64_t due)
{
	struct frame *f;

	if (w->n == QUEUE_MAX) {
		w->overflowed++;
		return;
	}
	f = malloc(sizeof(*f) + len);
	if (!f)
		die("malloc");
	f->due = due;
	f->order = w->count++;
	f->len = len;
	memcpy(f->data, p, len);
	push(w, f);
}

/* When a packet that comes now leaves; 0: the queue in front of the slow line is full. */
static uint64_t through_line(const struct conf *c, struct way *w, uint64_t now, uint32_t len)
{
	uint64_t cost = (uint64_t)(c->ns_per_byte * (len + 24.0)); /* preamble, CRC, gap */

	if (c->ns_per_byte == 0)
		return now;
	if (w->line_free < now)
		w->line_free = now;
	if (w->line_free - now > (uint64_t)(c->ns_per_byte * 1538.0 * c->queue))
		return 0;
	w->line_free += cost;
	return w->line_free;
}

static void arrive(const struct conf *c, struct way *w, const uint8_t *p, uint32_t len)
{
	/* Always as many numbers, so that one packet's fate does not shift the next one's. */
	double lost = chance(w), odd = chance(w), twice = chance(w), jitter = chance(w);
	uint64_t now = now_ns(), due = through_line(c, w, now, len);

	if (!due) {
		w->overflowed++;
		return;
	}
	if (lost < c->loss && !spared(p, len)) {
		w->lost++;
		return;
	}
	due += (uint64_t)(c->delay + jitter * c->jitter);
	if (due < w->last_due)
		due = w->last_due;
	if (odd < c->reorder) {
		due += (uint64_t)fmax(c->delay, NS_PER_MS);
		w->reordered++;
	} else {
		w->last_due = due;
	}
	enqueue(w, p, len, due);
	w->passed++;
	if (twice < c->dup) {
		enqueue(w, p, len, due);
		w->repeated++;
	}
}

static void receive(const struct conf *c, struct way *w)
{
	static uint8_t buf[FRAME_MAX];

	for (int i = 0; i < 64; i++) {
		struct sockaddr_ll from;
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(
			w->in, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from, &size);

		if (n < 0)
			return;
		if (from.sll_pkttype != PACKET_OUTGOING && n >= 14)
			arrive(c, w, buf, (uint32_t)n);
	}
}

/* Sends what is due; returns ns until the next one, or UINT64_MAX. */
static uint64_t leave(struct way *w, uint64_t now)
{
	while (w->n && w->heap[0]->due <= now) {
		struct frame *f = pop(w);

		if (send(w->out, f->data, f->len, 0) < 0 && errno != ENOBUFS && errno != ENETDOWN)
			die("send");
		free(f);
	}
	return w->n ? w->heap[0]->due - now : UINT64_MAX;
}

static int open_iface(const char *name)
{
	struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), size = 16 << 20;

	a.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !a.sll_ifindex || bind(fd, (struct sockaddr *)&a, sizeof(a)))
		die(name);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return fd;
}

static double number(const char *s, double low, double high)
{
	char *end;
	double v = strtod(s, &end);

	if (*end || !(v >= low && v <= high)) {
		fprintf(stderr, "lossylink: bad number '%s'\n", s);
		exit(2);
	}
	return v;
}

static void read_args(int argc, char **argv, struct conf *c, uint64_t *seed)
{
	for (int i = 3; i + 1 < argc; i += 2) {
		const char *k = argv[i], *v = argv[i + 1];

		if (!strcmp(k, "--seed")) {
			*seed = (uint64_t)number(v, 0, 1e15);
		} else if (!strcmp(k, "--loss")) {
			c->loss = number(v, 0, 100) / 100;
		} else if (!strcmp(k, "--delay")) {
			c->delay = number(v, 0, 10000) * NS_PER_MS;
		} else if (!strcmp(k, "--jitter")) {
			c->jitter = number(v, 0, 10000) * NS_PER_MS;
		} else if (!strcmp(k, "--reorder")) {
			c->reorder = number(v, 0, 100) / 100;
		} else if (!strcmp(k, "--dup")) {
			c->dup = number(v, 0, 100) / 100;
		} else if (!strcmp(k, "--rate")) {
			double mbit = number(v, 0, 100000);

			c->ns_per_byte = mbit > 0 ? 8000.0 / mbit : 0;
		} else if (!strcmp(k, "--queue")) {
			c->queue = (uint32_t)number(v, 1, QUEUE_MAX);
		} else {
			fprintf(stderr, "lossylink: unknown argument '%s'\n", k);
			exit(2);
		}
	}
}

/* Signals that end it come only while it waits, under `mask`: one between the look at `stop` and
 * the wait would be lost, and the wait may be for ever. */
static void carry(const struct conf *c, struct way w[2], const sigset_t *mask)
{
	struct pollfd fds[2] = {
		{.fd = w[0].in, .events = POLLIN}, {.fd = w[1].in, .events = POLLIN}};

	while (!stop) {
		uint64_t now = now_ns(), a = leave(&w[0], now), b = leave(&w[1], now);
		uint64_t ns = a < b ? a : b;
		struct timespec ts = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

		if (ppoll(fds, 2, ns == UINT64_MAX ? NULL : &ts, mask) < 0 && errno != EINTR)
			die("ppoll");
		for (int i = 0; i < 2; i++)
			if (fds[i].revents)
				receive(c, &w[i]);
	}
}

int main(int argc, char **argv)
{
	static struct way w[2];
	struct conf c = {.queue = 1000};
	struct sigaction sa = {.sa_handler = on_signal};
	sigset_t ends, before;
	uint64_t seed = 1;

	if (argc < 3 || argc % 2 == 0) {
		fprintf(stderr, "usage: lossylink IFACE IFACE [--KEY VALUE ...]\n");
		return 2;
	}
	read_args(argc, argv, &c, &seed);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, &before);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	w[0].in = w[1].out = open_iface(argv[1]);
	w[1].in = w[0].out = open_iface(argv[2]);
	w[0].rng = seed * 2 + 1;
	w[1].rng = ~(seed * 2 + 1);
	printf("ready\n");
	fflush(stdout);
	carry(&c, w, &before);
	for (int i = 0; i < 2; i++)
		printf("%s -> %s: %lu passed, %lu lost, %lu overflowed, %lu repeated, %lu "
		       "reordered\n",
			argv[1 + i], argv[2 - i], w[i].passed, w[i].lost, w[i].overflowed,
			w[i].repeated, w[i].reordered);
	return 0;
}
