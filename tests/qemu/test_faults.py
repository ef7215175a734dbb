# SPDX-License-Identifier: MIT
"""A wild request of a device ends as a sentence, and as its owner chose."""

import re


def last_fault(machine):
    return machine.run('timeout 1 cat /sys/dmar/faults | tail -n 1')


def target(text):
    return int(re.search(r'the device writes to (0x[0-9a-f]+)', text)
               .group(1), 16)


def test_a_sentence_for_the_terminal_and_a_line_for_the_file(machine):
    text = machine.ok('udma -w 00:03.0')
    at = target(text)
    told = re.search(r'iommu: 00:03\.0 may not write to 0x([0-9a-f]+): 4 KiB '
                     r'past the end of the heap of udma, pid ([0-9]+)', text)
    assert told and int(told.group(1), 16) == at, text
    line = last_fault(machine)
    assert re.search(rf'^[0-9]+\.[0-9]{{6}} 00:03\.0 pid {told.group(2)} write '
                     rf'0x{at:016x}: [^;]+; 4 KiB past the end of the heap of '
                     r'udma; the walk ended at the page table \([0-9]+\)$',
                     line, re.M), line


def test_a_signal_with_the_address(machine):
    text = machine.ok('udma -w -p sigbus 00:03.0')
    assert f'a signal says that it was {target(text):#x}' in text


def test_it_loses_the_device(machine):
    result = machine.run('udma -w -p detach 00:03.0')
    assert result.status == 128 + 7, result  # its registers are gone
    assert 'is taken from pid' in result
    assert 'device' not in machine.ok('cat /sys/iommu/mappings')
    machine.ok('udma -q 00:03.0')


def test_the_next_owner_has_not_chosen(machine):
    machine.run('udma -w -p sigbus 00:03.0')
    assert machine.run('udma -w 00:03.0').status == 0


def test_a_policy_that_is_none(machine):
    machine.refused('udma -w -p nonsense 00:03.0', 'Invalid argument')


def test_only_the_owner_chooses(machine):
    machine.refused('echo faults detach >/sys/pci/00:03.0/ctl',
                    'not permitted')
