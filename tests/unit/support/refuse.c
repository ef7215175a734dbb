/* SPDX-License-Identifier: MIT */
#include "refuse.h"

enum {
	FSTS = 0x34,
	FSTS_IQE = 1 << 4,
	IQH = 0x80,
	IQT = 0x88,
};

static struct {
	struct iommu_host real;
	bool refusing;
	uint64_t unseen;
} unit;

static uint64_t refuse_read(
	void *ctx, void *regs, uint32_t offset, unsigned width)
{
	uint64_t value = unit.real.reg_read(ctx, regs, offset, width);

	if (unit.refusing && offset == FSTS)
		return value | FSTS_IQE;
	/* The descriptor before the last. */
	return unit.refusing && offset == IQH ? unit.unseen - 16 : value;
}

static void refuse_write(
	void *ctx, void *regs, uint32_t offset, unsigned width, uint64_t value)
{
	if (unit.refusing && offset == IQT)
		unit.unseen = value;
	else
		unit.real.reg_write(ctx, regs, offset, width, value);
}

void refuse_prepare(struct rig *r)
{
	unit.real = r->hooks;
	r->hooks.reg_read = refuse_read;
	r->hooks.reg_write = refuse_write;
}

void refuse(bool refusing)
{
	unit.refusing = refusing;
}
