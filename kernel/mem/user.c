/* SPDX-License-Identifier: MIT */
/* Range checks around the routines of user.S. */
#include "mem/user.h"
#include "mem/space.h"
#include "cpu/cpu.h"
#include "lib/errno.h"
#include "lib/string.h"

size_t user_copy(void *dst, const void *src, size_t n);
size_t user_zero(void *dst, size_t n);
size_t user_load32_asm(const void *src, uint32_t *out);
size_t user_store32_asm(void *dst, uint32_t v);
size_t user_cmpxchg32_asm(
	void *p, uint32_t expected, uint32_t v, uint32_t *old);

uint8_t user_smap; /* SMAP is on: user.S opens a window around each access */

void user_access_init(void)
{
	user_smap = cpu_features.smap;
}

static bool range_ok(uintptr_t addr, size_t n)
{
	return addr <= USER_END && n <= USER_END - addr;
}

/* user_copy() goes by eight bytes. Where it stops short, the bytes up to the
 * very page that is not there are still to be copied. */
static size_t copy(char *dst, const char *src, size_t n)
{
	size_t left = user_copy(dst, src, n), done = n - left;

	if (!left)
		return n;
	left = MIN(left, 7);
	return done + left - user_copy(dst + done, src + done, left);
}

size_t copy_from_user_partial(void *dst, uintptr_t src, size_t n)
{
	if (!range_ok(src, n))
		return 0;
	return copy(dst, (const char *)src, n);
}

size_t copy_to_user_partial(uintptr_t dst, const void *src, size_t n)
{
	if (!range_ok(dst, n))
		return 0;
	return copy((char *)dst, src, n);
}

int copy_from_user(void *dst, uintptr_t src, size_t n)
{
	return copy_from_user_partial(dst, src, n) == n ? 0 : -EFAULT;
}

int copy_to_user(uintptr_t dst, const void *src, size_t n)
{
	return copy_to_user_partial(dst, src, n) == n ? 0 : -EFAULT;
}

int zero_user(uintptr_t dst, size_t n)
{
	if (!range_ok(dst, n) || user_zero((void *)dst, n))
		return -EFAULT;
	return 0;
}

ssize_t copy_string_from_user(char *dst, uintptr_t src, size_t size)
{
	size_t done = 0;

	while (done < size) {
		size_t n = MIN(size - done, 256 - (src + done) % 256);
		size_t got = copy_from_user_partial(dst + done, src + done, n);
		char *end = memchr(dst + done, 0, got);

		if (end)
			return end - dst;
		if (got < n)
			return -EFAULT;
		done += n;
	}
	return -ENAMETOOLONG;
}

static bool word_ok(uintptr_t addr)
{
	return addr % 4 == 0 && range_ok(addr, 4);
}

int user_load32(uintptr_t addr, uint32_t *out)
{
	if (!word_ok(addr) || user_load32_asm((const void *)addr, out))
		return -EFAULT;
	return 0;
}

int user_store32(uintptr_t addr, uint32_t value)
{
	if (!word_ok(addr) || user_store32_asm((void *)addr, value))
		return -EFAULT;
	return 0;
}

int user_cmpxchg32(
	uintptr_t addr, uint32_t expected, uint32_t value, uint32_t *out_old)
{
	if (!word_ok(addr) ||
		user_cmpxchg32_asm((void *)addr, expected, value, out_old))
		return -EFAULT;
	return 0;
}
