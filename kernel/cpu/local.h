/* SPDX-License-Identifier: MIT */
/* What the files of this room share with each other and with boot/main.c. */
#ifndef CPU_LOCAL_H
#define CPU_LOCAL_H

#include "lib/types.h"

struct cpu;
struct trap_frame;

/* Vectors above those of irq_alloc(). */
#define VECTOR_FIRST_DEVICE 48 /* below: spurious interrupts of the 8259s */
#define VECTOR_LAST_DEVICE 239
#define VECTOR_TIMER 0xf0
#define VECTOR_RESCHEDULE 0xf1
#define VECTOR_SHOOTDOWN 0xf2
#define VECTOR_STOP 0xf3
#define VECTOR_SPURIOUS 0xff

/* In order of boot. The first makes this_cpu() work on the boot CPU. */
void cpu_boot_init(void);
void cpu_early(void);
void pic_mask(void);
void lapic_init(void);
void ioapic_init(void);
void time_init(void);
void smp_start(void);

/* Descriptor tables, control registers and system-call entry of this CPU. */
void cpu_init_this(struct cpu *c);

/* A struct cpu with its stacks; NULL: out of memory. */
struct cpu *cpu_create(unsigned id, uint32_t apic_id);
void cpu_destroy(struct cpu *c);

/* Local APIC of this CPU. */
void lapic_enable_this(void);
uint32_t lapic_id(void);
void lapic_eoi(void);

/* For vectors that come without a request as a rule (SDM 3A 10.9), and with one
 * when the owner of a device forges them. */
void lapic_eoi_if_real(unsigned vector);
void lapic_timer_start(uint32_t count); /* 0: stop */
uint32_t lapic_timer_now(void);

/* Interrupt command: the low half as in the SDM, 10.6.1. */
#define ICR_NMI 0x400
#define ICR_INIT 0x500
#define ICR_STARTUP 0x600
#define ICR_ASSERT 0x4000
#define ICR_ALL_OTHERS 0xc0000
void lapic_command(uint32_t apic_id, uint32_t low);

/* Interrupt handlers called from trap.c. */
void irq_dispatch(unsigned vector);
void clock_interrupt(void);
void stop_this_cpu(void) NORETURN;

/* All other CPUs stop for good, also those that have interrupts off; waits a
 * bounded time. Interrupts off. */
void stop_other_cpus(void);
extern volatile bool cpus_stopping;

/* Panic with the registers of a trap. */
void panic_trap(const struct trap_frame *f, const char *why) NORETURN;

uint64_t rtc_read_seconds(void); /* since 1970; 0: no clock */

#endif
