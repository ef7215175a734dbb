/* SPDX-License-Identifier: MIT */
/*
 * The calls of a scene: every public function, with work to do.
 */
#include <string.h>
#include <stdlib.h>
#include "scene.h"

#define RW (IOMMU_READ | IOMMU_WRITE)
#define IOMMU (s->r.iommu)
#define LARGE_AT 0x40000000ull
#define LARGE_SIZE 0x200000ull

static void must(enum iommu_status st)
{
	(void)st;
}

/* The call says that nobody reaches the page any more: somebody else has it. */
static enum iommu_status give_back(
	struct scene *s, unsigned frame, enum iommu_status st)
{
	if (st == IOMMU_OK)
		model_page_free(s->r.m, s->frame[frame], 0);
	return st;
}

static void nowhere(void *arg, const char *text, size_t length)
{
	(void)arg;
	(void)text;
	(void)length;
}

/* ---- the instance -------------------------------------------------------- */

static enum iommu_status create(struct scene *s)
{
	return iommu_create(&s->r.hooks, &s->r.options, &s->r.iommu);
}

static enum iommu_status discover(struct scene *s)
{
	return iommu_discover(IOMMU, s->r.dmar, s->r.dmar_size);
}

static enum iommu_status start(struct scene *s)
{
	return iommu_start(IOMMU);
}

static enum iommu_status destroy(struct scene *s)
{
	enum iommu_status st = iommu_destroy(IOMMU);

	if (st != IOMMU_IN_USE)
		IOMMU = NULL;
	return st;
}

static enum iommu_status power_off(struct scene *s)
{
	return iommu_power(IOMMU, false);
}

static enum iommu_status power_on(struct scene *s)
{
	return iommu_power(IOMMU, true);
}

/* A device with a TLB of its own keeps translation on. */
static void without_tlb(struct scene *s)
{
	must(iommu_detach(IOMMU, rig_id(RIG_ATS)));
}

static void switched_off(struct scene *s)
{
	without_tlb(s);
	must(power_off(s));
}

static enum iommu_status suspend(struct scene *s)
{
	return iommu_suspend(IOMMU);
}

static void asleep(struct scene *s)
{
	without_tlb(s);
	must(suspend(s));
	model_unit_reset(s->r.m, 0);
}

static enum iommu_status resume(struct scene *s)
{
	return iommu_resume(IOMMU);
}

static enum iommu_status second_unit(struct scene *s)
{
	return iommu_units_add(IOMMU, s->structure, s->structure_size);
}

static enum iommu_status inherited_end(struct scene *s)
{
	return iommu_inherited_end(IOMMU);
}

/* A unit at whose address nothing answers: known, and not used. */
static enum iommu_status units_add(struct scene *s)
{
	static const uint8_t unit[16] = {
		[2] = sizeof(unit), [10] = 0xda, [11] = 0xfe};

	return iommu_units_add(IOMMU, unit, sizeof(unit));
}

static enum iommu_status hand_over(struct scene *s)
{
	return iommu_hand_over(IOMMU, IOMMU_HAND_OVER_KEPT);
}

static enum iommu_status leave_blocked(struct scene *s)
{
	return iommu_hand_over(IOMMU, IOMMU_HAND_OVER_BLOCKED);
}

/* ---- devices ------------------------------------------------------------- */

static enum iommu_status device_info(struct scene *s)
{
	struct iommu_device_info info;

	return iommu_device_info(IOMMU, rig_id(MODEL_BDF(0, 1, 0)), &info);
}

static enum iommu_status device_group(struct scene *s)
{
	struct iommu_device_id id[8];
	unsigned count;

	return iommu_device_group(
		IOMMU, rig_id(RIG_BEHIND_BRIDGE), id, 8, &count);
}

static enum iommu_status device_duties(struct scene *s)
{
	unsigned duties;

	return iommu_device_duties(IOMMU, rig_id(MODEL_BDF(0, 1, 0)), &duties);
}

static enum iommu_status attach(struct scene *s)
{
	return iommu_attach(IOMMU, rig_id(RIG_BEHIND_BRIDGE), s->mapped);
}

static enum iommu_status attach_to_host_tables(struct scene *s)
{
	return rig_space_attach(&s->shared, RIG_BEHIND_BRIDGE);
}

