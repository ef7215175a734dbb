/* SPDX-License-Identifier: MIT */
/*
 * A configuration space made by hand, for everything that the model's machines
 * do not have: odd capabilities, virtual functions, deep bridges.
 */
#ifndef TESTS_UNIT_BOARD_H
#define TESTS_UNIT_BOARD_H

#include "rig.h"
#include "table.h"

/** Types of PCIe ports, as in the capability; BOARD_PCI has none. */
enum board_type {
	BOARD_PCI = -1,
	BOARD_ENDPOINT = 0,
	BOARD_ROOT_PORT = 4,
	BOARD_UPSTREAM = 5,
	BOARD_DOWNSTREAM = 6,
	BOARD_PCIE_TO_PCI = 7,
	BOARD_PCI_TO_PCIE = 8,
	BOARD_INTEGRATED = 9,
};

/** Where things stand in the spaces that board_add() makes. */
enum {
	BOARD_PCIE = 0x40,
	BOARD_EXTENDED = 0x100,
};

/** Empties the board. */
void board_start(void);
/** Makes the board one of a host bridge, and the table one that names nothing
 *  yet. */
void board_begin(struct builder *table);
/** Finishes the table, and opens the rig on a machine that has the board's
 *  functions then, and whose firmware says what the table says. */
void board_open_machine(struct rig *r, struct model *m, struct builder *table);
/** The same on a lazy machine of one unit of this kind. */
void board_open(struct rig *r, const char *kind, struct builder *table);
/** The same, started. */
void board_run(struct rig *r, const char *kind, struct builder *table);
/** Makes the library read and write the board instead of the machine. */
void board_install(struct rig *r);
/** Adds a function and returns its 4096 bytes. */
uint8_t *board_add(uint16_t bdf, enum board_type type);
/** The same for a bridge to buses [first, last]. */
uint8_t *board_bridge(
	uint16_t bdf, enum board_type type, uint8_t first, uint8_t last);
/** The function's space, NULL if there is none. */
uint8_t *board_space(uint16_t bdf);
/** Says that the device has several functions. */
void board_multi(uint16_t bdf);
/** Appends an extended capability with so many bytes; returns where. */
unsigned board_extended(uint16_t bdf, unsigned id, unsigned size);
/** Access control services with these capabilities. */
unsigned board_acs(uint16_t bdf, unsigned has);
void board_put(uint16_t bdf, unsigned at, unsigned width, uint32_t value);
uint32_t board_get(uint16_t bdf, unsigned at, unsigned width);
/** How many reads there were since board_start(). */
unsigned board_reads(void);

#endif
