/* SPDX-License-Identifier: MIT */
/*
 * "#proc", bound at /proc: one folder per process, and "self". A node remembers
 * the pid; the process is looked up whenever something is asked, and what has
 * ended meanwhile answers ESRCH or nothing.
 */
#include "dev/proc.h"
#include "cpu/time.h"
#include "dev/dev.h"
#include "fs/fs.h"
#include "fs/tty.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "mem/space.h"
#include "proc/process.h"
#include "proc/table.h"

#define MAX_ARGS 4096u

void proc_describe(struct node *out, const struct proc_entry *e, int pid)
{
	strlcpy(out->name, e->name, sizeof(out->name));
	out->mode = e->mode;
	out->ops = e->ops;
	out->a = (uintptr_t)pid;
}

/* The process of a node, counted; NULL: it has ended and was waited for. */
static struct process *process_of(struct node *n)
{
	return process_find((int)n->a);
}

/* --- stat, status --------------------------------------------------------- */

struct numbers {
	uint64_t size, resident; /* bytes, pages */
	uint64_t user_ns, system_ns;
	int parent, foreground;
	unsigned tty;
	char name[PROCESS_NAME_SIZE];
};

static void collect(struct process *p, struct numbers *out)
{
	struct space *s = process_space(p);

	memset(out, 0, sizeof(*out));
	if (s) {
		out->size = space_size(s);
		out->resident = space_resident(s);
		space_put(s);
	}
	process_times(p, &out->user_ns, &out->system_ns);
	spin_lock(&process_table_lock);
	out->parent = p->parent ? p->parent->pid : 0;
	tty_describe(p->tty, &out->foreground, &out->tty);
	spin_unlock(&process_table_lock);
	spin_lock(&p->lock);
	strlcpy(out->name, p->name, sizeof(out->name));
	spin_unlock(&p->lock);
}

static unsigned long long ticks(uint64_t ns)
{
	return ns / TICK_NS;
}

static int stat_text(struct node *node, struct text *t)
{
	struct process *p = process_of(node);
	struct numbers n;

	if (!p)
		return -ESRCH;
	collect(p, &n);
	text_printf(t, "%d (%s) %c %d %d %d %u %d 0 0 0 0 0 ", p->pid, n.name,
		process_state(p), n.parent, p->pgid, p->sid, n.tty,
		n.foreground);
	text_printf(t, "%llu %llu %llu %llu 20 0 %u 0 %llu %llu %llu ",
		ticks(n.user_ns), ticks(n.system_ns), ticks(p->child_user_ns),
		ticks(p->child_system_ns), p->nthreads, ticks(p->start_ns),
		(unsigned long long)n.size, (unsigned long long)n.resident);
	/* rsslim, then addresses and signal sets nobody needs. */
	text_printf(t,
		"18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 "
		"0 0 0 0 0 0 0 0 0 0 0 0\n");
	process_put(p);
	return 0;
}

static int statm_text(struct node *node, struct text *t)
{
	struct process *p = process_of(node);
	struct numbers n;

	if (!p)
		return -ESRCH;
	collect(p, &n);
	text_printf(t, "%llu %llu 0 0 0 0 0\n",
		(unsigned long long)(n.size / PAGE_SIZE),
		(unsigned long long)n.resident);
	process_put(p);
	return 0;
}

static const char *state_word(char state)
{
	switch (state) {
	case 'R':
		return "R (running)";
	case 'D':
		return "D (disk sleep)";
	case 'T':
		return "T (stopped)";
	case 'Z':
		return "Z (zombie)";
	default:
		return "S (sleeping)";
	}
}

static int status_text(struct node *node, struct text *t)
{
	struct process *p = process_of(node);
	struct numbers n;

	if (!p)
		return -ESRCH;
	collect(p, &n);
	text_printf(t,
		"Name:\t%s\n"
		"State:\t%s\n"
		"Tgid:\t%d\n"
		"Pid:\t%d\n"
		"PPid:\t%d\n"
		"Uid:\t0\t0\t0\t0\n"
		"Gid:\t0\t0\t0\t0\n"
		"VmSize:\t%8llu kB\n"
		"VmRSS:\t%8llu kB\n"
		"Threads:\t%u\n",
		n.name, state_word(process_state(p)), p->pid, p->pid, n.parent,
		(unsigned long long)(n.size / 1024),
		(unsigned long long)(n.resident * (PAGE_SIZE / 1024)),
		p->nthreads);
	process_put(p);
	return 0;
}

