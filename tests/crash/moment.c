/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/moment.h"

#include <string.h>

#include "tests/crash/record.h"
#include "tests/crash/seen.h"

static void add_step(struct crash_moment *m, const struct crash_recording *r, unsigned int op,
	unsigned int before, unsigned int after)
{
	uint32_t a = r->snap_id[before], b = r->snap_id[after];

	for (unsigned int i = 0; i < m->nr_steps; i++)
		if (m->step[i].op == op && m->step[i].before == before && m->step[i].after == after)
			return;
	m->step[m->nr_steps++] = (struct crash_step){ op, before, after };
	/* Where nothing but one snapshot is right it is no matter what ran. */
	m->key = crash_hash(crash_hash(a == b ? UINT32_MAX : op, (uint64_t)a << 32 | b), m->key);
}

static void set(struct crash_moment *m, const struct crash_recording *r, unsigned int op,
	unsigned int before, unsigned int after)
{
	*m = (struct crash_moment){ .op = op, .returned = before == after };
	add_step(m, r, op, before, after);
}

void crash_moment_begin(struct crash_moment *m, const struct crash_recording *r, unsigned int op)
{
	/* Behind the last operation: the unmount, which changes nothing. */
	if (op == r->nr_ops)
		set(m, r, op - 1, op, op);
	else
		set(m, r, op, op, op + 1);
}

void crash_moment_end(struct crash_moment *m, const struct crash_recording *r, unsigned int op)
{
	if (op < r->nr_ops)
		set(m, r, op, op + 1, op + 1);
}

/* ---- two at the same time ------------------------------------------------------------------- */

static bool has(unsigned int ops, unsigned int op)
{
	return ops >> op & 1;
}

/* first, then the other one: how many of them may be there, from one number to another. */
static void add_order(struct crash_moment *m, const struct crash_recording *r, unsigned int first,
	unsigned int begun, unsigned int returned)
{
	unsigned int second = 1 - first;
	unsigned int least = has(returned, second) ? 2 : has(returned, first);
	unsigned int most = !has(begun, first) ? 0 : 1 + has(begun, second);
	const unsigned int at[3] = { CRASH_SNAP_BEFORE, CRASH_SNAP_ONE(first),
		CRASH_SNAP_BOTH(first) };

	if (least == most)
		add_step(m, r, least == 2 ? second : first, at[least], at[least]);
	for (unsigned int n = least; n < most; n++)
		add_step(m, r, n ? second : first, at[n], at[n + 1]);
}

void crash_moment_together(struct crash_moment *m, const struct crash_recording *r,
	unsigned int begun, unsigned int returned)
{
	*m = (struct crash_moment){ .returned = returned == begun };
	for (unsigned int first = 0; first < 2; first++)
		if (has(r->orders, first))
			add_order(m, r, first, begun, returned);
	m->both = r->orders == 3 && begun == 3 && !returned && crash_judge_has_both(r->world);
	m->key = crash_hash(m->both, m->key);
}
