/* SPDX-License-Identifier: MIT */
/*
 * What a hardware backend offers to the rest of the library.
 *
 * A backend makes a struct unit for each unit that it finds; the neutral files
 * only see this header. None of these functions is called with a lock held.
 */
#ifndef CORE_BACKEND_H
#define CORE_BACKEND_H

#include "internal.h"

struct unit;

/** Where a flush in flight ends: [first, end) of the unit's queue. end 0: done
 *  already. */
struct ticket {
	uint64_t first;
	uint64_t end;
};

/** What a device's entry is to say. */
struct entry {
	uint16_t rid;
	uint16_t did;
	enum iommu_domain_kind kind;
	/** Mapped and shared: top-level table and its number of levels. */
	iommu_phys_t root;
	unsigned levels;
	/** Requests of the device's own TLB are answered. */
	bool ats;
};

/** Whether this build stores 16 bytes at once. */
enum {
#if defined(__x86_64__) && defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_16)
	WIDE_STORES = 1,
#else
	WIDE_STORES = 0,
#endif
};

struct unit_ops {
	/** Everything up to translation, from any state of the hardware. */
	enum iommu_status (*prepare)(struct unit *unit);
	enum iommu_status (*translate)(struct unit *unit, bool on);
	enum iommu_status (*suspend)(struct unit *unit);
	enum iommu_status (*resume)(struct unit *unit);
	/** Everything off; the unit's memory goes back if that worked. */
	enum iommu_status (*end)(struct unit *unit);

	/** Makes an entry present that was not. */
	enum iommu_status (*attach)(
		struct unit *unit, const struct entry *entry);
	/** Has a present entry say something else, in one store, and flushes.
	 *  Only with WIDE_STORES. If it fails the entry is not present. */
	enum iommu_status (*redirect)(
		struct unit *unit, const struct entry *entry, uint16_t old_did);
	/** Makes it not present and flushes. */
	enum iommu_status (*detach)(struct unit *unit,
		const struct entry *entry, const struct device *dev);

	/** The next requester id, from `from` on, whose entry is an earlier
	 *  owner's. */
	bool (*next_inherited)(
		const struct unit *unit, unsigned from, uint16_t *out_rid);
	/** Ends an earlier owner's entry if there is one; *out_ats: the
	 *  device, NULL if there is none, used a TLB of its own. */
	enum iommu_status (*disinherit)(struct unit *unit, uint16_t rid,
		const struct device *dev, bool *out_ats);
	/** All such entries are gone: so are their ids and interrupts. */
	enum iommu_status (*end_inheritance)(struct unit *unit);
	/** Leaves translation on for a next owner. */
	enum iommu_status (*hand_over)(struct unit *unit, bool blocked);

	/** Stops the recording of faults of an absent entry. */
	enum iommu_status (*hush)(struct unit *unit, uint16_t rid);

	/** Flushes what a batch recorded. */
	enum iommu_status (*flush_now)(
		struct unit *unit, const struct iommu_batch *batch);
	/** Flushes the pages from that of one address to that of another, of
	 *  which only leaves changed, if that is one command.
	 *  False: it has to be done by flush_now(). */
	bool (*flush_block)(
		struct unit *unit, uint16_t did, uint64_t first, uint64_t last);
	/** Starts flushing what a batch recorded. */
	enum iommu_status (*flush)(struct unit *unit,
		const struct iommu_batch *batch, struct ticket *out);
	/** Whether waiting for it would not take long. */
	bool (*flush_ready)(struct unit *unit, struct ticket ticket);
	/** Waits for it. IOMMU_UNCONFIRMED: the queue lost it, flush again. */
	enum iommu_status (*flush_wait)(
		struct unit *unit, struct ticket ticket);

	/** Collects faults; true if there are any. Interrupt context. */
	bool (*interrupt)(struct unit *unit);
	/** Fills a fault from a raw record. */
	void (*fault_decode)(const struct unit *unit,
		const struct raw_fault *raw, struct iommu_fault *out);

