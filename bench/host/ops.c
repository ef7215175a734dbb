/* SPDX-License-Identifier: MIT */
/*
 * The library's operations, one after another, on a unit that answers at once,
 * for counting instructions: `make bench-host` runs this under callgrind, which
 * writes one dump per call. What the unit itself would do is not counted, what
 * the host's hooks do is; they are as short as a kernel's.
 *
 * Each operation is also a line on standard output: its name, how often it ran
 * and how many doorbells, descriptors and written-back cache lines that took.
 */
#include <iommu/dma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <valgrind/callgrind.h>
#include "iova.h"

enum {
	MEMORY = 1 << 30,
	RUNS = 400,
	LIST = 256,
	REG_CAP = 0x08,
	REG_ECAP = 0x10,
	REG_GCMD = 0x18,
	REG_GSTS = 0x1c,
	REG_IQH = 0x80,
	REG_IQT = 0x88,
	REG_IQA = 0x90,
};

#define RW (IOMMU_READ | IOMMU_WRITE)

/* ---- a machine: memory that only grows, one unit ---- */

static char *memory;
static uint64_t next_page = 256, lines;
static struct free_page {
	struct free_page *next;
} * free_pages;
static union {
	uint32_t at32[1024];
	uint64_t at64[512];
} regs;

static void *page_alloc(void *ctx, unsigned order, iommu_phys_t *out)
{
	uint64_t count = 1ull << order;
	void *page = free_pages;

	(void)ctx;
	if (!order && page) {
		free_pages = free_pages->next;
		memset(page, 0, 4096);
	} else {
		next_page = (next_page + count - 1) & ~(count - 1);
		page = memory + (next_page << 12);
		next_page += count;
	}
	out->v = (uint64_t)((char *)page - memory);
	return page;
}

static void page_free(void *ctx, void *page, iommu_phys_t at, unsigned order)
{
	struct free_page *freed = page;

	(void)ctx;
	(void)at;
	if (order)
		return;
	freed->next = free_pages;
	free_pages = freed;
}

static void *phys_to_virt(void *ctx, iommu_phys_t at)
{
	(void)ctx;
	return at.v < MEMORY ? memory + at.v : NULL;
}

static void *regs_map(void *ctx, iommu_phys_t base, uint64_t size)
{
	(void)ctx;
	(void)base;
	(void)size;
	return &regs;
}

static void regs_unmap(void *ctx, void *at, uint64_t size)
{
	(void)ctx;
	(void)at;
	(void)size;
}

static uint64_t reg_read(void *ctx, void *at, uint32_t offset, unsigned width)
{
	(void)ctx;
	(void)at;
	return width == 4 ? regs.at32[offset / 4] : regs.at64[offset / 8];
}

/** Carries out the waits up to the new tail. */
static void ring_doorbell(void)
{
	uint64_t *ring =
		(void *)(memory + (regs.at64[REG_IQA / 8] & ~0xfffull));
	unsigned tail = (unsigned)regs.at64[REG_IQT / 8] >> 4;
	unsigned head = (unsigned)regs.at64[REG_IQH / 8] >> 4;

	for (; head != tail; head = (head + 1) % 512)
		if ((ring[2 * head] & 15) == 5)
			*(uint32_t *)(void *)(memory + ring[2 * head + 1]) =
				(uint32_t)(ring[2 * head] >> 32);
	regs.at64[REG_IQH / 8] = regs.at64[REG_IQT / 8];
}

/** Every command is done at once; write-buffer flushes read as done. */
static void command(uint32_t value)
{
	uint32_t one_shot = regs.at32[REG_GSTS / 4] & 0x41000000;

	if (!(value & 0x04000000))
		regs.at64[REG_IQH / 8] = 0;
	regs.at32[REG_GSTS / 4] = (value | one_shot) & ~0x08000000u;
}

static void reg_write(
	void *ctx, void *at, uint32_t offset, unsigned width, uint64_t value)
{
	(void)ctx;
	(void)at;
	if (width == 4)
		regs.at32[offset / 4] = (uint32_t)value;
	else
		regs.at64[offset / 8] = value;
	if (offset != REG_IQT && offset != REG_GCMD)
		return;
	CALLGRIND_TOGGLE_COLLECT;
	if (offset == REG_IQT)
		ring_doorbell();
	else
		command((uint32_t)value);
	CALLGRIND_TOGGLE_COLLECT;
}

static void cache_flush(void *ctx, const void *at, size_t size)
{
	(void)ctx;
	(void)at;
	lines += (size + 63) / 64;
}

static unsigned long lock(void *ctx, struct iommu_lock *l)
{
	(void)ctx;
	while (__atomic_exchange_n(&l->opaque[0], 1, __ATOMIC_ACQUIRE))
		;
	return 0;
}

static void unlock(void *ctx, struct iommu_lock *l, unsigned long state)
{
	(void)ctx;
	(void)state;
	__atomic_store_n(&l->opaque[0], 0, __ATOMIC_RELEASE);
}

