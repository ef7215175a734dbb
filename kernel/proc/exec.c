/* SPDX-License-Identifier: MIT */
/*
 * exec: a new program in an old process.
 *
 * Everything that can fail is done on the side first: the file is read, the new
 * address space is made, and strings are copied. Then the other threads of the
 * process end (the point of no return), the new space takes the old one's
 * place, and the old one goes, with its devices. What fails after that ends the
 * process.
 */
#include "cpu/cpu.h"
#include "cpu/io.h"
#include "cpu/trap.h"
#include "fs/file.h"
#include "fs/fs.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "mem/space.h"
#include "proc/args.h"
#include "proc/elf.h"
#include "proc/exec.h"
#include "proc/exit.h"
#include "proc/handlers.h"
#include "proc/itimer.h"
#include "proc/table.h"
#include "proc/thread.h"
#include "proc/wait.h"

#define STACK_SIZE (8ull << 20)
#define SCRIPT_DEPTH 4
#define SCRIPT_LINE 256
#define FLAG_IF 0x200

#define AT_PHDR 3
#define AT_PHENT 4
#define AT_PHNUM 5
#define AT_PAGESZ 6
#define AT_BASE 7
#define AT_FLAGS 8
#define AT_ENTRY 9
#define AT_UID 11
#define AT_EUID 12
#define AT_GID 13
#define AT_EGID 14
#define AT_HWCAP 16
#define AT_CLKTCK 17
#define AT_SECURE 23
#define AT_HWCAP2 26
#define AT_MINSIGSTKSZ 51
#define MIN_SIGNAL_STACK 2048

/* A program being loaded. */
struct program {
	struct file *file;        /* counted */
	struct file *loader_file; /* PT_INTERP, counted; NULL: none */
	struct elf elf, loader;
	uint64_t bias, loader_bias;
	struct space *space;
	struct signal_handlers *handlers; /* own copy, not yet the process's */
};

/* --- finding out what to run ------------------------------------------- */

