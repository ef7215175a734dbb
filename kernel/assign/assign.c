/* SPDX-License-Identifier: MIT */
/*
 * Devices and their owners.
 *
 * The owner of a device is an address space: threads and vfork children share
 * it, exec leaves it. The pid is kept for people. Attaching makes the space
 * resident and lets the device walk its page tables; nothing is copied.
 *
 * The order of attach: no bus mastering -> requests in flight finish -> reset
 * -> rest (below) -> the space becomes resident -> context entry present ->
 * bus mastering. The order of detach, the same for a control file, exec, exit
 * and kill: no new mapping of registers -> bus mastering off, read back ->
 * requests in flight finish -> interrupts off -> registers revoked -> context
 * entry, context cache, IOTLB with drain, wait (the library) -> reset. Only
 * then may the memory go. If the unit does not confirm, or the device neither
 * stops nor can be reset, the device is broken: it stays blocked, and the
 * space's frames are quarantined.
 *
 * A device without any way to be reset may still work on its last owner's
 * command. It rests between owners, without bus mastering, so that what it
 * started ends as a refused request.
 *
 * Locks: assign_lock (a mutex) guards everything in assign/ that has no lock of
 * its own; it is outermost. A device's `owner` pointer is also read without it,
 * see pci_owned_by().
 */
#include "assign/assign.h"
#include "assign/assignment.h"
#include "assign/config.h"
#include "assign/interrupts.h"
#include "assign/owner.h"
#include "cpu/time.h"
#include "host/host.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "mem/share.h"
#include "mem/space.h"
#include "proc/wait.h"

#define REST_NS (150 * NS_PER_MS)

struct mutex assign_lock;
struct list assignments = LIST_INIT(assignments);
static char last_error[160];

int assign_complain(const char *file, int error, const char *fmt, ...)
{
	char text[sizeof(last_error)];
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ksnprintf(last_error, sizeof(last_error), "%s: %s", file, text);
	kprintf("%s: %s\n", file, text);
	return error;
}

void assign_last_error(char *buf, size_t size)
{
	strlcpy(buf, last_error, size);
}

struct assignment *__assignment_of(const struct pci_device *d)
{
	struct assignment *a;

	list_for_each (a, &assignments, link)
		if (a->device == d)
			return a;
	return NULL;
}

/* ------------------------------------------------------------------ detach */

bool __quiet(struct pci_device *d)
{
	bool off = pci_set_master(d, false), idle = pci_wait_idle(d);

	pci_interrupts_off(d);
	return off && idle;
}

static void revoke_registers(const struct pci_device *d)
{
	for (unsigned i = 0; i < ARRAY_SIZE(d->bars); i++)
		if (d->bars[i].size && !d->bars[i].io)
			space_revoke_device(d->bars[i].base, d->bars[i].size);
	if (d->rom.size)
		space_revoke_device(d->rom.base, d->rom.size);
}

/* What the device was refused is still this owner's. */
static void collect_faults(struct assignment *a)
{
	(void)iommu_interrupt(host_iommu, a->unit);
	__faults_drain();
}

static int keep_blocked(struct assignment *a, const char *why)
{
	struct pci_device *d = a->device;

	d->broken = true;
	space_quarantine(a->space);
	return assign_complain("detach", -EIO,
		"%x:%x.%x stays blocked, its pages are quarantined: %s", d->bus,
		PCI_DEV(d->devfn), PCI_FN(d->devfn), why);
}

int __release(struct assignment *a)
{
	struct pci_device *d = a->device;
	enum iommu_status st;
	bool stopped;
	int err = 0;

	pci_set_owner(d, NULL);
	stopped = __quiet(d);
	interrupts_release(d);
	revoke_registers(d);
	config_forget(d);
	collect_faults(a); /* while the walk can still be seen */
	st = iommu_detach(host_iommu, host_device_id(d));
	if (st != IOMMU_OK && st != IOMMU_NOT_ATTACHED)
		err = keep_blocked(a, iommu_status_text(st));
	collect_faults(a); /* nothing comes any more */
	if (pci_reset(d) && !stopped && !err)
		err = keep_blocked(a, "it does not stop");
	d->released_ns = time_ns();
	list_remove(&a->link);
	__leave_space(a->space);
	kfree(a);
	return err;
}

void assign_space_gone(struct space *s)
{
	struct assignment *a, *tmp;

	if (!space_is_shared(s))
		return;
	mutex_lock(&assign_lock);
	list_for_each_safe (a, tmp, &assignments, link)
		if (a->space == s)
			(void)__release(a);
	mutex_unlock(&assign_lock);
}

