/* The connection to Redis, against a server that does what it should not: what is sent, what is
 * made of answers, how it is made again, what is said. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <tidegate/redis.h>

#include "../tgtest.h"
#include "fake_redis.h"

#define MS UINT64_C(1000000)
#define SEC UINT64_C(1000000000)
#define REAL (UINT64_C(1700000000) * SEC)
#define SHA "0123456789012345678901234567890123456789"
#define SCRIPT_OK "$40\r\n" SHA "\r\n"

static struct fake_redis fake;
static struct tg_quota *quota;
static struct tg_redis *redis;
static struct tg_redis_conf conf;
static struct tg_redis_counts counts;
static uint64_t now;
static char said[16][256];
static uint32_t n_said;
static const struct tg_quota_rate five = {5, 60, 5};

static void say(void *arg, bool bad, const char *text)
{
	(void)arg;
	snprintf(said[n_said++ % 16], sizeof(said[0]), "%s: %s", bad ? "bad" : "good", text);
}

static const char *last(void)
{
	return n_said ? said[(n_said - 1) % 16] : "";
}

static void start(struct tg_redis_conf c)
{
	fake_start(&fake);
	quota = tg_quota_create(64, 1);
	conf = c;
	if (!conf.address.port)
		conf.socket = fake.path;
	if (!conf.timeout)
		conf.timeout = 100 * MS;
	counts = (struct tg_redis_counts){0};
	n_said = 0;
	now = SEC;
	redis = tg_redis_open(&conf, quota, &counts, say, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(redis);
}

static void end(void)
{
	tg_redis_close(redis);
	tg_quota_destroy(quota);
	fake_stop(&fake);
}

/* Both sides, so often that what can happen has happened. */
static void both(void)
{
	for (int i = 0; i < 6; i++) {
		tg_redis_poll(redis, now, REAL + now);
		fake_poll(&fake);
	}
}

/* As both(), until so many commands have come; time goes on. */
static void until(uint32_t n)
{
	for (int i = 0; i < 4000 && fake.n_got < n; i++, now += MS)
		both();
	CU_ASSERT_FATAL(fake.n_got >= n);
}

static void answer(const char *bytes)
{
	fake_forget(&fake);
	fake_say(&fake, bytes);
	both();
}

static void ready(void)
{
	until(1);
	CU_ASSERT_STRING_EQUAL(fake.got[0].word[0], "SCRIPT");
	answer(SCRIPT_OK);
	CU_ASSERT_EQUAL_FATAL(counts.connected, 1);
}

static uint64_t hash_of(const char *key)
{
	return tg_quota_hash(quota, 1, key, strlen(key));
}

static enum tg_quota_answer take(const char *key)
{
	enum tg_quota_answer a = tg_quota_take(quota, hash_of(key), &five, now, NULL);

