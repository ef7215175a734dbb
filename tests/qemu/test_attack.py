# SPDX-License-Identifier: MIT
"""Programs that mean harm: to the kernel, and to others by way of a device."""

import itertools
import re

import pytest

from conftest import ICOUNT, run_script


def attack(name, arguments=(), timeout=240, only='', **variables):
    status, text = run_script(name, f'dmattack 00:03.0 {only}\n', arguments,
                              timeout=timeout, **variables)
    assert status == 0, text[-4000:]
    assert re.search(r'dmattack: [0-9]+ warded off, 0 got through', text)


@pytest.mark.parametrize('bits, caching, device_tlb', itertools.product(
    (39, 48), ('on', 'off'), ('on', 'off')))
@pytest.mark.parametrize('cpus', [1, 4])
def test_hostile_owner(bits, caching, device_tlb, cpus):
    unit = (f'intremap=on,caching-mode={caching},device-iotlb={device_tlb},'
            f'aw-bits={bits}')
    attack(f'test_attack.owner.{bits}.{caching}.{device_tlb}.{cpus}',
           ICOUNT, IOMMU=unit, SMP=cpus)


def test_hostile_owner_in_real_time():
    attack('test_attack.owner.real_time')


def test_hostile_owner_without_interrupt_remapping():
    attack('test_attack.owner.no_remapping', ICOUNT,
           IOMMU='intremap=off,caching-mode=on,device-iotlb=on,aw-bits=48')


def test_a_device_with_few_address_bits():
    """Given 31 bits of them, edu leaves the others out."""
    status, text = run_script(
        'test_attack.owner.narrow', 'dmattack 00:04.0 low_memory\n'
        'dmattack 00:04.0 own_memory_is_reached && exit 1; exit 0\n', ICOUNT,
        DEVICES='-device edu,addr=4,dma_mask=0x7fffffff')
    assert status == 0, text[-4000:]
    assert text.count('1 warded off, 0 got through') == 1
    assert text.count('0 warded off, 1 got through') == 1


def test_a_pid_that_comes_again():
    attack('test_attack.owner.pid', ICOUNT, only='a_pid_again')


def test_a_storm_of_faults_ends_in_one_line():
    status, text = run_script(
        'test_attack.storm', 'dmattack 00:03.0 faults_without_end && '
        'unet -c 2 00:02.0 ping 10.0.2.2\n')
    assert status == 0, text[-4000:]
    assert text.count('00:02.0 is blocked: too many faults') == 1


@pytest.mark.parametrize('cpus', [1, 4])
def test_usertests(cpus):
    status, text = run_script(f'test_attack.usertests.{cpus}',
                              'usertests -a\n', SMP=cpus, MEM='256M',
                              timeout=300)
    assert status == 0, text[-4000:]
    assert re.search(r'usertests: [0-9]+ passed, 0 failed', text)


def test_threads():
    status, text = run_script('test_attack.threads', 'threadtest\n')
    assert status == 0, text[-4000:]


def test_grind():
    status, text = run_script('test_attack.grind',
                              # Random calls may have left no program that
                              # can be run: the shell itself must live.
                              'grind -r 40 && echo "$((6 * 7)) lives"\n',
                              MEM='512M', timeout=300)
    assert status == 0, text[-4000:]
    assert 'and the kernel lives' in text and '42 lives' in text
