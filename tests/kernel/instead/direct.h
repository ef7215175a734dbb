/* SPDX-License-Identifier: MIT */
/* Read before every source: where RAM is mapped in this process. */
#ifndef TEST_DIRECT_H
#define TEST_DIRECT_H

extern unsigned long long machine_direct_base;
#define DIRECT_BASE machine_direct_base

#endif
