#include "internal.h"

uint32_t px_text_u64(uint64_t v, uint8_t out[static 20])
{
	uint8_t tmp[20];
	uint32_t n = 0;

	do {
		tmp[n++] = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v);
	for (uint32_t i = 0; i < n; i++)
		out[i] = tmp[n - 1 - i];
	return n;
}

uint32_t px_text_ip(const struct tg_ip *a, uint8_t out[static TG_ADDR_TEXT])
{
	uint32_t n = 0;

	if (!tg_ip_is_v4(a)) {
		tg_ip_format(a, (char *)out);
		return (uint32_t)strlen((char *)out);
	}
	for (int i = 12; i < 16; i++) {
		n += px_text_u64(a->b[i], out + n);
		if (i < 15)
			out[n++] = '.';
	}
	return n;
}

/* v's eight hexadecimal digits as they stand in memory: a digit a byte, all eight at once. */
static uint64_t hex8(uint64_t v)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t tens;

	v = (v | v << 16) & UINT64_C(0x0000ffff0000ffff);
	v = (v | v << 8) & UINT64_C(0x00ff00ff00ff00ff);
	v = (v | v << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	tens = (v + 6 * ones) >> 4 & ones;
	return __builtin_bswap64(v + '0' * ones + tens * ('a' - '0' - 10));
}

/* RFC 9562 section 5.4. */
uint32_t px_text_uuid4(struct tg_rng *r, uint8_t out[static 36])
{
	uint64_t bits[2] = {tg_rng_next(r), tg_rng_next(r)}, word[4];
	uint8_t digits[32];

	bits[0] = (bits[0] & ~UINT64_C(0xf000)) | 0x4000;
	bits[1] = (bits[1] & ~(UINT64_C(3) << 62)) | UINT64_C(1) << 63;
	for (int i = 0; i < 4; i++)
		word[i] = hex8(i % 2 ? bits[i / 2] & UINT32_MAX : bits[i / 2] >> 32);
	memcpy(digits, word, sizeof(digits));
	memcpy(out, digits, 8);
	memcpy(out + 9, digits + 8, 4);
	memcpy(out + 14, digits + 12, 4);
	memcpy(out + 19, digits + 16, 4);
	memcpy(out + 24, digits + 20, 12);
	out[8] = out[13] = out[18] = out[23] = '-';
	return 36;
}

static void two(char *out, uint32_t v)
{
	out[0] = (char)('0' + v / 10);
	out[1] = (char)('0' + v % 10);
}

/* Days since 1970-01-01 to a civil date (proleptic Gregorian; eras of 400 years). */
static void civil(int64_t days, uint32_t *y, uint32_t *m, uint32_t *d)
{
	uint64_t z = (uint64_t)(days + 719468), era = z / 146097, doe = z % 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

	*d = (uint32_t)(doy - (153 * mp + 2) / 5 + 1);
	*m = (uint32_t)(mp < 10 ? mp + 3 : mp - 9);
	*y = (uint32_t)(yoe + era * 400 + (*m <= 2));
}

static void put_date(char *t, uint64_t second, uint32_t *y, uint32_t *m, uint32_t *d)
{
	uint32_t s = (uint32_t)(second % 86400);

	civil((int64_t)(second / 86400), y, m, d);
	two(t, s / 3600);
	two(t + 3, s / 60 % 60);
	two(t + 6, s % 60);
}

/* RFC 3339, as the access log writes it. */
uint32_t px_text_time(uint64_t ns, uint8_t out[static 24])
{
	uint32_t y, m, d, ms = (uint32_t)(ns / TG_MS % 1000);
	char *t = (char *)out;

	memcpy(t, "2024-01-01T00:00:00.000Z", 24);
	put_date(t + 11, ns / TG_SEC, &y, &m, &d);
	two(t, y / 100);
	two(t + 2, y % 100);
	two(t + 5, m);
	two(t + 8, d);
	t[20] = (char)('0' + ms / 100);
	two(t + 21, ms % 100);
	return 24;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7), made once a second. */
struct tg_view px_text_date(struct tg_proxy *p)
{
	static const char days[] = "ThuFriSatSunMonTueWed";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	uint64_t second = (px_now(p) + p->conf.realtime_offset) / TG_SEC;
	char *t = p->date_text;
	uint32_t y, m, d;

	if (second != p->date_second) {
		p->date_second = second;
		memcpy(t, "Thu, 01 Jan 1970 00:00:00 GMT", 29);
		put_date(t + 17, second, &y, &m, &d);
		memcpy(t, days + 3 * (second / 86400 % 7), 3);
		two(t + 5, d);
		memcpy(t + 8, months + 3 * (m - 1), 3);
		two(t + 12, y / 100);
		two(t + 14, y % 100);
	}
	return tg_view_of(t, 29);
}
