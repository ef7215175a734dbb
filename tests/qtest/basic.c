/* SPDX-License-Identifier: MIT */
/*
 * The library on QEMU's own unit: what devices reach before, during and after
 * an attachment, over the kinds of unit that QEMU offers and both invalidation
 * interfaces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "support/rig.h"

#define SEED_UNIT "intremap=off,caching-mode=on,device-iotlb=on,aw-bits=48"
#define LOW_IOVA 0x1234567000ull

/** One kind of machine. */
struct kind {
	const char *unit;
	enum iommu_interface interface;
};

static void start(struct rig *r, void **state)
{
	const struct kind *kind = *state;
	struct iommu_options options;

	iommu_options_default(&options);
	options.interface = kind->interface;
	rig_start(r, kind->unit, &options);
}

static void unattached_device_reaches_nothing(void **state)
{
	struct iommu_fault fault;
	struct rig r;
	uint64_t page;
	char line[160];

	start(&r, state);
	page = qemu_pages(&r.q, 0);
	assert_false(rig_reaches(&r, 0, page, page));
	rig_fault(&r, &fault);
	assert_int_equal(fault.reason, 1);
	assert_true(iommu_device_same(fault.device, r.edu[0]));
	assert_true(fault.write);
	assert_true(fault.address.v == page);
	assert_true(iommu_fault_format(&fault, line, sizeof(line)) > 20);
	assert_non_null(strstr(line, "00:03.0 write 0x"));
	rig_stop(&r);
}

static void identity_reaches_everything(void **state)
{
	struct rig r;
	uint64_t page;

	start(&r, state);
	page = qemu_pages(&r.q, 0);
	OK(iommu_attach(r.iommu, r.edu[0], iommu_domain_identity(r.iommu)));
	assert_true(rig_reaches(&r, 0, page, page));
	assert_false(rig_reaches(&r, 1, page, page));
	OK(iommu_detach(r.iommu, r.edu[0]));
	assert_false(rig_reaches(&r, 0, page, page));
	rig_stop(&r);
}

static void shared_tables_are_walked_and_forgotten(void **state)
{
	struct rig r;
	struct iommu_domain *domain;
	struct iommu_fault fault;
	uint64_t page, other, root, *entry;

	start(&r, state);
	page = qemu_pages(&r.q, 0);
	other = qemu_pages(&r.q, 0);
	root = rig_table(&r);
	/* Present, writable, user, accessed, dirty, no-execute. */
	entry = rig_map(&r, root, LOW_IOVA, page, 0x8000000000000067ull);
	domain = rig_domain(&r, root, &r);
	OK(iommu_attach(r.iommu, r.edu[0], domain));
	assert_int_equal(iommu_attach(r.iommu, r.edu[0], domain), IOMMU_BUSY);
	assert_true(rig_reaches(&r, 0, LOW_IOVA, page));
	assert_false(rig_reaches(&r, 0, page, page));

	/* Points elsewhere: the old page until flushed, then the new one. */
	*entry = other | 7;
	assert_false(rig_reaches(&r, 0, LOW_IOVA, other));
	OK(iommu_flush(domain, IOMMU_REMOVED, iommu_iova(LOW_IOVA), 4096));
	assert_true(rig_reaches(&r, 0, LOW_IOVA, other));

	/* Read-only, then gone. */
	*entry = other | CPU_READ;
	OK(iommu_flush(domain, IOMMU_RIGHTS_CUT, iommu_iova(LOW_IOVA), 4096));
	while (iommu_interrupt_all(r.iommu))
		while (iommu_fault_next(r.iommu, &fault))
			;
	assert_false(rig_reaches(&r, 0, LOW_IOVA, other));
	rig_fault(&r, &fault);
	assert_int_equal(fault.reason, 5);
	assert_ptr_equal(fault.domain, domain);
	assert_true(fault.walk.mapped);
	assert_int_equal(fault.walk.rights, IOMMU_READ);
	*entry = 0;
	OK(iommu_flush(domain, IOMMU_REMOVED, iommu_iova(LOW_IOVA), 4096));
	assert_false(rig_reaches(&r, 0, LOW_IOVA, other));

	/* Present again: rights raised from nothing. */
	*entry = page | 7;
	OK(iommu_flush(domain, IOMMU_MADE_PRESENT, iommu_iova(LOW_IOVA), 4096));
	assert_true(rig_reaches(&r, 0, LOW_IOVA, page));

	assert_int_equal(iommu_domain_destroy(domain), IOMMU_IN_USE);
	OK(iommu_detach(r.iommu, r.edu[0]));
	assert_int_equal(iommu_detach(r.iommu, r.edu[0]), IOMMU_NOT_ATTACHED);
	assert_false(rig_reaches(&r, 0, LOW_IOVA, page));
	OK(iommu_domain_destroy(domain));
	rig_stop(&r);
}

