/* SPDX-License-Identifier: BSD-3-Clause */
/* POSIX ACLs of one form: owner, user 7, owning group, mask, others. */
#include <string.h>
#include <sys/stat.h>

#include "tests/crash/world.h"

enum { ACL_OWNER, ACL_NAMED, ACL_GROUP, ACL_MASK, ACL_OTHERS, ACL_ENTRIES };

static uint8_t *perm_of(uint8_t *value, unsigned int entry)
{
	return value + 4 + entry * 8 + 2;
}

static uint32_t perms_of(const uint8_t *value)
{
	uint8_t *v = (uint8_t *)(uintptr_t)value; /* read only, here */

	return (uint32_t)*perm_of(v, ACL_OWNER) << 6 | (uint32_t)*perm_of(v, ACL_MASK) << 3 |
	       *perm_of(v, ACL_OTHERS);
}

static void set_perms(uint8_t *value, uint32_t perms)
{
	*perm_of(value, ACL_OWNER) = perms >> 6 & 7;
	*perm_of(value, ACL_MASK) = perms >> 3 & 7;
	*perm_of(value, ACL_OTHERS) = perms & 7;
}

void world_acl_make(uint32_t perms, uint8_t value[WORLD_ACL_BYTES])
{
	static const uint8_t tags[ACL_ENTRIES] = { 1, 2, 4, 16, 32 };

	memset(value, 0, WORLD_ACL_BYTES);
	value[0] = 2; /* version */
	for (unsigned int i = 0; i < ACL_ENTRIES; i++) {
		value[4 + i * 8] = tags[i];
		*perm_of(value, i) = 5;
		memset(value + 4 + i * 8 + 4, i == ACL_NAMED ? 0 : 0xff, 4);
	}
	value[4 + ACL_NAMED * 8 + 4] = 7;
	set_perms(value, perms);
}

void world_acl_chmod(struct snap_node *n)
{
	const struct snap_xattr *x = snap_node_xattr(n, WORLD_ACL_ACCESS);

	if (x)
		set_perms(x->value, n->mode & 0777);
}

void world_acl_inherit(const struct snap_node *dir, struct snap_node *n, uint32_t umask)
{
	const struct snap_xattr *x = snap_node_xattr(dir, WORLD_ACL_DEFAULT);
	uint8_t value[WORLD_ACL_BYTES];

	if (S_ISLNK(n->mode))
		return;
	if (!x) {
		n->mode &= ~umask;
		return;
	}
	memcpy(value, x->value, sizeof(value));
	if (S_ISDIR(n->mode))
		snap_node_set_xattr(n, WORLD_ACL_DEFAULT, value, sizeof(value));
	set_perms(value, perms_of(value) & n->mode);
	n->mode = (n->mode & ~0777u) | perms_of(value);
	snap_node_set_xattr(n, WORLD_ACL_ACCESS, value, sizeof(value));
}
