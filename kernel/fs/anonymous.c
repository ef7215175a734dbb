/* SPDX-License-Identifier: MIT */
#include "fs/anonymous.h"
#include "fs/fs.h"
#include "mem/mem.h"

static void destroy(struct inode *node)
{
	kfree(node);
}

static const struct inode_ops ops_of_node = {.destroy = destroy};

struct file *anonymous_file(
	const struct file_ops *ops, void *data, uint32_t flags)
{
	struct place at = {NULL, kzalloc(sizeof(*at.node))};
	struct file *f;

	if (!at.node)
		return NULL;
	inode_init(at.node, 0600, &ops_of_node);
	f = file_create(&at, O_RDWR | (flags & O_NONBLOCK));
	inode_put(at.node);
	if (f) {
		f->ops = ops;
		f->data = data;
	}
	return f;
}
