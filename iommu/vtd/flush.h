/* SPDX-License-Identifier: MIT */
/*
 * The flush planner: from what changed to the ordered list of commands. The one
 * place that decides what is flushed; pure functions of a unit's traits.
 */
#ifndef VTD_FLUSH_H
#define VTD_FLUSH_H

#include "../internal.h"
#include "regs.h"

/** What of a unit's capabilities decides about flushes. */
struct vtd_traits {
	/** CAP.CM: what is not present may be cached too. */
	bool caching_mode;
	/** CAP.RWBF: stores to entries wait in a buffer. */
	bool write_buffer;
	/** ECAP.C: entries are read through the CPU's caches. */
	bool coherent;
	/** CAP.PSI: single pages can be flushed. */
	bool page_selective;
	/** CAP.DRD, CAP.DWD, or an architecture that always drains. */
	bool drain_reads;
	bool drain_writes;
	/** CAP.ESRTPS, CAP.ESIRTPS: setting a table pointer flushes. */
	bool root_flushes;
	bool interrupt_root_flushes;
	/** ECAP.DIT: device-TLB descriptors name the physical function. */
	bool throttle;
	/** CAP.MAMV: log2 of the pages of one page-selective flush. */
	uint8_t max_mask;
	/** ECAP.MHMV: log2 of the entries of one interrupt flush. */
	uint8_t max_interrupt_mask;
};

enum vtd_op {
	VTD_OP_WRITE_BUFFER,
	VTD_OP_CONTEXT_GLOBAL,
	VTD_OP_CONTEXT_DEVICE, /* did, sid */
	VTD_OP_IOTLB_GLOBAL,
	VTD_OP_IOTLB_DOMAIN, /* did */
	VTD_OP_IOTLB_PAGES,  /* did, address, mask, leaf_only */
	VTD_OP_DEVICE_TLB,   /* sid, address, mask; mask 52: everything */
	VTD_OP_INTERRUPT_GLOBAL,
	VTD_OP_INTERRUPT_INDEX, /* index in sid, mask */
};

struct vtd_command {
	uint8_t op;
	/** log2 of pages or entries. */
	uint8_t mask;
	/** No entry above the leaves changed (the invalidation hint). */
	bool leaf_only;
	uint16_t did;
	uint16_t sid;
	uint64_t address;
};

enum {
	VTD_PLAN_MAX = 6,
	/** Page-selective commands per batch before the whole domain is
	 *  cheaper: each costs about a third of a doorbell, and the unit
	 *  searches its IOTLB for each. */
	VTD_PLAN_PAGES = 6,
	VTD_MASK_ALL = 52,
	VTD_MASK_NONE = 64,
};

/** Commands in the order in which they must be carried out. Empty: nothing to
 *  be done, nothing to wait for. */
struct vtd_plan {
	unsigned count;
	struct vtd_command command[VTD_PLAN_MAX];
};

/** The root table pointer was set. */
void vtd_plan_root_pointer(
	const struct vtd_traits *traits, struct vtd_plan *plan);
/** A root entry became present. */
void vtd_plan_root_entry(
	const struct vtd_traits *traits, struct vtd_plan *plan);
/** A context entry became present. */
void vtd_plan_context_made(const struct vtd_traits *traits, uint16_t sid,
	uint16_t did, struct vtd_plan *plan);
/** A present context entry was cleared. */
void vtd_plan_context_removed(const struct vtd_traits *traits, uint16_t sid,
	uint16_t did, struct vtd_plan *plan);
/** Translations of a domain changed. */
void vtd_plan_tables(const struct vtd_traits *traits, uint16_t did,
	const struct iommu_batch *batch, struct vtd_plan *plan);

/** The smallest number n with 2^n blocks that cover [first, last] aligned. */
static inline unsigned vtd_cover_mask(uint64_t first, uint64_t last)
{
	uint64_t differing = first ^ last;

	return differing ? 64u - (unsigned)__builtin_clzll(differing) : 0;
}

/** The mask of a block that covers pages first..last. VTD_MASK_NONE: the unit
 *  has none, or it is more than four times too large; forgetting too much is
 *  only slow. */
static inline unsigned vtd_block_mask(
	const struct vtd_traits *traits, uint64_t first, uint64_t last)
{
	unsigned mask = vtd_cover_mask(first, last);

	return mask <= traits->max_mask &&
			1ull << mask <= 4 * (last - first + 1)
		? mask
		: VTD_MASK_NONE;
}

/**
 * vtd_plan_tables() for pages whose leaves were removed, from that of one
 * address to that of another, if that comes to one page-selective command: *out
 * is the high half of its descriptor. False: it comes to something else.
 */
static inline bool vtd_plan_block(const struct vtd_traits *traits,
	uint64_t first, uint64_t last, uint64_t *out)
{
	unsigned mask;

	*out = first | VTD_DESC_IOTLB_IH;
	first >>= PAGE_SHIFT;
	last >>= PAGE_SHIFT;
	if (first == last || !traits->page_selective)
		return traits->page_selective;
	mask = vtd_block_mask(traits, first, last);
	if (mask >= VTD_MASK_NONE)
		return false;
	*out = (first >> mask << mask << PAGE_SHIFT) | VTD_DESC_IOTLB_IH | mask;
	return true;
}

/** A device that caches translations itself must forget them too; follows the
 *  commands above, for which there must be room. Takes the ranges from the
 *  batch, NULL: everything. */
void vtd_plan_device_tlb(
	uint16_t sid, const struct iommu_batch *batch, struct vtd_plan *plan);
/** The interrupt table pointer was set. */
void vtd_plan_interrupt_pointer(
	const struct vtd_traits *traits, struct vtd_plan *plan);
/** 2^mask interrupt entries changed. */
void vtd_plan_interrupt(const struct vtd_traits *traits, uint16_t index,
	unsigned mask, bool were_present, struct vtd_plan *plan);

#endif
