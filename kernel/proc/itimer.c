/* SPDX-License-Identifier: MIT */
/*
 * Timers of processes. A process gets the place for them with its first one.
 * The mutex serialises the calls; a timer's `fire` runs in the timer interrupt
 * and touches only what is constant while the timer is set.
 */
#include "cpu/time.h"
#include "lib/errno.h"
#include "mem/mem.h"
#include "proc/handlers.h"
#include "proc/itimer.h"
#include "proc/table.h"
#include "proc/thread.h"
#include "proc/timer.h"

#define CREATED_MAX 32
/* A shorter interval would leave the program no time to run in. */
#define MIN_INTERVAL_NS (NS_PER_MS / 2)

struct itimer {
	struct ktimer timer;
	struct process *process;
	struct timer_notice notice;
	uint64_t interval;
	int overruns;
	bool used;
};

struct process_timers {
	struct mutex lock;
	struct itimer real, created[CREATED_MAX];
};

static void notify(struct itimer *i)
{
	struct signal_info info = {.code = SI_TIMER, .value = i->notice.value};
	struct thread *t = NULL;
	struct process *p = i->process;

	if (!i->notice.signo)
		return;
	if (i == &p->timers->real)
		info.code = SI_KERNEL;
	else
		info.pid = i - p->timers->created;
	spin_lock(&process_table_lock);
	if (i->notice.tid) {
		t = __thread_find(i->notice.tid);
		if (t && t->process != p)
			t = NULL;
	}
	if (p->pending.set & SIGNAL_BIT(i->notice.signo))
		i->overruns++;
	else
		i->overruns = 0;
	if (!i->notice.tid || t)
		__signal_send(p, t, i->notice.signo, &info);
	spin_unlock(&process_table_lock);
}

static void fire(struct ktimer *timer)
{
	struct itimer *i = container_of(timer, struct itimer, timer);
	uint64_t now = time_ns();

	notify(i);
	if (i->interval)
		ktimer_set(timer,
			MAX(timer->deadline + i->interval,
				now + MIN_INTERVAL_NS));
	else
		timer->deadline = UINT64_MAX;
}

static void init(struct itimer *i, struct process *p)
{
	ktimer_init(&i->timer, fire);
	i->process = p;
}

/* The place for the timers of the running process. */
static struct process_timers *get_timers(void)
{
	struct process *p = process_current();
	struct process_timers *t = kzalloc(sizeof(*t)), *unused = t;

	if (!t)
		return p->timers;
	mutex_init(&t->lock);
	init(&t->real, p);
	t->real.used = true;
	t->real.notice.signo = SIGALRM;
	for (unsigned i = 0; i < CREATED_MAX; i++)
		init(&t->created[i], p);
	spin_lock(&p->lock);
	if (!p->timers) {
		p->timers = t;
		unused = NULL;
	}
	t = p->timers;
	spin_unlock(&p->lock);
	kfree(unused);
	return t;
}

static struct itimer *find(struct process_timers *t, int id)
{
	if (id == TIMER_REAL)
		return &t->real;
	if (id < 0 || id >= CREATED_MAX || !t->created[id].used)
		return NULL;
	return &t->created[id];
}

static struct process_timers *lock_timers(void)
{
	struct process_timers *t = process_current()->timers;

	if (!t)
		t = get_timers();
	if (t)
		mutex_lock(&t->lock);
	return t;
}

int itimer_create(const struct timer_notice *n)
{
	struct process_timers *t = lock_timers();
	int id;

	if (!t)
		return -EAGAIN;
	for (id = 0; id < CREATED_MAX; id++)
		if (!t->created[id].used)
			break;
	if (id < CREATED_MAX) {
		t->created[id].used = true;
		t->created[id].notice = *n;
		t->created[id].interval = 0;
		t->created[id].overruns = 0;
		t->created[id].timer.deadline = UINT64_MAX;
	}
	mutex_unlock(&t->lock);
	return id < CREATED_MAX ? id : -EAGAIN;
}

int itimer_delete(int id)
{
	struct process_timers *t = lock_timers();
	struct itimer *i;

	if (!t)
		return -EINVAL;
	i = id == TIMER_REAL ? NULL : find(t, id);
	if (i) {
		ktimer_cancel(&i->timer);
		i->used = false;
	}
	mutex_unlock(&t->lock);
	return i ? 0 : -EINVAL;
}

static void tell(const struct itimer *i, struct timer_setting *out)
{
	uint64_t now = time_ns(), deadline = i->timer.deadline;

	out->interval = i->interval;
	out->value = 0;
	if (deadline != UINT64_MAX)
		out->value = deadline > now ? deadline - now : 1;
}

int itimer_set(int id, const struct timer_setting *s, bool absolute,
	struct timer_setting *old)
{
	struct process_timers *t = lock_timers();
	struct itimer *i;

	if (!t)
		return -ENOMEM;
	i = find(t, id);
	if (i) {
		uint64_t from = absolute ? 0 : time_ns();

		ktimer_cancel(&i->timer);
		if (old)
			tell(i, old);
		i->interval = s->value ? s->interval : 0;
		i->overruns = 0;
		i->timer.deadline = UINT64_MAX;
		if (s->value && s->value < UINT64_MAX - from)
			ktimer_set(&i->timer, from + s->value);
	}
	mutex_unlock(&t->lock);
	return i ? 0 : -EINVAL;
}

int itimer_get(int id, struct timer_setting *out)
{
	struct process_timers *t = lock_timers();
	struct itimer *i;

	if (!t)
		return -ENOMEM;
	i = find(t, id);
	if (i)
		tell(i, out);
	mutex_unlock(&t->lock);
	return i ? 0 : -EINVAL;
}

int itimer_overruns(int id)
{
	struct process_timers *t = lock_timers();
	struct itimer *i;
	int overruns = -EINVAL;

	if (!t)
		return -EINVAL;
	i = id == TIMER_REAL ? NULL : find(t, id);
	if (i)
		overruns = i->overruns;
	mutex_unlock(&t->lock);
	return overruns;
}

void itimers_free_created(struct process *p)
{
	for (int id = 0; p->timers && id < CREATED_MAX; id++)
		if (p->timers->created[id].used)
			itimer_delete(id);
}

void itimers_free(struct process *p)
{
	if (!p->timers)
		return;
	for (unsigned i = 0; i < CREATED_MAX; i++)
		ktimer_cancel(&p->timers->created[i].timer);
	ktimer_cancel(&p->timers->real.timer);
	kfree(p->timers);
	p->timers = NULL;
}
