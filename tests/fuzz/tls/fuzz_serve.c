/* fuzz_serve.c: handshakes of our own (serve.h) behind their keys, where fuzz_handshake.c does not
 * come: what a client may say that has them.
 *
 * Byte 0: bits 0-1 the form of the rest; bits 2-7 the most bytes a step (0: no limit).
 * Forms: 0  a ClientHello
 *        1  pairs of a type and a length, each with content: records, sealed for the server
 *        2  pairs (16 bits of position, 8 bits of XOR) that spoil a right second flight before it
 *           is sealed; then how it is cut into records
 *        3  a session, sealed as a ticket of ours
 * Held: as in fuzz_handshake.c; views stand in what was read; a right flight is taken.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lab.h"

#define MUST(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort(); \
		} \
	} while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lab lab;
static struct pki_cert ca, server, client;
static uint8_t hello[2048];
static uint32_t n_hello;
static struct lab_end us;

/* A ClientHello of OpenSSL's, to be said again and again. */
static void record_hello(void)
{
	SSL_CTX *c = lab_peer(false, &client, NULL, &ca);
	struct lab_end *e = lab_openssl(c, false);

	lab_feed(e, NULL, 0);
	MUST(e->n_out && e->n_out <= sizeof(hello));
	n_hello = e->n_out;
	memcpy(hello, e->out, n_hello);
	lab_end(e);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct tg_tls_pair pair;
	const char *ca_file;

	ca = pki_issue(&(struct pki_spec){.cn = "Root", .ca = true}, NULL);
	server = pki_issue(&(struct pki_spec){.san = "URI:spiffe://mesh.example/s"}, &ca);
	client = pki_issue(&(struct pki_spec){.san = "URI:spiffe://mesh.example/c"}, &ca);
	ca_file = pki_write_certs("ca.crt", (const struct pki_cert *[]){&ca}, 1);
	pair.certificate = pki_write_certs("s.crt", (const struct pki_cert *[]){&server}, 1);
	pair.private_key = pki_write_key("s.key", &server, NULL);
	struct tg_tls_conf serves = {.server = true,
		.n_pairs = 1,
		.pairs = &pair,
		.ca = ca_file,
		.spiffe = true,
		.session_tickets = true,
		.min_version = 13};

	lab_open(&lab);
	MUST(lab_load(&lab, (const struct tg_tls_conf *[]){&serves}, 1) == 0);
	record_hello();
	return 0;
}

/* --- forms 0 and 3 ------------------------------------------------------------------------------
 */

static void in(struct tg_view part, struct tg_view all)
{
	MUST(!part.n || (part.p >= all.p && part.p + part.n <= all.p + all.n));
}

static void read_hello(struct tg_view m)
{
	struct tg_hello h;

	if (!tg_hello_read(m, &h))
		return;
	in(h.session, m);
	in(h.sni, m);
	in(h.alpn, m);
	in(h.schemes, m);
	in(h.cert_schemes, m);
	in(h.share, m);
	in(h.identities, m);
	in(h.binders, m);
	MUST(h.share.n && h.session.n <= 32 && h.sni.n <= 255 && h.unbound <= m.n);
}

static void read_ticket(struct tg_view session)
{
	static uint8_t ticket[TG_TICKET13_MAX + 1024], plain[TG_TICKET13_MAX];
	const struct tg_ticket_keys *keys = &lab.w[0]->set->keys;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	struct tg_session13 s;
	int n = 0, last = 0;

	memset(ticket, 7, 32);
	memcpy(ticket, keys->key[0].name, 16);
	MUST(EVP_EncryptInit_ex(c, EVP_aes_256_cbc(), NULL, keys->key[0].aes, ticket + 16) == 1);
	MUST(EVP_EncryptUpdate(c, ticket + 32, &n, session.p, (int)session.n) == 1);
	MUST(EVP_EncryptFinal_ex(c, ticket + 32 + n, &last) == 1);
	n += last + 32;
	tg_hkdf_extract(TG_SUITE_AES_128_GCM_SHA256, tg_view_of(keys->key[0].hmac, 32),
		tg_view_of(ticket, (uint32_t)n), ticket + n);
	EVP_CIPHER_CTX_reset(c);
	if (tg_session13_open(
		    tg_view_of(ticket, (uint32_t)n + 32), keys, c, EVP_aes_256_cbc(), plain, &s)) {
		struct tg_view all = {plain, sizeof(plain)};

		in(s.cert, all);
		in(s.context, all);
		in(s.sni, all);
		in(s.alpn, all);
		in(s.says, all);
		MUST(s.suite <= TG_SUITE_CHACHA20_POLY1305_SHA256);
	}
	EVP_CIPHER_CTX_free(c);
}

/* --- forms 1 and 2 ------------------------------------------------------------------------------
 */

static void send_all(const uint8_t *p, uint32_t n)
{
	for (uint32_t at = 0; !us.done && !us.failed;) {
		uint32_t used = lab_feed(&us, p + at, n - at);

		us.n_out = 0; /* nobody listens */
		MUST(used <= n - at);
		at += used;
		if (used == 0)
			break;
	}
}

