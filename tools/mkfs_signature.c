/* SPDX-License-Identifier: BSD-3-Clause */
#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "fs/mkfs.h"
#include "src/device/device.h"
#include "tools/mkfs_signature.h"

/* All that libblkid knows lies here. */
#define HEAD_BYTES (UINT64_C(2) << 20)
#define TAIL_BYTES (UINT64_C(1) << 20)

#define MAX_WIPES 64

static void describe_devdaxfs(const struct ddfs_probe *probe, char *text, size_t size)
{
	char uuid[37];

	uuid_unparse(probe->uuid, uuid);
	snprintf(text, size, "a devdaxfs (label \"%s\", UUID %s)%s", probe->label, uuid,
		probe->mounted ? " that was not unmounted cleanly" : "");
}

static int write_all(int fd, const uint8_t *from, uint64_t len, uint64_t off)
{
	ssize_t n;

	while (len) {
		n = pwrite(fd, from, len, (off_t)off);
		if (n < 0)
			return -errno;
		from += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* What can't be read stays zero. */
static int copy_part(int fd, struct ddfs_media *m, uint64_t off, uint64_t len, bool *unreadable)
{
	uint8_t block[4096];
	uint64_t end = off + len;
	int ret = 0;

	for (; off < end && !ret; off += sizeof(block)) {
		if (m->ops->copy_out(m, block, off, sizeof(block)))
			*unreadable = true;
		else
			ret = write_all(fd, block, sizeof(block), off);
	}
	return ret;
}

/* read(2) does not work on device-dax, and libblkid knows nothing else: it gets a file of the same
 * size with a copy of both ends. */
static int open_copy(struct ddfs_media *m, bool *unreadable)
{
	int fd = memfd_create("mkfs.devdaxfs", MFD_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = ftruncate(fd, (off_t)m->size) ? -errno : 0;
	if (!ret)
		ret = copy_part(fd, m, 0, HEAD_BYTES, unreadable);
	if (!ret)
		ret = copy_part(fd, m, m->size - TAIL_BYTES, TAIL_BYTES, unreadable);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

static int open_readable(struct ddfs_device *dev, bool *unreadable)
{
	const struct ddfs_source *src = ddfs_device_source(dev);
	int fd;

	if (src->kind == DDFS_SOURCE_DEVDAX)
		return open_copy(ddfs_device_media(dev), unreadable);
	fd = open(src->path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static const char *value_of(blkid_probe pr, const char *name)
{
	const char *value;

	return blkid_probe_lookup_value(pr, name, &value, NULL) ? NULL : value;
}

static void describe_other(blkid_probe pr, char *text, size_t size)
{
	const char *type = value_of(pr, "TYPE"), *usage = value_of(pr, "USAGE");
	const char *label = value_of(pr, "LABEL");
	int len;

	if (!type)
		len = snprintf(text, size, "a partition table (%s)", value_of(pr, "PTTYPE"));
	else if (usage && strcmp(usage, "filesystem") == 0)
		len = snprintf(text, size, "%s %s filesystem",
			strchr("aeiox", type[0]) ? "an" : "a", type);
	else
		len = snprintf(text, size, "%s data", type);
	if (label && len > 0 && (size_t)len < size)
		snprintf(text + len, size - (size_t)len, " (label \"%s\")", label);
}

static void locate(blkid_probe pr, struct mkfs_signature *out)
{
	const char *off = value_of(pr, "SBMAGIC_OFFSET"), *magic;
	size_t len = 0;

	if (off && blkid_probe_lookup_value(pr, "SBMAGIC", &magic, &len) == 0) {
		out->off = strtoull(off, NULL, 10);
		out->len = len;
		return;
	}
	off = value_of(pr, "PTMAGIC_OFFSET");
	if (off && blkid_probe_lookup_value(pr, "PTMAGIC", &magic, &len) == 0) {
		out->off = strtoull(off, NULL, 10);
		out->len = len;
	}
}

static int probe_fd(int fd, struct mkfs_signature *out)
{
	blkid_probe pr = blkid_new_probe();
	int ret, found;

	if (!pr)
		return -ENOMEM;
	blkid_probe_enable_superblocks(pr, 1);
	blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL |
						      BLKID_SUBLKS_USAGE | BLKID_SUBLKS_MAGIC |
						      BLKID_SUBLKS_BADCSUM);
	blkid_probe_enable_partitions(pr, 1);
	blkid_probe_set_partitions_flags(pr, BLKID_PARTS_FORCE_GPT | BLKID_PARTS_MAGIC);
	ret = blkid_probe_set_device(pr, fd, 0, 0) ? -EIO : 0;
	found = ret ? 1 : blkid_do_probe(pr);
	if (found < 0)
		out->unreadable = true;
	if (found == 0) {
		describe_other(pr, out->text, sizeof(out->text));
		locate(pr, out);
	}
	blkid_free_probe(pr);
	return ret;
}

int mkfs_signature_find(struct ddfs_device *dev, struct mkfs_signature *out)
{
	struct ddfs_media *m = ddfs_device_media(dev);
	struct mkfs_signature sig = { .len = 0 };
	struct ddfs_probe probe;
	uint8_t head[4096];
	int fd, ret = 0;

	sig.unreadable = m->ops->copy_out(m, head, 0, sizeof(head)) != 0;
	if (!sig.unreadable && ddfs_probe_super(head, &probe)) {
		describe_devdaxfs(&probe, sig.text, sizeof(sig.text));
	} else {
		fd = open_readable(dev, &sig.unreadable);
		if (fd < 0)
			return fd;
		ret = probe_fd(fd, &sig);
		close(fd);
	}
	if (!ret)
		*out = sig;
	return ret;
}

int mkfs_signature_wipe(struct ddfs_device *dev)
{
	struct ddfs_media *m = ddfs_device_media(dev);
	struct mkfs_signature sig;
	int i, ret;

	for (i = 0; i < MAX_WIPES; i++) {
		ret = mkfs_signature_find(dev, &sig);
		if (ret)
			return ret;
		if (!sig.len || sig.off >= m->size || sig.len > m->size - sig.off)
			return 0;
		m->ops->set(m, sig.off, 0, sig.len);
		ret = m->ops->drain(m);
		if (ret)
			return ret;
	}
	return 0;
}