static uint64_t now_ns(void *ctx)
{
	static uint64_t now;

	(void)ctx;
	return now += 10;
}

static uint32_t pci_read(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	(void)ctx;
	(void)segment;
	if (bus || devfn & 7)
		return width == 4 ? ~0u : (1u << 8 * width) - 1;
	return offset ? 0 : 0x1234;
}

static unsigned cpu_index(void *ctx)
{
	(void)ctx;
	return 0;
}

/* ---- counting ---- */

static struct iommu *iommu;
static unsigned status; /* of all calls together */
static struct iommu_stats before;
static uint64_t lines_before;
static unsigned runs;

static void start(void)
{
	if (iommu_unit_stats(iommu, 0, &before) != IOMMU_OK)
		abort();
	lines_before = lines;
	runs = 0;
}

static void report(const char *name)
{
	struct iommu_stats after;

	if (status != IOMMU_OK ||
		iommu_unit_stats(iommu, 0, &after) != IOMMU_OK) {
		fprintf(stderr, "%s: %u\n", name, status);
		exit(1);
	}
	printf("%s\t%u\t%llu\t%llu\t%llu\n", name, runs,
		(unsigned long long)(after.doorbells - before.doorbells),
		(unsigned long long)(after.descriptors - before.descriptors),
		(unsigned long long)(lines - lines_before));
}

/* One call, with a dump of its own. */
#define COUNT(name, call)                          \
	do {                                       \
		CALLGRIND_ZERO_STATS;              \
		CALLGRIND_TOGGLE_COLLECT;          \
		__asm__ volatile("" ::: "memory"); \
		call;                              \
		__asm__ volatile("" ::: "memory"); \
		CALLGRIND_TOGGLE_COLLECT;          \
		CALLGRIND_DUMP_STATS_AT(name);     \
		runs++;                            \
	} while (0)
#define OK(call) (status |= (unsigned)(call))

static struct iommu_domain *domain, *deferred_domain;
static struct iommu_dma *dma, *deferred;

static void map(uint64_t at, uint64_t phys, uint64_t size)
{
	OK(iommu_map(domain, iommu_iova(at), iommu_phys(phys), size, RW));
}

static void unmap(uint64_t at, uint64_t size)
{
	OK(iommu_unmap_now(domain, iommu_iova(at), size));
}

/** Maps and unmaps one size; maps first, so that each has its own line. */
static void both(const char *map_name, const char *unmap_name, uint64_t size,
	unsigned count)
{
	uint64_t base = 0x40000000;

	start();
	for (unsigned n = 0; n < count; n++)
		COUNT(map_name, map(base + n * size, size + n * size, size));
	report(map_name);
	start();
	for (unsigned n = 0; n < count; n++)
		COUNT(unmap_name, unmap(base + n * size, size));
	report(unmap_name);
}

static void scattered_batch(void)
{
	struct iommu_batch batch;

	iommu_batch_init(&batch, domain);
	for (unsigned n = 0; n < 64; n++)
		OK(iommu_unmap(domain, iommu_iova(0x40000000 + n * 0x3000),
			4096, &batch, NULL));
	OK(iommu_batch_flush(&batch));
}

static void scattered(void)
{
	start();
	for (unsigned run = 0; run < 20; run++) {
		for (unsigned n = 0; n < 64; n++)
			map(0x40000000 + n * 0x3000, 0x100000, 4096);
		COUNT("unmap 64 scattered pages", scattered_batch());
	}
	report("unmap 64 scattered pages");
}

static void pair(struct iommu_dma *space)
{
	iommu_iova_t at = {0};

	OK(iommu_dma_map(space, iommu_phys(0x100000), 4096, ~0ull,
		IOMMU_BOTH_WAYS, &at));
	OK(iommu_dma_unmap(space, at, 4096, IOMMU_BOTH_WAYS));
}

static void pairs(const char *name, struct iommu_dma *space)
{
	for (unsigned n = 0; n < 3; n++)
		pair(space);
	start();
	for (unsigned n = 0; n < 2 * RUNS; n++)
		COUNT(name, pair(space));
	report(name);
}

static struct iommu_dma_piece piece[LIST];
static struct iommu_dma_range range[LIST];
static unsigned ranges;

static void lists(void)
{
	for (unsigned n = 0; n < LIST; n++)
		piece[n] = (struct iommu_dma_piece){
			iommu_phys(0x100000 + n * 0x2000), 4096};
	start();
	for (unsigned n = 0; n < 20; n++) {
		COUNT("map a list of 256",
			OK(iommu_dma_map_list(dma, piece, LIST, ~0ull,
				IOMMU_BOTH_WAYS, range, &ranges)));
		OK(iommu_dma_unmap_list(dma, range, ranges, IOMMU_BOTH_WAYS));
	}
	report("map a list of 256");
	start();
	for (unsigned n = 0; n < 20; n++) {
		OK(iommu_dma_map_list(dma, piece, LIST, ~0ull, IOMMU_BOTH_WAYS,
			range, &ranges));
		COUNT("unmap a list of 256",
			OK(iommu_dma_unmap_list(
				dma, range, ranges, IOMMU_BOTH_WAYS)));
	}
	report("unmap a list of 256");
}

