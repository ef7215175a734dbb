/* SPDX-License-Identifier: MIT */
/*
 * Texts for people: what they say is what the unit, its tables and its counters
 * say, in every state of the instance.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <iommu/dma.h>
#include "support/rig.h"
#include "support/words.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

typedef void report(struct iommu *iommu, iommu_sink *sink, void *arg);

static void ask(struct rig *r, report *report)
{
	words_start();
	report(r->iommu, words_sink, NULL);
}

static void ask_walk(struct rig *r, uint16_t bdf, uint64_t iova)
{
	words_start();
	OK(iommu_report_walk(
		r->iommu, rig_id(bdf), iommu_iova(iova), words_sink, NULL));
}

static void ask_tables(struct rig *r, uint16_t bdf, unsigned most)
{
	words_start();
	OK(iommu_report_tables(r->iommu, rig_id(bdf), most, words_sink, NULL));
}

static void has_line(const char *format, ...)
{
	char line[160];
	va_list values;

	va_start(values, format);
	vsnprintf(line, sizeof(line), format, values);
	va_end(values);
	words_have(line);
}

static struct iommu_domain *mapped_device(struct rig *r, uint16_t bdf)
{
	struct iommu_domain *domain = rig_mapped_domain(r);

	OK(iommu_attach(r->iommu, rig_id(bdf), domain));
	return domain;
}

static void map(struct iommu_domain *domain, uint64_t iova, uint64_t phys,
	uint64_t size, unsigned rights)
{
	OK(iommu_map(domain, iommu_iova(iova), iommu_phys(phys), size, rights));
}

static void end(struct rig *r, uint16_t bdf, struct iommu_domain *domain)
{
	OK(iommu_detach(r->iommu, rig_id(bdf)));
	OK(iommu_domain_destroy(domain));
	rig_close(r);
}

/* ---- the driver and its units ---- */

static void info_follows_the_unit(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	OK(iommu_create(&r.hooks, &r.options, &r.iommu));
	ask(&r, iommu_report_info);
	words_have("driver info:\n default did = 1\n status = disabled\n");
	words_have_not("iommu@");
	OK(iommu_discover(r.iommu, r.dmar, r.dmar_size));
	ask(&r, iommu_report_info);
	words_have(" translation: disabled\n root table: not set\n");
	words_have(" or 0x0000000000000000 (vir)\n");
	OK(iommu_start(r.iommu));
	domain = mapped_device(&r, RIG_DEV);
	ask(&r, iommu_report_info);
	words_have(" status = enabled\n");
	words_have_not(" reason = ");
	words_have(" rba = 0x00000000fed90000\n supported = yes\n"
		   " num_assigned_devs = 1\n");
	words_have(" translation: enabled\n root table: set\n");
	words_have_not("or 0x0000000000000000 (vir)");
	words_have(" invalidation: queue\n interrupt remapping: enabled\n");
	words_have(" page sizes: 4K 2M 1G\n");
	words_have(" drain: read yes, write yes\n"
		   " fault records: 8 at 0x220\n"
		   " posted interrupts: no\n scalable mode: no\n"
		   " state: in order\n");
	OK(iommu_power(r.iommu, false));
	ask(&r, iommu_report_info);
	words_have(" status = disabled\n");
	words_have(" translation: disabled\n root table: set\n");
	OK(iommu_power(r.iommu, true));
	end(&r, RIG_DEV, domain);
}

static void info_says_what_a_unit_lacks(void **state)
{
	struct rig r;

	(void)state;
	rig_run(&r, "no-qi", MODEL_LAZY, 1);
	ask(&r, iommu_report_info);
	words_have(" invalidation: registers\n"
		   " interrupt remapping: disabled\n");
	ask(&r, iommu_report_queue);
	words_have(" queue: off, registers are used\n");
	rig_close(&r);
	rig_run(&r, "no-psi", MODEL_LAZY, 1);
	ask(&r, iommu_report_info);
	words_have(" page-selective flush: no, at most 0 pages\n");
	rig_close(&r);
}

