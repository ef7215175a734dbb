/* SPDX-License-Identifier: MIT */
/* A buffer that a read fills or a write drains: in user or kernel memory. File
 * operations see only this, so the kernel reads files as processes do. */
#ifndef LIB_UIO_H
#define LIB_UIO_H

#include "lib/types.h"

struct uio {
	uintptr_t base; /* advances as bytes move */
	size_t left;    /* bytes still wanted (read) or offered (write) */
	bool user;      /* base is an address of the current process */
};

/* Move up to n bytes; n is clipped to u->left. Returns bytes moved, or -EFAULT
 * when not even the first could be. Sleeps (page faults) if u->user. */
ssize_t uio_put(struct uio *u, const void *src, size_t n); /* read: to u */
ssize_t uio_get(struct uio *u, void *dst, size_t n);       /* write: from u */
ssize_t uio_zero(struct uio *u, size_t n);

/* Serve a read at *pos from a text that is complete in memory. */
ssize_t uio_put_text(struct uio *u, uint64_t *pos, const char *text, size_t n);

static inline struct uio uio_kernel(void *p, size_t n)
{
	return (struct uio){(uintptr_t)p, n, false};
}

static inline struct uio uio_user(uintptr_t p, size_t n)
{
	return (struct uio){p, n, true};
}

#endif
