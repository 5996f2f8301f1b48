/* /certs: every certificate in use, as Envoy shows them. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "admin_req.h"
#include "tls.h"

struct certs {
	json_t *list;
	int64_t now;
};

static json_t *when(int64_t t)
{
	char text[TG_ADMIN_TIME];

	return json_string(tg_admin_time((uint64_t)t * TG_SEC, text));
}

static json_t *names(const struct tg_tls_cert *c)
{
	json_t *list = json_array();
	const char *s = c->names;

	if (c->spiffe_id[0])
		json_array_append_new(list, json_pack("{s:s}", "uri", c->spiffe_id));
	while (*s) {
		size_t n = strcspn(s, ",");

		json_array_append_new(list, json_pack("{s:s%}", "dns", s, n));
		s += n;
		s += strspn(s, ", ");
	}
	return list;
}

static void add(void *arg, const struct tg_tls_cert *c)
{
	struct certs *to = arg;
	int64_t left = c->not_after - to->now;

	json_array_append_new(to->list,
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:I, s:o, s:o}", "kind",
			c->ca ? "ca_cert" : "cert_chain", "path", c->file, "serial_number",
			c->serial, "subject", c->subject, "spiffe_id", c->spiffe_id, "tls_id",
			(json_int_t)c->conf_id, "subject_alt_names", names(c),
			"days_until_expiration", (json_int_t)(left > 0 ? left / 86400 : 0),
			"valid_from", when(c->not_before), "expiration_time", when(c->not_after)));
}

static void print(FILE *out, json_t *c)
{
	fprintf(out, "%-10s %5" JSON_INTEGER_FORMAT " days  %s  %s  %s %s\n",
		json_string_value(json_object_get(c, "kind")),
		json_integer_value(json_object_get(c, "days_until_expiration")),
		json_string_value(json_object_get(c, "expiration_time")),
		json_string_value(json_object_get(c, "path")),
		json_string_value(json_object_get(c, "subject")),
		json_string_value(json_object_get(c, "spiffe_id")));
}

unsigned int tg_admin_certs(struct tg_admin_req *q)
{
	unsigned int status = 200;
	bool as_json = tg_admin_wants_json(q, &status);
	struct certs to = {.list = json_array(), .now = (int64_t)time(NULL)};
	json_t *c;
	size_t i;

	if (status != 200 || !to.list) {
		json_decref(to.list);
		return status != 200 ? status : 500;
	}
	tg_tls_certs(q->app, add, &to);
	if (as_json)
		return tg_admin_json(q, json_pack("{s:o}", "certificates", to.list));
	json_array_foreach(to.list, i, c) print(q->out, c);
	json_decref(to.list);
	return 200;
}
