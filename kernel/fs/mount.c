/* SPDX-License-Identifier: MIT */
/*
 * Mounts: which node is seen in place of which directory.
 *
 * A mount is counted by its place in the list, by the mounts that sit on it, by
 * open files and working directories, and by walks in progress. `mount_lock` (a
 * spinlock) guards the list; a mount's own members are constant while it is in
 * the list. Whatever covers a node of a mount is found by (mount, node), so
 * that a bind of the same directory elsewhere is not covered with it.
 */
#include "fs/fs.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "lib/text.h"
#include "mem/mem.h"

struct mount {
	uint32_t refs;
	struct list all;     /* in `mounts`, newest last */
	bool attached;       /* in the list and holding a count for it */
	bool gone;           /* was in the list: nothing is mounted on it */
	struct mount *on;    /* counted; NULL: a root or hidden */
	struct inode *point; /* counted; the node of `on` that is covered */
	struct inode *root;  /* counted */
	struct super *super; /* counted; NULL: needs none */
	unsigned long flags;
	/* Of a point that is no directory: where it lies, counted, and its
	 * name there. */
	struct place dir;
	char *name;
	char type[16];
	char source[64];
};

static struct spinlock mount_lock = SPINLOCK_INIT;
static struct list mounts = LIST_INIT(mounts);
static struct mount *root_mount;

static void super_put(struct super *s)
{
	if (s && !__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
		s->destroy(s);
}

static struct mount *mount_create(struct inode *root, struct super *s,
	const char *type, const char *source, unsigned long flags)
{
	struct mount *m = kzalloc(sizeof(*m));

	if (!m)
		return NULL;
	m->refs = 1;
	list_init(&m->all);
	m->root = root;
	inode_get(root);
	m->super = s;
	if (s)
		__atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
	m->flags = flags;
	strlcpy(m->type, type, sizeof(m->type));
	strlcpy(m->source, source, sizeof(m->source));
	return m;
}

/* NULL stands for no mount: pipes have none. */
void mount_get(struct mount *m)
{
	if (m)
		__atomic_fetch_add(&m->refs, 1, __ATOMIC_RELAXED);
}

void mount_put(struct mount *m)
{
	while (m && !__atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL)) {
		struct mount *on = m->on;

		inode_put(m->point);
		inode_put(m->root);
		super_put(m->super);
		place_put(&m->dir);
		kfree(m->name);
		kfree(m);
		m = on;
	}
}

bool mount_read_only(const struct mount *m)
{
	return m && m->flags & MS_RDONLY;
}

const char *mount_name(const struct mount *m)
{
	return m->source;
}

/* The mount that "#name" leads to: never listed, never removed. */
struct mount *mount_hidden(const char *name, struct inode *root)
{
	char source[20];

	ksnprintf(source, sizeof(source), "#%s", name);
	return mount_create(root, NULL, name, source, 0);
}

void mount_set_root(struct inode *root, struct super *s)
{
	root_mount = mount_create(root, s, "ramfs", "ramfs", 0);
	if (!root_mount)
		panic("no memory for the root file system");
	root_mount->attached = true;
	list_push_back(&mounts, &root_mount->all);
}

void mount_root(struct place *out)
{
	*out = (struct place){root_mount, root_mount->root};
	place_get(out);
}

void place_get(const struct place *p)
{
	mount_get(p->mount);
	inode_get(p->node);
}

void place_put(struct place *p)
{
	inode_put(p->node);
	mount_put(p->mount);
	*p = (struct place){NULL, NULL};
}

/* What covers a place, counted. */
static struct mount *covering(const struct place *p)
{
	struct mount *m, *found = NULL;

	if (!__atomic_load_n(&p->node->mounts, __ATOMIC_ACQUIRE))
		return NULL;
	spin_lock(&mount_lock);
	list_for_each (m, &mounts, all)
		if (m->on == p->mount && m->point == p->node) {
			mount_get(m);
			found = m;
			break;
		}
	spin_unlock(&mount_lock);
	return found;
}

void mount_cross(struct place *p)
{
	struct mount *m;

	while ((m = covering(p)) != NULL) {
		struct place under = *p;

		*p = (struct place){m, m->root};
		inode_get(m->root);
		place_put(&under);
	}
}

bool mount_leave(struct place *p)
{
	struct place inner = *p;

	if (p->node != p->mount->root || !p->mount->on)
		return false;
	*p = (struct place){inner.mount->on, inner.mount->point};
	place_get(p);
	place_put(&inner);
	return true;
}

/* --- mount(2) ------------------------------------------------------------- */

