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
#include "support/lives.h"
#include "assign/assign.h"
#include "assign/faults.h"
#include "host/host.h"
#include "lib/errno.h"
#include "lib/string.h"
#include <iommu/report.h>

long time(long *t);
unsigned long long strtoull(const char *s, char **end, int base);
int printf(const char *fmt, ...);

#define OTHERS 3 /* threads that attach, detach, read, kill */

static uint64_t seed, wanted = 1000;

static void live_a_step(int pid)
{
	struct owner *o = &owners[pid];

	/* What runs in its parent's space changes nothing there. */
	if (o->lender) {
		if (!any(3))
			life_exec(pid);
		return;
	}
	switch (any(13)) {
	case 0:
		return life_map(o, HALF(0));
	case 1:
		return life_unmap(o, HALF(0));
	case 2:
	case 3:
		return life_protect(o, HALF(0));
	case 4:
		return life_discard(o, HALF(0));
	case 5:
		return life_move(o, HALF(0));
	case 6:
		return life_fork(pid);
	case 7:
		return life_vfork(pid);
	case 8:
		return any(4) ? life_interrupts(pid) : life_exec(pid);
	case 9:
		return life_interrupts(pid);
	case 10:
		return life_policy(pid);
	default:
		return life_transfer(pid);
	}
}

static void process_thread(unsigned n)
{
	int pid = (int)n;

	while (tally.kills < goal || owners[pid].state != VACANT) {
		switch (owners[pid].state) {
		case VACANT:
			if (tally.kills < goal && !any(4))
				life_begin(pid);
			break;
		case ALIVE:
			if (owners[pid].killed || tally.kills >= goal ||
				!any(300))
				life_end(pid);
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

static void second_thread(unsigned n)
{
	int pid = (int)n;

	while (tally.kills < goal || owners[pid].state != VACANT) {
		if (!any(4))
			life_help(pid);
		threads_yield();
		if (owners[pid].state != ALIVE)
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
		end_switch();
	doing[self].function = -1;
	tally.attaches += !err;
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
		end_switch();
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
	while (tally.kills < goal) {
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
			if (!any(12))
				owners[1 + any(PROCESSES)].killed = true;
			break;
		case 4:
			peek();
			break;
		default:
			begin_switch();
			assign_take_faults();
			end_switch();
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
		machine_blame("%u lines about interrupt entries, not %u",
			now->entries, before->entries);
	if (now->vectors || now->attached)
		machine_blame("%u vectors, %u devices are left", now->vectors,
			now->attached);
}

/* Pages that the library cuts domains from stay: as many as there may be. */
static void make_domains(void)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};
	struct iommu_domain *domain[4 * PROCESSES];

	for (unsigned n = 0; n < ARRAY_SIZE(domain); n++)
		assert_int_equal(
			iommu_domain_create(host_iommu, &config, &domain[n]),
			IOMMU_OK);
	for (unsigned n = 0; n < ARRAY_SIZE(domain); n++)
		assert_int_equal(iommu_domain_destroy(domain[n]), IOMMU_OK);
}

/* One after the other, everything that is made once and stays is made. */
static void warm_up(void)
{
	unsigned n = 1;

	make_domains();
	life_begin(1);
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
	life_end(1);
}

static void round_of_kills(unsigned count)
{
	goal = tally.kills + count;
	for (unsigned pid = 1; pid <= PROCESSES; pid++) {
		threads_add(process_thread, pid);
		threads_add(second_thread, pid);
	}
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
	functions[1].no_reset = true;
	strays_start();
	warm_up();
	before = what_is_left();
	devices_turn = devices_stray;
	for (unsigned n = 0; n < rounds; n++) {
		ksnprintf(machine_note, sizeof(machine_note),
			"%s %u, seed %llu, kill %llu", kind->name, mode,
			(unsigned long long)seed,
			(unsigned long long)tally.kills);
		round_of_kills(per_round);
		now = what_is_left();
		compare(&before, &now);
	}
	strays_stop();
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
	while (tally.kills < wanted)
		play_all(1 + (unsigned)(each / per_round / 4), per_round);
	printf("%llu kills, %llu attachments, %llu transfers, %llu "
	       "strays, "
	       "%llu refused, %llu interrupts\n",
		(unsigned long long)tally.kills,
		(unsigned long long)tally.attaches,
		(unsigned long long)tally.transfers,
		(unsigned long long)tally.strays,
		(unsigned long long)tally.refusals,
		(unsigned long long)tally.messages);
	assert_true(tally.attaches > tally.kills / 4 &&
		tally.transfers > tally.kills / 8 &&
		tally.strays > tally.kills);
	/* Most units remap them: a hundred in a thousand. */
	assert_true(tally.messages > tally.kills / 50);
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
