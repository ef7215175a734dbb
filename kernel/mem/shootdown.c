/* SPDX-License-Identifier: MIT */
/*
 * CPU TLB shootdown. One request is on its way at a time; the initiator waits,
 * with interrupts on, until every CPU that had the space loaded has answered.
 * A CPU that loads the space later finds the changed entries (space_switch()
 * tells how). Interrupt handlers that spin for a lock with interrupts off
 * delay the answer, but their holder never waits for a shootdown, so it comes.
 */
#include "mem/shootdown.h"
#include "mem/region.h"
#include "mem/share.h"
#include "mem/tlb.h"
#include "cpu/cpu.h"

#define MANY_PAGES 32 /* above that, the whole TLB goes */

_Static_assert(MAX_CPUS <= 64, "request.missing has a bit for each CPU");

static struct mutex shootdown_lock;
static struct {
	struct space *space;
	uint64_t start, end;
	bool leave;
	uint64_t missing; /* a bit for each CPU that has yet to answer */
} request;

void shootdown_init(void)
{
	mutex_init(&shootdown_lock);
}

static void flush_here(uint64_t start, uint64_t end)
{
	if (end - start <= MANY_PAGES * PAGE_SIZE) {
		for (; start < end; start += PAGE_SIZE)
			tlb_forget_page(start);
		return;
	}
	tlb_forget_all();
}

/* An idle CPU only happens to have the tables of whom it ran last: it leaves
 * them, to be asked no more. */
static void obey(void)
{
	const struct cpu *cpu = this_cpu();

	if (cpu->space != request.space)
		return;
	if (request.leave || (cpu->thread && cpu->thread == cpu->idle))
		space_switch(NULL);
	else
		flush_here(request.start, request.end);
}

/* The owner of a device can forge this interrupt: a CPU that was not asked does
 * nothing, and answers once however often it comes. */
void shootdown_interrupt(void)
{
	uint64_t self = 1ull << this_cpu()->id;

	if (!(__atomic_load_n(&request.missing, __ATOMIC_ACQUIRE) & self))
		return;
	obey();
	__atomic_fetch_and(&request.missing, ~self, __ATOMIC_RELEASE);
}

/* A CPU between two spaces counts for both. */
static bool is_in(const struct cpu *cpu, const struct space *s)
{
	return __atomic_load_n(&cpu->space, __ATOMIC_SEQ_CST) == s ||
		__atomic_load_n(&cpu->next_space, __ATOMIC_SEQ_CST) == s;
}

/* Not more than one IPI to each CPU that runs in the space now. */
static void ask_others(void)
{
	unsigned self;

	interrupts_off();
	self = this_cpu()->id;
	obey();
	for (unsigned i = 0; i < cpu_count; i++) {
		if (i == self || !is_in(cpus[i], request.space))
			continue;
		__atomic_fetch_or(
			&request.missing, 1ull << i, __ATOMIC_RELEASE);
		ipi_send(i, IPI_SHOOTDOWN);
	}
	interrupts_restore();
}

static void run(struct space *s, uint64_t start, uint64_t end, bool leave)
{
	mutex_lock(&shootdown_lock);
	request.space = s;
	request.start = start;
	request.end = end;
	request.leave = leave;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ask_others();
	while (__atomic_load_n(&request.missing, __ATOMIC_ACQUIRE))
		cpu_relax();
	mutex_unlock(&shootdown_lock);
}

void shootdown(struct space *s, uint64_t start, uint64_t end)
{
	run(s, start, end, false);
}

void shootdown_leave(struct space *s)
{
	run(s, 0, 0, true);
}