/** Without a table or a usable unit, every report works and one says why. */
static void nothing_to_report(struct rig *r, const char *why)
{
	struct iommu_device_info info;

	assert_string_equal(iommu_reason(r->iommu), why);
	ask(r, iommu_report_info);
	has_line(" reason = %s\n", why);
	ask(r, iommu_report_warnings);
	ask(r, iommu_report_quirks);
	ask(r, iommu_report_stats);
	words_have("pages: ");
	ask(r, iommu_report_queue);
	ask(r, iommu_report_interrupts);
	assert_int_not_equal(iommu_report_walk(r->iommu, rig_id(RIG_DEV),
				     iommu_iova(0), words_sink, NULL),
		IOMMU_OK);
	assert_int_not_equal(iommu_report_tables(r->iommu, rig_id(RIG_DEV), 9,
				     words_sink, NULL),
		IOMMU_OK);
	assert_int_not_equal(
		iommu_device_info(r->iommu, rig_id(RIG_DEV), &info), IOMMU_OK);
	assert_int_equal(iommu_start(r->iommu),
		iommu_unit_count(r->iommu) ? IOMMU_NO_UNIT : IOMMU_WRONG_STATE);
	/* It has not started. */
	assert_int_equal(iommu_power(r->iommu, true), IOMMU_WRONG_STATE);
}

static void without_a_table_it_says_so(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	OK(iommu_create(&r.hooks, &r.options, &r.iommu));
	assert_int_equal(
		iommu_discover(r.iommu, NULL, r.dmar_size), IOMMU_NO_TABLE);
	assert_string_equal(
		iommu_reason(r.iommu), "the firmware has no DMAR table");
	ask(&r, iommu_report_info);
	words_have(" reason = the firmware has no DMAR table\n");
	ask(&r, iommu_report_warnings);
	ask(&r, iommu_report_quirks);
	ask(&r, iommu_report_queue);
	assert_int_equal(iommu_discover(r.iommu, r.dmar, r.dmar_size),
		IOMMU_WRONG_STATE);
	rig_close(&r);
}

static void refused_unit_says_why(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.host.forbid_map = true;
	assert_int_equal(rig_start(&r), IOMMU_NO_UNIT);
	nothing_to_report(
		&r, "no I/O MMU can be used: its registers cannot be mapped");
	ask(&r, iommu_report_info);
	words_have(" supported = no\n");
	words_have(" state: its registers cannot be mapped\n");
	words_have_not(" global status");
	rig_close(&r);
}

static void lost_unit_says_why(void **state)
{
	struct iommu_unit_info info;
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_LAZY, 1);
	r.options.timeout_ns = r.options.device_timeout_ns = 1000000;
	rig_start_ok(&r);
	domain = mapped_device(&r, RIG_DEV);
	map(domain, 0x205000, 0x100000, 4096, RW);
	model_unit_hang(r.m, 0, 0);
	/* A whole table goes, and may not be given back. */
	assert_int_equal(
		iommu_unmap_now(domain, iommu_iova(0x200000), 0x200000),
		IOMMU_UNIT_LOST);
	OK(iommu_unit_info(r.iommu, 0, &info));
	assert_int_equal(info.state, IOMMU_UNIT_FAILED);
	assert_string_equal(info.reason, "the invalidation queue stands still");
	ask(&r, iommu_report_info);
	words_have(" state: the invalidation queue stands still\n");
	/* What was asked of it and never answered. */
	ask(&r, iommu_report_queue);
	words_have(": iotlb ");
	words_have(": wait ");
	assert_int_equal(words_count("\n  "), 2);
	ask(&r, iommu_report_stats);
	words_have(" time-outs: 1\n");
	words_have_not(", withheld: 0\n");
	rig_close_anyhow(&r);
}

/* ---- counters ---- */

