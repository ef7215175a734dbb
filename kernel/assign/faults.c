/* SPDX-License-Identifier: MIT */
/*
 * From a unit's fault interrupt to a line in #dmar/faults. The interrupt only
 * copies records (the library does); a thread decodes them, finds the owner,
 * and keeps the last lines in a ring. A reader that falls behind by a whole
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
#define LINE_SIZE 160

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

/* "12.345678 00:03.0 pid 31 write 0x00007f0012345000: words (5)" */
static void report(const struct iommu_fault *f)
{
	unsigned bus = f->device.requester >> 8;
	unsigned dev = f->device.requester >> 3 & 0x1f;
	unsigned fn = f->device.requester & 7;
	int pid = assign_count_fault(f->device.segment, f->device.requester);
	char what[48], who[24] = "no owner", line[LINE_SIZE];

	if (pid)
		ksnprintf(who, sizeof(who), "pid %d", pid);
	if (f->kind == IOMMU_FAULT_INTERRUPT)
		ksnprintf(what, sizeof(what), "interrupt %u", f->index);
	else
		ksnprintf(what, sizeof(what), "%s 0x%016llx",
			f->write ? "write" : "read",
			(unsigned long long)f->address.v);
	ksnprintf(line, sizeof(line),
		"%llu.%06llu %02x:%02x.%x %s %s: %s (%u)\n",
		(unsigned long long)(f->time_ns / NS_PER_S),
		(unsigned long long)(f->time_ns % NS_PER_S / 1000), bus, dev,
		fn, who, what, f->text, f->reason);
	add_line(line);
}

static void check_storm(const struct iommu_fault *f)
{
	struct iommu_device_info info;

	if (iommu_device_info(host_iommu, f->device, &info) != IOMMU_OK ||
		info.state != IOMMU_DEVICE_QUARANTINED)
		return;
	assign_silence(f->device.segment, f->device.requester);
	kprintf("iommu: %02x:%02x.%x is blocked: too many faults\n",
		f->device.requester >> 8, f->device.requester >> 3 & 0x1f,
		f->device.requester & 7);
}

static void collector(void *arg)
{
	struct iommu_fault f;

	(void)arg;
	for (;;) {
		spin_lock(&lock);
		while (!pending)
			(void)wait_on(&work, &lock, WAIT_FOREVER,
				WAIT_UNINTERRUPTIBLE);
		pending = false;
		spin_unlock(&lock);
		while (iommu_fault_next(host_iommu, &f)) {
			report(&f);
			check_storm(&f);
		}
	}
}

void faults_init(void)
{
	spin_init(&lock);
	waitq_init(&work);
	waitq_init(&readers);
	poll_source_init(&source);
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
