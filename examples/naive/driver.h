/* SPDX-License-Identifier: MIT */
/*
 * A deliberately naive VT-d driver. It works on an emulator and on many
 * machines, most of the time. Do not copy from it: docs/model.md explains
 * each of its mistakes.
 */
#ifndef EXAMPLES_NAIVE_DRIVER_H
#define EXAMPLES_NAIVE_DRIVER_H

#include <stdint.h>

/* All that the driver needs to know about its surroundings. */
struct naive_host {
	void *ctx;
	uint32_t (*read32)(void *ctx, uint64_t phys);
	uint64_t (*read64)(void *ctx, uint64_t phys);
	void (*write32)(void *ctx, uint64_t phys, uint32_t value);
	void (*write64)(void *ctx, uint64_t phys, uint64_t value);
	uint64_t (*page_alloc)(void *ctx); /* physical address, zeroed */
	void (*page_free)(void *ctx, uint64_t phys);
	void *(*ptr)(void *ctx, uint64_t phys);
};

struct naive {
	struct naive_host host;
	uint64_t regs;
	uint64_t root;
};

void naive_start(struct naive *n, uint64_t regs);
/* The process id is the domain id, as it is so handy. */
uint64_t naive_attach(struct naive *n, uint16_t bdf, int pid);
void naive_detach(struct naive *n, uint16_t bdf, uint64_t table, int pid);
void naive_map(struct naive *n, uint64_t table, uint64_t iova, uint64_t phys);
void naive_unmap(struct naive *n, uint64_t table, int pid, uint64_t iova,
	unsigned pages);

#endif
