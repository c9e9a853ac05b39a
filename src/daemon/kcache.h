/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel keeps of a file, and must not believe any longer since it was changed in a way
 * that the kernel does not know of. */
#ifndef DDFS_DAEMON_KCACHE_H
#define DDFS_DAEMON_KCACHE_H

#include "fs/fs.h"

struct ddfs_session;

/* Attributes: asked for when they are wanted next. Waits for nothing, so a worker may. */
void ddfs_kcache_drop_attr(struct ddfs_session *s, ddfs_id id);

/* Pages. Those that were stored to are written first, and those that are being read are waited for:
 * workers have to answer that, so no worker may. Nor may the thread that ends waits: as long as a
 * truncate of the file waits, the kernel writes no page of it. */
void ddfs_kcache_drop_pages(struct ddfs_session *s, ddfs_id id);

/* The size, which the kernel takes from what it has for O_APPEND and for the end of file: it asks
 * now. A worker answers, so no worker may. */
void ddfs_kcache_ask_size(struct ddfs_session *s, ddfs_id id);

#endif
