/* SPDX-License-Identifier: MIT */
/*
 * What configuration space says about who can be told apart: bridges that lend
 * their ids, functions that reach each other, virtual and phantom functions,
 * and capability lists that no honest device has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "support/board.h"

#define ACS_ALL 0x1d

static struct rig rig;

static void begin(void)
{
	board_start();
	board_add(0, BOARD_PCI); /* the host bridge */
}

/** Starts the library on the board as it stands. */
static void look(void)
{
	rig_open(&rig, "plain", MODEL_BENIGN, 1);
	board_install(&rig);
	rig_start_ok(&rig);
}

static void end(void)
{
	rig_close(&rig);
}

static uint16_t alias_of(uint16_t bdf)
{
	struct iommu_device_info info;
	enum iommu_status status =
		iommu_device_info(rig.iommu, rig_id(bdf), &info);

	assert_true(status == IOMMU_OK || status == IOMMU_BRIDGE);
	return info.alias;
}

/** The group of a device is itself and these others. */
static void group_is(uint16_t bdf, unsigned count, ...)
{
	struct iommu_device_id id[64];
	unsigned found = 0, n, k;
	va_list values;

	OK(iommu_device_group(rig.iommu, rig_id(bdf), id, 64, &found));
	assert_int_equal(found, count + 1);
	assert_int_equal(id[0].requester, bdf);
	va_start(values, count);
	for (n = 0; n < count; n++) {
		uint16_t wanted = (uint16_t)va_arg(values, int);

		for (k = 1; k < found && id[k].requester != wanted; k++)
			;
		assert_true(k < found);
	}
	va_end(values);
}

/* ---- alias ---- */

static void bridges_lend_their_ids(void **state)
{
	(void)state;
	begin();
	/* A conventional bridge: its own id. */
	board_bridge(MODEL_BDF(0, 1, 0), BOARD_PCI, 1, 1);
	board_add(MODEL_BDF(1, 3, 0), BOARD_PCI);
	/* PCIe to PCI: the secondary bus with dev 0, function 0. */
	board_bridge(MODEL_BDF(0, 2, 0), BOARD_PCIE_TO_PCI, 2, 3);
	board_add(MODEL_BDF(2, 4, 0), BOARD_PCI);
	board_add(MODEL_BDF(2, 4, 1), BOARD_PCI);
	/* And one below: the upper bridge wins. */
	board_bridge(MODEL_BDF(2, 5, 0), BOARD_PCI, 3, 3);
	board_add(MODEL_BDF(3, 1, 0), BOARD_PCI);
	/* PCI to PCIe: the bridge's own. */
	board_bridge(MODEL_BDF(0, 3, 0), BOARD_PCI_TO_PCIE, 4, 4);
	board_add(MODEL_BDF(4, 0, 0), BOARD_ENDPOINT);
	/* PCIe all the way: none. */
	board_bridge(MODEL_BDF(0, 4, 0), BOARD_ROOT_PORT, 5, 7);
	board_bridge(MODEL_BDF(5, 0, 0), BOARD_UPSTREAM, 6, 7);
	board_bridge(MODEL_BDF(6, 0, 0), BOARD_DOWNSTREAM, 7, 7);
	board_add(MODEL_BDF(7, 0, 0), BOARD_ENDPOINT);
	/* CardBus is a bridge too. */
	board_bridge(MODEL_BDF(0, 5, 0), BOARD_PCI, 8, 8)[0xe] = 2;
	board_add(MODEL_BDF(8, 0, 0), BOARD_PCI);
	/* One that calls itself an endpoint lends nothing. */
	board_bridge(MODEL_BDF(0, 6, 0), BOARD_ENDPOINT, 9, 9);
	board_add(MODEL_BDF(9, 0, 0), BOARD_ENDPOINT);
	look();
	assert_int_equal(alias_of(MODEL_BDF(9, 0, 0)), MODEL_BDF(9, 0, 0));
	assert_int_equal(alias_of(MODEL_BDF(1, 3, 0)), MODEL_BDF(0, 1, 0));
	assert_int_equal(alias_of(MODEL_BDF(2, 4, 0)), MODEL_BDF(2, 0, 0));
	assert_int_equal(alias_of(MODEL_BDF(2, 4, 1)), MODEL_BDF(2, 0, 0));
	assert_int_equal(alias_of(MODEL_BDF(3, 1, 0)), MODEL_BDF(2, 0, 0));
	assert_int_equal(alias_of(MODEL_BDF(4, 0, 0)), MODEL_BDF(0, 3, 0));
	assert_int_equal(alias_of(MODEL_BDF(7, 0, 0)), MODEL_BDF(7, 0, 0));
	assert_int_equal(alias_of(MODEL_BDF(8, 0, 0)), MODEL_BDF(0, 5, 0));
	assert_int_equal(alias_of(MODEL_BDF(0, 2, 0)), MODEL_BDF(0, 2, 0));
	assert_int_equal(rig_status_of(&rig, MODEL_BDF(0, 5, 0)), IOMMU_BRIDGE);
	assert_int_equal(
		rig_status_of(&rig, MODEL_BDF(7, 1, 0)), IOMMU_NO_DEVICE);
	end();
}

