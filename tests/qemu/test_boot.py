# SPDX-License-Identifier: MIT
"""Ways to start the machine, and ways to leave it."""

import os
import subprocess

import pytest

from conftest import FIRST_UNIT, SOURCE, folder_for, environment, run_script


@pytest.mark.parametrize('cpus', [1, 2, 4, 8])
def test_cpus(boot, cpus):
    m = boot(SMP=cpus)
    assert m.ok('grep -c ^processor /proc/cpuinfo') == f'{cpus}\n'
    assert m.ok('udma -q 00:03.0') == ''
    assert m.power_off() == 0


@pytest.mark.parametrize('megabytes', [128, 4096, 6144])
def test_memory(boot, megabytes):
    m = boot(MEM=f'{megabytes}M')
    total = int(m.ok("awk '/MemTotal/ {print $2}' /proc/meminfo"))
    assert megabytes * 1024 * 0.8 < total <= megabytes * 1024
    assert m.ok('udma -q -k mmap 00:03.0') == ''


@pytest.mark.parametrize('unit', [
    FIRST_UNIT,
    'intremap=off,caching-mode=off,device-iotlb=off,aw-bits=39',
    'intremap=on,caching-mode=off,device-iotlb=off,aw-bits=48',
    'intremap=on,caching-mode=on,device-iotlb=on,aw-bits=39',
    'intremap=on,aw-bits=48,snoop-control=on,pt=off',
])
def test_units(boot, unit):
    m = boot(IOMMU=unit)
    assert 'status = enabled' in m.ok('cat /sys/iommu/info')
    assert m.ok('udma -q 00:03.0') == ''


def test_no_unit(boot):
    m = boot(IOMMU='none')
    assert m.ok('ls /sys/iommu').split() == \
        ['attach', 'detach', 'info', 'mappings', 'power']
    info = m.ok('cat /sys/iommu/info')
    assert 'status = disabled' in info and 'reason = ' in info
    m.refused('echo 0:3.0 1 >/sys/iommu/attach', 'No such device')
    m.refused('echo on >/sys/iommu/power', 'No such device')
    m.refused('udma 00:03.0')


def test_unit_that_translates_nothing(boot):
    m = boot(IOMMU='dma-translation=off,intremap=on')
    assert len(m.ok('cat /sys/iommu/info')) > 20
    m.refused('echo 0:3.0 1 >/sys/iommu/attach', 'No such device')


@pytest.mark.parametrize('status', [0, 1, 42])
def test_script_status_is_the_runs(status):
    name = f'test_boot.script_status.{status}'
    got, text = run_script(name, f'echo in the script\nexit {status}\n')
    assert got == status
    assert 'in the script' in text


def test_script_that_dies():
    got, _ = run_script('test_boot.script_dies', 'kill -9 $$\n')
    assert got == 128 + 9


def test_run_without_an_end_is_an_error():
    got, text = run_script('test_boot.no_end', 'poweroff -f\n')
    assert got == 1 or 'before the script ended' in text


def test_files_appear(boot):
    folder = folder_for('test_boot.files')
    os.makedirs(os.path.join(folder, 'sub'))
    with open(os.path.join(folder, 'sub', 'one'), 'w') as out:
        out.write('from the host\n')
    os.link(os.path.join(folder, 'sub', 'one'), os.path.join(folder, 'two'))
    m = boot(FILES=folder)
    assert m.ok('cat /host/sub/one /host/two') == 'from the host\n' * 2


def test_command_line(boot):
    m = boot(APPEND='some words=here')
    assert m.ok('cat /proc/cmdline').split() == ['some', 'words=here']


def test_trace(boot):
    m = boot(TRACE=1)
    m.ok('cat /sys/pci/00:03.0/config >/dev/null')
    m.power_off()
    with open(os.path.join(m.folder, 'trace-events')) as events:
        assert events.read().split() == [
            'vfio_pci_read_config', 'vfio_pci_write_config',
            'vfio_region_read', 'vfio_region_write', 'pci_cfg_read']
    with open(os.path.join(m.folder, 'trace.log')) as log:
        assert 'pci_cfg_read' in log.read()


def test_trace_of_the_unit(boot):
    m = boot(TRACE='vtd_inv_*')
    m.ok('udma -q 00:03.0')
    m.power_off()
    with open(os.path.join(m.folder, 'trace.log')) as log:
        assert 'vtd_inv_' in log.read()


def test_more_devices(boot):
    m = boot(DEVICES='-device edu,dma_mask=0xffffffffffffffff')
    assert m.ok('udma -q 00:04.0') == ''


@pytest.mark.parametrize('firmware', ['bios', 'uefi'])
def test_iso(boot, firmware):
    m = boot(BOOT='iso', FIRMWARE=firmware, timeout=180)
    assert m.ok('udma -q 00:03.0') == ''
    assert m.power_off() == 0


def test_interactive_shell_ends_the_machine(boot):
    m = boot()
    m.type('exit 5\r')
    assert m.ended() == 0


def test_orphans_are_buried(boot):
    m = boot()
    m.ok("bash -c '(sleep 0.1 &) ; exit 0'")
    m.ok("for i in 1 2 3 4 5; do (sleep 0.05 &); done; sleep 0.3")
    assert ' Z ' not in m.ok('ps')


def test_help_names_every_variable():
    text = subprocess.run(['make', '-s', '-C', SOURCE, 'help'], text=True,
                          stdout=subprocess.PIPE,
                          env=environment({})).stdout
    for name in ('SMP', 'MEM', 'ACCEL', 'QEMU', 'IOMMU', 'DEVICES',
                 'PASSTHROUGH', 'TRACE', 'FILES', 'SCRIPT', 'APPEND', 'O='):
        assert name in text
