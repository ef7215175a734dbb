/* SPDX-License-Identifier: MIT */
/* See machine.h. Everything that the memory code calls and that is neither
 * memory nor a walker of page tables is here. */
#include "support/files.h"
#include "support/machine.h"
#include "support/ram.h"
#include "support/threads.h"
#include <sanitizer/asan_interface.h>
#include "boot/boot_info.h"
#include "lib/string.h"
#include "mem/pages.h"
#include "mem/shootdown.h"
#include "mem/table.h"
#include "mem/user.h"
#include "mem/watch.h"
#include "proc/sched.h"

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);

struct boot_info boot_info;
struct cpu *cpus[MAX_CPUS];
unsigned cpu_count;
struct cpu_features cpu_features;
uint64_t kernel_cr3;
jmp_buf machine_panic_to;
bool machine_panic_set, flush_pending;
char machine_console[256];
char machine_note[64];
bool machine_keeps_devices;
void (*machine_meanwhile)(void);

__attribute__((weak)) void devices_reset(void);

static struct cpu cpu_memory[TEST_CPUS];
unsigned long long machine_direct_base;
void (*machine_frame_freed)(uint64_t pa);
void (*machine_line_flushed)(uint64_t pa);
static bool booted;
static unsigned running;
static unsigned spins, mutexes; /* held now */
static unsigned fail_at, fail_count;
static bool has_failed;
static struct memory_counts at_start;
static uint64_t expected_lost;

/* Where a process with sanitizers has room. */
#define OWN_BASE 0x200000000000ull

/* ------------------------------------------------------------------- words */

void machine_blame(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fail_msg("%s%s%s", machine_note, *machine_note ? ": " : "", text);
	__builtin_unreachable();
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(machine_console, sizeof(machine_console), fmt, ap);
	va_end(ap);
	if (!machine_panic_set)
		machine_blame("panic: %s", machine_console);
	machine_panic_set = false;
	spins = 0;
	longjmp(machine_panic_to, 1);
}

void kprintf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(machine_console, sizeof(machine_console), fmt, ap);
	va_end(ap);
}

int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	return vsnprintf(buf, size, fmt, ap);
}

int ksnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
	size_t n = strlen(src);

	if (size) {
		size_t part = MIN(n, size - 1);

		memcpy(dst, src, part);
		dst[part] = 0;
	}
	return n;
}

/* ------------------------------------------------------------------- locks */

void interrupts_off(void)
{
	threads_hold++;
	this_cpu()->off_depth++;
}

void interrupts_restore(void)
{
	if (--this_cpu()->off_depth < 0)
		machine_blame("interrupts on that were not off");
	threads_hold--;
}

void spin_init(struct spinlock *l)
{
	l->held = l->cpu = 0;
}

void spin_lock(struct spinlock *l)
{
	if (l->held)
		machine_blame("spinlock taken twice");
	l->held = 1;
	spins++;
	interrupts_off();
}

void spin_unlock(struct spinlock *l)
{
	if (!l->held)
		machine_blame("spinlock given back twice");
	l->held = 0;
	spins--;
	interrupts_restore();
}

bool spin_held(const struct spinlock *l)
{
	return l->held;
}

static void may_sleep(const char *what)
{
	if (spins || this_cpu()->off_depth)
		machine_blame("%s with a spinlock or interrupts off", what);
}

void mutex_init(struct mutex *m)
{
	m->lock.held = 0;
}

/* The thread that runs, as a mutex keeps it; only compared. */
static struct thread *self(void)
{
	return (struct thread *)(uintptr_t)threads_self();
}

#define DEADLOCK 1000000

void mutex_lock(struct mutex *m)
{
	unsigned waited = 0;

	may_sleep("mutex taken");
	threads_yield();
	while (m->lock.held) {
		if (m->owner == self())
			machine_blame("mutex taken twice");
		if (!threads_wait() || ++waited == DEADLOCK)
			machine_blame("waiting for ever for a mutex");
	}
	m->lock.held = 1;
	m->owner = self();
	mutexes++;
}

bool mutex_try(struct mutex *m)
{
	if (m->lock.held)
		return false;
	mutex_lock(m);
	return true;
}

void mutex_unlock(struct mutex *m)
{
	if (!m->lock.held || m->owner != self())
		machine_blame("mutex given back that was not taken");
	m->lock.held = 0;
	mutexes--;
	threads_yield();
}

bool mutex_held(const struct mutex *m)
{
	return m->lock.held && m->owner == self();
}

/* ------------------------------------------------------- CPUs and scheduler */

struct cpu *this_cpu(void)
{
	return &cpu_memory[running];
}

void machine_cpu(unsigned n)
{
	running = n;
}

/* Each thread has a CPU of its own, as far as there are enough. */
static void resumed(unsigned thread)
{
	running = thread % TEST_CPUS;
}

void machine_others(void)
{
	static bool inside;
	unsigned before = running;

	if (machine_meanwhile && !inside) {
		inside = true;
		threads_hold++;
		machine_meanwhile();
		threads_hold--;
		inside = false;
		running = before;
	}
	threads_yield();
}

/* The other CPU answers at once. */
void ipi_send(unsigned cpu, enum ipi what)
{
	unsigned before = this_cpu()->id;

	if (what != IPI_SHOOTDOWN)
		machine_blame("an IPI of kind %d", what);
	flush_pending = true;
	machine_others();
	flush_pending = false;
	machine_cpu(cpu);
	this_cpu()->off_depth++;
	shootdown_interrupt();
	this_cpu()->off_depth--;
	machine_cpu(before);
}

void sched_breathe(void)
{
	may_sleep("sched_breathe()");
	machine_others();
}

void user_access_init(void)
{
}

