#include "tls.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>

#include "spiffe.h"
#include "watch.h"
#include "worker.h"

/* Lines about failed handshakes that are logged a second; the others are only counted. */
#define LINES_A_SECOND 10
/* After a change of files it is waited until they are quiet, since more changes belong to it. */
#define QUIET_NS (50 * TG_MS)
#define QUIET_MAX_NS TG_SEC
/* A file that is being written is not read before it is closed, unless that takes too long. */
#define WRITING_MAX_NS (10 * TG_SEC)
/* File systems of other machines do not tell what others do with them. */
#define COMPARE_NS (60 * TG_SEC)

struct live {
	struct live *next;
	const struct tg_snapshot *s;
};

struct tg_tls_control {
	pthread_mutex_t lock; /* of the store: the admin thread reads it */
	struct tg_tls_store *store;
	struct live *live;                /* snapshots whose configurations are loaded */
	const struct tg_tls_conf **confs; /* [n]: by id; NULL: free */
	uint32_t n;
	uint32_t lines; /* said in this second */
	uint64_t unsaid;
	int epoll;                          /* negative: not attached yet */
	struct tg_spiffe_endpoint endpoint; /* .len 0: not known */
	_Atomic(struct tg_agent *) agent;   /* NULL: nobody needs it; made once */
	struct tg_watch *watch;             /* NULL: not yet */
	bool blind;                         /* said so: files are compared each second */
	uint64_t changed_at;  /* ns: the first change that was not looked at yet; 0: none */
	uint64_t quiet_at;    /* ns: then it is, if nothing more happens */
	uint64_t compared_at; /* ns */
	_Atomic uint64_t rotations, rotation_failures;
	char *agent_fault; /* what was wrong with the agent's last response; NULL: never anything */
	char *fault;       /* why the files were not loaded; NULL: they were */
};

/* Where complaints go. */
struct complaints {
	const char *path; /* of the configuration; NULL: none in front */
	FILE *err;        /* NULL: the log */
};

static void complain(void *arg, const char *text)
{
	const struct complaints *c = arg;

	if (!c->err)
		tg_say(TG_ERROR, "TLS: %s", text);
	else if (c->path)
		fprintf(c->err, "%s: tls: %s\n", c->path, text);
	else
		fprintf(c->err, "tls: %s\n", text);
}

static int64_t seconds(void)
{
	return (int64_t)time(NULL);
}

static uint64_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * TG_SEC + (uint64_t)ts.tv_nsec;
}

/* --- ids ---------------------------------------------------------------------------------------
 */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_texts(const char *const *a, const char *const *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!same_text(a[i], b[i]))
			return false;
	return true;
}

static bool same_pairs(const struct tg_tls_conf *a, const struct tg_tls_conf *b)
{
	for (uint32_t i = 0; i < a->n_pairs; i++)
		if (!same_text(a->pairs[i].certificate, b->pairs[i].certificate) ||
			!same_text(a->pairs[i].private_key, b->pairs[i].private_key))
			return false;
	return true;
}

static bool same_bundles(const struct tg_tls_conf *a, const struct tg_tls_conf *b)
{
	for (uint32_t i = 0; i < a->n_bundles; i++)
		if (!same_text(a->bundles[i].trust_domain, b->bundles[i].trust_domain) ||
			!same_text(a->bundles[i].ca, b->bundles[i].ca))
			return false;
	return true;
}

static bool same(const struct tg_tls_conf *a, const struct tg_tls_conf *b)
{
	return a->server == b->server && a->n_pairs == b->n_pairs && a->n_bundles == b->n_bundles &&
	       a->n_match == b->n_match && a->n_alpn == b->n_alpn &&
	       a->n_ticket_keys == b->n_ticket_keys &&
	       a->require_client_certificate == b->require_client_certificate &&
	       a->keep_pem == b->keep_pem && a->spiffe == b->spiffe &&
	       a->workload_api == b->workload_api && a->min_version == b->min_version &&
	       a->session_tickets == b->session_tickets && same_text(a->ca, b->ca) &&
	       same_text(a->crl, b->crl) && same_text(a->svid, b->svid) &&
	       same_text(a->sni, b->sni) && same_pairs(a, b) && same_bundles(a, b) &&
	       same_texts(a->match_spiffe_ids, b->match_spiffe_ids, a->n_match) &&
	       same_texts(a->alpn, b->alpn, a->n_alpn) &&
	       same_texts(a->ticket_keys, b->ticket_keys, a->n_ticket_keys);
}

