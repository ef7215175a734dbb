# SPDX-License-Identifier: MIT
"""The five files: what they accept, what they refuse and what they say."""

import pytest

from conftest import Machine

ATTACH = '/sys/iommu/attach'
DETACH = '/sys/iommu/detach'
# A second edu, and a bridge with a third one behind it.
MACHINE = dict(DEVICES='-device edu,addr=4,dma_mask=0xffffffffffffffff '
               '-device pcie-root-port,id=below,addr=5,chassis=1 '
               '-device edu,bus=below,dma_mask=0xffffffffffffffff')


def mappings(m):
    """{pid: [device, …]} as the file shows it."""
    found, pid = {}, None
    for line in m.ok('cat /sys/iommu/mappings').splitlines()[1:]:
        key, value = line.split(' = ')
        if key == ' pid':
            pid = int(value)
            assert pid not in found
            found[pid] = []
        else:
            assert key == ' device'
            found[pid].append(value)
    return found


@pytest.fixture
def m(machine):
    assert mappings(machine) == {}
    yield machine
    for pid, devices in mappings(machine).items():
        for device in devices:
            machine.ok(f'echo {device} >{DETACH}')


def test_five_files_and_nothing_more(m):
    assert m.ok('ls -A /sys/iommu').split() == \
        ['attach', 'detach', 'info', 'mappings', 'power']


@pytest.mark.parametrize('text', [
    '0:3.0 1', '0:3:0 1', '00:03.0 1', '0:03.0 1', '0:3.0  1', ' 0:3.0 1',
    '0:3.0 1 ', '0000:00:03.0 1'])
def test_spellings_of_attach(m, text):
    m.ok(f"echo '{text}' >{ATTACH}")
    assert mappings(m) == {1: ['0:3.0']}
    m.ok(f'echo {text.split()[0]} >{DETACH}')
    assert mappings(m) == {}


def test_a_tab_is_a_blank(m):
    m.ok(rf"printf '\t0:3.0\t1\t\n' >{ATTACH}")
    assert mappings(m) == {1: ['0:3.0']}


def test_attach_without_newline(m):
    m.ok(f'echo -n 0:3.0 1 >{ATTACH}')
    assert mappings(m) == {1: ['0:3.0']}
    m.ok(f'echo -n 0:3.0 >{DETACH}')


def test_device_numbers_are_hexadecimal(m):
    m.ok(f'echo 0:1f.2 1 >{ATTACH}')
    assert mappings(m) == {1: ['0:1f.2']}


def test_several_devices_to_one_process(m):
    for device in ('0:3.0', '0:4.0', '0:2.0'):
        m.ok(f'echo {device} 22 >{ATTACH}')
    m.ok(f'echo 0:1.0 26 >{ATTACH}')
    assert mappings(m) == {22: ['0:3.0', '0:4.0', '0:2.0'], 26: ['0:1.0']}


def test_one_device_to_one_process_at_a_time(m):
    m.ok(f'echo 0:3.0 22 >{ATTACH}')
    m.refused(f'echo 0:3.0 26 >{ATTACH}', 'belongs to pid 22')
    m.refused(f'echo 0:3.0 22 >{ATTACH}', 'Device or resource busy')
    assert mappings(m) == {22: ['0:3.0']}


def test_detach_checks_the_pid_if_given(m):
    m.ok(f'echo 0:3.0 22 >{ATTACH}')
    m.refused(f'echo 0:3.0 26 >{DETACH}', 'belongs to pid 22')
    assert mappings(m) == {22: ['0:3.0']}
    m.ok(f'echo 0:3.0 22 >{DETACH}')


@pytest.mark.parametrize('text', [
    '', '0', '0:', '0:3', '0:3.', '0:3.0', '.', ':', '0:3.0 x', '0:3.0 1x',
    '0:3.0 -1', '0:3.0 0', '0:3.0 1 1', '0:3.8 1', '0:20.0 1', '100:0.0 1',
    'g:3.0 1', '0:3.0.0 1', '-0:3.0 1', '0:3.0,1', '0:3.0 1.0',
    '0:3.0 18446744073709551617', '0:3.0 4294967297', '10000000000:3.0 1',
    '0:3.0 0x1', '1 0:3.0', '0:3 .0 1'])
def test_nonsense_is_refused(m, text):
    m.refused(f"echo '{text}' >{ATTACH}",
              'Invalid argument|No such (process|device)')
    assert mappings(m) == {}


def test_control_characters_are_refused(m):
    m.refused(rf"printf '0:3.0 1\0' >{ATTACH}", 'Invalid argument')
    m.refused(rf"printf '0:3.0\0001' >{ATTACH}", 'Invalid argument')
    m.refused(rf"printf '0:3.0 1\n0:4.0 1\n' | dd bs=64 of={ATTACH}",
              'Invalid argument')
    assert mappings(m) == {}


def test_too_long_is_refused(m):
    m.refused(f"head -c 5000 /dev/zero | tr '\\0' ' ' | "
              f"dd bs=5000 of={ATTACH} 2>&1", 'Invalid|too long|large')
    assert mappings(m) == {}


