/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/device/switch.h"

#include <errno.h>
#include <stdlib.h>
#include <syslog.h>

#include "src/device/door.h"
#include "src/device/mc.h"
#include "src/device/say.h"
#include "src/device/store.h"

#define PAGE_BYTES 4096u

int ddfs_switch_init(struct ddfs_switch *sw, uint64_t size_bytes)
{
	sw->nr_chunks = (size_bytes >> DDFS_SWITCH_SHIFT) + 1;
	sw->chunks = calloc((sw->nr_chunks + 63) / 64, sizeof(*sw->chunks));
	return sw->chunks ? 0 : -ENOMEM;
}

void ddfs_switch_fini(struct ddfs_switch *sw)
{
	free((void *)sw->chunks);
}

void ddfs_switch_note(struct ddfs_switch *sw, uint64_t off, size_t len)
{
	for (uint64_t c = off >> DDFS_SWITCH_SHIFT; c <= (off + len - 1) >> DDFS_SWITCH_SHIFT;
		c++) {
		_Atomic uint64_t *word = &sw->chunks[c / 64];
		uint64_t bit = UINT64_C(1) << c % 64;

		/* They are set once, and looked at by each store: do not take the line away. */
		if (!(atomic_load_explicit(word, memory_order_relaxed) & bit))
			atomic_fetch_or(word, bit);
	}
}

/* ---- flushing what was not ------------------------------------------------------------------ */

static void note_used(void *arg, uint64_t off, uint64_t len)
{
	struct ddfs_door *door = arg;
	uint64_t room = off < door->media.size ? door->media.size - off : 0;

	if (len > room)
		len = room;
	if (len)
		ddfs_switch_note(&door->sw, off, len);
}

/* A flush instruction may fault on a page that the kernel knows to be bad, as a load does; what was
 * there is lost already. */
static void flush_range(struct ddfs_door *door, uint64_t off, uint64_t len)
{
	uint64_t end = off + len < door->media.size ? off + len : door->media.size;

	while (off < end) {
		uint64_t good = end - off - ddfs_probe_mc(door->media.base + off, end - off);

		door->flushed.flush(door->writable + off, good);
		atomic_fetch_add_explicit(&door->sw.lines_flushed,
			(good + DDFS_LINE_BYTES - 1) / DDFS_LINE_BYTES, memory_order_relaxed);
		off += good;
		if (off < end)
			off = (off / PAGE_BYTES + 1) * PAGE_BYTES;
	}
}

static int flush_noted(void *arg)
{
	struct ddfs_door *door = arg;

	for (uint64_t c = 0; c < door->sw.nr_chunks; c++)
		if (atomic_load(&door->sw.chunks[c / 64]) & UINT64_C(1) << c % 64)
			flush_range(door, c << DDFS_SWITCH_SHIFT, UINT64_C(1) << DDFS_SWITCH_SHIFT);
	door->flushed.drain();
	return 0;
}

void ddfs_switch_catch_up(struct ddfs_door *door)
{
	if (ddfs_door_policy(door) == DDFS_POLICY_MEMORY_CONTROLLER)
		ddfs_turn_take(&door->catch_ups, flush_noted, door);
}

/* ---- the switch ----------------------------------------------------------------------------- */

static int check(const struct ddfs_door *door, const struct ddfs_source *src,
	enum ddfs_policy policy, const struct ddfs_listener *to)
{
	if (door->media.readonly) {
		ddfs_say(to, LOG_ERR, "%s: nothing is stored to it, it is open read-only",
			src->path);
		return -EROFS;
	}
	if (door->file_fd < 0 || policy == DDFS_POLICY_PAGE || policy == DDFS_POLICY_NONE)
		return 0;
	ddfs_say(to, LOG_ERR,
		"%s: an image on a disk lies in the page cache, behind which no flush of a line "
		"reaches: while it is mounted only auto and none can be set",
		src->path);
	return -EOPNOTSUPP;
}

/* All that was stored in earlier mounts, by clients, and through the door: of the last some may be
 * in blocks that are not in use yet. */
static int flush_all(struct ddfs_door *door)
{
	if (door->sw.used)
		door->sw.used(door->sw.used_arg, note_used, door);
	else
		note_used(door, 0, door->media.size);
	return ddfs_turn_take(&door->catch_ups, flush_noted, door);
}

/* The policy is changed first and the generation second: a thread that has seen the generation
 * stores by the policy. */
static int become(struct ddfs_door *door, enum ddfs_policy policy)
{
	atomic_store(&door->policy, policy);
	atomic_fetch_add_explicit(&door->generation, 1, memory_order_release);
	switch (policy) {
	case DDFS_POLICY_MEMORY_CONTROLLER:
		return flush_all(door);
	case DDFS_POLICY_PAGE:
		return ddfs_door_sync_file(door);
	default:
		return 0;
	}
}

int ddfs_switch_policy(struct ddfs_door *door, const struct ddfs_source *src,
	enum ddfs_persistence wanted, const struct ddfs_listener *to)
{
	enum ddfs_policy policy =
		ddfs_policy_choose(src, door->granularity, door->in_memory, wanted, to);
	int ret = check(door, src, policy, to);

	if (ret || policy == ddfs_door_policy(door))
		return ret;
	return become(door, policy);
}
