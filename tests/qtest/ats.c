/* SPDX-License-Identifier: MIT */
/*
 * A device with a TLB of its own on QEMU's unit: virtio-rng behind a root port,
 * with address translation services. QEMU's emulated devices keep nothing in
 * that TLB, so a flush that is forgotten goes unnoticed here; but the context
 * entry, the switch in the device and the descriptors must be what QEMU takes.
 *
 * Extended configuration space is reached through a window (ECAM), which the
 * host bridge opens; the ports of support/qemu.c do not get that far.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "support/qemu.h"

#define PORT 0x28    /* 00:05.0 */
#define DEVICE 0x100 /* 01:00.0 */
#define ECAM 0xb0000000ull
#define BAR 0xe8000000ull

/* Where the device finds its queue and its buffer. */
#define QUEUE_AT 0x10000ull
#define BUFFER_AT 0x7654321000ull
#define PAGE 4096ull

static const char *const devices[] = {"-device",
	"pcie-root-port,id=below,addr=5,chassis=1", "-device",
	"virtio-rng-pci,bus=below,ats=on,iommu_platform=on,disable-legacy=on",
	NULL};

static struct qemu q;
static struct iommu *iommu;

/* ---- configuration space ---- */

static uint32_t config_read(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	uint64_t rid = (uint64_t)bus << 8 | devfn;

	return segment
		? ~0u
		: (uint32_t)qemu_read(ctx, ECAM + (rid << 12) + offset, width);
}

static void config_write(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width, uint32_t value)
{
	uint64_t rid = (uint64_t)bus << 8 | devfn;

	assert_int_equal(segment, 0);
	qemu_write(ctx, ECAM + (rid << 12) + offset, width, value);
}

/** As firmware leaves it: windows open, the port's bus numbered. */
static void configure(void)
{
	qemu_config_write(&q, 0, 0x64, 4, 0);
	qemu_config_write(&q, 0, 0x60, 4, (uint32_t)ECAM | 1);
	qemu_config_write(&q, PORT, 0x18, 4, 0x00010100);
	qemu_config_write(&q, PORT, 0x20, 4, (uint32_t)(BAR >> 16) * 0x10001u);
	qemu_config_write(&q, PORT, 0x04, 2, 6);
	qemu_config_write(&q, DEVICE, 0x20, 4, (uint32_t)BAR);
	qemu_config_write(&q, DEVICE, 0x24, 4, 0);
	qemu_config_write(&q, DEVICE, 0x04, 2, 6);
}

/** The control register of the capability for address translation services
 *  (PCIe 10.5.1.3). */
static uint32_t ats_control(void)
{
	uint32_t at = 0x100, head;

	for (; at; at = head >> 20) {
		head = config_read(&q, 0, 1, 0, (uint16_t)at, 4);
		if ((head & 0xffff) == 0x0f)
			return config_read(&q, 0, 1, 0, (uint16_t)(at + 6), 2);
	}
	fail_msg("the device has no such capability");
	return 0;
}

/* ---- the device (virtio 1.1, 4.1.4) ---- */

enum {
	COMMON = 1,
	NOTIFY = 2,
	/** Of the common structure. */
	DRIVER_SELECT = 0x08,
	DRIVER_FEATURES = 0x0c,
	STATUS = 0x14,
	QUEUE_SIZE = 0x18,
	QUEUE_ENABLE = 0x1c,
	QUEUE_DESC = 0x20,
	QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30,
	/** Version 1, and addresses that the platform translates: bits 32 and
	 *  33. */
	FEATURES_HIGH = 3,
	/** In the queue's page. */
	SLOTS = 8,
	AVAILABLE = 0x400,
	USED = 0x800,
};

static uint64_t structure(unsigned type)
{
	unsigned at = qemu_config_read(&q, DEVICE, 0x34, 1);

	while (qemu_config_read(&q, DEVICE, at, 1) != 9 ||
		qemu_config_read(&q, DEVICE, at + 3, 1) != type) {
		at = qemu_config_read(&q, DEVICE, at + 1, 1);
		assert_int_not_equal(at, 0);
	}
	assert_int_equal(qemu_config_read(&q, DEVICE, at + 4, 1), 4);
	return BAR + qemu_config_read(&q, DEVICE, at + 8, 4);
}

static void start_device(void)
{
	uint64_t common = structure(COMMON);

	qemu_write(&q, common + STATUS, 1, 0);
	qemu_write(&q, common + STATUS, 1, 3);
	qemu_write(&q, common + DRIVER_SELECT, 4, 1);
	qemu_write(&q, common + DRIVER_FEATURES, 4, FEATURES_HIGH);
	qemu_write(&q, common + STATUS, 1, 0xb);
	qemu_write(&q, common + QUEUE_SIZE, 2, SLOTS);
	qemu_write(&q, common + QUEUE_DESC, 4, QUEUE_AT);
	qemu_write(&q, common + QUEUE_DRIVER, 4, QUEUE_AT + AVAILABLE);
	qemu_write(&q, common + QUEUE_DEVICE, 4, QUEUE_AT + USED);
	qemu_write(&q, common + QUEUE_ENABLE, 2, 1);
	qemu_write(&q, common + STATUS, 1, 0xf);
}

