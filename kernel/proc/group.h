/* SPDX-License-Identifier: MIT */
/* Process groups and sessions, as the calls of these names have them; pid 0 is
 * the running process. Results or -errno. */
#ifndef PROC_GROUP_H
#define PROC_GROUP_H

int process_group(int pid);
int process_session(int pid);
int process_set_group(int pid, int pgid);
int process_new_session(void);

#endif
