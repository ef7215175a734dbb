# SPDX-License-Identifier: MIT
"""Typing at the console feels like Linux: editing, job control, programs that
use the whole screen."""

import re

import pytest



def start(m, command):
    """Type a command and wait until it runs: before that, keys are for the
    shell."""
    m.type(f"sh -c 'printf g%s\\\\n o; {command}'\r")
    m.expect('\ngo\r\n')


def test_line_editing(machine):
    m = machine
    m.type('echo abXd\x02\x7fc\r')  # left, rubout, insert
    m.expect('\nabcd\r')
    m.prompt()
    m.type('ech\to tab\r')
    m.prompt()
    m.type('echo first\r')
    m.prompt()
    m.type('\x1b[A\r')  # up: the line before
    m.expect('\nfirst\r')
    m.prompt()
    m.type('wrong line\x15echo right\r')  # ^U
    m.expect('\nright\r')
    m.prompt()
    m.type('cat /proc/versi\t')
    m.expect('/proc/version ')
    m.type('\x15\r')
    m.prompt()


@pytest.mark.parametrize('command', [
    'exec sleep 1000', 'exec cat', 'while true; do :; done', 'yes >/dev/null',
    'sleep 1000 | cat', 'sleep 1000; echo not this',
    'exec cat /sys/dmar/faults'])
def test_interrupt_a_command(machine, command):
    m = machine
    start(m, command)
    m.type('\x03')
    m.expect(r'\^C')
    m.prompt()
    assert m.run('echo alive') == 'alive\n'


def test_interrupt_while_editing(machine):
    m = machine
    m.type('echo never run')
    m.expect('never run')
    m.type('\x03')
    m.prompt()
    assert m.session('echo $?') == '130\n'


def test_stop_and_go(machine):
    m = machine
    start(m, 'exec sleep 1000')
    m.type('\x1a')
    m.expect('Stopped')
    m.prompt()
    assert 'Stopped' in m.run('jobs')
    m.ok('bg')
    assert 'Running' in m.run('jobs')
    m.type('fg\r')
    m.expect('sleep 1000.\r\n')
    m.type('\x03')
    m.prompt()
    assert m.run('jobs') == ''


def test_background_reader_is_stopped(machine):
    m = machine
    m.ok('cat & sleep 0.2')
    assert re.search('Stopped.*cat', m.run('jobs'))
    m.ok('kill -9 %1; wait; true')
    m.run('true')


def test_kill_jobs(machine):
    m = machine
    m.ok('sleep 1000 & sleep 1000 & true')
    m.ok('kill %1 %2; wait; true')
    m.run('true')
    assert m.run('jobs') == ''


def test_quit_signal(machine):
    m = machine
    start(m, 'exec sleep 1000')
    m.type('\x1c')
    m.prompt()
    assert m.run('true; echo ok') == 'ok\n'


def test_end_of_file(machine):
    m = machine
    start(m, 'exec cat >/tmp/typed')
    m.type('a line\rand half')
    m.type('\x04\x04')
    m.prompt()
    assert m.run('cat /tmp/typed') == 'a line\nand half'


def test_canonical_editing_in_cat(machine):
    m = machine
    start(m, 'exec cat >/tmp/typed')
    m.type('wronx\x7fg\rkilled\x15kept\r\x04')
    m.prompt()
    assert m.run('cat /tmp/typed') == 'wrong\nkept\n'


def test_ps_shows_everybody(machine):
    text = machine.ok('ps')
    assert re.search(r'^ +1 .* (init|/init)', text, re.M), text
    assert re.search(r'^ +22 .*idle', text, re.M), text
    assert re.search(r'^ +26 .*idle', text, re.M), text
    assert re.search(r'bash', text), text


def test_top_runs(machine):
    m = machine
    m.type('top -d 1\r')
    m.expect('Mem:')
    m.expect('PID')
    m.type('q')
    m.prompt()
    assert 'Mem' in m.ok('top -b -n 1 | head -5')


def test_vi_edits(machine):
    m = machine
    m.type('vi /tmp/edited\r')
    m.expect('- /tmp/edited')
    m.type('i')
    m.expect('I /tmp/edited')
    m.type('hello from vi\x1b')
    m.expect('- /tmp/edited .Modified')
    m.type(':wq\r')
    m.prompt()
    assert m.run('cat /tmp/edited') == 'hello from vi\n'


def test_less_pages(machine):
    m = machine
    m.type('seq 1 100 | less\r')
    m.expect('23')
    m.type('q')
    m.prompt()


def test_window_size_and_modes(machine):
    m = machine
    text = m.ok('stty -a')
    assert 'speed' in text and 'intr = ^C' in text
    m.ok('stty -echo; stty echo; stty sane')
    assert m.ok('tty') in ('/dev/console\n', '/dev/tty\n', '/dev/ttyS0\n')


def test_raw_mode_reads_single_keys(machine):
    m = machine
    m.type('read -rsn 1 -p "one key: " key; echo "<$key>"\r')
    m.expect('\none key: ')
    m.type('k')
    m.expect('<k>')
    m.prompt()


def test_other_shell(machine):
    m = machine
    m.type('ash\r')
    m.expect('[#$] ')
    m.type("sh -c 'echo from $0; exec sleep 1000' ash\r")
    m.expect('\nfrom ash')
    m.type('\x03')
    m.expect('[#$] ')
    m.type('sleep 1000 &\r')
    m.expect('[#$] ')
    m.type('kill %1; exit\r')
    m.prompt()


def test_system_files(machine):
    m = machine
    for command in ('uname -a', 'id', 'uptime', 'free', 'dmesg', 'df', 'mount',
                    'cat /proc/uptime /proc/loadavg /proc/stat /proc/mounts',
                    'cat /proc/self/stat /proc/self/status /proc/self/maps',
                    'cat /proc/version /proc/cpuinfo /proc/meminfo',
                    'pidof bash', 'hostname', 'date', 'nproc',
                    'head -c 16 /dev/urandom | wc -c', 'ls -l /dev /proc/self/fd'):
        m.ok(command)
    assert 'root' in m.ok('id')
    assert m.ok('hostname') == 'iommu\n'


@pytest.mark.parametrize('crash, word', [
    ('kill -SEGV $$', 'Segmentation fault'),
    ('kill -FPE $$', 'Floating point'),
    ('kill -ILL $$', 'Illegal instruction'),
])
def test_crashes_are_told(machine, crash, word):
    result = machine.run(f"sh -c '{crash}'")
    assert word in result
    assert result.status > 128


def test_crash_report(machine):
    """A program that crashes gets its signal and a one-line report."""
    result = machine.run('crash')
    assert result.status == 128 + 11
    lines = [line for line in result.splitlines() if 'crash' in line]
    assert lines and re.search('0x[0-9a-f]+', result), result
