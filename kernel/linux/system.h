/* SPDX-License-Identifier: MIT */
/* The names of uname(2), as the ABI lays them out. */
#ifndef LINUX_SYSTEM_H
#define LINUX_SYSTEM_H

#define SYSTEM_NAME_SIZE 65

struct system_names {
	char system[SYSTEM_NAME_SIZE], node[SYSTEM_NAME_SIZE],
		release[SYSTEM_NAME_SIZE], version[SYSTEM_NAME_SIZE],
		machine[SYSTEM_NAME_SIZE], domain[SYSTEM_NAME_SIZE];
};

void system_names_get(struct system_names *out);

#endif
