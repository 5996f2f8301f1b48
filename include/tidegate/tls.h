/* tls.h: TLS 1.3 (RFC 8446), and 1.2 (RFC 5246) where it is asked for, over a tg_conn, as a
 * tg_conn.
 *
 *   TCP's conn --bytes--> [ handshake: ours or OpenSSL's ] --secrets--> [ records: Tidegate ]
 * --tg_conn--> proxy
 *
 * OpenSSL does the handshake, but for those of servers with an ordinary client of TLS 1.3, which
 * are ours over its primitives (lib/tls/serve.h); then the traffic secrets and sequence numbers are
 * taken over, its object is freed, and records are opened in place in received packets and sealed
 * straight into outgoing ones (lib/tls/record.h). KeyUpdate, tickets and alerts after the handshake
 * are ours. So it is with TLS 1.2 (only where min_version asks for it): ECDHE and AEAD suites
 * alone, no renegotiation, no compression.
 *
 * Three parts:
 *   tg_tls_conf   what the configuration says of one listener or cluster: immutable, in a snapshot
 *   tg_tls_store  control core: files and Workload API loaded, validated, compiled to a tg_tls_set;
 *                 whole or not at all; a new set for each change (rotation), adopted by workers
 * between turns tg_tls        a worker's TLS: its contexts, handshakes under way, identities, pools
 *
 * Owner: each tg_tls and every conn of it belong to one worker; a tg_tls_set has one set of
 * contexts for each worker, since OpenSSL 3.0 shares locks between threads of one SSL_CTX. Bounds:
 * connections, handshakes and active keys come from pools made at start; a full pool refuses with
 * tls_no_memory. Not here: TCP, HTTP, what an identity may do (filters).
 */
#ifndef TIDEGATE_TLS_H
#define TIDEGATE_TLS_H

#include <stdio.h>

#include <tidegate/conn.h>
#include <tidegate/err.h>
#include <tidegate/ready.h>
#include <tidegate/wheel.h>

struct tg_core_stats;
struct tg_pool;
struct tg_tls;
struct tg_tls_set;
struct tg_tls_store;

/* --- configuration ---------------------------------------------------------------------------- */

#define TG_TLS_ALPN_MAX 4
#define TG_TLS_CERTS_MAX 64
#define TG_TLS_TICKET_KEYS_MAX 16

struct tg_tls_pair {
	const char *certificate, *private_key; /* PEM files */
};

/* The CA certificates of one SPIFFE trust domain. `ca` alone is the bundle of our own: that of our
 * certificate's SPIFFE ID, else that of match_spiffe_ids. */
struct tg_tls_bundle {
	const char *trust_domain; /* "mesh.example" */
	const char *ca;           /* PEM bundle */
};

/* One `tls: { }` group. Strings live as long as the snapshot. */
struct tg_tls_conf {
	uint32_t id; /* conf_id; given by whoever fills the store, the same over reloads */
	bool server;
	uint32_t n_pairs; /* servers choose by SNI: exact, then wildcard, then the first */
	struct tg_tls_pair *pairs;
	const char *ca;  /* client_ca of listeners, ca of clusters: PEM bundle; NULL: none, or the
			    Workload API's */
	const char *crl; /* PEM: revocation lists of all CAs that vouch for peers; NULL: none */
	uint32_t n_bundles; /* spiffe: bundles of further (federated) trust domains */
	const struct tg_tls_bundle *bundles;
	bool require_client_certificate; /* servers: without one the handshake fails */
	bool keep_pem;                   /* of peers' certificates: somebody wants it (XFCC) */
	bool spiffe; /* the peer's certificate must be an X.509-SVID of a known trust domain */
	/* The bundles come from the Workload API, and without pairs our certificate too: the SVID
	 * of this SPIFFE ID or hint; NULL: the first. Implies spiffe; without ca, crl and bundles.
	 */
	bool workload_api;
	const char *svid;
	uint32_t n_match;              /* clusters: who the origin must be */
	const char **match_spiffe_ids; /* exact, or "spiffe://domain/path/" followed by "*" */
	const char *sni; /* clusters: server name; checked against the certificate unless
			    match_spiffe_ids */
	uint32_t n_alpn;
	const char *alpn[TG_TLS_ALPN_MAX];
	uint8_t min_version;  /* 12 or 13 */
	bool session_tickets; /* servers: true by default. clusters: resumption */
	/* Servers: files of 80 bytes whose keys are for tickets: the first encrypts, all decrypt.
	 * None: keys of the process, which it makes anew each hour. */
	uint32_t n_ticket_keys;
	const char **ticket_keys;
};

/* Once, before anything else here: chooses the implementation of AEAD for this CPU. Returns its
 * name for people, "ipsec-mb (vaes_avx512)"; NULL: the TLS library does not work. */
const char *tg_tls_init(void);
/* On a worker's thread, before its first turn: what its core should not share with others. */
void tg_tls_thread(void);

