/* sockets.c: the wire is the kernel's: non-blocking sockets under epoll, as tg_conns.
 *
 * A connection holds a block of BLOCK bytes for what it has read and the user has not, and one for
 * what is not sent, only while there is something in it. What is written in a turn leaves at its
 * end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define BLOCK 65536u
#define EVENTS 64

struct queue {
	uint8_t *p; /* NULL: nothing in it */
	uint32_t from, to;
};

struct sock {
	struct tg_conn conn; /* first */
	struct load *l;
	int fd;
	bool opening, failed, eof, more; /* more: the kernel may have bytes that found no room */
	bool finish, finished, starved;
	struct queue rx, tx;
	struct tg_link dirty; /* sockets.dirty: has bytes or a FIN to send */
	struct tg_sockaddr remote;
};

struct sockets {
	int epoll, listener;
	struct tg_pool socks, blocks;
	struct tg_link dirty;
};

static struct sockets *of(struct load *l)
{
	return l->wire_state;
}

static struct sock *sock_of(const struct tg_conn *c)
{
	return (struct sock *)(uintptr_t)c; /* conn is first */
}

/* --- blocks ----------------------------------------------------------------------------------- */

static bool hold(struct sock *s, struct queue *q)
{
	if (!q->p)
		q->p = tg_pool_take(&of(s->l)->blocks);
	return q->p;
}

static void let_go(struct sock *s, struct queue *q)
{
	if (q->p)
		tg_pool_put(&of(s->l)->blocks, q->p);
	*q = (struct queue){NULL, 0, 0};
}

