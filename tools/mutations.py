# SPDX-License-Identifier: MIT
"""What may be changed in a C source so that a test should notice: a list of
small edits, each inside one function body. Works on tokens, not on a parse tree;
an edit that does not compile is dropped by the caller."""
import re

TOKEN = re.compile(r'''
    (?P<skip>\s+|/\*.*?\*/|//[^\n]*|^[ \t]*\#(?:[^\n\\]|\\.)*)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<number>\b(?:0[xX][0-9a-fA-F]+|\d+)[uUlL]*\b)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<op><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
''', re.X | re.S | re.M)

#: Calls that make the hardware see or forget something, or wait for it. None of
#: them may be superfluous.
VITAL = re.compile(r'''
    flush | fence | barrier | write_back | drains | deadline | poll | quiesce
  | (?:^|_)wait(?:$|_) | ^vtd_(?:run|submit|finish|gcmd)$ | ^(?:re)?submit
  | ^insist$ | ^ring_ | ^__ring | ^add_(?:context|domain|global|pages|device|
    range|interrupt|iotlb|command)
''', re.X)
LOCKS = re.compile(r'(?:^|_)(?:un)?lock$')

SWAPS = {'==': '!=', '!=': '==', '<': '<=', '<=': '<', '>': '>=', '>=': '>',
         '&&': '||', '||': '&&', '+': '-', '-': '+', '<<': '>>', '>>': '<<',
         '+=': '-=', '-=': '+=', '|=': '&=', '&=': '|=', '++': '--',
         '--': '++'}
TYPES = {'void', 'bool', 'int', 'unsigned', 'long', 'char', 'const', 'static',
         'struct', 'enum', 'union', 'size_t', 'volatile', 'extern', 'register',
         'typedef', 'goto', 'case', 'default', 'sizeof', 'return', 'inline'}
SUCCESS = {'enum iommu_status': 'IOMMU_OK', 'bool': 'true',
           'enum vtd_outcome': 'VTD_DONE'}


class Token:
    __slots__ = 'kind', 'text', 'start', 'end'

    def __init__(self, found):
        self.kind, self.text = found.lastgroup, found.group()
        self.start, self.end = found.span()


class Mutation:
    """text[start:end] becomes put. first and last are the lines of the
    statement it is in; kind and vital sort it."""

    def __init__(self, source, start, end, put, kind, vital=False):
        self.path, self.function = source.path, source.function
        self.start, self.end, self.put = start, end, put
        self.kind, self.vital = kind, vital
        self.line = source.text.count('\n', 0, start) + 1
        self.first = self.last = self.line
        self.old = ' '.join(source.text[start:end].split())

    def __str__(self):
        # A deletion is named by what it deletes, the rest by the change.
        what = f'{self.old} -> {self.put}' if self.put.strip(' ;') else self.old
        return f'{self.kind}: {what}'


def return_types(texts):
    """{function: type} of what the sources declare."""
    types = {}
    for text in texts:
        for found in re.finditer(
                r'^(?:static |inline |NOINLINE |__attribute__\(\(\w+\)\)\s)*'
                r'((?:enum |struct )?\w+\s?\*?)\s?(\w+)\(', text, re.M):
            types.setdefault(found.group(2), found.group(1).strip())
    return types


