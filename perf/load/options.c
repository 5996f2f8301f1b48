/* options.c: the command line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static const char help[] =
	"tg_load: clients and an origin in one process; checks every answer; prints JSON\n"
	"\n"
	"usage: tg_load --target ADDR:PORT [OPTION ...]\n"
	"\n"
	"  --north DEVICE --south DEVICE  DPDK devices, the clients' and the origin's\n"
	"                                 (net_memif0,role=client,...); else the kernel's sockets\n"
	"  --memory MIB                   for DPDK (512)\n"
	"  --cpu N                        the CPU to run on\n"
	"  --client-netns NAME, --origin-netns NAME   network namespaces of sockets, of AF_XDP\n"
	"  --client ADDR/LEN              the first client address\n"
	"  --addresses N                  how many, one after the other (1)\n"
	"  --origin ADDR:PORT             the origin listens here; without it there is none\n"
	"  --origin-len LEN               bits of the origin's network (24)\n"
	"  --client-tls CA[,CERT,KEY]     clients speak TLS; whom they believe, who they are\n"
	"  --origin-tls CA,CERT,KEY       the origin speaks TLS and asks for certificates\n"
	"  --sni NAME                     in the proxy's certificate\n"
	"  --resume                       clients resume sessions\n"
	"  A target that is the origin itself: nothing is between (two DPDK devices: a cable)\n"
	"\n"
	"  --connections N                (64)\n"
	"  --active N                     closed loop: N requests at once, each on any of the\n"
	"                                 connections (one on each)\n"
	"  --slow N --slow-rate B         N of the clients send and read at most B bytes a second\n"
	"  --each N                       requests on a connection, then a new one (no limit)\n"
	"  --opening N                    connections that may be opening at once (64)\n"
	"  --patience S                   to wait for a connection to open (20)\n"
	"  --rate R                       open loop: R requests a second (closed loop)\n"
	"  --warmup S, --seconds S        (1, 5)\n"
	"  --paths N                      distinct targets (100000)\n"
	"  --zipf S                       asked for by Zipf's law (all alike)\n"
	"  --body BYTES, --upload BYTES   content of a response (64), of a request (0)\n"
	"  --headers small|usual|many     (usual: a head of some 350 bytes)\n"
	"  --hold N[,N ...]               opens N connections with one request each, prints an\n"
	"                                 event, waits for a line on standard input; and so on\n"
	"  --seed N\n";

static _Noreturn void stop(const char *what, const char *value)
{
	fprintf(stderr, "tg_load: %s: %s (--help explains)\n", what, value);
	exit(2);
}

static uint32_t number(const char *text, uint32_t least, uint32_t most)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (*end || end == text || n < least || n > most)
		stop("not a number in range", text);
	return (uint32_t)n;
}

static double real(const char *text)
{
	char *end;
	double d = strtod(text, &end);

	if (*end || end == text || d < 0)
		stop("not a number", text);
	return d;
}

static void files(struct load_files *f, char *text)
{
	f->ca = strsep(&text, ",");
	f->cert = strsep(&text, ",");
	f->key = text;
	if (f->cert && !f->key)
		stop("a certificate needs a key", f->cert);
}

static void levels(struct load_conf *c, char *text)
{
	char *one;

	while ((one = strsep(&text, ","))) {
		if (c->n_levels == LOAD_LEVELS_MAX)
			stop("too many levels", one);
		c->levels[c->n_levels++] = number(one, 1, UINT32_MAX);
	}
	c->connections = c->levels[c->n_levels - 1];
}

static enum load_headers headers(const char *text)
{
	static const char *const name[] = {"small", "usual", "many"};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(name); i++)
		if (strcmp(text, name[i]) == 0)
			return (enum load_headers)i;
	stop("no such set of headers", text);
}

enum opt {
	NORTH = 256,
	SOUTH,
	MEMORY,
	CPU,
	CLIENT_NETNS,
	ORIGIN_NETNS,
	CLIENT,
	ADDRESSES,
	TARGET,
	ORIGIN,
	ORIGIN_LEN,
	CLIENT_TLS,
	ORIGIN_TLS,
	SNI,
	RESUME,
	CONNECTIONS,
	ACTIVE,
	SLOW,
	SLOW_RATE,
	EACH,
	OPENING,
	PATIENCE,
	RATE,
	WARMUP,
	SECONDS,
	PATHS,
	ZIPF,
	BODY,
	UPLOAD,
	HEADERS,
	HOLD,
	SEED,
	HELP
};

static const struct option options[] = {{"north", 1, NULL, NORTH}, {"south", 1, NULL, SOUTH},
	{"memory", 1, NULL, MEMORY}, {"cpu", 1, NULL, CPU}, {"client-netns", 1, NULL, CLIENT_NETNS},
	{"origin-netns", 1, NULL, ORIGIN_NETNS}, {"client", 1, NULL, CLIENT},
	{"addresses", 1, NULL, ADDRESSES}, {"target", 1, NULL, TARGET}, {"origin", 1, NULL, ORIGIN},
	{"origin-len", 1, NULL, ORIGIN_LEN}, {"client-tls", 1, NULL, CLIENT_TLS},
	{"origin-tls", 1, NULL, ORIGIN_TLS}, {"sni", 1, NULL, SNI}, {"resume", 0, NULL, RESUME},
	{"connections", 1, NULL, CONNECTIONS}, {"active", 1, NULL, ACTIVE}, {"slow", 1, NULL, SLOW},
	{"slow-rate", 1, NULL, SLOW_RATE}, {"zipf", 1, NULL, ZIPF}, {"each", 1, NULL, EACH},
	{"opening", 1, NULL, OPENING}, {"patience", 1, NULL, PATIENCE}, {"rate", 1, NULL, RATE},
	{"warmup", 1, NULL, WARMUP}, {"seconds", 1, NULL, SECONDS}, {"paths", 1, NULL, PATHS},
	{"body", 1, NULL, BODY}, {"upload", 1, NULL, UPLOAD}, {"headers", 1, NULL, HEADERS},
	{"hold", 1, NULL, HOLD}, {"seed", 1, NULL, SEED}, {"help", 0, NULL, HELP},
	{NULL, 0, NULL, 0}};

static void take_wire(struct load_conf *c, int opt)
{
	switch (opt) {
	case NORTH:
		c->north = optarg;
		break;
	case SOUTH:
		c->south = optarg;
		break;
	case MEMORY:
		c->memory = number(optarg, 64, 1u << 20);
		break;
	case CPU:
		c->cpu = (int)number(optarg, 0, 1023);
		break;
	case CLIENT_NETNS:
		c->client_netns = optarg;
		break;
	case ORIGIN_NETNS:
		c->origin_netns = optarg;
		break;
	case CLIENT:
		if (tg_ip_prefix_parse(optarg, &c->client))
			stop("no address", optarg);
		break;
	case ADDRESSES:
		c->n_addresses = number(optarg, 1, LOAD_ADDRESSES_MAX);
		break;
	case TARGET:
		if (tg_sockaddr_parse(optarg, &c->target))
			stop("no address and port", optarg);
		break;
	case ORIGIN:
		if (tg_sockaddr_parse(optarg, &c->origin))
			stop("no address and port", optarg);
		break;
	case ORIGIN_LEN:
		c->origin_len = (uint8_t)number(optarg, 0, 128);
		break;
	case CLIENT_TLS:
		files(&c->client_tls, optarg);
		break;
	case ORIGIN_TLS:
		files(&c->origin_tls, optarg);
		break;
	case SNI:
		c->sni = optarg;
		break;
	case RESUME:
		c->resume = true;
		break;
	}
}

static void take_load(struct load_conf *c, int opt)
{
	switch (opt) {
	case CONNECTIONS:
		c->connections = number(optarg, 1, 1u << 21);
		break;
	case ACTIVE:
		c->active = number(optarg, 1, 1u << 21);
		break;
	case SLOW:
		c->slow = number(optarg, 0, 1u << 21);
		break;
	case SLOW_RATE:
		c->slow_rate = number(optarg, TG_SEC / LOAD_SLOW_TICK, 1u << 30);
		break;
	case EACH:
		c->each = number(optarg, 0, UINT32_MAX);
		break;
	case OPENING:
		c->opening = number(optarg, 1, 4096);
		break;
	case PATIENCE:
		c->patience = number(optarg, 1, 3600);
		break;
	case RATE:
		c->rate = real(optarg);
		break;
	case WARMUP:
		c->warmup = real(optarg);
		break;
	case SECONDS:
		c->seconds = real(optarg);
		break;
	case PATHS:
		c->paths = number(optarg, 1, 100000000);
		break;
	case ZIPF:
		c->zipf = real(optarg);
		break;
	case BODY:
		c->body = number(optarg, 0, 1u << 30);
		break;
	case UPLOAD:
		c->upload = number(optarg, 0, 1u << 30);
		break;
	case HEADERS:
		c->headers = headers(optarg);
		break;
	case HOLD:
		levels(c, optarg);
		break;
	case SEED:
		c->seed = number(optarg, 0, UINT32_MAX);
		break;
	}
}

void load_options(struct load_conf *c, int argc, char **argv)
{
	int opt;

	*c = (struct load_conf){.memory = 512,
		.cpu = -1,
		.n_addresses = 1,
		.origin_len = 24,
		.connections = 64,
		.opening = 64,
		.slow_rate = 10000,
		.patience = 20,
		.warmup = 1,
		.seconds = 5,
		.paths = 100000,
		.body = 64,
		.headers = LOAD_USUAL,
		.seed = 1};
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == HELP) {
			fputs(help, stdout);
			exit(0);
		}
		if (opt == '?')
			exit(2);
		take_wire(c, opt);
		take_load(c, opt);
	}
	if (optind < argc)
		stop("what is this", argv[optind]);
	if (!c->target.port)
		stop("missing", "--target");
	if (!c->north != !c->south || (c->north && (!c->origin.port || !c->client.len)))
		stop("DPDK needs all of", "--north --south --client --origin");
	/* As bits of the 16-byte form. */
	if (tg_ip_is_v4(&c->origin.ip))
		c->origin_len = (uint8_t)(c->origin_len + 96);
}
