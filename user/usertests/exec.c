/* SPDX-License-Identifier: MIT */
/* Programs that are none: what exec must refuse, or survive. */
#include "usertests.h"

#include <elf.h>

static char *own_image(size_t *out_size)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	struct stat s;
	char *image;

	CHECK(fd >= 0 && fstat(fd, &s) == 0);
	image = malloc((size_t)s.st_size);
	for (off_t n = 0; n < s.st_size;) {
		ssize_t r = read(fd, image + n, (size_t)(s.st_size - n));

		CHECK(r > 0);
		n += r;
	}
	close(fd);
	*out_size = (size_t)s.st_size;
	return image;
}

static const char *write_program(const char *image, size_t size)
{
	static char name[64];
	int fd;

	snprintf(name, sizeof(name), "/tmp/exec.%d", getpid());
	unlink(name);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	CHECK(fd >= 0 && write(fd, image, size) == (ssize_t)size);
	close(fd);
	return name;
}

static void run_it(void *name)
{
	/* "-h" is no option of this program: if it runs at all, it ends. */
	char *argv[] = {name, "-h", NULL}, *envp[] = {NULL};

	alarm(2);
	execve(name, argv, envp);
	_exit(errno == ENOEXEC ? 100 : errno == ENOMEM ? 101 : 102);
}

static int outcome(const char *image, size_t size)
{
	const char *name = write_program(image, size);
	int status = in_child(run_it, (void *)name);

	unlink(name);
	return status;
}

static int refused(int status)
{
	return WIFSIGNALED(status) ||
		(WIFEXITED(status) && WEXITSTATUS(status) >= 100);
}

static void a_good_image_runs(void)
{
	size_t size;
	char *image = own_image(&size);
	int status = outcome(image, size);

	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 2);
}

static void short_images(void)
{
	size_t size;
	char *image = own_image(&size);
	static const size_t sizes[] = {0, 1, 4, 16, 63, 64, 65, 100, 200, 1000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		CHECK(refused(outcome(image, sizes[i])) || sizes[i] == 0);
}

/* One field of a good header set to something absurd. */
static void absurd_headers(void)
{
	static const uint64_t absurd[] = {0, 1, UINT64_MAX, 1ull << 63,
		0x7ffffffff000, 0x800000000000, 0xffffffff80000000,
		0xfffffffffffff000, 1ull << 40, 4095};
	size_t size;
	char *image = own_image(&size), *copy = malloc(size);

	for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++)
		for (int field = 0; field < 9; field++) {
			Elf64_Ehdr *e = (Elf64_Ehdr *)copy;
			Elf64_Phdr *p;

			memcpy(copy, image, size);
			p = (Elf64_Phdr *)(copy + e->e_phoff);
			switch (field) {
			case 0:
				e->e_entry = absurd[i];
				break;
			case 1:
				e->e_phoff = absurd[i];
				break;
			case 2:
				e->e_phnum = (Elf64_Half)absurd[i];
				break;
			case 3:
				e->e_phentsize = (Elf64_Half)absurd[i];
				break;
			case 4:
				p->p_vaddr = absurd[i];
				break;
			case 5:
				p->p_memsz = absurd[i];
				break;
			case 6:
				p->p_filesz = absurd[i];
				break;
			case 7:
				p->p_offset = absurd[i];
				break;
			case 8:
				p[1].p_vaddr = absurd[i];
				break;
			}
			outcome(copy, size);
		}
}

static void mutated_images(void)
{
	size_t size;
	char *image = own_image(&size), *copy = malloc(size);

	for (int i = 0; i < 60; i++) {
		memcpy(copy, image, size);
		for (int n = 0; n < 6; n++)
			copy[random64() % 600] = (char)random64();
		outcome(copy, size);
	}
}

static void scripts(void)
{
	static const char loop[] = "#!/tmp/loop-script\n";
	char *argv[] = {"x", NULL}, *envp[] = {NULL};
	int fd = open("/tmp/loop-script", O_WRONLY | O_CREAT, 0755);
	int status;

	CHECK(write(fd, loop, sizeof(loop) - 1) > 0);
	close(fd);
	CHECK(execve("/tmp/loop-script", argv, envp) < 0);
	CHECK(errno == ELOOP || errno == ENOEXEC);
	unlink("/tmp/loop-script");
	status = outcome("#!/bin/sh\nexit 44\n", 18);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 44);
	CHECK(refused(outcome("#!\n", 3)));
	CHECK(refused(outcome("#!/none/there\n", 14)));
}

static void arguments_out_of_reach(void)
{
	char *program = "/bin/true";
	char **argv = (char **)(pages_before_hole(1) + PAGE) - 2;
	char *end = pages_before_hole(1) + PAGE - 1, *envp[] = {NULL};

	argv[0] = argv[1] = program; /* no end before the hole */
	CHECK(execve(program, argv, envp) < 0 && errno == EFAULT);
	*end = 'x';
	argv[0] = end;
	argv[1] = NULL;
	CHECK(execve(program, argv, envp) < 0 && errno == EFAULT);
	argv[0] = (char *)0xffffffff80000000;
	CHECK(execve(program, argv, envp) < 0 && errno == EFAULT);
	CHECK(execve(program, (char **)0xffff800000000000, envp) < 0 &&
		errno == EFAULT);
	CHECK(call(SYS_execve, (long)program, 1, (long)envp, 0, 0, 0) ==
		-EFAULT);
}

static void too_many_arguments(void)
{
	enum {
		N = 300000
	};
	char **argv = malloc((N + 1) * sizeof(*argv)), *envp[] = {NULL};
	char *big = malloc(4 << 20);

	for (int i = 0; i < N; i++)
		argv[i] = "an argument, one of very many of them";
	argv[N] = NULL;
	CHECK(execve("/bin/true", argv, envp) < 0 && errno == E2BIG);
	memset(big, 'x', (4 << 20) - 1);
	big[(4 << 20) - 1] = '\0';
	argv[0] = big;
	argv[1] = NULL;
	CHECK(execve("/bin/true", argv, envp) < 0 && errno == E2BIG);
}

static void what_is_no_program(void)
{
	char *argv[] = {"x", NULL}, *envp[] = {NULL};

	CHECK(execve("/", argv, envp) < 0 && errno == EACCES);
	CHECK(execve("/none", argv, envp) < 0 && errno == ENOENT);
	CHECK(execve("/etc/passwd", argv, envp) < 0 &&
		(errno == EACCES || errno == ENOEXEC));
	CHECK(execve("/dev/null", argv, envp) < 0);
}

const struct test exec_tests[] = {
	{"a_good_image_runs", a_good_image_runs, 0},
	{"short_images", short_images, 0},
	{"absurd_headers", absurd_headers, 0},
	{"mutated_images", mutated_images, 0},
	{"scripts", scripts, 0},
	{"arguments_out_of_reach", arguments_out_of_reach, 0},
	{"too_many_arguments", too_many_arguments, 0},
	{"what_is_no_program", what_is_no_program, 0},
	{0},
};
