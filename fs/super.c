/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/super.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fs/core.h"
#include "fs/fixed.h"
#include "fs/health.h"
#include "fs/mkfs.h"

static bool is_valid(const struct ddfs_super *s, uint64_t off)
{
	return ddfs_le64(s->magic) == DDFS_SUPER_MAGIC &&
	       ddfs_csum_holds(DDFS_SUPER_SEED, off, s, sizeof(*s));
}

static void describe(const struct ddfs_super *s, struct ddfs_probe *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->uuid, s->uuid, sizeof(out->uuid));
	memcpy(out->label, s->label, sizeof(s->label));
	out->device_bytes = ddfs_le64(s->device_bytes);
	out->mounted = ddfs_le32(s->state) == DDFS_STATE_MOUNTED;
	out->owner_pid = ddfs_le32(s->owner_pid);
	memcpy(out->boot_id, s->owner_boot_id, sizeof(out->boot_id));
}

bool ddfs_probe_super(const void *head, struct ddfs_probe *out)
{
	const struct ddfs_super *s = head;

	if (!is_valid(s, DDFS_SUPER_OFF))
		return false;
	describe(s, out);
	return true;
}

uint64_t ddfs_probe_backup_off(uint64_t size)
{
	return ddfs_super_backup_off(size & ~(uint64_t)(DDFS_CHUNK_BYTES - 1));
}

bool ddfs_probe_backup(const void *block, uint64_t size, struct ddfs_probe *out)
{
	uint64_t off = ddfs_probe_backup_off(size);
	const struct ddfs_super *s = block;

	if (!is_valid(s, off) || ddfs_super_backup_off(ddfs_le64(s->device_bytes)) != off)
		return false;
	describe(s, out);
	return true;
}

/* ---- choosing a copy ------------------------------------------------------------------------ */

/* One copy of the superblock; zeroes if it can't be read. */
struct copy {
	struct ddfs_super s;
	bool holds;
	bool poisoned;
};

static void read_copy(struct ddfs_fs *fs, uint64_t off, struct copy *c)
{
	c->poisoned = fs->media->ops->copy_out(fs->media, &c->s, off, sizeof(c->s)) != 0;
	if (c->poisoned) {
		ddfs_log(fs, LOG_ERR, "the superblock at byte %llu can't be read",
			(unsigned long long)off);
		memset(&c->s, 0, sizeof(c->s));
	}
	c->holds = is_valid(&c->s, off);
}

