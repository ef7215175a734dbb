/* SPDX-License-Identifier: MIT */
/*
 * The CPUs as coroutines, the points at which they change, and the host's hooks
 * between them and the machine. Locks are the scheduler's: a CPU that finds one
 * taken waits until the other has gone on, and two that wait for each other are
 * found at once.
 *
 * Whenever CPUs change, the units walk ahead and cache all that their tables
 * say: the worst moment is as likely as any other.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
#include "model/internal.h"
#include "weave.h"

enum {
	STACK = 256 << 10,
	POINTS = 1 << 16,
	/** Accesses and hooks after which a run has no end. */
	STEPS = 20000000,
	/** Different looks in a row that are told apart. */
	LOOKS = 64,
	/** What is looked at by hooks, beside registers. */
	NOW = 1 << 20,
	RELAX,
	PCI,
	/** Looks of a wait after which the other CPU is let go on: what is
	 *  waited for may be that. */
	FAIR = 64,
};

/* What a CPU does at a point. */
struct act {
	uintptr_t at; /* memory, unless it is a hook */
	size_t size;
	uint8_t cpu;
	bool write, hook;
	bool walked; /* units look at this memory by themselves */
};

/* A point, and how many acts there were before. */
struct point {
	unsigned step, acts;
};

struct cpu {
	ucontext_t context;
	const uintptr_t *waits_for; /* a lock's word, 0 if it is free */
	bool done;
	bool met_point;
	unsigned held;
	unsigned relaxed;
	/* What it has looked at since it did anything else. */
	unsigned looks;
	uintptr_t look[LOOKS];
};

struct scene scene;

static uint8_t stacks[2][STACK] __attribute__((aligned(4096)));

static struct {
	const struct pair *pair;
	struct scene kept;
	struct model_snapshot *snapshot;
	struct iommu_host real;

	const struct schedule *schedule;
	ucontext_t home;
	struct cpu cpu[2];
	unsigned now;     /* the CPU that runs */
	unsigned changes; /* of the schedule, so far */
	unsigned points, steps, acts;
	/* The last change of the schedule: what the CPU was about to do, and
	 * how many acts there had been. */
	struct act put_off;
	unsigned acts_then;
	bool runs, learned, deadlock;
	struct point point[POINTS];
	struct act act[POINTS];
	char wrong[300];
} w;

unsigned weave_cpu(void)
{
	return w.runs ? w.now : 0;
}

const char *weave_wrong(void)
{
	return w.wrong[0] ? w.wrong : NULL;
}

bool weave_learned(void)
{
	return w.learned;
}

/* ---- changing CPUs ------------------------------------------------------- */

static bool can_run(unsigned n)
{
	const struct cpu *c = &w.cpu[n];

	return !c->done && !(c->waits_for && *c->waits_for);
}

static void go_home(void)
{
	w.runs = false;
	setcontext(&w.home);
}

static void change(void)
{
	unsigned was = w.now;

	model_prefetch(scene.r.m);
	w.now = !was;
	w.cpu[was].relaxed = 0;
	w.cpu[w.now].looks = 0;
	swapcontext(&w.cpu[was].context, &w.cpu[w.now].context);
}

void weave_fail(const char *format, ...)
{
	va_list args;

	if (!w.wrong[0]) {
		va_start(args, format);
		vsnprintf(w.wrong, sizeof w.wrong, format, args);
		va_end(args);
	}
	if (w.runs)
		go_home();
}

static void interrupt(const struct act *act, bool possible)
{
	w.changes++;
	w.put_off = *act;
	w.acts_then = w.acts;
	if (!possible)
		weave_fail(
			"the schedule does not fit: no change at %u", w.steps);
	change();
}

/* A step; the CPU may be interrupted before it is made. act: what there is to
 * be seen of it, NULL if nothing. */
static void step(const struct act *act, bool point)
{
	static const struct act nothing;
	struct cpu *c = &w.cpu[w.now];
	bool other = can_run(!w.now);

	if (++w.steps > STEPS)
		weave_fail("no end: CPU %u goes on and on", w.now);
	/* At its first point a CPU has not done anything that matters. */
	if (point && c->met_point && other) {
		if (w.points == POINTS)
			weave_fail("too many points");
		w.point[w.points++] = (struct point){w.steps, w.acts};
	}
	c->met_point |= point;
	if (w.changes < w.schedule->count &&
		w.schedule->at[w.changes] == w.steps)
		interrupt(act ? act : &nothing, other);
	if (act && w.acts < POINTS)
		w.act[w.acts++] = *act;
}

static struct act hook_act(void)
{
	return (struct act){.cpu = (uint8_t)w.now, .hook = true};
}

void weave_point(void)
{
	struct act act;

	if (!w.runs)
		return;
	w.cpu[w.now].looks = 0;
	act = hook_act();
	step(&act, true);
}

/* Whether a CPU looks at this for the first time since it did anything else.
 * Who looks again and again waits: the machine gets older meanwhile, and that
 * is all. */
