/* x25519.c: see x25519.h.
 *
 * The multiple is computed on edwards25519, the curve's other form, which has faster additions: 64
 * signed digits of four bits, one addition of a table's entry each, four doublings in all
 * (Bernstein et al., "High-speed high-security signatures", section 4); then u = (Z + Y) / (Z - Y).
 *
 * Field elements modulo 2^255 - 19 have five limbs of 51 bits, kept loosely reduced. What comes out
 * of mul() and square() is below 2^52 a limb, sums below 2^53, differences below 2^54.4; mul()
 * takes all of these: its sums stay below 2^115, and their carries in 64 bits.
 */
#include "x25519.h"

#include <string.h>

#include <openssl/crypto.h>

#define MASK ((UINT64_C(1) << 51) - 1)
#define ROWS 32 /* multiples of 256^row */
#define COLS 8  /* 1 to 8 times that */

__extension__ typedef unsigned __int128 u128;

struct fe {
	uint64_t l[5];
};

/* --- the field ----------------------------------------------------------------------------------
 */

static struct fe add(const struct fe *a, const struct fe *b)
{
	struct fe r;

	for (int i = 0; i < 5; i++)
		r.l[i] = a->l[i] + b->l[i];
	return r;
}

/* a - b + 8p: b is below 2^53.9. */
static struct fe sub(const struct fe *a, const struct fe *b)
{
	struct fe r;

	r.l[0] = a->l[0] + 0x3fffffffffff68 - b->l[0];
	for (int i = 1; i < 5; i++)
		r.l[i] = a->l[i] + 0x3ffffffffffff8 - b->l[i];
	return r;
}

static struct fe carry(u128 t0, u128 t1, u128 t2, u128 t3, u128 t4)
{
	struct fe r;

	t1 += (uint64_t)(t0 >> 51);
	t2 += (uint64_t)(t1 >> 51);
	t3 += (uint64_t)(t2 >> 51);
	t4 += (uint64_t)(t3 >> 51);
	r.l[0] = ((uint64_t)t0 & MASK) + (uint64_t)(t4 >> 51) * 19;
	r.l[1] = ((uint64_t)t1 & MASK) + (r.l[0] >> 51);
	r.l[0] &= MASK;
	r.l[2] = (uint64_t)t2 & MASK;
	r.l[3] = (uint64_t)t3 & MASK;
	r.l[4] = (uint64_t)t4 & MASK;
	return r;
}

static struct fe mul(const struct fe *x, const struct fe *y)
{
	const uint64_t *a = x->l, *b = y->l;
	uint64_t b1 = b[1] * 19, b2 = b[2] * 19, b3 = b[3] * 19, b4 = b[4] * 19;

	return carry((u128)a[0] * b[0] + (u128)a[1] * b4 + (u128)a[2] * b3 + (u128)a[3] * b2 +
			     (u128)a[4] * b1,
		(u128)a[0] * b[1] + (u128)a[1] * b[0] + (u128)a[2] * b4 + (u128)a[3] * b3 +
			(u128)a[4] * b2,
		(u128)a[0] * b[2] + (u128)a[1] * b[1] + (u128)a[2] * b[0] + (u128)a[3] * b4 +
			(u128)a[4] * b3,
		(u128)a[0] * b[3] + (u128)a[1] * b[2] + (u128)a[2] * b[1] + (u128)a[3] * b[0] +
			(u128)a[4] * b4,
		(u128)a[0] * b[4] + (u128)a[1] * b[3] + (u128)a[2] * b[2] + (u128)a[3] * b[1] +
			(u128)a[4] * b[0]);
}

static struct fe square(const struct fe *x)
{
	const uint64_t *a = x->l;
	uint64_t a0 = a[0] * 2, a1 = a[1] * 2, a3 = a[3] * 19, a4 = a[4] * 19;

	return carry((u128)a[0] * a[0] + (u128)a1 * a4 + (u128)(a[2] * 2) * a3,
		(u128)a0 * a[1] + (u128)(a[2] * 2) * a4 + (u128)a[3] * a3,
		(u128)a0 * a[2] + (u128)a[1] * a[1] + (u128)(a[3] * 2) * a4,
		(u128)a0 * a[3] + (u128)a1 * a[2] + (u128)a[4] * a4,
		(u128)a0 * a[4] + (u128)a1 * a[3] + (u128)a[2] * a[2]);
}

