/* SPDX-License-Identifier: MIT */
/* The machine as a whole: its name, memory, power, mounts, randomness. */
#include "cpu/cpu.h"
#include "cpu/time.h"
#include "fs/file.h"
#include "fs/fs.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/random.h"
#include "lib/string.h"
#include "kexec/kexec.h"
#include "linux/calls.h"
#include "linux/copy.h"
#include "linux/system.h"
#include "mem/mem.h"
#include "mem/user.h"
#include "proc/process.h"
#include "proc/sched.h"
#include "proc/signal.h"

/* --- names ------------------------------------------------------------- */

/* The release tells the C libraries which calls they may expect. */
static struct system_names system_names = {
	.system = "Linux",
	.node = "iommu",
	.release = "6.1.0-iommu",
	.version = "#1 SMP PREEMPT",
	.machine = "x86_64",
	.domain = "(none)",
};
static struct spinlock names_lock = SPINLOCK_INIT;

void system_names_get(struct system_names *out)
{
	spin_lock(&names_lock);
	*out = system_names;
	spin_unlock(&names_lock);
}

SYSCALL(uname)
{
	struct system_names names;

	system_names_get(&names);
	return copy_to_user(arg[0], &names, sizeof(names));
}

static long set_name(char *name, uintptr_t user, uint64_t n)
{
	char copy[SYSTEM_NAME_SIZE] = {0};

	if (n >= sizeof(copy))
		return -EINVAL;
	if (copy_from_user(copy, user, n))
		return -EFAULT;
	spin_lock(&names_lock);
	memcpy(name, copy, sizeof(copy));
	spin_unlock(&names_lock);
	return 0;
}

SYSCALL(sethostname)
{
	return set_name(system_names.node, arg[0], arg[1]);
}

#define PER_QUERY 0xffffffffu

SYSCALL(personality)
{
	uint32_t wanted = (uint32_t)arg[0];

	return wanted == 0 || wanted == PER_QUERY ? 0 : -EINVAL;
}

/* --- state ------------------------------------------------------------- */

struct sysinfo64 {
	int64_t uptime;
	uint64_t loads[3]; /* in 1/65536 */
	uint64_t total_ram, free_ram, shared_ram, buffer_ram;
	uint64_t total_swap, free_swap;
	uint16_t processes, pad;
	uint64_t total_high, free_high;
	uint32_t unit;
};

_Static_assert(sizeof(struct sysinfo64) == 112, "");

static uint16_t count_processes(void)
{
	uint16_t n = 0;
	int pid = 0;

	for (;;) {
		struct process *p = process_next(pid);

		if (!p)
			return n;
		pid = p->pid;
		process_put(p);
		n++;
	}
}

SYSCALL(sysinfo)
{
	struct memory_counts m = memory_counts();
	struct sysinfo64 s = {
		.uptime = time_ns() / NS_PER_S,
		.total_ram = m.total * PAGE_SIZE,
		.free_ram = m.free * PAGE_SIZE,
		.processes = count_processes(),
		.unit = 1,
	};
	uint32_t load[3];

	sched_load(load);
	for (int i = 0; i < 3; i++)
		s.loads[i] = load[i];
	return copy_to_user(arg[0], &s, sizeof(s));
}

#define SYSLOG_SIZE_BUFFER 10

/* The log goes to the console at once; nothing is kept to be read. */
SYSCALL(syslog)
{
	(void)arg;
	return 0;
}

/* There are no sockets, so no descriptor is one; bash asks whether a network
 * daemon started it. */
static long not_a_socket(unsigned long fd)
{
	struct file *f = fd_file((int)fd);

	if (!f)
		return -EBADF;
	file_put(f);
	return -ENOTSOCK;
}

SYSCALL(getsockname)
{
	return not_a_socket(arg[0]);
}

SYSCALL(getpeername)
{
	return not_a_socket(arg[0]);
}

SYSCALL(sync)
{
	(void)arg;
	return 0;
}

#define GRND_KNOWN 7

SYSCALL(getrandom)
{
	uint64_t left = MIN(arg[1], (uint64_t)INT32_MAX), done = 0;
	uint8_t buffer[256];

	if (arg[2] & ~(unsigned long)GRND_KNOWN)
		return -EINVAL;
	while (done < left) {
		size_t n = MIN(left - done, sizeof(buffer));

		random_bytes(buffer, n);
		if (copy_to_user(arg[0] + done, buffer, n))
			return done ? (long)done : -EFAULT;
		done += n;
		if (signal_waiting())
			break;
	}
	return done;
}

/* --- power ------------------------------------------------------------- */

#define REBOOT_MAGIC1 0xfee1deadu
#define REBOOT_RESTART 0x01234567u
#define REBOOT_HALT 0xcdef0123u
#define REBOOT_CAD_ON 0x89abcdefu
#define REBOOT_CAD_OFF 0u
#define REBOOT_POWER_OFF 0x4321fedcu
#define REBOOT_KEXEC 0x45584543u

static bool reboot_magic(const unsigned long *arg)
{
	uint32_t second = (uint32_t)arg[1];

	return (uint32_t)arg[0] == REBOOT_MAGIC1 &&
		(second == 672274793 || second == 85072278 ||
			second == 369367448 || second == 537993216);
}

SYSCALL(reboot)
{
	if (!reboot_magic(arg))
		return -EINVAL;
	switch ((uint32_t)arg[2]) {
	case REBOOT_CAD_ON:
	case REBOOT_CAD_OFF:
		return 0;
	case REBOOT_RESTART:
		kprintf("Restarting.\n");
		machine_restart();
	case REBOOT_HALT:
	case REBOOT_POWER_OFF:
		kprintf("Powering off.\n");
		machine_power_off();
	case REBOOT_KEXEC:
		return kexec_go();
	default:
		return -EINVAL;
	}
}

/* --- mounts ------------------------------------------------------------ */

/* A path, or NULL for a null pointer. */
static long copy_optional(uintptr_t user, char **out)
{
	*out = NULL;
	return user ? copy_path(user, out) : 0;
}

SYSCALL(mount)
{
	char *source = NULL, *target = NULL, *type = NULL;
	long err = copy_optional(arg[0], &source);

	if (!err)
		err = copy_path(arg[1], &target);
	if (!err)
		err = copy_optional(arg[2], &type);
	if (!err)
		err = fs_mount(source, target, type, arg[3]);
	kfree(source);
	kfree(target);
	kfree(type);
	return err;
}

SYSCALL(umount2)
{
	char *target;
	long err = copy_path(arg[0], &target);

	if (err)
		return err;
	err = fs_umount(target, (int)arg[1]);
	kfree(target);
	return err;
}

/* --- memory locking: nothing is ever paged out ------------------------- */

SYSCALL(mlock)
{
	(void)arg;
	return 0;
}

SYSCALL(munlock)
{
	(void)arg;
	return 0;
}

SYSCALL(mlockall)
{
	(void)arg;
	return 0;
}

SYSCALL(munlockall)
{
	(void)arg;
	return 0;
}
