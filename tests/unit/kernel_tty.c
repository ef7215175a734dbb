/* SPDX-License-Identifier: MIT */
/* The console's line discipline: editing, echo, ends of lines and files,
 * signals, and what happens to type-ahead when a program changes the mode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "kernel/fs/tty_line.c"
#include "support/spin_locks.h"

static struct tty tty;
static char screen[1 << 16];
static size_t screen_n;
static int last_signal, last_group;

void serial_write(const char *s, size_t n)
{
	if (screen_n + n < sizeof(screen))
		memcpy(screen + screen_n, s, n);
	screen_n += n;
}

int signal_group(int pgid, int signo)
{
	assert_false(tty.lock.held); /* proc/ has locks of its own */
	last_group = pgid;
	last_signal = signo;
	return 0;
}

void spin_init(struct spinlock *l)
{
	l->held = 0;
}

void waitq_init(struct waitq *q)
{
	(void)q;
}

void poll_source_init(struct poll_source *s)
{
	(void)s;
}

void wake_all(struct waitq *q)
{
	(void)q;
}

void poll_wake(struct poll_source *s)
{
	(void)s;
}

static int fresh(void **state)
{
	(void)state;
	memset(&tty, 0, sizeof(tty));
	tty_line_init(&tty);
	tty.foreground = 42;
	screen_n = 0;
	last_signal = last_group = 0;
	return 0;
}

static void type(const char *s, size_t n)
{
	while (n--)
		tty_receive(&tty, (uint8_t)*s++);
}

#define TYPE(s) type(s, sizeof(s) - 1)

static void expect_screen(const char *wanted)
{
	screen[screen_n] = '\0';
	assert_string_equal(screen, wanted);
	screen_n = 0;
}

/* What one read of up to `size` bytes gives. */
static void expect_read(size_t size, const char *wanted, bool wanted_end)
{
	uint8_t buf[256];
	bool end;
	size_t n = __tty_take(&tty, buf, size, &end);

	assert_int_equal(n, strlen(wanted));
	assert_memory_equal(buf, wanted, n);
	assert_int_equal(end, wanted_end);
}

static void set_flags(uint32_t clear_local, uint32_t set_local)
{
	struct termios t = tty.termios;

	t.lflag = (t.lflag & ~clear_local) | set_local;
	__tty_set_termios(&tty, &t);
}

static void a_line_can_be_read_when_it_ends(void **state)
{
	(void)state;
	TYPE("ab");
	assert_false(__tty_readable(&tty));
	TYPE("c\r");
	assert_true(__tty_readable(&tty));
	expect_screen("abc\r\n");
	expect_read(100, "abc\n", true);
	assert_false(__tty_readable(&tty));
}

static void a_read_takes_one_line(void **state)
{
	(void)state;
	TYPE("one\ntwo\n");
	expect_read(2, "on", false);
	expect_read(100, "e\n", true);
	expect_read(100, "two\n", true);
}

static void erase_takes_back_what_was_echoed(void **state)
{
	(void)state;
	TYPE("ab\x7f");
	expect_screen("ab\b \b");
	TYPE("\x01\x7f"); /* "^A" is two columns */
	expect_screen("^A\b \b\b \b");
	TYPE("\t\x7f"); /* from column 1 to 8 */
	expect_screen("\t\b \b\b \b\b \b\b \b\b \b\b \b\b \b");
	TYPE("\xc3\xa4\x7f"); /* one character, two bytes */
	expect_screen("\xc3\xa4\b \b");
	TYPE("\x7f\x7f\x7f\n"); /* one too many does nothing */
	expect_screen("\b \b\r\n");
	expect_read(100, "\n", true);
}

static void words_and_lines_can_be_erased(void **state)
{
	(void)state;
	TYPE("one two \x17\n");
	expect_read(100, "one \n", true);
	TYPE("one two\x15three\n");
	expect_read(100, "three\n", true);
}

static void reprint_shows_the_line_again(void **state)
{
	(void)state;
	TYPE("ab\x12");
	expect_screen("ab^R\r\nab");
}

static void literal_next_takes_the_meaning_away(void **state)
{
	(void)state;
	TYPE("a\x16\x03\x16\x04\x16\nb\n");
	assert_int_equal(last_signal, 0);
	expect_read(100, "a\x03\x04\nb\n", true);
}

static void end_of_file_ends_a_read(void **state)
{
	(void)state;
	TYPE("\x04");
	expect_read(100, "", true);
	TYPE("ab\x04");
	expect_screen("ab");
	expect_read(100, "ab", true);
	/* A read that takes just the line takes its end as well. */
	TYPE("ab\x04");
	expect_read(2, "ab", true);
	assert_false(__tty_readable(&tty));
}

static void signals_go_to_the_foreground_and_drop_the_line(void **state)
{
	(void)state;
	TYPE("abc\x03");
	expect_screen("abc^C");
	assert_int_equal(last_signal, SIGINT);
	assert_int_equal(last_group, 42);
	TYPE("d\n");
	expect_read(100, "d\n", true);
	TYPE("\x1a");
	assert_int_equal(last_signal, SIGTSTP);
	TYPE("\x1c");
	assert_int_equal(last_signal, SIGQUIT);
	set_flags(0, NOFLSH);
	TYPE("keep\x03\n");
	expect_read(100, "keep\n", true);
}

