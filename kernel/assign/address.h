/* SPDX-License-Identifier: MIT */
/* What people write into control files. Pure functions of the text: no state,
 * every input has a defined answer. */
#ifndef ASSIGN_ADDRESS_H
#define ASSIGN_ADDRESS_H

#include "lib/types.h"

struct pci_address {
	uint16_t segment;
	uint8_t bus, devfn;
};

/* "0:3.0", "0:3:0", "0000:00:03.0" (hexadecimal), advancing *text behind it.
 * False: not an address; *text is unchanged. */
bool parse_pci_address(const char **text, struct pci_address *out);

/* A line "ADDRESS [PID]\n". *out_pid is 0 if there is none. On failure
 * returns a sentence that says what is wrong, else NULL. */
const char *parse_assignment(
	const char *line, struct pci_address *out, int *out_pid);

/* "on", "off", "enable", "disable" with or without newline: 1, 0, or -1. */
int parse_switch(const char *line);

#endif
