/* `tls: { }` of listeners and clusters: keys, checks, and into the snapshot. What stands in the
 * files is for lib/tls to judge; here it is only their names. */
#include <string.h>

#include "keys.h"

static const char *const words_version[] = {"1.3", "1.2", NULL};
static const char *const refused_version[] = {"1.0", "1.1", NULL};

#define COMMON_KEYS \
	KEY(raw_tls, trust_domains, "trust_domains", .type = CFG_GROUPS, \
		.group = &cfg_trust_domain, \
		.example = "( { name = \"mesh.example\"; ca = \"mesh.crt\"; } )", \
		.doc = "SPIFFE trust domains beside our own, each with its bundle (federation)"), \
		KEY(raw_tls, c.workload_api, "workload_api", .type = CFG_BOOL, .dflt = "false", \
			.example = "true", \
			.doc = "bundles, and without \"certificate\" ours too, come from the " \
			       "SPIFFE " \
			       "Workload API; peers must have SVIDs"), \
		KEY(raw_tls, c.svid, "svid", .type = CFG_NAME, .max = 2048, \
			.example = "\"spiffe://mesh.example/gate\"", \
			.doc = "which of the Workload API's SVIDs is ours: its SPIFFE ID or " \
			       "hint; default: the first"), \
		KEY(raw_tls, c.crl, "crl", .type = CFG_PATH, .example = "\"revoked.crl\"", \
			.doc = "PEM file: the CAs' revocation lists, of every CA of a chain"), \
		KEY(raw_tls, alpn, "alpn_protocols", .type = CFG_NAMES, .max = 255, \
			.example = "[\"http/1.1\"]", \
			.doc = "application protocols (ALPN), best first; without it http/1.1 " \
			       "where " \
			       "HTTP is spoken, else none"), \
		KEY(raw_tls, min_version, "min_version", .type = CFG_ENUM, .words = words_version, \
			.refused_words = refused_version, .dflt = "1.3", .example = "\"1.3\"", \
			.doc = "oldest TLS version that is spoken; 1.2 is spoken with ECDHE and " \
			       "AEAD suites only, and without renegotiation"), \
		KEY(raw_tls, c.session_tickets, "session_tickets", .type = CFG_BOOL, \
			.dflt = "true", .example = "true", .doc = "resumption by tickets")

static const struct cfg_key listener_tls_keys[] = {
	KEY(raw_tls, pair.certificate, "certificate", .type = CFG_PATH, .example = "\"server.crt\"",
		.doc = "PEM file: our chain, leaf first"),
	KEY(raw_tls, pair.private_key, "private_key", .type = CFG_PATH, .example = "\"server.key\"",
		.doc = "PEM file: its key"),
	KEY(raw_tls, certificates, "certificates", .type = CFG_GROUPS, .group = &cfg_tls_pair,
		.example = "( { certificate = \"a.crt\"; private_key = \"a.key\"; } )",
		.doc = "several, chosen by the server name (SNI): exact, wildcard, else the first"),
	KEY(raw_tls, c.ca, "client_ca", .type = CFG_PATH, .example = "\"ca.crt\"",
		.doc = "PEM file: who may sign clients' certificates; without it none is asked "
		       "for"),
	KEY(raw_tls, c.require_client_certificate, "require_client_certificate", .type = CFG_BOOL,
		.dflt = "false", .example = "true",
		.doc = "a client without a certificate is refused (mTLS)"),
	KEY(raw_tls, c.spiffe, "require_spiffe_id", .type = CFG_BOOL, .dflt = "false",
		.example = "true",
		.doc = "a client's certificate must be an X.509-SVID of a known trust domain"),
	KEY(raw_tls, handshake_timeout, "handshake_timeout", .type = CFG_DURATION,
		.min = SEC / 1000, .max = 3600 * SEC, .dflt = "15s", .example = "\"15s\"",
		.doc = "time for a handshake"),
	KEY(raw_tls, ticket_keys, "session_ticket_keys", .type = CFG_PATHS, .flags = CFG_NOT_EMPTY,
		.example = "[\"new.key\", \"old.key\"]",
		.doc = "files of 80 bytes, keys for tickets that several processes share: the "
		       "first encrypts, all decrypt; without it each process has its own"),
	KEY(raw_tls, no_tickets, "disable_stateless_session_resumption", .type = CFG_BOOL,
		.dflt = "false", .example = "true",
		.doc = "the same as session_tickets = false: no resumption"),
	COMMON_KEYS, END};

