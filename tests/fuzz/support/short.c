/* SPDX-License-Identifier: MIT */
/*
 * A short round for `make test`, without a fuzzing engine: every file of the
 * corpus, then changed ones, from a seed (SEED, RUNS in the environment). What
 * is being tried lies in a file until it has ended well.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	LARGEST = 4096,
	FILES = 512
};

struct input {
	size_t size;
	uint8_t bytes[LARGEST];
};

static struct input corpus[FILES];
static unsigned files;
static uint64_t state;

static unsigned pick(unsigned below)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(state >> 33) % below;
}

static unsigned number(const char *variable, unsigned otherwise)
{
	const char *text = getenv(variable);

	return text ? (unsigned)strtoul(text, NULL, 0) : otherwise;
}

static void read_corpus(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char path[1024];
	FILE *file;

	while (dir && files < FILES && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (entry->d_name[0] == '.' || !(file = fopen(path, "r")))
			continue;
		corpus[files].size =
			fread(corpus[files].bytes, 1, LARGEST, file);
		files++;
		fclose(file);
	}
	if (dir)
		closedir(dir);
}

static int by_content(const void *a, const void *b)
{
	const struct input *x = a, *y = b;

	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return memcmp(x->bytes, y->bytes, x->size);
}

static void insert(struct input *in, unsigned at)
{
	if (in->size == LARGEST)
		return;
	memmove(in->bytes + at + 1, in->bytes + at, in->size - at);
	in->bytes[at] = (uint8_t)pick(256);
	in->size++;
}

/** One small change. */
static void change(struct input *in)
{
	static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff, ' ', '\n', ':'};
	unsigned at = in->size ? pick((unsigned)in->size) : 0;

	if (!in->size || !pick(4)) {
		insert(in, at);
		return;
	}
	switch (pick(5)) {
	case 0:
		in->bytes[at] ^= (uint8_t)(1 << pick(8));
		break;
	case 1:
		in->bytes[at] = edges[pick(sizeof(edges))];
		break;
	case 2:
		in->bytes[at] = (uint8_t)pick(256);
		break;
	case 3:
		in->size = at;
		break;
	default:
		in->bytes[at] = in->bytes[pick((unsigned)in->size)];
	}
}

static void make(struct input *out)
{
	unsigned n;

	if (files)
		*out = corpus[pick(files)];
	else
		out->size = 0;
	for (n = pick(files ? 8 : 64) + 1; n; n--)
		change(out);
}

static char trace[64];

static void try(const struct input *in)
{
	/* Exactly as large as it says. */
	uint8_t *bytes = malloc(in->size ? in->size : 1);
	FILE *file = fopen(trace, "w");

	if (!bytes || !file || fwrite(in->bytes, 1, in->size, file) != in->size)
		abort();
	fclose(file);
	memcpy(bytes, in->bytes, in->size);
	LLVMFuzzerTestOneInput(bytes, in->size);
	free(bytes);
}

int main(int argc, char **argv)
{
	unsigned seed = number("SEED", 1), runs = number("RUNS", 3000), n;
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash ? slash + 1 : argv[0];
	static struct input in;
	char folder[512];

	(void)argc;
	snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", SOURCE,
		name);
	snprintf(trace, sizeof(trace), "/tmp/fuzz-%s-%d", name, getpid());
	read_corpus(folder);
	/* A folder has no order. */
	qsort(corpus, files, sizeof(*corpus), by_content);
	printf("%u files, %u runs, SEED=%u; a crash's input is in %s\n", files,
		runs, seed, trace);
	fflush(stdout);
	for (n = 0; n < files; n++)
		try(&corpus[n]);
	state = seed;
	for (n = 0; n < runs; n++) {
		make(&in);
		try(&in);
	}
	unlink(trace);
	printf("[       OK ] %s\n", name);
	return 0;
}
