/* SPDX-License-Identifier: MIT */
/*
 * Hostile devices against the library: whatever they try, blocked, attached,
 * while mappings change and after detach, they reach their owner's pages and
 * nothing else, and no interrupt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <model/devices.h>
#include <string.h>
#include "support/rig.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define OWNER 9
#define ACTS 4000

struct siege {
	struct rig r;
	struct model_attacker in, out; /* attached and never attached */
};

static void attack(struct siege *s, uint64_t hint)
{
	for (unsigned i = 0; i < ACTS; i++) {
		model_attacker_act(&s->in, hint);
		model_attacker_act(&s->out, hint);
		if (i % 64)
			continue;
		iommu_interrupt_all(s->r.iommu);
		rig_take_faults(&s->r);
	}
	rig_check(&s->r);
	assert_int_equal(s->out.through, 0);
}

static void besiege(struct siege *s, bool closed)
{
	struct iommu_domain *dom;
	uint64_t frame[3];
	bool remapped = false;

	s->r.options.fault_storm = 0;
	rig_start_ok(&s->r);
	OK(iommu_irq_remapped(s->r.iommu, rig_id(RIG_DEV), &remapped));
	model_attacker_init(&s->in, s->r.m, 0, RIG_DEV, 1);
	model_attacker_init(&s->out, s->r.m, 0, RIG_OTHER, 2);
	/* Nobody's page is theirs before the attach. */
	model_device_expect(s->r.m, 0, RIG_DEV, OWNER);
	model_device_expect(s->r.m, 0, RIG_OTHER, 254);
	attack(s, 0x10000);
	assert_int_equal(s->in.through, 0);

	dom = rig_mapped_domain(&s->r);
	OK(iommu_attach(s->r.iommu, rig_id(RIG_DEV), dom));
	for (unsigned i = 0; i < 3; i++) {
		frame[i] = rig_frame(&s->r, OWNER);
		OK(iommu_map(dom, iommu_iova(0x10000 + i * 0x2000),
			iommu_phys(frame[i]), 4096, RW));
		attack(s, 0x10000 + i * 0x2000);
	}
	assert_true(s->in.through > 0);
	for (unsigned i = 0; i < 3; i++) {
		OK(iommu_unmap_now(
			dom, iommu_iova(0x10000 + i * 0x2000), 4096));
		model_page_free(s->r.m, frame[i], 0);
		attack(s, 0x10000 + i * 0x2000);
	}
	OK(iommu_detach(s->r.iommu, rig_id(RIG_DEV)));
	OK(iommu_domain_destroy(dom));
	s->in.through = 0;
	attack(s, 0x10000);
	assert_int_equal(s->in.through, 0);
	/* Some emulators let the old format through whatever a driver says. */
	if (remapped && closed)
		assert_int_equal(s->in.interrupts + s->out.interrupts, 0);
}

static void nothing_gets_out(void **state)
{
	static const char *const kinds[] = {"plain", "caching", "non-coherent",
		"no-qi", "sapphire-rapids", "qemu-10"};
	static struct siege s;

	(void)state;
	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
		for (int mode = MODEL_LAZY; mode <= MODEL_RANDOM; mode++) {
			memset(&s, 0, sizeof s);
			rig_open(&s.r, kinds[k], (enum model_mode)mode, 5);
			besiege(&s, strncmp(kinds[k], "qemu", 4) != 0);
			rig_close(&s.r);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_gets_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
