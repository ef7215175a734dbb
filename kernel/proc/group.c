/* SPDX-License-Identifier: MIT */
/* Process groups and sessions. */
#include "lib/errno.h"
#include "proc/group.h"
#include "proc/table.h"

static struct process *__target(int pid)
{
	return pid ? __process_find(pid) : process_current();
}

int process_group(int pid)
{
	struct process *p;
	int pgid;

	spin_lock(&process_table_lock);
	p = __target(pid);
	pgid = p ? p->pgid : -ESRCH;
	spin_unlock(&process_table_lock);
	return pgid;
}

int process_session(int pid)
{
	struct process *p;
	int sid;

	spin_lock(&process_table_lock);
	p = __target(pid);
	sid = p ? p->sid : -ESRCH;
	spin_unlock(&process_table_lock);
	return sid;
}

static bool __group_in_session(int pgid, int sid)
{
	struct process *p;

	list_for_each (p, &process_table, table)
		if (p->pgid == pgid && p->sid == sid)
			return true;
	return false;
}

static int __set_group(struct process *p, int pgid)
{
	struct process *me = process_current();

	if (!p || (p != me && p->parent != me) || p->zombie)
		return -ESRCH;
	if (p != me && p->did_exec)
		return -EACCES;
	if (p->sid != me->sid || p->sid == p->pid)
		return -EPERM;
	if (!pgid)
		pgid = p->pid;
	if (pgid != p->pid && !__group_in_session(pgid, p->sid))
		return -EPERM;
	__process_set_group(p, pgid, p->sid);
	return 0;
}

int process_set_group(int pid, int pgid)
{
	int err;

	if (pgid < 0)
		return -EINVAL;
	spin_lock(&process_table_lock);
	err = __set_group(__target(pid), pgid);
	spin_unlock(&process_table_lock);
	return err;
}

int process_new_session(void)
{
	struct process *me = process_current(), *p;
	int result = me->pid;

	spin_lock(&process_table_lock);
	list_for_each (p, &process_table, table)
		if (p->pgid == me->pid)
			result = -EPERM;
	if (result > 0) {
		__process_set_group(me, me->pid, me->pid);
		me->tty = NULL;
	}
	spin_unlock(&process_table_lock);
	return result;
}
