/* SPDX-License-Identifier: MIT */
/*
 * The two numbers that turn the machine off stand in AML: Name (\_S5, Package
 * {a, b, ...}). Compilers write that in one form only, so it is found without
 * an interpreter (ACPI 6.5, 20.2): NameOp, the name, PackageOp, its length in
 * one to four bytes, the number of elements, then integers.
 */
#include "acpi/acpi.h"
#include "acpi/local.h"
#include "lib/string.h"

#define NAME_OP 0x08
#define PACKAGE_OP 0x12
#define ZERO_OP 0x00
#define ONE_OP 0x01
#define BYTE_PREFIX 0x0a

/* A small integer at *at. */
static bool read_integer(
	const uint8_t *aml, uint32_t len, uint32_t *at, uint8_t *out)
{
	if (*at >= len)
		return false;
	if (aml[*at] == ZERO_OP || aml[*at] == ONE_OP) {
		*out = aml[(*at)++];
		return true;
	}
	if (aml[*at] != BYTE_PREFIX || len - *at < 2)
		return false;
	*out = aml[*at + 1];
	*at += 2;
	return true;
}

static bool read_package(const uint8_t *aml, uint32_t len, uint32_t at)
{
	struct acpi_machine *m = &acpi_machine;
	uint8_t a, b;

	if (len - at < 3 || aml[at] != PACKAGE_OP)
		return false;
	at++;
	at += 1 + (aml[at] >> 6); /* package length */
	if (at >= len || aml[at] < 2)
		return false;
	at++;
	if (!read_integer(aml, len, &at, &a) ||
		!read_integer(aml, len, &at, &b) || a > 7 || b > 7)
		return false;
	m->s5_type_a = a;
	m->s5_type_b = b;
	m->s5_known = true;
	return true;
}

void acpi_find_s5(const uint8_t *aml, uint32_t len)
{
	for (uint32_t at = 2; len >= 6 && at <= len - 4; at++) {
		if (aml[at] != '_' || memcmp(aml + at, "_S5_", 4))
			continue;
		if (aml[at - 1] != NAME_OP &&
			!(aml[at - 1] == '\\' && aml[at - 2] == NAME_OP))
			continue;
		if (read_package(aml, len, at + 4))
			return;
	}
}
