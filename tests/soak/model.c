/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/soak/model.h"

#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *must(void *p)
{
	if (!p) {
		perror("soak: memory");
		abort();
	}
	return p;
}

uint8_t *soak_model_room(void)
{
	return must(calloc(1, SOAK_FILE_MAX));
}

struct soak_model *soak_model_new(void)
{
	struct soak_model *m = must(calloc(1, sizeof(*m)));

	m->node[SOAK_ROOT] = (struct soak_node){ .type = SOAK_DIR, .mode = 0755 };
	m->unit = SOAK_BLOCK;
	return m;
}

struct soak_model *soak_model_copy(const struct soak_model *m)
{
	struct soak_model *copy = must(malloc(sizeof(*copy)));

	*copy = *m;
	for (unsigned int i = 0; i < SOAK_NODES; i++) {
		if (!m->data[i])
			continue;
		copy->data[i] = soak_model_room();
		memcpy(copy->data[i], m->data[i], m->node[i].size);
	}
	for (unsigned int i = 0; i < SOAK_PINS; i++) {
		if (!m->kept[i])
			continue;
		copy->kept[i] = soak_model_room();
		memcpy(copy->kept[i], m->kept[i], SOAK_FILE_MAX);
	}
	return copy;
}

void soak_model_delete(struct soak_model *m)
{
	if (!m)
		return;
	for (unsigned int i = 0; i < SOAK_NODES; i++)
		free(m->data[i]);
	for (unsigned int i = 0; i < SOAK_PINS; i++)
		free(m->kept[i]);
	free(m);
}

static bool save_to(const struct soak_model *m, FILE *f)
{
	if (fwrite(m, sizeof(*m), 1, f) != 1)
		return false;
	for (unsigned int i = 0; i < SOAK_NODES; i++)
		if (m->data[i] && m->node[i].size && fwrite(m->data[i], m->node[i].size, 1, f) != 1)
			return false;
	for (unsigned int i = 0; i < SOAK_PINS; i++)
		if (m->kept[i] && fwrite(m->kept[i], SOAK_FILE_MAX, 1, f) != 1)
			return false;
	return true;
}

bool soak_model_save(const struct soak_model *m, const char *path)
{
	char next[4096];
	bool good;
	FILE *f;

	snprintf(next, sizeof(next), "%s.next", path);
	f = fopen(next, "wb");
	if (!f)
		return false;
	good = save_to(m, f);
	good = !fclose(f) && good;
	return good && !rename(next, path);
}

static bool load_from(struct soak_model *m, FILE *f)
{
	if (fread(m, sizeof(*m), 1, f) != 1)
		return false;
	for (unsigned int i = 0; i < SOAK_NODES; i++) {
		if (!m->data[i])
			continue;
		m->data[i] = soak_model_room();
		if (m->node[i].size && fread(m->data[i], m->node[i].size, 1, f) != 1)
			return false;
	}
	for (unsigned int i = 0; i < SOAK_PINS; i++) {
		if (!m->kept[i])
			continue;
		m->kept[i] = soak_model_room();
		if (fread(m->kept[i], SOAK_FILE_MAX, 1, f) != 1)
			return false;
	}
	return true;
}

struct soak_model *soak_model_load(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct soak_model *m;

	if (!f && errno == ENOENT)
		return soak_model_new();
	m = must(malloc(sizeof(*m)));
	if (!f || !load_from(m, f)) {
		fprintf(stderr, "soak: %s: not a whole model\n", path);
		exit(2);
	}
	fclose(f);
	return m;
}

/* ---- numbers to bytes ----------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

void soak_fill(void *buf, size_t len, uint64_t seed)
{
	uint8_t *p = buf;

	for (uint64_t i = 0; len; i++) {
		uint64_t word = mix(seed * 0x9e3779b97f4a7c15u + i);
		size_t n = len < 8 ? len : 8;

		memcpy(p, &word, n);
		p += n;
		len -= n;
	}
}

void soak_name(unsigned int name, char *out)
{
	static const uint8_t lens[SOAK_NAMES] = { 2, 3, 5, 8, 20, 60, 130, 200, 255 };

	memset(out, 'a' + (int)name, lens[name]);
	out[1] = (char)('0' + name);
	out[lens[name]] = 0;
}

void soak_target(uint64_t seed, uint32_t len, char *out)
{
	soak_fill(out, len, seed);
	for (uint32_t i = 0; i < len; i++)
		out[i] = (char)('a' + ((uint8_t)out[i] & 15));
	out[len] = 0;
}

void soak_step_print(FILE *to, const struct soak_step *s)
{
	static const char *const words[SOAK_KINDS] = { "create", "write", "map", "truncate",
		"fallocate", "copy", "unlink", "rename", "exchange", "link", "symlink", "mkdir",
		"rmdir", "setxattr", "removexattr", "chmod", "utimes", "setdax", "fsync", "pin",
		"unpin", "store" };

	fprintf(to, "%llu: %s %u/%u", (unsigned long long)s->number,
		s->kind < SOAK_KINDS ? words[s->kind] : "?", s->dir, s->name);
	if (s->dir2)
		fprintf(to, " %u/%u", s->dir2, s->name2);
	fprintf(to, " off %u len %u off2 %u arg %#x seed %llu\n", s->off, s->len, s->off2, s->arg,
		(unsigned long long)s->seed);
}

bool soak_step_is_overwrite(const struct soak_step *s)
{
	return s->kind == SOAK_WRITE || s->kind == SOAK_MAP || s->kind == SOAK_COPY ||
	       s->kind == SOAK_STORE ||
	       (s->kind == SOAK_FALLOCATE &&
		       (s->arg & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)));
}
