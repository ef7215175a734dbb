/* SPDX-License-Identifier: MIT */
/*
 * QEMU's teaching device "edu" (1234:11e8): one DMA engine between memory and a
 * buffer of 4 KiB inside the device. Registers below 0x80 take 4-byte accesses
 * only. It says nothing of a transfer that the I/O MMU refused: the run bit
 * clears as always, a refused read leaves zeros in the buffer.
 */
#ifndef USER_EDU_H
#define USER_EDU_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define EDU_BAR_SIZE 0x100000
#define EDU_ID 0x00
#define EDU_ID_VALUE 0x010000edu
#define EDU_VENDOR 0x1234
#define EDU_DEVICE 0x11e8
#define EDU_LIVENESS 0x04
#define EDU_FACTORIAL 0x08
#define EDU_STATUS 0x20
#define EDU_COMPUTING 1u
#define EDU_INTERRUPT_WHEN_DONE 0x80u
#define EDU_INTERRUPT_STATUS 0x24
#define EDU_INTERRUPT_RAISE 0x60
#define EDU_INTERRUPT_ACK 0x64
#define EDU_DMA_SOURCE 0x80
#define EDU_DMA_TARGET 0x88
#define EDU_DMA_COUNT 0x90
#define EDU_DMA_COMMAND 0x98
#define EDU_RUN 1u
#define EDU_TO_MEMORY 2u
#define EDU_BUFFER 0x40000
/* A transfer must end before the last byte of the buffer, or QEMU aborts. */
#define EDU_BUFFER_SIZE 4095u

static inline uint32_t edu_read(volatile void *edu, unsigned reg)
{
	return *(volatile uint32_t *)((volatile char *)edu + reg);
}

static inline void edu_write(volatile void *edu, unsigned reg, uint64_t value)
{
	*(volatile uint64_t *)((volatile char *)edu + reg) = value;
}

static inline int edu_running(volatile void *edu)
{
	return edu_read(edu, EDU_DMA_COMMAND) & EDU_RUN;
}

/* The engine takes a tenth of a second; there is no need to look all the time.
 */
static inline void edu_wait(volatile void *edu)
{
	struct timespec pause = {.tv_nsec = 1000000};

	while (edu_running(edu))
		nanosleep(&pause, NULL);
}

/* Memory to the device's buffer. count is 1 to EDU_BUFFER_SIZE. */
static inline void edu_start_load(
	volatile void *edu, uint64_t address, size_t count)
{
	edu_write(edu, EDU_DMA_SOURCE, address);
	edu_write(edu, EDU_DMA_TARGET, EDU_BUFFER);
	edu_write(edu, EDU_DMA_COUNT, count);
	edu_write(edu, EDU_DMA_COMMAND, EDU_RUN);
}

/* The device's buffer to memory. */
static inline void edu_start_store(
	volatile void *edu, uint64_t address, size_t count)
{
	edu_write(edu, EDU_DMA_SOURCE, EDU_BUFFER);
	edu_write(edu, EDU_DMA_TARGET, address);
	edu_write(edu, EDU_DMA_COUNT, count);
	edu_write(edu, EDU_DMA_COMMAND, EDU_RUN | EDU_TO_MEMORY);
}

static inline void edu_load(volatile void *edu, uint64_t address, size_t count)
{
	edu_start_load(edu, address, count);
	edu_wait(edu);
}

static inline void edu_store(volatile void *edu, uint64_t address, size_t count)
{
	edu_start_store(edu, address, count);
	edu_wait(edu);
}

#endif
