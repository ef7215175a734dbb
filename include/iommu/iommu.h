/* SPDX-License-Identifier: MIT */
/*
 * The library's interface: instances, domains and flushes; units, devices,
 * interrupt remapping, faults and reports in headers of their own, which this
 * one includes.
 *
 * Life of a host's instance:
 *
 *	iommu_create -> iommu_discover -> iommu_start
 *		-> domains, attach, flush, detach ... -> iommu_destroy
 *
 * Contexts. "Any" means any context in which the host's lock and memory hooks
 * work, interrupts on or off. Calls that wait for the hardware say so; they
 * wait at most iommu_options.timeout_ns per unit and hold no library lock
 * meanwhile. Calls on different devices, domains and ranges may run at the
 * same time on several CPUs; each call says what the host must serialise.
 * Those of the instance's life that are called at the same time, or from inside
 * a hook, answer IOMMU_WRONG_STATE.
 */
#ifndef IOMMU_IOMMU_H
#define IOMMU_IOMMU_H

#include <iommu/types.h>
#include <iommu/host.h>

IOMMU_BEGIN_C

struct iommu;
struct iommu_domain;

/* ------------------------------------------------------------- instance */

/** A choice between automatic and forced. */
enum iommu_choice {
	/** Whatever the hardware and firmware suggest. */
	IOMMU_AUTO = 0,
	/** On, or the call that would have needed it fails. */
	IOMMU_ON,
	/** Off even where the hardware has it. */
	IOMMU_OFF_ALWAYS,
};

/** Which interface carries invalidations. */
enum iommu_interface {
	/** The queue where the unit has one, else the registers. */
	IOMMU_INTERFACE_AUTO = 0,
	IOMMU_INTERFACE_QUEUE,
	/** The registers, unless the unit no longer has them (VER >= 6). */
	IOMMU_INTERFACE_REGISTERS,
};

/** Behaviours of broken hardware and firmware that are compensated for. Bits
 *  of iommu_options.quirks_off; iommu_report_quirks() prints them. */
enum iommu_quirk {
	/** Mobile 4 series chipsets need write-buffer flushes although they
	 *  do not say so. */
	IOMMU_QUIRK_RWBF = 1u << 0,
	/** Graphics units of the Calpella platform have no shadow table:
	 *  the graphics device stays untranslated. */
	IOMMU_QUIRK_CALPELLA_GFX = 1u << 1,
	/** Early 5500/5520/X58 chipsets: interrupt remapping is broken. */
	IOMMU_QUIRK_X58_INTREMAP = 1u << 2,
	/** Accelerators 8086:4940 to 4943: a flush of their TLB lets go of
	 *  writes only when it is followed by another. */
	IOMMU_QUIRK_TLB_TWICE = 1u << 3,
	/** Storage controllers that send requests as function 1, which they do
	 *  not have: both ids are attached. */
	IOMMU_QUIRK_SECOND_ID = 1u << 4,
	/** Graphics of 4 series, QM57/QS57 and Broadwell does not work
	 *  translated: its unit is not used. */
	IOMMU_QUIRK_GRAPHICS = 1u << 5,
	/** Calpella graphics has to be idle while its unit is flushed, which
	 *  only its driver's unmap sees to: no flush is deferred. */
	IOMMU_QUIRK_STRICT = 1u << 6,
	/** Since Ice Lake a graphics unit may hang the machine when translation
	 *  is switched off: it stays on. */
	IOMMU_QUIRK_STAYS_ON = 1u << 7,
	/** 5500/5520/X58 firmware that gives the sound device a unit of its own
	 *  without a TLB, where it would wait for ever: that is not used. */
	IOMMU_QUIRK_NO_TLB = 1u << 8,
	/** Xeon E5 (erratum BT176): flushes of more than 512 pages at once are
	 *  not reliable. */
	IOMMU_QUIRK_SMALL_FLUSHES = 1u << 9,
};

