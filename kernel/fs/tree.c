/* SPDX-License-Identifier: MIT */
/*
 * The trees of kernel devices. Nodes are described by their device whenever
 * they are looked up; the inode made from a description lives as long as
 * somebody counts it, and as long as it lives every lookup of that name finds
 * the same one. (What is mounted on it, and who works in it, depend on that.)
 *
 * live_lock (a spinlock) guards the table of living inodes. An inode counts its
 * parent. All else is constant.
 */
#include "fs/fs.h"
#include "cpu/time.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/print.h"
#include "lib/text.h"
#include "mem/mem.h"

#define MAX_TREES 16
#define BUCKETS 128u
#define MAX_COMMAND 4095u

struct tree {
	char name[16];
	uint64_t dev;
	struct inode *root;
	struct mount *mount; /* hidden; "#name" leads there */
};

struct tree_inode {
	struct inode inode;
	struct node node;
	struct list live;
};

static struct tree trees[MAX_TREES];
static unsigned ntrees; /* grows at boot only */
static uint64_t boot_time;

static struct spinlock live_lock = SPINLOCK_INIT;
static struct list live[BUCKETS];

static const struct inode_ops tree_ops;
static const struct file_ops tree_dir_ops, text_ops;

static struct tree_inode *tree_inode_of(struct inode *n)
{
	return container_of(n, struct tree_inode, inode);
}

/* --- inodes --------------------------------------------------------------- */

static uint64_t number_of(const struct inode *parent, const char *name)
{
	uint64_t h = 14695981039346656037ull ^ parent->ino;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 1099511628211ull;
	return h >> 16 | 2; /* never 0, and not the root's 1 */
}

static struct tree_inode *create_inode(
	struct inode *parent, const struct node *node, uint64_t dev)
{
	struct tree_inode *t = kzalloc(sizeof(*t));

	if (!t)
		return NULL;
	inode_init(&t->inode, node->mode, &tree_ops);
	t->inode.ino = parent ? number_of(parent, node->name) : 1;
	t->inode.dev = dev;
	t->inode.rdev = node->rdev;
	t->node = *node;
	list_init(&t->live);
	if (parent)
		inode_set_parent(&t->inode, parent);
	return t;
}

static bool same(const struct tree_inode *t, const struct inode *parent,
	const struct node *n)
{
	return t->inode.parent == parent && t->node.mode == n->mode &&
		t->node.ops == n->ops && t->node.a == n->a &&
		t->node.b == n->b && !strcmp(t->node.name, n->name);
}

static struct inode *__find_live(struct list *bucket,
	const struct inode *parent, const struct node *node)
{
	struct tree_inode *t;

	list_for_each (t, bucket, live)
		if (same(t, parent, node) && inode_get_live(&t->inode))
			return &t->inode;
	return NULL;
}

/* The inode of a described node, counted; NULL: out of memory. */
static struct inode *get_inode(struct inode *parent, const struct node *node)
{
	struct list *bucket = &live[number_of(parent, node->name) % BUCKETS];
	struct inode *found;
	struct tree_inode *t;

	spin_lock(&live_lock);
	found = __find_live(bucket, parent, node);
	spin_unlock(&live_lock);
	if (found)
		return found;
	t = create_inode(parent, node, parent->dev);
	if (!t)
		return NULL;
	spin_lock(&live_lock);
	found = __find_live(bucket, parent, node);
	if (!found)
		list_push_back(bucket, &t->live);
	spin_unlock(&live_lock);
	if (!found)
		return &t->inode;
	inode_put(&t->inode); /* somebody was faster */
	return found;
}

static void tree_destroy(struct inode *inode)
{
	struct tree_inode *t = tree_inode_of(inode);

	spin_lock(&live_lock);
	list_remove(&t->live);
	spin_unlock(&live_lock);
	kfree(t);
}

/* --- directories ---------------------------------------------------------- */

static bool next_child(struct node *dir, uint64_t *pos, struct node *out)
{
	memset(out, 0, sizeof(*out));
	if (dir->ops->next)
		return dir->ops->next(dir, pos, out);
	return dir->ops->child && *pos < UINT32_MAX &&
		dir->ops->child(dir, (unsigned)*pos, out);
}

