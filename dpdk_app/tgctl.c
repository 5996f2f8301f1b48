/* tgctl: the command line of the admin interface. One request over its unix socket (HTTP/1.0 in all
 * but name: one answer, then the connection is closed), shown as a table or, with --json, as it
 * came. */
#include "tgctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/tidegate/admin.sock"
#define ANSWER_MAX (256u * 1024 * 1024)

/* Exit codes, as --help says. */
enum { EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_UNREACHABLE = 3 };

/* Long options without a letter. */
enum {
	OPT_DIRECT = 256,
	OPT_THROUGH,
	OPT_IDENTITY,
	OPT_FROM,
	OPT_LISTENER,
	OPT_SNI,
	OPT_BODY_SIZE
};

#define HEADERS_MAX 128

struct options {
	const char *socket;
	bool json, all, help;
	unsigned int timeout_s;
	unsigned int interval_ms;     /* tax */
	const char *direct, *through; /* tax: files; NULL: none */
	/* explain; NULL: not given */
	const char *identity, *from, *listener, *sni, *body_size;
	const char *headers[HEADERS_MAX];
	unsigned int n_headers;
};

struct command {
	const char *name, *arg; /* arg: its name; "[X]" optional, "X" required, NULL none */
	const char *method, *path;
	const char *json_query; /* what makes the path answer in JSON; NULL: it is text */
	tgctl_show_fn *show;    /* NULL: printed as it comes */
	const char *text;
};

static const struct command commands[] = {
	{"ready", NULL, "GET", "/ready", NULL, NULL,
		"is it serving? prints the state; exit 0 only when LIVE"},
	{"info", NULL, "GET", "/server_info", "", tgctl_show_info,
		"version, state, uptime, workers"},
	{"stats", "[REGEX]", "GET", "/stats", "format=json", tgctl_show_stats,
		"counters and gauges whose name matches; those at zero only with --all"},
	{"drops", NULL, "GET", "/drops", "format=json", tgctl_show_drops,
		"the packet ledger, and why packets and requests were dropped"},
	{"clusters", NULL, "GET", "/clusters", "format=json", tgctl_show_clusters,
		"upstream clusters, their endpoints, connections and requests"},
	{"listeners", NULL, "GET", "/listeners", "format=json", tgctl_show_listeners,
		"where clients can connect"},
	{"ports", NULL, "GET", "/ports", "format=json", tgctl_show_ports,
		"network ports of the dataplane"},
	{"memory", NULL, "GET", "/memory", "format=json", tgctl_show_memory,
		"every pool: size, in use now, most ever in use"},
	{"tax", NULL, "GET", "/tax", "format=json", tgctl_show_tax,
		"what a request costs and where the workers' time goes, over --interval"},
	{"explain", "METHOD URL", "GET", "/explain", "", tgctl_show_explain,
		"what would become of a request now, and why: tgctl explain --help"},
	{"certs", NULL, "GET", "/certs", NULL, NULL, "certificates in use, and days left"},
	{"config", NULL, "GET", "/config_dump?format=text", NULL, NULL, "the configuration in use"},
	{"reload", NULL, "POST", "/reload", NULL, NULL,
		"read the configuration file again; errors are printed and change nothing"},
	{"drain", NULL, "POST", "/drain", NULL, NULL,
		"finish what is under way, then end the process"},
	{"quit", NULL, "POST", "/quitquitquit", NULL, NULL, "end the process now"},
	{"healthcheck", "ok|fail", "POST", "/healthcheck/", NULL, NULL,
		"make /ready say LIVE or DRAINING"},
	{"reopen-logs", NULL, "POST", "/reopen_logs", NULL, NULL,
		"open the access log anew, after a rotation"},
	{"get", "PATH", "GET", "", NULL, NULL, "any path of the admin interface; /help lists them"},
	{"post", "PATH", "POST", "", NULL, NULL, "the same with POST"},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *out)
{
	fprintf(out, "usage: tgctl [-s SOCKET] [--json] [--all] [-t SECONDS] COMMAND [ARGUMENT]\n\n"
		     "Asks a running tidegate through its admin socket (admin.socket in its "
		     "configuration).\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		char head[40];

		snprintf(head, sizeof(head), "%s%s%s", commands[i].name, commands[i].arg ? " " : "",
			commands[i].arg ? commands[i].arg : "");
		fprintf(out, "  %-20s %s\n", head, commands[i].text);
	}
	fprintf(out,
		"\n  -s, --socket SOCKET  default: $TIDEGATE_ADMIN, else " DEFAULT_SOCKET "\n"
		"  -j, --json           the answer as it came, for programs\n"
		"  -a, --all            also what is zero (stats, drops, clusters, memory)\n"
		"  -t, --timeout N      seconds to wait for an answer (10)\n"
		"  -i, --interval T     tax: how long to look, \"5s\" (the default), \"500ms\"\n"
		"      --direct FILE    tax: a run without Tidegate, to compare with: wrk's "
		"output,\n"
		"                       tg_load's, or JSON with requests_per_second, p50_us\n"
		"      --through FILE   tax: the same generator's run through it, meanwhile\n"
		"  -h, --help           this text;  -V, --version\n\n"
		"Exit status: 0 done; 1 refused or not ready (the answer says why); 2 wrong "
		"usage; 3 nobody answers.\n\n"
		"Examples:\n"
		"  tgctl drops                         what was dropped, and does the ledger "
		"balance?\n"
		"  tgctl tax --interval 10s            what a request costs, stage by stage\n"
		"  tgctl explain GET https://shop.example/api -H 'x-beta-group: true'\n"
		"  tgctl stats 'cluster\\.v1\\..*_5xx'    only what matches\n"
		"  tgctl --json memory | jq '.pools[] | select(.refused > 0)'\n");
}