/** What becomes of translations that iommu_start() finds switched on. */
enum iommu_take_over {
	/** All devices are blocked at once. */
	IOMMU_TAKE_OVER_BLOCKED = 0,
	/** A device goes on reaching what the tables found map for it, and its
	 *  interrupts go on arriving, until the host attaches or detaches the
	 *  device or one of its group, or calls iommu_inherited_end(). Until
	 *  then the host reuses no memory of the earlier owner. Entries that
	 *  the unit could not use, or a unit that runs in scalable mode, are
	 *  not gone on with: those devices are blocked. */
	IOMMU_TAKE_OVER_KEPT,
};

/** What a host may choose. Fill with iommu_options_default() first. */
struct iommu_options {
	/** Longest wait for one hardware answer. Default 1 s. */
	uint64_t timeout_ns;
	/** Longest wait for a device's own TLB. Default 2 s; must be longer
	 *  than the devices' PCIe completion timeout. */
	uint64_t device_timeout_ns;
	enum iommu_choice interrupt_remapping;
	/** 32-bit APIC ids in interrupt entries; only where ECAP.EIM. Set
	 *  to IOMMU_ON by hosts whose CPUs run in x2APIC mode. */
	enum iommu_choice x2apic;
	/** Address translation services of devices (device TLBs). A device
	 *  with ATS is trusted with physical addresses, so AUTO is on only
	 *  for those that do not work without (IOMMU_NEEDS_TLB). */
	enum iommu_choice ats;
	/** Whether iommu_power() refuses to switch off: for hosts that were
	 *  launched measured, or promise protection. AUTO: if firmware opted
	 *  in (iommu_firmware.dma_opt_in). */
	enum iommu_choice stay_on;
	/** Bit n: the host's interrupts come through an I/O APIC with id n.
	 *  Remapping would block one that firmware's table does not name, so
	 *  interrupt_remapping AUTO is off then. Zero: not checked. */
	uint64_t ioapics[4];
	enum iommu_interface interface;
	enum iommu_take_over take_over;
	/** Whether a device for which firmware reserved memory (RMRR) may be
	 *  attached to mapped and shared domains. A mapped domain gets the
	 *  regions, each at its own address; a shared one must have them.
	 *  Default false. */
	bool allow_reserved_memory;
	/** Whether such a device keeps reaching its reserved memory, and
	 *  nothing else, while the host has not attached it (USB keyboards
	 *  under firmware control, graphics). Built with -mcx16 (x86-64) it
	 *  changes to a domain and back without a moment in which it reaches
	 *  nothing, unless it shares a group, sends other ids than its own or
	 *  uses a TLB of its own. Default false: blocked. */
	bool keep_reserved_memory;
	/** Bits of enum iommu_quirk that must not take effect. */
	uint32_t quirks_off;
	/** Interrupt entries per unit, rounded up to a power of two, at most
	 *  65536. Default 1024. */
	uint32_t interrupt_entries;
	/** CPUs of the host, for per-CPU caches. Default 1. */
	unsigned cpus;
	/** Tables of ended domains, empty again, that are kept for the next
	 *  ones instead of being zeroed once more; at most 64. Default 0: all
	 *  go back to the host at once, as a host that checks what is given
	 *  back wants it. */
	unsigned spare_tables;
	/** Faults of one device within a second after which it is blocked;
	 *  0 = never. Default 1000. */
	unsigned fault_storm;
	/** A line of level IOMMU_LOG_DEBUG for everything that is asked of a
	 *  unit: devices attached and detached, ranges flushed, interrupt
	 *  entries set, with the answer. Default false: costs nothing. */
	bool trace;
};

/** Fills the options with their defaults. Any context. */
void iommu_options_default(struct iommu_options *options);

/**
 * Makes an instance. host and options are copied; options may be NULL for the
 * defaults. The caller owns *out_iommu and ends it with iommu_destroy().
 * May allocate. IOMMU_BAD_ARGUMENT if a mandatory hook is missing, or what
 * page_alloc gave is not aligned to its size or not known to phys_to_virt;
 * IOMMU_NO_MEMORY.
 */
enum iommu_status iommu_create(const struct iommu_host *host,
	const struct iommu_options *options,
	struct iommu **out_iommu) IOMMU_MUST_CHECK;

