/* SPDX-License-Identifier: MIT */
/*
 * Processes that die at any step, with devices at work: the kernel's memory
 * code and assign/ on the real library and the model of a unit, on every kind
 * of unit. Processes map, unmap, protect, move, fork, vfork, exec, take
 * interrupts and drive their devices; others attach, detach, read and kill
 * meanwhile. They are threads that change places wherever the kernel's could.
 *
 * Every frame of a process bears its owner's stamp, and each device looks at
 * the stamp of whatever it reaches: it must be that of the one it is attached
 * to, at every instant. No device heeds its bus-master bit, and each goes on
 * sending its old owner's interrupts. When a round is over nothing may be left:
 * no frame, no domain id, no interrupt entry, no vector.
 *
 * kills [SEED [KILLS]] replays a run, or soaks.
 */
#include "support/surroundings.h"
#include "support/dice.h"
#include "support/threads.h"
#include "assign/assign.h"
#include "assign/faults.h"
#include "assign/interrupts.h"
#include "host/host.h"
#include "lib/string.h"
#include "mem/table.h"
#include "support/walker.h"
#include <iommu/report.h>
#include <model/devices.h>

long time(long *t);
unsigned long long strtoull(const char *s, char **end, int base);
int printf(const char *fmt, ...);

#define A 0x10000000ull
#define PAGES 10
#define K 4096ull
#define RW (PROT_READ | PROT_WRITE)
#define STAMP_AT 0xff0u
#define OTHERS 3 /* threads that attach, detach, read, kill */
#define NOT_MAPPED 0xff
#define DEVICE_TLB (FUNCTIONS - 1)

struct stamp {
	uint64_t generation; /* of the space, never used again */
	uint64_t address;
};

static struct owner {
	enum {
		VACANT,
		ALIVE,
		BUSY, /* somebody makes it, or it ends */
	} state;
	struct space *s;
	uint64_t generation;
	uint8_t prot[PAGES]; /* NOT_MAPPED, 0, PROT_READ, RW */
	bool changing;       /* a call that changes it is under way */
	bool killed;
	int lender; /* vfork: whose space it runs in; 0: its own */
} owners[PROCESSES + 1];

/* Whose space is found by a pid: not yet the new one during exec. */
static uint64_t found_by_pid[PROCESSES + 1];

static struct {
	uint64_t reach; /* the generation it may reach; 0: nobody's */
	struct model_edu engine;
} devices[FUNCTIONS];

/* What a thread is about, by number. */
static struct {
	int function;    /* it attaches this one; -1: none */
	uint64_t target; /* to this generation */
	bool handing;    /* the reset that comes is between two owners */
} doing[MAX_THREADS + 1];

static uint64_t seed, wanted = 1000, generations;
static uint64_t kills, goal, transfers, strays, refusals, messages, attaches;
static bool remapping;

static struct owner *owner_of_generation(uint64_t generation)
{
	for (int pid = 1; pid <= PROCESSES; pid++)
		if (owners[pid].generation == generation && !owners[pid].lender)
			return &owners[pid];
	return NULL;
}

/*
 * Changes to a space, and device TLBs that are switched on and off, exclude
 * each other here: a flush that is under way then may or may not know of the
 * device.
 */
static unsigned changers;
static bool switching;

static void begin_change(struct owner *o)
{
	while (switching && threads_wait())
		;
	changers++;
	o->changing = true;
}

static void end_change(struct owner *o)
{
	o->changing = false;
	changers--;
}

static void begin_switch(void)
{
	while ((switching || changers) && threads_wait())
		;
	switching = true;
}

/* ------------------------------------------------------------------ devices */

static bool dma(unsigned i, uint64_t iova, void *buf, size_t n, bool write)
{
	enum model_dma_status st;

	if (i == DEVICE_TLB)
		st = model_ats_dma(model, 0, bdf_of(i), iova, buf, n, write);
	else if (write)
		st = model_dma_write(model, 0, bdf_of(i), iova, buf, n);
	else
		st = model_dma_read(model, 0, bdf_of(i), iova, buf, n);
	refusals += st != MODEL_DMA_OK;
	return st == MODEL_DMA_OK;
}