static void without_a_foreground_no_signal_is_sent(void **state)
{
	(void)state;
	tty.foreground = 0;
	TYPE("\x03");
	assert_int_equal(last_signal, 0);
}

static void raw_bytes_pass_as_they_are(void **state)
{
	struct termios t = tty.termios;

	(void)state;
	t.lflag &= ~(uint32_t)(ICANON | ECHO | ISIG);
	t.iflag &= ~(uint32_t)(ICRNL | IXON);
	__tty_set_termios(&tty, &t);
	TYPE("\x03\r\x04\x7f\x11\x13");
	expect_read(100, "\x03\r\x04\x7f\x11\x13", false);
	expect_screen("");
	assert_int_equal(last_signal, 0);
}

static void type_ahead_survives_a_change_of_mode(void **state)
{
	(void)state;
	TYPE("ls\npar");
	set_flags(ICANON, 0);
	expect_read(100, "ls\npar", false);
	TYPE("x\ny");
	set_flags(0, ICANON);
	/* What was there already counts as a line of its own. */
	expect_read(100, "x\ny", true);
	TYPE("z\n");
	expect_read(100, "z\n", true);
}

static void an_empty_terminal_stays_empty_when_the_mode_changes(void **state)
{
	(void)state;
	set_flags(ICANON, 0);
	assert_false(__tty_readable(&tty));
	set_flags(0, ICANON);
	assert_false(__tty_readable(&tty));
}

static void output_can_be_stopped_and_goes_on(void **state)
{
	(void)state;
	TYPE("\x13");
	assert_true(tty.stopped);
	TYPE("\x11");
	assert_false(tty.stopped);
	TYPE("\x13\x03"); /* a signal lets it go on too */
	assert_false(tty.stopped);
}

static void newlines_are_translated_on_output(void **state)
{
	(void)state;
	__tty_output(&tty, (const uint8_t *)"a\nb", 3);
	expect_screen("a\r\nb");
	tty.termios.oflag &= ~(uint32_t)OPOST;
	__tty_output(&tty, (const uint8_t *)"a\nb", 3);
	expect_screen("a\nb");
}

static void a_full_line_can_still_be_ended(void **state)
{
	uint8_t buf[TTY_LINE_MAX + 10];
	bool end;

	(void)state;
	for (unsigned i = 0; i < 3 * TTY_LINE_MAX; i++)
		TYPE("x");
	TYPE("\n");
	assert_int_equal(
		__tty_take(&tty, buf, sizeof(buf), &end), TTY_LINE_MAX + 1);
	assert_true(end);
}

static void a_full_buffer_loses_the_newest(void **state)
{
	static uint8_t buf[2 * TTY_INPUT_SIZE];
	bool end;
	size_t n;

	(void)state;
	tty.termios.iflag = 0;
	set_flags(ICANON | ECHO | ISIG, 0);
	for (unsigned i = 0; i < TTY_INPUT_SIZE + 100; i++)
		tty_receive(&tty, (uint8_t)i);
	n = __tty_take(&tty, buf, sizeof(buf), &end);
	assert_int_equal(n, TTY_INPUT_SIZE - 1);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(buf[i], (uint8_t)i);
}

static unsigned draw(unsigned n)
{
	return (unsigned)rand() % n;
}

/* Whatever is typed in whatever mode: positions stay in order, reads end. */
static void random_typing(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	if (getenv("SEED"))
		seed = (unsigned)strtoul(getenv("SEED"), NULL, 0);
	print_message("seed %u\n", seed);
	srand(seed);
	for (unsigned i = 0; i < 1000000; i++) {
		uint8_t buf[64];
		struct termios t = tty.termios;
		bool end;

		switch (draw(64)) {
		case 0:
			t.lflag ^= 1u << draw(16);
			t.iflag ^= 1u << draw(16);
			t.oflag ^= 1u << draw(8);
			t.cc[draw(sizeof(t.cc))] = (uint8_t)draw(256);
			__tty_set_termios(&tty, &t);
			break;
		case 1:
			__tty_flush_input(&tty);
			break;
		case 2:
			fresh(NULL);
			break;
		case 3:
			assert_true(__tty_take(&tty, buf, draw(sizeof(buf)),
					    &end) < sizeof(buf));
			break;
		default:
			tty_receive(&tty,
				(uint8_t)(draw(2) ? draw(32) : draw(256)));
		}
		screen_n = 0;
		assert_true(tty.tail <= tty.line && tty.line <= tty.head);
		assert_true(tty.head - tty.tail <= TTY_INPUT_SIZE);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, fresh)
	const struct CMUnitTest tests[] = {
		TEST(a_line_can_be_read_when_it_ends),
		TEST(a_read_takes_one_line),
		TEST(erase_takes_back_what_was_echoed),
		TEST(words_and_lines_can_be_erased),
		TEST(reprint_shows_the_line_again),
		TEST(literal_next_takes_the_meaning_away),
		TEST(end_of_file_ends_a_read),
		TEST(signals_go_to_the_foreground_and_drop_the_line),
		TEST(without_a_foreground_no_signal_is_sent),
		TEST(raw_bytes_pass_as_they_are),
		TEST(type_ahead_survives_a_change_of_mode),
		TEST(an_empty_terminal_stays_empty_when_the_mode_changes),
		TEST(output_can_be_stopped_and_goes_on),
		TEST(newlines_are_translated_on_output),
		TEST(a_full_line_can_still_be_ended),
		TEST(a_full_buffer_loses_the_newest),
		TEST(random_typing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