static void stats_are_the_counters(void **state)
{
	struct iommu_domain *domain;
	struct iommu_stats stats;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	domain = mapped_device(&r, RIG_DEV);
	map(domain, 0x5000, 0x100000, 4096, RW);
	OK(iommu_unmap_now(domain, iommu_iova(0x5000), 4096));
	OK(iommu_unit_stats(r.iommu, 0, &stats));
	assert_int_equal(stats.attaches, 1);
	assert_int_equal(stats.page_flushes, 1);
	assert_true(stats.waits > 0 && stats.doorbells > 0);
	ask(&r, iommu_report_stats);
	has_line(" doorbells: %llu\n", (unsigned long long)stats.doorbells);
	has_line(" descriptors: %llu\n", (unsigned long long)stats.descriptors);
	has_line(" waits: %llu\n", (unsigned long long)stats.waits);
	words_have(" page flushes: 1\n");
	words_have(" attaches: 1\n detaches: 0\n");
	/* Every counter has its line, below the unit's name. */
	*strstr(words, " domain ids: ") = '\0';
	assert_int_equal(words_count("\n"),
		1 + offsetof(struct iommu_stats, latency) / sizeof(uint64_t));
	ask(&r, iommu_report_stats);
	/* Reserved 0, identity, and the domain's. */
	words_have(" domain ids: 3 of ");
	has_line(" waits at first look or below 1 us: %llu\n",
		(unsigned long long)stats.latency[0]);
	for (unsigned n = 1; n < IOMMU_LATENCY_SLOTS; n++)
		if (stats.latency[n])
			has_line(" waits below %u us: %llu\n", 1u << n,
				(unsigned long long)stats.latency[n]);
	has_line("pages: %zu, withheld: 0\n",
		model_pages_in_use(r.m, MODEL_OWNER_DRIVER));
	assert_int_equal(
		iommu_unit_stats(r.iommu, 1, &stats), IOMMU_BAD_ARGUMENT);
	assert_int_equal(
		iommu_unit_stats(r.iommu, 0, NULL), IOMMU_BAD_ARGUMENT);
	end(&r, RIG_DEV, domain);
}

/* ---- interrupts ---- */

static void interrupt_entries_are_listed(void **state)
{
	static const enum iommu_choice x2apic[] = {IOMMU_AUTO, IOMMU_ON};
	struct iommu_irq_target target = {.destination = 3, .vector = 0x51};
	struct iommu_irq irq;
	struct rig r;

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		rig_open(&r, "plain", MODEL_LAZY, 1);
		r.options.x2apic = x2apic[n];
		rig_start_ok(&r);
		OK(iommu_irq_alloc(r.iommu, rig_id(RIG_DEV), 2, &irq));
		ask(&r, iommu_report_interrupts);
		words_have_not("vector");
		target.level = false;
		target.destination = 3;
		OK(iommu_irq_set(r.iommu, &irq, 0, &target));
		target.level = true;
		target.destination = n ? 0x1003 : 7;
		OK(iommu_irq_set(r.iommu, &irq, 1, &target));
		ask(&r, iommu_report_interrupts);
		words_have(" source 00:03.0 vector 0x51 cpu 3\n");
		words_have(n ? " source 00:03.0 vector 0x51 cpu 4099 level\n"
			     : " source 00:03.0 vector 0x51 cpu 7 level\n");
		assert_int_equal(words_count("vector"), 2);
		OK(iommu_irq_free(r.iommu, &irq));
		ask(&r, iommu_report_interrupts);
		words_have_not("vector");
		rig_close(&r);
	}
}

/* ---- a device's tables ---- */

/** How many words a step of the walk shows: entries have one or two. */
static unsigned words_of_step(const char *step)
{
	const char *at = strstr(words, step);
	unsigned count = 0;

	assert_non_null(at);
	for (at = strchr(at, ':'); at && *at != '\n'; at++)
		count += *at == ' ';
	return count;
}

