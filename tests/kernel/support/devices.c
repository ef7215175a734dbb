/* SPDX-License-Identifier: MIT */
/* See devices.h. */
#include "support/devices.h"
#include "assign/assign.h"

#define MAX_DEVICES 8

bool units_fail;
unsigned units_flushes, units_what;

static struct device *attached[MAX_DEVICES];

static bool has_device(const struct space *s)
{
	for (unsigned i = 0; i < MAX_DEVICES; i++)
		if (attached[i] && attached[i]->space == s)
			return true;
	return false;
}

int device_attach(struct device *d, struct space *s)
{
	unsigned i = 0;
	int err = space_share(s, d->noncoherent, d->huge);

	if (err) {
		if (!has_device(s))
			space_unshare(s);
		return err;
	}
	while (attached[i])
		i++;
	attached[i] = d;
	d->space = s;
	d->tlb = tlb_create();
	d->root = space_root(s, d->levels);
	space_set_domain(s, &attached);
	return 0;
}

void device_detach(struct device *d)
{
	struct space *s = d->space;

	for (unsigned i = 0; i < MAX_DEVICES; i++)
		if (attached[i] == d)
			attached[i] = NULL;
	tlb_destroy(d->tlb);
	d->tlb = NULL;
	d->space = NULL;
	if (!has_device(s))
		space_unshare(s);
}

void devices_reset(void)
{
	for (unsigned i = 0; i < MAX_DEVICES; i++)
		attached[i] = NULL;
	units_fail = false;
}

void devices_prefetch(void)
{
	for (unsigned i = 0; i < MAX_DEVICES; i++)
		if (attached[i])
			device_prefetch(attached[i]);
}

void assign_space_gone(struct space *s)
{
	for (unsigned i = 0; i < MAX_DEVICES; i++)
		if (attached[i] && attached[i]->space == s)
			device_detach(attached[i]);
}

/* A unit forgets what it was told about and nothing else. */
static void unit_forget(
	struct device *d, uint64_t start, uint64_t end, unsigned what)
{
	unsigned leaves = CHANGE_REMOVED | CHANGE_CUT | CHANGE_RAISED |
		CHANGE_REPLACED | CHANGE_TABLES;

	if (d->caching_mode)
		leaves |= CHANGE_PRESENT;
	if (what & leaves)
		tlb_drop(d->tlb, start, end, what & CHANGE_TABLES);
}

int assign_flush(struct space *s, uint64_t start, uint64_t end, unsigned what)
{
	flush_pending = true;
	machine_others();
	flush_pending = false;
	units_flushes++;
	units_what |= what;
	if (start >= end || !what)
		machine_blame("an empty flush");
	if (units_fail)
		return -EIO;
	for (unsigned i = 0; i < MAX_DEVICES; i++)
		if (attached[i] && attached[i]->space == s)
			unit_forget(attached[i], start, end, what);
	machine_others();
	return 0;
}
