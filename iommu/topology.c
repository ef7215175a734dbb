/* SPDX-License-Identifier: MIT */
/*
 * What PCI configuration space says about a function: whether it is there, a
 * bridge, a virtual function, and which ids its requests may carry on the way
 * to the unit (VT-d 3.4.1). Also which functions can reach each other without
 * passing the unit, because nothing between them redirects requests upstream
 * (PCI Express access control services). Everything read is untrusted; every
 * loop is bounded.
 */
#include "internal.h"

enum {
	CONFIG_VENDOR = 0x00,
	CONFIG_STATUS = 0x06,
	CONFIG_HEADER = 0x0e,
	CONFIG_SECONDARY = 0x19,
	CONFIG_SUBORDINATE = 0x1a,
	CONFIG_CAPABILITIES = 0x34,
	STATUS_CAPABILITIES = 0x10,
	HEADER_BRIDGE = 1,
	HEADER_CARDBUS = 2,
	HEADER_MULTI = 0x80,
	CAP_PCIE = 0x10,
	/** In the capability's first word: type of port in bits 7:4. */
	PCIE_FLAGS = 2,
	PCIE_TO_PCI = 7,
	PCI_TO_PCIE = 8,
	PCIE_DEVICE_CAP = 4,
	PCIE_DEVICE_CONTROL = 8,
	PHANTOM_ENABLE = 1 << 9,
	PORT_ROOT = 4,
	PORT_DOWNSTREAM = 6,
	EXT_CAP_ACS = 0x0d,
	ACS_CAPABILITY = 4,
	ACS_CONTROL = 6,
	/** Source validation, request and completion redirect, upstream
	 *  forwarding. */
	ACS_WANTED = 0x1d,
	EXT_CAP_ATS = 0x0f,
	EXT_CAP_SRIOV = 0x10,
	SRIOV_NUM_VFS = 0x10,
	SRIOV_OFFSET = 0x14,
	SRIOV_STRIDE = 0x16,
	/** Buses below a virtual function's own on which its physical
	 *  function is looked for. */
	SRIOV_BUSES = 4,
	MAX_CAPS = 48,
	MAX_EXT_CAPS = 480,
	MAX_DEPTH = 32,
};

uint32_t topology_config(const struct iommu *iommu, struct iommu_device_id id,
	unsigned offset, unsigned width)
{
	uint32_t value = iommu->host.pci_read(iommu->host.ctx, id.segment,
		(uint8_t)(id.requester >> 8), (uint8_t)id.requester,
		(uint16_t)offset, width);

	/* Some hosts answer with 32 ones where nothing is, whatever the
	 * width. */
	return value & (uint32_t)((1ull << 8 * width) - 1);
}

bool topology_exists(const struct iommu *iommu, struct iommu_device_id id)
{
	return topology_config(iommu, id, CONFIG_VENDOR, 2) != 0xffff;
}

/* The ones that are read where nothing is are no bridge's type. */
bool topology_is_bridge(const struct iommu *iommu, struct iommu_device_id id)
{
	unsigned type = topology_config(iommu, id, CONFIG_HEADER, 1) & 0x7f;

	return type == HEADER_BRIDGE || type == HEADER_CARDBUS;
}

struct topology_buses topology_below(
	const struct iommu *iommu, struct iommu_device_id bridge)
{
	return (struct topology_buses){
		topology_config(iommu, bridge, CONFIG_SECONDARY, 1),
		topology_config(iommu, bridge, CONFIG_SUBORDINATE, 1)};
}

static struct iommu_device_id first_function(struct iommu_device_id id)
{
	id.requester &= 0xfff8;
	return id;
}

/** Whether a function's device has others. */
static bool has_neighbours(const struct iommu *iommu, struct iommu_device_id id)
{
	return topology_config(iommu, first_function(id), CONFIG_HEADER, 1) &
		HEADER_MULTI;
}