static enum iommu_status detach(struct scene *s)
{
	return iommu_detach(IOMMU, rig_id(RIG_DEV));
}

static enum iommu_status detach_with_tlb(struct scene *s)
{
	return iommu_detach(IOMMU, rig_id(RIG_ATS));
}

/* Its TLB does not answer for a while. */
static void quarantined(struct scene *s)
{
	model_ats_behave(s->r.m, 0, RIG_ATS, MODEL_ATS_NEVER);
	must(detach_with_tlb(s));
	model_ats_behave(s->r.m, 0, RIG_ATS, MODEL_ATS_PROMPT);
}

static enum iommu_status device_revive(struct scene *s)
{
	return iommu_device_revive(IOMMU, rig_id(RIG_ATS));
}

static enum iommu_status device_removed(struct scene *s)
{
	return iommu_device_removed(IOMMU, rig_id(RIG_OTHER));
}

/* ---- domains ------------------------------------------------------------- */

static enum iommu_status domain_create(struct scene *s)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};

	return iommu_domain_create(IOMMU, &config, &s->made);
}

static enum iommu_status domain_destroy(struct scene *s)
{
	enum iommu_status st = iommu_domain_destroy(s->idle);

	if (st == IOMMU_OK)
		s->idle = NULL;
	return st;
}

static enum iommu_status map(struct scene *s)
{
	return iommu_map(s->mapped, iommu_iova(0x400000),
		iommu_phys(s->frame[4]), MODEL_PAGE, RW);
}

static enum iommu_status map_large(struct scene *s)
{
	return iommu_map(s->mapped, iommu_iova(LARGE_AT),
		iommu_phys(LARGE_SIZE), LARGE_SIZE + MODEL_PAGE, RW);
}

static void large(struct scene *s)
{
	must(map_large(s));
}

static enum iommu_status unmap_part(struct scene *s)
{
	return iommu_unmap_now(
		s->mapped, iommu_iova(LARGE_AT + 0x5000), MODEL_PAGE);
}

static void cut(struct scene *s)
{
	large(s);
	must(unmap_part(s));
	must(iommu_map(s->mapped, iommu_iova(LARGE_AT + 0x5000),
		iommu_phys(LARGE_SIZE + 0x5000), MODEL_PAGE, RW));
}

static enum iommu_status join(struct scene *s)
{
	enum iommu_status st, flushed;

	iommu_batch_init(&s->batch, s->mapped);
	st = iommu_join(s->mapped, iommu_iova(LARGE_AT), LARGE_SIZE, &s->batch);
	flushed = iommu_batch_flush(&s->batch);
	return st == IOMMU_OK ? flushed : st;
}

static enum iommu_status unmap(struct scene *s)
{
	enum iommu_status st, flushed;

	iommu_batch_init(&s->batch, s->mapped);
	st = iommu_unmap(
		s->mapped, iommu_iova(0x10000), MODEL_PAGE, &s->batch, NULL);
	flushed = iommu_batch_flush(&s->batch);
	return give_back(s, 0, st == IOMMU_OK ? flushed : st);
}

static enum iommu_status unmap_now(struct scene *s)
{
	return give_back(
		s, 0, iommu_unmap_now(s->mapped, iommu_iova(0), LARGE_SIZE));
}

static enum iommu_status iova_to_phys(struct scene *s)
{
	iommu_phys_t phys;

	return iommu_iova_to_phys(s->mapped, iommu_iova(0x10000), &phys);
}

static void cleared(struct scene *s)
{
	rig_space_set(&s->shared, 0x10000, 0);
}

static enum iommu_status batch_flush(struct scene *s)
{
	iommu_batch_init(&s->batch, s->shared.domain);
	iommu_batch_add(
		&s->batch, IOMMU_REMOVED, iommu_iova(0x10000), MODEL_PAGE);
	return give_back(s, 2, iommu_batch_flush(&s->batch));
}

static enum iommu_status flush(struct scene *s)
{
	return give_back(s, 2,
		iommu_flush(s->shared.domain, IOMMU_REMOVED,
			iommu_iova(0x10000), MODEL_PAGE));
}

static enum iommu_status flush_all(struct scene *s)
{
	return give_back(
		s, 2, iommu_flush_all(s->shared.domain, IOMMU_REMOVED));
}