void assign_device_gone(struct pci_device *d)
{
	struct assignment *a;

	mutex_lock(&assign_lock);
	a = __assignment_of(d);
	if (a) {
		assign_complain("detach", 0,
			"%x:%x.%x is taken out; pid %d loses it", d->bus,
			PCI_DEV(d->devfn), PCI_FN(d->devfn), a->pid);
		(void)__release(a);
	}
	interrupts_forget(d);
	__atomic_store_n(&d->absent, true, __ATOMIC_RELEASE);
	mutex_unlock(&assign_lock);
}

int assign_detach(struct pci_address at, int pid)
{
	struct pci_device *d = pci_find(at.segment, at.bus, at.devfn);
	struct assignment *a;
	int err;

	if (!d)
		return assign_complain("detach", -ENODEV,
			"no device at %x:%x.%x", at.bus, PCI_DEV(at.devfn),
			PCI_FN(at.devfn));
	mutex_lock(&assign_lock);
	a = __assignment_of(d);
	if (!a)
		err = assign_complain("detach", -ENXIO,
			"%x:%x.%x is not attached to a process", at.bus,
			PCI_DEV(at.devfn), PCI_FN(at.devfn));
	else if (pid && pid != a->pid)
		err = assign_complain("detach", -EPERM,
			"%x:%x.%x belongs to pid %d, not to pid %d", at.bus,
			PCI_DEV(at.devfn), PCI_FN(at.devfn), a->pid, pid);
	else
		err = __release(a);
	mutex_unlock(&assign_lock);
	return err;
}

/* ------------------------------------------------------------------ attach */

/* Stop it and forget what its last owner left in it. Returns how, or NULL if
 * that failed: it may still do what it was told, so nobody gets it. */
static const char *hand_over_reset(struct pci_device *d)
{
	enum pci_reset_kind kind = pci_reset_method(d);
	bool stopped = __quiet(d);
	int err;

	err = kind == PCI_RESET_NONE ? -ENOTSUP : pci_reset(d);
	if (!err)
		return pci_reset_name(kind);
	if (err != -ENOTSUP || !stopped)
		return NULL;
	/* Released in the future: the clock was set back. */
	if (d->released_ns)
		(void)sleep_until(MIN(d->released_ns, time_ns()) + REST_NS,
			WAIT_UNINTERRUPTIBLE);
	return "none";
}

static int give(struct assignment *a)
{
	struct pci_device *d = a->device;
	struct iommu_domain *domain;
	enum iommu_status st;
	int err = __share_with(a, &domain);

	if (err)
		goto undo;
	st = iommu_attach(host_iommu, host_device_id(d), domain);
	if (st != IOMMU_OK) {
		if (st == IOMMU_UNCONFIRMED) {
			d->broken = true;
			space_quarantine(a->space);
		}
		err = assign_refuse_status(d, st);
		goto undo;
	}
	list_push_back(&assignments, &a->link);
	d->silenced = false;
	pci_set_owner(d, a->space);
	pci_set_memory(d, true);
	(void)pci_set_master(d, true); /* if not, its owner will see */
	return 0;
undo:
	__leave_space(a->space);
	return err;
}

static int attach_to(struct pci_device *d, struct space *s, struct process *p)
{
	struct assignment *a = kzalloc(sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	a->device = d;
	a->space = s;
	a->pid = p->pid;
	a->on_terminal = p->tty;
	strlcpy(a->name, p->name, sizeof(a->name));
	err = __check_attach(d, s, &a->unit);
	if (!err) {
		a->reset = hand_over_reset(d);
		err = a->reset ? give(a)
			       : assign_refuse(d, -EIO,
					 "it could not be stopped and reset");
	}
	if (err)
		kfree(a);
	return err;
}

int assign_attach(struct pci_address at, int pid)
{
	struct pci_device *d = pci_find(at.segment, at.bus, at.devfn);
	struct process *p;
	struct space *s;
	const char *why = assign_absent_reason();
	int err;

	if (why)
		return assign_complain("attach", -ENODEV, "%s", why);
	if (!d)
		return assign_complain("attach", -ENODEV,
			"no device at %x:%x.%x", at.bus, PCI_DEV(at.devfn),
			PCI_FN(at.devfn));
	p = process_find(pid);
	s = p ? process_space(p) : NULL;
	if (!s) {
		err = assign_complain(
			"attach", -ESRCH, "no process with pid %d", pid);
		goto out;
	}
	mutex_lock(&assign_lock);
	err = attach_to(d, s, p);
	mutex_unlock(&assign_lock);
	/* If the process died meanwhile, this takes the device away again. */
	space_put(s);
out:
	if (p)
		process_put(p);
	return err;
}