/** The lowest two bits of pointers are reserved. */
static void low_bits_of_pointers_mean_nothing(void **state)
{
	const uint16_t bridge = MODEL_BDF(0, 2, 0), disk = MODEL_BDF(0, 3, 0);

	(void)state;
	for (unsigned bits = 0; bits < 4; bits++) {
		struct iommu_device_info info;
		struct iommu_domain *domain;
		unsigned first;

		begin();
		board_bridge(bridge, BOARD_PCIE_TO_PCI, 2, 2);
		board_add(MODEL_BDF(2, 4, 0), BOARD_PCI);
		/* Another one stands before it. */
		board_put(bridge, 0x34, 1, 0x80 | bits);
		board_put(bridge, 0x80, 2, 0x01 | (BOARD_PCIE | bits) << 8);
		board_add(disk, BOARD_INTEGRATED);
		first = board_extended(disk, 0x1, 8);
		board_extended(disk, 0xf, 8); /* translation services */
		board_put(
			disk, first, 4, board_get(disk, first, 4) | bits << 20);
		rig_open(&rig, "plain", MODEL_BENIGN, 1);
		board_install(&rig);
		rig.options.ats = IOMMU_ON;
		rig_start_ok(&rig);
		assert_int_equal(
			alias_of(MODEL_BDF(2, 4, 0)), MODEL_BDF(2, 0, 0));
		domain = rig_mapped_domain(&rig);
		OK(iommu_attach(rig.iommu, rig_id(disk), domain));
		OK(iommu_device_info(rig.iommu, rig_id(disk), &info));
		assert_true(info.tlb_on);
		rig_close_anyhow(&rig);
	}
}

/** A bus that no bridge leads to: the device is taken as it is. */
static void bus_without_a_bridge(void **state)
{
	(void)state;
	begin();
	board_add(MODEL_BDF(9, 0, 0), BOARD_PCI);
	look();
	assert_int_equal(alias_of(MODEL_BDF(9, 0, 0)), MODEL_BDF(9, 0, 0));
	group_is(MODEL_BDF(9, 0, 0), 0);
	end();
}

/* ---- groups ---- */

static void ports_need_access_control(void **state)
{
	/* Source validation, redirects, forwarding: each is needed. */
	static const unsigned has[] = {ACS_ALL, 0x7f, 0x1c, 0x19, 0x15, 0xd, 0};

	(void)state;
	for (unsigned n = 0; n < 7; n++) {
		bool apart = (has[n] & ACS_ALL) == ACS_ALL;
		unsigned at;

		begin();
		board_bridge(MODEL_BDF(0, 1, 0), BOARD_ROOT_PORT, 1, 4);
		board_acs(MODEL_BDF(0, 1, 0), ACS_ALL);
		board_bridge(MODEL_BDF(1, 0, 0), BOARD_UPSTREAM, 2, 4);
		for (uint8_t k = 0; k < 2; k++) {
			uint16_t port = MODEL_BDF(2, k, 0);

			board_bridge(port, BOARD_DOWNSTREAM, (uint8_t)(3 + k),
				(uint8_t)(3 + k));
			board_extended(port, 1, 64);
			at = board_acs(port, has[n]);
			board_add(MODEL_BDF(3 + k, 0, 0), BOARD_ENDPOINT);
		}
		look();
		if (apart) {
			group_is(MODEL_BDF(3, 0, 0), 0);
			group_is(MODEL_BDF(4, 0, 0), 0);
			/* Switched on, and what was not wanted left off. */
			assert_int_equal(
				board_get(MODEL_BDF(2, 1, 0), at + 6, 2),
				ACS_ALL);
		} else {
			group_is(MODEL_BDF(3, 0, 0), 1, MODEL_BDF(4, 0, 0));
			group_is(MODEL_BDF(4, 0, 0), 1, MODEL_BDF(3, 0, 0));
		}
		end();
	}
}

