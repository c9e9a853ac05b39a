/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/device/store.h"

#include <string.h>

#include "src/device/door.h"
#include "src/device/switch.h"

/*
 * By size, in bytes. Where lines are flushed, streaming past the cache is best as soon as there is
 * a whole line (100 ns against 160), and libpmem2's functions do all of it. Where they may stay in
 * the cache: first the compiler's memcpy, which keeps aligned words whole as long as it does not
 * resort to "rep movsb"; then libpmem2's; then "rep movsq" (340 ns against 410 for 8 KiB); and
 * streaming from where the cache overflows. tests/bench/store.c measures them.
 */
#define SMALL_BYTES	    512
#define REP_BYTES	    1024
#define STREAM_BYTES	    64
#define STREAM_BYTES_ELIDED 16384

/*
 * What this thread has stored since its last fence. It is the thread's and not the door's: a
 * thread drains its own stores only, a fence with nothing before it is none, callers need not know
 * whether they stored, and nothing has to be undone when a thread ends.
 *
 * A last line that is not full is not flushed at once: what is stored next is often its rest (a
 * record of the log, what is behind a file's end), and a line is to be flushed once.
 */
struct interval {
	struct ddfs_door *door;	 /* NULL: nothing stored; &several: to more than one */
	uint64_t line;		 /* that is open: stored to and counted, not flushed yet */
	unsigned int generation; /* of the door's policy, or older, when it began */
};
#define NO_LINE UINT64_MAX /* none is open; it is in no range */
static struct ddfs_door several;
static _Thread_local struct interval interval = { .line = NO_LINE };

/*
 * What few stores need, kept out of the function that all of them execute. A fence waits for each
 * store since the last one, and loads wait for it: 24 of either, as it takes to save registers for
 * a few calls, cost 6 ns, which is the copy of a line that stays in the cache.
 */
#define RARE __attribute__((noinline, cold))

static inline struct ddfs_door *door_of(struct ddfs_media *m)
{
	return (struct ddfs_door *)m;
}

/* The place where this thread counts; the last one is for all who came too late for their own. The
 * numbers are the process's, since a thread stores through whatever doors there are; they are given
 * once, to threads that live about as long as it does. */
#define SHARED_SHARD (DDFS_STORE_SHARDS - 1)
static atomic_uint nr_shards_taken;
static _Thread_local unsigned int shard_number; /* plus 1; 0: none yet */

RARE static void take_shard(void)
{
	unsigned int n = atomic_fetch_add(&nr_shards_taken, 1);

	shard_number = (n < SHARED_SHARD ? n : SHARED_SHARD) + 1;
}

static inline struct ddfs_store_counts *counts_of(struct ddfs_door *door)
{
	if (!shard_number)
		take_shard();
	return &door->counts[shard_number - 1];
}

