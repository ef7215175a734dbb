/* SPDX-License-Identifier: MIT */
/*
 * What the library's hardware-neutral files share: the instance, devices and
 * domains.
 *
 * Locks, in the order in which they may be taken:
 *
 *	instance (I)  devices, domain ids, who is attached where
 *	pool     (P)  free lists of small objects, the page ledger
 *	unit     (U)  a unit's context tables and interrupt entries
 *	queue    (Q)  a unit's invalidation queue, its slots
 *	register (R)  a unit's command registers
 *	fault    (F)  the ring of collected faults
 *	log      (L)  the line that is being logged
 *
 * No lock is held while the hardware is waited for, except R for the length
 * of one register command. Members marked (C) are constant after discovery,
 * (A) are atomic, (S) are changed only by calls that the host serialises.
 */
#ifndef CORE_INTERNAL_H
#define CORE_INTERNAL_H

#include <iommu/iommu.h>

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);

struct unit;
struct device;
struct dmar;

/* What is inlined and called from other files, too, is `extern inline`: clang
 * leaves a plain inline function out of objects in Windows' format. */
/** For what is to keep off its caller's stack and registers. */
#define NOINLINE __attribute__((noinline))

/** A 64-bit word that is read and written in one piece; 32-bit compilers align
 *  plain ones to 4 bytes only. */
typedef uint64_t __attribute__((aligned(8))) word64;

enum {
	PAGE_SHIFT = 12,
	PAGE_SIZE = 1 << PAGE_SHIFT,
	/** Bits of iommu_domain.units. */
	MAX_UNITS = 64,
	BUSES = 256,
	DEVFNS = 256,
	FAULT_RING = 256,
	/** The identity domain's id in every unit. */
	IDENTITY_DID = 1,
	/** Ids that one device's requests may carry: its own, a bridge's,
	 *  phantom functions'. */
	MAX_RIDS = 10,
	/** Leaf tables that a domain remembers. */
	LEAF_CACHE = 32,
	/** The most tables that are kept for domains to come. */
	SPARE_TABLES = 64,
};

/** The window in which writes are interrupts (VT-d 3.14). */
#define INTERRUPT_WINDOW_FIRST 0xfee00000u
#define INTERRUPT_WINDOW_LAST 0xfeefffffu

/** Objects of one size, cut from pages that stay until the instance ends. */
struct pool {
	size_t size; /* C */
	void *free;  /* P */
	void *pages; /* P: chain of all pages */
};

enum instance_state {
	/** In a call that moves it on; another such call is refused. */
	INSTANCE_MOVING,
	INSTANCE_NEW,
	INSTANCE_DISCOVERED,
	INSTANCE_STARTED,
	INSTANCE_SUSPENDED,
	INSTANCE_HANDED_OVER,
};

/** A fault as the interrupt handler leaves it. */
struct raw_fault {
	uint64_t low;
	uint64_t high;
	uint64_t time_ns;
	unsigned unit;
	unsigned lost;
};

struct fault_ring {
	struct iommu_lock lock;
	struct raw_fault slot[FAULT_RING]; /* F */
	unsigned head;                     /* F: oldest */
	unsigned count;                    /* F */
	unsigned lost;                     /* F: since the newest in the ring */
};

/** The devices of one bus that were ever looked at. */
struct bus {
	struct bus *next;              /* C: the same number, other segments */
	iommu_phys_t phys;             /* C */
	uint16_t segment;              /* C */
	struct device *device[DEVFNS]; /* A, set once */
};

/** Collects text and hands it to a sink in pieces. */
struct text {
	iommu_sink *sink; /* NULL: what is too long is left out */
	void *arg;
	char *out;
	size_t size, length;
	char buffer[200]; /* unless it goes elsewhere */
};

