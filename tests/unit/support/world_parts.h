/* SPDX-License-Identifier: MIT */
/*
 * What the files of a random world share. Each operation returns false, with
 * w->wrong set, if what it saw is not what the abstract state says.
 */
#ifndef TESTS_UNIT_WORLD_PARTS_H
#define TESTS_UNIT_WORLD_PARTS_H

#include "world.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

/** I/O addresses of the slots. */
extern const uint64_t world_places[WORLD_SLOTS];

/* world.c */
bool wrong(struct world *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
bool ok(struct world *w, const char *what, enum iommu_status s);
/** Another number out of an operation's word. */
uint64_t world_mix(uint64_t word);
/** Now and then the next allocations of the library fail. */
void world_starve(struct world *w, uint64_t r);
/** Ends that. True if the status is one that the call may then answer:
 *  *out_done says whether it did its work. */
bool world_fed(
	struct world *w, const char *what, enum iommu_status s, bool *out_done);

/* world_space.c */
bool space_open(struct world *w, unsigned i);
/** Its process dies: devices are taken away, everything is given back. */
bool space_end(struct world *w, unsigned i);
bool edit(struct world *w, uint64_t word);
bool edit_block(struct world *w, uint64_t word);
bool unlink_table(struct world *w, uint64_t word);
bool die(struct world *w, uint64_t word);
bool fork_space(struct world *w, uint64_t word);

/* world_device.c */
bool attach_or_detach(struct world *w, uint64_t word);
bool detach(struct world *w, struct world_device *d);
bool remove_device(struct world *w, uint64_t word);
bool ats_enabled(struct world *w, const struct world_device *d);
/** One request, checked. n counts the slots, then the pages of the block. */
bool dma(struct world *w, struct world_device *d, unsigned n, bool write,
	bool post);
bool some_dma(struct world *w, uint64_t word);
/** All devices of a space read one of its places. */
bool probe(struct world *w, const struct world_space *s, unsigned n);
/** What the library says of a device. */
bool check_device(struct world *w, const struct world_device *d);
bool interrupt_edit(struct world *w, uint64_t word);
bool interrupt_send(struct world *w, uint64_t word);

#endif