static bool is_new_look(uintptr_t what)
{
	struct cpu *c = &w.cpu[w.now];

	for (unsigned n = 0; n < c->looks; n++)
		if (c->look[n] == what)
			return false;
	if (c->looks < LOOKS)
		c->look[c->looks++] = what;
	return true;
}

/* A hook that only asks. */
static void look(unsigned what)
{
	struct act act;

	if (!w.runs)
		return;
	act = hook_act();
	step(&act, is_new_look(what));
}

/* The page of the machine that is accessed, NULL if it is other memory. */
static struct page *page_near(const volatile void *at)
{
	struct model *m = scene.r.m;
	uintptr_t off = (uintptr_t)at - (uintptr_t)m->ram;

	return off < m->ram_size ? &m->page[off >> SHIFT] : NULL;
}

/* What units look at whenever they like: tables, the queue, and where it tells
 * how far it has got. */
static bool is_walked(const struct page *p)
{
	struct model *m = scene.r.m;
	const struct unit *u = &m->unit[0];
	uint64_t pa = (uint64_t)(p - m->page) << SHIFT;

	return p->role || pa - queue_base(u) < queue_bytes(u) ||
		pa == (u->wait.hi & ~0xfffull);
}

void weave_access(const volatile void *at, size_t size, bool write)
{
	struct act act = {
		(uintptr_t)at, size, (uint8_t)w.now, write, false, false};
	struct page *p;
	bool point;

	if (!w.runs)
		return;
	p = page_near(at);
	point = shared_note((uintptr_t)at, size, write, w.now, &w.learned);
	act.walked = p && is_walked(p);
	point |= write && p && p->role;
	if (point && write)
		w.cpu[w.now].looks = 0;
	step(point ? &act : NULL,
		point && (write || is_new_look((uintptr_t)at)));
	/* Memory that was given back may be anybody's. Reports and faults walk
	 * tables as they find them. */
	if (write && p && !p->owner)
		weave_fail("CPU %u writes to %p, which was given back", w.now,
			(const void *)(uintptr_t)at);
}

/* ---- locks --------------------------------------------------------------- */

static void tell_stack(const struct iommu_lock *l)
{
	blame(scene.r.m, NULL, MODEL_V_WAIT, "-",
		"CPU %u waits for ever for the lock at %p", w.now,
		(const void *)l);
}

/* Both tell where they are. */
static void deadlock(const struct iommu_lock *l)
{
	tell_stack(l);
	w.deadlock = true;
	if (!w.cpu[!w.now].done)
		change();
	weave_fail("the CPUs wait for each other");
}

static void wait_for(struct iommu_lock *l)
{
	struct cpu *c = &w.cpu[w.now];

	c->waits_for = &l->opaque[0];
	while (l->opaque[0]) {
		if (!can_run(!w.now))
			deadlock(l);
		change();
		if (w.deadlock) {
			tell_stack(l);
			change();
		}
	}
	c->waits_for = NULL;
}

static unsigned long lock(void *ctx, struct iommu_lock *l)
{
	(void)ctx;
	weave_access(l, sizeof l->opaque[0], true);
	if (w.runs && l->opaque[0])
		wait_for(l);
	if (l->opaque[0])
		weave_fail("a lock was left taken");
	l->opaque[0] = 1;
	w.cpu[w.now].held++;
	return 0x5a;
}

static void unlock(void *ctx, struct iommu_lock *l, unsigned long state)
{
	(void)ctx;
	weave_access(l, sizeof l->opaque[0], true);
	if (state != 0x5a || !l->opaque[0])
		weave_fail("a lock is given back that was not taken");
	l->opaque[0] = 0;
	w.cpu[w.now].held--;
}

/* ---- other hooks --------------------------------------------------------- */

static void *page_alloc(void *ctx, unsigned order, iommu_phys_t *out_phys)
{
	weave_point();
	return w.real.page_alloc(ctx, order, out_phys);
}

static void page_free(void *ctx, void *page, iommu_phys_t phys, unsigned order)
{
	struct act act = {(uintptr_t)page, (size_t)MODEL_PAGE << order,
		(uint8_t)w.now, true, false, true};

	if (w.runs)
		step(&act, true);
	w.real.page_free(ctx, page, phys, order);
}

static uint64_t reg_read(void *ctx, void *regs, uint32_t offset, unsigned width)
{
	look(offset);
	return w.real.reg_read(ctx, regs, offset, width);
}

static void reg_write(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	weave_point();
	w.real.reg_write(ctx, regs, offset, width, value);
}

static void cache_flush(void *ctx, const void *virt, size_t size)
{
	weave_point();
	w.real.cache_flush(ctx, virt, size);
}

static uint64_t now_ns(void *ctx)
{
	look(NOW);
	return w.real.now_ns(ctx);
}

static void relax(void *ctx, uint64_t waited_ns)
{
	struct cpu *c = &w.cpu[w.now];

	look(RELAX);
	if (c->held)
		weave_fail("CPU %u waits with a lock held", w.now);
	w.real.relax(ctx, waited_ns);
	if (w.runs && ++c->relaxed > FAIR) {
		c->relaxed = 0;
		if (can_run(!w.now))
			change();
	}
}

