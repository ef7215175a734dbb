/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the model share. The machine's lock guards everything
 * here; it is taken by the public functions and by nothing below them. It is
 * recursive because callbacks may call the model again.
 */
#ifndef MODEL_INTERNAL_H
#define MODEL_INTERNAL_H

#include <model/model.h>
#include <pthread.h>
#include <stdlib.h>
#include "regs.h"

#define SHIFT 12
#define PAGE_BASE MASK(63, SHIFT) /* of an address */
#define NIL UINT32_MAX

/* ---- memory ------------------------------------------------------------- */

/* What a table page is, for the store watcher. */
enum role {
	ROLE_NONE,
	ROLE_ROOT,
	ROLE_CONTEXT,
	ROLE_TABLE,
	ROLE_IRT
};

struct page {
	uint32_t leaf_refs;  /* cached 4 KiB translations that lead here */
	uint32_t table_refs; /* cached pointers to this page as a table */
	uint32_t post_refs;  /* posted writes on their way here */
	uint8_t owner;       /* 0: free */
	uint8_t role;        /* enum role, sticky until freed */
	uint8_t level;       /* ROLE_TABLE: 1 is the lowest */
	bool watched;
	uint8_t known; /* on the list of pages ever looked at */
	uint16_t did;  /* ROLE_TABLE: the first domain seen with it */
	uint8_t unit;
	uint8_t top_aw;    /* the width it has as a top table, */
	uint32_t top_refs; /* for so many cached contexts */
	uint64_t iova; /* where a table begins; of a context table the bus */
	uint32_t mark; /* last check that met it */
	uint8_t *copy; /* watched: content after the last store */
};

/* ---- caches ------------------------------------------------------------- */

enum {
	KIND_LEAF = 1,
	KIND_TABLE,
	KIND_NEGATIVE
};
/* As entries of tables say it. */
enum {
	PERM_R = SS_R,
	PERM_W = SS_W
};

struct step {
	uint64_t pa, raw;
};

/* One remembered translation, table pointer or failure of a domain. */
struct centry {
	uint64_t iova;
	uint64_t pa;
	uint32_t hash_next;
	uint32_t dom_prev, dom_next;
	uint16_t did;
	uint8_t kind;
	uint8_t level; /* leaf: 1..3; table: level of the table pointed to */
	uint8_t perm;
	uint8_t steps;
	bool used;
	struct step path[5]; /* the entries it was made from, top first */
};

#define RING_BYTES_MOST (MODEL_PAGE << 7)
#define BUCKETS 4096u /* a product's upper 12 bits choose one */

struct cache {
	struct centry *entry;
	uint32_t count, free;
	size_t room;
	uint32_t live;
	uint32_t *bucket;
	uint32_t dom[256];
	uint32_t large; /* leaves above 4 KiB */
};

/* A context entry as the unit remembers it. */
struct cctx {
	uint64_t lo, hi;
	uint64_t pa;
	uint16_t tag; /* DID it is remembered under; 0 for failures */
	bool valid;
	uint8_t fault; /* not 0: a remembered failure (CM=1) */
};

struct croot {
	uint64_t lo, hi;
	uint64_t pa;
	bool valid;
	uint8_t fault;
};

struct cirte {
	uint64_t lo, hi;
	uint64_t pa;
	bool valid;
	uint8_t fault;
	bool used; /* by sid */
	uint16_t sid;
};

/* Which root a domain id stands for while contexts with it are cached. */
struct did_use {
	uint64_t root; /* MODEL_NONE: they pass through */
	uint32_t contexts;
	bool owes_iotlb; /* a changed context was forgotten, its pages not */
	bool early;      /* they were, but before the context */
};

/* ---- units -------------------------------------------------------------- */

