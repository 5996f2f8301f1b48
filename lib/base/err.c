#include <stdarg.h>
#include <stdio.h>

#include <tidegate/err.h>

int tg_fail(struct tg_errbuf *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		vsnprintf(e->text, sizeof(e->text), fmt, ap);
		va_end(ap);
	}
	return code;
}

const char *tg_err_name(int code)
{
	switch (code) {
	case TG_OK:
		return "success";
	case TG_EAGAIN:
		return "not now";
	case TG_ENOMEM:
		return "no memory left";
	case TG_EINVAL:
		return "not acceptable";
	case TG_ENOENT:
		return "not found";
	case TG_EEXIST:
		return "exists already";
	case TG_ENOROUTE:
		return "no route";
	case TG_ENOPORT:
		return "no free source port";
	case TG_ERANGE:
		return "out of range";
	case TG_ESYS:
		return "refused by the system";
	case TG_ETOOBIG:
		return "too long";
	case TG_ENOSUP:
		return "not supported";
	default:
		return "unknown error";
	}
}
