/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ddfs_dump_out.h"

#include <ctype.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/ddfs_utf8.h"

#define KEY_WIDTH 18

void ddfs_dump_out_begin(struct ddfs_dump_out *o, bool json)
{
	memset(o, 0, sizeof(*o));
	o->json = json;
	o->first = true;
}

/* Late: who finds nothing to print prints nothing. */
static void begin(struct ddfs_dump_out *o)
{
	if (o->json && !o->begun)
		putchar('{');
	o->begun = true;
}

/* ---- lists ---------------------------------------------------------------------------------- */

static void end_row(struct ddfs_dump_out *o)
{
	if (o->in_row)
		fputs(o->json ? "}" : "\n", stdout);
	o->in_row = false;
}

static void end_list(struct ddfs_dump_out *o)
{
	end_row(o);
	if (o->in_list && o->json)
		fputs("\n   ]", stdout);
	o->in_list = false;
	o->first = false;
}

static void print_titles(const struct ddfs_dump_out *o)
{
	if (o->gap)
		putchar('\n');
	for (size_t i = 0; i < o->nr_columns; i++) {
		char title[32];

		snprintf(title, sizeof(title), "%s", o->columns[i].key);
		for (char *c = title; *c; c++)
			*c = *c == '_' ? '-' : (char)toupper((unsigned char)*c);
		printf("%s%*s", i ? " " : "", o->columns[i].width, title);
	}
	putchar('\n');
}

void ddfs_dump_out_list(
	struct ddfs_dump_out *o, const char *key, const struct ddfs_dump_column *columns, size_t nr)
{
	bool first = o->first;

	begin(o);
	end_list(o);
	o->columns = columns;
	o->nr_columns = nr;
	o->in_list = true;
	o->first_row = true;
	if (o->json)
		printf("%s\n   \"%s\": [", first ? "" : ",", key);
	o->gap = !first;
}

void ddfs_dump_out_row(struct ddfs_dump_out *o)
{
	end_row(o);
	if (o->json)
		fputs(o->first_row ? "\n      {" : ",\n      {", stdout);
	else if (o->first_row)
		print_titles(o);
	o->first_row = false;
	o->in_row = true;
	o->first = true;
	o->column = 0;
}

void ddfs_dump_out_end(struct ddfs_dump_out *o)
{
	end_list(o);
	if (o->json && o->begun)
		fputs("\n}\n", stdout);
}

/* ---- fields --------------------------------------------------------------------------------- */

static void print_key(struct ddfs_dump_out *o, const char *key)
{
	begin(o);
	if (!o->first)
		putchar(',');
	printf("%s\"%s\": ", !o->in_row ? "\n   " : o->first ? "" : " ", key);
}

/* One that the table has no room for is JSON's alone. */
static void print_text(struct ddfs_dump_out *o, const char *key, const char *text)
{
	if (!o->in_row) {
		printf("%-*s %s\n", KEY_WIDTH, key, text);
		return;
	}
	while (o->column < o->nr_columns && strcmp(o->columns[o->column].key, key) != 0) {
		printf("%s%*s", o->column ? " " : "", o->columns[o->column].width, "");
		o->column++;
	}
	if (o->column == o->nr_columns)
		return;
	printf("%s%*s", o->column ? " " : "", o->columns[o->column].width, text);
	o->column++;
}

static bool has_column(const struct ddfs_dump_out *o, const char *key)
{
	for (size_t i = o->column; i < o->nr_columns; i++)
		if (strcmp(o->columns[i].key, key) == 0)
			return true;
	return false;
}

/* Exactly one of the two forms. */
static void print_field(
	struct ddfs_dump_out *o, const char *key, const char *json, const char *text)
{
	if (o->json) {
		print_key(o, key);
		fputs(json, stdout);
	} else if (!o->in_row || has_column(o, key)) {
		print_text(o, key, text);
	}
	o->first = false;
}

