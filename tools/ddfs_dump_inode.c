/* SPDX-License-Identifier: BSD-3-Clause */
/* ddfs dump: inodes, and finding them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/csum.h"
#include "tools/ddfs_dump.h"
#include "tools/ddfs_dump_out.h"

const char *ddfs_dump_type_name(unsigned int type)
{
	switch (type << 12) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFCHR:
		return "chardev";
	case S_IFBLK:
		return "blockdev";
	default:
		return type ? "unknown" : "none";
	}
}

static unsigned int type_of(const struct ddfs_inode_disk *di)
{
	return ddfs_le16(di->mode) & S_IFMT;
}

/* ---- one inode ------------------------------------------------------------------------------ */

static void put_ids(struct ddfs_dump_out *o, const struct ddfs_inode_disk *di)
{
	ddfs_dump_out_hex(o, "crc", ddfs_le32(di->crc));
	ddfs_dump_out_hex(o, "magic", ddfs_le16(di->magic));
	ddfs_dump_out_text(o, "type", ddfs_dump_type_name(ddfs_le16(di->mode) >> 12));
	ddfs_dump_out_octal(o, "mode", ddfs_le16(di->mode));
	ddfs_dump_out_number(o, "ino", ddfs_le32(di->ino));
	ddfs_dump_out_number(o, "gen", ddfs_le32(di->gen));
	ddfs_dump_out_number(o, "uid", ddfs_le32(di->uid));
	ddfs_dump_out_number(o, "gid", ddfs_le32(di->gid));
	ddfs_dump_out_number(o, "nlink", ddfs_le32(di->nlink));
	ddfs_dump_out_hex(o, "flags", ddfs_le32(di->flags));
	ddfs_dump_out_number(o, "size", ddfs_le64(di->size));
	ddfs_dump_out_number(o, "blocks", ddfs_le64(di->nr_blocks));
}

static void put_times(struct ddfs_dump_out *o, const struct ddfs_inode_disk *di)
{
	ddfs_dump_out_time(o, "atime", (int64_t)ddfs_le64(di->atime), ddfs_le32(di->atime_ns));
	ddfs_dump_out_time(o, "mtime", (int64_t)ddfs_le64(di->mtime), ddfs_le32(di->mtime_ns));
	ddfs_dump_out_time(o, "ctime", (int64_t)ddfs_le64(di->ctime), ddfs_le32(di->ctime_ns));
	ddfs_dump_out_time(o, "btime", (int64_t)ddfs_le64(di->btime), ddfs_le32(di->btime_ns));
}

/* A long one lies in the first block of its map. */
static void put_target_block(
	const struct ddfs_image *img, struct ddfs_dump_out *o, const struct ddfs_inode_disk *di)
{
	uint64_t len = ddfs_le64(di->size), start = ddfs_le64(di->body.extent[0].start);
	uint8_t target[DDFS_BLOCK_BYTES];
	bool holds;

	if (len > sizeof(target) || !ddfs_image_blocks_valid(img, start, 1) ||
		ddfs_image_read(img, start * DDFS_BLOCK_BYTES, target, len)) {
		ddfs_dump_out_text(o, "target_checksum", "unreadable");
		return;
	}
	holds = ddfs_crc32c(img->seed, target, len) == ddfs_le32(di->target_crc);
	ddfs_dump_out_bytes(o, "target", target, len);
	ddfs_dump_out_text(o, "target_checksum", holds ? "good" : "bad");
}

