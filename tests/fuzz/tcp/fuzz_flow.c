/* Flow table against a plain array; cookies and ports against what they promise. Bytes are a
 * program: one operation each four. */
#include <stdlib.h>

#include <tidegate/view.h>
#include <tidegate/wheel.h>

#include "flow.h"
#include "secret.h"

#define OBJECTS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tg_flow keys[TG_FLOW_KINDS][OBJECTS];

struct model {
	struct tg_flow_table t;
	uint32_t capacity, count;
	uint32_t in[256]; /* by key number: the reference, or 0 */
};

static struct tg_flow key_number(uint8_t k)
{
	struct tg_flow f = {.lport = 80, .rport = (uint16_t)(1000 + k / 4)};

	f.local = tg_ip_v4(0x01000a0a);
	f.remote = tg_ip_v4(k % 4);
	if (k & 2)
		f.remote.b[0] = f.local.b[0] = 0xfd;
	return f;
}

/* A collision on demand: with `crowd`, all keys share one bucket, and every second one its tag. */
static uint64_t hash_of(const struct model *m, const struct tg_flow *f, bool crowd, uint8_t k)
{
	return crowd ? (uint64_t)(k & 1) + 1 : tg_flow_hash(&m->t, f);
}

static void check_find(struct model *m, bool crowd, uint8_t k)
{
	struct tg_flow f = key_number(k);

	if (tg_flow_find(&m->t, hash_of(m, &f, crowd, k), &f) != m->in[k])
		abort();
}

static bool object_used(const struct model *m, uint32_t ref)
{
	for (uint32_t i = 0; i < 256; i++)
		if (m->in[i] == ref)
			return true;
	return false;
}

static void flow_op(struct model *m, bool crowd, const uint8_t op[4])
{
	uint8_t k = op[1], kind = (uint8_t)(1 + op[2] % 3);
	uint32_t ref = tg_flow_ref((enum tg_flow_kind)kind, op[3] % OBJECTS);
	struct tg_flow f = key_number(k);
	uint64_t h = hash_of(m, &f, crowd, k);
	bool free_object = !object_used(m, ref);
	int rc;

	switch (op[0] % 4) {
	case 0:
		if (m->in[k] || !free_object)
			break;
		keys[kind][op[3] % OBJECTS] = f;
		rc = tg_flow_insert(&m->t, h, ref);
		if (rc != (m->count == m->capacity ? TG_ENOMEM : 0))
			abort();
		if (!rc) {
			m->in[k] = ref;
			m->count++;
		}
		break;
	case 1:
		if (crowd && m->in[k] != ref && !free_object)
			break; /* another key with the same hash: the caller's mistake */
		if (tg_flow_remove(&m->t, h, ref) != (m->in[k] == ref))
			abort();
		if (m->in[k] == ref) {
			m->in[k] = 0;
			m->count--;
		}
		break;
	case 2:
		if (!m->in[k] || !free_object)
			break;
		keys[kind][op[3] % OBJECTS] = f;
		if (!tg_flow_replace(&m->t, h, m->in[k], ref))
			abort();
		m->in[k] = ref;
		break;
	default:
		break;
	}
	check_find(m, crowd, k);
	if (m->t.count != m->count || (!crowd && !tg_flow_validate(&m->t)))
		abort();
}

static void flows(const uint8_t *data, size_t size)
{
	static const uint8_t secret[16] = "0123456789abcdef";
	struct model m = {.capacity = 1 + data[0] % 100};
	bool crowd = data[0] & 0x80;

	if (tg_flow_init(&m.t, m.capacity, secret))
		abort();
	for (uint32_t kind = 1; kind < TG_FLOW_KINDS; kind++)
		tg_flow_keys(&m.t, (enum tg_flow_kind)kind, keys[kind], sizeof(keys[0][0]));
	for (data++, size--; size >= 4; data += 4, size -= 4)
		flow_op(&m, crowd, data);
	for (uint32_t k = 0; k < 256; k++) {
		struct tg_flow f = key_number((uint8_t)k);

		check_find(&m, crowd, (uint8_t)k);
		if (m.in[k] && !tg_flow_remove(&m.t, hash_of(&m, &f, crowd, (uint8_t)k), m.in[k]))
			abort();
	}
	if (m.t.count || !tg_flow_validate(&m.t))
		abort();
	tg_flow_fini(&m.t);
}

static bool port_ok(void *ctx, const struct tg_flow *f)
{
	const uint32_t *modulo = ctx;

	return f->lport % *modulo == 0;
}

static void secrets(const uint8_t *p)
{
	struct tg_secret s;
	struct tg_flow f = key_number(p[32]), g = key_number(p[33]);
	uint32_t isn = tg_load_be32(p + 34), cookie, modulo = p[38] + 1u;
	uint64_t now = (uint64_t)tg_load_be32(p + 40) << 20, later = (uint64_t)p[44] * TG_SEC;
	uint16_t mss = tg_load_be16(p + 45), got;
	uint16_t first = (uint16_t)(1 + p[39] * 200), last = (uint16_t)(first + p[38]);

	tg_secret_init(&s, p);
	cookie = tg_cookie_make(&s, &f, isn, mss, now);
	got = tg_cookie_check(&s, &f, cookie, isn, now + later);
	if (later <= 64 * TG_SEC ? !got || (mss >= 536 && got > mss) : later > 128 * TG_SEC && got)
		abort();
	if (p[32] != p[33] && tg_cookie_check(&s, &g, cookie, isn, now) &&
		tg_cookie_check(&s, &g, cookie + 1, isn, now))
		abort(); /* chance: 2^-53 */
	if (!tg_secret_port(&s, &f, first, last, 0, port_ok, &modulo)) {
		if (f.lport < first || f.lport > last || f.lport % modulo)
			abort();
	} else if (first / modulo != last / modulo) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size >= 47)
		secrets(data);
	if (size)
		flows(data, size < 4096 ? size : 4096);
	return 0;
}
