# SPDX-License-Identifier: MIT
"""What #pci says of devices, and what it takes from whom."""

import hashlib

MACHINE = {'DEVICES': '-netdev user,id=n4 -device e1000e,addr=4,netdev=n4,'
           'romfile='}
DISK = '/sys/pci/00:01.0'


def test_a_device_in_words(machine):
    text = machine.ok(f'cat {DISK}/info')
    for line in ('id: 1b36:0010 Red Hat, Inc. QEMU NVM Express Controller',
                 'class: 010802 Non-Volatile memory controller, NVM Express; '
                 'revision 02', 'capability 60: power management',
                 'capability 40: MSI-X, 65 vectors, table in bar0 at 0x2000',
                 'group: 00:01.0', 'reset: flr', 'owner: none',
                 'interrupts: remapped, from its own id only'):
        assert line in text.split('\n'), text


def test_extended_capabilities(machine):
    text = machine.ok('cat /sys/pci/00:04.0/info')
    assert 'capability 100: advanced error reporting\n' in text
    assert 'capability 140: serial number\n' in text
    assert 'reset: pm\n' in text


def test_functions_that_share_a_fate(machine):
    assert 'group: 00:1f.2 00:1f.0 00:1f.3\n' in machine.ok(
        'cat /sys/pci/00:1f.2/info')


def test_without_remapping_it_says_what_is_not_protected(boot):
    m = boot(IOMMU='intremap=off,caching-mode=on,aw-bits=48')
    assert 'interrupts: not remapped: it can raise any vector\n' in m.ok(
        f'cat {DISK}/info')
    m.ok('unvme -i 00:01.0 verify 0 100')  # they come all the same


def test_every_length_and_offset_of_config(machine):
    m = machine
    m.ok(f'cat {DISK}/config >/tmp/all; [ $(wc -c </tmp/all) = 4096 ]')
    for offset, length in ((0, 1), (1, 2), (3, 7), (4095, 1), (13, 1000)):
        m.ok(f'dd if={DISK}/config bs=1 skip={offset} count={length} '
             f'2>/dev/null >/tmp/a; dd if=/tmp/all bs=1 skip={offset} '
             f'count={length} 2>/dev/null | cmp - /tmp/a')
    assert m.ok(f'tail -c +4097 {DISK}/config | wc -c').strip() == '0'


def test_only_the_owner_writes(machine):
    m = machine
    m.refused(f'echo reset >{DISK}/ctl', 'not permitted')
    m.refused(f'echo msix 1 >{DISK}/ctl', 'not permitted')
    m.refused(f'printf x >{DISK}/config', 'not permitted')
    m.refused(f'dd bs=8 count=1 if={DISK}/irq', 'not permitted')


def test_ctl_lists_its_commands(machine):
    text = machine.ok(f'cat {DISK}/ctl')
    for word in ('enable', 'busmaster on', 'busmaster off', 'reset', 'msi ',
                 'msix ', 'faults log', 'faults sigbus', 'faults detach'):
        assert any(line.startswith(word) for line in text.split('\n')), text


def test_a_shell_owns_a_device(machine):
    """attach, ctl and config are files: a script can drive them."""
    m = machine
    m.ok('echo 0:4.0 $$ >/sys/iommu/attach')
    m.ok('echo msix 2 >/sys/pci/00:04.0/ctl')
    assert 'irq0' in m.ok('ls /sys/pci/00:04.0')
    assert 'irq1' in m.ok('ls /sys/pci/00:04.0')
    m.refused('echo msix 6 >/sys/pci/00:04.0/ctl', 'Invalid')
    m.refused('echo nonsense >/sys/pci/00:04.0/ctl', 'Invalid')
    m.ok('echo msix 0 >/sys/pci/00:04.0/ctl')
    assert 'irq1' not in m.ok('ls /sys/pci/00:04.0')
    m.ok('echo 0:4.0 >/sys/iommu/detach')


def test_there_is_no_copy_engine_in_qemu(machine):
    machine.refused('ucbdma 00:03.0', '00:03.0 is not a CBDMA engine')
    assert 'device' not in machine.ok('cat /sys/iommu/mappings')


def test_the_owner_reads_the_rom(boot, tmp_path):
    rom = b'U\xaa\x04' + b'every byte of it, and no zero ' * 69
    rom = rom[:2048]
    (tmp_path / 'rom').write_bytes(rom)
    m = boot(DEVICES='-netdev user,id=n4 -device e1000e,addr=4,netdev=n4,'
             f'romfile={tmp_path}/rom')
    m.refused('cat /sys/pci/00:04.0/rom')
    m.ok('echo 0:4.0 $$ >/sys/iommu/attach')
    text = m.ok('LC_ALL=C; read -r -N 2048 x </sys/pci/00:04.0/rom; '
                'printf %s "$x" | md5sum')
    assert hashlib.md5(rom).hexdigest() in text
    m.ok('echo 0:4.0 >/sys/iommu/detach')
    m.refused('read -r -N 1 x </sys/pci/00:04.0/rom', 'not permitted')


def test_attach_says_what_is_not_protected(boot, machine):
    says = 'not protected: without interrupt remapping'
    assert says not in machine.ok('cat /sys/iommu/attach')
    m = boot(IOMMU='intremap=off,caching-mode=on,aw-bits=48')
    assert says in m.ok('cat /sys/iommu/attach')


def masters(machine):
    """Functions whose command register lets them start requests."""
    text = machine.ok('cd /sys/pci; for d in *; do echo $d $(dd if=$d/config '
                      'bs=1 skip=4 count=1 2>/dev/null | od -An -tu1); done; '
                      'cd /')
    pairs = [line.split() for line in text.splitlines()]
    assert len(pairs) >= 8
    return [name for name, command in pairs if int(command) & 4]


def test_only_an_owned_device_is_bus_master(boot):
    """SeaBIOS leaves the disk and others able to start requests."""
    m = boot(**MACHINE)
    assert masters(m) == []
    m.ok('echo 0:4.0 1 >/sys/iommu/attach')
    assert masters(m) == ['00:04.0']
    m.ok('echo 0:4.0 >/sys/iommu/detach')
    assert masters(m) == []
