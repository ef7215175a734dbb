# SPDX-License-Identifier: MIT
"""Drivers killed at any moment leave nothing, and devices that work."""

import re

import pytest

MACHINE = {'DEVICES': '-netdev user,id=n4 -device e1000e,addr=4,netdev=n4,'
           'romfile= -netdev user,id=n5 -device virtio-net-pci,addr=5,'
           'netdev=n5,romfile=,disable-legacy=on,iommu_platform=on '
           '-device edu,addr=6,dma_mask=0xffffffffffffffff'}

DRIVERS = [
    'udma -l -n 10000 00:03.0',
    'udma -f 9 00:03.0',
    'unet -c 1000 00:02.0 ping 10.0.2.2',
    'unet -c 1000 00:04.0 ping 10.0.2.2',
    'unet -c 1000 00:05.0 ping 10.0.2.2',
]

# They wait for the host's disk: in real time, and sooner killed.
DISK_DRIVERS = [
    'unvme -q 4 00:01.0 verify 0 40000',
    'unvme -i -q 2 -w -t 60 00:01.0 bench',
]

# What works if the device does.
CHECKS = {
    '00:01.0': 'unvme -i 00:01.0 verify 0 1000',
    '00:02.0': 'unet -c 1 00:02.0 ping 10.0.2.2',
    '00:03.0': 'udma -q 00:03.0 && udma -q -f 5 00:03.0',
    '00:04.0': 'unet -c 1 00:04.0 ping 10.0.2.2',
    '00:05.0': 'unet -c 1 00:05.0 ping 10.0.2.2',
}


def kill(machine, driver, options=''):
    text = machine.ok(f'udev-kill -n 200 {options} {driver}', timeout=600)
    assert re.search(r'^200 rounds, [0-9]+ killed, [0-9]+ done before; '
                     r'-?[0-9]+ kB lost$', text, re.M), text
    address = re.search(r'00:0[0-9]\.0', driver).group(0)
    machine.ok(CHECKS[address], timeout=120)
    assert 'device' not in machine.ok('cat /sys/iommu/mappings')


@pytest.mark.parametrize('driver', DRIVERS)
def test_killed_200_times(machine, driver):
    kill(machine, driver)


@pytest.mark.parametrize('driver', DISK_DRIVERS)
def test_disk_driver_killed_200_times(boot, driver):
    kill(boot(), driver, '-t 60')


def test_it_sees_what_is_left(machine):
    """A driver that fails, and memory that is kept, end it with status 1."""
    machine.refused('udev-kill -n 20 false', 'the driver failed')
    machine.refused('udev-kill -n 40 -t 5 sh -c "'
                    'head -c 20000 /dev/zero >>/tmp/kept; sleep 1"',
                    'memory is lost')
    machine.ok('rm /tmp/kept')


def test_two_drivers_at_once(boot):
    """On several CPUs in real time: one checks its data, one is killed."""
    m = boot(SMP=4, **MACHINE)
    text = m.ok('unvme -i -q 4 -t 60 00:01.0 bench >/tmp/bench 2>&1 & '
                'udev-kill -n 40 -t 100 udma -l 00:03.0 && '
                'udma -q -n 100000 00:06.0 && wait $! && cat /tmp/bench',
                timeout=300)
    assert ' 0 failed' in text
    assert 'device' not in m.ok('cat /sys/iommu/mappings')


def test_a_device_still_at_work_for_its_last_owner(boot):
    """It takes no other number meanwhile, and its interrupt is no answer."""
    m = boot()
    m.ok('udma -f 1000000000 00:03.0 & sleep 0.3; kill -9 $!; ! wait $!')
    assert '9! = 362880' in m.ok('udma -f 9 00:03.0', timeout=60)