static void put_body(
	const struct ddfs_image *img, struct ddfs_dump_out *o, const struct ddfs_inode_disk *di)
{
	uint64_t size = ddfs_le64(di->size);

	ddfs_dump_out_number(o, "depth", di->depth);
	if (type_of(di) == S_IFDIR || (type_of(di) == S_IFREG && di->depth))
		ddfs_dump_out_number(o, "root", ddfs_le64(di->body.root));
	if (type_of(di) == S_IFREG || type_of(di) == S_IFLNK)
		ddfs_dump_out_number(o, "inline_extents", ddfs_le16(di->nr_extents));
	if (type_of(di) == S_IFDIR)
		ddfs_dump_out_number(o, "parent", ddfs_le32(di->parent));
	if (type_of(di) == S_IFCHR || type_of(di) == S_IFBLK)
		ddfs_dump_out_hex(o, "rdev", ddfs_le32(di->rdev));
	if (type_of(di) == S_IFLNK && size <= DDFS_INLINE_SYMLINK)
		ddfs_dump_out_bytes(o, "target", di->body.target, size);
	else if (type_of(di) == S_IFLNK)
		put_target_block(img, o, di);
	ddfs_dump_out_number(o, "xattr_root", ddfs_le64(di->xattr_root));
	ddfs_dump_out_number(o, "xattr_depth", di->xattr_depth);
	ddfs_dump_out_number(o, "xattr_bytes", ddfs_le16(di->xattr_bytes));
}

int ddfs_dump_inode(const struct ddfs_image *img, uint32_t ino, struct ddfs_dump_out *o)
{
	struct ddfs_inode_disk di;
	int err = ddfs_image_inode(img, ino, &di);

	if (err && err != -EUCLEAN) {
		fprintf(stderr,
			err == -ENOENT ? "ddfs: there is no inode %" PRIu32
					 ": the inode table ends before it\n"
				       : "ddfs: inode %" PRIu32 " can't be read\n",
			ino);
		return err;
	}
	ddfs_dump_out_number(o, "inode", ino);
	ddfs_dump_out_number(o, "offset",
		ino == DDFS_INO_TABLE ? DDFS_ROOT_BLOCK_OFF : ddfs_image_slot_off(img, ino));
	ddfs_dump_out_text(o, "checksum", err ? "bad" : "good");
	ddfs_dump_out_flag(o, "free", ddfs_image_inode_is_free(&di));
	put_ids(o, &di);
	put_times(o, &di);
	put_body(img, o, &di);
	return 0;
}

/* ---- which one ------------------------------------------------------------------------------ */

struct search {
	const char *name;
	size_t len;
	uint32_t ino; /* 0: not found */
};

static int compare(void *arg, const struct ddfs_image_record *r)
{
	struct search *s = arg;
	struct ddfs_dirent_value v;

	if (r->name_len != s->len || memcmp(r->name, s->name, s->len) != 0)
		return 0;
	memcpy(&v, r->value, sizeof(v));
	s->ino = ddfs_le32(v.ino);
	return -ECANCELED; /* no need to look further */
}

static int step(const struct ddfs_image *img, struct search *s, uint32_t *ino)
{
	struct ddfs_image_walk walk = { .arg = s, .record = compare };
	struct ddfs_inode_disk di;
	int err = ddfs_image_inode(img, *ino, &di);

	if (err && err != -EUCLEAN)
		return err;
	if (type_of(&di) != S_IFDIR)
		return -ENOTDIR;
	ddfs_image_walk_names(img, &di, &walk);
	*ino = s->ino;
	return s->ino ? 0 : -ENOENT;
}

static int follow(const struct ddfs_image *img, const char *path, uint32_t *out)
{
	uint32_t ino = DDFS_INO_ROOT;
	int err = 0;

	while (!err) {
		struct search s = { .name = path + strspn(path, "/") };

		s.len = strcspn(s.name, "/");
		if (!s.len)
			break;
		path = s.name + s.len;
		err = step(img, &s, &ino);
	}
	if (!err)
		*out = ino;
	return err;
}

int ddfs_dump_find(const struct ddfs_image *img, const char *which, uint32_t *ino)
{
	unsigned long long n;
	char *end;
	int err;

	if (*which == '/') {
		err = follow(img, which, ino);
		if (err)
			fprintf(stderr, "ddfs: \"%s\" is not to be found in the image: %s\n", which,
				strerror(-err));
		return err;
	}
	errno = 0;
	n = strtoull(which, &end, 0);
	if (*which >= '0' && *which <= '9' && !*end && !errno && n <= UINT32_MAX) {
		*ino = (uint32_t)n;
		return 0;
	}
	fprintf(stderr,
		"ddfs: \"%s\" is no inode: give its number, or a path from the root of the image "
		"on, which begins with a /\n",
		which);
	return -EINVAL;
}
