# SPDX-License-Identifier: MIT
"""The name space: mounts, binds, device trees, links, what /dev and /proc hold,
and that files can fill only their share of the memory."""

import re

import pytest

from conftest import run_script

MACHINE = dict(MEM='256M', SMP=2)


@pytest.fixture
def m(machine):
    machine.ok('rm -rf /tmp/t; mkdir /tmp/t; cd /tmp/t')
    yield machine
    machine.ok('cd /; rm -rf /tmp/t')


def test_a_fresh_file_system(m):
    m.ok('mkdir d; echo under >d/f; mount -t tmpfs none d')
    assert m.ok('ls d') == ''
    m.ok('echo over >d/g')
    assert '/tmp/t/d tmpfs rw' in m.ok('cat /proc/mounts')
    m.ok('umount d')
    assert m.ok('cat d/*') == 'under\n'


def test_a_folder_at_two_places(m):
    m.ok('mkdir a b; mount --bind a b; echo x >a/f')
    assert m.ok('cat b/f; pwd -P; cd b; pwd -P; cd ..') == \
        'x\n/tmp/t\n/tmp/t/b\n'
    m.ok('umount b')
    assert m.ok('ls b') == ''


def test_a_device_tree_anywhere(m):
    m.ok("mkdir p; /bin/bind '#proc' p")
    assert m.ok('cat p/version').startswith('Linux version')
    m.ok('umount p; mount -t proc none p')
    assert m.ok('cat p/self/comm') == 'cat\n'
    m.ok('umount p')
    assert m.ok("cat '#proc/sys/kernel/ostype'") == 'Linux\n'
    m.refused("cat '#nothing/here'", 'No such file')
    m.ok("echo mine >'#nothing'")  # no such device: a name like any other
    assert m.ok('cat \\#nothing') == 'mine\n'


def test_mounts_pile_up(m):
    m.ok('mkdir d; mount -t tmpfs one d; touch d/1; mount -t tmpfs two d')
    assert m.ok('ls d') == ''
    m.ok('umount d')
    assert m.ok('ls d') == '1\n'
    m.ok('umount d')
    m.refused('umount d')


def test_what_is_in_use_stays_mounted(m):
    m.ok('mkdir d; mount -t tmpfs none d; cd d')
    m.refused('umount /tmp/t/d', 'busy')
    m.ok('cd ..; exec 5>d/open')
    m.refused('umount /tmp/t/d', 'busy')
    m.ok('mkdir d/e; mount -t tmpfs none d/e; exec 5>&-')
    m.refused('umount /tmp/t/d', 'busy')
    m.refused('rmdir d/e', 'busy')
    m.refused('mv d/e d/f', 'busy')
    m.ok('umount d/e; umount d')


def test_a_lazy_unmount_takes_all_with_it(m):
    m.ok('mkdir d; mount -t tmpfs none d; mkdir d/e; mount -t tmpfs none d/e')
    m.ok('exec 5>d/e/open; umount -l d; echo still works >&5; exec 5>&-')
    assert '/tmp/t' not in m.ok('cat /proc/mounts')
    assert m.ok('ls d') == ''


def test_a_bind_of_everything_ends(m):
    m.ok('mkdir all; mount --bind / all')
    assert m.ok('ls all/tmp/t/all') == ''
    m.ok('umount all')


def test_a_read_only_mount(m):
    m.ok('mkdir d; mount -t tmpfs none d; touch d/f; mount -o remount,ro d')
    for command in ('echo x >d/f', 'touch d/g', 'rm -f d/f', 'mkdir d/h',
                    'ln -s x d/l', 'mv d/f d/g', 'chmod 600 d/f'):
        m.refused(command, 'Read-only')
    m.ok('cat d/f; mount -o remount,rw d; rm d/f; umount d')


def test_symbolic_links(m):
    m.ok('ln -s loop loop; ln -s ../t/here there; ln -s gone dangling')
    m.refused('cat loop', 'Too many levels')
    m.ok('echo x >there; echo y >dangling')
    assert m.ok('cat here gone') == 'x\ny\n'
    m.refused('ls here/', 'Not a directory')
    m.ok('n=0; ln -s here l0; while [ $n -lt 40 ]; do '
         'ln -s l$n l$((n + 1)); n=$((n + 1)); done')
    assert m.ok('cat l39') == 'x\n'
    m.refused('cat l40', 'Too many levels')


