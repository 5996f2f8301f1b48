#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "material.h"
#include "workload.h"

void tg_complain(struct tg_complaints *c, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	c->n++;
	if (!c->tell)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->tell(c->arg, text);
}

const char *tg_ssl_reason(void)
{
	unsigned long e = ERR_peek_last_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return text ? text : "unknown reason";
}

/* --- files --------------------------------------------------------------------------------------
 */

static bool read_all(int fd, struct tg_blob *b, size_t size)
{
	b->p = malloc(size + 1);
	while (b->p && b->n < size) {
		ssize_t n = read(fd, b->p + b->n, size - b->n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0; /* shorter than it said: what is there decides */
		b->n += (size_t)n;
	}
	return b->p != NULL;
}

static void read_file(const char *path, struct tg_blob *b, struct tg_complaints *c)
{
	/* Not blocking: the path may be a pipe. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	b->file = path;
	if (fd < 0) {
		tg_complain(c, "%s: cannot be opened: %s", path, strerror(errno));
		return;
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		tg_complain(c, "%s: is not a regular file", path);
	else if (st.st_size == 0)
		tg_complain(c, "%s: is empty", path);
	else if (st.st_size > (off_t)TG_FILE_MAX)
		tg_complain(c, "%s: is longer than %u bytes", path, TG_FILE_MAX);
	else if (!read_all(fd, b, (size_t)st.st_size))
		tg_complain(c, "%s: cannot be read: %s", path, strerror(errno));
	close(fd);
}

static void blob_free(struct tg_blob *b)
{
	if (b->der)
		return;
	if (b->p)
		OPENSSL_cleanse(b->p, b->n);
	free(b->p);
}

/* --- digests ------------------------------------------------------------------------------------
 */

void tg_digest_bytes(EVP_MD_CTX *md, const void *p, size_t n)
{
	uint64_t len = n;

	EVP_DigestUpdate(md, &len, sizeof(len)); /* so that "ab" "c" is not "a" "bc" */
	EVP_DigestUpdate(md, p, n);
}

void tg_digest_text(EVP_MD_CTX *md, const char *s)
{
	tg_digest_bytes(md, s ? s : "\n", s ? strlen(s) : 1);
}

static void add_conf(EVP_MD_CTX *md, const struct tg_tls_conf *f)
{
	uint8_t flags[7] = {f->server, f->require_client_certificate, f->spiffe, f->workload_api,
		f->min_version, f->session_tickets, f->keep_pem};

	tg_digest_bytes(md, flags, sizeof(flags));
	for (uint32_t i = 0; i < f->n_pairs; i++) {
		tg_digest_text(md, f->pairs[i].certificate);
		tg_digest_text(md, f->pairs[i].private_key);
	}
	tg_digest_text(md, f->ca);
	tg_digest_text(md, f->crl);
	tg_digest_text(md, f->svid);
	for (uint32_t i = 0; i < f->n_bundles; i++) {
		tg_digest_text(md, f->bundles[i].trust_domain);
		tg_digest_text(md, f->bundles[i].ca);
	}
	for (uint32_t i = 0; i < f->n_match; i++)
		tg_digest_text(md, f->match_spiffe_ids[i]);
	tg_digest_text(md, f->sni);
	for (uint32_t i = 0; i < f->n_alpn; i++)
		tg_digest_text(md, f->alpn[i]);
	for (uint32_t i = 0; i < f->n_ticket_keys; i++)
		tg_digest_text(md, f->ticket_keys[i]);
	uint32_t counts[5] = {f->n_pairs, f->n_bundles, f->n_match, f->n_alpn, f->n_ticket_keys};

	tg_digest_bytes(md, counts, sizeof(counts));
}

static void add_crl(EVP_MD_CTX *md, const struct tg_material *m)
{
	tg_digest_bytes(md, m->crl.p ? m->crl.p : (const uint8_t *)"", m->crl.n);
}

static bool digest_all(struct tg_material *m, const struct tg_tls_conf *conf)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL);

	if (ok) {
		add_conf(md, conf);
		for (uint32_t i = 0; i < m->n_pairs; i++) {
			tg_digest_bytes(md, m->pair[i].cert.p, m->pair[i].cert.n);
			tg_digest_bytes(md, m->pair[i].key.p, m->pair[i].key.n);
		}
		for (uint32_t i = 0; i < m->n_trust; i++) {
			tg_digest_text(md, m->trust[i].trust_domain);
			tg_digest_bytes(md, m->trust[i].pem.p, m->trust[i].pem.n);
		}
		add_crl(md, m);
		for (uint32_t i = 0; i < m->n_tickets; i++)
			tg_digest_bytes(md, m->ticket[i].p, m->ticket[i].n);
		ok = EVP_DigestFinal_ex(md, m->digest, NULL);
	}
	EVP_MD_CTX_free(md);
	return ok;
}

