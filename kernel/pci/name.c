/* SPDX-License-Identifier: MIT */
/* How devices are listed and named. */
#include "pci/pci.h"
#include "lib/print.h"

struct pci_device *pci_nth(unsigned n)
{
	struct pci_device *d;

	list_for_each (d, &pci_devices, link)
		if (!d->absent && n-- == 0)
			return d;
	return NULL;
}

void pci_device_name(const struct pci_device *d, char *buf, size_t size)
{
	unsigned dev = PCI_DEV(d->devfn), fn = PCI_FN(d->devfn);

	if (d->segment)
		ksnprintf(buf, size, "%04x:%02x:%02x.%x", d->segment, d->bus,
			dev, fn);
	else
		ksnprintf(buf, size, "%02x:%02x.%x", d->bus, dev, fn);
}
