# SPDX-License-Identifier: MIT
"""From one kernel to the next without a reset: the unit stays on, and what a
device still reaches is nobody else's."""

import os
import re
import socket
import struct
import threading

import pytest

from conftest import BUILD, FIRST_UNIT, Monitor, UNIT, folder_for

LOAD = 'kexec -l /boot/kernel --initrd=/dev/initrd '
TRANSLATING = 1 << 31
# Pages by which the first system may differ from those after it: its array of
# frames is cut to another size.
SLACK = 64


def jump(m, append='', options='', meanwhile=lambda: None):
    """Leave for the same kernel; returns what the console showed."""
    m.ok(f'{LOAD} --append="{append}"')
    meanwhile()
    m.type(f'kexec -e {options}\r')
    text = m.prompt(timeout=60)
    assert 'Leaving for the next kernel.' in text, text
    assert m.ok('cat /proc/cmdline') == append + '\n'
    return text


def crash(m, append, meanwhile):
    """As jump(), by a panic of another CPU than the one that goes on."""
    m.ok(f'kexec -p /boot/kernel --initrd=/dev/initrd --append="{append}"')
    meanwhile()
    m.type("taskset -c 3 sh -c 'echo c >/proc/sysrq-trigger'\r")
    text = m.prompt(timeout=60)
    assert 'panic on CPU 3: a crash was asked for' in text, text
    assert m.ok('cat /proc/cmdline') == append + '\n'
    return text


def pages(m):
    return int(re.match(r'pages: ([0-9]+) total',
                        m.ok('head -1 /sys/dmar/stats'))[1])


def trace(m):
    with open(f'{m.folder}/trace.log') as log:
        return log.readlines()


def check_never_off(m):
    """Once it translates, no command takes that away. Returns how often an
    owner of the unit set its root table."""
    on, roots = False, 0
    for line in trace(m):
        command = re.match('vtd_reg_write_gcmd status 0x([0-9a-f]+) '
                           'value 0x([0-9a-f]+)', line)
        if not command:
            continue
        status, value = (int(x, 16) for x in command.groups())
        on = on or status & TRANSLATING
        roots += bool(value & 1 << 30)
        assert not on or value & TRANSLATING, line
    assert on
    return roots


REGISTERS = 'invalidation=registers'


@pytest.mark.parametrize('unit, cpus, times, append', [
    (UNIT, 4, 3, ''), (FIRST_UNIT, 1, 2, REGISTERS),
    ('intremap=on,caching-mode=off,device-iotlb=off,aw-bits=39', 2, 1, '')])
def test_again_and_again(boot, unit, cpus, times, append):
    m = boot(SMP=cpus, IOMMU=unit, TRACE='vtd_reg_write_gcmd', APPEND=append)
    first, later = pages(m), []
    for n in range(times):
        m.ok('udma -q 00:03.0')
        devices = ('stop', 'keep', 'leave')[n]
        text = jump(m, f'again={n} {append if n else ""}',
                    f'--devices={devices}')
        assert 'taken over while it is on' in text
        assert re.search('[0-9]+ MiB of the earlier kernel are free', text)
        assert f'smp: {cpus} CPU' in text
        later.append(pages(m))
    assert later == later[:1] * times
    assert abs(later[0] - first) < SLACK
    info = m.ok('cat /sys/iommu/info')
    assert 'status = enabled' in info
    assert f'invalidation: {"registers" if append else "queue"}' in info
    m.ok('udma -q 00:03.0')
    assert m.ok('uname -s') == 'Linux\n'
    assert check_never_off(m) > times
    assert m.power_off() == 0


@pytest.mark.parametrize('variables', [
    {'IOMMU': 'none', 'MEM': '128M'}, {'MEM': '6144M'}])
def test_other_machines(boot, variables):
    m = boot(SMP=2, **variables)
    first = pages(m)
    jump(m)
    assert abs(pages(m) - first) < SLACK
    if 'IOMMU' not in variables:
        m.ok('udma -q 00:03.0')
    assert m.power_off() == 0


def test_from_grub(boot):
    m = boot(BOOT='iso', timeout=120)
    first = pages(m)
    jump(m)
    assert abs(pages(m) - first) < SLACK
    m.ok('udma -q 00:03.0')


# --- devices at work -----------------------------------------------------------

