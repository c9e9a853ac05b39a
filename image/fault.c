/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/image.h"

const char *ddfs_image_fault_text(enum ddfs_image_fault fault)
{
	static const char *const text[] = {
		[DDFS_FAULT_DEPTH] = "depth",
		[DDFS_FAULT_BLOCK] = "block",
		[DDFS_FAULT_UNREADABLE] = "unreadable",
		[DDFS_FAULT_NODE] = "node",
		[DDFS_FAULT_ENTRIES] = "entries",
		[DDFS_FAULT_ORDER] = "order",
		[DDFS_FAULT_EXTENT] = "extent",
		[DDFS_FAULT_RECORD] = "record",
		[DDFS_FAULT_LIVE] = "live",
		[DDFS_FAULT_TWICE] = "twice",
		[DDFS_FAULT_VALUE] = "value",
		[DDFS_FAULT_INLINE] = "inline",
		[DDFS_FAULT_XATTR] = "xattr",
	};

	return (unsigned int)fault < sizeof(text) / sizeof(*text) ? text[fault] : "unknown";
}
