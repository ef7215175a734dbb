/* SPDX-License-Identifier: MIT */
/* See surroundings.h. */
#include "support/surroundings.h"
#include "support/threads.h"
#include "acpi/acpi.h"
#include "assign/assign.h"
#include "cpu/irq.h"
#include "cpu/time.h"
#include "host/host.h"
#include "lib/string.h"
#include "proc/signal.h"
#include "proc/wait.h"

/* What the model's own headers name differently. */
#undef PAGE_SIZE
#define PAGE_SIZE 4096ull
#define OWNER_KERNEL MODEL_OWNER_DRIVER

struct function functions[FUNCTIONS];
struct model *model;
struct model_host model_hooks;
struct process processes[PROCESSES + 1];
struct process *current_process;
void (*devices_turn)(void);
void (*at_reset)(struct pci_device *d);
void (*at_quiet)(struct pci_device *d);
void (*at_space)(struct process *p);
void (*at_irq_free)(int vector);
int irq_tag;
int64_t clock_set_by;
uint64_t longest_sleep;
bool device_tlbs;
int reserved_for = -1;
struct iommu *host_iommu;

static struct iommu_host hooks;
static uint8_t dmar[4096];
static size_t dmar_size;
static host_fault_handler on_fault;
static unsigned long (*model_lock)(void *ctx, struct iommu_lock *l);
static void (*model_unlock)(
	void *ctx, struct iommu_lock *l, unsigned long state);
static struct {
	irq_handler handler;
	void *arg;
	int tag;
} vectors[256];

static void turn(void)
{
	static bool inside;

	if (devices_turn && !inside) {
		inside = true;
		threads_hold++;
		devices_turn();
		threads_hold--;
		inside = false;
	}
	threads_yield();
}

/* --------------------------------------------------------------- the library
 */

static void *page_hook(void *ctx, unsigned order, iommu_phys_t *out)
{
	void *p = pages_alloc(order);

	(void)ctx;
	if (model_hooks.forbid_alloc)
		machine_blame("memory taken where none may be");
	if (p)
		*out = iommu_phys(virt_to_phys(p).v);
	return p;
}

static void free_hook(void *ctx, void *page, iommu_phys_t at, unsigned order)
{
	(void)ctx;
	assert_int_equal(virt_to_phys(page).v, at.v);
	pages_free(page, order);
}

/* Between the library's critical sections anything may happen. */
static unsigned long lock_hook(void *ctx, struct iommu_lock *l)
{
	threads_yield();
	threads_hold++;
	return model_lock(ctx, l);
}

static void unlock_hook(void *ctx, struct iommu_lock *l, unsigned long state)
{
	model_unlock(ctx, l, state);
	threads_hold--;
	threads_yield();
}

enum iommu_status host_create(
	const struct iommu_options *options, host_fault_handler fault)
{
	struct iommu_options chosen = *options;

	on_fault = fault;
	hooks.page_alloc = page_hook;
	hooks.page_free = free_hook;
	if (hooks.lock != lock_hook) { /* else this is the next kernel's */
		model_lock = hooks.lock;
		model_unlock = hooks.unlock;
	}
	hooks.lock = lock_hook;
	hooks.unlock = unlock_hook;
	if (device_tlbs)
		chosen.ats = IOMMU_ON;
	return iommu_create(&hooks, &chosen, &host_iommu);
}

/* The model's IOAPIC. */
struct acpi_machine acpi_machine = {.ioapics = {{.id = 2}}, .nioapics = 1};

const void *acpi_table(const char signature[4], uint32_t *out_len)
{
	if (memcmp(signature, "DMAR", 4))
		return NULL;
	*out_len = (uint32_t)dmar_size;
	return dmar;
}

static void relaxed(struct model_host *h)
{
	(void)h;
	turn();
}

/* --------------------------------------------------------------- PCI, by flag
 */

static struct function *function_of(struct pci_device *d)
{
	return (struct function *)d;
}

uint16_t bdf_of(unsigned i)
{
	return (uint16_t)(functions[i].pci.bus << 8 | functions[i].pci.devfn);
}

struct pci_address address_of(unsigned i)
{
	return (struct pci_address){
		0, functions[i].pci.bus, functions[i].pci.devfn};
}

unsigned mate_of(unsigned i)
{
	return i == 5 ? 6 : i == 6 ? 5 : i;
}

