/* SPDX-License-Identifier: MIT */
/* Reading: files, links and folders of the machine, and numbers. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tool.h"

int tool_fail(struct tool *tool, const char *format, ...)
{
	char text[TOOL_PATH + 256];
	va_list values;
	char *c;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	/* Names may hold anything; a terminal is not to obey them. */
	for (c = text; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	fprintf(tool->err, "iommu-decode: %s\n", text);
	return TOOL_FAILED;
}

bool tool_path(const struct tool *tool, char *out, const char *path)
{
	int length = snprintf(out, TOOL_PATH, "%s%s", tool->root, path);

	return length >= 0 && length < TOOL_PATH;
}

/** Reads to the end or the limit, one byte more to notice. */
static uint8_t *read_all(FILE *file, size_t *out_size)
{
	size_t size = 0, room = 1 << 16;
	uint8_t *bytes = malloc(room + 1);
	size_t got;

	while (bytes && (got = fread(bytes + size, 1, room - size, file))) {
		uint8_t *more;

		size += got;
		if (size < room || size > TOOL_FILE_LIMIT)
			continue;
		room *= 2;
		more = realloc(bytes, room + 1);
		if (!more)
			free(bytes);
		bytes = more;
	}
	if (bytes)
		bytes[size] = 0;
	*out_size = size;
	return bytes;
}

uint8_t *tool_read(struct tool *tool, const char *path, size_t *out_size)
{
	bool is_input = !strcmp(path, "-");
	FILE *file = is_input ? tool->in : fopen(path, "rb");
	const char *why = NULL;
	uint8_t *bytes = NULL;

	errno = 0;
	if (!file) {
		tool_fail(tool, "%s cannot be opened%s", path,
			access(path, F_OK) ? ": it is not there"
					   : "; root may");
		return NULL;
	}
	bytes = read_all(file, out_size);
	if (!bytes)
		why = "there is no memory for it";
	else if (ferror(file))
		why = strerror(errno);
	else if (*out_size > TOOL_FILE_LIMIT)
		why = "it is too long";
	if (!is_input)
		fclose(file);
	if (!why)
		return bytes;
	free(bytes);
	tool_fail(tool, "%s cannot be read: %s", path, why);
	return NULL;
}

bool tool_line(struct tool *tool, const char *path, char *line, size_t size)
{
	char full[TOOL_PATH];
	bool any;
	FILE *file;

	if (!tool_path(tool, full, path))
		return false;
	file = fopen(full, "r");
	if (!file)
		return false;
	any = fgets(line, (int)size, file);
	fclose(file);
	if (any)
		line[strcspn(line, "\n")] = '\0';
	return any;
}

bool tool_link(struct tool *tool, const char *path, char *name, size_t size)
{
	char full[TOOL_PATH], target[TOOL_PATH];
	const char *last;
	ssize_t length;

	if (!tool_path(tool, full, path))
		return false;
	length = readlink(full, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	last = strrchr(target, '/');
	snprintf(name, size, "%s", last ? last + 1 : target);
	return true;
}

bool tool_hex(const char *text, uint64_t *out)
{
	uint64_t value = 0;
	unsigned digits = 0;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	for (; isxdigit((unsigned char)*text); text++) {
		unsigned char c = (unsigned char)tolower((unsigned char)*text);

		if (value >> 60)
			return false;
		value = value << 4 | (c <= '9' ? c - '0' : c - 'a' + 10);
		digits++;
	}
	*out = value;
	return digits && !*text;
}

/** Group 2 comes before group 10, 0000:00:02.0 before 0000:00:1f.0. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
	const char *x = (*a)->d_name, *y = (*b)->d_name;

	if (strspn(x, "0123456789") == strlen(x) &&
		strspn(y, "0123456789") == strlen(y) && strlen(x) != strlen(y))
		return strlen(x) < strlen(y) ? -1 : 1;
	return strcmp(x, y);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int tool_names(struct tool *tool, const char *path, char ***out_names)
{
	char full[TOOL_PATH];
	struct dirent **entries;
	int count, n;
	char **names;

	*out_names = NULL;
	if (!tool_path(tool, full, path))
		return -1;
	count = scandir(full, &entries, is_visible, compare_names);
	if (count < 0)
		return -1;
	names = calloc((size_t)count + 1, sizeof(*names));
	for (n = 0; n < count; n++) {
		if (names)
			names[n] = strdup(entries[n]->d_name);
		free(entries[n]);
	}
	free(entries);
	for (n = 0; names && n < count; n++)
		if (!names[n])
			break;
	if (!names || n < count) {
		if (names)
			tool_free_names(names, count);
		return -1;
	}
	*out_names = names;
	return count;
}

void tool_free_names(char **names, int count)
{
	while (names && count > 0)
		free(names[--count]);
	free(names);
}
