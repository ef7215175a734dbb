/* SPDX-License-Identifier: MIT */
/*
 * The system calls, by the names of the Linux x86-64 ABI. Each is a thin
 * wrapper: it takes its arguments from arg[0..5], copies what they point at,
 * calls the room where the logic lives, and returns the result or -errno.
 * They run with interrupts on and no lock held.
 *
 *   file.c     names, descriptors, reading and writing        (with fs/)
 *   poll.c     poll and select; epoll.c: epoll and eventfd
 *   mem.c      mmap and its relatives                         (with mem/)
 *   process.c  fork, exec, exit, wait, process numbers        (with proc/)
 *   signal.c   dispositions, masks, sending
 *   thread.c   registers, names, futexes
 *   identity.c users and groups: root only
 *   limits.c   limits, usage, affinity, priority
 *   time.c     clocks, sleeping, timers
 *   kexec.c    the next kernel                            (with kexec/)
 *   system.c   uname, sysinfo, reboot, mount …
 *   table.c    number -> function, ENOSYS logged once a program
 */
#ifndef LINUX_CALLS_H
#define LINUX_CALLS_H

#define SYSCALL(name) long sys_##name(const unsigned long *arg)

#endif