static void walk_shows_every_level(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	ask_walk(&r, RIG_DEV, 0x5000);
	words_have(" not mapped\n");
	domain = mapped_device(&r, RIG_DEV);
	map(domain, 0x5000, 0x100000, 4096, IOMMU_READ);
	map(domain, 0x200000, 0x200000, 0x200000, RW);
	ask_walk(&r, RIG_DEV, 0x5123);
	assert_int_equal(words_of_step(" root at 0x"), 2);
	assert_int_equal(words_of_step(" context at 0x"), 2);
	assert_int_equal(words_of_step(" level 2 at 0x"), 1);
	assert_int_equal(words_of_step(" level 1 at 0x"), 1);
	words_have(" page 0x100123, 4096 bytes, r\n");
	ask_walk(&r, RIG_DEV, 0x212345);
	words_have(" page 0x212345, 2097152 bytes, rw\n");
	words_have_not(" level 1 ");
	ask_walk(&r, RIG_DEV, 0x6000);
	words_have(" level 1 at 0x");
	words_have(" not mapped\n");
	ask_walk(&r, RIG_OTHER, 0x6000);
	words_have(" not mapped\n");
	assert_int_equal(iommu_report_walk(r.iommu, rig_id(0x3f00),
				 iommu_iova(0), words_sink, NULL),
		IOMMU_NO_DEVICE);
	end(&r, RIG_DEV, domain);
}

static void identity_walk_needs_no_table(void **state)
{
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	OK(iommu_attach(
		r.iommu, rig_id(RIG_DEV), iommu_domain_identity(r.iommu)));
	ask_walk(&r, RIG_DEV, 0x123456);
	words_have(" page 0x123456, 4096 bytes, rw\n");
	words_have_not(" level ");
	ask_tables(&r, RIG_DEV, 9);
	words_have(" identity, domain id 1\n");
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	rig_close(&r);
}

static void tables_are_shown_in_stretches(void **state)
{
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	ask_tables(&r, RIG_DEV, 9);
	words_have(" blocked\n");
	domain = mapped_device(&r, RIG_DEV);
	ask_tables(&r, RIG_DEV, 9);
	words_have(" levels, domain id 2\n");
	assert_int_equal(words_count("->"), 0);
	map(domain, 0x5000, 0x100000, 0x2000, RW);
	map(domain, 0x7000, 0x102000, 0x1000, RW);         /* goes on */
	map(domain, 0x8000, 0x103000, 0x1000, IOMMU_READ); /* rights differ */
	map(domain, 0x9000, 0x200000, 0x1000, IOMMU_READ); /* jumps */
	map(domain, 0x1fe000, 0x3fe000, 0x202000, IOMMU_WRITE);
	ask_tables(&r, RIG_DEV, 9);
	words_have(" 0x0000000000005000-0x0000000000007fff -> 0x100000 rw\n"
		   " 0x0000000000008000-0x0000000000008fff -> 0x103000 r\n"
		   " 0x0000000000009000-0x0000000000009fff -> 0x200000 r\n"
		   " 0x00000000001fe000-0x00000000003fffff -> 0x3fe000 w\n");
	assert_int_equal(words_count("->"), 4);
	words_have_not(" ...\n");
	ask_tables(&r, RIG_DEV, 2);
	assert_int_equal(words_count("->"), 2);
	words_have(" ...\n");
	assert_int_equal(iommu_report_tables(
				 r.iommu, rig_id(0x3f00), 9, words_sink, NULL),
		IOMMU_NO_DEVICE);
	end(&r, RIG_DEV, domain);
}

static void last_stretch_ends_with_the_table(void **state)
{
	struct iommu_domain_config config = {
		.kind = IOMMU_DOMAIN_MAPPED, .iova_bits = 39};
	struct iommu_domain *domain;
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_LAZY, 1);
	OK(iommu_domain_create(r.iommu, &config, &domain));
	OK(iommu_attach(r.iommu, rig_id(RIG_DEV), domain));
	map(domain, 0x7ffffff000, 0x100000, 0x1000, RW);
	ask_tables(&r, RIG_DEV, 9);
	words_have(" 3 levels, domain id 2\n");
	words_have(" 0x0000007ffffff000-0x0000007fffffffff -> 0x100000 rw\n");
	end(&r, RIG_DEV, domain);
}

