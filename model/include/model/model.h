/* SPDX-License-Identifier: MIT */
/*
 * A software VT-d unit that punishes every missing flush.
 *
 * A test creates a machine (memory, PCI functions, remapping units), lets a
 * driver program the units through register accesses and memory, lets devices
 * do DMA, and then reads the list of violations. Nothing here knows any
 * particular driver: registers are read and written by physical address,
 * memory is addressed physically or through ordinary pointers.
 *
 * All functions may be called from several threads; a machine has one lock.
 * Callbacks run with that lock held by the calling thread and may call the
 * model again.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct model;

#define MODEL_PAGE 4096u
/** "No unit", "no address": all ones. */
#define MODEL_NONE UINT64_MAX

/** A requester id from its parts. */
#define MODEL_BDF(bus, dev, fn) \
	((uint16_t)(((bus)&0xffu) << 8 | ((dev)&0x1fu) << 3 | ((fn)&7u)))

/* ---- what a machine is made of ------------------------------------------ */

/** How the units use the freedom that the specification leaves them. */
enum model_mode {
	/** Keeps everything stale until told to forget, finishes commands as
	 *  late as it may; no chance is involved. */
	MODEL_LAZY,
	/** Every freedom is used or not as the seed decides. */
	MODEL_RANDOM,
	/** Coherent, instant and forgiving: close to an emulator's unit. */
	MODEL_BENIGN,
};

/** Errata and habits that capability registers do not show. */
enum model_quirk {
	/** Needs GCMD.WBF although CAP.RWBF is 0 (Mobile 4 class). */
	MODEL_QUIRK_HIDDEN_RWBF = 1 << 0,
	/** GSTS.QIES stays set unless the last descriptor was a wait; others
	 *  clear it with the queue empty but report a violation. */
	MODEL_QUIRK_QIE_STICKS = 1 << 1,
	/** A domain-selective context flush acts and reports as global. */
	MODEL_QUIRK_CC_WIDENS = 1 << 2,
	/** CFI is ignored, compatibility interrupts always pass. */
	MODEL_QUIRK_CFI_IGNORED = 1 << 3,
	/** IQERCD always reads 0 (units older than the register). */
	MODEL_QUIRK_NO_IQERCD = 1 << 4,
	/** Posted writes of a device 8086:4940 to 8086:4943 land only after a
	 *  device-TLB flush completed once; a second one is needed. */
	MODEL_QUIRK_EXTRA_DEVTLB = 1 << 5,
};

/** One kind of unit: everything that a driver can find out, and quirks. */
struct model_personality {
	const char *name;
	uint32_t version;
	uint64_t cap;
	uint64_t ecap;
	uint32_t quirks;
	/** Host address width that goes with it; 0: 46. */
	uint8_t haw;
};

/** The table of known kinds; ends with a name of NULL. */
extern const struct model_personality model_personalities[];

/** The kind of that name, or NULL. */
const struct model_personality *model_personality_find(const char *name);

/** A random kind that some unit could legally have. */
struct model_personality model_personality_random(uint64_t seed);

/**
 * Whether the capabilities keep the dependencies that the specification
 * demands (VT-d 11.4.2, 11.4.3). Returns NULL or what is wrong.
 */
const char *model_personality_check(const struct model_personality *kind);

struct model_unit_desc {
	const struct model_personality *kind;
	/** Register base; 0: 0xfed90000 and 64 KiB further per unit. */
	uint64_t base;
	uint16_t segment;
	/** Covers every function of the segment that no other unit names. */
	bool include_all;
	/** Starts as an earlier owner left it: translation, queue and
	 *  interrupt remapping on, caches full of foreign entries. */
	bool left_on;
};

/** What a PCI function is, as far as requester ids depend on it. */
enum model_function_kind {
	MODEL_ENDPOINT,     /* PCI Express endpoint */
	MODEL_INTEGRATED,   /* root-complex integrated endpoint */
	MODEL_CONVENTIONAL, /* no PCI Express capability */
	MODEL_ROOT_PORT,
	MODEL_UPSTREAM,    /* of a switch */
	MODEL_DOWNSTREAM,  /* of a switch */
	MODEL_PCIE_TO_PCI, /* bridge: devices below take its ids */
	MODEL_PCI_TO_PCI,  /* conventional bridge */
};