static uint32_t pci_read(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	look(PCI + (bus << 8 | devfn));
	return w.real.pci_read(ctx, segment, bus, devfn, offset, width);
}

static void pci_write(void *ctx, uint16_t segment, uint8_t bus, uint8_t devfn,
	uint16_t offset, unsigned width, uint32_t value)
{
	weave_point();
	w.real.pci_write(ctx, segment, bus, devfn, offset, width, value);
}

static unsigned cpu_index(void *ctx)
{
	(void)ctx;
	return scene.one_cpu ? 0 : weave_cpu();
}

void weave_hooks(struct rig *r)
{
	memset(w.cpu, 0, sizeof w.cpu);
	w.wrong[0] = 0;
	w.real = r->hooks;
	r->hooks.page_alloc = page_alloc;
	r->hooks.page_free = page_free;
	r->hooks.reg_read = reg_read;
	r->hooks.reg_write = reg_write;
	r->hooks.cache_flush = cache_flush;
	r->hooks.lock = lock;
	r->hooks.unlock = unlock;
	r->hooks.now_ns = now_ns;
	r->hooks.relax = relax;
	r->hooks.pci_read = pci_read;
	r->hooks.pci_write = pci_write;
	r->hooks.cpu_index = cpu_index;
}

/* ---- a run --------------------------------------------------------------- */

void weave_keep(const struct pair *pair)
{
	w.pair = pair;
	w.snapshot = model_snapshot(scene.r.m);
	if (!w.snapshot)
		abort();
	w.kept = scene;
	shared_start(scene.r.m, stacks, sizeof stacks);
}

void weave_drop(void)
{
	model_snapshot_free(w.snapshot);
	shared_end();
}

static void cpu_main(void)
{
	w.pair->cpu[w.now](&scene);
	if (w.cpu[w.now].held)
		weave_fail("CPU %u keeps a lock", w.now);
	w.cpu[w.now].done = true;
	if (!w.cpu[!w.now].done) {
		if (!can_run(!w.now))
			weave_fail("CPU %u waits for a lock that nobody gives "
				   "back",
				!w.now);
		change();
	}
	go_home();
}

static void cpu_start(unsigned n)
{
	struct cpu *c = &w.cpu[n];

	memset(c, 0, sizeof *c);
	getcontext(&c->context);
	c->context.uc_stack.ss_sp = stacks[n];
	c->context.uc_stack.ss_size = STACK;
	makecontext(&c->context, cpu_main, 0);
}

static void check(void)
{
	struct model *m = scene.r.m;

	w.pair->after(&scene);
	scene_close(&scene);
	if (model_violation_count(m))
		weave_fail("%s: %s",
			model_rule_name(model_violation(m, 0)->rule),
			model_violation(m, 0)->text);
}

/* Whether it matters which of two acts comes first. */
static bool depends(const struct act *a, const struct act *b)
{
	if (a->hook || b->hook)
		return a->hook ? b->hook || b->walked : a->walked;
	return (a->write || b->write) && a->at < b->at + b->size &&
		b->at < a->at + a->size;
}

/*
 * A CPU was interrupted and the other is to be interrupted in its favour again.
 * If nothing in between depends on what it was about to do, it could as well
 * have done that before: that is another schedule, and as short.
 */
static bool is_needless(const struct point *p)
{
	bool depend = w.put_off.hook || w.put_off.walked;

	if (!w.schedule->count || w.changes < w.schedule->count)
		return false;
	for (unsigned n = w.acts_then; n < p->acts && !depend; n++)
		depend = w.act[n].cpu == w.put_off.cpu ||
			depends(&w.put_off, &w.act[n]);
	return !depend;
}

/* The points after the last change, but for those. */
static unsigned pick_points(unsigned *out)
{
	unsigned count = 0, last = 0;

	if (w.schedule->count)
		last = w.schedule->at[w.schedule->count - 1];
	for (unsigned n = 0; n < w.points; n++)
		if (w.point[n].step > last && !is_needless(&w.point[n]))
			out[count++] = w.point[n].step;
	return count;
}

unsigned weave_run(const struct schedule *schedule, const unsigned **out)
{
	static unsigned picked[POINTS];
	volatile bool started = false;

	model_restore(scene.r.m, w.snapshot);
	scene = w.kept;
	w.schedule = schedule;
	w.changes = w.points = w.steps = w.acts = 0;
	w.deadlock = w.learned = false;
	w.wrong[0] = 0;
	cpu_start(0);
	cpu_start(1);
	w.now = schedule->first;
	getcontext(&w.home);
	if (!started) {
		started = true;
		w.runs = true;
		setcontext(&w.cpu[w.now].context);
	}
	if (!w.wrong[0] && w.changes < schedule->count)
		weave_fail("the schedule does not fit: %u steps", w.steps);
	if (!w.wrong[0])
		check();
	*out = picked;
	return w.wrong[0] ? 0 : pick_points(picked);
}
