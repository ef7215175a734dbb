/* SPDX-License-Identifier: MIT */
/*
 * unet BUS:DEVICE.FUNCTION COMMAND: a network card driven by this process,
 * under the lwIP stack of Debian's package liblwip.
 *
 * Three threads: lwIP's own, which also sends; one that takes what the card
 * received to lwIP; and the main one, which uses lwIP's sockets.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <pthread.h>

#include "card.h"

#include <lwip/icmp.h>
#include <lwip/inet_chksum.h>
#include <lwip/netif.h>
#include <lwip/sockets.h>
#include <lwip/sys.h>
#include <lwip/tcpip.h>
#include <netif/ethernet.h>
#include <lwip/etharp.h>

#define PING_PAYLOAD 56
#define ICMP_ROOM 1500

static const struct card_driver *const drivers[] = {
	&e1000_driver, &virtio_driver};

struct options {
	const char *address, *mask, *gateway;
	unsigned count;
	const char *output;
};

static struct card card;
static struct netif interface;
static unsigned long sent, received, dropped;

static void usage(void)
{
	fprintf(stderr,
		"usage: unet [OPTIONS] BUS:DEVICE.FUNCTION COMMAND\n"
		"  ping ADDRESS            ask, and wait for the answer\n"
		"  fetch ADDRESS PORT /PATH   by HTTP, to the output\n"
		"options:\n"
		"  -a ADDRESS  of its own (default 10.0.2.15)\n"
		"  -m MASK     (default 255.255.255.0)\n"
		"  -g ADDRESS  of the gateway (default 10.0.2.2)\n"
		"  -c N        how often to ping (default 4)\n"
		"  -o FILE     where to put what was fetched\n");
	exit(2);
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "unet: %s: %s\n", what, strerror(error));
	return 1;
}

/* ------------------------------------------------- between card and stack */

/* lwIP's thread. A frame for which there is no room now is lost, as on a wire:
 * who needs it asks again. */
static err_t output(struct netif *netif, struct pbuf *p)
{
	static char frame[CARD_FRAME_MAX];
	u16_t size = pbuf_copy_partial(p, frame, sizeof(frame), 0);

	(void)netif;
	if (size != p->tot_len || card.driver->send(&card, frame, size)) {
		dropped++;
		return ERR_IF;
	}
	sent++;
	return ERR_OK;
}

/* Not PBUF_POOL: in Debian's liblwip 2.1.3 its elements hold 592 bytes, while
 * pbuf_alloc() takes them for 1536. */
static void input(const void *frame, size_t size)
{
	struct pbuf *p = NULL;

	if (size)
		p = pbuf_alloc(PBUF_RAW, (u16_t)size, PBUF_RAM);
	if (p && pbuf_take(p, frame, (u16_t)size) == ERR_OK &&
		interface.input(p, &interface) == ERR_OK) {
		received++;
		return;
	}
	if (p)
		pbuf_free(p);
	dropped++;
}

/* Take what has come, then wait: for the interrupt, or a millisecond. */
static void *receiver(void *arg)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	const void *frame;
	size_t size;

	for (;;) {
		if (card.irq < 0) {
			nanosleep(&pause, NULL);
		} else if (udev_irq_wait(card.irq, -1) < 0) {
			fprintf(stderr, "unet: the card is gone\n");
			exit(1);
		}
		card.driver->arm(&card);
		while ((frame = card.driver->receive(&card, &size))) {
			input(frame, size);
			card.driver->release(&card);
		}
	}
	return arg;
}

static err_t set_up_interface(struct netif *netif)
{
	netif->name[0] = 'e';
	netif->name[1] = 'n';
	netif->mtu = 1500;
	netif->hwaddr_len = 6;
	memcpy(netif->hwaddr, card.mac, 6);
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP |
		NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
	netif->output = etharp_output;
	netif->linkoutput = output;
	return ERR_OK;
}

static void stack_ready(void *arg)
{
	sys_sem_signal(arg);
}

