/* SPDX-License-Identifier: MIT */
/* "#proc": files about the machine, in the formats that ps, top, free, uptime
 * and the C libraries read. */
#include "dev/proc.h"
#include "boot/boot_info.h"
#include "cpu/cpu.h"
#include "cpu/time.h"
#include "fs/fs.h"
#include "kexec/kexec.h"
#include "lib/errno.h"
#include "lib/print.h"
#include "lib/string.h"
#include "linux/system.h"
#include "mem/mem.h"
#include "proc/process.h"
#include "proc/sched.h"

/* --- memory --------------------------------------------------------------- */

static int meminfo(struct node *n, struct text *t)
{
	struct memory_counts m = memory_counts();
	uint64_t used, available;
	const uint64_t kib = PAGE_SIZE / 1024;

	(void)n;
	ramfs_usage(&used, &available);
	text_printf(t,
		"MemTotal:       %8llu kB\n"
		"MemFree:        %8llu kB\n"
		"MemAvailable:   %8llu kB\n"
		"Buffers:        %8u kB\n"
		"Cached:         %8llu kB\n"
		"SwapCached:     %8u kB\n"
		"SwapTotal:      %8u kB\n"
		"SwapFree:       %8u kB\n"
		"Shmem:          %8llu kB\n"
		"Quarantined:    %8llu kB\n",
		(unsigned long long)(m.total * kib),
		(unsigned long long)(m.free * kib),
		(unsigned long long)(m.free * kib), 0,
		(unsigned long long)(used * kib), 0, 0, 0,
		(unsigned long long)(used * kib),
		(unsigned long long)(m.quarantined * kib));
	return 0;
}

/* --- processors ----------------------------------------------------------- */

static unsigned long long ticks(uint64_t ns)
{
	return ns / TICK_NS;
}

static void cpu_line(struct text *t, const char *name, struct cpu_times c)
{
	text_printf(t, "%s %llu 0 %llu %llu 0 0 0 0 0 0\n", name,
		ticks(c.user_ns), ticks(c.system_ns), ticks(c.idle_ns));
}

static int stat(struct node *n, struct text *t)
{
	struct cpu_times sum = {0, 0, 0};

	(void)n;
	for (unsigned i = 0; i < cpu_count; i++) {
		struct cpu_times c = sched_cpu_times(i);

		sum.user_ns += c.user_ns;
		sum.system_ns += c.system_ns;
		sum.idle_ns += c.idle_ns;
	}
	cpu_line(t, "cpu ", sum);
	for (unsigned i = 0; i < cpu_count; i++) {
		char name[16];

		ksnprintf(name, sizeof(name), "cpu%u", i);
		cpu_line(t, name, sched_cpu_times(i));
	}
	text_printf(t,
		"btime %llu\n"
		"procs_running %u\n"
		"procs_blocked 0\n",
		(unsigned long long)((time_wall_ns() - time_ns()) / NS_PER_S),
		sched_runnable());
	return 0;
}

static void cpuid(uint32_t leaf, uint32_t out[4])
{
	__asm__ volatile(
		"cpuid"
		: "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
		: "a"(leaf), "c"(0));
}

static void cpu_names(char vendor[13], char model[49])
{
	uint32_t r[4];

	cpuid(0, r);
	memcpy(vendor, &r[1], 4);
	memcpy(vendor + 4, &r[3], 4);
	memcpy(vendor + 8, &r[2], 4);
	vendor[12] = '\0';
	strlcpy(model, vendor, 13);
	cpuid(0x80000000, r);
	if (r[0] < 0x80000004)
		return;
	for (uint32_t i = 0; i < 3; i++) {
		cpuid(0x80000002 + i, r);
		memcpy(model + 16 * i, r, 16);
	}
	model[48] = '\0';
}

static int cpuinfo(struct node *n, struct text *t)
{
	char vendor[13], model[49];
	uint32_t r[4];

	(void)n;
	cpu_names(vendor, model);
	cpuid(1, r);
	for (unsigned i = 0; i < cpu_count; i++)
		text_printf(t,
			"processor\t: %u\n"
			"vendor_id\t: %s\n"
			"cpu family\t: %u\n"
			"model\t\t: %u\n"
			"model name\t: %s\n"
			"stepping\t: %u\n"
			"apicid\t\t: %u\n"
			"address sizes\t: %u bits physical\n\n",
			i, vendor,
			(r[0] >> 8 & 15) +
				((r[0] >> 8 & 15) == 15 ? r[0] >> 20 & 255 : 0),
			(r[0] >> 4 & 15) | (r[0] >> 12 & 0xf0), model,
			r[0] & 15, cpus[i]->apic_id, cpu_features.phys_bits);
	return 0;
}

/* --- time and load -------------------------------------------------------- */

static int uptime(struct node *n, struct text *t)
{
	uint64_t now = time_ns(), idle = 0;

	(void)n;
	for (unsigned i = 0; i < cpu_count; i++)
		idle += sched_cpu_times(i).idle_ns;
	text_printf(t, "%llu.%02llu %llu.%02llu\n",
		(unsigned long long)(now / NS_PER_S),
		(unsigned long long)(now % NS_PER_S / TICK_NS),
		(unsigned long long)(idle / NS_PER_S),
		(unsigned long long)(idle % NS_PER_S / TICK_NS));
	return 0;
}

/* Nobody keeps averages: all three are the load of this moment. */
static int loadavg(struct node *n, struct text *t)
{
	unsigned running = sched_runnable(), count = 0;
	uint32_t load[3];
	int last = 0;

	(void)n;
	for (;;) {
		struct process *p = process_next(last);

		if (!p)
			break;
		last = p->pid;
		count++;
		process_put(p);
	}
	sched_load(load);
	for (int i = 0; i < 3; i++)
		text_printf(t, "%u.%02u ", load[i] >> LOAD_SHIFT,
			(load[i] % (1u << LOAD_SHIFT)) * 100 >> LOAD_SHIFT);
	text_printf(t, "%u/%u %d\n", running, count, last);
	return 0;
}

