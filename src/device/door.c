/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <syslog.h>
#include <unistd.h>

#include "src/device/door.h"
#include "src/device/map.h"
#include "src/device/say.h"

#define LINE_BYTES UINT64_C(64)

/* Where nothing is flushed: below the first the compiler's memcpy is faster than libpmem2's (5 ns
 * against 8); from the second on streaming beats storing through the cache, 230 ns against 420
 * for 4 KiB that is not in it. In between libpmem2 keeps aligned words whole, which
 * memcpy's "rep movsb" does not promise. With flushes libpmem2's own choice is best throughout. */
#define SMALL_BYTES  256
#define STREAM_BYTES 4096

static struct ddfs_door *door_of(struct ddfs_media *m)
{
	return (struct ddfs_door *)m;
}

static void count(atomic_ullong *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/*
 * The media that this thread has stored to since its last fence there; `several` if that is more
 * than one. A thread drains its own stores only, so a fence with nothing before it is none, and
 * callers need not know whether they stored. The one thing here that is not in struct ddfs_door:
 * it belongs to the thread, and nothing has to be undone when a thread ends.
 */
static const struct ddfs_media several;
static _Thread_local const struct ddfs_media *undrained;

static void note_store(const struct ddfs_media *m)
{
	if (undrained != m)
		undrained = undrained ? &several : m;
}

/* Whether there is anything for a fence to wait for; the caller then makes it. */
static bool take_stores(const struct ddfs_media *m)
{
	if (undrained == &several)
		return true;
	if (undrained != m)
		return false;
	undrained = NULL;
	return true;
}

static uint64_t nr_lines(uint64_t off, size_t len)
{
	return len ? (off + len - 1) / LINE_BYTES - off / LINE_BYTES + 1 : 0;
}

/* ---- lines that need a flush ---------------------------------------------------------------- */

static void copy_flushed(struct ddfs_media *m, uint64_t off, const void *src, size_t len)
{
	struct ddfs_door *door = door_of(m);

	note_store(m);
	door->memcpy_fn(door->writable + off, src, len, PMEM2_F_MEM_NODRAIN);
	count(&m->stats.bytes_stored, len);
	count(&m->stats.lines_flushed, nr_lines(off, len));
}

static void set_flushed(struct ddfs_media *m, uint64_t off, int c, size_t len)
{
	struct ddfs_door *door = door_of(m);

	note_store(m);
	door->memset_fn(door->writable + off, c, len, PMEM2_F_MEM_NODRAIN);
	count(&m->stats.bytes_stored, len);
	count(&m->stats.lines_flushed, nr_lines(off, len));
}

static void flush_flushed(struct ddfs_media *m, uint64_t off, size_t len)
{
	struct ddfs_door *door = door_of(m);

	note_store(m);
	door->flush_fn(door->writable + off, len);
	count(&m->stats.lines_flushed, nr_lines(off, len));
}

/* ---- lines that need none ------------------------------------------------------------------- */

static unsigned int how_to_store(size_t len)
{
	return PMEM2_F_MEM_NODRAIN |
	       (len < STREAM_BYTES ? PMEM2_F_MEM_TEMPORAL : PMEM2_F_MEM_NONTEMPORAL);
}

static void copy_elided(struct ddfs_media *m, uint64_t off, const void *src, size_t len)
{
	struct ddfs_door *door = door_of(m);

	note_store(m);
	if (len < SMALL_BYTES)
		memcpy(door->writable + off, src, len);
	else
		door->memcpy_fn(door->writable + off, src, len, how_to_store(len));
	count(&m->stats.bytes_stored, len);
	count(&m->stats.lines_elided, nr_lines(off, len));
}

static void set_elided(struct ddfs_media *m, uint64_t off, int c, size_t len)
{
	struct ddfs_door *door = door_of(m);

	note_store(m);
	if (len < SMALL_BYTES)
		memset(door->writable + off, c, len);
	else
		door->memset_fn(door->writable + off, c, len, how_to_store(len));
	count(&m->stats.bytes_stored, len);
	count(&m->stats.lines_elided, nr_lines(off, len));
}

static void flush_elided(struct ddfs_media *m, uint64_t off, size_t len)
{
	note_store(m);
	count(&m->stats.lines_elided, nr_lines(off, len));
}

/* ---- fences --------------------------------------------------------------------------------- */

static int drain_fence(struct ddfs_media *m)
{
	if (!take_stores(m))
		return 0;
	door_of(m)->drain_fn();
	count(&m->stats.fences, 1);
	return 0;
}

static int sync_file(void *arg)
{
	const struct ddfs_door *door = arg;

	return fdatasync(door->file_fd) ? -EIO : 0;
}

/* One fdatasync for everybody who waits beats a msync of each one's ranges: on ext4 0.1 ms however
 * many pages, against 0.13 ms a page. */
static int drain_page(struct ddfs_media *m)
{
	struct ddfs_door *door = door_of(m);

	if (!take_stores(m))
		return 0;
	door->drain_fn();
	count(&m->stats.fences, 1);
	return ddfs_turn_take(&door->syncs, sync_file, door);
}

/* ---- deep flush ----------------------------------------------------------------------------- */

static int deep_flush_once(void *arg)
{
	struct ddfs_door *door = arg;

	count(&door->media.stats.deep_flushes, 1);
	if (door->file_fd >= 0)
		return ddfs_turn_take(&door->syncs, sync_file, door);
	if (door->hint_fd >= 0 && pwrite(door->hint_fd, "1", 1, 0) != 1)
		return -EIO;
	return 0;
}

static int deep_flush(struct ddfs_media *m)
{
	struct ddfs_door *door = door_of(m);

	return ddfs_turn_take(&door->deeps, deep_flush_once, door);
}

/* ---- scratch -------------------------------------------------------------------------------- */

static void *scratch(struct ddfs_media *m, uint64_t off, size_t len)
{
	(void)len;
	return door_of(m)->writable + off;
}

/* ---- opening -------------------------------------------------------------------------------- */

static const struct ddfs_media_ops flushed_ops = {
	.copy = copy_flushed,
	.set = set_flushed,
	.flush = flush_flushed,
	.drain = drain_fence,
	.deep_flush = deep_flush,
	.scratch = scratch,
};

static const struct ddfs_media_ops elided_ops = {
	.copy = copy_elided,
	.set = set_elided,
	.flush = flush_elided,
	.drain = drain_fence,
	.deep_flush = deep_flush,
	.scratch = scratch,
};

static const struct ddfs_media_ops page_ops = {
	.copy = copy_elided,
	.set = set_elided,
	.flush = flush_elided,
	.drain = drain_page,
	.deep_flush = deep_flush,
	.scratch = scratch,
};

static const struct ddfs_media_ops *policy_ops(enum ddfs_policy policy)
{
	switch (policy) {
	case DDFS_POLICY_MEMORY_CONTROLLER:
		return &flushed_ops;
	case DDFS_POLICY_PAGE:
		return &page_ops;
	default:
		return &elided_ops;
	}
}

static bool is_in_memory(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st))
		return false;
	return st.f_type == TMPFS_MAGIC || st.f_type == RAMFS_MAGIC || st.f_type == HUGETLBFS_MAGIC;
}

