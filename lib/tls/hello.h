/* hello.h: ClientHellos that are plain (RFC 8446 section 4.1.2).
 *
 * A plain one leaves nothing to judge: it can be answered by TLS 1.3 without HelloRetryRequest, all
 * lengths are right, nothing stands twice, and each extension that means something to us says what
 * nearly all clients say. Whatever is otherwise, wrong or only rare, is for OpenSSL (handshake.h),
 * so that nothing is refused here. Where clients differ and any answer is right, the choices are
 * OpenSSL's.
 *
 * Pure function; any thread. Views stand in the message. Not here: what we have to offer (serve.h).
 */
#ifndef TG_TLS_HELLO_H
#define TG_TLS_HELLO_H

#include "take.h"

#define TG_HELLO_SHARE_X25519 32
#define TG_HELLO_SHARE_P256 65

enum { TG_GROUP_P256 = 0x0017, TG_GROUP_X25519 = 0x001d };

struct tg_hello {
	struct tg_view session;             /* legacy_session_id, 0 to 32 bytes */
	bool suite[3];                      /* by enum tg_suite: it is offered */
	bool chacha_first;                  /* and preferred to all others */
	struct tg_view sni;                 /* 1 to 255 bytes, none of them 0; .n 0: none */
	struct tg_view alpn;                /* ProtocolNameList, well-formed; .n 0: none */
	struct tg_view schemes;             /* signature_algorithms, as 16-bit numbers */
	struct tg_view cert_schemes;        /* signature_algorithms_cert; .n 0: none */
	uint16_t group;                     /* of the first share that we can use */
	struct tg_view share;               /* of that group's size */
	bool psk_dhe;                       /* psk_dhe_ke is among the modes */
	bool modes;                         /* psk_key_exchange_modes is there */
	struct tg_view identities, binders; /* pre_shared_key: vectors' contents; .n 0: none */
	uint32_t unbound;                   /* bytes of the message before the binders' length */
};

/* message: with its head. False: not plain, or no ClientHello. */
bool tg_hello_read(struct tg_view message, struct tg_hello *out);

#endif