/**
 * Ends an instance: switches every unit off as iommu_power() does and gives
 * all memory back. IOMMU_IN_USE if devices are attached or domains exist;
 * IOMMU_UNCONFIRMED if a unit could not be switched off, then the memory that
 * it may still read is not given back. The handle is invalid afterwards unless
 * IOMMU_IN_USE or IOMMU_WRONG_STATE (another call of its life is under way) is
 * returned. NULL is accepted. Waits. The host makes sure that nothing else uses
 * the instance.
 */
enum iommu_status iommu_destroy(struct iommu *iommu) IOMMU_MUST_CHECK;

/**
 * Reads the ACPI DMAR table, finds the units and maps their registers. dmar is
 * the table with its header, size the bytes that are readable there; both are
 * untrusted and copied where needed. NULL means that the firmware has none.
 * Once per instance, before any call below. May allocate.
 *
 * IOMMU_OK if at least one unit can be used, even if there were warnings
 * (iommu_report_warnings). IOMMU_NO_TABLE, IOMMU_BAD_TABLE, IOMMU_NO_UNIT: the
 * instance stays valid for reports, attach answers IOMMU_NO_UNIT and
 * iommu_reason() says why. IOMMU_NO_MEMORY: the call may come again.
 * IOMMU_WRONG_STATE when called twice otherwise.
 */
enum iommu_status iommu_discover(
	struct iommu *iommu, const void *dmar, size_t size) IOMMU_MUST_CHECK;

/**
 * One sentence that says why the instance or a part of it is out of use; the
 * empty string if nothing is wrong. Valid until the next call that changes the
 * instance's state. Any context.
 */
const char *iommu_reason(const struct iommu *iommu);

/**
 * Switches translation on in every usable unit (VT-d: cold enable or take-over
 * of a unit that firmware left on). From then on a device reaches no memory
 * until it is attached, unless iommu_options.take_over says otherwise. A unit
 * that was on gets this instance's tables without a pause, except one in
 * another table mode that cannot change it while on (no CAP.ESRTPS). Interrupt
 * remapping is switched on too where units and options allow; the host must
 * have its interrupt sources masked then. Bus mastering of all devices should
 * be off. Waits; may allocate.
 *
 * IOMMU_OK if every unit is on. IOMMU_UNIT_LOST if one did not answer (the
 * others are on; iommu_reason() names it). IOMMU_NO_UNIT: none translates, but
 * interrupts are remapped where iommu_irq_remapped() or iommu_unit_info() says
 * so. IOMMU_NO_MEMORY (none was switched on), IOMMU_WRONG_STATE before
 * discovery or when already started.
 */
enum iommu_status iommu_start(struct iommu *iommu) IOMMU_MUST_CHECK;

/**
 * Switches translation off or on in all units. Off keeps every domain and
 * entry, so that on brings back what was there; while off, devices reach all
 * memory untranslated, so the host first makes sure that no device works on
 * behalf of somebody it does not trust. Mapping, unmapping and flushing go on
 * as ever. Interrupt remapping stays as it is. Waits. The host does not attach
 * or detach at the same time.
 *
 * IOMMU_OK also if nothing had to be done. IOMMU_IN_USE (off, while a device
 * uses a TLB of its own), IOMMU_FORBIDDEN (off, against
 * iommu_options.stay_on or IOMMU_QUIRK_STAYS_ON), IOMMU_UNIT_LOST,
 * IOMMU_WRONG_STATE before iommu_start().
 */
enum iommu_status iommu_power(struct iommu *iommu, bool on) IOMMU_MUST_CHECK;

/** Whether translation is on in at least one unit. Any context. */
bool iommu_is_on(const struct iommu *iommu);

/**
 * Prepares for the loss of all register contents: translation, interrupt
 * remapping and queues off, everything kept in memory. The host has quieted
 * its devices. Until iommu_resume() iommu_attach() and iommu_detach() answer
 * IOMMU_OFF, and whatever has to be flushed is answered with IOMMU_UNCONFIRMED:
 * an unmap changes the tables, but its pages are lost to the host. Waits.
 * IOMMU_UNIT_LOST, IOMMU_WRONG_STATE.
 */
enum iommu_status iommu_suspend(struct iommu *iommu) IOMMU_MUST_CHECK;

/** Restores every unit after iommu_suspend(). Waits. IOMMU_UNIT_LOST (the
 *  others are back), IOMMU_WRONG_STATE. */
