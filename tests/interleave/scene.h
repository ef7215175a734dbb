/* SPDX-License-Identifier: MIT */
/*
 * The machine that pairs of calls race on, and what they leave to be looked at.
 * It is copied with each snapshot: no pointers to what it owns elsewhere.
 */
#ifndef TESTS_INTERLEAVE_SCENE_H
#define TESTS_INTERLEAVE_SCENE_H

#include <iommu/dma.h>
#include <model/host.h>
#include <model/model.h>
#include <string.h>

#define DEV MODEL_BDF(0, 3, 0)
#define OTHER MODEL_BDF(0, 4, 0)
#define ATS MODEL_BDF(0, 2, 0)

#define RW (IOMMU_READ | IOMMU_WRITE)
/** Two neighbours in one leaf table, and one in the leaf table beside. */
#define HERE 0x40000000ull
#define BESIDE 0x40001000ull
#define NEXT 0x40200000ull
#define TABLE_SIZE 0x200000ull

enum {
	/** Owner of frames. */
	OWNER = 9,
	FRAMES = 4,
};

struct rig {
	struct model *m;
	struct model_host host;
	struct iommu_host hooks;
	struct iommu_options options;
	struct iommu *iommu;
};

struct scene {
	struct rig r;
	struct iommu_domain *domain[2];
	struct iommu_dma *dma;
	uint64_t frame[FRAMES];
	iommu_iova_t iova[2];
	struct iommu_irq irq[2];
	/** What the CPUs' calls answered. */
	enum iommu_status got[2];
	unsigned count;
	/** Both CPUs say that they are the first. */
	bool one_cpu;
	/** A unit did not confirm: the library keeps pages for good. */
	bool withheld;
};

/* ---- making and ending ---- */

/** A machine with the library started. */
void scene_open(struct scene *s, const char *kind);
/** Takes everything down; nothing may be left. */
void scene_close(struct scene *s);

/* ---- short ways to say things ---- */

struct iommu_device_id id_of(uint16_t bdf);
/** In before() and after(): the status must be IOMMU_OK. */
void ok(enum iommu_status status);
/** A mapped domain in s->domain[n]. */
void with_domain(struct scene *s, unsigned n);
/** Takes frame n and maps it in domain 0. */
void with_page(struct scene *s, unsigned n, uint64_t iova);
void attach(struct scene *s, uint16_t bdf, unsigned n);
/** A device tries a page. */
bool reaches(struct scene *s, uint16_t bdf, uint64_t iova);
/** Where the device's write goes: to that frame and nowhere else. */
bool reaches_frame(struct scene *s, uint16_t bdf, uint64_t iova, unsigned n);
/** Nothing refers to the frame any more: it goes to somebody else. */
void give_away(struct scene *s, unsigned n);

#endif
