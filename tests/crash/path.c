/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void crash_path_print(const struct crash_path *p, char out[CRASH_PATH_TEXT])
{
	size_t used = 0;

	out[0] = '\0';
	for (unsigned int i = 0; i < p->nr; i++)
		used += (size_t)snprintf(out + used, CRASH_PATH_TEXT - used, "%s%llu:%llu",
			i ? "/" : "", (unsigned long long)p->at[i].cut,
			(unsigned long long)p->at[i].state);
}

int crash_path_parse(const char *text, struct crash_path *out)
{
	struct crash_path p = { 0 };

	while (p.nr < CRASH_LEVELS) {
		unsigned long long cut, state;
		int n = 0;

		if (sscanf(text, "%llu:%llu%n", &cut, &state, &n) != 2)
			return -EINVAL;
		p.at[p.nr].cut = cut;
		p.at[p.nr++].state = state;
		text += n;
		if (*text != '/')
			break;
		text++;
	}
	if (*text)
		return -EINVAL;
	*out = p;
	return 0;
}
