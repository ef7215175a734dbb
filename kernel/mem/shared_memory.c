/* SPDX-License-Identifier: MIT */
/*
 * Memory of MAP_SHARED|MAP_ANONYMOUS: a nameless file whose pages come into
 * being on first use and live as long as a mapping of it does. The pages hang
 * in a tree of two levels that grows with the highest index used.
 */
#include "mem/region.h"
#include "lib/errno.h"
#include "lib/string.h"

#define PER_LEAF 512
#define MAX_LEAVES 2048 /* 4 GiB */

struct memory {
	struct file file;
	struct mutex lock;
	struct page **leaves[MAX_LEAVES]; /* each one page of pointers */
};

static int get_page(struct file *f, uint64_t index, struct page **out)
{
	struct memory *m = f->data;
	struct page ***leaf, **slot;
	void *fresh;
	int err = -ENOMEM;

	if (index >= (uint64_t)MAX_LEAVES * PER_LEAF)
		return -ENXIO;
	mutex_lock(&m->lock);
	leaf = &m->leaves[index / PER_LEAF];
	if (!*leaf)
		*leaf = page_alloc();
	if (!*leaf)
		goto out;
	slot = &(*leaf)[index % PER_LEAF];
	if (!*slot) {
		fresh = page_alloc();
		if (!fresh)
			goto out;
		*slot = page_of(virt_to_phys(fresh));
	}
	page_get(*slot);
	*out = *slot;
	err = 0;
out:
	mutex_unlock(&m->lock);
	return err;
}

static void release(struct file *f)
{
	struct memory *m = f->data;

	for (unsigned i = 0; i < MAX_LEAVES; i++) {
		if (!m->leaves[i])
			continue;
		for (unsigned j = 0; j < PER_LEAF; j++)
			if (m->leaves[i][j])
				page_put(m->leaves[i][j]);
		page_free(m->leaves[i]);
	}
}

static const struct file_ops memory_ops = {
	.get_page = get_page,
	.release = release,
};

struct file *shared_memory_create(void)
{
	struct memory *m = kzalloc(sizeof(*m));

	if (!m)
		return NULL;
	m->file.refs = 1;
	m->file.flags = O_RDWR;
	m->file.ops = &memory_ops;
	m->file.data = m;
	mutex_init(&m->file.lock);
	mutex_init(&m->lock);
	return &m->file;
}
