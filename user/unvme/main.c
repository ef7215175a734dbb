/* SPDX-License-Identifier: MIT */
/*
 * unvme [OPTIONS] BUS:DEVICE.FUNCTION COMMAND: an NVMe disk driven by this
 * process. Any buffer will do: what malloc() gives is what the disk is told.
 */
#define _GNU_SOURCE
#include <getopt.h>

#include "unvme.h"

#define PIECE (4u * 1024 * 1024)

static void usage(void)
{
	fprintf(stderr,
		"usage: unvme [OPTIONS] BUS:DEVICE.FUNCTION COMMAND\n"
		"  identify                    what the disk is\n"
		"  read BLOCK COUNT [FILE]     to a file or the output\n"
		"  write BLOCK COUNT [FILE]    from a file or the input\n"
		"  verify BLOCK COUNT [SEED]   write a pattern, read it back\n"
		"  flush\n"
		"  bench                       how fast it is\n"
		"options:\n"
		"  -i        wait for interrupts instead of polling\n"
		"  -q N      queues, 1 to 16 (default 1)\n"
		"  -d N      requests in flight in each (default 32)\n"
		"bench:\n"
		"  -b BYTES  of one request (default 4096)\n"
		"  -t N      seconds (default 5)\n"
		"  -w        write (what was there is lost)\n"
		"  -s        one block after the other instead of anywhere\n");
	exit(2);
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "unvme: %s: %s\n", what, strerror(-error));
	return 1;
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	if (end == text || *end)
		usage();
	return value;
}

/* ---------------------------------------------------------------- commands */

static int identify(struct nvme *n)
{
	printf("model %s\nserial %s\nfirmware %s\n", n->model, n->serial,
		n->firmware);
	printf("%llu blocks of %u bytes, transfers of up to %zu bytes\n",
		(unsigned long long)n->blocks, n->block_size, n->max_transfer);
	printf("%u queues of up to %u entries\n", n->queue_limit,
		n->max_entries);
	return 0;
}

/* A full read() or write() of a file, whatever pieces it takes. */
static int move(int fd, char *buffer, size_t size, int in)
{
	for (size_t done = 0; done < size;) {
		ssize_t now = in ? read(fd, buffer + done, size - done)
				 : write(fd, buffer + done, size - done);

		if (now <= 0)
			return now ? -errno : -ENODATA;
		done += (size_t)now;
	}
	return 0;
}

static int copy(struct nvme *n, int in, uint64_t block, uint64_t count, int fd)
{
	char *buffer = malloc(PIECE);
	size_t size;
	int err = buffer ? 0 : -ENOMEM;

	for (uint64_t left = count * n->block_size; left && !err;
		left -= size, block += size / n->block_size) {
		size = left < PIECE ? (size_t)left : PIECE;
		if (in)
			err = move(fd, buffer, size, 1);
		if (!err)
			err = nvme_transfer(n, in ? NVME_WRITE : NVME_READ,
				block, size, buffer);
		if (!err && !in)
			err = move(fd, buffer, size, 0);
	}
	if (!err)
		free(buffer);
	return err;
}

static int copy_file(struct nvme *n, int in, uint64_t block, uint64_t count,
	const char *name)
{
	int fd = in ? STDIN_FILENO : STDOUT_FILENO, err;

	if (name)
		fd = open(name, in ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC,
			0644);
	if (fd < 0)
		return fail(name, -errno);
	err = copy(n, in, block, count, fd);
	if (!err && in)
		err = nvme_flush(n);
	if (name && close(fd) < 0 && !err)
		err = -errno;
	return err ? fail(in ? "write" : "read", err) : 0;
}

/* Eight bytes that occur once: what lies at which place tells whose it is. */
static uint64_t pattern(uint64_t word, uint64_t seed)
{
	return (word + 1) * 0x9e3779b97f4a7c15 ^ seed;
}

/* One piece, at an offset in memory that says nothing about pages. */
static int verify_piece(struct nvme *n, uint64_t block, size_t size,
	uint64_t seed, char *room, size_t offset)
{
	uint64_t first = block * n->block_size / 8;
	uint64_t *words = (uint64_t *)(room + offset);
	int err;

	for (size_t i = 0; i < size / 8; i++)
		words[i] = pattern(first + i, seed);
	err = nvme_transfer(n, NVME_WRITE, block, size, words);
	memset(words, 0, size);
	if (!err)
		err = nvme_transfer(n, NVME_READ, block, size, words);
	if (err)
		return fail("transfer", err);
	for (size_t i = 0; i < size / 8; i++) {
		if (words[i] == pattern(first + i, seed))
			continue;
		fprintf(stderr,
			"unvme: block %llu differs at byte %llu: "
			"%016llx instead of %016llx\n",
			(unsigned long long)(block + i * 8 / n->block_size),
			(unsigned long long)(i * 8 % n->block_size),
			(unsigned long long)words[i],
			(unsigned long long)pattern(first + i, seed));
		return 1;
	}
	return 0;
}

