/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ddfs_metadump_names.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "image/image.h"
#include "tools/ddfs_metadump_random.h"

#define MAX_TRIES (1u << 22)
#define MAX_KEPT  (1u << 20) /* of a pool */
#define NR_FIRST  (DDFS_XATTR_SYSTEM + 1u)

/* Of so few bytes there are not many names of letters. */
#define SHORT	    3u
#define SHORT_TRIES 1024u

#define IS_BYTES UINT64_C(1) /* a bit that no hash has: the name is of bytes, not of letters */

/* A name is what its seed gives. */
struct kept {
	uint64_t hash, seed;
};

/* Names of one length: a heap, the lowest hash first. */
struct pool {
	struct kept *e;
	size_t nr, cap;
};

struct ddfs_made_names {
	const struct ddfs_image *img;
	uint64_t random, nr;
	bool is_used; /* some pool is */
	/* By the first byte, 0 if it is made up as well, and by length. */
	struct pool pool[NR_FIRST][256];
};

int ddfs_made_names_new(const struct ddfs_image *img, uint64_t secret, struct ddfs_made_names **out)
{
	struct ddfs_made_names *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->img = img;
	m->random = secret;
	*out = m;
	return 0;
}

static struct pool *pool_at(struct ddfs_made_names *m, size_t i)
{
	return &m->pool[0][0] + i;
}

void ddfs_made_names_delete(struct ddfs_made_names *m)
{
	for (size_t i = 0; m && i < sizeof(m->pool) / sizeof(struct pool); i++)
		free(pool_at(m, i)->e);
	free(m);
}

void ddfs_made_names_begin(struct ddfs_made_names *m)
{
	for (size_t i = 0; m->is_used && i < sizeof(m->pool) / sizeof(struct pool); i++)
		pool_at(m, i)->nr = 0;
	m->is_used = false;
}

uint64_t ddfs_made_names_nr(const struct ddfs_made_names *m)
{
	return m->nr;
}

/* ---- pools ---------------------------------------------------------------------------------- */

static void swap(struct kept *a, struct kept *b)
{
	struct kept c = *a;

	*a = *b;
	*b = c;
}

/* One that there is no room for is not kept. */
static void pool_add(struct pool *p, struct kept k)
{
	size_t i = p->nr;

	if (p->nr == MAX_KEPT)
		return;
	if (p->nr == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 64;
		struct kept *e = realloc(p->e, cap * sizeof(*e));

		if (!e)
			return;
		p->e = e;
		p->cap = cap;
	}
	p->e[p->nr++] = k;
	for (; i && p->e[i].hash < p->e[(i - 1) / 2].hash; i = (i - 1) / 2)
		swap(&p->e[i], &p->e[(i - 1) / 2]);
}

static struct kept pool_take(struct pool *p)
{
	struct kept first = p->e[0];
	size_t i = 0, least;

	p->e[0] = p->e[--p->nr];
	for (;; i = least) {
		least = i;
		for (size_t below = 2 * i + 1; below <= 2 * i + 2 && below < p->nr; below++)
			if (p->e[below].hash < p->e[least].hash)
				least = below;
		if (least == i)
			return first;
		swap(&p->e[i], &p->e[least]);
	}
}

/* ---- names ---------------------------------------------------------------------------------- */

/* Any byte that a name may have. */
static void make_bytes(uint64_t seed, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t b = (uint8_t)(ddfs_random_next(&seed) >> 56);

		out[i] = !b || b == '/' || b == '.' ? '_' : b;
	}
}

static void make(const struct ddfs_made_name *n, uint64_t seed, bool bytes)
{
	if (bytes)
		make_bytes(seed, n->name + n->fixed, n->len - n->fixed);
	else
		ddfs_random_letters(&seed, n->name + n->fixed, n->len - n->fixed);
}

static uint64_t take_kept(struct pool *p, const struct ddfs_made_name *n)
{
	while (p->nr && (p->e[0].hash & ~IS_BYTES) < n->to) {
		struct kept k = pool_take(p);
		uint64_t hash = k.hash & ~IS_BYTES;

		if (hash < n->from)
			continue;
		make(n, k.seed, k.hash & IS_BYTES);
		return hash;
	}
	return 0;
}

uint64_t ddfs_made_names_next(struct ddfs_made_names *m, struct ddfs_made_name *n)
{
	unsigned int first = n->fixed ? n->name[0] : 0;
	unsigned int nr_letters = n->len - n->fixed <= SHORT ? SHORT_TRIES : MAX_TRIES / 2;
	struct pool *p = first < NR_FIRST ? &m->pool[first][n->len] : NULL;
	uint64_t hash = p ? take_kept(p, n) : 0;

	while (!hash && n->tries < MAX_TRIES) {
		uint64_t seed = ddfs_random_next(&m->random);
		bool bytes = n->tries++ >= nr_letters;

		make(n, seed, bytes);
		m->nr++;
		hash = ddfs_image_name_hash(m->img, n->name, n->len);
		if (hash >= n->from && hash < n->to)
			return hash;
		if (p && hash >= n->to) {
			m->is_used = true;
			pool_add(p, (struct kept){ hash | (bytes ? IS_BYTES : 0), seed });
		}
		hash = 0;
	}
	return hash;
}
