/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <syslog.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "src/device/policy.h"
#include "src/device/say.h"

int ddfs_persistence_parse(const char *word, enum ddfs_persistence *out)
{
	static const char *const words[] = {
		[DDFS_PERSISTENCE_AUTO] = "auto",
		[DDFS_PERSISTENCE_CPU_CACHE] = "cpu_cache",
		[DDFS_PERSISTENCE_MEMORY_CONTROLLER] = "memory_controller",
		[DDFS_PERSISTENCE_NONE] = "none",
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i]) == 0) {
			*out = (enum ddfs_persistence)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Firmware may report less than there is, never more: the most careful guess is right. */
static enum ddfs_policy devdax_policy(const struct ddfs_source *src, const struct ddfs_listener *to)
{
	const char *what = src->region_name[0] ? src->region_name : src->dax_name;

	switch (src->domain) {
	case DDFS_DOMAIN_CPU_CACHE:
		return DDFS_POLICY_CPU_CACHE;
	case DDFS_DOMAIN_MEMORY_CONTROLLER:
		return DDFS_POLICY_MEMORY_CONTROLLER;
	case DDFS_DOMAIN_NONE:
		ddfs_say(to, LOG_WARNING,
			"%s says that it persists nothing: a power loss may lose everything", what);
		return DDFS_POLICY_MEMORY_CONTROLLER;
	default:
		ddfs_say(to, LOG_NOTICE,
			"%s does not say how far a store must travel to survive a power loss: "
			"flushing to the memory controller (persistence= overrides)",
			what);
		return DDFS_POLICY_MEMORY_CONTROLLER;
	}
}

static enum ddfs_policy image_policy(enum pmem2_granularity granularity, bool in_memory)
{
	if (in_memory)
		return DDFS_POLICY_VOLATILE;
	switch (granularity) {
	case PMEM2_GRANULARITY_BYTE:
		return DDFS_POLICY_CPU_CACHE;
	case PMEM2_GRANULARITY_CACHE_LINE:
		return DDFS_POLICY_MEMORY_CONTROLLER;
	default:
		return DDFS_POLICY_PAGE;
	}
}

enum ddfs_policy ddfs_policy_choose(const struct ddfs_source *src,
	enum pmem2_granularity granularity, bool in_memory, enum ddfs_persistence wanted,
	const struct ddfs_listener *to)
{
	switch (wanted) {
	case DDFS_PERSISTENCE_CPU_CACHE:
		return DDFS_POLICY_CPU_CACHE;
	case DDFS_PERSISTENCE_MEMORY_CONTROLLER:
		return DDFS_POLICY_MEMORY_CONTROLLER;
	case DDFS_PERSISTENCE_NONE:
		return DDFS_POLICY_NONE;
	default:
		return src->kind == DDFS_SOURCE_DEVDAX ? devdax_policy(src, to)
						       : image_policy(granularity, in_memory);
	}
}

/* The instruction that libpmem2 picks on this processor. */
static const char *memory_controller_description(void)
{
#ifdef __x86_64__
	unsigned int a, b, c, d;

	if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
		if (b & bit_CLWB)
			return "memory_controller, flush: clwb";
		if (b & bit_CLFLUSHOPT)
			return "memory_controller, flush: clflushopt";
	}
	return "memory_controller, flush: clflush";
#else
	return "memory_controller, flush: per line";
#endif
}

const char *ddfs_policy_description(enum ddfs_policy policy)
{
	switch (policy) {
	case DDFS_POLICY_CPU_CACHE:
		return "cpu_cache, flush: elided";
	case DDFS_POLICY_MEMORY_CONTROLLER:
		return memory_controller_description();
	case DDFS_POLICY_PAGE:
		return "page, flush: fdatasync";
	case DDFS_POLICY_VOLATILE:
		return "volatile, flush: elided";
	default:
		return "none, flush: elided";
	}
}
