/* SPDX-License-Identifier: MIT */
/*
 * From a path to a place. A walk holds the place where it stands (counted) and
 * what is left of the path; a symbolic link puts its target in front of the
 * rest, so depth costs no stack. Limits: 40 links, PATH_MAX bytes left at any
 * time, NAME_MAX bytes an element.
 */
#include "fs/fs.h"
#include "fs/walk.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/mem.h"

#define MAX_LINKS 40

struct walk {
	struct place at;   /* counted */
	struct place root; /* counted; ".." stops here */
	struct place dir;  /* counted; where `at` was found, if no directory */
	const char *rest;  /* what is left of the path */
	char *buffer;      /* heap, PATH_MAX: rest after a link; or NULL */
	unsigned links;
	char name[NAME_MAX + 1]; /* the element at hand */
};

static void walk_end(struct walk *w)
{
	place_put(&w->at);
	place_put(&w->root);
	place_put(&w->dir);
	kfree(w->buffer);
}

static void walk_to(struct walk *w, const struct place *p)
{
	place_put(&w->dir);
	place_put(&w->at);
	w->at = *p;
}

/* "#name" leads to a device tree, if there is one of that name. */
static bool start_in_tree(struct walk *w)
{
	size_t n = 0;
	struct place tree;

	if (w->rest[0] != '#')
		return false;
	while (w->rest[1 + n] && w->rest[1 + n] != '/')
		n++;
	if (tree_root(w->rest + 1, n, &tree))
		return false;
	w->rest += 1 + n;
	walk_to(w, &tree);
	return true;
}

static void start_at_root(struct walk *w)
{
	struct place root = w->root;

	place_get(&root);
	walk_to(w, &root);
}

static int start_at_dirfd(struct walk *w, int dirfd)
{
	struct file *f;

	if (dirfd == AT_FDCWD) {
		walk_cwd(&w->at);
		return 0;
	}
	f = fd_file(dirfd);
	if (!f)
		return -EBADF;
	w->at = (struct place){f->mount, f->inode};
	place_get(&w->at);
	file_put(f);
	return 0;
}

static int walk_start(
	struct walk *w, int dirfd, const char *path, unsigned flags)
{
	int error = 0;

	*w = (struct walk){.rest = path};
	if (!*path && !(flags & AT_EMPTY_PATH))
		return -ENOENT;
	if (strnlen(path, PATH_MAX) >= PATH_MAX)
		return -ENAMETOOLONG;
	walk_root(&w->root);
	if (*path == '/')
		start_at_root(w);
	else if (!start_in_tree(w))
		error = start_at_dirfd(w, dirfd);
	return error;
}

/* Take the next element into w->name. 1: there is one, 0: the path is done. */
static int next_name(struct walk *w)
{
	size_t n = 0;

	while (*w->rest == '/')
		w->rest++;
	while (w->rest[n] && w->rest[n] != '/')
		n++;
	if (n > NAME_MAX)
		return -ENAMETOOLONG;
	if (!n)
		return 0; /* w->name stays what the last element was */
	memcpy(w->name, w->rest, n);
	w->name[n] = '\0';
	w->rest += n;
	return 1;
}

/* Nothing but slashes is left. */
static bool at_last(const struct walk *w)
{
	const char *s = w->rest;

	while (*s == '/')
		s++;
	return !*s;
}

static int go_up(struct walk *w)
{
	struct inode *up;

	do {
		if (w->at.node == w->root.node && w->at.mount == w->root.mount)
			return 0;
	} while (mount_leave(&w->at));
	up = inode_parent(w->at.node);
	if (up) {
		inode_put(w->at.node);
		w->at.node = up;
		mount_cross(&w->at);
	}
	return 0;
}