class Wire:
    """The other end of a card's cable: frames that everybody listens to."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(('127.0.0.1', 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(('127.0.0.1', 0))
            self.port = other.getsockname()[1]
        self.stopped = threading.Event()
        self.devices = (
            f'-netdev socket,id=n4,udp=127.0.0.1:'
            f'{self.socket.getsockname()[1]},localaddr=127.0.0.1:{self.port} '
            '-device e1000e,addr=4,netdev=n4,romfile=')

    def send(self, text):
        frame = b'\xff' * 6 + b'\x02\0\0\0\0\x01\x88\xb5' + text * 50
        self.socket.sendto(frame, ('127.0.0.1', self.port))

    def keep_sending(self):
        """For about a second: a card whose driver is gone takes 63 frames."""
        def run():
            for _ in range(40):
                self.send(b'on the way ')
                if self.stopped.wait(0.025):
                    break
        threading.Thread(target=run, daemon=True).start()

    def stop(self):
        self.stopped.set()


@pytest.fixture
def wire():
    wire = Wire()
    yield wire
    wire.stop()


class AtWork:
    """A machine where a process has the card, and takes what arrives."""

    def __init__(self, boot, wire, folder, cpus):
        path = str(folder / 'qmp')
        self.m = boot(['-qmp', f'unix:{path},server=on,wait=off'], SMP=cpus,
                      MEM='192M', TRACE='vtd_*', DEVICES=wire.devices)
        self.wire, self.folder, self.monitor = wire, folder, Monitor(path)
        self.m.ok('unet -c 1000000 00:04.0 ping 10.0.2.2 >/dev/null 2>&1 & '
                  'until grep -q 0:4.0 /sys/iommu/mappings; '
                  'do sleep 0.1; done')
        assert wait_for(lambda: self.arrives(b'to the process '))

    def arrives(self, text):
        """Sends a frame. Whether the card wrote it to the machine's memory."""
        seen = len(reached(trace(self.m)))
        self.wire.send(text)
        return wait_for(lambda: any(
            text in self.page(at)
            for at in set(reached(trace(self.m))[seen:])), 0.3)

    def page(self, at):
        path = self.folder / 'page'
        self.monitor('pmemsave', val=at, size=4096, filename=str(path))
        return path.read_bytes()


def wait_for(condition, seconds=10):
    ticks = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return True
        ticks.wait(0.02)
    return condition()


def reached(lines):
    found = [re.match('vtd_dmar_translate dev 00:04.00 iova 0x[0-9a-f]+ -> '
                      'gpa 0x([0-9a-f]+) mask 0xfff$', line)
             for line in lines]
    return [int(hit[1], 16) for hit in found if hit]


def on_the_way(m):
    """The trace from the end of the old kernel's queue to the root table of
    the next one."""
    lines = trace(m)
    first = next(n for n, line in enumerate(lines)
                 if line.startswith('vtd_inv_qi_enable enabled 0'))
    last = next(n for n, line in enumerate(lines)
                if n > first and line.startswith('vtd_reg_write addr 0x20 '))
    return lines[first:last]


@pytest.mark.parametrize('how, cpus', [('keep', 1), ('crash', 4)])
def test_a_device_goes_on_where_nobody_else_is(boot, wire, tmp_path, how,
                                               cpus):
    work = AtWork(boot, wire, tmp_path, cpus)
    m = work.m
    if how == 'crash':
        text = crash(m, 'takeover=kept', wire.keep_sending)
    else:
        text = jump(m, 'takeover=kept', '--devices=keep', wire.keep_sending)
        assert reached(on_the_way(m))
    wire.stop()
    assert '1 entries of an earlier owner are kept' in text
    assert '1 devices reach' in m.ok('cat /sys/dmar/inherited')

    # All that the next kernel has to give is one file, and stays as it was.
    m.refused('dd if=/dev/zero of=/tmp/all bs=64k 2>&1', 'No space left')
    assert work.arrives(b'after the jump ')
    assert m.ok("tr -d '\\0' </tmp/all | wc -c") == '0\n'
    m.ok('rm /tmp/all')

    before = pages(m)
    m.ok('echo end >/sys/dmar/inherited')
    assert pages(m) > before + 1000
    assert '0 devices reach' in m.ok('cat /sys/dmar/inherited')
    assert not work.arrives(b'after the end ')
    m.ok('unet -c 1 00:02.0 ping 10.0.2.2; udma -q 00:03.0')
    check_never_off(m)


@pytest.mark.parametrize('devices', ['stop', 'keep'])
def test_a_device_reaches_nothing_once_taken_over(boot, wire, tmp_path,
                                                  devices):
    work = AtWork(boot, wire, tmp_path, 2)
    text = jump(work.m, 'takeover=blocked', f'--devices={devices}',
                wire.keep_sending)
    wire.stop()
    assert bool(reached(on_the_way(work.m))) == (devices == 'keep')
    assert 'of the earlier kernel are free again' in text
    assert '0 devices reach' in work.m.ok('cat /sys/dmar/inherited')
    assert not work.arrives(b'after the jump ')
    # The card itself is as good as new.
    work.m.ok('echo 0:4.0 $$ >/sys/iommu/attach')
    work.m.ok('echo 0:4.0 >/sys/iommu/detach')
    check_never_off(work.m)


