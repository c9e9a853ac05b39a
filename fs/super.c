/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/super.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fs/core.h"
#include "fs/mkfs.h"

static const struct ddfs_super *copy_at(const struct ddfs_media *m, uint64_t off)
{
	return (const void *)(m->base + off);
}

static bool is_valid(const struct ddfs_super *s, uint64_t off)
{
	return ddfs_le64(s->magic) == DDFS_SUPER_MAGIC &&
	       ddfs_csum_holds(DDFS_SUPER_SEED, off, s, sizeof(*s));
}

bool ddfs_probe_super(const void *head, struct ddfs_probe *out)
{
	const struct ddfs_super *s = head;

	if (!is_valid(s, DDFS_SUPER_OFF))
		return false;
	memset(out, 0, sizeof(*out));
	memcpy(out->uuid, s->uuid, sizeof(out->uuid));
	memcpy(out->label, s->label, sizeof(s->label));
	out->device_bytes = ddfs_le64(s->device_bytes);
	out->mounted = ddfs_le32(s->state) == DDFS_STATE_MOUNTED;
	out->owner_pid = ddfs_le32(s->owner_pid);
	memcpy(out->boot_id, s->owner_boot_id, sizeof(out->boot_id));
	return true;
}

/* ---- choosing a copy ------------------------------------------------------------------------ */

/* What the first superblock says of itself without being valid, for the message. */
static int say_why(struct ddfs_fs *fs, const struct ddfs_super *s)
{
	if (ddfs_le64(s->magic) != DDFS_SUPER_MAGIC) {
		ddfs_log(fs, LOG_ERR,
			"no devdaxfs here: neither superblock is one (mkfs.devdaxfs "
			"makes a filesystem)");
		return -EUCLEAN;
	}
	ddfs_log(fs, LOG_ERR, "both superblocks are damaged: their checksums fail");
	return -EUCLEAN;
}

static int choose(struct ddfs_fs *fs)
{
	const struct ddfs_super *a = copy_at(fs->media, DDFS_SUPER_OFF), *b = NULL;
	bool a_holds = is_valid(a, DDFS_SUPER_OFF), b_holds;
	uint64_t bytes = fs->media->size & ~(uint64_t)(DDFS_CHUNK_BYTES - 1);
	uint64_t b_off;

	if (fs->media->size < DDFS_MIN_BYTES && !a_holds) {
		ddfs_log(fs, LOG_ERR, "%llu bytes are too few for a devdaxfs",
			(unsigned long long)fs->media->size);
		return -EUCLEAN;
	}
	if (a_holds)
		bytes = ddfs_le64(a->device_bytes);
	if (bytes > fs->media->size) {
		ddfs_log(fs, LOG_ERR,
			"the filesystem is %llu bytes and the device only %llu: it was cut short",
			(unsigned long long)bytes, (unsigned long long)fs->media->size);
		return -EFBIG;
	}
	if (bytes < DDFS_MIN_BYTES)
		return say_why(fs, a);
	b_off = ddfs_super_backup_off(bytes);
	b = copy_at(fs->media, b_off);
	b_holds = is_valid(b, b_off) && ddfs_le64(b->device_bytes) == bytes;
	if (!a_holds && !b_holds)
		return say_why(fs, a);
	if (!a_holds) {
		ddfs_log(fs, LOG_WARNING,
			"the first superblock fails its checksum: using the second");
		fs->recovery.used_backup_super = true;
	} else if (!b_holds) {
		ddfs_log(fs, LOG_WARNING,
			"the second superblock fails its checksum: it will be "
			"written anew");
	}
	fs->super = !a_holds || (b_holds && ddfs_le64(b->seq) > ddfs_le64(a->seq)) ? *b : *a;
	return 0;
}

/* ---- checking it ---------------------------------------------------------------------------- */

int ddfs_super_check_writable(struct ddfs_fs *fs)
{
	uint64_t ro = ddfs_le64(fs->super.feature_ro_compat) & ~DDFS_RO_COMPAT_KNOWN;

	if (!ro)
		return 0;
	ddfs_log(fs, LOG_ERR, "unknown features %#llx: only a read-only mount is possible",
		(unsigned long long)ro);
	return -EOPNOTSUPP;
}