static int comm_text(struct node *node, struct text *t)
{
	struct process *p = process_of(node);
	struct numbers n;

	if (!p)
		return -ESRCH;
	collect(p, &n);
	text_printf(t, "%s\n", n.name);
	process_put(p);
	return 0;
}

/* --- memory --------------------------------------------------------------- */

/* A piece of the process's memory, as far as it can be read. */
static int memory_text(struct node *node, struct text *t, bool environment)
{
	struct process *p = process_of(node);
	struct space *s;
	uint64_t start, end;
	char *buf;
	size_t n;

	if (!p)
		return -ESRCH;
	s = process_space(p);
	spin_lock(&p->lock);
	start = environment ? p->env_start : p->arg_start;
	end = environment ? p->env_end : p->arg_end;
	spin_unlock(&p->lock);
	process_put(p);
	if (!s)
		return 0;
	buf = kmalloc(MAX_ARGS);
	if (buf && end > start) {
		n = space_read(s, start, buf, MIN(end - start, MAX_ARGS));
		text_append(t, buf, n);
	}
	t->failed |= !buf;
	kfree(buf);
	space_put(s);
	return 0;
}

static int cmdline_text(struct node *node, struct text *t)
{
	return memory_text(node, t, false);
}

static int environ_text(struct node *node, struct text *t)
{
	return memory_text(node, t, true);
}

static int maps_text(struct node *node, struct text *t)
{
	struct process *p = process_of(node);
	struct space *s;

	if (!p)
		return -ESRCH;
	s = process_space(p);
	process_put(p);
	if (s) {
		space_maps(s, t);
		space_put(s);
	}
	return 0;
}

static int mounts_text(struct node *node, struct text *t)
{
	(void)node;
	fs_mounts_text(t);
	return 0;
}

/* --- links: exe, cwd, root ------------------------------------------------ */

static ssize_t put_link(char *buf, size_t size, const char *s)
{
	size_t n = MIN(strlen(s), size);

	memcpy(buf, s, n);
	return (ssize_t)n;
}

static ssize_t exe_readlink(struct node *node, char *buf, size_t size)
{
	struct process *p = process_of(node);
	char exe[sizeof(p->exe)];

	if (!p)
		return -ESRCH;
	spin_lock(&p->lock);
	strlcpy(exe, p->exe, sizeof(exe));
	spin_unlock(&p->lock);
	process_put(p);
	return exe[0] ? put_link(buf, size, exe) : -ENOENT;
}

static int cwd_follow(struct node *node, struct place *out)
{
	struct process *p = process_of(node);
	int error = p ? fs_process_cwd(p, out) : -ESRCH;

	if (p)
		process_put(p);
	return error;
}

static int root_follow(struct node *node, struct place *out)
{
	struct process *p = process_of(node);
	int error = p ? fs_process_root(p, out) : -ESRCH;

	if (p)
		process_put(p);
	return error;
}

static ssize_t path_readlink(const struct place *at, char *buf, size_t size)
{
	char *path = kmalloc(PATH_MAX);
	ssize_t n = path ? path_of(at, path, PATH_MAX) : -ENOMEM;

	if (n > 0)
		n = put_link(buf, size, path);
	kfree(path);
	return n;
}

static ssize_t cwd_readlink(struct node *node, char *buf, size_t size)
{
	struct place at;
	ssize_t n = cwd_follow(node, &at);

	if (n)
		return n;
	n = path_readlink(&at, buf, size);
	place_put(&at);
	return n;
}

static ssize_t root_readlink(struct node *node, char *buf, size_t size)
{
	struct place at;
	ssize_t n = root_follow(node, &at);

	if (n)
		return n;
	n = path_readlink(&at, buf, size);
	place_put(&at);
	return n;
}

/* --- fd ------------------------------------------------------------------- */