	if (a == TG_QUOTA_UNKNOWN &&
		tg_quota_bring(quota, 0, hash_of(key), &five, tg_view_str(key)))
		a = tg_quota_take(quota, hash_of(key), &five, now, NULL);
	return a;
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void asks_and_hears(void)
{
	start((struct tg_redis_conf){0});
	CU_ASSERT_EQUAL(take("k"), TG_QUOTA_AWAY);
	ready();
	CU_ASSERT_EQUAL(take("k"), TG_QUOTA_CREDITED);
	CU_ASSERT_EQUAL(take("k"), TG_QUOTA_CREDITED);
	CU_ASSERT_EQUAL(take("b"), TG_QUOTA_CREDITED);
	until(2);
	for (uint32_t i = 0; i < 2; i++) {
		bool k = strstr(fake.got[i].word[3], "|k|");

		CU_ASSERT_EQUAL(fake.got[i].n, 8);
		CU_ASSERT_STRING_EQUAL(fake.got[i].word[0], "EVALSHA");
		CU_ASSERT_STRING_EQUAL(fake.got[i].word[1], SHA);
		CU_ASSERT_STRING_EQUAL(fake.got[i].word[2], "1");
		CU_ASSERT_STRING_EQUAL(
			fake.got[i].word[3], k ? "tidegate|k|28333333" : "tidegate|b|28333333");
		CU_ASSERT_STRING_EQUAL(fake.got[i].word[4], "1"); /* asked for */
		CU_ASSERT_STRING_EQUAL(fake.got[i].word[5], "5"); /* of so many */
		CU_ASSERT_STRING_EQUAL(fake.got[i].word[6], "120");
		CU_ASSERT_STRING_EQUAL(fake.got[i].word[7], k ? "2" : "1"); /* on credit */
	}
	/* Answers in pieces, both of them. */
	if (strstr(fake.got[0].word[3], "|k|")) {
		answer("*2\r\n:1\r\n:");
		answer("3\r\n*2\r\n:0\r\n:5\r\n");
	} else {
		answer("*2\r\n:0\r\n:");
		answer("5\r\n*2\r\n:1\r\n:3\r\n");
	}
	CU_ASSERT_EQUAL(take("k"), TG_QUOTA_GIVEN);
	CU_ASSERT_EQUAL(take("k"), TG_QUOTA_CREDITED);
	CU_ASSERT_EQUAL(take("b"), TG_QUOTA_OVER);
	CU_ASSERT_EQUAL(counts.commands, 2);
	CU_ASSERT_EQUAL(n_said, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(last(), "good: /tmp/tg-fake-redis-"));
	end();
}

/* Two tokens that nobody uses: one goes back. */
static void gives_back(void)
{
	static const struct tg_quota_rate many = {1000, 60, 10};

	start((struct tg_redis_conf){0});
	ready();
	CU_ASSERT_TRUE(tg_quota_bring(quota, 0, hash_of("k"), &many, TG_VIEW("k")));
	for (uint32_t i = 0; i < 4; i++)
		tg_quota_take(quota, hash_of("k"), &many, now, NULL);
	until(1);
	CU_ASSERT_STRING_EQUAL(fake.got[0].word[4], "2");
	CU_ASSERT_STRING_EQUAL(fake.got[0].word[7], "4");
	answer("*2\r\n:2\r\n:6\r\n");
	until(1);
	CU_ASSERT_STRING_EQUAL(fake.got[0].word[0], "EVALSHA");
	CU_ASSERT_STRING_EQUAL(fake.got[0].word[4], "-1");
	CU_ASSERT_STRING_EQUAL(fake.got[0].word[7], "0");
	answer("*2\r\n:-1\r\n:5\r\n");
	CU_ASSERT_EQUAL(counts.connected, 1);
	CU_ASSERT_EQUAL(tg_quota_take(quota, hash_of("k"), &many, now, NULL), TG_QUOTA_GIVEN);
	end();
}

static void who_it_is(void)
{
	char path[64];
	FILE *f;

	start((struct tg_redis_conf){.user = "me", .password = "x y", .database = 3});
	until(3);
	CU_ASSERT_EQUAL(fake.got[0].n, 3);
	CU_ASSERT_STRING_EQUAL(fake.got[0].word[0], "AUTH");
	CU_ASSERT_STRING_EQUAL(fake.got[0].word[1], "me");
	CU_ASSERT_STRING_EQUAL(fake.got[0].word[2], "x y");
	CU_ASSERT_STRING_EQUAL(fake.got[1].word[0], "SELECT");
	CU_ASSERT_STRING_EQUAL(fake.got[1].word[1], "3");
	answer("+OK\r\n+OK\r\n" SCRIPT_OK);
	CU_ASSERT_EQUAL(counts.connected, 1);
	end();
	/* From a file, which is read anew for each connection. */
	snprintf(path, sizeof(path), "/tmp/tg-test-redis-%d", (int)getpid());
	start((struct tg_redis_conf){.password_file = path});
	both();
	CU_ASSERT_PTR_NOT_NULL(strstr(last(), "cannot read"));
	f = fopen(path, "w");
	fputs("first\nsecond\n", f);
	fclose(f);
	until(2);
	CU_ASSERT_EQUAL(fake.got[0].n, 2);
	CU_ASSERT_STRING_EQUAL(fake.got[0].word[1], "first");
	answer("-WRONGPASS no\r\n-NOAUTH no\r\n");
	CU_ASSERT_EQUAL(counts.connected, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(last(), "AUTH: WRONGPASS no"));
	CU_ASSERT_PTR_NULL(strstr(last(), "first"));
	unlink(path);
	end();
}

/* What is no answer to the question ends the connection; it is made again. */
static void strange_answers(void)
{
	static const char *const strange[] = {"-NOSCRIPT no\r\n", "-OOM no\r\n", "+OK\r\n",
		"$-1\r\n", "*2\r\n:9\r\n:1\r\n", "*2\r\n:-1\r\n:1\r\n", "*1\r\n:1\r\n",
		"*2\r\n$1\r\na\r\n:1\r\n", "*0\r\n", "nonsense\r\n", "*99999999999\r\n", ":1\r\n"};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(strange); i++) {
		start((struct tg_redis_conf){0});
		ready();
		take("k");
		until(1);
		answer(strange[i]);
		CU_ASSERT_EQUAL(counts.connected, 0);
		CU_ASSERT_EQUAL(counts.failures, 1);
		CU_ASSERT_EQUAL(n_said, 2);
		CU_ASSERT_EQUAL(take("k"), TG_QUOTA_AWAY);
		fake_forget(&fake);
		ready();
		CU_ASSERT_EQUAL(fake.accepted, 2);
		/* What is owed is charged for again. */
		both();
		CU_ASSERT_EQUAL(fake.n_got, 1);
		CU_ASSERT_STRING_EQUAL(fake.got[0].word[7], "1");
		CU_ASSERT_EQUAL(take("k"), TG_QUOTA_CREDITED);
		end();
	}
}