enum iommu_status iommu_resume(struct iommu *iommu) IOMMU_MUST_CHECK;

/* -------------------------------------------------------------- domains */

enum iommu_domain_kind {
	/** The device sees physical addresses and all of memory. */
	IOMMU_DOMAIN_IDENTITY,
	/** The device reaches nothing, but is owned. */
	IOMMU_DOMAIN_BLOCKED,
	/** Addresses given by iommu_map(). */
	IOMMU_DOMAIN_MAPPED,
	/** The device walks tables that the host owns. */
	IOMMU_DOMAIN_SHARED,
};

/** The tables that a host offers for a shared domain, by number of levels.
 *  Physical address 0 means "not offered". */
struct iommu_shared_roots {
	/** Translates 39 bits: for hosts with 4 levels, the table one level
	 *  down that covers the lowest 512 GiB. */
	iommu_phys_t levels3;
	/** Translates 48 bits. */
	iommu_phys_t levels4;
	/** Translates 57 bits. */
	iommu_phys_t levels5;
};

/** What a new domain is to be. Zero the struct before filling it. */
struct iommu_domain_config {
	enum iommu_domain_kind kind;
	/** Anything of the host's: a process, for instance. */
	void *owner;
	/** Shared domains only. The unit's depth decides which is used. */
	struct iommu_shared_roots roots;
	/** Mapped domains only: bits of the address space, 0 = as many as
	 *  every unit translates. */
	unsigned iova_bits;
	/** Mapped domains only: never force snooping, for a device with
	 *  IOMMU_NO_SNOOP_CONTROL. */
	bool no_snoop_control;
};

/**
 * Makes a domain without devices. Identity and blocked domains carry no state
 * of their own, but count their devices. May allocate, does not wait.
 * IOMMU_BAD_ARGUMENT (kind; no root offered; a root not 4 KiB aligned),
 * IOMMU_WIDTH, IOMMU_NO_MEMORY.
 */
enum iommu_status iommu_domain_create(struct iommu *iommu,
	const struct iommu_domain_config *config,
	struct iommu_domain **out_domain) IOMMU_MUST_CHECK;

/**
 * Ends a domain. All its domain ids were flushed by the last detach; if one of
 * its detaches was not confirmed, its tables stay in the library's quarantine.
 * IOMMU_IN_USE if a device is attached, and for the instance's own identity
 * domain. The host has flushed its batches and ended its DMA space. NULL is
 * accepted. Never waits.
 */
enum iommu_status iommu_domain_destroy(
	struct iommu_domain *domain) IOMMU_MUST_CHECK;

/** The instance's own identity domain, domain id 1 in every unit: for devices
 *  that the host itself drives. Exists after iommu_start(), else NULL. */
struct iommu_domain *iommu_domain_identity(struct iommu *iommu);

/** Which kind of domain it is. */
enum iommu_domain_kind iommu_domain_kind(const struct iommu_domain *domain);

/** What the host gave as iommu_domain_config.owner. */
void *iommu_domain_owner(const struct iommu_domain *domain);

/** How many devices are attached. One atomic load. */
unsigned iommu_domain_devices(const struct iommu_domain *domain);

/**
 * What the host owes for entries it writes: the union of enum iommu_duty over
 * all units that have a device of the domain. One atomic load; 0 while no
 * device is attached. Changes only during iommu_attach() and iommu_detach().
 */
unsigned iommu_domain_duties(const struct iommu_domain *domain);

/**
 * What a host's page-table entries look like, for iommu_shared_check(). A bit
 * is set in a mask if an entry may ever have it set, the address bits left out.
 */
struct iommu_entry_format {
	/** 4 KiB leaves. */
	uint64_t leaf_bits;
	/** 2 MiB and 1 GiB leaves. */
	uint64_t large_leaf_bits;
	/** Entries that point to a table. */
	uint64_t table_bits;
	/** Entries that the CPU treats as not present. */
	uint64_t absent_bits;
	/** Whether 2 MiB and 1 GiB leaves occur. */
	bool large_2m;
	bool large_1g;
	/** Highest physical address bit used, plus one. */
	unsigned phys_bits;
};

