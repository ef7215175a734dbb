/* SPDX-License-Identifier: MIT */
/*
 * Vectors of devices and their handlers. A CPU notes which vector it serves
 * before it reads the handler: irq_free() takes the handler away, then waits
 * until no CPU serves the vector; whoever starts later finds no handler.
 */
#include "cpu/irq.h"
#include "cpu/cpu.h"
#include "cpu/local.h"
#include "lib/errno.h"
#include "lib/lock.h"
#include "lib/print.h"

struct slot {
	irq_handler handler; /* NULL: none */
	void *arg;           /* written only while handler is NULL */
	bool taken;
};

static struct slot slots[256];
static struct spinlock lock; /* taken; writers of handler */
static volatile uint32_t serving[MAX_CPUS];

int irq_alloc(irq_handler handler, void *arg)
{
	int found = -ENOSPC;

	spin_lock(&lock);
	for (int v = VECTOR_FIRST_DEVICE; v <= VECTOR_LAST_DEVICE; v++) {
		if (slots[v].taken)
			continue;
		slots[v].taken = true;
		slots[v].arg = arg;
		__atomic_store_n(&slots[v].handler, handler, __ATOMIC_RELEASE);
		found = v;
		break;
	}
	spin_unlock(&lock);
	return found;
}

void irq_free(int vector)
{
	struct slot *s = &slots[vector];

	__atomic_store_n(&s->handler, NULL, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < cpu_count; i++)
		while (__atomic_load_n(&serving[i], __ATOMIC_SEQ_CST) ==
			(uint32_t)vector)
			cpu_relax();
	spin_lock(&lock);
	s->taken = false;
	spin_unlock(&lock);
}

void irq_dispatch(unsigned vector)
{
	struct slot *s = &slots[vector];
	unsigned cpu = this_cpu()->id;
	irq_handler handler;

	__atomic_store_n(&serving[cpu], vector, __ATOMIC_SEQ_CST);
	handler = __atomic_load_n(&s->handler, __ATOMIC_SEQ_CST);
	if (handler)
		handler(s->arg);
	__atomic_store_n(&serving[cpu], 0, __ATOMIC_RELEASE);
	/* Spurious interrupts of a masked 8259 come without a request. */
	if (vector >= VECTOR_FIRST_DEVICE)
		lapic_eoi();
	else
		lapic_eoi_if_real(vector);
}