/** A context entry that pointed at one domain and then at another. */
static void device_changes_owner(void **state)
{
	struct iommu_domain *first, *second;
	uint64_t page[2], root[2];
	struct rig r;
	unsigned n;

	start(&r, state);
	for (n = 0; n < 2; n++) {
		page[n] = qemu_pages(&r.q, 0);
		root[n] = rig_table(&r);
		rig_map(&r, root[n], LOW_IOVA, page[n], 7);
	}
	first = rig_domain(&r, root[0], NULL);
	second = rig_domain(&r, root[1], NULL);
	for (n = 0; n < 3; n++) {
		OK(iommu_attach(r.iommu, r.edu[0], first));
		OK(iommu_attach(r.iommu, r.edu[1], second));
		assert_true(rig_reaches(&r, 0, LOW_IOVA, page[0]));
		assert_true(rig_reaches(&r, 1, LOW_IOVA, page[1]));
		OK(iommu_detach(r.iommu, r.edu[0]));
		OK(iommu_detach(r.iommu, r.edu[1]));
		OK(iommu_attach(r.iommu, r.edu[0], second));
		assert_true(rig_reaches(&r, 0, LOW_IOVA, page[1]));
		assert_false(rig_reaches(&r, 0, LOW_IOVA, page[0]));
		OK(iommu_detach(r.iommu, r.edu[0]));
	}
	OK(iommu_domain_destroy(first));
	OK(iommu_domain_destroy(second));
	rig_stop(&r);
}

static void power_comes_back_as_it_was(void **state)
{
	struct iommu_domain *domain;
	uint64_t page, root;
	struct rig r;

	start(&r, state);
	page = qemu_pages(&r.q, 0);
	root = rig_table(&r);
	rig_map(&r, root, LOW_IOVA, page, 7);
	domain = rig_domain(&r, root, NULL);
	OK(iommu_attach(r.iommu, r.edu[0], domain));
	OK(iommu_power(r.iommu, false));
	assert_false(iommu_is_on(r.iommu));
	assert_false(rig_reaches(&r, 0, LOW_IOVA, page));
	assert_true(rig_reaches(&r, 0, page, page));
	assert_int_equal(iommu_attach(r.iommu, r.edu[1], domain), IOMMU_OFF);
	OK(iommu_power(r.iommu, true));
	assert_true(rig_reaches(&r, 0, LOW_IOVA, page));
	assert_false(rig_reaches(&r, 0, page, page));
	OK(iommu_suspend(r.iommu));
	/* Nobody is there to flush, and nobody is lost for that. */
	assert_int_equal(
		iommu_flush_all(domain, IOMMU_REMOVED), IOMMU_UNCONFIRMED);
	OK(iommu_resume(r.iommu));
	OK(iommu_flush_all(domain, IOMMU_REMOVED));
	assert_true(rig_reaches(&r, 0, LOW_IOVA, page));
	assert_false(rig_reaches(&r, 0, page, page));
	OK(iommu_detach(r.iommu, r.edu[0]));
	OK(iommu_domain_destroy(domain));
	rig_stop(&r);
}

/** QEMU's table, and a page that firmware reserved for a device. */
static size_t dmar_with_reserved_page(
	struct rig *r, uint8_t dmar[4096], uint64_t page)
{
	size_t size = qemu_dmar(&r->q, dmar, 4096 - 32), n;
	uint16_t rid = r->edu[0].requester;
	uint8_t *region = dmar + size;

	memset(region, 0, 32);
	region[0] = 1;
	region[2] = 32;
	for (n = 0; n < 8; n++) {
		region[8 + n] = (uint8_t)(page >> 8 * n);
		region[16 + n] = (uint8_t)((page + 4095) >> 8 * n);
	}
	region[24] = 1;
	region[25] = 8;
	region[29] = (uint8_t)(rid >> 8);
	region[30] = (uint8_t)(rid >> 3 & 0x1f);
	region[31] = (uint8_t)(rid & 7);
	dmar[4] = (uint8_t)(size + 32);
	dmar[5] = (uint8_t)((size + 32) >> 8);
	return size + 32;
}

static void reserved_memory_is_kept(void **state)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};
	struct iommu_domain *domain;
	struct iommu_options options;
	uint8_t dmar[4096];
	uint64_t page, own;
	struct rig r;
	size_t size;

	start(&r, state);
	OK(iommu_destroy(r.iommu));
	page = qemu_pages(&r.q, 0);
	own = qemu_pages(&r.q, 0);
	size = dmar_with_reserved_page(&r, dmar, page);
	iommu_options_default(&options);
	options.interface = ((const struct kind *)*state)->interface;
	options.keep_reserved_memory = true;
	options.allow_reserved_memory = true;
	OK(iommu_create(&r.host, &options, &r.iommu));
	OK(iommu_discover(r.iommu, dmar, size));
	OK(iommu_start(r.iommu));
	assert_true(rig_reaches(&r, 0, page, page));
	assert_false(rig_reaches(&r, 0, own, own));
	OK(iommu_domain_create(r.iommu, &config, &domain));
	OK(iommu_map(domain, iommu_iova(LOW_IOVA), iommu_phys(own), 4096,
		IOMMU_READ | IOMMU_WRITE));
	OK(iommu_attach(r.iommu, r.edu[0], domain));
	assert_true(rig_reaches(&r, 0, page, page));
	assert_true(rig_reaches(&r, 0, LOW_IOVA, own));
	OK(iommu_detach(r.iommu, r.edu[0]));
	assert_true(rig_reaches(&r, 0, page, page));
	assert_false(rig_reaches(&r, 0, LOW_IOVA, own));
	OK(iommu_domain_destroy(domain));
	rig_stop(&r);
}

