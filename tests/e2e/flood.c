/* flood.c: sends prebuilt Ethernet frames out of an interface, as fast as one core can or at a
 * rate, for a bounded time. Only for the namespaces that tests make.
 *
 *   tg_flood IFACE FILE SECONDS [FRAMES_A_SECOND]
 *
 * FILE: frames one after the other, each behind its length (16 bits, big-endian). They are sent in
 * their order again and again. Prints the number sent and the time it took; SIGTERM ends it early.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define FRAMES_MAX (1u << 20)

static volatile sig_atomic_t ended;

static void on_term(int signo)
{
	(void)signo;
	ended = 1;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint32_t read_frames(const char *path, struct iovec *v)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	uint8_t *p;
	size_t at = 0, size;
	uint32_t n = 0;

	if (fd < 0 || fstat(fd, &st))
		die(path);
	size = (size_t)st.st_size;
	p = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED)
		die(path);
	close(fd);
	while (at + 2 <= size && n < FRAMES_MAX) {
		size_t len = (size_t)p[at] << 8 | p[at + 1];

		if (at + 2 + len > size)
			break;
		v[n++] = (struct iovec){p + at + 2, len};
		at += 2 + len;
	}
	return n;
}

static int open_socket(const char *iface)
{
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(iface)};

	if (fd < 0 || !to.sll_ifindex || bind(fd, (struct sockaddr *)&to, sizeof(to)))
		die(iface);
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	return fd;
}

int main(int argc, char **argv)
{
	struct iovec *frames = calloc(FRAMES_MAX, sizeof(*frames));
	struct mmsghdr msgs[BATCH] = {0};
	uint64_t sent = 0, refused = 0;
	double rate, start, until;
	uint32_t n, at = 0;
	int fd;

	if (argc < 4 || !frames) {
		fprintf(stderr, "usage: tg_flood IFACE FILE SECONDS [FRAMES_A_SECOND]\n");
		return 2;
	}
	signal(SIGTERM, on_term);
	rate = argc > 4 ? atof(argv[4]) : 0;
	n = read_frames(argv[2], frames);
	if (!n) {
		fprintf(stderr, "no frames in %s\n", argv[2]);
		return 1;
	}
	fd = open_socket(argv[1]);
	start = now();
	until = start + atof(argv[3]);
	while (!ended && now() < until) {
		uint32_t batch = BATCH;
		int r;

		if (rate > 0) {
			double due = (now() - start) * rate - (double)sent;

			if (due < 1) {
				usleep(200);
				continue;
			}
			batch = due < BATCH ? (uint32_t)due : BATCH;
		}
		for (uint32_t i = 0; i < batch; i++) {
			msgs[i].msg_hdr.msg_iov = &frames[at];
			msgs[i].msg_hdr.msg_iovlen = 1;
			at = at + 1 == n ? 0 : at + 1;
		}
		r = sendmmsg(fd, msgs, batch, 0);
		if (r > 0)
			sent += (uint64_t)r;
		else if (errno != ENOBUFS && errno != EAGAIN)
			die("sendmmsg");
		/* What the interface did not take is lost: so it is on a wire. */
		if (r < (int)batch)
			refused += batch - (r > 0 ? (uint32_t)r : 0);
	}
	printf("%llu %llu %.3f\n", (unsigned long long)sent, (unsigned long long)refused,
		now() - start);
	return 0;
}
