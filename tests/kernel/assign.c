/* SPDX-License-Identifier: MIT */
/*
 * Devices and owners, on the real library and the model of a unit: attach, DMA,
 * kill at any moment, detach, power, on every kind of unit. The functions try
 * to reach their owner's memory, and what was it, whenever the kernel waits.
 *
 * assign [SEED [ROUNDS]]
 */
#include "support/surroundings.h"
#include "support/dice.h"
#include "assign/assign.h"
#include "host/host.h"
#include "lib/string.h"

long time(long *t);
unsigned long long strtoull(const char *s, char **end, int base);
int printf(const char *fmt, ...);

#define A 0x10000000ull
#define PAGES 12
#define K 4096ull
#define RW (PROT_READ | PROT_WRITE)

static struct owner {
	struct space *s;
	uint8_t bytes[PAGES];
	uint8_t prot[PAGES]; /* 0xff: not mapped */
	bool changing;       /* a call is under way that changes it */
} owners[PROCESSES + 1];

static int owner_of[FUNCTIONS]; /* pid, or 0 */
static int soon[FUNCTIONS];     /* an attach is under way to this pid */
static uint64_t seed, rounds = 19;
static unsigned kills, writes, refused;

/* Whose memory a request of the function meets, 0: nobody's. */
static int user_of(unsigned i)
{
	return owner_of[i] ? owner_of[i] : owner_of[mate_of(i)];
}

/* ------------------------------------------------------------------ devices */

/* One write of a function: where it lands must be its owner's. */
static bool write_from(unsigned i, unsigned page, uint8_t value)
{
	int pid = user_of(i) ? user_of(i) : soon[i];
	struct owner *o = &owners[pid];

	if (model_dma_write(model, 0, bdf_of(i), A + page * K + 0x7b5, &value,
		    1) != MODEL_DMA_OK) {
		refused++;
		return false;
	}
	if (!pid)
		machine_blame("function %u writes and nobody owns it", i);
	if (o->prot[page] != RW && !o->changing)
		machine_blame(
			"function %u writes where pid %d may not", i, pid);
	o->bytes[page] = value;
	writes++;
	return true;
}

static void stray(void)
{
	if (any(8))
		return;
	for (unsigned i = 0; i < FUNCTIONS; i++)
		if (functions[i].master && !any(3))
			(void)write_from(i, any(PAGES - 1), (uint8_t)any(256));
	/* Posted: it lands when the unit is made to drain, at the latest. The
	 * model knows whose page it is on its way to. */
	for (unsigned i = 0; i < FUNCTIONS; i++)
		if (functions[i].master && !any(3))
			(void)model_dma_post(model, 0, bdf_of(i),
				A + (PAGES - 1) * K + any(512) * 8, &dice_state,
				8);
}

/* ---------------------------------------------------------------- processes */

