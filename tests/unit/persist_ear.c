/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/persist_ear.h"

#include <errno.h>

#include "src/device/door.h"

#define LINE_BYTES UINT64_C(64)

static struct persist_ear *listening;
static struct ddfs_map_functions real; /* what the door flushes with */

static struct persist_ear *ear_of(struct ddfs_media *m)
{
	return (struct persist_ear *)m;
}

static void note(struct persist_ear *ear, uint8_t *counts, uint64_t off, size_t len)
{
	for (uint64_t l = off / LINE_BYTES; len && l <= (off + len - 1) / LINE_BYTES; l++) {
		if (!ear->stored[l] && !ear->flushed[l])
			ear->lines[ear->nr_lines++] = l;
		if (counts[l] < UINT8_MAX)
			counts[l]++;
	}
}

/* A fence: what was stored until now has been flushed. */
static void settle(struct persist_ear *ear)
{
	for (uint64_t i = 0; i < ear->nr_lines; i++) {
		uint64_t l = ear->lines[i];
		bool wrong = ear->flushed[l] != (ear->stored[l] && ear->flushes);

		ear->nr_stored += ear->stored[l] != 0;
		ear->nr_wrong += wrong;
		if (wrong && ear->talk)
			fprintf(stderr, "line at %#llx: stored %u times, flushed %u times\n",
				(unsigned long long)(l * LINE_BYTES), ear->stored[l],
				ear->flushed[l]);
		ear->stored[l] = ear->flushed[l] = 0;
	}
	ear->nr_lines = 0;
}

/* ---- in front of the door ------------------------------------------------------------------- */

static void ear_copy(struct ddfs_media *m, uint64_t off, const void *src, size_t len)
{
	note(ear_of(m), ear_of(m)->stored, off, len);
	ear_of(m)->door->ops->copy(ear_of(m)->door, off, src, len);
}

static void ear_set(struct ddfs_media *m, uint64_t off, int c, size_t len)
{
	note(ear_of(m), ear_of(m)->stored, off, len);
	ear_of(m)->door->ops->set(ear_of(m)->door, off, c, len);
}

/* Somebody else has stored to all of it, as far as the door can know. */
static void ear_flush(struct ddfs_media *m, uint64_t off, size_t len)
{
	note(ear_of(m), ear_of(m)->stored, off, len);
	ear_of(m)->door->ops->flush(ear_of(m)->door, off, len);
}

static int ear_drain(struct ddfs_media *m)
{
	int ret = ear_of(m)->door->ops->drain(ear_of(m)->door);

	settle(ear_of(m));
	return ret;
}

static int ear_deep_flush(struct ddfs_media *m, enum ddfs_sync_cause cause)
{
	return ear_of(m)->door->ops->deep_flush(ear_of(m)->door, cause);
}

static size_t ear_copy_out(struct ddfs_media *m, void *dst, uint64_t off, size_t len)
{
	return ear_of(m)->door->ops->copy_out(ear_of(m)->door, dst, off, len);
}

static size_t ear_probe(struct ddfs_media *m, uint64_t off, size_t len)
{
	return ear_of(m)->door->ops->probe(ear_of(m)->door, off, len);
}

static int ear_clear_poison(struct ddfs_media *m, uint64_t off, size_t len)
{
	(void)m;
	(void)off;
	(void)len;
	return -EOPNOTSUPP;
}

static int ear_bad_ranges(
	struct ddfs_media *m, void (*found)(void *arg, uint64_t off, uint64_t len), void *arg)
{
	(void)m;
	(void)found;
	(void)arg;
	return -EOPNOTSUPP;
}

static void *ear_scratch(struct ddfs_media *m, uint64_t off, size_t len)
{
	return ear_of(m)->door->ops->scratch(ear_of(m)->door, off, len);
}

static const struct ddfs_media_ops ear_ops = {
	.copy = ear_copy,
	.set = ear_set,
	.flush = ear_flush,
	.drain = ear_drain,
	.deep_flush = ear_deep_flush,
	.copy_out = ear_copy_out,
	.probe = ear_probe,
	.clear_poison = ear_clear_poison,
	.bad_ranges = ear_bad_ranges,
	.scratch = ear_scratch,
};

/* ---- behind it ------------------------------------------------------------------------------ */

static void note_flushed(const void *at, size_t len)
{
	const struct ddfs_door *door = (const struct ddfs_door *)listening->door;

	note(listening, listening->flushed, (uint64_t)((const uint8_t *)at - door->writable), len);
}

static void *spy_memcpy(void *dst, const void *src, size_t len, unsigned int flags)
{
	if (!(flags & PMEM2_F_MEM_NOFLUSH))
		note_flushed(dst, len);
	return real.memcpy(dst, src, len, flags);
}

static void *spy_memset(void *dst, int c, size_t len, unsigned int flags)
{
	if (!(flags & PMEM2_F_MEM_NOFLUSH))
		note_flushed(dst, len);
	return real.memset(dst, c, len, flags);
}

static void spy_flush(const void *at, size_t len)
{
	note_flushed(at, len);
	real.flush(at, len);
}

static void spy_on(struct persist_ear *ear)
{
	struct ddfs_door *door = (struct ddfs_door *)ear->door;

	listening = ear;
	real = door->flushed;
	door->flushed.memcpy = spy_memcpy;
	door->flushed.memset = spy_memset;
	door->flushed.flush = spy_flush;
}

void persist_ear_init(struct persist_ear *ear, uint64_t size, enum ddfs_persistence persistence)
{
	const struct ddfs_device_options opt = { .persistence = persistence };

	memset(ear, 0, sizeof(*ear));
	image_make(&ear->image, IN_MEMORY, size);
	ck_assert_int_eq(ddfs_device_open(ear->image.path, &opt, &ear->dev), 0);
	ear->door = ddfs_device_media(ear->dev);
	ear->media.ops = &ear_ops;
	ear->media.base = ear->door->base;
	ear->media.size = ear->door->size;
	ear->media.align_bytes = ear->door->align_bytes;
	ear->flushes = persistence == DDFS_PERSISTENCE_MEMORY_CONTROLLER;
	ear->stored = calloc(1, size / LINE_BYTES);
	ear->flushed = calloc(1, size / LINE_BYTES);
	ear->lines = calloc(8, size / LINE_BYTES);
	ck_assert(ear->stored && ear->flushed && ear->lines);
	spy_on(ear);
}

void persist_ear_fini(struct persist_ear *ear)
{
	ddfs_device_close(ear->dev);
	image_remove(&ear->image);
	free(ear->lines);
	free(ear->flushed);
	free(ear->stored);
}
