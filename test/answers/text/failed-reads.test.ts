import { describe, expect, test } from 'vitest';
import { summarized } from '../../../src/answers/text/failed-reads.js';
import { NOT_KEPT, ReadError, type ReadErrorCode } from '../../../src/base/errors.js';

const read = (what: string, address: number, code: ReadErrorCode = 'filtered') => ({
  code: 'unreadable',
  message: `${what}: ${new ReadError(code, BigInt(address), 'part of struct sock at 0x10').message}`,
});
const more = (count: number) => ({ code: 'unreadable', message: `${count} more of the same kind` });
const messages = (all: Parameters<typeof summarized>[0]) => summarized(all).map(({ message }) => message);

describe('failed reads, for people', () => {
  test('lists up to three unchanged', () => {
    const all = [read('pid table', 1), read('threads of pid 2', 2), read('files of pid 3', 3)];
    expect(summarized(all)).toEqual(all);
  });

  test('summarizes more for one reason in one line, at the place of the first', () => {
    const torn = { code: 'torn-list', message: 'tasks: the list is torn' };
    const all = [
      torn,
      ...[1, 2, 3].map((pid) => read(`threads of pid ${pid}`, pid)),
      more(1200),
      { code: 'corrupt', message: 'the kernel counts 15 sockets, but 12 were found' },
      read('pid table', 9),
    ];
    expect(messages(all)).toEqual([
      torn.message,
      'incomplete: 1,204 parts of kernel memory that this answer needs were filtered out of the dump (makedumpfile may be too old for this kernel): threads of pid 1, pid table and others. --json has examples of each',
      'the kernel counts 15 sockets, but 12 were found',
    ]);
  });

  test('names all incomplete categories', () => {
    const all = ['slab, vmalloc', 'rings', 'network-other: qdiscs is not counted', 'rings'].map((categories, index) =>
      read(`incomplete: ${categories}`, index),
    );
    expect(messages(all)).toEqual([
      'incomplete: categories “slab”, “vmalloc”, “trace and I/O rings”, “network: other”: 4 parts of kernel memory that this answer needs were filtered out of the dump (makedumpfile may be too old for this kernel). --json has examples of each',
    ]);
  });

  test('of an extract says of each missing page that the extract lacks it', () => {
    const kept = { code: 'unreadable', message: new ReadError('filtered', 5n, NOT_KEPT).message };
    const all = [kept, read('the clock', 1), read('the log', 2), read('tasks', 3)];
    expect(messages(all)).toEqual([expect.stringMatching(/^incomplete: 4 parts .* are not in this extract \(/)]);
  });

  test('keeps reasons apart', () => {
    const all = [1, 2, 3, 4].flatMap((pid) => [
      read(`the stack of pid ${pid}`, pid, 'truncated'),
      read(`files of pid ${pid}`, pid, 'damaged'),
    ]);
    const said = messages(all);
    expect(said).toHaveLength(2);
    expect(said[0]).toMatch(/^incomplete: 4 parts .* are beyond the end of the file: the stack of pid 1/);
    expect(said[1]).toMatch(/^incomplete: 4 parts .* are in corrupt pages of the dump: files of pid 1/);
  });

  test('keeps a message that counts other failures', () => {
    const all = [{ code: 'corrupt', message: 'sock 0x5: its state is 200' }, more(7)];
    expect(summarized(all)).toEqual(all);
  });
});
