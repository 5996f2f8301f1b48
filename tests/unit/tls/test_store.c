/* The store: sets whole or not at all, changes of files, adoption, housekeeping, lists. */
#include <stdlib.h>

#include "../tgtest.h"
#include "lab.h"

#define DAY 86400

static struct lab lab;
static struct pki_cert ca, first, second;
static struct tg_tls_pair pair_a[1], pair_b[1];
static const char *ca_file;

static void write_pair(struct tg_tls_pair *p, const char *name, const struct pki_cert *c)
{
	char file[32];

	snprintf(file, sizeof(file), "%s.crt", name);
	p->certificate = pki_write_certs(file, (const struct pki_cert *[]){c}, 1);
	snprintf(file, sizeof(file), "%s.key", name);
	p->private_key = pki_write_key(file, c, NULL);
}

static void make_pki(void)
{
	static bool made;

	if (!made) {
		made = true;
		ca = pki_issue(&(struct pki_spec){.cn = "Root", .ca = true}, NULL);
		first = pki_issue(
			&(struct pki_spec){.cn = "first",
				.san = "DNS:a.example,IP:10.0.0.1,URI:spiffe://mesh.example/a"},
			&ca);
		second = pki_issue(&(struct pki_spec){.cn = "second", .san = "DNS:b.example"}, &ca);
	}
	ca_file = pki_write_certs("ca.crt", (const struct pki_cert *[]){&ca}, 1);
	write_pair(pair_a, "a", &first);
	write_pair(pair_b, "b", &second);
}

static struct tg_tls_conf conf_of(struct tg_tls_pair *p)
{
	return (struct tg_tls_conf){
		.server = true, .n_pairs = 1, .pairs = p, .ca = ca_file, .min_version = 13};
}

static uint32_t sets(void)
{
	uint32_t n = 0;

	for (struct tg_tls_set *s = lab.store->sets; s; s = s->next)
		n++;
	return n;
}

static void load(const struct tg_tls_conf *a, const struct tg_tls_conf *b)
{
	CU_ASSERT_EQUAL_FATAL(lab_load(&lab, (const struct tg_tls_conf *[]){a, b}, 2), 0);
}

static void note(void *arg, const char *text)
{
	snprintf(arg, 256, "%s", text);
}

static void refreshes(void)
{
	struct tg_tls_conf a = conf_of(pair_a), b = conf_of(pair_b);
	struct tg_tls_set *s;
	struct tg_tls_ctx *xa, *xb;
	char text[256] = "";

	load(&a, &b);
	s = tg_tls_store_current(lab.store);
	xa = s->ctx[0];
	xb = s->ctx[1];
	CU_ASSERT_EQUAL(tg_tls_store_refresh(lab.store, lab.now, note, text), 0);
	CU_ASSERT_PTR_EQUAL(tg_tls_store_current(lab.store), s);
	/* One file changes: its configuration gets new contexts, the other keeps its own. */
	write_pair(pair_b, "b", &first);
	CU_ASSERT_EQUAL(tg_tls_store_refresh(lab.store, lab.now, note, text), 1);
	s = tg_tls_store_current(lab.store);
	CU_ASSERT_PTR_EQUAL(s->ctx[0], xa);
	CU_ASSERT_PTR_NOT_EQUAL(s->ctx[1], xb);
	CU_ASSERT_STRING_EQUAL(text, "");
	/* Half of a change (the certificate without its key) is not used; the rest comes later. */
	pki_write_certs("a.crt", (const struct pki_cert *[]){&second}, 1);
	CU_ASSERT_EQUAL(tg_tls_store_refresh(lab.store, lab.now, note, text), TG_EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "a.key: the key does not belong to the certificate"));
	CU_ASSERT_PTR_EQUAL(tg_tls_store_current(lab.store), s);
	pki_write_key("a.key", &second, NULL);
	CU_ASSERT_EQUAL(tg_tls_store_refresh(lab.store, lab.now, note, text), 1);
	lab_adopt(&lab);
}

/* Equal configurations share their contexts; a configuration may be absent. */
static void sharing(void)
{
	struct tg_tls_conf a = conf_of(pair_a), b = conf_of(pair_a);
	struct tg_tls_set *s;
	enum tg_why why;

	load(&a, &b);
	s = tg_tls_store_current(lab.store);
	CU_ASSERT_PTR_EQUAL(s->ctx[0], s->ctx[1]);
	CU_ASSERT_EQUAL(s->ctx[0]->refs, 2);
	b.require_client_certificate = true;
	load(&a, &b);
	s = tg_tls_store_current(lab.store);
	CU_ASSERT_PTR_NOT_EQUAL(s->ctx[0], s->ctx[1]);
	load(NULL, &b);
	CU_ASSERT_PTR_NULL(tg_hs_begin(lab.w[0], 0, NULL, lab.now, &why));
	CU_ASSERT_EQUAL(why, TG_WHY_tls_not_loaded);
}

