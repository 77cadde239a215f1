import { expect, test } from 'vitest';
import { accountProcess } from '../../../src/account/skb.js';
import { accountAll } from '../../../src/account/sockets.js';
import { processBlocks } from '../../../src/answers/skb/document.js';
import { socketsBlocks } from '../../../src/answers/sockets/document.js';
import { type Block, blockTexts } from '../../../src/answers/text/blocks.js';
import { openFiles } from '../../../src/walk/tasks/files.js';
import { findTask } from '../../../src/walk/tasks/task-table.js';
import { fixtureKernel } from '../../support/opened-kernel.js';

// "No sockets" is printed only if all were read and none exists.
const { kernel, lose, damagedBy } = fixtureKernel('6.1');

const all = accountAll(kernel);
const textOf = (blocks: readonly Block[]) => blockTexts(blocks, null).join('\n\n');
const pid = all.sockets.flatMap(({ holders }) => holders)[0]!.pid;

test('counts sockets that pin nothing, and lists none of them', () => {
  const idle = all.sockets.filter(({ total }) => total.pinnedBytes === 0);
  expect(idle.length).toBeGreaterThan(1);
  const text = textOf(socketsBlocks({ ...all, sockets: idle }, [], { limit: 20 }));
  expect(text).toMatch(new RegExp(`^0 of ${idle.length} sockets pin `));
  expect(text).not.toMatch(/no sockets found|are no sockets|has no sockets/i);
});

test('reports that none was found if some data could not be read', () => {
  const none = { ...all, sockets: [], processes: [], outsideQueues: [] };
  const found = 'No sockets found: the structures that lead to them could not be read.';
  for (const unread of [{ complete: false }, { complete: false, totals: { ...all.totals, complete: false } }])
    expect(textOf(socketsBlocks({ ...none, ...unread }, [], { limit: 20 }))).toBe(found);
});

test('a process whose files could not be read may have sockets', () => {
  const files = [...openFiles(kernel, findTask(kernel, pid))].map(({ file }) => file);
  const { size } = kernel.struct('file')!;
  const denials = files.map((address) => lose(address, size));
  const unread = accountProcess(damagedBy(...denials), pid);
  expect(unread.sockets).toEqual([]);
  expect(textOf(processBlocks(unread, 'vmcore'))).toMatch(
    / may have sockets: none was found, but the scan is incomplete\./,
  );
  const none = { ...unread, warnings: [], total: { ...unread.total, complete: true } };
  expect(textOf(processBlocks(none, 'vmcore'))).toMatch(/ has no sockets\.$/m);
});

test('datagram sockets without a peer have the state that ss prints', () => {
  const text = textOf(socketsBlocks(all, all.sockets, { limit: Number.POSITIVE_INFINITY }));
  expect(text).toMatch(/ UNCONN +UDP /);
  expect(text).not.toMatch(/ CLOSE +UDP /);
  expect(all.sockets.some(({ socket }) => socket.protocol === 'UDP' && socket.state === 'CLOSE')).toBe(true);
});
