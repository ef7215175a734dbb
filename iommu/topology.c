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

uint32_t topology_config(struct function fn, unsigned offset, unsigned width)
{
	const struct iommu_host *host = &fn.iommu->host;
	uint32_t value = host->pci_read(host->ctx, fn.id.segment,
		(uint8_t)(fn.id.requester >> 8), (uint8_t)fn.id.requester,
		(uint16_t)offset, width);

	/* Some hosts answer with 32 ones where nothing is, whatever the
	 * width. */
	return value & (uint32_t)((1ull << 8 * width) - 1);
}

void topology_write(struct function fn, unsigned offset, uint32_t value)
{
	const struct iommu_host *host = &fn.iommu->host;

	if (host->pci_write)
		host->pci_write(host->ctx, fn.id.segment,
			(uint8_t)(fn.id.requester >> 8),
			(uint8_t)fn.id.requester, (uint16_t)offset, 2, value);
}

bool topology_exists(struct function fn)
{
	return topology_config(fn, CONFIG_VENDOR, 2) != 0xffff;
}

/* The ones that are read where nothing is are no bridge's type. */
bool topology_is_bridge(struct function fn)
{
	unsigned type = topology_config(fn, CONFIG_HEADER, 1) & 0x7f;

	return type == HEADER_BRIDGE || type == HEADER_CARDBUS;
}

struct topology_buses topology_below(struct function bridge)
{
	return (struct topology_buses){
		topology_config(bridge, CONFIG_SECONDARY, 1),
		topology_config(bridge, CONFIG_SUBORDINATE, 1)};
}

static struct function first_function(struct function fn)
{
	fn.id.requester &= 0xfff8;
	return fn;
}

/** Whether a function's device has others. */
static bool has_neighbours(struct function fn)
{
	fn = first_function(fn);
	return topology_config(fn, CONFIG_HEADER, 1) & HEADER_MULTI;
}

static unsigned find_cap(struct function fn, unsigned wanted)
{
	unsigned at;

	if (!(topology_config(fn, CONFIG_STATUS, 2) & STATUS_CAPABILITIES))
		return 0;
	at = topology_config(fn, CONFIG_CAPABILITIES, 1);
	for (unsigned n = 0; n < MAX_CAPS && (at &= 0xfc) >= 0x40; n++) {
		uint32_t head = topology_config(fn, at, 2);

		if ((head & 0xff) == wanted)
			return at;
		at = head >> 8;
	}
	return 0;
}

static unsigned find_ext_cap(struct function fn, unsigned wanted)
{
	unsigned at = 0x100;

	for (unsigned n = 0; n < MAX_EXT_CAPS && at >= 0x100; n++) {
		uint32_t head = topology_config(fn, at, 4);

		if (!head || head == ~0u)
			return 0;
		if ((head & 0xffff) == wanted)
			return at;
		at = head >> 20 & 0xffc;
	}
	return 0;
}

/** The type of a PCIe port, or -1 for conventional PCI. */
static int port_type(struct function fn)
{
	unsigned cap = find_cap(fn, CAP_PCIE);

	if (!cap)
		return -1;
	return topology_config(fn, cap + PCIE_FLAGS, 2) >> 4 & 0xf;
}

/* ---- functions that have to do with a function ---- */

typedef bool relation(struct function other, struct function fn);

/** Looks for a function that is something to another, so many buses below its
 *  own. */
static bool search(struct function fn, unsigned nearest, unsigned farthest,
	relation *is, struct iommu_device_id *out)
{
	unsigned bus = fn.id.requester >> 8;
	struct function at = fn;
	bool exists;

	for (unsigned n = nearest; n <= farthest && n <= bus; n++)
		for (unsigned devfn = 0; devfn < DEVFNS; devfn++) {
			at.id.requester = (uint16_t)((bus - n) << 8 | devfn);
			exists = topology_exists(at);
			/* A device's first function says if it has others. */
			if (devfn % 8 == 0 && !(exists && has_neighbours(at)))
				devfn |= 7;
			if (exists && is(at, fn)) {
				*out = at.id;
				return true;
			}
		}
	return false;
}

