/* SPDX-License-Identifier: MIT */
/*
 * The naive driver of examples/ earns exactly what docs/model.md says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#define main naive_main
#include "examples/naive/driver.c"
#include "examples/naive/main.c"
#undef main

static bool earned(struct model *m, enum model_rule rule, const char *text)
{
	const struct model_violation *v;

	for (size_t i = 0; (v = model_violation(m, i)); i++)
		if (v->rule == rule && strstr(v->text, text))
			return true;
	return false;
}

static struct model *run(const char *kind)
{
	struct model *m = model_create_usual(model_personality_find(kind),
		MODEL_LAZY, MODEL_WATCH, 1, false);

	day(m);
	return m;
}

static void every_mistake_is_named(void **state)
{
	struct model *m = run("plain");

	(void)state;
	assert_true(earned(m, MODEL_V_RESERVED, "FECTL"));
	assert_true(earned(m, MODEL_V_ACCESS, "8-byte write"));
	assert_true(earned(m, MODEL_V_COMMAND, "in flight"));
	assert_true(earned(m, MODEL_V_STALE, "no global context flush"));
	assert_true(earned(m, MODEL_V_CHANGE, "context entry"));
	assert_true(earned(m, MODEL_V_RESERVED, "context entry of 0008"));
	assert_true(earned(m, MODEL_V_STALE, "iova 0x4000"));
	assert_true(earned(m, MODEL_V_RESERVED, "IOTLB"));
	assert_true(earned(m, MODEL_V_FREE, "a cached translation"));
	assert_true(earned(m, MODEL_V_STALE, "context entry of 00:03.0"));
	assert_true(earned(m, MODEL_V_FREE, "a cached table pointer"));
	assert_true(earned(m, MODEL_V_OPEN, "secret"));
	model_destroy(m);
}

static void other_kinds_name_others(void **state)
{
	struct model *m = run("caching");

	(void)state;
	assert_true(earned(m, MODEL_V_STALE, "under domain 0"));
	model_destroy(m);
	m = run("non-coherent");
	assert_true(earned(m, MODEL_V_STALE, "not written back"));
	model_destroy(m);
	m = run("16-domains");
	assert_true(earned(m, MODEL_V_UNSUPPORTED, "domain id 300"));
	model_destroy(m);
}

static void a_hung_unit_shows_the_missing_deadline(void **state)
{
	struct model *m = model_create_simple("plain", MODEL_LAZY, 1);
	struct naive n = {.host = {m, read32, read64, write32, write64,
				  page_alloc, page_free, ptr}};

	(void)state;
	model_unit_hang(m, 0, 0);
	naive_start(&n, model_unit_base(m, 0));
	assert_true(earned(m, MODEL_V_WAIT, "deadline"));
	model_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mistake_is_named),
		cmocka_unit_test(other_kinds_name_others),
		cmocka_unit_test(a_hung_unit_shows_the_missing_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
