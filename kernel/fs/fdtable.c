/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables. A table is counted by the processes that share it; its
 * spinlock guards everything else. Files are put after the lock is free, as
 * that may sleep.
 */
#include "fs/file.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "proc/process.h"

#define FIRST_SIZE 32

struct fdtable {
	uint32_t refs; /* atomic */
	struct spinlock lock;
	struct file **files;
	int size; /* of files */
	uint64_t cloexec[FD_LIMIT / 64];
};

static void set_cloexec(struct fdtable *t, int fd, bool on)
{
	uint64_t bit = 1ull << fd % 64;

	if (on)
		t->cloexec[fd / 64] |= bit;
	else
		t->cloexec[fd / 64] &= ~bit;
}

static bool get_cloexec(const struct fdtable *t, int fd)
{
	return t->cloexec[fd / 64] >> fd % 64 & 1;
}

static struct fdtable *create(int size)
{
	struct fdtable *t = kzalloc(sizeof(*t));

	if (!t)
		return NULL;
	t->refs = 1;
	spin_init(&t->lock);
	t->size = size;
	t->files = kzalloc(size * sizeof(t->files[0]));
	if (!t->files) {
		kfree(t);
		return NULL;
	}
	return t;
}

struct fdtable *fdtable_create(void)
{
	return create(FIRST_SIZE);
}

struct fdtable *fdtable_copy(struct fdtable *from)
{
	int size = __atomic_load_n(&from->size, __ATOMIC_RELAXED);

	for (;;) {
		struct fdtable *t = create(size);

		if (!t)
			return NULL;
		spin_lock(&from->lock);
		if (from->size <= t->size) {
			for (int i = 0; i < from->size; i++) {
				t->files[i] = from->files[i];
				if (t->files[i])
					file_get(t->files[i]);
			}
			memcpy(t->cloexec, from->cloexec, sizeof(t->cloexec));
			spin_unlock(&from->lock);
			return t;
		}
		size = from->size; /* it grew meanwhile */
		spin_unlock(&from->lock);
		fdtable_put(t);
	}
}

void fdtable_get(struct fdtable *t)
{
	__atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
}

void fdtable_put(struct fdtable *t)
{
	if (!t || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (int i = 0; i < t->size; i++)
		file_put(t->files[i]);
	kfree(t->files);
	kfree(t);
}

/* Take the file out of a slot; the caller puts it. */
static struct file *__take(struct fdtable *t, int fd)
{
	struct file *f = fd >= 0 && fd < t->size ? t->files[fd] : NULL;

	if (f) {
		t->files[fd] = NULL;
		set_cloexec(t, fd, false);
	}
	return f;
}

void fdtable_close_on_exec(struct fdtable *t)
{
	for (int fd = 0; fd < FD_LIMIT; fd++) {
		struct file *f = NULL;

		spin_lock(&t->lock);
		if (get_cloexec(t, fd))
			f = __take(t, fd);
		spin_unlock(&t->lock);
		file_put(f);
	}
}

struct file *fdtable_file(struct fdtable *t, int fd)
{
	struct file *f = NULL;

	spin_lock(&t->lock);
	if (fd >= 0 && fd < t->size)
		f = t->files[fd];
	if (f)
		file_get(f);
	spin_unlock(&t->lock);
	return f;
}

int fdtable_next(struct fdtable *t, int fd)
{
	int found = -1;

	spin_lock(&t->lock);
	for (; fd >= 0 && fd < t->size && found < 0; fd++)
		if (t->files[fd])
			found = fd;
	spin_unlock(&t->lock);
	return found;
}

unsigned fdtable_count(struct fdtable *t)
{
	unsigned n = 0;

	spin_lock(&t->lock);
	for (int i = 0; i < t->size; i++)
		n += t->files[i] != NULL;
	spin_unlock(&t->lock);
	return n;
}

/* --- of the current process ----------------------------------------------- */

/* Its own table cannot go away while it runs here. */
static struct fdtable *current(void)
{
	struct process *p = process_current();

	return p ? p->files : NULL;
}

int fd_limit(void)
{
	uint64_t soft = process_current()->rlimits[RLIMIT_NOFILE][0];

	return soft < FD_LIMIT ? (int)soft : FD_LIMIT;
}

/* Make room for descriptor fd. */
static int grow(struct fdtable *t, int fd)
{
	int size = FIRST_SIZE;
	struct file **files, **old;

	while (size <= fd)
		size *= 2;
	files = kzalloc(size * sizeof(files[0]));
	if (!files)
		return -ENOMEM;
	spin_lock(&t->lock);
	old = files;
	if (t->size < size) {
		memcpy(files, t->files, t->size * sizeof(files[0]));
		old = t->files;
		t->files = files;
		t->size = size;
	}
	spin_unlock(&t->lock);
	kfree(old);
	return 0;
}

struct file *fd_file(int fd)
{
	struct fdtable *t = current();

	return t ? fdtable_file(t, fd) : NULL;
}

int fd_install(struct file *f, int lowest, bool cloexec)
{
	struct fdtable *t = current();
	int end = fd_limit(), fd, error = 0;

	while (!error) {
		spin_lock(&t->lock);
		for (fd = lowest; fd < t->size && t->files[fd]; fd++)
			;
		if (fd >= end) {
			error = -EMFILE;
		} else if (fd < t->size) {
			t->files[fd] = f;
			set_cloexec(t, fd, cloexec);
			spin_unlock(&t->lock);
			return fd;
		}
		spin_unlock(&t->lock);
		if (!error)
			error = grow(t, fd);
	}
	file_put(f);
	return error;
}

int fd_replace(struct file *f, int fd, bool cloexec)
{
	struct fdtable *t = current();
	struct file *old;
	int error = 0;

	if (fd < 0 || fd >= fd_limit())
		error = -EBADF;
	while (!error) {
		spin_lock(&t->lock);
		if (fd < t->size) {
			old = __take(t, fd);
			t->files[fd] = f;
			set_cloexec(t, fd, cloexec);
			spin_unlock(&t->lock);
			file_put(old);
			return fd;
		}
		spin_unlock(&t->lock);
		error = grow(t, fd);
	}
	file_put(f);
	return error;
}

int fd_close(int fd)
{
	struct fdtable *t = current();
	struct file *f;

	spin_lock(&t->lock);
	f = __take(t, fd);
	spin_unlock(&t->lock);
	if (!f)
		return -EBADF;
	file_put(f);
	return 0;
}

int fd_get_cloexec(int fd)
{
	struct fdtable *t = current();
	int result = -EBADF;

	spin_lock(&t->lock);
	if (fd >= 0 && fd < t->size && t->files[fd])
		result = get_cloexec(t, fd);
	spin_unlock(&t->lock);
	return result;
}

int fd_set_cloexec(int fd, bool on)
{
	struct fdtable *t = current();
	int result = -EBADF;

	spin_lock(&t->lock);
	if (fd >= 0 && fd < t->size && t->files[fd]) {
		set_cloexec(t, fd, on);
		result = 0;
	}
	spin_unlock(&t->lock);
	return result;
}