RARE static void count_shared(atomic_ullong *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Not to be called between a store and its fence: a load waits there for every store that goes to
 * the same place of another page, which may take 50 ns. */
static inline void count(struct ddfs_door *door, atomic_ullong *counter, uint64_t n)
{
	if (counter >= &door->counts[SHARED_SHARD].bytes_stored) /* one of that */
		count_shared(counter, n);
	else /* nobody else writes it */
		atomic_store_explicit(counter,
			atomic_load_explicit(counter, memory_order_relaxed) + n,
			memory_order_relaxed);
}

void ddfs_store_sum(struct ddfs_door *door)
{
	uint64_t bytes = 0, flushed = atomic_load(&door->sw.lines_flushed), elided = 0, fences = 0;
	struct ddfs_media_stats *stats = &door->media.stats;

	for (unsigned int i = 0; i < DDFS_STORE_SHARDS; i++) {
		bytes += atomic_load(&door->counts[i].bytes_stored);
		flushed += atomic_load(&door->counts[i].lines_flushed);
		elided += atomic_load(&door->counts[i].lines_elided);
		fences += atomic_load(&door->counts[i].fences);
	}
	atomic_store(&stats->bytes_stored, bytes);
	atomic_store(&stats->lines_flushed, flushed);
	atomic_store(&stats->lines_elided, elided);
	atomic_store(&stats->fences, fences);
}

static inline bool is_flushed(const struct ddfs_door *door)
{
	return ddfs_door_policy(door) == DDFS_POLICY_MEMORY_CONTROLLER;
}

RARE static void note_chunks(struct ddfs_switch *sw, uint64_t off, size_t len)
{
	ddfs_switch_note(sw, off, len);
}

static inline void note_unflushed(struct ddfs_door *door, uint64_t off, size_t len)
{
	if (!ddfs_switch_is_noted(&door->sw, off, len))
		note_chunks(&door->sw, off, len);
}

RARE static void end_line(struct ddfs_door *door, uint64_t off)
{
	if (is_flushed(door))
		door->flushed.flush(door->writable + off, DDFS_LINE_BYTES);
	else /* it may have been stored when lines were flushed still */
		note_unflushed(door, off, DDFS_LINE_BYTES);
}

static inline void close_line(void)
{
	uint64_t line = interval.line;

	if (line == NO_LINE)
		return;
	/* First: the flush may fault, and then it is not to be tried for ever. */
	interval.line = NO_LINE;
	end_line(interval.door, line * DDFS_LINE_BYTES);
}

RARE static void note_several(void)
{
	close_line();
	interval.door = &several;
	interval.generation = 0;
}

/* The generation is read before the policy is: whoever sees a new one stores by the new policy. */
static inline void note_store(struct ddfs_door *door)
{
	if (!interval.door) {
		interval.door = door;
		interval.generation = atomic_load_explicit(&door->generation, memory_order_acquire);
	} else if (interval.door != door && interval.door != &several) {
		note_several();
	}
}

static inline uint64_t first_line(uint64_t off)
{
	return off / DDFS_LINE_BYTES;
}

static inline uint64_t last_line(uint64_t off, size_t len)
{
	return (off + len - 1) / DDFS_LINE_BYTES;
}

/* The open line is one of those of a store. */
static inline bool is_going_on(uint64_t off, size_t len)
{
	uint64_t first = first_line(off);

	return interval.line - first <= last_line(off, len) - first;
}

/* Lines of a store, but for one that is open: that was counted. */
static inline uint64_t new_lines(uint64_t off, size_t len)
{
	return last_line(off, len) - first_line(off) + 1 - is_going_on(off, len);
}

/* Bytes at the end of a store whose line stays open. */
static inline size_t tail_of(const struct ddfs_door *door, uint64_t off, size_t len)
{
	size_t tail = (off + len) % DDFS_LINE_BYTES;

	if (interval.door != door)
		return 0;
	return tail < len ? tail : len;
}

static inline void end_store(uint64_t off, size_t len, size_t tail)
{
	interval.line = tail ? last_line(off, len) : NO_LINE;
}

/* ---- lines that need a flush ---------------------------------------------------------------- */

/* An open line elsewhere is closed. Returns how many bytes at the end are to stay open. */
static inline size_t begin_flushed(struct ddfs_door *door, uint64_t off, size_t len)
{
	if (!is_going_on(off, len))
		close_line();
	return tail_of(door, off, len);
}

static inline unsigned int how_to_store(size_t len, size_t stream)
{
	return PMEM2_F_MEM_NODRAIN |
	       (len < stream ? PMEM2_F_MEM_TEMPORAL : PMEM2_F_MEM_NONTEMPORAL);
}

/* Nothing is open, and nothing stays open: one call is all. */
static inline bool is_whole(uint64_t off, size_t len)
{
	return interval.line == NO_LINE && (off + len) % DDFS_LINE_BYTES == 0;
}

static void copy_in_pieces(struct ddfs_door *door, uint64_t off, const uint8_t *src, size_t len)
{
	size_t tail = begin_flushed(door, off, len), body = len - tail;
	uint8_t *dst = door->writable + off;

	if (body)
		door->flushed.memcpy(dst, src, body, how_to_store(body, STREAM_BYTES));
	if (tail)
		memcpy(dst + body, src + body, tail);
	end_store(off, len, tail);
}

static void set_in_pieces(struct ddfs_door *door, uint64_t off, int c, size_t len)
{
	size_t tail = begin_flushed(door, off, len), body = len - tail;
	uint8_t *dst = door->writable + off;

	if (body)
		door->flushed.memset(dst, c, body, how_to_store(body, STREAM_BYTES));
	if (tail)
		memset(dst + body, c, tail);
	end_store(off, len, tail);
}

static inline void copy_flushed(
	struct ddfs_door *door, uint64_t off, const uint8_t *src, size_t len)
{
	if (is_whole(off, len))
		door->flushed.memcpy(
			door->writable + off, src, len, how_to_store(len, STREAM_BYTES));
	else
		copy_in_pieces(door, off, src, len);
}

static inline void set_flushed(struct ddfs_door *door, uint64_t off, int c, size_t len)
{
	if (is_whole(off, len))
		door->flushed.memset(door->writable + off, c, len, how_to_store(len, STREAM_BYTES));
	else
		set_in_pieces(door, off, c, len);
}

/* ---- lines that need none ------------------------------------------------------------------- */

static inline void begin_elided(struct ddfs_door *door, uint64_t off, size_t len)
{
	close_line();
	note_unflushed(door, off, len);
	end_store(off, len, tail_of(door, off, len));
}

#ifdef __x86_64__
/* Stores aligned words of dst, each at once. */
static void copy_words(uint8_t *dst, const uint8_t *src, size_t len)
{
	size_t head = -(uintptr_t)dst % 8, nr_words = (len - head) / 8, tail = (len - head) % 8;

	memcpy(dst, src, head);
	dst += head;
	src += head;
	__asm__ volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(nr_words) : : "memory");
	memcpy(dst, src, tail);
}
#define HAS_COPY_WORDS true
#else
static void copy_words(uint8_t *dst, const uint8_t *src, size_t len)
{
	memcpy(dst, src, len);
}
#define HAS_COPY_WORDS false
#endif

