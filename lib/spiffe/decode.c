/* Responses: protobuf to views. Whatever was allocated for one is wiped when it goes: it may be a
 * private key. */
#include <stdlib.h>

#include <tidegate/spiffe.h>

#include <workload.pb-c.h>

/* In front of each allocation; keeps what follows aligned as malloc() does. */
struct head {
	size_t n;
} __attribute__((aligned(16)));

struct decoded {
	struct tg_spiffe_update pub; /* first */
	size_t used;                 /* bytes allocated for the message */
	ProtobufCAllocator alloc;
	ProtobufCMessage *msg;
};

static void *take(void *data, size_t n)
{
	struct decoded *d = data;
	struct head *h;

	if (n > TG_SPIFFE_MEMORY_MAX - d->used)
		return NULL;
	h = malloc(sizeof(*h) + n);
	if (!h)
		return NULL;
	h->n = n;
	d->used += n;
	return h + 1;
}

static void give(void *data, void *p)
{
	struct decoded *d = data;
	struct head *h = p;

	if (!p)
		return;
	h--;
	d->used -= h->n;
	explicit_bzero(p, h->n);
	free(h);
}

void tg_spiffe_update_free(struct tg_spiffe_update *u)
{
	struct decoded *d = (struct decoded *)u;

	if (!u)
		return;
	protobuf_c_message_free_unpacked(d->msg, &d->alloc);
	free(u->svids);
	free(u->bundles);
	free(u->crls);
	free(u);
}

/* --- fields -------------------------------------------------------------------------------------
 */

static struct tg_view bytes(ProtobufCBinaryData b)
{
	return tg_view_of(b.data, b.len);
}

static bool printable(struct tg_view v)
{
	for (uint32_t i = 0; i < v.n; i++)
		if (v.p[i] < 0x20 || v.p[i] > 0x7e)
			return false;
	return true;
}

static int take_svid(struct tg_spiffe_svid *to, const X509SVID *from, struct tg_errbuf *e)
{
	to->spiffe_id = tg_view_str(from->spiffe_id);
	to->hint = tg_view_str(from->hint);
	to->chain = bytes(from->x509_svid);
	to->key = bytes(from->x509_svid_key);
	to->bundle = bytes(from->bundle);
	if (!printable(to->spiffe_id) || !printable(to->hint))
		return tg_fail(e, TG_EINVAL, "an SPIFFE ID or hint with control bytes");
	if (!to->spiffe_id.n || !to->chain.n || !to->key.n || !to->bundle.n)
		return tg_fail(e, TG_EINVAL, "SVID \"%.100s\" without %s", from->spiffe_id,
			!to->spiffe_id.n ? "spiffe_id"
			: !to->chain.n   ? "x509_svid"
			: !to->key.n     ? "x509_svid_key"
					 : "bundle");
	return 0;
}

static int take_svids(
	struct tg_spiffe_update *u, X509SVID *const *from, size_t n, struct tg_errbuf *e)
{
	if (n == 0)
		return tg_fail(e, TG_EINVAL, "no SVID in it");
	if (n > TG_SPIFFE_ITEMS_MAX)
		return tg_fail(e, TG_EINVAL, "more than %u SVIDs", TG_SPIFFE_ITEMS_MAX);
	u->svids = calloc(n, sizeof(*u->svids));
	if (!u->svids)
		return tg_fail(e, TG_ENOMEM, "no memory left");
	for (u->n_svids = 0; u->n_svids < n; u->n_svids++) {
		int rc = take_svid(&u->svids[u->n_svids], from[u->n_svids], e);

		if (rc)
			return rc;
	}
	return 0;
}

