/* SPDX-License-Identifier: MIT */
/*
 * Time is the time-stamp counter, which all CPUs of a machine count alike,
 * scaled to nanoseconds. Its rate comes from CPUID where stated, else from the
 * HPET, else from the 8254. The local APIC's timer is measured in the same
 * interval.
 */
#include "cpu/time.h"
#include "acpi/acpi.h"
#include "cpu/cpu.h"
#include "cpu/io.h"
#include "cpu/local.h"
#include "cpu/trap.h"
#include "lib/lock.h"
#include "lib/print.h"
#include "mem/mem.h"

#define CALIBRATE_NS (10 * NS_PER_MS)
#define SHIFT 32

static uint64_t tsc_start;
static uint64_t ns_per_tsc;          /* << SHIFT */
static uint64_t ticks_per_ns;        /* of the local APIC timer, << SHIFT */
static uint64_t wall_base;           /* wall clock when time_ns() was 0 */
static uint64_t deadlines[MAX_CPUS]; /* only by their CPU, interrupts off */

static uint64_t scale(uint64_t v, uint64_t factor)
{
	return (uint64_t)((unsigned __int128)v * factor >> SHIFT);
}

uint64_t time_ns(void)
{
	return scale(read_tsc() - tsc_start, ns_per_tsc);
}

uint64_t time_wall_ns(void)
{
	return __atomic_load_n(&wall_base, __ATOMIC_RELAXED) + time_ns();
}

void time_set_wall_ns(uint64_t ns)
{
	__atomic_store_n(&wall_base, ns - time_ns(), __ATOMIC_RELAXED);
}

void delay_us(unsigned us)
{
	uint64_t end = time_ns() + us * 1000ull;

	while (time_ns() < end)
		cpu_relax();
}

/* A reference counter of known rate. */
struct reference {
	const char *name;
	uint64_t (*read)(void);
	uint64_t fs_per_tick;
	uint64_t mask;
};

static volatile char *hpet;

static uint64_t hpet_read(void)
{
	return mmio_read32(hpet + 0xf0);
}

/* IA-PC HPET specification 1.0a, 2.3: the period is at most 100 ns. */
static bool hpet_open(struct reference *r)
{
	uint32_t period;

	if (!acpi_machine.hpet)
		return false;
	hpet = kernel_map_device(phys(acpi_machine.hpet), 0x400);
	if (!hpet)
		return false;
	period = mmio_read32(hpet + 4);
	if (period < 100000 || period > 100000000)
		return false;
	mmio_write32(hpet + 0x10, mmio_read32(hpet + 0x10) | 1);
	*r = (struct reference){"HPET", hpet_read, period, UINT32_MAX};
	return true;
}

/* Channel 2 of the 8254 counts down; its gate is bit 0 of port 0x61. */
static uint64_t pit_read(void)
{
	uint16_t v;

	outb(0x43, 0x80); /* latch */
	v = inb(0x42);
	v |= inb(0x42) << 8;
	return 0xffff - v;
}

static void pit_open(struct reference *r)
{
	outb(0x61, (inb(0x61) & ~2) | 1);
	outb(0x43, 0xb4); /* channel 2, both bytes, rate generator */
	outb(0x42, 0xff);
	outb(0x42, 0xff);
	*r = (struct reference){"8254", pit_read, 838095345, 0xffff};
}

static uint64_t reference_ns(
	const struct reference *r, uint64_t from, uint64_t to)
{
	return ((to - from) & r->mask) * r->fs_per_tick / 1000000;
}

struct sample {
	uint64_t tsc, ref;
	uint32_t apic;
};

/* The tightest of a few readings: the host may take the CPU away between two
 * registers. */
static struct sample sample(const struct reference *r)
{
	struct sample best = {0};
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < 8; i++) {
		uint64_t before = read_tsc();
		uint64_t ref = r->read();
		uint32_t apic = lapic_timer_now();
		uint64_t after = read_tsc();

		if (after - before < least) {
			least = after - before;
			best = (struct sample){
				before + (after - before) / 2, ref, apic};
		}
	}
	return best;
}