	/** Reads a device's entry as it stands. False: there is none, with
	 *  the steps made so far recorded in walk. */
	bool (*inspect)(const struct unit *unit, uint16_t rid,
		struct entry *out, struct iommu_walk *walk);

	enum iommu_status (*irq_alloc)(struct unit *unit, uint16_t source,
		unsigned count, uint16_t *out_first);
	enum iommu_status (*irq_set)(struct unit *unit,
		const struct iommu_irq *irq, unsigned n,
		const struct iommu_irq_target *target);
	enum iommu_status (*irq_free)(
		struct unit *unit, const struct iommu_irq *irq);

	void (*info)(struct unit *unit, struct text *text);
	void (*report_queue)(struct unit *unit, struct text *text);
	void (*report_interrupts)(struct unit *unit, struct text *text);
	enum iommu_status (*check_format)(const struct unit *unit,
		const struct iommu_entry_format *format, const char **why);
};

/** A flush that was started and not waited for. */
struct flush {
	struct unit *unit;
	struct ticket ticket;
};

/* ---- batch.c ---- */

/** Starts flushing a batch and empties it, if one unit and no device's own TLB
 *  is concerned and no table page waits. False: nothing was done. */
bool core_flush_start(struct iommu_batch *batch, struct flush *out);
/** Waits for the end. */
enum iommu_status core_flush_end(
	struct iommu_domain *domain, struct flush *flush);

/** The ids that domains have in a unit. */
struct did_map {
	word64 *taken; /* I: a bit each */
	iommu_phys_t phys;
	unsigned order;
	unsigned count; /* C: ids that the unit has */
	unsigned hint;  /* I */
};

struct unit {
	const struct unit_ops *ops; /* C */
	struct iommu *iommu;        /* C */
	unsigned index;             /* C */
	uint8_t state;              /* A: enum iommu_unit_state */
	const char *reason;         /* A */
	uint16_t segment;           /* C */
	iommu_phys_t base;          /* C */
	uint32_t version;           /* C */
	uint64_t cap, ecap;         /* C */
	unsigned iova_bits;         /* C */
	unsigned phys_bits;         /* C */
	/** Bit n: tables of n levels can be walked. 0: it remaps interrupts
	 *  and stays off. */
	unsigned levels; /* C */
	/** Bit n: large leaves of 2^n bytes. */
	uint64_t page_sizes; /* C */
	unsigned duties;     /* C */
	bool queued;         /* S */
	bool remapping;      /* S */
	bool pass_through;   /* C */
	bool snoop_control;  /* C */
	bool device_tlb;     /* C */
	bool stays_on;       /* C: translation must not be switched off */
	struct did_map dids;
	unsigned attached;  /* I */
	unsigned inherited; /* A: entries of an earlier owner */
	bool haunted;       /* A: one of them was not confirmed to be gone */
	/** With iommu_options.trace: what `ops` is then, and what that calls.
	 */
	struct unit_ops traced;
	const struct unit_ops *untraced;
	struct iommu_stats stats __attribute__((aligned(8))); /* A */
};

static inline enum iommu_unit_state unit_state(const struct unit *unit)
{
	return (enum iommu_unit_state)__atomic_load_n(
		&unit->state, __ATOMIC_ACQUIRE);
}

/** Whether it translates when it is on. Others only remap interrupts. */
static inline bool unit_translates(const struct unit *unit)
{
	return unit_state(unit) != IOMMU_UNIT_REFUSED && unit->levels;
}

/** Why it is out of use, or NULL. */
static inline const char *unit_reason(const struct unit *unit)
{
	return __atomic_load_n(&unit->reason, __ATOMIC_ACQUIRE);
}

/** A domain's id on a unit that has devices of it. */
static inline uint16_t did_on(
	const struct iommu_domain *domain, const struct unit *unit)
{
	return domain->on[unit->index].did;
}

/** Whether core_flush_end() would not take long. */
static inline bool core_flush_ready(const struct flush *flush)
{
	return flush->unit->ops->flush_ready(flush->unit, flush->ticket);
}