static int check_features(struct ddfs_fs *fs)
{
	uint64_t incompat = ddfs_le64(fs->super.feature_incompat) & ~DDFS_INCOMPAT_KNOWN;

	if (ddfs_le32(fs->super.version) != DDFS_VERSION_MEDIA) {
		ddfs_log(fs, LOG_ERR, "media format version %u; this program knows version %u",
			ddfs_le32(fs->super.version), DDFS_VERSION_MEDIA);
		return -EOPNOTSUPP;
	}
	if (incompat) {
		ddfs_log(fs, LOG_ERR,
			"unknown incompatible features %#llx: a newer devdaxfs is "
			"needed",
			(unsigned long long)incompat);
		return -EOPNOTSUPP;
	}
	return fs->opt.readonly || fs->media->readonly ? 0 : ddfs_super_check_writable(fs);
}

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

static uint64_t chunk_table_end(const struct ddfs_super *s)
{
	uint64_t chunks = ddfs_le64(s->device_bytes) / DDFS_CHUNK_BYTES;

	return ddfs_le64(s->chunk_table_off) + chunks * sizeof(struct ddfs_chunk);
}

/* Either none, or between the chunk table and the data, with a count for every block. */
static bool pagemap_holds(const struct ddfs_super *s)
{
	uint64_t off = ddfs_le64(s->pagemap_off), len = ddfs_le64(s->pagemap_bytes);
	uint64_t blocks = ddfs_le64(s->device_bytes) >> DDFS_BLOCK_SHIFT;

	if (!(ddfs_le64(s->feature_compat) & DDFS_COMPAT_PAGEMAP_ON_DEVICE))
		return !off && !len;
	return off >= chunk_table_end(s) && off <= ddfs_le64(s->data_off) &&
	       off % DDFS_BLOCK_BYTES == 0 && len % DDFS_BLOCK_BYTES == 0 && len >= blocks * 4 &&
	       len <= ddfs_le64(s->data_off) - off;
}

/* Behind the chunk table and the pagemap, before the data; room for one record at least. */
static bool pins_hold(const struct ddfs_super *s)
{
	uint64_t off = ddfs_le64(s->pins_off), len = ddfs_le64(s->pins_bytes);
	uint64_t pagemap_end = ddfs_le64(s->pagemap_off) + ddfs_le64(s->pagemap_bytes);

	return off >= chunk_table_end(s) && off >= pagemap_end && off <= ddfs_le64(s->data_off) &&
	       off % DDFS_BLOCK_BYTES == 0 && len % DDFS_BLOCK_BYTES == 0 && len &&
	       len <= DDFS_PINS_BYTES_MAX && len <= ddfs_le64(s->data_off) - off;
}

/* What a good checksum does not promise, all later code relies on. */
static bool layout_holds(const struct ddfs_super *s)
{
	uint64_t bytes = ddfs_le64(s->device_bytes), chunks = bytes / DDFS_CHUNK_BYTES;
	uint64_t lanes = ddfs_le64(s->lanes_off), table = ddfs_le64(s->chunk_table_off);
	uint64_t data = ddfs_le64(s->data_off), unit = ddfs_le64(s->dax_unit_bytes);
	uint32_t groups = ddfs_le32(s->nr_groups), nr_lanes = ddfs_le32(s->nr_lanes);
	uint32_t group_chunks = ddfs_le32(s->group_chunks);

	return ddfs_le32(s->block_bytes) == DDFS_BLOCK_BYTES &&
	       ddfs_le32(s->chunk_bytes) == DDFS_CHUNK_BYTES &&
	       ddfs_le32(s->inode_bytes) == DDFS_INODE_BYTES &&
	       ddfs_le32(s->lane_bytes) == DDFS_LANE_BYTES && bytes >= DDFS_MIN_BYTES &&
	       bytes <= DDFS_MAX_BYTES && bytes % DDFS_CHUNK_BYTES == 0 && nr_lanes &&
	       nr_lanes <= DDFS_MAX_LANES && groups && groups <= DDFS_MAX_GROUPS &&
	       is_power_of_two(group_chunks) && (uint64_t)groups * group_chunks >= chunks &&
	       (uint64_t)(groups - 1) * group_chunks < chunks && is_power_of_two(unit) &&
	       unit >= DDFS_BLOCK_BYTES && unit <= bytes &&
	       lanes >= DDFS_GROUP_TABLE_OFF + groups * sizeof(struct ddfs_group_desc) &&
	       lanes % DDFS_BLOCK_BYTES == 0 && lanes < bytes &&
	       table >= lanes + (uint64_t)nr_lanes * DDFS_LANE_BYTES &&
	       table % DDFS_BLOCK_BYTES == 0 && table < bytes && data >= chunk_table_end(s) &&
	       data % DDFS_CHUNK_BYTES == 0 && data < bytes && pagemap_holds(s) && pins_hold(s);
}

