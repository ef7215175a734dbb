/* SPDX-License-Identifier: MIT */
/*
 * Images come, go, and are left for. `lock` guards what is loaded; it is
 * outermost but for nothing, and is never given back once the way leads out.
 */
#include "cpu/cpu.h"
#include "cpu/irq.h"
#include "fs/file.h"
#include "fs/inode.h"
#include "kexec/local.h"
#include "lib/errno.h"
#include "lib/lock.h"
#include "lib/print.h"
#include "lib/string.h"

/* More than that is no kernel, and no archive that leaves room for one. */
#define MAX_FILE_SIZE 0x40000000ull
/* In one piece, besides an entry for each frame (mem/pages.c). */
#define ROOM_TO_START 0x1000000ull

static struct mutex lock = MUTEX_INIT(lock);
enum assign_hand_over kexec_devices;
static struct kexec_loaded loaded[KEXEC_SLOTS]; /* no control: none */

static uint64_t pages_of(uint64_t bytes)
{
	return ALIGN_UP(bytes, PAGE_SIZE) >> PAGE_SHIFT;
}

static int file_size(struct file *f, uint64_t *out)
{
	struct stat_info info;
	int err;

	if (!f->inode || !inode_is(f->inode, S_IFREG))
		return -EINVAL;
	err = inode_stat(f->inode, &info);
	if (err)
		return err;
	*out = info.size;
	if (!info.size)
		return -EINVAL;
	return info.size > MAX_FILE_SIZE ? -EFBIG : 0;
}

static int read_all(struct file *f, void *to, uint64_t n, uint64_t offset)
{
	ssize_t got = n ? file_read_kernel(f, to, n, offset) : 0;

	if (got < 0)
		return (int)got;
	return (uint64_t)got == n ? 0 : -EIO; /* it shrank meanwhile */
}

static uint64_t frames_for(const struct kexec_image *image, uint64_t archive)
{
	uint64_t frames = pages_of(sizeof(struct kexec_control));

	for (unsigned i = 0; i < image->count; i++)
		frames += pages_of(image->segments[i].file_size);
	return frames + pages_of(archive);
}

static void write_start_info(struct kexec_control *c, const char *cmdline,
	const void *archive, uint64_t archive_size)
{
	c->info = (struct pvh_start_info){
		.magic = PVH_START_MAGIC,
		.version = 1,
		.cmdline = virt_to_phys(c->cmdline).v,
	};
	strlcpy(c->cmdline, cmdline, sizeof(c->cmdline));
	if (boot_info.rsdp) {
		memcpy(c->rsdp, phys_to_virt(phys(boot_info.rsdp)),
			sizeof(c->rsdp));
		c->info.rsdp = virt_to_phys(c->rsdp).v;
	}
	if (!archive_size)
		return;
	c->module = (struct pvh_module){
		.addr = virt_to_phys(archive).v, .size = archive_size};
	c->info.modlist = virt_to_phys(&c->module).v;
	c->info.nr_modules = 1;
}

/* The files' contents into the run of frames. */
static int fill(const struct kexec_loaded *l, struct file *kernel,
	struct file *initrd, uint64_t archive_size, const char *cmdline)
{
	struct kexec_control *c = l->control;
	char *to = (char *)c + pages_of(sizeof(*c)) * PAGE_SIZE;

	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < l->image.count; i++) {
		const struct kexec_segment *s = &l->image.segments[i];
		int err = read_all(kernel, to, s->file_size, s->offset);

		if (err)
			return err;
		c->copies[i] = (struct kexec_copy){.to = s->addr,
			.from = virt_to_phys(to).v,
			.bytes = s->file_size,
			.zeros = s->mem_size - s->file_size};
		to += pages_of(s->file_size) * PAGE_SIZE;
	}
	write_start_info(c, cmdline, to, archive_size);
	return archive_size ? read_all(initrd, to, archive_size, 0) : 0;
}

