/* fuzz_handshake.c: the server's side of a handshake, and the client's.
 *
 * Byte 0: bit 0 the engine serves or connects; bits 1-2 the form of the rest; bits 3-7 the most
 * bytes a step (0: no limit). Forms: 0  the rest is what the peer sends 1  the rest is handshake
 * messages, which are cut into records 2, 3  OpenSSL is the peer; the rest is pairs (16 bits of
 * position, 8 bits of XOR) that spoil what it sends Held: the engine stops, uses no more than it
 * was given, has a reason when it fails, and goes on to nothing after that; without spoiled bytes
 * both ends finish.
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
static SSL_CTX *peer_ctx[2]; /* [0] a server, [1] a client */
static struct lab_end us, peer;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct tg_tls_pair pair[2];
	const char *ca_file;

	ca = pki_issue(&(struct pki_spec){.cn = "Root", .ca = true}, NULL);
	server = pki_issue(
		&(struct pki_spec){.san = "URI:spiffe://mesh.example/s,DNS:a.mesh.example"}, &ca);
	client = pki_issue(&(struct pki_spec){.san = "URI:spiffe://mesh.example/c"}, &ca);
	ca_file = pki_write_certs("ca.crt", (const struct pki_cert *[]){&ca}, 1);
	pair[0].certificate = pki_write_certs("s.crt", (const struct pki_cert *[]){&server}, 1);
	pair[0].private_key = pki_write_key("s.key", &server, NULL);
	pair[1].certificate = pki_write_certs("c.crt", (const struct pki_cert *[]){&client}, 1);
	pair[1].private_key = pki_write_key("c.key", &client, NULL);
	struct tg_tls_conf serves = {.server = true,
		.n_pairs = 1,
		.pairs = &pair[0],
		.ca = ca_file,
		.spiffe = true,
		.require_client_certificate = true,
		.session_tickets = true,
		.n_alpn = 1,
		.alpn = {"http/1.1"},
		.min_version = 12};
	struct tg_tls_conf connects = {.n_pairs = 1,
		.pairs = &pair[1],
		.ca = ca_file,
		.sni = "a.mesh.example",
		.session_tickets = true,
		.min_version = 12};

	lab_open(&lab);
	MUST(lab_load(&lab, (const struct tg_tls_conf *[]){&connects, &serves}, 2) == 0);
	peer_ctx[0] = lab_peer(true, &server, NULL, &ca);
	peer_ctx[1] = lab_peer(false, &client, NULL, &ca);
	return 0;
}

static void begin(bool serves, uint32_t chunk)
{
	static const struct tg_sockaddr origin = {.port = 443};
	enum tg_why why;

	us.hs = tg_hs_begin(lab.w[0], serves, serves ? NULL : &origin, lab.now, &why);
	MUST(us.hs);
	us.n_out = peer.n_out = us.steps = 0;
	us.done = us.failed = peer.done = peer.failed = false;
	us.chunk = chunk;
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

/* Bytes from the peer, whatever they are. */
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

static void send_records(const uint8_t *p, uint32_t n)
{
	uint8_t rec[5 + 256] = {22, 3, 3};

	while (n && !us.done && !us.failed) {
		uint32_t part = p[0] + 1u < n ? p[0] + 1u : n;

		tg_store_be16(rec + 3, (uint16_t)part);
		memcpy(rec + 5, p, part);
		send_all(rec, 5 + part);
		p += part;
		n -= part;
	}
}

/* OpenSSL's end is driven as in lab.c, with bytes of its stream changed on the way. */
static void meet(bool serves, const uint8_t *p, size_t n)
{
	uint32_t sent = 0, before;
	bool spoiled = false;

	peer.ssl = SSL_new(peer_ctx[serves]);
	SSL_set_bio(peer.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(peer.ssl), -1);
	BIO_set_mem_eof_return(SSL_get_wbio(peer.ssl), -1);
	if (serves)
		SSL_set_connect_state(peer.ssl);
	else
		SSL_set_accept_state(peer.ssl);
	for (int i = 0; i < 64 && !us.failed && !peer.failed && !(us.done && peer.done); i++) {
		before = peer.n_out;
		if (!peer.done)
			lab_feed(&peer, us.out, us.n_out);
		us.n_out = 0;
		for (size_t at = 0; at + 3 <= n; at += 3) {
			uint32_t pos = tg_load_be16(p + at);

			if (pos >= sent && pos - sent < peer.n_out - before && p[at + 2]) {
				peer.out[before + pos - sent] ^= p[at + 2];
				spoiled = true;
			}
		}
		sent += peer.n_out - before;
		for (uint32_t used = 1; used && peer.n_out && !us.done && !us.failed;) {
			used = lab_feed(&us, peer.out, peer.n_out);
			memmove(peer.out, peer.out + used, peer.n_out - used);
			peer.n_out -= used;
		}
		if (!us.done && !us.failed && peer.n_out == 0)
			lab_feed(&us, NULL, 0);
	}
	MUST(spoiled || (us.done && peer.done));
	SSL_free(peer.ssl);
	peer.ssl = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool serves;

	if (size < 2 || size > 32768)
		return 0;
	serves = data[0] & 1;
	begin(serves, data[0] >> 3);
	if (data[0] & 4)
		meet(serves, data + 1, size - 1);
	else if (data[0] & 2)
		send_records(data + 1, (uint32_t)size - 1);
	else
		send_all(data + 1, (uint32_t)size - 1);
	finish();
	return 0;
}
