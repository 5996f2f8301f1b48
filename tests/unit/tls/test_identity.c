/* What is remembered of peers' certificates (identity.c): for whom, until when, and how many. */
#include "../tgtest.h"
#include "internal.h"
#include "pki.h"

#define IDLE 1024 /* as in identity.c */
#define EXTRA 40

static struct pki_cert ca;
static struct tg_ident_table *table;

static bool recall(const uint8_t digest[TG_DIGEST], uint64_t serial, int64_t now, struct tg_peer *p)
{
	struct tg_tls_ctx x = {.serial = serial};

	return tg_ident_recall(table, digest, &x, now, p);
}

/* A certificate that was verified at 1000 and holds until 2000, and is in use once. */
static struct tg_identity *verified(
	X509 *x, uint64_t serial, enum tg_ident_kind kind, uint8_t digest[TG_DIGEST])
{
	struct tg_peer p = {.known = true,
		.svid = kind == TG_IDENT_SVID,
		.expires = 2000,
		.authenticated = 1000};
	struct tg_identity *id;

	CU_ASSERT_TRUE_FATAL(tg_cert_digest(x, EVP_sha256(), digest));
	memcpy(p.leaf, digest, TG_DIGEST);
	id = tg_ident_of(table, x, digest, kind);
	CU_ASSERT_PTR_NOT_NULL_FATAL(id);
	tg_ident_remember(id, serial, &p);
	return id;
}

static void who_and_when(void)
{
	struct pki_cert c = pki_issue(&(struct pki_spec){.cn = "web"}, &ca);
	uint8_t digest[TG_DIGEST];
	struct tg_peer p = {0};
	struct tg_identity *id;

	table = tg_idents_create(16);
	id = verified(c.x, 7, TG_IDENT_PLAIN, digest);
	CU_ASSERT(recall(digest, 7, 1500, &p));
	CU_ASSERT(p.known && !p.svid && p.expires == 2000 && p.authenticated == 1500);
	CU_ASSERT(recall(digest, 7, 1999, &p));
	CU_ASSERT_FALSE(recall(digest, 7, 2000, &p)); /* expired */
	CU_ASSERT_FALSE(recall(digest, 7, 999, &p));  /* a clock that was set back: who knows */
	CU_ASSERT_FALSE(recall(digest, 8, 1500, &p)); /* another trust: a reload */
	digest[31] ^= 1;
	CU_ASSERT_FALSE(recall(digest, 7, 1500, &p)); /* another certificate */
	digest[31] ^= 1;
	tg_ident_drop(table, id);
	CU_ASSERT(recall(digest, 7, 1500, &p)); /* nobody uses it, and it is there still */
	tg_idents_destroy(table);
	pki_free(&c);
}

/* Two trusts are remembered, the older gives way; and what one of them says holds for it alone. */
static void several_trusts(void)
{
	struct pki_cert c = pki_issue(&(struct pki_spec){.cn = "web"}, &ca);
	uint8_t digest[TG_DIGEST];
	struct tg_identity *plain, *svid;
	struct tg_peer p;

	table = tg_idents_create(16);
	plain = verified(c.x, 1, TG_IDENT_PLAIN, digest);
	svid = verified(c.x, 2, TG_IDENT_SVID, digest);
	CU_ASSERT_PTR_NOT_EQUAL(plain, svid);
	CU_ASSERT(recall(digest, 1, 1500, &p) && !p.svid);
	CU_ASSERT(recall(digest, 2, 1500, &p) && p.svid);
	tg_ident_drop(table, verified(c.x, 3, TG_IDENT_PLAIN, digest));
	tg_ident_drop(table, verified(c.x, 4, TG_IDENT_PLAIN, digest));
	CU_ASSERT_FALSE(recall(digest, 1, 1500, &p));
	CU_ASSERT(recall(digest, 3, 1500, &p) && recall(digest, 4, 1500, &p));
	CU_ASSERT(recall(digest, 2, 1500, &p) && p.svid);
	tg_ident_drop(table, plain);
	tg_ident_drop(table, svid);
	tg_idents_destroy(table);
	pki_free(&c);
}

/* Of those that nobody uses the newest stay; those in use stay all. */
static void how_many(void)
{
	static uint8_t digest[IDLE + EXTRA][TG_DIGEST];
	struct tg_identity *held = NULL;
	struct tg_peer p;
	uint32_t known = 0;

	table = tg_idents_create(16);
	for (uint32_t i = 0; i < IDLE + EXTRA; i++) {
		struct pki_cert c = pki_issue(&(struct pki_spec){.cn = "web"}, &ca);
		struct tg_identity *id = verified(c.x, 1, TG_IDENT_PLAIN, digest[i]);

		if (i == 0)
			held = id;
		else
			tg_ident_drop(table, id);
		pki_free(&c);
	}
	for (uint32_t i = 0; i < IDLE + EXTRA; i++)
		known += recall(digest[i], 1, 1500, &p);
	CU_ASSERT_EQUAL(known, IDLE + 1);
	CU_ASSERT(recall(digest[0], 1, 1500, &p));
	CU_ASSERT_FALSE(recall(digest[1], 1, 1500, &p));
	CU_ASSERT(recall(digest[IDLE + EXTRA - 1], 1, 1500, &p));
	tg_ident_drop(table, held);
	CU_ASSERT(recall(digest[0], 1, 1500, &p));
	CU_ASSERT_FALSE(
		recall(digest[EXTRA], 1, 1500, &p)); /* the oldest of the others made room */
	tg_idents_destroy(table);
}

static void make_ca(void)
{
	ca = pki_issue(&(struct pki_spec){.cn = "Root", .ca = true}, NULL);
}

static void free_ca(void)
{
	pki_free(&ca);
}

TG_TEST_MAIN("tls_identity", {"a CA", make_ca}, {"for whom and until when", who_and_when},
	{"several trusts", several_trusts}, {"how many", how_many}, {"end", free_ca})
