import { expect, test } from 'vitest';
import { MemorySamples } from '../../../src/account/memory/tree.js';
import { memoryJson } from '../../../src/answers/memory/json.js';
import { watchBlock } from '../../../src/answers/memory/text.js';
import { memorySchema } from '../../../src/contracts/memory.js';
import { answerOf } from '../../answers/memory/answer.js';

const PAGE = 4096;
const at = new Date(0);

test('compares each sample with the first and the preceding one', () => {
  const samples = new MemorySamples();
  const pages = [10, 30, 25].map((vmalloc) => answerOf({ vmalloc, 'free-buddy': 100 - vmalloc }));
  const seen = pages.map((answer) => samples.next(answer, at));
  const of = (index: number, name: string) => seen[index]?.changes.find(({ category }) => category === name);
  expect(of(0, 'vmalloc')).toMatchObject({ sinceFirstBytes: null, sinceLastBytes: null });
  expect(of(1, 'vmalloc')).toMatchObject({ sinceFirstBytes: 20 * PAGE, sinceLastBytes: 20 * PAGE });
  expect(of(2, 'vmalloc')).toMatchObject({ sinceFirstBytes: 15 * PAGE, sinceLastBytes: -5 * PAGE });
  expect(of(2, 'kernel')).toMatchObject({ sinceFirstBytes: 15 * PAGE, sinceLastBytes: -5 * PAGE });
  expect(of(2, 'free-buddy')).toMatchObject({ sinceFirstBytes: -15 * PAGE, sinceLastBytes: 5 * PAGE });
  expect(of(2, 'memory')).toMatchObject({ sinceFirstBytes: 0, sinceLastBytes: 0 });
  expect(samples.count).toBe(3);
  const [, , third] = pages;
  if (!third || !seen[2]) throw new Error('three samples');
  const json = memoryJson({ ...third, sample: seen[2] });
  expect(memorySchema.parse(json)).toEqual(json);
  const text = watchBlock({ ...third, source: 'kcore' }, seen[2], null);
  expect(text).toMatch(/^sample 3, 1970-01-01T00:00:00Z\nMemory is not short: 300 KiB of 400 KiB is free \(75 %\)\. /);
  expect(text).toMatch(/^ {2}vmalloc +100 KiB +-20\.0 KiB +\+60\.0 KiB +25 %/m);
  expect(text.endsWith('\n')).toBe(true);
});
