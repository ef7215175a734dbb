/* SPDX-License-Identifier: MIT */
/*
 * What the files of the careful driver share. Caller holds the lock.
 */
#ifndef EXAMPLES_CAREFUL_UNIT_H
#define EXAMPLES_CAREFUL_UNIT_H

#include "driver.h"
#include "os.h"

enum {
	CAP = 0x08,
	ECAP = 0x10,
	GCMD = 0x18,
	GSTS = 0x1c,
	RTADDR = 0x20,
	CCMD = 0x28,
	FSTS = 0x34,
	FECTL = 0x38,
	FEDATA = 0x3c,
	FEADDR = 0x40,
	FEUADDR = 0x44,
	PMEN = 0x64,
	IQH = 0x80,
	IQT = 0x88,
	IQA = 0x90,
	ICS = 0x9c,
	IECTL = 0xa0,
	IRTA = 0xb8,
};

/* Of GCMD and GSTS. */
#define TE (1u << 31)
#define SRTP (1u << 30)
#define WBF (1u << 27)
#define QIE (1u << 26)
#define IRE (1u << 25)
#define SIRTP (1u << 24)
#define CFI (1u << 23)

/* Of FSTS. */
#define PFO (1u << 0)
#define PPF (1u << 1)
#define IQE (1u << 4)
#define ICE (1u << 5)
#define ITE (1u << 6)

#define CAP_PMR(u) ((u)->cap >> 5 & 3)
#define CAP_CM(u) ((u)->cap >> 7 & 1)
#define CAP_DWD(u) ((u)->cap >> 54 & 1)
#define CAP_DRD(u) ((u)->cap >> 55 & 1)
#define ECAP_C(u) ((u)->ecap & 1)
#define ECAP_QI(u) ((u)->ecap >> 1 & 1)
#define ECAP_DT(u) ((u)->ecap >> 2 & 1)
#define ECAP_IR(u) ((u)->ecap >> 3 & 1)
#define ECAP_EIMER(u) ((u)->ecap >> 61 & 1)

#define PRESENT 1ull
#define ADDRESS 0x000ffffffffff000ull

#define SECOND 1000000000ull

static inline uint32_t get32(struct careful_unit *u, uint32_t offset)
{
	return os_read32(u->regs + offset);
}

static inline uint64_t get64(struct careful_unit *u, uint32_t offset)
{
	return os_read64(u->regs + offset);
}

static inline void set32(struct careful_unit *u, uint32_t offset, uint32_t v)
{
	os_write32(u->regs + offset, v);
}

static inline void set64(struct careful_unit *u, uint32_t offset, uint64_t v)
{
	os_write64(u->regs + offset, v);
}

/* unit.c */
bool await(struct careful_unit *u, uint32_t offset, uint32_t bits,
	uint32_t wanted);
bool command(struct careful_unit *u, uint32_t bit, bool on);
void write_back(struct careful_unit *u, uint64_t phys, size_t len);
uint64_t table_new(struct careful_unit *u);

/* tables.c */
void ats_switch(struct careful_device *dev, bool on);

/* flush.c; each flush may be late, flush_wait() is when they are done. */
enum scope {
	ALL = 1,
	DOMAIN = 2,
	DEVICE = 3
};

bool queue_start(struct careful_unit *u);
bool queue_stop(struct careful_unit *u);
void flush_contexts(
	struct careful_unit *u, enum scope scope, uint16_t did, uint16_t bdf);
void flush_iotlb(struct careful_unit *u, enum scope scope, uint16_t did);
void flush_device(
	struct careful_unit *u, uint16_t bdf, uint64_t first, uint64_t last);
void flush_irqs(struct careful_unit *u, int index);
int flush_wait(struct careful_unit *u);

#endif
