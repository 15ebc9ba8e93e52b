#!/usr/bin/env python3
"""Fails when a product's inner loop keeps a sum on the stack.

check_spills.py LIBRARY... : kernel libraries; looks at each innermost loop of
their gemm objects that broadcasts, multiplies and adds.
"""
import re
import subprocess
import sys

LEAST_LOOPS = 8  # fewer means that this program no longer understands the code
INSTRUCTION = re.compile(r'^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$')


def functions(library):
    """Yields (name, [(address, mnemonic, operands)]) of the gemm objects."""
    text = subprocess.run(['objdump', '-d', '--no-show-raw-insn', library],
                          check=True, capture_output=True, text=True).stdout
    wanted, name, code = False, None, []
    for line in text.splitlines():
        member = re.match(r'^(\S+):\s+file format', line)
        start = re.match(r'^[0-9a-f]+ <(\S+)>:$', line)
        if member or start:
            if wanted and code:
                yield name, code
            code = []
        if member:
            wanted = 'gemm' in member[1].rsplit('/', 1)[-1]
        elif start:
            name = start[1]
        else:
            found = INSTRUCTION.match(line)
            if found:
                code.append((int(found[1], 16), found[2], found[3]))
    if wanted and code:
        yield name, code


def inner_loops(code):
    """The instructions of each loop that holds no other loop."""
    place = {address: i for i, (address, _, _) in enumerate(code)}
    loops = []
    for i, (address, mnemonic, operands) in enumerate(code):
        target = re.match(r'^([0-9a-f]+) <', operands)
        if mnemonic.startswith('j') and target and int(target[1], 16) <= address:
            start = place.get(int(target[1], 16))
            if start is not None:
                loops.append((start, i))
    for start, end in loops:
        if not any(start <= s and e <= end and (s, e) != (start, end) for s, e in loops):
            yield code[start:end + 1]


def check(library):
    n_loops, spills = 0, []
    for name, code in functions(library):
        framed = any(m == 'mov' and o == '%rsp,%rbp' for _, m, o in code)
        stack = r'\(%(rsp|rbp)' if framed else r'\(%rsp'
        for loop in inner_loops(code):
            text = ' '.join(m + o for _, m, o in loop)
            if 'vfmadd' not in text or ('vbroadcastss' not in text and '{1to' not in text):
                continue
            n_loops += 1
            spills += [f'{name}+{a:#x}: {m} {o}' for a, m, o in loop
                       if re.search(r'%[xyz]mm', o) and re.search(stack, o)]
    print(f'{library}: {n_loops} loops, {len(spills)} spills')
    for line in spills[:20]:
        print('  ' + line)
    return n_loops >= LEAST_LOOPS and not spills


if __name__ == '__main__':
    sys.exit(0 if all([check(library) for library in sys.argv[1:]]) else 1)