/* The attribute reads "1" if the region has flush hints, and writing it flushes. It is kept open:
 * pmem2_deep_flush would look the region up anew each time, which takes milliseconds. */
static int open_hints(const struct ddfs_source *src, const struct ddfs_listener *to)
{
	char path[96], has_hints = '0';
	int fd;

	if (!src->region_name[0])
		return -1;
	snprintf(path, sizeof(path), "/sys/bus/nd/devices/%s/deep_flush", src->region_name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (pread(fd, &has_hints, 1, 0) != 1)
		has_hints = '0';
	close(fd);
	if (has_hints != '1')
		return -1;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		ddfs_say(to, LOG_WARNING,
			"%s: %s: fsync cannot use the flush hints of %s; run as root", path,
			strerror(errno), src->region_name);
	return fd;
}

static int map_writable(struct ddfs_door *door, struct ddfs_map *map, const struct ddfs_source *src,
	const struct ddfs_listener *to)
{
	int ret = ddfs_map_writable(map, src,
		door->policy == DDFS_POLICY_MEMORY_CONTROLLER ? PMEM2_GRANULARITY_CACHE_LINE
							      : PMEM2_GRANULARITY_BYTE,
		to);

	if (ret)
		return ret;
	door->writable = pmem2_map_get_address(map->writable);
	door->memcpy_fn = pmem2_get_memcpy_fn(map->writable);
	door->memset_fn = pmem2_get_memset_fn(map->writable);
	door->flush_fn = pmem2_get_flush_fn(map->writable);
	door->drain_fn = pmem2_get_drain_fn(map->writable);
	return 0;
}

void ddfs_door_init_readonly(
	struct ddfs_door *door, const struct ddfs_map *map, const struct ddfs_source *src)
{
	*door = (struct ddfs_door){
		.media = {
			.base = pmem2_map_get_address(map->readable),
			.size = src->size_bytes,
			.align_bytes = src->align_bytes,
			.readonly = true,
		},
		.policy = DDFS_POLICY_NONE,
		.file_fd = -1,
		.hint_fd = -1,
	};
	ddfs_turn_init(&door->syncs);
	ddfs_turn_init(&door->deeps);
}

int ddfs_door_init(struct ddfs_door *door, int fd, struct ddfs_map *map,
	const struct ddfs_source *src, enum ddfs_persistence wanted, const struct ddfs_listener *to)
{
	bool in_memory = src->kind == DDFS_SOURCE_IMAGE && is_in_memory(fd);
	int ret;

	ddfs_door_init_readonly(door, map, src);
	door->policy = ddfs_policy_choose(
		src, pmem2_map_get_store_granularity(map->readable), in_memory, wanted, to);
	ret = map_writable(door, map, src, to);
	if (ret) {
		ddfs_door_fini(door);
		return ret;
	}
	door->media.ops = policy_ops(door->policy);
	door->media.readonly = false;
	if (src->kind == DDFS_SOURCE_DEVDAX)
		door->hint_fd = open_hints(src, to);
	else if (!in_memory)
		door->file_fd = fd;
	return 0;
}

void ddfs_door_fini(struct ddfs_door *door)
{
	if (door->hint_fd >= 0)
		close(door->hint_fd);
	ddfs_turn_fini(&door->deeps);
	ddfs_turn_fini(&door->syncs);
}
