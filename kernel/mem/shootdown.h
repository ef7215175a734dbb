/* SPDX-License-Identifier: MIT */
/* CPU TLB shootdown with acknowledgement. */
#ifndef MEM_SHOOTDOWN_H
#define MEM_SHOOTDOWN_H

void shootdown_init(void); /* boot */

/* The handler of IPI_SHOOTDOWN (interrupts off). */
void shootdown_interrupt(void);

#endif
