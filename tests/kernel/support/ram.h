/* SPDX-License-Identifier: MIT */
/* Memory of the process that plays a machine's RAM. */
#ifndef TEST_RAM_H
#define TEST_RAM_H

#include <stdint.h>

/* Fresh memory at an address, or anywhere (0). Does not return without. */
void *ram_map(uint64_t at, uint64_t size);

#endif
