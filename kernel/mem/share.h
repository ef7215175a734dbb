/* SPDX-License-Identifier: MIT */
/* Sharing a space's tables with devices: the interface between mem/ and
 * assign/. */
#ifndef MEM_SHARE_H
#define MEM_SHARE_H

#include "lib/types.h"

struct space;

/* From now on the space is resident: everything that the process may use is
 * mapped and no longer copy-on-write, and stays so. `write_back`: a unit walks
 * memory without snooping. `huge`: all units take 2 MiB pages; -ENOTSUP if not
 * and the space has some. -ENOMEM: not enough memory; space_unshare() undoes
 * what was done. May be called again for each further device. */
MUST_CHECK int space_share(struct space *s, bool write_back, bool huge);

/* No device walks these tables any more. */
void space_unshare(struct space *s);

bool space_is_shared(const struct space *s);

/* The hardware did not confirm that it forgot this space: from now on none of
 * its frames and tables is ever used again. */
void space_quarantine(struct space *s);

/* Physical address of the table for a unit of 3, 4 or 5 levels. */
uint64_t space_root(struct space *s, unsigned levels);

/* The I/O address space that goes with it; set before the first device can
 * walk, cleared by space_unshare(). */
void space_set_domain(struct space *s, void *domain);
void *space_domain(const struct space *s);

#endif