static void be_born(int pid)
{
	struct owner *o = &owners[pid];

	*o = (struct owner){.s = space_create()};
	assert_non_null(o->s);
	assert_int_equal(
		space_mmap(o->s, A, PAGES * K, RW,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		A);
	memset(o->prot, RW, sizeof(o->prot));
	processes[pid] = (struct process){.pid = pid, .space = o->s, .refs = 1};
}

static void forget_devices(int pid)
{
	for (unsigned i = 0; i < FUNCTIONS; i++)
		if (owner_of[i] == pid)
			owner_of[i] = 0;
}

static void die(int pid)
{
	struct owner *o = &owners[pid];

	kills++;
	o->changing = true;
	processes[pid].space = NULL;
	space_put(o->s);
	forget_devices(pid);
	be_born(pid);
}

/* ----------------------------------------------------------------- checks */

static void check_reach(void *ctx, const struct model_reach *reach)
{
	unsigned *left = ctx;
	uint64_t at = (reach->iova - A) / K;
	struct owner *o = &owners[left[1]];
	struct leaf l;

	if (!left[1] || reach->iova < A || at >= PAGES || o->prot[at] == 0xff ||
		!o->prot[at])
		machine_blame("%#llx is within reach",
			(unsigned long long)reach->iova);
	assert_true(
		tables_next(&o->s->tables, reach->iova, reach->iova + 1, &l));
	assert_int_equal(reach->phys, pte_phys(*l.entry).v);
	assert_int_equal(reach->write, o->prot[at] == RW);
	left[0]--;
}

static void check_function(unsigned i)
{
	struct assigned a;
	bool owned = assign_of(&functions[i].pci, &a);
	unsigned left[2] = {0, (unsigned)user_of(i)};

	assert_int_equal(owned ? a.pid : 0, owner_of[i]);
	assert_int_equal(functions[i].master, owned);
	assert_ptr_equal(
		functions[i].pci.owner, owned ? owners[owner_of[i]].s : NULL);
	for (unsigned p = 0; p < PAGES && left[1]; p++)
		left[0] += owners[left[1]].prot[p] != 0xff &&
			owners[left[1]].prot[p];
	if (!iommu_is_on(host_iommu))
		return;
	if (functions[i].pci.header_type)
		return;
	assert_true(model_enumerate(model, 0, bdf_of(i), check_reach, left));
	assert_int_equal(left[0], 0);
}

static void check(void)
{
	surroundings_check();
	for (unsigned i = 0; i < FUNCTIONS; i++)
		check_function(i);
	for (int pid = 1; pid <= PROCESSES; pid++)
		for (unsigned p = 0; p < PAGES - 1; p++) {
			struct owner *o = &owners[pid];
			uint8_t byte = 0;

			if (o->prot[p] == 0xff || !o->prot[p])
				continue;
			(void)!space_read(o->s, A + p * K + 0x7b5, &byte, 1);
			if (byte != o->bytes[p])
				machine_blame("pid %d, page %u: %#x, not %#x",
					pid, p, byte, o->bytes[p]);
		}
}

/* --------------------------------------------------------------------- steps
 */

static int dies_in_reset;

static void kill_it(struct pci_device *d)
{
	int pid = dies_in_reset;

	(void)d;
	if (!pid)
		return;
	dies_in_reset = 0;
	kills++;
	processes[pid].space = NULL;
	space_put(owners[pid].s); /* the attach has a count of its own */
}

static void do_attach(void)
{
	unsigned i = any(FUNCTIONS);
	int pid = 1 + (int)any(PROCESSES), err, want = 0;
	bool dies = !any(4);
	int mate = owner_of[mate_of(i)];

	if (functions[i].pci.header_type)
		want = -EINVAL;
	else if (owner_of[i])
		want = -EBUSY;
	else if (!iommu_is_on(host_iommu))
		want = -EAGAIN;
	else if (mate && mate != pid)
		want = -EBUSY;
	soon[i] = want ? 0 : pid;
	dies_in_reset = dies ? pid : 0;
	at_reset = kill_it;
	err = assign_attach(address_of(i), pid);
	at_reset = NULL;
	soon[i] = 0;
	if (err != want)
		machine_blame(
			"attach of function %u to pid %d: %d, not %d (%s)", i,
			pid, err, want, machine_console);
	if (!err)
		owner_of[i] = pid;
	if (dies && !dies_in_reset) {
		forget_devices(pid);
		be_born(pid);
	}
	dies_in_reset = 0;
}

static void do_detach(void)
{
	unsigned i = any(FUNCTIONS);
	int pid = any(2) ? 0 : 1 + (int)any(PROCESSES);
	int err = assign_detach(address_of(i), pid);

	assert_int_equal(err,
		!owner_of[i]                        ? -ENXIO
			: pid && pid != owner_of[i] ? -EPERM
						    : 0);
	if (!err)
		owner_of[i] = 0;
}

static void do_kill(void)
{
	die(1 + (int)any(PROCESSES));
}

static void do_dma(void)
{
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		unsigned p = any(PAGES - 1);
		struct owner *o = &owners[user_of(i)];
		bool may = user_of(i) && o->prot[p] == RW;

		if (functions[i].pci.header_type)
			continue;
		if (write_from(i, p, (uint8_t)any(256)) != may)
			machine_blame(
				"function %u is refused page %u of pid %d", i,
				p, owner_of[i]);
	}
}

static void do_memory(void)
{
	static const uint8_t prots[] = {RW, RW, PROT_READ, 0};
	int pid = 1 + (int)any(PROCESSES);
	struct owner *o = &owners[pid];
	unsigned first = any(PAGES), n = 1 + any(PAGES - first);
	uint8_t prot = prots[any(ARRAY_SIZE(prots))];
	bool unmap = any(2);

	o->changing = true;
	if (unmap)
		assert_int_equal(space_munmap(o->s, A + first * K, n * K), 0);
	else
		assert_int_equal(
			space_mmap(o->s, A + first * K, n * K, prot,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL,
				0),
			A + first * K);
	/* Fresh pages, but a device may have written them already. */
	for (unsigned p = first; p < first + n; p++) {
		o->prot[p] = unmap ? 0xff : prot;
		o->bytes[p] = 0;
		if (!unmap && prot)
			(void)!space_read(
				o->s, A + p * K + 0x7b5, &o->bytes[p], 1);
	}
	o->changing = false;
}

