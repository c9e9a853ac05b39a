/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/value.h"

#include <string.h>

#include "tests/fuzz/input.h"
#include "tests/fuzz/kernel.h"

uint64_t value_number(struct input *in)
{
	uint8_t byte = input_8(in);
	uint64_t low = byte & 0x3f;

	switch (byte >> 6) {
	case 0:
		return low;
	case 1:
		return low * 4096;
	case 2:
		return (UINT64_C(1) << low) - (input_8(in) & 1);
	default:
		return input_64(in);
	}
}

void value_field(struct input *in, uint8_t *to, size_t len)
{
	uint64_t v = value_number(in);

	memcpy(to, &v, len);
}

/* The low bits of the first byte choose; the rest is a name of any kind and length. */
static size_t spell(struct input *in, const char *const *names, unsigned int nr, char *to)
{
	unsigned int which = input_8(in);
	size_t len;

	if (which < 0xf0) {
		strcpy(to, names[which % nr]);
		return strlen(to) + 1;
	}
	len = 1 + (which & 1 ? input_16(in) % VALUE_NAME_MAX : which & 14);
	memset(to, 'n', len);
	input_bytes(in, to, len < 16 ? len : 16);
	for (size_t i = 0; i < len; i++)
		if (!to[i] || to[i] == '/')
			to[i] = 'x';
	to[len] = '\0';
	return len + 1;
}

size_t value_name(struct input *in, char to[VALUE_NAME_MAX + 1])
{
	static const char *const names[] = { "dir", "file", "dax", "extents", "small", "link",
		"pipe", "sub", "a", "b", "c", "a name of some length 3",
		"a name of some length 77" };

	return spell(in, names, sizeof(names) / sizeof(names[0]), to);
}

size_t value_xattr(struct input *in, char to[VALUE_NAME_MAX + 1])
{
	static const char *const names[] = { "user.large", "user.small", "user.in", "user.a",
		"trusted.b", "security.medium", "security.capability", "system.posix_acl_access",
		"system.posix_acl_default", "user.", "nothing", "system.other" };

	return spell(in, names, sizeof(names) / sizeof(names[0]), to);
}

uint64_t value_node(struct input *in, const struct kernel *k)
{
	unsigned int which = input_8(in);

	return which == 0xff ? value_number(in) : k->nodes[which % k->nr_nodes];
}
