/* SPDX-License-Identifier: MIT */
/*
 * A VT-d unit, as its files share it. Lock letters as in internal.h.
 */
#ifndef VTD_UNIT_H
#define VTD_UNIT_H

#include "../backend.h"
#include "dmar.h"
#include "flush.h"
#include "regs.h"

enum {
	/** Queue of 2^1 pages: 512 descriptors. */
	VTD_QUEUE_ORDER = 1,
	VTD_QUEUE_SLOTS = (PAGE_SIZE << VTD_QUEUE_ORDER) / 16,
	/** How often a submission is repeated. */
	VTD_REPEATS = 3,
	/** Pages of a struct vtd_unit. */
	VTD_UNIT_ORDER = 2,
};

/**
 * The invalidation queue. A position counts descriptors since the start, so a
 * slot is position % VTD_QUEUE_SLOTS. Each submission ends with a wait
 * descriptor that stores its end position (low 32 bits) in *done; all waits are
 * fenced, so they complete in order and *done only grows.
 */
struct vtd_queue {
	struct iommu_lock lock;
	struct vtd_entry *ring;  /* Q */
	iommu_phys_t phys;       /* C */
	uint64_t page_flush;     /* C: descriptor for domain 0, low half */
	volatile uint32_t *done; /* written by the hardware */
	iommu_phys_t done_phys;  /* C */
	word64 tail;             /* A; written under Q */
	uint64_t rung;           /* Q: the tail as the hardware knows it */
	unsigned slots;          /* Q: that may be used; 0 while it is off */
	unsigned coming;         /* A: CPUs on their way to Q to ring */
	word64 lost_to;          /* A: end of the last loss; written Q */
	uint32_t seen;           /* A: bits of FSTS not told of yet */
	struct vtd_entry bad;    /* Q: the last descriptor refused */
	unsigned bad_code;       /* Q */
	uint16_t silent;  /* Q: the device that did not answer, 0: unknown */
	uint16_t unasked; /* Q: the device that answered unasked */
};

/** The interrupt remapping table. What is not zero is somebody's. */
struct vtd_irt {
	struct vtd_entry *entry; /* U */
	iommu_phys_t phys;       /* C */
	unsigned order;          /* C */
	unsigned count;          /* C */
	bool x2apic;             /* C after start */
};

struct vtd_unit {
	struct unit unit;
	iommu_phys_t phys;                /* C: of this struct */
	void *regs;                       /* C */
	uint64_t regs_size;               /* C */
	struct vtd_traits traits;         /* C */
	struct iommu_lock reg_lock;       /* R */
	struct iommu_lock table_lock;     /* U */
	struct vtd_entry *root;           /* U */
	iommu_phys_t root_phys;           /* C */
	struct vtd_entry *context[BUSES]; /* A, set once under U */
	struct vtd_queue queue;
	struct vtd_irt irt;
	/** Ids of domains of an earlier owner, as the map of taken ones. */
	word64 *inherited_ids; /* I */
	iommu_phys_t inherited_ids_phys;
	/** Left in a mode in which the hardware reads no memory. */
	bool needs_no_memory; /* S */
};

_Static_assert(sizeof(struct vtd_unit) <= PAGE_SIZE << VTD_UNIT_ORDER,
	"a unit must fit its pages");

/** The VT-d unit around a neutral one. */
static inline struct vtd_unit *vtd_of(const struct unit *unit)
{
	return (struct vtd_unit *)(uintptr_t)unit;
}

static inline uint32_t vtd_read32(const struct vtd_unit *unit, uint32_t offset)
{
	const struct iommu_host *host = &unit->unit.iommu->host;

	return (uint32_t)host->reg_read(host->ctx, unit->regs, offset, 4);
}

static inline uint64_t vtd_read64(const struct vtd_unit *unit, uint32_t offset)
{
	const struct iommu_host *host = &unit->unit.iommu->host;

	return host->reg_read(host->ctx, unit->regs, offset, 8);
}

static inline void vtd_write32(
	const struct vtd_unit *unit, uint32_t offset, uint64_t value)
{
	const struct iommu_host *host = &unit->unit.iommu->host;

	host->reg_write(host->ctx, unit->regs, offset, 4, (uint32_t)value);
}