static int make(struct kexec_loaded *l, struct file *kernel,
	struct file *initrd, const char *cmdline)
{
	uint64_t size, archive_size = 0;
	int err = file_size(kernel, &size);

	if (!err && initrd)
		err = file_size(initrd, &archive_size);
	if (!err && strlen(cmdline) >= KEXEC_CMDLINE_SIZE)
		err = -EINVAL;
	if (!err)
		err = kexec_read_image(kernel, size, &l->image);
	if (!err && !kexec_is_ram(l->image.start, l->image.end))
		err = -EADDRNOTAVAIL;
	if (err)
		return err;
	l->frames = frames_for(&l->image, archive_size);
	l->control = pages_alloc_run(l->frames, l->image.end, KEXEC_REACH);
	if (!l->control)
		return -ENOMEM;
	err = fill(l, kernel, initrd, archive_size, cmdline);
	if (err)
		pages_free_run(l->control, l->frames);
	return err;
}

/* A panic may come at any moment: it finds an image whole or not at all. */
static void __replace(struct kexec_loaded *l, const struct kexec_loaded *fresh)
{
	struct kexec_control *old =
		__atomic_exchange_n(&l->control, NULL, __ATOMIC_ACQ_REL);

	if (old)
		pages_free_run(old, l->frames);
	if (!fresh)
		return;
	l->image = fresh->image;
	l->frames = fresh->frames;
	__atomic_store_n(&l->control, fresh->control, __ATOMIC_RELEASE);
}

int kexec_load(enum kexec_slot slot, struct file *kernel, struct file *initrd,
	const char *cmdline)
{
	struct kexec_loaded fresh = {0};
	int err = make(&fresh, kernel, initrd, cmdline);

	if (err)
		return err;
	mutex_lock(&lock);
	/* A panic cannot look for memory: what the image will lie on is kept
	 * out of use from now on. */
	if (slot == KEXEC_CRASH &&
		!pages_claim(fresh.image.start, fresh.image.end)) {
		mutex_unlock(&lock);
		pages_free_run(fresh.control, fresh.frames);
		return -EBUSY;
	}
	__replace(&loaded[slot], &fresh);
	mutex_unlock(&lock);
	return 0;
}

void kexec_unload(enum kexec_slot slot)
{
	mutex_lock(&lock);
	__replace(&loaded[slot], NULL);
	mutex_unlock(&lock);
}

static void go(void)
{
	kexec_jump(&loaded[KEXEC_NEXT]);
}

static void go_after_panic(void)
{
	kexec_jump(&loaded[KEXEC_CRASH]);
}

void kexec_after_panic(void)
{
	if (!__atomic_load_n(&loaded[KEXEC_CRASH].control, __ATOMIC_ACQUIRE))
		return;
	kprintf("panic: leaving for the kernel that was loaded for this\n");
	machine_leave(go_after_panic);
}

/* Room for a kernel to start in, out of what the jump will find free. */
static bool is_room(void)
{
	uint64_t need = ROOM_TO_START + pages_array_size();
	struct boot_range runs[8];
	unsigned count = pages_free_runs(runs, ARRAY_SIZE(runs));

	for (unsigned i = 0; i < count; i++)
		if (runs[i].end <= KEXEC_REACH &&
			runs[i].end - runs[i].start >= need)
			return true;
	return false;
}

/* What forbids to leave now; 0: nothing. */
static int __check(void)
{
	const struct kexec_image *image = &loaded[KEXEC_NEXT].image;

	if (!loaded[KEXEC_NEXT].control)
		return -EINVAL;
	if (!is_room())
		return -ENOMEM;
	return pages_claim(image->start, image->end) ? 0 : -EBUSY;
}

int kexec_go(void)
{
	int err;

	if (!mutex_try(&lock))
		return -EBUSY;
	err = __check();
	if (err) {
		mutex_unlock(&lock);
		return err;
	}
	kprintf("Leaving for the next kernel.\n");
	/* Pins whose entries were made for remapping, which may end here. */
	ioapic_silence();
	assign_hand_over(kexec_devices);
	machine_leave(go);
}