/* --- certificates and keys: the control core ---------------------------------------------------
 */

/* Called once for each thing that is wrong: "server.key: the key does not belong to server.crt". */
typedef void tg_tls_complain(void *arg, const char *text);

/* Owner: the control core alone, but for the sets that it hands out. workers: contexts are made for
 * each of 0 .. workers-1. */
struct tg_tls_store *tg_tls_store_create(uint32_t workers, struct tg_errbuf *e);
/* Every worker must have let go of its set. */
void tg_tls_store_destroy(struct tg_tls_store *st);

/* Reads and checks the files of n configurations (the index is the conf_id; NULL entries are
 * allowed and cannot be used) and makes them the current set: whole or not at all. Confs are
 * copied. now: seconds since 1970. Returns 0, or TG_EINVAL after complaints, or TG_ENOMEM; the
 * current set is then what it was. */
int tg_tls_store_load(struct tg_tls_store *st, const struct tg_tls_conf *const *confs, uint32_t n,
	int64_t now, tg_tls_complain *complain, void *arg);
/* Only checks: for --check. */
int tg_tls_store_check(const struct tg_tls_conf *const *confs, uint32_t n, int64_t now,
	tg_tls_complain *complain, void *arg);
/* Reads the files again. Configurations whose files hold what they held keep their contexts, and
 * so do those whose files cannot be used, which is complained about. 1: there is a new current
 * set; 0: nothing changed; negative, as load: nothing changed, after complaints. */
int tg_tls_store_refresh(
	struct tg_tls_store *st, int64_t now, tg_tls_complain *complain, void *arg);

/* What the SPIFFE Workload API says; DER. */
struct tg_tls_svid {
	struct tg_view spiffe_id, hint; /* text */
	struct tg_view chain, key;      /* leaf first; PKCS#8 */
	struct tg_view bundle;          /* of its trust domain */
};
struct tg_tls_der_bundle {
	struct tg_view trust_domain; /* "spiffe://partner.example" */
	struct tg_view certs;
};
struct tg_tls_workload {
	uint32_t n_svids, n_bundles, n_crls;
	const struct tg_tls_svid *svids;
	const struct tg_tls_der_bundle *bundles; /* of other trust domains, or all */
	const struct tg_view *crls;              /* a CA that has one here is asked about */
};
/* Which configurations it is for: those whose certificate is an SVID, or those with files. */
enum tg_tls_source { TG_TLS_SVIDS, TG_TLS_BUNDLES, TG_TLS_SOURCES };
/* Takes it into use instead of what was said before, whole or not at all; copies it. NULL: all is
 * withdrawn, and configurations that need it cannot be used (tls_not_loaded). Returns as refresh.
 */
int tg_tls_store_workload(struct tg_tls_store *st, enum tg_tls_source source,
	const struct tg_tls_workload *w, int64_t now, tg_tls_complain *complain, void *arg);

/* Housekeeping, every second or so: a new key for tickets when the newest is old (the current set
 * is then new: true), and sets that no worker uses any longer are freed. */
bool tg_tls_store_tick(struct tg_tls_store *st, int64_t now);

/* What workers should adopt: valid until the next call that makes a set, or as long as a worker has
 * adopted it. NULL before the first load. */
struct tg_tls_set *tg_tls_store_current(struct tg_tls_store *st);

/* A certificate of the set, for /certs and metrics. Views into the set. */
struct tg_tls_cert {
	uint32_t conf_id;
	bool ca;                       /* of a bundle; else our own leaf */
	const char *file;              /* "" from the Workload API */
	const char *spiffe_id;         /* "" if none; of a CA: its trust domain's */
	const char *subject;           /* RFC 2253 */
	const char *serial;            /* hex */
	const char *names;             /* DNS and IP subject alternative names, separated by ", " */
	int64_t not_before, not_after; /* seconds since 1970 */
};
/* Whether handshakes of this configuration can begin: false until the Workload API has said what it
 * needs, and when that was withdrawn. */
bool tg_tls_set_usable(const struct tg_tls_set *s, uint32_t conf_id);
void tg_tls_set_certs(const struct tg_tls_set *s,
	void (*each)(void *arg, const struct tg_tls_cert *c), void *arg);
/* Every file that the store reads, for watching; secret: it holds a key. */
void tg_tls_store_files(const struct tg_tls_store *st,
	void (*each)(void *arg, const char *path, bool secret), void *arg);

/* --- identity --------------------------------------------------------------------------------- */

/* Who a verified certificate says that the peer is. Interned per worker: equal certificates share
 * one. Views stay valid as long as the conn (or a tg_identity_hold). */