/* The table of a process, counted; NULL once it is exiting. */
static struct fdtable *table_of(struct node *n)
{
	struct process *p = process_of(n);
	struct fdtable *t = NULL;

	if (!p)
		return NULL;
	spin_lock(&p->lock);
	t = p->files;
	if (t)
		fdtable_get(t);
	spin_unlock(&p->lock);
	process_put(p);
	return t;
}

static struct file *file_of(struct node *n)
{
	struct fdtable *t = table_of(n);
	struct file *f = t ? fdtable_file(t, (int)n->b) : NULL;

	fdtable_put(t);
	return f;
}

static ssize_t fd_readlink(struct node *n, char *buf, size_t size)
{
	struct file *f = file_of(n);
	char text[32];
	ssize_t done;

	if (!f)
		return -ENOENT;
	if (f->path) {
		done = put_link(buf, size, f->path);
	} else {
		ksnprintf(text, sizeof(text), "%s:[%llu]",
			f->inode && inode_is(f->inode, S_IFIFO) ? "pipe"
								: "anonymous",
			(unsigned long long)(f->inode ? f->inode->ino : 0));
		done = put_link(buf, size, text);
	}
	file_put(f);
	return done;
}

/* To the node itself: it need not have a path any more. */
static int fd_follow(struct node *n, struct place *out)
{
	struct file *f = file_of(n);

	if (!f)
		return -ENOENT;
	if (!f->inode) {
		file_put(f);
		return -ENXIO;
	}
	*out = (struct place){f->mount, f->inode};
	place_get(out);
	file_put(f);
	return 0;
}

static const struct node_ops fd_link_ops = {
	.readlink = fd_readlink,
	.follow = fd_follow,
};

static void describe_fd(struct node *out, struct node *dir, int fd)
{
	ksnprintf(out->name, sizeof(out->name), "%d", fd);
	out->mode = S_IFLNK | 0700;
	out->ops = &fd_link_ops;
	out->a = dir->a;
	out->b = (uintptr_t)fd;
}

static bool fd_next(struct node *dir, uint64_t *pos, struct node *out)
{
	struct fdtable *t = table_of(dir);
	int fd;

	if (!t || *pos >= FD_LIMIT) {
		fdtable_put(t);
		return false;
	}
	fd = fdtable_next(t, (int)*pos);
	fdtable_put(t);
	if (fd < 0)
		return false;
	*pos = (uint64_t)fd;
	describe_fd(out, dir, fd);
	return true;
}

/* A decimal number without leading zeros; -1: something else. */
static int number(const char *s)
{
	int n = 0;

	if (!*s || (s[0] == '0' && s[1]))
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || n > 99999)
			return -1;
		n = n * 10 + (*s - '0');
	}
	return n;
}

static bool fd_find(struct node *dir, const char *name, struct node *out)
{
	int fd = number(name);
	struct fdtable *t = fd < 0 ? NULL : table_of(dir);
	struct file *f = t ? fdtable_file(t, fd) : NULL;
	bool found = f != NULL;

	if (found)
		describe_fd(out, dir, fd);
	file_put(f);
	fdtable_put(t);
	return found;
}

/* --- one process ---------------------------------------------------------- */

static const struct node_ops stat_ops = {.text = stat_text};
static const struct node_ops statm_ops = {.text = statm_text};
static const struct node_ops status_ops = {.text = status_text};
static const struct node_ops comm_ops = {.text = comm_text};
static const struct node_ops cmdline_ops = {.text = cmdline_text};
static const struct node_ops environ_ops = {.text = environ_text};
static const struct node_ops maps_ops = {.text = maps_text};
static const struct node_ops mounts_ops = {.text = mounts_text};
static const struct node_ops exe_ops = {.readlink = exe_readlink};
static const struct node_ops cwd_ops = {
	.readlink = cwd_readlink,
	.follow = cwd_follow,
};
static const struct node_ops root_link_ops = {
	.readlink = root_readlink,
	.follow = root_follow,
};
static const struct node_ops fd_ops = {.next = fd_next, .find = fd_find};
static const struct node_ops task_ops;

