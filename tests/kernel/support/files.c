/* SPDX-License-Identifier: MIT */
/* See files.h. */
#include "support/files.h"
#include "support/machine.h"
#include "lib/string.h"

#define MAX_PAGES 64

struct pages_file {
	struct file file;
	unsigned npages;
	struct page *pages[MAX_PAGES];
};

unsigned files_open;

void file_get(struct file *f)
{
	f->refs++;
}

void file_put(struct file *f)
{
	if (--f->refs)
		return;
	if (f->ops->release)
		f->ops->release(f);
	kfree(f);
}

static int get_page(struct file *f, uint64_t index, struct page **out)
{
	struct pages_file *p = container_of(f, struct pages_file, file);

	if (index >= p->npages)
		return -ENXIO;
	page_get(p->pages[index]);
	*out = p->pages[index];
	return 0;
}

static void release_pages(struct file *f)
{
	struct pages_file *p = container_of(f, struct pages_file, file);

	for (unsigned i = 0; i < p->npages; i++)
		page_put(p->pages[i]);
	files_open--;
}

static const struct file_ops pages_ops = {
	.get_page = get_page,
	.release = release_pages,
};

struct file *file_of_pages(unsigned npages, uint8_t fill, uint32_t flags)
{
	struct pages_file *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->file.refs = 1;
	p->file.flags = flags;
	p->file.ops = &pages_ops;
	files_open++;
	for (; p->npages < npages; p->npages++) {
		void *page = page_alloc();

		if (!page) {
			file_put(&p->file);
			return NULL;
		}
		memset(page, fill + (int)p->npages, PAGE_SIZE);
		p->pages[p->npages] = page_of(virt_to_phys(page));
	}
	return &p->file;
}

uint8_t *file_page(struct file *f, unsigned n)
{
	return page_virt(container_of(f, struct pages_file, file)->pages[n]);
}

struct registers_file {
	struct file file;
	struct device_range range;
};

static int get_device(struct file *f, uint64_t offset, uint64_t length,
	struct device_range *out)
{
	*out = container_of(f, struct registers_file, file)->range;
	if (offset >= out->size || length > out->size - offset)
		return -ENXIO;
	out->base += offset;
	out->size -= offset;
	return 0;
}

static void release_registers(struct file *f)
{
	(void)f;
	files_open--;
}

static const struct file_ops registers_ops = {
	.get_device = get_device,
	.release = release_registers,
};

struct file *file_of_registers(struct device_range range)
{
	struct registers_file *r = kzalloc(sizeof(*r));

	if (!r)
		return NULL;
	r->file.refs = 1;
	r->file.flags = O_RDWR;
	r->file.ops = &registers_ops;
	r->range = range;
	files_open++;
	return &r->file;
}