/* What the device found on a page that it reached. */
static void check_stamp(unsigned i, unsigned page, const struct stamp *found)
{
	uint64_t generation =
		devices[i].reach ? devices[i].reach : devices[mate_of(i)].reach;
	struct owner *o = owner_of_generation(generation);
	bool changing = !o || o->changing;

	if (!generation)
		machine_blame("function %u is nobody's and reaches page %u of "
			      "generation %llu",
			i, page, (unsigned long long)found->generation);
	if (!found->generation && changing)
		return; /* fresh: not stamped yet */
	if (found->generation != generation)
		machine_blame("function %u, attached to generation %llu, "
			      "reaches a page stamped %#llx",
			i, (unsigned long long)generation,
			(unsigned long long)found->generation);
	if (found->address != A + page * K && !changing)
		machine_blame("function %u finds page %#llx at page %u", i,
			(unsigned long long)found->address, page);
	if (!changing && (o->prot[page] == NOT_MAPPED || !o->prot[page]))
		machine_blame(
			"function %u reads page %u without the right", i, page);
}

static void stray_read(unsigned i)
{
	unsigned page = any(PAGES);
	struct stamp found;

	if (!dma(i, A + page * K + STAMP_AT, &found, sizeof(found), false))
		return;
	strays++;
	check_stamp(i, page, &found);
}

/* The frame behind a page, as the process has it now. */
static char *frame_at(struct space *s, unsigned page)
{
	struct leaf l;

	if (!tables_next(&s->tables, A + page * K, A + page * K + 1, &l) ||
		!pte_present(*l.entry))
		return NULL;
	return phys_to_virt(pte_phys(*l.entry));
}

static void stray_write(unsigned i)
{
	unsigned page = any(PAGES), at = any(500) * 8;
	uint64_t value = dice_state;
	uint64_t generation =
		devices[i].reach ? devices[i].reach : devices[mate_of(i)].reach;
	struct owner *o = owner_of_generation(generation);

	if (!any(3)) {
		/* It lands when the unit is made to drain, at the latest; the
		 * model knows whose page it is on its way to. */
		(void)model_dma_post(
			model, 0, bdf_of(i), A + page * K + at, &value, 8);
		return;
	}
	if (!dma(i, A + page * K + at, &value, 8, true))
		return;
	strays++;
	if (!generation)
		machine_blame(
			"function %u is nobody's and writes page %u", i, page);
	if (!o || o->changing || o->state != ALIVE)
		return;
	if (o->prot[page] != RW)
		machine_blame("function %u writes page %u without the right", i,
			page);
	if (memcmp(frame_at(o->s, page) + at, &value, 8))
		machine_blame(
			"function %u writes page %u of somebody else", i, page);
}

/* The message that its last owner programmed, or one like it. */
static void stray_interrupt(unsigned i)
{
	uint32_t data = functions[i].msi_data + any(32);
	int tag;

	if (!remapping || !functions[i].msi_address ||
		!model_msi(model, 0, bdf_of(i), functions[i].msi_address, data))
		return;
	messages++;
	tag = irq_arrives(model_hooks.last_interrupt.vector);
	if (tag != (int)i && tag != (int)mate_of(i))
		machine_blame("function %u raises vector %u of function %d", i,
			model_hooks.last_interrupt.vector, tag);
}

static void devices_stray(void)
{
	unsigned i = any(FUNCTIONS);

	if (any(6) || functions[i].pci.header_type)
		return;
	switch (any(4)) {
	case 0:
		stray_interrupt(i);
		break;
	case 1:
		stray_read(i);
		break;
	default:
		stray_write(i);
	}
}

