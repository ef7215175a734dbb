/* SPDX-License-Identifier: MIT */
/*
 * Devices given to domains and taken back: beside each other, beside the end of
 * domains, beside their pages' unmap.
 */
#include "weave.h"

static enum iommu_status attach_now(struct scene *s, uint16_t bdf, unsigned n)
{
	return iommu_attach(s->r.iommu, id_of(bdf), s->domain[n]);
}

static enum iommu_status detach_now(struct scene *s, uint16_t bdf)
{
	return iommu_detach(s->r.iommu, id_of(bdf));
}

/** Who is told that it is attached may use it at once. */
static void attach_other(struct scene *s)
{
	WEAVE_CHECK(attach_now(s, OTHER, 0) == IOMMU_OK);
	WEAVE_CHECK(reaches_frame(s, OTHER, HERE, 0));
}

/** Who is told that it is detached reaches nothing any more. */
static void detach_dev(struct scene *s)
{
	WEAVE_CHECK(detach_now(s, DEV) == IOMMU_OK);
	WEAVE_CHECK(!reaches(s, DEV, HERE));
}

static void attach_dev(struct scene *s)
{
	WEAVE_CHECK(attach_now(s, DEV, 0) == IOMMU_OK);
	WEAVE_CHECK(reaches_frame(s, DEV, HERE, 0));
}

static void one_page(struct scene *s)
{
	with_domain(s, 0);
	with_page(s, 0, HERE);
}

static void dev_attached(struct scene *s)
{
	one_page(s);
	attach(s, DEV, 0);
}

static void reach(struct scene *s, bool dev, bool other)
{
	WEAVE_CHECK(reaches(s, DEV, HERE) == dev);
	WEAVE_CHECK(reaches(s, OTHER, HERE) == other);
	WEAVE_CHECK(
		iommu_domain_devices(s->domain[0]) == (unsigned)dev + other);
	if (s->frame[0]) {
		ok(iommu_unmap_now(s->domain[0], iommu_iova(HERE), 4096));
		give_away(s, 0);
	}
}

static void both_reach(struct scene *s)
{
	reach(s, true, true);
}

static void other_reaches(struct scene *s)
{
	reach(s, false, true);
}

static void none_reaches(struct scene *s)
{
	reach(s, false, false);
}

/* ---- the same device twice ----------------------------------------------- */

static void attach_or_busy(struct scene *s)
{
	enum iommu_status status = attach_now(s, DEV, 0);

	s->got[weave_cpu()] = status;
	WEAVE_CHECK(status == IOMMU_OK || status == IOMMU_BUSY);
	if (status == IOMMU_OK)
		WEAVE_CHECK(reaches_frame(s, DEV, HERE, 0));
}

static void one_attached(struct scene *s)
{
	WEAVE_CHECK((s->got[0] == IOMMU_OK) + (s->got[1] == IOMMU_OK) == 1);
	reach(s, true, false);
}

static void detach_or_busy(struct scene *s)
{
	enum iommu_status status = detach_now(s, DEV);

	s->got[weave_cpu()] = status;
	if (status == IOMMU_OK || status == IOMMU_NOT_ATTACHED)
		WEAVE_CHECK(!reaches(s, DEV, HERE));
	else
		WEAVE_CHECK(status == IOMMU_BUSY);
}

static void one_detached(struct scene *s)
{
	WEAVE_CHECK((s->got[0] == IOMMU_OK) + (s->got[1] == IOMMU_OK) == 1);
	reach(s, false, false);
}

/* ---- the end of a domain ------------------------------------------------- */

/** The host tries until the last device is gone, as a process's exit does. */
static void destroy_when_unused(struct scene *s)
{
	enum iommu_status status = iommu_domain_destroy(s->domain[0]);

	WEAVE_CHECK(status == IOMMU_OK || status == IOMMU_IN_USE);
	if (status == IOMMU_OK) {
		s->domain[0] = NULL;
		give_away(s, 0);
	}
}

static void perhaps_destroyed(struct scene *s)
{
	WEAVE_CHECK(!reaches(s, DEV, HERE));
	if (s->frame[0])
		reach(s, false, false);
}

static void two_domains(struct scene *s)
{
	one_page(s);
	with_domain(s, 1);
	attach(s, OTHER, 1);
	ok(iommu_detach(s->r.iommu, id_of(OTHER)));
}

static void destroy_second(struct scene *s)
{
	WEAVE_CHECK(iommu_domain_destroy(s->domain[1]) == IOMMU_OK);
	s->domain[1] = NULL;
}