static int start_stack(const struct options *o)
{
	ip4_addr_t address, mask, gateway;
	pthread_t thread;
	sys_sem_t ready;
	int added;

	if (!ip4addr_aton(o->address, &address) ||
		!ip4addr_aton(o->mask, &mask) ||
		!ip4addr_aton(o->gateway, &gateway))
		usage();
	/* lwIP takes its ports from rand(): the next process must not begin
	 * with those of the last, whose connections the peer remembers. */
	srand((unsigned)udev_now_ns() ^ (unsigned)getpid());
	if (sys_sem_new(&ready, 0) != ERR_OK)
		return fail("start the stack", ENOMEM);
	tcpip_init(stack_ready, &ready);
	sys_sem_wait(&ready);
	LOCK_TCPIP_CORE();
	added = netif_add(&interface, &address, &mask, &gateway, NULL,
			set_up_interface, tcpip_input) != NULL;
	if (added) {
		netif_set_default(&interface);
		netif_set_up(&interface);
	}
	UNLOCK_TCPIP_CORE();
	if (!added || pthread_create(&thread, NULL, receiver, NULL))
		return fail("start the stack", ENOMEM);
	return 0;
}

/* --------------------------------------------------------------- commands */

static int set_timeout(int s)
{
	struct timeval limit = {.tv_sec = 5};

	return lwip_setsockopt(
		s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

/* The answer to request n is the one with our id and its number; others may
 * come, since a raw socket sees all of ICMP. */
static int await_answer(int s, unsigned n, const struct icmp_echo_hdr *request)
{
	unsigned char packet[ICMP_ROOM];
	uint64_t deadline = udev_now_ns() + 5000000000ull;

	while (udev_now_ns() < deadline) {
		int got = lwip_recv(s, packet, sizeof(packet), 0);
		size_t header = (packet[0] & 15) * 4u;
		struct icmp_echo_hdr answer;

		if (got < 0)
			return -1;
		if ((size_t)got < header + sizeof(answer) + PING_PAYLOAD)
			continue;
		memcpy(&answer, packet + header, sizeof(answer));
		if (answer.type == ICMP_ER && answer.id == request->id &&
			answer.seqno == lwip_htons((u16_t)n) &&
			!memcmp(packet + header + sizeof(answer), request + 1,
				PING_PAYLOAD))
			return got - (int)header;
	}
	return -1;
}

static int ping_once(int s, const struct sockaddr_in *to, unsigned n)
{
	struct {
		struct icmp_echo_hdr header;
		unsigned char payload[PING_PAYLOAD];
	} request = {.header = {.type = ICMP_ECHO,
			     .id = (u16_t)getpid(),
			     .seqno = lwip_htons((u16_t)n)}};
	uint64_t begin = udev_now_ns();
	int got;

	for (unsigned i = 0; i < PING_PAYLOAD; i++)
		request.payload[i] = (unsigned char)(i + n);
	request.header.chksum = inet_chksum(&request, sizeof(request));
	if (lwip_sendto(s, &request, sizeof(request), 0,
		    (const struct sockaddr *)to, sizeof(*to)) < 0)
		return 1;
	got = await_answer(s, n, &request.header);
	if (got < 0)
		return 1;
	printf("%d bytes from %s: number %u, %.3f ms\n", got,
		ip4addr_ntoa((const ip4_addr_t *)&to->sin_addr), n,
		(double)(udev_now_ns() - begin) / 1e6);
	return 0;
}

static int ping(const char *address, unsigned count)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int s = lwip_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	unsigned lost = 0;

	if (!inet_aton(address, &to.sin_addr))
		usage();
	if (s < 0 || set_timeout(s) < 0)
		return fail("socket", errno);
	for (unsigned n = 1; n <= count; n++)
		lost += (unsigned)ping_once(s, &to, n);
	printf("%u sent, %u lost\n", count, lost);
	lwip_close(s);
	return lost > 0;
}

/* The body goes to fd; the head is looked at for its first line only. */
static int take_answer(int s, int fd, size_t *out_size)
{
	static char buffer[65536];
	size_t head = 0, size = 0;
	char *end = NULL;
	int got;

	while (!end && head < 8192) {
		got = lwip_recv(s, buffer + head, sizeof(buffer) - 1 - head, 0);
		if (got <= 0)
			return got ? -errno : -ENODATA;
		head += (size_t)got;
		buffer[head] = '\0';
		end = strstr(buffer, "\r\n\r\n");
	}
	if (!end || strncmp(buffer, "HTTP/1.", 7) ||
		strncmp(buffer + 8, " 200", 4))
		return -EPROTO;
	end += 4;
	got = (int)(head - (size_t)(end - buffer));
	memmove(buffer, end, (size_t)got);
	do {
		for (int done = 0, n; done < got; done += n) {
			n = (int)write(fd, buffer + done, (size_t)(got - done));
			if (n <= 0)
				return -errno;
		}
		size += (size_t)got;
		got = lwip_recv(s, buffer, sizeof(buffer), 0);
	} while (got > 0);
	*out_size = size;
	return got < 0 ? -errno : 0;
}

static int fetch(const char *address, const char *port, const char *path,
	const char *output)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int s = lwip_socket(AF_INET, SOCK_STREAM, 0), fd = STDOUT_FILENO, err;
	uint64_t begin = udev_now_ns();
	char request[512];
	size_t size = 0;
	double seconds;

	if (!inet_aton(address, &to.sin_addr))
		usage();
	to.sin_port = lwip_htons((u16_t)strtoul(port, NULL, 10));
	if (s < 0 || set_timeout(s) < 0)
		return fail("socket", errno);
	if (output)
		fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		return fail(output, errno);
	if (lwip_connect(s, (struct sockaddr *)&to, sizeof(to)) < 0)
		return fail("connect", errno);
	snprintf(request, sizeof(request),
		"GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, address);
	if (lwip_send(s, request, strlen(request), 0) < 0)
		return fail("send", errno);
	err = take_answer(s, fd, &size);
	lwip_close(s);
	if (output && close(fd) < 0 && !err)
		err = -errno;
	if (err)
		return fail("fetch", -err);
	seconds = (double)(udev_now_ns() - begin) / 1e9;
	fprintf(stderr, "%zu bytes in %.2f s, %.2f MiB/s\n", size, seconds,
		(double)size / seconds / 1048576);
	return 0;
}

/* ------------------------------------------------------------------- main */

static int start_card(const struct udev *d)
{
	uint32_t id = udev_config_read(d, 0, 4);
	int err;

	card.device = *d;
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		for (unsigned n = 0; n < 4 && drivers[i]->devices[n]; n++)
			if (id ==
				(uint32_t)(drivers[i]->devices[n] << 16 |
					drivers[i]->vendor))
				card.driver = drivers[i];
	if (!card.driver) {
		fprintf(stderr, "unet: no driver for %04x:%04x\n", id & 0xffff,
			id >> 16);
		return 1;
	}
	err = udev_attach(d);
	if (err)
		return fail("attach", -err);
	err = card.driver->start(&card);
	if (err)
		return fail("start the card", -err);
	fprintf(stderr, "%s, %02x:%02x:%02x:%02x:%02x:%02x, %s\n",
		card.driver->name, card.mac[0], card.mac[1], card.mac[2],
		card.mac[3], card.mac[4], card.mac[5],
		card.irq < 0 ? "polled" : "interrupts");
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {.address = "10.0.2.15",
		.mask = "255.255.255.0",
		.gateway = "10.0.2.2",
		.count = 4};
	struct udev d;
	int c, result, left;

	while ((c = getopt(argc, argv, "a:m:g:c:o:")) != -1) {
		if (c == 'a')
			o.address = optarg;
		else if (c == 'm')
			o.mask = optarg;
		else if (c == 'g')
			o.gateway = optarg;
		else if (c == 'c')
			o.count = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'o')
			o.output = optarg;
		else
			usage();
	}
	argv += optind;
	left = argc - optind;
	if (left < 3 || udev_parse(&d, argv[0]) ||
		!((left == 3 && !strcmp(argv[1], "ping")) ||
			(left == 5 && !strcmp(argv[1], "fetch"))))
		usage();
	if (start_card(&d) || start_stack(&o))
		return 1;
	result = left == 3 ? ping(argv[2], o.count)
			   : fetch(argv[2], argv[3], argv[4], o.output);
	fprintf(stderr, "%lu frames sent, %lu received, %lu dropped\n", sent,
		received, dropped);
	fflush(stdout);
	/* The other threads still use the card; the kernel takes it back. */
	_exit(result);
}