static bool find_child(struct node *dir, const char *name, struct node *out)
{
	memset(out, 0, sizeof(*out));
	if (dir->ops->find)
		return dir->ops->find(dir, name, out);
	for (uint64_t pos = 0; next_child(dir, &pos, out); pos++)
		if (!strcmp(out->name, name))
			return true;
	return false;
}

static int tree_lookup(struct inode *dir, const char *name, struct inode **out)
{
	struct node found;

	if (strlen(name) >= sizeof(found.name) ||
		!find_child(&tree_inode_of(dir)->node, name, &found))
		return -ENOENT;
	/* What find() says counts; it need not fill in the name. */
	strlcpy(found.name, name, sizeof(found.name));
	*out = get_inode(dir, &found);
	return *out ? 0 : -ENOMEM;
}

static ssize_t tree_readdir(struct file *f, struct uio *u, uint64_t *pos)
{
	struct node *dir = &tree_inode_of(f->inode)->node;
	size_t before = u->left;
	int fitted = dirent_put_dots(u, f->inode, pos);

	while (fitted > 0) {
		struct node child;
		uint64_t at = *pos - 2;

		if (!next_child(dir, &at, &child))
			break;
		fitted = dirent_put(u, number_of(f->inode, child.name), at + 3,
			DT_OF(child.mode), child.name);
		if (fitted > 0)
			*pos = at + 3;
	}
	if (u->left == before && fitted <= 0)
		return fitted ? fitted : -EINVAL;
	return (ssize_t)(before - u->left);
}

static int tree_name(struct inode *dir, char *buf, size_t size)
{
	const char *name = tree_inode_of(dir)->node.name;

	return strlcpy(buf, name, size) < size ? 0 : -ERANGE;
}

/* --- links and files ------------------------------------------------------ */

static ssize_t tree_readlink(struct inode *inode, char *buf, size_t size)
{
	struct node *n = &tree_inode_of(inode)->node;
	size_t len;

	if (!inode_is(inode, S_IFLNK))
		return -EINVAL;
	if (n->ops && n->ops->readlink)
		return n->ops->readlink(n, buf, size);
	len = MIN(strlen(n->link), size);
	memcpy(buf, n->link, len);
	return (ssize_t)len;
}

static int tree_follow(struct inode *inode, struct place *out)
{
	struct node *n = &tree_inode_of(inode)->node;

	return n->ops && n->ops->follow ? n->ops->follow(n, out) : -ENOTSUP;
}

static int tree_stat(struct inode *inode, struct stat_info *out)
{
	if (inode_is(inode, S_IFDIR))
		out->nlink = 2;
	out->size = tree_inode_of(inode)->node.size;
	out->mtime_ns = out->atime_ns = out->ctime_ns = boot_time;
	return 0;
}

static int open_text(struct node *n, struct file *f);

static int tree_open(struct inode *inode, struct file *f)
{
	struct node *n = &tree_inode_of(inode)->node;

	if (inode_is(inode, S_IFDIR)) {
		f->ops = &tree_dir_ops;
		return 0;
	}
	if (!n->ops)
		return -ENXIO;
	f->seekable = false;
	if (n->ops->fops) {
		f->ops = n->ops->fops;
		return n->ops->open ? n->ops->open(n, f) : 0;
	}
	return open_text(n, f);
}

static const struct inode_ops tree_ops = {
	.lookup = tree_lookup,
	.name = tree_name,
	.readlink = tree_readlink,
	.follow = tree_follow,
	.stat = tree_stat,
	.open = tree_open,
	.destroy = tree_destroy,
};

static const struct file_ops tree_dir_ops = {
	.readdir = tree_readdir,
};

struct node *file_node(struct file *f)
{
	return &tree_inode_of(f->inode)->node;
}

/* --- files made of a text or taking commands ------------------------------ */

struct text_file {
	struct mutex lock; /* guards the rest */
	struct text text;
	bool made; /* the text is there; the first read makes it, … */
	bool read; /* … and so does each read from the start after it */
};

static int make_text(struct node *n, struct text_file *t)
{
	int error;

	text_free(&t->text);
	t->text = (struct text){0};
	error = n->ops->text ? n->ops->text(n, &t->text) : 0;
	if (!error && t->text.failed)
		error = -ENOMEM;
	t->made = !error;
	return error;
}

