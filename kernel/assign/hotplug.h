/* SPDX-License-Identifier: MIT */
#ifndef ASSIGN_HOTPLUG_H
#define ASSIGN_HOTPLUG_H

/* Watch the slots, if there are any, from now on. After assign_init(). */
void hotplug_init(void);

#endif
