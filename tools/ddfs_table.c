/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ddfs_table.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/ddfs_utf8.h"

struct ddfs_table {
	struct libscols_table *table;
	struct libscols_line *line;
	const struct ddfs_column *columns;
	size_t nr_columns;
	bool json;
	int err;
};

static const char *column_name(const struct ddfs_table *t, size_t i)
{
	return t->json ? t->columns[i].key : t->columns[i].title;
}

static int json_type(enum ddfs_column_kind kind)
{
	switch (kind) {
	case DDFS_COLUMN_NUMBER:
		return SCOLS_JSON_NUMBER;
	case DDFS_COLUMN_BOOLEAN:
		return SCOLS_JSON_BOOLEAN;
	default:
		return SCOLS_JSON_STRING;
	}
}

/* Columns of the other form are there too, hidden, so that their numbers are the caller's. */
static int add_column(struct ddfs_table *t, size_t i)
{
	const char *name = column_name(t, i);
	enum ddfs_column_kind kind = t->columns[i].kind;
	int flags =
		(name ? 0 : SCOLS_FL_HIDDEN) | (kind == DDFS_COLUMN_NUMBER ? SCOLS_FL_RIGHT : 0);
	struct libscols_column *c = scols_table_new_column(t->table, name ? name : "-", 0, flags);

	if (!c)
		return -ENOMEM;
	return scols_column_set_json_type(c, json_type(kind));
}

int ddfs_table_new(const char *name, const struct ddfs_column *columns, size_t nr, bool json,
	struct ddfs_table **out)
{
	struct ddfs_table *t = calloc(1, sizeof(*t));
	int ret = 0;

	if (!t)
		return -ENOMEM;
	t->columns = columns;
	t->nr_columns = nr;
	t->json = json;
	t->table = scols_new_table();
	if (!t->table)
		ret = -ENOMEM;
	else
		ret = scols_table_set_name(t->table, name);
	if (!ret)
		ret = scols_table_enable_json(t->table, json);
	for (size_t i = 0; !ret && i < nr; i++)
		ret = add_column(t, i);
	if (ret)
		ddfs_table_delete(t);
	else
		*out = t;
	return ret;
}

void ddfs_table_delete(struct ddfs_table *t)
{
	scols_unref_table(t->table);
	free(t);
}

void ddfs_table_line(struct ddfs_table *t)
{
	if (t->err)
		return;
	t->line = scols_table_new_line(t->table, NULL);
	if (!t->line)
		t->err = -ENOMEM;
}

void ddfs_table_set(struct ddfs_table *t, size_t column, const char *format, ...)
{
	va_list args;
	char *text;
	int ret;

	if (t->err || !column_name(t, column))
		return;
	va_start(args, format);
	ret = vasprintf(&text, format, args);
	va_end(args);
	if (ret < 0) {
		t->err = -ENOMEM;
		return;
	}
	if (t->json)
		ddfs_utf8_clean(text, strlen(text));
	t->err = scols_line_refer_data(t->line, column, text);
	if (t->err)
		free(text);
}

void ddfs_table_set_flag(struct ddfs_table *t, size_t column, bool value)
{
	ddfs_table_set(t, column, "%d", value);
}

void ddfs_table_set_time(struct ddfs_table *t, size_t column, int64_t seconds)
{
	time_t time = (time_t)seconds;
	char text[64];
	struct tm tm;

	if (!localtime_r(&time, &tm))
		return;
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S%z", &tm);
	ddfs_table_set(t, column, "%s", text);
}

int ddfs_table_print(struct ddfs_table *t)
{
	int ret = t->err ? t->err : scols_print_table(t->table);

	if (ret)
		fprintf(stderr, "ddfs: cannot print the table: out of memory\n");
	return ret;
}