@pytest.mark.parametrize('text, error', [
    ('0:9.0 1', 'No such device'),
    ('7:3.0 1', 'No such device'),
    ('0:3.1 1', 'No such device'),
    ('0:3.0 9999', 'No such process'),
    ('0:5.0 1', 'Invalid argument'),  # a bridge
])
def test_what_is_not_there(m, text, error):
    m.refused(f'echo {text} >{ATTACH}', error)
    assert mappings(m) == {}


def test_detach_of_what_is_not_attached(m):
    m.refused(f'echo 0:3.0 >{DETACH}', 'No such device or address')
    m.refused(f'echo 0:9.0 >{DETACH}', 'No such device')
    m.refused(f'echo nonsense >{DETACH}', 'Invalid argument')


def test_a_sentence_says_why(m):
    m.refused(f'echo 0:9.0 1 >{ATTACH}', 'no device at 0:9.0')
    assert 'last error: attach: no device at 0:9.0' in m.ok(f'cat {ATTACH}')


def test_usage_can_be_read(m):
    assert 'write "bus:device.function pid"' in m.ok(f'cat {ATTACH}')
    assert 'write "bus:device.function"' in m.ok(f'cat {DETACH}')


def test_dead_processes_cannot_own(m):
    m.refused(f"sleep 0 & pid=$!; wait $pid; echo 0:3.0 $pid >{ATTACH}",
              'No such process')


def test_device_behind_a_bridge(m):
    m.ok(f'udma -q 01:00.0')


def test_the_owner_is_seen(m):
    m.ok(f'echo 0:3.0 22 >{ATTACH}')
    assert 'pid 22' in m.ok('cat /sys/pci/00:03.0/info')
    m.ok(f'echo 0:3.0 >{DETACH}')
    assert 'owner: none' in m.ok('cat /sys/pci/00:03.0/info')


def test_killing_the_owner_detaches(m):
    m.ok('sleep 1000 & victim=$!')
    m.ok(f'echo 0:3.0 $victim >{ATTACH}; echo 0:4.0 $victim >{ATTACH}')
    assert len(mappings(m)) == 1
    m.ok('kill -9 $victim; wait $victim 2>/dev/null; true')
    assert mappings(m) == {}
    m.ok(f'udma -q 00:03.0')


@pytest.mark.parametrize('off, on', [
    ('off', 'on'), ('disable', 'enable')])
@pytest.mark.parametrize('echo', ['echo', 'echo -n'])
def test_power(m, off, on, echo):
    m.ok(f'{echo} {off} >/sys/iommu/power')
    assert 'IOMMU status: disabled' in m.ok('cat /sys/iommu/power')
    m.refused(f'echo 0:3.0 1 >{ATTACH}', 'off')
    m.refused('udma 00:03.0')
    m.ok(f'{echo} {on} >/sys/iommu/power')
    assert 'IOMMU status: enabled' in m.ok('cat /sys/iommu/power')
    m.ok('udma -q 00:03.0')


def test_power_twice_is_power_once(m):
    m.ok('echo off >/sys/iommu/power; echo off >/sys/iommu/power')
    assert 'disabled' in m.ok('cat /sys/iommu/power')
    m.ok('echo on >/sys/iommu/power; echo on >/sys/iommu/power')
    m.ok('udma -q 00:03.0')


def test_power_stays_on_while_a_device_is_owned(m):
    m.ok(f'echo 0:3.0 22 >{ATTACH}')
    m.refused('echo off >/sys/iommu/power', 'belongs to pid 22')
    assert 'enabled' in m.ok('cat /sys/iommu/power')


@pytest.mark.parametrize('text', ['', 'onn', 'of', '1', 'ON', 'on off'])
def test_power_refuses_nonsense(m, text):
    m.refused(f"echo '{text}' >/sys/iommu/power", 'Invalid argument')
    assert 'enabled' in m.ok('cat /sys/iommu/power')


def test_info_and_mappings_are_read_only(m):
    m.refused('echo x >/sys/iommu/info')
    m.refused('echo x >/sys/iommu/mappings')
    m.refused('touch /sys/iommu/new')
    m.refused('rm /sys/iommu/info')
    m.refused('mkdir /sys/iommu/folder')


def test_bound_and_mounted_elsewhere(m):
    m.ok(r"mkdir -p /tmp/x /tmp/y; /bin/bind '#iommu' /tmp/x")
    m.ok('mount -t iommu none /tmp/y')
    m.ok('echo 0:3.0 22 >/tmp/x/attach')
    assert 'pid = 22' in m.ok('cat /tmp/y/mappings')
    m.ok('echo 0:3.0 >/tmp/y/detach')
    m.ok('umount /tmp/x; umount /tmp/y; ls /tmp/x /tmp/y')
    assert m.ok('ls /sys/iommu').split()[0] == 'attach'


def test_readers_and_writers_at_once(m):
    m.ok('for i in 1 2 3 4; do (for j in 1 2 3 4 5 6 7 8 9 10; do '
         'cat /sys/iommu/info /sys/iommu/mappings /sys/dmar/stats '
         '/sys/dmar/units /sys/dmar/queue; done >/dev/null) & done; '
         f'for j in 1 2 3 4 5; do echo 0:4.0 22 >{ATTACH}; '
         f'echo 0:4.0 >{DETACH}; done; wait')
    assert mappings(m) == {}