struct iommu {
	struct iommu_host host;               /* C */
	struct iommu_options options;         /* C */
	struct iommu_lock lock;               /* the instance lock I */
	struct iommu_lock pool_lock;          /* P */
	enum instance_state state;            /* A */
	bool on;                              /* A */
	unsigned order;                       /* C: pages of this struct */
	iommu_phys_t phys;                    /* C */
	char reason[192];                     /* S */
	struct iommu_lock log_lock;           /* L */
	struct text log;                      /* L: its buffer holds the line */
	struct dmar *dmar;                    /* C */
	struct unit *unit[MAX_UNITS];         /* C */
	unsigned units;                       /* C */
	struct bus *bus[BUSES];               /* A, each grows at the head */
	struct iommu_domain *identity;        /* S */
	struct iommu_domain *identity_tables; /* A: without pass-through */
	unsigned domains;                     /* I: without identity */
	unsigned parkings;                    /* A: of them, for parking */
	unsigned tlb_users;                   /* I: devices whose TLB is on */
	struct pool device_pool;
	struct pool domain_pool;
	unsigned spares;              /* P; read as a hint without */
	uint64_t spare[SPARE_TABLES]; /* P: see tables.c */
	word64 pages;                 /* A: held in all */
	word64 pages_withheld;        /* A: never to be given back */
	struct fault_ring faults;
};

struct device {
	struct iommu *iommu;       /* C */
	struct iommu_device_id id; /* C */
	struct device *alias;      /* C: whose id its requests carry too, or
				      itself */
	struct device *leader;     /* C: stands for its group; may be itself */
	uint16_t rid[MAX_RIDS];    /* C: all ids that its requests may carry */
	uint8_t rids;              /* C: how many */
	struct unit *unit;         /* C: NULL if uncovered */
	bool bridge;               /* C */
	bool reserved_memory;      /* C */
	bool tlb_twice;            /* C: its TLB is to be flushed twice */
	bool mute;                 /* A: does not answer its flushes */
	uint8_t state;             /* A: enum iommu_device_state; changed
				      under I or, while changing, by whoever
				      changes the device */
	uint16_t did;              /* I */
	bool stand_in;             /* A: not seen, or not since units came */
	unsigned rid_users;  /* I: attached devices whose requests carry this id
			      */
	bool group_changing; /* A: a member is on its way */
	uint16_t group_users; /* I: attached devices whose group this is */
	struct iommu_domain *domain;        /* I: also while changing */
	struct iommu_domain *parking;       /* S: its reserved memory alone */
	struct iommu_domain *group_domain;  /* I */
	struct device *next_in_domain;      /* I: devices with a TLB */
	uint16_t ats;                       /* C: capability offset, 0 = none */
	bool ats_on;                        /* I */
	uint8_t properties;                 /* C: enum iommu_property */
	word64 faults;                      /* A */
	struct iommu_last_fault last_fault; /* F */
	uint64_t quiet_until_ns;            /* F: of the token bucket */
	uint64_t storm_start_ns;            /* F */
	unsigned storm_count;               /* F */
};

/** The tables of a mapped domain; pgtable.c explains who may touch what. */
struct pgtable {
	word64 *root;         /* C */
	iommu_phys_t phys;    /* C */
	unsigned levels;      /* C */
	unsigned top_shift;   /* C: of the root's index */
	unsigned bits;        /* C: of an address */
	unsigned lowest_root; /* C: least levels that any unit starts with */
	uint64_t last;        /* C: last address */
	uint64_t phys_last;   /* C */
	uint64_t page_sizes;  /* C: bit n: leaves of 2^n bytes */
	uint64_t leaf_bits;   /* C */
	bool write_back;      /* C */
	bool large;           /* A: large pages may be anywhere */
	char *direct;         /* C: the host's direct map; NULL if it has
				 none */
	word64 leaf_cache[LEAF_CACHE]; /* A: see map.c */
	word64 linked[2]; /* P, read without: all tables below the root are for
			     these addresses and those between */
	unsigned reserve_count;  /* P; read as a hint without */
	iommu_phys_t reserve[4]; /* P: pages for splitting */
};

/** A domain on one unit. */
struct domain_unit {
	uint16_t did;   /* I; read without lock while users > 0 */
	uint16_t users; /* I */
	bool spent;     /* I: a device left without confirmation */
};

struct iommu_domain {
	struct iommu *iommu;             /* C */
	void *owner;                     /* C */
	enum iommu_domain_kind kind;     /* C */
	struct iommu_shared_roots roots; /* C */
	bool no_snoop_control;           /* C: mapped */
	word64 units;                    /* A: bit n: unit n has users */
	unsigned devices;                /* A */
	unsigned duties;                 /* A */
	bool walked; /* I: a unit may still walk its tables */
	struct domain_unit on[MAX_UNITS];
	struct device *tlb_devices; /* I, A: devices whose TLB is on */
	struct pgtable table;       /* mapped */
};