struct pci_device *pci_find(uint16_t segment, uint8_t bus, uint8_t devfn)
{
	for (unsigned i = 0; i < FUNCTIONS; i++)
		if (!segment && functions[i].pci.bus == bus &&
			functions[i].pci.devfn == devfn)
			return &functions[i].pci;
	return NULL;
}

struct pci_device *pci_nth(unsigned n)
{
	return n < FUNCTIONS ? &functions[n].pci : NULL;
}

void pci_set_rom(struct pci_device *d, bool on)
{
	(void)d;
	(void)on;
}

bool pci_set_master(struct pci_device *d, bool on)
{
	turn();
	function_of(d)->master = on || function_of(d)->never_stops;
	turn();
	return function_of(d)->master == on;
}

void pci_set_memory(struct pci_device *d, bool on)
{
	(void)d;
	(void)on;
}

bool pci_wait_idle(struct pci_device *d)
{
	if (at_quiet)
		at_quiet(d);
	turn();
	return !function_of(d)->never_idle;
}

void pci_interrupts_off(struct pci_device *d)
{
	function_of(d)->msi_on = false;
	function_of(d)->msix_control &= 0x7fff;
	turn();
}

enum pci_reset_kind pci_reset_method(struct pci_device *d)
{
	return function_of(d)->no_reset ? PCI_RESET_NONE : PCI_RESET_FLR;
}

const char *pci_reset_name(enum pci_reset_kind kind)
{
	(void)kind;
	return "FLR";
}

int pci_reset(struct pci_device *d)
{
	turn();
	if (at_reset)
		at_reset(d);
	if (function_of(d)->no_reset)
		return -ENOTSUP;
	if (function_of(d)->master && !function_of(d)->never_stops)
		machine_blame("a device is reset while it masters the bus");
	function_of(d)->resets++;
	turn();
	return function_of(d)->lost_in_reset ? -EIO : 0;
}

uint8_t pci_read8(const struct pci_device *d, unsigned off)
{
	(void)d;
	(void)off;
	return 0;
}

#define CAP_MSI 0x50
#define CAP_MSIX 0x70
#define MSI_CONTROL 0x8a /* 64 bits, 32 messages; off */

/* Of configuration space there are the MSI capabilities and nothing else. */
uint16_t pci_read16(const struct pci_device *d, unsigned off)
{
	if (d->cap_msix && off == CAP_MSIX + 2)
		return function_of((struct pci_device *)d)->msix_control;
	return d->cap_msi && off == CAP_MSI + 2 ? MSI_CONTROL
						: pci_read8(d, off);
}

uint32_t pci_read32(const struct pci_device *d, unsigned off)
{
	return pci_read8(d, off);
}

void pci_write8(const struct pci_device *d, unsigned off, uint8_t v)
{
	(void)d;
	(void)off;
	(void)v;
}

void pci_write16(const struct pci_device *d, unsigned off, uint16_t v)
{
	struct function *f = function_of((struct pci_device *)d);

	if (off == CAP_MSI + 2)
		f->msi_on = v & 1;
	if (off == CAP_MSI + 12)
		f->msi_data = v;
	if (off == CAP_MSIX + 2)
		f->msix_control = v;
}

void pci_write32(const struct pci_device *d, unsigned off, uint32_t v)
{
	struct function *f = function_of((struct pci_device *)d);

	if (off == CAP_MSI + 4)
		f->msi_address = v;
}

/* --------------------------------------------- interrupts, time, threads,
 * waits */

#define FIRST_VECTOR 0x50

int irq_alloc(irq_handler handler, void *arg)
{
	for (int v = FIRST_VECTOR; v < (int)ARRAY_SIZE(vectors); v++) {
		if (vectors[v].handler)
			continue;
		vectors[v].handler = handler;
		vectors[v].arg = arg;
		vectors[v].tag = irq_tag;
		return v;
	}
	return -1;
}

void irq_free(int vector)
{
	assert_non_null(vectors[vector].handler);
	if (at_irq_free)
		at_irq_free(vector);
	vectors[vector].handler = NULL;
}

unsigned irqs_in_use(void)
{
	unsigned n = 0;

	for (unsigned v = 0; v < ARRAY_SIZE(vectors); v++)
		n += vectors[v].handler != NULL;
	return n;
}

