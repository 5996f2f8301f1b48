/* schedule.h: transcript and key schedule of one TLS 1.3 handshake (RFC 8446 sections 4.4.1 and
 * 7.1).
 *
 *   begin(psk or none) --> add(ClientHello up to its binders) --> binder, if there is a PSK
 *       --> add(rest of ClientHello, ServerHello) --> handshake(dhe)
 *       --> add(... server's Finished) --> master --> add(... client's Finished) --> resumption
 *
 * Owner: whoever has the struct; it has no pointers, and is wiped with OPENSSL_cleanse() or
 * tg_sched_wipe(). Secrets that come out have the suite's hash size; out must have room for
 * TG_HASH_MAX. Not here: records (record.h), messages.
 */
#ifndef TG_TLS_SCHEDULE_H
#define TG_TLS_SCHEDULE_H

#include "hash.h"
#include "record.h"

struct tg_sched {
	enum tg_suite suite;
	struct tg_hash transcript;
	struct tg_hmac secret;     /* Early (of a PSK), then Handshake, then Master Secret */
	uint8_t salt[TG_HASH_MAX]; /* what comes of it for the next one */
};

/* psk: of the hash's size, or TG_VIEW_NONE. The transcript is empty. */
void tg_sched_begin(struct tg_sched *s, enum tg_suite suite, struct tg_view psk);
void tg_sched_add(struct tg_sched *s, struct tg_view messages);
/* Transcript-Hash of all that was added. */
void tg_sched_hash(const struct tg_sched *s, uint8_t *out);
/* Behind ServerHello: the handshake traffic secrets. */
void tg_sched_handshake(struct tg_sched *s, struct tg_view dhe, uint8_t *client, uint8_t *server);
/* Behind the server's Finished: the application traffic secrets. */
void tg_sched_master(struct tg_sched *s, uint8_t *client, uint8_t *server);
/* Behind the client's Finished: the PSK of a ticket with this nonce (section 4.6.1). */
void tg_sched_ticket(const struct tg_sched *s, struct tg_view nonce, uint8_t *psk);
/* verify_data of a Finished whose sender has this traffic secret, over what is there (section
 * 4.4.4). */
void tg_sched_finished(const struct tg_sched *s, const uint8_t *traffic, uint8_t *out);
/* Of a binder for a ticket's PSK, with which s began (section 4.2.11.2). */
void tg_sched_binder(const struct tg_sched *s, uint8_t *out);
void tg_sched_wipe(struct tg_sched *s);

#endif
