/* SPDX-License-Identifier: MIT */
/* The chance of random tests: all of it comes from one number. */
#ifndef TEST_DICE_H
#define TEST_DICE_H

#include <stdint.h>

extern uint64_t dice_state;

/* 0 ... below - 1 */
uint32_t any(uint32_t below);

#endif