static void create_second(struct scene *s)
{
	struct iommu_domain_config config = {.kind = IOMMU_DOMAIN_MAPPED};

	WEAVE_CHECK(iommu_domain_create(s->r.iommu, &config, &s->domain[1]) ==
		IOMMU_OK);
	WEAVE_CHECK(attach_now(s, OTHER, 1) == IOMMU_OK);
	WEAVE_CHECK(!reaches(s, OTHER, HERE));
}

static void dev_reaches(struct scene *s)
{
	reach(s, true, false);
}

/* ---- domain ids ---------------------------------------------------------- */

/** The id that the one gives back the other may take. */
static void own_domains(struct scene *s)
{
	dev_attached(s);
	with_domain(s, 1);
	s->frame[1] = model_page_alloc(s->r.m, 0, OWNER);
	ok(iommu_map(s->domain[1], iommu_iova(HERE), iommu_phys(s->frame[1]),
		4096, RW));
}

static void attach_to_second(struct scene *s)
{
	WEAVE_CHECK(attach_now(s, OTHER, 1) == IOMMU_OK);
	WEAVE_CHECK(reaches_frame(s, OTHER, HERE, 1));
}

static void two_ids(struct scene *s)
{
	struct iommu_device_info dev, other;

	WEAVE_CHECK(reaches_frame(s, OTHER, HERE, 1));
	if (iommu_domain_devices(s->domain[0])) {
		WEAVE_CHECK(reaches_frame(s, DEV, HERE, 0));
		ok(iommu_device_info(s->r.iommu, id_of(DEV), &dev));
		ok(iommu_device_info(s->r.iommu, id_of(OTHER), &other));
		WEAVE_CHECK(dev.did != other.did);
	} else {
		WEAVE_CHECK(!reaches(s, DEV, HERE));
	}
	ok(iommu_unmap_now(s->domain[0], iommu_iova(HERE), 4096));
	ok(iommu_unmap_now(s->domain[1], iommu_iova(HERE), 4096));
	give_away(s, 0);
	give_away(s, 1);
}

static void none_attached(struct scene *s)
{
	own_domains(s);
	ok(iommu_detach(s->r.iommu, id_of(DEV)));
}

/* ---- beside an unmap ----------------------------------------------------- */

static void unmap(struct scene *s)
{
	WEAVE_CHECK(iommu_unmap_now(s->domain[0], iommu_iova(HERE), 4096) ==
		IOMMU_OK);
	give_away(s, 0);
}

static void unmap_table(struct scene *s)
{
	WEAVE_CHECK(iommu_unmap_now(s->domain[0], iommu_iova(HERE),
			    TABLE_SIZE) == IOMMU_OK);
	give_away(s, 0);
}

static void attach_other_anyhow(struct scene *s)
{
	WEAVE_CHECK(attach_now(s, OTHER, 0) == IOMMU_OK);
}

static void other_attached_only(struct scene *s)
{
	WEAVE_CHECK(!reaches(s, OTHER, HERE));
	WEAVE_CHECK(!reaches(s, DEV, HERE));
}

/** It is gone without a word: nothing of it may be waited for. */
static void remove_dev(struct scene *s)
{
	WEAVE_CHECK(iommu_device_removed(s->r.iommu, id_of(DEV)) == IOMMU_OK);
	WEAVE_CHECK(!reaches(s, DEV, HERE));
}

#define KINDS "plain -non-coherent -worst-memory -caching -no-qi"

const struct pair pairs_of_devices[] = {
	{"attach-detach", KINDS, dev_attached, {attach_other, detach_dev},
		other_reaches},
	{"attach-attach", KINDS, one_page, {attach_dev, attach_other},
		both_reach},
	{"attach-attach-same", KINDS, one_page,
		{attach_or_busy, attach_or_busy}, one_attached},
	{"detach-detach-same", KINDS, dev_attached,
		{detach_or_busy, detach_or_busy}, one_detached},
	{"detach-destroy", KINDS, dev_attached,
		{detach_dev, destroy_when_unused}, perhaps_destroyed},
	{"attach-destroy", KINDS, two_domains, {attach_dev, destroy_second},
		dev_reaches},
	{"attach-create", "-plain -non-coherent --caching", one_page,
		{attach_dev, create_second}, dev_reaches},
	{"id-free-alloc", KINDS, own_domains, {detach_dev, attach_to_second},
		two_ids},
	{"id-alloc-alloc", KINDS, none_attached, {attach_dev, attach_to_second},
		two_ids},
	{"detach-unmap", KINDS, dev_attached, {detach_dev, unmap},
		none_reaches},
	{"attach-unmap", KINDS, dev_attached,
		{attach_other_anyhow, unmap_table}, other_attached_only},
	{"remove-unmap", KINDS, dev_attached, {remove_dev, unmap},
		none_reaches},
	{.name = NULL},
};