/* --- material -----------------------------------------------------------------------------------
 */

static struct tg_material *make(uint32_t n_trust, struct tg_complaints *c)
{
	struct tg_material *m = calloc(1, sizeof(*m));

	if (m && (m->trust = calloc(n_trust + 1u, sizeof(*m->trust))))
		return m;
	tg_complain(c, "no memory left");
	free(m);
	return NULL;
}

static struct tg_material *finish(struct tg_material *m, const struct tg_tls_conf *conf,
	uint32_t complaints_before, struct tg_complaints *c)
{
	if (c->n == complaints_before && !digest_all(m, conf))
		tg_complain(c, "no digest could be made: %s", tg_ssl_reason());
	if (c->n == complaints_before)
		return m;
	tg_material_free(m);
	return NULL;
}

static void read_pairs(
	struct tg_material *m, const struct tg_tls_conf *conf, struct tg_complaints *c)
{
	for (uint32_t i = 0; i < conf->n_pairs && i < TG_TLS_CERTS_MAX; i++) {
		read_file(conf->pairs[i].certificate, &m->pair[m->n_pairs].cert, c);
		read_file(conf->pairs[i].private_key, &m->pair[m->n_pairs].key, c);
		m->n_pairs++;
	}
}

static void read_tickets(
	struct tg_material *m, const struct tg_tls_conf *conf, struct tg_complaints *c)
{
	for (uint32_t i = 0; i < conf->n_ticket_keys && i < TG_TLS_TICKET_KEYS_MAX; i++)
		read_file(conf->ticket_keys[i], &m->ticket[m->n_tickets++], c);
}

/* With bundles, and without pairs also a certificate, of the Workload API. */
static struct tg_material *read_workload(const struct tg_tls_conf *conf,
	struct tg_workload *const said[static TG_TLS_SOURCES], struct tg_complaints *c)
{
	const struct tg_workload *w = said[conf->n_pairs ? TG_TLS_BUNDLES : TG_TLS_SVIDS];
	const struct tg_workload_svid *own = NULL;
	uint32_t before = c->n;
	struct tg_material *m;

	if (!w || (!conf->n_pairs && !(own = tg_workload_find(w, conf->svid))))
		return NULL;
	m = make(w->n_trust, c);
	if (!m)
		return NULL;
	read_pairs(m, conf, c);
	read_tickets(m, conf, c);
	if (own) {
		m->pair[0].cert = own->chain;
		m->pair[0].key = own->key;
		m->n_pairs = 1;
	}
	for (uint32_t i = 0; i < w->n_trust; i++) {
		m->trust[i].trust_domain = w->trust[i].trust_domain;
		m->trust[i].pem = w->trust[i].certs;
	}
	m->n_trust = w->n_trust;
	if (w->crl.n)
		m->crl = w->crl;
	return finish(m, conf, before, c);
}

struct tg_material *tg_material_read(const struct tg_tls_conf *conf,
	struct tg_workload *const said[static TG_TLS_SOURCES], struct tg_complaints *c)
{
	uint32_t before = c->n;
	struct tg_material *m;

	if (conf->workload_api)
		return read_workload(conf, said, c);
	m = make(conf->n_bundles, c);
	if (!m)
		return NULL;
	read_pairs(m, conf, c);
	read_tickets(m, conf, c);
	if (conf->ca)
		read_file(conf->ca, &m->trust[m->n_trust++].pem, c);
	for (uint32_t i = 0; i < conf->n_bundles; i++) {
		m->trust[m->n_trust].trust_domain = conf->bundles[i].trust_domain;
		read_file(conf->bundles[i].ca, &m->trust[m->n_trust++].pem, c);
	}
	if (conf->crl)
		read_file(conf->crl, &m->crl, c);
	return finish(m, conf, before, c);
}