static uint32_t find_id(const struct tg_tls_control *c, const struct tg_tls_conf *conf)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (c->confs[i] && same(c->confs[i], conf))
			return i;
	return UINT32_MAX;
}

/* UINT32_MAX: no memory. */
static uint32_t take_id(struct tg_tls_control *c, const struct tg_tls_conf *conf)
{
	const struct tg_tls_conf **more;
	uint32_t id = find_id(c, conf);

	for (uint32_t i = 0; i < c->n && id == UINT32_MAX; i++)
		if (!c->confs[i])
			id = i;
	if (id == UINT32_MAX) {
		more = realloc(c->confs, (c->n + 1) * sizeof(*more));
		if (!more)
			return id;
		c->confs = more;
		id = c->n++;
	}
	c->confs[id] = conf;
	return id;
}

/* What the live snapshots use, and nothing else. */
static void rebuild(struct tg_tls_control *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		c->confs[i] = NULL;
	for (const struct live *l = c->live; l; l = l->next)
		for (uint32_t i = 0; i < l->s->n_tls; i++)
			c->confs[l->s->tls[i].id] = &l->s->tls[i];
}

/* --- Workload API ------------------------------------------------------------------------------
 */

static uint32_t calls_of(const struct tg_tls_conf *conf)
{
	if (!conf || !conf->workload_api)
		return 0;
	return 1u << (conf->n_pairs ? TG_SPIFFE_BUNDLES : TG_SPIFFE_SVIDS);
}

/* Where the agent is, if somebody needs it. */
static bool find_agent(struct tg_spiffe_endpoint *out, const struct tg_snapshot *s, bool check,
	const struct complaints *to)
{
	const char *uri = s->spiffe_socket;
	uint32_t calls = 0;
	struct tg_errbuf e;
	char text[400];

	for (uint32_t i = 0; i < s->n_tls; i++)
		calls |= calls_of(&s->tls[i]);
	if (!calls || out->len)
		return true;
	if (!uri || !uri[0])
		uri = getenv("SPIFFE_ENDPOINT_SOCKET");
	if (!uri || !uri[0]) {
		if (check) /* the environment will be another */
			return true;
		complain((void *)(uintptr_t)to,
			"workload_api: neither spiffe.socket nor the environment's "
			"SPIFFE_ENDPOINT_SOCKET says where it is");
		return false;
	}
	if (tg_spiffe_endpoint(uri, out, &e) == 0)
		return true;
	out->len = 0;
	snprintf(text, sizeof(text), "SPIFFE_ENDPOINT_SOCKET: %s", e.text);
	complain((void *)(uintptr_t)to, text);
	return false;
}

static void say_lines(const char *what, char *text)
{
	char *at = text;

	for (char *line; (line = strsep(&at, "\n"));)
		if (*line)
			tg_say(TG_ERROR, "%s: %s", what, line);
}

static void take_fault(void *arg, const char *text)
{
	fprintf(arg, "%s\n", text);
}

/* Views of one kind to views of the other. */
static int to_store(struct tg_tls_control *c, enum tg_spiffe_call call,
	const struct tg_spiffe_update *u, FILE *faults)
{
	struct tg_tls_svid *svids = calloc(u->n_svids + 1u, sizeof(*svids));
	struct tg_tls_der_bundle *bundles = calloc(u->n_bundles + 1u, sizeof(*bundles));
	int rc = TG_ENOMEM;

	for (uint32_t i = 0; svids && i < u->n_svids; i++)
		svids[i] = (struct tg_tls_svid){.spiffe_id = u->svids[i].spiffe_id,
			.hint = u->svids[i].hint,
			.chain = u->svids[i].chain,
			.key = u->svids[i].key,
			.bundle = u->svids[i].bundle};
	for (uint32_t i = 0; bundles && i < u->n_bundles; i++)
		bundles[i] =
			(struct tg_tls_der_bundle){u->bundles[i].trust_domain, u->bundles[i].certs};
	if (svids && bundles)
		rc = tg_tls_store_workload(c->store, (enum tg_tls_source)call,
			&(struct tg_tls_workload){
				u->n_svids, u->n_bundles, u->n_crls, svids, bundles, u->crls},
			seconds(), take_fault, faults);
	free(svids);
	free(bundles);
	return rc;
}

static void hand_out(struct tg_app *app)
{
	static struct tg_order order = {.kind = TG_ORDER_TLS};

	order.tls = tg_tls_store_current(app->tls->store);
	tg_workers_order(app, &order);
}

