/* SPDX-License-Identifier: MIT */
/*
 * Kinds of units: real ones by their capability registers, and constructed
 * ones that differ in exactly one point from a plain unit.
 */
#include <stdlib.h>
#include <string.h>
#include "regs.h"
#include <model/model.h>

/* A plain unit: 16-bit ids, 39 and 48 bit, 2 MiB and 1 GiB pages, one page. */
#define PLAIN_CAP                                                           \
	(6ull | 6ull << 8 | 47ull << 16 | CAP_ZLR | 0x22ull << 24 |         \
		3ull << 34 | CAP_PSI | 7ull << 40 | 18ull << 48 | CAP_DWD | \
		CAP_DRD)
#define PLAIN_ECAP                                                             \
	(ECAP_C | ECAP_QI | ECAP_DT | ECAP_IR | ECAP_EIM | ECAP_PT | ECAP_SC | \
		0x10ull << 8 | 15ull << 20)
#define FRO_MASK (0x3ffull << 24)
#define IRO_MASK (0x3ffull << 8)
#define NFR_MASK (0xffull << 40)
#define MGAW_MASK (0x3full << 16)
#define SAGAW_MASK (0x1full << 8)
#define MAMV_MASK (0x3full << 48)

const struct model_personality model_personalities[] = {
	{"plain", 0x10, PLAIN_CAP, PLAIN_ECAP, 0, 46},
	/* Real units, oldest first. */
	{"desktop-rwbf", 0x10, 0x00c9008020e30272, 0x1000, 0, 36},
	{"mobile-4", 0x10, 0x00c9008020230262, 0x1000,
		MODEL_QUIRK_HIDDEN_RWBF | MODEL_QUIRK_NO_IQERCD, 36},
	{"nehalem-5520", 0x10, 0x00c90780106f0462, 0xf0207e,
		MODEL_QUIRK_NO_IQERCD, 40},
	{"sandy-bridge", 0x10, 0x00c9008020660262, 0xf010da,
		MODEL_QUIRK_NO_IQERCD, 36},
	{"haswell-ep", 0x10, 0x00d2078c106f0466, 0xf020df, 0, 46},
	{"broadwell-client", 0x10, 0x00d2008c20660462, 0xf010da, 0, 39},
	{"skylake-sp", 0x10, 0x08d2078c106f0466, 0xf020df, 0, 46},
	{"atom", 0x10, 0x00d2008c40660462, 0xf050da, 0, 39},
	{"client-recent", 0x40, 0x08d2008c40660462, 0xf050da, 0, 39},
	{"sapphire-rapids", 0x60, 0x09ed008c40780466, 0x3ee9e86f050df,
		MODEL_QUIRK_EXTRA_DEVTLB, 52},
	/* Emulated units. */
	{"qemu-4.0", 0x10, 0x00d2008c222f0686, 0x0f46,
		MODEL_QUIRK_QIE_STICKS | MODEL_QUIRK_CC_WIDENS |
			MODEL_QUIRK_CFI_IGNORED | MODEL_QUIRK_NO_IQERCD,
		48},
	{"qemu-7.2", 0x10, 0x00d2008c22260206, 0xf00f4a,
		MODEL_QUIRK_QIE_STICKS | MODEL_QUIRK_CC_WIDENS |
			MODEL_QUIRK_CFI_IGNORED | MODEL_QUIRK_NO_IQERCD,
		39},
	{"qemu-10", 0x10, 0x80d2008c222f0606, 0xf00f5e,
		MODEL_QUIRK_QIE_STICKS | MODEL_QUIRK_CC_WIDENS |
			MODEL_QUIRK_CFI_IGNORED | MODEL_QUIRK_NO_IQERCD,
		48},
	{"bhyve-like", 0x10,
		(PLAIN_CAP & ~(SAGAW_MASK | MAMV_MASK)) | CAP_CM | 2ull << 8,
		0x1001, 0, 40},
	/* One point of difference each. */
	{"no-qi", 0x10, PLAIN_CAP,
		PLAIN_ECAP & ~(ECAP_QI | ECAP_DT | ECAP_IR | ECAP_EIM), 0, 46},
	{"no-psi", 0x10, PLAIN_CAP & ~(CAP_PSI | MAMV_MASK), PLAIN_ECAP, 0, 46},
	{"no-ir", 0x10, PLAIN_CAP, PLAIN_ECAP & ~(ECAP_IR | ECAP_EIM), 0, 46},
	{"no-eim", 0x10, PLAIN_CAP, PLAIN_ECAP & ~ECAP_EIM, 0, 46},
	{"no-ats", 0x10, PLAIN_CAP, PLAIN_ECAP & ~ECAP_DT, 0, 46},
	{"no-pt", 0x10, PLAIN_CAP, PLAIN_ECAP & ~ECAP_PT, 0, 46},
	{"no-snoop-control", 0x10, PLAIN_CAP, PLAIN_ECAP & ~ECAP_SC, 0, 46},
	{"non-coherent", 0x10, PLAIN_CAP, PLAIN_ECAP & ~ECAP_C, 0, 46},
	{"write-buffer", 0x10, PLAIN_CAP | CAP_RWBF, PLAIN_ECAP, 0, 46},
	{"worst-memory", 0x10, PLAIN_CAP | CAP_RWBF, PLAIN_ECAP & ~ECAP_C, 0,
		46},
	{"caching", 0x10, PLAIN_CAP | CAP_CM, PLAIN_ECAP, 0, 46},
	{"caching-non-coherent", 0x10, PLAIN_CAP | CAP_CM, PLAIN_ECAP & ~ECAP_C,
		0, 46},
	{"self-flushing", 0x50, PLAIN_CAP | CAP_ESRTPS | CAP_ESIRTPS,
		PLAIN_ECAP, 0, 46},
	{"no-register-flush", 0x60, PLAIN_CAP, PLAIN_ECAP, 0, 46},
	{"abort-dma", 0x50, PLAIN_CAP | CAP_ESRTPS | CAP_ESIRTPS,
		PLAIN_ECAP | ECAP_ADMS, 0, 46},
	{"x2apic-only", 0x50, PLAIN_CAP, PLAIN_ECAP | ECAP_EIMER | ECAP_IRREQ,
		0, 46},
	{"no-drain", 0x10, PLAIN_CAP & ~(CAP_DWD | CAP_DRD), PLAIN_ECAP, 0, 46},
	{"no-zlr", 0x10, PLAIN_CAP & ~CAP_ZLR, PLAIN_ECAP, 0, 46},
	{"small-pages", 0x10, PLAIN_CAP & ~(3ull << 34), PLAIN_ECAP, 0, 46},
	{"no-gigabyte", 0x10, PLAIN_CAP & ~(2ull << 34), PLAIN_ECAP, 0, 46},
	{"small-mask", 0x10, (PLAIN_CAP & ~MAMV_MASK) | 3ull << 48, PLAIN_ECAP,
		0, 46},
	{"16-domains", 0x10, PLAIN_CAP & ~7ull, PLAIN_ECAP, 0, 46},
	{"protected-regions", 0x10, PLAIN_CAP | CAP_PLMR | CAP_PHMR, PLAIN_ECAP,
		0, 46},
	{"39-bit", 0x10,
		(PLAIN_CAP & ~(SAGAW_MASK | MGAW_MASK)) | 2ull << 8 |
			38ull << 16,
		PLAIN_ECAP, 0, 39},
	{"48-bit", 0x10, (PLAIN_CAP & ~SAGAW_MASK) | 4ull << 8, PLAIN_ECAP, 0,
		46},
	{"57-bit", 0x10,
		(PLAIN_CAP & ~(SAGAW_MASK | MGAW_MASK)) | 14ull << 8 |
			56ull << 16,
		PLAIN_ECAP, 0, 52},
	{"one-record", 0x10, PLAIN_CAP & ~NFR_MASK, PLAIN_ECAP, 0, 46},
	{"256-records", 0x10,
		(PLAIN_CAP & ~FRO_MASK) | NFR_MASK | 0x100ull << 24,
		(PLAIN_ECAP & ~IRO_MASK) | 0x2f0ull << 8, 0, 46},
	{"far-registers", 0x10, (PLAIN_CAP & ~FRO_MASK) | 0x3f0ull << 24,
		(PLAIN_ECAP & ~IRO_MASK) | 0x2ffull << 8, 0, 46},
	{"first-stage-only", 0x60, PLAIN_CAP & ~(SAGAW_MASK | 3ull << 34),
		(PLAIN_ECAP & ~ECAP_PT) | ECAP_SMTS | ECAP_FSTS, 0, 46},
	{"interrupts-only", 0x10, PLAIN_CAP & ~SAGAW_MASK,
		PLAIN_ECAP & ~(ECAP_PT | ECAP_DT), 0, 46},
	{NULL, 0, 0, 0, 0, 0},
};

