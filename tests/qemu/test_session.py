# SPDX-License-Identifier: MIT
"""The first session, word for word: the devices of the default machine are
given to three processes, looked at, taken back, and the unit turned off."""

import re

from conftest import FIRST_UNIT, PROMPT

FILES = 'attach detach info mappings power'

# Expected lines as regular expressions; H stands for one hexadecimal number.
H = r'0x[0-9a-f]+'
MAPPINGS = rf'''Mappings for iommu@({H})
 pid = 1
 device = 0:3\.0
 pid = 22
 device = 0:0\.0
 device = 0:1\.0
 pid = 26
 device = 0:2\.0
'''
MAPPINGS_AFTER = rf'''Mappings for iommu@{H}
 pid = 1
 device = 0:3\.0
 pid = 22
 device = 0:0\.0
'''
# Everything that QEMU's unit shows with FIRST_UNIT is compared as text; only
# addresses that the kernel chose are free.
INFO = rf'''driver info:
 default did = 1
 status = enabled

iommu@{H}
 rba = 0x00000000fed90000
 supported = yes
 num_assigned_devs = [0-9]+
 regspace = 0x[0-9a-f]{{16}}
 host addr width \(dmar\) = 48
 host addr width \(cap\[mgaw\]\) = 48
 version = 0x10
 capabilities = 0x00d2008c222f0686
 mgaw: 48
 sagaw \(paging level\): 0x6
 caching mode: yes \(1\)
 zlr: 0x0
 rwbf: not required
 num domains: 65536
 supports protected high-memory region: no
 supports Protected low-memory region: no
 ext\. capabilities = 0x0000000000000f46
 pass through: yes
 device iotlb: yes
 iotlb register offset: 0xf0
 snoop control: no
 coherency: no
 queue invalidation support: yes
 interrupt remapping support: no
 extended interrupt mode: 0x0
 global status = 0xc[0-9a-f]{{7}}
 translation: enabled
 root table: set
 root entry table = 0x[0-9a-f]{{16}} \(phy\) or 0x[0-9a-f]{{16}} \(vir\)
'''
HELP = "Write 'enable' or 'disable' OR 'on' or 'off' to change status\n"


def matches(pattern, text):
    """Each line for itself, so that a difference shows where it is."""
    wanted, got = pattern.split('\n'), text.split('\n')
    for line, (want, have) in enumerate(zip(wanted, got)):
        assert re.fullmatch(want, have), \
            f'line {line}: wanted {want!r}, got {have!r}\n{text}'
    assert len(got) >= len(wanted), text


def test_first_session_word_for_word(boot):
    m = boot(IOMMU=FIRST_UNIT)
    m.session('cd /')
    assert m.session('mkdir -p /sys/iommu') == ''
    assert m.session(r'/bin/bind \#iommu /sys/iommu') == ''
    assert m.session('cd /sys/iommu/') == ''
    assert m.session('ls').split() == FILES.split()

    for line in ('0:3.0 1', '0:0.0 22', '0:1:0 22', '0:2.0 26'):
        assert m.session(f'echo {line} >attach') == '', line
    text = m.session('cat mappings')
    matches(MAPPINGS, text)
    assert len(text) == len(re.match(MAPPINGS, text).group(0)), text

    assert m.session('echo 0:2.0 >detach') == ''
    assert m.session('echo 0:1:0 >detach') == ''
    text = m.session('cat mappings')
    assert re.fullmatch(MAPPINGS_AFTER, text), text

    matches(INFO[:-1], m.session('cat info'))

    assert m.session('cat power') == 'IOMMU status: enabled\n' + HELP
    m.ok('echo 0:3.0 >detach; echo 0:0.0 >detach')
    assert m.session('echo -n off >power') == ''
    assert m.session('cat power') == 'IOMMU status: disabled\n' + HELP


def test_prompt_is_bash(boot):
    m = boot()
    m.type('\r')
    m.expect(PROMPT)
    assert m.ok('echo $0 $BASH_VERSION').startswith('bash 5.2')
