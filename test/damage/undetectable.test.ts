import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fieldOf, isExplained } from '../../scripts/fuzz-parts/undetectable.js';
import { UNDETECTABLE } from '../../scripts/fuzz-parts/undetectable-members.js';

const DOC = readFileSync(new URL('../../docs/undetectable.md', import.meta.url), 'utf8');

/** Rows of the document's table: members, and why. */
const rows = DOC.split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => {
    const [, members = '', , why = ''] = line.split(' | ').join('|').split('|');
    return {
      members: [...members.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
      why: why.trim(),
    };
  });

test('the document names what the fuzzer lets pass, and nothing else', () => {
  expect(rows).toEqual(UNDETECTABLE.map(({ members, why }) => ({ members: [...members], why })));
});

test('no member stands in it by a pattern', () => {
  for (const { members, differs } of UNDETECTABLE)
    expect([...members, ...differs].join(' ')).not.toMatch(/[?+()[\]]|(?<!^|\s)\*/);
});

test.each([
  ['sockets.*.queues.receive.skbs', 'queue.skbs'],
  ['queues.write.orders.3', 'queue.orders.3'],
  ['sockets.* gone', 'sockets gone'],
  ['processes.*.freedIfKilled.low', 'freedIfKilled.low'],
  ['totals.sockets', 'total.sockets'],
  ['ledger.skbs.bytes', 'ledger.skbs.bytes'],
])('%s is the field %s', (path, field) => {
  expect(fieldOf(path)).toBe(field);
});

test('a member explains what is named, and no more', () => {
  expect(isExplained(['net.ns.inum'], 'sockets.*.socket.netns')).toBe(true);
  expect(isExplained(['net.ns.inum'], 'sockets.*.total.pinnedBytes')).toBe(false);
  expect(isExplained(['sk_buff.len'], 'sockets.*.socket.netns')).toBe(false);
});