/**
 * Checks whether unit n can walk tables of the host's format (VT-d 9.8,
 * second-stage entries), *out_why (may be NULL) is set to a sentence if not.
 * The rules, with x86-64 CPU entries in mind:
 *
 *  - bits 0 and 1 are read and write: what is not present has both clear, and
 *    a present leaf has bit 0 set;
 *  - bit 7 is the large-page bit in tables of level 2 and 3, ignored in a 4 KiB
 *    leaf and reserved (clear) in levels 4 and 5;
 *  - bit 11 is clear everywhere unless the unit has snoop control (ECAP.SC);
 *  - bit 62 is clear everywhere (no protection keys above 7);
 *  - bits 12..20 of a 2 MiB leaf and 12..29 of a 1 GiB leaf are clear, so no
 *    PAT bit in large leaves;
 *  - address bits from the host address width on are clear;
 *  - large leaves only of sizes in CAP.SSLPS;
 *  - bits 2..6, 8..10, 52..61 and 63 do not matter: user, cache, accessed,
 *    dirty, global and no-execute are ignored by the unit.
 *
 * IOMMU_OK, IOMMU_FORMAT, IOMMU_WIDTH (phys_bits), IOMMU_BAD_ARGUMENT.
 */
enum iommu_status iommu_shared_check(const struct iommu *iommu, unsigned n,
	const struct iommu_entry_format *format,
	const char **out_why) IOMMU_MUST_CHECK;

/* -------------------------------------------- mapped domains: translations */

/** Rights of a mapping; may be combined. */
enum iommu_rights {
	IOMMU_READ = 1u << 0,
	IOMMU_WRITE = 1u << 1,
};

/**
 * Maps [iova, iova + size) to [phys, phys + size) in a mapped domain with the
 * largest pages that alignment and the units allow. All three are multiples of
 * 4 KiB. Two CPUs may map different ranges at once without a common lock. May
 * allocate; waits only on units with caching mode or write buffers.
 *
 * IOMMU_BAD_ARGUMENT (alignment, size 0, no rights, kind of domain),
 * IOMMU_WIDTH, IOMMU_RESERVED_RANGE (interrupt window), IOMMU_MAPPED,
 * IOMMU_NO_MEMORY: nothing stays mapped of the call. IOMMU_UNCONFIRMED: it is
 * mapped, but a unit may not see it yet.
 */
enum iommu_status iommu_map(struct iommu_domain *domain, iommu_iova_t iova,
	iommu_phys_t phys, uint64_t size, unsigned rights) IOMMU_MUST_CHECK;

struct iommu_batch;

/**
 * Removes [iova, iova + size) from a mapped domain and records in the batch
 * what has to be flushed. Only after iommu_batch_flush() answers IOMMU_OK may
 * the pages be reused. Never allocates and never waits, unless a large page
 * has to be split: that takes a table page (kept in reserve per domain).
 * Parts that are not mapped are skipped; *out_removed (may be NULL) is how many
 * bytes were. IOMMU_BAD_ARGUMENT, IOMMU_NO_MEMORY (a split; what was removed
 * so far stays removed and recorded).
 */
enum iommu_status iommu_unmap(struct iommu_domain *domain, iommu_iova_t iova,
	uint64_t size, struct iommu_batch *batch,
	uint64_t *out_removed) IOMMU_MUST_CHECK;

/** iommu_unmap() and iommu_batch_flush() in one. Waits. Statuses as theirs,
 * those of the flush first. */
enum iommu_status iommu_unmap_now(struct iommu_domain *domain,
	iommu_iova_t iova, uint64_t size) IOMMU_MUST_CHECK;

/**
 * Joins small pages inside [iova, iova + size) to large ones where they are
 * contiguous, equal in rights and aligned, without a moment at which they are
 * not mapped. The tables set free wait in the batch. Nobody else maps or unmaps
 * in the range meanwhile. May allocate (the reserve for splitting again); does
 * not wait. IOMMU_BAD_ARGUMENT.
 */
enum iommu_status iommu_join(struct iommu_domain *domain, iommu_iova_t iova,
	uint64_t size, struct iommu_batch *batch) IOMMU_MUST_CHECK;