class Source:
    def __init__(self, path, text, types):
        self.path, self.text, self.types = path, text, types
        self.function = None
        self.tokens = [Token(m) for m in TOKEN.finditer(text)
                       if m.lastgroup != 'skip']
        self.found = []

    def add(self, start, end, put, kind, vital=False):
        self.found.append(Mutation(self, start, end, put, kind, vital))

    def close(self, at):
        """The index of the bracket that closes the one at this index."""
        pairs = {'(': ')', '[': ']', '{': '}'}
        opened, depth = self.tokens[at].text, 0
        for n in range(at, len(self.tokens)):
            if self.tokens[n].text == opened:
                depth += 1
            elif self.tokens[n].text == pairs[opened]:
                depth -= 1
                if not depth:
                    return n
        return len(self.tokens) - 1

    def mutations(self):
        at = 0
        while at < len(self.tokens):
            token = self.tokens[at]
            if token.text == '{':
                end = self.close(at)
                # A body follows a parameter list, data an equals sign.
                if at and self.tokens[at - 1].text == ')':
                    self.function = self.name_before(at)
                    self.body(at + 1, end)
                at = end
            at += 1
        return self.found

    def name_before(self, brace):
        depth, n = 0, brace - 1
        while n > 0:
            depth += (self.tokens[n].text == ')') - (self.tokens[n].text == '(')
            if not depth:
                break
            n -= 1
        return self.tokens[n - 1].text

    def body(self, at, end):
        """Statement after statement; a control statement's head counts as one
        of its own."""
        while at < end:
            text = self.tokens[at].text
            if text in '{};' or text in ('else', 'do'):
                at += 1
            elif text in ('if', 'while', 'for', 'switch') and \
                    self.tokens[at + 1].text == '(':
                last = self.close(at + 1)
                self.head(text, at + 1, last)
                at = last + 1
            elif text in ('case', 'default') or (
                    self.tokens[at].kind == 'name' and
                    self.tokens[at + 1].text == ':'):
                while self.tokens[at].text != ':':
                    at += 1
                at += 1
            else:
                at = self.statement(at, end)

    def noted(self, before, first, last):
        """Gives the mutations found since then the lines of a statement."""
        low = self.text.count('\n', 0, self.tokens[first].start) + 1
        high = self.text.count('\n', 0, self.tokens[last].end) + 1
        for mutation in self.found[before:]:
            mutation.first, mutation.last = low, high

    def head(self, word, first, last):
        before = len(self.found)
        inside = self.text[self.tokens[first].end:self.tokens[last].start]
        # Of a single comparison the swap below makes the same.
        if word in ('if', 'while') and not re.fullmatch(
                r'[^&|()=!]*[!=]=[^&|()=!]*', inside):
            self.add(self.tokens[first].end, self.tokens[last].start,
                     f'!({inside})', 'negated')
            self.found[-1].old = ' '.join(inside.split())
            self.found[-1].put = f'!({inside})'
        self.operators(first + 1, last)
        self.noted(before, first, last)

    def statement(self, at, end):
        before, first, n = len(self.found), at, at
        while n < end and self.tokens[n].text != ';':
            n = self.close(n) + 1 if self.tokens[n].text in '([{' else n + 1
        word = self.tokens[first].text
        start, stop = self.tokens[first].start, self.tokens[min(n, end)].end
        expression = self.text[self.tokens[first].end:stop - 1].strip()
        if word == 'return':
            self.returned(expression, start, stop)
        elif self.is_idle(first, n):
            return n + 1
        elif word in ('break', 'continue') or not self.declares(first, n):
            call = self.called(first, n)
            self.add(start, stop, ';', 'deleted',
                     bool(call and VITAL.search(call)))
        self.operators(first, n)
        self.noted(before, first, min(n, end))
        return n + 1

    def is_idle(self, first, end):
        """Whether a statement is for the compiler alone."""
        return (self.tokens[first].text == '_Static_assert' or
                end == first + 4 and [t.text for t in
                                      self.tokens[first:first + 3]] ==
                ['(', 'void', ')'])

    def declares(self, first, end):
        """Whether a statement starts with a type."""
        texts = [t.text for t in self.tokens[first:first + 3]]
        return (texts[0] in TYPES or
                self.tokens[first].kind == 'name' and
                self.tokens[first + 1].kind == 'name' or
                self.tokens[first].kind == 'name' and texts[1] == '*' and
                end > first + 2 and self.tokens[first + 2].kind == 'name')

    def called(self, first, end):
        """The function that an expression statement calls, if it does only
        that."""
        last = None
        for n in range(first, end):
            if self.tokens[n].text == '(':
                return last
            if self.tokens[n].kind == 'name':
                last = self.tokens[n].text
            elif self.tokens[n].text not in ('->', '.', '*'):
                return None
        return None

    def returned(self, expression, start, stop):
        kind = self.types.get(self.function)
        if kind == 'enum iommu_status':
            put = 'IOMMU_NO_MEMORY' if expression == 'IOMMU_OK' else 'IOMMU_OK'
        elif kind == 'bool':
            put = f'!({expression})'
        elif expression:
            return
        else:
            put = ''
        self.add(start, stop, f'return {put};' if put else ';',
                 'returned otherwise')
        self.found[-1].old = f'return {expression}'.strip()

    def operators(self, first, last):
        for n in range(first, last):
            token = self.tokens[n]
            before = self.tokens[n - 1]
            binary = before.kind in ('name', 'number') or before.text in ')]'
            if token.kind == 'number':
                digits = token.text.rstrip('uUlL')
                put = hex(int(digits, 0) + 1) if 'x' in digits \
                    else str(int(digits, 0) + 1)
                self.add(token.start, token.end,
                         put + token.text[len(digits):], 'one more')
            elif token.text in SWAPS and (
                    binary or token.text in ('++', '--')):
                self.add(token.start, token.end, SWAPS[token.text], 'swapped')
            elif token.text in ('true', 'false'):
                self.add(token.start, token.end,
                         'false' if token.text == 'true' else 'true',
                         'swapped')
            elif token.kind == 'name' and n + 1 < last and \
                    self.tokens[n + 1].text == '(':
                self.dropped(n)

    def dropped(self, n):
        """A vital call in the middle of an expression: its success without
        the call."""
        name = self.tokens[n].text
        if not (VITAL.search(name) or LOCKS.search(name)):
            return
        success = SUCCESS.get(self.types.get(name))
        if success:
            self.add(self.tokens[n].start,
                     self.tokens[self.close(n + 1)].end, success, 'dropped',
                     bool(VITAL.search(name)))