/* ---- small helpers ---- */

static inline enum iommu_device_state device_state(const struct device *dev)
{
	return (enum iommu_device_state)__atomic_load_n(
		&dev->state, __ATOMIC_ACQUIRE);
}

/** Whether devices in a domain of this kind see addresses of its own. */
static inline bool has_addresses(enum iommu_domain_kind kind)
{
	return kind == IOMMU_DOMAIN_MAPPED || kind == IOMMU_DOMAIN_SHARED;
}

/** Has a device looked at anew before it is used, or no more. I held. */
static inline void __stand_in(struct device *dev, bool stand_in)
{
	__atomic_store_n(&dev->stand_in, stand_in, __ATOMIC_RELEASE);
}

/** How far an instance's life has got. */
static inline enum instance_state core_life(const struct iommu *iommu)
{
	return __atomic_load_n(&iommu->state, __ATOMIC_ACQUIRE);
}

/** Begins a call that moves an instance's life on. False: it is not where the
 *  call starts from, or such a call is under way. */
static inline bool core_life_enter(
	struct iommu *iommu, enum instance_state from)
{
	return __atomic_compare_exchange_n(&iommu->state, &from,
		INSTANCE_MOVING, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/** Ends it; gives the status back. */
static inline enum iommu_status core_life_leave(
	struct iommu *iommu, enum instance_state to, enum iommu_status status)
{
	__atomic_store_n(&iommu->state, to, __ATOMIC_RELEASE);
	return status;
}

static inline unsigned long core_lock(
	const struct iommu *iommu, struct iommu_lock *lock)
{
	return iommu->host.lock(iommu->host.ctx, lock);
}

static inline void core_unlock(
	const struct iommu *iommu, struct iommu_lock *lock, unsigned long state)
{
	iommu->host.unlock(iommu->host.ctx, lock, state);
}

static inline uint64_t core_now(const struct iommu *iommu)
{
	return iommu->host.now_ns(iommu->host.ctx);
}

static inline uint64_t core_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t core_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/** The most levels in a set of depths, bit n for n levels; not an empty one. */
static inline unsigned core_deepest(unsigned depths)
{
	return 31u - (unsigned)__builtin_clz(depths);
}

/** The first status other than IOMMU_OK, a lost unit before all others. */
static inline enum iommu_status core_worse(
	enum iommu_status a, enum iommu_status b)
{
	return a == IOMMU_OK || b == IOMMU_UNIT_LOST ? b : a;
}

/** The CPU's address of a page that page_alloc gave. */
static inline void *core_virt(const struct iommu *iommu, iommu_phys_t phys)
{
	if (iommu->host.direct_map)
		return (char *)iommu->host.direct_map + (uintptr_t)phys.v;
	return iommu->host.phys_to_virt(iommu->host.ctx, phys);
}

/* ---- pool.c ---- */

/** Whether what page_alloc gave is as host.h wants it: it is written to by the
 *  address that phys_to_virt answers, and the hardware ignores low bits. */
bool core_pages_usable(
	const struct iommu *iommu, iommu_phys_t phys, unsigned order);
void *core_pages(struct iommu *iommu, unsigned order, iommu_phys_t *out_phys);
/** The same for at least so many bytes; more than 2^8 pages are never there. */
void *core_pages_for(struct iommu *iommu, size_t size, unsigned *out_order,
	iommu_phys_t *out_phys);
void core_pages_free(
	struct iommu *iommu, void *page, iommu_phys_t phys, unsigned order);
/** Books pages that the hardware may still read: never given back. */
void core_pages_withhold(struct iommu *iommu, unsigned order);
void core_pool_init(struct pool *pool, size_t size);
void *core_pool_get(struct iommu *iommu, struct pool *pool);
void core_pool_put(struct iommu *iommu, struct pool *pool, void *object);
void core_pool_end(struct iommu *iommu, struct pool *pool);

/* ---- text.c ---- */

void text_start(struct text *text, iommu_sink *sink, void *arg);
void text_add(struct text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void text_end(struct text *text);
/** A requester id for "%02x:%02x.%u". */
#define RID_WORDS(rid) (rid) >> 8, (rid) >> 3 & 0x1f, (rid)&7

/** snprintf for %c %s %u %x %ju %jx %p and widths; returns the length kept. */
size_t core_format(char *out, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void core_log(struct iommu *iommu, enum iommu_log_level level,
	const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- device.c ---- */

/** Finds a device or makes it. IOMMU_UNCOVERED and IOMMU_BRIDGE still set
 *  *out_device. */
enum iommu_status core_device(struct iommu *iommu, struct iommu_device_id id,
	struct device **out_device);
/** A device that is known already, or NULL. Any context. */
struct device *core_device_known(
	const struct iommu *iommu, struct iommu_device_id id);
/** Has the devices that nothing translates for described anew. */
void core_devices_anew(struct iommu *iommu);
/** Blocks a device for good: its TLB did not answer or its faults storm. */
enum iommu_status core_device_quarantine(struct device *dev);
/** Keeps a blocked device back: nobody gets it until it is revived. */
void core_device_keep_back(struct device *dev);
/** Notes that a device's TLB does not answer: no more is asked of it. */
void core_device_mute(struct device *dev);
bool core_device_is_mute(const struct iommu *iommu, struct iommu_device_id id);
/** Gives the tables of buses back. */
void core_buses_end(struct iommu *iommu);

/* ---- ats.c ---- */

/** Whether a device is to use its own TLB in a domain of this kind. */
bool core_ats_wanted(const struct device *dev, enum iommu_domain_kind kind);
/** Switches the device's TLB, if the host can. */
void core_ats_switch(const struct device *dev, bool on);
/** Enters a device in its domain's list of those to be flushed. I held. */
void __ats_enter(struct device *dev);
void __ats_leave(struct device *dev);
/** Gives the ids of a domain's devices on a unit that have a TLB of their own
 *  and answer, without the first `skip`; again: only of those that have to be
 *  asked twice. Returns how many are stored. */
unsigned core_tlb_rids(struct iommu_domain *domain, const struct unit *unit,
	bool again, unsigned skip, uint16_t *rid, unsigned max);
/** Blocks the devices of a domain whose TLB does not answer. */
enum iommu_status core_block_mute(struct iommu_domain *domain);
/** iommu_batch_flush(), but core_block_silent() is to follow: without the batch
 *  on the stack. */
enum iommu_status core_batch_flush(struct iommu_batch *batch);
/** What a silent device still holds is refused by the unit once it is blocked.
 *  Returns the worse of the statuses. */
enum iommu_status core_block_silent(
	struct iommu_domain *domain, enum iommu_status status);

/* ---- attach.c ---- */

enum iommu_status core_attach(struct device *dev, struct iommu_domain *domain);
enum iommu_status core_detach(struct device *dev);

/* ---- reserved.c ---- */

/** Whether a device only reaches its reserved memory, for the library. */
bool core_is_parked(const struct device *dev);
/** Maps a device's reserved regions in a domain. */
enum iommu_status core_map_reserved(
	struct iommu_domain *domain, const struct device *dev);
/** Parks a blocked device, if it has reserved memory and the host wants it. */
enum iommu_status core_park(struct device *dev);
void core_park_all(struct iommu *iommu);
void core_unpark_all(struct iommu *iommu);

/* ---- stage.c ---- */

/** Whether a device still reaches what an earlier owner's tables map. */
bool core_inherits(const struct device *dev);
/** Ends that for a device and its group. */
enum iommu_status core_disinherit(struct device *dev);
/** Ends that for a function that is gone. */
enum iommu_status core_disinherit_gone(
	struct iommu *iommu, struct iommu_device_id id);

/* ---- topology.c ---- */

/** A PCI function, or where one might be. */
struct function {
	const struct iommu *iommu;
	struct iommu_device_id id;
};

/** What configuration space says about a function. */
struct topology {
	bool bridge;
	uint16_t phantom;
	uint16_t ats;
	struct iommu_device_id alias;
	/** The function that stands for its group. */
	struct iommu_device_id group;
	/** Whom the firmware's table speaks of: the physical function of a
	 *  virtual one. */
	struct iommu_device_id scope;
};

/** Bus numbers below a bridge. */
struct topology_buses {
	unsigned first, last;
};

/** Adds what is known to *out, which says so far that the function has to do
 *  with itself only. False: there is none. */
bool topology_read(struct function fn, struct topology *out);
uint32_t topology_config(struct function fn, unsigned offset, unsigned width);
/** Writes 16 bits, if the host can. */
void topology_write(struct function fn, unsigned offset, uint32_t value);
/** Whether something answers. */
bool topology_exists(struct function fn);
bool topology_is_bridge(struct function fn);
struct topology_buses topology_below(struct function bridge);
/** The bridge that leads to a function's bus; *out is kept if there is none. */
bool topology_parent(struct function fn, struct iommu_device_id *out);
/** The functions whose group a function stands for. Returns how many. */
unsigned topology_group(
	struct function key, struct iommu_device_id *out, unsigned max);

/* ---- pgtable.c, tables.c, map.c ---- */

struct entry;
enum iommu_status core_table_make(
	struct iommu_domain *domain, unsigned iova_bits);
void core_table_free(struct iommu_domain *domain);
void core_spare_tables_end(struct iommu *iommu);
/** What a unit's entry for a mapped domain is. IOMMU_WIDTH: it does not fit. */
enum iommu_status core_table_entry(const struct pgtable *table,
	const struct unit *unit, struct entry *out);
enum iommu_status core_identity_make(struct iommu *iommu);
/** The deepest table of a shared domain with a usable number of levels (bit n:
 *  n levels). Returns its levels, 0 if there is none. */
unsigned core_shared_root(const struct iommu_domain *domain, unsigned usable,
	iommu_phys_t *out_root);
struct iommu_dma_piece;
/** iommu_map(), but the units are not told: core_tell_present() follows. */
enum iommu_status core_map(struct iommu_domain *domain, uint64_t iova,
	uint64_t phys, uint64_t size, unsigned rights);
/** The same for sound pages of memory, side by side from iova on, as far as
 *  that is a matter of storing leaves. Returns how many are mapped; the next
 *  one may need more than that, or be a wrong one. */
unsigned core_map_pages(struct iommu_domain *domain, uint64_t iova,
	const struct iommu_dma_piece *page, unsigned count, unsigned rights);
/** iommu_unmap_now(), and how many bytes were mapped. */
enum iommu_status core_unmap_now(struct iommu_domain *domain, uint64_t iova,
	uint64_t size, uint64_t *out_removed);
/** Clears a page's leaf if that can be done on the short way; the caller sees
 *  to the flush. False: nothing was done. */
bool core_clear_near(struct iommu_domain *domain, uint64_t iova);
/** iommu_flush() of one page of which only the leaf changed. */
enum iommu_status core_flush_leaf(struct iommu_domain *domain, uint64_t page);
/** Flushes new entries where units ask for that. */
enum iommu_status core_tell_present(
	struct iommu_domain *domain, uint64_t iova, uint64_t size);
/** Gives a batch's table pages back, or withholds them. */
void core_table_release(struct iommu_batch *batch, bool confirmed);

/* ---- walk.c ---- */

/** Notes an entry that was met. high: of root and context entries. */
void core_walk_note(struct iommu_walk *walk, unsigned level, uint64_t at,
	uint64_t low, uint64_t high);
/** Walks tables in memory from a top-level one. */
void core_walk_tables(const struct iommu *iommu, iommu_phys_t table,
	unsigned levels, iommu_iova_t iova, struct iommu_walk *walk);
/** Walks a requester's root and context entry, then its tables. */
void core_walk(const struct unit *unit, uint16_t rid, iommu_iova_t iova,
	struct iommu_walk *walk);

/* ---- fault.c ---- */

/** Keeps a fault; NULL: the hardware dropped one. Interrupt context, F held. */
void __core_fault_push(struct iommu *iommu, const struct raw_fault *raw);

/* ---- domain.c ---- */

/** Makes sure the domain has an id in the unit and counts a user. Lock I held.
 */
enum iommu_status __domain_enter(
	struct iommu_domain *domain, struct unit *unit);
/** Takes a user away; frees the id with the last one if it may be reused.
 *  Lock I held. */
void __domain_leave(
	struct iommu_domain *domain, struct unit *unit, bool confirmed);

/* ---- instance.c ---- */

/** Whether a device is attached to a domain of the host's. */
bool core_any_attached(const struct iommu *iommu);
void core_reason(struct iommu *iommu, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