static inline void vtd_write64(
	const struct vtd_unit *unit, uint32_t offset, uint64_t value)
{
	const struct iommu_host *host = &unit->unit.iommu->host;

	host->reg_write(host->ctx, unit->regs, offset, 8, value);
}

/* ---- wait.c: deadlines and register commands ---- */

/** A wait that ends. */
struct vtd_deadline {
	uint64_t last_ns; /* 0: no look at the clock yet */
	uint64_t waited_ns;
	uint64_t limit_ns;
	unsigned still;
};

/** Counts one turn of polling; true when time is up. relax: no lock is held.
 */
bool vtd_deadline_turn(
	struct vtd_unit *unit, struct vtd_deadline *deadline, bool relax);
/** Polls a 32-bit register until (value & mask) == want. */
bool vtd_poll32(
	struct vtd_unit *unit, uint32_t offset, uint32_t mask, uint32_t want);
/** Sets or clears one GCMD bit and waits for its status (11.4.4). */
enum iommu_status vtd_gcmd(struct vtd_unit *unit, uint64_t bit, bool set);
/** The unit does not answer: out of use from now on, for a reason that is
 *  constant. False: it was before. */
bool vtd_mark_lost(struct vtd_unit *unit, const char *why);
/** The same, and tells. Returns IOMMU_UNIT_LOST. */
enum iommu_status vtd_lost(struct vtd_unit *unit, const char *why);
void vtd_tell_lost(struct vtd_unit *unit);

/* ---- registers.c ---- */

enum iommu_status vtd_registers_run(struct vtd_unit *unit,
	const struct vtd_command *command, unsigned count);

/* ---- queue.c ---- */

enum iommu_status vtd_queue_make(struct vtd_unit *unit);
enum iommu_status vtd_queue_on(struct vtd_unit *unit);
enum iommu_status vtd_queue_off(struct vtd_unit *unit);
/** Runs a wait: a queue can be switched off if its last descriptor was one
 *  (6.5.2.1). */
enum iommu_status vtd_queue_end_with_wait(struct vtd_unit *unit);
void vtd_queue_free(struct vtd_unit *unit);
void vtd_queue_report(struct unit *unit, struct text *text);
/** A copy of a descriptor in the ring, or of the last one refused. Other CPUs
 *  replace those as 16 plain bytes under Q, so this takes Q. For an entry of a
 *  table: vtd_look(). */
struct vtd_entry vtd_queue_look(
	struct vtd_unit *unit, const struct vtd_entry *descriptor);

/** Hands commands to the hardware. What is done already, because there is
 *  nothing to do or no queue to do it, gives an empty ticket. */
enum iommu_status vtd_submit(struct vtd_unit *unit,
	const struct vtd_command *command, unsigned count, struct ticket *out);
/** Carries out vtd_plan_block(), if that is all. False: nothing is confirmed.
 */
bool vtd_flush_block(
	struct unit *unit, uint16_t did, uint64_t first, uint64_t last);
bool vtd_flush_ready(struct unit *unit, struct ticket ticket);
/** What a descriptor for each enum vtd_op begins with: type, granularity. */
extern const uint8_t vtd_descriptor[];
/** The descriptor of a wait that ends at a position. */
struct vtd_entry vtd_wait_descriptor(
	const struct vtd_queue *queue, uint64_t position);
/** Counts a command that is carried out. Q held, or R where there is no queue.
 */
void vtd_count(struct iommu_stats *stats, unsigned op);
static inline unsigned vtd_slot_of(uint64_t position)
{
	return (unsigned)(position % VTD_QUEUE_SLOTS);
}

/** Tells the hardware about everything in the ring. Q held; under it the tail
 *  never steps back. */
static inline void __vtd_ring_doorbell(struct vtd_unit *unit)
{
	struct vtd_queue *queue = &unit->queue;

	queue->rung = queue->tail;
	vtd_write64(unit, VTD_IQT, (uint64_t)vtd_slot_of(queue->rung) << 4);
	unit_count_locked(&unit->unit.stats.doorbells, 1);
}

/** The position that the hardware has come to: at most one lap behind the tail.
 *  Q held. */
uint64_t __vtd_head_position(const struct vtd_unit *unit);
/** Overwrites a descriptor that was refused by one that does no less, and
 *  returns it. Q held. */
struct vtd_entry __vtd_queue_mend(struct vtd_unit *unit, uint64_t position);

