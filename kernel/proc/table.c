/* SPDX-License-Identifier: MIT */
/*
 * The process table, process numbers, groups and sessions.
 *
 * A number is in use as long as it names a process, a thread, a group or a
 * session; pid_users counts these. Numbers are given out upwards and start
 * again after PID_MAX.
 */
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "mem/space.h"
#include "cpu/time.h"
#include "proc/table.h"
#include "proc/thread.h"
#include "proc/wait.h"
#include "proc/handlers.h"

#define BUCKETS 256

struct spinlock process_table_lock = SPINLOCK_INIT;
struct list process_table = LIST_INIT(process_table);
unsigned stopped_processes;

static uint16_t pid_users[PID_MAX];
static int last_pid;
static struct list processes[BUCKETS], threads[BUCKETS];

static struct list *bucket(struct list *table, int id)
{
	struct list *l = &table[(unsigned)id % BUCKETS];

	if (!l->next)
		list_init(l);
	return l;
}

/* --- numbers ----------------------------------------------------------- */

int __pid_alloc(void)
{
	for (int tries = 1; tries < PID_MAX; tries++) {
		last_pid = last_pid + 1 < PID_MAX ? last_pid + 1 : 1;
		if (!pid_users[last_pid]) {
			pid_users[last_pid] = 1;
			return last_pid;
		}
	}
	return -EAGAIN;
}

void __pid_get(int pid)
{
	pid_users[pid]++;
}

void __pid_put(int pid)
{
	pid_users[pid]--;
}

/* --- life -------------------------------------------------------------- */

static void default_limits(struct process *p)
{
	for (unsigned i = 0; i < ARRAY_SIZE(p->rlimits); i++)
		p->rlimits[i][0] = p->rlimits[i][1] = RLIM_INFINITY;
	p->rlimits[RLIMIT_STACK][0] = 8 << 20;
	p->rlimits[RLIMIT_NOFILE][0] = p->rlimits[RLIMIT_NOFILE][1] = 1024;
	p->rlimits[RLIMIT_NPROC][0] = p->rlimits[RLIMIT_NPROC][1] = MAX_THREADS;
}

static void inherit(struct process *p, struct process *parent)
{
	spin_lock(&parent->lock);
	memcpy(p->name, parent->name, sizeof(p->name));
	memcpy(p->exe, parent->exe, sizeof(p->exe));
	memcpy(p->rlimits, parent->rlimits, sizeof(p->rlimits));
	p->arg_start = parent->arg_start;
	p->arg_end = parent->arg_end;
	p->env_start = parent->env_start;
	p->env_end = parent->env_end;
	p->nice = parent->nice;
	spin_unlock(&parent->lock);
	memcpy(p->logged_calls, parent->logged_calls, sizeof(p->logged_calls));
	p->logged_count = parent->logged_count;
}

struct process *process_create(struct process *parent)
{
	struct process *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->refs = 1;
	list_init(&p->table);
	list_init(&p->hash);
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->threads);
	waitq_init(&p->child_event);
	waitq_init(&p->vfork_event);
	waitq_init(&p->stop_event);
	waitq_init(&p->thread_event);
	p->start_ns = time_ns();
	if (parent)
		inherit(p, parent);
	else
		default_limits(p);
	return p;
}

void process_get(struct process *p)
{
	__atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
}

void process_put(struct process *p)
{
	if (__atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL))
		return;
	handlers_put(p->handlers);
	kfree(p);
}

void __process_insert(struct process *p)
{
	struct list *at;

	for (at = process_table.prev; at != &process_table; at = at->prev)
		if (list_entry(at, struct process, table)->pid < p->pid)
			break;
	list_insert_after(at, &p->table);
	list_push_back(bucket(processes, p->pid), &p->hash);
	if (p->parent)
		list_push_back(&p->parent->children, &p->sibling);
}

void __process_remove(struct process *p)
{
	list_remove(&p->table);
	list_remove(&p->hash);
	list_remove(&p->sibling);
	p->parent = NULL;
	__pid_put(p->pgid);
	__pid_put(p->sid);
	__pid_put(p->pid);
	process_put(p);
}

void __process_set_stopped(struct process *p, bool stopped)
{
	if (stopped && !p->stopped)
		__atomic_add_fetch(&stopped_processes, 1, __ATOMIC_RELAXED);
	if (!stopped && p->stopped)
		__atomic_sub_fetch(&stopped_processes, 1, __ATOMIC_RELAXED);
	p->stopped = stopped;
}

