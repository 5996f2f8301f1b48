/* The ring between a worker and the sink: one producer, one consumer, no lock. Each side keeps its
 * index and its last look at the other's in a cache line of its own, so a line moves between the
 * cores only when one side has run out. */
#include <stdlib.h>
#include <sys/mman.h>

#include <tidegate/log.h>

struct tg_log_ring {
	struct {
		uint32_t head;      /* next to write; the consumer reads it */
		uint32_t seen_tail; /* the consumer's index when last looked at */
	} producer __attribute__((aligned(64)));
	struct {
		uint32_t tail;
		uint32_t seen_head;
	} consumer __attribute__((aligned(64)));
	uint32_t mask __attribute__((aligned(64)));
	size_t bytes;
	struct tg_log_record *records;
};

struct tg_log_ring *tg_log_ring_create(uint32_t capacity)
{
	struct tg_log_ring *r = aligned_alloc(64, sizeof(*r));
	uint32_t n = 2;

	if (!r)
		return NULL;
	while (n < capacity && n < 1u << 30)
		n *= 2;
	memset(r, 0, sizeof(*r));
	r->mask = n - 1;
	r->bytes = (size_t)n * sizeof(*r->records);
	/* Mapped rather than allocated: pages of a ring that never fills are never touched. */
	r->records = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->records == MAP_FAILED) {
		free(r);
		return NULL;
	}
	return r;
}

void tg_log_ring_destroy(struct tg_log_ring *r)
{
	if (!r)
		return;
	munmap(r->records, r->bytes);
	free(r);
}

struct tg_log_record *tg_log_reserve(struct tg_log_ring *r)
{
	uint32_t head = r->producer.head;

	if (tg_unlikely(head - r->producer.seen_tail > r->mask)) {
		r->producer.seen_tail = __atomic_load_n(&r->consumer.tail, __ATOMIC_ACQUIRE);
		if (head - r->producer.seen_tail > r->mask)
			return NULL;
	}
	return &r->records[head & r->mask];
}

void tg_log_commit(struct tg_log_ring *r)
{
	__atomic_store_n(&r->producer.head, r->producer.head + 1, __ATOMIC_RELEASE);
}

const struct tg_log_record *tg_log_peek(struct tg_log_ring *r)
{
	uint32_t tail = r->consumer.tail;

	if (tail == r->consumer.seen_head) {
		r->consumer.seen_head = __atomic_load_n(&r->producer.head, __ATOMIC_ACQUIRE);
		if (tail == r->consumer.seen_head)
			return NULL;
	}
	return &r->records[tail & r->mask];
}

void tg_log_release(struct tg_log_ring *r)
{
	__atomic_store_n(&r->consumer.tail, r->consumer.tail + 1, __ATOMIC_RELEASE);
}

uint32_t tg_log_ring_size(const struct tg_log_ring *r)
{
	return r->mask + 1;
}

uint32_t tg_log_ring_used(const struct tg_log_ring *r)
{
	uint32_t tail = __atomic_load_n(&r->consumer.tail, __ATOMIC_RELAXED);

	/* The producer may be ahead of what this reads, never behind: at most a full ring. */
	return (__atomic_load_n(&r->producer.head, __ATOMIC_RELAXED) - tail) % (2 * (r->mask + 1));
}