# --- what is refused -------------------------------------------------------------

def patched(kernel, offset, value):
    """The kernel with 8 bytes of its first program header changed."""
    at = struct.unpack_from('<Q', kernel, 32)[0] + offset
    return kernel[:at] + struct.pack('<Q', value) + kernel[at + 8:]


PADDR, FILESZ, MEMSZ = 24, 32, 40
WRONG = {
    'empty': (lambda k: b'', 'Invalid argument'),
    'text': (lambda k: b'#!/bin/sh\n' * 100, 'Exec format error'),
    'short': (lambda k: k[:0x20000], 'Exec format error'),
    'header': (lambda k: k[:40], 'Exec format error'),
    'overlapping': (lambda k: patched(k, MEMSZ, 0x20000),
                    'Exec format error'),
    'longer-than-memory': (lambda k: patched(k, FILESZ, 1 << 40),
                           'Exec format error'),
    'beyond-32-bits': (lambda k: patched(k, PADDR, 1 << 32),
                       'Exec format error'),
    'low': (lambda k: patched(k, PADDR, 0x1000), 'Exec format error'),
    'nowhere': (lambda k: elsewhere(k, 0xb0000000), 'Address not available'),
    'huge': (lambda k: patched(k, MEMSZ, 1 << 63), 'Exec format error'),
}


def elsewhere(kernel, distance):
    """The kernel with its first segment, and its entry, moved up."""
    note = kernel.index(b'\4\0\0\0\4\0\0\0\x12\0\0\0Xen\0') + 16
    entry = struct.unpack_from('<I', kernel, note)[0] + distance
    kernel = patched(kernel, PADDR, 0x100000 + distance)
    return kernel[:note] + struct.pack('<I', entry) + kernel[note + 4:]


def test_what_cannot_be_loaded_changes_nothing(boot):
    folder = folder_for('test_kexec.files')
    with open(os.path.join(BUILD, 'kernel.elf'), 'rb') as source:
        kernel = source.read()
    for name, (change, _) in WRONG.items():
        with open(f'{folder}/{name}', 'wb') as out:
            out.write(change(kernel))
    m = boot(FILES=folder, MEM='256M')
    m.refused('kexec -e', 'exec: Invalid argument')
    m.ok(f'{LOAD} --append=good=1')
    free = m.ok('grep MemFree /proc/meminfo')
    for name, (_, sentence) in WRONG.items():
        m.refused(f'kexec -l /host/{name}', f'load: {sentence}')
    m.refused('kexec -l /nowhere', 'No such file')
    m.refused('kexec -l /boot', 'load: Invalid argument')
    m.refused('kexec -l /dev/null', 'load: Invalid argument')
    m.refused('kexec -l /boot/kernel --initrd=/host/empty',
              'load: Invalid argument')
    m.refused("kexec -l /boot/kernel --append=\"$(printf '%1024s')\"",
              'load: Invalid argument')
    m.ok('truncate -s 300M /tmp/big; truncate -s 1100M /tmp/bigger')
    m.refused('kexec -l /boot/kernel --initrd=/tmp/big', 'Out of memory')
    m.refused('kexec -l /boot/kernel --initrd=/tmp/bigger', 'too large')
    m.refused('kexec -e --devices=drop', '--devices: Invalid argument')
    for line in ('', '-l', '-l /boot/kernel -e', '-e /boot/kernel', '-x'):
        m.refused(f'kexec {line}', 'usage')
    m.refused('echo x >/proc/sysrq-trigger', 'Invalid argument')
    left = m.ok('grep MemFree /proc/meminfo')
    kib = [int(re.search('[0-9]+', x)[0]) for x in (free, left)]
    assert abs(kib[0] - kib[1]) < 1024, kib
    m.refused('dd if=/dev/zero of=/tmp/all bs=64k 2>&1', 'No space left')
    m.refused('kexec -e', 'exec: Out of memory')
    m.ok('rm /tmp/all')
    # The image that was loaded before is still there.
    m.type('kexec -e\r')
    m.prompt(timeout=60)
    assert m.ok('cat /proc/cmdline') == 'good=1\n'
    m.ok(f'{LOAD} && kexec -u && kexec -p /boot/kernel && kexec -p -u')
    m.refused('kexec -e', 'exec: Invalid argument')
