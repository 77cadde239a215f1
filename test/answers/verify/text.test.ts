import { expect, test } from 'vitest';
import { compareAnswers, verifyText } from '../../../src/answers/verify/text.js';

const answer = (engine: string, pages: number) => ({
  kernel: { engine, release: '6.1' },
  queues: { receive: { pages, orders: { 0: pages } } },
  warnings: [{ code: 'unreadable', message: `as ${engine} puts it` }],
});

test('answers of two engines differ only in the engine’s name and words', () => {
  const { compared, differences } = compareAnswers(answer('native', 3), answer('crash', 3));
  expect(differences).toEqual([]);
  expect(compared).toBe(4);
  expect(verifyText(compared, differences)).toBe('native and crash agree on all 4 figures');
});

test('reports every figure that differs or that only one engine has', () => {
  const { differences } = compareAnswers(answer('native', 3), { ...answer('crash', 4), extra: 1 });
  expect(differences).toEqual([
    { path: 'queues.receive.pages', native: 3, crash: 4 },
    { path: 'queues.receive.orders.0', native: 3, crash: 4 },
    { path: 'extra', native: undefined, crash: 1 },
  ]);
  expect(verifyText(4, differences)).toBe(
    [
      'native and crash differ on 3 of 4 figures',
      '',
      'FIGURE                   NATIVE    CRASH',
      'queues.receive.pages     3         4',
      'queues.receive.orders.0  3         4',
      'extra                    (absent)  1',
    ].join('\n'),
  );
});