static const struct cfg_key cluster_tls_keys[] = {
	KEY(raw_tls, c.ca, "ca", .type = CFG_PATH, .example = "\"ca.crt\"",
		.doc = "PEM file: who may sign the origins' certificates; or workload_api"),
	KEY(raw_tls, pair.certificate, "certificate", .type = CFG_PATH, .example = "\"client.crt\"",
		.doc = "PEM file: our chain, leaf first (mTLS)"),
	KEY(raw_tls, pair.private_key, "private_key", .type = CFG_PATH, .example = "\"client.key\"",
		.doc = "PEM file: its key"),
	KEY(raw_tls, c.sni, "sni", .type = CFG_NAME, .max = 255, .example = "\"shop.example\"",
		.doc = "server name to ask for; the certificate must be for it, unless "
		       "match_spiffe_ids says who the origin must be"),
	KEY(raw_tls, match_spiffe_ids, "match_spiffe_ids", .type = CFG_NAMES, .max = 2048,
		.example = "[\"spiffe://mesh.example/ns/shop/*\"]",
		.doc = "SPIFFE IDs that an origin may have: exact, or all below a path"),
	COMMON_KEYS, END};

static const struct cfg_key tls_pair_keys[] = {
	KEY(raw_tls_pair, certificate, "certificate", .type = CFG_PATH, .flags = CFG_REQUIRED,
		.example = "\"server.crt\"", .doc = "PEM file: our chain, leaf first"),
	KEY(raw_tls_pair, private_key, "private_key", .type = CFG_PATH, .flags = CFG_REQUIRED,
		.example = "\"server.key\"", .doc = "PEM file: its key"),
	END};

static const struct cfg_key trust_domain_keys[] = {
	KEY(raw_trust_domain, name, "name", .type = CFG_NAME, .max = 255, .flags = CFG_REQUIRED,
		.example = "\"mesh.example\"", .doc = "the trust domain, without spiffe://"),
	KEY(raw_trust_domain, ca, "ca", .type = CFG_PATH, .flags = CFG_REQUIRED,
		.example = "\"mesh.crt\"", .doc = "PEM file: its bundle"),
	END};

static const struct cfg_refused refused_tls[] = {{"common_tls_context"}, {"cipher_suites"},
	{"max_version"}, {"ocsp_staple_policy"}, {"session_ticket_keys_sds_secret_config"},
	{"disable_stateful_session_resumption"}, {"verify_certificate_hash"},
	{"verify_certificate_spki"}, {"match_typed_subject_alt_names"}, {"insecure_skip_verify"},
	{"key_log"}, {"ecdh_curves"}, {"signature_algorithms"}, {"allow_renegotiation"},
	{"early_data"}, {NULL}};
static const struct cfg_refused refused_none[] = {{NULL}};

const struct cfg_group cfg_listener_tls = {
	"listener tls", sizeof(struct raw_tls), listener_tls_keys, refused_tls};
const struct cfg_group cfg_cluster_tls = {
	"cluster tls", sizeof(struct raw_tls), cluster_tls_keys, refused_tls};
const struct cfg_group cfg_tls_pair = {
	"certificate", sizeof(struct raw_tls_pair), tls_pair_keys, refused_none};
const struct cfg_group cfg_trust_domain = {
	"trust domain", sizeof(struct raw_trust_domain), trust_domain_keys, refused_none};

/* --- checks ------------------------------------------------------------------------------------
 */