def test_long_names(m):
    m.ok('name=$(printf %255s | tr " " n); echo x >$name; cat $name')
    m.refused('echo x >${name}n', 'File name too long')
    # Deeper than a path can tell: every step works, and so does the way back.
    m.ok('d=$(printf %250s | tr " " d); '
         'for i in $(seq 20); do mkdir $d; cd $d; done; touch bottom')
    m.refused('cat $PWD/bottom', 'too long')
    m.ok('ls bottom; for i in $(seq 20); do cd -P ..; rm -r $d; done; pwd -P')


def test_a_removed_working_folder(m):
    m.ok('mkdir d; cd d; rmdir ../d')
    assert m.ok('ls') == ''
    m.refused('touch x', 'No such file')
    m.refused('/bin/pwd', 'No such file')
    m.ok('cd ..')


def test_folders_do_not_move_into_themselves(m):
    m.ok('mkdir -p a/b/c')
    m.refused('mv a a/b/c/d', '[Ii]nvalid|itself|subdirectory')
    m.ok('mv a/b x; ls x/c')


def test_small_devices(m):
    assert m.ok('head -c 5 /dev/zero | od -An -tx1') == ' 00 00 00 00 00\n'
    assert m.ok('cat /dev/null | wc -c; echo x >/dev/null') == '0\n'
    m.refused('echo x >/dev/full', 'No space left')
    m.ok('test "$(head -c 16 /dev/urandom | od -A n -t x1)" != '
         '"$(head -c 16 /dev/urandom | od -A n -t x1)"')
    assert m.ok('echo to the console >/dev/kmsg') == 'to the console\n'
    assert m.ok('echo x | cat /dev/stdin; echo y >/dev/stdout') == 'x\ny\n'
    assert m.ok('cat <(echo z)') == 'z\n'
    for command in ('echo x >/dev/new', 'mkdir /dev/new', 'rm /dev/null',
                    'mv /dev/null /dev/nil'):
        m.refused(command, 'not permitted')
    m.ok('mknod nil c 1 3; echo x >nil')
    m.refused('mknod odd c 99 99; cat odd', 'No such device')


def test_processes_as_files(m):
    m.ok('sleep 1000 & pid=$!')
    assert m.ok('tr "\\0" " " </proc/$pid/cmdline') == 'sleep 1000 '
    assert m.ok('readlink /proc/$pid/exe') == '/bin/busybox\n'
    assert m.ok('readlink /proc/$pid/cwd') == '/tmp/t\n'
    assert m.ok('readlink /proc/$pid/fd/0') == '/dev/console\n'
    fields = m.ok('cat /proc/$pid/stat').split()
    assert len(fields) == 52
    assert fields[1] == '(sleep)' and fields[2] == 'S'
    assert re.search('VmRSS:.* kB', m.ok('cat /proc/$pid/status'))
    assert 'x' in m.ok('cat /proc/$pid/maps')
    m.ok('kill $pid; wait $pid; ! ls /proc/$pid')
    m.ok('exec 5>f; rm f; echo gone >&5')
    assert m.ok('cat /proc/self/fd/5; exec 5>&-') == 'gone\n'


def test_fifos(m):
    m.ok('mkfifo p; cat p >out & echo through >p; wait')
    assert m.ok('cat out') == 'through\n'
    m.refused('chmod 755 p; env ./p', 'Permission denied')  # not waited for


def test_sparse_files(m):
    m.ok('truncate -s 100G big; echo end >>big')
    assert m.ok('tail -c 4 big; du -k big') == 'end\n4\tbig\n'
    assert m.ok('truncate -s 5 big; od -An -c big') == \
        '  \\0  \\0  \\0  \\0  \\0\n'


def test_files_cannot_take_all_memory(m):
    m.refused('dd if=/dev/zero of=fill bs=1M', 'No space left')
    m.refused('cp /bin/busybox copy', 'No space left')
    assert m.ok('echo $(ls /bin | wc -l)').strip().isdigit()
    free = int(m.ok('grep MemFree /proc/meminfo').split()[1])
    assert free > 8 * 1024
    m.ok('rm fill copy')
    assert int(m.ok('grep MemFree /proc/meminfo').split()[1]) > free * 5


@pytest.mark.parametrize('cpus', [1, 4])
def test_names_under_stress(cpus):
    status, text = run_script(f'test_names.stress.{cpus}', 'namestress\n',
                              SMP=cpus, MEM='256M', timeout=300)
    assert status == 0, text[-4000:]
    assert 'nothing is left' in text
