/* err.h: what a function returns when it does not succeed.
 *
 * Functions return 0 or a count on success and a negative enum tg_err otherwise. Errors that a
 * person must read carry text in a struct tg_errbuf, filled off the data path only. Any thread.
 */
#ifndef TIDEGATE_ERR_H
#define TIDEGATE_ERR_H

enum tg_err {
	TG_OK = 0,
	TG_EAGAIN = -1,   /* not now: try after the next event */
	TG_ENOMEM = -2,   /* a pool or table is full */
	TG_EINVAL = -3,   /* an argument or input is not acceptable */
	TG_ENOENT = -4,   /* no such thing */
	TG_EEXIST = -5,   /* there already */
	TG_ENOROUTE = -6, /* no route, or no address of ours, towards a destination */
	TG_ENOPORT = -7,  /* no free source port towards a destination */
	TG_ERANGE = -8,   /* outside the allowed range */
	TG_ESYS = -9,     /* the operating system or DPDK refused; the text says how */
	TG_ETOOBIG = -10, /* longer than the limit */
	TG_ENOSUP = -11,  /* valid, but not implemented here */
};

/* Text for a person: what is wrong, and what to do. Always terminated. */
struct tg_errbuf {
	char text[256];
};

/* Formats into e->text (truncating) and returns code, so that callers can write
 * `return tg_fail(e, TG_EINVAL, "...")`. e may be NULL. */
int tg_fail(struct tg_errbuf *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "no route" for TG_ENOROUTE, and so on; never NULL. */
const char *tg_err_name(int code);

#endif
