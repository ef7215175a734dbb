# SPDX-License-Identifier: MIT
"""The records of known bugs (known/THEME.txt) and the page made of them.

A file starts with "theme TITLE". A record:

    bug NAME
    source where it happened
    what went wrong
    test the program that catches it, below tests/
    case the one test in it that does; may be left out
    file the file that it is put into; may come again
    in FUNCTION         only inside this function (wherever it has moved to);
                        holds for the next find
    find                must match exactly once, whatever the white space
    |text
    with
    |text

Lines of text stand behind a bar. not-here.txt holds what cannot be had here:
"none SOURCE", then "what" and "why".
"""
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def body_of(text, function):
    """(start, end) of a function's definition, or None."""
    for found in re.finditer(r"^[^\s#/*}][^;{}]*?\b%s\(" %
                             re.escape(function), text, re.M):
        depth, at = 1, found.end()
        while depth and at < len(text):
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 1
        if re.match(r"\s*\{", text[at:]):
            return found.start(), text.index("\n}", at) + 2
    return None


def pattern_of(lines):
    """Matches these lines however they are wrapped."""
    tokens = re.findall(r"\w+|[^\w\s]", "\n".join(lines))
    out = ""
    for before, token in zip([""] + tokens, tokens):
        words = re.match(r"\w", before[-1:]) and re.match(r"\w", token)
        out += (r"\s+" if words else r"\s*" if out else "") + re.escape(token)
    return re.compile(out)


class Edit:
    def __init__(self, function):
        self.function, self.find, self.put = function, [], []

    def apply(self, text):
        """(new text, None) or (None, why not)"""
        start, end = 0, len(text)
        if self.function:
            span = body_of(text, self.function)
            if not span:
                return None, "no function %s" % self.function
            start, end = span
        found = list(pattern_of(self.find).finditer(text, start, end))
        if len(found) != 1:
            return None, "%d times: %s" % (len(found), self.find[0].strip())
        return (text[:found[0].start()] + "\n".join(self.put) +
                text[found[0].end():]), None


def home_of(root, name, function):
    """The file that holds the function: the one named, or, if it has moved, the
    only one in the same top folder."""
    path = os.path.join(root, name)
    if os.path.exists(path) and (
            not function or body_of(open(path).read(), function)):
        return name
    found = []
    for at, _, names in os.walk(os.path.join(root, name.split("/")[0])):
        for other in names:
            path = os.path.join(at, other)
            if other.endswith((".c", ".h")) and body_of(open(path).read(), function):
                found.append(os.path.relpath(path, root))
    return found[0] if len(found) == 1 else name


class Bug:
    def __init__(self, name, theme):
        self.name, self.theme, self.files = name, theme, {}
        self.source = self.what = self.test = self.case = None

    def apply(self, root):
        """Returns ({file: new text}, None) or (None, why not)."""
        texts = {}
        for name, edits in self.files.items():
            for edit in edits:
                home = home_of(root, name, edit.function)
                path = os.path.join(root, home)
                if home not in texts and not os.path.exists(path):
                    return None, "%s is not there" % home
                text = texts.get(home) or open(path).read()
                texts[home], why = edit.apply(text)
                if why:
                    return None, "%s: %s" % (home, why)
        return texts, None


def read(path):
    """Returns the theme's title and its bugs."""
    name = os.path.splitext(os.path.basename(path))[0]
    title, bugs, block, edits, function = None, [], None, None, None
    for number, line in enumerate(open(path), 1):
        line = line.rstrip("\n")
        word, _, rest = line.partition(" ")
        if line.startswith("|"):
            block.append(line[1:])
        elif word == "theme":
            title = rest
        elif word == "bug":
            bugs.append(Bug(rest, name))
            function = None
        elif word in ("source", "what", "test", "case"):
            setattr(bugs[-1], word, rest)
        elif word == "file":
            edits = bugs[-1].files.setdefault(rest, [])
            function = None
        elif word == "in":
            function = rest
        elif word == "find":
            edits.append(Edit(function))
            block, function = edits[-1].find, None
        elif word == "with":
            block = edits[-1].put
        elif line and not line.startswith("#"):
            raise SystemExit("%s:%d: %s?" % (path, number, word))
    return title, bugs


def themes():
    folder = os.path.join(HERE, "known")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".txt"):
            yield read(os.path.join(folder, name))


def read_all():
    bugs = [bug for _, some in themes() for bug in some]
    names = [bug.name for bug in bugs]
    for bug in bugs:
        if names.count(bug.name) > 1:
            raise SystemExit("two bugs named " + bug.name)
        if not (bug.source and bug.what and bug.test and bug.files):
            raise SystemExit(bug.name + ": source, what, test or file is "
                             "missing")
    return bugs


def not_here():
    rows = []
    for line in open(os.path.join(HERE, "not-here.txt")):
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "none":
            rows.append([rest, "", ""])
        elif word in ("what", "why"):
            rows[-1]["what why".split().index(word) + 1] = rest
    return rows


INTRODUCTION = """# Bugs we cannot have

Each of these %d bugs was in a driver for I/O MMUs, in what stands around one,
or in an emulator of one, most of them for years and in good hands. `make
replay` puts them back into a copy of this tree, one by one, and runs the test
in the last column, which has to fail. `make test` does the same with a few,
chosen anew each time. The records are in `tests/bugs/known/`; this page is
made from them (`make replay WRITE=1`).

The mistakes are the ones that were made there; the code that they are put into
is ours, so a mistake may sit in another place than it did.
"""

ABSENT = """
## Not put back

What is left of the list that we collected: bugs in what does not exist here.

| known from | what went wrong | why it is not above |
|---|---|---|
"""


def page(bugs):
    """The whole of docs/bugs-we-cannot-have.md."""
    out = INTRODUCTION % len(bugs)
    for title, some in themes():
        out += ("\n## %s\n\n| bug | known from | what went wrong | caught by |"
                "\n|---|---|---|---|\n" % title)
        for bug in some:
            out += "| %s | %s | %s | `tests/%s.c` |\n" % (
                bug.name, bug.source, bug.what, bug.test)
    out += ABSENT
    for row in not_here():
        out += "| %s | %s | %s |\n" % tuple(row)
    return out