enum reg {
	R_VER,
	R_CAP,
	R_ECAP,
	R_GCMD,
	R_GSTS,
	R_RTADDR,
	R_CCMD,
	R_FSTS,
	R_FECTL,
	R_FEDATA,
	R_FEADDR,
	R_FEUADDR,
	R_PMEN,
	R_PLMBASE,
	R_PLMLIMIT,
	R_PHMBASE,
	R_PHMLIMIT,
	R_IQH,
	R_IQT,
	R_IQA,
	R_ICS,
	R_IECTL,
	R_IEDATA,
	R_IEADDR,
	R_IEUADDR,
	R_IQERCD,
	R_IRTA,
	R_IVA,
	R_IOTLB,
	R_COUNT
};

struct desc {
	uint64_t lo, hi;
};

/* What a processor's caches write back at a time. */
#define LINE 64u
struct line {
	uint64_t pa;
	uint8_t data[LINE];
};

struct unit {
	struct model *m;
	unsigned index;
	uint64_t base, size;
	uint16_t segment;
	bool include_all;
	uint32_t quirks;
	char name[48];
	uint64_t r[R_COUNT];
	uint64_t frcd[256][2];
	unsigned next_frcd;
	uint64_t fsts_seen; /* conditions that the driver has read */
	uint64_t haw_mask;  /* address bits that exist */

	/* Commands in flight: due 0 is none. */
	uint64_t gcmd_due;
	uint32_t gcmd_bits; /* GCMD bits that changed, with new levels */
	uint32_t gcmd_levels;
	uint64_t cc_due, iotlb_due, pmen_due;

	/* Latched by SRTP and SIRTP. */
	bool root_set; /* SRTP since TE was last 0 */
	uint64_t root, ttm;
	bool irt_set;
	uint64_t irt;
	unsigned irt_entries;
	bool eime;
	/* Flushes owed since the latch. */
	bool owe_cc, owe_iotlb, owe_iec;
	bool iotlb_early; /* an IOTLB flush came before the one of contexts */

	/* Queue. */
	struct desc *fetched; /* valid, not carried out */
	size_t fetched_count, fetched_room;
	struct desc *snapshot; /* slots as they were at the doorbell */
	uint64_t queue_due;
	bool queue_stopped; /* by an error, until the next doorbell */
	uint64_t tail_seen;
	bool rung; /* since the queue was switched on */
	bool last_was_wait;
	bool wait_pending;
	struct desc wait;
	uint64_t wait_due;
	uint64_t devtlb_due; /* device-TLB answers awaited; NONE: never */
	uint16_t devtlb_sid;
	uint64_t devtlb_timeout;

	/* Caches. */
	struct croot croot[256];
	struct cctx *cctx[256];
	struct did_use *did_use; /* by DID */
	unsigned did_end;        /* none was ever used from here on */
	uint32_t owing;          /* domains that owe an IOTLB flush */
	struct cache tlb;
	struct cirte *cirte;
	size_t cirte_live;
	unsigned cirte_end; /* none was ever remembered from here on */

	/* Memory as the unit sees it; NULL: as it is. */
	uint8_t *view;
	bool buffered; /* stores wait for a write-buffer flush */
	struct line *lines;
	size_t line_count, line_room;

	/* What breaks. */
	bool hung, gone;
	int hang_after, gone_after; /* accesses left; negative: never */
	uint64_t hung_since;
	bool blamed_wait;
};

/* ---- devices ------------------------------------------------------------ */

struct dtlb_entry {
	uint64_t iova, pa, size;
	uint8_t perm;
	bool refetched; /* flushed, and at once had again from the IOTLB */
	uint16_t did;
	uint8_t steps;
	struct step path[5];
};

struct function {
	struct model_function_desc d;
	unsigned expect;
	uint64_t needs_first, needs_last; /* last 0: nothing */
	bool removed;
	enum model_ats_answer answer;
	struct dtlb_entry *dtlb;
	size_t dtlb_count, dtlb_room;
	bool one_flush_more; /* QUIRK_EXTRA_DEVTLB: completed once */
	uint8_t config[4096];
};

