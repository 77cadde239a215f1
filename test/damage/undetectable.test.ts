import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fieldOf, isExplained, undetectableOf } from '../../scripts/fuzz-parts/undetectable.js';

const PAGE = readFileSync(new URL('../../docs/internals/undetectable.md', import.meta.url), 'utf8');

test('the page names no member by a pattern, and each at most once for a field', () => {
  const rows = undetectableOf(PAGE);
  expect(rows.filter(({ inExtracts }) => inExtracts).length).toBeGreaterThan(3);
  for (const { members, differs } of rows) {
    expect([...members, ...differs].join(' ')).not.toMatch(/[?+()[\]]|(?<!^|\s)\*/);
    expect([new Set(members).size, new Set(differs).size]).toEqual([members.length, differs.length]);
  }
});

test('reads a row of the page, and refuses one of another form', () => {
  const page = (row: string) => `\n## No second fact\n\n| Members | What | Why |\n| --- | --- | --- |\n${row}\n`;
  expect(undetectableOf(page('| `a.b`, `*a.c` without `a.d` | `ledger.skbs`, `gone` | Why. |'))).toEqual([
    {
      members: ['a.b', '*a.c'],
      differs: [
        'ledger.skbs.objects',
        'ledger.skbs.bytes',
        'ledger.skbs.message',
        'sockets gone',
        'sockets',
        'total.sockets',
        'processes gone',
      ],
      inExtracts: false,
      without: 'a.d',
    },
  ]);
  for (const row of ['| `a.b` | x | Why. |', '| a.b | `x` | Why. |', '| `a.b` | `x` |'])
    expect(() => undetectableOf(page(row))).toThrow('another form');
});

test.each([
  ['sockets.*.queues.receive.skbs', 'queue.skbs'],
  ['queues.write.orders.3', 'queue.orders.3'],
  ['sockets.* gone', 'sockets gone'],
  ['processes.*.freedIfKilled.low', 'freedIfKilled.low'],
  ['totals.sockets', 'total.sockets'],
  ['messages.*.text', 'message.text'],
  ['threads.* gone', 'thread gone'],
  ['files.files.* gone', 'file gone'],
  ['files.files.*.path', 'file.path'],
  ['ledger.skbs.bytes', 'ledger.skbs.bytes'],
])('%s is the field %s', (path, field) => {
  expect(fieldOf(path)).toBe(field);
});

test('a member explains exactly the fields that it names', () => {
  expect(isExplained(['net.ns.inum'], 'sockets.*.socket.netns')).toBe(true);
  expect(isExplained(['net.ns.inum'], 'sockets.*.total.pinnedBytes')).toBe(false);
  expect(isExplained(['sk_buff.len'], 'sockets.*.socket.netns')).toBe(false);
});

test('facts that a whole dump has twice are explained in an extract alone', () => {
  const order = [['page.order'], 'sockets.*.queues.receive.orders.3'] as const;
  expect([isExplained(...order), isExplained(...order, true)]).toEqual([false, true]);
});

test('a member with a second place in newer kernels is explained in older ones alone', () => {
  const files = [['scm_fp_list.fp'], 'sockets.*.carriedBy', false] as const;
  const isEdge = (name: string) => name === 'scm_fp_list.edges';
  expect([isExplained(...files), isExplained(...files, isEdge)]).toEqual([true, false]);
});

test('explains the losses of a process, but not those of its socket', () => {
  const lost = ['files_struct.fd_array'];
  expect(isExplained(lost, 'processes.*.total.pinnedBytes')).toBe(true);
  expect(isExplained(lost, 'total.pinnedBytes')).toBe(true);
  expect(isExplained(lost, 'sockets.*.total.pinnedBytes')).toBe(false);
});