/**
 * Where an address leads in a mapped, identity or shared domain, by a walk of
 *  the tables in memory. IOMMU_NOT_MAPPED, IOMMU_BAD_ARGUMENT. */
enum iommu_status iommu_iova_to_phys(const struct iommu_domain *domain,
	iommu_iova_t iova, iommu_phys_t *out_phys) IOMMU_MUST_CHECK;

/* -------------------------------------------------------------- flushing */

/** What happened to table entries of a domain; bits may be combined. */
enum iommu_change {
	/** Entries became present. Costs nothing on units without caching
	 *  mode and write buffers. */
	IOMMU_MADE_PRESENT = 1u << 0,
	/** Present entries were cleared or point elsewhere now. */
	IOMMU_REMOVED = 1u << 1,
	/** A right was taken away. */
	IOMMU_RIGHTS_CUT = 1u << 2,
	/** A right was added to a present entry. The CPU would retry, a
	 *  device loses its access: so this is flushed too. */
	IOMMU_RIGHTS_RAISED = 1u << 3,
	/** A table page was unlinked, or leaves and tables replaced each
	 *  other. The range is what the table covered. */
	IOMMU_TABLE_CHANGED = 1u << 4,
};

enum {
	/** Ranges a batch keeps apart; more are merged. */
	IOMMU_BATCH_RANGES = 6,
};

/**
 * What changed in one domain and was not flushed yet, and the table pages that
 * wait for it. Lives on the host's stack or wherever it likes; its members are
 * the library's. Used by one CPU at a time.
 */
struct iommu_batch {
	struct iommu_domain *domain;
	/** Union of all enum iommu_change recorded. */
	unsigned changes;
	unsigned count;
	/** There were too many ranges; they are one now. */
	bool full;
	/** What changed in each of the ranges. */
	uint8_t range_changes[IOMMU_BATCH_RANGES];
	struct {
		uint64_t first;
		uint64_t last;
	} range[IOMMU_BATCH_RANGES];
	/** Table pages to give back after the flush, linked by page. */
	void *pages;
};

/** Starts a batch for a domain. Any context. */
void iommu_batch_init(struct iommu_batch *batch, struct iommu_domain *domain);

/**
 * Records that entries for [iova, iova + size) changed; the range covers the
 * whole of every large page concerned. changes is a set of
 * enum iommu_change. Cheap: a range that adjoins the one
 * before is merged with it, and beyond IOMMU_BATCH_RANGES all are. A size of 0
 * is ignored, a range that wraps is cut at the end of the address space. Any
 * context.
 */
void iommu_batch_add(struct iommu_batch *batch, unsigned changes,
	iommu_iova_t iova, uint64_t size);

/**
 * Makes every unit with a device of the domain forget what the batch recorded,
 * waits until all have confirmed, gives waiting table pages back and empties
 * the batch. The host's stores to entries (and their write-back where
 * IOMMU_DUTY_WRITE_BACK) precede the call. One doorbell and one wait per unit;
 * units are waited for together. Never allocates. An empty batch, or a domain
 * without devices, costs a few instructions.
 *
 * IOMMU_OK: the pages behind removed entries may be reused. IOMMU_UNCONFIRMED,
 * IOMMU_UNIT_LOST: they must be quarantined; the batch is empty all the same
 * and its table pages stay in the library's quarantine.
 */
enum iommu_status iommu_batch_flush(struct iommu_batch *batch) IOMMU_MUST_CHECK;

/** A batch with a single range, added and flushed. Statuses as
 *  iommu_batch_flush(). Waits. */
enum iommu_status iommu_flush(struct iommu_domain *domain, unsigned changes,
	iommu_iova_t iova, uint64_t size) IOMMU_MUST_CHECK;

/** iommu_flush() of the whole address space. Waits. Statuses as
 *  iommu_batch_flush(). */
enum iommu_status iommu_flush_all(
	struct iommu_domain *domain, unsigned changes) IOMMU_MUST_CHECK;

IOMMU_END_C

#include <iommu/unit.h>
#include <iommu/device.h>
#include <iommu/irq.h>
#include <iommu/fault.h>
#include <iommu/report.h>
#include <iommu/stage.h>

#endif