static void usage_explain(FILE *out)
{
	fputs("usage: tgctl explain METHOD URL [-H 'NAME: VALUE']... [options]\n\n"
	      "Runs a request dry: it goes through the running configuration by the code that "
	      "real\n"
	      "requests go through, but is not sent. Nothing is counted, no token is taken, no\n"
	      "balancer moves. Printed: the listener, what each filter says, which route takes it "
	      "and\n"
	      "why others do not, the answer that Tidegate would give itself, or the cluster, the "
	      "room\n"
	      "under its circuit breakers, each worker's next endpoint, and the head as the "
	      "origin\n"
	      "would get it.\n\n"
	      "  METHOD                GET, POST, OPTIONS ...; for a TCP listener: TCP\n"
	      "  URL                   http://HOST[:PORT]/PATH, https:// where the listener has "
	      "TLS,\n"
	      "                        tcp://ADDRESS:PORT; OPTIONS http://HOST/* is OPTIONS *\n"
	      "  -H, --header FIELD    a field, as with curl; again for each. Only Host is added\n"
	      "      --identity WHO    the client's certificate: spiffe://... (any URI), a DNS "
	      "name,\n"
	      "                        or a subject (CN=web,O=example)\n"
	      "      --from ADDRESS    the client's address, or ADDRESS:PORT (127.0.0.1)\n"
	      "      --listener NAME   its name or address; else the URL's scheme and port decide, "
	      "and\n"
	      "                        if no listener has that port, who knows the host\n"
	      "      --sni NAME        server name of the handshake (the URL's host)\n"
	      "      --body-size N     with a content of N bytes, which is not looked at\n"
	      "  -a, --all             every route and endpoint concerned, not the first few\n"
	      "  -j, --json            the document (docs/explain.md), for programs\n\n"
	      "What happens by chance (weighted clusters, runtime_fraction, faults) is told with "
	      "its\n"
	      "share, and taken to happen if that is likelier than not. Retries and mirrors are "
	      "told;\n"
	      "the origin's answer is not known.\n\n"
	      "Exit status: 0 it was explained, whatever becomes of the request; 1 it cannot be "
	      "(the\n"
	      "text says why); 2 wrong usage; 3 nobody answers.\n\n"
	      "Examples:\n"
	      "  tgctl explain GET https://shop.example/api -H 'x-beta-group: true' \\\n"
	      "      --identity spiffe://mesh.example/ns/shop/sa/web --from 10.77.1.100\n"
	      "  tgctl --json explain GET http://shop.example/ | jq -r "
	      "'.clusters[].next[].endpoint'\n",
		out);
}

/* Percent-encodes what a query value cannot hold. */
static void put_encoded(FILE *out, const char *s)
{
	for (; *s; s++) {
		if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			(*s >= '0' && *s <= '9') || strchr("-._~", *s))
			fputc(*s, out);
		else
			fprintf(out, "%%%02X", (uint8_t)*s);
	}
}

