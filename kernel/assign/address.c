/* SPDX-License-Identifier: MIT */
/* The parsers of control files; see address.h. */
#include "assign/address.h"
#include "lib/string.h"

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* A number of at most `digits` digits; false if there is none, or one digit
 * more. */
static bool number(
	const char **text, unsigned base, unsigned digits, uint32_t *out)
{
	const char *at = *text;
	uint32_t value = 0;
	unsigned n = 0;

	while (digit(*at) >= 0 && (unsigned)digit(*at) < base) {
		if (n++ == digits)
			return false;
		value = value * base + (uint32_t)digit(*at++);
	}
	if (!n)
		return false;
	*text = at;
	*out = value;
	return true;
}

static bool skip(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

static void skip_blanks(const char **text)
{
	while (**text == ' ' || **text == '\t' || **text == '\n' ||
		**text == '\r')
		(*text)++;
}

bool parse_pci_address(const char **text, struct pci_address *out)
{
	uint32_t part[4] = {0};
	const char *at = *text;
	bool long_form = false;

	if (!number(&at, 16, 4, &part[1]) || !skip(&at, ':') ||
		!number(&at, 16, 2, &part[2]))
		return false;
	if (skip(&at, ':'))
		long_form = true;
	else if (!skip(&at, '.'))
		return false;
	if (!number(&at, 16, 2, &part[3]))
		return false;
	if (long_form && skip(&at, '.')) {
		part[0] = part[1];
		part[1] = part[2];
		part[2] = part[3];
		if (!number(&at, 16, 1, &part[3]))
			return false;
	}
	if (part[1] > 0xff || part[2] > 0x1f || part[3] > 7)
		return false;
	out->segment = (uint16_t)part[0];
	out->bus = (uint8_t)part[1];
	out->devfn = (uint8_t)(part[2] << 3 | part[3]);
	*text = at;
	return true;
}

const char *parse_assignment(
	const char *line, struct pci_address *out, int *out_pid)
{
	uint32_t pid = 0;

	skip_blanks(&line);
	if (!*line)
		return "empty: a device is wanted, as bus:device.function";
	if (!parse_pci_address(&line, out))
		return "not a device: bus:device.function in hexadecimal is "
		       "wanted";
	if (*line && *line != ' ' && *line != '\t' && *line != '\n' &&
		*line != '\r')
		return "something sticks to the device's address";
	skip_blanks(&line);
	if (*line && (!number(&line, 10, 9, &pid) || !pid))
		return "not a process: a decimal pid above 0 is wanted";
	skip_blanks(&line);
	if (*line)
		return "something follows that does not belong there";
	*out_pid = (int)pid;
	return NULL;
}

int parse_switch(const char *line)
{
	static const struct {
		const char *word;
		int value;
	} words[] = {{"on", 1}, {"enable", 1}, {"off", 0}, {"disable", 0}};
	size_t n;

	skip_blanks(&line);
	n = strlen(line);
	while (n &&
		(line[n - 1] == '\n' || line[n - 1] == '\r' ||
			line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i].word) == n &&
			!strncmp(words[i].word, line, n))
			return words[i].value;
	return -1;
}
