/* SPDX-License-Identifier: MIT */
/*
 * A UEFI application that puts a device behind the I/O MMU, in the order of
 * docs/porting.md: QEMU's teaching device gets one page, reaches that page and
 * nothing else, sends an interrupt, and loses all of it again.
 *
 * At the end units are switched off, for the firmware's drivers go on and give
 * physical addresses to their devices. Started with the option "blocked" it
 * does what a boot loader would that trusts no device: units stay on with
 * nothing open, until the next system takes them over.
 */
#include "app.h"

#define IOVA 0x1000000
#define NOT_MAPPED 0x2000000
#define VECTOR 0x60

static struct iommu *iommu;
static struct iommu_device_id edu;
static struct iommu_domain *domain;

/** The page for edu, where it is for the CPU, and so is its address. */
static char *page;

static const char text[] = "carried by a device";

/** Prints what was tried and whether it went well. */
static bool step(const char *what, bool well)
{
	say(well ? "ok     " : "WRONG  ", what, "\n", NULL);
	return well;
}

/** step() for an answer of the library. */
static bool answer(const char *what, enum iommu_status status)
{
	if (status != IOMMU_OK)
		say(iommu_status_text(status), "\n", NULL);
	return step(what, status == IOMMU_OK);
}

static void print(void *arg, const char *piece, size_t length)
{
	char line[2] = {0};

	(void)arg;
	while (length--) {
		line[0] = *piece++;
		say(line, NULL);
	}
}

/* ---- bus mastering, off while nothing protects ---- */

static struct iommu_device_id masters[256];
static unsigned master_count;
static bool too_many;

static void stop_master(struct iommu_device_id id)
{
	uint32_t now = pci_get(id, PCI_COMMAND, 2);

	/* A bridge passes on what others send; without bus mastering it would
	 * not do that for edu either. */
	if (!is_endpoint(id) || !(now & PCI_MASTER))
		return;
	if (master_count == sizeof(masters) / sizeof(*masters)) {
		too_many = true;
		return;
	}
	masters[master_count++] = id;
	pci_put(id, PCI_COMMAND, 2, now & ~PCI_MASTER);
}

static void start_masters(void)
{
	while (master_count--)
		pci_put(masters[master_count], PCI_COMMAND, 2,
			pci_get(masters[master_count], PCI_COMMAND, 2) |
				PCI_MASTER);
}

/* ---- edu's requests ---- */

/** Whether the page gets through edu's buffer and back. */
static bool carried(uint64_t address)
{
	size_t half = EDU_BUFFER_SIZE / 2;

	firmware->BootServices->SetMem(page, EDU_BUFFER_SIZE, 0);
	__builtin_memcpy(page, text, sizeof(text));
	return edu_copy(address, EDU_BUFFER, sizeof(text), false) &&
		edu_copy(EDU_BUFFER, address + half, sizeof(text), true) &&
		!__builtin_memcmp(page + half, text, sizeof(text));
}

/** The next fault, in the library's words on the console. */
static bool fault(struct iommu_fault *out)
{
	char line[160];

	iommu_interrupt_all(iommu);
	if (!iommu_fault_next(iommu, out))
		return false;
	iommu_fault_format(out, line, sizeof(line));
	say("       ", line, "\n", NULL);
	return iommu_device_same(out->device, edu);
}

/** Whether a request is refused, and told of as what it was. */
static bool refused_once(uint64_t address, bool write)
{
	struct iommu_fault out;
	bool ended = write ? edu_copy(EDU_BUFFER, address, 4, true)
			   : edu_copy(address, EDU_BUFFER, 4, false);

	return ended && fault(&out) && out.kind == IOMMU_FAULT_DMA &&
		out.write == write && out.address.v == address;
}

/** Whether edu can neither write nor read there. */
static bool refused(uint64_t address)
{
	return refused_once(address, true) && refused_once(address, false);
}

/* ---- interrupts ---- */