static void text_release(struct file *f)
{
	struct text_file *t = f->data;

	if (t)
		text_free(&t->text);
	kfree(t);
}

static int open_text(struct node *n, struct file *f)
{
	struct text_file *t;

	f->ops = &text_ops;
	f->seekable = true;
	if ((f->flags & O_ACCMODE) != O_RDONLY && !n->ops->command)
		return -EACCES;
	t = kzalloc(sizeof(*t));
	if (!t)
		return -ENOMEM;
	mutex_init(&t->lock);
	f->data = t;
	return 0;
}

static ssize_t text_read(struct file *f, struct uio *u, uint64_t *pos)
{
	struct text_file *t = f->data;
	ssize_t n = 0;

	mutex_lock(&t->lock);
	if (!t->made || (*pos == 0 && t->read))
		n = make_text(file_node(f), t);
	t->read = true;
	if (!n)
		n = uio_put_text(u, pos, t->text.data, t->text.len);
	mutex_unlock(&t->lock);
	return n;
}

static ssize_t text_write(struct file *f, struct uio *u, uint64_t *pos)
{
	struct node *n = file_node(f);
	size_t size = u->left;
	ssize_t result;
	char *line;

	if (!n->ops->command)
		return -EINVAL;
	if (size > MAX_COMMAND) {
		kprintf("%s: a command of %llu bytes: %u are the most\n",
			n->name, (unsigned long long)size, MAX_COMMAND);
		return -EINVAL;
	}
	line = kmalloc(size + 1);
	if (!line)
		return -ENOMEM;
	if (size && uio_get(u, line, size) != (ssize_t)size) {
		result = -EFAULT;
	} else {
		line[size] = '\0';
		result = n->ops->command(n, line, size);
	}
	kfree(line);
	if (result)
		return result;
	*pos += size;
	return (ssize_t)size;
}

static const struct file_ops text_ops = {
	.read = text_read,
	.write = text_write,
	.release = text_release,
};

/* --- registration --------------------------------------------------------- */

int tree_register(const char *name, const struct node *root)
{
	struct tree *t = &trees[ntrees];
	struct tree_inode *inode;

	if (ntrees == MAX_TREES || strlen(name) >= sizeof(t->name))
		return -ENOSPC;
	if (!ntrees) {
		boot_time = time_wall_ns();
		for (unsigned i = 0; i < BUCKETS; i++)
			list_init(&live[i]);
	}
	strlcpy(t->name, name, sizeof(t->name));
	t->dev = inode_new_dev();
	inode = create_inode(NULL, root, t->dev);
	if (!inode)
		return -ENOMEM;
	inode->inode.mode |= S_IFDIR;
	t->root = &inode->inode;
	t->mount = mount_hidden(name, t->root);
	if (!t->mount) {
		inode_put(t->root);
		return -ENOMEM;
	}
	ntrees++;
	return 0;
}

static struct tree *tree_by_name(const char *name, size_t n)
{
	for (unsigned i = 0; i < ntrees; i++)
		if (strlen(trees[i].name) == n &&
			!memcmp(trees[i].name, name, n))
			return &trees[i];
	return NULL;
}

int tree_root(const char *name, size_t n, struct place *out)
{
	struct tree *t = tree_by_name(name, n);

	if (!t)
		return -ENOENT;
	*out = (struct place){t->mount, t->root};
	place_get(out);
	return 0;
}

int tree_open_device(uint64_t rdev, struct file *f)
{
	struct tree *t = tree_by_name("cons", 4);
	struct node found;
	struct inode *inode;

	if (!t)
		return -ENXIO;
	for (uint64_t pos = 0;
		next_child(&tree_inode_of(t->root)->node, &pos, &found); pos++)
		if ((found.mode & S_IFMT) == S_IFCHR && found.rdev == rdev) {
			inode = get_inode(t->root, &found);
			if (!inode)
				return -ENOMEM;
			/* The file is the device's from now on. */
			inode_put(f->inode);
			f->inode = inode;
			return tree_open(inode, f);
		}
	return -ENXIO;
}
