/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of an operation. */
#include "tests/crash/ops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/crash.h"

static const struct op_kind *find_kind(const char *name)
{
	const struct op_kind *const tables[] = { op_kinds_names, op_kinds_data, op_kinds_attrs,
		op_kinds_open };

	for (unsigned int t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct op_kind *k = tables[t]; k->name; k++)
			if (strcmp(k->name, name) == 0)
				return k;
	return NULL;
}

static int refuse(const char *text, const char *why)
{
	fprintf(stderr, "'%s': %s\n", text, why);
	return -EINVAL;
}

/* "x~200" to 200 bytes, component by component. */
static char *expand(const char *text)
{
	char *out = calloc(1, strlen(text) + 64 * (DDFS_NAME_MAX + 2)), *at = out, *start = out;

	for (; *text; text++) {
		if (*text == '~') {
			unsigned long len = strtoul(text + 1, (char **)&text, 10);

			while ((size_t)(at - start) < len && len <= DDFS_NAME_MAX + 1)
				*at++ = '_';
			text--;
			continue;
		}
		*at++ = *text;
		if (*text == '/')
			start = at;
	}
	return out;
}

static int parse_number(const char *token, int base, uint64_t *out)
{
	char *end;

	*out = strtoull(token, &end, base);
	if (*end == 'K' || *end == 'M')
		*out <<= *end++ == 'K' ? 10 : 20;
	return *end || end == token ? -EINVAL : 0;
}

static int take_arg(struct crash_op *op, char arg, const char *token, unsigned int *nr_numbers)
{
	if (arg == 'p') {
		op->path = expand(strcmp(token, "/") == 0 ? "" : token);
	} else if (arg == 'q') {
		op->to = expand(token);
	} else if (arg == 'w' || arg == 'W') {
		if (strlen(token) >= sizeof(op->word))
			return -EINVAL;
		strcpy(op->word, token);
	} else {
		return parse_number(token, arg == 'o' ? 8 : 10, &op->n[(*nr_numbers)++]);
	}
	return 0;
}

static int parse_args(struct crash_op *op, char *tokens)
{
	const char *args = op->kind->args;
	unsigned int nr_numbers = 0;
	char *save, *token;

	for (; *args; args++) {
		token = strtok_r(tokens, " ", &save);
		tokens = NULL;
		if (!token)
			return *args == 'W' ? 0 : -EINVAL;
		if (take_arg(op, *args, token, &nr_numbers))
			return -EINVAL;
	}
	return strtok_r(tokens, " ", &save) ? -EINVAL : 0;
}

int op_parse(const char *text, unsigned int nr, struct crash_op *out)
{
	char *copy = strdup(text), *args = strchr(copy, ' ');
	int err;

	if (args)
		*args++ = 0;
	*out = (struct crash_op){ .kind = find_kind(copy), .nr = nr, .text = strdup(text) };
	if (!out->kind)
		err = refuse(text, "no such operation");
	else if (parse_args(out, args ? args : copy + strlen(copy)))
		err = refuse(text, "these are not its arguments; see tests/crash/ops*.c");
	else
		err = 0;
	free(copy);
	if (err)
		op_fini(out);
	return err;
}

void op_fini(struct crash_op *op)
{
	free(op->path);
	free(op->to);
	free(op->text);
	*op = (struct crash_op){ 0 };
}

static uint64_t mix(uint64_t v)
{
	v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
	return v ^ v >> 31;
}

void op_pattern(const struct crash_op *op, uint64_t off, uint8_t *dst, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t word = mix(((uint64_t)op->nr + 1) << 40 | (off + i) / 8);
		uint8_t byte = (uint8_t)(word >> (off + i) % 8 * 8);

		dst[i] = byte == 0 || byte == CRASH_STALE ? 0x55 : byte;
	}
}