static bool interrupts(void)
{
	struct iommu_irq irq;
	struct iommu_irq_target target;
	struct iommu_msi_message message;
	struct iommu_fault out;
	bool remapped;

	if (iommu_irq_remapped(iommu, edu, &remapped) != IOMMU_OK)
		return step("edu's unit is asked about interrupts", false);
	if (!remapped) {
		say("no     interrupts are not remapped here\n", NULL);
		return true;
	}
	if (!step("a vector", vector_open(VECTOR, &target)) ||
		!answer("an interrupt entry",
			iommu_irq_alloc(iommu, edu, 1, &irq)) ||
		!answer("leads to the vector",
			iommu_irq_set(iommu, &irq, 0, &target)) ||
		!answer("has a message",
			iommu_irq_message(iommu, &irq, 0, &message)))
		return false;
	edu_message(&message);
	edu_interrupt();
	if (!step("edu's interrupt arrives by it", vector_count() == 1) ||
		!answer("the entry is freed", iommu_irq_free(iommu, &irq)))
		return false;
	edu_interrupt();
	if (!step("and does not any more", vector_count() == 1))
		return false;
	/* QEMU refuses it without a fault record; a unit has one. */
	fault(&out);
	return true;
}

/* ---- the order of docs/porting.md, section 3 ---- */

static bool start(void)
{
	size_t size = 0;
	const void *dmar = acpi_table("DMAR", &size);

	pci_visit(stop_master);
	if (!step("bus mastering is off", !too_many) ||
		!answer("iommu_create()", iommu_create(&host, NULL, &iommu)))
		return false;
	if (!answer("iommu_discover()", iommu_discover(iommu, dmar, size)) ||
		!answer("iommu_start()", iommu_start(iommu))) {
		say(iommu_reason(iommu), "\n", NULL);
		return false;
	}
	iommu_report_info(iommu, print, NULL);
	iommu_report_warnings(iommu, print, NULL);
	return true;
}

static bool use(void)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};

	edu_master(true);
	return step("a device is blocked from the start",
		       refused((uint64_t)page)) &&
		answer("a domain",
			iommu_domain_create(iommu, &config, &domain)) &&
		answer("edu is attached", iommu_attach(iommu, edu, domain)) &&
		answer("a page is mapped",
			iommu_map(domain, iommu_iova(IOVA),
				iommu_phys((uint64_t)page), EDU_BUFFER_SIZE,
				IOMMU_READ | IOMMU_WRITE)) &&
		step("edu reads and writes it", carried(IOVA)) &&
		step("what is not mapped is refused", refused(NOT_MAPPED)) &&
		step("a physical address is refused",
			refused((uint64_t)page)) &&
		interrupts() &&
		answer("the page is unmapped",
			iommu_unmap_now(
				domain, iommu_iova(IOVA), EDU_BUFFER_SIZE)) &&
		step("it is refused at once", refused(IOVA));
}

static bool end(bool blocked)
{
	edu_master(false);
	if (!answer("edu is detached", iommu_detach(iommu, edu)) ||
		!answer("the domain ends", iommu_domain_destroy(domain)))
		return false;
	if (blocked) {
		enum iommu_status status;

		if (!answer("units are left with nothing open",
			    iommu_hand_over(iommu, IOMMU_HAND_OVER_BLOCKED)))
			return false;
		/* Without abort-DMA mode a table stays in memory. */
		status = iommu_destroy(iommu);
		if (!step("the instance ends",
			    status == IOMMU_OK || status == IOMMU_UNCONFIRMED))
			return false;
	} else if (!answer("units are switched off", iommu_destroy(iommu))) {
		return false;
	}
	edu_master(true);
	if (!step(blocked ? "edu still reaches nothing"
			  : "edu reaches physical memory again",
		    carried((uint64_t)page) != blocked))
		return false;
	edu_master(false);
	if (!blocked)
		start_masters();
	return true;
}

/** Whether the application was started with an option. */
static bool has_option(EFI_HANDLE image)
{
	static EFI_GUID guid = LOADED_IMAGE_PROTOCOL;
	EFI_LOADED_IMAGE *loaded;
	const CHAR16 *at;

	if (EFI_ERROR(firmware->BootServices->HandleProtocol(
		    image, &guid, (void **)&loaded)))
		return false;
	at = loaded->LoadOptions;
	return loaded->LoadOptionsSize >= 2 * sizeof(*at) && at && *at == 'b';
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	uint64_t at;

	if (firmware_open(table) && pci_open() &&
		!EFI_ERROR(table->BootServices->AllocatePages(
			AllocateAnyPages, EfiBootServicesData, 1, &at)) &&
		step("edu is found", edu_open(&edu))) {
		page = (char *)at;
		if (start() && use() && end(has_option(image)))
			say("passed\n", NULL);
	}
	table->RuntimeServices->ResetSystem(
		EfiResetShutdown, EFI_SUCCESS, 0, NULL);
	return EFI_ABORTED;
}