/** What leaks into a port's neighbours reaches them, tight as they are. */
static void switch_is_as_tight_as_its_worst_port(void **state)
{
	(void)state;
	begin();
	board_bridge(MODEL_BDF(0, 1, 0), BOARD_ROOT_PORT, 1, 5);
	board_acs(MODEL_BDF(0, 1, 0), ACS_ALL);
	board_bridge(MODEL_BDF(1, 0, 0), BOARD_UPSTREAM, 2, 5);
	board_bridge(MODEL_BDF(2, 0, 0), BOARD_DOWNSTREAM, 3, 3);
	board_acs(MODEL_BDF(2, 0, 0), ACS_ALL);
	board_bridge(MODEL_BDF(2, 1, 0), BOARD_DOWNSTREAM, 4, 4);
	board_add(MODEL_BDF(3, 0, 0), BOARD_ENDPOINT);
	board_add(MODEL_BDF(4, 0, 0), BOARD_ENDPOINT);
	/* Another slot of the machine is none of their business. */
	board_bridge(MODEL_BDF(0, 2, 0), BOARD_ROOT_PORT, 6, 6);
	board_acs(MODEL_BDF(0, 2, 0), ACS_ALL);
	board_add(MODEL_BDF(6, 0, 0), BOARD_ENDPOINT);
	look();
	group_is(MODEL_BDF(3, 0, 0), 1, MODEL_BDF(4, 0, 0));
	group_is(MODEL_BDF(4, 0, 0), 1, MODEL_BDF(3, 0, 0));
	group_is(MODEL_BDF(6, 0, 0), 0);
	end();
}

/** A root port without it joins all below it, not its neighbours. */
static void group_ends_at_the_root(void **state)
{
	(void)state;
	begin();
	board_bridge(MODEL_BDF(0, 1, 0), BOARD_ROOT_PORT, 1, 3);
	board_bridge(MODEL_BDF(1, 0, 0), BOARD_UPSTREAM, 2, 3);
	board_bridge(MODEL_BDF(2, 0, 0), BOARD_DOWNSTREAM, 3, 3);
	board_acs(MODEL_BDF(2, 0, 0), ACS_ALL);
	board_add(MODEL_BDF(3, 0, 0), BOARD_ENDPOINT);
	board_add(MODEL_BDF(3, 1, 0), BOARD_ENDPOINT);
	board_bridge(MODEL_BDF(0, 2, 0), BOARD_ROOT_PORT, 4, 4);
	board_add(MODEL_BDF(4, 0, 0), BOARD_ENDPOINT);
	look();
	group_is(MODEL_BDF(3, 0, 0), 1, MODEL_BDF(3, 1, 0));
	group_is(MODEL_BDF(4, 0, 0), 0);
	end();
}

static void functions_reach_each_other(void **state)
{
	(void)state;
	begin();
	/* Three functions, the second of which keeps to itself: it can
	 * redirect nothing and says so. */
	for (uint8_t fn = 0; fn < 3; fn++)
		board_add(MODEL_BDF(0, 1, fn), BOARD_INTEGRATED);
	board_multi(MODEL_BDF(0, 1, 0));
	board_acs(MODEL_BDF(0, 1, 1), 0);
	/* Two that cannot be told to redirect. */
	board_add(MODEL_BDF(0, 2, 0), BOARD_PCI);
	board_add(MODEL_BDF(0, 2, 3), BOARD_PCI);
	board_multi(MODEL_BDF(0, 2, 0));
	/* Two conventional devices of one function each. */
	board_add(MODEL_BDF(0, 3, 0), BOARD_PCI);
	look();
	group_is(MODEL_BDF(0, 1, 0), 1, MODEL_BDF(0, 1, 2));
	group_is(MODEL_BDF(0, 1, 2), 1, MODEL_BDF(0, 1, 0));
	group_is(MODEL_BDF(0, 1, 1), 0);
	group_is(MODEL_BDF(0, 2, 3), 1, MODEL_BDF(0, 2, 0));
	group_is(MODEL_BDF(0, 3, 0), 0);
	end();
}