static unsigned find_cap(
	const struct iommu *iommu, struct iommu_device_id id, unsigned wanted)
{
	unsigned at;

	if (!(topology_config(iommu, id, CONFIG_STATUS, 2) &
		    STATUS_CAPABILITIES))
		return 0;
	at = topology_config(iommu, id, CONFIG_CAPABILITIES, 1);
	for (unsigned n = 0; n < MAX_CAPS && (at &= 0xfc) >= 0x40; n++) {
		uint32_t head = topology_config(iommu, id, at, 2);

		if ((head & 0xff) == wanted)
			return at;
		at = head >> 8;
	}
	return 0;
}

static unsigned find_ext_cap(
	const struct iommu *iommu, struct iommu_device_id id, unsigned wanted)
{
	unsigned at = 0x100;

	for (unsigned n = 0; n < MAX_EXT_CAPS && at >= 0x100; n++) {
		uint32_t head = topology_config(iommu, id, at, 4);

		if (!head || head == ~0u)
			return 0;
		if ((head & 0xffff) == wanted)
			return at;
		at = head >> 20 & 0xffc;
	}
	return 0;
}

/** The type of a PCIe port, or -1 for conventional PCI. */
static int port_type(const struct iommu *iommu, struct iommu_device_id id)
{
	unsigned cap = find_cap(iommu, id, CAP_PCIE);

	if (!cap)
		return -1;
	return topology_config(iommu, id, cap + PCIE_FLAGS, 2) >> 4 & 0xf;
}

/* ---- functions that have to do with a function ---- */

typedef bool relation(const struct iommu *iommu, struct iommu_device_id other,
	struct iommu_device_id id);

/** Looks for a function that is something to another, so many buses below its
 *  own. */
static bool search(const struct iommu *iommu, struct iommu_device_id id,
	unsigned nearest, unsigned farthest, relation *is,
	struct iommu_device_id *out)
{
	unsigned bus = id.requester >> 8;

	for (unsigned n = nearest; n <= farthest && n <= bus; n++)
		for (unsigned devfn = 0; devfn < DEVFNS;) {
			struct iommu_device_id at = {
				id.segment, (uint16_t)((bus - n) << 8 | devfn)};
			bool exists = topology_exists(iommu, at);
			/* A device's first function says if it has others. */
			bool whole = devfn % 8 == 0 &&
				!(exists && has_neighbours(iommu, at));

			if (exists && is(iommu, at, id)) {
				*out = at;
				return true;
			}
			devfn += whole ? 8 : 1;
		}
	return false;
}

static bool has_virtual(const struct iommu *iommu, struct iommu_device_id pf,
	struct iommu_device_id vf)
{
	unsigned count, first, stride, distance, cap;

	if (!find_cap(iommu, pf, CAP_PCIE) || vf.requester <= pf.requester)
		return false;
	cap = find_ext_cap(iommu, pf, EXT_CAP_SRIOV);
	if (!cap)
		return false;
	count = topology_config(iommu, pf, cap + SRIOV_NUM_VFS, 2);
	first = topology_config(iommu, pf, cap + SRIOV_OFFSET, 2);
	stride = topology_config(iommu, pf, cap + SRIOV_STRIDE, 2);
	distance = (unsigned)vf.requester - pf.requester;
	if (!count || count == 0xffff || distance < first)
		return false;
	distance -= first;
	if (!stride)
		return !distance;
	return distance % stride == 0 && distance / stride < count;
}

static bool leads_to(const struct iommu *iommu, struct iommu_device_id bridge,
	struct iommu_device_id id)
{
	return topology_is_bridge(iommu, bridge) &&
		topology_below(iommu, bridge).first == id.requester >> 8;
}

/* Bridges number their buses downwards, so the parent lives on a lower bus,
 * most often a near one. */
bool topology_parent(const struct iommu *iommu, struct iommu_device_id id,
	struct iommu_device_id *out)
{
	return search(iommu, id, 1, BUSES, leads_to, out);
}

