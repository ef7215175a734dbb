# SPDX-License-Identifier: MIT
"""The library in a UEFI application, by two compilers with two ABIs: it drives
QEMU's unit from within the firmware, with memory, console and configuration
space that are the firmware's."""

import os
import re

import pytest

from conftest import BUILD, clean

STEPS = ['edu is found', 'bus mastering is off', 'iommu_create()',
         'iommu_discover()', 'iommu_start()',
         'a device is blocked from the start', 'a domain', 'edu is attached',
         'a page is mapped', 'edu reads and writes it',
         'what is not mapped is refused', 'a physical address is refused']
INTERRUPTS = ['a vector', 'an interrupt entry', 'leads to the vector',
              'has a message', "edu's interrupt arrives by it",
              'the entry is freed', 'and does not any more']
RETURNED = ['the page is unmapped', 'it is refused at once', 'edu is detached',
            'the domain ends']
OFF = ['units are switched off', 'edu reaches physical memory again']
BLOCKED = ['units are left with nothing open', 'the instance ends',
           'edu still reaches nothing']

# A slow CPU, in guest time: edu takes a tenth of a second for each transfer.
ICOUNT = ['-icount', 'shift=7,sleep=off']


@pytest.mark.parametrize('compiler, bits, caching, tlb, remapping, end', [
    ('gnu', 48, 'on', 'on', 'on', OFF),
    ('gnu', 39, 'off', 'off', 'off', BLOCKED),
    ('clang', 39, 'on', 'off', 'on', BLOCKED),
    ('clang', 48, 'off', 'on', 'off', OFF)])
def test_application_protects_and_leaves(boot, compiler, bits, caching, tlb,
                                         remapping, end):
    m = boot(ICOUNT, BOOT='efi', SMP=1, MEM='256M',
             KERNEL=f'{BUILD}/efi/edu-{compiler}.efi',
             APPEND='blocked' if end is BLOCKED else '',
             IOMMU=f'aw-bits={bits},caching-mode={caching},'
                   f'device-iotlb={tlb},intremap={remapping}',
             wait=False, timeout=120)
    assert m.ended() == 0
    with open(os.path.join(m.folder, 'console.log')) as log:
        text = re.sub(r'\n+', '\n', clean(log.read()))
    assert 'WRONG' not in text
    steps = STEPS + (INTERRUPTS if remapping == 'on' else []) + RETURNED + end
    assert re.findall(r'ok     (.*)', text) == steps
    assert text.endswith('passed\n')
    assert f'host addr width (cap[mgaw]) = {bits}\n' in text
    assert f"caching mode: {'yes' if caching == 'on' else 'no'}" in text
    assert f"device iotlb: {'yes' if tlb == 'on' else 'no'}" in text
    assert f"interrupt remapping support: " \
        f"{'yes' if remapping == 'on' else 'no'}" in text
    # Each refused pair in the library's words, before and after a domain.
    for reason in ('the bus has no root entry (1)', 'access refused (5)',
                   'access refused (6)'):
        assert reason in text
