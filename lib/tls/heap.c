/* heap.c: what OpenSSL gives back is wiped. OpenSSL 3.0 clears keys, but frees an SSL object as it
 * is, with all secrets of the handshake in it and the first ones of both directions of the data. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "handshake.h"

/* An SSL object has more, and so have its buffers. What is smaller and secret OpenSSL clears by
 * itself; there are thousands of such in a handshake, and to wipe them all would be felt. */
#define WIPED_FROM 2048u

void *tg_heap_take(size_t n, const char *file, int line)
{
	return n ? malloc(n) : NULL;
}

void tg_heap_give(void *p, const char *file, int line)
{
	size_t n = p ? malloc_usable_size(p) : 0;

	if (n >= WIPED_FROM)
		explicit_bzero(p, n);
	free(p);
}

void *tg_heap_take_other(void *p, size_t n, const char *file, int line)
{
	size_t had = p ? malloc_usable_size(p) : 0;
	void *other;

	if (n && had < WIPED_FROM)
		return realloc(p, n);
	other = tg_heap_take(n, file, line);
	if (other)
		memcpy(other, p, n < had ? n : had);
	if (other || !n)
		tg_heap_give(p, file, line);
	return other;
}

bool tg_heap_init(void)
{
	static bool done;

	done |= CRYPTO_set_mem_functions(tg_heap_take, tg_heap_take_other, tg_heap_give) == 1;
	return done;
}
