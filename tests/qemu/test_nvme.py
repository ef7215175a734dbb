# SPDX-License-Identifier: MIT
"""A disk driven by a process: what it says is what lies in the image."""

import hashlib
import os
import re
import struct

import pytest

BLOCK = 512
DISK = '00:01.0'
ARGUMENTS = []


def image(machine):
    return os.path.join(machine.folder, 'disk.img')


def lies_in_image(machine, block, count):
    with open(image(machine), 'rb') as f:
        f.seek(block * BLOCK)
        return f.read(count * BLOCK)


def pattern(block, count, seed):
    first = block * BLOCK // 8
    mask = (1 << 64) - 1
    return b''.join(
        struct.pack('<Q', ((word + 1) * 0x9e3779b97f4a7c15 & mask) ^ seed)
        for word in range(first, first + count * BLOCK // 8))


def test_identify(machine):
    text = machine.ok(f'unvme {DISK} identify')
    assert 'model QEMU NVMe Ctrl\nserial scratch\n' in text
    assert '131072 blocks of 512 bytes, transfers of up to' in text


@pytest.mark.parametrize('options, block, count, seed', [
    ('', 0, 1, 1),
    ('', 100, 3000, 2),
    ('-d 1', 5000, 300, 3),
    ('-q 4', 10000, 20000, 4),
    ('-i', 40000, 3000, 5),
    ('-i -q 4', 50000, 20000, 6),
    ('-i -q 16 -d 2', 100000, 31072, 7),
])
def test_what_is_written_arrives(machine, options, block, count, seed):
    text = machine.ok(f'unvme {options} {DISK} verify {block} {count} {seed}')
    assert text == f'{count} blocks, and every byte is what was written\n'
    assert lies_in_image(machine, block, count) == pattern(block, count, seed)


def test_files_in_and_out(machine):
    machine.ok('dd if=/dev/urandom of=/tmp/in bs=512 count=9001 2>/dev/null')
    machine.ok(f'unvme -i -q 2 {DISK} write 4242 9001 /tmp/in')
    digest = hashlib.md5(lies_in_image(machine, 4242, 9001)).hexdigest()
    assert machine.ok('md5sum </tmp/in').startswith(digest)
    machine.ok(f'unvme {DISK} read 4242 9001 /tmp/out')
    machine.ok('cmp /tmp/in /tmp/out')
    machine.ok(f'unvme {DISK} read 4242 9001 | cmp - /tmp/in')
    machine.ok(f'unvme {DISK} flush')


def test_what_lies_in_the_image_is_read(machine):
    data = os.urandom(700 * BLOCK)
    with open(image(machine), 'r+b') as f:
        f.seek(77 * BLOCK)
        f.write(data)
    text = machine.ok(f'unvme {DISK} read 77 700 | md5sum')
    assert text.startswith(hashlib.md5(data).hexdigest())


@pytest.mark.parametrize('options', ['', '-i', '-i -q 3 -s', '-w -q 2',
                                     '-d 1 -b 65536', '-i -b 524288 -d 2'])
def test_bench_counts(machine, options):
    text = machine.ok(f'unvme {options} -t 1 {DISK} bench', timeout=120)
    line = re.search(r'^([0-9]+) IOPS, [0-9.]+ MiB/s, 0 failed$', text, re.M)
    assert line and int(line.group(1)) > 0, text
    times = [float(t) for t in re.findall(
        r'(?:min|max|%) ([0-9.]+)', text.split('latency in us:')[1])]
    assert len(times) == 6 and times == sorted(times), text


@pytest.mark.parametrize('words', ['', 'read', 'read 0', 'read x 1',
                                   'read 131072 1', 'write 0 0', 'verify 0 -1',
                                   'read 131000 73', 'nonsense', 'bench 1'])
def test_nonsense_is_refused(machine, words):
    assert machine.run(f'unvme {DISK} {words} </dev/null').status == 2


def test_not_a_disk(machine):
    assert machine.refused('unvme 00:02.0 identify', 'unvme: ').status == 1
    assert machine.refused('unvme 00:00.0 identify', 'unvme: ').status == 1


def test_nothing_is_left(machine):
    assert 'device' not in machine.ok('cat /sys/iommu/mappings')
    assert 'owner: none' in machine.ok(f'cat /sys/pci/{DISK}/info')
