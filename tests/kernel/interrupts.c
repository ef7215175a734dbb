/* SPDX-License-Identifier: MIT */
/*
 * An owner's interrupts, from asking for vectors to losing them: each error on
 * the way leaves nothing, and no CPU vector is free for others while the device
 * could still raise it. On the real library and the model of a unit.
 */
#include "support/surroundings.h"
#include "assign/assign.h"
#include "assign/interrupts.h"
#include "cpu/irq.h"
#include "fs/file.h"
#include "host/host.h"
#include "lib/errno.h"
#include <iommu/report.h>

#define A 0x10000000ull
#define K 4096ull
#define VECTORS 8u

static struct pci_device *const dev = &functions[0].pci;

static void start(void)
{
	struct space *s;

	surroundings_start(model_personality_find("plain"), MODEL_LAZY, 1);
	surroundings_msix(0);
	s = space_create();
	assert_non_null(s);
	assert_int_equal(
		space_mmap(s, A, K, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		A);
	processes[1] = (struct process){.pid = 1, .space = s, .refs = 1};
	assert_int_equal(assign_attach(address_of(0), 1), 0);
	current_process = &processes[1];
}

static void stop(void)
{
	struct space *s = processes[1].space;

	processes[1].space = NULL;
	space_put(s);
	surroundings_stop();
}

/* As a write to the device's control file does it. */
struct request {
	int (*enable)(struct pci_device *d, unsigned n);
	unsigned n;
};

static int carry_out(struct pci_device *d, void *arg)
{
	const struct request *r = arg;

	return r->enable(d, r->n);
}

static int enable(int (*how)(struct pci_device *d, unsigned n), unsigned n)
{
	struct request r = {how, n};

	return assign_as_owner(dev, carry_out, &r);
}

static int (*const ways[])(struct pci_device *d, unsigned n) = {
	interrupts_enable_msi, interrupts_enable_msix};

/* The device sends message n, as programmed. */
static bool send(bool msix, unsigned n)
{
	const uint32_t *entry = &functions[0].msix_table[4 * n];
	uint64_t address = msix ? entry[0] | (uint64_t)entry[1] << 32
				: functions[0].msi_address;
	uint32_t data = msix ? entry[2] : functions[0].msi_data + n;

	return model_msi(model, 0, bdf_of(0), address, data);
}

static void count_lines(void *arg, const char *text, size_t n)
{
	unsigned *lines = arg;

	for (size_t at = 0; at < n; at++)
		*lines += text[at] == '\n';
}

static unsigned entries(void)
{
	unsigned lines = 0;

	iommu_report_interrupts(host_iommu, count_lines, &lines);
	return lines;
}

static void each_vector_is_counted_by_itself(void **state)
{
	(void)state;
	start();
	for (unsigned way = 0; way < 2; way++) {
		assert_int_equal(enable(ways[way], VECTORS), 0);
		assert_int_equal(interrupts_count(dev), VECTORS);
		for (unsigned n = 0; n < VECTORS; n++) {
			for (unsigned i = 0; i <= n; i++) {
				assert_true(send(way, n));
				assert_int_equal(
					irq_arrives(model_hooks.last_interrupt
							    .vector),
					0);
			}
			assert_int_equal(interrupts_poll(dev, n, NULL), POLLIN);
			assert_int_equal(interrupts_read(dev, n, true), n + 1);
			assert_int_equal(
				interrupts_read(dev, n, true), -EAGAIN);
			assert_int_equal(interrupts_poll(dev, n, NULL), 0);
		}
	}
	stop();
}

static void what_is_not_enabled_is_an_error_to_wait_for(void **state)
{
	(void)state;
	start();
	/* Nobody ever asked for vectors: there is no record of any. */
	assert_null(dev->interrupts);
	assert_int_equal(interrupts_poll(dev, 0, NULL), POLLERR);
	assert_int_equal(interrupts_read(dev, 0, true), -ENODEV);
	assert_int_equal(interrupts_count(dev), 0);
	assert_int_equal(enable(interrupts_enable_msi, 2), 0);
	assert_int_equal(interrupts_poll(dev, 1, NULL), 0);
	assert_int_equal(interrupts_read(dev, 1, true), -EAGAIN);
	for (unsigned n = 2; n < 2 * MAX_DEVICE_VECTORS; n++) {
		assert_int_equal(interrupts_poll(dev, n, NULL), POLLERR);
		assert_int_equal(interrupts_read(dev, n, true), -ENODEV);
	}
	stop();
}

static unsigned freed;

/* Whoever gets the vector next must not hear from the device. */
static void nothing_comes_any_more(int vector)
{
	(void)vector;
	freed++;
	assert_false(functions[0].msi_on);
	assert_false(functions[0].msix_control & 0x8000);
	assert_int_equal(interrupts_count(dev), 0);
	/* Not even if it heeds no enable bit. */
	for (unsigned n = 0; n < VECTORS; n++) {
		assert_false(send(false, n));
		assert_false(send(true, n));
	}
}

enum loss {
	BY_ASKING_FOR_NONE,
	BY_ASKING_ANEW,
	BY_DETACH,
	BY_DEATH,
	LOSSES
};

static void lose(enum loss how, int (*way)(struct pci_device *d, unsigned n))
{
	struct space *s = processes[1].space;

	switch (how) {
	case BY_ASKING_FOR_NONE:
		assert_int_equal(enable(way, 0), 0);
		break;
	case BY_ASKING_ANEW:
		assert_int_equal(enable(way, VECTORS), 0);
		assert_int_equal(freed, VECTORS);
		at_irq_free = NULL;
		assert_int_equal(enable(way, 0), 0);
		break;
	case BY_DETACH:
		assert_int_equal(assign_detach(address_of(0), 1), 0);
		break;
	default:
		space_get(s);
		processes[1].space = NULL;
		space_put(s);
		assert_int_equal(assign_detach(address_of(0), 0), 0);
		processes[1].space = s;
	}
}

static void vectors_are_free_when_nothing_can_raise_them(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2 * LOSSES; n++) {
		unsigned before;

		start();
		before = entries();
		assert_int_equal(enable(ways[n & 1], VECTORS), 0);
		assert_true(entries() > before);
		machine_console[0] = freed = 0;
		at_irq_free = nothing_comes_any_more;
		lose(n / 2, ways[n & 1]);
		at_irq_free = NULL;
		assert_int_equal(freed, VECTORS);
		assert_int_equal(irqs_in_use(), 0);
		assert_int_equal(entries(), before);
		/* An entry that cannot be given back is complained about, and
		 * so is one that was given back already. */
		assert_string_equal(machine_console, "");
		for (unsigned i = 0; i < VECTORS; i++)
			assert_int_equal(
				interrupts_read(dev, i, true), -ENODEV);
		stop();
	}
}