/* hiredis would abort the process. */
static void answers_that_nobody_asked_for(void)
{
	static const char *const surplus[] = {"+OK\r\n", ":1\r\n", "$-1\r\n", "*2\r\n:1\r\n:1\r\n"};
	char text[64];

	for (uint32_t i = 0; i < 2 * TG_ARRAY_LEN(surplus); i++) {
		start((struct tg_redis_conf){0});
		ready();
		if (i & 1) { /* behind one that is right */
			take("k");
			until(1);
		}
		snprintf(text, sizeof(text), "%s%s", i & 1 ? "*2\r\n:1\r\n:1\r\n" : "",
			surplus[i / 2]);
		answer(text);
		CU_ASSERT_EQUAL(counts.connected, 0);
		fake_forget(&fake);
		ready();
		CU_ASSERT_EQUAL(fake.accepted, 2);
		end();
	}
}

static void strange_greetings(void)
{
	static const char *const strange[] = {
		"-ERR no\r\n", "+OK\r\n", "$3\r\nabc\r\n", "$-1\r\n", ":1\r\n"};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(strange); i++) {
		start((struct tg_redis_conf){0});
		until(1);
		answer(strange[i]);
		CU_ASSERT_EQUAL(counts.connected, 0);
		CU_ASSERT_EQUAL(counts.failures, 1);
		CU_ASSERT_EQUAL(n_said, 1);
		ready();
		end();
	}
}

static void who_is_silent_is_away(void)
{
	start((struct tg_redis_conf){0});
	ready();
	take("k");
	until(1);
	now += conf.timeout;
	both();
	CU_ASSERT_EQUAL(counts.connected, 0);
	CU_ASSERT_EQUAL(take("k"), TG_QUOTA_AWAY);
	/* Late, but it comes. */
	answer("*2\r\n:1\r\n:1\r\n");
	both();
	CU_ASSERT_EQUAL(counts.connected, 1);
	CU_ASSERT_EQUAL(take("k"), TG_QUOTA_GIVEN);
	CU_ASSERT_EQUAL(counts.failures, 0);
	until(1);
	answer("*2\r\n:0\r\n:5\r\n");
	/* Nobody asks anything: it is looked after all the same. */
	until(1);
	CU_ASSERT_STRING_EQUAL(fake.got[0].word[0], "PING");
	answer("+PONG\r\n");
	CU_ASSERT_EQUAL(counts.connected, 1);
	until(1);
	now += TG_REDIS_HANGUP;
	both();
	CU_ASSERT_EQUAL(counts.connected, 0);
	CU_ASSERT_EQUAL(counts.failures, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(last(), "no answer within 5 s"));
	fake_forget(&fake);
	ready();
	end();
}

