/* SPDX-License-Identifier: BSD-3-Clause */
/* What would make one process's images differ from another's, by the linker's --wrap. */
#include <string.h>
#include <sys/types.h>

ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags);
int __wrap_sched_getcpu(void);

ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags)
{
	(void)flags;
	memset(buf, 0x5a, len);
	return (ssize_t)len;
}

int __wrap_sched_getcpu(void)
{
	return 0;
}