static char *make_target(const struct command *c, const char *arg, const struct options *o)
{
	char *target = NULL, sep = strchr(c->path, '?') ? '&' : '?';
	size_t n = 0;
	FILE *out = open_memstream(&target, &n);

	if (!out)
		return NULL;
	fputs(c->path, out);
	if (c->show == tgctl_show_stats) {
		/* Narrowed down at the source: there may be a hundred thousand of them. */
		fprintf(out, "?%s", c->json_query);
		if (!o->all)
			fputs("&usedonly", out);
		if (arg) {
			fputs("&filter=", out);
			put_encoded(out, arg);
		}
	} else {
		if (arg)
			fputs(arg, out);
		if (c->json_query && c->json_query[0])
			fprintf(out, "%c%s", sep, c->json_query);
	}
	fclose(out);
	return target;
}

static int dial(const struct options *o)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval tv = {(time_t)o->timeout_s, 0};
	int fd;

	if (strlen(o->socket) >= sizeof(sun.sun_path)) {
		fprintf(stderr, "tgctl: socket path too long: %s\n", o->socket);
		return -1;
	}
	strcpy(sun.sun_path, o->socket);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	}
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		fprintf(stderr, "tgctl: %s: %s\n", o->socket, strerror(errno));
		if (errno == ENOENT || errno == ECONNREFUSED)
			fputs("tgctl: is tidegate running? -s SOCKET says where its admin.socket "
			      "is\n",
				stderr);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static bool send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t got = send(fd, p, n, MSG_NOSIGNAL);

		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

/* Everything until the peer closes, with a NUL behind it; NULL: no whole answer (said). */
static char *receive_all(int fd, size_t *n)
{
	size_t cap = 1u << 16;
	char *buf = malloc(cap);
	ssize_t got = 1;

	*n = 0;
	while (buf && got > 0) {
		got = recv(fd, buf + *n, cap - 1 - *n, 0);
		if (got < 0) {
			fprintf(stderr, "tgctl: no answer: %s\n",
				errno == EAGAIN ? "timed out" : strerror(errno));
			free(buf);
			return NULL;
		}
		*n += (size_t)got;
		if (*n == cap - 1 && cap < ANSWER_MAX) {
			char *more = realloc(buf, cap * 2);

			cap *= 2;
			if (!more)
				free(buf);
			buf = more;
		}
	}
	if (!buf)
		fputs("tgctl: out of memory\n", stderr);
	else
		buf[*n] = '\0';
	return buf;
}

struct answer {
	char *buf; /* all of it; to be freed */
	char *body;
	size_t n;
	int status;
};

/* True if the head is HTTP's and the body is as long as it says. */
static bool parse_answer(struct answer *a, size_t n)
{
	char *end = strstr(a->buf, "\r\n\r\n"), *length;

	if (!end || sscanf(a->buf, "HTTP/1.%*1[01] %3d", &a->status) != 1)
		return false;
	*end = '\0';
	a->body = end + 4;
	a->n = n - (size_t)(a->body - a->buf);
	length = strcasestr(a->buf, "\r\nContent-Length:");
	return !length || strtoull(length + 17, NULL, 10) == a->n;
}

static bool ask(const struct options *o, const char *method, const char *target, struct answer *a)
{
	char *request = NULL;
	int fd = dial(o);
	size_t n;
	bool ok;

	if (fd < 0)
		return false;
	n = asprintf(&request, "%s %s HTTP/1.1\r\nHost: tidegate\r\nConnection: close\r\n%s\r\n",
		    method, target, strcmp(method, "POST") == 0 ? "Content-Length: 0\r\n" : "") < 0
		    ? 0
		    : strlen(request);
	ok = n && send_all(fd, request, n);
	if (!ok)
		fprintf(stderr, "tgctl: cannot send: %s\n", strerror(errno));
	free(request);
	a->buf = ok ? receive_all(fd, &n) : NULL;
	close(fd);
	if (a->buf && !parse_answer(a, n)) {
		fputs("tgctl: the answer is not complete\n", stderr);
		free(a->buf);
		a->buf = NULL;
	}
	return a->buf != NULL;
}

static int show(const struct command *c, const struct options *o, const struct answer *a)
{
	json_error_t err;
	json_t *j;

	if (a->status != 200 || !c->show || o->json) {
		fwrite(a->body, 1, a->n, a->status < 400 || a->status == 503 ? stdout : stderr);
		return a->status / 100 == 2 ? 0 : EXIT_REFUSED;
	}
	j = json_loadb(a->body, a->n, 0, &err);
	if (!j) {
		fprintf(stderr, "tgctl: the answer is not JSON: %s\n", err.text);
		return EXIT_UNREACHABLE;
	}
	c->show(j, o->all);
	json_decref(j);
	return 0;
}

static void put_parameter(FILE *out, const char *name, const char *value)
{
	if (!value)
		return;
	fprintf(out, "&%s=", name);
	put_encoded(out, value);
}

