/* SPDX-License-Identifier: MIT */
/*
 * A QEMU without a guest: its VT-d unit and devices are driven from this
 * process. Registers and ports go through the test socket, memory is a file
 * that both sides map, the CPU sleeps.
 */
#ifndef QTEST_QEMU_H
#define QTEST_QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <iommu/iommu.h>

/** A call of the library that has to succeed. */
#define OK(call) assert_int_equal(call, IOMMU_OK)

enum {
	QEMU_MEMORY = 64 << 20,
	QEMU_UNIT = 0xfed90000,
	/** Where the devices' first windows are put. */
	QEMU_BARS = 0xe0000000,
};

struct qemu {
	pid_t pid;
	int socket;
	char memory_path[64];
	char trace_path[64];
	char rom_path[64];
	uint8_t *memory;
	uint32_t next_page;
	unsigned pages_out;
	unsigned cache_flushes;
	unsigned bars;
	/** The trace, read as far as qemu_arrived() got. */
	void *trace;
	/** Bytes of an answer not taken yet. */
	char buffer[4096];
	size_t filled;
};

/** Starts a machine with these options of intel-iommu and extra arguments
 *  (NULL-terminated). Ends the process with a message if that fails. */
void qemu_start(struct qemu *q, const char *unit, const char *const *extra);
void qemu_stop(struct qemu *q);

uint64_t qemu_read(struct qemu *q, uint64_t at, unsigned width);
void qemu_write(struct qemu *q, uint64_t at, unsigned width, uint64_t value);

uint32_t qemu_config_read(
	struct qemu *q, unsigned rid, unsigned offset, unsigned width);
void qemu_config_write(struct qemu *q, unsigned rid, unsigned offset,
	unsigned width, uint32_t value);
/** The next message that reached a CPU's APIC: destination, logical, delivery
 *  mode, vector, level-triggered. False: no more came. */
bool qemu_arrived(struct qemu *q, unsigned out[5]);
/** Gives a device's first window an address, memory and bus mastering on. */
uint64_t qemu_bar0(struct qemu *q, unsigned rid);
/** The function with this vendor and device id, instance n; -1 if none. */
int qemu_find(struct qemu *q, uint16_t vendor, uint16_t device, unsigned n);

/** The DMAR table that the machine's firmware would see. Returns its size. */
size_t qemu_dmar(struct qemu *q, void *out, size_t size);

/** 2^order pages at that alignment, zeroed. */
uint64_t qemu_pages(struct qemu *q, unsigned order);
void *qemu_at(struct qemu *q, uint64_t phys);
/** The library's hooks on this machine. */
void qemu_host(struct qemu *q, struct iommu_host *out);

/* The edu device: copies between memory and a buffer of its own. */

/** Memory to buffer, or back. */
void edu_dma(struct qemu *q, uint64_t bar, bool to_memory, uint64_t address,
	uint32_t offset, uint32_t count);
/** Writes a byte pattern to memory through the device: true if it arrived at
 *  the given place in memory. */
bool edu_reaches(struct qemu *q, uint64_t bar, uint64_t iova, uint64_t phys);

#endif