struct model_function_desc {
	uint16_t segment;
	uint16_t bdf;
	enum model_function_kind kind;
	/** Bridges and ports: the bus below and the last bus below that. */
	uint8_t secondary, subordinate;
	/** The unit (index) whose scope names the function; -1: none, the
	 *  include-all unit of the segment covers it. */
	int unit;
	uint16_t vendor, device;
	/** Class code, 24 bits. */
	uint32_t class_code;
	bool ats;
	/** Access control services present (ports). */
	bool acs;
	bool multifunction;
};

struct model_rmrr_desc {
	uint16_t segment;
	uint64_t base, limit;
	uint16_t bdf;
};

struct model_ioapic_desc {
	uint8_t id;
	uint16_t bdf;
	/** Unit whose scope names it; -1: none does. */
	int unit;
};

enum model_flags {
	/** Every store of the driver to memory that a unit uses as a table is
	 *  seen one by one (pages are write-protected and stores stepped).
	 *  Finds torn and badly ordered updates. x86-64 Linux only, one
	 *  driver thread, slower. */
	MODEL_WATCH = 1 << 0,
	/** With MODEL_WATCH: every present entry is cached the moment it is
	 *  stored, so that a missing flush is found without any DMA. */
	MODEL_EAGER = 1 << 1,
};

struct model_desc {
	uint64_t seed;
	enum model_mode mode;
	unsigned flags;
	/** Physical memory; size 0: 64 MiB. With base 0 the first page that
	 *  is given out is page 0. */
	uint64_t ram_base, ram_size;
	/** Host address width; 0: the smallest of the units' kinds. */
	uint8_t haw;
	const struct model_unit_desc *units;
	unsigned unit_count;
	const struct model_function_desc *functions;
	unsigned function_count;
	const struct model_rmrr_desc *rmrrs;
	unsigned rmrr_count;
	const struct model_ioapic_desc *ioapics;
	unsigned ioapic_count;
};

/** Creates a machine; NULL with errno if the description is not possible. */
struct model *model_create(const struct model_desc *desc);

/**
 * A machine with one unit of the kind and a usual topology: 00:1f.0 without
 * DMA, endpoints 00:01.0 to 00:04.0 (00:02.0 has a device TLB), a root port
 * 00:1c.0 with an endpoint 01:00.0, a bridge 00:1d.0 to bus 2 with
 * conventional functions 02:00.0 and 02:01.0, one IOAPIC f0:1f.0. flags are
 * enum model_flags; left_on as in struct model_unit_desc.
 */
struct model *model_create_usual(const struct model_personality *kind,
	enum model_mode mode, unsigned flags, uint64_t seed, bool left_on);

/** The functions of that machine, in that order but for 00:1f.0, the first. */
const struct model_function_desc *model_usual_functions(unsigned *out_count);

/** The same machine with two units: the first translates for 00:02.0, 00:03.0
 *  and all below 00:1c.0, the second for the rest. */
struct model *model_create_pair(const struct model_personality *first,
	const struct model_personality *second, enum model_mode mode,
	unsigned flags, uint64_t seed, bool left_on);

/** The same as model_create_usual() with a kind of the table by its name and
 * nothing special. */
struct model *model_create_simple(
	const char *kind, enum model_mode mode, uint64_t seed);

void model_destroy(struct model *m);

/* ---- snapshots ---------------------------------------------------------- */

struct model_snapshot;

/**
 * Keeps the whole machine as it is now: units with their registers, queues and
 * caches, what is in flight, devices' configuration and TLBs, memory as CPUs
 * and as units see it, the judge's list, chance, and the clock. A driver whose
 * state lies in the machine's memory is kept with it. NULL if there is no
 * memory. What it costs is the state that there is, not the size of memory;
 * pages that are as the snapshot before left them are shared with that.
 *
 * Left out: what is the caller's (struct model_host, the devices of
 * model/devices.h: plain structs, to be copied along), and pages that nobody
 * was ever given, no device used and model_ptr() was not asked for.
 */