int irq_arrives(unsigned vector)
{
	if (!vectors[vector].handler)
		return -1;
	vectors[vector].handler(vectors[vector].arg);
	return vectors[vector].tag;
}

struct msi_message msi_compose(int vector, unsigned cpu)
{
	(void)cpu;
	return (struct msi_message){0xfee00000, (uint32_t)vector};
}

void ioapic_set_remap(ioapic_remap hook)
{
	(void)hook;
}

void *kernel_map_device(phys_t base, size_t size)
{
	for (unsigned i = 0; i < FUNCTIONS; i++)
		if (functions[i].pci.cap_msix &&
			functions[i].pci.bars[1].base == base.v &&
			size <= sizeof(functions[i].msix_table))
			return functions[i].msix_table;
	return NULL;
}

void surroundings_msix(unsigned i)
{
	struct pci_device *d = &functions[i].pci;

	d->cap_msix = CAP_MSIX;
	d->msix_bar = 1;
	d->msix_count = MSIX_VECTORS;
	d->bars[1] = (struct pci_bar){
		.base = 0xfeb40000 + 0x1000 * i, .size = 0x1000};
}

uint64_t time_ns(void)
{
	return model_now(model) + (uint64_t)clock_set_by;
}

int sleep_until(uint64_t deadline, unsigned how)
{
	uint64_t now = time_ns();

	(void)how;
	turn();
	if (deadline > now) {
		longest_sleep = MAX(longest_sleep, deadline - now);
		model_advance(model, deadline - now);
	}
	turn();
	return 0;
}

void waitq_init(struct waitq *q)
{
	(void)q;
}

int wait_on(struct waitq *q, struct spinlock *guard, uint64_t deadline,
	unsigned how)
{
	(void)q;
	(void)guard;
	(void)deadline;
	(void)how;
	return -ERESTARTSYS;
}

void wake_all(struct waitq *q)
{
	(void)q;
}

void poll_source_init(struct poll_source *s)
{
	(void)s;
}

void poll_register(struct poller *p, struct poll_source *s)
{
	(void)p;
	(void)s;
}

void poll_wake(struct poll_source *s)
{
	(void)s;
}

struct thread *kernel_thread(const char *name, void (*fn)(void *), void *arg)
{
	(void)name;
	(void)fn;
	(void)arg;
	return (struct thread *)&model;
}

/* ---------------------------------------------------------------- processes */

struct process *process_find(int pid)
{
	if (pid < 1 || pid > PROCESSES)
		return NULL;
	processes[pid].refs++;
	return &processes[pid];
}

void process_put(struct process *p)
{
	p->refs--;
}

struct space *process_space(struct process *p)
{
	if (p->space)
		space_get(p->space);
	if (at_space)
		at_space(p);
	return p->space;
}

struct process *process_current(void)
{
	return current_process;
}

int signal_process(struct process *p, int signo, const struct signal_info *info)
{
	(void)p;
	(void)signo;
	(void)info;
	return 0;
}

/* ------------------------------------------------------------ start and stop
 */

/* The last is the host bridge, by which one chipset's errata are known. */
static struct model_function_desc on_the_bus[FUNCTIONS + 1];

/* The usual machine's, in an order of our own: 00:03.0 and all after it, then
 * 00:02.0, which has a device TLB. */
static void describe_functions(bool hidden_buffer)
{
	unsigned count;
	const struct model_function_desc *usual = model_usual_functions(&count);

	assert_int_equal(count, FUNCTIONS + 2);
	memcpy(on_the_bus, usual + 3, (FUNCTIONS - 1) * sizeof(*usual));
	on_the_bus[FUNCTIONS - 1] = usual[2];
	on_the_bus[FUNCTIONS] =
		(struct model_function_desc){.kind = MODEL_CONVENTIONAL,
			.unit = -1,
			.class_code = 0x060000,
			.vendor = 0x8086,
			.device = hidden_buffer ? 0x2a40 : 0x1237};
}

/* All that the model has to give belongs to the kernel's allocator. */
static uint64_t take_all_memory(void)
{
	uint64_t end = RAM_START, pa;

	while ((pa = model_page_alloc(model, 0, OWNER_KERNEL)) != MODEL_NONE) {
		assert_int_equal(pa, end);
		end += PAGE_SIZE;
	}
	return end - RAM_START;
}

