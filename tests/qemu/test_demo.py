# SPDX-License-Identifier: MIT
"""make demo: told to the end, or stopped where it is not as told."""

import os

from conftest import SOURCE, run_script


def demo():
    with open(os.path.join(SOURCE, 'tools/demo')) as f:
        return f.read()


def test_every_step_is_as_told():
    status, text = run_script('test_demo', demo())
    assert status == 0, text[-3000:]
    assert 'demo: every step was as told' in text


def test_it_stops_where_it_is_not_as_told():
    story = demo().replace("'^owner: none$'", "'^owner: nobody$'")
    status, text = run_script('test_demo.wrong', story)
    assert status == 1, text[-3000:]
    assert 'is not as told: no line matches' in text
    assert 'every step was as told' not in text
