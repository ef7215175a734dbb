/* SPDX-License-Identifier: MIT */
/*
 * One interrupt vector, by way of the firmware's CPU protocol (PI 1.8, volume
 * 2, 12.3), and this CPU's local APIC in xAPIC mode.
 */
#include "app.h"

#define APIC_ID 0x20
#define APIC_END 0xb0
#define MSR_APIC_BASE 0x1b
#define X2APIC (1u << 10)

typedef void(EFIAPI *handler)(INTN vector, void *context);

/* Only what is called is declared in full. */
struct cpu_protocol {
	void *flush_data_cache, *enable, *disable, *state, *init;
	EFI_STATUS(EFIAPI *register_handler)
	(struct cpu_protocol *cpu, INTN vector, handler handler);
};

static volatile char *apic;
static volatile unsigned count;

static volatile uint32_t *apic_register(unsigned at)
{
	return (volatile uint32_t *)(apic + at);
}

static void EFIAPI handle(INTN vector, void *context)
{
	(void)vector;
	(void)context;
	count++;
	*apic_register(APIC_END) = 0;
}

bool vector_open(unsigned vector, struct iommu_irq_target *out)
{
	static EFI_GUID guid = {0x26baccb1, 0x6f42, 0x11d4,
		{0xbc, 0xe7, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}};
	struct cpu_protocol *cpu;
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_APIC_BASE));
	if (low & X2APIC ||
		EFI_ERROR(firmware->BootServices->LocateProtocol(
			&guid, NULL, (void **)&cpu)))
		return false;
	apic = (volatile char *)((uint64_t)high << 32 | (low & ~4095u));
	*out = (struct iommu_irq_target){.vector = (uint8_t)vector,
		.destination = *apic_register(APIC_ID) >> 24};
	return !EFI_ERROR(cpu->register_handler(cpu, (INTN)vector, handle));
}

unsigned vector_count(void)
{
	/* Time for it to arrive. */
	firmware->BootServices->Stall(1000);
	return count;
}
