/* channel.c: c-ares with the servers of one configuration, on an epoll of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define EVENTS 32
#define UDP_SIZE 1232 /* of answers: what is not fragmented on the way */

/* c-ares says what it waits for of a socket; neither: it is closed next. */
static void socket_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
	struct dns_channel *c = ctx;
	struct epoll_event ev = {
		.events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u), .data.fd = fd};

	if (!ev.events)
		epoll_ctl(c->epoll, EPOLL_CTL_DEL, fd, NULL);
	else if (epoll_ctl(c->epoll, EPOLL_CTL_MOD, fd, &ev) && errno == ENOENT)
		epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &ev);
}

static int64_t resolv_conf_changed(void)
{
	struct stat st;

	return stat("/etc/resolv.conf", &st)
		       ? 1
		       : st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
}

static int open_ares(struct dns_channel *c)
{
	struct ares_options o = {.flags = (c->tcp ? ARES_FLAG_USEVC : 0) |
					  (c->no_search ? ARES_FLAG_NOSEARCH : 0) | ARES_FLAG_EDNS |
					  ARES_FLAG_STAYOPEN,
		.timeout = (int)c->timeout_ms,
		.tries = (int)c->tries,
		.ednspsz = UDP_SIZE,
		.sock_state_cb = socket_state,
		.sock_state_cb_data = c};
	int rc;

	c->resolv_conf = *c->resolvers ? 0 : resolv_conf_changed();
	rc = ares_init_options(&c->ares, &o,
		ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
			ARES_OPT_EDNSPSZ);
	if (rc != ARES_SUCCESS)
		return rc;
	if (*c->resolvers)
		rc = ares_set_servers_ports_csv(c->ares, c->resolvers);
	if (rc != ARES_SUCCESS)
		ares_destroy(c->ares);
	return rc;
}

static bool same(const struct dns_channel *c, const struct tg_dns_conf *conf)
{
	return c->tcp == conf->tcp && c->no_search == conf->no_search &&
	       c->timeout_ms == conf->timeout_ms && c->tries == conf->tries &&
	       strcmp(c->resolvers, conf->resolvers) == 0;
}

static void free_channel(struct dns_channel *c)
{
	if (c->epoll >= 0)
		close(c->epoll);
	free(c->resolvers);
	free(c);
}

struct dns_channel *dns_channel_get(
	struct tg_dns *d, const struct tg_dns_conf *conf, struct tg_errbuf *e)
{
	struct dns_channel *c = d->channels;
	struct epoll_event ev = {.events = EPOLLIN};
	int rc = ARES_ENOMEM;

	while (c && !same(c, conf))
		c = c->next;
	if (c) {
		c->refs++;
		return c;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		tg_fail(e, TG_ENOMEM, "out of memory");
		return NULL;
	}
	*c = (struct dns_channel){.dns = d,
		.refs = 1,
		.tcp = conf->tcp,
		.no_search = conf->no_search,
		.timeout_ms = conf->timeout_ms,
		.tries = conf->tries,
		.resolvers = strdup(conf->resolvers),
		.epoll = epoll_create1(EPOLL_CLOEXEC)};
	ev.data.ptr = c;
	if (c->resolvers && c->epoll >= 0 && epoll_ctl(d->epoll, EPOLL_CTL_ADD, c->epoll, &ev) == 0)
		rc = open_ares(c);
	if (rc != ARES_SUCCESS) {
		tg_fail(e, TG_ESYS, "no resolver: %s", ares_strerror(rc));
		free_channel(c);
		return NULL;
	}
	c->next = d->channels;
	d->channels = c;
	return c;
}

void dns_channel_put(struct dns_channel *c)
{
	struct dns_channel **at = &c->dns->channels;

	if (--c->refs)
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	ares_destroy(c->ares);
	free_channel(c);
}

void dns_channel_process(struct dns_channel *c)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(c->epoll, ev, EVENTS, 0);

	/* A socket that an earlier event closed is none of c-ares' any more: it looks for it. */
	for (int i = 0; i < n; i++)
		ares_process_fd(c->ares,
			ev[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? ev[i].data.fd
								       : ARES_SOCKET_BAD,
			ev[i].events & EPOLLOUT ? ev[i].data.fd : ARES_SOCKET_BAD);
	ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

void dns_channel_renew(struct dns_channel *c)
{
	ares_channel old = c->ares;

	if (!c->resolv_conf || c->asking || resolv_conf_changed() == c->resolv_conf)
		return;
	if (open_ares(c) == ARES_SUCCESS)
		ares_destroy(old);
	else
		c->ares = old;
}