/* Each wait is about twice as long as the one before, up to two seconds; said once. */
static void waits_longer_and_longer(void)
{
	struct tg_sockaddr to;
	uint64_t waits[10], since, failures;

	/* Nobody listens there. */
	CU_ASSERT_EQUAL_FATAL(tg_sockaddr_parse("127.0.0.1:1", &to), 0);
	start((struct tg_redis_conf){.address = to});
	for (uint32_t i = 0; i < 10; i++) {
		since = now;
		failures = counts.failures;
		while (counts.failures == failures) {
			both();
			now += MS;
		}
		waits[i] = now - since;
	}
	CU_ASSERT_EQUAL(n_said, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(last(), "bad: 127.0.0.1:1: cannot connect: "));
	for (uint32_t i = 1; i < 10; i++) {
		uint64_t mean = TG_REDIS_WAIT_MIN << (i - 1);

		mean = mean < TG_REDIS_WAIT_MAX ? mean : TG_REDIS_WAIT_MAX;
		CU_ASSERT(waits[i] >= mean - mean / 4);
		CU_ASSERT(waits[i] <= mean + mean / 4 + 3 * MS);
	}
	end();
}

/* What was under way when the connection broke is asked again by who waits for it. */
static void a_broken_connection(void)
{
	struct tg_quota_counts n;

	start((struct tg_redis_conf){0});
	ready();
	take("k");
	take("b");
	until(2);
	fake_hang_up(&fake);
	both();
	CU_ASSERT_EQUAL(counts.connected, 0);
	tg_quota_counts(quota, &n);
	CU_ASSERT_EQUAL(n.unanswered, 2);
	fake_forget(&fake);
	ready();
	take("k");
	until(1);
	CU_ASSERT_STRING_EQUAL(fake.got[0].word[4], "1");
	end();
}

/* More questions than may be under way: the rest come when there is room. */
static void a_bounded_flight(void)
{
	char key[16], *answers = malloc(TG_REDIS_FLIGHT * 20), *p = answers;
	uint32_t total = TG_REDIS_FLIGHT + 300;

	start((struct tg_redis_conf){0});
	tg_quota_destroy(quota);
	quota = tg_quota_create(4096, 1);
	tg_redis_close(redis);
	redis = tg_redis_open(&conf, quota, &counts, say, NULL);
	ready();
	for (uint32_t i = 0; i < total; i++) {
		snprintf(key, sizeof(key), "%u", i);
		take(key);
		if (i % 400 == 399)
			both();
	}
	both();
	CU_ASSERT_EQUAL(fake.n_got, TG_REDIS_FLIGHT);
	for (uint32_t i = 0; i < TG_REDIS_FLIGHT; i++)
		p += sprintf(p, "*2\r\n:1\r\n:1\r\n");
	answer(answers);
	until(total - TG_REDIS_FLIGHT);
	CU_ASSERT_EQUAL(take("0"), TG_QUOTA_GIVEN);
	free(answers);
	end();
}

TG_TEST_MAIN("redis", {"asks and hears", asks_and_hears}, {"gives back", gives_back},
	{"who it is", who_it_is}, {"strange answers", strange_answers},
	{"answers that nobody asked for", answers_that_nobody_asked_for},
	{"strange greetings", strange_greetings}, {"who is silent is away", who_is_silent_is_away},
	{"waits longer and longer", waits_longer_and_longer},
	{"a broken connection", a_broken_connection}, {"a bounded flight", a_bounded_flight})