/* ---- buffers ------------------------------------------------------------- */

static enum iommu_status dma_create(struct scene *s)
{
	struct iommu_dma_config config = {.untrusted = true};

	return iommu_dma_create(s->idle, &config, &s->dma_made);
}

static void another_dma(struct scene *s)
{
	must(dma_create(s));
}

static enum iommu_status dma_destroy(struct scene *s)
{
	enum iommu_status st = iommu_dma_destroy(s->dma_made);

	if (st != IOMMU_IN_USE)
		s->dma_made = NULL;
	return st;
}

static enum iommu_status dma_reserve(struct scene *s)
{
	return iommu_dma_reserve(s->dma_made, iommu_iova(0x700000), 0x100000);
}

static enum iommu_status dma_map(struct scene *s)
{
	iommu_iova_t iova;
	enum iommu_status st = iommu_dma_map(s->dma, iommu_phys(s->frame[5]),
		MODEL_PAGE, ~0ull, IOMMU_BOTH_WAYS, &iova);

	if (st != IOMMU_OK)
		return st;
	s->range[0].iova = iova;
	s->range[0].size = MODEL_PAGE;
	s->ranges = 1;
	return st;
}

/* Through copies, which are allocated. */
static enum iommu_status dma_map_copy(struct scene *s)
{
	iommu_iova_t iova;
	enum iommu_status st =
		iommu_dma_map(s->dma_made, iommu_phys(s->frame[5] + 7), 100,
			~0ull, IOMMU_BOTH_WAYS, &iova);

	return st == IOMMU_OK
		? iommu_dma_unmap(s->dma_made, iova, 100, IOMMU_BOTH_WAYS)
		: st;
}

static enum iommu_status dma_unmap(struct scene *s)
{
	enum iommu_status st =
		iommu_dma_unmap(s->dma, s->buffer, 100, IOMMU_BOTH_WAYS);

	/* Gone, confirmed or not. */
	s->has_buffer = false;
	return give_back(s, 3, st);
}

static enum iommu_status dma_unmap_later(struct scene *s)
{
	bool told = false;
	enum iommu_status st = iommu_dma_unmap_later(
		s->dma, s->buffer, 100, IOMMU_BOTH_WAYS, &told);

	s->has_buffer = false;
	/* In strict mode at once, or never. */
	if (told != (st == IOMMU_OK))
		abort();
	return give_back(s, 3, st);
}

static enum iommu_status dma_sync(struct scene *s)
{
	iommu_dma_sync(s->dma, s->buffer, 100, IOMMU_BOTH_WAYS);
	return IOMMU_OK;
}

static enum iommu_status dma_map_list(struct scene *s)
{
	struct iommu_dma_piece piece[2] = {
		{iommu_phys(s->frame[5]), MODEL_PAGE},
		{iommu_phys(s->frame[6]), 200},
	};

	return iommu_dma_map_list(
		s->dma, piece, 2, ~0ull, IOMMU_BOTH_WAYS, s->range, &s->ranges);
}

static void a_list(struct scene *s)
{
	must(dma_map_list(s));
}

static enum iommu_status dma_unmap_list(struct scene *s)
{
	unsigned count = s->ranges;

	s->ranges = 0;
	return iommu_dma_unmap_list(s->dma, s->range, count, IOMMU_BOTH_WAYS);
}

static enum iommu_status dma_alloc(struct scene *s)
{
	return iommu_dma_alloc(s->dma, 0, ~0ull, &s->page, &s->page_iova);
}

static void a_page(struct scene *s)
{
	must(dma_alloc(s));
}

static enum iommu_status dma_free(struct scene *s)
{
	void *page = s->page;

	s->page = NULL;
	return iommu_dma_free(s->dma, 0, page, s->page_iova);
}

/* A buffer whose flush is put off, of a device that has seen it. */
static void deferred(struct scene *s)
{
	struct iommu_dma_config config = {.deferred = true};
	iommu_iova_t iova = {0};

	must(iommu_attach(IOMMU, rig_id(RIG_BEHIND_BRIDGE), s->idle));
	must(iommu_dma_create(s->idle, &config, &s->dma_made));
	must(iommu_dma_map(s->dma_made, iommu_phys(s->frame[5]), MODEL_PAGE,
		~0ull, IOMMU_BOTH_WAYS, &iova));
	rig_can_write(&s->r, RIG_BEHIND_BRIDGE, iova.v);
	must(iommu_dma_unmap(s->dma_made, iova, MODEL_PAGE, IOMMU_BOTH_WAYS));
	model_advance(s->r.m, 20000000);
}

