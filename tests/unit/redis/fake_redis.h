/* fake_redis.h: a server of Redis' protocol on a unix socket, in this thread: it takes commands as
 * they come and answers when it is told to. */
#ifndef TEST_FAKE_REDIS_H
#define TEST_FAKE_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_WORDS 8
#define FAKE_COMMANDS 4096

struct fake_command {
	uint32_t n;
	char word[FAKE_WORDS][512];
};

struct fake_redis {
	char path[64];
	int listener, fd; /* -1: none */
	uint8_t in[1 << 20];
	size_t n_in;
	struct fake_command *got; /* since fake_forget() */
	uint32_t n_got;
	uint32_t accepted;
};

void fake_start(struct fake_redis *f);
void fake_stop(struct fake_redis *f);
/* Takes a connection and what it sends, without waiting. */
void fake_poll(struct fake_redis *f);
void fake_say(struct fake_redis *f, const char *bytes);
void fake_hang_up(struct fake_redis *f);
void fake_forget(struct fake_redis *f);

#endif
