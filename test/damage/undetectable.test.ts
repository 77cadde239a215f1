import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fieldOf, isExplained } from '../../scripts/fuzz-parts/undetectable.js';
import { UNDETECTABLE } from '../../scripts/fuzz-parts/undetectable-members.js';

const DOC = readFileSync(new URL('../../docs/internals/undetectable.md', import.meta.url), 'utf8');

/** Rows of the document's table: members, and why. */
const rows = DOC.split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => {
    const [, members = '', , why = ''] = line.split(' | ').join('|').split('|');
    return { members: [...members.matchAll(/`([^`]+)`/g)].map(([, name]) => name), why: why.trim() };
  });

test('the document lists exactly what the fuzzer accepts', () => {
  expect(rows).toEqual(UNDETECTABLE.map(({ members, why }) => ({ members: [...members], why })));
});

test('the document lists separately what only extracts lack', () => {
  const [whole = '', extracts = ''] = DOC.split('\n## Extracts\n');
  for (const { why, only } of UNDETECTABLE)
    expect([whole.includes(why), extracts.includes(why)]).toEqual([!only, Boolean(only)]);
});

test('the document names no member by a pattern', () => {
  for (const { members, differs } of UNDETECTABLE)
    expect([...members, ...differs].join(' ')).not.toMatch(/[?+()[\]]|(?<!^|\s)\*/);
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
