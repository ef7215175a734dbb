/* SPDX-License-Identifier: MIT */
/*
 * Signal frames on the user's stack, laid out as the Linux x86-64 ABI has them
 * (struct rt_sigframe), and the way back. Everything that comes back is the
 * program's: only what user mode could have set by itself is taken over.
 */
#include "cpu/trap.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/user.h"
#include "proc/handlers.h"
#include "proc/thread.h"

#define RED_ZONE 128
#define FLAG_TF 0x100
#define FLAG_DF 0x400
#define FLAG_RF 0x10000
#define FLAGS_OF_USERS 0x240dd5ull /* CF PF AF ZF SF TF DF OF AC ID */
#define FLAG_IF 0x200

#define SS_ONSTACK 1
#define SS_DISABLE 2
#define SS_AUTODISARM (1u << 31)

struct mcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trapno, oldmask, cr2;
	uint64_t fpu; /* address of the FXSAVE image */
	uint64_t reserved[8];
};

struct ucontext {
	uint64_t flags, link;
	struct altstack stack;
	struct mcontext regs;
	uint64_t mask;
};

struct signal_frame {
	uint64_t return_to; /* the restorer */
	struct ucontext context;
	uint8_t info[128];
};

_Static_assert(sizeof(struct altstack) == 24, "");
_Static_assert(sizeof(struct mcontext) == 256, "");
_Static_assert(sizeof(struct signal_frame) == 8 + 304 + 128, "");

static void put32(uint8_t *at, uint32_t v)
{
	memcpy(at, &v, sizeof(v));
}

static void put64(uint8_t *at, uint64_t v)
{
	memcpy(at, &v, sizeof(v));
}

void signal_info_encode(const struct signal_info *info, uint8_t out[128])
{
	memset(out, 0, 128);
	put32(out, info->signo);
	put32(out + 8, info->code);
	switch (info->signo) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGTRAP:
		if (info->code > 0) {
			put64(out + 16, info->addr);
			return;
		}
	}
	put32(out + 16, info->pid);
	put32(out + 20, info->uid);
	if (info->signo == SIGCHLD && info->code > 0)
		put32(out + 24, info->status);
	else
		put64(out + 24, info->value);
}

static void save_registers(struct mcontext *m, const struct trap_frame *f,
	uint64_t mask, const struct signal_info *info)
{
	m->r8 = f->r8;
	m->r9 = f->r9;
	m->r10 = f->r10;
	m->r11 = f->r11;
	m->r12 = f->r12;
	m->r13 = f->r13;
	m->r14 = f->r14;
	m->r15 = f->r15;
	m->rdi = f->rdi;
	m->rsi = f->rsi;
	m->rbp = f->rbp;
	m->rbx = f->rbx;
	m->rdx = f->rdx;
	m->rax = f->rax;
	m->rcx = f->rcx;
	m->rsp = f->rsp;
	m->rip = f->rip;
	m->rflags = f->rflags;
	m->cs = SEL_USER_CODE;
	m->ss = SEL_USER_DATA;
	m->oldmask = mask;
	if (f->vector < 32) {
		m->trapno = f->vector;
		m->error = f->error & UINT32_MAX;
		m->cr2 = info->addr;
	}
}

static void load_registers(struct trap_frame *f, const struct mcontext *m)
{
	f->r8 = m->r8;
	f->r9 = m->r9;
	f->r10 = m->r10;
	f->r11 = m->r11;
	f->r12 = m->r12;
	f->r13 = m->r13;
	f->r14 = m->r14;
	f->r15 = m->r15;
	f->rdi = m->rdi;
	f->rsi = m->rsi;
	f->rbp = m->rbp;
	f->rbx = m->rbx;
	f->rdx = m->rdx;
	f->rax = m->rax;
	f->rcx = m->rcx;
	f->rsp = m->rsp;
	f->rip = m->rip;
	f->rflags = (m->rflags & FLAGS_OF_USERS) | FLAG_IF;
	f->cs = SEL_USER_CODE;
	f->ss = SEL_USER_DATA;
}

static bool on_altstack(const struct altstack *s, uint64_t sp)
{
	return !(s->flags & SS_AUTODISARM) && sp - s->base <= s->size &&
		sp != s->base;
}

/* Where the handler's stack starts. */
static uint64_t stack_for(struct thread *t, uint64_t sp, uint64_t flags)
{
	const struct altstack *s = &t->altstack;

	if (flags & SA_ONSTACK && s->size && !on_altstack(s, sp))
		return s->base + s->size;
	return sp - RED_ZONE;
}

bool signal_frame_push(struct trap_frame *f, int signo,
	const struct signal_info *info, const struct signal_action *action,
	uint64_t mask)
{
	struct thread *t = thread_current();
	uint8_t fpu[512] __attribute__((aligned(16))) = {0};
	struct signal_frame frame = {.return_to = action->restorer};
	uint64_t sp = stack_for(t, f->rsp, action->flags);
	uint64_t fpu_at = ALIGN_DOWN(sp - sizeof(fpu), 64);
	uint64_t at = ALIGN_DOWN(fpu_at - sizeof(frame), 16) - 8;

	if (!(action->flags & SA_RESTORER))
		return false;
	fpu_save_current(fpu);
	frame.context.stack = t->altstack;
	if (!t->altstack.size)
		frame.context.stack.flags = SS_DISABLE;
	frame.context.mask = mask;
	frame.context.regs.fpu = fpu_at;
	save_registers(&frame.context.regs, f, mask, info);
	signal_info_encode(info, frame.info);
	if (copy_to_user(fpu_at, fpu, sizeof(fpu)) ||
		copy_to_user(at, &frame, sizeof(frame)))
		return false;

	if (t->altstack.flags & SS_AUTODISARM)
		memset(&t->altstack, 0, sizeof(t->altstack));
	f->rdi = signo;
	f->rsi = at + offsetof(struct signal_frame, info);
	f->rdx = at + offsetof(struct signal_frame, context);
	f->rax = 0;
	f->rsp = at;
	f->rip = action->handler;
	f->rflags &= ~(uint64_t)(FLAG_DF | FLAG_TF | FLAG_RF);
	return true;
}

bool signal_frame_pop(struct trap_frame *f)
{
	struct thread *t = thread_current();
	uint8_t fpu[512] __attribute__((aligned(16)));
	struct ucontext context;

	/* The handler's return took the restorer's address off the stack. */
	if (copy_from_user(&context,
		    f->rsp - 8 + offsetof(struct signal_frame, context),
		    sizeof(context)))
		return false;
	if (context.regs.fpu) {
		if (copy_from_user(fpu, context.regs.fpu, sizeof(fpu)))
			return false;
		fpu_load_current(fpu);
	} else {
		fpu_reset_current();
	}
	load_registers(f, &context.regs);
	signal_set_mask(context.mask);
	if (!(context.stack.flags & SS_DISABLE)) {
		t->altstack = context.stack;
		t->altstack.flags &= SS_AUTODISARM;
	}
	return true;
}
