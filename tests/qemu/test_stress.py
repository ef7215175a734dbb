# SPDX-License-Identifier: MIT
"""The owner of a device is killed at any moment: no byte is written afterwards,
no page is lost, nothing hangs."""

from conftest import run_script


def test_owner_killed_at_any_moment():
    status, text = run_script('test_stress.killed', 'dmastress -n 500\n',
                              SMP=4, timeout=420)
    assert status == 0, text[-4000:]