static void address(struct iova_space *space)
{
	uint64_t at = core_iova_get(space, 1, ~0ull);

	core_iova_put(space, at, 1);
}

static void addresses(void)
{
	static struct iova_space space;

	OK(core_iova_make(&space, iommu, (1ull << 39) - 1));
	address(&space);
	start();
	for (unsigned n = 0; n < RUNS; n++)
		COUNT("allocate and free an address", address(&space));
	report("allocate and free an address");
	core_iova_free_all(&space);
}

static struct iommu_device_id device(unsigned n)
{
	return iommu_device_id(0, 0, n, 0);
}

static void attaching(void)
{
	start();
	for (unsigned n = 0; n < RUNS; n++) {
		OK(iommu_detach(iommu, device(3)));
		COUNT("attach", OK(iommu_attach(iommu, device(3), domain)));
	}
	report("attach");
	start();
	for (unsigned n = 0; n < RUNS; n++) {
		COUNT("detach", OK(iommu_detach(iommu, device(3))));
		OK(iommu_attach(iommu, device(3), domain));
	}
	report("detach");
}

static void life(void)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};
	struct iommu_domain *d = NULL;

	OK(iommu_domain_create(iommu, &config, &d));
	OK(iommu_attach(iommu, device(6), d));
	OK(iommu_map(d, iommu_iova(0x1000), iommu_phys(0x1000), 4096, RW));
	OK(iommu_unmap_now(d, iommu_iova(0x1000), 4096));
	OK(iommu_detach(iommu, device(6)));
	OK(iommu_domain_destroy(d));
}

static void lives(void)
{
	life();
	start();
	for (unsigned n = 0; n < 50; n++)
		COUNT("a domain's whole life", life());
	report("a domain's whole life");
}

static void setting(unsigned long *value, const char *name)
{
	const char *text = getenv(name);

	if (text)
		*value = strtoul(text, NULL, 0);
}

static void machine(void)
{
	/* What QEMU 7.2 offers with 48 address bits. */
	unsigned long cap = 0x00d2008c222f0606, ecap = 0xf00f4b;
	unsigned char table[64] = {'D', 'M', 'A', 'R', 64, [8] = 1, [36] = 46,
		[50] = 16, [52] = 1, [58] = 0xd9, [59] = 0xfe};
	struct iommu_host host = {.page_alloc = page_alloc,
		.page_free = page_free,
		.phys_to_virt = phys_to_virt,
		.regs_map = regs_map,
		.regs_unmap = regs_unmap,
		.reg_read = reg_read,
		.reg_write = reg_write,
		.cache_flush = cache_flush,
		.lock = lock,
		.unlock = unlock,
		.now_ns = now_ns,
		.pci_read = pci_read,
		.cpu_index = cpu_index};
	struct iommu_options options;

	setting(&cap, "CAP");
	setting(&ecap, "ECAP");
	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	host.direct_map = memory;
	regs.at32[0] = 0x10;
	regs.at64[REG_CAP / 8] = cap;
	regs.at64[REG_ECAP / 8] = ecap;
	iommu_options_default(&options);
	options.spare_tables = 64;
	OK(iommu_create(&host, &options, &iommu));
	OK(iommu_discover(iommu, table, sizeof(table)));
	OK(iommu_start(iommu));
}

static void space(unsigned dev, const struct iommu_dma_config *how,
	struct iommu_domain **out_domain, struct iommu_dma **out)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};

	OK(iommu_domain_create(iommu, &config, out_domain));
	OK(iommu_attach(iommu, device(dev), *out_domain));
	OK(iommu_dma_create(*out_domain, how, out));
}

int main(void)
{
	struct iommu_dma_config strict = {0}, lazy = {.deferred = true};

	machine();
	space(3, &strict, &domain, &dma);
	space(4, &lazy, &deferred_domain, &deferred);

	start();
	for (unsigned n = 0; n < RUNS; n++)
		COUNT("nothing", (void)0);
	report("nothing");
	both("map 4 KiB", "unmap 4 KiB", 4096, RUNS);
	both("map 64 KiB", "unmap 64 KiB", 0x10000, 100);
	both("map 2 MiB", "unmap 2 MiB", 0x200000, 100);
	start();
	COUNT("map 1 GiB of 4 KiB pages",
		map(0x40001000, 0x100000000, 0x3ffff000));
	report("map 1 GiB of 4 KiB pages");
	start();
	COUNT("unmap 1 GiB of 4 KiB pages", unmap(0x40001000, 0x3ffff000));
	report("unmap 1 GiB of 4 KiB pages");
	scattered();
	pairs("DMA pair, strict", dma);
	pairs("DMA pair, deferred", deferred);
	lists();
	addresses();
	attaching();
	lives();
	return 0;
}
