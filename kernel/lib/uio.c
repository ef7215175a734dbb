/* SPDX-License-Identifier: MIT */
/* Moving bytes between the kernel and a buffer in user or kernel memory. */
#include "lib/uio.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "mem/user.h"

static ssize_t advance(struct uio *u, size_t wanted, size_t moved)
{
	u->base += moved;
	u->left -= moved;
	return moved || !wanted ? (ssize_t)moved : -EFAULT;
}

ssize_t uio_put(struct uio *u, const void *src, size_t n)
{
	size_t moved = n = MIN(n, u->left);

	if (u->user)
		moved = copy_to_user_partial(u->base, src, n);
	else
		memcpy((void *)u->base, src, n);
	return advance(u, n, moved);
}

ssize_t uio_get(struct uio *u, void *dst, size_t n)
{
	size_t moved = n = MIN(n, u->left);

	if (u->user)
		moved = copy_from_user_partial(dst, u->base, n);
	else
		memcpy(dst, (const void *)u->base, n);
	return advance(u, n, moved);
}

ssize_t uio_zero(struct uio *u, size_t n)
{
	static const char zeros[512];
	size_t done = 0;

	n = MIN(n, u->left);
	while (done < n) {
		size_t piece = MIN(n - done, sizeof(zeros));
		ssize_t moved = uio_put(u, zeros, piece);

		if (moved > 0)
			done += moved;
		if (moved < (ssize_t)piece)
			return done ? (ssize_t)done : moved;
	}
	return done;
}

ssize_t uio_put_text(struct uio *u, uint64_t *pos, const char *text, size_t n)
{
	ssize_t moved;

	if (*pos >= n)
		return 0;
	moved = uio_put(u, text + *pos, n - *pos);
	if (moved > 0)
		*pos += moved;
	return moved;
}