static int run_explain(const struct command *c, char **args, const struct options *o)
{
	struct answer a = {0};
	char *target = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&target, &n);
	int rc = EXIT_UNREACHABLE;

	if (!out)
		return rc;
	fprintf(out, "%s?method=", c->path);
	put_encoded(out, args[0]);
	put_parameter(out, "url", args[1]);
	for (unsigned int i = 0; i < o->n_headers; i++)
		put_parameter(out, "header", o->headers[i]);
	put_parameter(out, "identity", o->identity);
	put_parameter(out, "from", o->from);
	put_parameter(out, "listener", o->listener);
	put_parameter(out, "sni", o->sni);
	put_parameter(out, "body-size", o->body_size);
	if (o->all)
		fputs("&all", out);
	if (!fclose(out) && ask(o, c->method, target, &a))
		rc = show(c, o, &a);
	free(target);
	free(a.buf);
	return rc;
}

static int run(const struct command *c, const char *arg, const struct options *o)
{
	struct answer a = {0};
	char *target = make_target(c, arg, o);
	int rc = EXIT_UNREACHABLE;

	if (target && ask(o, c->method, target, &a))
		rc = show(c, o, &a);
	free(target);
	free(a.buf);
	return rc;
}

static json_t *ask_json(const struct options *o, const char *target)
{
	struct answer a = {0};
	json_t *j = NULL;

	if (!ask(o, "GET", target, &a))
		return NULL;
	if (a.status == 200)
		j = json_loadb(a.body, a.n, 0, NULL);
	if (!j)
		fprintf(stderr, "tgctl: %s: no JSON, status %d\n", target, a.status);
	free(a.buf);
	return j;
}

static bool start_sampling(const struct options *o)
{
	struct answer a = {0};
	char target[64];
	bool ok;

	/* Also while the two readings are made. */
	snprintf(target, sizeof(target), "/tax/sample?seconds=%u", o->interval_ms / 1000 + 2);
	ok = ask(o, "POST", target, &a) && a.status == 200;
	if (a.buf && !ok)
		fputs(a.body, stderr);
	free(a.buf);
	return ok;
}

