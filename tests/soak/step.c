/* SPDX-License-Identifier: BSD-3-Clause */
/* What each step makes of the model, and which it allows. */
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "tests/soak/model.h"
#include "tests/soak/pins.h"

/* ---- names ---------------------------------------------------------------------------------- */

unsigned int soak_model_parent(const struct soak_model *m, unsigned int node)
{
	for (unsigned int dir = 1; dir < SOAK_NODES; dir++)
		for (unsigned int name = 0; name < SOAK_NAMES; name++)
			if (m->child[dir][name] == node)
				return dir;
	return 0;
}

unsigned int soak_model_depth(const struct soak_model *m, unsigned int node)
{
	unsigned int depth = 0;

	for (; node && node != SOAK_ROOT; node = soak_model_parent(m, node))
		depth++;
	return depth;
}

unsigned int soak_model_nlink(const struct soak_model *m, unsigned int node)
{
	unsigned int nr = 0;

	if (m->node[node].type == SOAK_DIR) {
		for (unsigned int name = 0; name < SOAK_NAMES; name++)
			nr += m->node[m->child[node][name]].type == SOAK_DIR;
		return nr + 2;
	}
	for (unsigned int dir = 1; dir < SOAK_NODES; dir++)
		for (unsigned int name = 0; name < SOAK_NAMES; name++)
			nr += m->child[dir][name] == node;
	return nr;
}

bool soak_model_find_name(
	const struct soak_model *m, unsigned int node, uint8_t *dir, uint8_t *name)
{
	for (unsigned int d = 1; d < SOAK_NODES; d++)
		for (unsigned int n = 0; n < SOAK_NAMES; n++) {
			if (m->child[d][n] != node)
				continue;
			*dir = (uint8_t)d;
			*name = (uint8_t)n;
			return true;
		}
	return false;
}

static unsigned int node_free(const struct soak_model *m)
{
	for (unsigned int i = SOAK_ROOT + 1; i < SOAK_NODES; i++)
		if (m->node[i].type == SOAK_NONE)
			return i;
	return 0;
}

/* A name of it is gone. */
static void node_drop(struct soak_model *m, unsigned int node)
{
	if (m->node[node].type != SOAK_DIR && soak_model_nlink(m, node))
		return;
	soak_pins_keep(m, node);
	free(m->data[node]);
	m->data[node] = NULL;
	memset(&m->node[node], 0, sizeof(m->node[node]));
}

static bool is_empty(const struct soak_model *m, unsigned int dir)
{
	for (unsigned int name = 0; name < SOAK_NAMES; name++)
		if (m->child[dir][name])
			return false;
	return true;
}

