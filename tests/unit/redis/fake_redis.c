#include "fake_redis.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void fake_start(struct fake_redis *f)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	memset(f, 0, sizeof(*f));
	f->got = calloc(FAKE_COMMANDS, sizeof(*f->got));
	snprintf(f->path, sizeof(f->path), "/tmp/tg-fake-redis-%d", (int)getpid());
	unlink(f->path);
	strcpy(a.sun_path, f->path);
	f->fd = -1;
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (f->listener < 0 || bind(f->listener, (struct sockaddr *)&a, sizeof(a)) ||
		listen(f->listener, 8)) {
		perror(f->path);
		abort();
	}
}

void fake_hang_up(struct fake_redis *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->n_in = 0;
}

void fake_stop(struct fake_redis *f)
{
	fake_hang_up(f);
	close(f->listener);
	unlink(f->path);
	free(f->got);
}

void fake_forget(struct fake_redis *f)
{
	f->n_got = 0;
}

/* A line "*3\r\n" or "$5\r\n" at *p; -1: not whole yet. */
static long number(uint8_t **p, uint8_t *end)
{
	uint8_t *nl = memchr(*p, '\n', (size_t)(end - *p));
	long v;

	if (!nl)
		return -1;
	v = strtol((char *)*p + 1, NULL, 10);
	*p = nl + 1;
	return v;
}

/* Bytes of the whole command at the beginning; 0: there is none. */
static size_t take(struct fake_redis *f)
{
	uint8_t *p = f->in, *end = f->in + f->n_in;
	struct fake_command c = {0};
	long n = number(&p, end);

	for (long i = 0; i < n; i++) {
		long len = number(&p, end);

		if (len < 0 || end - p < len + 2)
			return 0;
		if (i < FAKE_WORDS)
			snprintf(c.word[i], sizeof(c.word[i]), "%.*s", (int)len, (char *)p);
		p += len + 2;
	}
	if (n < 0)
		return 0;
	c.n = (uint32_t)n;
	if (f->n_got < FAKE_COMMANDS)
		f->got[f->n_got++] = c;
	return (size_t)(p - f->in);
}

void fake_poll(struct fake_redis *f)
{
	size_t used;
	ssize_t n;
	int fd;

	while ((fd = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		fake_hang_up(f);
		f->fd = fd;
		f->accepted++;
	}
	if (f->fd < 0)
		return;
	while ((n = recv(f->fd, f->in + f->n_in, sizeof(f->in) - f->n_in - 1, 0)) > 0)
		f->n_in += (size_t)n;
	f->in[f->n_in] = 0;
	if (n == 0)
		fake_hang_up(f);
	while (f->n_in && (used = take(f)) > 0) {
		memmove(f->in, f->in + used, f->n_in - used);
		f->n_in -= used;
	}
}

void fake_say(struct fake_redis *f, const char *bytes)
{
	size_t n = strlen(bytes);

	if (f->fd < 0 || send(f->fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
		abort();
}
