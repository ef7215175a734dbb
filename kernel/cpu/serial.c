/* SPDX-License-Identifier: MIT */
/*
 * A 16550 at 0x3F8, written by polling and read by interrupt. A port that does
 * not answer is left alone, and no wait is without end: a port that stops
 * taking bytes loses output, not the kernel.
 */
#include "cpu/serial.h"
#include "cpu/cpu.h"
#include "cpu/io.h"
#include "cpu/irq.h"
#include "lib/lock.h"
#include "lib/print.h"

#define PORT 0x3f8
#define DATA (PORT + 0)
#define INTERRUPTS (PORT + 1)
#define FIFO (PORT + 2)
#define LINE (PORT + 3)
#define MODEM (PORT + 4)
#define STATUS (PORT + 5)
#define SCRATCH (PORT + 7)

#define STATUS_RECEIVED 0x01
#define STATUS_EMPTY 0x20
#define FIFO_SIZE 16
#define ISA_IRQ 4

/* One byte takes 87 us at this speed; a poll takes at least 0.1 us. */
#define MAX_POLLS 1000000

#define DEBUG_PORT 0xe9

static struct spinlock lock;
static bool present, stuck, debug_present, ignore_locks;
static void (*receiver)(uint8_t byte);

void serial_init(void)
{
	debug_present = inb(DEBUG_PORT) == DEBUG_PORT;
	outb(SCRATCH, 0xa5);
	present = inb(SCRATCH) == 0xa5 && inb(STATUS) != 0xff;
	if (!present)
		return;
	outb(INTERRUPTS, 0);
	outb(LINE, 0x80); /* divisor latch */
	outb(DATA, 1);    /* 115200 */
	outb(INTERRUPTS, 0);
	outb(LINE, 0x03);  /* 8n1 */
	outb(FIFO, 0x07);  /* on, both cleared, interrupt at one byte */
	outb(MODEM, 0x0b); /* DTR, RTS, OUT2: the interrupt line */
}

static bool wait_empty(void)
{
	for (unsigned i = 0; i < (stuck ? 1 : MAX_POLLS); i++) {
		if (inb(STATUS) & STATUS_EMPTY) {
			stuck = false;
			return true;
		}
		cpu_relax();
	}
	stuck = true;
	return false;
}

static void write_piece(const char *s, size_t n)
{
	while (n) {
		size_t batch = MIN(n, FIFO_SIZE);

		if (!wait_empty())
			return;
		n -= batch;
		while (batch--)
			outb(DATA, *s++);
	}
}

void serial_write(const char *s, size_t n)
{
	if (!present)
		return;
	while (n) {
		size_t piece = MIN(n, 256);

		if (ignore_locks) {
			write_piece(s, piece);
		} else {
			spin_lock(&lock);
			write_piece(s, piece);
			spin_unlock(&lock);
		}
		s += piece;
		n -= piece;
	}
}

void serial_ignore_locks(void)
{
	ignore_locks = true;
}

/* Bounded: others get their turn while bytes keep coming. Turning the
 * interrupt off and on makes a new edge for what is left. */
static void receive(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 4096; i++) {
		if (!(inb(STATUS) & STATUS_RECEIVED))
			return;
		receiver(inb(DATA));
	}
	outb(INTERRUPTS, 0);
	outb(INTERRUPTS, 0x01);
}

void serial_on_receive(void (*fn)(uint8_t byte))
{
	int vector, error;

	receiver = fn;
	if (!present)
		return;
	vector = irq_alloc(receive, NULL);
	error = vector < 0 ? vector : ioapic_route(ISA_IRQ, vector, 0);
	if (error < 0) {
		kprintf("serial: no interrupt (%d), input does not work\n",
			error);
		return;
	}
	outb(INTERRUPTS, 0x01);
	/* What came before the interrupt was on would otherwise wait for the
	 * next byte: an edge-triggered pin tells nothing twice. */
	interrupts_off();
	receive(NULL);
	interrupts_restore();
}

void debugcon_write(const char *s, size_t n)
{
	if (!debug_present)
		return;
	for (; n; n--)
		outb(DEBUG_PORT, *s++);
}
