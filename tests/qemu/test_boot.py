# SPDX-License-Identifier: MIT
"""Ways to start the machine, and ways to leave it."""

import os
import re
import subprocess

import pytest

from conftest import BUILD, FIRST_UNIT, SOURCE, folder_for, environment, run_script


@pytest.mark.parametrize('cpus', [1, 2, 4, 8])
def test_cpus(boot, cpus):
    m = boot(SMP=cpus)
    assert m.ok('grep -c ^processor /proc/cpuinfo') == f'{cpus}\n'
    assert m.ok('udma -q 00:03.0') == ''
    assert m.power_off() == 0


def test_unit_for_interrupts_alone(boot):
    """Interrupts are remapped, and no device can be given away."""
    m = boot(IOMMU='intremap=on,dma-translation=off')
    assert re.search(r'^ \d+: source .* vector', m.ok('cat /sys/dmar/interrupts'),
                     re.M)
    assert 'status = disabled' in m.ok('cat /sys/iommu/info')
    assert 'only remap interrupts' in m.run('echo 0:3.0 $$ >/sys/iommu/attach')
    assert m.ok('sleep 0.1; echo alive') == 'alive\n'


def test_trace(boot):
    """What is asked of the unit, as it is asked."""
    m = boot(APPEND='trace')
    text = m.run('udma -k heap 00:03.0')
    assert re.search(r'unit 0: 0000:00:03.0 attach to shared tables, '
                     r'domain id \d+: done', text), text
    assert re.search(r'unit 0: flush domain id \d+, 0x[0-9a-f]+\.\.0x[0-9a-f]+'
                     r' removed.*: done', text), text
    assert re.search(r'unit 0: 0000:00:03.0 detach', text), text


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


def wait_for_faults(m):
    """Where none can come: whoever looks or waits does so for nothing."""
    m.refused('read -t 0 </sys/dmar/faults')
    m.refused('timeout 1 cat /sys/dmar/faults')


def test_no_unit(boot):
    m = boot(IOMMU='none')
    wait_for_faults(m)
    m.run('for f in /sys/dmar/* /sys/iommu/* /sys/pci/*/*; do '
          'timeout 1 head -c 9999 $f; done >/dev/null 2>&1')
    assert m.ok('ls /sys/iommu').split() == \
        ['attach', 'detach', 'info', 'mappings', 'power']
    info = m.ok('cat /sys/iommu/info')
    assert 'status = disabled' in info and 'reason = ' in info
    m.refused('echo 0:3.0 1 >/sys/iommu/attach', 'No such device')
    m.refused('echo on >/sys/iommu/power', 'No such device')
    m.refused('udma 00:03.0')


def test_unit_that_translates_nothing(boot):
    m = boot(IOMMU='dma-translation=off,intremap=on')
    wait_for_faults(m)
    assert len(m.ok('cat /sys/iommu/info')) > 20
    m.refused('echo 0:3.0 1 >/sys/iommu/attach', 'No such device')


@pytest.mark.parametrize('status', [0, 1, 42])
def test_script_status_is_the_runs(status):
    name = f'test_boot.script_status.{status}'
    got, text = run_script(name, f'echo in the script\nexit {status}\n')
    assert got == status
    assert 'in the script' in text


def test_last_status_counts():
    got, _ = run_script('test_boot.last_status',
                        'head -c 200 /dev/urandom >/dev/exit-status\n'
                        'echo -n 77777 >/dev/exit-status\nexit 5\n')
    assert got == 5