/* --- names ---------------------------------------------------------------- */

static int version(struct node *n, struct text *t)
{
	struct system_names s;

	(void)n;
	system_names_get(&s);
	text_printf(t, "%s version %s %s\n", s.system, s.release, s.version);
	return 0;
}

static int cmdline(struct node *n, struct text *t)
{
	(void)n;
	text_printf(t, "%s\n", boot_info.cmdline);
	return 0;
}

static int filesystems(struct node *n, struct text *t)
{
	static const char *const types[] = {
		"tmpfs", "ramfs", "cons", "proc", "pci", "iommu", "dmar"};

	(void)n;
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
		text_printf(t, "nodev\t%s\n", types[i]);
	return 0;
}

static int mounts(struct node *n, struct text *t)
{
	(void)n;
	fs_mounts_text(t);
	return 0;
}

/* --- sys/kernel ----------------------------------------------------------- */

static int hostname(struct node *n, struct text *t)
{
	struct system_names s;

	(void)n;
	system_names_get(&s);
	text_printf(t, "%s\n", s.node);
	return 0;
}

static int osrelease(struct node *n, struct text *t)
{
	struct system_names s;

	(void)n;
	system_names_get(&s);
	text_printf(t, "%s\n", s.release);
	return 0;
}

static int ostype(struct node *n, struct text *t)
{
	(void)n;
	text_printf(t, "Linux\n");
	return 0;
}

static int pid_max(struct node *n, struct text *t)
{
	(void)n;
	text_printf(t, "32768\n");
	return 0;
}

static const char *const device_choices[] = {[ASSIGN_STOP] = "stop",
	[ASSIGN_KEEP] = "keep",
	[ASSIGN_LEAVE] = "leave"};

static int kexec_devices_text(struct node *n, struct text *t)
{
	(void)n;
	text_printf(t, "%s\n", device_choices[kexec_devices]);
	return 0;
}

static int kexec_devices_command(struct node *file, const char *line, size_t n)
{
	(void)file;
	n -= n && line[n - 1] == '\n';
	for (unsigned i = 0; i < ARRAY_SIZE(device_choices); i++)
		if (strlen(device_choices[i]) == n &&
			!memcmp(device_choices[i], line, n)) {
			kexec_devices = i;
			return 0;
		}
	return -EINVAL;
}

/* --- tables --------------------------------------------------------------- */

static bool from_table(
	const struct proc_entry *table, unsigned n, struct node *out)
{
	while (n && table->name) {
		table++;
		n--;
	}
	if (!table->name)
		return false;
	proc_describe(out, table, 0);
	return true;
}

#define TEXT_OPS(name) static const struct node_ops name##_ops = {.text = name}

static const struct node_ops kexec_devices_ops = {
	.text = kexec_devices_text, .command = kexec_devices_command};
TEXT_OPS(hostname);
TEXT_OPS(osrelease);
TEXT_OPS(ostype);
TEXT_OPS(pid_max);

static bool kernel_child(struct node *dir, unsigned n, struct node *out)
{
	static const struct proc_entry entries[] = {
		{"hostname", S_IFREG | 0444, &hostname_ops},
		{"kexec_devices", S_IFREG | 0644, &kexec_devices_ops},
		{"osrelease", S_IFREG | 0444, &osrelease_ops},
		{"ostype", S_IFREG | 0444, &ostype_ops},
		{"pid_max", S_IFREG | 0444, &pid_max_ops},
		{NULL, 0, NULL},
	};

	(void)dir;
	return from_table(entries, n, out);
}

static const struct node_ops kernel_ops = {.child = kernel_child};

static bool sys_child(struct node *dir, unsigned n, struct node *out)
{
	static const struct proc_entry entries[] = {
		{"kernel", S_IFDIR | 0555, &kernel_ops},
		{NULL, 0, NULL},
	};

	(void)dir;
	return from_table(entries, n, out);
}

static const struct node_ops sys_ops = {.child = sys_child};

TEXT_OPS(cmdline);
TEXT_OPS(cpuinfo);
TEXT_OPS(filesystems);
TEXT_OPS(loadavg);
TEXT_OPS(meminfo);
TEXT_OPS(mounts);
TEXT_OPS(stat);
TEXT_OPS(uptime);
TEXT_OPS(version);

/* Linux' emergency keys, as far as they are of use: 'c' is a crash. */
static int sysrq_command(struct node *file, const char *line, size_t n)
{
	(void)file;
	if (!n || line[0] != 'c')
		return -EINVAL;
	panic("a crash was asked for");
}

static const struct node_ops sysrq_ops = {.command = sysrq_command};

const struct proc_entry proc_system_entries[] = {
	{"cmdline", S_IFREG | 0444, &cmdline_ops},
	{"cpuinfo", S_IFREG | 0444, &cpuinfo_ops},
	{"filesystems", S_IFREG | 0444, &filesystems_ops},
	{"loadavg", S_IFREG | 0444, &loadavg_ops},
	{"meminfo", S_IFREG | 0444, &meminfo_ops},
	{"mounts", S_IFREG | 0444, &mounts_ops},
	{"stat", S_IFREG | 0444, &stat_ops},
	{"sys", S_IFDIR | 0555, &sys_ops},
	{"sysrq-trigger", S_IFREG | 0200, &sysrq_ops},
	{"uptime", S_IFREG | 0444, &uptime_ops},
	{"version", S_IFREG | 0444, &version_ops},
	{NULL, 0, NULL},
};
