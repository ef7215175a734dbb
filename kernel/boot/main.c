/* SPDX-License-Identifier: MIT */
/* The order in which the kernel comes up, on the boot CPU with interrupts off.
 */
#include "acpi/acpi.h"
#include "assign/assign.h"
#include "boot/boot_info.h"
#include "cpu/cpu.h"
#include "cpu/local.h"
#include "cpu/serial.h"
#include "dev/dev.h"
#include "fs/fs.h"
#include "lib/print.h"
#include "mem/mem.h"
#include "mem/space.h"
#include "pci/pci.h"
#include "proc/process.h"
#include "proc/sched.h"

void kmain(uint32_t magic, uint64_t info) NORETURN;

static const void *initrd(void)
{
	if (!boot_info.initrd)
		return NULL;
	return phys_to_virt(phys(boot_info.initrd));
}

void kmain(uint32_t magic, uint64_t info)
{
	cpu_boot_init();
	serial_init();
	boot_info_read(magic, info);
	cpu_early();

	pages_init();
	kernel_map_init();
	heap_init();
	space_init();

	acpi_init(boot_info.rsdp);
	pic_mask();
	lapic_init();
	ioapic_init();
	time_init();

	sched_init();
	smp_start();

	pci_init();
	fs_init(initrd(), boot_info.initrd_size);
	assign_init();
	dev_init();

	proc_start_init();
	sched_start_cpu();
}