static struct fe square_times(const struct fe *x, int n)
{
	struct fe r = square(x);

	while (--n)
		r = square(&r);
	return r;
}

/* x^(p - 2). */
static struct fe invert(const struct fe *x)
{
	struct fe x2 = square(x), t = square_times(&x2, 2), x9 = mul(x, &t), x11 = mul(&x2, &x9);
	struct fe e5, e10, e20, e50, e100; /* x^(2^n - 1) */

	t = square(&x11);
	e5 = mul(&x9, &t);
	t = square_times(&e5, 5);
	e10 = mul(&t, &e5);
	t = square_times(&e10, 10);
	e20 = mul(&t, &e10);
	t = square_times(&e20, 20);
	t = mul(&t, &e20);
	t = square_times(&t, 10);
	e50 = mul(&t, &e10);
	t = square_times(&e50, 50);
	e100 = mul(&t, &e50);
	t = square_times(&e100, 100);
	t = mul(&t, &e100);
	t = square_times(&t, 50);
	t = mul(&t, &e50);
	t = square_times(&t, 5);
	return mul(&t, &x11);
}

static void store64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static void to_bytes(uint8_t out[32], struct fe a)
{
	uint64_t q;

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 4; i++) {
			a.l[i + 1] += a.l[i] >> 51;
			a.l[i] &= MASK;
		}
		a.l[0] += (a.l[4] >> 51) * 19;
		a.l[4] &= MASK;
	}
	q = (a.l[0] + 19) >> 51; /* 1 if a is p or more */
	for (int i = 1; i < 5; i++)
		q = (a.l[i] + q) >> 51;
	a.l[0] += 19 * q;
	for (int i = 0; i < 4; i++) {
		a.l[i + 1] += a.l[i] >> 51;
		a.l[i] &= MASK;
	}
	a.l[4] &= MASK;
	store64(out, a.l[0] | a.l[1] << 51);
	store64(out + 8, a.l[1] >> 13 | a.l[2] << 38);
	store64(out + 16, a.l[2] >> 26 | a.l[3] << 25);
	store64(out + 24, a.l[3] >> 39 | a.l[4] << 12);
}

/* --- the curve ----------------------------------------------------------------------------------
 */

/* x = X/Z, y = Y/Z, xy = T/Z. */
struct point {
	struct fe x, y, z, t;
};

/* An affine point as additions want it: y + x, y - x, 2dxy. */
struct entry {
	struct fe sum, diff, xy2d;
};

static struct entry table[ROWS][COLS];

/* The end of both an addition and a doubling. */
static void complete(struct point *p, const struct fe *x, const struct fe *y, const struct fe *z,
	const struct fe *t)
{
	p->x = mul(x, t);
	p->y = mul(y, z);
	p->z = mul(z, t);
	p->t = mul(x, y);
}

static void add_entry(struct point *p, const struct entry *e)
{
	struct fe sum = add(&p->y, &p->x), diff = sub(&p->y, &p->x);
	struct fe a = mul(&sum, &e->sum), b = mul(&diff, &e->diff), c = mul(&e->xy2d, &p->t);
	struct fe d = add(&p->z, &p->z), x = sub(&a, &b), y = add(&a, &b), z = add(&d, &c),
		  t = sub(&d, &c);

	complete(p, &x, &y, &z, &t);
}

static void double_point(struct point *p)
{
	struct fe xx = square(&p->x), yy = square(&p->y), zz = square(&p->z),
		  sum = add(&p->x, &p->y);
	struct fe two = add(&zz, &zz), y = add(&yy, &xx), z = sub(&yy, &xx), x, t;

	z = carry(z.l[0], z.l[1], z.l[2], z.l[3], z.l[4]);
	sum = square(&sum);
	x = sub(&sum, &y);
	t = sub(&two, &z);
	complete(p, &x, &y, &z, &t);
}

static const struct point neutral = {.y = {{1}}, .z = {{1}}};

static void make_entry(struct entry *e, const struct point *p, const struct fe *d2)
{
	struct fe z = invert(&p->z), x = mul(&p->x, &z), y = mul(&p->y, &z), xy = mul(&x, &y);
	struct fe one = {{1}}, sum = add(&y, &x), diff = sub(&y, &x);

	e->sum = mul(&sum, &one);
	e->diff = mul(&diff, &one);
	e->xy2d = mul(&xy, d2);
}

