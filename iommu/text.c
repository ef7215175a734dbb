/* SPDX-License-Identifier: MIT */
/*
 * Text: a small formatter, and a buffer in front of a sink.
 *
 * Understood: %c %s %u %x %ju %jx %p %%, a minimum width, and 0 to fill it
 * with zeros. That is a subset of the standard's meaning, so compilers check
 * the arguments.
 */
#include <stdarg.h>
#include "internal.h"

typedef void put_char(void *arg, char c);

static void put_string(put_char *put, void *arg, const char *string)
{
	while (*string)
		put(arg, *string++);
}

static void put_number(put_char *put, void *arg, uint64_t value, unsigned base,
	unsigned width, char fill)
{
	char digits[20];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (; width > n; width--)
		put(arg, fill);
	while (n)
		put(arg, digits[--n]);
}

static void format_to(
	put_char *put, void *arg, const char *format, va_list values)
{
	for (; *format; format++) {
		char fill = ' ';
		unsigned width = 0;
		bool wide = false;

		if (*format != '%') {
			put(arg, *format);
			continue;
		}
		if (*++format == '0')
			fill = '0';
		for (; *format >= '0' && *format <= '9'; format++)
			width = width * 10 + (unsigned)(*format - '0');
		if (*format == 'j') {
			wide = true;
			format++;
		}
		switch (*format) {
		case 'c':
			put(arg, (char)va_arg(values, int));
			break;
		case 's':
			put_string(put, arg, va_arg(values, const char *));
			break;
		case 'u':
		case 'x':
			put_number(put, arg,
				wide ? va_arg(values, uintmax_t)
				     : va_arg(values, unsigned),
				*format == 'u' ? 10 : 16, width, fill);
			break;
		case 'p':
			put_string(put, arg, "0x");
			put_number(put, arg, (uintptr_t)va_arg(values, void *),
				16, 2 * sizeof(void *), '0');
			break;
		case '\0':
			return;
		default:
			put(arg, *format);
		}
	}
}

static void put_text(void *arg, char c)
{
	struct text *text = arg;

	if (text->length == sizeof(text->buffer))
		text_end(text);
	text->buffer[text->length++] = c;
}

void text_start(struct text *text, iommu_sink *sink, void *arg)
{
	text->sink = sink;
	text->arg = arg;
	text->length = 0;
}

void text_add(struct text *text, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	format_to(put_text, text, format, values);
	va_end(values);
}

void text_end(struct text *text)
{
	if (text->length)
		text->sink(text->arg, text->buffer, text->length);
	text->length = 0;
}

struct bounded {
	char *out;
	size_t size;
	size_t length;
};

static void put_bounded(void *arg, char c)
{
	struct bounded *bounded = arg;

	if (bounded->length + 1 < bounded->size)
		bounded->out[bounded->length++] = c;
}

static size_t format_bounded(
	char *out, size_t size, const char *format, va_list values)
{
	struct bounded bounded = {.out = out, .size = size};

	if (!size)
		return 0;
	format_to(put_bounded, &bounded, format, values);
	out[bounded.length] = '\0';
	return bounded.length;
}

size_t core_format(char *out, size_t size, const char *format, ...)
{
	va_list values;
	size_t length;

	va_start(values, format);
	length = format_bounded(out, size, format, values);
	va_end(values);
	return length;
}

void core_log(const struct iommu *iommu, enum iommu_log_level level,
	const char *format, ...)
{
	char line[200];
	va_list values;

	if (!iommu->host.log)
		return;
	va_start(values, format);
	format_bounded(line, sizeof(line), format, values);
	va_end(values);
	iommu->host.log(iommu->host.ctx, level, line);
}

void core_reason(struct iommu *iommu, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	format_bounded(iommu->reason, sizeof(iommu->reason), format, values);
	va_end(values);
	if (iommu->reason[0] && iommu->host.log)
		iommu->host.log(
			iommu->host.ctx, IOMMU_LOG_WARNING, iommu->reason);
}
