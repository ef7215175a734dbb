/* SPDX-License-Identifier: MIT */
/*
 * The jump. Nothing is allocated and no lock taken: those who were stopped may
 * hold any. The next kernel is entered as PVH has it: 32-bit mode, no paging,
 * interrupts off, the start information in ebx.
 */
#include "kexec/local.h"
#include "lib/string.h"

#define PTE_TABLE 3    /* present, writable */
#define PTE_LARGE 0x83 /* and 2 MiB */
#define LOW_MEMORY 0xa0000

extern char kexec_leave_start[];
void kexec_enter(uint64_t control, uint64_t top, uint64_t copies, uint64_t info,
	uint32_t entry) NORETURN;

static uint64_t at(const void *p)
{
	return virt_to_phys(p).v;
}

/* Nothing that anybody reaches lies in what was loaded, nor below 640 KiB. */
static void describe_memory(const struct kexec_loaded *loaded)
{
	struct kexec_control *c = loaded->control;
	const struct boot_range kept[] = {
		{.start = 0, .end = LOW_MEMORY},
		{.start = at(c), .end = at(c) + loaded->frames * PAGE_SIZE},
	};

	c->info.memmap = at(c->memory);
	c->info.memmap_entries = kexec_memory_map(
		c->memory, ARRAY_SIZE(c->memory), kept, ARRAY_SIZE(kept));
}

static void make_tables(struct kexec_control *c)
{
	c->top[0] = at(c->upper) | PTE_TABLE;
	for (unsigned i = 0; i < 4; i++) {
		c->upper[i] = at(c->lower[i]) | PTE_TABLE;
		for (unsigned j = 0; j < 512; j++)
			c->lower[i][j] =
				(i * 512ull + j) * LARGE_PAGE_SIZE | PTE_LARGE;
	}
}

void kexec_jump(const struct kexec_loaded *loaded)
{
	struct kexec_control *c = loaded->control;

	_Static_assert(sizeof(struct kexec_copy) == 32, "jump.S");
	describe_memory(loaded);
	make_tables(c);
	memcpy(c->code, kexec_leave_start, sizeof(c->code));
	kexec_enter(at(c), at(c->top), at(c->copies), at(&c->info),
		loaded->image.entry);
}