void tg_material_free(struct tg_material *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->n_pairs; i++) {
		blob_free(&m->pair[i].cert);
		blob_free(&m->pair[i].key);
	}
	for (uint32_t i = 0; i < m->n_trust; i++)
		blob_free(&m->trust[i].pem);
	blob_free(&m->crl);
	for (uint32_t i = 0; i < m->n_tickets; i++)
		blob_free(&m->ticket[i]);
	free(m->trust);
	free(m);
}

void tg_material_files(const struct tg_tls_conf *conf,
	void (*each)(void *arg, const char *path, bool secret), void *arg)
{
	for (uint32_t i = 0; i < conf->n_pairs; i++) {
		each(arg, conf->pairs[i].certificate, false);
		each(arg, conf->pairs[i].private_key, true);
	}
	if (conf->ca)
		each(arg, conf->ca, false);
	if (conf->crl)
		each(arg, conf->crl, false);
	for (uint32_t i = 0; i < conf->n_bundles; i++)
		each(arg, conf->bundles[i].ca, false);
	for (uint32_t i = 0; i < conf->n_ticket_keys; i++)
		each(arg, conf->ticket_keys[i], true);
}

/* --- copies of configurations -------------------------------------------------------------------
 */

/* Carves out of one block, or only counts (at NULL). */
struct carver {
	char *at;
	size_t used;
};

static void *carve(struct carver *v, const void *from, size_t n)
{
	char *to = v->at ? v->at + v->used : NULL;

	if (to && n)
		memcpy(to, from, n);
	v->used += (n + 7) & ~(size_t)7;
	return to;
}

static const char *carve_text(struct carver *v, const char *s)
{
	return s ? carve(v, s, strlen(s) + 1) : NULL;
}

static void copy_into(struct carver *v, const struct tg_tls_conf *f)
{
	struct tg_tls_conf scratch, *to = carve(v, f, sizeof(*f));
	struct tg_tls_pair *pairs = carve(v, f->pairs, f->n_pairs * sizeof(*pairs));
	struct tg_tls_bundle *bundles = carve(v, f->bundles, f->n_bundles * sizeof(*bundles));
	const char **match = carve(v, f->match_spiffe_ids, f->n_match * sizeof(*match));
	const char **tickets = carve(v, f->ticket_keys, f->n_ticket_keys * sizeof(*tickets));

	if (!to)
		to = &scratch;
	to->pairs = pairs;
	to->bundles = bundles;
	to->match_spiffe_ids = match;
	to->ticket_keys = tickets;
	for (uint32_t i = 0; i < f->n_pairs; i++) {
		struct tg_tls_pair p = {carve_text(v, f->pairs[i].certificate),
			carve_text(v, f->pairs[i].private_key)};

		if (pairs)
			pairs[i] = p;
	}
	for (uint32_t i = 0; i < f->n_bundles; i++) {
		struct tg_tls_bundle b = {
			carve_text(v, f->bundles[i].trust_domain), carve_text(v, f->bundles[i].ca)};

		if (bundles)
			bundles[i] = b;
	}
	for (uint32_t i = 0; i < f->n_match; i++) {
		const char *s = carve_text(v, f->match_spiffe_ids[i]);

		if (match)
			match[i] = s;
	}
	for (uint32_t i = 0; i < f->n_ticket_keys; i++) {
		const char *s = carve_text(v, f->ticket_keys[i]);

		if (tickets)
			tickets[i] = s;
	}
	to->ca = carve_text(v, f->ca);
	to->crl = carve_text(v, f->crl);
	to->svid = carve_text(v, f->svid);
	to->sni = carve_text(v, f->sni);
	for (uint32_t i = 0; i < f->n_alpn; i++)
		to->alpn[i] = carve_text(v, f->alpn[i]);
}

struct tg_tls_conf *tg_conf_copy(const struct tg_tls_conf *conf)
{
	struct carver v = {NULL, 0};

	copy_into(&v, conf);
	v.at = malloc(v.used);
	v.used = 0;
	if (v.at)
		copy_into(&v, conf);
	return (struct tg_tls_conf *)v.at;
}