struct post {
	uint64_t pa;
	uint8_t *data;
	size_t len;
	unsigned unit;
	uint16_t did;
	uint16_t sid;
	bool translated;
	bool read; /* no data: a read that is not answered yet */
	uint64_t iova;
};

/* ---- judge -------------------------------------------------------------- */

#define STACK_DEPTH 24

struct offence {
	struct model_violation v;
	char text[200];
	void *stack[STACK_DEPTH + 1]; /* up to NULL */
};

/* ---- the machine -------------------------------------------------------- */

struct model {
	/* What a snapshot leaves alone. */
	pthread_mutex_t lock;
	struct model *watch_next;
	struct block **kept; /* what memory was, see snapshot.c */

	/* What it takes. */
	enum model_mode mode;
	unsigned flags;
	uint64_t seed;
	uint64_t rng[2];
	uint64_t now;
	unsigned idle_polls;
	uint8_t haw;

	uint64_t ram_base, ram_size;
	uint8_t *ram;   /* the driver's mapping */
	uint8_t *alias; /* the model's own mapping of the same memory */
	struct page *page;
	size_t pages;
	uint32_t *known; /* pages whose struct may differ from a new one */
	size_t known_count;
	uint32_t *free_stack; /* single pages given back, last first */
	size_t free_count;
	size_t bump; /* pages never taken start here */
	uint64_t secret;
	uint32_t mark;
	int64_t fail_alloc;
	bool fail_forever;
	size_t in_use;
	uint64_t needs_turn; /* 0: no device needs anything */

	struct unit *unit;
	unsigned units;
	struct function *function;
	unsigned functions;
	uint32_t *by_bdf; /* index into function, plus 1; segment 0 */
	struct model_rmrr_desc *rmrr;
	unsigned rmrrs;
	struct model_ioapic_desc *ioapic;
	unsigned ioapics;

	struct post *post;
	size_t posts, post_room;

	model_interrupt_fn *on_interrupt;
	void *interrupt_ctx;

	struct offence *offence;
	size_t offences, offence_room;
	bool abort_on_violation;
	unsigned last_fault;
	int fail_wait;
	unsigned failures;
	struct model_counters n;
};

static inline void enter(struct model *m)
{
	pthread_mutex_lock(&m->lock);
}

static inline void leave(struct model *m)
{
	/* Fails for who has not entered. */
	if (pthread_mutex_unlock(&m->lock))
		abort();
}

static inline bool ram_has(const struct model *m, uint64_t pa, uint64_t len)
{
	return pa >= m->ram_base && pa - m->ram_base < m->ram_size &&
		m->ram_size - (pa - m->ram_base) >= len;
}

/* Whoever gets a page's struct may change it, and a snapshot has to know. */
static inline struct page *page_at(struct model *m, size_t i)
{
	struct page *p = &m->page[i];

	if (!p->known) {
		__atomic_store_n(&p->known, 1, __ATOMIC_RELAXED);
		m->known[m->known_count++] = (uint32_t)i;
	}
	return p;
}

/* What an entry of a table of this level leads to; level 1 is the lowest. */
static inline uint64_t span_of(unsigned level)
{
	return 1ull << (SHIFT + 9 * (level - 1));
}

static inline struct page *page_of(struct model *m, uint64_t pa)
{
	return ram_has(m, pa, 1) ? page_at(m, (pa - m->ram_base) >> SHIFT)
				 : NULL;
}

/* The unit's version is that or a later one. */
static inline bool is_major(const struct unit *u, unsigned least)
{
	return bits(u->r[R_VER], 7, 4) >= least;
}

static inline uint8_t *ram_at(struct model *m, uint64_t pa)
{
	return m->alias + (pa - m->ram_base);
}

/* array.c */
/* Ends the process if there is none. */
void *needed(void *memory);
/* Zeroed, and not NULL for none. */
void *array_of(size_t count, size_t size);
/* The array, with room for one more element of this size. */
void *room_for_one(void *array, size_t count, size_t *room, size_t size);