/* --- finding ----------------------------------------------------------- */

struct process *__process_find(int pid)
{
	struct process *p;

	if (pid <= 0 || pid >= PID_MAX)
		return NULL;
	list_for_each (p, bucket(processes, pid), hash)
		if (p->pid == pid)
			return p;
	return NULL;
}

struct process *process_find(int pid)
{
	struct process *p;

	spin_lock(&process_table_lock);
	p = __process_find(pid);
	if (p)
		process_get(p);
	spin_unlock(&process_table_lock);
	return p;
}

struct process *process_next(int pid)
{
	struct process *p, *found = NULL;
	struct list *at = &process_table;

	spin_lock(&process_table_lock);
	p = __process_find(pid);
	if (p) /* the common case: it is still there */
		at = &p->table;
	for (at = at->next; at != &process_table; at = at->next) {
		p = list_entry(at, struct process, table);
		if (p->pid > pid) {
			found = p;
			process_get(p);
			break;
		}
	}
	spin_unlock(&process_table_lock);
	return found;
}

void __thread_hash(struct thread *t)
{
	list_push_back(bucket(threads, t->tid), &t->hash);
}

struct thread *__thread_find(int tid)
{
	struct thread *t;

	if (tid <= 0 || tid >= PID_MAX)
		return NULL;
	list_for_each (t, bucket(threads, tid), hash)
		if (t->tid == tid)
			return t;
	return NULL;
}

struct process *process_current(void)
{
	return thread_current()->process;
}

struct space *process_space(struct process *p)
{
	struct space *s;

	spin_lock(&p->lock);
	s = p->space;
	if (s)
		space_get(s);
	spin_unlock(&p->lock);
	return s;
}

char process_state(struct process *p)
{
	struct thread *t;
	char state = 'S';

	spin_lock(&p->lock);
	if (p->zombie || list_empty(&p->threads))
		state = 'Z';
	else if (p->stopped)
		state = 'T';
	else
		list_for_each (t, &p->threads, siblings) {
			if (t->state == THREAD_READY)
				state = 'R';
			else if (state != 'R' && !t->sleep_how)
				state = 'D';
		}
	spin_unlock(&p->lock);
	return state;
}

void process_times(struct process *p, uint64_t *user_ns, uint64_t *system_ns)
{
	if (p == process_current())
		account_now();
	*user_ns = __atomic_load_n(&p->user_ns, __ATOMIC_RELAXED);
	*system_ns = __atomic_load_n(&p->system_ns, __ATOMIC_RELAXED);
}

/* --- groups and sessions ----------------------------------------------- */

void __process_set_group(struct process *p, int pgid, int sid)
{
	__pid_get(pgid);
	__pid_get(sid);
	if (p->pgid)
		__pid_put(p->pgid);
	if (p->sid)
		__pid_put(p->sid);
	p->pgid = pgid;
	p->sid = sid;
}

bool process_group_exists(int pgid, int sid)
{
	struct process *p;
	bool found = false;

	spin_lock(&process_table_lock);
	list_for_each (p, &process_table, table)
		if (p->pgid == pgid && p->sid == sid) {
			found = true;
			break;
		}
	spin_unlock(&process_table_lock);
	return found;
}

bool __has_job_control(const struct process *p)
{
	return !p->zombie && p->parent && p->parent->pid != 1 &&
		p->parent->sid == p->sid && p->parent->pgid != p->pgid;
}

bool __group_orphaned(int pgid, const struct process *leaving)
{
	struct process *p;

	list_for_each (p, &process_table, table)
		if (p->pgid == pgid && p != leaving && p->parent != leaving &&
			__has_job_control(p))
			return false;
	return true;
}

bool process_group_orphaned(int pgid)
{
	bool orphaned;

	spin_lock(&process_table_lock);
	orphaned = __group_orphaned(pgid, NULL);
	spin_unlock(&process_table_lock);
	return orphaned;
}

void process_set_tty(struct tty *t)
{
	struct process *p = process_current();

	spin_lock(&process_table_lock);
	p->tty = t;
	spin_unlock(&process_table_lock);
}

void session_clear_tty(int sid)
{
	struct process *p;

	spin_lock(&process_table_lock);
	list_for_each (p, &process_table, table)
		if (p->sid == sid)
			p->tty = NULL;
	spin_unlock(&process_table_lock);
}
