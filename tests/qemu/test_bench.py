# SPDX-License-Identifier: MIT
"""make bench runs to its end and prints every row. What the figures are is not
asked here."""

import os
import re
import subprocess
import sys

from conftest import SOURCE, environment

RUN = os.path.join(SOURCE, 'bench/run')


def bench(*parts):
    done = subprocess.run([sys.executable, '-B', RUN, *parts], timeout=300,
                          env=environment({}), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def operations():
    with open(os.path.join(SOURCE, 'bench/rows.tsv')) as f:
        return [line.split('\t')[1] for line in f if line[0] != '#']


def lines_of(text, what):
    """The lines about an operation that begin with two figures."""
    return re.findall(rf'^{re.escape(what)} +[\d.,]+ +[\d.,]+ ', text, re.M)


def test_every_row_is_printed():
    text = bench('instructions', 'time')
    for what in operations():
        assert len(lines_of(text, what)) >= 2, f'{what}:\n{text}'
    # Two CPUs at once have a table of their own.
    assert len(lines_of(text, 'strict unmap 4 KiB')) == 3, text
