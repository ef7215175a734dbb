/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of processes: which ranges are mapped to what (regions), the
 * page tables that the CPU and attached devices share, and the rules that keep
 * both in step.
 *
 * A space is counted: each process that runs in it holds one count (vfork and
 * CLONE_VM share). The last space_put() takes devices away first, then frees
 * the memory. All functions lock the space (a mutex) themselves.
 */
#ifndef MEM_SPACE_H
#define MEM_SPACE_H

#include "lib/types.h"

struct space;
struct file;
struct page;
struct process;

/* End of ordinary user memory, exclusive: 2^47, or 2^39 where a unit of the
 * machine translates only 39 bits. Set before the first process. Device
 * registers are mapped in a window of their own (mem/table.h), which no device
 * sees and which may lie above it. */
extern uint64_t user_top;

/* End of everything that user mode can address, registers included. */
#define USER_END 0x800000000000ull

void space_init(void); /* boot, after heap_init() */

struct space *space_create(void); /* NULL: out of memory */
void space_get(struct space *s);
void space_put(struct space *s);

/* Load its page tables on this CPU (scheduler; interrupts off). NULL: none. */
void space_switch(struct space *s);

/* A copy for fork: private pages become copy-on-write, or are copied at once
 * where a device is attached to the parent. */
MUST_CHECK int space_fork(struct space *parent, struct space **out);

/* mmap(2): Linux values of prot and flags. Returns the address or -errno. The
 * file is counted by the mapping. */
int64_t space_mmap(struct space *s, uint64_t addr, uint64_t len, int prot,
	int flags, struct file *f, uint64_t offset);
MUST_CHECK int space_munmap(struct space *s, uint64_t addr, uint64_t len);
MUST_CHECK int space_mprotect(
	struct space *s, uint64_t addr, uint64_t len, int prot);
int64_t space_mremap(struct space *s, uint64_t addr, uint64_t old_len,
	uint64_t new_len, int flags, uint64_t new_addr);
MUST_CHECK int space_madvise(
	struct space *s, uint64_t addr, uint64_t len, int advice);
MUST_CHECK int space_mincore(
	struct space *s, uint64_t addr, uint64_t len, uint8_t *vec);

/* The program break: start is set by exec, space_brk(0) asks. Returns the new
 * break, or the old one when it cannot be. */
void space_set_brk(struct space *s, uint64_t start);
uint64_t space_brk(struct space *s, uint64_t brk);

/* Resolve a page fault (any context with interrupts on and no spinlock; `error`
 * as the CPU pushed it). 0: retry the access. -EFAULT: nothing there, -EACCES:
 * not allowed, -ENOMEM, -ENXIO: beyond the end of the file (SIGBUS). Kernel
 * addresses give -EFAULT. */
MUST_CHECK int space_fault(struct space *s, uint64_t addr, uint64_t error);

/* Read or write another process's memory (ps, fault reports). Bytes moved. */
size_t space_read(struct space *s, uint64_t addr, void *dst, size_t n);

/* What a word of memory is to everyone who shares it: an object and an offset
 * in it. For private memory the space itself and the address. */
void space_identify(struct space *s, uint64_t addr, uintptr_t *out_object,
	uint64_t *out_offset);

/* Take device registers away from whoever mapped them: every mapping of [base,
 * base+size) in every space is unmapped; later access gives SIGBUS. Returns
 * when no CPU can reach them. */
void space_revoke_device(uint64_t base, uint64_t size);

/* Pages mapped now, and bytes of all regions. */
uint64_t space_resident(struct space *s);
uint64_t space_size(struct space *s);

/* One line per region, as /proc/PID/maps has it. */
struct text;
void space_maps(struct space *s, struct text *t);

/* PROT_ and MAP_ of the Linux ABI. */
#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_SHARED 0x01
#define MAP_PRIVATE 0x02
#define MAP_TYPE 0x0f
#define MAP_FIXED 0x10
#define MAP_ANONYMOUS 0x20
#define MAP_32BIT 0x40
#define MAP_GROWSDOWN 0x100
#define MAP_NORESERVE 0x4000
#define MAP_POPULATE 0x8000
#define MAP_STACK 0x20000
#define MAP_HUGETLB 0x40000
#define MAP_FIXED_NOREPLACE 0x100000
#define MREMAP_MAYMOVE 1
#define MREMAP_FIXED 2
#define MADV_DONTNEED 4
/* Advice that may be taken or left, by bits: normal, random, sequential,
 * will-need, free; child-inherits; merging and huge pages; dumping; cold and
 * page out. The rest promises something that is not done here. */
#define MADV_HINTS 0x33f90full

#endif
