# SPDX-License-Identifier: MIT
"""Building: from a source tree that cannot be written, anywhere, twice."""

import os
import re
import subprocess

import pytest

from conftest import BUILD, SOURCE, environment, folder_for


def make(*arguments, cwd=SOURCE):
    env = environment({})
    # A make above this one has nothing to say here.
    for name in ('O', 'MAKEFLAGS', 'MAKELEVEL', 'MFLAGS'):
        env.pop(name, None)
    done = subprocess.run(['make', *arguments], cwd=cwd, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def read_only_copy(folder):
    """A source tree that cannot be written."""
    copy = os.path.join(folder, 'source')
    os.mkdir(copy)
    # Everything but what was built, and git's own.
    names = subprocess.run(['find', '.', '(', '-name', '.git', '-o', '-path',
                            './build', '-o', '-samefile', BUILD, ')', '-prune',
                            '-o', '-type', 'f', '-print0'], cwd=SOURCE,
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
    copy = read_only_copy(folder)
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


@pytest.mark.parametrize('compiler, flags', [
    ('gcc', '-mcmodel=kernel -mno-red-zone -mgeneral-regs-only'),
    ('gcc', '-m32'), ('clang', '-m32'),
    ('clang', '--target=aarch64-none-elf'),
    ('clang', '--target=x86_64-unknown-windows -mno-stack-arg-probe')])
def test_library_builds_for_other_machines(compiler, flags):
    folder = folder_for(f'test_build.{compiler}{flags}')
    text = make('-j2', f'O={folder}', f'CC={compiler}',
                f'LIB_CFLAGS=-O2 {flags}', 'lib')
    assert 'warning' not in text
    library = f'{folder}/libiommu.a'
    symbols = subprocess.run(['nm', library], stdout=subprocess.PIPE,
                             text=True, check=True).stdout.split('\n')
    wanted = {s.split()[1] for s in symbols if s[16:].startswith(' U ') or
              s[8:].startswith(' U ')}
    had = {s.split()[2] for s in symbols if len(s.split()) == 3}
    # Besides what the guide says, the compiler's own library on 32 bits.
    assert wanted - had - {'memcpy', 'memmove', 'memset', 'memcmp'} <= (
        {'__udivdi3', '__udivmoddi4', '__ctzdi2', '_GLOBAL_OFFSET_TABLE_'}
        if '32' in flags else set())


PROGRAM = """
#include <iommu/iommu.h>
#include <stdio.h>
int main(void) { return !printf("%s\\n", iommu_status_text(IOMMU_OK)); }
"""
MESON = """
project('kernel', 'c')
iommu = dependency('libiommu', fallback: ['libiommu', 'libiommu_dep'])
executable('kernel', 'main.c', dependencies: iommu)
"""
CMAKE = """
cmake_minimum_required(VERSION 3.16)
project(kernel C)
add_subdirectory(libiommu)
add_executable(kernel main.c)
target_link_libraries(kernel libiommu)
"""


@pytest.mark.parametrize('name, text, place, steps', [
    ('meson.build', MESON, 'subprojects',
     (['meson', 'setup', 'b', '--optimization=0'], ['ninja', '-j2', '-C', 'b'])),
    ('CMakeLists.txt', CMAKE, '.',
     (['cmake', '-B', 'b', '.'], ['cmake', '--build', 'b', '-j2']))])
def test_library_is_a_part_of_another_build(name, text, place, steps):
    folder = folder_for(f'test_build.{name}')
    os.makedirs(f'{folder}/{place}', exist_ok=True)
    os.symlink(SOURCE, f'{folder}/{place}/libiommu')
    for file, content in ((name, text), ('main.c', PROGRAM)):
        with open(f'{folder}/{file}', 'w') as out:
            out.write(content)
    env = {name: value for name, value in os.environ.items()
           if 'MAKE' not in name and name != 'MFLAGS'}
    for step in steps:
        done = subprocess.run(step, cwd=folder, env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout[-2000:]
        assert 'warning' not in done.stdout.lower()
    said = subprocess.run([f'{folder}/b/kernel'], stdout=subprocess.PIPE)
    assert said.stdout == b'done\n'


CPLUSPLUS = """
#include <cstdio>
#include <iommu/dma.h>
#include <iommu/decode.h>
#include <iommu/version.h>
int main()
{
	struct iommu_device_id id = iommu_device_id(0, 0, 3, 0);
	return iommu_iova(1).v != 1 || id.requester != 0x18 ||
		!iommu_version() || std::puts(iommu_status_text(IOMMU_OK)) < 0;
}
"""
PACKAGE = """
cmake_minimum_required(VERSION 3.16)
project(kernel CXX)
find_package(libiommu REQUIRED)
add_executable(kernel main.cc)
target_link_libraries(kernel libiommu)
"""
STRICT = ['-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Werror']


def sh(folder, *command, **env):
    done = subprocess.run(command, cwd=folder, text=True,
                          env=dict(environment({}), **env),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.mark.parametrize('tool', ['cmake', 'meson'])
def test_library_is_installed_for_c_and_cplusplus(tool):
    folder = folder_for(f'test_build.installed.{tool}')
    prefix = f'{folder}/prefix'
    for name, text in (('main.c', PROGRAM), ('main.cc', CPLUSPLUS),
                       ('CMakeLists.txt', PACKAGE)):
        with open(f'{folder}/{name}', 'w') as out:
            out.write(text)
    if tool == 'cmake':
        sh(folder, 'cmake', '-S', SOURCE, '-B', 'b',
           f'-DCMAKE_INSTALL_PREFIX={prefix}', '-DCMAKE_INSTALL_LIBDIR=lib')
        sh(folder, 'cmake', '--build', 'b', '-j2')
        sh(folder, 'cmake', '--install', 'b')
        sh(folder, 'cmake', '-B', 'c', '.', f'-DCMAKE_PREFIX_PATH={prefix}')
        sh(folder, 'cmake', '--build', 'c')
        assert sh(folder, 'c/kernel') == 'done\n'
    else:
        sh(folder, 'meson', 'setup', 'b', SOURCE, f'--prefix={prefix}',
           '--libdir=lib', '--optimization=0')
        sh(folder, 'meson', 'install', '-C', 'b')
    flags = sh(folder, 'pkg-config', '--cflags', '--libs', 'libiommu',
               PKG_CONFIG_PATH=f'{prefix}/lib/pkgconfig').split()
    for compiler, source in (('gcc -std=c11', 'main.c'),
                             ('clang -std=c11', 'main.c'),
                             ('g++ -std=c++11', 'main.cc'),
                             ('g++ -std=c++20', 'main.cc')):
        sh(folder, *compiler.split(), *STRICT, source, *flags, '-o', 'kernel')
        assert sh(folder, './kernel') == 'done\n'


def install(folder, installed, failures):
    """tools/install-packages among stand-ins; returns apt-get's calls."""
    os.makedirs(f'{folder}/bin')
    log = f'{folder}/calls'

    def stand_in(name, text):
        path = f'{folder}/bin/{name}'
        with open(path, 'w') as out:
            out.write('#!/bin/sh\n' + text)
        os.chmod(path, 0o755)

    answers = ' '.join(f'installed:{name}' for name in installed)
    stand_in('dpkg-query', f'echo "{answers} "\n')
    stand_in('id', 'echo 0\n')
    stand_in('apt-get', f'echo "$@" >>{log}\n'
             'case "$*" in *update) exit 0 ;; esac\n'
             f'[ $(grep -c install {log}) -gt {failures} ]\n')
    env = dict(os.environ, PATH=f'{folder}/bin:' + os.environ['PATH'])
    done = subprocess.run([f'{SOURCE}/tools/install-packages', 'run', 'clang'],
                          env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    calls = open(log).read().splitlines() if os.path.exists(log) else []
    return done, calls


def test_nothing_is_installed_when_all_is_there():
    done, calls = install(folder_for('test_build.all'),
                          ['qemu-system-x86', 'clang'], 0)
    assert (done.returncode, done.stdout, calls) == (0, '', [])


def test_what_is_missing_is_installed():
    done, calls = install(folder_for('test_build.missing'), ['clang'], 0)
    assert done.returncode == 0
    assert len(calls) == 1
    assert calls[0].endswith(' install qemu-system-x86')


def test_stale_lists_are_updated_once():
    done, calls = install(folder_for('test_build.stale'), [], 1)
    assert done.returncode == 0
    assert [c.split()[-1] if 'update' in c else c.split(' install ')[1]
            for c in calls] == ['qemu-system-x86 clang', 'update',
                                'qemu-system-x86 clang']


def test_failure_to_install_is_an_error():
    done, _ = install(folder_for('test_build.fails'), [], 9)
    assert done.returncode == 1
    assert 'could not install' in done.stdout


def test_calls_fit_into_a_kilobyte_of_stack():
    compiler = subprocess.run(['gcc', '-dumpversion'], stdout=subprocess.PIPE,
                              text=True).stdout.strip().split('.')[0]
    if compiler != '12':
        pytest.skip(f'frames are those of gcc 12, this is {compiler}')
    text = make('size', f'O={BUILD}')
    said = re.search(r'stack, measured: (\d+) bytes at most in (\d+) public '
                     r'calls, 0 above 1024', text)
    assert said, text[-2000:]
    assert int(said[1]) <= 1024 and int(said[2]) > 80
