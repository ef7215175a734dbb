/* SPDX-License-Identifier: MIT */
/* What processes do with their memory and their devices; see lives.h. */
#include "support/lives.h"
#include "support/walker.h"
#include "assign/assign.h"
#include "assign/faults.h"
#include "assign/interrupts.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/table.h"
#include <model/devices.h>

struct owner owners[PROCESSES + 1];
uint64_t found_by_pid[PROCESSES + 1];
uint64_t goal;

static uint64_t generations;
static unsigned changers;
static bool switching;

static void begin_change(struct owner *o, unsigned halves)
{
	while (switching && threads_wait())
		;
	changers++;
	o->changing |= halves;
}

static void end_change(struct owner *o, unsigned halves)
{
	o->changing &= ~halves;
	changers--;
}

/* As fork, exec and exit see to it: no other thread is in a call. */
static void be_alone(struct owner *o)
{
	o->between++;
	while (o->helping && threads_wait())
		;
}

/* A page of one half. */
static unsigned any_page(unsigned half)
{
	return any(PAGES / 2) + (half == HALF(0) ? 0 : PAGES / 2);
}

/* How many from this one on, in the same half. */
static unsigned any_count(unsigned first)
{
	return 1 + any(PAGES / 2 - first % (PAGES / 2));
}

void begin_switch(void)
{
	while ((switching || changers) && threads_wait())
		;
	switching = true;
}

void end_switch(void)
{
	switching = false;
}

char *frame_at(struct space *s, unsigned page)
{
	struct leaf l;

	if (!tables_next(&s->tables, A + page * K, A + page * K + 1, &l) ||
		!pte_present(*l.entry))
		return NULL;
	return phys_to_virt(pte_phys(*l.entry));
}

/* Fresh pages get their owner's stamp: through the CPU, which breaks what is
 * shared, and then in the frame itself. */
static void stamp_pages(struct owner *o, unsigned halves)
{
	for (unsigned page = 0; page < PAGES; page++) {
		struct stamp stamp = {o->generation, A + page * K};

		if (!(HALF(page) & halves) || o->prot[page] == NOT_MAPPED ||
			!o->prot[page])
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
		.changing = BOTH};
	if (like)
		memcpy(o->prot, like->prot, sizeof(o->prot));
	else
		memset(o->prot, NOT_MAPPED, sizeof(o->prot));
}

