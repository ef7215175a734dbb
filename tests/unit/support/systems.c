/* SPDX-License-Identifier: MIT */
/* See systems.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "systems.h"

void systems_open(struct systems *s, struct model *m)
{
	memset(s, 0, sizeof(*s));
	s->m = m;
	rig_open_machine(&s->first, m);
}

void systems_live(struct systems *s)
{
	rig_start_ok(&s->first);
	s->page = rig_frame(&s->first, 9);
	s->domain = rig_mapped_domain(&s->first);
	OK(iommu_map(s->domain, iommu_iova(SYSTEMS_AT), iommu_phys(s->page),
		4096, IOMMU_READ | IOMMU_WRITE));
	OK(iommu_attach(s->first.iommu, rig_id(RIG_OTHER), s->domain));
}

void systems_hand_over(struct systems *s)
{
	OK(iommu_hand_over(s->first.iommu, IOMMU_HAND_OVER_KEPT));
	rig_open_machine(&s->next, s->m);
	s->next.options.take_over = IOMMU_TAKE_OVER_KEPT;
}
