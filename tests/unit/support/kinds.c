/* SPDX-License-Identifier: MIT */
/* See kinds.h. */
#include "kinds.h"

const struct model_personality *kinds_next(const struct model_personality *p)
{
	p = p ? p + 1 : model_personalities;
	while (p->name &&
		(!rig_kind_usable(p) || p->quirks & MODEL_QUIRK_HIDDEN_RWBF))
		p++;
	return p->name ? p : NULL;
}

static void live_on(struct model *m, const struct kinds_test *test)
{
	struct rig r;

	rig_open_machine(&r, m);
	test->life(&r);
	rig_close(&r);
}

void every_kind_in_every_mode(void **test)
{
	const struct model_personality *p = NULL;

	while ((p = kinds_next(p)))
		for (int mode = MODEL_LAZY; mode <= MODEL_BENIGN; mode++)
			live_on(model_create_usual(
					p, (enum model_mode)mode, 0, 7, false),
				*test);
}

void registers_instead_of_the_queue(void **test)
{
	const struct model_personality *p = NULL;
	const struct kinds_test *t = *test;

	while ((p = kinds_next(p))) {
		struct rig r;

		if (p->version >= 0x60)
			continue;
		rig_open(&r, p->name, MODEL_LAZY, 7);
		r.options.interface = IOMMU_INTERFACE_REGISTERS;
		r.options.interrupt_remapping = IOMMU_OFF_ALWAYS;
		t->life(&r);
		rig_close(&r);
	}
}

void random_kinds(void **test)
{
	const struct kinds_test *t = *test;

	for (uint64_t seed = 0; seed < t->seeds; seed++) {
		struct model_personality p = model_personality_random(seed);

		live_on(model_create_usual(&p,
				seed & 1 ? MODEL_LAZY : MODEL_RANDOM, 0, seed,
				false),
			t);
	}
}

void taken_over_from_an_earlier_owner(void **test)
{
	const struct model_personality *p = NULL;

	while ((p = kinds_next(p)))
		live_on(model_create_usual(p, MODEL_LAZY, 0, 1, true), *test);
}

void every_store_watched(void **test)
{
	const struct model_personality *p = NULL;

	while ((p = kinds_next(p)))
		live_on(model_create_usual(p, MODEL_LAZY,
				MODEL_WATCH | MODEL_EAGER, 1, false),
			*test);
}
