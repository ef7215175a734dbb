/* SPDX-License-Identifier: MIT */
/*
 * A process's page tables as the I/O address space of its devices: nothing is
 * copied, the domain's roots are the space's. Every change that mem/ makes to
 * the tables of such a space comes here as assign_flush() before anything that
 * was taken out of them is used again.
 */
#include "assign/assign.h"
#include "assign/assignment.h"
#include "host/host.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "mem/region.h"
#include "mem/share.h"

/* What the CPU's entries in a process's half look like. */
static const struct iommu_entry_format entry_format = {
	.leaf_bits = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED |
		PTE_DIRTY | PTE_NX,
	.large_leaf_bits = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED |
		PTE_DIRTY | PTE_LARGE | PTE_NX,
	.table_bits = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED,
	.absent_bits = PTE_HELD | PTE_DYING | PTE_REGISTERS | PTE_LARGE,
	.large_2m = true,
};

static int create_domain(struct space *s, struct iommu_domain **out)
{
	struct iommu_domain_config config = {
		.kind = IOMMU_DOMAIN_SHARED,
		.owner = s,
		.roots = {iommu_phys(space_root(s, 3)),
			iommu_phys(space_root(s, 4)),
			iommu_phys(space_root(s, 5))},
	};
	enum iommu_status st = iommu_domain_create(host_iommu, &config, out);

	return st == IOMMU_OK ? 0 : assign_status_error(st);
}

/* Does the unit walk 2 MiB pages of ours? */
static bool takes_huge(unsigned unit)
{
	return iommu_shared_check(host_iommu, unit, &entry_format, NULL) ==
		IOMMU_OK;
}

int __share_with(struct assignment *a, struct iommu_domain **out_domain)
{
	struct space *s = a->space;
	struct pci_device *d = a->device;
	unsigned duties;
	enum iommu_status st =
		iommu_device_duties(host_iommu, host_device_id(d), &duties);
	int err;

	if (st != IOMMU_OK)
		return assign_refuse_status(d, st);
	err = space_share(
		s, duties & IOMMU_DUTY_WRITE_BACK, takes_huge(a->unit));
	if (err)
		return assign_refuse(d, err,
			err == -ENOTSUP
				? "the process has 2 MiB pages, the unit none"
				: "not enough memory to keep the process in "
				  "it");
	*out_domain = space_domain(s);
	if (*out_domain)
		return 0;
	err = create_domain(s, out_domain);
	if (err)
		return assign_refuse(d, err, "no domain");
	space_set_domain(s, *out_domain);
	return 0;
}

static bool space_has_device(const struct space *s)
{
	struct assignment *a;

	list_for_each (a, &assignments, link)
		if (a->space == s)
			return true;
	return false;
}

/* The space's last device is gone: its tables are its own again. */
void __leave_space(struct space *s)
{
	struct iommu_domain *domain = space_domain(s);

	if (space_has_device(s))
		return;
	space_unshare(s);
	if (domain && iommu_domain_destroy(domain) != IOMMU_OK)
		kprintf("iommu: a domain is kept: its device did not "
			"confirm\n");
}

int assign_flush(struct space *s, uint64_t start, uint64_t end, unsigned what)
{
	unsigned changes = 0;

	if (what & CHANGE_PRESENT)
		changes |= IOMMU_MADE_PRESENT;
	if (what & (CHANGE_REMOVED | CHANGE_REPLACED))
		changes |= IOMMU_REMOVED;
	if (what & CHANGE_CUT)
		changes |= IOMMU_RIGHTS_CUT;
	if (what & CHANGE_RAISED)
		changes |= IOMMU_RIGHTS_RAISED;
	if (what & CHANGE_TABLES)
		changes |= IOMMU_TABLE_CHANGED;
	if (iommu_flush(space_domain(s), changes, iommu_iova(start),
		    end - start) == IOMMU_OK)
		return 0;
	return -EIO;
}
