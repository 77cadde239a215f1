import { expect, test } from 'vitest';
import { blockTexts } from '../../../src/answers/text/blocks.js';
import { compareAnswers, verifyBlocks } from '../../../src/answers/verify/document.js';

const answer = (engine: string, pages: number) => ({
  kernel: { engine, release: '6.1' },
  queues: { receive: { pages, orders: { 0: pages } } },
  warnings: [{ code: 'unreadable', message: `as ${engine} puts it` }],
});

test('answers of two engines differ only in the engine’s name and words', () => {
  const found = compareAnswers(answer('native', 3), answer('crash', 3));
  expect(found).toEqual({ schema: 'kdump-mem.verify/1', compared: 4, differences: [] });
  expect(verifyBlocks(found)).toEqual(['native and crash agree on all 4 figures']);
});

test('reports every figure that differs or that only one engine has', () => {
  const found = compareAnswers(answer('native', 3), { ...answer('crash', 4), extra: 1 });
  expect(found.differences).toEqual([
    { path: 'queues.receive.pages', native: 3, crash: 4 },
    { path: 'queues.receive.orders.0', native: 3, crash: 4 },
    { path: 'extra', native: undefined, crash: 1 },
  ]);
  expect(blockTexts(verifyBlocks(found), null).join('\n\n')).toBe(
    [
      'native and crash differ on 3 of 5 figures',
      '',
      'FIGURE                   NATIVE    CRASH',
      'queues.receive.pages     3         4',
      'queues.receive.orders.0  3         4',
      'extra                    (absent)  1',
    ].join('\n'),
  );
});