/** The position up to which everything is done. */
static inline uint64_t vtd_done_position(
	const struct vtd_queue *queue, uint64_t tail)
{
	uint32_t done = __atomic_load_n(queue->done, __ATOMIC_ACQUIRE);

	return tail - (uint32_t)((uint32_t)tail - done);
}

/** Whether the hardware has come to the end of a submission. */
static inline bool vtd_reached(
	const struct vtd_unit *unit, struct ticket ticket)
{
	uint32_t done = __atomic_load_n(unit->queue.done, __ATOMIC_ACQUIRE);

	return (int32_t)(done - (uint32_t)ticket.end) >= 0;
}

/* ---- completion.c ---- */

static inline uint64_t vtd_lost_to(const struct vtd_unit *unit)
{
	return __atomic_load_n(&unit->queue.lost_to, __ATOMIC_ACQUIRE);
}

/** Whether a submission is done: many units are faster than this CPU. */
static inline bool vtd_is_done(
	const struct vtd_unit *unit, struct ticket ticket)
{
	return vtd_reached(unit, ticket) && ticket.first >= vtd_lost_to(unit);
}

/** Waits. IOMMU_UNCONFIRMED: the queue lost it. */
enum iommu_status vtd_wait(struct unit *unit, struct ticket ticket);
/** Submits, waits, repeats what the queue lost. Commands for devices that turn
 *  out not to answer leave the plan. */
enum iommu_status vtd_run(struct vtd_unit *unit, struct vtd_plan *plan);

/* ---- entries.c: root, context and interrupt entries ---- */

/** The context entry of an id, or NULL: there is no table of its bus. */
struct vtd_entry *vtd_context_slot(const struct vtd_unit *unit, uint16_t rid);
/** Makes an absent entry present: body, write-back, then the present bit. */
void vtd_entry_publish(
	struct vtd_unit *unit, struct vtd_entry *entry, struct vtd_entry value);
/** Makes an entry absent; the body stays until vtd_entry_erase(). */
void vtd_entry_retire(struct vtd_unit *unit, struct vtd_entry *entry);
/** Clears an absent entry's body. Nothing reads that: it goes to memory with
 *  whatever the entry holds next. */
void vtd_entry_erase(struct vtd_entry *entry);
/** Has the unit forget the entry of an id that was retired, and a device's own
 *  TLB everything, unless it is NULL or does not answer; then erases it. */
enum iommu_status vtd_entry_forget(struct vtd_unit *unit, uint16_t rid,
	uint16_t did, const struct device *dev);
/** Replaces the low half of a present entry in one store. */
void vtd_entry_replace_low(
	struct vtd_unit *unit, struct vtd_entry *entry, uint64_t low);
/** A copy, without a lock, of a root, context or interrupt entry that another
 *  CPU may be changing: each half is whole, and the high half of a present one
 *  is no older than the low one. For a descriptor: vtd_queue_look(). */
struct vtd_entry vtd_look(const struct vtd_entry *entry);
void vtd_write_back(const struct vtd_unit *unit, const void *at, size_t size);
/** Pages of zeroes that the hardware reads, NULL: there are none. */
void *vtd_pages(struct vtd_unit *unit, unsigned order, iommu_phys_t *out_phys);
enum iommu_status vtd_tables_make(struct vtd_unit *unit);
void vtd_tables_free(struct vtd_unit *unit);
/**
 * Makes the context table of a bus on first use. It only counts after the unit
 * has forgotten that the root entry was absent; CPUs that come meanwhile flush
 * too. *plan is lent; NULL: the unit does not walk the root table yet.
 */
enum iommu_status vtd_need_context(
	struct vtd_unit *unit, unsigned bus, struct vtd_plan *plan);
/** Gives the unit its root table; vtd_root_flush() follows. */
enum iommu_status vtd_root_point(struct vtd_unit *unit);
/** Makes it forget what came from another one. */
enum iommu_status vtd_root_flush(struct vtd_unit *unit);
enum iommu_status vtd_attach(struct unit *unit, const struct entry *entry);
enum iommu_status vtd_redirect(
	struct unit *unit, const struct entry *entry, uint16_t old_did);
enum iommu_status vtd_detach(
	struct unit *unit, const struct entry *entry, const struct device *dev);
