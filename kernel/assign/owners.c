/* SPDX-License-Identifier: MIT */
/*
 * What owners and readers ask of the list of owned devices: whose it is, what
 * the owner may do, and what a fault means for the owner.
 */
#include "assign/assign.h"
#include "assign/assignment.h"
#include "assign/near.h"
#include "assign/owner.h"
#include "lib/errno.h"
#include "lib/string.h"

#define FAULTS_TOLD 8 /* of one owner, on its terminal */
#define BUS_ADRERR 2

int assign_as_owner(struct pci_device *d,
	int (*fn)(struct pci_device *d, void *arg), void *arg)
{
	struct process *p = process_current();
	int err = -EPERM;

	mutex_lock(&assign_lock);
	if (p && pci_owned_by(d, p->space))
		err = fn(d, arg);
	mutex_unlock(&assign_lock);
	return err;
}

static void describe(const struct assignment *a, struct assigned *out)
{
	*out = (struct assigned){
		.unit = a->unit,
		.pid = a->pid,
		.device = a->device,
		.faults = a->faults,
		.reset = a->reset,
	};
}

bool assign_nth(unsigned n, struct assigned *out)
{
	struct assignment *a;
	bool found = false;

	mutex_lock(&assign_lock);
	list_for_each (a, &assignments, link) {
		if (n--)
			continue;
		describe(a, out);
		found = true;
		break;
	}
	mutex_unlock(&assign_lock);
	return found;
}

bool assign_of(const struct pci_device *d, struct assigned *out)
{
	struct assignment *a;

	mutex_lock(&assign_lock);
	a = __assignment_of(d);
	if (a)
		describe(a, out);
	mutex_unlock(&assign_lock);
	return a;
}

bool assign_broken(const struct pci_device *d)
{
	return d->broken;
}

/* ------------------------------------------------------------------ faults */

/* The owner's process, counted; NULL if it is ending or the pid is another's.
 */
static struct process *owner_of(const struct assignment *a)
{
	struct process *p = process_find(a->pid);

	if (p && p->space != a->space) {
		process_put(p);
		p = NULL;
	}
	return p;
}

static void signal_owner(struct assignment *a, const struct iommu_fault *f)
{
	struct signal_info info = {.code = BUS_ADRERR, .addr = f->address.v};
	struct process *p = owner_of(a);

	if (!p)
		return;
	(void)signal_process(p, SIGBUS, &info);
	process_put(p);
}

void __assign_fault(const struct iommu_fault *f, struct fault_owner *out)
{
	struct pci_device *d =
		pci_find(f->device.segment, (uint8_t)(f->device.requester >> 8),
			(uint8_t)f->device.requester);
	struct assignment *a = d ? __assignment_of(d) : NULL;

	*out = (struct fault_owner){0};
	if (!a)
		return;
	a->faults++;
	out->pid = a->pid;
	strlcpy(out->name, a->name, sizeof(out->name));
	out->tell = a->on_terminal && a->faults <= FAULTS_TOLD;
	out->last = a->faults == FAULTS_TOLD;
	if (f->kind == IOMMU_FAULT_DMA)
		near_text(a->space, f->address.v, out->near, sizeof(out->near));
	if (a->policy == FAULT_SIGBUS)
		signal_owner(a, f);
	/* Not here: whoever drains may be about to take a device away. */
	if (a->policy == FAULT_DETACH && !a->doomed) {
		a->doomed = true;
		faults_wake();
	}
}

void assign_take_faults(void)
{
	struct assignment *a, *tmp;

	mutex_lock(&assign_lock);
	__faults_drain();
	list_for_each_safe (a, tmp, &assignments, link) {
		if (!a->doomed)
			continue;
		assign_complain("detach", 0,
			"%x:%x.%x is taken from pid %d for its fault",
			a->device->bus, PCI_DEV(a->device->devfn),
			PCI_FN(a->device->devfn), a->pid);
		(void)__release(a);
	}
	mutex_unlock(&assign_lock);
}

int assign_set_policy(struct pci_device *d, enum fault_policy policy)
{
	struct assignment *a = __assignment_of(d);

	if (!a)
		return -ENXIO;
	a->policy = policy;
	return 0;
}

void __assign_silence(uint16_t segment, uint16_t requester)
{
	struct pci_device *d = pci_find(
		segment, (uint8_t)(requester >> 8), (uint8_t)requester);

	if (!d || d->silenced)
		return;
	d->silenced = true;
	(void)__quiet(d);
}
