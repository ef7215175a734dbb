/* SPDX-License-Identifier: MIT */
/*
 * Where a process stands in the name space: working directory, root, umask.
 * Counted; CLONE_FS shares. The lock guards the places; they are swapped under
 * it and the old ones are put after it is free.
 */
#include "fs/fs.h"
#include "fs/walk.h"
#include "lib/errno.h"
#include "mem/mem.h"
#include "proc/process.h"

struct fs_context {
	uint32_t refs;
	struct spinlock lock;
	struct place cwd, root;
	uint32_t umask;
};

static struct fs_context *create(
	const struct place *cwd, const struct place *root, uint32_t umask)
{
	struct fs_context *c = kzalloc(sizeof(*c));

	if (!c)
		return NULL;
	c->refs = 1;
	spin_init(&c->lock);
	c->cwd = *cwd;
	c->root = *root;
	c->umask = umask;
	place_get(&c->cwd);
	place_get(&c->root);
	return c;
}

static void take(
	struct fs_context *c, const struct place *from, struct place *out)
{
	spin_lock(&c->lock);
	*out = *from;
	place_get(out);
	spin_unlock(&c->lock);
}

struct fs_context *fs_context_create(void)
{
	struct fs_context *c;
	struct place top;

	mount_root(&top);
	c = create(&top, &top, 022);
	place_put(&top);
	return c;
}

struct fs_context *fs_context_copy(struct fs_context *from)
{
	struct place cwd, root;
	struct fs_context *c;

	take(from, &from->cwd, &cwd);
	take(from, &from->root, &root);
	c = create(&cwd, &root, from->umask);
	place_put(&cwd);
	place_put(&root);
	return c;
}

void fs_context_get(struct fs_context *c)
{
	__atomic_fetch_add(&c->refs, 1, __ATOMIC_RELAXED);
}

void fs_context_put(struct fs_context *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	place_put(&c->cwd);
	place_put(&c->root);
	kfree(c);
}

/* Only the process itself replaces its context, so no count is needed. */
static struct fs_context *current(void)
{
	struct process *p = process_current();

	return p ? p->fs : NULL;
}

void walk_cwd(struct place *out)
{
	struct fs_context *c = current();

	if (c)
		take(c, &c->cwd, out);
	else
		mount_root(out);
}

void walk_root(struct place *out)
{
	struct fs_context *c = current();

	if (c)
		take(c, &c->root, out);
	else
		mount_root(out);
}

static int change(
	struct fs_context *c, struct place *which, const struct place *to)
{
	struct place old;

	if (!inode_is(to->node, S_IFDIR))
		return -ENOTDIR;
	place_get(to);
	spin_lock(&c->lock);
	old = *which;
	*which = *to;
	spin_unlock(&c->lock);
	place_put(&old);
	return 0;
}

int fs_chdir(const struct place *to)
{
	struct fs_context *c = current();

	return c ? change(c, &c->cwd, to) : -ESRCH;
}

int fs_chroot(const struct place *to)
{
	struct fs_context *c = current();

	return c ? change(c, &c->root, to) : -ESRCH;
}

uint32_t fs_umask(void)
{
	struct fs_context *c = current();

	return c ? c->umask : 0;
}

uint32_t fs_set_umask(uint32_t mask)
{
	struct fs_context *c = current();

	return c ? __atomic_exchange_n(&c->umask, mask & 0777, __ATOMIC_RELAXED)
		 : 0;
}

/* Of another process: it may be exiting. */
static struct fs_context *context_of(struct process *p)
{
	struct fs_context *c;

	spin_lock(&p->lock);
	c = p->fs;
	if (c)
		fs_context_get(c);
	spin_unlock(&p->lock);
	return c;
}

int fs_process_cwd(struct process *p, struct place *out)
{
	struct fs_context *c = context_of(p);

	if (!c)
		return -ESRCH;
	take(c, &c->cwd, out);
	fs_context_put(c);
	return 0;
}

int fs_process_root(struct process *p, struct place *out)
{
	struct fs_context *c = context_of(p);

	if (!c)
		return -ESRCH;
	take(c, &c->root, out);
	fs_context_put(c);
	return 0;
}