/* Crystal frequency and ratio (SDM 3B 18.7.3); 0: not stated. */
static uint64_t tsc_rate_from_cpuid(void)
{
	struct cpuid c;

	if (cpuid(0, 0).eax < 0x15)
		return 0;
	c = cpuid(0x15, 0);
	if (!c.eax || !c.ebx || !c.ecx)
		return 0;
	return (uint64_t)c.ecx * c.ebx / c.eax;
}

struct rates {
	uint64_t ns_per_tsc, ticks_per_ns; /* << SHIFT */
};

/* One measurement. False when the reference stands still, or when so much time
 * went by that it may have wrapped. */
static bool measure(const struct reference *r, struct rates *out)
{
	struct sample first = sample(r), last;
	uint64_t ns = 0;

	for (unsigned polls = 0; polls < 1000000; polls++) {
		ns = reference_ns(r, first.ref, r->read());
		if (ns >= CALIBRATE_NS)
			break;
	}
	last = sample(r);
	ns = reference_ns(r, first.ref, last.ref);
	if (ns < CALIBRATE_NS || ns > NS_PER_S || last.tsc <= first.tsc ||
		last.apic >= first.apic)
		return false;
	out->ns_per_tsc = (ns << SHIFT) / (last.tsc - first.tsc);
	out->ticks_per_ns = ((uint64_t)(first.apic - last.apic) << SHIFT) / ns;
	return out->ns_per_tsc && out->ticks_per_ns;
}

static bool moves(const struct reference *r)
{
	uint64_t first = r->read();

	for (unsigned polls = 0; polls < 10000; polls++)
		if (r->read() != first)
			return true;
	return false;
}

static bool agree(uint64_t a, uint64_t b)
{
	return MAX(a, b) - MIN(a, b) <= a / 256;
}

/* Two measurements in a row that agree: a host that takes the CPU away for
 * longer than the reference counts spoils one. */
static bool calibrate(const struct reference *r, struct rates *out)
{
	struct rates before = {0};

	for (unsigned tries = 0; tries < 8; tries++) {
		lapic_timer_start(UINT32_MAX);
		if (!measure(r, out))
			*out = (struct rates){0};
		else if (agree(out->ns_per_tsc, before.ns_per_tsc) &&
			agree(out->ticks_per_ns, before.ticks_per_ns))
			return true;
		before = *out;
	}
	return before.ns_per_tsc != 0;
}

void time_init(void)
{
	uint64_t rate = tsc_rate_from_cpuid();
	struct reference r;
	struct rates rates;

	if (!hpet_open(&r))
		pit_open(&r);
	if (!moves(&r) || !calibrate(&r, &rates)) {
		kprintf("time: no clock to compare with\n");
		r.name = "assumption";
		rates.ns_per_tsc = 1ull << SHIFT;
		rates.ticks_per_ns = (1ull << SHIFT) / 16;
	}
	lapic_timer_start(0);
	ns_per_tsc = rate ? (NS_PER_S << SHIFT) / rate : rates.ns_per_tsc;
	ticks_per_ns = rates.ticks_per_ns;
	tsc_start = read_tsc();
	wall_base = rtc_read_seconds() * NS_PER_S;
	kprintf("time: %llu MHz by %s\n",
		(unsigned long long)((1000ull << SHIFT) / ns_per_tsc),
		rate ? "CPUID" : r.name);
	for (unsigned i = 0; i < MAX_CPUS; i++)
		deadlines[i] = UINT64_MAX;
}

/* The timer counts 32 bits: a far deadline takes several turns. */
static void program(uint64_t deadline, uint64_t now)
{
	uint64_t ns = deadline > now ? deadline - now : 0;
	uint64_t ticks = scale(MIN(ns, 10 * NS_PER_S), ticks_per_ns);

	lapic_timer_start((uint32_t)MIN(MAX(ticks, 1), UINT32_MAX));
}

void clock_next(uint64_t deadline_ns)
{
	deadlines[this_cpu()->id] = deadline_ns;
	if (deadline_ns == UINT64_MAX)
		lapic_timer_start(0);
	else
		program(deadline_ns, time_ns());
}

void clock_interrupt(void)
{
	uint64_t *deadline = &deadlines[this_cpu()->id], now = time_ns();

	if (*deadline == UINT64_MAX)
		return;
	if (now < *deadline) {
		program(*deadline, now);
		return;
	}
	*deadline = UINT64_MAX;
	sched_timer();
}