def test_make_run_fails_with_its_script():
    folder = folder_for('test_boot.make_run')
    for status in (0, 3):
        path = os.path.join(folder, f'script{status}')
        with open(path, 'w') as out:
            out.write(f'exit {status}\n')
        done = subprocess.run(
            ['make', '-C', SOURCE, 'run', f'SCRIPT={path}', f'O={BUILD}'],
            env=environment({'RUN': folder}), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == (2 if status else 0), done.stdout
        assert (f'Error {status}' in done.stdout) == bool(status)


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


def test_devices_behind_bridges_and_another_root(boot):
    edu = '-device edu,dma_mask=0xffffffffffffffff'
    m = boot(DEVICES='-device pcie-pci-bridge,id=old,bus=pcie.0,addr=4 '
             f'{edu},bus=old,addr=3 '
             '-device ioh3420,id=door,bus=pcie.0,addr=5,chassis=3 '
             '-device x3130-upstream,id=up,bus=door '
             '-device xio3130-downstream,id=down,bus=up,chassis=4 '
             f'{edu},bus=down '
             '-device pxb-pcie,id=root,bus_nr=0x40,bus=pcie.0,addr=6 '
             '-device pcie-root-port,id=far,bus=root,chassis=9 '
             f'{edu},bus=far')
    found = m.ok("grep -l 1234:11e8 /sys/pci/*/info | cut -d/ -f4").split()
    assert len(found) == 4 and found[-1] == '41:00.0', found
    for name in found:
        m.ok(f'udma -q {name} && udma -q -f 7 {name}')


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


def command_line(**variables):
    """What QEMU would be started with."""
    folder = folder_for('test_boot.command_line')
    stand_in = os.path.join(folder, 'qemu')
    with open(stand_in, 'w') as out:
        out.write('#!/bin/sh\necho "$@"\n')
    os.chmod(stand_in, 0o755)
    return subprocess.run(
        [os.path.join(SOURCE, 'tools/qemu')], text=True,
        env=environment(dict(variables, QEMU=stand_in, RUN=folder)),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout


def test_default_machine():
    line = command_line()
    for part in ('q35,kernel-irqchip=split', '-smp 4', '-m 1G',
                 '-device intel-iommu,intremap=on,caching-mode=on,'
                 'device-iotlb=on,aw-bits=48',
                 '-device nvme,addr=1', '-device e1000,addr=2',
                 '-device edu,addr=3,dma_mask=0xffffffffffffffff'):
        assert part in line
    assert line.index('intel-iommu') < line.index('nvme')


def test_variables_reach_qemu():
    line = command_line(SMP=7, MEM='3G', ACCEL='kvm', IOMMU='aw-bits=39',
                        DEVICES='-device edu', APPEND='words',
                        PASSTHROUGH='0000:00:04.0 0000:01:00.1')
    for part in ('-smp 7', '-m 3G', '-accel kvm', 'intel-iommu,aw-bits=39',
                 '-device edu', '-append words', 'vfio-pci,host=0000:00:04.0',
                 'vfio-pci,host=0000:01:00.1'):
        assert part in line
    assert 'intel-iommu' not in command_line(IOMMU='none')


@pytest.mark.parametrize('name, value, words', [
    ('SCRIPT', '/nothing/there', 'is not a file'),
    ('FILES', '/dev/null', 'is not a folder'),
    ('QEMU', 'no-such-program', 'is not a program')])
def test_what_cannot_be_run_is_named(name, value, words):
    done = subprocess.run(
        [os.path.join(SOURCE, 'tools/qemu')], text=True,
        env=environment({name: value, 'RUN': folder_for('test_boot.wrong')}),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    assert done.returncode == 1
    assert done.stdout == f'qemu: {name}={value} {words}\n'


def host_tree(folder, device='0000:00:04.0'):
    """A sysfs with one device, bound to a driver, with virtual functions."""
    pci = os.path.join(folder, 'bus/pci')
    at = os.path.join(pci, 'devices', device)
    os.makedirs(os.path.join(at, 'iommu_group/devices', device))
    os.makedirs(os.path.join(at, 'iommu_group/devices/0000:00:04.1'))
    os.makedirs(os.path.join(at, 'driver'))
    os.makedirs(os.path.join(pci, 'drivers/vfio-pci', device))
    for name in ('sriov_numvfs', 'driver/unbind', 'driver_override'):
        open(os.path.join(at, name), 'w').close()
    open(os.path.join(pci, 'drivers_probe'), 'w').close()
    return pci, at


def passthrough(folder, *arguments):
    binaries = os.path.join(folder, 'bin')
    os.makedirs(binaries, exist_ok=True)
    with open(os.path.join(binaries, 'modprobe'), 'w') as out:
        out.write('#!/bin/sh\n')
    os.chmod(os.path.join(binaries, 'modprobe'), 0o755)
    return subprocess.run(
        [os.path.join(SOURCE, 'tools/passthrough'), *arguments], text=True,
        env=dict(os.environ, SYSFS=folder,
                 PATH=binaries + ':' + os.environ['PATH']),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_device_of_the_host_is_lent():
    folder = folder_for('test_boot.lend')
    pci, at = host_tree(folder)
    done = passthrough(folder, '0000:00:04.0')
    assert done.returncode == 0, done.stdout
    assert open(f'{at}/sriov_numvfs').read() == '0\n'
    assert open(f'{at}/driver/unbind').read() == '0000:00:04.0\n'
    assert open(f'{at}/driver_override').read() == 'vfio-pci\n'
    assert open(f'{pci}/drivers_probe').read() == '0000:00:04.0\n'
    assert '0000:00:04.1 is in the same group' in done.stdout
    assert 'make run PASSTHROUGH=0000:00:04.0' in done.stdout
    assert passthrough(folder, '--back', '0000:00:04.0').returncode == 0
    assert open(f'{at}/driver_override').read() == '\n'


def test_what_cannot_be_lent():
    folder = folder_for('test_boot.no_lend')
    host_tree(folder)
    assert 'is no device address' in passthrough(folder, '00:04.0').stdout
    assert 'there is no device' in passthrough(folder, '0000:00:09.0').stdout
    assert passthrough(folder).returncode == 1
