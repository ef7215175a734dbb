/* SPDX-License-Identifier: MIT */
/*
 * The strings of an exec: from the old memory into pages of the kernel's, and
 * from there onto the stack of the new program, which looks like this (x86-64
 * psABI 3.4.1), upwards from the stack pointer:
 *
 *   argc, argv[] and NULL, envp[] and NULL, auxiliary vector
 *   random bytes, platform, strings of argv, of envp, path
 */
#include "lib/errno.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mem/mem.h"
#include "mem/user.h"
#include "proc/args.h"

#define AT_NULL 0
#define AT_PLATFORM 15
#define AT_RANDOM 25
#define AT_EXECFN 31

static const char platform[] = "x86_64";

/* --- collecting -------------------------------------------------------- */

/* Room for more bytes at the end: where, and how many in this page. */
static int room(struct exec_args *a, char **out, size_t *out_n)
{
	void **page = &a->pages[a->len / PAGE_SIZE];
	size_t used = a->len % PAGE_SIZE;

	if (a->len + (a->argc + a->envc) * sizeof(uint64_t) >=
		ARGS_MAX - PAGE_SIZE)
		return -E2BIG;
	if (!*page)
		*page = page_alloc_dirty();
	if (!*page)
		return -ENOMEM;
	*out = (char *)*page + used;
	*out_n = PAGE_SIZE - used;
	return 0;
}

static int add_user_string(struct exec_args *a, uintptr_t user)
{
	for (;;) {
		size_t n, got;
		char *to, *end;
		int err = room(a, &to, &n);

		if (err)
			return err;
		n = MIN(n, PAGE_SIZE - user % PAGE_SIZE);
		got = copy_from_user_partial(to, user, n);
		end = memchr(to, 0, got);
		if (end) {
			a->len += end - to + 1;
			return 0;
		}
		if (got < n)
			return -EFAULT;
		a->len += got;
		user += got;
	}
}

static int add_kernel_string(struct exec_args *a, const char *s)
{
	size_t left = strlen(s) + 1;

	while (left) {
		size_t n;
		char *to;
		int err = room(a, &to, &n);

		if (err)
			return err;
		n = MIN(n, left);
		memcpy(to, s, n);
		a->len += n;
		s += n;
		left -= n;
	}
	return 0;
}

static int add_user_array(struct exec_args *a, uintptr_t array, unsigned *count)
{
	for (; array; array += sizeof(uintptr_t)) {
		uintptr_t s;
		int err;

		if (copy_from_user(&s, array, sizeof(s)))
			return -EFAULT;
		if (!s)
			break;
		err = add_user_string(a, s);
		if (err)
			return err;
		(*count)++;
	}
	return 0;
}

int exec_args_from_user(uintptr_t argv, uintptr_t envp, struct exec_args **out)
{
	struct exec_args *a = kzalloc(sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	err = add_user_array(a, argv, &a->argc);
	if (!err && !a->argc) { /* no program copes without a name */
		err = add_kernel_string(a, "");
		a->argc = 1;
	}
	if (!err)
		err = add_user_array(a, envp, &a->envc);
	if (err) {
		exec_args_free(a);
		return err;
	}
	*out = a;
	return 0;
}

int exec_args_from_kernel(const char *const *argv, const char *const *envp,
	struct exec_args **out)
{
	struct exec_args *a = kzalloc(sizeof(*a));
	int err = 0;

	if (!a)
		return -ENOMEM;
	for (; *argv && !err; argv++, a->argc++)
		err = add_kernel_string(a, *argv);
	for (; *envp && !err; envp++, a->envc++)
		err = add_kernel_string(a, *envp);
	if (err) {
		exec_args_free(a);
		return err;
	}
	*out = a;
	return 0;
}

void exec_args_free(struct exec_args *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < ARGS_PAGES && a->pages[i]; i++)
		page_free(a->pages[i]);
	for (unsigned i = 0; i < a->nprefix; i++)
		kfree(a->prefix[i]);
	kfree(a);
}

static int prefix_insert(struct exec_args *a, unsigned at, const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy;

	if (a->nprefix == ARGS_PREFIX_MAX)
		return -E2BIG;
	copy = kmalloc(n);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, s, n);
	memmove(&a->prefix[at + 1], &a->prefix[at],
		(a->nprefix - at) * sizeof(a->prefix[0]));
	a->prefix[at] = copy;
	a->nprefix++;
	return 0;
}