enum iommu_status vtd_hush(struct unit *unit, uint16_t rid);
bool vtd_inspect(const struct unit *unit, uint16_t rid, struct entry *out,
	struct iommu_walk *walk);

/* ---- old_queue.c, takeover.c ---- */

/** Switches off a queue that firmware or an earlier system left on. */
enum iommu_status vtd_queue_quiesce(struct vtd_unit *unit);

/** Takes over what firmware or an earlier system left on. first: when the
 *  unit is prepared; else after a suspend, when nothing is worth keeping. */
enum iommu_status vtd_take_over(struct vtd_unit *unit, bool first);
/** A page of an earlier owner, NULL: there is no memory. */
void *vtd_found_page(const struct vtd_unit *unit, uint64_t at);
/** Entries of the interrupt table to be kept, 0: none. */
unsigned vtd_irt_found(const struct vtd_unit *unit);
bool vtd_next_inherited(
	const struct unit *unit, unsigned from, uint16_t *out_rid);
enum iommu_status vtd_disinherit(struct unit *unit, uint16_t rid,
	const struct device *dev, bool *out_ats);
enum iommu_status vtd_end_inheritance(struct unit *unit);
enum iommu_status vtd_hand_over(struct unit *unit, bool blocked);

/* ---- fault.c ---- */

void vtd_fault_start(struct vtd_unit *unit);
void vtd_fault_stop(struct vtd_unit *unit);
bool vtd_interrupt(struct unit *unit);
void vtd_fault_decode(const struct unit *unit, const struct raw_fault *raw,
	struct iommu_fault *out);

/* ---- intremap.c ---- */

bool vtd_irt_wanted(const struct vtd_unit *unit);
enum iommu_status vtd_irt_make(struct vtd_unit *unit);
enum iommu_status vtd_irt_on(struct vtd_unit *unit);
void vtd_irt_free(struct vtd_unit *unit);
enum iommu_status vtd_irq_alloc(struct unit *unit, uint16_t source,
	unsigned count, uint16_t *out_first);
enum iommu_status vtd_irq_set(struct unit *unit, const struct iommu_irq *irq,
	unsigned n, const struct iommu_irq_target *target);
enum iommu_status vtd_irq_free(struct unit *unit, const struct iommu_irq *irq);
void vtd_irt_report(struct unit *unit, struct text *text);

/* ---- discover.c ---- */

/** What is kept of the firmware's table. */
struct dmar {
	struct dmar_table table;
	iommu_phys_t phys;
	unsigned order;  /* of the pages of this struct and what follows */
	uint32_t quirks; /* enum iommu_quirk in effect */
	uint8_t copy[];
};

/* ---- scopes.c ---- */

/** The next sound structure of a type, from *at (0: the first) on. */
bool vtd_find_record(const struct iommu *iommu, unsigned type, size_t *at,
	struct dmar_record *out);
/** The requester id at the end of a scope's path (8.3.1). False if a bridge on
 *  the way is missing. */
bool vtd_resolve(const struct iommu *iommu, const struct dmar_record *record,
	const struct dmar_scope *scope, struct iommu_device_id *out);
/** The unit with this register address, or NULL. */
struct unit *vtd_unit_at(const struct iommu *iommu, uint64_t base);
/** Reports everything that is odd in the table, also scopes whose type
 *  contradicts what they name. */
void vtd_table_check(const struct iommu *iommu, dmar_warn *warn, void *arg);

/* ---- audit.c ---- */

/** Contradictions in the units' capabilities, and how units differ. */
void vtd_audit_log(struct iommu *iommu);
void vtd_audit_report(const struct iommu *iommu, struct text *text);

/* ---- quirks.c ---- */

/** Finds out which quirks take effect. */
void vtd_quirks_find(struct iommu *iommu);

/* ---- info.c, unit.c ---- */

void vtd_info(struct unit *unit, struct text *text);
/** Lines about capabilities whose wording and order are fixed. */
void vtd_info_capabilities(uint64_t cap, struct text *text);
void vtd_info_extended_capabilities(uint64_t ecap, struct text *text);
/** What was added since. */
void vtd_info_more_capabilities(uint64_t cap, struct text *text);
/** Switches off what is on of some functions, bits of GCMD, and need not stay
 *  on. */
enum iommu_status vtd_off(struct vtd_unit *unit, uint64_t what);
extern const struct unit_ops vtd_ops;

#endif