static void do_protect(void)
{
	struct owner *o = &owners[1 + any(PROCESSES)];
	unsigned first = any(PAGES), n = 1 + any(PAGES - first);
	uint8_t prot = any(3) ? RW : PROT_READ;

	for (unsigned p = first; p < first + n; p++)
		if (o->prot[p] == 0xff || !o->prot[p])
			return;
	o->changing = true;
	assert_int_equal(space_mprotect(o->s, A + first * K, n * K, prot), 0);
	o->changing = false;
	memset(&o->prot[first], prot, n);
}

static void do_fork(void)
{
	int pid = 1 + (int)any(PROCESSES);
	struct space *child;

	owners[pid].changing = true;
	assert_int_equal(space_fork(owners[pid].s, &child), 0);
	owners[pid].changing = false;
	space_put(child);
}

static void do_power(void)
{
	bool owned = false;
	int err;

	for (unsigned i = 0; i < FUNCTIONS; i++)
		owned = owned || owner_of[i];
	err = assign_power(false);
	assert_int_equal(err, owned && iommu_is_on(host_iommu) ? -EBUSY : 0);
	if (!err)
		do_attach();
	assert_int_equal(assign_power(true), 0);
}

static void do_wrong(void)
{
	assert_int_equal(
		assign_attach((struct pci_address){0, 9, 0}, 1), -ENODEV);
	assert_int_equal(
		assign_attach((struct pci_address){1, 0, 0x18}, 1), -ENODEV);
	assert_int_equal(assign_attach(address_of(0), 77), -ESRCH);
	assert_int_equal(assign_attach(address_of(0), -1), -ESRCH);
	assert_int_equal(
		assign_detach((struct pci_address){0, 9, 0}, 0), -ENODEV);
}

static void step(void)
{
	unsigned n;
	static void (*const steps[])(void) = {do_attach, do_attach, do_attach,
		do_detach, do_kill, do_kill, do_dma, do_dma, do_dma, do_memory,
		do_memory, do_protect, do_protect, do_fork, do_power, do_wrong};

	n = any(ARRAY_SIZE(steps));
	steps[n]();
}

static void play(const struct model_personality *kind, enum model_mode mode)
{
	surroundings_start(kind, mode, dice_state);
	for (int pid = 1; pid <= PROCESSES; pid++)
		be_born(pid);
	memset(owner_of, 0, sizeof(owner_of));
	functions[1].no_reset = true;
	devices_turn = stray;
	for (unsigned n = 0; n < rounds * 5; n++) {
		ksnprintf(machine_note, sizeof(machine_note),
			"%s %u, seed %llu, step %u", kind->name, mode,
			(unsigned long long)seed, n);
		step();
		check();
	}
	for (int pid = 1; pid <= PROCESSES; pid++)
		space_put(owners[pid].s);
	memset(owner_of, 0, sizeof(owner_of));
	devices_turn = NULL;
	surroundings_stop();
}

static void nothing_is_reached_that_is_not_the_owners(void **state)
{
	const struct model_personality *kind = model_personalities;

	(void)state;
	printf("seed %llu\n", (unsigned long long)seed);
	dice_state = seed;
	for (; kind->name; kind++) {
		if (!(kind->cap >> 8 & 0x1f))
			continue;
		play(kind, MODEL_LAZY);
		play(kind, MODEL_RANDOM);
	}
	printf("%u kills, %u writes, %u refused\n", kills, writes, refused);
}

/* ------------------------------------------------------ hardware that fails */

/* A unit that stops, and a process with a device that ends. `change`: what it
 * does before. Returns whether anything had to be kept. */