struct tg_identity {
	struct tg_view spiffe_id; /* "spiffe://domain/path"; .n 0: no SVID */
	struct tg_view uri, dns;  /* first URI and DNS subject alternative names; .n 0: none */
	struct tg_view uris, dns_names; /* all of them, each with a 0 behind it */
	struct tg_view subject;         /* RFC 2253 text */
	struct tg_view cert_pem;        /* URL-encoded PEM of the leaf, for XFCC's Cert; .n 0: no
					   configuration that keeps it (keep_pem) has seen this peer */
	struct tg_view hash; /* lower-case hex SHA-256 of the leaf's DER, for XFCC's Hash */
	int64_t not_after;   /* seconds since 1970: the SVID's end */
	uint32_t refs;       /* this worker's */
};

/* --- a worker --------------------------------------------------------------------------------- */

struct tg_tls_worker_conf {
	uint32_t worker;
	uint32_t max_conns, max_handshakes, max_active; /* pools */
	uint32_t handshake_budget; /* handshake steps a turn; 0: 2. One step may sign or verify: 100
				      us and more */
	uint32_t sessions;         /* of upstreams, kept for resumption */
	uint64_t handshake_timeout; /* ns; 0: 15 s */
	uint64_t realtime_offset;   /* ns: CLOCK_REALTIME = wheel->now + this; for expiry */
	struct tg_wheel *wheel;
	struct tg_ready *ready;
	struct tg_core_stats *stats;
};

struct tg_tls *tg_tls_create(const struct tg_tls_worker_conf *conf, struct tg_errbuf *e);
void tg_tls_destroy(struct tg_tls *t);
/* From the next handshake on. The old set may be released when all workers have adopted the new
 * one. */
void tg_tls_adopt(struct tg_tls *t, struct tg_tls_set *s);
/* Handshake work of this turn, within the budget. Returns the steps done. Counts them, and the
 * turns that left work for the next one; the time that they took is the caller's to measure. */
uint32_t tg_tls_turn(struct tg_tls *t);
/* Whether a handshake waits for its next step. */
bool tg_tls_has_work(const struct tg_tls *t);

/* Wraps lower, which is open or opening; its user and owner become TLS's. conf selects the contexts
 * by its id in the set. The result raises OPEN when the handshake is done, FAILED when it is not;
 * info().why says which alert class. From here on lower belongs to the result. NULL: pool empty;
 * lower is untouched. timeout: ns for the handshake; 0: the worker's. */
struct tg_conn *tg_tls_accept(struct tg_tls *t, uint32_t conf_id, struct tg_conn *lower,
	uint64_t timeout, const struct tg_conn_user *user, void *owner);
struct tg_conn *tg_tls_connect(struct tg_tls *t, uint32_t conf_id, struct tg_conn *lower,
	uint64_t timeout, const struct tg_conn_user *user, void *owner);

/* What is known of an open TLS conn; false: c is no TLS conn. */
struct tg_tls_info {
	const struct tg_identity *peer; /* NULL: no certificate */
	const struct tg_identity *own;  /* the certificate we showed; NULL: none */
	const char *version, *cipher;   /* "TLSv1.3" or "TLSv1.2", "TLS_AES_128_GCM_SHA256" */
	struct tg_view sni, alpn;
	bool resumed;
};
bool tg_tls_info(const struct tg_conn *c, struct tg_tls_info *out);
/* The first of it alone, for each request. */
const struct tg_identity *tg_tls_peer(const struct tg_conn *c);
/* A conn of dry runs, whose bit `dry` is set: there was no handshake, this is what it would have
 * shown. */
struct tg_dry_conn {
	struct tg_conn conn;
	bool is_tls;
	struct tg_tls_info tls;
};
/* When what authenticated the connection is at its end: the first certificate of the peer's
 * verified chain, or our own SVID, if we showed one. ns of the wheel's clock; UINT64_MAX: never, or
 * c is no open TLS conn. Nobody must be served on it any longer. */
uint64_t tg_tls_expires(const struct tg_conn *c);
/* Which of the two it is: tls_peer_expired or tls_own_expired. Of a conn that expires. */
enum tg_why tg_tls_expires_why(const struct tg_conn *c);

/* The time of day was set: what expires when is judged anew. offset: as realtime_offset. */
void tg_tls_set_realtime(struct tg_tls *t, uint64_t offset);

/* Between two turns: operations of connections are traced (traced.h) from now on, or no longer. */
void tg_tls_trace(struct tg_tls *t, bool on);

/* Ends every handshake under way: their users get FAILED. */
void tg_tls_abort_handshakes(struct tg_tls *t, enum tg_why why);

/* For /memory. Fills up to n pools, returns how many there are. */
uint32_t tg_tls_pools(const struct tg_tls *t, const struct tg_pool **out, uint32_t n);

/* Lines about handshakes that failed since the last call: who and why. The control core alone.
 * Returns how many were lost because nobody asked for too long. */
#define TG_TLS_LOG_LINE 400
uint64_t tg_tls_failures(struct tg_tls *t, void (*each)(void *arg, const char *line), void *arg);

#endif
