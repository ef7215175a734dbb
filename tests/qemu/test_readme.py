# SPDX-License-Identifier: MIT
"""The session that the README shows is typed, and looks like that. Numbers that
differ from run to run, pids and addresses, stand for any of their kind."""

import os
import re

from conftest import SOURCE


def shown():
    """[(command, what the README says it prints), ...]"""
    with open(os.path.join(SOURCE, 'README.md')) as readme:
        block = re.search(r'```console\n(.*?)```', readme.read(), re.S)
    parts = re.split(r'^bash-5\.2# (.*)\n', block.group(1), flags=re.M)[1:]
    return list(zip(parts[::2], parts[1::2]))


def pattern(text):
    text = re.escape(text)
    text = re.sub(r'0x[0-9a-f]{8,16}', '0x[0-9a-f]{8,16}', text)
    return re.sub(r'pid\\ =\\ \d\d', r'pid\\ =\\ \\d+', text)


def test_session_of_the_readme(boot):
    m = boot()
    session = shown()
    assert len(session) >= 8
    for command, text in session:
        got = m.session(command)
        assert re.fullmatch(pattern(text), got), \
            f'{command}: the README shows\n{text}and it prints\n{got}'


def test_links_of_the_documents_lead_somewhere():
    documents = [os.path.join(SOURCE, name) for name in os.listdir(SOURCE)
                 if name.endswith('.md')]
    documents += [os.path.join(SOURCE, 'docs', name)
                  for name in os.listdir(os.path.join(SOURCE, 'docs'))
                  if name.endswith('.md')]
    for document in documents:
        with open(document) as text:
            links = re.findall(r'\]\(([^)#:]+)\)', text.read())
        for link in links:
            target = os.path.join(os.path.dirname(document), link)
            assert os.path.exists(target), f'{document}: {link}'


def source_text():
    text = ''
    for folder in ('include', 'iommu', 'kernel'):
        for at, _, files in os.walk(os.path.join(SOURCE, folder)):
            for name in files:
                if name.endswith(('.c', '.h')):
                    with open(os.path.join(at, name)) as source:
                        text += source.read()
    return text


def test_walks_name_what_is_there():
    with open(os.path.join(SOURCE, 'docs/how-it-works.md')) as document:
        words = re.findall(r'`([^`\n]+)`', document.read())
    source = source_text()
    functions = [w[:-2] for w in words if re.fullmatch(r'\w+\(\)', w)]
    paths = [w for w in words if re.fullmatch(r'(iommu|kernel)/[\w/]+\.c', w)]
    assert len(functions) > 20 and len(paths) > 8
    missing = [f for f in functions if not re.search(rf'\b{f}\(', source)]
    missing += [p for p in paths if not os.path.exists(os.path.join(SOURCE, p))]
    assert missing == []


def test_functions_are_where_the_walks_say():
    """`name()` (`path`): the file has the function."""
    with open(os.path.join(SOURCE, 'docs/how-it-works.md')) as document:
        text = re.sub(r'\s+', ' ', document.read())
    pairs = re.findall(r'`(\w+)\(\)` \(`([\w/.]+)`\)', text)
    assert len(pairs) >= 6
    for function, path in pairs:
        with open(os.path.join(SOURCE, path)) as source:
            assert re.search(rf'\b{function}\([^;]*?\)\s*{{', source.read()), \
                f'{function}() is not in {path}'


def test_every_pitfall_is_tried():
    """`name`, `name` (place): the place has the tests, and each row one on the
    model and one in QEMU, or says what QEMU does instead."""
    with open(os.path.join(SOURCE, 'docs/pitfalls.md')) as document:
        rows = re.findall(r'^\| \d+ \|(.*)\|(.*)\|(.*)\|$', document.read(), re.M)
    assert len(rows) == 34
    for what, model, qemu in rows:
        assert '`' in model, what
        assert '`' in qemu or qemu.startswith(' QEMU'), what
        named = re.findall(r'((?:`\w+`(?:, )?)+) \(([\w/.]+)\)', model + qemu)
        assert (model + qemu).count('`') == sum(
            names.count('`') for names, _ in named), what
        for names, place in named:
            path = os.path.join(SOURCE, 'tests', place)
            if place == 'dmattack':
                path = os.path.join(SOURCE, 'user/dmattack')
                files = [os.path.join(path, name) for name in os.listdir(path)]
            else:
                files = [path]
            text = ''.join(open(name).read() for name in files)
            for name in re.findall(r'\w+', names):
                assert re.search(rf'(void|def) {name}\(', text), (what, name)