static int take_crls(
	struct tg_spiffe_update *u, const ProtobufCBinaryData *from, size_t n, struct tg_errbuf *e)
{
	if (n > TG_SPIFFE_ITEMS_MAX)
		return tg_fail(e, TG_EINVAL, "more than %u CRLs", TG_SPIFFE_ITEMS_MAX);
	u->crls = calloc(n + 1, sizeof(*u->crls));
	if (!u->crls)
		return tg_fail(e, TG_ENOMEM, "no memory left");
	for (size_t i = 0; i < n; i++)
		if (from[i].len)
			u->crls[u->n_crls++] = bytes(from[i]);
	return 0;
}

/* Entries of a map: of equal keys the last counts. */
static int take_bundle(
	struct tg_spiffe_update *u, const char *key, ProtobufCBinaryData value, struct tg_errbuf *e)
{
	struct tg_view name = tg_view_str(key);
	uint32_t i = 0;

	if (!name.n || !printable(name))
		return tg_fail(e, TG_EINVAL, "a bundle without a trust domain");
	while (i < u->n_bundles && !tg_view_eq(u->bundles[i].trust_domain, name))
		i++;
	u->bundles[i] = (struct tg_spiffe_bundle){name, bytes(value)};
	if (i == u->n_bundles)
		u->n_bundles++;
	return 0;
}

static int make_bundles(struct tg_spiffe_update *u, size_t n, struct tg_errbuf *e)
{
	if (n > TG_SPIFFE_ITEMS_MAX)
		return tg_fail(e, TG_EINVAL, "more than %u bundles", TG_SPIFFE_ITEMS_MAX);
	u->bundles = calloc(n + 1, sizeof(*u->bundles));
	return u->bundles ? 0 : tg_fail(e, TG_ENOMEM, "no memory left");
}

static int fill_svids(struct tg_spiffe_update *u, const X509SVIDResponse *m, struct tg_errbuf *e)
{
	int rc = take_svids(u, m->svids, m->n_svids, e);

	if (!rc)
		rc = take_crls(u, m->crl, m->n_crl, e);
	if (!rc)
		rc = make_bundles(u, m->n_federated_bundles, e);
	for (size_t i = 0; !rc && i < m->n_federated_bundles; i++)
		rc = take_bundle(
			u, m->federated_bundles[i]->key, m->federated_bundles[i]->value, e);
	return rc;
}

static int fill_bundles(
	struct tg_spiffe_update *u, const X509BundlesResponse *m, struct tg_errbuf *e)
{
	int rc = take_crls(u, m->crl, m->n_crl, e);

	if (!rc && m->n_bundles == 0)
		rc = tg_fail(e, TG_EINVAL, "no bundle in it");
	if (!rc)
		rc = make_bundles(u, m->n_bundles, e);
	for (size_t i = 0; !rc && i < m->n_bundles; i++)
		rc = take_bundle(u, m->bundles[i]->key, m->bundles[i]->value, e);
	return rc;
}

int tg_spiffe_decode(enum tg_spiffe_call call, struct tg_view msg, struct tg_spiffe_update **out,
	struct tg_errbuf *e)
{
	const ProtobufCMessageDescriptor *type = call == TG_SPIFFE_SVIDS
							 ? &x509_svidresponse__descriptor
							 : &x509_bundles_response__descriptor;
	struct decoded *d = calloc(1, sizeof(*d));
	int rc;

	*out = NULL;
	if (!d)
		return tg_fail(e, TG_ENOMEM, "no memory left");
	d->alloc = (ProtobufCAllocator){take, give, d};
	d->msg = protobuf_c_message_unpack(type, &d->alloc, msg.n, msg.p);
	if (!d->msg)
		rc = tg_fail(e, TG_EINVAL, "cannot be decoded");
	else if (call == TG_SPIFFE_SVIDS)
		rc = fill_svids(&d->pub, (const X509SVIDResponse *)d->msg, e);
	else
		rc = fill_bundles(&d->pub, (const X509BundlesResponse *)d->msg, e);
	if (rc)
		tg_spiffe_update_free(&d->pub);
	else
		*out = &d->pub;
	return rc;
}
