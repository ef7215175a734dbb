# SPDX-License-Identifier: MIT
"""The program of docs/writing-a-driver.md, as a reader would copy it."""

import os
import re
import subprocess

from conftest import SOURCE, folder_for


def text():
    with open(os.path.join(SOURCE, 'docs/writing-a-driver.md')) as f:
        return f.read()


def compiled():
    """A folder with the program, built as user/ is."""
    folder = folder_for('test_writing_a_driver.files')
    with open(os.path.join(folder, 'first.c'), 'w') as f:
        f.write(re.findall(r'```c\n(#include.*?)```', text(), re.S)[-1])
    subprocess.run(['musl-gcc', '-std=gnu17', '-O2', '-Wall', '-Wextra',
                    '-Werror', '-static', '-I',
                    os.path.join(SOURCE, 'user/include'), '-o', 'first',
                    'first.c'], cwd=folder, check=True)
    return folder


def test_the_program_works_and_leaves_nothing(boot):
    m = boot(FILES=compiled())
    assert m.ok('/host/first 00:03.0') == 'carried by a device\n'
    assert 'device' not in m.ok('cat /sys/iommu/mappings')
    m.ok('udev-kill -n 20 /host/first 00:03.0')
    m.refused('/host/first 00:01.0', 'this is not edu')


def test_helper_and_files_are_as_described(machine):
    with open(os.path.join(SOURCE, 'user/include/udev.h')) as f:
        assert len(f.readlines()) <= 300
    names = machine.ok('cat /sys/pci/00:03.0/ctl')
    for line in re.findall(r'^\| `(faults [a-z]+)` \|', text(), re.M):
        assert line in names
    files = machine.ok('ls /sys/pci/00:03.0').split()
    assert set(files) == {'info', 'config', 'bar0', 'ctl', 'irq'}
