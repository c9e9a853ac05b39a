/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table for people, or the same as JSON for programs.
 *
 *	ddfs_table_new("pins", columns, NR_COLUMNS, json, &t);
 *	ddfs_table_line(t);
 *	ddfs_table_set(t, COLUMN_PID, "%d", pid);
 *	ddfs_table_print(t);
 *	ddfs_table_delete(t);
 *
 * The adapter to libsmartcols. Lack of memory is remembered, and printing gives it.
 */
#ifndef DDFS_TOOLS_DDFS_TABLE_H
#define DDFS_TOOLS_DDFS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ddfs_column_kind { DDFS_COLUMN_TEXT, DDFS_COLUMN_NUMBER, DDFS_COLUMN_BOOLEAN };

struct ddfs_column {
	const char *title; /* in the table; NULL: not there */
	const char *key;   /* in JSON; NULL: not there */
	enum ddfs_column_kind kind;
};

struct ddfs_table;

/* columns must outlive the table. */
int ddfs_table_new(const char *name, const struct ddfs_column *columns, size_t nr, bool json,
	struct ddfs_table **out);
void ddfs_table_delete(struct ddfs_table *t);

/* Begin the next line; what is not set is blank, or null. */
void ddfs_table_line(struct ddfs_table *t);
/* A cell of it, as printf(3); nothing happens if the column is not in this form of the table. */
void ddfs_table_set(struct ddfs_table *t, size_t column, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void ddfs_table_set_flag(struct ddfs_table *t, size_t column, bool value);
/* Seconds since 1970. */
void ddfs_table_set_time(struct ddfs_table *t, size_t column, int64_t seconds);

/* To standard output. */
int ddfs_table_print(struct ddfs_table *t);

#endif