static enum iommu_status dma_flush(struct scene *s)
{
	return give_back(s, 5, iommu_dma_flush(s->dma_made));
}

static enum iommu_status dma_tick(struct scene *s)
{
	return give_back(s, 5, iommu_dma_tick(s->dma_made));
}

/* ---- interrupts ---------------------------------------------------------- */

static enum iommu_status irq_remapped(struct scene *s)
{
	bool remapped;

	return iommu_irq_remapped(IOMMU, rig_id(MODEL_BDF(0, 1, 0)), &remapped);
}

static enum iommu_status irq_alloc(struct scene *s)
{
	enum iommu_status st =
		iommu_irq_alloc(IOMMU, rig_id(RIG_OTHER), 4, &s->irq_made);

	s->has_irq_made = st == IOMMU_OK;
	return st;
}

static enum iommu_status irq_alloc_ioapic(struct scene *s)
{
	enum iommu_status st =
		iommu_irq_alloc_ioapic(IOMMU, 2, 8, &s->irq_made);

	s->has_irq_made = st == IOMMU_OK;
	return st;
}

static enum iommu_status irq_alloc_hpet(struct scene *s)
{
	struct iommu_irq none;

	return iommu_irq_alloc_hpet(IOMMU, 0, 1, &none);
}

static enum iommu_status irq_set(struct scene *s)
{
	struct iommu_irq_target target = {.vector = 0x77, .destination = 1};

	return iommu_irq_set(IOMMU, &s->irq, 0, &target);
}

static enum iommu_status irq_clear(struct scene *s)
{
	return iommu_irq_clear(IOMMU, &s->irq, 0);
}

static enum iommu_status irq_message(struct scene *s)
{
	struct iommu_msi_message message;

	return iommu_irq_message(IOMMU, &s->irq, 0, &message);
}

static enum iommu_status irq_ioapic_entry(struct scene *s)
{
	uint64_t entry;

	return iommu_irq_ioapic_entry(
		IOMMU, &s->irq, 0, 0x50, false, false, &entry);
}

static enum iommu_status irq_free(struct scene *s)
{
	s->has_irq = false;
	return iommu_irq_free(IOMMU, &s->irq);
}

/* ---- faults and reports -------------------------------------------------- */

static void some_faults(struct scene *s)
{
	for (unsigned i = 0; i < 3; i++)
		rig_can_write(&s->r, MODEL_BDF(0, 1, 0), 0x5000 * i);
}

static void caught_faults(struct scene *s)
{
	some_faults(s);
	iommu_interrupt_all(IOMMU);
}

static enum iommu_status interrupt(struct scene *s)
{
	iommu_interrupt(IOMMU, 0);
	return IOMMU_OK;
}

static enum iommu_status interrupt_all(struct scene *s)
{
	iommu_interrupt_all(IOMMU);
	return IOMMU_OK;
}

static enum iommu_status fault_next(struct scene *s)
{
	struct iommu_fault fault;
	char line[100];

	while (iommu_fault_next(IOMMU, &fault))
		iommu_fault_format(&fault, line, sizeof line);
	return IOMMU_OK;
}

static enum iommu_status reports(struct scene *s)
{
	iommu_report_info(IOMMU, nowhere, NULL);
	iommu_report_warnings(IOMMU, nowhere, NULL);
	iommu_report_quirks(IOMMU, nowhere, NULL);
	iommu_report_stats(IOMMU, nowhere, NULL);
	iommu_report_queue(IOMMU, nowhere, NULL);
	iommu_report_interrupts(IOMMU, nowhere, NULL);
	return IOMMU_OK;
}

static enum iommu_status report_tables(struct scene *s)
{
	return iommu_report_tables(IOMMU, rig_id(RIG_DEV), 20, nowhere, NULL);
}

static enum iommu_status report_walk(struct scene *s)
{
	return iommu_report_walk(
		IOMMU, rig_id(RIG_DEV), iommu_iova(0x10000), nowhere, NULL);
}