/* machine.c */
uint64_t rnd(struct model *m);
/* True once in n, by seed; never when lazy, always false when benign. */
bool chance(struct model *m, unsigned n);
/* When something that starts now is finished. */
uint64_t due_after(struct unit *u);
void tick(struct model *m, uint64_t ns);
uint64_t poll_step(struct model *m, uint64_t ns);
struct unit *unit_for(struct model *m, uint16_t segment, uint16_t sid);
struct function *function_at(struct model *m, uint16_t segment, uint16_t bdf);
/* The requester id that the unit sees for a request of this function. */
uint16_t requester_of(struct model *m, uint16_t segment, uint16_t bdf);
void deliver(struct model *m, const struct model_interrupt *irq);

/* memory.c */
bool memory_init(struct model *m, const struct model_desc *d);
void memory_exit(struct model *m);
void view_init(struct unit *u);
bool view_read64(struct unit *u, uint64_t pa, uint64_t *out);
bool view_read128(struct unit *u, uint64_t pa, uint64_t out[2]);
/* Memory as it will be seen once everything is flushed. */
uint64_t ram_read64(struct model *m, uint64_t pa);
void device_store(struct model *m, uint64_t pa, const void *buf, size_t len);
void view_drain(struct unit *u);
unsigned view_check(struct unit *u);
/* as: its role, and what goes with that. */
void table_page(struct unit *u, uint64_t pa, const struct page *as);

/* snapshot.c */
void snapshot_exit(struct model *m);

/* watch.c */
bool watch_init(struct model *m);
void watch_exit(struct model *m);
void watch_page(struct model *m, struct page *p);
void unwatch_page(struct model *m, struct page *p);
/* Opens or closes it as p->watched says now. */
void watch_again(struct model *m, struct page *p);

