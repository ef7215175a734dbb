/* SPDX-License-Identifier: MIT */
/*
 * libiommu's host hooks on a model machine, for tests of the library. Only
 * this header and its source know the library; the model does not.
 */
#ifndef MODEL_HOST_H
#define MODEL_HOST_H

#include <iommu/host.h>
#include <model/model.h>

/** Vector of unit n's own interrupt. */
#define MODEL_HOST_VECTOR 0x40u

struct model_host {
	struct model *m;
	/** Register windows mapped and not unmapped. */
	unsigned maps;
	/** Locks held by all threads together; 0 between calls. */
	int locks_held;
	/** While set, an allocation is a violation: the library promises not
	 *  to allocate on this path. */
	bool forbid_alloc;
	/** Pairs of locks that were held at once, the first taken first. */
	struct {
		const void *first, *then;
	} order[64];
	unsigned orders;
	/** Fail regs_map. */
	bool forbid_map;
	/** Print the library's log to stderr. */
	bool verbose;
	/** Lines logged per level, and the last line. */
	unsigned logged[4];
	char last_line[256];
	/** Bit n: unit n's interrupt arrived; the test calls the library's
	 *  interrupt entry and clears it. */
	uint32_t unit_interrupts;
	/** Messages from devices that reached a CPU, and the last one. */
	unsigned device_interrupts;
	struct model_interrupt last_interrupt;
	/** relax() calls; and one to make at each of them, if not NULL. */
	uint64_t relaxed;
	void (*on_relax)(struct model_host *h);
	/** Deadline check: the longest wait that relax() was told of. */
	uint64_t longest_wait;
};

/** Fills the hooks and takes the machine's interrupt callback. *h must
 *  outlive the library's instance. */
void model_host_init(
	struct model_host *h, struct model *m, struct iommu_host *out);

/**
 * After the library's instance is gone: blames pages, register mappings and
 * locks that are left. Returns how many kinds were.
 */
unsigned model_host_check_leaks(struct model_host *h);

#endif