/** A register that does not take what is written is not believed. */
static void deaf_write(void *ctx, uint16_t segment, uint8_t bus, uint8_t devfn,
	uint16_t offset, unsigned width, uint32_t value)
{
	(void)ctx, (void)segment, (void)bus, (void)devfn;
	(void)offset, (void)width, (void)value;
}

static void access_control_must_stick(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		unsigned at;

		begin();
		board_bridge(MODEL_BDF(0, 1, 0), BOARD_ROOT_PORT, 1, 1);
		at = board_acs(MODEL_BDF(0, 1, 0), ACS_ALL);
		board_add(MODEL_BDF(1, 0, 0), BOARD_ENDPOINT);
		board_add(MODEL_BDF(1, 1, 0), BOARD_ENDPOINT);
		if (n == 2) /* firmware did it already */
			board_put(MODEL_BDF(0, 1, 0), at + 6, 2, ACS_ALL);
		rig_open(&rig, "plain", MODEL_BENIGN, 1);
		board_install(&rig);
		rig.hooks.pci_write = n ? NULL : deaf_write;
		rig_start_ok(&rig);
		if (n == 2)
			group_is(MODEL_BDF(1, 0, 0), 0);
		else
			group_is(MODEL_BDF(1, 0, 0), 1, MODEL_BDF(1, 1, 0));
		end();
	}
}

static void group_list_is_cut(void **state)
{
	struct iommu_device_id id[4];
	unsigned count;

	(void)state;
	begin();
	for (uint8_t fn = 0; fn < 8; fn++)
		board_add(MODEL_BDF(0, 1, fn), BOARD_PCI);
	board_multi(MODEL_BDF(0, 1, 0));
	look();
	for (unsigned max = 0; max < 4; max++) {
		memset(id, 0xee, sizeof(id));
		OK(iommu_device_group(rig.iommu, rig_id(MODEL_BDF(0, 1, 7)), id,
			max, &count));
		assert_int_equal(count, 8);
		if (max)
			assert_int_equal(id[0].requester, MODEL_BDF(0, 1, 7));
		assert_int_equal(id[max].segment, 0xeeee);
	}
	end();
}

/* ---- virtual functions ---- */

/** A physical function with virtual ones. */
static void physical_as(enum board_type type, uint16_t bdf, unsigned count,
	unsigned first, unsigned stride)
{
	unsigned at;

	board_add(bdf, type);
	board_extended(bdf, 1, 64);
	at = board_extended(bdf, 0x10, 64);
	board_put(bdf, at + 0x10, 2, count);
	board_put(bdf, at + 0x14, 2, first);
	board_put(bdf, at + 0x16, 2, stride);
}

static void physical(
	uint16_t bdf, unsigned count, unsigned first, unsigned stride)
{
	physical_as(BOARD_ENDPOINT, bdf, count, first, stride);
}

