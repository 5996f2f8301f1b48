/* body.c: reading content (RFC 9112 sections 6 and 7).
 *
 * The chunked coding, one byte at a time outside of the data:
 *
 *	SIZE_1 -> SIZE -+------------------> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE_1
 *	                |                       |
 *	                +-> EXT_... -> CR ------+ size 0 -> LINE -+-> NAME -> SKIP -> VALUE ->
 *VALUE_LF -> LINE
 *	                                                          +-> END_LF -> ended
 *
 * Extensions are checked against the grammar and dropped: what we forward is cut into chunks of our
 *own.
 */
#include "fields.h"
#include "scan.h"

enum {
	SIZE_1, /* the first digit */
	SIZE,
	EXT_START, /* white space behind the size: ';' must follow */
	EXT_NAME_1,
	EXT_NAME,
	EXT_NAME_END,
	EXT_VALUE_1,
	EXT_VALUE,
	EXT_QUOTED,
	EXT_ESCAPED,
	EXT_QUOTED_END,
	EXT_VALUE_END,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	LINE, /* of the trailer section */
	NAME,
	SKIP, /* white space before the value */
	VALUE,
	VALUE_LF,
	END_LF,
};

void tg_h1_body_init(struct tg_h1_body *b, enum tg_body_kind kind, uint64_t content_length)
{
	*b = (struct tg_h1_body){.kind = (uint8_t)kind};
	if (kind == TG_BODY_LENGTH)
		b->left = content_length;
	b->ended = kind == TG_BODY_NONE || (kind == TG_BODY_LENGTH && content_length == 0);
}

