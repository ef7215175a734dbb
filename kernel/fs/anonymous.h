/* SPDX-License-Identifier: MIT */
/* Files without a name that are not pipes: what eventfd(2) and epoll_create(2)
 * give. */
#ifndef FS_ANONYMOUS_H
#define FS_ANONYMOUS_H

#include "fs/file.h"

/* A file for reading and writing with these operations and data; NULL: no
 * memory. `flags` may hold O_NONBLOCK. */
struct file *anonymous_file(
	const struct file_ops *ops, void *data, uint32_t flags);

/* A counter: write adds to it, read takes it, or 1 of it (`semaphore`). */
int eventfd_create(
	uint64_t initial, bool semaphore, uint32_t flags, struct file **out);

/*
 * Descriptors that are watched together, as in epoll(7). An event holds POLL*
 * bits and these. A watched file that is closed for good is forgotten.
 */
#define EPOLL_EXCLUSIVE (1u << 28)
#define EPOLL_WAKEUP (1u << 29)
#define EPOLL_ONE_SHOT (1u << 30)
#define EPOLL_EDGE (1u << 31)

struct epoll_event {
	uint32_t events;
	uint64_t data;
} __attribute__((packed)); /* as on x86-64 */

struct epoll;
int epoll_create(struct file **out);
struct epoll *epoll_of(struct file *f); /* NULL: it is something else */

/* -EEXIST, -ENOENT, -ENOMEM; -EPERM: a file that is always ready; -EINVAL: an
 * epoll in an epoll. */
int epoll_add(struct epoll *e, struct file *f, int fd,
	const struct epoll_event *event);
int epoll_change(struct epoll *e, struct file *f, int fd,
	const struct epoll_event *event);
int epoll_remove(struct epoll *e, struct file *f, int fd);

/* How many events were found, waiting for the first until the deadline;
 * -ERESTARTSYS. */
int epoll_wait(struct epoll *e, struct epoll_event *out, unsigned max,
	uint64_t deadline);

/* The last count of a watched file is gone; before its release(). */
void epoll_forget(struct file *f);

#endif
