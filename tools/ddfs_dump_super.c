/* SPDX-License-Identifier: BSD-3-Clause */
/* ddfs dump: the superblock. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uuid/uuid.h>

#include "fs/media.h"
#include "tools/ddfs_dump.h"
#include "tools/ddfs_dump_out.h"

static const char *copy_name(enum ddfs_image_copy copy)
{
	static const char *const names[] = {
		[DDFS_COPY_GOOD] = "good",
		[DDFS_COPY_BAD] = "bad",
		[DDFS_COPY_UNREADABLE] = "unreadable",
		[DDFS_COPY_ABSENT] = "absent",
	};

	return names[copy];
}

static void put_uuid(struct ddfs_dump_out *o, const char *key, const uint8_t uuid[16])
{
	char text[37];

	uuid_unparse(uuid, text);
	ddfs_dump_out_text(o, key, text);
}

/* Padded with zeroes. */
static void put_padded(struct ddfs_dump_out *o, const char *key, const uint8_t *p, size_t size)
{
	ddfs_dump_out_bytes(o, key, p, strnlen((const char *)p, size));
}

static void put_layout(struct ddfs_dump_out *o, const struct ddfs_super *s)
{
	ddfs_dump_out_number(o, "device_bytes", ddfs_le64(s->device_bytes));
	ddfs_dump_out_number(o, "block_bytes", ddfs_le32(s->block_bytes));
	ddfs_dump_out_number(o, "chunk_bytes", ddfs_le32(s->chunk_bytes));
	ddfs_dump_out_number(o, "inode_bytes", ddfs_le32(s->inode_bytes));
	ddfs_dump_out_number(o, "lane_bytes", ddfs_le32(s->lane_bytes));
	ddfs_dump_out_number(o, "lanes", ddfs_le32(s->nr_lanes));
	ddfs_dump_out_number(o, "groups", ddfs_le32(s->nr_groups));
	ddfs_dump_out_number(o, "group_chunks", ddfs_le32(s->group_chunks));
	ddfs_dump_out_number(o, "lanes_off", ddfs_le64(s->lanes_off));
	ddfs_dump_out_number(o, "chunk_table_off", ddfs_le64(s->chunk_table_off));
	ddfs_dump_out_number(o, "pagemap_off", ddfs_le64(s->pagemap_off));
	ddfs_dump_out_number(o, "pagemap_bytes", ddfs_le64(s->pagemap_bytes));
	ddfs_dump_out_number(o, "pins_off", ddfs_le64(s->pins_off));
	ddfs_dump_out_number(o, "pins_bytes", ddfs_le64(s->pins_bytes));
	ddfs_dump_out_number(o, "bad_off", ddfs_le64(s->bad_off));
	ddfs_dump_out_number(o, "bad_bytes", ddfs_le64(s->bad_bytes));
	ddfs_dump_out_number(o, "data_off", ddfs_le64(s->data_off));
	ddfs_dump_out_number(o, "dax_unit_bytes", ddfs_le64(s->dax_unit_bytes));
}

static void put_state(struct ddfs_dump_out *o, const struct ddfs_super *s)
{
	uint32_t state = ddfs_le32(s->state);

	ddfs_dump_out_number(o, "seq", ddfs_le64(s->seq));
	if (state <= DDFS_STATE_MOUNTED)
		ddfs_dump_out_text(o, "state", state ? "mounted" : "clean");
	else
		ddfs_dump_out_number(o, "state", state);
	ddfs_dump_out_number(o, "owner_pid", ddfs_le32(s->owner_pid));
	put_uuid(o, "owner_boot_id", s->owner_boot_id);
	ddfs_dump_out_time(o, "mount_time", (int64_t)ddfs_le64(s->mount_time), 0);
	ddfs_dump_out_number(o, "mounts", ddfs_le32(s->nr_mounts));
	ddfs_dump_out_number(o, "used_inodes", ddfs_le32(s->nr_used_inodes));
	ddfs_dump_out_number(o, "first_free_inode", ddfs_le32(s->first_free_inode));
	ddfs_dump_out_flag(o, "has_health", ddfs_le32(s->has_health));
	ddfs_dump_out_number(o, "unsafe_shutdowns", ddfs_le64(s->unsafe_shutdowns));
	put_padded(o, "device_id", s->device_id, sizeof(s->device_id));
	ddfs_dump_out_number(o, "sole_root_block", ddfs_le32(s->sole_root_block));
}

static void put_super(struct ddfs_dump_out *o, const struct ddfs_super *s)
{
	ddfs_dump_out_hex(o, "crc", ddfs_le32(s->crc));
	ddfs_dump_out_number(o, "version", ddfs_le32(s->version));
	ddfs_dump_out_hex(o, "feature_compat", ddfs_le64(s->feature_compat));
	ddfs_dump_out_hex(o, "feature_ro_compat", ddfs_le64(s->feature_ro_compat));
	ddfs_dump_out_hex(o, "feature_incompat", ddfs_le64(s->feature_incompat));
	put_uuid(o, "uuid", s->uuid);
	put_padded(o, "label", s->label, sizeof(s->label));
	put_layout(o, s);
	ddfs_dump_out_hex(o, "csum_seed", ddfs_le32(s->csum_seed));
	ddfs_dump_out_hex(o, "hash_seed", ddfs_le64(s->hash_seed));
	ddfs_dump_out_time(o, "mkfs_time", (int64_t)ddfs_le64(s->mkfs_time), 0);
	put_state(o, s);
}

int ddfs_dump_super(const struct ddfs_image *img, struct ddfs_dump_out *o)
{
	ddfs_dump_out_text(o, "first_copy", copy_name(img->super_copy[0]));
	ddfs_dump_out_text(o, "second_copy", copy_name(img->super_copy[1]));
	ddfs_dump_out_text(o, "first_root_block", copy_name(img->root_copy[0]));
	ddfs_dump_out_text(o, "second_root_block", copy_name(img->root_copy[1]));
	put_super(o, &img->super);
	return 0;
}

/* One that bears the name, though it may not hold. */
static bool find_magic(struct ddfs_media *m, uint64_t off, struct ddfs_super *out)
{
	return off <= m->size && m->size - off >= sizeof(*out) &&
	       !m->ops->copy_out(m, out, off, sizeof(*out)) &&
	       ddfs_le64(out->magic) == DDFS_SUPER_MAGIC;
}

static const char *problem(int err)
{
	return err == -EFBIG	    ? "the device is smaller than device_bytes: it was cut short"
	       : err == -EOPNOTSUPP ? "another version, or features that are not known here"
				    : "this superblock does not hold";
}

int ddfs_dump_super_raw(struct ddfs_media *m, int err, struct ddfs_dump_out *o)
{
	uint64_t end = m->size & ~(uint64_t)(DDFS_CHUNK_BYTES - 1);
	const uint64_t place[2] = { 0, end >= sizeof(struct ddfs_super) ? end - 4096 : 0 };
	struct ddfs_super s;

	for (unsigned int i = 0; i < 2; i++) {
		if (!find_magic(m, place[i], &s))
			continue;
		ddfs_dump_out_text(o, "problem", problem(err));
		ddfs_dump_out_number(o, "offset", place[i]);
		put_super(o, &s);
		return 0;
	}
	fprintf(stderr, "ddfs: there is no devdaxfs here: neither superblock is one\n");
	return -EUCLEAN;
}
