import { describe, expect, test } from 'vitest';
import { Warnings } from '../../src/walk/warnings.js';

const messages = (warnings: Warnings) => warnings.list().map(({ message }) => message);
const lost = (what: string, address: number) =>
  `0x${address.toString(16)} was filtered out of the dump (part of ${what} at 0x${address.toString(16)})`;

describe('warnings', () => {
  test('show other kinds after many of one kind', () => {
    const warnings = new Warnings();
    for (let pid = 1; pid <= 10; pid++) warnings.add('unreadable', `threads of pid ${pid}: ${lost('the list', pid)}`);
    for (let page = 1; page <= 5; page++) warnings.add('unreadable', lost('struct page', page));
    warnings.add('unreadable', lost('struct sock', 7));
    warnings.add('corrupt', 'sock 0x5: its state is 200');
    expect(messages(warnings)).toEqual([
      ...[1, 2, 3].map((pid) => `threads of pid ${pid}: ${lost('the list', pid)}`),
      '7 more of the same kind',
      ...[1, 2, 3].map((page) => lost('struct page', page)),
      '2 more of the same kind',
      lost('struct sock', 7),
      'sock 0x5: its state is 200',
    ]);
  });

  test('are not counted again if repeated', () => {
    const warnings = new Warnings();
    for (let time = 0; time < 9; time++) warnings.add('unreadable', lost('struct page', time % 3));
    expect(messages(warnings)).toEqual([0, 1, 2].map((page) => lost('struct page', page)));
  });

  test('are bounded in number, and all counted, however many kinds damage causes', () => {
    const warnings = new Warnings();
    const name = (index: number) => String.fromCharCode(...`${index}`.split('').map((d) => 97 + +d));
    for (let index = 0; index < 10_000; index++) warnings.add('corrupt', `${name(index)} is odd`);
    const list = messages(warnings);
    expect(list.length).toBeLessThan(60);
    expect(list.at(-1)).toBe(`${10_000 - (list.length - 1)} more of the same kind`);
  });

  test('are the same whether merged or added one by one', () => {
    const [all, one, other] = [new Warnings(), new Warnings(), new Warnings()];
    for (let index = 0; index < 50; index++) {
      const message = lost(index % 3 === 0 ? 'struct page' : 'struct sock', index);
      all.add('unreadable', message);
      (index < 25 ? one : other).add('unreadable', message);
    }
    one.merge(other);
    expect(messages(one)).toEqual(messages(all));
  });
});
