/* SPDX-License-Identifier: MIT */
/*
 * Sees every single store of the driver to a table that a unit walks.
 *
 * Such pages are write-protected in the driver's mapping. A store faults; the
 * handler opens the page, sets the CPU's trap flag and lets the one
 * instruction run; the trap that follows closes the page again and shows the
 * judge what changed. An instruction is the unit of observation: a 16-byte
 * compare-and-exchange is one change, two 8-byte stores are two, and the
 * model may walk in between.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "internal.h"

#if defined(__x86_64__) && defined(__linux__)
#include <ucontext.h>

#define OPEN_MAX_PAGES 4
#define TRAP_FLAG 0x100

static struct model *machines;
static struct sigaction old_segv, old_trap;
static __thread struct {
	struct model *m;
	struct page *p;
} opened[OPEN_MAX_PAGES];
static __thread unsigned opened_count;

static void *driver_page(struct model *m, struct page *p)
{
	return m->ram + ((size_t)(p - m->page) << SHIFT);
}

static uint64_t page_address(struct model *m, struct page *p)
{
	return m->ram_base + ((uint64_t)(p - m->page) << SHIFT);
}

/* ---- what a store means ------------------------------------------------- */

/* Root, context and interrupt entries are 16 bytes. */
static void check_wide(struct model *m, struct page *p, const uint64_t was[2],
	const uint64_t is[2], uint64_t pa)
{
	static const char *const names[] = {
		"", "root", "context", "", "interrupt"};
	struct unit *u = &m->unit[p->unit];

	/* A change within the low half is one store and atomic by itself. */
	if (!(was[0] & ENTRY_P) || was[0] != is[0])
		return;
	/* Bits 70:67 of a context entry are software's own. */
	if (p->role == ROLE_CONTEXT && !((was[1] ^ is[1]) & ~MASK(6, 3)))
		return;
	blame(m, u, MODEL_V_CHANGE, "6.2.1",
		"%s entry at %#llx changed half while present", names[p->role],
		(unsigned long long)pa);
}

/* Whether a table says the same as the large page, so that it does not matter
 * which of the two the unit uses. */
static bool same_translation(
	struct model *m, uint64_t large, uint64_t table, unsigned level)
{
	const uint64_t address = MASK(51, 12), meaning = SS_R | SS_W | SS_SNP;
	const uint64_t span = span_of(level - 1);

	table &= address;
	if (!ram_has(m, table, MODEL_PAGE))
		return false;
	for (unsigned i = 0; i < 512; i++) {
		uint64_t raw = ram_read64(m, table + i * 8);

		if ((raw & address) != (large & address) + i * span ||
			((raw ^ large) & meaning) ||
			(level > 2 && !(raw & SS_PS)))
			return false;
	}
	return true;
}

static void check_table(
	struct model *m, struct page *p, uint64_t was, uint64_t is, uint64_t pa)
{
	struct unit *u = &m->unit[p->unit];
	bool both = (was & (SS_R | SS_W)) && (is & (SS_R | SS_W));

	if (both && p->level > 1 && ((was ^ is) & SS_PS) &&
		!same_translation(m, was & SS_PS ? was : is,
			was & SS_PS ? is : was, p->level))
		blame(m, u, MODEL_V_CHANGE, "6.5.3.3",
			"page size changed in one step at %#llx (level %u)",
			(unsigned long long)pa, p->level);
}

static void look(struct model *m, struct page *p)
{
	uint64_t base = page_address(m, p);
	uint64_t now[512], *was = (uint64_t *)p->copy;

	memcpy(now, ram_at(m, base), sizeof now);
	for (unsigned i = 0; i < 512; i++) {
		uint64_t pa = base + i * 8ull;
		unsigned k = i & ~1u;

		if (now[i] == was[i])
			continue;
		if (p->role == ROLE_TABLE)
			check_table(m, p, was[i], now[i], pa);
		else
			check_wide(m, p, &was[k], &now[k], base + k * 8ull);
	}
	if (m->flags & MODEL_EAGER)
		for (unsigned i = 0; i < 512; i++) {
			if (now[i] == was[i])
				continue;
			for (unsigned n = 0; n < m->units; n++)
				prefetch_entry(&m->unit[n], p, base + i * 8ull);
		}
	memcpy(p->copy, now, sizeof now);
}

/* ---- signals ------------------------------------------------------------ */

static void pass_on(
	const struct sigaction *old, int sig, siginfo_t *info, void *context)
{
	if (old->sa_flags & SA_SIGINFO)
		old->sa_sigaction(sig, info, context);
	else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN)
		old->sa_handler(sig);
	else
		signal(sig, SIG_DFL);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uint8_t *at = info->si_addr;

	for (struct model *m = machines; m; m = m->watch_next) {
		struct page *p;

		if (at < m->ram || (size_t)(at - m->ram) >= m->ram_size)
			continue;
		p = &m->page[(size_t)(at - m->ram) >> SHIFT];
		if (!p->watched || opened_count == OPEN_MAX_PAGES)
			break;
		mprotect(driver_page(m, p), MODEL_PAGE, PROT_READ | PROT_WRITE);
		opened[opened_count].m = m;
		opened[opened_count++].p = p;
		uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
		return;
	}
	pass_on(&old_segv, sig, info, context);
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	unsigned n = opened_count;

	if (!n) {
		pass_on(&old_trap, sig, info, context);
		return;
	}
	uc->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	opened_count = 0;
	for (unsigned i = 0; i < n; i++) {
		struct model *m = opened[i].m;
		struct page *p = opened[i].p;

		enter(m);
		if (p->watched) {
			mprotect(driver_page(m, p), MODEL_PAGE, PROT_READ);
			look(m, p);
		}
		leave(m);
	}
}

bool watch_init(struct model *m)
{
	struct sigaction sa = {.sa_flags = SA_SIGINFO | SA_NODEFER};

	if (!machines) {
		sa.sa_sigaction = on_fault;
		sigaction(SIGSEGV, &sa, &old_segv);
		sa.sa_sigaction = on_trap;
		sigaction(SIGTRAP, &sa, &old_trap);
	}
	m->watch_next = machines;
	machines = m;
	return true;
}

void watch_exit(struct model *m)
{
	struct model **link = &machines;

	while (*link && *link != m)
		link = &(*link)->watch_next;
	if (*link)
		*link = m->watch_next;
	if (!machines) {
		sigaction(SIGSEGV, &old_segv, NULL);
		sigaction(SIGTRAP, &old_trap, NULL);
	}
}

void watch_page(struct model *m, struct page *p)
{
	if (!p->copy)
		p->copy = needed(malloc(MODEL_PAGE));
	memcpy(p->copy, ram_at(m, page_address(m, p)), MODEL_PAGE);
	p->watched = true;
	mprotect(driver_page(m, p), MODEL_PAGE, PROT_READ);
}

void unwatch_page(struct model *m, struct page *p)
{
	p->watched = false;
	watch_again(m, p);
}

void watch_again(struct model *m, struct page *p)
{
	mprotect(driver_page(m, p), MODEL_PAGE,
		p->watched ? PROT_READ : PROT_READ | PROT_WRITE);
}

#else

bool watch_init(struct model *m)
{
	(void)m;
	return false;
}

void watch_exit(struct model *m)
{
	(void)m;
}

void watch_page(struct model *m, struct page *p)
{
	(void)m;
	(void)p;
}

void unwatch_page(struct model *m, struct page *p)
{
	(void)m;
	(void)p;
}

void watch_again(struct model *m, struct page *p)
{
	(void)m;
	(void)p;
}

#endif
