/* SPDX-License-Identifier: MIT */
/* Between the files of this room. */
#ifndef ACPI_LOCAL_H
#define ACPI_LOCAL_H

#include "lib/types.h"

/* Fields lie unaligned in tables; the caller has checked that they are in. */
static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static inline uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

#define TABLE_HEADER_SIZE 36

/* A table mapped and checked, or NULL. */
const uint8_t *acpi_map_table(uint64_t addr, uint32_t *out_len);

void acpi_read_madt(void);
void acpi_read_mcfg(void);
void acpi_read_fadt(void);
void acpi_read_hpet(void);

/* The values of the \_S5 package, found without an interpreter. */
void acpi_find_s5(const uint8_t *aml, uint32_t len);

#endif
