# SPDX-License-Identifier: MIT
"""Devices that come and go behind a PCI Express port, owned or not."""

import pytest

from conftest import Monitor

# Else QEMU's firmware interface would do what the port is to do.
MACHINE = {'DEVICES': '-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support='
           'off -device pcie-root-port,id=door,addr=7,chassis=1 '
           '-netdev user,id=n8'}
ARGUMENTS = []


@pytest.fixture
def slot(boot, tmp_path):
    path = str(tmp_path / 'qmp')
    machine = boot(['-qmp', f'unix:{path},server=on,wait=off'], **MACHINE)
    return machine, Monitor(path)


def came(machine):
    machine.expect(r'pci: 1 functions came behind 00:07\.0')
    name = '01:00.0'
    assert name in machine.ok('ls /sys/pci')
    return name


def put_edu(slot):
    machine, monitor = slot
    monitor.put_in('edu', dma_mask=2**64 - 1)
    return came(machine)


def test_in_and_out_and_in_again(slot):
    machine, monitor = slot
    assert '01:00.0' not in machine.ok('ls /sys/pci')
    for _ in range(3):
        name = put_edu(slot)
        machine.ok(f'udma -q {name} && udma -q -f 7 {name}')
        monitor.take_out()
        machine.ok('until ! [ -e /sys/pci/01:00.0 ]; do sleep 0.1; done')
        machine.refused(f'udma -q {name}', 'attach: No such device')


def test_another_device_in_the_same_slot(slot):
    machine, monitor = slot
    name = put_edu(slot)
    machine.ok(f'udma -q -f 7 {name}')
    monitor.take_out()
    monitor.put_in('e1000e', netdev='n8', romfile='')
    name = came(machine)
    assert 'id: 8086:10d3' in machine.ok(f'cat /sys/pci/{name}/info')
    machine.ok(f'unet -c 2 {name} ping 10.0.2.2')


def test_taken_out_while_it_works(slot):
    machine, monitor = slot
    name = put_edu(slot)
    machine.type(f'udma -l {name}\r')
    machine.expect('again and again')
    monitor.take_out()
    machine.expect(r'detach: 1:0\.0 is taken out; pid [0-9]+ loses it')
    machine.prompt()  # the driver has ended
    assert 'device' not in machine.ok('cat /sys/iommu/mappings')
    machine.ok(f'udma -q {put_edu(slot)}')


def test_taken_out_while_its_owner_waits_for_an_interrupt(slot):
    machine, monitor = slot
    monitor.put_in('e1000e', netdev='n8', romfile='')
    name = came(machine)
    machine.type(f'unet -c 100000 {name} ping 10.0.2.2\r')
    machine.expect('number 3,')
    monitor.take_out()
    machine.expect('is taken out; pid [0-9]+ loses it')
    machine.prompt()
    assert 'device' not in machine.ok('cat /sys/iommu/mappings')


def test_nobody_presses_the_button_in_vain(slot):
    """Its owner does nothing at all, and cannot keep it."""
    machine, monitor = slot
    name = put_edu(slot)
    machine.ok(f'echo {name} 22 >/sys/iommu/attach')
    monitor.take_out()
    machine.ok('until ! grep -q device /sys/iommu/mappings; do :; done')
