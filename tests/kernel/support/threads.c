/* SPDX-License-Identifier: MIT */
/* See threads.h. Apart from the others, because the host's headers and the
 * kernel's do not mix. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
#include "support/threads.h"

/* Where coverage is counted there is no sanitizer to be told of the switch. */
#ifndef __SANITIZE_ADDRESS__
#define __sanitizer_start_switch_fiber(...) ((void)0)
#define __sanitizer_finish_switch_fiber(...) ((void)0)
#endif

/* Not larger: the sanitizer cleans its notes of all of it at each switch. */
#define STACK_SIZE (96u << 10)

struct fiber {
	ucontext_t context;
	void *stack; /* kept for the next run */
	size_t size;
	void *fake; /* the sanitizer's */
	void (*body)(unsigned n);
	unsigned n;
	bool ended;
};

int threads_hold;
bool threads_ever;
void (*threads_resumed)(unsigned self);

static struct fiber fibers[MAX_THREADS + 1]; /* 0: who called threads_run() */
static unsigned count, left, self;
static uint32_t (*dice)(uint32_t below);

unsigned threads_self(void)
{
	return self;
}

void threads_reset(void)
{
	count = left = self = 0;
	threads_hold = 0;
	threads_ever = false;
}

void threads_add(void (*body)(unsigned n), unsigned n)
{
	struct fiber *f = &fibers[++count];

	if (!f->stack)
		f->stack = malloc(STACK_SIZE);
	if (count > MAX_THREADS || !f->stack)
		abort();
	f->size = STACK_SIZE;
	f->body = body;
	f->n = n;
	f->ended = false;
}

static void switch_to(unsigned next)
{
	struct fiber *from = &fibers[self], *to = &fibers[next];

	self = next;
	__sanitizer_start_switch_fiber(
		from->ended ? NULL : &from->fake, to->stack, to->size);
	swapcontext(&from->context, &to->context);
	__sanitizer_finish_switch_fiber(from->fake, NULL, NULL);
	if (self && threads_resumed)
		threads_resumed(self);
}

/* A thread that has not ended, from a random one on; 0: none but this. */
static unsigned another(void)
{
	unsigned at = dice(count);

	for (unsigned i = 0; i < count; i++) {
		unsigned n = 1 + (at + i) % count;

		if (n != self && !fibers[n].ended)
			return n;
	}
	return 0;
}

bool threads_wait(void)
{
	unsigned next = self && !threads_hold ? another() : 0;

	if (next)
		switch_to(next);
	return next;
}

void threads_yield(void)
{
	if (self && !threads_hold && left > 1 && !dice(4))
		(void)threads_wait();
}

static void entry(void)
{
	struct fiber *f = &fibers[self];
	const void *bottom = NULL;
	size_t size = 0;

	__sanitizer_finish_switch_fiber(NULL, &bottom, &size);
	if (!fibers[0].stack) {
		fibers[0].stack = (void *)bottom;
		fibers[0].size = size;
	}
	if (threads_resumed)
		threads_resumed(self);
	f->body(f->n);
	f->ended = true;
	left--;
	switch_to(another());
	abort(); /* nobody comes back here */
}

static void prepare(struct fiber *f)
{
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = f->stack;
	f->context.uc_stack.ss_size = STACK_SIZE;
	f->context.uc_link = NULL;
	makecontext(&f->context, entry, 0);
}

void threads_run(uint32_t (*the_dice)(uint32_t below))
{
	dice = the_dice;
	left = count;
	threads_ever = true;
	fibers[0].stack = NULL; /* the first to start is told */
	for (unsigned i = 1; i <= count; i++)
		prepare(&fibers[i]);
	if (count)
		switch_to(another());
	count = 0;
}
