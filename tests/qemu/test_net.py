# SPDX-License-Identifier: MIT
"""Network cards driven by a process, on QEMU's user network."""

import functools
import hashlib
import http.server
import os
import re
import threading

import pytest

ARGUMENTS = []
CARDS = {'00:02.0': ('e1000', 'polled'),
         '00:04.0': ('e1000', 'interrupts'),
         '00:05.0': ('virtio-net', 'interrupts')}
MACHINE = {'DEVICES': '-netdev user,id=n4 -device e1000e,addr=4,netdev=n4,'
           'romfile= -netdev user,id=n5 -device virtio-net-pci,addr=5,'
           'netdev=n5,romfile=,disable-legacy=on,iommu_platform=on'}


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    """On this host's loopback, which the guest knows as 10.0.2.2."""
    folder = tmp_path_factory.mktemp('www')
    (folder / 'page').write_bytes(b'short\n')
    (folder / 'file').write_bytes(os.urandom(1234567))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler,
                                directory=str(folder))
    handler.log_message = lambda *arguments: None
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    server.folder = folder
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.mark.parametrize('card', CARDS)
def test_ping(machine, card):
    text = machine.ok(f'unet -c 3 {card} ping 10.0.2.2')
    name, how = CARDS[card]
    assert re.search(f'^{name}, 52:54:00:12:34:5[6-8], {how}$', text, re.M)
    assert len(re.findall('^64 bytes from 10.0.2.2: number', text, re.M)) == 3
    assert '3 sent, 0 lost' in text


@pytest.mark.parametrize('card', CARDS)
def test_nobody_answers(machine, card):
    text = machine.refused(f'unet -c 1 {card} ping 10.0.2.99')
    assert '1 sent, 1 lost' in text


@pytest.mark.parametrize('card', CARDS)
def test_fetch(machine, server, card):
    url = f'10.0.2.2 {server.server_port}'
    assert 'short\n' in machine.ok(f'unet {card} fetch {url} /page')
    text = machine.ok(f'unet -o /tmp/file {card} fetch {url} /file',
                      timeout=120)
    assert re.search(r'^1234567 bytes in [0-9.]+ s, [0-9.]+ MiB/s$', text,
                     re.M), text
    digest = hashlib.md5((server.folder / 'file').read_bytes()).hexdigest()
    assert machine.ok('md5sum </tmp/file').startswith(digest)


def test_what_is_not_there(machine, server):
    url = f'10.0.2.2 {server.server_port}'
    machine.refused(f'unet 00:04.0 fetch {url} /missing', 'unet: fetch: ')
    machine.refused('unet 00:03.0 ping 10.0.2.2', 'no driver for 1234:11e8')


def test_two_cards_at_once(machine, server):
    url = f'10.0.2.2 {server.server_port}'
    machine.ok(f'unet -o /tmp/a 00:04.0 fetch {url} /file & '
               f'unet -o /tmp/b 00:05.0 fetch {url} /file; r=$?; '
               'wait $! && [ $r = 0 ] && cmp /tmp/a /tmp/b', timeout=120)


def test_virtio_that_would_pass_by_the_unit_is_refused(boot):
    m = boot(DEVICES='-netdev user,id=n5 -device virtio-net-pci,addr=5,'
             'netdev=n5,romfile=,disable-legacy=on')
    m.refused('unet 00:05.0 ping 10.0.2.2',
              'start the card: (Not supported|Operation not supported)')


def test_nothing_is_left(machine):
    assert 'device' not in machine.ok('cat /sys/iommu/mappings')