static void begin(uint32_t chunk)
{
	enum tg_why why;

	us.hs = tg_hs_begin(lab.w[0], 0, NULL, lab.now, &why);
	MUST(us.hs);
	us.n_out = us.steps = 0;
	us.done = us.failed = false;
	us.chunk = chunk;
	send_all(hello, n_hello);
	MUST(!us.failed && us.hs->serve.state == SERVE_CERTIFICATE);
}

static void send_sealed(struct tg_rec *tx, uint8_t type, const uint8_t *p, uint32_t n)
{
	static struct tg_aead_key key;
	static uint8_t rec[TG_REC_CONTENT_MAX + 64];
	struct tg_view in_view = {p, n};
	struct tg_span out = {rec, n + tg_rec_overhead(tx)};

	MUST(tg_rec_wake(tx, &key));
	tg_rec_seal(tx, type, &in_view, 1, n, &out, 1);
	tg_rec_rest(tx);
	send_all(rec, out.n);
}

static void send_records(struct tg_rec *tx, const uint8_t *p, size_t n)
{
	while (n >= 2 && !us.done && !us.failed) {
		uint32_t size = p[1] + 1u < n - 1 ? p[1] : (uint32_t)n - 2;

		send_sealed(tx, p[0], p + 2, size);
		p += 2 + size;
		n -= 2 + size;
	}
}

static void end_message(uint8_t *m, uint8_t type, uint32_t n)
{
	tg_store_be32(m, n - 4);
	m[0] = type;
}

/* Certificate, CertificateVerify and Finished as they should be; returns their bytes. */
static uint32_t right_flight(uint8_t *b)
{
	struct tg_sched s = us.hs->serve.sched;
	uint8_t text[TG_PROOF_MAX], *p = b + 11, *verify, *finished;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	size_t n = 128;
	uint32_t der = (uint32_t)i2d_X509(client.x, &p);

	memset(b, 0, 11);
	tg_store_be16(p, 0);
	verify = p + 2;
	tg_store_be16(b + 6, (uint16_t)(der + 5));
	tg_store_be16(b + 9, (uint16_t)der);
	end_message(b, 11, der + 13);
	tg_sched_add(&s, tg_view_of(b, der + 13));
	tg_store_be16(verify + 4, 0x0403);
	MUST(EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, client.key) == 1 &&
		EVP_DigestSign(c, verify + 8, &n, text, tg_proof_text(&s, false, text)) == 1);
	EVP_MD_CTX_free(c);
	tg_store_be16(verify + 6, (uint16_t)n);
	end_message(verify, 15, (uint32_t)n + 8);
	tg_sched_add(&s, tg_view_of(verify, (uint32_t)n + 8));
	finished = verify + n + 8;
	tg_sched_finished(&s, us.hs->serve.client, finished + 4);
	n = tg_suite_hash_size(s.suite);
	end_message(finished, 20, (uint32_t)n + 4);
	return (uint32_t)(finished + n + 4 - b);
}

static void spoil(struct tg_rec *tx, const uint8_t *p, size_t size)
{
	static uint8_t b[8192];
	uint32_t n = right_flight(b), cut = size % 3 ? p[size - 1] * 8u + 1 : n, before;
	bool spoiled = false;

	for (size_t at = 0; at + 3 <= size; at += 3) {
		uint32_t pos = tg_load_be16(p + at);

		if (pos < n && p[at + 2]) {
			b[pos] ^= p[at + 2];
			spoiled = true;
		}
	}
	/* Finished stands in a record's end, as it must. */
	for (before = 0; before < n && !us.done && !us.failed; before += cut)
		send_sealed(tx, TG_REC_HANDSHAKE, b + before, cut < n - before ? cut : n - before);
	MUST(spoiled || us.done);
}

static void finish(void)
{
	struct tg_hs_result r;
	struct tg_hs_fail f;

	if (us.failed) {
		tg_hs_failure(us.hs, &f);
		MUST(f.why != TG_WHY_none && f.text[0]);
		MUST(lab_feed(&us, (const uint8_t *)"x", 1) == 0 && us.failed);
	}
	if (us.done && tg_hs_take(us.hs, &r) == 0)
		lab_drop(&lab, 0, &r);
	else
		tg_hs_abandon(us.hs);
	MUST(lab.w[0]->handshakes.in_use == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tg_view rest = {data + 1, (uint32_t)size - 1};
	struct tg_rec tx;

	if (size < 2 || size > 8000)
		return 0;
	if (data[0] % 4 == 0)
		read_hello(rest);
	else if (data[0] % 4 == 3)
		read_ticket(rest);
	if (data[0] % 4 == 0 || data[0] % 4 == 3)
		return 0;
	begin(data[0] >> 2);
	tg_rec_init(&tx, us.hs->serve.sched.suite, us.hs->serve.client, 0);
	if (data[0] % 4 == 1)
		send_records(&tx, rest.p, rest.n);
	else
		spoil(&tx, rest.p, rest.n);
	finish();
	return 0;
}
