/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/htree_leaf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_MASK (~UINT64_C(127))
#define SLOTS_MAX ((DDFS_BLOCK_BYTES - 32u) / (8u + 24u))

static const struct ddfs_name_slot *slots(const struct ddfs_node *n)
{
	return (const void *)n->payload;
}

static const struct ddfs_name_record *record_at(const struct ddfs_node *n, unsigned int slot)
{
	return (const void *)((const uint8_t *)n + ddfs_le16(slots(n)[slot].off));
}

static uint64_t key_at(const struct ddfs_node *n, unsigned int slot)
{
	return ddfs_le64(record_at(n, slot)->key);
}

static uint32_t tag_of(uint64_t key)
{
	return (uint32_t)(key >> 7);
}

int ddfs_leaf_find(const struct ddfs_node *n, uint64_t hash, const char *name, size_t len)
{
	const struct ddfs_name_slot *s = slots(n);
	unsigned int nr = ddfs_le16(n->nr);
	struct le32 tag = ddfs_to32(tag_of(hash));

	for (unsigned int i = 0; i < nr; i++) {
		const struct ddfs_name_record *r;

		if (s[i].tag.raw != tag.raw || !ddfs_le16(s[i].off))
			continue;
		r = record_at(n, i);
		if ((ddfs_le64(r->key) & HASH_MASK) == hash && r->name_len == len &&
			memcmp(r + 1, name, len) == 0)
			return (int)i;
	}
	return -1;
}

void ddfs_leaf_record(const struct ddfs_node *n, unsigned int slot, struct ddfs_hrecord *out)
{
	const struct ddfs_name_record *r = record_at(n, slot);

	out->key = ddfs_le64(r->key);
	out->type = r->type;
	out->name_len = r->name_len;
	out->val_len = ddfs_le16(r->val_len);
	out->name = (const char *)(r + 1);
	out->value = (const uint8_t *)(r + 1) + r->name_len;
}

static unsigned int record_bytes(const struct ddfs_hrecord *r)
{
	return ((unsigned int)sizeof(struct ddfs_name_record) + r->name_len + r->val_len + 7) & ~7u;
}

static unsigned int nr_live(const struct ddfs_node *n)
{
	unsigned int live = 0;

	for (unsigned int i = 0; i < ddfs_le16(n->nr); i++)
		live += ddfs_le16(slots(n)[i].off) != 0;
	return live;
}

static bool has_gap(const struct ddfs_node *n, unsigned int len)
{
	unsigned int top =
		32 + (ddfs_le16(n->nr) + 1u) * (unsigned int)sizeof(struct ddfs_name_slot);

	return top + len <= ddfs_le16(n->low);
}

bool ddfs_leaf_fits(const struct ddfs_node *n, const struct ddfs_hrecord *r)
{
	unsigned int len = record_bytes(r);

	return has_gap(n, len) ||
	       32 + (nr_live(n) + 1) * sizeof(struct ddfs_name_slot) + ddfs_le16(n->live) + len <=
		       DDFS_BLOCK_BYTES;
}

static void append(struct ddfs_node *n, const void *record, unsigned int len, uint64_t key)
{
	unsigned int nr = ddfs_le16(n->nr), off = ddfs_le16(n->low) - len;
	struct ddfs_name_slot *s = (struct ddfs_name_slot *)n->payload + nr;

	memcpy((uint8_t *)n + off, record, len);
	*s = (struct ddfs_name_slot){ .tag = ddfs_to32(tag_of(key)),
		.off = ddfs_to16((uint16_t)off),
		.len = ddfs_to16((uint16_t)len) };
	n->nr = ddfs_to16((uint16_t)(nr + 1));
	n->low = ddfs_to16((uint16_t)off);
	n->live = ddfs_to16((uint16_t)(ddfs_le16(n->live) + len));
}

/* Keep of old what lies in [from, to), without gaps, in n. */
static void refill(struct ddfs_node *n, const struct ddfs_node *old, uint64_t from, uint64_t to)
{
	n->nr = ddfs_to16(0);
	n->live = ddfs_to16(0);
	n->low = ddfs_to16(DDFS_BLOCK_BYTES);
	for (unsigned int i = 0; i < ddfs_le16(old->nr); i++) {
		const struct ddfs_name_slot *s = slots(old) + i;
		uint64_t key;

		if (!ddfs_le16(s->off))
			continue;
		key = key_at(old, i);
		if (key >= from && key < to)
			append(n, record_at(old, i), ddfs_le16(s->len), key);
	}
}

