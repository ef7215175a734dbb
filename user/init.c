/* SPDX-License-Identifier: MIT */
/*
 * The first process. It lays out the name space, starts the shell on the
 * console (or runs /etc/script), buries orphans, and powers the machine off
 * when the shell has ended.
 *
 * Two idle processes get the pids 22 and 26, so that the first session a reader
 * types has somebody to give devices to.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCRIPT "/etc/script"
#define EXIT_STATUS "/dev/exit-status"

static const char *const binds[][2] = {
	{"#cons", "/dev"},
	{"#proc", "/proc"},
	{"#pci", "/sys/pci"},
	{"#dmar", "/sys/dmar"},
	{"#iommu", "/sys/iommu"},
};

static const int idle_pids[] = {22, 26};

static void complain(const char *what, const char *name)
{
	dprintf(2, "init: %s %s: %s\n", what, name, strerror(errno));
}

static void make_name_space(void)
{
	for (size_t i = 0; i < sizeof(binds) / sizeof(binds[0]); i++)
		if (mount(binds[i][0], binds[i][1], NULL, MS_BIND, NULL) < 0)
			complain("bind", binds[i][0]);
}

static void open_console(int flags)
{
	int fd = open("/dev/console", O_RDWR | flags);

	if (fd < 0) {
		complain("open", "/dev/console");
		return;
	}
	for (int i = 0; i < 3; i++)
		if (fd != i)
			dup2(fd, i);
	if (fd > 2)
		close(fd);
}

static void set_environment(void)
{
	char name[64] = "iommu";
	int fd = open("/etc/hostname", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		ssize_t n = read(fd, name, sizeof(name) - 1);

		name[n > 0 ? n : 0] = '\0';
		name[strcspn(name, "\n")] = '\0';
		close(fd);
	}
	sethostname(name, strlen(name));

	clearenv();
	setenv("PATH", "/bin", 1);
	setenv("HOME", "/root", 1);
	setenv("TERM", "linux", 1);
	setenv("USER", "root", 1);
	setenv("SHELL", "/bin/bash", 1);
	setenv("HOSTNAME", name, 1);
	chdir("/root");
}

static void idle(void)
{
	prctl(PR_SET_NAME, "idle");
	for (;;)
		pause();
}

/* Pids count upwards, so processes that end at once use up the ones between. */
static void start_idle(int wanted)
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0) {
			if (getpid() == wanted)
				idle();
			_exit(0);
		}
		if (pid < 0 || pid > wanted) {
			dprintf(2, "init: pid %d is not to be had\n", wanted);
			if (pid > 0)
				waitpid(pid, NULL, 0);
			return;
		}
		if (pid == wanted)
			return;
		waitpid(pid, NULL, 0);
	}
}

static pid_t start_shell(int with_script)
{
	char *interactive[] = {"bash", NULL};
	char *script[] = {"bash", SCRIPT, NULL};
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	setsid();
	open_console(0);
	ioctl(0, TIOCSCTTY, 0);
	execv("/bin/bash", with_script ? script : interactive);
	complain("exec", "/bin/bash");
	_exit(127);
}

/* Waits for the shell, and for every orphan that ends meanwhile. */
static int wait_for(pid_t shell)
{
	int status = 0;

	for (;;) {
		pid_t pid = wait(&status);

		if (pid == shell)
			return WIFEXITED(status) ? WEXITSTATUS(status)
						 : 128 + WTERMSIG(status);
		if (pid < 0 && errno != EINTR) {
			complain("wait for", "the shell");
			return 127;
		}
	}
}

static void report(int status)
{
	int fd = open(EXIT_STATUS, O_WRONLY | O_CLOEXEC);

	/* On a line of its own, whatever a program has written there. */
	if (fd < 0 || dprintf(fd, "\n%d\n", status) < 0)
		complain("write", EXIT_STATUS);
	if (fd >= 0)
		close(fd);
}

int main(void)
{
	int with_script;

	make_name_space();
	open_console(O_NOCTTY); /* it is to be the shell's */
	set_environment();
	for (size_t i = 0; i < sizeof(idle_pids) / sizeof(idle_pids[0]); i++)
		start_idle(idle_pids[i]);

	with_script = access(SCRIPT, F_OK) == 0;
	pid_t shell = start_shell(with_script);
	int status = shell < 0 ? 127 : wait_for(shell);

	if (with_script)
		report(status);
	sync();
	reboot(RB_POWER_OFF);
	complain("power", "off");
	for (;;)
		pause();
}
