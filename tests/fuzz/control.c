/* SPDX-License-Identifier: MIT */
/* A line written to a control file, any bytes: the parsers end, stay inside it,
 * and what they accept is what can be said of a device. */
#include <stdlib.h>
#include <string.h>
#include "kernel/assign/address.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* As the control files hand it over: with an end. */
	char *line = malloc(size + 1);
	const char *at = line, *wrong;
	struct pci_address address;
	int pid = -1, on;

	if (!line)
		abort();
	memcpy(line, data, size);
	line[size] = '\0';
	wrong = parse_assignment(line, &address, &pid);
	if (wrong ? strlen(wrong) < 10 : pid < 0 || pid > 999999999)
		abort();
	if (parse_pci_address(&at, &address) &&
		(at <= line || at > line + size))
		abort();
	on = parse_switch(line);
	if (on < -1 || on > 1)
		abort();
	free(line);
	return 0;
}
