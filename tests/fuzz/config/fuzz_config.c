/* Any text is either a snapshot and not a word, or no snapshot and lines of FILE:LINE: message. */
#include <stdlib.h>

#include <tidegate/config.h>

static char messages[1 << 20];

static void check_messages(uint32_t lines)
{
	const char *p = messages;

	if (!*p)
		abort();
	while (*p) {
		const char *eol = strchr(p, '\n');
		char *end;
		unsigned long line;

		if (!eol) /* cut by the size of the buffer */
			return;
		if (strncmp(p, "fuzz:", 5) != 0)
			abort();
		line = strtoul(p + 5, &end, 10);
		if (line < 1 || line > lines || strncmp(end, ": ", 2) != 0)
			abort();
		p = eol + 1;
	}
}

static void use(const struct tg_snapshot *s)
{
	struct tg_msg m = {.path = TG_VIEW("/a/b"), .method_name = TG_VIEW("GET")};

	for (uint32_t i = 0; i < s->n_vhosts; i++)
		tg_route_find(&s->vhosts[i], &m, NULL);
	for (uint32_t i = 0; i < s->n_listeners; i++)
		if (s->listeners[i].hosts)
			tg_host_find(s->listeners[i].hosts, TG_VIEW("a.example:80"));
	for (uint32_t i = 0; i < s->n_clusters; i++) {
		uint32_t pos = i;

		/* Endpoints by name are not there yet. */
		if (!tg_lb_round_robin(&s->clusters[i], &pos, NULL) != !s->clusters[i].n_endpoints)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = calloc(1, n + 1);
	FILE *err = fmemopen(messages, sizeof(messages), "w");
	struct tg_snapshot *s, *again;
	uint32_t lines = 1;

	if (!text || !err)
		abort();
	memset(messages, 0, 256);
	memcpy(text, data, n);
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	s = tg_config_parse("fuzz", text, NULL, err);
	fclose(err);
	if (s) {
		if (*messages)
			abort();
		use(s);
		again = tg_config_parse("fuzz", s->source, NULL, stderr);
		if (!again || tg_config_static_diff(s, again, stderr))
			abort();
		tg_snapshot_free(again);
	} else {
		check_messages(lines);
	}
	tg_snapshot_free(s);
	free(text);
	return 0;
}