static const struct proc_entry process_entries[] = {
	{"cmdline", S_IFREG | 0444, &cmdline_ops},
	{"comm", S_IFREG | 0444, &comm_ops}, {"cwd", S_IFLNK | 0777, &cwd_ops},
	{"environ", S_IFREG | 0400, &environ_ops},
	{"exe", S_IFLNK | 0777, &exe_ops}, {"fd", S_IFDIR | 0500, &fd_ops},
	{"maps", S_IFREG | 0444, &maps_ops},
	{"mounts", S_IFREG | 0444, &mounts_ops},
	{"root", S_IFLNK | 0777, &root_link_ops},
	{"stat", S_IFREG | 0444, &stat_ops},
	{"statm", S_IFREG | 0444, &statm_ops},
	{"status", S_IFREG | 0444, &status_ops},
	{"task", S_IFDIR | 0555, &task_ops}, /* must stay the last */
};

static bool process_child(struct node *dir, unsigned n, struct node *out)
{
	/* A task has everything but tasks of its own. */
	if (n >= ARRAY_SIZE(process_entries) - (dir->b ? 1 : 0))
		return false;
	proc_describe(out, &process_entries[n], (int)dir->a);
	return true;
}

static const struct node_ops process_ops = {.child = process_child};

static void describe_process(struct node *out, int pid, bool task)
{
	ksnprintf(out->name, sizeof(out->name), "%d", pid);
	out->mode = S_IFDIR | 0555;
	out->ops = &process_ops;
	out->a = (uintptr_t)pid;
	out->b = task;
}

/* Only the first thread is shown: nobody asks for the others. */
static bool task_child(struct node *dir, unsigned n, struct node *out)
{
	if (n)
		return false;
	describe_process(out, (int)dir->a, true);
	return true;
}

static const struct node_ops task_ops = {.child = task_child};

/* --- the root ------------------------------------------------------------- */

static ssize_t self_readlink(struct node *n, char *buf, size_t size)
{
	struct process *p = process_current();
	char text[16];

	(void)n;
	if (!p)
		return -ENOENT;
	ksnprintf(text, sizeof(text), "%d", p->pid);
	return put_link(buf, size, text);
}

static const struct node_ops self_ops = {.readlink = self_readlink};
static const struct proc_entry self_entry = {"self", S_IFLNK | 0777, &self_ops};

/* Positions: the files, then "self", then FIRST_PID + pid. */
#define FIRST_PID 64u

static bool root_next(struct node *dir, uint64_t *pos, struct node *out)
{
	struct process *p;
	unsigned nfiles = 0;

	(void)dir;
	while (proc_system_entries[nfiles].name)
		nfiles++;
	if (*pos < nfiles) {
		proc_describe(out, &proc_system_entries[*pos], 0);
		return true;
	}
	if (*pos == nfiles) {
		proc_describe(out, &self_entry, 0);
		return true;
	}
	*pos = MAX(*pos, FIRST_PID + 1);
	if (*pos > INT32_MAX)
		return false;
	p = process_next((int)(*pos - FIRST_PID) - 1);
	if (!p)
		return false;
	*pos = FIRST_PID + (uint64_t)p->pid;
	describe_process(out, p->pid, false);
	process_put(p);
	return true;
}

static bool root_find(struct node *dir, const char *name, struct node *out)
{
	struct process *p;
	int pid = number(name);

	(void)dir;
	for (unsigned i = 0; proc_system_entries[i].name; i++)
		if (!strcmp(proc_system_entries[i].name, name)) {
			proc_describe(out, &proc_system_entries[i], 0);
			return true;
		}
	if (!strcmp(name, self_entry.name)) {
		proc_describe(out, &self_entry, 0);
		return true;
	}
	p = pid > 0 ? process_find(pid) : NULL;
	if (!p)
		return false;
	describe_process(out, p->pid, false);
	process_put(p);
	return true;
}

void dev_proc_init(void)
{
	static const struct node_ops root_ops = {
		.next = root_next,
		.find = root_find,
	};
	const struct node root = {.mode = S_IFDIR | 0555, .ops = &root_ops};

	if (tree_register("proc", &root))
		panic("no memory for the processes' files");
}
