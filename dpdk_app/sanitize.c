/* sanitize.c: only in builds with -Dsanitize. libxdp (1.3) does not free an object of 80 bytes for
 * each AF_XDP socket; that must not hide what we leak. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libxdp.so\n";
}
