/* SPDX-License-Identifier: MIT */
/*
 * The ACPI DMAR table (VT-d chapter 8) as bytes: a reader that is total, so
 * that any bytes at all may be given to it.
 */
#ifndef VTD_DMAR_H
#define VTD_DMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dmar_type {
	DMAR_DRHD = 0,
	DMAR_RMRR = 1,
	DMAR_ATSR = 2,
	DMAR_RHSA = 3,
	DMAR_ANDD = 4,
	DMAR_SATC = 5,
	DMAR_SIDP = 6,
	DMAR_TYPES
};

enum dmar_scope_type {
	DMAR_SCOPE_ENDPOINT = 1,
	DMAR_SCOPE_BRIDGE = 2,
	DMAR_SCOPE_IOAPIC = 3,
	DMAR_SCOPE_HPET = 4,
	DMAR_SCOPE_ACPI = 5,
};

enum {
	DMAR_HEADER = 48,
	/** 8.1 flags */
	DMAR_INTR_REMAP = 1,
	DMAR_X2APIC_OPT_OUT = 2,
	DMAR_DMA_OPT_IN = 4,
	/** DRHD, ATSR and SATC flags */
	DMAR_INCLUDE_ALL = 1,
	DMAR_ALL_PORTS = 1,
	DMAR_SATC_REQUIRED = 1,
	/** Scope flags in SIDP */
	DMAR_NO_SNOOP_CONTROL = 1 << 2,
	DMAR_ATC_HARDENED = 1 << 3,
	DMAR_ATC_REQUIRED = 1 << 4,
};

/** A table whose header was found sound. */
struct dmar_table {
	const uint8_t *bytes;
	size_t size;    /* of header and structures, within what is readable */
	unsigned width; /* host address width */
	uint8_t flags;
};

/** One remapping structure, all fields that any type has. */
struct dmar_record {
	unsigned type;
	size_t at; /* offset in the table */
	const uint8_t *bytes;
	size_t size;
	uint8_t flags;
	uint16_t segment;
	uint64_t base;        /* DRHD and RHSA: registers; RMRR: first byte */
	uint64_t limit;       /* RMRR: last byte */
	uint32_t proximity;   /* RHSA */
	unsigned size_pages;  /* DRHD: log2 of the register set's 4 KiB pages */
	unsigned acpi_device; /* ANDD */
	const char *name;     /* ANDD: not terminated */
	size_t name_size;
	size_t scopes; /* where the scopes start in the bytes */
};

struct dmar_scope {
	const uint8_t *bytes;
	unsigned type;
	uint8_t flags;
	uint8_t id;
	uint8_t bus;
	unsigned hops;       /* at least 1 */
	const uint8_t *path; /* hops pairs of device and function */
};

/** Called with each oddity found, a sentence without a full stop. at is the
 *  offset in the table. */
typedef void dmar_warn(void *arg, size_t at, const char *what);

/** Checks the header. Says why it is not a DMAR table that can be used; NULL if
 *  it is one. */
const char *dmar_open(struct dmar_table *table, const void *bytes, size_t size);

/**
 * Reads the structure at *at (0: the first) and moves *at behind it. False at
 * the end, or where the table stops making sense. Structures of unknown type or
 * with impossible fields are returned too; dmar_record_flaw() judges them.
 */
bool dmar_next(
	const struct dmar_table *table, size_t *at, struct dmar_record *out);

/** What makes a structure useless, or NULL if it is sound. */
const char *dmar_record_flaw(const struct dmar_record *record);

/** Reads the scope at *at (0: the first) of a structure. */
bool dmar_scope_next(
	const struct dmar_record *record, size_t *at, struct dmar_scope *out);

/** Reports everything that is odd. */
void dmar_check(const struct dmar_table *table, dmar_warn *warn, void *arg);

#endif
