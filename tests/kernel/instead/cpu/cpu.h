/* SPDX-License-Identifier: MIT */
/* Around kernel/cpu/cpu.h: there is no GS register of ours here; the simulated
 * machine knows which of its CPUs runs. */
#ifndef TEST_CPU_CPU_H
#define TEST_CPU_CPU_H

#define this_cpu cpu_of_gs
#include_next "cpu/cpu.h"
#undef this_cpu

struct cpu *this_cpu(void);

#endif
