/* SPDX-License-Identifier: MIT */
/*
 * The glue of the porting guide, compiled as it stands there and run as a
 * second host beside the reference kernel: the imaginary kernel is this file,
 * its machine the model.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <model/model.h>
#include "examples/porting/glue.c"

#define DEVICE MODEL_BDF(0, 3, 0)

static struct model *m;
static char printed[4096];
static unsigned wakes;

void *kernel_pages_zeroed(unsigned order)
{
	uint64_t phys = model_page_alloc(m, order, MODEL_OWNER_DRIVER);

	if (phys == MODEL_NONE)
		return NULL;
	return memset(model_ptr(m, phys), 0, (size_t)MODEL_PAGE << order);
}

void kernel_pages_free(void *pages, unsigned order)
{
	model_page_free(m, kernel_virt_to_phys(pages), order);
}

uint64_t kernel_virt_to_phys(const void *virt)
{
	return (uint64_t)((const char *)virt - (char *)model_direct_map(m));
}

void *kernel_phys_to_virt(uint64_t phys)
{
	return model_ptr(m, phys);
}

void *kernel_map_uncached(uint64_t phys, uint64_t size)
{
	(void)size;
	return (void *)(uintptr_t)phys;
}

void kernel_unmap(void *virt, uint64_t size)
{
	(void)virt;
	(void)size;
}

uint64_t kernel_mmio_read(void *at, unsigned width)
{
	return width == 8 ? model_read64(m, (uintptr_t)at)
			  : model_read32(m, (uintptr_t)at);
}

void kernel_mmio_write(void *at, unsigned width, uint64_t value)
{
	if (width == 8)
		model_write64(m, (uintptr_t)at, value);
	else
		model_write32(m, (uintptr_t)at, (uint32_t)value);
}

void kernel_cache_write_back(const void *virt, size_t size)
{
	model_cache_flush(m, kernel_virt_to_phys(virt), size);
}

unsigned long kernel_spin_lock_irqsave(kernel_spinlock *lock)
{
	assert_false(lock->taken);
	lock->taken = 1;
	return 0;
}

void kernel_spin_unlock_irqrestore(kernel_spinlock *lock, unsigned long flags)
{
	(void)flags;
	assert_true(lock->taken);
	lock->taken = 0;
}

uint64_t kernel_uptime_ns(void)
{
	return model_now(m);
}

void kernel_print(const char *line)
{
	size_t used = strlen(printed);

	snprintf(printed + used, sizeof(printed) - used, "%s\n", line);
}

uint32_t kernel_pci_read(uint16_t segment, uint8_t bus, uint8_t devfn,
	uint16_t offset, unsigned width)
{
	return model_pci_read(m, segment, bus, devfn, offset, width);
}

bool kernel_msi_allocate(unsigned unit, uint64_t *address, uint32_t *data)
{
	*address = 0xfee00000;
	*data = 0x40 + unit;
	return true;
}

void kernel_wake_fault_thread(void)
{
	wakes++;
}

static void whole_life(const char *kind)
{
	struct protected_device dev;
	uint8_t dmar[4096], *buffer;
	uint64_t at, word = 0;
	size_t size;

	m = model_create_simple(kind, MODEL_LAZY, 1);
	assert_non_null(m);
	printed[0] = '\0';
	wakes = 0;
	size = model_dmar(m, dmar, sizeof(dmar));
	assert_true(protection_start(dmar, size));

	buffer = kernel_pages_zeroed(0);
	assert_int_equal(protected_open(&dev, 0, 3, 0), IOMMU_OK);
	assert_int_equal(
		protected_map(&dev, buffer + 64, 8, true, &at), IOMMU_OK);
	word = 0x1234;
	assert_int_equal(
		model_dma_write(m, 0, DEVICE, at, &word, 8), MODEL_DMA_OK);
	assert_int_equal(*(uint64_t *)(buffer + 64), 0x1234);
	assert_int_equal(protected_unmap(&dev, at, 8, true), IOMMU_OK);
	word = 0x5678;
	assert_int_not_equal(
		model_dma_write(m, 0, DEVICE, at, &word, 8), MODEL_DMA_OK);
	assert_int_equal(*(uint64_t *)(buffer + 64), 0x1234);
	protection_interrupt(0);
	assert_int_equal(wakes, 1);
	protection_faults();
	assert_non_null(strstr(printed, "00:03.0 write 0x"));
	assert_int_equal(protected_close(&dev), IOMMU_OK);
	kernel_pages_free(buffer, 0);

	protection_stop();
	assert_int_equal(model_pages_in_use(m, MODEL_OWNER_DRIVER), 0);
	if (model_violation_count(m))
		model_report(m, stderr);
	assert_int_equal(model_violation_count(m), 0);
	model_destroy(m);
}

static void glue_protects_a_device(void **state)
{
	(void)state;
	whole_life("plain");
	whole_life("qemu-4.0");
	whole_life("no-qi");
	whole_life("non-coherent");
}

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(file);
	assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
	fclose(file);
	return text;
}

/** The guide shows the very text that was compiled here. */
static void guide_shows_this_glue(void **state)
{
	char path[1024], *guide, *glue, *root;

	(void)state;
	snprintf(path, sizeof(path), "%s", __FILE__);
	root = strstr(path, "tests/unit/porting.c");
	assert_non_null(root);
	strcpy(root, "docs/porting.md");
	guide = read_file(path);
	strcpy(root, "examples/porting/glue.c");
	glue = read_file(path);
	assert_non_null(strstr(guide, glue));
	free(guide);
	free(glue);
}

static void defaults_are_as_documented(void **state)
{
	struct iommu_options o;

	(void)state;
	memset(&o, 0xff, sizeof(o));
	iommu_options_default(&o);
	assert_int_equal(o.timeout_ns, 1000000000);
	assert_int_equal(o.device_timeout_ns, 2000000000);
	assert_int_equal(o.interrupt_entries, 1024);
	assert_int_equal(o.cpus, 1);
	assert_int_equal(o.fault_storm, 1000);
	assert_int_equal(o.interrupt_remapping, IOMMU_AUTO);
	assert_false(o.allow_reserved_memory || o.keep_reserved_memory);
	assert_int_equal(o.quirks_off, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(glue_protects_a_device),
		cmocka_unit_test(guide_shows_this_glue),
		cmocka_unit_test(defaults_are_as_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