static void say_update(enum tg_spiffe_call call, const struct tg_spiffe_update *u)
{
	const struct tg_spiffe_svid *first = u && u->n_svids ? u->svids : NULL;

	if (!u)
		tg_say(TG_WARN, "Workload API: %s withdrawn: not used for new handshakes any more",
			call == TG_SPIFFE_SVIDS ? "our SVIDs are" : "the bundles are");
	else
		tg_say(TG_INFO,
			"Workload API: %u SVID(s)%s%.*s, %u bundle(s)%s: used from the next "
			"handshake on",
			u->n_svids, first ? ", the first " : "",
			first ? (int)first->spiffe_id.n : 0,
			first ? (const char *)first->spiffe_id.p : "", u->n_bundles,
			call == TG_SPIFFE_SVIDS ? " of other trust domains" : "");
}

/* What the agent says goes to the store, and to the workers. */
static bool take_update(void *arg, enum tg_spiffe_call call, const struct tg_spiffe_update *u)
{
	struct tg_app *app = arg;
	struct tg_tls_control *c = app->tls;
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	int rc = TG_ENOMEM;

	pthread_mutex_lock(&c->lock);
	if (f && u)
		rc = to_store(c, call, u, f);
	else if (f)
		rc = tg_tls_store_workload(
			c->store, (enum tg_tls_source)call, NULL, seconds(), take_fault, f);
	pthread_mutex_unlock(&c->lock);
	if (f)
		fclose(f);
	if (text && (!c->agent_fault || strcmp(text, c->agent_fault) != 0)) {
		free(c->agent_fault);
		c->agent_fault = strdup(text);
		say_lines("Workload API", text);
		if (rc < 0)
			tg_say(TG_ERROR,
				"Workload API: the response cannot be used, what was said before "
				"stays in use");
	}
	free(text);
	atomic_fetch_add(rc > 0 ? &c->rotations : &c->rotation_failures, rc != 0);
	if (rc > 0) {
		say_update(call, u);
		hand_out(app);
	}
	return rc >= 0;
}

/* Asks for what the configurations need. again: also for what the agent told not to ask for. */
static void ask_agent(struct tg_app *app, bool again)
{
	struct tg_tls_control *c = app->tls;
	uint32_t calls = 0;

	for (uint32_t i = 0; i < c->n; i++)
		calls |= calls_of(c->confs[i]);
	if (c->epoll < 0 || (!calls && !c->agent))
		return;
	if (!c->agent)
		c->agent = tg_agent_open(&c->endpoint, c->epoll, take_update, app);
	if (c->agent)
		tg_agent_want(c->agent, calls, again);
	else
		tg_say(TG_ERROR, "Workload API: no memory left");
}

/* --- watching ----------------------------------------------------------------------------------
 */

static void add_file(void *arg, const char *path, bool secret)
{
	tg_watch_add(arg, path);
}

/* Before the files are read, so that no change is missed. */
static void watch_files(struct tg_tls_control *c)
{
	const char *why;

	if (!c->watch)
		return;
	tg_watch_begin(c->watch);
	tg_tls_store_files(c->store, add_file, c->watch);
	tg_watch_end(c->watch);
	why = tg_watch_blind(c->watch);
	if (why && !c->blind)
		tg_say(TG_WARN, "TLS: %s: files are compared each second instead", why);
	c->blind = why != NULL;
}

static void warn_if_public(void *arg, const char *path, bool secret)
{
	struct stat st;

	if (secret && stat(path, &st) == 0 && (st.st_mode & S_IROTH))
		tg_say(TG_WARN, "TLS: %s: everybody on this machine may read this key", path);
}

/* --- loading -----------------------------------------------------------------------------------
 */

bool tg_tls_load(struct tg_app *app, struct tg_snapshot *s, FILE *err)
{
	struct tg_tls_control *c = app->tls;
	struct live *l = calloc(1, sizeof(*l));
	struct complaints to = {.path = app->config_path, .err = err};
	int rc;

	if (!l || !find_agent(&c->endpoint, s, false, &to)) {
		free(l);
		return false;
	}
	for (uint32_t i = 0; i < s->n_tls; i++) {
		s->tls[i].id = take_id(c, &s->tls[i]);
		if (s->tls[i].id == UINT32_MAX) {
			free(l);
			rebuild(c);
			return false;
		}
	}
	pthread_mutex_lock(&c->lock);
	rc = tg_tls_store_load(c->store, c->confs, c->n, seconds(), complain, &to);
	pthread_mutex_unlock(&c->lock);
	if (!rc) {
		watch_files(c);
		c->changed_at = c->quiet_at = monotonic(); /* what changed before is read again */
	}
	if (rc) {
		free(l);
		rebuild(c);
		return false;
	}
	tg_tls_store_files(c->store, warn_if_public, NULL);
	l->s = s;
	l->next = c->live;
	c->live = l;
	ask_agent(app, true);
	return true;
}