static bool end_with_broken_unit(
	void (*break_unit)(struct model *m, unsigned unit, unsigned after),
	unsigned after, bool change)
{
	uint64_t before;
	bool kept, broken;

	ksnprintf(machine_note, sizeof(machine_note), "broken after %u", after);
	surroundings_start(&model_personalities[0], MODEL_LAZY, after);
	ksnprintf(machine_note, sizeof(machine_note), "broken after %u", after);
	memset(owner_of, 0, sizeof(owner_of));
	for (int pid = 1; pid <= 2; pid++)
		be_born(pid);
	before = memory_counts().quarantined;
	assert_int_equal(assign_attach(address_of(0), 1), 0);
	owner_of[0] = 1;
	for (unsigned p = 0; p < PAGES; p++)
		assert_true(write_from(0, p, (uint8_t)p));
	break_unit(model, 0, after);
	owners[1].changing = true;
	if (change) {
		assert_int_equal(space_munmap(owners[1].s, A, 2 * K), 0);
		(void)!space_mprotect(owners[1].s, A + 2 * K, 2 * K, PROT_READ);
	}
	processes[1].space = NULL;
	space_put(owners[1].s);
	kept = memory_counts().quarantined > before;
	broken = functions[0].pci.broken;
	assert_false(functions[0].master);
	assert_null(functions[0].pci.owner);
	/* Its detach is the last that the unit hears. */
	if (broken != kept)
		machine_blame("broken %d, memory kept %d", broken, kept);
	if (broken && memory_counts().quarantined - before < PAGES - 2)
		machine_blame("only %llu frames are kept",
			(unsigned long long)(memory_counts().quarantined -
				before));
	if (broken)
		assert_int_equal(assign_attach(address_of(0), 2), -EIO);
	/* Nobody else suffers; who asks is told. */
	assert_true(assign_attach(address_of(1), 77) == -ESRCH);
	space_put(owners[2].s);
	surroundings_stop_broken();
	return kept;
}

static void memory_is_kept_from_a_unit_that_does_not_answer(void **state)
{
	unsigned kept = 0, n;

	(void)state;
	devices_turn = NULL;
	for (n = 0; n < 40; n++) {
		kept += end_with_broken_unit(model_unit_hang, n, false);
		kept += end_with_broken_unit(model_unit_hang, n, true);
		kept += end_with_broken_unit(model_unit_gone, n, false);
		kept += end_with_broken_unit(model_unit_gone, n, true);
	}
	/* Early enough, it matters; late enough, all was over. */
	assert_true(kept > 4 && kept < 4 * n);
}

/* -------------------------------------------------------------- small things
 */

static int count_call(struct pci_device *d, void *arg)
{
	(void)d;
	++*(int *)arg;
	return 5;
}

static void only_the_owner_acts_as_owner(void **state)
{
	int calls = 0;

	(void)state;
	surroundings_start(&model_personalities[0], MODEL_LAZY, 1);
	for (int pid = 1; pid <= 2; pid++)
		be_born(pid);
	assert_int_equal(assign_attach(address_of(0), 1), 0);
	current_process = &processes[2];
	assert_int_equal(
		assign_as_owner(&functions[0].pci, count_call, &calls), -EPERM);
	current_process = NULL;
	assert_int_equal(
		assign_as_owner(&functions[0].pci, count_call, &calls), -EPERM);
	assert_int_equal(calls, 0);
	current_process = &processes[1];
	assert_int_equal(
		assign_as_owner(&functions[0].pci, count_call, &calls), 5);
	assert_int_equal(assign_detach(address_of(0), 1), 0);
	assert_int_equal(
		assign_as_owner(&functions[0].pci, count_call, &calls), -EPERM);
	assert_int_equal(calls, 1);
	for (int pid = 1; pid <= 2; pid++)
		space_put(owners[pid].s);
	surroundings_stop();
}

static void a_device_that_is_lost_in_its_reset_is_nobodys(void **state)
{
	(void)state;
	surroundings_start(&model_personalities[0], MODEL_LAZY, 1);
	memset(owner_of, 0, sizeof(owner_of));
	for (int pid = 1; pid <= PROCESSES; pid++)
		be_born(pid);
	functions[0].lost_in_reset = true;
	assert_int_equal(assign_attach(address_of(0), 1), -EIO);
	check();
	/* It may come back later; one that cannot be reset at all may not be
	 * refused for that. */
	functions[0].lost_in_reset = false;
	functions[1].no_reset = true;
	assert_int_equal(assign_attach(address_of(0), 1), 0);
	assert_int_equal(assign_attach(address_of(1), 2), 0);
	owner_of[0] = 1;
	owner_of[1] = 2;
	check();
	for (int pid = 1; pid <= PROCESSES; pid++)
		space_put(owners[pid].s);
	surroundings_stop();
}

/* A device that keeps on being master, or busy. Where it can be reset nothing
 * is amiss; where not, nobody gets it, nor what was its owner's. */
