/* SPDX-License-Identifier: MIT */
/*
 * What PCI configuration space says about a function: whether it is there, a
 * bridge, a virtual function, and which ids its requests may carry on the way
 * to the unit (VT-d 3.4.1). Also which
 * functions can reach each other without passing the unit, because nothing
 * between them redirects requests upstream (PCI Express access control
 * services). Everything read is untrusted; every loop is
 * bounded.
 */
#include "internal.h"

enum {
	CONFIG_VENDOR = 0x00,
	CONFIG_STATUS = 0x06,
	CONFIG_HEADER = 0x0e,
	CONFIG_SECONDARY = 0x19,
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

uint32_t topology_config(const struct iommu *iommu, uint16_t segment,
	uint16_t rid, uint16_t offset, unsigned width)
{
	return iommu->host.pci_read(iommu->host.ctx, segment,
		(uint8_t)(rid >> 8), (uint8_t)rid, offset, width);
}

bool topology_exists(const struct iommu *iommu, uint16_t segment, uint16_t rid)
{
	return topology_config(iommu, segment, rid, CONFIG_VENDOR, 2) != 0xffff;
}

static unsigned header_type(
	const struct iommu *iommu, uint16_t segment, uint16_t rid)
{
	return topology_config(iommu, segment, rid, CONFIG_HEADER, 1);
}

static bool is_bridge_type(unsigned header)
{
	header &= 0x7f;
	return header == HEADER_BRIDGE || header == HEADER_CARDBUS;
}

bool topology_is_bridge(
	const struct iommu *iommu, uint16_t segment, uint16_t rid)
{
	return topology_exists(iommu, segment, rid) &&
		is_bridge_type(header_type(iommu, segment, rid));
}

static uint16_t find_cap(const struct iommu *iommu, uint16_t segment,
	uint16_t rid, unsigned wanted)
{
	unsigned at, n;

	if (!(topology_config(iommu, segment, rid, CONFIG_STATUS, 2) &
		    STATUS_CAPABILITIES))
		return 0;
	at = topology_config(iommu, segment, rid, CONFIG_CAPABILITIES, 1);
	for (n = 0; n < MAX_CAPS && (at &= 0xfc) >= 0x40; n++) {
		uint32_t head =
			topology_config(iommu, segment, rid, (uint16_t)at, 2);

		if ((head & 0xff) == wanted)
			return (uint16_t)at;
		at = head >> 8;
	}
	return 0;
}

static uint16_t find_ext_cap(const struct iommu *iommu, uint16_t segment,
	uint16_t rid, unsigned wanted)
{
	unsigned at = 0x100, n;

	for (n = 0; n < MAX_EXT_CAPS && at >= 0x100; n++) {
		uint32_t head =
			topology_config(iommu, segment, rid, (uint16_t)at, 4);

		if (!head || head == ~0u)
			return 0;
		if ((head & 0xffff) == wanted)
			return (uint16_t)at;
		at = head >> 20 & 0xffc;
	}
	return 0;
}

/** Whether rid is one of pf's virtual functions. */
static bool is_vf_of(
	const struct iommu *iommu, uint16_t segment, uint16_t pf, uint16_t rid)
{
	unsigned first, stride, count, distance;
	uint16_t cap;

	if (!find_cap(iommu, segment, pf, CAP_PCIE))
		return false;
	cap = find_ext_cap(iommu, segment, pf, EXT_CAP_SRIOV);
	if (!cap || rid <= pf)
		return false;
	count = topology_config(
		iommu, segment, pf, (uint16_t)(cap + SRIOV_NUM_VFS), 2);
	first = topology_config(
		iommu, segment, pf, (uint16_t)(cap + SRIOV_OFFSET), 2);
	stride = topology_config(
		iommu, segment, pf, (uint16_t)(cap + SRIOV_STRIDE), 2);
	distance = (unsigned)rid - pf;
	if (!count || count == 0xffff || distance < first)
		return false;
	if (!stride)
		return distance == first;
	return (distance - first) % stride == 0 &&
		(distance - first) / stride < count;
}

typedef bool visit_function(const struct iommu *iommu, uint16_t segment,
	uint16_t rid, unsigned arg);

/** Looks at every function of a bus until visit likes one. */
static bool search_bus(const struct iommu *iommu, uint16_t segment,
	unsigned bus, visit_function *visit, unsigned arg, uint16_t *out)
{
	unsigned dev, fn;

	for (dev = 0; dev < 32; dev++) {
		unsigned functions = 1;

		for (fn = 0; fn < functions; fn++) {
			uint16_t rid = (uint16_t)(bus << 8 | dev << 3 | fn);

			if (!topology_exists(iommu, segment, rid)) {
				if (!fn)
					break;
				continue;
			}
			if (!fn &&
				header_type(iommu, segment, rid) & HEADER_MULTI)
				functions = 8;
			if (visit(iommu, segment, rid, arg)) {
				*out = rid;
				return true;
			}
		}
	}
	return false;
}

static bool has_vf(
	const struct iommu *iommu, uint16_t segment, uint16_t rid, unsigned arg)
{
	return is_vf_of(iommu, segment, rid, (uint16_t)arg);
}

static bool find_physical_function(const struct iommu *iommu, uint16_t segment,
	uint16_t rid, uint16_t *out)
{
	unsigned bus = rid >> 8, n;

	for (n = 0; n <= SRIOV_BUSES && n <= bus; n++)
		if (search_bus(iommu, segment, bus - n, has_vf, rid, out))
			return true;
	return false;
}

static bool leads_to(
	const struct iommu *iommu, uint16_t segment, uint16_t rid, unsigned bus)
{
	return is_bridge_type(header_type(iommu, segment, rid)) &&
		topology_config(iommu, segment, rid, CONFIG_SECONDARY, 1) ==
		bus;
}

bool topology_parent(const struct iommu *iommu, uint16_t segment, unsigned bus,
	uint16_t *out)
{
	unsigned n;

	/* Bridges number their buses downwards, so the parent lives on a
	 * lower bus, most often a near one. */
	for (n = 1; n <= bus; n++)
		if (search_bus(iommu, segment, bus - n, leads_to, bus, out))
			return true;
	return false;
}

/** The type of a PCIe port, or -1 for conventional PCI. */
static int port_type(const struct iommu *iommu, uint16_t segment, uint16_t rid)
{
	uint16_t cap = find_cap(iommu, segment, rid, CAP_PCIE);

	if (!cap)
		return -1;
	return (int)(topology_config(iommu, segment, rid,
			     (uint16_t)(cap + PCIE_FLAGS), 2) >>
			4 &
		0xf);
}

/** A function and the bridges above it, the nearest first. */
struct way {
	uint16_t id[MAX_DEPTH + 1];
	unsigned depth;
	/** The topmost bridge that lets devices reach each other; 0: none. */
	unsigned leak;
};

/** Each bridge may put its own id on requests. */
static __attribute__((noinline)) uint16_t find_alias(
	const struct iommu *iommu, uint16_t segment, const struct way *way)
{
	uint16_t alias = way->id[0];
	unsigned n;

	for (n = 1; n <= way->depth; n++) {
		int type = port_type(iommu, segment, way->id[n]);

		if (type == PCIE_TO_PCI)
			alias = way->id[n - 1] & 0xff00;
		else if (type < 0 || type == PCI_TO_PCIE)
			alias = way->id[n];
	}
	return alias;
}

/** Switches on what a function has of the access control wanted. */
static void isolate(const struct iommu *iommu, uint16_t segment, uint16_t rid,
	uint16_t acs, uint32_t wanted)
{
	const struct iommu_host *host = &iommu->host;
	uint16_t at = (uint16_t)(acs + ACS_CONTROL);
	uint32_t control = topology_config(iommu, segment, rid, at, 2);

	if (host->pci_write && (control & wanted) != wanted)
		host->pci_write(host->ctx, segment, (uint8_t)(rid >> 8),
			(uint8_t)rid, at, 2, control | wanted);
}

/** Whether a function sends every request towards the unit. */
static bool is_isolated(
	const struct iommu *iommu, uint16_t segment, uint16_t rid)
{
	int type = port_type(iommu, segment, rid);
	bool port = type == PORT_ROOT || type == PORT_DOWNSTREAM;
	uint32_t has, wanted;
	uint16_t acs;

	if (type < 0 || type == PCIE_TO_PCI || type == PCI_TO_PCIE)
		return false;
	if (!port &&
		!(header_type(iommu, segment, rid & 0xfff8) & HEADER_MULTI))
		return true;
	acs = find_ext_cap(iommu, segment, rid, EXT_CAP_ACS);
	if (!acs)
		return false;
	has = topology_config(
		iommu, segment, rid, (uint16_t)(acs + ACS_CAPABILITY), 2);
	/* A function that cannot send to its neighbours at all need not be
	 * able to redirect; a port must be. */
	wanted = port ? ACS_WANTED : ACS_WANTED & has;
	isolate(iommu, segment, rid, acs, wanted & has);
	return (topology_config(
			iommu, segment, rid, (uint16_t)(acs + ACS_CONTROL), 2) &
		       wanted) == wanted;
}

static bool is_leaky_port(
	const struct iommu *iommu, uint16_t segment, uint16_t rid, unsigned arg)
{
	(void)arg;
	return port_type(iommu, segment, rid) == PORT_DOWNSTREAM &&
		!is_isolated(iommu, segment, rid);
}

/** Whether a port's neighbours cannot be reached through it, nor it through
 *  them: a switch is as tight as the worst of its downstream ports. */
static bool port_is_isolated(
	const struct iommu *iommu, uint16_t segment, uint16_t port)
{
	uint16_t leaky;

	if (!is_isolated(iommu, segment, port))
		return false;
	return port_type(iommu, segment, port) != PORT_DOWNSTREAM ||
		!search_bus(
			iommu, segment, port >> 8, is_leaky_port, 0, &leaky);
}

/** Follows the way up; from the top down, looks for what leaks. */
static void find_way(const struct iommu *iommu, uint16_t segment, uint16_t rid,
	struct way *way)
{
	unsigned n = 0;

