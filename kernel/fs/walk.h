/* SPDX-License-Identifier: MIT */
/* Inside fs/: where a walk along a path starts. */
#ifndef FS_WALK_H
#define FS_WALK_H

#include "fs/fs.h"

/* Of the current process, counted; kernel threads have the root. */
void walk_cwd(struct place *out);
void walk_root(struct place *out);

#endif
