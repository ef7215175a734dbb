/* SPDX-License-Identifier: MIT */
/*
 * Which chains of the library's functions really happen. The library below the
 * tests is compiled with -finstrument-functions, so that each of its functions,
 * inlined ones too, tells when it is entered. What a function takes of the
 * stack in a build without that comes from a file, STACK_FRAMES, made by
 * tools/size: a line "address bytes 0" for each function, and "address 0
 * callee" where a function jumps to another instead of calling it, so that its
 * own frame is gone by then.
 *
 * Only the library's own frames are counted: a hook of the host that calls the
 * library again begins anew, and the hook's frames belong to the host. At the
 * end the deepest chain of each public call is printed, as "chain: bytes
 * function...".
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	DEEP = 16384,
	CHAIN = 128,
	PUBLIC = 256,
	BUCKETS = 4096,
	JUMPS = 512,
};

/* The library's code, which the Makefile puts into a section of this name. */
extern const char __start_library_code[], __stop_library_code[];

struct frame {
	void *function, *site;
	unsigned bytes;
	/** Whose frame that is: its own, or of what it is inlined in. */
	unsigned holder;
	/** The public call below which it stands: its place in frames[]. */
	unsigned first;
};

struct chain {
	unsigned bytes, count;
	void *function[CHAIN];
};

static struct {
	uintptr_t function;
	unsigned bytes;
} known[BUCKETS];
static struct {
	uintptr_t from, to;
} jump[JUMPS];
static unsigned jumps;
static __thread struct frame frames[DEEP];
static __thread unsigned depth;
static struct chain worst[PUBLIC];

static unsigned bucket(uintptr_t function)
{
	unsigned at = (unsigned)(function * 0x9e3779b97f4a7c15u >> 52);

	while (known[at].function && known[at].function != function)
		at = (at + 1) % BUCKETS;
	return at;
}

static void __attribute__((constructor)) load(void)
{
	const char *path = getenv("STACK_FRAMES");
	FILE *file = path ? fopen(path, "r") : NULL;
	uintptr_t function, to;
	unsigned bytes;

	if (!file) {
		fprintf(stderr, "STACK_FRAMES: no such file\n");
		exit(2);
	}
	while (fscanf(file, "%jx %u %jx", &function, &bytes, &to) == 3) {
		unsigned at = bucket(function);

		if (to && jumps < JUMPS) {
			jump[jumps].from = function;
			jump[jumps++].to = to;
			continue;
		}
		known[at].function = function;
		known[at].bytes = bytes;
	}
	fclose(file);
}

static int is_library(const void *site)
{
	return (const char *)site >= __start_library_code &&
		(const char *)site < __stop_library_code;
}

static void keep(unsigned first)
{
	unsigned n, place = 0;
	struct chain *chain;

	while (worst[place].count &&
		worst[place].function[0] != frames[first].function)
		place++;
	chain = &worst[place];
	if (place + 1 == PUBLIC || depth - first > CHAIN)
		abort();
	if (chain->count && frames[depth - 1].bytes <= chain->bytes)
		return;
	chain->bytes = frames[depth - 1].bytes;
	chain->count = 0;
	for (n = first; n < depth; n++)
		chain->function[chain->count++] = frames[n].function;
}

/** What is on the stack when a function is entered from another. */
static unsigned below(const struct frame *above, const void *function)
{
	uintptr_t from = (uintptr_t)frames[above->holder].function;
	unsigned n;

	for (n = 0; n < jumps; n++)
		if (jump[n].from == from && jump[n].to == (uintptr_t)function)
			return above->bytes - known[bucket(from)].bytes;
	return above->bytes;
}

void __cyg_profile_func_enter(void *function, void *site);
void __cyg_profile_func_enter(void *function, void *site)
{
	const struct frame *above = depth ? &frames[depth - 1] : NULL;
	unsigned own = known[bucket((uintptr_t)function)].bytes;

	if (depth == DEEP)
		abort();
	/* An inlined function gives the site of the one it is part of. */
	if (above && (is_library(site) || above->site == site))
		frames[depth] = (struct frame){function, site,
			below(above, function) + own,
			own ? depth : above->holder, above->first};
	else
		frames[depth] =
			(struct frame){function, site, own, depth, depth};
	depth++;
	keep(frames[depth - 1].first);
}

void __cyg_profile_func_exit(void *function, void *site);
void __cyg_profile_func_exit(void *function, void *site)
{
	(void)function;
	(void)site;
	depth--;
}

static void __attribute__((destructor)) report(void)
{
	unsigned n, at;

	for (n = 0; worst[n].count; n++) {
		printf("chain: %u", worst[n].bytes);
		for (at = 0; at < worst[n].count; at++)
			printf(" %p", worst[n].function[at]);
		printf("\n");
	}
}
