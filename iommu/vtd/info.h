/* SPDX-License-Identifier: MIT */
/*
 * The lines about capabilities that reports and the decoder share.
 */
#ifndef VTD_INFO_H
#define VTD_INFO_H

#include "../internal.h"

/** Those whose wording and order are fixed. */
void vtd_info_capabilities(uint64_t cap, struct text *text);
void vtd_info_extended_capabilities(uint64_t ecap, struct text *text);
/** What was added since. */
void vtd_info_more_capabilities(uint64_t cap, struct text *text);

#endif