static inline void unit_count(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add((word64 *)counter, n, __ATOMIC_RELAXED);
}

/** The same where a lock keeps other writers away. */
static inline void unit_count_locked(uint64_t *counter, uint64_t n)
{
	__atomic_store_n((word64 *)counter, *counter + n, __ATOMIC_RELAXED);
}

/** Adds to the number of attached devices. I held. */
static inline void unit_attach_count(struct unit *unit, unsigned change)
{
	__atomic_store_n(
		&unit->attached, unit->attached + change, __ATOMIC_RELAXED);
}

static inline unsigned unit_attached(const struct unit *unit)
{
	return __atomic_load_n(&unit->attached, __ATOMIC_RELAXED);
}

/** A snapshot of the counters, one by one. Waits that ended at once are not
 *  counted as such; they are what the others leave. */
static inline void unit_read_stats(
	const struct unit *unit, struct iommu_stats *out)
{
	const word64 *from = (const word64 *)(const void *)&unit->stats;
	uint64_t *to = (uint64_t *)(void *)out, slow = 0;

	for (unsigned n = 0; n < sizeof(*out) / sizeof(*to); n++)
		to[n] = __atomic_load_n(&from[n], __ATOMIC_RELAXED);
	for (unsigned n = 1; n < IOMMU_LATENCY_SLOTS; n++)
		slow += out->latency[n];
	out->latency[0] = out->waits > slow ? out->waits - slow : 0;
}

/* ---- trace.c ---- */

/** Has a unit log what is asked of it. Before it is used. */
void core_trace(struct unit *unit);

/* ---- domain.c ---- */

/** Takes a free id, from the hint on. I held. */
bool __did_take(struct did_map *map, uint16_t *out);

/* ---- vtd/ ---- */

/** Reads the DMAR table and makes the units. */
enum iommu_status vtd_discover(
	struct iommu *iommu, const void *table, size_t size);
/** Makes the units of structures that come later. */
enum iommu_status vtd_add_units(
	struct iommu *iommu, const void *structures, size_t size);
/** The unit that translates for a requester, or NULL. Reads configuration
 *  space. */
struct unit *vtd_unit_for(const struct iommu *iommu, struct iommu_device_id id);
/** Whether the way to the unit carries translation requests of a device. */
bool vtd_ats_allowed(const struct iommu *iommu, struct iommu_device_id id);
/** Region n of those that firmware reserved for a requester, or for anybody if
 *  id is NULL. */
bool vtd_reserved_region(const struct iommu *iommu,
	const struct iommu_device_id *id, unsigned n,
	struct iommu_reserved_region *out);
/** Device n of those that have reserved memory. */
bool vtd_reserved_device(
	const struct iommu *iommu, unsigned n, struct iommu_device_id *out);
/** The unit and source id of an I/O APIC or HPET; false if unknown. */
bool vtd_irq_source(const struct iommu *iommu, bool hpet, unsigned id,
	struct unit **out_unit, uint16_t *out_source);
/** The id of a device that the firmware names by its ACPI path. */
bool vtd_acpi_device(const struct iommu *iommu, const char *name,
	struct iommu_device_id *out);
/** Whether an id is that of an ACPI device, not of a PCI function. */
bool vtd_is_acpi_device(const struct iommu *iommu, struct iommu_device_id id);
/** Whether a quirk has taken effect. */
bool vtd_quirk(const struct iommu *iommu, uint32_t bit);
/** The quirks (enum iommu_quirk) that concern a device. */
unsigned vtd_quirks_of(struct iommu *iommu, struct iommu_device_id id);
/** A set of enum iommu_property. */
unsigned vtd_properties(const struct iommu *iommu, struct iommu_device_id id);
/** The memory node next to the unit at this register address. */
bool vtd_near_memory(
	const struct iommu *iommu, uint64_t base, uint32_t *out_node);
/** Frees what discovery made. */
void vtd_forget(struct iommu *iommu);

#endif
