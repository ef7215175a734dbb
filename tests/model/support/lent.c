/* SPDX-License-Identifier: MIT */
/* See lent.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lent.h"

struct iommu_host hooks;
struct model_host host;
struct iommu_lock *locks;
iommu_phys_t place;

void lend(struct model *m, unsigned order)
{
	model_host_init(&host, m, &hooks);
	locks = hooks.page_alloc(hooks.ctx, order, &place);
}

void hold(unsigned n)
{
	assert_int_equal(hooks.lock(hooks.ctx, &locks[n]), 0x5a);
}

void let_go(unsigned n)
{
	hooks.unlock(hooks.ctx, &locks[n], 0x5a);
}

void both(unsigned first, unsigned then)
{
	hold(first);
	hold(then);
	let_go(then);
	let_go(first);
}