static void end_with_restless_device(struct function *f, bool can_reset)
{
	uint64_t before;

	surroundings_start(&model_personalities[0], MODEL_LAZY, 1);
	memset(owner_of, 0, sizeof(owner_of));
	for (int pid = 1; pid <= 2; pid++)
		be_born(pid);
	assert_int_equal(assign_attach(address_of(0), 1), 0);
	owner_of[0] = 1;
	assert_true(write_from(0, 0, 1));
	owner_of[0] = 0;
	functions[0].never_stops = f->never_stops;
	functions[0].never_idle = f->never_idle;
	functions[0].no_reset = !can_reset;
	before = memory_counts().quarantined;
	assert_int_equal(assign_detach(address_of(0), 0), can_reset ? 0 : -EIO);
	assert_int_equal(functions[0].pci.broken, !can_reset);
	assert_false(write_from(0, 0, 2)); /* whatever it tries */
	space_put(owners[1].s);
	if (can_reset)
		assert_int_equal(memory_counts().quarantined, before);
	else
		assert_true(memory_counts().quarantined - before >= PAGES);
	/* It seems calm now. What it was told, it may still do. */
	functions[0].never_stops = functions[0].never_idle = false;
	assert_int_equal(assign_attach(address_of(0), 2), can_reset ? 0 : -EIO);
	space_put(owners[2].s);
	if (can_reset)
		surroundings_stop();
	else
		surroundings_stop_broken();
}

static void a_device_that_does_not_stop_stays_blocked(void **state)
{
	struct function master = {.never_stops = true};
	struct function busy = {.never_idle = true};

	(void)state;
	end_with_restless_device(&master, true);
	end_with_restless_device(&master, false);
	end_with_restless_device(&busy, true);
	end_with_restless_device(&busy, false);
}

/* Torn out while it was owned: its configuration space is all ones, so it seems
 * to be off and idle and cannot be reset. Nothing is kept for its sake. */
static void a_device_that_was_torn_out_is_let_go(void **state)
{
	uint64_t before;

	(void)state;
	surroundings_start(&model_personalities[0], MODEL_LAZY, 1);
	memset(owner_of, 0, sizeof(owner_of));
	for (int pid = 1; pid <= PROCESSES; pid++)
		be_born(pid);
	assert_int_equal(assign_attach(address_of(0), 1), 0);
	assert_int_equal(assign_attach(address_of(1), 1), 0);
	functions[0].lost_in_reset = true;
	before = memory_counts().quarantined;
	assign_device_gone(&functions[0].pci);
	assert_true(functions[0].pci.absent);
	assert_false(functions[0].pci.broken);
	assert_null(functions[0].pci.owner);
	owner_of[1] = 1; /* its other device stays */
	check();
	assert_int_equal(assign_detach(address_of(0), 0), -ENXIO);
	assign_device_gone(&functions[0].pci); /* and once more */
	assert_int_equal(memory_counts().quarantined, before);
	functions[0].lost_in_reset = false;
	for (int pid = 1; pid <= PROCESSES; pid++)
		space_put(owners[pid].s);
	surroundings_stop();
}

static void an_attach_without_memory_changes_nothing(void **state)
{
	(void)state;
	for (unsigned n = 1;; n++) {
		bool failed;
		int err;

		surroundings_start(&model_personalities[0], MODEL_LAZY, n);
		memset(owner_of, 0, sizeof(owner_of));
		for (int pid = 1; pid <= PROCESSES; pid++)
			be_born(pid);
		machine_fail(n);
		err = assign_attach(address_of(0), 1);
		failed = machine_failed();
		machine_fail(0);
		assert_int_equal(err, failed ? -ENOMEM : 0);
		owner_of[0] = err ? 0 : 1;
		check();
		if (err) {
			assert_false(space_is_shared(owners[1].s));
			assert_int_equal(assign_attach(address_of(0), 1), 0);
			owner_of[0] = 1;
			check();
		}
		for (int pid = 1; pid <= PROCESSES; pid++)
			space_put(owners[pid].s);
		surroundings_stop();
		if (!failed)
			break;
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_reached_that_is_not_the_owners),
		cmocka_unit_test(
			memory_is_kept_from_a_unit_that_does_not_answer),
		cmocka_unit_test(only_the_owner_acts_as_owner),
		cmocka_unit_test(a_device_that_is_lost_in_its_reset_is_nobodys),
		cmocka_unit_test(a_device_that_does_not_stop_stays_blocked),
		cmocka_unit_test(a_device_that_was_torn_out_is_let_go),
		cmocka_unit_test(an_attach_without_memory_changes_nothing),
	};

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	if (argc > 2)
		rounds = strtoull(argv[2], NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
