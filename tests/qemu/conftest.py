# SPDX-License-Identifier: MIT
"""A machine at whose console the tests sit like a person would.

Nothing here sleeps: every wait is for a prompt or for a line. What the console
showed is kept in $O/test/qemu/NAME.log.
"""

import json
import os
import re
import shutil
import socket
import subprocess

import pexpect
import pytest

SOURCE = os.path.realpath(os.path.join(os.path.dirname(__file__), '../..'))
BUILD = os.path.abspath(os.environ.get('O', os.path.join(SOURCE, 'build')))
PROMPT = r'bash-[0-9.]+[#$] '
# The default, and as the first session was recorded: without remapping.
UNIT = 'intremap=on,caching-mode=on,device-iotlb=on,aw-bits=48'
FIRST_UNIT = 'intremap=off,caching-mode=on,device-iotlb=on,aw-bits=48'
# Time in the guest passes with its instructions and jumps while all CPUs idle,
# so a device that takes a tenth of a second costs nothing.
ICOUNT = ['-icount', 'shift=4,sleep=off']
VARIABLES = ('SMP', 'MEM', 'ACCEL', 'QEMU', 'IOMMU', 'DEVICES', 'PASSTHROUGH',
             'TRACE', 'FILES', 'SCRIPT', 'APPEND', 'RUN', 'BOOT', 'FIRMWARE',
             'MACHINE', 'KERNEL')


def environment(variables):
    env = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    env.update(O=BUILD, ACCEL='tcg')
    env.update({k: str(v) for k, v in variables.items()})
    return env


def folder_for(name):
    folder = os.path.join(BUILD, 'test', 'qemu',
                          re.sub(r'[^A-Za-z0-9_.-]+', '_', name).strip('_'))
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


class Result(str):
    """What a command printed, with its exit status."""
    status = 0


class Machine:
    """One QEMU with its console. Variables are those of `make run`."""

    def __init__(self, name, arguments=(), wait=True, timeout=30, **variables):
        self.folder = folder_for(name)
        variables.setdefault('RUN', self.folder)
        self.log = open(os.path.join(self.folder, 'console.log'), 'w')
        self.console = pexpect.spawn(
            os.path.join(SOURCE, 'tools/qemu'), list(arguments),
            env=environment(variables), encoding='utf-8',
            codec_errors='replace', timeout=timeout, dimensions=(25, 80))
        self.console.delaybeforesend = None
        self.console.logfile_read = self.log
        self.count = 0
        if wait:
            self.prompt()

    def prompt(self, timeout=-1):
        """Wait for the shell's prompt; returns what came before it."""
        self.console.expect(PROMPT, timeout=timeout)
        return clean(self.console.before)

    def type(self, text):
        """Type without waiting. Control-A is QEMU's own key: double it."""
        self.console.send(text.replace('\x01', '\x01\x01'))

    def expect(self, pattern, timeout=-1):
        """Wait for a pattern. Two terminals add their carriage returns."""
        pattern = re.sub(r'\r\n|\\r\\n', r'\\r+\\n', pattern)
        self.console.expect(pattern, timeout=timeout)
        return self.console.match

    def run(self, command, timeout=-1):
        """Run a command; returns what it printed, with .status."""
        self.count += 1
        n = self.count
        if '\n' in command:
            command = 'eval ' + ansi_c_quote(command)
        # The echo of the typed line never looks like the markers: %s.
        self.type(f"printf '@%s@\\n' {n}; {command}; "
                  f"printf '@%s:%d@\\n' {n} $?\r")
        self.console.expect(f'@{n}@\r*\n', timeout=timeout)
        self.console.expect(f'@{n}:([0-9]+)@', timeout=timeout)
        result = Result(clean(self.console.before))
        result.status = int(self.console.match.group(1))
        self.prompt()
        return result

    def ok(self, command, timeout=-1):
        """Run a command that must succeed."""
        result = self.run(command, timeout)
        assert result.status == 0, f'{command}: {result.status}\n{result}'
        return result

    def refused(self, command, sentence=None):
        """Run a command that must fail; its output holds the sentence."""
        result = self.run(command)
        assert result.status != 0, f'{command} succeeded:\n{result}'
        if sentence:
            assert re.search(sentence, result), f'{command}:\n{result}'
        return result

    def session(self, command):
        """Type a line at the prompt as it is; returns what it printed."""
        self.type(command + '\r')
        text = self.prompt()
        return text.split('\n', 1)[1] if '\n' in text else ''

    def power_off(self):
        """Leave the shell; returns the status that `make run` would have."""
        self.type('exit\r')
        return self.ended()

    def ended(self, timeout=-1):
        self.console.expect(pexpect.EOF, timeout=timeout)
        self.console.close()
        return self.console.exitstatus

    def close(self):
        if self.console.isalive():
            self.console.sendcontrol('a')
            self.console.send('x')
            try:
                self.console.expect(pexpect.EOF, timeout=5)
            except pexpect.TIMEOUT:
                pass
        self.console.close(force=True)
        self.log.close()


