/* SPDX-License-Identifier: MIT */
/*
 * Devices that do DMA through the machine's units: a simple engine with
 * registers, a copy engine with descriptor chains, and one that means harm.
 */
#ifndef MODEL_DEVICES_H
#define MODEL_DEVICES_H

#include <model/model.h>

/* ---- a teaching device: one transfer at a time --------------------------- */

/** Registers of the simple engine, 64 bits each but where noted. Addresses
 *  inside the device start at MODEL_EDU_BUFFER. */
enum {
	MODEL_EDU_ID = 0x00,     /* 32 bits, 0x010000ed */
	MODEL_EDU_STATUS = 0x24, /* interrupt status, 32 bits */
	MODEL_EDU_ACK = 0x64,    /* 32 bits */
	MODEL_EDU_SOURCE = 0x80,
	MODEL_EDU_TARGET = 0x88,
	MODEL_EDU_COUNT = 0x90,
	MODEL_EDU_COMMAND = 0x98, /* 1 run, 2 from device, 4 interrupt */
	MODEL_EDU_BUFFER = 0x40000,
	MODEL_EDU_SIZE = 4096,
};

struct model_edu {
	struct model *m;
	uint16_t segment, bdf;
	uint64_t source, target, count, command;
	uint32_t status;
	uint8_t buffer[MODEL_EDU_SIZE];
	/** Where its interrupt goes; address 0: nowhere. */
	uint64_t msi_address;
	uint32_t msi_data;
	/** Transfers refused so far. */
	unsigned refused;
};

void model_edu_init(
	struct model_edu *e, struct model *m, uint16_t segment, uint16_t bdf);
uint64_t model_edu_read(struct model_edu *e, unsigned offset);
/** Writing the command runs the transfer at once. */
void model_edu_write(struct model_edu *e, unsigned offset, uint64_t value);

/* ---- a copy engine with chains of descriptors ---------------------------- */

/** Function registers, and those of its channel from 0x80 on, as a driver of
 *  Intel's CBDMA (I/OAT) version 3.3 knows them. */
enum {
	MODEL_CBDMA_CHANCNT = 0x00,
	MODEL_CBDMA_XFERCAP = 0x01,
	MODEL_CBDMA_INTRCTRL = 0x03,
	MODEL_CBDMA_VERSION = 0x08,
	MODEL_CBDMA_CAPABILITY = 0x10,
	MODEL_CBDMA_CHANCTRL = 0x80,
	MODEL_CBDMA_CHANCMD = 0x84,
	MODEL_CBDMA_DMACOUNT = 0x86,
	MODEL_CBDMA_CHANSTS = 0x88,
	MODEL_CBDMA_CHAINADDR = 0x90,
	MODEL_CBDMA_CHANCMP = 0x98,
	MODEL_CBDMA_CHANERR = 0xa8,
	MODEL_CBDMA_CHANERRMASK = 0xac,
};

enum model_cbdma_state {
	MODEL_CBDMA_ACTIVE,
	MODEL_CBDMA_DONE,
	MODEL_CBDMA_SUSPENDED,
	MODEL_CBDMA_HALTED,
	MODEL_CBDMA_ARMED,
};

struct model_cbdma {
	struct model *m;
	uint16_t segment, bdf;
	enum model_cbdma_state state;
	uint16_t chanctrl, dmacount, executed;
	uint64_t chain, next, last, completion;
	uint32_t error, error_mask;
	uint8_t intrctrl;
	bool armed;
	uint64_t msi_address;
	uint32_t msi_data;
};

void model_cbdma_init(
	struct model_cbdma *c, struct model *m, uint16_t segment, uint16_t bdf);
/** width: 1, 2, 4 or 8 bytes. */
uint64_t model_cbdma_read(
	struct model_cbdma *c, unsigned offset, unsigned width);
/** Writing DMACOUNT runs the chain at once. */
void model_cbdma_write(
	struct model_cbdma *c, unsigned offset, unsigned width, uint64_t value);

/* ---- many queues, served at random ----------------------------------------
 */

/** Registers, 64 bits each; those of queue n begin at MODEL_MANY_FIRST + n *
 *  MODEL_MANY_STRIDE. */
enum {
	MODEL_MANY_QUEUES = 16,
	MODEL_MANY_COUNT = 0x00,
	MODEL_MANY_FIRST = 0x100,
	MODEL_MANY_STRIDE = 0x40,
	MODEL_MANY_RING = 0x00,    /* I/O address of the first descriptor */
	MODEL_MANY_ENTRIES = 0x08, /* of the ring */
	MODEL_MANY_TAIL = 0x10,    /* first that is not to be done */
	MODEL_MANY_HEAD = 0x18,    /* being done; read-only */
	MODEL_MANY_ON = 0x20,
};

/** Of a descriptor: flags and status. */
enum {
	MODEL_MANY_INTERRUPT = 1,
	MODEL_MANY_DONE = 1,
	MODEL_MANY_REFUSED = 2,
};

struct model_many_descriptor {
	uint64_t source, target;
	uint32_t length, flags;
	uint64_t status;
};

enum model_many_stage {
	MODEL_MANY_FETCH,
	MODEL_MANY_MOVE,
	MODEL_MANY_STORE,
};

struct model_many_queue {
	bool on, failed;
	uint64_t ring;
	uint32_t entries, head, tail;
	enum model_many_stage stage;
	struct model_many_descriptor now;
	uint32_t moved;
};

struct model_many {
	struct model *m;
	uint16_t segment, bdf;
	uint64_t seed;
	struct model_many_queue queue[MODEL_MANY_QUEUES];
	/** Queue n raises msi_data + n; address 0: none. */
	uint64_t msi_address;
	uint32_t msi_data;
	/** Descriptors done, bytes moved, requests refused. */
	uint64_t finished, moved, refused;
};

void model_many_init(struct model_many *d, struct model *m, uint16_t segment,
	uint16_t bdf, uint64_t seed);
uint64_t model_many_read(struct model_many *d, unsigned offset);
void model_many_write(struct model_many *d, unsigned offset, uint64_t value);
/** Lets queues with work take that many steps, one after the other as chance
 *  has it. Returns how many were taken. */
unsigned model_many_work(struct model_many *d, unsigned steps);

/* ---- one that means harm ------------------------------------------------- */

struct model_attacker {
	struct model *m;
	uint16_t segment, bdf;
	uint64_t seed;
	/** Requests made, refused, let through; interrupts that arrived. */
	uint64_t tried, refused, through, interrupts;
};

void model_attacker_init(struct model_attacker *a, struct model *m,
	uint16_t segment, uint16_t bdf, uint64_t seed);

/**
 * One hostile act: reads, writes, atomics and posted writes at guessed
 * addresses (memory, tables, registers of units, around what it may use, wild
 * ones), forged interrupts in every format, requests marked "translated",
 * translation requests. hint is an address that it knows about. Accesses to
 * other owners' pages are violations by model_device_expect().
 */
void model_attacker_act(struct model_attacker *a, uint64_t hint);

#endif