static void virtual_functions_are_found(void **state)
{
	const uint16_t pf = MODEL_BDF(1, 0, 0);

	(void)state;
	begin();
	board_bridge(MODEL_BDF(0, 1, 0), BOARD_ROOT_PORT, 1, 5);
	board_acs(MODEL_BDF(0, 1, 0), ACS_ALL);
	physical(pf, 3, 16, 2);
	/* On the next bus; and one that has no stride. */
	physical(MODEL_BDF(1, 1, 0), 2, 0x100, 0x10);
	physical(MODEL_BDF(1, 2, 0), 1, 0x80, 0);
	/* Not switched on, or gone. */
	physical(MODEL_BDF(1, 3, 0), 0, 0x90, 1);
	physical(MODEL_BDF(1, 4, 0), 0xffff, 0x88, 1);
	/* Conventional ones have no extended capabilities. */
	physical_as(BOARD_PCI, MODEL_BDF(1, 5, 0), 4, 0x98, 1);
	look();
	for (unsigned n = 0; n < 40; n++) {
		uint16_t rid = (uint16_t)(pf + n + 8);

		if (board_space(rid))
			continue;
		assert_int_equal(rig_status_of(&rig, rid),
			n == 8 || n == 10 || n == 12 ? IOMMU_OK
						     : IOMMU_NO_DEVICE);
	}
	OK(rig_status_of(&rig, MODEL_BDF(2, 1, 0)));
	OK(rig_status_of(&rig, MODEL_BDF(2, 3, 0)));
	assert_int_equal(
		rig_status_of(&rig, MODEL_BDF(2, 5, 0)), IOMMU_NO_DEVICE);
	OK(rig_status_of(&rig, MODEL_BDF(1, 18, 0)));
	assert_int_equal(
		rig_status_of(&rig, MODEL_BDF(1, 18, 1)), IOMMU_NO_DEVICE);
	assert_int_equal(
		rig_status_of(&rig, MODEL_BDF(1, 21, 0)), IOMMU_NO_DEVICE);
	assert_int_equal(
		rig_status_of(&rig, MODEL_BDF(1, 24, 0)), IOMMU_NO_DEVICE);
	assert_int_equal(
		rig_status_of(&rig, MODEL_BDF(0, 31, 0)), IOMMU_NO_DEVICE);
	assert_int_equal(alias_of(pf + 16), pf + 16);
	/* Alone in its group, which lists it. */
	group_is(pf + 16, 0);
	end();
}

static void virtual_functions_share_a_bad_port(void **state)
{
	const uint16_t pf = MODEL_BDF(1, 0, 0);
	struct iommu_domain *one, *two;

	(void)state;
	begin();
	board_bridge(MODEL_BDF(0, 1, 0), BOARD_ROOT_PORT, 1, 1);
	physical(pf, 2, 8, 8);
	board_multi(pf); /* functions without access control */
	look();
	one = rig_mapped_domain(&rig);
	two = rig_mapped_domain(&rig);
	OK(iommu_attach(rig.iommu, rig_id(pf + 8), one));
	assert_int_equal(
		iommu_attach(rig.iommu, rig_id(pf), two), IOMMU_GROUP_BUSY);
	OK(iommu_attach(rig.iommu, rig_id(pf + 16), one));
	OK(iommu_detach(rig.iommu, rig_id(pf + 16)));
	OK(iommu_detach(rig.iommu, rig_id(pf + 8)));
	OK(iommu_domain_destroy(one));
	OK(iommu_domain_destroy(two));
	end();
}

/* ---- phantom functions ---- */

/** All requester ids that a device may use reach its domain (VT-d 3.4.1). */
static void phantoms_reach_the_domain(void **state)
{
	/* Bits 4:3 of the device capabilities, and which bits they claim. */
	static const unsigned mask[] = {0, 4, 6, 7};
	const uint16_t bdf = MODEL_BDF(0, 6, 0);

	(void)state;
	for (unsigned n = 0; n < 8; n++) {
		bool on = n & 4;
		struct iommu_domain *domain;

		begin();
		board_add(bdf, BOARD_ENDPOINT);
		board_put(bdf, BOARD_PCIE + 4, 4, (n & 3) << 3);
		board_put(bdf, BOARD_PCIE + 8, 2, on ? 1 << 9 : 0);
		look();
		domain = rig_mapped_domain(&rig);
		OK(iommu_map(domain, iommu_iova(0x5000), iommu_phys(0x100000),
			4096, IOMMU_READ | IOMMU_WRITE));
		OK(iommu_attach(rig.iommu, rig_id(bdf), domain));
		for (unsigned fn = 0; fn < 8; fn++)
			assert_int_equal(rig_can_write(&rig,
						 (uint16_t)(bdf + fn), 0x5000),
				!fn || (on && !(fn & ~mask[n & 3])));
		OK(iommu_detach(rig.iommu, rig_id(bdf)));
		for (unsigned fn = 0; fn < 8; fn++)
			assert_false(rig_can_write(
				&rig, (uint16_t)(bdf + fn), 0x5000));
		OK(iommu_domain_destroy(domain));
		end();
	}
}

/* ---- lists that never end ---- */