static bool has_virtual(struct function pf, struct function vf)
{
	unsigned count, first, stride, distance, cap;

	if (!find_cap(pf, CAP_PCIE) || vf.id.requester <= pf.id.requester)
		return false;
	cap = find_ext_cap(pf, EXT_CAP_SRIOV);
	if (!cap)
		return false;
	count = topology_config(pf, cap + SRIOV_NUM_VFS, 2);
	first = topology_config(pf, cap + SRIOV_OFFSET, 2);
	stride = topology_config(pf, cap + SRIOV_STRIDE, 2);
	distance = (unsigned)vf.id.requester - pf.id.requester;
	if (!count || count == 0xffff || distance < first)
		return false;
	distance -= first;
	if (!stride)
		return !distance;
	return distance % stride == 0 && distance / stride < count;
}

static bool leads_to(struct function bridge, struct function fn)
{
	return topology_is_bridge(bridge) &&
		topology_below(bridge).first == fn.id.requester >> 8;
}

/* Bridges number their buses downwards, so the parent lives on a lower bus,
 * most often a near one. */
bool topology_parent(struct function fn, struct iommu_device_id *out)
{
	return search(fn, 1, BUSES, leads_to, out);
}

/* ---- who can reach whom ---- */

/** A function and the bridges above it, the nearest first. */
struct way {
	const struct iommu *iommu;
	struct iommu_device_id id[MAX_DEPTH + 1];
	unsigned depth;
	/** The topmost bridge that lets devices reach each other; 0: none. */
	unsigned leak;
};

static struct function on_way(const struct way *way, unsigned n)
{
	return (struct function){way->iommu, way->id[n]};
}

/** Each bridge may put its own id on requests. */
static NOINLINE struct iommu_device_id find_alias(const struct way *way)
{
	struct iommu_device_id alias = way->id[0];

	for (unsigned n = 1; n <= way->depth; n++) {
		int type = port_type(on_way(way, n));

		if (type == PCIE_TO_PCI)
			alias.requester = way->id[n - 1].requester & 0xff00;
		else if (type < 0 || type == PCI_TO_PCIE)
			alias = way->id[n];
	}
	return alias;
}

/** Whether a function sends every request towards the unit. */
static bool is_isolated(struct function fn)
{
	int type = port_type(fn);
	bool port = type == PORT_ROOT || type == PORT_DOWNSTREAM;
	uint32_t has, wanted, control;
	unsigned acs;

	if (type < 0 || type == PCIE_TO_PCI || type == PCI_TO_PCIE)
		return false;
	if (!port && !has_neighbours(fn))
		return true;
	acs = find_ext_cap(fn, EXT_CAP_ACS);
	if (!acs)
		return false;
	has = topology_config(fn, acs + ACS_CAPABILITY, 2);
	/* A function that cannot send to its neighbours at all need not be
	 * able to redirect; a port must be. */
	wanted = port ? ACS_WANTED : ACS_WANTED & has;
	control = topology_config(fn, acs + ACS_CONTROL, 2);
	if (wanted & has & ~control)
		topology_write(fn, acs + ACS_CONTROL, control | (wanted & has));
	return !(wanted & ~topology_config(fn, acs + ACS_CONTROL, 2));
}

static bool is_leaky_port(struct function port, struct function other)
{
	(void)other;
	return port_type(port) == PORT_DOWNSTREAM && !is_isolated(port);
}

/** Whether a port's neighbours cannot be reached through it, nor it through
 *  them: a switch is as tight as the worst of its downstream ports. */
static bool port_is_isolated(struct function port)
{
	struct iommu_device_id leaky;

	return is_isolated(port) &&
		(port_type(port) != PORT_DOWNSTREAM ||
			!search(port, 0, 0, is_leaky_port, &leaky));
}

