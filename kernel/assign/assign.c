/* SPDX-License-Identifier: MIT */
/*
 * Devices and their owners.
 *
 * The owner of a device is an address space: threads and vfork children share
 * it, exec leaves it. The pid is kept for people. Attaching makes the space
 * resident and lets the device walk its page tables; nothing is copied.
 *
 * The order of attach: no bus mastering -> requests in flight finish -> reset
 * -> rest (below) -> the space becomes resident -> context entry present ->
 * bus mastering. The order of detach, the same for a control file, exec, exit
 * and kill: no new mapping of registers -> bus mastering off, read back ->
 * requests in flight finish -> interrupts off -> registers revoked -> context
 * entry, context cache, IOTLB with drain, wait (the library) -> reset. Only
 * then may the memory go. If the hardware does not confirm, the device is
 * broken: it stays blocked, and the space's frames are quarantined.
 *
 * A device without any way to be reset may still work on its last owner's
 * command. It rests between owners, without bus mastering, so that what it
 * started ends as a refused request.
 *
 * Locks: assign_lock (a mutex) guards everything here; it is outermost. A
 * device's `owner` pointer is also read without it, see pci_owned_by().
 */
#include "assign/assign.h"
#include "assign/config.h"
#include "assign/faults.h"
#include "assign/interrupts.h"
#include "assign/near.h"
#include "assign/owner.h"
#include "acpi/acpi.h"
#include "boot/boot_info.h"
#include "cpu/cpu.h"
#include "cpu/irq.h"
#include "cpu/time.h"
#include "host/host.h"
#include "lib/errno.h"
#include "lib/list.h"
#include "lib/print.h"
#include "lib/string.h"
#include "mem/region.h"
#include "mem/share.h"
#include "pci/pci.h"
#include "proc/process.h"
#include "proc/wait.h"

#define MAX_GROUP 64
#define REST_NS (150 * NS_PER_MS)
#define FAULTS_TOLD 8 /* of one owner, on its terminal */
#define BUS_ADRERR 2

struct assignment {
	struct list link;
	struct pci_device *device;
	struct space *space; /* not counted: the space takes us along */
	int pid;
	unsigned unit;
	uint64_t faults;
	const char *reset;
	enum fault_policy policy;
	bool doomed; /* its owner chose to lose it, and it had a fault */
	bool on_terminal;
	char name[PROCESS_NAME_SIZE];
};

static struct mutex assign_lock;
static struct list assignments = LIST_INIT(assignments);
static const char *absent_reason = "the I/O MMU was not started";
static char last_error[160];

int assign_complain(const char *file, int error, const char *fmt, ...)
{
	char text[sizeof(last_error)];
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ksnprintf(last_error, sizeof(last_error), "%s: %s", file, text);
	kprintf("%s: %s\n", file, text);
	return error;
}

void assign_last_error(char *buf, size_t size)
{
	strlcpy(buf, last_error, size);
}

static struct assignment *find(const struct pci_device *d)
{
	struct assignment *a;

	list_for_each (a, &assignments, link)
		if (a->device == d)
			return a;
	return NULL;
}

static bool space_has_device(const struct space *s)
{
	struct assignment *a;

	list_for_each (a, &assignments, link)
		if (a->space == s)
			return true;
	return false;
}

/* ------------------------------------------------------------------ detach */

/* Everything the device could do to anybody stops. */
static void quiet(struct pci_device *d)
{
	pci_set_master(d, false);
	pci_wait_idle(d);
	pci_interrupts_off(d);
}

static void revoke_registers(const struct pci_device *d)
{
	for (unsigned i = 0; i < ARRAY_SIZE(d->bars); i++)
		if (d->bars[i].size && !d->bars[i].io)
			space_revoke_device(d->bars[i].base, d->bars[i].size);
	if (d->rom.size)
		space_revoke_device(d->rom.base, d->rom.size);
}

/* The space's last device is gone: its tables are its own again. */
static void leave_space(struct space *s)
{
	struct iommu_domain *domain = space_domain(s);

	if (space_has_device(s))
		return;
	space_unshare(s);
	if (domain && iommu_domain_destroy(domain) != IOMMU_OK)
		kprintf("iommu: a domain is kept: its device did not "
			"confirm\n");
}