/** Everybody may read these files: the queue is named by the address that the
 *  hardware has, not by the host's. */
static void queue_is_named_by_its_physical_address(void **state)
{
	enum {
		IQA = 0x90
	};
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_BENIGN, 1);
	ask(&r, iommu_report_queue);
	has_line(" queue: base 0x%jx, head 0x",
		(uintmax_t)(model_read64(r.m, model_unit_base(r.m, 0) + IQA) &
			~0xfffull));
	/* Nothing is on its way. */
	words_have_not("  ");
	rig_close(&r);
}

/** Before there are tables there is nothing to walk. */
static void walk_before_the_start_shows_nothing(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "plain", MODEL_BENIGN, 1);
	OK(iommu_create(&r.hooks, &r.options, &r.iommu));
	OK(iommu_discover(r.iommu, r.dmar, r.dmar_size));
	ask_walk(&r, RIG_DEV, 0x1000);
	has_line(" not mapped");
	ask_tables(&r, RIG_DEV, 4);
	has_line(" blocked");
	rig_close(&r);
}

/** The device was never given to anybody, nor was another one of its bus; or
 *  another one was. */
static void who_has_no_entry_is_blocked(void **state)
{
	struct rig r;

	(void)state;
	rig_run(&r, "plain", MODEL_BENIGN, 1);
	ask_walk(&r, RIG_BEHIND_PORT, 0x1000);
	has_line(" not mapped");
	ask_tables(&r, RIG_BEHIND_PORT, 4);
	has_line(" blocked");
	OK(iommu_attach(
		r.iommu, rig_id(RIG_DEV), iommu_domain_identity(r.iommu)));
	ask_tables(&r, RIG_OTHER, 4);
	has_line(" blocked");
	OK(iommu_detach(r.iommu, rig_id(RIG_DEV)));
	rig_close(&r);
}

/** However a unit is lost: one line in the log, with the reason, and no second
 *  one however often it is asked for something. */
static void loss_is_told_once(void **state)
{
	static const struct {
		const char *kind, *why;
		bool gone, power;
	} row[] = {
		{"plain", "the invalidation queue stands still", false, false},
		{"plain", "the registers read as all ones", true, false},
		{"no-qi", "an invalidation command does not end", false, false},
		{"plain", "a global command does not end", false, true},
	};

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++) {
		struct iommu_domain *domain;
		struct rig r;

		rig_open(&r, row[n].kind, MODEL_LAZY, 1);
		r.options.timeout_ns = r.options.device_timeout_ns = 1000000;
		rig_start_ok(&r);
		domain = mapped_device(&r, RIG_DEV);
		map(domain, 0x205000, 0x100000, 4096, RW);
		if (row[n].gone)
			model_unit_gone(r.m, 0, 0);
		else
			model_unit_hang(r.m, 0, 0);
		for (unsigned again = 0; again < 3; again++) {
			enum iommu_status status = row[n].power
				? iommu_power(r.iommu, false)
				: iommu_flush_all(domain, IOMMU_REMOVED);

			if (!again || !row[n].power)
				assert_int_equal(status, IOMMU_UNIT_LOST);
			assert_int_equal(r.host.logged[IOMMU_LOG_ERROR], 1);
		}
		ask(&r, iommu_report_info);
		words_have(row[n].why);
		rig_close_anyhow(&r);
	}
}