/* Take m out of the list. Its list count goes to the caller. */
static void __detach(struct mount *m)
{
	list_remove(&m->all);
	m->attached = false;
	m->gone = true;
	__atomic_fetch_sub(&m->point->mounts, 1, __ATOMIC_RELEASE);
}

/* A mount that sits somewhere on m. */
static struct mount *__child_of(const struct mount *m)
{
	struct mount *c;

	list_for_each (c, &mounts, all)
		if (c->on == m)
			return c;
	return NULL;
}

/* Away with m and all that sits on it; files that are open keep working. The
 * counts of the list are gathered in `gone`, for drop_all(). */
static void __detach_all(struct mount *m, struct list *gone)
{
	struct mount *c = m;

	while (m->attached) {
		struct mount *deeper = __child_of(c);

		if (deeper) {
			c = deeper;
			continue;
		}
		__detach(c);
		list_push_back(gone, &c->all);
		c = m;
	}
}

static void drop_all(struct list *gone)
{
	struct mount *m, *next;

	list_for_each_safe (m, next, gone, all) {
		list_remove(&m->all);
		mount_put(m);
	}
}

void mount_node_gone(struct inode *node)
{
	struct list gone = LIST_INIT(gone);
	struct mount *m, *found;

	if (!__atomic_load_n(&node->mounts, __ATOMIC_SEQ_CST))
		return;
	spin_lock(&mount_lock);
	do {
		found = NULL;
		list_for_each (m, &mounts, all)
			if (m->point == node) {
				found = m;
				break;
			}
		if (found)
			__detach_all(found, &gone);
	} while (found);
	spin_unlock(&mount_lock);
	drop_all(&gone);
}

static bool __covered(const struct place *at)
{
	struct mount *m;

	list_for_each (m, &mounts, all)
		if (m->on == at->mount && m->point == at->node)
			return true;
	return false;
}

static bool removed(struct inode *node)
{
	char name[NAME_MAX + 1];
	struct inode *parent = inode_parent(node);
	bool result = parent && node->ops->name &&
		node->ops->name(node, name, sizeof(name)) == -ENOENT;

	inode_put(parent);
	return result;
}

/* Put m on top of `at`. Takes m's first count over, also on failure. */
static int attach(struct mount *m, struct place *at)
{
	int error = 0;

	/* Somebody may have mounted there since the path was resolved. */
	mount_cross(at);
	spin_lock(&mount_lock);
	while (__covered(at)) {
		spin_unlock(&mount_lock);
		mount_cross(at);
		spin_lock(&mount_lock);
	}
	if (!at->mount || at->mount->gone) {
		error = -EINVAL;
	} else if (at->node == at->mount->root && !at->mount->on) {
		/* "/" and "#name": no walk crosses onto what lies there. */
		error = -EBUSY;
	} else {
		m->on = at->mount;
		m->point = at->node;
		place_get(at);
		m->attached = true;
		list_push_back(&mounts, &m->all);
		__atomic_fetch_add(&at->node->mounts, 1, __ATOMIC_SEQ_CST);
	}
	spin_unlock(&mount_lock);
	if (error) {
		mount_put(m);
		return error;
	}
	/* Whoever removes a directory looks for mounts afterwards; so one of
	 * the two sees the other. */
	if (removed(at->node)) {
		mount_node_gone(at->node);
		return -ENOENT;
	}
	return 0;
}

/* Remember where a point lies that is no directory: it does not know itself. */
static bool remember_point(
	struct mount *m, const struct place *dir, const char *name)
{
	size_t n = strlen(name) + 1;

	m->name = kmalloc(n);
	if (!m->name)
		return false;
	memcpy(m->name, name, n);
	m->dir = *dir;
	place_get(&m->dir);
	return true;
}

/* `dir` and `name`: where `at` was found, if it is no directory. */
static int bind(const char *source, struct place *at, unsigned long flags,
	const struct place *dir, const char *name)
{
	struct place from;
	struct mount *m;
	int error = path_find(AT_FDCWD, source, 0, &from);

	if (error)
		return error;
	/* A directory goes on a directory, anything else on anything else. */
	if (inode_is(from.node, S_IFDIR) != inode_is(at->node, S_IFDIR)) {
		error = -ENOTDIR;
		goto out;
	}
	m = mount_create(from.node, from.mount ? from.mount->super : NULL,
		from.mount ? from.mount->type : "none",
		source[0] == '#' || !from.mount ? source : from.mount->source,
		(flags | (from.mount ? from.mount->flags : 0)) & MS_RDONLY);
	if (m && dir->node && !remember_point(m, dir, name)) {
		mount_put(m);
		m = NULL;
	}
	error = m ? attach(m, at) : -ENOMEM;
out:
	place_put(&from);
	return error;
}