static void copy_large(struct ddfs_door *door, uint64_t off, const uint8_t *src, size_t len)
{
	uint8_t *dst = door->writable + off;

	if (HAS_COPY_WORDS && len >= REP_BYTES && len < STREAM_BYTES_ELIDED)
		copy_words(dst, src, len);
	else
		door->elided.memcpy(dst, src, len, how_to_store(len, STREAM_BYTES_ELIDED));
}

static inline void copy_elided(struct ddfs_door *door, uint64_t off, const uint8_t *src, size_t len)
{
	begin_elided(door, off, len);
	if (len < SMALL_BYTES)
		memcpy(door->writable + off, src, len);
	else
		copy_large(door, off, src, len);
}

static inline void set_elided(struct ddfs_door *door, uint64_t off, int c, size_t len)
{
	begin_elided(door, off, len);
	if (len < SMALL_BYTES)
		memset(door->writable + off, c, len);
	else
		door->elided.memset(
			door->writable + off, c, len, how_to_store(len, STREAM_BYTES_ELIDED));
}

/* ---- either --------------------------------------------------------------------------------- */

/* bytes: 0 if they were stored by somebody else. Returns whether the lines are to be flushed. */
static inline bool begin_store(struct ddfs_door *door, uint64_t off, size_t len, size_t bytes)
{
	struct ddfs_store_counts *counts = counts_of(door);
	bool flushed;

	note_store(door);
	flushed = is_flushed(door);
	count(door, &counts->bytes_stored, bytes);
	count(door, flushed ? &counts->lines_flushed : &counts->lines_elided, new_lines(off, len));
	return flushed;
}

void ddfs_store_copy(struct ddfs_media *m, uint64_t off, const void *src, size_t len)
{
	struct ddfs_door *door = door_of(m);

	if (!len)
		return;
	if (begin_store(door, off, len, len))
		copy_flushed(door, off, src, len);
	else
		copy_elided(door, off, src, len);
}

void ddfs_store_set(struct ddfs_media *m, uint64_t off, int c, size_t len)
{
	struct ddfs_door *door = door_of(m);

	if (!len)
		return;
	if (begin_store(door, off, len, len))
		set_flushed(door, off, c, len);
	else
		set_elided(door, off, c, len);
}

void ddfs_store_flush(struct ddfs_media *m, uint64_t off, size_t len)
{
	struct ddfs_door *door = door_of(m);

	if (!len)
		return;
	if (begin_store(door, off, len, 0)) {
		begin_flushed(door, off, len);
		door->flushed.flush(door->writable + off, len);
	} else {
		begin_elided(door, off, len);
	}
	interval.line = NO_LINE;
}

/* ---- fences --------------------------------------------------------------------------------- */

/* libpmem2's drain, without the way there: that is half as long as the fence itself. */
static inline void fence(const struct ddfs_door *door)
{
#ifdef __x86_64__
	(void)door;
	__builtin_ia32_sfence();
#else
	door->flushed.drain();
#endif
}

static int sync_file(void *arg)
{
	const struct ddfs_door *door = arg;

	return ddfs_door_sync_file(door);
}

/* One fdatasync for everybody who waits beats a msync of each one's ranges: on ext4 0.1 ms however
 * many pages, against 0.13 ms a page. */
int ddfs_store_drain(struct ddfs_media *m)
{
	struct ddfs_door *door = door_of(m);

	if (interval.door != door && interval.door != &several)
		return 0;
	close_line();
	fence(door);
	count(door, &counts_of(door)->fences, 1);
	if (interval.door == door)
		interval.door = NULL;
	if (interval.generation != atomic_load_explicit(&door->generation, memory_order_acquire))
		ddfs_switch_catch_up(door);
	if (ddfs_door_policy(door) == DDFS_POLICY_PAGE)
		return ddfs_turn_take(&door->syncs, sync_file, door);
	return 0;
}

void ddfs_store_forget(const struct ddfs_door *door)
{
	if (interval.door == door)
		interval = (struct interval){ .line = NO_LINE };
}