class Monitor:
    """QEMU's monitor: who puts devices in and takes them out."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.lines = self.socket.makefile('r')
        self.lines.readline()
        self('qmp_capabilities')

    def __call__(self, command, **arguments):
        self.socket.sendall(json.dumps(
            {'execute': command, 'arguments': arguments}).encode() + b'\n')
        while True:
            answer = json.loads(self.lines.readline())
            if 'return' in answer or 'error' in answer:
                assert 'return' in answer, answer
                return answer['return']

    def wait(self, event):
        while json.loads(self.lines.readline()).get('event') != event:
            pass

    def put_in(self, driver, **options):
        self('device_add', driver=driver, id='guest', bus='door', **options)

    def press(self):
        self('device_del', id='guest')

    def take_out(self):
        self.press()
        self.wait('DEVICE_DELETED')


def clean(text):
    text = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', text)
    return text.replace('\r', '')


def ansi_c_quote(text):
    return "$'" + (text.replace('\\', '\\\\').replace("'", "\\'")
                   .replace('\n', '\\n').replace('\t', '\\t')) + "'"


def run_script(name, script, arguments=(), timeout=120, **variables):
    """Boot with SCRIPT; returns (exit status, what the console showed)."""
    folder = folder_for(name)
    path = os.path.join(folder, 'script')
    with open(path, 'w') as out:
        out.write(script)
    log = os.path.join(folder, 'console.log')
    with open(log, 'wb') as out:
        process = subprocess.Popen(
            [os.path.join(SOURCE, 'tools/qemu'), *arguments],
            env=environment(dict(variables, RUN=folder, SCRIPT=path)),
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.terminate()  # the script passes it on to QEMU
            process.wait()
            status = 'no end'
    with open(log, errors='replace') as text:
        return status, clean(text.read())


@pytest.fixture
def boot(request):
    """boot(SMP=2, IOMMU=…) gives a Machine of the test's own."""
    machines = []

    def start(arguments=(), **variables):
        name = f'{request.node.module.__name__}.{request.node.name}'
        if machines:
            name += f'.{len(machines)}'
        machine = Machine(name, arguments, **variables)
        machines.append(machine)
        return machine

    yield start
    for machine in machines:
        machine.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        item.went_wrong = True


@pytest.fixture(scope='module')
def shared(request):
    """Holds the machine of a file; see machine."""
    holder = []
    yield holder
    for machine in holder:
        machine.close()


@pytest.fixture
def machine(request, shared):
    """One machine for all tests of a file, with devices in no hurry. After a
    failure the next test gets a new one. A file whose devices work with the
    world outside, which knows no virtual time, sets ARGUMENTS = []."""
    if not shared:
        module = request.module
        shared.append(Machine(module.__name__,
                              getattr(module, 'ARGUMENTS', ICOUNT),
                              **getattr(module, 'MACHINE', {})))
    yield shared[0]
    if getattr(request.node, 'went_wrong', False):
        shared.pop().close()