static void mark(struct sock *s)
{
	tg_list_del(&s->dirty);
	tg_list_push(&of(s->l)->dirty, &s->dirty);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void fail(struct sock *s)
{
	if (s->failed)
		return;
	s->failed = true;
	tg_ready_raise(&s->l->ready, &s->conn, TG_EV_FAILED);
}

/* end: the kernel said that a FIN has come. */
static void read_in(struct sock *s, bool end)
{
	struct queue *q = &s->rx;
	uint32_t ev = 0;
	ssize_t n;

	s->more = false;
	while (!s->eof && !s->failed) {
		uint32_t room;

		if (!hold(s, q)) {
			fail(s);
			return;
		}
		room = BLOCK - q->to;
		if (!room) {
			s->more = true;
			break;
		}
		n = recv(s->fd, q->p + q->to, room, 0);
		if (n > 0) {
			q->to += (uint32_t)n;
			ev |= TG_EV_READABLE;
			if ((uint32_t)n < room && !end)
				break;
		} else if (n == 0) {
			s->eof = true;
			ev |= TG_EV_EOF;
		} else {
			if (errno != EAGAIN)
				fail(s);
			break;
		}
	}
	if (q->from == q->to)
		let_go(s, q);
	if (ev)
		tg_ready_raise(&s->l->ready, &s->conn, ev);
}

static uint32_t rx_peek(struct tg_conn *c, struct tg_view *v, uint32_t cnt)
{
	const struct sock *s = sock_of(c);

	if (!cnt || s->rx.from == s->rx.to)
		return 0;
	*v = tg_view_of(s->rx.p + s->rx.from, s->rx.to - s->rx.from);
	return 1;
}

static void rx_consume(struct tg_conn *c, uint32_t n)
{
	struct sock *s = sock_of(c);
	struct queue *q = &s->rx;

	q->from += n;
	if (q->from == q->to)
		let_go(s, q);
	else if (q->from > BLOCK / 2) {
		memmove(q->p, q->p + q->from, q->to - q->from);
		q->to -= q->from;
		q->from = 0;
	}
	if (s->more)
		mark(s);
}

/* --- writing ---------------------------------------------------------------------------------- */

static uint32_t tx_space(const struct tg_conn *c)
{
	const struct sock *s = sock_of(c);

	return s->opening || s->failed || s->finish ? 0 : BLOCK - s->tx.to;
}

static uint32_t tx_fill(
	struct tg_conn *c, uint32_t least, uint32_t most, tg_fill_fn *fill, void *ctx)
{
	struct sock *s = sock_of(c);
	uint32_t n = tx_space(c);
	struct tg_span to;

	if (n < most)
		s->starved = true;
	if (n > most)
		n = most;
	if (!n || n < least || !hold(s, &s->tx))
		return 0;
	to = (struct tg_span){s->tx.p + s->tx.to, n};
	fill(ctx, &to, 1, n);
	s->tx.to += n;
	mark(s);
	return n;
}

struct copying {
	const struct tg_view *v;
};

static void copy(void *ctx, const struct tg_span *to, uint32_t cnt, uint32_t n)
{
	const struct copying *k = ctx;

	(void)cnt;
	memcpy(to->p, k->v->p, n);
}

static uint32_t tx_write(struct tg_conn *c, const struct tg_view *v, uint32_t cnt)
{
	uint32_t done = 0;

	sock_of(c)->starved |= cnt == 0;
	for (uint32_t i = 0; i < cnt; i++) {
		struct copying k = {&v[i]};
		uint32_t n = v[i].n ? tx_fill(c, 1, v[i].n, copy, &k) : 0;

		done += n;
		if (n < v[i].n)
			break;
	}
	return done;
}

static void tx_finish(struct tg_conn *c)
{
	sock_of(c)->finish = true;
	mark(sock_of(c));
}

/* Sends what the kernel takes. */
static void send_out(struct sock *s)
{
	struct queue *q = &s->tx;
	ssize_t n;

	tg_list_del(&s->dirty);
	if (s->more)
		read_in(s, true);
	if (s->opening || s->failed)
		return;
	if (q->from < q->to) {
		n = send(s->fd, q->p + q->from, q->to - q->from, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN) {
			fail(s);
			return;
		}
		q->from += n > 0 ? (uint32_t)n : 0;
		if (q->from < q->to)
			return; /* EPOLLOUT will come */
		let_go(s, q);
		if (s->starved) {
			s->starved = false;
			tg_ready_raise(&s->l->ready, &s->conn, TG_EV_WRITABLE);
		}
	}
	if (s->finish && !s->finished) {
		s->finished = true;
		shutdown(s->fd, SHUT_WR);
	}
}

static void flush(struct load *l)
{
	struct tg_link *d;

	while ((d = tg_list_shift(&of(l)->dirty)))
		send_out(TG_CONTAINER(d, struct sock, dirty));
}

/* --- ends ------------------------------------------------------------------------------------- */

static void leave(struct sock *s)
{
	close(s->fd);
	tg_list_del(&s->dirty);
	let_go(s, &s->rx);
	let_go(s, &s->tx);
	if (!tg_ready_cancel(&s->l->ready, &s->conn))
		tg_pool_put(&of(s->l)->socks, s);
}

static void reap(void *ctx, struct tg_conn *c)
{
	tg_pool_put(&((struct sockets *)ctx)->socks, c);
}

static void sock_abort(struct tg_conn *c, enum tg_why why)
{
	const struct linger now = {1, 0};

	(void)why;
	setsockopt(sock_of(c)->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	leave(sock_of(c));
}

static void sock_detach(struct tg_conn *c)
{
	struct sock *s = sock_of(c);

	send_out(s);
	leave(s);
}

static void sock_info(const struct tg_conn *c, struct tg_conn_info *out)
{
	*out = (struct tg_conn_info){
		.remote = sock_of(c)->remote, .why = TG_WHY_conn_reset_by_peer};
}

static const struct tg_conn_ops sock_ops = {
	.rx_peek = rx_peek,
	.rx_consume = rx_consume,
	.tx_space = tx_space,
	.tx_write = tx_write,
	.tx_fill = tx_fill,
	.tx_finish = tx_finish,
	.abort = sock_abort,
	.detach = sock_detach,
	.info = sock_info,
};

/* --- events ----------------------------------------------------------------------------------- */

static struct sock *adopt(
	struct load *l, int fd, bool opening, const struct tg_conn_user *user, void *owner)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	struct sock *s = tg_pool_take(&of(l)->socks);
	const int on = 1;

	if (!s) {
		close(fd);
		return NULL;
	}
	memset(s, 0, sizeof(*s));
	s->conn.ops = &sock_ops;
	s->conn.user = user;
	s->conn.owner = owner;
	s->l = l;
	s->fd = fd;
	s->opening = opening;
	tg_list_init(&s->dirty);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	e.data.ptr = s;
	epoll_ctl(of(l)->epoll, EPOLL_CTL_ADD, fd, &e);
	return s;
}

static const struct tg_conn_user *accept_user;

static void accept_all(struct load *l)
{
	struct sock *s;
	int fd;

	while ((fd = accept4(of(l)->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		s = adopt(l, fd, false, accept_user, l);
		if (s)
			tg_ready_raise(&l->ready, &s->conn, TG_EV_OPEN);
	}
}

static void opened(struct sock *s)
{
	int err = 0;
	socklen_t n = sizeof(err);

	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &n);
	s->opening = false;
	if (err)
		fail(s);
	else
		tg_ready_raise(&s->l->ready, &s->conn, TG_EV_OPEN);
}

static void event(struct sock *s, uint32_t ev)
{
	if (s->opening && ev & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		opened(s);
	if (ev & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
		read_in(s, ev & (EPOLLRDHUP | EPOLLERR | EPOLLHUP));
	if (ev & EPOLLOUT && s->tx.p)
		mark(s);
}

static uint32_t poll_events(struct load *l, int ms)
{
	struct epoll_event e[EVENTS];
	int n = epoll_wait(of(l)->epoll, e, EVENTS, ms);

	for (int i = 0; i < n; i++)
		if (e[i].data.ptr)
			event(e[i].data.ptr, e[i].events);
		else
			accept_all(l);
	return n > 0 ? (uint32_t)n : 0;
}

static uint32_t receive(struct load *l)
{
	return poll_events(l, 0);
}

static void rest(struct load *l, uint64_t ns)
{
	poll_events(l, ns > TG_MS ? (int)(ns / TG_MS) : 0);
}

/* --- opening ---------------------------------------------------------------------------------- */

static socklen_t native(const struct tg_sockaddr *a, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (tg_ip_is_v4(&a->ip)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(a->port);
		memcpy(&v4->sin_addr, a->ip.b + 12, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(a->port);
	memcpy(&v6->sin6_addr, a->ip.b, 16);
	return sizeof(*v6);
}

static int new_socket(const struct tg_sockaddr *a)
{
	return socket(tg_ip_is_v4(&a->ip) ? AF_INET : AF_INET6,
		SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int sock_connect(struct load *l, uint32_t address, const struct tg_conn_user *user,
	void *owner, struct tg_conn **out)
{
	struct tg_sockaddr from = {.ip = l->conf.client.ip};
	struct sockaddr_storage to;
	const int on = 1;
	socklen_t n;
	struct sock *s;
	int fd = new_socket(&l->conf.target);

	if (fd < 0)
		return TG_ENOPORT;
	from.ip.b[15] = (uint8_t)(from.ip.b[15] + address);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	n = native(&from, &to);
	if (!tg_ip_is_any(&l->conf.client.ip) && bind(fd, (struct sockaddr *)&to, n)) {
		close(fd);
		return TG_ENOPORT;
	}
	n = native(&l->conf.target, &to);
	if (connect(fd, (struct sockaddr *)&to, n) && errno != EINPROGRESS) {
		close(fd);
		return TG_ENOPORT;
	}
	s = adopt(l, fd, true, user, owner);
	if (!s)
		return TG_ENOMEM;
	s->remote = l->conf.target;
	*out = &s->conn;
	return 0;
}

bool load_enter(const char *netns)
{
	char path[128];
	int fd, rc;

	if (!netns)
		return true;
	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	rc = fd < 0 ? -1 : setns(fd, CLONE_NEWNET);
	if (fd >= 0)
		close(fd);
	return rc == 0;
}

static int sock_listen(struct load *l, const struct tg_conn_user *user)
{
	struct epoll_event e = {.events = EPOLLIN};
	struct sockaddr_storage at;
	const int on = 1;
	socklen_t n = native(&l->conf.origin, &at);
	bool ok = load_enter(l->conf.origin_netns);
	int fd = ok ? new_socket(&l->conf.origin) : -1;

	accept_user = user;
	of(l)->listener = fd;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	ok = ok && fd >= 0 && bind(fd, (struct sockaddr *)&at, n) == 0 && listen(fd, 65535) == 0 &&
	     epoll_ctl(of(l)->epoll, EPOLL_CTL_ADD, fd, &e) == 0;
	return load_enter(l->conf.client_netns) && ok ? 0 : TG_ESYS;
}

static void choose_cpu(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

const struct load_wire *load_sockets_start(struct load *l, struct tg_errbuf *e)
{
	static struct load_wire wire = {.receive = receive,
		.flush = flush,
		.rest = rest,
		.connect = sock_connect,
		.listen = sock_listen,
		.reap = reap};
	struct sockets *k = calloc(1, sizeof(*k));
	uint32_t n = 2 * l->conf.connections + 1024;

	choose_cpu(l->conf.cpu);
	if (!k || tg_pool_init(&k->socks, "sock", sizeof(struct sock), n) ||
		tg_pool_init(&k->blocks, "block", BLOCK, n)) {
		tg_fail(e, TG_ENOMEM, "no memory for %u connections", n);
		return NULL;
	}
	l->wire_state = k;
	tg_list_init(&k->dirty);
	k->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (k->epoll < 0 || !load_enter(l->conf.client_netns)) {
		tg_fail(e, TG_ESYS, "no epoll, or no such namespace: %s", strerror(errno));
		return NULL;
	}
	wire.reap_ctx = k;
	return &wire;
}
