/* SPDX-License-Identifier: MIT */
/*
 * Builds an ACPI DMAR table, sound or damaged, a byte at a time.
 */
#ifndef TESTS_UNIT_TABLE_H
#define TESTS_UNIT_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include "iommu/vtd/dmar.h"

/** Where model_create_simple() has its unit. */
#define TABLE_UNIT 0xfed90000ull

struct builder {
	uint8_t bytes[4096];
	size_t size;
	size_t record;
};

/** A header, host address width 46. */
void table_start(struct builder *b);
/** Sets length and checksum. */
void table_finish(struct builder *b);
/** Bytes of a number, the lowest first. */
void table_put(struct builder *b, unsigned width, uint64_t value);
/** Begins a structure; table_close() ends it and sets its length. */
void table_record(struct builder *b, unsigned type);
void table_close(struct builder *b);
/** Begins a unit of segment 2. */
void table_unit(struct builder *b, unsigned flags, uint64_t base);
/** Begins a unit, or reserved memory, of any segment. */
void table_unit_of(
	struct builder *b, unsigned flags, unsigned segment, uint64_t base);
/** The unit of model_create_simple(), for all of segment 0. */
void table_unit_for_all(struct builder *b);
void table_reserved(
	struct builder *b, unsigned segment, uint64_t first, uint64_t last);
/** A scope with hops that lead down from dev `hops`, function 0. */
void table_scope(struct builder *b, unsigned type, unsigned id, unsigned bus,
	unsigned hops);
/** A scope that names one device by its path: dev, fn, dev, fn ... */
void table_path(struct builder *b, unsigned type, unsigned id, unsigned bus,
	unsigned hops, const uint8_t *path);
/** A scope that names one endpoint on a bus that firmware knows. */
void table_endpoint(struct builder *b, uint16_t bdf);

#endif