/* ---- who can reach whom ---- */

/** A function and the bridges above it, the nearest first. */
struct way {
	uint16_t segment;
	uint16_t rid[MAX_DEPTH + 1];
	unsigned depth;
	/** The topmost bridge that lets devices reach each other; 0: none. */
	unsigned leak;
};

static struct iommu_device_id on_way(const struct way *way, unsigned n)
{
	return (struct iommu_device_id){way->segment, way->rid[n]};
}

/** Each bridge may put its own id on requests. */
static __attribute__((noinline)) uint16_t find_alias(
	const struct iommu *iommu, const struct way *way)
{
	uint16_t alias = way->rid[0];

	for (unsigned n = 1; n <= way->depth; n++) {
		int type = port_type(iommu, on_way(way, n));

		if (type == PCIE_TO_PCI)
			alias = way->rid[n - 1] & 0xff00;
		else if (type < 0 || type == PCI_TO_PCIE)
			alias = way->rid[n];
	}
	return alias;
}

/** Switches on what a function has of the access control wanted. */
static void isolate(const struct iommu *iommu, struct iommu_device_id id,
	unsigned at, uint32_t wanted)
{
	const struct iommu_host *host = &iommu->host;
	uint32_t control = topology_config(iommu, id, at, 2);

	if (host->pci_write && (control & wanted) != wanted)
		host->pci_write(host->ctx, id.segment,
			(uint8_t)(id.requester >> 8), (uint8_t)id.requester,
			(uint16_t)at, 2, control | wanted);
}

/** Whether a function sends every request towards the unit. */
static bool is_isolated(const struct iommu *iommu, struct iommu_device_id id)
{
	int type = port_type(iommu, id);
	bool port = type == PORT_ROOT || type == PORT_DOWNSTREAM;
	uint32_t has, wanted;
	unsigned acs;

	if (type < 0 || type == PCIE_TO_PCI || type == PCI_TO_PCIE)
		return false;
	if (!port && !has_neighbours(iommu, id))
		return true;
	acs = find_ext_cap(iommu, id, EXT_CAP_ACS);
	if (!acs)
		return false;
	has = topology_config(iommu, id, acs + ACS_CAPABILITY, 2);
	/* A function that cannot send to its neighbours at all need not be
	 * able to redirect; a port must be. */
	wanted = port ? ACS_WANTED : ACS_WANTED & has;
	isolate(iommu, id, acs + ACS_CONTROL, wanted & has);
	return !(wanted & ~topology_config(iommu, id, acs + ACS_CONTROL, 2));
}

static bool is_leaky_port(const struct iommu *iommu,
	struct iommu_device_id port, struct iommu_device_id id)
{
	(void)id;
	return port_type(iommu, port) == PORT_DOWNSTREAM &&
		!is_isolated(iommu, port);
}

/** Whether a port's neighbours cannot be reached through it, nor it through
 *  them: a switch is as tight as the worst of its downstream ports. */
static bool port_is_isolated(
	const struct iommu *iommu, struct iommu_device_id port)
{
	struct iommu_device_id leaky;

	if (!is_isolated(iommu, port))
		return false;
	return port_type(iommu, port) != PORT_DOWNSTREAM ||
		!search(iommu, port, 0, 0, is_leaky_port, &leaky);
}

/** Follows the way up; from the top down, looks for what leaks. */
static void find_way(
	const struct iommu *iommu, struct iommu_device_id id, struct way *way)
{
	unsigned n = 0;

	way->segment = id.segment;
	way->rid[0] = id.requester;
	while (n < MAX_DEPTH && topology_parent(iommu, id, &id))
		way->rid[++n] = id.requester;
	way->depth = n;
	while (n && port_is_isolated(iommu, on_way(way, n)))
		n--;
	way->leak = n;
}