static void check_pair(struct cfg *c, const struct raw_tls *t, const struct cfg_group *g,
	const char *who, bool server)
{
	bool cert = cfg_given(g, &t->h, "certificate"), key = cfg_given(g, &t->h, "private_key");
	uint32_t line = cfg_line_of(t->h.at);

	if (cert != key)
		cfg_error(c, line, "%s: tls: \"certificate\" and \"private_key\" belong together",
			who);
	else if (server && !cert && !t->certificates.n && !t->h.meant && !t->c.workload_api)
		cfg_error(c, line,
			"%s: tls: \"certificate\" and \"private_key\" are missing: certificate = "
			"\"server.crt\"; private_key = \"server.key\";",
			who);
	if (t->certificates.n + cert > TG_TLS_CERTS_MAX)
		cfg_error(c, line, "%s: tls: at most %d certificates are possible", who,
			TG_TLS_CERTS_MAX);
}

static void check_spiffe_ids(struct cfg *c, const struct raw_tls *t, const char *who)
{
	const struct raw_item *id = t->match_spiffe_ids.items;

	for (uint32_t i = 0; i < t->match_spiffe_ids.n; i++) {
		const char *star;

		if (!id[i].ok)
			continue;
		star = strchr(id[i].s, '*');
		if (strncmp(id[i].s, "spiffe://", 9) != 0 || !id[i].s[9] || id[i].s[9] == '/')
			cfg_error(c, cfg_line_of(id[i].at),
				"%s: tls: \"%s\" is no SPIFFE ID: write spiffe://trust-domain/path",
				who, id[i].s);
		else if (star && (star[1] || star[-1] != '/'))
			cfg_error(c, cfg_line_of(id[i].at),
				"%s: tls: \"%s\": a * stands only at the end, behind a /", who,
				id[i].s);
	}
}

bool cfg_tls_knows_clients(const struct raw_tls *t)
{
	return t->h.at && (t->c.ca || t->trust_domains.n || t->c.workload_api);
}

/* What the Workload API brings must not stand in files too, and somebody must bring it. */
static void check_sources(struct cfg *c, const struct raw_tls *t, const char *who, bool server)
{
	const char *ca = server ? "client_ca" : "ca";
	uint32_t line = cfg_line_of(t->h.at);

	if (t->c.workload_api && (t->c.ca || t->c.crl || t->trust_domains.n))
		cfg_error(c, line,
			"%s: tls: with \"workload_api\" there is no \"%s\": bundles come from "
			"there",
			who,
			t->c.ca    ? ca
			: t->c.crl ? "crl"
				   : "trust_domains");
	if (t->c.svid && (!t->c.workload_api || t->pair.certificate || t->certificates.n))
		cfg_error(c, cfg_key_line(&t->h, "svid"),
			"%s: tls: \"svid\" is for a certificate that comes from \"workload_api\"",
			who);
	if (!server && !t->c.workload_api && !t->c.ca)
		cfg_error(c, line,
			"%s: tls: \"ca\" is missing: ca = \"ca.crt\"; or workload_api = true;",
			who);
}

static void check_tickets(struct cfg *c, const struct raw_tls *t, const char *who)
{
	if (t->ticket_keys.n > TG_TLS_TICKET_KEYS_MAX)
		cfg_error(c, cfg_key_line(&t->h, "session_ticket_keys"),
			"%s: tls: at most %d of \"session_ticket_keys\" are possible", who,
			TG_TLS_TICKET_KEYS_MAX);
	if (t->ticket_keys.n && (t->no_tickets || !t->c.session_tickets))
		cfg_error(c, cfg_key_line(&t->h, "session_ticket_keys"),
			"%s: tls: \"session_ticket_keys\" are for nothing: there are no tickets, "
			"says \"%s\"",
			who,
			t->no_tickets ? "disable_stateless_session_resumption" : "session_tickets");
}