int ddfs_super_read(struct ddfs_fs *fs)
{
	int err = choose(fs);

	if (!err)
		err = check_features(fs);
	if (err)
		return err;
	if (!layout_holds(&fs->super)) {
		ddfs_log(fs, LOG_ERR, "the superblock describes a layout that cannot be");
		return -EUCLEAN;
	}
	return 0;
}

/* ---- writing it ----------------------------------------------------------------------------- */

static int write_copy(struct ddfs_fs *fs, uint64_t off)
{
	ddfs_csum_seal(DDFS_SUPER_SEED, off, &fs->super, sizeof(fs->super));
	fs->media->ops->copy(fs->media, off, &fs->super, sizeof(fs->super));
	return fs->media->ops->drain(fs->media);
}

int ddfs_super_write(struct ddfs_fs *fs)
{
	int err;

	fs->super.seq = ddfs_to64(ddfs_le64(fs->super.seq) + 1);
	/* One copy is whole at every moment. */
	err = write_copy(fs, DDFS_SUPER_OFF);
	return err ? err : write_copy(fs, ddfs_super_backup_off(ddfs_le64(fs->super.device_bytes)));
}

void ddfs_boot_id(uint8_t id[16])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	unsigned int v, n = 0;

	memset(id, 0, 16);
	if (!f)
		return;
	while (n < 16 && fscanf(f, "%2x", &v) == 1) {
		int c;

		id[n++] = (uint8_t)v;
		c = fgetc(f);
		if (c != '-')
			ungetc(c, f);
	}
	fclose(f);
}

int ddfs_super_mark_mounted(struct ddfs_fs *fs)
{
	struct ddfs_super *s = &fs->super;
	int err;

	pthread_mutex_lock(&fs->super_lock);
	s->state = ddfs_to32(DDFS_STATE_MOUNTED);
	s->owner_pid = ddfs_to32(fs->opt.owner_pid ? fs->opt.owner_pid : (uint32_t)getpid());
	ddfs_boot_id(s->owner_boot_id);
	s->mount_time = ddfs_to64((uint64_t)time(NULL));
	s->nr_mounts = ddfs_to32(ddfs_le32(s->nr_mounts) + 1);
	err = ddfs_super_write(fs);
	pthread_mutex_unlock(&fs->super_lock);
	return err;
}

int ddfs_super_mark_clean(struct ddfs_fs *fs)
{
	struct ddfs_super *s = &fs->super;
	int err = ddfs_alloc_save(fs);

	if (err)
		return err;
	pthread_mutex_lock(&fs->super_lock);
	s->state = ddfs_to32(DDFS_STATE_CLEAN);
	s->nr_used_inodes = ddfs_to32(atomic_load(&fs->itable.nr_used));
	s->first_free_inode = ddfs_to32(ddfs_itable_first_free(fs));
	err = ddfs_super_write(fs);
	pthread_mutex_unlock(&fs->super_lock);
	return err;
}
