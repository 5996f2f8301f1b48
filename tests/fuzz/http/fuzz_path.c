/* fuzz_path.c: path normalisation. Byte 0: whether escaped slashes are kept; then the path.
 *
 * Holds: idempotent; never longer; no dot segment, no escaped unreserved character and nothing that
 * a request target may not hold is left.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/http1.h>

#define MUST(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort(); \
		} \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_normal(const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		MUST(p[i] > ' ' && p[i] < 127 && !strchr("?#\\\"<>", p[i]));
		if (p[i] == '%') {
			char hex[3] = {(char)p[i + 1], (char)p[i + 2], 0};
			int c;

			MUST(i + 2 < n && isxdigit(p[i + 1]) && isxdigit(p[i + 2]));
			MUST(!islower(p[i + 1]) && !islower(p[i + 2]));
			c = (int)strtol(hex, NULL, 16);
			MUST(c && !(c < 128 && (isalnum(c) || strchr("-._~", c))));
		}
		if (p[i] == '/') {
			uint32_t end = i + 1;

			while (end < n && p[end] != '/')
				end++;
			MUST(!(end - i == 2 && p[i + 1] == '.'));
			MUST(!(end - i == 3 && p[i + 1] == '.' && p[i + 2] == '.'));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *in, *out, *again;
	int32_t n, m;
	bool keep;

	if (size < 1)
		return 0;
	keep = data[0] & 1;
	size--;
	in = malloc(size ? size : 1);
	out = malloc(size ? size : 1);
	memcpy(in, data + 1, size);
	n = tg_path_normalise(tg_view_of(in, size), keep, out);
	MUST(n <= (int32_t)size);
	if (n > 0) {
		again = malloc((size_t)n);
		m = tg_path_normalise(tg_view_of(out, (size_t)n), keep, again);
		MUST(m == n && !memcmp(out, again, (size_t)n));
		if (out[0] == '/')
			is_normal(out, (uint32_t)n);
		free(again);
	}
	free(in);
	free(out);
	return 0;
}
