/* SPDX-License-Identifier: MIT */
/*
 * "#dmar": what the I/O MMU does, as it happens.
 *
 *   faults       a line for each refused request; reading waits for the next
 *   stats        counters and latencies of every unit, and of memory
 *   units        what firmware said, what was odd, quirks
 *   inherited    what devices still reach of an earlier kernel's; "end" ends it
 *   queue        the invalidation queues
 *   interrupts   the present interrupt remapping entries
 *   tables/BB:DD.F  a device's entries and ranges as the hardware walks them
 */
#include "dev/dev.h"
#include "assign/assign.h"
#include "assign/faults.h"
#include "fs/inode.h"
#include "host/host.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "lib/text.h"
#include "mem/mem.h"
#include "pci/pci.h"
#include "proc/wait.h"

#define MAX_RANGES 4096

static void sink(void *arg, const char *s, size_t n)
{
	text_append(arg, s, n);
}

static bool present(struct text *t)
{
	if (host_iommu)
		return true;
	text_printf(t, "no I/O MMU: %s\n", assign_absent_reason());
	return false;
}

/* A position in the stream of lines: the line's number, and how much of it the
 * reader has (a shell reads byte by byte). */
#define POS_SHIFT 9

static ssize_t faults_file_read(struct file *f, struct uio *u, uint64_t *pos)
{
	bool nonblock = f->flags & O_NONBLOCK;
	ssize_t moved = 0;
	char line[1 << POS_SHIFT];

	while (u->left) {
		uint64_t seq = *pos >> POS_SHIFT;
		uint64_t skip = *pos & (sizeof(line) - 1);
		uint64_t wanted = seq;
		ssize_t n = faults_read(
			&seq, line, sizeof(line), nonblock || moved);
		ssize_t part;

		if (n < 0)
			return moved ? moved : n;
		/* The rest of a line that was overwritten is lost. */
		if (seq != wanted + 1 || skip > (uint64_t)n)
			skip = 0;
		part = uio_put(u, line + skip, (size_t)n - skip);
		if (part < 0)
			return moved ? moved : part;
		skip += (uint64_t)part;
		*pos = skip == (uint64_t)n ? seq << POS_SHIFT
					   : (seq - 1) << POS_SHIFT | skip;
		moved += part;
	}
	return moved;
}

static unsigned faults_file_poll(struct file *f, struct poller *p)
{
	return faults_poll(f->pos >> POS_SHIFT, p) ? POLLIN : 0;
}

static const struct file_ops faults_fops = {
	.read = faults_file_read, .poll = faults_file_poll};

static int stats_text(struct node *file, struct text *t)
{
	struct memory_counts m = memory_counts();

	(void)file;
	text_printf(t, "pages: %llu total, %llu free, %llu quarantined\n",
		(unsigned long long)m.total, (unsigned long long)m.free,
		(unsigned long long)m.quarantined);
	if (present(t))
		iommu_report_stats(host_iommu, sink, t);
	return 0;
}

static int units_text(struct node *file, struct text *t)
{
	(void)file;
	if (!present(t))
		return 0;
	iommu_report_warnings(host_iommu, sink, t);
	iommu_report_quirks(host_iommu, sink, t);
	return 0;
}

static int queue_text(struct node *file, struct text *t)
{
	(void)file;
	if (present(t))
		iommu_report_queue(host_iommu, sink, t);
	return 0;
}

static int interrupts_text(struct node *file, struct text *t)
{
	(void)file;
	if (present(t))
		iommu_report_interrupts(host_iommu, sink, t);
	return 0;
}

static int tables_text(struct node *file, struct text *t)
{
	struct pci_device *d = (struct pci_device *)file->a;
	struct iommu_device_id id = host_device_id(d);
	enum iommu_status st;

	if (!present(t))
		return 0;
	st = iommu_report_tables(host_iommu, id, MAX_RANGES, sink, t);
	if (st != IOMMU_OK)
		text_printf(t, "%s\n", iommu_status_text(st));
	return 0;
}

static int inherited_text(struct node *file, struct text *t)
{
	(void)file;
	if (present(t))
		text_printf(t,
			"%u devices reach what an earlier kernel mapped\n"
			"write \"end\" to take it from them and reuse its "
			"memory\n",
			iommu_inherited_count(host_iommu));
	return 0;
}

static int inherited_command(struct node *file, const char *line, size_t n)
{
	(void)file;
	n -= n && line[n - 1] == '\n';
	if (n != 3 || memcmp(line, "end", 3))
		return -EINVAL;
	return assign_end_inheritance();
}

static const struct node_ops faults_ops = {.fops = &faults_fops};
static const struct node_ops stats_ops = {.text = stats_text};
static const struct node_ops units_ops = {.text = units_text};
static const struct node_ops inherited_ops = {
	.text = inherited_text, .command = inherited_command};
static const struct node_ops queue_ops = {.text = queue_text};
static const struct node_ops interrupts_ops = {.text = interrupts_text};
static const struct node_ops tables_ops = {.text = tables_text};

static bool tables_child(struct node *dir, unsigned n, struct node *out)
{
	struct pci_device *d = pci_nth(n);

	(void)dir;
	if (!d)
		return false;
	*out = (struct node){
		.mode = S_IFREG | 0444, .ops = &tables_ops, .a = (uintptr_t)d};
	pci_device_name(d, out->name, sizeof(out->name));
	return true;
}

static const struct node_ops tables_dir_ops = {.child = tables_child};

static bool root_child(struct node *dir, unsigned n, struct node *out)
{
	static const struct node files[] = {
		{.name = "faults", .mode = S_IFREG | 0444, .ops = &faults_ops},
		{.name = "inherited",
			.mode = S_IFREG | 0644,
			.ops = &inherited_ops},
		{.name = "interrupts",
			.mode = S_IFREG | 0444,
			.ops = &interrupts_ops},
		{.name = "queue", .mode = S_IFREG | 0444, .ops = &queue_ops},
		{.name = "stats", .mode = S_IFREG | 0444, .ops = &stats_ops},
		{.name = "tables",
			.mode = S_IFDIR | 0555,
			.ops = &tables_dir_ops},
		{.name = "units", .mode = S_IFREG | 0444, .ops = &units_ops},
	};

	(void)dir;
	if (n >= ARRAY_SIZE(files))
		return false;
	*out = files[n];
	return true;
}

void dev_dmar_init(void)
{
	static const struct node_ops root_ops = {.child = root_child};
	struct node root = {
		.name = "dmar", .mode = S_IFDIR | 0555, .ops = &root_ops};

	if (tree_register("dmar", &root))
		kprintf("#dmar: not registered\n");
}