struct model_snapshot *model_snapshot(struct model *m);

/**
 * Makes the machine what it was, from any later, earlier or other state of the
 * same machine, as often as one likes: the same calls give the same results,
 * bit for bit. Only memory that differs is written. Violations noted since are
 * gone. Nobody else is in a call meanwhile.
 */
void model_restore(struct model *m, const struct model_snapshot *s);

/** Gives a snapshot back; others do not depend on it. NULL is accepted. All
 *  have to be given back before their machine. */
void model_snapshot_free(struct model_snapshot *s);

/* ---- registers ---------------------------------------------------------- */

/** The register base of a unit and the size of its register set. */
uint64_t model_unit_base(struct model *m, unsigned unit);
uint64_t model_unit_size(struct model *m, unsigned unit);
unsigned model_unit_count(struct model *m);

/** Register accesses by physical address. All ones where nothing answers. */
uint32_t model_read32(struct model *m, uint64_t phys);
uint64_t model_read64(struct model *m, uint64_t phys);
void model_write32(struct model *m, uint64_t phys, uint32_t value);
void model_write64(struct model *m, uint64_t phys, uint64_t value);

/* ---- memory ------------------------------------------------------------- */

/** Whom a page belongs to: a small number that the test chooses. Pages of the
 *  driver itself (tables, queues) use MODEL_OWNER_DRIVER. */
#define MODEL_OWNER_DRIVER 1u

/**
 * Takes 2^order contiguous pages, aligned to their size. The content is
 * whatever the last owner or the model's traps left there. Returns the
 * physical address or MODEL_NONE.
 */
uint64_t model_page_alloc(struct model *m, unsigned order, unsigned owner);

/**
 * Gives pages back. A violation if any cache, queue or request in flight of
 * any unit or device could still reach them. They are filled with entries
 * that look valid and lead to a secret page.
 */
void model_page_free(struct model *m, uint64_t phys, unsigned order);

/** Makes allocations fail: the n-th from now (1: the next); 0: never. With
 *  forever, all later ones fail too. */
void model_fail_alloc(struct model *m, unsigned n, bool forever);

/** Pages taken and not given back, of one owner or of all (0). */
size_t model_pages_in_use(struct model *m, unsigned owner);

/** The CPU's pointer to physical memory, or NULL outside of it. */
void *model_ptr(struct model *m, uint64_t phys);
/** The pointer that corresponds to physical address 0. */
void *model_direct_map(struct model *m);

/** Says that the line(s) were written back (CLFLUSH, CLWB and a fence). */
void model_cache_flush(struct model *m, uint64_t phys, size_t len);

/* ---- time --------------------------------------------------------------- */

/** Virtual time in ns. Every call lets it advance and the units work; calls
 *  in a row with nothing to show advance it faster. */
uint64_t model_now(struct model *m);

/** Lets that much time pass at once. */
void model_advance(struct model *m, uint64_t ns);

/* ---- interrupts --------------------------------------------------------- */

struct model_interrupt {
	/** A message of the unit itself, or a device's that was accepted. */
	bool from_unit;
	unsigned unit;
	uint16_t source;
	/** As sent by the unit, or the source's original message. */
	uint64_t address;
	uint32_t data;
	/** What a CPU would receive. */
	uint8_t vector;
	uint8_t delivery;
	uint32_t destination;
	bool level, logical;
	bool remapped;
};

typedef void model_interrupt_fn(
	void *ctx, struct model *m, const struct model_interrupt *irq);
void model_on_interrupt(struct model *m, model_interrupt_fn *fn, void *ctx);

/* ---- DMA ---------------------------------------------------------------- */

enum model_dma_status {
	MODEL_DMA_OK,
	/** Blocked by the unit (unsupported request or completer abort). */
	MODEL_DMA_BLOCKED,
	/** Passed the unit, but there is no memory behind. */
	MODEL_DMA_ABORT,
};

/**
 * A device reads or writes memory at an I/O address. The topology decides
 * which unit sees which requester id. Writes of 4 bytes into the interrupt
 * window are interrupts.
 */
