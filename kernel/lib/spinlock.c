/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks and counted interrupt disabling. `cpu` holds the holder's index
 * plus one while the lock is held and 0 otherwise, written only by the holder:
 * a CPU that reads its own number there holds the lock.
 */
#include "lib/lock.h"
#include "lib/print.h"
#include "cpu/cpu.h"

void interrupts_off(void)
{
	uint64_t flags;
	struct cpu *c;

	__asm__ volatile("pushfq; pop %0; cli" : "=r"(flags)::"memory");
	c = this_cpu();
	if (c->off_depth++ == 0)
		c->off_were_on = flags & 0x200;
}

void interrupts_restore(void)
{
	struct cpu *c = this_cpu();

	if (--c->off_depth == 0 && c->off_were_on)
		__asm__ volatile("sti" ::: "memory");
	else if (c->off_depth < 0)
		panic("interrupts_restore() without interrupts_off()");
}

void spin_init(struct spinlock *l)
{
	l->held = 0;
	l->cpu = 0;
}

bool spin_held(const struct spinlock *l)
{
	uint32_t holder = __atomic_load_n(&l->cpu, __ATOMIC_RELAXED);

	return holder == this_cpu()->id + 1;
}

/* `pause` spares a sibling thread or tells a hypervisor, but an emulator takes
 * a lock of the whole machine for it: two CPUs at a doorbell would put each
 * other to sleep there, for longer than either holds anything of ours. */
#define POLLS_PER_PAUSE 4096

static void wait_until_free(const struct spinlock *l)
{
	unsigned polls = 0;

	while (__atomic_load_n(&l->held, __ATOMIC_RELAXED))
		if (++polls % POLLS_PER_PAUSE == 0)
			cpu_relax();
}

static __attribute__((noinline)) void wait_for(struct spinlock *l)
{
	if (spin_held(l))
		panic("spinlock %p taken twice from %p", (void *)l,
			__builtin_return_address(0));
	do
		wait_until_free(l);
	while (__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE));
}

void spin_lock(struct spinlock *l)
{
	interrupts_off();
	if (__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE))
		wait_for(l);
	__atomic_store_n(&l->cpu, this_cpu()->id + 1, __ATOMIC_RELAXED);
}

void spin_unlock(struct spinlock *l)
{
	__atomic_store_n(&l->cpu, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
	interrupts_restore();
}
