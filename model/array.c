/* SPDX-License-Identifier: MIT */
/*
 * The model's own memory. It does not go on without: what it could not keep it
 * could not judge either, and a driver would look better than it is.
 */
#include <stdlib.h>
#include "internal.h"

void *needed(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

void *array_of(size_t count, size_t size)
{
	return needed(calloc(count + !count, size));
}

void *room_for_one(void *array, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return array;
	*room = *room * 2 + 16;
	return needed(realloc(array, *room * size));
}
