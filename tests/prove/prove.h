/* SPDX-License-Identifier: MIT */
/*
 * For programs that are analysed, not run: where hostile input comes from.
 */
#ifndef PROVE_H
#define PROVE_H

/* The kernel has its own. */
#define __FC_DEFINE_SSIZE_T
#include <stddef.h>
#include <stdint.h>
#include <__fc_builtin.h>

/** Any bytes at all. */
#define HOSTILE(object) Frama_C_make_unknown((char *)&(object), sizeof(object))

#endif