/* Put a link's target in front of what is left. */
static int splice(struct walk *w, struct inode *link)
{
	size_t left = strlen(w->rest);
	char *buffer = kmalloc(PATH_MAX);
	ssize_t n;

	if (!buffer)
		return -ENOMEM;
	n = link->ops->readlink ? link->ops->readlink(link, buffer, PATH_MAX)
				: -EINVAL;
	if (n == 0)
		n = -ENOENT;
	if (n > 0 && (size_t)n + left >= PATH_MAX)
		n = -ENAMETOOLONG;
	if (n < 0) {
		kfree(buffer);
		return (int)n;
	}
	memcpy(buffer + n, w->rest, left + 1);
	kfree(w->buffer);
	w->buffer = buffer;
	w->rest = buffer;
	if (buffer[0] == '/')
		start_at_root(w);
	else
		start_in_tree(w);
	return 0;
}

/* `link` was found in w->at. */
static int follow(struct walk *w, struct inode *link)
{
	struct place target = {NULL, NULL};
	int error = -ENOTSUP;

	if (++w->links > MAX_LINKS)
		return -ELOOP;
	if (link->ops->follow)
		error = link->ops->follow(link, &target);
	if (error == -ENOTSUP)
		return splice(w, link);
	if (!error)
		walk_to(w, &target);
	return error;
}

/* Go from w->at to its child w->name. With `stay`, a symbolic link is not
 * followed. */
static int step(struct walk *w, bool stay)
{
	struct inode *child;
	int error;

	if (!inode_is(w->at.node, S_IFDIR))
		return -ENOTDIR;
	if (!strcmp(w->name, "."))
		return 0;
	if (!strcmp(w->name, ".."))
		return go_up(w);
	if (!w->at.node->ops->lookup)
		return -ENOENT;
	error = w->at.node->ops->lookup(w->at.node, w->name, &child);
	if (error)
		return error;
	if (inode_is(child, S_IFLNK) && !stay) {
		error = follow(w, child);
		inode_put(child);
		return error;
	}
	place_put(&w->dir);
	if (inode_is(child, S_IFDIR)) {
		inode_put(w->at.node);
	} else {
		w->dir = w->at;
		mount_get(w->at.mount);
	}
	w->at.node = child;
	mount_cross(&w->at);
	return 0;
}

char *path_join(const struct place *dir, const char *name)
{
	char *buf = kmalloc(PATH_MAX + NAME_MAX + 2), *path = NULL;
	ssize_t n;

	if (!buf)
		return NULL;
	n = path_of(dir, buf, PATH_MAX);
	if (n >= 0) {
		if (name[0] && buf[n - 1] != '/')
			buf[n++] = '/';
		n += (ssize_t)strlcpy(buf + n, name, NAME_MAX + 1);
		path = kmalloc((size_t)n + 1);
		if (path)
			memcpy(path, buf, (size_t)n + 1);
	}
	kfree(buf);
	return path;
}

/* The absolute path of what was found: heap; NULL if it has none. */
static char *found_path(const struct walk *w)
{
	if (inode_is(w->at.node, S_IFDIR))
		return path_join(&w->at, "");
	return w->dir.node ? path_join(&w->dir, w->name) : NULL;
}

/* The whole walk; the caller ends it, also on failure. */
static int walk_all(struct walk *w, int dirfd, const char *path, unsigned flags)
{
	int error = walk_start(w, dirfd, path, flags);
	bool nofollow = flags & AT_SYMLINK_NOFOLLOW;

	while (!error) {
		int got = next_name(w);

		if (got <= 0) {
			error = got;
			break;
		}
		/* A slash behind the last element asks for its target. */
		error = step(w, nofollow && !*w->rest);
	}
	if (!error && *path && path[strlen(path) - 1] == '/' &&
		!inode_is(w->at.node, S_IFDIR))
		error = -ENOTDIR;
	return error;
}

int path_resolve(int dirfd, const char *path, unsigned flags, struct place *out,
	char **out_path)
{
	struct walk w;
	int error = walk_all(&w, dirfd, path, flags);

	if (!error) {
		*out = w.at;
		place_get(out);
		if (out_path)
			*out_path = found_path(&w);
	}
	walk_end(&w);
	return error;
}

int path_find_entry(int dirfd, const char *path, struct place *out,
	struct place *out_dir, char name[NAME_MAX + 1])
{
	struct walk w;
	int error = walk_all(&w, dirfd, path, 0);

