/* SPDX-License-Identifier: MIT */
/*
 * The rig: machine, host hooks, instance, and how they end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "rig.h"

void rig_open_machine(struct rig *r, struct model *m)
{
	memset(r, 0, sizeof *r);
	assert_non_null(m);
	r->m = m;
	model_host_init(&r->host, m, &r->hooks);
	iommu_options_default(&r->options);
	r->dmar_size = model_dmar(m, r->dmar, sizeof r->dmar);
	assert_true(r->dmar_size <= sizeof r->dmar);
}

void rig_open(
	struct rig *r, const char *kind, enum model_mode mode, uint64_t seed)
{
	rig_open_machine(r, model_create_simple(kind, mode, seed));
}

void rig_open_two(struct rig *r, const char *first, const char *second,
	enum model_mode mode)
{
	rig_open_machine(r,
		model_create_pair(model_personality_find(first),
			model_personality_find(second), mode, 0, 1, false));
}

void rig_open_row(
	struct rig *r, const char *kind, unsigned count, bool with_tlbs)
{
	struct model_function_desc functions[32] = {
		{.bdf = 0, .kind = MODEL_CONVENTIONAL, .unit = -1}};
	struct model_unit_desc unit = {
		.kind = model_personality_find(kind), .include_all = true};
	struct model_desc desc = {.seed = 1,
		.mode = MODEL_LAZY,
		.units = &unit,
		.unit_count = 1,
		.functions = functions,
		.function_count = count + 1};

	assert_true(count < 32);
	for (unsigned n = 1; n <= count; n++)
		functions[n] = (struct model_function_desc){.bdf = RIG_ROW(n),
			.kind = MODEL_INTEGRATED,
			.unit = -1,
			.ats = with_tlbs};
	rig_open_machine(r, model_create(&desc));
}

enum iommu_status rig_discover(struct rig *r)
{
	enum iommu_status s;

	s = iommu_create(&r->hooks, &r->options, &r->iommu);
	if (s != IOMMU_OK)
		return s;
	return iommu_discover(r->iommu, r->dmar, r->dmar_size);
}

enum iommu_status rig_start(struct rig *r)
{
	enum iommu_status s = rig_discover(r);

	return s == IOMMU_OK ? iommu_start(r->iommu) : s;
}

void rig_start_ok(struct rig *r)
{
	enum iommu_status s = rig_start(r);

	if (s != IOMMU_OK)
		fail_msg("%s: %s", iommu_status_text(s),
			r->iommu ? iommu_reason(r->iommu) : "-");
}

void rig_run(
	struct rig *r, const char *kind, enum model_mode mode, uint64_t seed)
{
	rig_open(r, kind, mode, seed);
	rig_start_ok(r);
}

void rig_check(struct rig *r)
{
	model_checkpoint(r->m);
	if (model_violation_count(r->m))
		model_report(r->m, stderr);
	assert_int_equal(model_violation_count(r->m), 0);
	assert_int_equal(r->host.locks_held, 0);
}

void rig_close(struct rig *r)
{
	rig_check(r);
	OK(iommu_destroy(r->iommu));
	model_host_check_leaks(&r->host);
	if (model_violation_count(r->m))
		model_report(r->m, stderr);
	assert_int_equal(model_violation_count(r->m), 0);
	model_destroy(r->m);
}

void rig_close_anyhow(struct rig *r)
{
	enum iommu_status s = iommu_destroy(r->iommu);

	(void)s;
	model_destroy(r->m);
}

unsigned rig_take_faults(struct rig *r)
{
	struct iommu_fault f;
	unsigned count = 0;
	char line[200];

	for (; iommu_fault_next(r->iommu, &f); count++) {
		assert_true(iommu_fault_format(&f, line, sizeof line) > 0);
		assert_non_null(f.text);
	}
	return count;
}

size_t rig_take_unit_out(struct rig *r, uint8_t out[256])
{
	size_t at = 48, last = 0, size;
	uint8_t sum = 0;

	for (; at < r->dmar_size; at += r->dmar[at + 2])
		if (!r->dmar[at])
			last = at;
	size = r->dmar[last + 2];
	memcpy(out, r->dmar + last, size);
	memmove(r->dmar + last, r->dmar + last + size,
		r->dmar_size - last - size);
	r->dmar_size -= size;
	r->dmar[4] = (uint8_t)r->dmar_size;
	r->dmar[5] = (uint8_t)(r->dmar_size >> 8);
	r->dmar[9] = 0;
	for (at = 0; at < r->dmar_size; at++)
		sum = (uint8_t)(sum + r->dmar[at]);
	r->dmar[9] = (uint8_t)-sum;
	return size;
}

struct iommu_device_id rig_id(uint16_t bdf)
{
	return (struct iommu_device_id){.requester = bdf};
}

void rig_answers(enum iommu_status got, enum iommu_status wanted)
{
	if (got != wanted)
		fail_msg("\"%s\" instead of \"%s\"", iommu_status_text(got),
			iommu_status_text(wanted));
}

enum iommu_status rig_status_of(struct rig *r, uint16_t bdf)
{
	struct iommu_device_info info;

	return iommu_device_info(r->iommu, rig_id(bdf), &info);
}

struct iommu_domain *rig_mapped_domain(struct rig *r)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};
	struct iommu_domain *domain = NULL;

	OK(iommu_domain_create(r->iommu, &config, &domain));
	return domain;
}

uint64_t rig_frame(struct rig *r, unsigned owner)
{
	uint64_t pa = model_page_alloc(r->m, 0, owner);

	assert_true(pa != MODEL_NONE);
	memset(model_ptr(r->m, pa), 0, MODEL_PAGE);
	return pa;
}

bool rig_can_read(struct rig *r, uint16_t bdf, uint64_t iova)
{
	uint64_t v;

	return model_dma_read(r->m, 0, bdf, iova, &v, 8) == MODEL_DMA_OK;
}

bool rig_can_write(struct rig *r, uint16_t bdf, uint64_t iova)
{
	uint64_t v = 0x1234;

	return model_dma_write(r->m, 0, bdf, iova, &v, 8) == MODEL_DMA_OK;
}

bool rig_kind_usable(const struct model_personality *kind)
{
	return kind->cap >> 8 & 0x1f;
}

/* ---- tables that a host owns -------------------------------------------- */

