/* SPDX-License-Identifier: MIT */
/* See dice.h. */
#include "support/dice.h"

uint64_t dice_state;

uint32_t any(uint32_t below)
{
	dice_state =
		dice_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(dice_state >> 33) % below;
}