static void no_reach(void *ctx, const struct model_reach *reach)
{
	machine_blame("function %u is detached and %#llx is in its tables",
		*(unsigned *)ctx, (unsigned long long)reach->iova);
}

static unsigned index_of(const struct pci_device *d)
{
	return (unsigned)((const struct function *)d - functions);
}

static enum iommu_device_state state_of(unsigned i)
{
	struct iommu_device_id id = {.requester = bdf_of(i)};
	struct iommu_device_info info;

	assert_int_equal(iommu_device_info(host_iommu, id, &info), IOMMU_OK);
	return info.state;
}

/* What is about to be attached may be reached from now on. */
static void remember_target(struct pci_device *d)
{
	unsigned i = index_of(d), self = threads_self();

	/* The same is done to what is to be detached. */
	doing[self].handing = doing[self].function == (int)i &&
		state_of(i) == IOMMU_DEVICE_BLOCKED;
	if (doing[self].handing)
		devices[i].reach = doing[self].target;
}

/* Between two owners: nothing is reached, whatever the device tries. */
static void expect_nothing(struct pci_device *d)
{
	unsigned i = index_of(d);
	uint64_t value = 0;

	if (functions[mate_of(i)].pci.owner ||
		(mate_of(i) != i && devices[mate_of(i)].reach))
		value = 1; /* its mate's requests look the same */
	if (!value) {
		assert_true(model_enumerate(model, 0, bdf_of(i), no_reach, &i));
		for (unsigned page = 0; page < PAGES; page += 3)
			if (dma(i, A + page * K, &value, 8, true))
				machine_blame("function %u is detached and "
					      "writes page %u",
					i, page);
	}
	if (functions[i].msi_on)
		machine_blame("function %u sends interrupts of nobody", i);
	if (!doing[threads_self()].handing)
		devices[i].reach = 0;
}

static void remember_space(struct process *p)
{
	doing[threads_self()].target = found_by_pid[p->pid];
}

/* ---------------------------------------------------------------- processes */

/* Fresh pages get their owner's stamp: through the CPU, which breaks what is
 * shared, and then in the frame itself. */
static void stamp_pages(struct owner *o)
{
	for (unsigned page = 0; page < PAGES; page++) {
		struct stamp stamp = {o->generation, A + page * K};

		if (o->prot[page] == NOT_MAPPED || !o->prot[page])
			continue;
		(void)cpu_byte(o->s, A + page * K);
		if (o->prot[page] != RW)
			continue;
		cpu_put(o->s, A + page * K + STAMP_AT, 0);
		memcpy(frame_at(o->s, page) + STAMP_AT, &stamp, sizeof(stamp));
	}
}

static void be_born(int pid, struct space *s, const struct owner *like)
{
	struct owner *o = &owners[pid];

	*o = (struct owner){.state = BUSY,
		.s = s,
		.generation = ++generations,
		.changing = true};
	if (like)
		memcpy(o->prot, like->prot, sizeof(o->prot));
	else
		memset(o->prot, NOT_MAPPED, sizeof(o->prot));
}

/* From now on it is found by its pid. */
static void appear(int pid)
{
	struct owner *o = &owners[pid];

	stamp_pages(o);
	o->changing = false;
	o->state = ALIVE;
	processes[pid].pid = pid;
	processes[pid].space = o->s;
	found_by_pid[pid] = o->generation;
}

