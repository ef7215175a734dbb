/* SPDX-License-Identifier: MIT */
/* Devices in spaces without assign/: the calls that the memory code makes to
 * it end here, at the simulated units. */
#ifndef TEST_DEVICES_H
#define TEST_DEVICES_H

#include "support/walker.h"

/* As assign/ does it. 0 or -errno; on an error the space is as before. */
int device_attach(struct device *d, struct space *s);
void device_detach(struct device *d);

/* From now on the units do not confirm a flush (and forget nothing). */
extern bool units_fail;

/* Flushes that units have seen, and the union of what they were told. */
extern unsigned units_flushes, units_what;

/* All attached devices look at everything. */
void devices_prefetch(void);

#endif
