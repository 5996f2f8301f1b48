/* edit.h: fields that the configuration adds to a message, changes in it or takes out of it.
 *
 * Immutable, part of a snapshot. What is put in lives in the exchange's arena; nothing else is
 * allocated. Names that frame a message or belong to a connection are refused by lib/config. Owner
 * of a message: one worker. Not here: what variables stand for (lib/proxy).
 */
#ifndef TIDEGATE_EDIT_H
#define TIDEGATE_EDIT_H

#include <tidegate/arena.h>
#include <tidegate/msg.h>

/* The access log's operators, as far as they make sense in a field. */
#define TG_EDIT_VARS(X) \
	X(DOWNSTREAM_REMOTE_ADDRESS) \
	X(DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT) \
	X(DOWNSTREAM_LOCAL_ADDRESS) \
	X(DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT) \
	X(DOWNSTREAM_PEER_URI_SAN) \
	X(DOWNSTREAM_PEER_SUBJECT) \
	X(PROTOCOL) \
	X(REQUESTED_SERVER_NAME) \
	X(RESPONSE_CODE) \
	X(ROUTE_NAME) \
	X(START_TIME) \
	X(UPSTREAM_CLUSTER) \
	X(UPSTREAM_HOST) \
	X(VIRTUAL_HOST_NAME)

enum tg_edit_var {
#define X(name) TG_VAR_##name,
	TG_EDIT_VARS(X)
#undef X
		TG_VAR_MAX
};

enum tg_piece_kind {
	TG_PIECE_TEXT, /* text */
	TG_PIECE_VAR,  /* var */
	TG_PIECE_REQ, /* the request's field of the name text, else of the name other; also :method,
		       :path (with query), :authority, :scheme */
	TG_PIECE_RESP /* the response's; in a request it is missing */
};

struct tg_piece {
	enum tg_piece_kind kind;
	enum tg_edit_var var;
	struct tg_view text, other;
	uint32_t max; /* bytes of its value that are used; 0: all */
};

enum tg_append {
	TG_APPEND_IF_EXISTS_OR_ADD, /* one more line */
	TG_ADD_IF_ABSENT,
	TG_OVERWRITE_IF_EXISTS_OR_ADD, /* instead of all lines there are */
	TG_OVERWRITE_IF_EXISTS
};

struct tg_field_add {
	struct tg_view name;
	uint16_t id; /* enum tg_field_id */
	uint8_t append;
	bool keep_empty; /* else nothing is done when the value is empty */
	uint32_t n;
	const struct tg_piece *pieces;
};

struct tg_edits {
	uint32_t n_remove, n_add;
	const struct tg_view *remove; /* first */
	const struct tg_field_add *add;
};

/* What a piece of kind VAR, REQ or RESP stands for; .n 0: nothing. The view lives as long as the
 * exchange. False: no memory. */
typedef bool tg_piece_fn(void *ctx, const struct tg_piece *p, struct tg_view *out);

/* Applies e to m. m->fields moves to a's memory when it has no room. False: no memory. */
bool tg_edit(
	const struct tg_edits *e, struct tg_msg *m, struct tg_arena *a, tg_piece_fn *fn, void *ctx);

#endif
