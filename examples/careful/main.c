/* SPDX-License-Identifier: MIT */
/*
 * Runs the careful driver on all kinds of units that the model has, in all
 * modes, and prints what it earns, which should be nothing:
 *
 *	careful [kind or "all" [seed]]
 */
#include <model/model.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "os.h"
#include "scene.h"

enum {
	MADE_UP = 6
};

struct model *machine;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

uint32_t os_read32(uint64_t phys)
{
	return model_read32(machine, phys);
}

uint64_t os_read64(uint64_t phys)
{
	return model_read64(machine, phys);
}

void os_write32(uint64_t phys, uint32_t value)
{
	model_write32(machine, phys, value);
}

void os_write64(uint64_t phys, uint64_t value)
{
	model_write64(machine, phys, value);
}

uint64_t os_page(void)
{
	uint64_t phys = model_page_alloc(machine, 0, MODEL_OWNER_DRIVER);

	if (phys == MODEL_NONE)
		return 0;
	memset(model_ptr(machine, phys), 0, MODEL_PAGE);
	return phys;
}

void os_page_free(uint64_t phys)
{
	model_page_free(machine, phys, 0);
}

void *os_memory(uint64_t phys)
{
	return model_ptr(machine, phys);
}

void os_write_back(uint64_t phys, size_t len)
{
	model_cache_flush(machine, phys, len);
}

uint64_t os_now(void)
{
	return model_now(machine);
}

void os_lock(void)
{
	pthread_mutex_lock(&lock);
}

void os_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

uint32_t os_config_read(uint16_t bdf, unsigned offset)
{
	return model_pci_read(machine, 0, (uint8_t)(bdf >> 8), (uint8_t)bdf,
		(uint16_t)offset, 4);
}

void os_config_write(uint16_t bdf, unsigned offset, uint32_t value)
{
	model_pci_write(machine, 0, (uint8_t)(bdf >> 8), (uint8_t)bdf,
		(uint16_t)offset, 4, value);
}

static int play_all(const struct model_personality *kind, uint64_t seed)
{
	int bad = 0;

	for (unsigned mode = MODEL_LAZY; mode <= MODEL_BENIGN; mode++) {
		for (unsigned way = 0; way < 4; way++) {
			bool queue = way & 1;

			if (!queue && kind->version >> 4 >= 6)
				continue;
			bad += play(kind, mode, queue, way & 2, seed);
		}
	}
	return bad;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	bool all = argc < 2 || !strcmp(argv[1], "all");
	const struct model_personality *k;
	int bad = 0;

	if (!all && !model_personality_find(argv[1])) {
		fprintf(stderr, "careful: there is no kind %s\n", argv[1]);
		return 2;
	}
	for (k = model_personalities; k->name; k++) {
		if (all || !strcmp(argv[1], k->name))
			bad += play_all(k, seed);
	}
	for (unsigned i = 0; all && i < MADE_UP; i++) {
		struct model_personality kind =
			model_personality_random(seed * MADE_UP + i);

		bad += play_all(&kind, seed);
	}
	if (all)
		bad += play_broken(model_personality_find("plain"));
	printf("%d bad\n", bad);
	return bad != 0;
}
