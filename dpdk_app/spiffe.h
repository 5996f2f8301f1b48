/* spiffe.h: the socket of the SPIFFE Workload API: connected, polled, connected again.
 *
 * Control core only. What the agent says goes into the certificate store whole or not at all
 * (tg_tls_store_workload); while nobody answers, what was said last stays in use. What the agent
 * withdraws (PERMISSION_DENIED, or a response without it) is not used for new handshakes any more;
 * connections that are open go on until their SVIDs expire. The protocol is lib/spiffe's.
 */
#ifndef TG_APP_SPIFFE_H
#define TG_APP_SPIFFE_H

#include <tidegate/spiffe.h>

#include "app.h"

struct tg_agent;

/* What came, for the store. update NULL: withdrawn. False: it cannot be used. */
typedef bool tg_agent_take(
	void *arg, enum tg_spiffe_call call, const struct tg_spiffe_update *update);

/* NULL: no memory. */
struct tg_agent *tg_agent_open(
	const struct tg_spiffe_endpoint *at, int epoll, tg_agent_take *take, void *arg);
void tg_agent_close(struct tg_agent *a);
/* Which responses are wanted: bits 1 << enum tg_spiffe_call. Asks anew if more are than before, or
 * if again: also for what the agent had told not to ask for. 0: hangs up. */
void tg_agent_want(struct tg_agent *a, uint32_t calls, bool again);
/* Does what can be done without waiting. Returns in how many ms it wants to be called again; -1:
 * when epoll says so. now: ns, monotonic. */
int tg_agent_poll(struct tg_agent *a, uint64_t now);

/* For statistics; any thread. */
struct tg_agent_counts {
	uint64_t connected, updates, updates_bad, failures; /* connected: 1 while it is */
};
void tg_agent_counts(const struct tg_agent *a, struct tg_agent_counts *out);

#endif