static void no_handler(void *arg)
{
	(void)arg;
}

static void an_error_half_way_keeps_nothing(void **state)
{
	(void)state;
	start();
	for (unsigned way = 0; way < 2; way++)
		for (unsigned left = 0; left < VECTORS; left++) {
			int taken[256], count = 0;
			unsigned before = entries(), in_use;

			/* All CPU vectors but so many are somebody's. */
			while ((taken[count] = irq_alloc(no_handler, NULL)) >=
				0)
				count++;
			for (unsigned n = 0; n < left; n++)
				irq_free(taken[--count]);
			in_use = irqs_in_use();
			assert_int_equal(enable(ways[way], VECTORS), -ENOSPC);
			assert_int_equal(irqs_in_use(), in_use);
			assert_int_equal(entries(), before);
			assert_int_equal(interrupts_count(dev), 0);
			assert_false(functions[0].msi_on);
			assert_false(functions[0].msix_control & 0x8000);
			while (count)
				irq_free(taken[--count]);
			assert_int_equal(enable(ways[way], VECTORS), 0);
			assert_int_equal(enable(ways[way], 0), 0);
		}
	stop();
}

/* What firmware or a former system left on. */
static void messages_are_off_before_the_reset(struct pci_device *d)
{
	if (d == dev)
		assert_false(functions[0].msi_on);
}

static void messages_left_on_are_nobodys(void **state)
{
	(void)state;
	start();
	assert_int_equal(assign_detach(address_of(0), 1), 0);
	functions[0].msi_on = true;
	at_reset = messages_are_off_before_the_reset;
	assert_int_equal(assign_attach(address_of(0), 1), 0);
	at_reset = NULL;
	assert_false(functions[0].msi_on);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_vector_is_counted_by_itself),
		cmocka_unit_test(what_is_not_enabled_is_an_error_to_wait_for),
		cmocka_unit_test(vectors_are_free_when_nothing_can_raise_them),
		cmocka_unit_test(an_error_half_way_keeps_nothing),
		cmocka_unit_test(messages_left_on_are_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