/** Asks for random bytes: whether they come, and nothing goes wrong. */
static bool fills(uint64_t queue, uint64_t iova, uint64_t phys)
{
	volatile uint16_t *available =
		(void *)((char *)qemu_at(&q, queue) + AVAILABLE);
	volatile uint16_t *used = (void *)((char *)qemu_at(&q, queue) + USED);
	uint64_t *desc = qemu_at(&q, queue), *word = qemu_at(&q, phys);
	uint16_t before = used[1];
	struct iommu_fault fault;
	unsigned turns;

	memset(word, 0, PAGE);
	desc[0] = iova;
	desc[1] = 64 | 2ull << 32; /* written by the device */
	available[2 + available[1] % SLOTS] = 0;
	__atomic_store_n(
		&available[1], (uint16_t)(available[1] + 1), __ATOMIC_RELEASE);
	qemu_write(&q, structure(NOTIFY), 2, 0);
	for (turns = 0; turns < 20000 && used[1] == before; turns++) {
		iommu_interrupt_all(iommu);
		if (iommu_fault_next(iommu, &fault)) {
			assert_int_equal(fault.device.requester, DEVICE);
			assert_true(fault.write);
			assert_true((fault.address.v & ~(PAGE - 1)) == iova);
			return false;
		}
	}
	assert_int_not_equal(used[1], before);
	return (word[0] | word[1] | word[2]) && !word[8];
}

/* ---- the test ---- */

static void start(void)
{
	struct iommu_options options;
	struct iommu_host host;
	uint8_t dmar[4096];
	size_t size;

	qemu_start(&q, "device-iotlb=on,aw-bits=48", devices);
	configure();
	qemu_host(&q, &host);
	host.pci_read = config_read;
	host.pci_write = config_write;
	size = qemu_dmar(&q, dmar, sizeof(dmar));
	iommu_options_default(&options);
	options.ats = IOMMU_ON;
	OK(iommu_create(&host, &options, &iommu));
	OK(iommu_discover(iommu, dmar, size));
	OK(iommu_start(iommu));
}

static struct iommu_stats stats(void)
{
	struct iommu_stats s;

	OK(iommu_unit_stats(iommu, 0, &s));
	assert_int_equal(s.queue_errors, 0);
	assert_int_equal(s.device_timeouts, 0);
	return s;
}

static void a_device_with_a_tlb_works_and_is_flushed(void **state)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};
	struct iommu_device_id id = {.requester = DEVICE};
	struct iommu_domain *domain;
	uint64_t queue, page[2], flushes;
	unsigned n;

	(void)state;
	start();
	queue = qemu_pages(&q, 0);
	for (n = 0; n < 2; n++)
		page[n] = qemu_pages(&q, 0);
	OK(iommu_domain_create(iommu, &config, &domain));
	OK(iommu_map(domain, iommu_iova(QUEUE_AT), iommu_phys(queue), PAGE,
		IOMMU_READ | IOMMU_WRITE));
	assert_false(ats_control() & 0x8000);
	OK(iommu_attach(iommu, id, domain));
	assert_true(ats_control() & 0x8000);
	start_device();
	for (n = 0; n < 2; n++) {
		OK(iommu_map(domain, iommu_iova(BUFFER_AT), iommu_phys(page[n]),
			PAGE, IOMMU_READ | IOMMU_WRITE));
		assert_true(fills(queue, BUFFER_AT, page[n]));
		flushes = stats().device_tlb_flushes;
		OK(iommu_unmap_now(domain, iommu_iova(BUFFER_AT), PAGE));
		assert_int_equal(stats().device_tlb_flushes, flushes + 1);
	}
	/* A range, and more of them than a page each: masks of all sizes. */
	for (n = 0; n < 10; n++) {
		OK(iommu_map(domain, iommu_iova(1ull << 30), iommu_phys(0),
			PAGE << n, IOMMU_READ));
		OK(iommu_unmap_now(domain, iommu_iova(1ull << 30), PAGE << n));
	}
	(void)stats();
	assert_false(fills(queue, BUFFER_AT, page[1]));
	flushes = stats().device_tlb_flushes;
	OK(iommu_detach(iommu, id));
	assert_true(stats().device_tlb_flushes > flushes);
	assert_false(ats_control() & 0x8000);
	OK(iommu_domain_destroy(domain));
	OK(iommu_destroy(iommu));
	assert_int_equal(q.pages_out, 0);
	qemu_stop(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_with_a_tlb_works_and_is_flushed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
