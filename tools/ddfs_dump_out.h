/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What ddfs dump prints: fields, then lists of rows; for people, or the same as JSON.
 *
 *	ddfs_dump_out_begin(&o, json);
 *	ddfs_dump_out_number(&o, "inode", 17);
 *	ddfs_dump_out_list(&o, "extents", columns, nr);
 *	ddfs_dump_out_row(&o);
 *	ddfs_dump_out_number(&o, "block", 4711);
 *	ddfs_dump_out_end(&o);
 *
 * Nothing is kept: a list may be of any length. Each row has the columns in their order; in JSON a
 * row may lack some and have others.
 */
#ifndef DDFS_TOOLS_DDFS_DUMP_OUT_H
#define DDFS_TOOLS_DDFS_DUMP_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ddfs_dump_column {
	const char *key;
	int width; /* for people: negative, to the left; 0: the last one, of any width */
};

struct ddfs_dump_out {
	bool json;
	bool begun;
	bool in_list, in_row;
	bool first; /* no comma is due */
	bool first_row;
	bool gap; /* something stands above the list */
	const struct ddfs_dump_column *columns;
	size_t nr_columns, column;
};

void ddfs_dump_out_begin(struct ddfs_dump_out *o, bool json);
void ddfs_dump_out_list(struct ddfs_dump_out *o, const char *key,
	const struct ddfs_dump_column *columns, size_t nr);
void ddfs_dump_out_row(struct ddfs_dump_out *o);
void ddfs_dump_out_end(struct ddfs_dump_out *o);

void ddfs_dump_out_number(struct ddfs_dump_out *o, const char *key, uint64_t value);
/* For people in hexadecimal or octal; in JSON a number. */
void ddfs_dump_out_hex(struct ddfs_dump_out *o, const char *key, uint64_t value);
void ddfs_dump_out_octal(struct ddfs_dump_out *o, const char *key, uint64_t value);
void ddfs_dump_out_flag(struct ddfs_dump_out *o, const char *key, bool value);
void ddfs_dump_out_time(struct ddfs_dump_out *o, const char *key, int64_t seconds, uint32_t ns);
void ddfs_dump_out_text(struct ddfs_dump_out *o, const char *key, const char *text);
/* Any bytes. For people what does not print is \xHH; in JSON what is not UTF-8 is ?, and KEY_hex
 * has all of them then. */
void ddfs_dump_out_bytes(struct ddfs_dump_out *o, const char *key, const void *bytes, size_t len);

#endif