static void looping_lists_end(void **state)
{
	const uint16_t bdf = MODEL_BDF(0, 6, 0);
	unsigned before;

	(void)state;
	for (unsigned n = 0; n < 6; n++) {
		begin();
		board_add(bdf, BOARD_ENDPOINT);
		switch (n) {
		case 0: /* a capability that points to itself */
			board_put(bdf, 0x34, 1, 0x50);
			board_put(bdf, 0x50, 2, 0x5001);
			break;
		case 1: /* two that point to each other */
			board_put(bdf, 0x34, 1, 0x50);
			board_put(bdf, 0x50, 2, 0x6001);
			board_put(bdf, 0x60, 2, 0x5001);
			break;
		case 2: /* into the header */
			board_put(bdf, 0x34, 1, 0x10);
			break;
		case 3: /* an extended one that points to itself */
			board_put(bdf, 0x100, 4, 0x10010001);
			break;
		case 4: /* into the header */
			board_put(bdf, 0x100, 4, 0x04010001);
			break;
		case 5: /* all ones */
			board_put(bdf, 0x100, 4, ~0u);
			break;
		}
		look();
		before = board_reads();
		OK(rig_status_of(&rig, bdf));
		assert_true(board_reads() - before < 10000);
		end();
	}
}

/** Bridges that lead to each other's buses, or to their own. */
static void looping_bridges_end(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		unsigned before;

		begin();
		if (n) {
			/* More bridges than any machine has levels. */
			for (uint8_t bus = 0; bus < 40; bus++)
				board_bridge(MODEL_BDF(bus, 2, 0),
					BOARD_DOWNSTREAM, (uint8_t)(bus + 1),
					40);
			for (uint8_t bus = 0; bus < 40; bus++)
				board_acs(MODEL_BDF(bus, 2, 0), ACS_ALL);
			board_add(MODEL_BDF(40, 1, 0), BOARD_ENDPOINT);
		} else {
			board_bridge(MODEL_BDF(0, 1, 0), BOARD_PCI, 40, 2);
			board_bridge(MODEL_BDF(40, 0, 0), BOARD_PCI, 40, 40);
			board_add(MODEL_BDF(40, 1, 0), BOARD_PCI);
		}
		look();
		before = board_reads();
		OK(rig_status_of(&rig, MODEL_BDF(40, 1, 0)));
		assert_true(board_reads() - before < 1000000);
		end();
	}
}

/** A bridge lends its id before anybody has looked at its bus: without memory
 *  for that, nothing is attached. */
static void nth_page_for_an_alias_is_missing(void **state)
{
	(void)state;
	for (unsigned n = 1;; n++) {
		struct iommu_domain *domain;
		enum iommu_status status;
		bool hit;

		begin();
		board_bridge(MODEL_BDF(0, 1, 0), BOARD_PCI, 1, 1);
		board_add(MODEL_BDF(1, 3, 0), BOARD_PCI);
		look();
		domain = rig_mapped_domain(&rig);
		model_fail_alloc(rig.m, n, false);
		status = iommu_attach(
			rig.iommu, rig_id(MODEL_BDF(1, 3, 0)), domain);
		hit = model_failures(rig.m);
		model_fail_alloc(rig.m, 0, false);
		assert_int_equal(status, hit ? IOMMU_NO_MEMORY : IOMMU_OK);
		if (hit)
			OK(iommu_attach(
				rig.iommu, rig_id(MODEL_BDF(1, 3, 0)), domain));
		OK(iommu_detach(rig.iommu, rig_id(MODEL_BDF(1, 3, 0))));
		OK(iommu_domain_destroy(domain));
		end();
		if (!hit)
			break;
		assert_true(n < 20);
	}
}

/** What was read is kept: also of an id that was met as another's first. */
static void functions_are_read_once(void **state)
{
	unsigned before;

	(void)state;
	begin();
	board_bridge(MODEL_BDF(0, 2, 0), BOARD_PCIE_TO_PCI, 2, 2);
	board_add(MODEL_BDF(2, 0, 0), BOARD_PCI);
	board_add(MODEL_BDF(2, 4, 0), BOARD_PCI);
	look();
	OK(iommu_attach(rig.iommu, rig_id(MODEL_BDF(2, 4, 0)),
		iommu_domain_identity(rig.iommu)));
	OK(rig_status_of(&rig, MODEL_BDF(2, 0, 0)));
	before = board_reads();
	for (unsigned n = 0; n < 3; n++) {
		OK(rig_status_of(&rig, MODEL_BDF(2, 4, 0)));
		OK(rig_status_of(&rig, MODEL_BDF(2, 0, 0)));
	}
	assert_int_equal(board_reads(), before);
	OK(iommu_detach(rig.iommu, rig_id(MODEL_BDF(2, 4, 0))));
	end();
}

