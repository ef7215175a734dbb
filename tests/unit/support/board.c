/* SPDX-License-Identifier: MIT */
/*
 * A configuration space made by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "board.h"

enum {
	FUNCTIONS = 64,
	SIZE = 4096,
};

static struct {
	uint16_t bdf;
	unsigned extended; /* where the last extended capability stands */
	unsigned end;      /* behind it */
	uint8_t space[SIZE];
} board[FUNCTIONS];
static unsigned count, reads;

void board_start(void)
{
	memset(board, 0, sizeof(board));
	count = reads = 0;
}

static unsigned find(uint16_t bdf)
{
	unsigned n = 0;

	while (n < count && board[n].bdf != bdf)
		n++;
	return n;
}

uint8_t *board_space(uint16_t bdf)
{
	unsigned n = find(bdf);

	return n < count ? board[n].space : NULL;
}

uint32_t board_get(uint16_t bdf, unsigned at, unsigned width)
{
	const uint8_t *space = board_space(bdf);
	uint32_t value = ~0u;

	if (space)
		memcpy(&value, space + at, width);
	return width == 4 ? value : value & ((1u << 8 * width) - 1);
}

void board_put(uint16_t bdf, unsigned at, unsigned width, uint32_t value)
{
	uint8_t *space = board_space(bdf);

	if (space)
		memcpy(space + at, &value, width);
}

uint8_t *board_add(uint16_t bdf, enum board_type type)
{
	assert_true(count < FUNCTIONS);
	board[count++].bdf = bdf;
	board_put(bdf, 0, 4, 0x12341af4);
	if (type != BOARD_PCI) {
		board_put(bdf, 6, 2, 0x10);
		board_put(bdf, 0x34, 1, BOARD_PCIE);
		board_put(bdf, BOARD_PCIE, 1, 0x10);
		board_put(bdf, BOARD_PCIE + 2, 2, (uint32_t)type << 4 | 2);
	}
	return board_space(bdf);
}

uint8_t *board_bridge(
	uint16_t bdf, enum board_type type, uint8_t first, uint8_t last)
{
	uint8_t *space = board_add(bdf, type);

	space[0xe] |= 1;
	space[0x18] = (uint8_t)(bdf >> 8);
	space[0x19] = first;
	space[0x1a] = last;
	return space;
}

void board_multi(uint16_t bdf)
{
	board_space(bdf)[0xe] |= 0x80;
}

unsigned board_extended(uint16_t bdf, unsigned id, unsigned size)
{
	unsigned n = find(bdf),
		 at = board[n].end ? board[n].end : BOARD_EXTENDED;

	if (board[n].end)
		board_put(bdf, board[n].extended, 4,
			board_get(bdf, board[n].extended, 4) | at << 20);
	board_put(bdf, at, 4, id | 1 << 16);
	board[n].extended = at;
	board[n].end = at + ((size + 3) & ~3u);
	return at;
}

unsigned board_acs(uint16_t bdf, unsigned has)
{
	unsigned at = board_extended(bdf, 0xd, 8);

	board_put(bdf, at + 4, 2, has);
	return at;
}

unsigned board_reads(void)
{
	return reads;
}

static uint32_t pci_read(void *ctx, uint16_t segment, uint8_t bus,
	uint8_t devfn, uint16_t offset, unsigned width)
{
	(void)ctx;
	reads++;
	assert_true(offset + width <= SIZE && offset % width == 0);
	return board_get(
		segment ? 0xffff : (uint16_t)(bus << 8 | devfn), offset, width);
}

static void pci_write(void *ctx, uint16_t segment, uint8_t bus, uint8_t devfn,
	uint16_t offset, unsigned width, uint32_t value)
{
	(void)ctx;
	(void)segment;
	assert_true(offset + width <= SIZE && offset % width == 0);
	board_put((uint16_t)(bus << 8 | devfn), offset, width, value);
}

void board_install(struct rig *r)
{
	r->hooks.pci_read = pci_read;
	r->hooks.pci_write = pci_write;
}

void board_begin(struct builder *table)
{
	board_start();
	board_add(0, BOARD_PCI);
	table_start(table);
}

void board_open_machine(struct rig *r, struct model *m, struct builder *table)
{
	table_finish(table);
	rig_open_machine(r, m);
	board_install(r);
	memcpy(r->dmar, table->bytes, table->size);
	r->dmar_size = table->size;
}

void board_open(struct rig *r, const char *kind, struct builder *table)
{
	board_open_machine(r, model_create_simple(kind, MODEL_LAZY, 1), table);
}

void board_run(struct rig *r, const char *kind, struct builder *table)
{
	board_open(r, kind, table);
	rig_start_ok(r);
}