	if (!error) {
		*out = w.at;
		*out_dir = w.dir;
		if (w.dir.node) {
			place_get(out_dir);
			strlcpy(name, w.name, NAME_MAX + 1);
		}
		place_get(out);
	}
	walk_end(&w);
	return error;
}

int path_find(int dirfd, const char *path, unsigned flags, struct place *out)
{
	return path_resolve(dirfd, path, flags, out, NULL);
}

/* If the last element is a symbolic link, go where it leads: 1; else 0. */
static int follow_last(struct walk *w)
{
	struct inode *child;
	int error = 0;

	if (!inode_is(w->at.node, S_IFDIR) || !w->at.node->ops->lookup ||
		w->at.node->ops->lookup(w->at.node, w->name, &child))
		return 0;
	if (inode_is(child, S_IFLNK))
		error = follow(w, child);
	else
		error = 1;
	inode_put(child);
	return error < 0 ? error : !error;
}

static void describe_last(
	const struct walk *w, int got, struct path_parent *out)
{
	strlcpy(out->last, got ? w->name : "", sizeof(out->last));
	if (!got)
		out->kind = LAST_ROOT; /* "/", "#iommu" */
	else if (!strcmp(w->name, "."))
		out->kind = LAST_DOT;
	else if (!strcmp(w->name, ".."))
		out->kind = LAST_DOTDOT;
	else
		out->kind = LAST_NAME;
	out->slash = *w->rest == '/';
	out->dir = w->at;
	place_get(&out->dir);
}

int path_find_parent(
	int dirfd, const char *path, bool through, struct path_parent *out)
{
	struct walk w;
	int error = walk_start(&w, dirfd, path, 0);
	int got = 0;

	while (!error) {
		got = next_name(&w);
		if (got < 0)
			error = got;
		if (got <= 0)
			break;
		if (!at_last(&w)) {
			error = step(&w, false);
			continue;
		}
		got = through ? follow_last(&w) : 0;
		if (got <= 0) {
			error = got;
			got = 1;
			break;
		}
	}
	if (!error && !inode_is(w.at.node, S_IFDIR))
		error = -ENOTDIR;
	if (!error)
		describe_last(&w, got, out);
	walk_end(&w);
	return error;
}

/* --- the way back --------------------------------------------------------- */

/* Write s in front of *pos. */
static int prepend(char *buf, size_t *pos, const char *s)
{
	size_t n = strlen(s);

	if (n > *pos)
		return -ERANGE;
	*pos -= n;
	memcpy(buf + *pos, s, n);
	return 0;
}

static int prepend_name(struct inode *dir, char *buf, size_t *pos)
{
	char name[NAME_MAX + 1];
	int error;

	if (!dir->ops->name)
		return -ENOENT;
	error = dir->ops->name(dir, name, sizeof(name));
	if (!error)
		error = prepend(buf, pos, name);
	if (!error)
		error = prepend(buf, pos, "/");
	return error;
}

ssize_t path_of(const struct place *dir, char *buf, size_t size)
{
	struct place at = *dir, root;
	size_t pos = size;
	int error = size ? 0 : -ERANGE;

	if (!error)
		buf[--pos] = '\0';
	walk_root(&root);
	place_get(&at);
	while (!error) {
		struct inode *up;

		if (at.node == root.node && at.mount == root.mount)
			break;
		if (mount_leave(&at))
			continue;
		up = inode_parent(at.node);
		if (!up) {
			/* A device tree by its own name, or a place that this
			 * process cannot reach. */
			if (mount_name(at.mount)[0] != '#')
				error = -ENOENT;
			else
				error = prepend(
					buf, &pos, mount_name(at.mount));
			break;
		}
		error = prepend_name(at.node, buf, &pos);
		inode_put(at.node);
		at.node = up;
	}
	if (!error && pos == size - 1)
		error = prepend(buf, &pos, "/");
	place_put(&at);
	place_put(&root);
	if (error)
		return error;
	memmove(buf, buf + pos, size - pos);
	return (ssize_t)(size - pos - 1);
}