static void map_all(struct owner *o)
{
	assert_int_equal(
		space_mmap(o->s, A, PAGES * K, RW,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		A);
	memset(o->prot, RW, sizeof(o->prot));
}

static void begin(int pid)
{
	struct space *s;

	owners[pid].state = BUSY;
	s = space_create();
	assert_non_null(s);
	be_born(pid, s, NULL);
	map_all(&owners[pid]);
	appear(pid);
}

/* As exit does: nobody finds the space any more, then the count goes. */
static void end(int pid)
{
	struct owner *o = &owners[pid];
	struct space *s = o->s;

	kills++;
	o->changing = true;
	o->state = BUSY;
	processes[pid].space = NULL;
	space_put(s);
	o->state = VACANT;
}

static void do_exec(int pid)
{
	struct space *old = owners[pid].s, *fresh = space_create();

	assert_non_null(fresh);
	be_born(pid, fresh, NULL);
	map_all(&owners[pid]);
	appear(pid);
	space_put(old);
}

static int find_vacant(void)
{
	int pid = 1 + (int)any(PROCESSES);

	return owners[pid].state == VACANT && kills < goal ? pid : 0;
}

static void do_fork(int pid)
{
	struct owner *o = &owners[pid];
	int child = find_vacant();
	struct space *s;

	if (!child)
		return;
	owners[child].state = BUSY;
	begin_change(o);
	assert_int_equal(space_fork(o->s, &s), 0);
	end_change(o);
	be_born(child, s, o);
	/* What the child does not write at once keeps its parent's stamp. */
	for (unsigned page = 0; page < PAGES; page++)
		if (owners[child].prot[page] < RW) {
			assert_int_equal(space_munmap(s, A + page * K, K), 0);
			owners[child].prot[page] = NOT_MAPPED;
		}
	appear(child);
}

static void do_vfork(int pid)
{
	int child = find_vacant();

	if (!child)
		return;
	space_get(owners[pid].s);
	owners[child] = owners[pid];
	owners[child].lender = pid;
	owners[child].killed = false;
	processes[child].pid = child;
	processes[child].space = owners[child].s;
	found_by_pid[child] = owners[child].generation;
	while (owners[child].lender == pid && owners[child].state != VACANT &&
		threads_wait())
		;
}

static void do_map(struct owner *o)
{
	static const uint8_t prots[] = {RW, RW, RW, 0};
	unsigned first = any(PAGES), n = 1 + any(PAGES - first);
	uint8_t prot = prots[any(ARRAY_SIZE(prots))];

	begin_change(o);
	assert_int_equal(
		space_mmap(o->s, A + first * K, n * K, prot,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		A + first * K);
	memset(&o->prot[first], prot, n);
	stamp_pages(o);
	end_change(o);
}

static void do_unmap(struct owner *o)
{
	unsigned first = any(PAGES), n = 1 + any(PAGES - first);

	begin_change(o);
	assert_int_equal(space_munmap(o->s, A + first * K, n * K), 0);
	memset(&o->prot[first], NOT_MAPPED, n);
	end_change(o);
}

static void do_protect(struct owner *o)
{
	static const uint8_t prots[] = {RW, RW, PROT_READ, 0};
	unsigned first = any(PAGES), n = 1 + any(PAGES - first);
	uint8_t prot = prots[any(ARRAY_SIZE(prots))];

	for (unsigned page = first; page < first + n; page++)
		if (o->prot[page] == NOT_MAPPED ||
			(!o->prot[page] && prot == PROT_READ))
			return;
	begin_change(o);
	assert_int_equal(space_mprotect(o->s, A + first * K, n * K, prot), 0);
	memset(&o->prot[first], prot, n);
	stamp_pages(o);
	end_change(o);
}

static void do_discard(struct owner *o)
{
	unsigned page = any(PAGES);

	if (o->prot[page] != RW)
		return;
	begin_change(o);
	assert_int_equal(
		space_madvise(o->s, A + page * K, K, MADV_DONTNEED), 0);
	stamp_pages(o);
	end_change(o);
}

static void do_move(struct owner *o)
{
	unsigned from = any(PAGES), to = any(PAGES);

	if (from == to || o->prot[from] != RW)
		return;
	begin_change(o);
	assert_int_equal(space_mremap(o->s, A + from * K, K, K,
				 MREMAP_MAYMOVE | MREMAP_FIXED, A + to * K),
		A + to * K);
	o->prot[to] = RW;
	o->prot[from] = NOT_MAPPED;
	stamp_pages(o);
	end_change(o);
}

/* ------------------------------------------------- what owners do to devices
 */

static int enable_messages(struct pci_device *d, void *arg)
{
	irq_tag = (int)index_of(d);
	return interrupts_enable_msi(d, *(unsigned *)arg);
}

static int choose_policy(struct pci_device *d, void *arg)
{
	return assign_set_policy(d, *(enum fault_policy *)arg);
}

static void do_interrupts(int pid)
{
	unsigned i = any(FUNCTIONS), n = any(2) << any(4);
	int err;

	if (!remapping)
		n &= 1;
	current_process = &processes[pid];
	err = assign_as_owner(&functions[i].pci, enable_messages, &n);
	if (err && err != -EPERM && err != -ENOSPC && err != -ENOTSUP)
		machine_blame("function %u, %u messages: %d", i, n, err);
}

static void do_policy(int pid)
{
	enum fault_policy policy = (enum fault_policy)any(3);

	current_process = &processes[pid];
	(void)!assign_as_owner(
		&functions[any(FUNCTIONS)].pci, choose_policy, &policy);
}

/* A process and its device work as they should: a page to the device's buffer
 * and back to another. Nobody else runs. */
static void do_transfer(int pid)
{
	unsigned i = any(FUNCTIONS), from = any(PAGES), to = any(PAGES);
	struct owner *o = &owners[pid];
	struct model_edu *e = &devices[i].engine;

	threads_hold++;
	/* Too many faults of its own may have blocked it. */
	if (functions[i].pci.owner != o->s || o->prot[from] != RW ||
		o->prot[to] != RW || state_of(i) != IOMMU_DEVICE_ATTACHED) {
		threads_hold--;
		return;
	}
	memcpy(frame_at(o->s, from), &dice_state, 8);
	model_edu_init(e, model, 0, bdf_of(i));
	model_edu_write(e, MODEL_EDU_SOURCE, A + from * K);
	model_edu_write(e, MODEL_EDU_TARGET, MODEL_EDU_BUFFER);
	model_edu_write(e, MODEL_EDU_COUNT, 64);
	model_edu_write(e, MODEL_EDU_COMMAND, 1);
	model_edu_write(e, MODEL_EDU_SOURCE, MODEL_EDU_BUFFER);
	model_edu_write(e, MODEL_EDU_TARGET, A + to * K);
	model_edu_write(e, MODEL_EDU_COMMAND, 3);
	if (e->refused || memcmp(frame_at(o->s, to), &dice_state, 8))
		machine_blame("function %u does not work for pid %d, from page "
			      "%u to %u",
			i, pid, from, to);
	threads_hold--;
	transfers++;
}

/* ------------------------------------------------------------------ threads */

static void live_a_step(int pid)
{
	struct owner *o = &owners[pid];

	/* What runs in its parent's space changes nothing there. */
	if (o->lender) {
		if (!any(3))
			do_exec(pid);
		return;
	}
	switch (any(13)) {
	case 0:
		return do_map(o);
	case 1:
		return do_unmap(o);
	case 2:
	case 3:
		return do_protect(o);
	case 4:
		return do_discard(o);
	case 5:
		return do_move(o);
	case 6:
		return do_fork(pid);
	case 7:
		return do_vfork(pid);
	case 8:
		return any(4) ? do_interrupts(pid) : do_exec(pid);
	case 9:
		return do_interrupts(pid);
	case 10:
		return do_policy(pid);
	default:
		return do_transfer(pid);
	}
}

static void process_thread(unsigned n)
{
	int pid = (int)n;

	while (kills < goal || owners[pid].state != VACANT) {
		switch (owners[pid].state) {
		case VACANT:
			if (kills < goal && !any(4))
				begin(pid);
			break;
		case ALIVE:
			if (owners[pid].killed || kills >= goal || !any(200))
				end(pid);
			else
				live_a_step(pid);
			break;
		case BUSY:
			break;
		}
		threads_yield();
		if (owners[pid].state == BUSY)
			(void)threads_wait();
	}
}

static void attach_one(void)
{
	unsigned i = any(FUNCTIONS), self = threads_self();
	int pid = 1 + (int)any(PROCESSES), err;

	doing[self].function = (int)i;
	doing[self].target = 0;
	if (i == DEVICE_TLB)
		begin_switch();
	err = assign_attach(address_of(i), pid);
	if (i == DEVICE_TLB)
		switching = false;
	doing[self].function = -1;
	attaches += !err;
	if (err && err != -EINVAL && err != -EBUSY && err != -ESRCH)
		machine_blame("attach of function %u to pid %d: %d (%s)", i,
			pid, err, machine_console);
}

static void detach_one(void)
{
	unsigned i = any(FUNCTIONS);
	int pid = any(2) ? 0 : 1 + (int)any(PROCESSES);
	int err;

	if (i == DEVICE_TLB)
		begin_switch();
	err = assign_detach(address_of(i), pid);
	if (i == DEVICE_TLB)
		switching = false;
	if (err && err != -ENXIO && err != -EPERM)
		machine_blame("detach of function %u: %d (%s)", i, err,
			machine_console);
}

/* Whoever reads a process's memory may be the last to hold it. */
static void peek(void)
{
	struct process *p = process_find(1 + (int)any(PROCESSES));
	struct space *s = process_space(p);
	struct stamp found;

	if (s) {
		(void)!space_read(s, A + any(PAGES) * K + STAMP_AT, &found,
			sizeof(found));
		threads_yield();
		space_put(s);
	}
	process_put(p);
}

static void other_thread(unsigned n)
{
	(void)n;
	while (kills < goal) {
		switch (any(6)) {
		case 0:
		case 1:
			attach_one();
			break;
		case 2:
			if (!any(3))
				detach_one();
			break;
		case 3:
			if (!any(8))
				owners[1 + any(PROCESSES)].killed = true;
			break;
		case 4:
			peek();
			break;
		default:
			begin_switch();
			assign_take_faults();
			switching = false;
		}
		threads_yield();
	}
}

/* ------------------------------------------------------------------- rounds */

struct left {
	uint64_t frames;
	unsigned ids, entries, vectors, attached;
};

static void count_ids(void *arg, const char *text, size_t n)
{
	static const char word[] = "domain ids: ";
	struct left *left = arg;

	for (size_t at = 0; at + sizeof(word) <= n; at++)
		if (!memcmp(text + at, word, sizeof(word) - 1))
			left->ids += (unsigned)strtoull(
				text + at + sizeof(word) - 1, NULL, 10);
}

static void count_lines(void *arg, const char *text, size_t n)
{
	struct left *left = arg;

	for (size_t at = 0; at < n; at++)
		left->entries += text[at] == '\n';
}

static struct left what_is_left(void)
{
	struct left left = {
		.frames = memory_counts().free, .vectors = irqs_in_use()};
	struct iommu_unit_info info;

	iommu_report_stats(host_iommu, count_ids, &left);
	iommu_report_interrupts(host_iommu, count_lines, &left);
	assert_int_equal(iommu_unit_info(host_iommu, 0, &info), IOMMU_OK);
	left.attached = info.attached;
	remapping = info.interrupt_remapping;
	return left;
}

static void compare(const struct left *before, const struct left *now)
{
	if (memory_counts().quarantined)
		machine_blame("memory is quarantined");
	if (now->frames != before->frames)
		machine_blame("%lld frames are lost",
			(long long)(before->frames - now->frames));
	if (now->ids != before->ids)
		machine_blame("%u domain ids, not %u", now->ids, before->ids);
	if (now->entries != before->entries)
		machine_blame("%u interrupt entries more than before",
			now->entries - before->entries);
	if (now->vectors || now->attached)
		machine_blame("%u vectors, %u devices are left", now->vectors,
			now->attached);
}

/* One after the other, everything that is made once and stays is made. */
static void warm_up(void)
{
	unsigned n = 1;

	begin(1);
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		if (functions[i].pci.header_type)
			continue;
		doing[0].function = (int)i;
		assert_int_equal(assign_attach(address_of(i), 1), 0);
		doing[0].function = -1;
		current_process = &processes[1];
		(void)!assign_as_owner(&functions[i].pci, enable_messages, &n);
		assert_int_equal(assign_detach(address_of(i), 1), 0);
	}
	end(1);
}

static void round_of_kills(unsigned count)
{
	for (unsigned n = 0; n <= MAX_THREADS; n++)
		doing[n].function = -1;
	goal = kills + count;
	for (unsigned pid = 1; pid <= PROCESSES; pid++)
		threads_add(process_thread, pid);
	for (unsigned n = 0; n < OTHERS; n++)
		threads_add(other_thread, n);
	threads_run(any);
	surroundings_check();
}

static void play(const struct model_personality *kind, enum model_mode mode,
	unsigned rounds, unsigned per_round)
{
	struct left before, now;

	device_tlbs = any(2);
	ksnprintf(
		machine_note, sizeof(machine_note), "%s %u", kind->name, mode);
	surroundings_start(kind, mode, dice_state);
	memset(owners, 0, sizeof(owners));
	changers = 0;
	switching = false;
	memset(devices, 0, sizeof(devices));
	for (unsigned n = 0; n <= MAX_THREADS; n++)
		doing[n].function = -1;
	functions[1].no_reset = true;
	at_quiet = remember_target;
	at_reset = expect_nothing;
	at_space = remember_space;
	warm_up();
	before = what_is_left();
	devices_turn = devices_stray;
	for (unsigned n = 0; n < rounds; n++) {
		ksnprintf(machine_note, sizeof(machine_note),
			"%s %u, seed %llu, kill %llu", kind->name, mode,
			(unsigned long long)seed, (unsigned long long)kills);
		round_of_kills(per_round);
		now = what_is_left();
		compare(&before, &now);
	}
	at_quiet = at_reset = NULL;
	at_space = NULL;
	devices_turn = NULL;
	device_tlbs = false;
	surroundings_stop();
}

static bool has_write_buffer(const struct model_personality *kind)
{
	return kind->cap & 1u << 4 || kind->quirks & MODEL_QUIRK_HIDDEN_RWBF;
}

/* All kinds of unit, each in both modes. */
static void play_all(unsigned rounds, unsigned per_round)
{
	for (const struct model_personality *k = model_personalities; k->name;
		k++) {
		if (!(k->cap >> 8 & 0x1f))
			continue;
		play(k, MODEL_LAZY, rounds, per_round);
		/* By chance, a write buffer lets the entry that leads to a new
		 * table out before the table itself. */
		if (!has_write_buffer(k))
			play(k, MODEL_RANDOM, rounds, per_round);
	}
}

#define MACHINES 80 /* that play_all() makes, and a few more */

static void nobody_leaves_anything_behind(void **state)
{
	uint64_t each = wanted / MACHINES;
	unsigned per_round = each < 10 ? 10 : each > 40 ? 40 : (unsigned)each;

	(void)state;
	printf("seed %llu, %llu kills\n", (unsigned long long)seed,
		(unsigned long long)wanted);
	dice_state = seed;
	while (kills < wanted)
		play_all(1 + (unsigned)(each / per_round / 4), per_round);
	printf("%llu kills, %llu attachments, %llu transfers, %llu strays, "
	       "%llu refused, %llu interrupts\n",
		(unsigned long long)kills, (unsigned long long)attaches,
		(unsigned long long)transfers, (unsigned long long)strays,
		(unsigned long long)refusals, (unsigned long long)messages);
	assert_true(attaches > kills / 4 && transfers > kills / 8 &&
		strays > kills && messages);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_leaves_anything_behind),
	};

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	if (argc > 2)
		wanted = strtoull(argv[2], NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