static int verify(struct nvme *n, uint64_t block, uint64_t count, uint64_t seed)
{
	char *room = malloc(PIECE + UDEV_PAGE);
	uint64_t end = block + count;
	unsigned missed = 0;
	int err;

	if (!room)
		return fail("memory", -ENOMEM);
	/* One block, two, three ... pages, and as much as fits. */
	for (size_t turn = 1; block < end; turn++) {
		size_t size = turn * turn * n->block_size;

		if (size > PIECE)
			size = PIECE;
		if (size > (end - block) * n->block_size)
			size = (size_t)(end - block) * n->block_size;
		if (verify_piece(
			    n, block, size, seed, room, turn * 40 % UDEV_PAGE))
			return 1;
		block += size / n->block_size;
	}
	free(room);
	err = nvme_flush(n);
	if (err)
		return fail("flush", err);
	for (unsigned i = 0; i < n->queues; i++)
		missed += n->queue[i].missed;
	if (missed) {
		fprintf(stderr, "unvme: %u interrupts are missing\n", missed);
		return 1;
	}
	printf("%llu blocks, and every byte is what was written\n",
		(unsigned long long)count);
	return 0;
}

/* -------------------------------------------------------------------- main */

static void check_range(const struct nvme *n, uint64_t block, uint64_t count)
{
	if (!count || block >= n->blocks || count > n->blocks - block) {
		fprintf(stderr, "unvme: the disk has blocks 0 to %llu\n",
			(unsigned long long)n->blocks - 1);
		exit(2);
	}
}

static int run(struct nvme *n, const struct options *o, char **words, int count)
{
	uint64_t block = 0, blocks = 0;
	const char *what = words[0];
	int err;

	if (!strcmp(what, "identify") && count == 1)
		return identify(n);
	if (!strcmp(what, "flush") && count == 1) {
		err = nvme_flush(n);
		return err ? fail("flush", err) : 0;
	}
	if (!strcmp(what, "bench") && count == 1) {
		if (!o->request || o->request % n->block_size ||
			o->request > n->max_transfer ||
			o->request / n->block_size > n->blocks || !o->seconds) {
			fprintf(stderr, "unvme: no such request\n");
			return 2;
		}
		err = bench(n, o);
		return err ? fail("bench", err) : 0;
	}
	if (count < 3 || count > 4)
		usage();
	block = number(words[1]);
	blocks = number(words[2]);
	check_range(n, block, blocks);
	if (!strcmp(what, "read") || !strcmp(what, "write"))
		return copy_file(n, *what == 'w', block, blocks, words[3]);
	if (!strcmp(what, "verify"))
		return verify(
			n, block, blocks, words[3] ? number(words[3]) : 0);
	usage();
	return 2;
}

static int drive(
	const struct udev *d, const struct options *o, char **words, int count)
{
	static struct nvme n;
	int err = udev_attach(d), result;

	if (err)
		return fail("attach", err);
	err = nvme_start(&n, d, o->queues, o->depth + 1, o->interrupts);
	if (err)
		return fail("start the controller", err);
	result = run(&n, o, words, count);
	err = nvme_stop(&n);
	if (err && !result)
		result = fail("stop the controller", err);
	err = udev_detach(d);
	if (err && !result)
		result = fail("detach", err);
	return result;
}

int main(int argc, char **argv)
{
	struct options o = {
		.queues = 1, .depth = 32, .seconds = 5, .request = 4096};
	char *words[8] = {NULL};
	struct udev d;
	int count = 0, c;

	/* Options may stand anywhere: a word ends one round of getopt(). */
	for (; optind < argc; words[count++] = argv[optind++]) {
		while ((c = getopt(argc, argv, "+iq:d:b:t:ws")) != -1) {
			if (c == 'i')
				o.interrupts = 1;
			else if (c == 'q')
				o.queues = (unsigned)number(optarg);
			else if (c == 'd')
				o.depth = (unsigned)number(optarg);
			else if (c == 'b')
				o.request = number(optarg);
			else if (c == 't')
				o.seconds = (unsigned)number(optarg);
			else if (c == 'w')
				o.write = 1;
			else if (c == 's')
				o.sequential = 1;
			else
				usage();
		}
		if (optind == argc)
			break;
		if (count == 5)
			usage();
	}
	if (count < 2 || udev_parse(&d, words[0]) || !o.queues ||
		o.queues > NVME_MAX_QUEUES || !o.depth || o.depth > 4095)
		usage();
	return drive(&d, &o, words + 1, count - 1);
}
