/* SPDX-License-Identifier: MIT */
/*
 * From a unit's fault interrupt to a line in #dmar/faults. The interrupt only
 * copies records (the library does); a thread decodes them, finds the owner,
 * and keeps the last lines in a ring. It does so with the assign lock held, and
 * so does who takes a device away: a fault is always told of the one who had
 * the device then. A reader that falls behind by a whole
 * ring misses lines; the count in #dmar/stats does not.
 */
#include "assign/faults.h"
#include "cpu/time.h"
#include "host/host.h"
#include "lib/errno.h"
#include "lib/lock.h"
#include "lib/print.h"
#include "lib/string.h"
#include "proc/process.h"
#include "proc/wait.h"

#define LINES 512
#define LINE_SIZE 288

static struct spinlock lock; /* guards everything below */
static struct waitq work, readers;
static struct poll_source source;
static bool pending;
static uint64_t next_seq; /* number of the next line */
static char lines[LINES][LINE_SIZE];

void faults_wake(void)
{
	spin_lock(&lock);
	pending = true;
	spin_unlock(&lock);
	wake_all(&work);
}

static void add_line(const char *text)
{
	spin_lock(&lock);
	strlcpy(lines[next_seq % LINES], text, LINE_SIZE);
	next_seq++;
	spin_unlock(&lock);
	wake_all(&readers);
	poll_wake(&source);
}

/* How far the walk came: the table whose entry ended it. */
static const char *walk_end(const struct iommu_fault *f)
{
	static const char *const levels[] = {"", "page table", "level-2 table",
		"level-3 table", "level-4 table", "level-5 table",
		"context table", "root table"};
	const struct iommu_walk *w = &f->walk;
	unsigned level;

	if (f->kind == IOMMU_FAULT_INTERRUPT)
		return NULL;
	if (w->mapped)
		return "a page";
	level = w->steps ? w->step[w->steps - 1].level : 0;
	return level && level < ARRAY_SIZE(levels) ? levels[level] : NULL;
}

static void tell(const struct fault_owner *o, const char *device,
	const struct iommu_fault *f)
{
	if (!o->tell)
		return;
	if (f->kind == IOMMU_FAULT_INTERRUPT)
		kprintf("iommu: %s, driven by %s, pid %d, may not raise "
			"interrupt %u%s\n",
			device, o->name, o->pid, f->index,
			o->last ? "; more in #dmar/faults" : "");
	else
		kprintf("iommu: %s may not %s 0x%llx: %s of %s, pid %d%s\n",
			device, f->write ? "write to" : "read from",
			(unsigned long long)f->address.v, o->near, o->name,
			o->pid, o->last ? "; more in #dmar/faults" : "");
}

/* "12.345678 00:03.0 pid 31 write 0x00007f0012345000: words; 4 KiB past the end
 * of the heap of udma; the walk ended at the page table (5)" */
static void report(const struct iommu_fault *f)
{
	char what[48], who[24] = "no owner", line[LINE_SIZE], device[16];
	const char *end = walk_end(f);
	struct fault_owner owner;
	size_t n;

	__assign_fault(f, &owner);
	ksnprintf(device, sizeof(device), "%02x:%02x.%x",
		f->device.requester >> 8, f->device.requester >> 3 & 0x1f,
		f->device.requester & 7);
	if (owner.pid)
		ksnprintf(who, sizeof(who), "pid %d", owner.pid);
	if (f->kind == IOMMU_FAULT_INTERRUPT)
		ksnprintf(what, sizeof(what), "interrupt %u", f->index);
	else
		ksnprintf(what, sizeof(what), "%s 0x%016llx",
			f->write ? "write" : "read",
			(unsigned long long)f->address.v);
	n = (size_t)ksnprintf(line, sizeof(line), "%llu.%06llu %s %s %s: %s",
		(unsigned long long)(f->time_ns / NS_PER_S),
		(unsigned long long)(f->time_ns % NS_PER_S / 1000), device, who,
		what, f->text);
	if (n < sizeof(line) && owner.pid && f->kind == IOMMU_FAULT_DMA)
		n += (size_t)ksnprintf(line + n, sizeof(line) - n, "; %s of %s",
			owner.near, owner.name);
	if (n < sizeof(line) && end)
		n += (size_t)ksnprintf(line + n, sizeof(line) - n,
			"; the walk ended at %s%s",
			f->walk.mapped ? "" : "the ", end);
	n = MIN(n, sizeof(line) - sizeof(" (255)\n"));
	ksnprintf(line + n, sizeof(line) - n, " (%u)\n", f->reason);
	add_line(line);
	tell(&owner, device, f);
}

/* The library has blocked it and said so, once. */
static void check_storm(const struct iommu_fault *f)
{
	struct iommu_device_info info;

	if (iommu_device_info(host_iommu, f->device, &info) != IOMMU_OK ||
		info.state != IOMMU_DEVICE_QUARANTINED)
		return;
	__assign_silence(f->device.segment, f->device.requester);
}

void __faults_drain(void)
{
	struct iommu_fault f;

	while (iommu_fault_next(host_iommu, &f)) {
		report(&f);
		check_storm(&f);
	}
}

static void collector(void *arg)
{
	(void)arg;
	for (;;) {
		spin_lock(&lock);
		while (!pending)
			(void)wait_on(&work, &lock, WAIT_FOREVER,
				WAIT_UNINTERRUPTIBLE);
		pending = false;
		spin_unlock(&lock);
		assign_take_faults();
	}
}

void faults_init(void)
{
	spin_init(&lock);
	waitq_init(&work);
	waitq_init(&readers);
	poll_source_init(&source);
}

void faults_collect(void)
{
	if (!kernel_thread("faults", collector, NULL))
		panic("no memory for the fault collector");
}

ssize_t faults_read(uint64_t *seq, char *buf, size_t size, bool nonblock)
{
	int err = 0;
	ssize_t n;

	spin_lock(&lock);
	while (*seq >= next_seq && !err)
		err = nonblock ? -EAGAIN
			       : wait_on(&readers, &lock, WAIT_FOREVER,
					 WAIT_INTERRUPTIBLE);
	if (err && *seq >= next_seq) {
		spin_unlock(&lock);
		return err;
	}
	if (next_seq > LINES)
		*seq = MAX(*seq, next_seq - LINES);
	n = (ssize_t)strlcpy(buf, lines[*seq % LINES], size);
	(*seq)++;
	spin_unlock(&lock);
	return MIN(n, (ssize_t)size - 1);
}

bool faults_poll(uint64_t seq, struct poller *p)
{
	bool ready;

	poll_register(p, &source);
	spin_lock(&lock);
	ready = seq < next_seq;
	spin_unlock(&lock);
	return ready;
}
