/* SPDX-License-Identifier: MIT */
/* "#bench": its only file is the benchmark; reading it runs it. */
#include "bench/bench.h"
#include "dev/dev.h"
#include "fs/inode.h"
#include "lib/print.h"

static int run_text(struct node *file, struct text *t)
{
	(void)file;
	bench_run(t);
	return 0;
}

static const struct node_ops run_ops = {.text = run_text};

static bool root_child(struct node *dir, unsigned n, struct node *out)
{
	(void)dir;
	if (n)
		return false;
	*out = (struct node){
		.name = "run", .mode = S_IFREG | 0444, .ops = &run_ops};
	return true;
}

void dev_bench_init(void)
{
	static const struct node_ops root_ops = {.child = root_child};
	struct node root = {
		.name = "bench", .mode = S_IFDIR | 0555, .ops = &root_ops};

	bench_init();
	if (tree_register("bench", &root))
		kprintf("#bench: not registered\n");
}