/* From now on it is found by its pid. */
static void appear(int pid)
{
	struct owner *o = &owners[pid];

	stamp_pages(o, BOTH);
	o->changing = 0;
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

void life_begin(int pid)
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
void life_end(int pid)
{
	struct owner *o = &owners[pid];
	struct space *s = o->s;

	be_alone(o);
	tally.kills++;
	o->changing = BOTH;
	o->state = BUSY;
	processes[pid].space = NULL;
	space_put(s);
	o->state = VACANT;
}

void life_exec(int pid)
{
	struct space *old = owners[pid].s, *fresh;

	be_alone(&owners[pid]);
	fresh = space_create();
	assert_non_null(fresh);
	be_born(pid, fresh, NULL);
	map_all(&owners[pid]);
	appear(pid);
	space_put(old);
}

static int find_vacant(void)
{
	int pid = 1 + (int)any(PROCESSES);

	return owners[pid].state == VACANT && tally.kills < goal ? pid : 0;
}

void life_fork(int pid)
{
	struct owner *o = &owners[pid];
	int child = find_vacant();
	struct space *s;

	if (!child)
		return;
	owners[child].state = BUSY;
	be_alone(o);
	begin_change(o, BOTH);
	assert_int_equal(space_fork(o->s, &s), 0);
	end_change(o, BOTH);
	be_born(child, s, o);
	o->between--;
	/* What the child does not write at once keeps its parent's stamp. */
	for (unsigned page = 0; page < PAGES; page++)
		if (owners[child].prot[page] < RW) {
			assert_int_equal(space_munmap(s, A + page * K, K), 0);
			owners[child].prot[page] = NOT_MAPPED;
		}
	appear(child);
}

void life_vfork(int pid)
{
	int child = find_vacant();

	if (!child)
		return;
	owners[child].state = BUSY;
	be_alone(&owners[pid]);
	space_get(owners[pid].s);
	owners[child] = owners[pid];
	owners[child].between = 0;
	owners[child].lender = pid;
	owners[child].killed = false;
	processes[child].pid = child;
	processes[child].space = owners[child].s;
	found_by_pid[child] = owners[child].generation;
	while (owners[child].lender == pid && owners[child].state != VACANT &&
		threads_wait())
		;
	owners[pid].between--;
}

void life_map(struct owner *o, unsigned half)
{
	static const uint8_t prots[] = {RW, RW, RW, 0};
	unsigned first = any_page(half), n = any_count(first);
	uint8_t prot = prots[any(ARRAY_SIZE(prots))];

	begin_change(o, half);
	assert_int_equal(
		space_mmap(o->s, A + first * K, n * K, prot,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		A + first * K);
	memset(&o->prot[first], prot, n);
	stamp_pages(o, half);
	end_change(o, half);
}

void life_unmap(struct owner *o, unsigned half)
{
	unsigned first = any_page(half), n = any_count(first);

	begin_change(o, half);
	assert_int_equal(space_munmap(o->s, A + first * K, n * K), 0);
	memset(&o->prot[first], NOT_MAPPED, n);
	end_change(o, half);
}

void life_protect(struct owner *o, unsigned half)
{
	static const uint8_t prots[] = {RW, RW, PROT_READ, 0};
	unsigned first = any_page(half), n = any_count(first);
	uint8_t prot = prots[any(ARRAY_SIZE(prots))];

	for (unsigned page = first; page < first + n; page++)
		if (o->prot[page] == NOT_MAPPED ||
			(!o->prot[page] && prot == PROT_READ))
			return;
	begin_change(o, half);
	assert_int_equal(space_mprotect(o->s, A + first * K, n * K, prot), 0);
	memset(&o->prot[first], prot, n);
	stamp_pages(o, half);
	end_change(o, half);
}

void life_discard(struct owner *o, unsigned half)
{
	unsigned page = any_page(half);

	if (o->prot[page] != RW)
		return;
	begin_change(o, half);
	assert_int_equal(
		space_madvise(o->s, A + page * K, K, MADV_DONTNEED), 0);
	stamp_pages(o, half);
	end_change(o, half);
}

void life_move(struct owner *o, unsigned half)
{
	unsigned from = any_page(half), to = any_page(half);

	if (from == to || o->prot[from] != RW)
		return;
	begin_change(o, half);
	assert_int_equal(space_mremap(o->s, A + from * K, K, K,
				 MREMAP_MAYMOVE | MREMAP_FIXED, A + to * K),
		A + to * K);
	o->prot[to] = RW;
	o->prot[from] = NOT_MAPPED;
	stamp_pages(o, half);
	end_change(o, half);
}

void life_help(int pid)
{
	static void (*const calls[])(struct owner * o, unsigned half) = {
		life_map, life_unmap, life_protect, life_protect, life_discard,
		life_move};
	struct owner *o = &owners[pid];

	if (o->state != ALIVE || o->lender || o->between)
		return;
	o->helping = true;
	calls[any(ARRAY_SIZE(calls))](o, HALF(PAGES - 1));
	o->helping = false;
}

/* ---- what owners do to devices ------------------------------------------- */

int enable_messages(struct pci_device *d, void *arg)
{
	irq_tag = (int)index_of(d);
	return interrupts_enable_msi(d, *(unsigned *)arg);
}

static int choose_policy(struct pci_device *d, void *arg)
{
	return assign_set_policy(d, *(enum fault_policy *)arg);
}

void life_interrupts(int pid)
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

void life_policy(int pid)
{
	enum fault_policy policy = (enum fault_policy)any(3);

	current_process = &processes[pid];
	(void)!assign_as_owner(
		&functions[any(FUNCTIONS)].pci, choose_policy, &policy);
}

/* A process and its device work as they should: a page to the device's buffer
 * and back to another. Nobody else runs. */
void life_transfer(int pid)
{
	unsigned i = any(FUNCTIONS), from = any(PAGES), to = any(PAGES);
	struct owner *o = &owners[pid];
	static struct model_edu engines[FUNCTIONS];
	struct model_edu *e = &engines[i];

	threads_hold++;
	for (unsigned n = 0; n < FUNCTIONS && functions[i].pci.owner != o->s;
		n++)
		i = (i + 1) % FUNCTIONS;
	/* Too many faults of its own may have blocked it. */
	if (functions[i].pci.owner != o->s || o->prot[from] != RW ||
		o->prot[to] != RW || o->changing & (HALF(from) | HALF(to)) ||
		state_of(i) != IOMMU_DEVICE_ATTACHED) {
		threads_hold--;
		return;
	}
	memcpy(frame_at(o->s, from), &dice_state, 8);
	model_edu_init(e, model, 0, bdf_of(i));
	model_edu_write(e, MODEL_EDU_SOURCE, A + from * K);
	model_edu_write(e, MODEL_EDU_TARGET, MODEL_EDU_BUFFER);
	model_edu_write(e, MODEL_EDU_COUNT, TRANSFER_SIZE);
	model_edu_write(e, MODEL_EDU_COMMAND, 1);
	model_edu_write(e, MODEL_EDU_SOURCE, MODEL_EDU_BUFFER);
	model_edu_write(e, MODEL_EDU_TARGET, A + to * K);
	model_edu_write(e, MODEL_EDU_COMMAND, 3);
	if (e->refused || memcmp(frame_at(o->s, to), &dice_state, 8))
		machine_blame("function %u does not work for pid %d, from page "
			      "%u to %u",
			i, pid, from, to);
	threads_hold--;
	tally.transfers++;
}
