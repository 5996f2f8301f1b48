/* Why a handshake failed: the reason that is counted, and the line for the log. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/sslerr.h>

#include "internal.h"

void tg_refuse(struct tg_facts *f, enum tg_why why, const char *fmt, ...)
{
	va_list ap;

	if (f->why != TG_WHY_none)
		return; /* the first reason is the reason */
	f->why = why;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

void tg_refuse_cert(struct tg_facts *f, enum tg_why why, X509 *x, const char *what)
{
	struct tg_cert_names names;
	char *subject = tg_cert_subject(x);

	if (!tg_cert_names(x, &names))
		ERR_clear_error();
	tg_refuse(f, why, "peer \"%.120s\"%s%.*s%s: %s", subject ? subject : "?",
		names.uri.n ? " (" : "", (int)(names.uri.n < 120 ? names.uri.n : 120),
		names.uri.n ? (const char *)names.uri.p : "", names.uri.n ? ")" : "", what);
	tg_cert_names_free(&names);
	free(subject);
}

const char *tg_alert_name(uint8_t alert)
{
	return SSL_alert_desc_string_long(alert);
}

static enum tg_why why_of_alert(uint8_t alert)
{
	switch (alert) {
	case SSL_AD_PROTOCOL_VERSION:
		return TG_WHY_tls_version;
	case SSL_AD_HANDSHAKE_FAILURE:
	case SSL_AD_INSUFFICIENT_SECURITY:
		return TG_WHY_tls_cipher;
	case SSL_AD_NO_APPLICATION_PROTOCOL:
		return TG_WHY_tls_alpn;
	case SSL_AD_BAD_RECORD_MAC:
		return TG_WHY_tls_bad_mac;
	case SSL_AD_DECRYPT_ERROR:
		return TG_WHY_tls_bad_proof;
	case TLS13_AD_CERTIFICATE_REQUIRED:
		return TG_WHY_tls_no_certificate;
	case SSL_AD_INTERNAL_ERROR:
		return TG_WHY_tls_internal;
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_UNKNOWN:
		return TG_WHY_tls_cert_bad;
	default:
		return TG_WHY_tls_malformed;
	}
}

static enum tg_why why_of_reason(int reason, uint8_t alert)
{
	switch (reason) {
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
	case SSL_R_WRONG_VERSION_NUMBER:
		return TG_WHY_tls_not_tls;
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return TG_WHY_tls_no_certificate;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
		return TG_WHY_tls_version;
	default:
		return alert ? why_of_alert(alert) : TG_WHY_tls_malformed;
	}
}

void tg_refuse_ssl(struct tg_facts *f)
{
	unsigned long e = ERR_peek_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	if (f->alert_by_peer)
		tg_refuse(f, TG_WHY_tls_peer_alert, "the peer sent alert %s (%u)",
			tg_alert_name(f->alert), f->alert);
	else
		tg_refuse(f, why_of_reason(ERR_GET_REASON(e), f->alert), "%s",
			text ? text : "the TLS library gives no reason");
	ERR_clear_error();
}

void tg_refuse_reason(struct tg_facts *f, uint8_t alert, int reason)
{
	const char *text = ERR_reason_error_string(
		ERR_PACK(reason < ERR_RFLAG_COMMON ? ERR_LIB_SSL : 0, 0, reason));

	tg_refuse(f, why_of_reason(reason, alert), "%s", text ? text : "no reason is known");
}

/* The first five bytes of an HTTP/1 request: as much as is read before it is no TLS. */
static bool begins_http(const uint8_t head[static TG_REC_HEADER])
{
	static const char methods[][TG_REC_HEADER + 1] = {
		"GET /", "HEAD ", "POST ", "PUT /", "DELET", "OPTIO", "PATCH", "TRACE", "CONNE"};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(methods); i++)
		if (memcmp(head, methods[i], TG_REC_HEADER) == 0)
			return true;
	return false;
}

uint32_t tg_refuse_http(const struct tg_facts *f, struct tg_span out)
{
	static const char answer[] = "HTTP/1.1 400 Bad Request\r\n"
				     "Content-Type: text/plain\r\n"
				     "Content-Length: 46\r\n"
				     "Connection: close\r\n"
				     "\r\n"
				     "A plain HTTP request was sent to a TLS port.\r\n";
	uint32_t n = sizeof(answer) - 1;

	if (f->why != TG_WHY_tls_not_tls || f->alert || !SSL_is_server(f->ssl) ||
		!begins_http(f->wire.head) || out.n < n)
		return 0;
	memcpy(out.p, answer, n);
	return n;
}