/** The pages that the library says it holds are those it has from the host. */
static void pages_are_booked(void **state)
{
	struct iommu_dma_config config = {0};
	struct iommu_domain *domain;
	struct iommu_dma *dma;
	iommu_iova_t iova;
	struct rig r;
	void *virt;

	(void)state;
	rig_run(&r, "plain", MODEL_BENIGN, 1);
	domain = rig_mapped_domain(&r);
	OK(iommu_dma_create(domain, &config, &dma));
	for (unsigned order = 0; order < 4; order++) {
		OK(iommu_dma_alloc(dma, order, ~0ull, &virt, &iova));
		ask(&r, iommu_report_stats);
		has_line("pages: %zu, withheld: 0",
			model_pages_in_use(r.m, MODEL_OWNER_DRIVER));
		OK(iommu_dma_free(dma, order, virt, iova));
		ask(&r, iommu_report_stats);
		has_line("pages: %zu, withheld: 0",
			model_pages_in_use(r.m, MODEL_OWNER_DRIVER));
	}
	OK(iommu_dma_destroy(dma));
	OK(iommu_domain_destroy(domain));
	rig_close(&r);
}

/** Every line about a unit, but for those with the host's own addresses. */
static void info_is_complete(void **state)
{
	static const struct {
		const char *kind, *from_width, *from_version, *from_segment;
	} row[] = {
		{"plain",
			" host addr width (dmar) = 46\n"
			" host addr width (cap[mgaw]) = 48\n"
			" version = 0x10\n",
			" capabilities = 0x00d2078c226f0606\n"
			" mgaw: 48\n"
			" sagaw (paging level): 0x6\n"
			" caching mode: no (0)\n"
			" zlr: 0x1\n"
			" rwbf: not required\n"
			" num domains: 65536\n"
			" supports protected high-memory region: no\n"
			" supports Protected low-memory region: no\n"
			" ext. capabilities = 0x0000000000f010df\n"
			" pass through: yes\n"
			" device iotlb: yes\n"
			" iotlb register offset: 0x100\n"
			" snoop control: yes\n"
			" coherency: yes\n"
			" queue invalidation support: yes\n"
			" interrupt remapping support: yes\n"
			" extended interrupt mode: 0x1\n"
			" global status = 0xc7000000\n"
			" translation: enabled\n"
			" root table: set\n",
			" segment: 0\n"
			" invalidation: queue\n"
			" interrupt remapping: enabled\n"
			" page sizes: 4K 2M 1G\n"
			" page-selective flush: yes, at most 262144 pages\n"
			" drain: read yes, write yes\n"
			" fault records: 8 at 0x220\n"
			" posted interrupts: no\n"
			" scalable mode: no\n"
			" state: in order\n"},
		{"sapphire-rapids",
			" host addr width (dmar) = 52\n"
			" host addr width (cap[mgaw]) = 57\n"
			" version = 0x60\n",
			" mgaw: 57\n"
			" sagaw (paging level): 0x4\n",
			" fault records: 1 at 0x400\n"
			" posted interrupts: yes\n"
			" scalable mode: yes\n"
			" state: in order\n"},
	};

	(void)state;
	for (unsigned n = 0; n < sizeof(row) / sizeof(*row); n++) {
		struct rig r;

		rig_run(&r, row[n].kind, MODEL_LAZY, 1);
		ask(&r, iommu_report_info);
		words_have(" default did = 1\n status = enabled\n\niommu@0x");
		words_have(row[n].from_width);
		words_have(row[n].from_version);
		words_have(row[n].from_segment);
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(info_follows_the_unit),
		cmocka_unit_test(info_says_what_a_unit_lacks),
		cmocka_unit_test(without_a_table_it_says_so),
		cmocka_unit_test(refused_unit_says_why),
		cmocka_unit_test(lost_unit_says_why),
		cmocka_unit_test(stats_are_the_counters),
		cmocka_unit_test(interrupt_entries_are_listed),
		cmocka_unit_test(walk_shows_every_level),
		cmocka_unit_test(identity_walk_needs_no_table),
		cmocka_unit_test(tables_are_shown_in_stretches),
		cmocka_unit_test(last_stretch_ends_with_the_table),
		cmocka_unit_test(queue_is_named_by_its_physical_address),
		cmocka_unit_test(walk_before_the_start_shows_nothing),
		cmocka_unit_test(who_has_no_entry_is_blocked),
		cmocka_unit_test(loss_is_told_once),
		cmocka_unit_test(pages_are_booked),
		cmocka_unit_test(info_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