static void adoption(void)
{
	struct tg_tls_conf a = conf_of(pair_a), b = conf_of(pair_b);
	struct tg_tls_set *old;
	struct tg_hs *h;
	enum tg_why why;

	load(&a, &b);
	old = tg_tls_store_current(lab.store);
	h = tg_hs_begin(lab.w[0], 0, NULL, lab.now, &why);
	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	CU_ASSERT_EQUAL(sets(), 1);
	a.require_client_certificate = true;
	CU_ASSERT_EQUAL(tg_tls_store_load(lab.store, (const struct tg_tls_conf *[]){&a, &b}, 2,
				lab.now, NULL, NULL),
		0);
	tg_tls_store_tick(lab.store, lab.now);
	CU_ASSERT_EQUAL(sets(), 2); /* both workers are still on the old one */
	tg_hs_worker_adopt(lab.w[1], tg_tls_store_current(lab.store));
	tg_tls_store_tick(lab.store, lab.now);
	CU_ASSERT_EQUAL(sets(), 2);
	tg_hs_worker_adopt(lab.w[0], tg_tls_store_current(lab.store));
	tg_tls_store_tick(lab.store, lab.now);
	CU_ASSERT_EQUAL(sets(), 2); /* the handshake under way still needs it */
	CU_ASSERT_PTR_EQUAL(lab.store->sets->next, old);
	tg_hs_abandon(h);
	tg_tls_store_tick(lab.store, lab.now);
	CU_ASSERT_EQUAL(sets(), 1);
	/* A set that nobody has adopted yet is not freed under those who may be about to. */
	for (int i = 0; i < 3; i++) {
		a.min_version = i & 1 ? 13 : 12;
		CU_ASSERT_EQUAL(tg_tls_store_load(lab.store, (const struct tg_tls_conf *[]){&a, &b},
					2, lab.now, NULL, NULL),
			0);
	}
	CU_ASSERT_EQUAL(sets(), 4);
	lab_adopt(&lab);
	tg_tls_store_tick(lab.store, lab.now);
	CU_ASSERT_EQUAL(sets(), 1);
}

/* A handshake ends with the certificate with which it began, although another was adopted. */
static void under_way(void)
{
	struct tg_tls_conf a = conf_of(pair_a), b = conf_of(pair_b);
	struct lab_end *us, *peer;
	struct tg_hs_result r;

	a.ca = NULL;
	load(&a, &b);
	us = lab_engine(&lab, 0, 0, NULL);
	peer = lab_openssl(lab_peer(false, NULL, NULL, &ca), false);
	lab_feed(us, NULL, 0);
	a.pairs = pair_b;
	load(&a, &b);
	CU_ASSERT_FATAL(lab_run(us, peer));
	lab_take(us, &r);
	CU_ASSERT(tg_view_eq(r.own->dns, TG_VIEW("a.example")));
	lab_drop(&lab, 0, &r);
	lab_end(us);
	lab_end(peer);
	us = lab_engine(&lab, 0, 0, NULL);
	peer = lab_openssl(lab_peer(false, NULL, NULL, &ca), false);
	CU_ASSERT_FATAL(lab_run(us, peer));
	lab_take(us, &r);
	CU_ASSERT(tg_view_eq(r.own->dns, TG_VIEW("b.example")));
	lab_drop(&lab, 0, &r);
	lab_end(us);
	lab_end(peer);
}

static void list_cert(void *arg, const struct tg_tls_cert *c)
{
	char *out = arg;
	size_t n = strlen(out);
	const char *base = strrchr(c->file, '/');

	CU_ASSERT(strlen(c->serial) >= 2);
	CU_ASSERT(c->not_before < lab.now && c->not_after > lab.now);
	snprintf(out + n, 1024 - n, "%u %s %s %s %s [%s]\n", c->conf_id, c->ca ? "ca" : "own",
		base ? base + 1 : "", c->subject, c->spiffe_id, c->names);
}

static void list_file(void *arg, const char *path, bool secret)
{
	char *out = arg;
	size_t n = strlen(out);

	snprintf(out + n, 1024 - n, "%s%s ", strrchr(path, '/') + 1, secret ? "!" : "");
}

static void lists(void)
{
	struct tg_tls_conf a = conf_of(pair_a), b = conf_of(pair_b);
	char text[1024] = "";
	const char *keys[2] = {
		pki_write_text("1.key", "name.name.name.1AES key AES key AES key AES key "
					"HMAC keyHMAC keyHMAC keyHMAC key"),
		pki_write_text("2.key", "name.name.name.2AES key AES key AES key AES key "
					"HMAC keyHMAC keyHMAC keyHMAC key")};

	a.spiffe = true;
	b.session_tickets = true;
	b.n_ticket_keys = 2;
	b.ticket_keys = keys;
	load(&a, &b);
	tg_tls_set_certs(tg_tls_store_current(lab.store), list_cert, text);
	CU_ASSERT_STRING_EQUAL(text,
		"0 own a.crt CN=first spiffe://mesh.example/a [a.example, 10.0.0.1]\n"
		"0 ca ca.crt CN=Root spiffe://mesh.example []\n"
		"1 own b.crt CN=second  [b.example]\n"
		"1 ca ca.crt CN=Root  []\n");
	text[0] = 0;
	tg_tls_store_files(lab.store, list_file, text);
	CU_ASSERT_STRING_EQUAL(text, "a.crt a.key! ca.crt b.crt b.key! ca.crt 1.key! 2.key! ");
}

static void in_lab(void (*fn)(void))
{
	make_pki();
	lab_open(&lab);
	fn();
	lab_close(&lab);
}

#define LAB_TEST(fn) \
	static void fn##_in_lab(void) \
	{ \
		in_lab(fn); \
	}
LAB_TEST(refreshes)
LAB_TEST(sharing)
LAB_TEST(adoption)
LAB_TEST(under_way)
LAB_TEST(lists)

TG_TEST_MAIN("tls_store", {"changes of files", refreshes_in_lab},
	{"equal configurations", sharing_in_lab}, {"adoption", adoption_in_lab},
	{"handshakes under way", under_way_in_lab}, {"lists", lists_in_lab})