/** The id that a device borrows is on a bus that nobody has looked at. */
static void borrowed_id_is_kept_on_its_own_bus(void **state)
{
	const uint16_t lender = MODEL_BDF(6, 0, 0), deep = MODEL_BDF(9, 1, 0),
		       near = MODEL_BDF(6, 4, 0), other = MODEL_BDF(3, 0, 0);
	struct iommu_domain *one, *two;

	(void)state;
	begin();
	board_bridge(MODEL_BDF(0, 1, 0), BOARD_ROOT_PORT, 3, 3);
	board_add(other, BOARD_ENDPOINT);
	board_bridge(MODEL_BDF(0, 2, 0), BOARD_PCIE_TO_PCI, 6, 9);
	board_bridge(MODEL_BDF(6, 5, 0), BOARD_PCI, 9, 9);
	board_add(deep, BOARD_PCI);
	board_add(near, BOARD_PCI);
	look();
	one = rig_mapped_domain(&rig);
	two = rig_mapped_domain(&rig);
	OK(iommu_attach(rig.iommu, rig_id(deep), one));
	assert_int_equal(alias_of(deep), lender);
	assert_int_equal(
		iommu_attach(rig.iommu, rig_id(near), two), IOMMU_GROUP_BUSY);
	OK(iommu_attach(rig.iommu, rig_id(near), one));
	OK(iommu_attach(rig.iommu, rig_id(other), two));
	OK(iommu_detach(rig.iommu, rig_id(deep)));
	OK(iommu_detach(rig.iommu, rig_id(near)));
	OK(iommu_attach(rig.iommu, rig_id(near), two));
	OK(iommu_detach(rig.iommu, rig_id(near)));
	OK(iommu_detach(rig.iommu, rig_id(other)));
	OK(iommu_domain_destroy(one));
	OK(iommu_domain_destroy(two));
	end();
}

/** What does not fit is counted, and nothing written behind. */
static void group_is_cut_off_at_the_end_of_the_array(void **state)
{
	const uint16_t asked = MODEL_BDF(2, 4, 0);

	(void)state;
	begin();
	board_bridge(MODEL_BDF(0, 2, 0), BOARD_PCIE_TO_PCI, 2, 2);
	for (unsigned n = 1; n < 6; n++)
		board_add(MODEL_BDF(2, n, 0), BOARD_PCI);
	look();
	for (unsigned max = 0; max < 8; max++) {
		struct iommu_device_id id[10];
		unsigned found = 0, times = 0;

		for (unsigned n = 0; n < 10; n++)
			id[n] = rig_id(asked);
		OK(iommu_device_group(
			rig.iommu, rig_id(asked), id, max, &found));
		/* The bridge too. */
		assert_in_range(found, 5, 6);
		for (unsigned n = max; n < 10; n++)
			assert_int_equal(id[n].requester, asked);
		for (unsigned n = 0; n < max && n < found; n++)
			times += id[n].requester == asked;
		if (max)
			assert_int_equal(id[0].requester, asked);
		assert_int_equal(times, max > 0);
	}
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bridges_lend_their_ids),
		cmocka_unit_test(bus_without_a_bridge),
		cmocka_unit_test(ports_need_access_control),
		cmocka_unit_test(switch_is_as_tight_as_its_worst_port),
		cmocka_unit_test(group_ends_at_the_root),
		cmocka_unit_test(functions_reach_each_other),
		cmocka_unit_test(access_control_must_stick),
		cmocka_unit_test(group_list_is_cut),
		cmocka_unit_test(virtual_functions_are_found),
		cmocka_unit_test(virtual_functions_share_a_bad_port),
		cmocka_unit_test(phantoms_reach_the_domain),
		cmocka_unit_test(looping_lists_end),
		cmocka_unit_test(looping_bridges_end),
		cmocka_unit_test(nth_page_for_an_alias_is_missing),
		cmocka_unit_test(low_bits_of_pointers_mean_nothing),
		cmocka_unit_test(functions_are_read_once),
		cmocka_unit_test(borrowed_id_is_kept_on_its_own_bus),
		cmocka_unit_test(group_is_cut_off_at_the_end_of_the_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