static inline bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static enum tg_h1_refusal size_byte(struct tg_h1_body *b, uint8_t c)
{
	if (tg_byte_class[c] & TG_BYTE_HEX) {
		if (b->left >> 59) /* 2^63 and more: others count in signed words */
			return TG_H1_BAD_CHUNK_SIZE;
		b->left = b->left << 4 | (uint64_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
		b->state = SIZE;
		return TG_H1_OK;
	}
	if (b->state == SIZE_1)
		return TG_H1_BAD_CHUNK_SIZE;
	if (c == '\r')
		b->state = SIZE_LF;
	else if (c == ';')
		b->state = EXT_NAME_1;
	else if (is_space(c))
		b->state = EXT_START;
	else
		return c == '\n' ? TG_H1_BARE_LF : TG_H1_BAD_CHUNK_SIZE;
	return TG_H1_OK;
}

/* chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ): the state behind c,
 * or -1. */
static int ext_next(uint8_t state, uint8_t c)
{
	bool token = tg_byte_class[c] & TG_BYTE_TOKEN;

	switch (state) {
	case EXT_START:
		return is_space(c) ? EXT_START : c == ';' ? EXT_NAME_1 : -1;
	case EXT_NAME_1:
		return is_space(c) ? EXT_NAME_1 : token ? EXT_NAME : -1;
	case EXT_NAME:
		if (token)
			return EXT_NAME;
		if (c == '\r')
			return SIZE_LF;
		/* fall through */
	case EXT_NAME_END:
		return is_space(c) ? EXT_NAME_END
		       : c == '='  ? EXT_VALUE_1
		       : c == ';'  ? EXT_NAME_1
				   : -1;
	case EXT_VALUE_1:
		return is_space(c) ? EXT_VALUE_1 : token ? EXT_VALUE : c == '"' ? EXT_QUOTED : -1;
	case EXT_QUOTED:
		return c == '"'                            ? EXT_QUOTED_END
		       : c == '\\'                         ? EXT_ESCAPED
		       : tg_byte_class[c] & TG_BYTE_QUOTED ? EXT_QUOTED
							   : -1;
	case EXT_ESCAPED:
		return tg_byte_class[c] & TG_BYTE_VALUE ? EXT_QUOTED : -1;
	case EXT_VALUE:
		if (token)
			return EXT_VALUE;
		/* fall through */
	case EXT_QUOTED_END:
		if (c == '\r')
			return SIZE_LF;
		/* fall through */
	case EXT_VALUE_END:
		return is_space(c) ? EXT_VALUE_END : c == ';' ? EXT_NAME_1 : -1;
	default:
		return -1;
	}
}

static enum tg_h1_refusal ext_byte(struct tg_h1_body *b, uint8_t c)
{
	int next = ext_next(b->state, c);

	if (next < 0)
		return c == '\n' ? TG_H1_BARE_LF : TG_H1_BAD_CHUNK_EXT;
	b->state = (uint8_t)next;
	return TG_H1_OK;
}

/* Fields that would change, behind the back of everyone who has read the head already, how the
 * message is framed, routed, authorised or understood (RFC 9110 section 6.5.1). */
static bool may_be_trailer(struct tg_view name)
{
	static const struct tg_view never[] = {TG_VIEW("www-authenticate"),
		TG_VIEW("proxy-authentication-info"), TG_VIEW("age"), TG_VIEW("pragma"),
		TG_VIEW("warning"), TG_VIEW("retry-after"), TG_VIEW("if-match"),
		TG_VIEW("if-none-match"), TG_VIEW("if-modified-since"),
		TG_VIEW("if-unmodified-since"), TG_VIEW("if-range"), TG_VIEW("accept"),
		TG_VIEW("accept-encoding"), TG_VIEW("accept-language")};

	if (tg_field_id_of(name) != TG_FIELD_UNKNOWN || tg_field_is_end_to_end(name) ||
		tg_field_is_lookalike(name))
		return false;
	for (uint32_t i = 0; i < TG_ARRAY_LEN(never); i++)
		if (tg_view_eq_nocase(name, never[i]))
			return false;
	return true;
}

static enum tg_h1_refusal put(struct tg_h1_body *b, struct tg_view v)
{
	if (!b->trailers)
		return TG_H1_OK;
	if (v.n > b->trailers_cap - b->trailer_len)
		return TG_H1_TRAILERS_TOO_BIG;
	memcpy(b->trailers + b->trailer_len, v.p, v.n);
	b->trailer_len += v.n;
	return TG_H1_OK;
}

static enum tg_h1_refusal name_byte(struct tg_h1_body *b, uint8_t c)
{
	if (tg_byte_class[c] & TG_BYTE_TOKEN) {
		/* A name that is longer than all that are refused is not one of them. */
		if (b->name_len < sizeof(b->name))
			b->name[b->name_len] = c;
		if (b->name_len <= sizeof(b->name))
			b->name_len++;
		b->state = NAME;
		return put(b, tg_view_of(&c, 1));
	}
	if (b->state == LINE || c != ':')
		return c == '\n' ? TG_H1_BARE_LF : TG_H1_BAD_TRAILER;
	if (b->name_len <= sizeof(b->name) && !may_be_trailer(tg_view_of(b->name, b->name_len)))
		return TG_H1_BAD_TRAILER;
	b->state = SKIP;
	return put(b, TG_VIEW(": "));
}

static enum tg_h1_refusal value_byte(struct tg_h1_body *b, uint8_t c)
{
	if (c == '\r') {
		b->state = VALUE_LF;
		while (b->trailers && is_space(b->trailers[b->trailer_len - 1]))
			b->trailer_len--;
		return put(b, TG_VIEW("\r\n"));
	}
	if (b->state == SKIP && is_space(c))
		return TG_H1_OK;
	if (!(tg_byte_class[c] & TG_BYTE_VALUE))
		return c == '\n' ? TG_H1_BARE_LF : TG_H1_BAD_TRAILER;
	b->state = VALUE;
	return put(b, tg_view_of(&c, 1));
}

static enum tg_h1_refusal trailer_byte(struct tg_h1_body *b, uint8_t c)
{
	if (b->line_len >= TG_H1_TRAILERS_MAX)
		return TG_H1_TRAILERS_TOO_BIG;
	b->line_len++;
	switch (b->state) {
	case LINE:
		if (c == '\r') {
			b->state = END_LF;
			return TG_H1_OK;
		}
		b->name_len = 0;
		return name_byte(b, c);
	case NAME:
		return name_byte(b, c);
	case SKIP:
	case VALUE:
		return value_byte(b, c);
	case VALUE_LF:
		b->state = LINE;
		return c == '\n' ? TG_H1_OK : TG_H1_BARE_CR;
	default: /* END_LF */
		b->ended = c == '\n';
		return c == '\n' ? TG_H1_OK : TG_H1_BARE_CR;
	}
}

/* One byte that is not data. */
static enum tg_h1_refusal framing_byte(struct tg_h1_body *b, uint8_t c)
{
	if (b->state >= LINE)
		return trailer_byte(b, c);
	switch (b->state) {
	case DATA_CR:
		b->state = DATA_LF;
		return c == '\r' ? TG_H1_OK : TG_H1_BAD_CHUNK_END;
	case DATA_LF:
		b->state = SIZE_1;
		b->line_len = 0;
		return c == '\n' ? TG_H1_OK : TG_H1_BAD_CHUNK_END;
	case SIZE_LF:
		b->state = b->left ? DATA : LINE;
		b->line_len = 0;
		return c == '\n' ? TG_H1_OK : TG_H1_BARE_CR;
	default:
		break;
	}
	if (++b->line_len > TG_H1_CHUNK_LINE_MAX)
		return b->state <= SIZE ? TG_H1_BAD_CHUNK_SIZE : TG_H1_BAD_CHUNK_EXT;
	return b->state <= SIZE ? size_byte(b, c) : ext_byte(b, c);
}

/* Up to `left` bytes of in from *i on; the first run that is met goes to *data. */
static void take_data(struct tg_h1_body *b, struct tg_view in, uint32_t *i, struct tg_view *data)
{
	uint32_t n = in.n - *i;

	if (n > b->left)
		n = (uint32_t)b->left;
	*data = tg_view_of(in.p + *i, n);
	*i += n;
	b->left -= n;
}

static int read_chunked(
	struct tg_h1_body *b, struct tg_view in, uint32_t *used, struct tg_view *data)
{
	uint32_t i = 0;

	while (i < in.n && !b->ended) {
		enum tg_h1_refusal r;

		if (b->state == DATA) {
			if (data->n)
				break;
			take_data(b, in, &i, data);
			if (b->left == 0)
				b->state = DATA_CR;
			continue;
		}
		r = framing_byte(b, in.p[i]);
		if (r != TG_H1_OK) {
			b->refusal = (uint8_t)r;
			break;
		}
		i++;
	}
	*used = i;
	/* Data before the wrong byte counts; the refusal comes with the next call. */
	return b->refusal && !data->n ? -1 : 0;
}

int tg_h1_body_read(struct tg_h1_body *b, struct tg_view in, uint32_t *used, struct tg_view *data)
{
	*used = 0;
	*data = tg_view_of(in.p, 0);
	if (b->refusal)
		return -1;
	if (b->ended)
		return 0;
	switch (b->kind) {
	case TG_BODY_LENGTH:
		take_data(b, in, used, data);
		b->ended = b->left == 0;
		return 0;
	case TG_BODY_CHUNKED:
		return read_chunked(b, in, used, data);
	default: /* until close, or a tunnel */
		*data = in;
		*used = in.n;
		return 0;
	}
}
