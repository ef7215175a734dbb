/* SPDX-License-Identifier: MIT */
/*
 * QEMU's teaching device: registers, a buffer, an engine that copies between it
 * and memory, an interrupt (docs/specs/edu.txt there).
 */
#include "app.h"

enum {
	INTERRUPT_STATUS = 0x24,
	INTERRUPT_RAISE = 0x60,
	INTERRUPT_LOWER = 0x64,
	DMA_SOURCE = 0x80,
	DMA_TARGET = 0x88,
	DMA_COUNT = 0x90,
	DMA_COMMAND = 0x98,
};

#define RUN 1u
#define TO_MEMORY 2u
#define DMA_TIMEOUT_NS 5000000000ull

static struct iommu_device_id edu;
static volatile char *registers;

static void look(struct iommu_device_id id)
{
	if (!registers && pci_get(id, PCI_ID, 4) == 0x11e81234) {
		edu = id;
		registers =
			(volatile char *)(uintptr_t)(pci_get(id, PCI_BAR0, 4) &
				~15u);
	}
}

static void command(uint32_t bit, bool on)
{
	uint32_t now = pci_get(edu, PCI_COMMAND, 2);

	pci_put(edu, PCI_COMMAND, 2, on ? now | bit : now & ~bit);
}

bool edu_open(struct iommu_device_id *out_id)
{
	pci_visit(look);
	if (!registers)
		return false;
	command(PCI_MEMORY, true);
	*out_id = edu;
	return true;
}

void edu_master(bool on)
{
	command(PCI_MASTER, on);
}

static void write64(unsigned at, uint64_t value)
{
	*(volatile uint64_t *)(registers + at) = value;
}

bool edu_copy(uint64_t from, uint64_t to, size_t size, bool to_memory)
{
	uint64_t start = clock_ns();

	write64(DMA_SOURCE, from);
	write64(DMA_TARGET, to);
	write64(DMA_COUNT, size);
	write64(DMA_COMMAND, RUN | (to_memory ? TO_MEMORY : 0));
	while (*(volatile uint64_t *)(registers + DMA_COMMAND) & RUN)
		if (clock_ns() - start > DMA_TIMEOUT_NS)
			return false;
	return true;
}

void edu_message(const struct iommu_msi_message *message)
{
	/* PCI 3.0, 6.8.1: where the capability is, then its layout for 64-bit
	 * addresses, which edu has. */
	unsigned at = pci_get(edu, PCI_CAPABILITIES, 1);

	pci_put(edu, at + 4, 4, (uint32_t)message->address);
	pci_put(edu, at + 8, 4, (uint32_t)(message->address >> 32));
	pci_put(edu, at + 12, 2, message->data);
	pci_put(edu, at + 2, 2, pci_get(edu, at + 2, 2) | 1);
}

void edu_interrupt(void)
{
	volatile uint32_t *at = (volatile uint32_t *)registers;

	at[INTERRUPT_RAISE / 4] = 1;
	at[INTERRUPT_LOWER / 4] = at[INTERRUPT_STATUS / 4];
}