/** Follows the way up; from the top down, looks for what leaks. */
static void find_way(struct function fn, struct way *way)
{
	way->iommu = fn.iommu;
	way->id[0] = fn.id;
	way->depth = 0;
	while (way->depth < MAX_DEPTH && topology_parent(fn, &fn.id))
		way->id[++way->depth] = fn.id;
	way->leak = way->depth;
	while (way->leak && port_is_isolated(on_way(way, way->leak)))
		way->leak--;
}

/**
 * The function that stands for a group: the topmost bridge below which nothing
 * keeps devices apart, for a switch its upstream port; the first function of a
 * device whose functions can reach each other; or the function itself.
 */
static NOINLINE struct iommu_device_id find_group(const struct way *way)
{
	unsigned n = way->leak;
	struct function key = on_way(way, n);

	if (n < way->depth && port_type(key) == PORT_DOWNSTREAM &&
		!port_is_isolated(key))
		key = on_way(way, n + 1);
	if (has_neighbours(key) && !is_isolated(key))
		key = first_function(key);
	return key.id;
}

struct members {
	struct iommu_device_id *out;
	struct function key;
	unsigned max, count;
};

/** Adds those of a group with ids between two on one bus. */
static void add_members(unsigned first, unsigned last, struct members *members)
{
	struct function fn = members->key;
	struct way way;

	/* The same for all but the function itself. */
	fn.id.requester = (uint16_t)first;
	find_way(fn, &way);
	for (; first <= last; first++) {
		fn.id.requester = (uint16_t)first;
		way.id[0] = fn.id;
		if (!topology_exists(fn) || topology_is_bridge(fn) ||
			find_group(&way).requester != members->key.id.requester)
			continue;
		if (members->count < members->max)
			members->out[members->count] = fn.id;
		members->count++;
	}
}

unsigned topology_group(
	struct function key, struct iommu_device_id *out, unsigned max)
{
	unsigned first = first_function(key).id.requester, last = first + 7;
	struct members members = {out, key, max, 0};

	add_members(first, last, &members);
	/* The buses below the bridges among the key's functions. */
	for (unsigned n = first; n <= last; n++) {
		struct function fn = {key.iommu, {key.id.segment, (uint16_t)n}};
		struct topology_buses below = topology_below(fn);

		if (!topology_is_bridge(fn) || below.first <= last >> 8)
			continue;
		for (unsigned bus = below.first; bus <= below.last; bus++)
			add_members(bus << 8, bus << 8 | 0xff, &members);
	}
	return members.count;
}

/** The function-number bits that a function's phantoms use (VT-d 3.4.1). */
static NOINLINE uint16_t find_phantom(struct function fn, unsigned pcie)
{
	static const uint16_t mask[4] = {0, 4, 6, 7};
	uint32_t cap = topology_config(fn, pcie + PCIE_DEVICE_CAP, 4);
	uint32_t control = topology_config(fn, pcie + PCIE_DEVICE_CONTROL, 2);

	return control & PHANTOM_ENABLE ? mask[cap >> 3 & 3] : 0;
}

bool topology_read(struct function fn, struct topology *out)
{
	unsigned pcie;
	struct way way;

	if (!topology_exists(fn)) {
		/* A virtual function's vendor reads as all ones. */
		if (!search(fn, 0, SRIOV_BUSES, has_virtual, &out->scope))
			return false;
		fn.id = out->scope;
		if (!is_isolated(fn)) {
			find_way(fn, &way);
			out->group = find_group(&way);
		}
		return true;
	}
	out->bridge = topology_is_bridge(fn);
	find_way(fn, &way);
	out->alias = find_alias(&way);
	out->group = find_group(&way);
	pcie = find_cap(fn, CAP_PCIE);
	if (pcie) {
		out->phantom = find_phantom(fn, pcie);
		out->ats = (uint16_t)find_ext_cap(fn, EXT_CAP_ATS);
	}
	return true;
}
