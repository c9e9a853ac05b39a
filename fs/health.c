/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/health.h"

#include <string.h>

#include "fs/core.h"
#include "fs/super.h"

static bool same_boot(const struct ddfs_super *s)
{
	uint8_t now[16];

	ddfs_boot_id(now);
	return memcmp(now, s->owner_boot_id, sizeof(now)) == 0;
}

static bool same_device(const struct ddfs_super *s, const struct ddfs_health *now)
{
	return strncmp((const char *)s->device_id, now->id, sizeof(s->device_id)) == 0;
}

void ddfs_health_look(struct ddfs_fs *fs)
{
	const struct ddfs_super *s = &fs->super;
	const struct ddfs_health *now = &fs->opt.health;
	struct ddfs_recovery *r = &fs->recovery;
	uint64_t before = ddfs_le64(s->unsafe_shutdowns);

	if (!r->was_clean)
		r->end = same_boot(s) ? DDFS_END_DAEMON : DDFS_END_MACHINE;
	/* A count of another device says nothing of this one. */
	if (ddfs_le32(s->has_health) != 1 || !now->id[0])
		return;
	r->moved = !same_device(s, now);
	memcpy(r->moved_from, s->device_id, sizeof(r->moved_from));
	if (!r->moved && now->unsafe_shutdowns > before)
		r->nr_unsafe_shutdowns = now->unsafe_shutdowns - before;
	if (r->nr_unsafe_shutdowns && r->end == DDFS_END_MACHINE)
		r->end = DDFS_END_UNSAFE;
}

static void report_moved(struct ddfs_fs *fs)
{
	ddfs_log(fs, LOG_NOTICE,
		"the filesystem was moved: it is on device %s now and was on %.*s when last "
		"mounted",
		fs->opt.health.id, (int)sizeof(fs->recovery.moved_from),
		(const char *)fs->recovery.moved_from);
}

static const char *end_words(enum ddfs_end end)
{
	switch (end) {
	case DDFS_END_DAEMON:
		return "the daemon ended while it was mounted, nothing that was written is lost";
	case DDFS_END_UNSAFE:
		return "power was lost while it was mounted and the device counts that as unsafe: "
		       "what was written and not fsynced may be lost";
	default:
		return "the machine went down while it was mounted";
	}
}

static void report_end(struct ddfs_fs *fs)
{
	const struct ddfs_recovery *r = &fs->recovery;

	ddfs_log(fs, r->end == DDFS_END_UNSAFE ? LOG_WARNING : LOG_NOTICE,
		"the filesystem was not unmounted: %s; recovered: %u transactions finished, %llu "
		"unlinked files freed",
		end_words(r->end), r->nr_lanes_replayed, (unsigned long long)r->nr_orphans_freed);
}

void ddfs_health_report(struct ddfs_fs *fs)
{
	const struct ddfs_recovery *r = &fs->recovery;

	if (r->moved)
		report_moved(fs);
	if (r->end != DDFS_END_CLEAN)
		report_end(fs);
	if (r->nr_unsafe_shutdowns)
		ddfs_log(fs, LOG_NOTICE,
			"the device counts %llu unsafe shutdowns since the last mount, %llu in "
			"all%s",
			(unsigned long long)r->nr_unsafe_shutdowns,
			(unsigned long long)fs->opt.health.unsafe_shutdowns,
			r->end == DDFS_END_CLEAN ? "; the filesystem was not mounted then" : "");
}

void ddfs_health_record(const struct ddfs_fs *fs, struct ddfs_super *s)
{
	const struct ddfs_health *now = &fs->opt.health;

	s->has_health = ddfs_to32(now->id[0] != '\0');
	s->unsafe_shutdowns = ddfs_to64(now->unsafe_shutdowns);
	memset(s->device_id, 0, sizeof(s->device_id));
	memcpy(s->device_id, now->id, strnlen(now->id, sizeof(s->device_id)));
}
