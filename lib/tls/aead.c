/* aead.c: which implementation runs. */
#include <stdio.h>

#include "aead.h"

const struct tg_aead_ops *tg_aead_in_use;
uint32_t tg_aead_key_bytes;

/* The table of that name, or the best one for "auto". */
static const struct tg_aead_ops *find(const char *impl, const char **detail)
{
	const struct tg_aead_ops *const of[] = {tg_aead_ipsecmb(detail), tg_aead_evp()};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(of); i++)
		if (of[i] && (!strcmp(impl, "auto") || !strcmp(impl, of[i]->name)))
			return of[i];
	return NULL;
}

const char *tg_aead_init(const char *impl)
{
	static char name[64];
	const char *detail;
	const struct tg_aead_ops *found = find(impl, &detail);

	if (!found)
		return NULL;
	tg_aead_in_use = found;
	tg_aead_key_bytes = 0;
	for (uint32_t i = 0; i < TG_AEAD_MAX; i++)
		if (found[i].key_bytes > tg_aead_key_bytes)
			tg_aead_key_bytes = found[i].key_bytes;
	tg_aead_key_bytes = (tg_aead_key_bytes + 63) & ~UINT32_C(63);
	if (found == tg_aead_evp())
		return found->name;
	snprintf(name, sizeof(name), "%s (%s)", found->name, detail);
	return name;
}

void tg_aead_thread(void)
{
	if (tg_aead_in_use && tg_aead_in_use != tg_aead_evp())
		tg_aead_ipsecmb_thread();
}

const struct tg_aead_ops *tg_aead_named(const char *impl, enum tg_aead_id id)
{
	const char *detail;
	const struct tg_aead_ops *found = find(impl, &detail);

	return found ? &found[id] : NULL;
}