static void wait_interval(const struct options *o)
{
	struct timespec left = {o->interval_ms / 1000, (long)(o->interval_ms % 1000) * 1000000};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static int run_tax(const struct command *c, const struct options *o)
{
	json_t *direct = NULL, *through = NULL, *before = NULL, *after = NULL, *report;
	int rc = EXIT_UNREACHABLE;

	/* First: a mistake in its name should not cost an interval. */
	if (o->direct && !(direct = tgctl_tax_run(o->direct)))
		return EXIT_USAGE;
	if (start_sampling(o) && (before = ask_json(o, "/tax?format=json"))) {
		wait_interval(o);
		after = ask_json(o, "/tax?format=json");
	}
	/* Written meanwhile. */
	if (after && o->through && !(through = tgctl_tax_run(o->through)))
		rc = EXIT_USAGE;
	else if (after) {
		report = tgctl_tax_report(before, after);
		if (direct)
			tgctl_tax_compare(report, json_incref(direct), json_incref(through));
		if (o->json)
			json_dumpf(report, stdout, JSON_INDENT(1));
		else
			c->show(report, o->all);
		json_decref(report);
		rc = 0;
	}
	json_decref(direct);
	json_decref(through);
	json_decref(before);
	json_decref(after);
	return rc;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* Whether the words behind the command are what it takes; says what is wrong. */
static bool check_args(const struct command *c, int n, char **args)
{
	bool needed = c->arg && c->arg[0] != '[';
	int most = c->arg ? 1 + (strchr(c->arg, ' ') != NULL) : 0;

	if (n > most || (needed && n < most)) {
		fprintf(stderr, "usage: tgctl %s%s%s\n", c->name, c->arg ? " " : "",
			c->arg ? c->arg : "");
		return false;
	}
	if (strcmp(c->name, "healthcheck") == 0 && strcmp(args[0], "ok") != 0 &&
		strcmp(args[0], "fail") != 0) {
		fputs("usage: tgctl healthcheck ok|fail\n", stderr);
		return false;
	}
	if (c->path[0] == '\0' && (args[0][0] != '/' || strpbrk(args[0], " \r\n\t"))) {
		fputs("tgctl: a path begins with / and has no spaces\n", stderr);
		return false;
	}
	return true;
}

/* ms; 0: no duration, or out of range. */
static unsigned int interval(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || n > 3600000)
		return 0;
	if (strcmp(end, "ms") == 0)
		return (unsigned int)n;
	return strcmp(end, "s") == 0 && n <= 3600 ? (unsigned int)n * 1000 : 0;
}

/* Those of explain; false: opt is none of them. */
static bool explain_option(struct options *o, int opt)
{
	switch (opt) {
	case 'H':
		if (o->n_headers < HEADERS_MAX)
			o->headers[o->n_headers] = optarg;
		o->n_headers++; /* one too many is said later */
		return true;
	case OPT_IDENTITY:
		o->identity = optarg;
		return true;
	case OPT_FROM:
		o->from = optarg;
		return true;
	case OPT_LISTENER:
		o->listener = optarg;
		return true;
	case OPT_SNI:
		o->sni = optarg;
		return true;
	case OPT_BODY_SIZE:
		o->body_size = optarg;
		return true;
	default:
		return false;
	}
}

/* Whether the options are this command's; says what is wrong. */
static bool check_options(const struct command *c, const struct options *o)
{
	bool any = o->n_headers || o->identity || o->from || o->listener || o->sni || o->body_size;

	if (any && c->show != tgctl_show_explain) {
		fputs("tgctl: -H, --identity, --from, --listener, --sni and --body-size are for "
		      "explain\n",
			stderr);
		return false;
	}
	if (o->n_headers > HEADERS_MAX) {
		fprintf(stderr, "tgctl: at most %d fields (-H)\n", HEADERS_MAX);
		return false;
	}
	return true;
}

/* < 0: go on. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"all", no_argument, NULL, 'a'},
		{"timeout", required_argument, NULL, 't'},
		{"interval", required_argument, NULL, 'i'},
		{"direct", required_argument, NULL, OPT_DIRECT},
		{"through", required_argument, NULL, OPT_THROUGH},
		{"header", required_argument, NULL, 'H'},
		{"identity", required_argument, NULL, OPT_IDENTITY},
		{"from", required_argument, NULL, OPT_FROM},
		{"listener", required_argument, NULL, OPT_LISTENER},
		{"sni", required_argument, NULL, OPT_SNI},
		{"body-size", required_argument, NULL, OPT_BODY_SIZE},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	char *end;
	int opt;

	while ((opt = getopt_long(argc, argv, "s:jat:i:hVH:", longs, NULL)) != -1) {
		switch (opt) {
		case 's':
			o->socket = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		case 'a':
			o->all = true;
			break;
		case 't':
			o->timeout_s = (unsigned int)strtoul(optarg, &end, 10);
			if (*end || o->timeout_s < 1 || o->timeout_s > 3600) {
				fprintf(stderr, "tgctl: --timeout is 1 to 3600 seconds\n");
				return EXIT_USAGE;
			}
			break;
		case 'i':
			o->interval_ms = interval(optarg);
			if (!o->interval_ms) {
				fprintf(stderr, "tgctl: --interval is \"1ms\" to \"3600s\"\n");
				return EXIT_USAGE;
			}
			break;
		case OPT_DIRECT:
			o->direct = optarg;
			break;
		case OPT_THROUGH:
			o->through = optarg;
			break;
		case 'h':
			o->help = true;
			break;
		case 'V':
			puts("tgctl " TG_VERSION);
			return 0;
		default:
			if (!explain_option(o, opt))
				return EXIT_USAGE; /* getopt said why */
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct options o = {
		.socket = getenv("TIDEGATE_ADMIN"), .timeout_s = 10, .interval_ms = 5000};
	const struct command *c;
	int rc = parse_options(argc, argv, &o);

	if (rc >= 0)
		return rc;
	if (!o.socket || !o.socket[0])
		o.socket = DEFAULT_SOCKET;
	if (o.help && optind < argc && strcmp(argv[optind], "explain") == 0) {
		usage_explain(stdout);
		return 0;
	}
	if (o.help || optind >= argc) {
		usage(o.help ? stdout : stderr);
		return o.help ? 0 : EXIT_USAGE;
	}
	c = find_command(argv[optind]);
	if (!c) {
		fprintf(stderr, "tgctl: no command '%s'; tgctl --help lists them\n", argv[optind]);
		return EXIT_USAGE;
	}
	if (!check_args(c, argc - optind - 1, argv + optind + 1) || !check_options(c, &o))
		return EXIT_USAGE;
	if (c->show == tgctl_show_tax)
		return run_tax(c, &o);
	if (c->show == tgctl_show_explain)
		return run_explain(c, argv + optind + 1, &o);
	return run(c, argv[optind + 1], &o);
}