/**
 * The function that stands for a group: the topmost bridge below which nothing
 * keeps devices apart, for a switch its upstream port; the first function of a
 * device whose functions can reach each other; or the function itself.
 */
static __attribute__((noinline)) uint16_t find_group(
	const struct iommu *iommu, const struct way *way)
{
	unsigned n = way->leak;
	struct iommu_device_id key = on_way(way, n);

	if (n < way->depth && port_type(iommu, key) == PORT_DOWNSTREAM &&
		!port_is_isolated(iommu, key))
		key = on_way(way, n + 1);
	if (has_neighbours(iommu, key) && !is_isolated(iommu, key))
		key = first_function(key);
	return key.requester;
}

struct members {
	struct iommu_device_id *out;
	struct iommu_device_id key;
	unsigned max, count;
};

/** Adds those of a group with ids between two on one bus. */
static void add_members(const struct iommu *iommu, unsigned first,
	unsigned last, struct members *members)
{
	struct iommu_device_id id = {members->key.segment, (uint16_t)first};
	struct way way;

	/* The same for all but the function itself. */
	find_way(iommu, id, &way);
	for (; first <= last; first++) {
		id.requester = (uint16_t)first;
		way.rid[0] = id.requester;
		if (!topology_exists(iommu, id) ||
			topology_is_bridge(iommu, id) ||
			find_group(iommu, &way) != members->key.requester)
			continue;
		if (members->count < members->max)
			members->out[members->count] = id;
		members->count++;
	}
}

unsigned topology_group(const struct iommu *iommu, struct iommu_device_id key,
	struct iommu_device_id *out, unsigned max)
{
	unsigned first = first_function(key).requester, last = first + 7, n;
	struct members members = {out, key, max, 0};

	add_members(iommu, first, last, &members);
	/* The buses below the bridges among the key's functions. */
	for (n = first; n <= last; n++) {
		struct iommu_device_id id = {key.segment, (uint16_t)n};
		struct topology_buses below = topology_below(iommu, id);
		unsigned bus = below.first;

		if (!topology_is_bridge(iommu, id))
			continue;
		for (; bus > last >> 8 && bus <= below.last; bus++)
			add_members(iommu, bus << 8, bus << 8 | 0xff, &members);
	}
	return members.count;
}

/** The function-number bits that a function's phantoms use (VT-d 3.4.1). */
static __attribute__((noinline)) uint16_t find_phantom(
	const struct iommu *iommu, struct iommu_device_id id, unsigned pcie)
{
	static const uint16_t mask[4] = {0, 4, 6, 7};
	uint32_t cap = topology_config(iommu, id, pcie + PCIE_DEVICE_CAP, 4);
	uint32_t control =
		topology_config(iommu, id, pcie + PCIE_DEVICE_CONTROL, 2);

	return control & PHANTOM_ENABLE ? mask[cap >> 3 & 3] : 0;
}

void topology_read(const struct iommu *iommu, struct iommu_device_id id,
	struct topology *out)
{
	unsigned pcie;
	struct way way;

	*out = (struct topology){
		.alias = id.requester, .group = id.requester, .scope = id};
	out->present = topology_exists(iommu, id);
	if (!out->present) {
		/* A virtual function's vendor reads as all ones. */
		out->present = search(
			iommu, id, 0, SRIOV_BUSES, has_virtual, &out->scope);
		if (out->present && !is_isolated(iommu, out->scope)) {
			find_way(iommu, out->scope, &way);
			out->group = find_group(iommu, &way);
		}
		return;
	}
	out->bridge = topology_is_bridge(iommu, id);
	find_way(iommu, id, &way);
	out->alias = find_alias(iommu, &way);
	out->group = find_group(iommu, &way);
	pcie = find_cap(iommu, id, CAP_PCIE);
	if (pcie) {
		out->phantom = find_phantom(iommu, id, pcie);
		out->ats = (uint16_t)find_ext_cap(iommu, id, EXT_CAP_ATS);
	}
}
