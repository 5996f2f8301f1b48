/* TCP options: any bytes, against a second parser written for nothing but to be obviously right. */
#include <stdlib.h>

#include "opts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Linux's rules, option by option; *bad: a length that cannot be. */
static struct tg_opts reference(const uint8_t *p, uint32_t n, bool syn, bool *bad)
{
	struct tg_opts o = {0};
	uint32_t at = 0;

	*bad = false;
	for (;;) {
		uint32_t left = n - at, kind, len;

		if (left == 0 || p[at] == 0)
			return o;
		kind = p[at];
		if (kind == 1) {
			at++;
			continue;
		}
		len = left >= 2 ? p[at + 1] : 0;
		if (len < 2 || len > left) {
			*bad = true;
			return o;
		}
		if (kind == 2 && len == 4 && syn) {
			o.has |= TG_OPT_MSS;
			o.mss = (uint16_t)(p[at + 2] * 256 + p[at + 3]);
		}
		if (kind == 3 && len == 3 && syn) {
			o.has |= TG_OPT_WSCALE;
			o.wscale = p[at + 2] < 14 ? p[at + 2] : 14;
		}
		if (kind == 4 && len == 2 && syn)
			o.has |= TG_OPT_SACK_OK;
		if (kind == 8 && len == 10) {
			o.has |= TG_OPT_TS;
			o.tsval = tg_load_be32(p + at + 2);
			o.tsecr = tg_load_be32(p + at + 6);
		}
		if (kind == 5 && !syn && len % 8 == 2 && len >= 10 && len <= 34) {
			memset(o.sack, 0, sizeof(o.sack));
			o.has |= TG_OPT_SACK;
			o.n_sack = 0;
			for (uint32_t i = 2; i < len; i += 8)
				o.sack[o.n_sack++] = (struct tg_sack){
					tg_load_be32(p + at + i), tg_load_be32(p + at + i + 4)};
		}
		at += len;
	}
}

static void same(const struct tg_opts *a, const struct tg_opts *b)
{
	if (a->has != b->has || a->wscale != b->wscale || a->mss != b->mss ||
		a->n_sack != b->n_sack || a->tsval != b->tsval || a->tsecr != b->tsecr)
		abort();
	for (uint32_t i = 0; i < a->n_sack; i++)
		if (a->sack[i].start != b->sack[i].start || a->sack[i].end != b->sack[i].end)
			abort();
}

/* What was read can be written, and read again. */
static void round_trip(const struct tg_opts *o, bool syn)
{
	uint8_t *out = malloc(TG_OPTS_MAX);
	struct tg_opts again, want = *o;
	uint32_t n = 0;

	if (!out)
		return;
	if (syn) {
		n = tg_opts_build_syn(out, o);
	} else {
		if (o->has & TG_OPT_TS)
			n = tg_opts_put_ts(out, o->tsval, o->tsecr);
		n += tg_opts_put_sack(out + n, TG_OPTS_MAX - n, o->sack, o->n_sack);
		if (want.has & TG_OPT_TS && want.n_sack > 3)
			want.n_sack = 3;
	}
	if (n > TG_OPTS_MAX || n % 4 || !tg_opts_parse(out, n, syn, &again))
		abort();
	same(&want, &again);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tg_opts got, want;
	bool syn, bad, ok;
	uint8_t *copy;
	uint32_t n;

	if (!size)
		return 0;
	syn = data[0] & 1;
	n = size - 1 < TG_OPTS_MAX ? (uint32_t)(size - 1) : TG_OPTS_MAX;
	copy = malloc(n + !n); /* of its own, so that the sanitizer sees a read beyond it */
	if (!copy)
		return 0;
	memcpy(copy, data + 1, n);
	ok = tg_opts_parse(copy, n, syn, &got);
	want = reference(copy, n, syn, &bad);
	if (ok == bad)
		abort();
	same(&got, &want);
	round_trip(&got, syn);
	free(copy);
	return 0;
}
