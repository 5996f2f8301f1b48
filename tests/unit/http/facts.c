/* facts.c: a message head in one line, for comparing. */
#include <stdio.h>

#include "cases.h"

static const char *body_name(enum tg_body_kind k)
{
	static const char *const names[] = {"none", "len", "chunked", "close", "tunnel"};

	return names[k];
}

void h1_facts(const struct tg_msg *m, char *out, size_t cap)
{
	char start[9000], length[32] = "";

	if (m->is_request)
		snprintf(start, sizeof(start), "%.*s %.*s%s%.*s @%.*s", (int)m->method_name.n,
			(const char *)m->method_name.p, (int)m->path.n, (const char *)m->path.p,
			m->query.p ? "?" : "", (int)m->query.n, (const char *)m->query.p,
			(int)m->authority.n, (const char *)m->authority.p);
	else
		snprintf(start, sizeof(start), "%u [%.*s]", m->status, (int)m->reason.n,
			(const char *)m->reason.p);
	if (m->has_content_length)
		snprintf(length, sizeof(length), "=%llu", (unsigned long long)m->content_length);
	snprintf(out, cap, "%s %s%s %s%s%s%s #%u", start, body_name(m->body), length,
		m->keep_alive ? "ka" : "end", m->upgrade ? " upgrade" : "",
		m->expect_continue ? " expect" : "", m->te_trailers ? " trailers" : "",
		m->n_fields);
}
