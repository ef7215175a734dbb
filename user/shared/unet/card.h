/* SPDX-License-Identifier: MIT */
/*
 * A network card in the hands of this process: frames in, frames out. One
 * thread sends, one (it may be another) receives; the two share nothing that
 * changes.
 */
#ifndef UNET_CARD_H
#define UNET_CARD_H

#include <stddef.h>

#include "udev.h"

#define CARD_FRAME_MAX 1518u

struct card;

struct card_driver {
	const char *name;
	uint16_t vendor;
	uint16_t devices[4]; /* 0: none */
	/* From a device that is attached to one that sends and receives; fills
	 * in mac, irq and state. A negative errno on failure. */
	int (*start)(struct card *c);
	/* -EAGAIN: no room now. The frame is copied. */
	int (*send)(struct card *c, const void *frame, size_t size);
	/* The oldest frame that came, or NULL; it is the card's again after
	 * release(). */
	const void *(*receive)(struct card *c, size_t *out_size);
	void (*release)(struct card *c);
	/* Before a wait: interrupts may come again. */
	void (*arm)(struct card *c);
};

struct card {
	const struct card_driver *driver;
	struct udev device;
	uint8_t mac[6];
	int irq; /* -1: it has no messages and is polled */
	void *state;
};

extern const struct card_driver e1000_driver, virtio_driver;

#endif
