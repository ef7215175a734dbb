/* SPDX-License-Identifier: MIT */
/*
 * Memory from this process's heap, so that the sanitizer sees every wrong step;
 * locks that check what is allowed with a spinlock held; one process, and
 * nobody to wait for: a wait ends as if a signal had come.
 */
#include "support.h"
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include "cpu/time.h"
#include "fs/fs.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "proc/process.h"
#include "proc/signal.h"
#include "proc/wait.h"

#define FRAMES 16384u

static unsigned spins; /* held now */
static unsigned until_failure;
static struct usage used;

static uint8_t ram[FRAMES][PAGE_SIZE] __attribute__((aligned(4096)));
static struct page frame[FRAMES];
static unsigned free_frames[FRAMES], nfree, never_used;

static struct process current_process;

/* --- locks ---------------------------------------------------------------- */

void spin_init(struct spinlock *l)
{
	l->held = 0;
}

void spin_lock(struct spinlock *l)
{
	assert_false(l->held);
	l->held = 1;
	spins++;
}

void spin_unlock(struct spinlock *l)
{
	assert_true(l->held);
	l->held = 0;
	spins--;
}

void mutex_init(struct mutex *m)
{
	m->owner = NULL;
}

void mutex_lock(struct mutex *m)
{
	assert_false(spins);
	assert_null(m->owner);
	m->owner = (struct thread *)&current_process;
}

void mutex_unlock(struct mutex *m)
{
	assert_non_null(m->owner);
	m->owner = NULL;
}

/* --- memory --------------------------------------------------------------- */

static bool fails(void)
{
	return until_failure && !--until_failure;
}

void fail_allocation(unsigned n)
{
	until_failure = n;
}

struct usage usage_now(void)
{
	return used;
}

void *kmalloc(size_t n)
{
	void *p = fails() ? NULL : malloc(n ? n : 1);

	if (p) {
		memset(p, 0xa5, n);
		used.pieces++;
	}
	return p;
}

void *kzalloc(size_t n)
{
	void *p = kmalloc(n);

	return p ? memset(p, 0, n) : NULL;
}

void kfree(void *p)
{
	used.pieces -= p != NULL;
	free(p);
}

void *page_alloc_dirty(void)
{
	unsigned n;

	if (fails())
		return NULL;
	n = nfree ? free_frames[--nfree] : never_used++;
	assert_true(n < FRAMES);
	ASAN_UNPOISON_MEMORY_REGION(ram[n], PAGE_SIZE);
	frame[n].refs = 1;
	used.frames++;
	return ram[n];
}

void *pages_alloc(unsigned order)
{
	void *p = page_alloc_dirty();

	assert_int_equal(order, 0);
	return p ? memset(p, 0, PAGE_SIZE) : NULL;
}

struct page *page_of(phys_t p)
{
	uint64_t offset = p.v - (uint64_t)ram;

	assert_true(offset < sizeof(ram));
	return &frame[offset / PAGE_SIZE];
}

phys_t page_phys(const struct page *p)
{
	return phys((uint64_t)ram[p - frame]);
}

void page_get(struct page *p)
{
	assert_true(p->refs);
	p->refs++;
}

void page_put(struct page *p)
{
	unsigned n = (unsigned)(p - frame);

	assert_true(p->refs);
	if (--p->refs)
		return;
	ASAN_POISON_MEMORY_REGION(ram[n], PAGE_SIZE);
	free_frames[nfree++] = n;
	used.frames--;
}

void pages_free(void *p, unsigned order)
{
	assert_int_equal(order, 0);
	page_put(page_of(virt_to_phys(p)));
}

struct memory_counts memory_counts(void)
{
	return (struct memory_counts){
		.total = FRAMES,
		.free = FRAMES - (uint64_t)used.frames,
	};
}

/* Of "user" memory there is none: the tests are the kernel. Moving bytes is
 * where a real kernel may sleep. */
ssize_t uio_put(struct uio *u, const void *src, size_t n)
{
	assert_false(spins);
	n = MIN(n, u->left);
	memcpy((void *)u->base, src, n);
	u->base += n;
	u->left -= n;
	return (ssize_t)n;
}

ssize_t uio_get(struct uio *u, void *dst, size_t n)
{
	assert_false(spins);
	n = MIN(n, u->left);
	memcpy(dst, (const void *)u->base, n);
	u->base += n;
	u->left -= n;
	return (ssize_t)n;
}

ssize_t uio_zero(struct uio *u, size_t n)
{
	n = MIN(n, u->left);
	memset((void *)u->base, 0, n);
	u->base += n;
	u->left -= n;
	return (ssize_t)n;
}

ssize_t uio_put_text(struct uio *u, uint64_t *pos, const char *text, size_t n)
{
	ssize_t moved;

	if (*pos >= n)
		return 0;
	moved = uio_put(u, text + *pos, n - *pos);
	*pos += (uint64_t)moved;
	return moved;
}

/* --- the rest of the kernel ----------------------------------------------- */

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

void kprintf(const char *fmt, ...)
{
	(void)fmt;
}

void panic(const char *fmt, ...)
{
	fail_msg("the kernel panicked: %s", fmt);
	abort();
}

uint64_t time_ns(void)
{
	static uint64_t now;

	return ++now;
}

uint64_t time_wall_ns(void)
{
	return time_ns();
}

void waitq_init(struct waitq *q)
{
	(void)q;
}

int wait_on(struct waitq *q, struct spinlock *guard, uint64_t deadline,
	unsigned how)
{
	(void)q, (void)deadline, (void)how;
	assert_true(guard->held);
	assert_int_equal(spins, 1);
	return -ERESTARTSYS;
}

void wake_all(struct waitq *q)
{
	(void)q;
}

void poll_source_init(struct poll_source *s)
{
	(void)s;
}

void poll_source_gone(struct poll_source *s)
{
	(void)s;
}

void epoll_forget(struct file *f)
{
	(void)f;
}

void poll_wake(struct poll_source *s)
{
	(void)s;
}

void poll_register(struct poller *p, struct poll_source *s)
{
	(void)p, (void)s;
}

int signal_process(struct process *p, int signo, const struct signal_info *info)
{
	(void)p, (void)info;
	assert_false(spins);
	assert_int_equal(signo, SIGPIPE);
	return 0;
}

struct process *process_current(void)
{
	return current_process.pid ? &current_process : NULL;
}

void process_begin(void)
{
	current_process.fs = fs_context_create();
	current_process.files = fdtable_create();
	current_process.rlimits[RLIMIT_FSIZE][0] = RLIM_INFINITY;
	current_process.rlimits[RLIMIT_NOFILE][0] = RLIM_INFINITY;
	current_process.pid = 1;
	assert_non_null(current_process.fs);
	assert_non_null(current_process.files);
}

void process_end(void)
{
	fs_context_put(current_process.fs);
	fdtable_put(current_process.files);
	current_process.pid = 0;
}
