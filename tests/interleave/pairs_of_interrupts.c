/* SPDX-License-Identifier: MIT */
/*
 * Interrupt entries, faults and reports: what is read while it changes.
 */
#include "weave.h"

static struct iommu_irq_target at_vector(unsigned vector)
{
	return (struct iommu_irq_target){.vector = (uint8_t)vector};
}

/** The vector at which a device's message for entry 0 arrives; 0: refused. */
static unsigned send(struct scene *s, unsigned n, uint16_t from)
{
	struct iommu_msi_message msg;

	if (iommu_irq_message(s->r.iommu, &s->irq[n], 0, &msg) != IOMMU_OK)
		return ~0u;
	weave_point();
	if (!model_msi(s->r.m, 0, from, msg.address, msg.data))
		return 0;
	return s->r.host.last_interrupt.vector;
}

static void take(struct scene *s, unsigned n, uint16_t bdf)
{
	struct iommu_irq_target target = at_vector(0x30 + n);

	WEAVE_CHECK(iommu_irq_alloc(s->r.iommu, id_of(bdf), 1, &s->irq[n]) ==
		IOMMU_OK);
	WEAVE_CHECK(send(s, n, bdf) == 0);
	WEAVE_CHECK(
		iommu_irq_set(s->r.iommu, &s->irq[n], 0, &target) == IOMMU_OK);
	WEAVE_CHECK(send(s, n, bdf) == 0x30 + n);
}

static void give(struct scene *s, unsigned n, uint16_t bdf)
{
	struct iommu_irq irq = s->irq[n];
	struct iommu_msi_message msg;

	WEAVE_CHECK(iommu_irq_message(s->r.iommu, &irq, 0, &msg) == IOMMU_OK);
	WEAVE_CHECK(iommu_irq_free(s->r.iommu, &irq) == IOMMU_OK);
	s->irq[n].count = 0;
	weave_point();
	WEAVE_CHECK(!model_msi(s->r.m, 0, bdf, msg.address, msg.data));
}

static void one_irq(struct scene *s)
{
	with_domain(s, 0);
	with_page(s, 0, HERE);
	attach(s, DEV, 0);
	take(s, 0, DEV);
}

static void alloc_other(struct scene *s)
{
	take(s, 1, OTHER);
}

static void alloc_dev(struct scene *s)
{
	take(s, 0, DEV);
}

static void free_dev(struct scene *s)
{
	give(s, 0, DEV);
}

static void retarget(struct scene *s)
{
	struct iommu_irq_target target = at_vector(0x77);

	WEAVE_CHECK(
		iommu_irq_set(s->r.iommu, &s->irq[0], 0, &target) == IOMMU_OK);
	WEAVE_CHECK(send(s, 0, DEV) == 0x77);
}

/** While it moves, a message arrives at one place or the other. */
static void send_meanwhile(struct scene *s)
{
	for (unsigned n = 0; n < 3; n++) {
		unsigned vector = send(s, 0, DEV);

		WEAVE_CHECK(vector == 0x30 || vector == 0x77);
	}
}

static void irqs_are_apart(struct scene *s)
{
	for (unsigned n = 0; n < 2; n++) {
		uint16_t mine = n ? OTHER : DEV, theirs = n ? DEV : OTHER;

		if (!s->irq[n].count)
			continue;
		WEAVE_CHECK(send(s, n, mine) != 0);
		WEAVE_CHECK(send(s, n, theirs) == 0);
	}
	if (s->frame[0]) {
		ok(iommu_unmap_now(s->domain[0], iommu_iova(HERE), TABLE_SIZE));
		give_away(s, 0);
	}
}

/* ---- faults -------------------------------------------------------------- */

static void refuse(struct scene *s, uint16_t bdf, uint64_t iova)
{
	WEAVE_CHECK(!reaches(s, bdf, iova));
}

/** Collects and drains; each fault comes to one CPU. */
static void drain(struct scene *s)
{
	struct iommu_fault fault;

	iommu_interrupt(s->r.iommu, 0);
	while (iommu_fault_next(s->r.iommu, &fault)) {
		WEAVE_CHECK(fault.device.requester == DEV);
		WEAVE_CHECK(fault.kind == IOMMU_FAULT_INTERRUPT ||
			fault.address.v == HERE + 0x5000 ||
			fault.address.v == BESIDE || fault.address.v == HERE);
		s->count++;
	}
}