static void space_store(struct rig_space *s, uint64_t pa, uint64_t v)
{
	uint64_t *word = model_ptr(s->r->m, pa);

	__atomic_store_n(word, v, __ATOMIC_RELEASE);
	if (iommu_domain_duties(s->domain) & IOMMU_DUTY_WRITE_BACK)
		model_cache_flush(s->r->m, pa, 8);
}

static uint64_t space_table(struct rig_space *s)
{
	uint64_t pa = model_page_alloc(s->r->m, 0, RIG_TABLES);

	assert_true(pa != MODEL_NONE);
	memset(model_ptr(s->r->m, pa), 0, MODEL_PAGE);
	model_cache_flush(s->r->m, pa, MODEL_PAGE);
	return pa;
}

void rig_space_open(struct rig_space *s, struct rig *r)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_SHARED};

	memset(s, 0, sizeof *s);
	s->r = r;
	for (unsigned level = 3; level <= 5; level++) {
		s->root[level] = space_table(s);
		if (level > 3) {
			*(uint64_t *)model_ptr(r->m, s->root[level]) =
				s->root[level - 1] | 3;
			model_cache_flush(r->m, s->root[level], 8);
		}
	}
	config.owner = s;
	config.roots.levels3 = iommu_phys(s->root[3]);
	config.roots.levels4 = iommu_phys(s->root[4]);
	config.roots.levels5 = iommu_phys(s->root[5]);
	OK(iommu_domain_create(r->iommu, &config, &s->domain));
}

static void space_set_level(
	struct rig_space *s, uint64_t iova, uint64_t entry, unsigned level)
{
	uint64_t table = s->root[5];

	for (unsigned n = 5; n > level; n--) {
		uint64_t at = table + (iova >> (12 + 9 * (n - 1)) & 511) * 8;
		uint64_t *word = model_ptr(s->r->m, at);

		if (!*word)
			space_store(s, at, space_table(s) | 3);
		table = *word & 0xffffffffff000ull;
	}
	space_store(
		s, table + (iova >> (12 + 9 * (level - 1)) & 511) * 8, entry);
}

void rig_space_set(struct rig_space *s, uint64_t iova, uint64_t entry)
{
	space_set_level(s, iova, entry, 1);
}

void rig_space_set_large(struct rig_space *s, uint64_t iova, uint64_t entry)
{
	space_set_level(s, iova, entry, 2);
}

void rig_space_map(
	struct rig_space *s, uint64_t iova, uint64_t pa, unsigned rights)
{
	/* Accessed and dirty as a CPU would have them. */
	rig_space_set(s, iova, pa | 0x60 | rights);
	if (iommu_domain_duties(s->domain) & IOMMU_DUTY_FLUSH_PRESENT)
		OK(iommu_flush(
			s->domain, IOMMU_MADE_PRESENT, iommu_iova(iova), 4096));
}

void rig_space_unmap(struct rig_space *s, uint64_t iova)
{
	rig_space_set(s, iova, 0);
	OK(iommu_flush(s->domain, IOMMU_REMOVED, iommu_iova(iova), 4096));
}

static void space_free(struct rig_space *s, uint64_t table, unsigned level)
{
	uint64_t *word = model_ptr(s->r->m, table);

	for (unsigned i = 0; level > 1 && i < 512; i++)
		if ((word[i] & 3) && !(word[i] & 0x80))
			space_free(s, word[i] & 0xffffffffff000ull, level - 1);
	model_page_free(s->r->m, table, 0);
}

static void space_write_back(
	struct rig_space *s, uint64_t table, unsigned level)
{
	uint64_t *word = model_ptr(s->r->m, table);

	model_cache_flush(s->r->m, table, MODEL_PAGE);
	for (unsigned i = 0; level > 1 && i < 512; i++)
		if ((word[i] & 3) && !(word[i] & 0x80))
			space_write_back(
				s, word[i] & 0xffffffffff000ull, level - 1);
}

void rig_space_write_back(struct rig_space *s)
{
	space_write_back(s, s->root[5], 5);
}

enum iommu_status rig_space_attach(struct rig_space *s, uint16_t bdf)
{
	unsigned duties = 0;
	enum iommu_status status =
		iommu_device_duties(s->r->iommu, rig_id(bdf), &duties);

	if (status != IOMMU_OK)
		return status;
	if (duties & IOMMU_DUTY_WRITE_BACK)
		rig_space_write_back(s);
	return iommu_attach(s->r->iommu, rig_id(bdf), s->domain);
}

uint64_t rig_space_unlink(struct rig_space *s, uint64_t iova)
{
	uint64_t table = s->root[5], *word = NULL, at = 0;

	for (unsigned n = 5; n > 1; n--) {
		at = table + (iova >> (12 + 9 * (n - 1)) & 511) * 8;
		word = model_ptr(s->r->m, at);
		if (!(*word & 3))
			return 0;
		table = *word & 0xffffffffff000ull;
	}
	space_store(s, at, 0);
	return table;
}

void rig_space_free(struct rig_space *s)
{
	space_free(s, s->root[5], 5);
}

void rig_space_close(struct rig_space *s)
{
	OK(iommu_domain_destroy(s->domain));
	rig_space_free(s);
}