/* The model looks who could still reach it, and fills it with what lures. */
static void frame_freed(uint64_t pa)
{
	model_page_free(model, pa, 0);
	assert_int_equal(model_page_alloc(model, 0, OWNER_KERNEL), pa);
}

static void line_flushed(uint64_t pa)
{
	model_cache_flush(model, pa, 64);
}

static void find_functions(void)
{
	memset(functions, 0, sizeof(functions));
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		struct pci_device *d = &functions[i].pci;

		d->bus = (uint8_t)(on_the_bus[i].bdf >> 8);
		d->devfn = (uint8_t)on_the_bus[i].bdf;
		d->header_type = on_the_bus[i].secondary ? 1 : 0;
		d->cap_msi = d->header_type ? 0 : CAP_MSI;
	}
}

static struct model *make_machine(const struct model_personality *kind,
	enum model_mode mode, uint64_t seed)
{
	const struct model_unit_desc unit = {.kind = kind, .include_all = true};
	const struct model_rmrr_desc rmrr = {.base = 0x1000,
		.limit = 0x1fff,
		.bdf = on_the_bus[reserved_for < 0 ? 0 : reserved_for].bdf};
	const struct model_ioapic_desc ioapic = {
		.id = (uint8_t)acpi_machine.ioapics[0].id,
		.bdf = MODEL_BDF(0xf0, 0x1f, 0)};
	const struct model_desc desc = {
		.ioapics = &ioapic,
		.ioapic_count = 1,
		.rmrrs = &rmrr,
		.rmrr_count = reserved_for >= 0,
		.seed = seed,
		.mode = mode,
		.ram_base = RAM_START,
		.ram_size = MODEL_RAM,
		.units = &unit,
		.unit_count = 1,
		.functions = on_the_bus,
		.function_count = FUNCTIONS + 1,
	};

	return model_create(&desc);
}

void surroundings_start(const struct model_personality *kind,
	enum model_mode mode, uint64_t seed)
{
	describe_functions(kind->quirks & MODEL_QUIRK_HIDDEN_RWBF);
	model = make_machine(kind, mode, seed);
	assert_non_null(model);
	model_host_init(&model_hooks, model, &hooks);
	model_hooks.on_relax = relaxed;
	dmar_size = model_dmar(model, dmar, sizeof(dmar));
	machine_frame_freed = frame_freed;
	machine_boot((uint64_t)model_direct_map(model), take_all_memory());
	machine_line_flushed = line_flushed;
	machine_meanwhile = turn;
	find_functions();
	machine_start(NULL);
	machine_meanwhile = turn;
	assign_init();
}

/* While one thread has cleared a context entry and is about to have it
 * forgotten, another's flush of the same domain is in no order with it. What it
 * might leave behind is found stale. */
static const struct model_violation *first_violation(void)
{
	const struct model_violation *v;

	for (size_t i = 0; (v = model_violation(model, i)); i++)
		if (!threads_ever || v->rule != MODEL_V_ORDER)
			return v;
	return NULL;
}

void surroundings_check(void)
{
	const struct model_violation *v;

	model_checkpoint(model);
	v = first_violation();
	if (v)
		machine_blame("%s (%s)", v->text, model_rule_name(v->rule));
}

static void machine_ends(void)
{
	machine_frame_freed = NULL;
	machine_line_flushed = NULL;
	machine_meanwhile = NULL;
	machine_shut(MODEL_RAM);
	if (first_violation())
		machine_blame("%s", first_violation()->text);
	model_destroy(model);
	host_iommu = NULL;
}

/* Made once for a device and kept for all its owners. */
static void forget_functions(void)
{
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		kfree(functions[i].pci.interrupts);
		functions[i].pci.interrupts = NULL;
	}
}

void surroundings_stop(void)
{
	surroundings_check();
	forget_functions();
	assert_int_equal(iommu_destroy(host_iommu), IOMMU_OK);
	assert_int_equal(model_hooks.maps, 0);
	assert_int_equal(model_hooks.locks_held, 0);
	assert_int_equal(irqs_in_use(), 0);
	machine_stop(NULL);
	machine_ends();
}

void surroundings_stop_broken(void)
{
	(void)!iommu_destroy(host_iommu);
	assert_int_equal(model_hooks.locks_held, 0);
	machine_ends();
}
