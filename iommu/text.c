/* SPDX-License-Identifier: MIT */
/*
 * Text: a small formatter, and a buffer in front of a sink.
 *
 * Understood: %c %s %u %x %ju %jx %p %%, a number's minimum width, and 0 to
 * fill it with zeros. That is a subset of the standard's meaning, so compilers
 * check the arguments; tools/check-format, that nothing else is asked for.
 */
#include <stdarg.h>
#include "internal.h"

void text_start(struct text *text, iommu_sink *sink, void *arg)
{
	text->sink = sink;
	text->arg = arg;
	text->out = text->buffer;
	text->size = sizeof(text->buffer);
	text->length = 0;
}

void text_end(struct text *text)
{
	if (text->length)
		text->sink(text->arg, text->out, text->length);
	text->length = 0;
}

static void put(struct text *text, char c)
{
	if (text->length == text->size && text->sink)
		text_end(text);
	if (text->length < text->size)
		text->out[text->length++] = c;
}

static void put_string(struct text *text, const char *string)
{
	while (*string)
		put(text, *string++);
}

static void put_number(struct text *text, uint64_t value, unsigned base,
	unsigned width, char fill)
{
	char digits[20];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (; width > n; width--)
		put(text, fill);
	while (n)
		put(text, digits[--n]);
}

static NOINLINE void format_to(
	struct text *text, const char *format, va_list values)
{
	for (; *format; format++) {
		unsigned width = 0, base = 16;
		bool wide;
		char fill = ' ';
		uint64_t value;

		if (*format != '%') {
			put(text, *format);
			continue;
		}
		if (*++format == '0')
			fill = '0';
		for (; *format >= '0' && *format <= '9'; format++)
			width = width * 10 + (unsigned)(*format - '0');
		wide = *format == 'j';
		format += wide;
		switch (*format) {
		case 'c':
			put(text, (char)va_arg(values, int));
			continue;
		case 's':
			put_string(text, va_arg(values, const char *));
			continue;
		case 'u':
			base = 10;
			/* fallthrough */
		case 'x':
			value = wide ? va_arg(values, uintmax_t)
				     : va_arg(values, unsigned);
			break;
		case 'p':
			put_string(text, "0x");
			width = 2 * sizeof(void *);
			fill = '0';
			value = (uintptr_t)va_arg(values, void *);
			break;
		case '\0':
			return;
		default:
			put(text, *format);
			continue;
		}
		put_number(text, value, base, width, fill);
	}
}

void text_add(struct text *text, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	format_to(text, format, values);
	va_end(values);
}

/** Formats into memory; what does not fit is left out. */
static size_t format_into(struct text *text, char *out, size_t size,
	const char *format, va_list values)
{
	text->sink = NULL;
	text->out = out;
	text->size = size - 1;
	text->length = 0;
	format_to(text, format, values);
	out[text->length] = '\0';
	return text->length;
}

size_t core_format(char *out, size_t size, const char *format, ...)
{
	struct text text;
	va_list values;
	size_t length;

	if (!size)
		return 0;
	va_start(values, format);
	length = format_into(&text, out, size, format, values);
	va_end(values);
	return length;
}

/* Lines are made in the instance: the deepest calls are those that complain. */
void core_log(struct iommu *iommu, enum iommu_log_level level,
	const char *format, ...)
{
	unsigned long state;
	va_list values;

	if (!iommu->host.log)
		return;
	state = core_lock(iommu, &iommu->log_lock);
	va_start(values, format);
	format_into(&iommu->log, iommu->log.buffer, sizeof(iommu->log.buffer),
		format, values);
	va_end(values);
	iommu->host.log(iommu->host.ctx, level, iommu->log.buffer);
	core_unlock(iommu, &iommu->log_lock, state);
}

void core_reason(struct iommu *iommu, const char *format, ...)
{
	struct text text;
	va_list values;

	va_start(values, format);
	format_into(
		&text, iommu->reason, sizeof(iommu->reason), format, values);
	va_end(values);
	core_log(iommu, IOMMU_LOG_WARNING, "%s", iommu->reason);
}