static void two_faults(struct scene *s)
{
	one_irq(s);
	drain(s);
	s->count = 0;
	refuse(s, DEV, HERE + 0x5000);
	refuse(s, DEV, BESIDE);
}

static void unmap_table(struct scene *s)
{
	WEAVE_CHECK(iommu_unmap_now(s->domain[0], iommu_iova(HERE),
			    TABLE_SIZE) == IOMMU_OK);
	give_away(s, 0);
}

static void detach(struct scene *s)
{
	WEAVE_CHECK(iommu_detach(s->r.iommu, id_of(DEV)) == IOMMU_OK);
	WEAVE_CHECK(!reaches(s, DEV, HERE));
}

static void two_drained(struct scene *s)
{
	drain(s);
	WEAVE_CHECK(s->count >= 2);
	irqs_are_apart(s);
}

static void exactly_two_drained(struct scene *s)
{
	drain(s);
	WEAVE_CHECK(s->count == 2);
	irqs_are_apart(s);
}

/* ---- reports ------------------------------------------------------------- */

static void sink(void *arg, const char *text, size_t length)
{
	(void)arg;
	(void)text;
	(void)length;
	weave_point();
}

static void report_tables(struct scene *s)
{
	WEAVE_CHECK(iommu_report_tables(s->r.iommu, id_of(DEV), 10, sink,
			    NULL) == IOMMU_OK);
	WEAVE_CHECK(iommu_report_walk(s->r.iommu, id_of(DEV), iommu_iova(HERE),
			    sink, NULL) == IOMMU_OK);
}

static void report_interrupts(struct scene *s)
{
	iommu_report_interrupts(s->r.iommu, sink, NULL);
}

static void report_queue(struct scene *s)
{
	iommu_report_queue(s->r.iommu, sink, NULL);
	iommu_report_stats(s->r.iommu, sink, NULL);
}

static void report_info(struct scene *s)
{
	struct iommu_device_info info;

	iommu_report_info(s->r.iommu, sink, NULL);
	WEAVE_CHECK(
		iommu_device_info(s->r.iommu, id_of(OTHER), &info) == IOMMU_OK);
	WEAVE_CHECK(!info.domain || info.domain == s->domain[0]);
}

static void attach_other(struct scene *s)
{
	WEAVE_CHECK(iommu_attach(s->r.iommu, id_of(OTHER), s->domain[0]) ==
		IOMMU_OK);
	WEAVE_CHECK(reaches(s, OTHER, HERE));
}

#define KINDS "plain -non-coherent -caching"

const struct pair pairs_of_interrupts[] = {
	{"irq-alloc-alloc", KINDS, NULL, {alloc_dev, alloc_other},
		irqs_are_apart},
	{"irq-alloc-free", KINDS, one_irq, {alloc_other, free_dev},
		irqs_are_apart},
	{"irq-retarget-send", KINDS, one_irq, {retarget, send_meanwhile},
		irqs_are_apart},
	{"irq-retarget-fault", KINDS, two_faults, {retarget, drain},
		exactly_two_drained},
	{"fault-fault", KINDS, two_faults, {drain, drain}, exactly_two_drained},
	{"unmap-fault", KINDS, two_faults, {unmap_table, drain}, two_drained},
	{"detach-fault", KINDS, two_faults, {detach, drain}, two_drained},
	{"report-tables-unmap", KINDS, one_irq, {report_tables, unmap_table},
		irqs_are_apart},
	{"report-tables-detach", KINDS, one_irq, {report_tables, detach},
		irqs_are_apart},
	{"report-interrupts-alloc", KINDS, one_irq,
		{report_interrupts, alloc_other}, irqs_are_apart},
	{"report-interrupts-free", KINDS, one_irq,
		{report_interrupts, free_dev}, irqs_are_apart},
	{"report-queue-unmap", KINDS, one_irq, {report_queue, unmap_table},
		irqs_are_apart},
	{"report-info-attach", KINDS, one_irq, {report_info, attach_other},
		irqs_are_apart},
	{.name = NULL},
};