/* The top-level entries of the kernel: as a device must never see them. */
void kernel_map_copy(pte_t *top)
{
	for (unsigned i = 256; i < 512; i++)
		top[i] = (pte_t){kernel_cr3 | PTE_PRESENT | PTE_WRITE};
}

/* ------------------------------------------------------------------- memory */

bool watch_refuse(void)
{
	if (!fail_at || ++fail_count != fail_at)
		return false;
	has_failed = true;
	return true;
}

void machine_fail(unsigned n)
{
	fail_at = n;
	fail_count = 0;
	has_failed = false;
}

bool machine_failed(void)
{
	return has_failed;
}

/* Where somebody else looks after RAM he may read all of it. */
static void poison(void *p, size_t n)
{
	if (!machine_frame_freed)
		ASAN_POISON_MEMORY_REGION(p, n);
}

void watch_frames_taken(void *p, size_t n)
{
	ASAN_UNPOISON_MEMORY_REGION(p, n);
	memset(p, 0xa5, n); /* page_alloc_dirty() promises nothing */
}

void watch_frames_given(void *p, size_t n)
{
	uint64_t first = virt_to_phys(p).v >> PAGE_SHIFT;

	for (uint64_t i = 0; i < n >> PAGE_SHIFT; i++)
		if (walker_refs[first + i])
			machine_blame("frame %#llx is freed and %u cached "
				      "translations lead to it",
				(unsigned long long)(first + i) << PAGE_SHIFT,
				walker_refs[first + i]);
	ASAN_UNPOISON_MEMORY_REGION(p, n); /* a slab's free pieces */
	for (uint64_t i = 0; machine_frame_freed && i < n; i += PAGE_SIZE)
		machine_frame_freed((first << PAGE_SHIFT) + i);
	poison(p, n);
}

void watch_piece_taken(void *p, size_t n)
{
	ASAN_UNPOISON_MEMORY_REGION(p, n);
	memset(p, 0xa5, n);
}

/* The first word stays usable: the heap links free pieces through it. */
void watch_piece_given(void *p, size_t n)
{
	ASAN_UNPOISON_MEMORY_REGION(p, sizeof(void *));
	poison((char *)p + sizeof(void *), n - sizeof(void *));
}

/* An empty slab of each size stays in the heap for ever: make it now, so that
 * the count of free frames returns exactly. */
static void warm_heap(void)
{
	for (size_t n = 16; n <= 2016; n += 16)
		kfree(kmalloc(n));
}

/* Tables that every top-level entry of the kernel leads to: a device that sees
 * one of those reaches memory at every address there. */
static void make_kernel_half(void)
{
	pte_t *third = page_alloc(), *second = page_alloc();

	for (unsigned i = 0; i < 512; i++) {
		third[i] =
			pte_make(virt_to_phys(second), PTE_PRESENT | PTE_WRITE);
		second[i] = pte_make(phys(LARGE_PAGE_SIZE),
			PTE_PRESENT | PTE_WRITE | PTE_LARGE);
	}
	kernel_cr3 = virt_to_phys(third).v;
}

bool boot_says(const char *name, const char *value)
{
	(void)value;
	return machine_keeps_devices && !strcmp(name, "takeover");
}

void machine_boot(uint64_t direct_base, uint64_t size)
{
	machine_direct_base = direct_base;
	ASAN_UNPOISON_MEMORY_REGION((char *)direct_base + RAM_START, size);
	booted = true;
	boot_info.nranges = 1;
	boot_info.ranges[0] = (struct boot_range){
		RAM_START, RAM_START + size, .usable = true};
	cpu_count = TEST_CPUS;
	cpu_features.clflush_size = 64;
	for (unsigned i = 0; i < TEST_CPUS; i++) {
		cpu_memory[i].id = i;
		cpus[i] = &cpu_memory[i];
	}
	pages_init();
	heap_init();
	make_kernel_half();
	space_init();
	warm_heap();
}

void machine_shut(uint64_t size)
{
	ASAN_UNPOISON_MEMORY_REGION(phys_to_virt(phys(RAM_START)), size);
	booted = false;
}

int machine_start(void **state)
{
	(void)state;
	if (!booted) {
		ram_map(OWN_BASE + RAM_START, RAM_SIZE);
		machine_boot(OWN_BASE, RAM_SIZE);
	}
	for (unsigned i = 0; i < TEST_CPUS; i++) {
		cpu_memory[i].space = cpu_memory[i].next_space = NULL;
		cpu_memory[i].off_depth = 0;
	}
	machine_note[0] = 0;
	running = spins = mutexes = 0;
	threads_reset();
	threads_resumed = resumed;
	space_init(); /* its locks, should a failed test have left them */
	machine_meanwhile = NULL;
	machine_fail(0);
	files_open = 0;
	walker_reset();
	if (devices_reset)
		devices_reset();
	user_top = 0x800000000000ull;
	expected_lost = 0;
	at_start = memory_counts();
	return 0;
}

uint64_t machine_missing(void)
{
	return at_start.free - memory_counts().free - expected_lost;
}

void machine_expect_lost(uint64_t frames)
{
	expected_lost += frames;
}

int machine_stop(void **state)
{
	uint64_t lost = memory_counts().quarantined - at_start.quarantined;

	(void)state;
	machine_meanwhile = NULL;
	if (spins || mutexes || this_cpu()->off_depth)
		machine_blame("a lock is held at the end");
	for (unsigned i = 0; i < TEST_CPUS; i++)
		if (cpus[i]->space)
			machine_blame("CPU %u is still in a space", i);
	if (lost != expected_lost)
		machine_blame("%llu frames quarantined, not %llu",
			(unsigned long long)lost,
			(unsigned long long)expected_lost);
	if (machine_missing())
		machine_blame("%lld frames are missing",
			(long long)machine_missing());
	return 0;
}
