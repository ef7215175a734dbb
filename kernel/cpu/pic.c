/* SPDX-License-Identifier: MIT */
/* The two 8259s, which are not used. */
#include "cpu/io.h"
#include "cpu/local.h"

/*
 * Initialised, because spurious interrupts come in spite of the mask, and after
 * reset their vectors are those of exceptions; then masked. This comes before
 * the local APIC is told to ignore them: a request that is pending there would
 * stay, without a vector to go with it.
 */
void pic_mask(void)
{
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, 0x20);
	outb(0xa1, 0x28);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}