static void visit(void *arg, unsigned unit, struct iommu_device_id id,
	struct iommu_domain *domain)
{
	(void)arg;
	(void)unit;
	(void)id;
	iommu_domain_owner(domain);
	iommu_domain_kind(domain);
}

/* What only looks: no memory, no register. */
static enum iommu_status questions(struct scene *s)
{
	struct iommu_entry_format format = {.leaf_bits = 3};
	struct iommu_reserved_region region;
	struct iommu_firmware firmware;
	struct iommu_options options;
	struct iommu_unit_info info;
	struct iommu_device_id id;
	struct iommu_stats stats;

	iommu_options_default(&options);
	iommu_reason(IOMMU);
	iommu_is_on(IOMMU);
	iommu_version();
	iommu_inherited_count(IOMMU);
	must(iommu_firmware(IOMMU, &firmware));
	must(iommu_acpi_device(IOMMU, "none", &id));
	iommu_unit_count(IOMMU);
	must(iommu_unit_info(IOMMU, 0, &info));
	must(iommu_unit_stats(IOMMU, 0, &stats));
	iommu_reserved_count(IOMMU);
	must(iommu_reserved_region(IOMMU, 0, &region));
	iommu_visit_attached(IOMMU, visit, NULL);
	iommu_domain_identity(IOMMU);
	iommu_domain_devices(s->mapped);
	iommu_domain_duties(s->mapped);
	must(iommu_shared_check(IOMMU, 0, &format, NULL));
	iommu_fault_text(5);
	iommu_decode_capabilities(0x10, 0, 0, nowhere, NULL);
	must(iommu_decode_dmar(s->r.dmar, s->r.dmar_size, nowhere, NULL));
	iommu_decode_entry(1, 3, 0, nowhere, NULL);
	return IOMMU_OK;
}

/* The names after a blank are told apart by it, those after commas are called
 * too. */
