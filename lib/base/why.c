#include <tidegate/why.h>

static const struct {
	const char *name, *text;
	enum tg_why_class cls;
} whys[TG_WHY_MAX] = {
#define X(name, cls, text) [TG_WHY_##name] = {#name, text, TG_WHY_##cls},
	TG_WHY_LIST(X)
#undef X
};

const char *tg_why_name(enum tg_why w)
{
	return (unsigned int)w < TG_WHY_MAX ? whys[w].name : "unknown";
}

const char *tg_why_text(enum tg_why w)
{
	return (unsigned int)w < TG_WHY_MAX ? whys[w].text : "unknown reason";
}

enum tg_why_class tg_why_class(enum tg_why w)
{
	return whys[w].cls;
}