	way->id[0] = rid;
	while (n < MAX_DEPTH && way->id[n] >> 8 &&
		topology_parent(
			iommu, segment, way->id[n] >> 8, &way->id[n + 1]))
		n++;
	way->depth = n;
	while (n && port_is_isolated(iommu, segment, way->id[n]))
		n--;
	way->leak = n;
}

/**
 * The function that stands for a group: the topmost bridge below which nothing
 * keeps devices apart, for a switch its upstream port; the first function of a
 * device whose functions can reach each other; or the function itself.
 */
static __attribute__((noinline)) uint16_t find_group(
	const struct iommu *iommu, uint16_t segment, const struct way *way)
{
	unsigned n = way->leak;
	uint16_t key = way->id[n];

	if (n < way->depth &&
		port_type(iommu, segment, key) == PORT_DOWNSTREAM &&
		!port_is_isolated(iommu, segment, key))
		key = way->id[n + 1];
	if (header_type(iommu, segment, key & 0xfff8) & HEADER_MULTI &&
		!is_isolated(iommu, segment, key))
		key &= 0xfff8;
	return key;
}

struct members {
	struct iommu_device_id *out;
	uint16_t key;
	uint16_t segment;
	unsigned max, count;
};

static void add_members(const struct iommu *iommu, unsigned bus,
	unsigned first_dev, unsigned last_dev, struct members *members)
{
	struct way way;
	unsigned n;

	/* The same for all but the function itself. */
	find_way(iommu, members->segment, (uint16_t)(bus << 8), &way);
	for (n = first_dev << 3; n <= (last_dev << 3 | 7); n++) {
		struct iommu_device_id id = {
			members->segment, (uint16_t)(bus << 8 | n)};

		way.id[0] = id.requester;
		if (!topology_exists(iommu, id.segment, id.requester) ||
			topology_is_bridge(iommu, id.segment, id.requester) ||
			find_group(iommu, id.segment, &way) != members->key)
			continue;
		if (members->count < members->max)
			members->out[members->count] = id;
		members->count++;
	}
}

unsigned topology_group(const struct iommu *iommu, uint16_t segment,
	uint16_t key, struct iommu_device_id *out, unsigned max)
{
	struct members members = {out, key, segment, max, 0};
	unsigned dev = key >> 3 & 0x1f, bus, last, fn;

	add_members(iommu, key >> 8, dev, dev, &members);
	/* The buses below the bridges among the key's functions. */
	for (fn = 0; fn < 8; fn++) {
		uint16_t rid = (uint16_t)((key & 0xfff8) | fn);

		if (!topology_is_bridge(iommu, segment, rid))
			continue;
		bus = topology_config(iommu, segment, rid, CONFIG_SECONDARY, 1);
		last = topology_config(
			iommu, segment, rid, CONFIG_SECONDARY + 1, 1);
		for (; bus > (unsigned)key >> 8 && bus <= last; bus++)
			add_members(iommu, bus, 0, 31, &members);
	}
	return members.count;
}

/** The function-number bits that a function's phantoms use (VT-d 3.4.1). */
static __attribute__((noinline)) uint16_t find_phantom(
	const struct iommu *iommu, uint16_t segment, uint16_t rid,
	uint16_t pcie)
{
	static const uint16_t mask[4] = {0, 4, 6, 7};
	uint32_t cap, control;

	if (!pcie)
		return 0;
	cap = topology_config(
		iommu, segment, rid, (uint16_t)(pcie + PCIE_DEVICE_CAP), 4);
	control = topology_config(
		iommu, segment, rid, (uint16_t)(pcie + PCIE_DEVICE_CONTROL), 2);
	return control & PHANTOM_ENABLE ? mask[cap >> 3 & 3] : 0;
}

void topology_read(const struct iommu *iommu, struct iommu_device_id id,
	struct topology *out)
{
	uint16_t segment = id.segment, rid = id.requester, pcie;
	struct way way;

	*out = (struct topology){.alias = rid, .scope_rid = rid};
	if (!topology_exists(iommu, segment, rid)) {
		/* A virtual function's vendor reads as all ones. */
		out->present = find_physical_function(
			iommu, segment, rid, &out->scope_rid);
		out->group = rid;
		if (out->present &&
			!is_isolated(iommu, segment, out->scope_rid)) {
			find_way(iommu, segment, out->scope_rid, &way);
			out->group = find_group(iommu, segment, &way);
		}
		return;
	}
	out->present = true;
	out->bridge = topology_is_bridge(iommu, segment, rid);
	find_way(iommu, segment, rid, &way);
	out->alias = find_alias(iommu, segment, &way);
	out->group = find_group(iommu, segment, &way);
	pcie = find_cap(iommu, segment, rid, CAP_PCIE);
	out->phantom = find_phantom(iommu, segment, rid, pcie);
	if (pcie)
		out->ats = find_ext_cap(iommu, segment, rid, EXT_CAP_ATS);
}