/* What the first superblock says of itself without being valid, for the message. */
static int say_why(struct ddfs_fs *fs, const struct ddfs_super *s, bool poisoned)
{
	if (poisoned) {
		ddfs_log(fs, LOG_ERR, "a superblock can't be read, and the other is none");
		return -EIO;
	}
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
	uint64_t bytes = fs->media->size & ~(uint64_t)(DDFS_CHUNK_BYTES - 1);
	struct copy a, b;

	if (fs->media->size >= sizeof(a.s))
		read_copy(fs, DDFS_SUPER_OFF, &a);
	else
		a = (struct copy){ 0 };
	if (fs->media->size < DDFS_MIN_BYTES && !a.holds) {
		ddfs_log(fs, LOG_ERR, "%llu bytes are too few for a devdaxfs",
			(unsigned long long)fs->media->size);
		return -EUCLEAN;
	}
	if (a.holds)
		bytes = ddfs_le64(a.s.device_bytes);
	if (bytes > fs->media->size) {
		ddfs_log(fs, LOG_ERR,
			"the filesystem is %llu bytes and the device only %llu: it was cut short",
			(unsigned long long)bytes, (unsigned long long)fs->media->size);
		return -EFBIG;
	}
	if (bytes < DDFS_MIN_BYTES)
		return say_why(fs, &a.s, a.poisoned);
	read_copy(fs, ddfs_super_backup_off(bytes), &b);
	b.holds = b.holds && ddfs_le64(b.s.device_bytes) == bytes;
	if (!a.holds && !b.holds)
		return say_why(fs, &a.s, a.poisoned || b.poisoned);
	if (!a.holds) {
		ddfs_log(fs, LOG_WARNING, "the first superblock %s: using the second",
			a.poisoned ? "can't be read" : "fails its checksum");
		fs->recovery.used_backup_super = true;
	} else if (!b.holds) {
		ddfs_log(fs, LOG_WARNING, "the second superblock %s: it will be written anew",
			b.poisoned ? "can't be read" : "fails its checksum");
	}
	fs->super = !a.holds || (b.holds && ddfs_le64(b.s.seq) > ddfs_le64(a.s.seq)) ? b.s : a.s;
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

/* Behind the pin table, before the data. */
static bool bad_holds(const struct ddfs_super *s)
{
	uint64_t off = ddfs_le64(s->bad_off), len = ddfs_le64(s->bad_bytes);
	uint64_t pins_end = ddfs_le64(s->pins_off) + ddfs_le64(s->pins_bytes);

	return off >= pins_end && off <= ddfs_le64(s->data_off) && off % DDFS_BLOCK_BYTES == 0 &&
	       len == DDFS_BAD_BYTES && len <= ddfs_le64(s->data_off) - off;
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
	       data % DDFS_CHUNK_BYTES == 0 && data < bytes && pagemap_holds(s) && pins_hold(s) &&
	       bad_holds(s) && ddfs_le32(s->sole_root_block) <= 2;
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

/* The other copy does while this one can't be. */
static void repair_copy(struct ddfs_fs *fs, uint64_t off)
{
	if (ddfs_fixed_repair(fs, off, &fs->super))
		ddfs_log(fs, LOG_ERR, "the superblock at byte %llu can't be repaired",
			(unsigned long long)off);
	else
		ddfs_log(fs, LOG_NOTICE, "the superblock at byte %llu was repaired",
			(unsigned long long)off);
}

static int write_copy(struct ddfs_fs *fs, uint64_t off)
{
	struct ddfs_media *m = fs->media;

	ddfs_csum_seal(DDFS_SUPER_SEED, off, &fs->super, sizeof(fs->super));
	/* Before it is stored to: what can't be read may not take a store either. */
	if (m->ops->probe(m, off, sizeof(fs->super))) {
		repair_copy(fs, off);
		return 0;
	}
	m->ops->copy(m, off, &fs->super, sizeof(fs->super));
	return m->ops->drain(m);
}

/* Whether the copy is the one that counts, or as good. */
static bool is_current(struct ddfs_fs *fs, uint64_t off)
{
	struct ddfs_super s;

	return !fs->media->ops->copy_out(fs->media, &s, off, sizeof(s)) && is_valid(&s, off) &&
	       ddfs_le64(s.seq) == ddfs_le64(fs->super.seq);
}

int ddfs_super_write(struct ddfs_fs *fs)
{
	uint64_t backup = ddfs_super_backup_off(ddfs_le64(fs->super.device_bytes));
	/* One copy is whole at every moment: the last to go is not the only one that holds. */
	bool second_first = is_current(fs, DDFS_SUPER_OFF) && !is_current(fs, backup);
	int err;

	fs->super.seq = ddfs_to64(ddfs_le64(fs->super.seq) + 1);
	err = write_copy(fs, second_first ? backup : DDFS_SUPER_OFF);
	return err ? err : write_copy(fs, second_first ? DDFS_SUPER_OFF : backup);
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
	ddfs_health_record(fs, s);
	err = ddfs_super_write(fs);
	pthread_mutex_unlock(&fs->super_lock);
	return err;
}

int ddfs_super_mark_clean(struct ddfs_fs *fs)
{
	struct ddfs_super *s = &fs->super;
	int err = atomic_load(&fs->unsure) ? -EIO : ddfs_alloc_save(fs);

	if (err == -EIO && !atomic_load(&fs->failed)) {
		ddfs_log(fs, LOG_WARNING,
			"some of what is counted can't be read: the next mount counts anew");
		return 0;
	}
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