enum model_dma_status model_dma_read(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t iova, void *buf, size_t len);
enum model_dma_status model_dma_write(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t iova, const void *buf, size_t len);

/**
 * A posted write: it is translated now and reaches memory as late as the
 * unit's rules for draining allow.
 */
enum model_dma_status model_dma_post(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t iova, const void *buf, size_t len);

/**
 * A read whose answer is on its way: it is translated now and takes its data,
 * which nobody looks at, as late as the unit's rules for draining allow.
 */
enum model_dma_status model_dma_read_late(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t iova, size_t len);

/** A read without data (zero-length): allowed on write-only pages if
 *  CAP.ZLR. */
enum model_dma_status model_dma_zero_read(
	struct model *m, uint16_t segment, uint16_t bdf, uint64_t iova);

/** An atomic fetch-and-add of 8 bytes: needs read and write permission. */
enum model_dma_status model_dma_atomic(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t iova, uint64_t add, uint64_t *old);

/** The reason code of the last blocked request, 0 if none was recorded. */
unsigned model_last_fault(struct model *m);

/** Posted writes that have not landed, and late reads without an answer. */
size_t model_posted(struct model *m);

/** A device sends an interrupt message. True if a CPU gets an interrupt. */
bool model_msi(struct model *m, uint16_t segment, uint16_t source,
	uint64_t address, uint32_t data);

/** For model_device_expect(): any access that passes is a violation. */
#define MODEL_NOBODY UINT32_MAX

/**
 * The device may only reach pages of this owner: any access that passes the
 * unit and reaches another page is a violation. 0: no check.
 */
void model_device_expect(
	struct model *m, uint16_t segment, uint16_t bdf, unsigned owner);

/**
 * From now on the device writes to [first, last] all the time, each address
 * meaning itself, as one does that firmware works with (RMRR): a moment at
 * which that is refused is a violation. While translation is off nothing is
 * checked. last 0: it ends.
 */
void model_device_needs(struct model *m, uint16_t segment, uint16_t bdf,
	uint64_t first, uint64_t last);

/* ---- device TLBs (ATS) -------------------------------------------------- */

enum model_ats_answer {
	/** Answers an invalidation at once. */
	MODEL_ATS_PROMPT,
	/** Answers after 900 us. */
	MODEL_ATS_LATE,
	/** Never answers: the unit reports a time-out. */
	MODEL_ATS_NEVER,
};

void model_ats_behave(struct model *m, uint16_t segment, uint16_t bdf,
	enum model_ats_answer answer);

/**
 * A device asks for a translation and keeps it. True if it got one with the
 * right asked for.
 */
bool model_ats_request(struct model *m, uint16_t segment, uint16_t bdf,
	uint64_t iova, bool write);

/**
 * DMA through the device's own TLB: uses a kept translation, else asks. A
 * kept translation is sent as "already translated".
 */
enum model_dma_status model_ats_dma(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t iova, void *buf, size_t len, bool write);

/** A posted write through the device's own TLB: it lands when a flush of that
 *  drains it, at the latest. */
enum model_dma_status model_ats_post(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t iova, const void *buf, size_t len);

/** Sends a request marked "translated" with a physical address. */
enum model_dma_status model_dma_translated(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t phys, void *buf, size_t len, bool write);

/* ---- what can break ----------------------------------------------------- */

/** The unit stops completing anything from its n-th register access on
 *  (0: at once). */
void model_unit_hang(struct model *m, unsigned unit, unsigned after);
/** The unit reads all ones from its n-th register access on. */
void model_unit_gone(struct model *m, unsigned unit, unsigned after);
/** The function disappears: config reads give all ones, no answers. */
void model_device_remove(struct model *m, uint16_t segment, uint16_t bdf);
/** The n-th command or wait from now on is never finished (1: the next).
 *  0: never. */
void model_fail_wait(struct model *m, unsigned n);
/** Allocations and waits that were made to fail so far. */
unsigned model_failures(struct model *m);
/** Sets FSTS error bits (IQE, ICE, ITE, PFO) as hardware would. */
void model_unit_error(struct model *m, unsigned unit, uint32_t fsts_bits);
/** Power was lost: registers as after reset, caches empty, memory kept. A
 *  violation if the driver had not brought the unit to rest. */
