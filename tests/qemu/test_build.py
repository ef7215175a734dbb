# SPDX-License-Identifier: MIT
"""Building: from a source tree that cannot be written, anywhere, twice."""

import os
import subprocess

from conftest import SOURCE, environment, folder_for


def make(*arguments, cwd=SOURCE):
    env = environment({})
    del env['O']
    done = subprocess.run(['make', *arguments], cwd=cwd, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def tracked_copy(folder):
    """What a fresh clone has, read-only."""
    copy = os.path.join(folder, 'source')
    os.mkdir(copy)
    names = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others',
                            '--exclude-standard'], cwd=SOURCE,
                           stdout=subprocess.PIPE).stdout
    subprocess.run(['cpio', '-pdm0', '--quiet', copy], cwd=SOURCE, input=names,
                   check=True)
    subprocess.run(['chmod', '-R', 'a-w', copy], check=True)
    return copy


def listing(folder):
    return sorted(os.path.join(d, f) for d, _, files in os.walk(folder)
                  for f in files)


def test_source_is_only_read_and_the_second_run_does_nothing():
    folder = folder_for('test_build')
    copy = tracked_copy(folder)
    before = listing(copy)
    try:
        make('-j2', '-C', copy, f'O={folder}/out')
        assert os.path.exists(f'{folder}/out/kernel.elf')
        assert os.path.exists(f'{folder}/out/initramfs.cpio')
        assert listing(copy) == before
        stamp = os.stat(f'{folder}/out/kernel.elf').st_mtime_ns
        again = make('-C', copy, f'O={folder}/out')
        assert os.stat(f'{folder}/out/kernel.elf').st_mtime_ns == stamp
        assert 'warning' not in again
        # Relative to where make stands, and from another folder.
        os.mkdir(f'{folder}/elsewhere')
        make('-f', f'{copy}/Makefile', 'O=rel', 'initramfs',
             cwd=f'{folder}/elsewhere')
        a = open(f'{folder}/elsewhere/rel/initramfs.cpio', 'rb').read()
        b = open(f'{folder}/out/initramfs.cpio', 'rb').read()
        assert a == b  # the same input gives the same bytes
    finally:
        subprocess.run(['chmod', '-R', 'u+w', copy])


def test_clang_builds_without_a_warning():
    folder = folder_for('test_build.clang')
    text = make('-j2', f'O={folder}', 'CC=clang', 'kernel')
    assert 'warning' not in text