void tg_x25519_init(void)
{
	/* The base point, and 2d = -2 * 121665 / 121666 (RFC 8032 section 5.1). */
	struct point p = {.x = {{0x62d608f25d51a, 0x412a4b4f6592a, 0x75b7171a4b31d, 0x1ff60527118fe,
				  0x216936d3cd6e5}},
		.y = {{0x6666666666658, 0x4cccccccccccc, 0x1999999999999, 0x3333333333333,
			0x6666666666666}},
		.z = {{1}}};
	struct fe zero = {{0}}, up = {{2 * 121665}}, down = {{121666}}, d2;

	down = invert(&down);
	up = sub(&zero, &up);
	d2 = mul(&up, &down);
	p.t = mul(&p.x, &p.y);
	for (int row = 0; row < ROWS; row++) {
		struct point q = p;

		make_entry(&table[row][0], &p, &d2);
		for (int col = 1; col < COLS; col++) {
			add_entry(&q, &table[row][0]);
			make_entry(&table[row][col], &q, &d2);
		}
		for (int i = 0; i < 8; i++)
			double_point(&p);
	}
}

/* --- the multiple -------------------------------------------------------------------------------
 */

/* to = from where mask is all ones, as it was where it is 0. */
static void move(struct fe *to, const struct fe *from, uint64_t mask)
{
	for (int i = 0; i < 5; i++)
		to->l[i] ^= (to->l[i] ^ from->l[i]) & mask;
}

/* The entry for a digit from -8 to 8; the whole row is read. */
static void choose(struct entry *to, const struct entry row[COLS], int8_t digit)
{
	uint64_t negative = (uint64_t)0 - ((uint8_t)digit >> 7);
	uint8_t size = (uint8_t)((digit ^ (int8_t)negative) - (int8_t)negative);
	struct fe zero = {{0}}, minus, sum;

	*to = (struct entry){.sum = {{1}}, .diff = {{1}}};
	for (uint32_t i = 0; i < COLS; i++) {
		uint64_t mask = (uint64_t)0 - (((uint64_t)(size ^ (i + 1)) - 1) >> 63);

		move(&to->sum, &row[i].sum, mask);
		move(&to->diff, &row[i].diff, mask);
		move(&to->xy2d, &row[i].xy2d, mask);
	}
	minus = sub(&zero, &to->xy2d);
	sum = to->sum;
	move(&to->sum, &to->diff, negative);
	move(&to->diff, &sum, negative);
	move(&to->xy2d, &minus, negative);
}

/* a = sum of e[i] * 16^i, each from -8 to 8. */
static void recode(int8_t e[64], const uint8_t a[32])
{
	int carried = 0;

	for (int i = 0; i < 32; i++) {
		e[2 * i] = (int8_t)(a[i] & 15);
		e[2 * i + 1] = (int8_t)(a[i] >> 4);
	}
	for (int i = 0; i < 63; i++) {
		int v = e[i] + carried;

		carried = (v + 8) >> 4;
		e[i] = (int8_t)(v - carried * 16);
	}
	e[63] = (int8_t)(e[63] + carried);
}

void tg_x25519_public(uint8_t out[32], const uint8_t scalar[32])
{
	struct point p = neutral;
	struct entry e;
	int8_t digit[64];
	uint8_t a[32];
	struct fe up, down;

	memcpy(a, scalar, sizeof(a));
	a[0] &= 248;
	a[31] = (uint8_t)((a[31] & 127) | 64);
	recode(digit, a);
	for (int odd = 1; odd >= 0; odd--) {
		for (int row = 0; row < ROWS; row++) {
			choose(&e, table[row], digit[2 * row + odd]);
			add_entry(&p, &e);
		}
		for (int i = 0; odd && i < 4; i++)
			double_point(&p);
	}
	up = add(&p.z, &p.y);
	down = sub(&p.z, &p.y);
	down = invert(&down);
	to_bytes(out, mul(&up, &down));
	OPENSSL_cleanse(a, sizeof(a));
	OPENSSL_cleanse(digit, sizeof(digit));
	OPENSSL_cleanse(&e, sizeof(e));
	OPENSSL_cleanse(&p, sizeof(p));
}