const struct model_personality *model_personality_find(const char *name)
{
	for (const struct model_personality *p = model_personalities; p->name;
		p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

const char *model_personality_check(const struct model_personality *kind)
{
	uint64_t c = kind->cap, e = kind->ecap;
	uint64_t fro = CAP_FRO(c), fend = fro + 16ull * CAP_NFR(c);
	uint64_t iro = ECAP_IRO(e);
	unsigned lp = CAP_SSLPS(c);

	if (CAP_ND(c) == 7)
		return "CAP.ND is reserved";
	if (!CAP_SAGAW(c) && !(e & ECAP_SMTS) && !(e & ECAP_IR))
		return "a unit without any address width";
	if (lp != 0 && lp != 1 && lp != 3)
		return "CAP.SSLPS is not 0, 1 or 3";
	if ((c & CAP_RWBF) && (e & ECAP_SMTS))
		return "RWBF with scalable mode";
	if (!(c & CAP_PSI) && CAP_MAMV(c))
		return "MAMV without PSI";
	if ((e & ECAP_IR) && !(e & ECAP_QI))
		return "IR without QI";
	if ((e & ECAP_EIM) && !(e & ECAP_IR))
		return "EIM without IR";
	if ((e & ECAP_DT) && !(e & ECAP_QI))
		return "DT without QI";
	if ((e & ECAP_SMTS) && !(e & ECAP_QI))
		return "SMTS without QI";
	if ((e & ECAP_FSTS) && !(e & ECAP_SMTS))
		return "FSTS without SMTS";
	if ((c & CAP_PI) && !(e & ECAP_IR))
		return "PI without IR";
	if (fro < 0xe0 || iro < 0xe0)
		return "registers overlap the fixed ones";
	if (iro < fend && iro + 16 > fro)
		return "fault records overlap the IOTLB registers";
	return NULL;
}

static uint64_t next(uint64_t *s)
{
	uint64_t z = (*s += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint64_t random_cap(uint64_t *s, unsigned *haw)
{
	static const uint8_t sagaws[] = {2, 4, 6, 8, 12, 14};
	static const uint8_t sslps[] = {0, 1, 3};
	unsigned sagaw = sagaws[next(s) % 6], top = 39;
	uint64_t cap = next(s) % 7;

	if (sagaw & 4)
		top = 48;
	if (sagaw & 8)
		top = 57;
	*haw = 36 + (unsigned)(next(s) % 17);
	if (*haw > top)
		*haw = top;
	cap |= (uint64_t)sagaw << 8;
	cap |= (uint64_t)(*haw + next(s) % (top - *haw + 1) - 1) << 16;
	cap |= (uint64_t)sslps[next(s) % 3] << 34;
	if (next(s) % 4)
		cap |= CAP_PSI | (next(s) % 19) << 48;
	cap |= next(s) & (CAP_ZLR | CAP_DWD | CAP_PLMR | CAP_PHMR);
	if (cap & CAP_DWD)
		cap |= CAP_DRD;
	if (next(s) % 4 == 0)
		cap |= CAP_CM;
	else if (next(s) % 4 == 0)
		cap |= CAP_RWBF;
	if (next(s) % 3 == 0)
		cap |= CAP_ESRTPS;
	if (next(s) % 3 == 0)
		cap |= CAP_ESIRTPS;
	return cap;
}

static uint64_t random_ecap(uint64_t *s, unsigned major)
{
	uint64_t ecap = next(s) & (ECAP_C | ECAP_PT | ECAP_SC);

	if (major >= 6 || next(s) % 4)
		ecap |= ECAP_QI | (next(s) & (ECAP_DT | ECAP_IR));
	if (ecap & ECAP_IR)
		ecap |= (next(s) & ECAP_EIM) | (next(s) % 16) << 20;
	return ecap;
}

struct model_personality model_personality_random(uint64_t seed)
{
	struct model_personality p = {.name = "random"};
	uint64_t s = seed;

	do {
		unsigned major = 1 + (unsigned)(next(&s) % 6), haw, nfr;

		p.version = major << 4;
		p.cap = random_cap(&s, &haw);
		p.ecap = random_ecap(&s, major);
		nfr = next(&s) % 4 ? (unsigned)(next(&s) % 16)
				   : (unsigned)(next(&s) % 256);
		p.cap |= (uint64_t)nfr << 40;
		p.cap |= (0x20 + next(&s) % 0x3c0) << 24;
		p.ecap |= (0x10 + next(&s) % 0x3d0) << 8;
		p.haw = (uint8_t)haw;
		p.quirks = (uint32_t)(next(&s) &
			(MODEL_QUIRK_QIE_STICKS | MODEL_QUIRK_CC_WIDENS |
				MODEL_QUIRK_NO_IQERCD));
	} while (model_personality_check(&p));
	return p;
}

/* The usual topology; see model_create_usual(). */
static const struct model_function_desc functions[] = {
	{.bdf = MODEL_BDF(0, 0x1f, 0),
		.kind = MODEL_CONVENTIONAL,
		.unit = -1,
		.class_code = 0x060100},
	{.bdf = MODEL_BDF(0, 1, 0), .kind = MODEL_INTEGRATED, .unit = -1},
	{.bdf = MODEL_BDF(0, 2, 0),
		.kind = MODEL_INTEGRATED,
		.unit = -1,
		.ats = true},
	{.bdf = MODEL_BDF(0, 3, 0), .kind = MODEL_INTEGRATED, .unit = -1},
	{.bdf = MODEL_BDF(0, 4, 0), .kind = MODEL_INTEGRATED, .unit = -1},
	{.bdf = MODEL_BDF(0, 0x1c, 0),
		.kind = MODEL_ROOT_PORT,
		.secondary = 1,
		.subordinate = 1,
		.unit = -1,
		.acs = true},
	{.bdf = MODEL_BDF(1, 0, 0), .kind = MODEL_ENDPOINT, .unit = -1},
	{.bdf = MODEL_BDF(0, 0x1d, 0),
		.kind = MODEL_PCIE_TO_PCI,
		.secondary = 2,
		.subordinate = 2,
		.unit = -1},
	{.bdf = MODEL_BDF(2, 0, 0), .kind = MODEL_CONVENTIONAL, .unit = -1},
	{.bdf = MODEL_BDF(2, 1, 0), .kind = MODEL_CONVENTIONAL, .unit = -1},
};

#define FUNCTIONS (sizeof functions / sizeof functions[0])

const struct model_function_desc *model_usual_functions(unsigned *out_count)
{
	*out_count = FUNCTIONS;
	return functions;
}

static struct model *create(const struct model_personality *kind[2],
	unsigned count, enum model_mode mode, unsigned flags, uint64_t seed,
	bool left_on)
{
	struct model_ioapic_desc ioapic = {.id = 2,
		.bdf = MODEL_BDF(0xf0, 0x1f, 0),
		.unit = (int)count - 1};
	struct model_function_desc f[FUNCTIONS];
	struct model_unit_desc unit[2];
	struct model_desc d = {.seed = seed,
		.mode = mode,
		.flags = flags,
		.units = unit,
		.unit_count = count,
		.functions = f,
		.function_count = FUNCTIONS,
		.ioapics = &ioapic,
		.ioapic_count = 1};

	memcpy(f, functions, sizeof f);
	for (unsigned i = 0; i < count; i++) {
		if (!kind[i])
			return NULL;
		unit[i] = (struct model_unit_desc){.kind = kind[i],
			.include_all = i == count - 1,
			.left_on = left_on};
	}
	for (unsigned i = 0; count > 1 && i < FUNCTIONS; i++)
		if (f[i].bdf == MODEL_BDF(0, 2, 0) ||
			f[i].bdf == MODEL_BDF(0, 3, 0) ||
			f[i].bdf == MODEL_BDF(0, 0x1c, 0) || f[i].bdf >> 8 == 1)
			f[i].unit = 0;
	return model_create(&d);
}

struct model *model_create_usual(const struct model_personality *kind,
	enum model_mode mode, unsigned flags, uint64_t seed, bool left_on)
{
	const struct model_personality *kinds[2] = {kind, NULL};

	return create(kinds, 1, mode, flags, seed, left_on);
}

struct model *model_create_pair(const struct model_personality *first,
	const struct model_personality *second, enum model_mode mode,
	unsigned flags, uint64_t seed, bool left_on)
{
	const struct model_personality *kinds[2] = {first, second};

	return create(kinds, 2, mode, flags, seed, left_on);
}

struct model *model_create_simple(
	const char *kind, enum model_mode mode, uint64_t seed)
{
	return model_create_usual(
		model_personality_find(kind), mode, 0, seed, false);
}
