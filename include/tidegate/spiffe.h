/* spiffe.h: a client of the SPIFFE Workload API (gRPC over HTTP/2), without sockets.
 *
 *   agent's socket --bytes--> tg_spiffe_feed --update, end--> caller
 *   agent's socket <--bytes-- tg_spiffe_pull
 *
 * One object a connection: it calls FetchX509SVID and FetchX509Bundles as it is told to, and tells
 * each response and the end of each call. Whoever has the socket connects again
 * (tg_spiffe_retry_*).
 *
 * Owner: one thread, in the program the control core. Bounds: a response of TG_SPIFFE_MESSAGE_MAX
 * bytes, TG_SPIFFE_MEMORY_MAX bytes of memory while it is decoded. Nothing is trusted: what cannot
 * be decoded ends the call with TG_SPIFFE_BAD_MESSAGE. What held a private key is wiped. Not here:
 * whether certificates and keys are any good (tls.h), JWT.
 */
#ifndef TIDEGATE_SPIFFE_H
#define TIDEGATE_SPIFFE_H

#include <sys/socket.h>

#include <tidegate/err.h>
#include <tidegate/view.h>

#define TG_SPIFFE_MESSAGE_MAX (4u << 20)
#define TG_SPIFFE_MEMORY_MAX (16u << 20)
#define TG_SPIFFE_ITEMS_MAX 1024 /* SVIDs, bundles, lists; of each */

/* --- where the agent is -------------------------------------------------------------------------
 */

struct tg_spiffe_endpoint {
	struct sockaddr_storage addr;
	socklen_t len;
};
/* "unix:///run/agent.sock" or "tcp://127.0.0.1:8081" (SPIFFE_Workload_Endpoint.md, section 4: no
 * other component may be set, hosts are addresses). TG_EINVAL with the reason. */
int tg_spiffe_endpoint(const char *uri, struct tg_spiffe_endpoint *out, struct tg_errbuf *e);

/* --- responses ----------------------------------------------------------------------------------
 */

enum tg_spiffe_call { TG_SPIFFE_SVIDS, TG_SPIFFE_BUNDLES, TG_SPIFFE_CALLS };

struct tg_spiffe_svid {
	struct tg_view spiffe_id, hint; /* text; hint .n 0: none */
	struct tg_view chain, key, bundle;
};
struct tg_spiffe_bundle {
	struct tg_view trust_domain; /* as sent: "spiffe://partner.example" */
	struct tg_view certs;
};
/* A whole response; it replaces the one before (section 4.4). */
struct tg_spiffe_update {
	uint32_t n_svids, n_bundles, n_crls;
	struct tg_spiffe_svid *svids;     /* only of FetchX509SVID: one at least */
	struct tg_spiffe_bundle *bundles; /* of FetchX509SVID: the federated ones */
	struct tg_view *crls;
};

/* Decodes one message. Mandatory fields are there in what it returns (section 4.5); texts are free
 * of control bytes. TG_EINVAL or TG_ENOMEM with the reason. */
int tg_spiffe_decode(enum tg_spiffe_call call, struct tg_view msg, struct tg_spiffe_update **out,
	struct tg_errbuf *e);
void tg_spiffe_update_free(struct tg_spiffe_update *u); /* wipes it */

/* --- a connection -------------------------------------------------------------------------------
 */

/* gRPC's numbers, as far as the standard says what they mean; and our own. */
enum tg_spiffe_status {
	TG_SPIFFE_OK = 0,
	TG_SPIFFE_UNKNOWN = 2,
	TG_SPIFFE_INVALID_ARGUMENT = 3, /* do not call again */
	TG_SPIFFE_PERMISSION_DENIED = 7,
	TG_SPIFFE_RESOURCE_EXHAUSTED = 8,
	TG_SPIFFE_UNIMPLEMENTED = 12, /* do not call again */
	TG_SPIFFE_INTERNAL = 13,
	TG_SPIFFE_UNAVAILABLE = 14,
	TG_SPIFFE_UNAUTHENTICATED = 16,
	TG_SPIFFE_BAD_MESSAGE = 100, /* the response was no such message: call again */
};
const char *tg_spiffe_status_name(int status); /* "PERMISSION_DENIED" */

struct tg_spiffe_events {
	/* Views are good for the time of the call. */
	void (*on_update)(
		void *arg, enum tg_spiffe_call call, const struct tg_spiffe_update *update);
	/* The call has ended. text: why, printable, "" if nothing was said. */
	void (*on_end)(void *arg, enum tg_spiffe_call call, int status, const char *text);
};

struct tg_spiffe;

/* calls: a bit (1 << enum tg_spiffe_call) for each that is wanted. No event is told from inside
 * tg_spiffe_open, and no function of the object may be called from inside an event. */
struct tg_spiffe *tg_spiffe_open(uint32_t calls, const struct tg_spiffe_events *ev, void *arg);
void tg_spiffe_close(struct tg_spiffe *s);
/* Bytes that came. The caller wipes them afterwards. TG_EINVAL with the reason: the connection is
 * of no more use. */
int tg_spiffe_feed(struct tg_spiffe *s, const uint8_t *p, size_t n, struct tg_errbuf *e);
/* Bytes to send, all of which count as sent: a view that is good until the next call; .n 0:
 * nothing. Negative: no memory. */
int tg_spiffe_pull(struct tg_spiffe *s, struct tg_view *out);
/* False: neither bytes nor calls are left, so the connection may be closed. */
bool tg_spiffe_alive(const struct tg_spiffe *s);

/* --- trying again -------------------------------------------------------------------------------
 */

/* Delay before try number n (0: the first after a success), ns: 0.1 s doubled each time up to 30 s,
 * of which a random half is taken off, so that the workloads of a node do not come all at once. */
uint64_t tg_spiffe_retry_delay(uint32_t n, uint64_t random);

#endif