void model_unit_reset(struct model *m, unsigned unit);

/* ---- tables and configuration space ------------------------------------- */

/** Writes the ACPI DMAR table that describes the machine. Returns its size;
 *  nothing is written if size is too small. */
size_t model_dmar(struct model *m, void *buf, size_t size);

uint32_t model_pci_read(struct model *m, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width);
void model_pci_write(struct model *m, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width, uint32_t value);

/* ---- the judge ---------------------------------------------------------- */

/** Groups of rules; a violation names one. */
enum model_rule {
	MODEL_V_WALK = 1,    /* a walk touched a page nobody owns */
	MODEL_V_FREE,        /* page given back while reachable */
	MODEL_V_STALE,       /* a flush is missing or too narrow */
	MODEL_V_ORDER,       /* flushes in the wrong order */
	MODEL_V_CHANGE,      /* present entry changed in an illegal way */
	MODEL_V_RESERVED,    /* reserved bit */
	MODEL_V_UNSUPPORTED, /* feature the unit does not have */
	MODEL_V_COMMAND,     /* global command protocol */
	MODEL_V_ACCESS,      /* width or place of a register access */
	MODEL_V_QUEUE,       /* invalidation queue protocol */
	MODEL_V_MIXED,       /* register and queued invalidation mixed */
	MODEL_V_INTERRUPT,   /* interrupt remapping */
	MODEL_V_ADDRESS,     /* mapping of an address that must not be */
	MODEL_V_ATS,         /* device TLB protocol */
	MODEL_V_WAIT,        /* wait without a deadline */
	MODEL_V_FAULT,       /* fault records and status */
	MODEL_V_OPEN,        /* access where none was allowed */
	MODEL_V_NEEDED,      /* no access where it must never end */
	MODEL_RULES
};

struct model_violation {
	enum model_rule rule;
	unsigned unit;
	/** One line: what and where. */
	const char *text;
	/** The specification section that is violated. */
	const char *section;
	/** How often the same line came up. */
	unsigned count;
};

/** The rule's name, as "stale". */
const char *model_rule_name(enum model_rule rule);

size_t model_violation_count(struct model *m);
/** Violations of one rule. */
size_t model_violations_of(struct model *m, enum model_rule rule);
/** The i-th violation, or NULL. Valid until it is cleared. */
const struct model_violation *model_violation(struct model *m, size_t i);
void model_violations_clear(struct model *m);
/** Prints all violations, with the driver's stack at the first occurrence of
 *  each of the first eight: functions and lines where addr2line(1) is there and
 *  the driver is part of the program, else files and offsets. */
void model_report(struct model *m, FILE *out);
/** Abort the process at the first violation, after printing it. */
void model_abort_on_violation(struct model *m, bool on);

/**
 * The driver claims that nothing is pending: every entry that any unit or
 * device remembers must agree with memory, nothing may be in flight. Each
 * difference is a violation. Returns how many were found.
 */
unsigned model_checkpoint(struct model *m);

/** One page that a requester can reach in the tables in memory. */
struct model_reach {
	uint64_t iova, phys, size;
	bool read, write;
};
typedef void model_reach_fn(void *ctx, const struct model_reach *reach);
/**
 * Walks the tables in memory (not the caches) for one requester. Returns
 * false if it is pass-through.
 */
bool model_enumerate(struct model *m, uint16_t segment, uint16_t bdf,
	model_reach_fn *fn, void *ctx);

/** Lets every unit cache whatever its tables in memory hold now. */
void model_prefetch(struct model *m);

struct model_counters {
	uint64_t reg_reads, reg_writes;
	uint64_t dma, dma_blocked;
	uint64_t walks, cache_hits;
	uint64_t flushes, superfluous;
	uint64_t descriptors, waits, device_flushes;
	uint64_t faults, faults_lost, interrupts, interrupts_blocked;
	uint64_t line_flushes, write_buffer_flushes;
};
void model_counters(struct model *m, struct model_counters *out);

/** Entries remembered by a unit: all kinds of caches together. */
size_t model_cached(struct model *m, unsigned unit);

#endif
