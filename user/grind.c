/* SPDX-License-Identifier: MIT */
/*
 * grind [-s SEED] [-r ROUNDS] [-w WORKERS]: random system calls with random
 * arguments, by several processes at once. Whatever becomes of them, the kernel
 * must live. Left out is only what would end or disturb everybody by right:
 * reboot, mount, signals to others.
 *
 * Not for a machine one needs: it writes and deletes below /tmp/grind.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "stress.h"

#define FOLDER "/tmp/grind"
#define CALLS_PER_WORKER 400
#define HIGHEST_CALL 450

static const long never[] = {SYS_reboot, SYS_mount, SYS_umount2, SYS_kill,
	SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
	SYS_ptrace, SYS_pause, SYS_chroot, SYS_pivot_root, SYS_swapon,
	SYS_init_module, SYS_delete_module, SYS_iopl, SYS_ioperm,
	SYS_kexec_load, SYS_setrlimit, SYS_settimeofday, SYS_clock_settime,
	SYS_vhangup, SYS_sethostname, SYS_acct, SYS_setuid, SYS_setgid,
	SYS_process_vm_writev, SYS_pidfd_send_signal, SYS_fork, SYS_vfork,
	SYS_clone, 435 /* clone3 */};

static const char *const paths[] = {"a", "b", "c", "d/a", "d/b", "d", ".", "..",
	"", "/dev/null", "/dev/zero", "/proc/self/stat", "/proc/self/maps",
	"/proc/meminfo", "/proc/self/exe", "/bin/true", "/none", "a/b",
	"/sys/iommu", "/sys/iommu/info", "/sys/iommu/mappings", "/sys/pci"};

static int is_forbidden(long nr)
{
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (never[i] == nr)
			return 1;
	return 0;
}

/* Mostly plausible, so that calls get past their first check. */
static long argument(char *memory)
{
	uint64_t r = random64();

	switch (r >> 60) {
	case 0:
		return 0;
	case 1:
	case 2:
		return (long)(r % 12); /* a descriptor, a small number */
	case 3:
	case 4:
	case 5:
		return (long)paths[r % (sizeof(paths) / sizeof(paths[0]))];
	case 6:
	case 7:
	case 8:
		return (long)memory + (long)(r % 8 * 512);
	case 9:
		return (long)memory + 4096 - (long)(r % 16);
	case 10:
		return (long)(r % 8192);
	case 11:
		return 1l << (r % 64);
	case 12:
		return -(long)(r % 200);
	case 13:
		return (long)(0xffffffff80000000 + r % (1 << 24));
	case 14:
		return (long)(0xffff800000000000 + r % (1 << 24));
	default:
		return (long)r;
	}
}

static void fill(char *memory)
{
	for (size_t i = 0; i < 4096; i += 8)
		*(uint64_t *)(memory + i) = random64() >> (random64() % 64);
}

static void make_descriptors(void)
{
	int null = open("/dev/null", O_RDWR), fds[2];

	for (int i = 0; i < 3; i++)
		dup2(null, i);
	if (pipe2(fds, O_NONBLOCK) < 0)
		return;
	open("a", O_RDWR | O_CREAT | O_NONBLOCK, 0644);
	open(".", O_RDONLY);
	open("/dev/zero", O_RDWR);
	open("/sys/iommu/mappings", O_RDONLY);
}

static void work(void)
{
	char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || chdir(FOLDER) < 0)
		_exit(1);
	make_descriptors();
	alarm(2); /* some calls wait for what never comes */
	for (int i = 0; i < CALLS_PER_WORKER; i++) {
		long nr = (long)(random64() % HIGHEST_CALL);

		if (is_forbidden(nr))
			continue;
		if (nr == SYS_alarm || nr == SYS_setitimer ||
			nr == SYS_rt_sigprocmask || nr == SYS_rt_sigaction ||
			nr == SYS_exit || nr == SYS_exit_group)
			if (random64() % 8)
				continue;
		fill(memory);
		syscall(nr, argument(memory), argument(memory),
			argument(memory), argument(memory), argument(memory),
			argument(memory));
		if (i % 16 == 0 && random64() % 8 == 0 && fork() == 0)
			alarm(1);
	}
	_exit(0);
}

/* The worker and whatever it started go together. */
static void end_group(pid_t worker)
{
	struct timespec tick = {.tv_nsec = 10000000};
	int status;

	for (int i = 0; i < 300; i++) {
		if (waitpid(worker, &status, WNOHANG) == worker) {
			kill(-worker, SIGKILL);
			return;
		}
		nanosleep(&tick, NULL);
	}
	kill(-worker, SIGKILL);
	kill(worker, SIGKILL);
	waitpid(worker, &status, 0);
}

int main(int argc, char **argv)
{
	int c, rounds = 50, workers = 4;

	seed = (uint64_t)time(NULL) * 2654435761u | 1;
	while ((c = getopt(argc, argv, "s:r:w:")) != -1) {
		if (c == 's')
			seed = strtoull(optarg, NULL, 0) | 1;
		else if (c == 'r')
			rounds = atoi(optarg);
		else if (c == 'w')
			workers = atoi(optarg);
		else
			return 2;
	}
	if (workers < 1 || workers > 64)
		return 2;
	printf("grind: seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	mkdir(FOLDER, 0777);
	mkdir(FOLDER "/d", 0777);
	for (int round = 0; round < rounds; round++) {
		pid_t pids[64];

		for (int i = 0; i < workers; i++) {
			random64();
			pids[i] = fork();
			if (pids[i] == 0) {
				setpgid(0, 0);
				work();
			}
		}
		for (int i = 0; i < workers; i++)
			if (pids[i] > 0)
				end_group(pids[i]);
	}
	printf("grind: %d rounds, and the kernel lives\n", rounds);
	return 0;
}
