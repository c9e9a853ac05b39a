/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ddfs_utf8.h"

#include <stdint.h>

/* Bytes of the character that text begins with, 0 if that is none: UTF-8 as in RFC 3629. */
static size_t char_bytes(const unsigned char *text, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = *text < 0x80 ? 1 : *text < 0xe0 ? 2 : *text < 0xf0 ? 3 : 4;
	uint32_t c = *text & (0x7fu >> len);

	if (len == 1)
		return 1;
	if (*text < 0xc0 || *text > 0xf4 || len > left)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (text[i] & 0x3f);
	}
	return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

size_t ddfs_utf8_clean(char *text, size_t len)
{
	size_t nr = 0;

	while (len) {
		size_t n = char_bytes((unsigned char *)text, len);

		if (!n) {
			*text = '?';
			n = 1;
			nr++;
		}
		text += n;
		len -= n;
	}
	return nr;
}
