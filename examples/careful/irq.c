/* SPDX-License-Identifier: MIT */
/*
 * The careful driver: interrupt remapping entries, one for one source.
 */
#include "unit.h"

enum {
	ENTRIES = 256
};

static uint64_t low_word(struct careful_unit *u, uint8_t vector, uint8_t apic)
{
	unsigned shift = ECAP_EIMER(u) ? 32 : 40;

	return PRESENT | (uint64_t)vector << 16 | (uint64_t)apic << shift;
}

/* The word with P goes last when an entry begins, and is the only one that a
 * change touches: the unit never sees half of either. */
static int store_word(
	struct careful_unit *u, int index, unsigned word, uint64_t value)
{
	uint64_t at = u->entries + (unsigned)index * 16 + word * 8;

	__atomic_store_n((uint64_t *)os_memory(at), value, __ATOMIC_RELEASE);
	write_back(u, at, 8);
	if (word)
		return 0;
	flush_irqs(u, index);
	return flush_wait(u);
}

static bool in_use(struct careful_unit *u, int index)
{
	return *(uint64_t *)os_memory(u->entries + (unsigned)index * 16) &
		PRESENT;
}

int careful_irq(
	struct careful_unit *u, uint16_t source, uint8_t vector, uint8_t apic)
{
	int index = 0;

	os_lock();
	while (u->remaps && index < ENTRIES && in_use(u, index))
		index++;
	if (!u->remaps || index == ENTRIES ||
		store_word(u, index, 1, source | 1ull << 18) ||
		store_word(u, index, 0, low_word(u, vector, apic)))
		index = -1;
	os_unlock();
	return index;
}

int careful_irq_move(
	struct careful_unit *u, int index, uint8_t vector, uint8_t apic)
{
	int result;

	os_lock();
	result = store_word(u, index, 0, low_word(u, vector, apic));
	os_unlock();
	return result;
}

int careful_irq_free(struct careful_unit *u, int index)
{
	int result;

	os_lock();
	result = store_word(u, index, 0, 0);
	os_unlock();
	return result;
}

uint64_t careful_irq_address(int index)
{
	return 0xfee00010 | (uint64_t)(index & 0x7fff) << 5 |
		(uint64_t)(index >> 15 & 1) << 2;
}