/* What the device was refused is still this owner's. */
static void collect_faults(struct assignment *a)
{
	(void)iommu_interrupt(host_iommu, a->unit);
	__faults_drain();
}

static int release(struct assignment *a)
{
	struct pci_device *d = a->device;
	enum iommu_status st;
	int err = 0;

	pci_set_owner(d, NULL);
	quiet(d);
	interrupts_release(d);
	revoke_registers(d);
	config_forget(d);
	collect_faults(a); /* while the walk can still be seen */
	st = iommu_detach(host_iommu, host_device_id(d));
	if (st != IOMMU_OK && st != IOMMU_NOT_ATTACHED) {
		d->broken = true;
		space_quarantine(a->space);
		err = assign_complain("detach", -EIO,
			"%x:%x.%x stays blocked, its pages are quarantined: %s",
			d->bus, PCI_DEV(d->devfn), PCI_FN(d->devfn),
			iommu_status_text(st));
	}
	collect_faults(a); /* nothing comes any more */
	list_remove(&a->link);
	leave_space(a->space);
	kfree(a);
	pci_reset(d);
	d->released_ns = time_ns();
	return err;
}

void assign_space_gone(struct space *s)
{
	struct assignment *a, *tmp;

	if (!space_is_shared(s))
		return;
	mutex_lock(&assign_lock);
	list_for_each_safe (a, tmp, &assignments, link)
		if (a->space == s)
			(void)release(a);
	mutex_unlock(&assign_lock);
}

void assign_device_gone(struct pci_device *d)
{
	struct assignment *a;

	mutex_lock(&assign_lock);
	a = find(d);
	if (a) {
		assign_complain("detach", 0,
			"%x:%x.%x is taken out; pid %d loses it", d->bus,
			PCI_DEV(d->devfn), PCI_FN(d->devfn), a->pid);
		(void)release(a);
	}
	interrupts_forget(d);
	__atomic_store_n(&d->absent, true, __ATOMIC_RELEASE);
	mutex_unlock(&assign_lock);
}

int assign_detach(struct pci_address at, int pid)
{
	struct pci_device *d = pci_find(at.segment, at.bus, at.devfn);
	struct assignment *a;
	int err;

	if (!d)
		return assign_complain("detach", -ENODEV,
			"no device at %x:%x.%x", at.bus, PCI_DEV(at.devfn),
			PCI_FN(at.devfn));
	mutex_lock(&assign_lock);
	a = find(d);
	if (!a)
		err = assign_complain("detach", -ENXIO,
			"%x:%x.%x is not attached to a process", at.bus,
			PCI_DEV(at.devfn), PCI_FN(at.devfn));
	else if (pid && pid != a->pid)
		err = assign_complain("detach", -EPERM,
			"%x:%x.%x belongs to pid %d, not to pid %d", at.bus,
			PCI_DEV(at.devfn), PCI_FN(at.devfn), a->pid, pid);
	else
		err = release(a);
	mutex_unlock(&assign_lock);
	return err;
}

/* ------------------------------------------------------------------ attach */

static int refuse(const struct pci_device *d, int error, const char *why)
{
	return assign_complain("attach", error, "%x:%x.%x: %s", d->bus,
		PCI_DEV(d->devfn), PCI_FN(d->devfn), why);
}