/* A number that tells r from the other names of its hash. */
static int choose_key(const struct ddfs_node *n, uint64_t hash, uint64_t *key)
{
	uint64_t taken[2] = { 0, 0 };

	for (unsigned int i = 0; i < ddfs_le16(n->nr); i++) {
		uint64_t k;

		if (!ddfs_le16(slots(n)[i].off))
			continue;
		k = key_at(n, i);
		if ((k & HASH_MASK) == hash)
			taken[k >> 6 & 1] |= UINT64_C(1) << (k & 63);
	}
	for (unsigned int i = 0; i < 2; i++) {
		if (taken[i] == UINT64_MAX)
			continue;
		*key = hash | i << 6 | (unsigned int)__builtin_ctzll(~taken[i]);
		return 0;
	}
	return -ENOSPC;
}

int ddfs_leaf_insert(struct ddfs_node *n, const struct ddfs_hrecord *r)
{
	uint8_t buf[sizeof(struct ddfs_name_record) + DDFS_HTREE_RECORD_MAX + 8] = { 0 };
	struct ddfs_name_record *rec = (void *)buf;
	unsigned int len = record_bytes(r);
	uint64_t key;
	int err;

	if (len > sizeof(buf))
		return -E2BIG;
	err = choose_key(n, r->key, &key);
	if (err)
		return err;
	if (!has_gap(n, len)) {
		struct ddfs_node old = *n;

		refill(n, &old, 0, UINT64_MAX);
	}
	*rec = (struct ddfs_name_record){ .key = ddfs_to64(key),
		.type = r->type,
		.name_len = (uint8_t)r->name_len,
		.val_len = ddfs_to16(r->val_len) };
	memcpy(rec + 1, r->name, r->name_len);
	memcpy((uint8_t *)(rec + 1) + r->name_len, r->value, r->val_len);
	append(n, buf, len, key);
	return 0;
}

void ddfs_leaf_remove(struct ddfs_node *n, unsigned int slot)
{
	struct ddfs_name_slot *s = (struct ddfs_name_slot *)n->payload + slot;
	unsigned int len = ddfs_le16(s->len), nr = ddfs_le16(n->nr);

	if (ddfs_le16(s->off) == ddfs_le16(n->low))
		n->low = ddfs_to16((uint16_t)(ddfs_le16(n->low) + len));
	n->live = ddfs_to16((uint16_t)(ddfs_le16(n->live) - len));
	s->off = ddfs_to16(0);
	while (nr && !ddfs_le16(slots(n)[nr - 1].off))
		nr--;
	n->nr = ddfs_to16((uint16_t)nr);
}

void ddfs_leaf_replace(
	struct ddfs_node *n, unsigned int slot, uint8_t type, const void *value, size_t val_len)
{
	struct ddfs_name_record *r = (void *)((uint8_t *)n + ddfs_le16(slots(n)[slot].off));

	r->type = type;
	memcpy((uint8_t *)(r + 1) + r->name_len, value, val_len);
}

struct sorted {
	uint64_t key;
	unsigned int slot;
};

static int by_key(const void *a, const void *b)
{
	uint64_t x = ((const struct sorted *)a)->key, y = ((const struct sorted *)b)->key;

	return x < y ? -1 : x > y;
}

static unsigned int sort(const struct ddfs_node *n, uint64_t from, struct sorted *out)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < ddfs_le16(n->nr); i++) {
		if (!ddfs_le16(slots(n)[i].off))
			continue;
		if (key_at(n, i) >= from)
			out[nr++] = (struct sorted){ key_at(n, i), i };
	}
	qsort(out, nr, sizeof(*out), by_key);
	return nr;
}

int ddfs_leaf_split_key(const struct ddfs_node *n, uint64_t *key)
{
	struct sorted s[SLOTS_MAX];
	unsigned int nr = sort(n, 0, s), bytes = 0, cut = 0;

	for (unsigned int i = 1; i < nr; i++) {
		bytes += ddfs_le16(slots(n)[s[i - 1].slot].len);
		/* Names of one hash stay together. */
		if ((s[i].key & HASH_MASK) == (s[i - 1].key & HASH_MASK))
			continue;
		cut = i;
		if (bytes * 2 >= ddfs_le16(n->live))
			break;
	}
	if (!cut)
		return -ENOSPC;
	*key = s[cut].key & HASH_MASK;
	return 0;
}

void ddfs_leaf_split(struct ddfs_node *n, struct ddfs_node *right, uint64_t key)
{
	struct ddfs_node old = *n;

	refill(right, &old, key, UINT64_MAX);
	refill(n, &old, 0, key);
}

int ddfs_leaf_walk(const struct ddfs_node *n, uint64_t from, ddfs_htree_fn fn, void *arg)
{
	struct sorted s[SLOTS_MAX];
	unsigned int nr = sort(n, from, s);

	for (unsigned int i = 0; i < nr; i++) {
		struct ddfs_hrecord r;
		int err;

		ddfs_leaf_record(n, s[i].slot, &r);
		err = fn(arg, &r);
		if (err)
			return err;
	}
	return 0;
}
