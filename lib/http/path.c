/* path.c: path normalisation (RFC 3986 section 6.2.2). */
#include <tidegate/err.h>
#include <tidegate/http1.h>

#include "scan.h"

static int hex(uint8_t c)
{
	if (!(tg_byte_class[c] & TG_BYTE_HEX))
		return -1;
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Decodes one escape at p[0 .. 3) into out: 1 byte when it stood for an unreserved one, else 3.
 * Decoding cannot make a new escape: '%' itself is not unreserved. */
static int unescape(const uint8_t *p, bool keep_slashes, uint8_t *out)
{
	int high = hex(p[1]), low = hex(p[2]), c;

	if (high < 0 || low < 0)
		return TG_EINVAL;
	c = high << 4 | low;
	if (c == 0 || ((c == '/' || c == '\\') && !keep_slashes))
		return TG_EINVAL;
	if (tg_byte_class[c] & TG_BYTE_UNRESERVED) {
		out[0] = (uint8_t)c;
		return 1;
	}
	out[0] = '%';
	out[1] = (uint8_t) "0123456789ABCDEF"[high];
	out[2] = (uint8_t) "0123456789ABCDEF"[low];
	return 3;
}

/* The segment out[start .. end) is complete, `last` if nothing follows it. Returns the new end, at
 * which the next segment starts, or TG_EINVAL for ".." at the root. start is behind a slash. */
static int64_t end_segment(uint8_t *out, uint32_t start, uint32_t end, bool last)
{
	uint32_t n = end - start;

	if (n == 1 && out[start] == '.')
		return start;
	if (n == 2 && out[start] == '.' && out[start + 1] == '.') {
		if (start == 1)
			return TG_EINVAL;
		for (start--; out[start - 1] != '/';)
			start--;
		return start;
	}
	if (!last)
		out[end++] = '/';
	return end;
}

int32_t tg_path_normalise(struct tg_view path, bool keep_escaped_slashes, uint8_t *out)
{
	uint32_t o = 1, segment = 1;
	int64_t end;

	if (path.n == 0)
		return 0;
	out[0] = path.p[0];
	if (path.p[0] != '/') /* "*" */
		return path.n == 1 && path.p[0] == '*' ? 1 : TG_EINVAL;
	for (uint32_t i = 1; i < path.n; i++) {
		uint8_t c = path.p[i];

		if (c == '/') {
			end = end_segment(out, segment, o, false);
			if (end < 0)
				return TG_EINVAL;
			o = segment = (uint32_t)end;
		} else if (c == '%') {
			int n = path.n - i < 3
					? TG_EINVAL
					: unescape(path.p + i, keep_escaped_slashes, out + o);
			if (n < 0)
				return TG_EINVAL;
			o += (uint32_t)n;
			i += 2;
		} else if (c == '?' || !(tg_byte_class[c] & TG_BYTE_TARGET)) {
			return TG_EINVAL;
		} else {
			out[o++] = c;
		}
	}
	end = end_segment(out, segment, o, true);
	return end < 0 ? TG_EINVAL : (int32_t)end;
}