int exec_args_push_script(struct exec_args *a, const char *interpreter,
	const char *argument, const char *script)
{
	unsigned at = 0;
	int err;

	if (a->nprefix) {
		kfree(a->prefix[0]);
		a->nprefix--;
		memmove(&a->prefix[0], &a->prefix[1],
			a->nprefix * sizeof(a->prefix[0]));
	}
	err = prefix_insert(a, at++, interpreter);
	if (!err && argument)
		err = prefix_insert(a, at++, argument);
	if (!err)
		err = prefix_insert(a, at, script);
	return err;
}

/* --- writing ----------------------------------------------------------- */

/* 64-bit words to ascending user addresses, some at a time. */
struct writer {
	uint64_t at, buffer[64];
	unsigned n;
	int err;
};

static void flush(struct writer *w)
{
	size_t size = w->n * sizeof(w->buffer[0]);

	if (!w->err)
		w->err = copy_to_user(w->at, w->buffer, size);
	w->at += size;
	w->n = 0;
}

static void put(struct writer *w, uint64_t v)
{
	if (w->n == ARRAY_SIZE(w->buffer))
		flush(w);
	w->buffer[w->n++] = v;
}

static size_t string_length(const struct exec_args *a, size_t at)
{
	size_t start = at;

	for (;;) {
		char *page = a->pages[at / PAGE_SIZE];
		size_t off = at % PAGE_SIZE;
		char *end = memchr(page + off, 0, PAGE_SIZE - off);

		if (end)
			return at + (end - (page + off)) - start;
		at += PAGE_SIZE - off;
	}
}

/* Pointers to `count` strings from offset `at`; the offset behind them. */
static size_t put_pointers(struct writer *w, const struct exec_args *a,
	uint64_t base, size_t at, unsigned count)
{
	while (count--) {
		put(w, base + at);
		at += string_length(a, at) + 1;
	}
	return at;
}

static int copy_strings(const struct exec_args *a, uint64_t base)
{
	for (size_t at = 0; at < a->len; at += PAGE_SIZE)
		if (copy_to_user(base + at, a->pages[at / PAGE_SIZE],
			    MIN(PAGE_SIZE, a->len - at)))
			return -EFAULT;
	return 0;
}

int exec_args_write(const struct exec_args *a, uint64_t top, const char *path,
	const struct auxv *aux, size_t n, struct stack_layout *out)
{
	unsigned skipped = a->nprefix ? 1 : 0;
	size_t prefix_size = 0, path_size = strlen(path) + 1, at = 0;
	uint64_t path_at, strings, prefix, platform_at, random_at, words;
	struct writer w = {0};
	uint8_t random[16];
	int err = 0;

	for (unsigned i = 0; i < a->nprefix; i++)
		prefix_size += strlen(a->prefix[i]) + 1;
	path_at = top - sizeof(uint64_t) - path_size;
	strings = path_at - a->len;
	prefix = strings - prefix_size;
	platform_at = prefix - sizeof(platform);
	random_at = platform_at - sizeof(random);
	words = 1 + a->nprefix + (a->argc - skipped) + 1 + a->envc + 1 +
		2 * (n + 4);
	out->sp = ALIGN_DOWN(random_at - words * sizeof(uint64_t), 16);

	random_bytes(random, sizeof(random));
	err |= copy_to_user(path_at, path, path_size);
	err |= copy_to_user(platform_at, platform, sizeof(platform));
	err |= copy_to_user(random_at, random, sizeof(random));
	err |= copy_strings(a, strings);

	w.at = out->sp;
	out->arg_start = prefix;
	put(&w, a->nprefix + a->argc - skipped);
	for (unsigned i = 0; i < a->nprefix; i++) {
		size_t size = strlen(a->prefix[i]) + 1;

		put(&w, prefix);
		err |= copy_to_user(prefix, a->prefix[i], size);
		prefix += size;
	}
	if (skipped)
		at = string_length(a, 0) + 1;
	at = put_pointers(&w, a, strings, at, a->argc - skipped);
	put(&w, 0);
	out->arg_end = out->env_start = strings + at;
	out->env_end = strings + a->len;
	put_pointers(&w, a, strings, at, a->envc);
	put(&w, 0);
	for (size_t i = 0; i < n; i++) {
		put(&w, aux[i].type);
		put(&w, aux[i].value);
	}
	put(&w, AT_EXECFN);
	put(&w, path_at);
	put(&w, AT_RANDOM);
	put(&w, random_at);
	put(&w, AT_PLATFORM);
	put(&w, platform_at);
	put(&w, AT_NULL);
	put(&w, 0);
	flush(&w);
	return err || w.err ? -EFAULT : 0;
}