static void print_number(struct ddfs_dump_out *o, const char *key, uint64_t value, const char *text)
{
	char number[32];

	snprintf(number, sizeof(number), "%" PRIu64, value);
	print_field(o, key, number, text ? text : number);
}

void ddfs_dump_out_number(struct ddfs_dump_out *o, const char *key, uint64_t value)
{
	print_number(o, key, value, NULL);
}

void ddfs_dump_out_hex(struct ddfs_dump_out *o, const char *key, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%#" PRIx64, value);
	print_number(o, key, value, text);
}

void ddfs_dump_out_octal(struct ddfs_dump_out *o, const char *key, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%#" PRIo64, value);
	print_number(o, key, value, text);
}

void ddfs_dump_out_flag(struct ddfs_dump_out *o, const char *key, bool value)
{
	print_field(o, key, value ? "true" : "false", value ? "yes" : "no");
}

void ddfs_dump_out_text(struct ddfs_dump_out *o, const char *key, const char *text)
{
	ddfs_dump_out_bytes(o, key, text, strlen(text));
}

void ddfs_dump_out_time(struct ddfs_dump_out *o, const char *key, int64_t seconds, uint32_t ns)
{
	time_t time = (time_t)seconds;
	char date[64], zone[16], text[128];
	struct tm tm;

	if (ns >= 1000000000 || !localtime_r(&time, &tm)) {
		snprintf(text, sizeof(text), "%" PRId64 " s %" PRIu32 " ns", seconds, ns);
	} else {
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
		strftime(zone, sizeof(zone), "%z", &tm);
		snprintf(text, sizeof(text), "%s.%09" PRIu32 "%s", date, ns, zone);
	}
	ddfs_dump_out_text(o, key, text);
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static void print_json_string(
	struct ddfs_dump_out *o, const char *key, const char *bytes, size_t len)
{
	struct json_object *s = json_object_new_string_len(bytes, (int)len);
	const char *text =
		s ? json_object_to_json_string_ext(s, JSON_C_TO_STRING_NOSLASHESCAPE) : NULL;

	print_field(o, key, text ? text : "null", NULL);
	json_object_put(s);
}

static char *hex_of(const uint8_t *bytes, size_t len)
{
	char *hex = malloc(2 * len + 1);

	if (!hex)
		return NULL;
	hex[0] = 0;
	for (size_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	return hex;
}

static void print_json_bytes(
	struct ddfs_dump_out *o, const char *key, const void *bytes, size_t len)
{
	char *clean = malloc(len + 1), *hex = NULL, name[64];

	if (!clean) {
		print_field(o, key, "null", NULL);
		return;
	}
	memcpy(clean, bytes, len);
	if (ddfs_utf8_clean(clean, len))
		hex = hex_of(bytes, len);
	print_json_string(o, key, clean, len);
	if (hex) {
		snprintf(name, sizeof(name), "%s_hex", key);
		print_json_string(o, name, hex, 2 * len);
	}
	free(hex);
	free(clean);
}

/* A terminal is not to be told what to do by what lies in an image. */
static char *printable(const void *bytes, size_t len)
{
	char *text = malloc(4 * len + 1), *to = text;
	const uint8_t *b = bytes;
	char *clean = malloc(len + 1);

	if (text && clean) {
		memcpy(clean, bytes, len);
		ddfs_utf8_clean(clean, len);
		for (size_t i = 0; i < len; i++) {
			bool lost = clean[i] == '?' && b[i] != '?';

			if (lost || b[i] < 0x20 || b[i] == 0x7f || b[i] == '\\')
				to += snprintf(to, 5, "\\x%02x", b[i]);
			else
				*to++ = (char)b[i];
		}
		*to = 0;
	}
	free(clean);
	return text;
}

void ddfs_dump_out_bytes(struct ddfs_dump_out *o, const char *key, const void *bytes, size_t len)
{
	char *text;

	if (o->json) {
		print_json_bytes(o, key, bytes, len);
		return;
	}
	text = printable(bytes, len);
	print_field(o, key, NULL, text ? text : "");
	free(text);
}
