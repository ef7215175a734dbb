/* SPDX-License-Identifier: MIT */
/*
 * bind SOURCE TARGET: make a kernel device ("#iommu") or a folder appear at
 * another place in the name space, as Plan 9's bind does.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr,
			"usage: bind SOURCE TARGET\n"
			"e.g.   bind '#iommu' /sys/iommu\n");
		return 2;
	}
	if (mount(argv[1], argv[2], NULL, MS_BIND, NULL) < 0) {
		fprintf(stderr, "bind: %s on %s: %s\n", argv[1], argv[2],
			strerror(errno));
		return 1;
	}
	return 0;
}