/* A fresh file system in memory. */
static int mount_memory(const char *type, const char *source, struct place *at,
	unsigned long flags)
{
	struct inode *root;
	struct super *s = ramfs_create(&root);
	struct mount *m;

	if (!s)
		return -ENOMEM;
	m = mount_create(root, s, type, source, flags & MS_RDONLY);
	inode_put(root);
	super_put(s);
	return m ? attach(m, at) : -ENOMEM;
}

static int mount_tree(const char *type, const char *source, struct place *at,
	unsigned long flags)
{
	struct place tree;
	struct mount *m;
	int error = tree_root(type, strlen(type), &tree);

	if (error)
		return -ENODEV;
	m = mount_create(tree.node, NULL, type, source, flags & MS_RDONLY);
	place_put(&tree);
	return m ? attach(m, at) : -ENOMEM;
}

int fs_mount(const char *source, const char *target, const char *type,
	unsigned long flags)
{
	struct place at, dir = {NULL, NULL};
	char name[NAME_MAX + 1];
	int error;

	if (flags & MS_MOVE)
		return -EINVAL;
	if (!source)
		source = "none";
	if (!type)
		type = "";
	error = path_find_entry(AT_FDCWD, target, &at, &dir, name);
	if (error)
		return error;
	if (flags & MS_REMOUNT) {
		if (at.node != at.mount->root)
			error = -EINVAL;
		else
			at.mount->flags = flags & MS_RDONLY;
	} else if (flags & MS_BIND || (!*type && source[0] == '#')) {
		error = bind(source, &at, flags, &dir, name);
	} else if (!inode_is(at.node, S_IFDIR)) {
		error = -ENOTDIR;
	} else if (!strcmp(type, "tmpfs") || !strcmp(type, "ramfs")) {
		error = mount_memory(type, source, &at, flags);
	} else {
		error = mount_tree(type, source, &at, flags);
	}
	place_put(&dir);
	place_put(&at);
	return error;
}

int fs_umount(const char *target, int flags)
{
	struct list gone = LIST_INIT(gone);
	struct mount *m;
	struct place at;
	int error;

	if (flags & ~(MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW | 4))
		return -EINVAL;
	error = path_find(AT_FDCWD, target,
		flags & UMOUNT_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0, &at);
	if (error)
		return error;
	m = at.mount;
	spin_lock(&mount_lock);
	if (at.node != m->root || !m->attached || !m->on)
		error = -EINVAL;
	else if (flags & MNT_DETACH)
		__detach_all(m, &gone);
	else if (__atomic_load_n(&m->refs, __ATOMIC_ACQUIRE) > 2)
		error = -EBUSY; /* more than the list and `at` */
	else
		__detach_all(m, &gone);
	spin_unlock(&mount_lock);
	drop_all(&gone);
	place_put(&at);
	return error;
}

/* --- /proc/mounts --------------------------------------------------------- */

/* Blanks and backslashes in octal, as the readers of /proc/mounts expect. */
static void append_escaped(struct text *t, const char *s)
{
	for (; *s; s++)
		if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\\')
			text_printf(t, "\\%03o", *s);
		else
			text_append(t, s, 1);
}

/* The mount after `last` (NULL: the first), counted; the count of `last` is
 * given back. A mount that left the list meanwhile ends it. */
static struct mount *next_mount(struct mount *last)
{
	struct mount *m = NULL;
	struct list *at;

	spin_lock(&mount_lock);
	at = last ? &last->all : &mounts;
	if ((!last || last->attached) && at->next != &mounts) {
		m = list_entry(at->next, struct mount, all);
		mount_get(m);
	}
	spin_unlock(&mount_lock);
	mount_put(last);
	return m;
}

void fs_mounts_text(struct text *t)
{
	struct mount *m = NULL;

	while ((m = next_mount(m)) != NULL) {
		struct place root = {m, m->root};
		char *path = m->name ? path_join(&m->dir, m->name)
				     : path_join(&root, "");

		if (!path)
			continue; /* outside this process's root */
		/* A line that begins with '#' would count as a comment. */
		append_escaped(t, m->source + (m->source[0] == '#'));
		text_append(t, " ", 1);
		append_escaped(t, path);
		text_printf(t, " %s %s 0 0\n", m->type,
			mount_read_only(m) ? "ro" : "rw");
		kfree(path);
	}
}
