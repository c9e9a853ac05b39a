/* SPDX-License-Identifier: BSD-3-Clause */
/* Storage for the pagemap on the device. */
#ifndef DDFS_FS_ALTMAP_H
#define DDFS_FS_ALTMAP_H

#include <stdint.h>

struct ddfs_fs;
struct ddfs_media;

/* Zero len bytes, whole blocks, at off. What is zero is not stored to: an image stays sparse. */
int ddfs_altmap_clear(struct ddfs_media *m, uint64_t off, uint64_t len);

/* Memory of the device for the pagemap, all idle, or NULL in *out if it is kept in DRAM. -EINVAL:
 * wanted on the device, where mkfs reserved no room for it. */
int ddfs_altmap_get(struct ddfs_fs *fs, void **out);

/* No page is held any more, and the filesystem is about to be called clean: who mounts that
 * believes the storage to be zero. Not durable until the next drain. */
void ddfs_altmap_flush(struct ddfs_fs *fs);

#endif