/** The same machine started twice by two instances: the second finds a unit
 *  that translates and a queue that runs. */
static void running_unit_is_taken_over(void **state)
{
	struct iommu *second;
	uint8_t dmar[4096];
	uint64_t page;
	struct rig r;
	size_t size;

	start(&r, state);
	page = qemu_pages(&r.q, 0);
	size = qemu_dmar(&r.q, dmar, sizeof(dmar));
	OK(iommu_attach(r.iommu, r.edu[0], iommu_domain_identity(r.iommu)));
	assert_true(rig_reaches(&r, 0, page, page));
	OK(iommu_create(&r.host, NULL, &second));
	OK(iommu_discover(second, dmar, size));
	OK(iommu_start(second));
	assert_false(rig_reaches(&r, 0, page, page));
	OK(iommu_attach(second, r.edu[1], iommu_domain_identity(second)));
	assert_true(rig_reaches(&r, 1, page, page));
	OK(iommu_detach(second, r.edu[1]));
	OK(iommu_destroy(second));
	/* The first instance's world is gone; only its memory matters. */
	qemu_stop(&r.q);
}

static void collect(void *arg, const char *text, size_t length)
{
	char *out = arg;
	size_t at = strlen(out);

	memcpy(out + at, text, length);
	out[at + length] = '\0';
}

static void info_reads_as_documented(void **state)
{
	static const char decoded[] =
		" host addr width (dmar) = 48\n"
		" host addr width (cap[mgaw]) = 48\n"
		" version = 0x10\n"
		" capabilities = 0x00d2008c222f0686\n"
		" mgaw: 48\n"
		" sagaw (paging level): 0x6\n"
		" caching mode: yes (1)\n"
		" zlr: 0x0\n"
		" rwbf: not required\n"
		" num domains: 65536\n"
		" supports protected high-memory region: no\n"
		" supports Protected low-memory region: no\n"
		" ext. capabilities = 0x0000000000000f46\n"
		" pass through: yes\n"
		" device iotlb: yes\n"
		" iotlb register offset: 0xf0\n"
		" snoop control: no\n"
		" coherency: no\n"
		" queue invalidation support: yes\n"
		" interrupt remapping support: no\n"
		" extended interrupt mode: 0x0\n"
		" global status = 0xc";
	static char text[8192];
	struct rig r;

	(void)state;
	rig_start(&r, SEED_UNIT, NULL);
	text[0] = '\0';
	iommu_report_info(r.iommu, collect, text);
	assert_ptr_equal(text,
		strstr(text,
			"driver info:\n"
			" default did = 1\n"
			" status = enabled\n\niommu@0x"));
	assert_non_null(strstr(text,
		"\n rba = 0x00000000fed90000\n"
		" supported = yes\n"
		" num_assigned_devs = 0\n"
		" regspace = 0x"));
	assert_non_null(strstr(text, decoded));
	assert_non_null(strstr(text,
		" translation: enabled\n"
		" root table: set\n"
		" root entry table = 0x0"));
	if (getenv("VERBOSE"))
		fputs(text, stderr);
	rig_stop(&r);
}

#define EACH(test)                                                            \
	{#test " (seed)", test, NULL, NULL, &kinds[0]},                       \
		{#test " (plain 48)", test, NULL, NULL, &kinds[1]},           \
		{#test " (39)", test, NULL, NULL, &kinds[2]},                 \
		{#test " (registers)", test, NULL, NULL, &kinds[3]},          \
		{#test " (registers, caching)", test, NULL, NULL, &kinds[4]}, \
	{                                                                     \
#test " (remapping)", test, NULL, NULL, &kinds[5]             \
	}

static struct kind kinds[] = {
	{SEED_UNIT, IOMMU_INTERFACE_AUTO},
	{"aw-bits=48", IOMMU_INTERFACE_QUEUE},
	{"aw-bits=39,caching-mode=on", IOMMU_INTERFACE_AUTO},
	{"aw-bits=48", IOMMU_INTERFACE_REGISTERS},
	{"aw-bits=39,caching-mode=on", IOMMU_INTERFACE_REGISTERS},
	{"aw-bits=48,intremap=on,caching-mode=on", IOMMU_INTERFACE_AUTO},
};

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(unattached_device_reaches_nothing),
		EACH(identity_reaches_everything),
		EACH(shared_tables_are_walked_and_forgotten),
		EACH(device_changes_owner),
		EACH(power_comes_back_as_it_was),
		EACH(reserved_memory_is_kept),
		EACH(running_unit_is_taken_over),
		cmocka_unit_test(info_reads_as_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
