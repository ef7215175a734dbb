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

static void live_on(struct model *m, rig_life *life)
{
	struct rig r;

	rig_open_machine(&r, m);
	life(&r);
	rig_close(&r);
}

void kinds_in_every_mode(rig_life *life)
{
	const struct model_personality *p = NULL;

	while ((p = kinds_next(p)))
		for (int mode = MODEL_LAZY; mode <= MODEL_BENIGN; mode++)
			live_on(model_create_usual(
					p, (enum model_mode)mode, 0, 7, false),
				life);
}

void kinds_with_registers(rig_life *life)
{
	const struct model_personality *p = NULL;

	while ((p = kinds_next(p))) {
		struct rig r;

		if (p->version >= 0x60)
			continue;
		rig_open(&r, p->name, MODEL_LAZY, 7);
		r.options.interface = IOMMU_INTERFACE_REGISTERS;
		r.options.interrupt_remapping = IOMMU_OFF_ALWAYS;
		life(&r);
		rig_close(&r);
	}
}

void kinds_at_random(rig_life *life, uint64_t count)
{
	for (uint64_t seed = 0; seed < count; seed++) {
		struct model_personality p = model_personality_random(seed);

		live_on(model_create_usual(&p,
				seed & 1 ? MODEL_LAZY : MODEL_RANDOM, 0, seed,
				false),
			life);
	}
}

void kinds_left_on(rig_life *life)
{
	const struct model_personality *p = NULL;

	while ((p = kinds_next(p)))
		live_on(model_create_usual(p, MODEL_LAZY, 0, 1, true), life);
}

void kinds_watched(rig_life *life)
{
	const struct model_personality *p = NULL;

	while ((p = kinds_next(p)))
		live_on(model_create_usual(p, MODEL_LAZY,
				MODEL_WATCH | MODEL_EAGER, 1, false),
			life);
}
