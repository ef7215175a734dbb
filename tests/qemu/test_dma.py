# SPDX-License-Identifier: MIT
"""A device copies memory of a process by plain pointers."""

import re

import pytest

KINDS = ('heap', 'stack', 'mmap', 'static', 'huge')


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('size, offset', [
    (1, 0), (1, 4095), (2, 4095), (64, 0), (4095, 1), (4096, 0), (4097, 4095),
    (10000, 123)])
def test_every_byte_arrives(machine, kind, size, offset):
    assert machine.ok(f'udma -q -k {kind} -n {size} -o {offset} 00:03.0') == ''


@pytest.mark.parametrize('kind', KINDS)
def test_a_mebibyte(machine, kind):
    machine.ok(f'udma -q -k {kind} -n 1048576 -o 1 00:03.0', timeout=240)


def test_what_udma_shows(machine):
    text = machine.ok('udma 00:03.0')
    pid = re.search(r' pid = ([0-9]+)\n device = 0:3.0', text)
    assert pid, text
    assert re.search(r'before +source 0x[0-9a-f]+ +written by', text), text
    assert re.search(r'after +source 0x[0-9a-f]+ +written by[^\n]*\n'
                     r' +target 0x[0-9a-f]+ +written by', text), text
    assert '64 bytes, and every one arrived' in text
    assert 'pid' not in machine.ok('cat /sys/iommu/mappings')


def test_again_and_again(machine):
    machine.ok('for i in 1 2 3 4 5 6 7 8 9 10; do udma -q 00:03.0 || break; '
               'done; [ $i = 10 ]')


def test_a_fault_is_a_line(machine):
    m = machine
    m.ok('dmattack 00:03.0 unmapped')
    m.type('cat /sys/dmar/faults\r')
    m.expect(r'[0-9]+\.[0-9]{6} 00:03\.0 pid [0-9]+ write '
             r'0x[0-9a-f]{16}: [^\n]+\([0-9]+\)\r\n')
    m.type('\x03')
    m.prompt()