static int status_error(enum iommu_status st)
{
	switch (st) {
	case IOMMU_NO_UNIT:
	case IOMMU_NO_TABLE:
	case IOMMU_BAD_TABLE:
	case IOMMU_NO_DEVICE:
	case IOMMU_UNCOVERED:
		return -ENODEV;
	case IOMMU_BRIDGE:
	case IOMMU_BAD_ARGUMENT:
		return -EINVAL;
	case IOMMU_BUSY:
	case IOMMU_GROUP_BUSY:
		return -EBUSY;
	case IOMMU_RESERVED_MEMORY:
		return -EPERM;
	case IOMMU_OFF:
		return -EAGAIN;
	case IOMMU_WIDTH:
	case IOMMU_FORMAT:
	case IOMMU_UNSUPPORTED:
		return -ENOTSUP;
	case IOMMU_NO_MEMORY:
	case IOMMU_NO_DOMAIN_ID:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

static int refuse_status(const struct pci_device *d, enum iommu_status st)
{
	return refuse(d, status_error(st), iommu_status_text(st));
}

/* A bridge forwards the requests of others or steers the platform. The host
 * bridge does neither on its own account: it may be given away, and its
 * configuration space stays closed (config.c). */
static bool is_bridge(const struct pci_device *d)
{
	return d->header_type != 0 ||
		(d->class == PCI_CLASS_BRIDGE && d->subclass != 0);
}

/* Functions that cannot be kept apart have one owner between them. */
static int check_group(const struct pci_device *d, const struct space *s)
{
	struct iommu_device_id member[MAX_GROUP];
	unsigned count = 0;
	struct assignment *a;

	if (iommu_device_group(host_iommu, host_device_id(d), member, MAX_GROUP,
		    &count) != IOMMU_OK ||
		count > MAX_GROUP)
		return refuse(d, -EBUSY, "its group cannot be told");
	list_for_each (a, &assignments, link)
		for (unsigned i = 0; i < count; i++)
			if (a->space != s &&
				iommu_device_same(
					member[i], host_device_id(a->device)))
				return assign_complain("attach", -EBUSY,
					"%x:%x.%x cannot be kept apart from "
					"%x:%x.%x, which belongs to pid %d",
					d->bus, PCI_DEV(d->devfn),
					PCI_FN(d->devfn), a->device->bus,
					PCI_DEV(a->device->devfn),
					PCI_FN(a->device->devfn), a->pid);
	return 0;
}

/* Who may have what: all of it is decided here. Root owns everything today, so
 * permission is a matter of the device's state alone. */
static int check(
	const struct pci_device *d, const struct space *s, unsigned *out_unit)
{
	struct assignment *a = find(d);
	struct iommu_device_info info;
	enum iommu_status st;

	if (is_bridge(d))
		return refuse(
			d, -EINVAL, "a bridge cannot be given to a process");
	if (d->broken)
		return refuse(d, -EIO,
			"blocked: it was not confirmed to have stopped");
	if (a)
		return assign_complain("attach", -EBUSY,
			"%x:%x.%x belongs to pid %d", d->bus, PCI_DEV(d->devfn),
			PCI_FN(d->devfn), a->pid);
	if (!iommu_is_on(host_iommu))
		return refuse(d, -EAGAIN, "the I/O MMU is off; see power");
	st = iommu_device_info(host_iommu, host_device_id(d), &info);
	if (st != IOMMU_OK)
		return refuse_status(d, st);
	if (info.reserved_memory)
		return refuse_status(d, IOMMU_RESERVED_MEMORY);
	if (info.state == IOMMU_DEVICE_QUARANTINED &&
		iommu_device_revive(host_iommu, host_device_id(d)) != IOMMU_OK)
		return refuse(d, -EIO, "the I/O MMU does not release it");
	*out_unit = info.unit;
	return check_group(d, s);
}

/* Stop it and forget what its last owner left in it. Returns how, or NULL if it
 * did not come back: it may still do what it was told, so nobody gets it. */
static const char *hand_over_reset(struct pci_device *d)
{
	enum pci_reset_kind kind = pci_reset_method(d);
	int err;

	quiet(d);
	err = kind == PCI_RESET_NONE ? -ENOTSUP : pci_reset(d);
	if (!err)
		return pci_reset_name(kind);
	if (err != -ENOTSUP)
		return NULL;
	if (d->released_ns)
		(void)sleep_until(
			d->released_ns + REST_NS, WAIT_UNINTERRUPTIBLE);
	return "none";
}

static int create_domain(struct space *s, struct iommu_domain **out)
{
	struct iommu_domain_config config = {
		.kind = IOMMU_DOMAIN_SHARED,
		.owner = s,
		.roots = {iommu_phys(space_root(s, 3)),
			iommu_phys(space_root(s, 4)),
			iommu_phys(space_root(s, 5))},
	};
	enum iommu_status st = iommu_domain_create(host_iommu, &config, out);

	return st == IOMMU_OK ? 0 : status_error(st);
}

/* What the CPU's entries in a process's half look like. */
static const struct iommu_entry_format entry_format = {
	.leaf_bits = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED |
		PTE_DIRTY | PTE_NX,
	.large_leaf_bits = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED |
		PTE_DIRTY | PTE_LARGE | PTE_NX,
	.table_bits = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED,
	.absent_bits = PTE_HELD | PTE_DYING | PTE_REGISTERS | PTE_LARGE,
	.large_2m = true,
};

/* Does the unit walk 2 MiB pages of ours? */
static bool takes_huge(unsigned unit)
{
	return iommu_shared_check(host_iommu, unit, &entry_format, NULL) ==
		IOMMU_OK;
}

/* The space's tables become walkable for this device. */
static int share_with(struct assignment *a, struct iommu_domain **out_domain)
{
	struct space *s = a->space;
	struct pci_device *d = a->device;
	unsigned duties;
	enum iommu_status st =
		iommu_device_duties(host_iommu, host_device_id(d), &duties);
	int err;

	if (st != IOMMU_OK)
		return refuse_status(d, st);
	err = space_share(
		s, duties & IOMMU_DUTY_WRITE_BACK, takes_huge(a->unit));
	if (err)
		return refuse(d, err,
			err == -ENOTSUP
				? "the process has 2 MiB pages, the unit none"
				: "not enough memory to keep the process in "
				  "it");
	*out_domain = space_domain(s);
	if (*out_domain)
		return 0;
	err = create_domain(s, out_domain);
	if (err)
		return refuse(d, err, "no domain");
	space_set_domain(s, *out_domain);
	return 0;
}

static int give(struct assignment *a)
{
	struct pci_device *d = a->device;
	struct iommu_domain *domain;
	enum iommu_status st;
	int err = share_with(a, &domain);

	if (err)
		goto undo;
	st = iommu_attach(host_iommu, host_device_id(d), domain);
	if (st != IOMMU_OK) {
		if (st == IOMMU_UNCONFIRMED) {
			d->broken = true;
			space_quarantine(a->space);
		}
		err = refuse_status(d, st);
		goto undo;
	}
	list_push_back(&assignments, &a->link);
	d->silenced = false;
	pci_set_owner(d, a->space);
	pci_set_memory(d, true);
	pci_set_master(d, true);
	return 0;
undo:
	leave_space(a->space);
	return err;
}

static int attach_to(struct pci_device *d, struct space *s, struct process *p)
{
	struct assignment *a = kzalloc(sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	a->device = d;
	a->space = s;
	a->pid = p->pid;
	a->on_terminal = p->tty;
	strlcpy(a->name, p->name, sizeof(a->name));
	err = check(d, s, &a->unit);
	if (!err) {
		a->reset = hand_over_reset(d);
		err = a->reset ? give(a)
			       : refuse(d, -EIO,
					 "it did not come back from its reset");
	}
	if (err)
		kfree(a);
	return err;
}

int assign_attach(struct pci_address at, int pid)
{
	struct pci_device *d = pci_find(at.segment, at.bus, at.devfn);
	struct process *p;
	struct space *s;
	int err;

	if (absent_reason)
		return assign_complain("attach", -ENODEV, "%s", absent_reason);
	if (!d)
		return assign_complain("attach", -ENODEV,
			"no device at %x:%x.%x", at.bus, PCI_DEV(at.devfn),
			PCI_FN(at.devfn));
	p = process_find(pid);
	s = p ? process_space(p) : NULL;
	if (!s) {
		err = assign_complain(
			"attach", -ESRCH, "no process with pid %d", pid);
		goto out;
	}
	mutex_lock(&assign_lock);
	err = attach_to(d, s, p);
	mutex_unlock(&assign_lock);
	/* If the process died meanwhile, this takes the device away again. */
	space_put(s);
out:
	if (p)
		process_put(p);
	return err;
}

/* ------------------------------------------------------ flush, power, lists */

int assign_flush(struct space *s, uint64_t start, uint64_t end, unsigned what)
{
	unsigned changes = 0;

	if (what & CHANGE_PRESENT)
		changes |= IOMMU_MADE_PRESENT;
	if (what & (CHANGE_REMOVED | CHANGE_REPLACED))
		changes |= IOMMU_REMOVED;
	if (what & CHANGE_CUT)
		changes |= IOMMU_RIGHTS_CUT;
	if (what & CHANGE_RAISED)
		changes |= IOMMU_RIGHTS_RAISED;
	if (what & CHANGE_TABLES)
		changes |= IOMMU_TABLE_CHANGED;
	if (iommu_flush(space_domain(s), changes, iommu_iova(start),
		    end - start) == IOMMU_OK)
		return 0;
	return -EIO;
}

int assign_power(bool on)
{
	enum iommu_status st = IOMMU_OK;
	int err = 0;

	if (absent_reason)
		return assign_complain("power", -ENODEV, "%s", absent_reason);
	mutex_lock(&assign_lock);
	if (!on && !list_empty(&assignments)) {
		struct assignment *a =
			list_first(&assignments, struct assignment, link);
		struct pci_device *d = a->device;

		err = assign_complain("power", -EBUSY,
			"%x:%x.%x belongs to pid %d; detach it first", d->bus,
			PCI_DEV(d->devfn), PCI_FN(d->devfn), a->pid);
	} else {
		st = iommu_power(host_iommu, on);
	}
	mutex_unlock(&assign_lock);
	if (st != IOMMU_OK)
		err = assign_complain(
			"power", -EIO, "%s", iommu_status_text(st));
	return err;
}

int assign_as_owner(struct pci_device *d,
	int (*fn)(struct pci_device *d, void *arg), void *arg)
{
	struct process *p = process_current();
	int err = -EPERM;

	mutex_lock(&assign_lock);
	if (p && pci_owned_by(d, p->space))
		err = fn(d, arg);
	mutex_unlock(&assign_lock);
	return err;
}

static void describe(const struct assignment *a, struct assigned *out)
{
	*out = (struct assigned){
		.unit = a->unit,
		.pid = a->pid,
		.device = a->device,
		.faults = a->faults,
		.reset = a->reset,
	};
}

bool assign_nth(unsigned n, struct assigned *out)
{
	struct assignment *a;
	bool found = false;

	mutex_lock(&assign_lock);
	list_for_each (a, &assignments, link) {
		if (n--)
			continue;
		describe(a, out);
		found = true;
		break;
	}
	mutex_unlock(&assign_lock);
	return found;
}

bool assign_of(const struct pci_device *d, struct assigned *out)
{
	struct assignment *a;

	mutex_lock(&assign_lock);
	a = find(d);
	if (a)
		describe(a, out);
	mutex_unlock(&assign_lock);
	return a;
}

bool assign_broken(const struct pci_device *d)
{
	return d->broken;
}

/* The owner's process, counted; NULL if it is ending or the pid is another's.
 */
static struct process *owner_of(const struct assignment *a)
{
	struct process *p = process_find(a->pid);

	if (p && p->space != a->space) {
		process_put(p);
		p = NULL;
	}
	return p;
}

static void signal_owner(struct assignment *a, const struct iommu_fault *f)
{
	struct signal_info info = {.code = BUS_ADRERR, .addr = f->address.v};
	struct process *p = owner_of(a);

	if (!p)
		return;
	(void)signal_process(p, SIGBUS, &info);
	process_put(p);
}

void __assign_fault(const struct iommu_fault *f, struct fault_owner *out)
{
	struct pci_device *d =
		pci_find(f->device.segment, (uint8_t)(f->device.requester >> 8),
			(uint8_t)f->device.requester);
	struct assignment *a = d ? find(d) : NULL;

	*out = (struct fault_owner){0};
	if (!a)
		return;
	a->faults++;
	out->pid = a->pid;
	strlcpy(out->name, a->name, sizeof(out->name));
	out->tell = a->on_terminal && a->faults <= FAULTS_TOLD;
	out->last = a->faults == FAULTS_TOLD;
	if (f->kind == IOMMU_FAULT_DMA)
		near_text(a->space, f->address.v, out->near, sizeof(out->near));
	if (a->policy == FAULT_SIGBUS)
		signal_owner(a, f);
	/* Not here: whoever drains may be about to take a device away. */
	if (a->policy == FAULT_DETACH && !a->doomed) {
		a->doomed = true;
		faults_wake();
	}
}

void assign_take_faults(void)
{
	struct assignment *a, *tmp;

	mutex_lock(&assign_lock);
	__faults_drain();
	list_for_each_safe (a, tmp, &assignments, link) {
		if (!a->doomed)
			continue;
		assign_complain("detach", 0,
			"%x:%x.%x is taken from pid %d for its fault",
			a->device->bus, PCI_DEV(a->device->devfn),
			PCI_FN(a->device->devfn), a->pid);
		(void)release(a);
	}
	mutex_unlock(&assign_lock);
}

int assign_set_policy(struct pci_device *d, enum fault_policy policy)
{
	struct assignment *a = find(d);

	if (!a)
		return -ENXIO;
	a->policy = policy;
	return 0;
}

void __assign_silence(uint16_t segment, uint16_t requester)
{
	struct pci_device *d = pci_find(
		segment, (uint8_t)(requester >> 8), (uint8_t)requester);

	if (!d || d->silenced)
		return;
	d->silenced = true;
	quiet(d);
}

/* -------------------------------------------------------------------- boot */

const char *assign_absent_reason(void)
{
	return absent_reason;
}

/* The IOAPIC's pins get entries of their own, accepted only from it. */
static bool remap_pin(unsigned ioapic_id, unsigned pin, int vector,
	uint32_t apic_id, bool level, bool active_low, uint64_t *out_entry)
{
	struct iommu_irq_target target = {.destination = apic_id,
		.vector = (uint8_t)vector,
		.level = level};
	struct iommu_irq irq;

	(void)pin;
	return iommu_irq_alloc_ioapic(host_iommu, ioapic_id, 1, &irq) ==
		IOMMU_OK &&
		iommu_irq_set(host_iommu, &irq, 0, &target) == IOMMU_OK &&
		iommu_irq_ioapic_entry(host_iommu, &irq, 0, (uint8_t)vector,
			level, active_low, out_entry) == IOMMU_OK;
}

bool assign_remaps_interrupts(void)
{
	struct iommu_unit_info info;

	for (unsigned i = 0; i < iommu_unit_count(host_iommu); i++)
		if (iommu_unit_info(host_iommu, i, &info) == IOMMU_OK &&
			info.interrupt_remapping)
			return true;
	return false;
}

/* Processes stay below what the narrowest unit translates. */
static void limit_spaces(void)
{
	struct iommu_unit_info info;

	for (unsigned i = 0; i < iommu_unit_count(host_iommu); i++)
		if (iommu_unit_info(host_iommu, i, &info) == IOMMU_OK &&
			info.state != IOMMU_UNIT_REFUSED && info.iova_bits < 48)
			user_top = MIN(user_top, 1ull << info.iova_bits);
}

static const char *bring_up(void)
{
	struct iommu_options options;
	enum iommu_status st;
	uint32_t size = 0;
	const void *dmar = acpi_table("DMAR", &size);

	iommu_options_default(&options);
	options.cpus = cpu_count;
	st = host_create(&options, faults_wake);
	if (st == IOMMU_OK)
		st = iommu_discover(host_iommu, dmar, size);
	if (st == IOMMU_OK)
		st = iommu_start(host_iommu);
	if (st == IOMMU_OK)
		return NULL;
	if (host_iommu && *iommu_reason(host_iommu))
		return iommu_reason(host_iommu);
	return iommu_status_text(st);
}

void assign_init(void)
{
	mutex_init(&assign_lock);
	absent_reason = bring_up();
	if (absent_reason) {
		kprintf("iommu: no protection from devices: %s\n",
			absent_reason);
		return;
	}
	limit_spaces();
	if (assign_remaps_interrupts())
		ioapic_set_remap(remap_pin);
	else
		kprintf("iommu: no interrupt remapping: a device's owner can "
			"forge interrupts\n");
	faults_init();
}