/* "#!INTERPRETER [ARGUMENT]": 0, or -ENOEXEC. */
static int parse_script(char *line, char **out_interpreter, char **out_argument)
{
	char *at = line + 2, *end = strchr(line, '\n');

	if (!end)
		return -ENOEXEC;
	*end = 0;
	while (end > at &&
		(end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		*--end = 0;
	while (*at == ' ' || *at == '\t')
		at++;
	if (!*at)
		return -ENOEXEC;
	*out_interpreter = at;
	*out_argument = NULL;
	while (*at && *at != ' ' && *at != '\t')
		at++;
	if (!*at)
		return 0;
	*at++ = 0;
	while (*at == ' ' || *at == '\t')
		at++;
	*out_argument = at;
	return 0;
}

static int check_file(struct file *f)
{
	struct stat_info st;
	int err = inode_stat(f->inode, &st);

	if (err)
		return err;
	if ((st.mode & S_IFMT) != S_IFREG || !(st.mode & 0111))
		return -EACCES;
	return 0;
}

/* Follow "#!" lines until a program is found; *file is replaced. */
static int resolve_scripts(
	struct file **file, const char *path, struct exec_args *args)
{
	char name[SCRIPT_LINE];

	for (int depth = 0;; depth++) {
		char line[SCRIPT_LINE + 1] = {0}, *interpreter, *argument;
		struct file *next;
		int err = check_file(*file);
		ssize_t n;

		if (err)
			return err;
		n = file_read_kernel(*file, line, SCRIPT_LINE, 0);
		if (n < 0)
			return n;
		if (line[0] != '#' || line[1] != '!')
			return 0;
		if (depth == SCRIPT_DEPTH)
			return -ELOOP;
		err = parse_script(line, &interpreter, &argument);
		if (!err)
			err = exec_args_push_script(
				args, interpreter, argument, path);
		if (!err)
			err = fs_open(
				AT_FDCWD, interpreter, OPEN_PROGRAM, 0, &next);
		if (err)
			return err;
		file_put(*file);
		*file = next;
		strlcpy(name, interpreter, sizeof(name));
		path = name;
	}
}

/* --- loading ----------------------------------------------------------- */

static int map_relocatable(const struct elf *e, struct file *f, struct space *s,
	uint64_t hint, uint64_t *out_bias)
{
	int64_t at = space_mmap(s, hint, e->end - e->start, 0,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, NULL, 0);

	if (at < 0)
		return at;
	*out_bias = at - e->start;
	return elf_map(e, f, s, *out_bias);
}

static int load(struct program *p)
{
	uint64_t third = ALIGN_DOWN(user_top / 3, PAGE_SIZE);
	int64_t stack;
	int err;

	if (p->elf.relocatable)
		err = map_relocatable(
			&p->elf, p->file, p->space, 2 * third, &p->bias);
	else
		err = elf_map(&p->elf, p->file, p->space, 0);
	if (!err && p->loader_file)
		err = map_relocatable(&p->loader, p->loader_file, p->space, 0,
			&p->loader_bias);
	if (err)
		return err;
	stack = space_mmap(p->space, user_top - PAGE_SIZE - STACK_SIZE,
		STACK_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN |
			MAP_STACK | MAP_NORESERVE,
		NULL, 0);
	if (stack < 0)
		return stack;
	space_set_brk(p->space, p->elf.end + p->bias);
	return 0;
}

static int read_program(struct program *p)
{
	int err = elf_read(p->file, &p->elf);

	if (err || !p->elf.interpreter[0])
		return err;
	err = fs_open(
		AT_FDCWD, p->elf.interpreter, OPEN_PROGRAM, 0, &p->loader_file);
	if (!err)
		err = check_file(p->loader_file);
	if (!err)
		err = elf_read(p->loader_file, &p->loader);
	if (!err && !p->loader.relocatable)
		err = -ENOEXEC;
	return err;
}

void program_put(struct inode *node)
{
	if (!node)
		return;
	__atomic_sub_fetch(&node->programs, 1, __ATOMIC_RELAXED);
	inode_put(node);
}

static void program_free(struct program *p)
{
	if (p->file)
		file_put(p->file);
	if (p->loader_file)
		file_put(p->loader_file);
	if (p->space)
		space_put(p->space);
	handlers_put(p->handlers);
	kfree(p);
}

/* --- the point of no return -------------------------------------------- */

/* The running thread becomes the only one. -EINTR: it is to die itself. */
static int end_other_threads(struct thread *t)
{
	struct process *p = t->process;
	struct thread *other;
	int err = 0;

	spin_lock(&p->lock);
	if (p->exiting || p->exec_thread || t->killed) {
		spin_unlock(&p->lock);
		return -EINTR;
	}
	p->exec_thread = t;
	list_for_each (other, &p->threads, siblings)
		if (other != t) {
			other->killed = true;
			sched_interrupt(other, true);
		}
	wake_all(&p->stop_event);
	while (p->nthreads > 1 && !t->killed)
		wait_on(&p->thread_event, &p->lock, WAIT_FOREVER,
			WAIT_KILLABLE);
	p->exec_thread = NULL;
	if (t->killed)
		err = -EINTR;
	spin_unlock(&p->lock);
	return err;
}

static void take_pid(struct thread *t)
{
	spin_lock(&process_table_lock);
	if (t->tid != t->process->pid) {
		list_remove(&t->hash);
		__pid_put(t->tid);
		t->tid = t->process->pid;
		__thread_hash(t);
	}
	spin_unlock(&process_table_lock);
}

static void set_program(struct process *p, struct inode *node)
{
	struct inode *old;

	inode_get(node);
	__atomic_add_fetch(&node->programs, 1, __ATOMIC_RELAXED);
	spin_lock(&p->lock);
	old = p->program;
	p->program = node;
	spin_unlock(&p->lock);
	program_put(old);
}

static void name_process(struct process *p, struct file *f, const char *path)
{
	const char *slash = strrchr(path, '/');

	spin_lock(&p->lock);
	strlcpy(p->name, slash ? slash + 1 : path, sizeof(p->name));
	strlcpy(p->exe, f->path ? f->path : path, sizeof(p->exe));
	spin_unlock(&p->lock);
}

static void enter_space(struct thread *t, struct program *program)
{
	struct process *p = t->process;
	struct space *old;
	struct signal_handlers *old_handlers;

	spin_lock(&p->lock);
	old = p->space;
	p->space = program->space;
	program->space = NULL;
	old_handlers = p->handlers;
	p->handlers = program->handlers;
	program->handlers = NULL;
	p->did_exec = true;
	spin_unlock(&p->lock);
	interrupts_off();
	t->space = p->space;
	space_switch(p->space);
	interrupts_restore();
	handlers_put(old_handlers);
	if (old)
		space_put(old);
}

static void reset_thread(struct thread *t)
{
	memset(&t->altstack, 0, sizeof(t->altstack));
	t->clear_tid = 0;
	t->restartable = false;
	thread_set_bases(t, 0, 0);
	fpu_reset_current();
}

/* Let the thread start at the entry when it goes to user mode. */
static void set_frame(struct trap_frame *f, uint64_t entry, uint64_t sp)
{
	memset(f, 0, sizeof(*f));
	f->rip = entry;
	f->rsp = sp;
	f->cs = SEL_USER_CODE;
	f->ss = SEL_USER_DATA;
	f->rflags = FLAG_IF;
}

static int build_stack(struct program *program, const char *path,
	const struct exec_args *args, uint64_t *out_sp)
{
	const struct elf *e = &program->elf;
	struct process *p = process_current();
	uint64_t table = e->table ? e->table + program->bias : 0;
	struct auxv aux[] = {
		{AT_HWCAP, cpuid(1, 0).edx},
		{AT_PAGESZ, PAGE_SIZE},
		{AT_CLKTCK, 100},
		{AT_PHDR, table},
		{AT_PHENT, 56},
		{AT_PHNUM, table ? e->table_count : 0},
		{AT_BASE,
			program->loader_file
				? program->loader.start + program->loader_bias
				: 0},
		{AT_FLAGS, 0},
		{AT_ENTRY, e->entry + program->bias},
		{AT_UID, 0},
		{AT_EUID, 0},
		{AT_GID, 0},
		{AT_EGID, 0},
		{AT_SECURE, 0},
		{AT_HWCAP2, 0},
		{AT_MINSIGSTKSZ, MIN_SIGNAL_STACK},
	};
	struct stack_layout layout;
	int err = elf_zero_tails(e, program->bias);

	if (!err && program->loader_file)
		err = elf_zero_tails(&program->loader, program->loader_bias);
	if (!err)
		err = exec_args_write(args, user_top - PAGE_SIZE, path, aux,
			ARRAY_SIZE(aux), &layout);
	if (err)
		return err;
	spin_lock(&p->lock);
	p->arg_start = layout.arg_start;
	p->arg_end = layout.arg_end;
	p->env_start = layout.env_start;
	p->env_end = layout.env_end;
	spin_unlock(&p->lock);
	*out_sp = layout.sp;
	return 0;
}

/* Nothing can be given back any more: an error here is the process's end. */
static int commit(
	struct program *program, const char *path, const struct exec_args *args)
{
	struct thread *t = thread_current();
	struct process *p = t->process;
	uint64_t sp, entry = program->elf.entry + program->bias;
	int err;

	take_pid(t);
	enter_space(t, program);
	spin_lock(&process_table_lock);
	__vfork_release(p);
	spin_unlock(&process_table_lock);
	itimers_free_created(p);
	fdtable_close_on_exec(p->files);
	reset_thread(t);
	set_program(p, program->file->inode);
	name_process(p, program->file, path);

	err = build_stack(program, path, args, &sp);
	if (err) {
		kprintf("%s[%d]: its memory cannot be set up\n", p->name,
			p->pid);
		spin_lock(&p->lock);
		__process_kill(p, SIGKILL, NULL);
		spin_unlock(&p->lock);
		return err;
	}
	if (program->loader_file)
		entry = program->loader.entry + program->loader_bias;
	set_frame(thread_user_frame(t), entry, sp);
	return 0;
}

int process_exec(struct file *f, const char *path, struct exec_args *args)
{
	struct thread *t = thread_current();
	struct program *program = kzalloc(sizeof(*program));
	int err;

	if (!program)
		return -ENOMEM;
	file_get(f);
	program->file = f;
	err = resolve_scripts(&program->file, path, args);
	if (!err)
		err = read_program(program);
	if (err)
		goto out;
	err = -ENOMEM;
	program->handlers = handlers_copy(t->process->handlers);
	program->space = space_create();
	if (!program->handlers || !program->space)
		goto out;
	handlers_reset(program->handlers);
	err = load(program);
	if (!err)
		err = end_other_threads(t);
	if (!err)
		err = commit(program, path, args);
out:
	program_free(program);
	return err;
}
