/* SPDX-License-Identifier: MIT */
/*
 * Trace points: what the neutral files ask of a unit, a line each, with the
 * answer. They stand in the unit's operations in place of the backend's, which
 * they call; without iommu_options.trace nothing of this is on any path.
 */
#include "backend.h"

/** Who, where, what and the answer, which is given back. */
static enum iommu_status tell_device(struct unit *unit, uint16_t rid,
	const char *what, uint16_t did, enum iommu_status status)
{
	core_log(unit->iommu, IOMMU_LOG_DEBUG,
		"unit %u: %04x:%02x:%02x.%u %s, domain id %u: %s", unit->index,
		unit->segment, RID_WORDS(rid), what, did,
		iommu_status_text(status));
	return status;
}

static enum iommu_status attach(struct unit *unit, const struct entry *entry)
{
	static const char *const what[] = {
		[IOMMU_DOMAIN_IDENTITY] = "attach to all of memory",
		[IOMMU_DOMAIN_BLOCKED] = "attach to nothing",
		[IOMMU_DOMAIN_MAPPED] = "attach to mapped memory",
		[IOMMU_DOMAIN_SHARED] = "attach to shared tables",
	};

	return tell_device(unit, entry->rid, what[entry->kind], entry->did,
		unit->untraced->attach(unit, entry));
}

static enum iommu_status redirect(
	struct unit *unit, const struct entry *entry, uint16_t old_did)
{
	return tell_device(unit, entry->rid, "redirect", entry->did,
		unit->untraced->redirect(unit, entry, old_did));
}

static enum iommu_status detach(
	struct unit *unit, const struct entry *entry, const struct device *dev)
{
	return tell_device(unit, entry->rid, "detach", entry->did,
		unit->untraced->detach(unit, entry, dev));
}

static enum iommu_status hush(struct unit *unit, uint16_t rid)
{
	return tell_device(unit, rid, "record no more faults", 0,
		unit->untraced->hush(unit, rid));
}

static void tell_range(struct unit *unit, uint16_t did, unsigned changes,
	uint64_t first, uint64_t last, const char *answer)
{
	core_log(unit->iommu, IOMMU_LOG_DEBUG,
		"unit %u: flush domain id %u, 0x%jx..0x%jx%s%s%s%s%s: %s",
		unit->index, did, (uintmax_t)first, (uintmax_t)last,
		changes & IOMMU_MADE_PRESENT ? " present" : "",
		changes & IOMMU_REMOVED ? " removed" : "",
		changes & IOMMU_RIGHTS_CUT ? " less" : "",
		changes & IOMMU_RIGHTS_RAISED ? " more" : "",
		changes & IOMMU_TABLE_CHANGED ? " tables" : "", answer);
}

static void tell_batch(
	struct unit *unit, const struct iommu_batch *batch, const char *answer)
{
	uint16_t did = did_on(batch->domain, unit);

	for (unsigned n = 0; n < batch->count; n++)
		tell_range(unit, did, batch->range_changes[n],
			batch->range[n].first, batch->range[n].last, answer);
}

static enum iommu_status flush_now(
	struct unit *unit, const struct iommu_batch *batch)
{
	enum iommu_status status = unit->untraced->flush_now(unit, batch);

	tell_batch(unit, batch, iommu_status_text(status));
	return status;
}

static bool flush_block(
	struct unit *unit, uint16_t did, uint64_t first, uint64_t last)
{
	bool done = unit->untraced->flush_block(unit, did, first, last);

	/* If not, flush_now() is asked next. */
	if (done)
		tell_range(unit, did, IOMMU_REMOVED, first,
			last | (PAGE_SIZE - 1), iommu_status_text(IOMMU_OK));
	return done;
}

static enum iommu_status flush(
	struct unit *unit, const struct iommu_batch *batch, struct ticket *out)
{
	enum iommu_status status = unit->untraced->flush(unit, batch, out);

	tell_batch(unit, batch,
		status == IOMMU_OK ? "begun" : iommu_status_text(status));
	return status;
}

static enum iommu_status flush_wait(struct unit *unit, struct ticket ticket)
{
	enum iommu_status status = unit->untraced->flush_wait(unit, ticket);

	core_log(unit->iommu, IOMMU_LOG_DEBUG,
		"unit %u: flushes begun so far: %s", unit->index,
		iommu_status_text(status));
	return status;
}

static enum iommu_status irq_set(struct unit *unit, const struct iommu_irq *irq,
	unsigned n, const struct iommu_irq_target *target)
{
	enum iommu_status status =
		unit->untraced->irq_set(unit, irq, n, target);

	core_log(unit->iommu, IOMMU_LOG_DEBUG,
		"unit %u: interrupt entry %u %s, vector 0x%02x, CPU 0x%x: %s",
		unit->index, irq->first + n, target ? "set" : "cleared",
		target ? target->vector : 0,
		target ? (unsigned)target->destination : 0,
		iommu_status_text(status));
	return status;
}

static enum iommu_status irq_free(
	struct unit *unit, const struct iommu_irq *irq)
{
	enum iommu_status status = unit->untraced->irq_free(unit, irq);

	core_log(unit->iommu, IOMMU_LOG_DEBUG,
		"unit %u: interrupt entries from %u, %u of them freed: %s",
		unit->index, irq->first, irq->count, iommu_status_text(status));
	return status;
}

void core_trace(struct unit *unit)
{
	unit->untraced = unit->ops;
	unit->traced = *unit->ops;
	unit->traced.attach = attach;
	unit->traced.redirect = redirect;
	unit->traced.detach = detach;
	unit->traced.hush = hush;
	unit->traced.flush_now = flush_now;
	unit->traced.flush_block = flush_block;
	unit->traced.flush = flush;
	unit->traced.flush_wait = flush_wait;
	unit->traced.irq_set = irq_set;
	unit->traced.irq_free = irq_free;
	unit->ops = &unit->traced;
}