const struct scene_call scene_calls[] = {
	{"iommu_create", SCENE_OPENED, NULL, create, false},
	{"iommu_discover", SCENE_CREATED, NULL, discover, false},
	{"iommu_start", SCENE_DISCOVERED, NULL, start, false},
	{"iommu_destroy", SCENE_STARTED, NULL, destroy, false},
	{"iommu_power off", SCENE_FULL, without_tlb, power_off, false},
	{"iommu_power on", SCENE_FULL, switched_off, power_on, false},
	{"iommu_suspend", SCENE_FULL, without_tlb, suspend, false},
	{"iommu_resume", SCENE_FULL, asleep, resume, false},
	{"iommu_units_add second", SCENE_UNIT_COMES, NULL, second_unit, false},
	{"iommu_inherited_end", SCENE_FULL, NULL, inherited_end, false},
	{"iommu_units_add", SCENE_FULL, NULL, units_add, false},
	{"iommu_hand_over", SCENE_FULL, NULL, hand_over, true},
	{"iommu_hand_over blocked", SCENE_STARTED, NULL, leave_blocked, true},
	{"iommu_device_info", SCENE_FULL, NULL, device_info, false},
	{"iommu_device_group", SCENE_FULL, NULL, device_group, false},
	{"iommu_device_duties", SCENE_FULL, NULL, device_duties, false},
	{"iommu_attach", SCENE_FULL, NULL, attach, false},
	{"iommu_attach shared", SCENE_FULL, NULL, attach_to_host_tables, false},
	{"iommu_detach", SCENE_FULL, NULL, detach, false},
	{"iommu_detach tlb", SCENE_FULL, NULL, detach_with_tlb, false},
	{"iommu_device_revive", SCENE_FULL, quarantined, device_revive, false},
	{"iommu_device_removed", SCENE_FULL, NULL, device_removed, false},
	{"iommu_domain_create", SCENE_FULL, NULL, domain_create, false},
	{"iommu_domain_destroy", SCENE_FULL, NULL, domain_destroy, false},
	{"iommu_map", SCENE_FULL, NULL, map, false},
	{"iommu_map large", SCENE_FULL, NULL, map_large, false},
	{"iommu_unmap,iommu_batch_init", SCENE_FULL, NULL, unmap, false},
	{"iommu_unmap_now", SCENE_FULL, NULL, unmap_now, false},
	{"iommu_unmap_now part", SCENE_FULL, large, unmap_part, false},
	{"iommu_join", SCENE_FULL, cut, join, false},
	{"iommu_iova_to_phys", SCENE_FULL, NULL, iova_to_phys, false},
	{"iommu_batch_flush,iommu_batch_add", SCENE_FULL, cleared, batch_flush,
		false},
	{"iommu_flush", SCENE_FULL, cleared, flush, false},
	{"iommu_flush_all", SCENE_FULL, cleared, flush_all, false},
	{"iommu_dma_create", SCENE_FULL, NULL, dma_create, false},
	{"iommu_dma_destroy", SCENE_FULL, another_dma, dma_destroy, false},
	{"iommu_dma_destroy deferred", SCENE_FULL, deferred, dma_destroy,
		false},
	{"iommu_dma_reserve", SCENE_FULL, another_dma, dma_reserve, false},
	{"iommu_dma_map", SCENE_FULL, NULL, dma_map, false},
	{"iommu_dma_map copy", SCENE_FULL, another_dma, dma_map_copy, false},
	{"iommu_dma_unmap", SCENE_FULL, NULL, dma_unmap, false},
	{"iommu_dma_unmap_later", SCENE_FULL, NULL, dma_unmap_later, false},
	{"iommu_dma_sync", SCENE_FULL, NULL, dma_sync, false},
	{"iommu_dma_map_list", SCENE_FULL, NULL, dma_map_list, false},
	{"iommu_dma_unmap_list", SCENE_FULL, a_list, dma_unmap_list, false},
	{"iommu_dma_alloc", SCENE_FULL, NULL, dma_alloc, false},
	{"iommu_dma_free", SCENE_FULL, a_page, dma_free, false},
	{"iommu_dma_flush", SCENE_FULL, deferred, dma_flush, false},
	{"iommu_dma_tick", SCENE_FULL, deferred, dma_tick, false},
	{"iommu_irq_remapped", SCENE_FULL, NULL, irq_remapped, false},
	{"iommu_irq_alloc", SCENE_FULL, NULL, irq_alloc, false},
	{"iommu_irq_alloc_ioapic", SCENE_FULL, NULL, irq_alloc_ioapic, false},
	{"iommu_irq_alloc_hpet", SCENE_FULL, NULL, irq_alloc_hpet, false},
	{"iommu_irq_set", SCENE_FULL, NULL, irq_set, false},
	{"iommu_irq_clear", SCENE_FULL, NULL, irq_clear, false},
	{"iommu_irq_message", SCENE_FULL, NULL, irq_message, false},
	{"iommu_irq_ioapic_entry", SCENE_FULL, NULL, irq_ioapic_entry, false},
	{"iommu_irq_free", SCENE_FULL, NULL, irq_free, false},
	{"iommu_interrupt", SCENE_FULL, some_faults, interrupt, false},
	{"iommu_interrupt_all", SCENE_FULL, some_faults, interrupt_all, false},
	{"iommu_fault_next,iommu_fault_format", SCENE_FULL, caught_faults,
		fault_next, false},
	{"iommu_report_info,iommu_report_warnings,iommu_report_quirks,"
	 "iommu_report_stats,iommu_report_queue,iommu_report_interrupts",
		SCENE_FULL, NULL, reports, false},
	{"iommu_report_tables", SCENE_FULL, NULL, report_tables, false},
	{"iommu_report_walk", SCENE_FULL, NULL, report_walk, false},
	{"iommu_options_default,iommu_reason,iommu_is_on,iommu_version,"
	 "iommu_inherited_count,iommu_firmware,iommu_acpi_device,"
	 "iommu_unit_count,iommu_unit_info,iommu_unit_stats,"
	 "iommu_reserved_count,iommu_reserved_region,iommu_visit_attached,"
	 "iommu_domain_identity,iommu_domain_owner,iommu_domain_kind,"
	 "iommu_domain_devices,iommu_domain_duties,iommu_shared_check,"
	 "iommu_fault_text,iommu_status_text,iommu_decode_capabilities,"
	 "iommu_decode_dmar,iommu_decode_entry",
		SCENE_FULL, NULL, questions, false},
	{NULL, SCENE_OPENED, NULL, NULL, false},
};