void cfg_check_tls(struct cfg *c, const struct raw_tls *t, const struct cfg_group *g,
	const config_setting_t *of, const struct cfg_group *of_group)
{
	const char *who = cfg_who(c, of, of_group);
	bool server = g == &cfg_listener_tls;

	if (!t->h.at)
		return;
	check_pair(c, t, g, who, server);
	check_spiffe_ids(c, t, who);
	check_sources(c, t, who, server);
	check_tickets(c, t, who);
	if (t->alpn.n > TG_TLS_ALPN_MAX)
		cfg_error(c, cfg_key_line(&t->h, "alpn_protocols"),
			"%s: tls: at most %d of \"alpn_protocols\" are possible", who,
			TG_TLS_ALPN_MAX);
	if (server && !t->c.ca && !t->trust_domains.n && !t->c.workload_api &&
		(t->c.require_client_certificate || t->c.spiffe))
		cfg_error(c, cfg_line_of(t->h.at),
			"%s: tls: \"client_ca\" is missing: nobody could be believed to be anybody",
			who);
	if (server && t->c.crl && !t->c.ca && !t->trust_domains.n && !t->c.workload_api)
		cfg_error(c, cfg_key_line(&t->h, "crl"),
			"%s: tls: \"crl\" without \"client_ca\": there is nobody to revoke", who);
	if (t->trust_domains.n && !t->c.spiffe && !t->match_spiffe_ids.n)
		cfg_error(c, cfg_key_line(&t->h, "trust_domains"),
			"%s: tls: \"trust_domains\" are looked at only with %s", who,
			server ? "\"require_spiffe_id\" = true" : "\"match_spiffe_ids\"");
	if (!server && !t->c.sni && !t->match_spiffe_ids.n && !t->h.meant)
		cfg_error(c, cfg_line_of(t->h.at),
			"%s: tls: say who the origin must be: \"sni\" or \"match_spiffe_ids\"",
			who);
}

/* --- into the snapshot -------------------------------------------------------------------------
 */

static void *keep(struct cfg *c, size_t n, size_t size)
{
	return cfg_need(c, c->keep, (n + 1) * size);
}

static bool compile_pairs(struct cfg *c, const struct raw_tls *t, struct tg_tls_conf *out)
{
	const struct raw_tls_pair *more = t->certificates.items;

	out->pairs = keep(c, t->certificates.n + 1, sizeof(*out->pairs));
	if (!out->pairs)
		return false;
	if (t->pair.certificate)
		out->pairs[out->n_pairs++] =
			(struct tg_tls_pair){t->pair.certificate, t->pair.private_key};
	for (uint32_t i = 0; i < t->certificates.n; i++)
		out->pairs[out->n_pairs++] =
			(struct tg_tls_pair){more[i].certificate, more[i].private_key};
	return true;
}

bool cfg_compile_tls(struct cfg *c, const struct raw_tls *t, bool http, struct tg_tls_conf *out)
{
	const struct raw_trust_domain *domains = t->trust_domains.items;
	struct tg_tls_bundle *bundles = keep(c, t->trust_domains.n, sizeof(*bundles));
	const char **ids = keep(c, t->match_spiffe_ids.n, sizeof(*ids));
	const char **tickets = keep(c, t->ticket_keys.n, sizeof(*tickets));

	*out = t->c;
	if (!bundles || !ids || !tickets || !compile_pairs(c, t, out))
		return false;
	for (uint32_t i = 0; i < t->trust_domains.n; i++)
		bundles[i] = (struct tg_tls_bundle){domains[i].name, domains[i].ca};
	for (uint32_t i = 0; i < t->match_spiffe_ids.n; i++)
		ids[i] = cfg_items(&t->match_spiffe_ids, raw_item)[i].s;
	for (uint32_t i = 0; i < t->ticket_keys.n; i++)
		tickets[i] = cfg_items(&t->ticket_keys, raw_item)[i].s;
	out->n_ticket_keys = t->ticket_keys.n;
	out->ticket_keys = tickets;
	out->session_tickets &= !t->no_tickets;
	out->n_bundles = t->trust_domains.n;
	out->bundles = bundles;
	out->n_match = t->match_spiffe_ids.n;
	out->match_spiffe_ids = ids;
	out->spiffe |= out->n_match > 0 || out->workload_api;
	out->min_version = (uint8_t)(13 - t->min_version);
	for (uint32_t i = 0; i < t->alpn.n; i++)
		out->alpn[out->n_alpn++] = cfg_items(&t->alpn, raw_item)[i].s;
	if (!t->alpn.at && http) {
		out->alpn[out->n_alpn++] = "http/1.1";
		out->alpn[out->n_alpn++] = "http/1.0";
	}
	return true;
}
