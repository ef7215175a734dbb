/* SPDX-License-Identifier: MIT */
/* Files to be mapped: of pages, and of device registers. */
#ifndef TEST_FILES_H
#define TEST_FILES_H

#include "fs/file.h"

/* Page n is filled with the byte `fill` + n. NULL: out of memory. */
struct file *file_of_pages(unsigned npages, uint8_t fill, uint32_t flags);
uint8_t *file_page(struct file *f, unsigned n); /* contents of page n */

/* Registers at a physical address outside of RAM. */
struct file *file_of_registers(struct device_range range);

extern unsigned files_open; /* files that are not released yet */

#endif