static bool is_below(const struct soak_model *m, unsigned int node, unsigned int above)
{
	for (; node; node = soak_model_parent(m, node))
		if (node == above)
			return true;
	return false;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static void put_new(struct soak_model *m, const struct soak_step *s)
{
	unsigned int i = node_free(m);
	struct soak_node *n = &m->node[i];

	*n = (struct soak_node){ .mode = s->arg & 07777 };
	m->child[s->dir][s->name] = (uint8_t)i;
	if (s->kind == SOAK_CREATE) {
		n->type = SOAK_FILE;
		n->dax = m->node[s->dir].dax;
		m->data[i] = soak_model_room();
	} else if (s->kind == SOAK_MKDIR) {
		n->type = SOAK_DIR;
		n->mode = 0755;
		n->dax = m->node[s->dir].dax;
	} else {
		n->type = SOAK_SYM;
		n->mode = 0777;
		n->size = s->len;
		n->seed = s->seed;
	}
}

static void resize(struct soak_model *m, unsigned int i, uint32_t size)
{
	if (size < m->node[i].size)
		memset(m->data[i] + size, 0, m->node[i].size - size);
	m->node[i].size = size;
}

static void grow(struct soak_model *m, unsigned int i, uint32_t end)
{
	if (end > m->node[i].size)
		m->node[i].size = end;
}

static void step_fallocate(struct soak_model *m, unsigned int i, const struct soak_step *s)
{
	uint8_t *data = m->data[i];
	uint32_t end = s->off + s->len, size = m->node[i].size;

	if (s->arg & FALLOC_FL_COLLAPSE_RANGE) {
		memmove(data + s->off, data + end, size - end);
		resize(m, i, size - s->len);
	} else if (s->arg & FALLOC_FL_INSERT_RANGE) {
		memmove(data + end, data + s->off, size - s->off);
		memset(data + s->off, 0, s->len);
		m->node[i].size = size + s->len;
	} else {
		if (s->arg & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
			memset(data + s->off, 0, s->len);
		if (!(s->arg & FALLOC_FL_KEEP_SIZE))
			grow(m, i, end);
	}
}

static void step_copy(struct soak_model *m, unsigned int i, const struct soak_step *s)
{
	unsigned int to = m->child[s->dir2][s->name2];

	memcpy(m->data[to] + s->off2, m->data[i] + s->off, s->len);
	grow(m, to, s->off2 + s->len);
	m->node[to].has_mtime = 0;
}

static void step_rename(struct soak_model *m, const struct soak_step *s)
{
	uint8_t *from = &m->child[s->dir][s->name], *to = &m->child[s->dir2][s->name2];
	uint8_t moved = *from, replaced = *to;

	/* Two names of one file: rename(2) does nothing. */
	if (moved == replaced)
		return;
	*from = s->kind == SOAK_EXCHANGE ? replaced : 0;
	*to = moved;
	if (replaced && s->kind == SOAK_RENAME)
		node_drop(m, replaced);
}

static void step_remove(struct soak_model *m, const struct soak_step *s)
{
	uint8_t *entry = &m->child[s->dir][s->name], node = *entry;

	*entry = 0;
	node_drop(m, node);
}

static void step_xattr(struct soak_node *n, const struct soak_step *s)
{
	n->xattr[s->arg].len_plus_1 = s->kind == SOAK_SETXATTR ? s->len + 1 : 0;
	n->xattr[s->arg].seed = s->kind == SOAK_SETXATTR ? s->seed : 0;
}

static void step_content(struct soak_model *m, unsigned int i, const struct soak_step *s)
{
	m->node[i].has_mtime &= s->kind == SOAK_COPY;
	if (s->kind == SOAK_WRITE || s->kind == SOAK_MAP || s->kind == SOAK_STORE) {
		soak_fill(m->data[i] + s->off, s->len, s->seed);
		grow(m, i, s->off + s->len);
	} else if (s->kind == SOAK_TRUNCATE) {
		resize(m, i, s->len);
	} else if (s->kind == SOAK_FALLOCATE) {
		step_fallocate(m, i, s);
	} else {
		step_copy(m, i, s);
	}
}

static void step_attribute(struct soak_model *m, unsigned int i, const struct soak_step *s)
{
	struct soak_node *n = &m->node[i];

	if (s->kind == SOAK_SETXATTR || s->kind == SOAK_REMOVEXATTR) {
		step_xattr(n, s);
	} else if (s->kind == SOAK_CHMOD) {
		n->mode = s->arg & 07777;
	} else if (s->kind == SOAK_UTIMES) {
		n->mtime_seconds = s->seed;
		/* Who has it mapped is taken to store at any time. */
		n->has_mtime = !soak_is_pinned(m, i);
	} else if (s->kind == SOAK_SETDAX) {
		n->dax = 1;
	} else if (s->kind == SOAK_PIN) {
		n->has_mtime = 0;
		grow(m, i, s->off + s->len);
	}
}

void soak_model_step(struct soak_model *m, const struct soak_step *s)
{
	unsigned int i = m->child[s->dir][s->name];

	soak_pins_step(m, s);
	switch (s->kind) {
	case SOAK_CREATE:
	case SOAK_MKDIR:
	case SOAK_SYMLINK:
		put_new(m, s);
		break;
	case SOAK_WRITE:
	case SOAK_MAP:
	case SOAK_TRUNCATE:
	case SOAK_FALLOCATE:
	case SOAK_COPY:
	case SOAK_STORE:
		step_content(m, i, s);
		break;
	case SOAK_UNLINK:
	case SOAK_RMDIR:
		step_remove(m, s);
		break;
	case SOAK_RENAME:
	case SOAK_EXCHANGE:
		step_rename(m, s);
		break;
	case SOAK_LINK:
		m->child[s->dir2][s->name2] = (uint8_t)i;
		break;
	default:
		step_attribute(m, i, s);
	}
	m->nr_steps = s->number;
}

/* ---- what is allowed ------------------------------------------------------------------------ */

static bool fallocate_fits(const struct soak_node *n, const struct soak_step *s)
{
	if (s->arg & FALLOC_FL_COLLAPSE_RANGE)
		return s->off + s->len < n->size;
	if (s->arg & FALLOC_FL_INSERT_RANGE)
		return s->off < n->size && n->size + s->len <= SOAK_FILE_MAX;
	return s->off + s->len <= SOAK_FILE_MAX;
}

static bool content_allows(
	const struct soak_model *m, const struct soak_node *n, const struct soak_step *s)
{
	const struct soak_node *to = &m->node[m->child[s->dir2][s->name2]];

	if (n->type != SOAK_FILE)
		return false;
	if (s->kind == SOAK_TRUNCATE)
		return s->len <= SOAK_FILE_MAX;
	if (!s->len)
		return false;
	if (s->kind == SOAK_FALLOCATE)
		return fallocate_fits(n, s);
	if (s->kind == SOAK_MAP)
		return s->off + s->len <= n->size;
	if (s->kind == SOAK_COPY)
		return to != n && to->type == SOAK_FILE && s->off + s->len <= n->size &&
		       s->off2 + s->len <= SOAK_FILE_MAX;
	return s->off + s->len <= SOAK_FILE_MAX &&
	       (!(s->arg & SOAK_WRITE_APPEND) || s->off == n->size);
}

/* Levels of directories below one. */
static unsigned int height(const struct soak_model *m, unsigned int dir)
{
	unsigned int above = soak_model_depth(m, dir), most = 0;

	for (unsigned int i = SOAK_ROOT; i < SOAK_NODES; i++)
		if (m->node[i].type == SOAK_DIR && is_below(m, i, dir) &&
			soak_model_depth(m, i) - above > most)
			most = soak_model_depth(m, i) - above;
	return most;
}

/* A directory is moved neither below itself nor too deep; what it replaces fits. */
static bool move_allows(const struct soak_model *m, unsigned int from, unsigned int to,
	unsigned int to_dir, bool exchange)
{
	bool dir = m->node[from].type == SOAK_DIR;

	if (dir && (is_below(m, to_dir, from) ||
			   soak_model_depth(m, to_dir) + height(m, from) + 1 > SOAK_DEPTH))
		return false;
	if (exchange || !to)
		return true;
	return dir == (m->node[to].type == SOAK_DIR) && (!dir || is_empty(m, to));
}

static bool rename_allows(const struct soak_model *m, const struct soak_step *s)
{
	unsigned int from = m->child[s->dir][s->name], to = m->child[s->dir2][s->name2];

	if (m->node[s->dir2].type != SOAK_DIR || (s->dir == s->dir2 && s->name == s->name2))
		return false;
	if (s->kind == SOAK_EXCHANGE)
		return to && move_allows(m, from, to, s->dir2, true) &&
		       move_allows(m, to, from, s->dir, true);
	return move_allows(m, from, to, s->dir2, false);
}

bool soak_model_allows(const struct soak_model *m, const struct soak_step *s)
{
	unsigned int i = m->child[s->dir][s->name];
	const struct soak_node *n = &m->node[i];

	if (m->node[s->dir].type != SOAK_DIR)
		return false;
	switch (s->kind) {
	case SOAK_CREATE:
	case SOAK_SYMLINK:
		return !i && node_free(m);
	case SOAK_MKDIR:
		return !i && node_free(m) && soak_model_depth(m, s->dir) + 1 < SOAK_DEPTH;
	case SOAK_UNLINK:
		return i && n->type != SOAK_DIR;
	case SOAK_RMDIR:
		return i && n->type == SOAK_DIR && is_empty(m, i);
	case SOAK_RENAME:
	case SOAK_EXCHANGE:
		return i && rename_allows(m, s);
	case SOAK_LINK:
		return i && n->type == SOAK_FILE && m->node[s->dir2].type == SOAK_DIR &&
		       !m->child[s->dir2][s->name2];
	case SOAK_SETXATTR:
		return i && n->type != SOAK_SYM;
	case SOAK_REMOVEXATTR:
		return i && n->type != SOAK_SYM && n->xattr[s->arg].len_plus_1;
	case SOAK_CHMOD:
	case SOAK_FSYNC:
		return i && n->type != SOAK_SYM;
	case SOAK_UTIMES:
		return i && n->type == SOAK_FILE;
	case SOAK_SETDAX:
		return i && n->type == SOAK_DIR && !n->dax;
	case SOAK_PIN:
	case SOAK_UNPIN:
	case SOAK_STORE:
		return soak_pin_allows(m, s);
	default:
		return i && content_allows(m, n, s);
	}
}
