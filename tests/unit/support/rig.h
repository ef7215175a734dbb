/* SPDX-License-Identifier: MIT */
/*
 * A model machine with the library on it, for tests of the library.
 */
#ifndef TESTS_UNIT_RIG_H
#define TESTS_UNIT_RIG_H

#include <iommu/iommu.h>
#include <model/host.h>
#include <model/model.h>

/** A call of the library that has to succeed. */
#define OK(call) assert_int_equal(call, IOMMU_OK)
/** Fails, in words, unless a call answered as it had to. */
void rig_answers(enum iommu_status got, enum iommu_status wanted);

/** Functions of the usual machine (model_create_simple). */
#define RIG_DEV MODEL_BDF(0, 3, 0)
#define RIG_OTHER MODEL_BDF(0, 4, 0)
#define RIG_ATS MODEL_BDF(0, 2, 0)
#define RIG_BEHIND_PORT MODEL_BDF(1, 0, 0)
#define RIG_BEHIND_BRIDGE MODEL_BDF(2, 1, 0)
/** Functions of a row of devices (rig_open_row). */
#define RIG_ROW(n) MODEL_BDF(0, n, 0)

struct rig {
	struct model *m;
	struct model_host host;
	/** What the library is given by rig_start(). */
	struct iommu_host hooks;
	struct iommu_options options;
	uint8_t dmar[4096];
	size_t dmar_size;
	/** NULL until then. */
	struct iommu *iommu;
};

/* ---- from opening to closing --------------------------------------------- */

/** The usual machine with one unit of this kind. Hooks, options and table are
 *  made, and may be changed before rig_start(). */
void rig_open(
	struct rig *r, const char *kind, enum model_mode mode, uint64_t seed);
/** The same of two units: RIG_OTHER and bus 2 are behind the second. */
void rig_open_two(struct rig *r, const char *first, const char *second,
	enum model_mode mode);
/** A lazy machine of one unit with integrated devices RIG_ROW(1) to
 *  RIG_ROW(count), with TLBs of their own or without. */
void rig_open_row(
	struct rig *r, const char *kind, unsigned count, bool with_tlbs);
/** A machine that exists; the rig owns it from now on. */
void rig_open_machine(struct rig *r, struct model *m);

/** Creates the instance and discovers. Returns the first status that is not
 *  IOMMU_OK. */
enum iommu_status rig_discover(struct rig *r);
/** The same, and starts. */
enum iommu_status rig_start(struct rig *r);
/** The same; the test fails if that fails. */
void rig_start_ok(struct rig *r);
/** rig_open() and rig_start_ok(). */
void rig_run(
	struct rig *r, const char *kind, enum model_mode mode, uint64_t seed);

/** Destroys the instance and the machine. Nothing may be left, and no rule
 *  may have been broken. */
void rig_close(struct rig *r);
/** The same without looking at violations. */
void rig_close_anyhow(struct rig *r);

/* ---- meanwhile ----------------------------------------------------------- */

/** No rule was broken so far and nothing stale is cached. */
void rig_check(struct rig *r);

/** A function of segment 0, for the library's calls. */
struct iommu_device_id rig_id(uint16_t bdf);
/** What the library says of it: IOMMU_OK if a unit translates for it. */
enum iommu_status rig_status_of(struct rig *r, uint16_t bdf);
/** A mapped domain of the default width, with nothing in it. */
struct iommu_domain *rig_mapped_domain(struct rig *r);
/** A page of somebody (owner >= 2). */
uint64_t rig_frame(struct rig *r, unsigned owner);

/** DMA of 8 bytes. */
bool rig_can_read(struct rig *r, uint16_t bdf, uint64_t iova);
bool rig_can_write(struct rig *r, uint16_t bdf, uint64_t iova);

/** Takes all faults that are recorded, each of which has words; returns how
 *  many there were. */
unsigned rig_take_faults(struct rig *r);

/** Takes the structure of the last unit out of the table, before rig_start():
 *  for a unit that comes later. Returns its size. */
size_t rig_take_unit_out(struct rig *r, uint8_t out[256]);

/** Kinds that the library can use: all with a second stage. */
bool rig_kind_usable(const struct model_personality *kind);

/* ---- tables that a host owns, for shared domains ------------------------- */

/** Owner of the host's table pages. */
#define RIG_TABLES 200

struct rig_space {
	struct rig *r;
	/** Tables of 5, 4 and 3 levels that share their lower parts. */
	uint64_t root[6];
	struct iommu_domain *domain;
};

/** Empty tables, and a shared domain on them. */
void rig_space_open(struct rig_space *s, struct rig *r);
/** Stores a leaf (0 removes it), makes tables above, writes back if the
 *  domain's devices need it. Records nothing: the caller flushes. */
void rig_space_set(struct rig_space *s, uint64_t iova, uint64_t entry);
/** The same at level 2 (2 MiB). */
void rig_space_set_large(struct rig_space *s, uint64_t iova, uint64_t entry);
/** Maps and flushes as the library asks. */
void rig_space_map(
	struct rig_space *s, uint64_t iova, uint64_t pa, unsigned rights);
/** Unmaps, flushes, and expects it confirmed. */
void rig_space_unmap(struct rig_space *s, uint64_t iova);
/** Unlinks the lowest table at an address and returns it, 0 if there is none.
 *  The caller flushes and frees it. */
uint64_t rig_space_unlink(struct rig_space *s, uint64_t iova);
/** Writes all tables back, as a host does before it attaches a device that
 *  asks for it. */
void rig_space_write_back(struct rig_space *s);
/** Attaches, with what the device's duties ask for before. */
enum iommu_status rig_space_attach(struct rig_space *s, uint16_t bdf);
/** Ends the domain and frees the tables. */
void rig_space_close(struct rig_space *s);
/** Frees the tables only. */
void rig_space_free(struct rig_space *s);

#endif
