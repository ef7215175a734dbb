/* SPDX-License-Identifier: MIT */
/* Formatting, after ISO C (C17 7.21.6.1) without floating point. */
#include "lib/print.h"
#include "lib/string.h"

struct output {
	char *buf;
	size_t size, len; /* len counts what did not fit, too */
};

struct spec {
	bool left, zero, alt, plus, space, upper, negative;
	int width, precision; /* precision -1: none */
	unsigned base;
};

static void put(struct output *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void put_many(struct output *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

static void put_text(struct output *o, const struct spec *s, const char *text)
{
	size_t max = s->precision < 0 ? SIZE_MAX : (size_t)s->precision;
	size_t n;

	if (!text)
		text = "(null)";
	n = strnlen(text, max);
	if (!s->left)
		put_many(o, ' ', s->width - (int)n);
	for (size_t i = 0; i < n; i++)
		put(o, text[i]);
	if (s->left)
		put_many(o, ' ', s->width - (int)n);
}

static const char *sign_or_prefix(const struct spec *s, uint64_t v)
{
	if (s->negative)
		return "-";
	if (s->base == 16 && s->alt && v)
		return s->upper ? "0X" : "0x";
	if (s->plus)
		return "+";
	return s->space ? " " : "";
}

static void put_number(struct output *o, const struct spec *s, uint64_t v)
{
	const char *digits = s->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	const char *prefix = sign_or_prefix(s, v);
	char text[24];
	int n = 0, zeros, pad;

	for (uint64_t rest = v; rest; rest /= s->base)
		text[n++] = digits[rest % s->base];
	zeros = (s->precision < 0 ? 1 : s->precision) - n;
	if (s->base == 8 && s->alt && zeros <= 0 && (n == 0 || v))
		zeros = 1;
	zeros = MAX(zeros, 0);
	pad = s->width - n - zeros - (int)strlen(prefix);
	if (s->zero && !s->left && s->precision < 0 && pad > 0) {
		zeros += pad;
		pad = 0;
	}
	if (!s->left)
		put_many(o, ' ', pad);
	while (*prefix)
		put(o, *prefix++);
	put_many(o, '0', zeros);
	while (n)
		put(o, text[--n]);
	if (s->left)
		put_many(o, ' ', pad);
}

enum size {
	SIZE_CHAR,
	SIZE_SHORT,
	SIZE_INT,
	SIZE_LONG
};

static const char *parse_size(const char *f, enum size *size)
{
	*size = SIZE_INT;
	if (*f == 'h') {
		*size = SIZE_SHORT;
		if (*++f == 'h') {
			*size = SIZE_CHAR;
			f++;
		}
	} else if (*f == 'l' || *f == 'z' || *f == 'j' || *f == 't') {
		*size = SIZE_LONG;
		if (*f++ == 'l' && *f == 'l')
			f++;
	}
	return f;
}

static const char *parse_flags(const char *f, struct spec *s)
{
	for (;; f++) {
		if (*f == '-')
			s->left = true;
		else if (*f == '0')
			s->zero = true;
		else if (*f == '#')
			s->alt = true;
		else if (*f == '+')
			s->plus = true;
		else if (*f == ' ')
			s->space = true;
		else
			return f;
	}
}

static int parse_int(const char **f)
{
	int v = 0;

	for (; **f >= '0' && **f <= '9'; (*f)++)
		if (v < 100000)
			v = v * 10 + **f - '0';
	return v;
}

static uint64_t unsigned_arg(uint64_t v, enum size size)
{
	switch (size) {
	case SIZE_CHAR:
		return (uint8_t)v;
	case SIZE_SHORT:
		return (uint16_t)v;
	case SIZE_INT:
		return (uint32_t)v;
	default:
		return v;
	}
}

static int64_t signed_arg(uint64_t v, enum size size)
{
	switch (size) {
	case SIZE_CHAR:
		return (int8_t)v;
	case SIZE_SHORT:
		return (int16_t)v;
	case SIZE_INT:
		return (int32_t)v;
	default:
		return (int64_t)v;
	}
}

static void put_signed(struct output *o, struct spec *s, int64_t v)
{
	s->base = 10;
	s->negative = v < 0;
	put_number(o, s, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

static void put_unsigned(
	struct output *o, struct spec *s, char conv, uint64_t v)
{
	s->plus = s->space = false;
	s->upper = conv == 'X';
	s->base = conv == 'o' ? 8 : conv == 'u' ? 10 : 16;
	put_number(o, s, v);
}

/* An argument list as a struct member can be passed by address portably. */
struct args {
	va_list ap;
};

static uint64_t next_integer(struct args *a, enum size size)
{
	return size == SIZE_LONG ? va_arg(a->ap, uint64_t)
				 : va_arg(a->ap, unsigned);
}

/* One conversion, after its '%'. Returns what follows it. */
static const char *convert(struct output *o, const char *f, struct args *a)
{
	struct spec s = {.precision = -1};
	enum size size;
	char conv;

	f = parse_flags(f, &s);
	if (*f == '*') {
		s.width = va_arg(a->ap, int);
		s.left |= s.width < 0;
		s.width = s.width < 0 ? -s.width : s.width;
		f++;
	} else {
		s.width = parse_int(&f);
	}
	if (*f == '.') {
		f++;
		if (*f == '*') {
			s.precision = va_arg(a->ap, int);
			f++;
		} else {
			s.precision = parse_int(&f);
		}
	}
	f = parse_size(f, &size);
	conv = *f;
	switch (conv) {
	case 'd':
	case 'i':
		put_signed(o, &s, signed_arg(next_integer(a, size), size));
		break;
	case 'u':
	case 'x':
	case 'X':
	case 'o':
		put_unsigned(
			o, &s, conv, unsigned_arg(next_integer(a, size), size));
		break;
	case 'p':
		s.alt = true;
		put_unsigned(o, &s, 'x', (uint64_t)va_arg(a->ap, void *));
		break;
	case 'c':
		s.precision = -1;
		if (!s.left)
			put_many(o, ' ', s.width - 1);
		put(o, (char)va_arg(a->ap, int));
		if (s.left)
			put_many(o, ' ', s.width - 1);
		break;
	case 's':
		put_text(o, &s, va_arg(a->ap, const char *));
		break;
	case 0:
		return f;
	default:
		put(o, conv);
		break;
	}
	return f + 1;
}

int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct output o = {buf, size, 0};
	struct args a;

	va_copy(a.ap, ap);
	while (*fmt) {
		if (*fmt != '%')
			put(&o, *fmt++);
		else
			fmt = convert(&o, fmt + 1, &a);
	}
	va_end(a.ap);
	if (size)
		buf[MIN(o.len, size - 1)] = 0;
	return (int)o.len;
}

int ksnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = kvsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
