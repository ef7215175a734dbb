/* SPDX-License-Identifier: MIT */
/* The battery-backed clock (MC146818), read once at boot. It is taken to hold
 * UTC. */
#include "cpu/io.h"
#include "cpu/local.h"

struct fields {
	uint8_t second, minute, hour, day, month, year;
};

static uint8_t read_cmos(uint8_t reg)
{
	outb(0x70, reg | 0x80); /* NMI off meanwhile, as every BIOS does */
	return inb(0x71);
}

/* An update takes 2 ms at most; then there are 244 us to read. */
static bool read_fields(struct fields *f)
{
	unsigned polls = 0;

	while (read_cmos(0x0a) & 0x80)
		if (++polls > 100000)
			return false;
	*f = (struct fields){read_cmos(0), read_cmos(2), read_cmos(4),
		read_cmos(7), read_cmos(8), read_cmos(9)};
	return true;
}

static bool same(const struct fields *a, const struct fields *b)
{
	return a->second == b->second && a->minute == b->minute &&
		a->hour == b->hour && a->day == b->day &&
		a->month == b->month && a->year == b->year;
}

static uint8_t from_bcd(uint8_t v)
{
	return (v & 15) + (v >> 4) * 10;
}

static void decode(struct fields *f, uint8_t format)
{
	bool pm = f->hour & 0x80;

	f->hour &= 0x7f;
	if (!(format & 4)) {
		f->second = from_bcd(f->second);
		f->minute = from_bcd(f->minute);
		f->hour = from_bcd(f->hour);
		f->day = from_bcd(f->day);
		f->month = from_bcd(f->month);
		f->year = from_bcd(f->year);
	}
	if (!(format & 2))
		f->hour = f->hour % 12 + (pm ? 12 : 0);
}

/* Days from 1970 to a date of 2000 to 2099, in which every fourth year leaps.
 */
static uint64_t days(const struct fields *f)
{
	static const uint16_t before[] = {
		0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	uint64_t n = 10957 + f->year * 365ull + (f->year + 3) / 4;

	n += before[f->month - 1] + f->day - 1;
	if (f->year % 4 == 0 && f->month > 2)
		n++;
	return n;
}

uint64_t rtc_read_seconds(void)
{
	struct fields f, again;
	uint8_t format;
	unsigned tries = 0;

	do {
		if (tries++ > 8 || !read_fields(&f) || !read_fields(&again))
			return 0;
	} while (!same(&f, &again));
	format = read_cmos(0x0b);
	outb(0x70, 0x0d); /* NMI on again */
	inb(0x71);
	decode(&f, format);
	if (f.month < 1 || f.month > 12 || f.day < 1 || f.day > 31 ||
		f.hour > 23 || f.minute > 59 || f.second > 59 || f.year > 99)
		return 0;
	return days(&f) * 86400 + f.hour * 3600u + f.minute * 60u + f.second;
}