/* judge.c */
void blame(struct model *m, struct unit *u, enum model_rule rule,
	const char *section, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void judge_exit(struct model *m);
unsigned check_caches(struct model *m);

/* registers.c, command.c */
void unit_registers_reset(struct unit *u);
bool command_pending(const struct unit *u);
void command_global(struct unit *u, uint32_t value);
void command_context(struct unit *u);
void command_iotlb(struct unit *u);
void command_step(struct unit *u);
void flush_owed_check(struct unit *u, const char *when);

/* queue.c */
void queue_doorbell(struct unit *u);
void queue_step(struct unit *u);
void queue_enable(struct unit *u);
void queue_disable(struct unit *u);
void queue_resume(struct unit *u);
uint64_t queue_bytes(const struct unit *u);
uint64_t queue_base(const struct unit *u);
void queue_reset(struct unit *u);
bool queue_stores_to(struct unit *u, uint64_t page);

/* cache.c */
void cache_init(struct unit *u);
void cache_exit(struct unit *u);
void cache_clear(struct unit *u);
struct centry *cache_find(struct unit *u, unsigned kind, unsigned level,
	uint16_t did, uint64_t iova);
void cache_add(struct unit *u, const struct centry *e);
/* The next entry in use from *i on, or NULL. */
struct centry *cache_from(struct unit *u, uint32_t *i);
/* The next root entry remembered from *bus on, or NULL. */
struct croot *root_from(struct unit *u, unsigned *bus);
struct cctx *context_slot(struct unit *u, uint16_t sid);
void context_fill(struct unit *u, uint16_t sid, const struct cctx *c);
void context_drop(struct unit *u, struct cctx *c);
bool context_is_stale(struct unit *u, const struct cctx *c);
bool root_is_stale(struct unit *u, const struct croot *c);
uint64_t ss_meaning(uint64_t raw);
bool centry_is_stale(struct unit *u, const struct centry *e);
bool cirte_is_stale(struct unit *u, const struct cirte *c);
/* The next context remembered from *sid on, or NULL. */
struct cctx *context_from(struct unit *u, unsigned *sid);

/* What a flush names. */
struct context_flush {
	unsigned gran;
	uint16_t did, sid;
	unsigned fm; /* the code of a mask of functions */
};
struct iotlb_flush {
	unsigned gran;
	uint16_t did;
	uint64_t addr; /* somewhere in a block of this size */
	uint64_t size;
	bool ih, dr, dw;
};
void flush_context(struct unit *u, const struct context_flush *f);
void flush_iotlb(struct unit *u, const struct iotlb_flush *f);
void flush_irtes(struct unit *u, unsigned index, unsigned im);
void flush_all_irtes(struct unit *u);
void flush_all_dma(struct unit *u);
bool cache_reaches(struct unit *u, uint64_t pa, const char **how);

/* walk.c */
enum access {
	ACC_READ,
	ACC_WRITE,
	ACC_ATOMIC,
	ACC_ZERO
};
enum path {
	UNTRANSLATED,
	TRANSLATION,
	TRANSLATED
};

struct xlate {
	uint64_t pa;
	uint64_t page_iova, page_pa, page_size;
	uint16_t did;
	uint8_t perm;
	uint8_t fault; /* 0: translated */
	bool silent;   /* a fault is not to be recorded */
	uint8_t steps;
	struct step path[5];
};

void translate(struct unit *u, uint16_t sid, uint64_t iova, enum access acc,
	enum path path, struct xlate *out);
void prefetch_unit(struct unit *u);
void prefetch_entry(struct unit *u, struct page *p, uint64_t pa);
bool reserved_in_leaf(
	struct unit *u, uint64_t raw, unsigned level, bool leaf, uint64_t *bad);
unsigned levels_of(unsigned aw);
/* Where the entry lies; MODEL_NONE if memory has none that is present. */
uint64_t context_at(struct unit *u, uint16_t sid);

/* fault.c */
void fault_record(struct unit *u, uint16_t sid, uint64_t info, bool read,
	unsigned at, unsigned reason);
void fault_status(struct unit *u, uint32_t bit);
void fault_event(struct unit *u, bool quiet_before);
void fault_write_fsts(struct unit *u, uint32_t value);
void event_unmask(struct unit *u, enum reg ctl);
void event_send(struct unit *u, enum reg ctl);
uint64_t frcd_read(struct unit *u, unsigned off, bool wide);
void frcd_write(struct unit *u, unsigned off, bool wide, uint64_t value);
bool fault_quiet(struct unit *u);

/* intremap.c */
bool interrupt_request(
	struct unit *u, uint16_t sid, uint64_t address, uint32_t data);

/* dma.c */
/* Devices that must never lose their reserved memory try it. */
void needs_step(struct model *m);

/* What a flush drains of the requests in flight. */
enum drain {
	DRAIN_WRITES = 1,
	DRAIN_READS = 2,
	DRAIN_TRANSLATED = 4, /* of sid, or of all if that is 0 */
	DRAIN_ALL = 7
};
/* f NULL: wherever they go. Whether there were any. */
bool post_drain(struct unit *u, unsigned what, const struct iotlb_flush *f,
	uint16_t sid);
void posts_land(struct model *m, size_t i);
enum model_dma_status dma_translated(struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t phys, void *buf, size_t len, bool write,
	bool post);

/* ats.c */
/* Starts a device-TLB flush. Returns when it is answered, NONE if never. */
uint64_t dtlb_flush(struct unit *u, uint16_t sid, uint64_t addr, bool s);
bool dtlb_is_on(const struct function *f);
bool dtlb_reaches(struct model *m, uint64_t pa);
bool dtlb_entry_is_stale(struct unit *u, const struct dtlb_entry *e);
void dtlb_clear(struct function *f);

/* topology.c */
bool is_bridge(enum model_function_kind kind);
/* The one whose secondary bus this is; NULL for bus 0. */
struct function *bridge_above(struct model *m, uint16_t segment, unsigned bus);
void topology_init(struct model *m, const struct model_desc *d);
void topology_exit(struct model *m);

#endif
