/* SPDX-License-Identifier: MIT */
/*
 * A CBDMA (IOAT) copy engine on the model: registers to read and write, and a
 * channel whose every access goes through the unit that covers its requester
 * id. For drivers of such engines, ours and others.
 *
 * What follows is what several public drivers expect of the hardware; no public
 * document describes all of it.
 */
#ifndef MODEL_CBDMA_H
#define MODEL_CBDMA_H

#include <stdbool.h>
#include <stdint.h>

struct model;
struct model_cbdma;

/** Engine version 3.3 with one channel, at this requester id. NULL: no memory.
 */
struct model_cbdma *model_cbdma_create(
	struct model *m, uint16_t segment, uint16_t bdf);
void model_cbdma_destroy(struct model_cbdma *e);

/** BAR 0. width is 1, 2, 4 or 8; what is not there reads as 0. */
uint64_t model_cbdma_read(
	struct model_cbdma *e, unsigned offset, unsigned width);
void model_cbdma_write(
	struct model_cbdma *e, unsigned offset, unsigned width, uint64_t value);

/** Where the channel's interrupt goes (its MSI-X entry); address 0: nowhere. */
void model_cbdma_message(
	struct model_cbdma *e, uint64_t address, uint32_t data);

/** From now on the channel does nothing: no descriptor, no reset. */
void model_cbdma_hang(struct model_cbdma *e, bool hangs);

#endif