void tg_tls_forget(struct tg_app *app, const struct tg_snapshot *s)
{
	struct tg_tls_control *c = app->tls;

	for (struct live **p = &c->live; *p; p = &(*p)->next) {
		struct live *l = *p;

		if (l->s != s)
			continue;
		*p = l->next;
		free(l);
		break;
	}
	rebuild(c); /* their contexts go with the next load */
}

struct tg_tls_set *tg_tls_current(struct tg_app *app)
{
	return tg_tls_store_current(app->tls->store);
}

bool tg_tls_usable(struct tg_app *app, const struct tg_tls_conf *conf)
{
	struct tg_tls_control *c = app->tls;
	const struct tg_tls_set *s;
	bool usable;

	pthread_mutex_lock(&c->lock);
	s = tg_tls_store_current(c->store);
	usable = s && tg_tls_set_usable(s, conf->id);
	pthread_mutex_unlock(&c->lock);
	return usable;
}

void tg_tls_certs(
	struct tg_app *app, void (*each)(void *arg, const struct tg_tls_cert *c), void *arg)
{
	struct tg_tls_control *c = app->tls;
	const struct tg_tls_set *s;

	pthread_mutex_lock(&c->lock);
	s = tg_tls_store_current(c->store);
	if (s)
		tg_tls_set_certs(s, each, arg);
	pthread_mutex_unlock(&c->lock);
}

void tg_tls_counts(struct tg_app *app, struct tg_tls_counts *out)
{
	const struct tg_agent *agent = atomic_load(&app->tls->agent);
	struct tg_agent_counts n = {0};

	out->rotations = atomic_load(&app->tls->rotations);
	out->rotation_failures = atomic_load(&app->tls->rotation_failures);
	if (agent)
		tg_agent_counts(agent, &n);
	out->agent_connected = n.connected;
	out->agent_updates = n.updates;
	out->agent_updates_bad = n.updates_bad;
	out->agent_failures = n.failures;
}

bool tg_tls_check(const char *path, const struct tg_snapshot *s, FILE *err)
{
	const struct tg_tls_conf **confs = calloc(s->n_tls + 1, sizeof(*confs));
	struct complaints to = {.path = path, .err = err};
	int rc;

	struct tg_spiffe_endpoint at = {.len = 0};
	bool found = find_agent(&at, s, true, &to);

	if (!confs)
		return false;
	for (uint32_t i = 0; i < s->n_tls; i++)
		confs[i] = &s->tls[i];
	rc = tg_tls_store_check(confs, s->n_tls, seconds(), complain, &to);
	free(confs);
	return rc == 0 && found;
}

int tg_tls_start(struct tg_app *app, struct tg_errbuf *e)
{
	struct tg_tls_control *c = calloc(1, sizeof(*c));
	const char *aead = tg_tls_init();

	if (!c || !aead) {
		free(c);
		return tg_fail(e, TG_ENOMEM, "out of memory for TLS");
	}
	pthread_mutex_init(&c->lock, NULL);
	c->epoll = -1;
	app->tls = c;
	if (app->boot->n_tls)
		tg_say(TG_INFO, "TLS records by %s", aead);
	c->store = tg_tls_store_create(app->n_workers, e);
	if (c->store && tg_tls_load(app, app->boot, stderr))
		return 0;
	if (c->store)
		tg_fail(e, TG_EINVAL, "the errors above are in files that %s names",
			app->config_path);
	tg_tls_stop(app);
	return TG_EINVAL;
}

void tg_tls_stop(struct tg_app *app)
{
	struct tg_tls_control *c = app->tls;

	tg_agent_close(c->agent);
	while (c->live) {
		struct live *l = c->live;

		c->live = l->next;
		free(l);
	}
	if (c->store)
		tg_tls_store_destroy(c->store);
	tg_watch_close(c->watch);
	free(c->fault);
	free(c->agent_fault);
	free(c->confs);
	pthread_mutex_destroy(&c->lock);
	free(c);
	app->tls = NULL;
}

/* --- housekeeping ------------------------------------------------------------------------------
 */

static void say_failure(void *arg, const char *line)
{
	struct tg_tls_control *c = arg;

	if (c->lines++ < LINES_A_SECOND)
		tg_say(TG_WARN, "%s", line);
	else
		c->unsaid++;
}

static void say_failures(struct tg_app *app)
{
	struct tg_tls_control *c = app->tls;

	c->lines = 0;
	for (uint32_t i = 0; i < app->n_workers; i++)
		c->unsaid += tg_tls_failures(app->workers[i].tls, say_failure, c);
	if (c->unsaid)
		tg_say(TG_WARN, "TLS: %llu more handshakes failed: see the drops called tls_*",
			(unsigned long long)c->unsaid);
	c->unsaid = 0;
}

/* --- what has changed --------------------------------------------------------------------------
 */

/* A fault that stays is said once. */
static void say_outcome(struct tg_tls_control *c, int rc, char *fault)
{
	atomic_fetch_add(rc > 0 ? &c->rotations : &c->rotation_failures, rc != 0);
	if (rc >= 0) {
		if (rc > 0)
			tg_say(TG_INFO, "TLS: certificates were read again: used from the next "
					"handshake on");
		else if (c->fault)
			tg_say(TG_INFO, "TLS: the files are again what is in use");
		free(c->fault);
		c->fault = NULL;
		free(fault);
		return;
	}
	if (fault && c->fault && strcmp(fault, c->fault) == 0) {
		free(fault);
		return;
	}
	free(c->fault);
	c->fault = fault ? strdup(fault) : NULL;
	if (fault)
		say_lines("TLS", fault);
	free(fault);
	tg_say(TG_ERROR,
		"TLS: the files were not loaded, the old ones stay in use until they are right");
}

/* Reads the files again. True: there is a new set. */
static bool refresh(struct tg_tls_control *c)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	int rc = TG_ENOMEM;

	watch_files(c);
	c->changed_at = 0;
	c->compared_at = monotonic();
	if (f) {
		pthread_mutex_lock(&c->lock);
		rc = tg_tls_store_refresh(c->store, seconds(), take_fault, f);
		pthread_mutex_unlock(&c->lock);
		fclose(f);
	}
	say_outcome(c, rc, text);
	return rc > 0;
}

void tg_tls_look(struct tg_app *app)
{
	struct tg_tls_control *c = app->tls;
	bool fresh;

	pthread_mutex_lock(&c->lock);
	fresh = tg_tls_store_tick(c->store, seconds());
	pthread_mutex_unlock(&c->lock);
	say_failures(app);
	/* Also while something is wrong: a certificate may only have to become valid. Not in the
	 * middle of a change, which is read when it is over. */
	if ((c->blind || c->fault || monotonic() - c->compared_at >= COMPARE_NS) &&
		!c->changed_at && !(c->watch && tg_watch_writing(c->watch)))
		fresh |= refresh(c);
	if (fresh)
		hand_out(app);
}

void tg_tls_attach(struct tg_app *app, int epoll)
{
	struct tg_tls_control *c = app->tls;
	struct epoll_event ev = {.events = EPOLLIN};

	c->epoll = epoll;
	ask_agent(app, false);
	c->watch = tg_watch_open();
	if (!c->watch) {
		c->blind = true;
		return;
	}
	ev.data.fd = tg_watch_fd(c->watch);
	if (ev.data.fd >= 0)
		epoll_ctl(epoll, EPOLL_CTL_ADD, ev.data.fd, &ev);
	watch_files(c);
	c->changed_at = c->quiet_at = monotonic(); /* they were read before they were watched */
}

/* In how many ms the files want to be looked at; -1: when the watch says so. */
static int poll_files(struct tg_app *app, uint64_t now)
{
	struct tg_tls_control *c = app->tls;

	if (c->watch && tg_watch_changed(c->watch)) {
		if (!c->changed_at)
			c->changed_at = now;
		c->quiet_at = now + QUIET_NS;
		if (tg_watch_writing(c->watch))
			c->quiet_at = c->changed_at + WRITING_MAX_NS;
		else if (c->quiet_at > c->changed_at + QUIET_MAX_NS)
			c->quiet_at = c->changed_at + QUIET_MAX_NS;
	}
	if (!c->changed_at)
		return -1;
	if (now < c->quiet_at)
		return (int)((c->quiet_at - now) / TG_MS) + 1;
	if (refresh(c))
		hand_out(app);
	return -1;
}

int tg_tls_poll(struct tg_app *app)
{
	struct tg_tls_control *c = app->tls;
	uint64_t now = monotonic();
	int agent = c->agent ? tg_agent_poll(c->agent, now) : -1, files = poll_files(app, now);

	return agent < 0 || (files >= 0 && files < agent) ? files : agent;
}
