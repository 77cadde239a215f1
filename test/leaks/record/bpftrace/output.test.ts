import { describe, expect, it } from 'vitest';
import { framesThatDoNotAddUp } from '../../../../src/leaks/record/bpftrace/recording-of.js';
import { PRINTED, printed, understood } from './printed.js';

const lines = (text: string, pattern: RegExp) => [...text.matchAll(pattern)];

describe.each(PRINTED)('output of bpftrace: %s', (name) => {
  const text = printed(name);
  const output = understood(text);

  it('is parsed to its end', () => {
    expect([output.state, output.strange, output.lost]).toEqual(['whole', 0, 0]);
    expect(output.windows).toHaveLength(3);
    expect(output.heartbeats).toBe(lines(text, /^alive$/gm).length);
    const times = [output.begunAt, ...output.windows.map(({ at }) => at), output.endedAt];
    expect(times).toEqual(times.toSorted((a, b) => Number(a) - Number(b)));
  });

  it('contains each block and each stack', () => {
    expect(output.pieces).toHaveLength(lines(text, /^@b\[/gm).length);
    expect(output.stacks.size).toBe(lines(text, /^@i\[/gm).length);
    for (const { id } of output.pieces) expect(output.stacks.get(id)?.length).toBeGreaterThan(2);
    const frames = output.pieces.reduce((sum, { order }) => sum + 2 ** order, 0);
    const last = text.slice(text.lastIndexOf('\nheld\n'));
    const held = lines(last, /^@h\[\d+\]: (\d+)$/gm).reduce((sum, [, one]) => sum + Number(one), 0);
    expect(frames).toBe(held);
    expect(frames).toBeGreaterThan(1000);
  });

  it('adds up, unless a block or the sum of a stack is missing', () => {
    expect(framesThatDoNotAddUp(output)).toBe(0);
    const [block = ''] = /^@b\[.*\n/m.exec(text) ?? [];
    expect(framesThatDoNotAddUp(understood(text.replace(block, '')))).toBeGreaterThan(0);
    const at = text.search(/^@h\[\d+\]: [1-9]\d*\n(?!@h)/m);
    const end = text.lastIndexOf('\n@h[');
    expect(at).toBeGreaterThan(0);
    const without = text.slice(0, end) + text.slice(text.indexOf('\n', end + 1));
    expect(framesThatDoNotAddUp(understood(without))).toBeGreaterThan(0);
  });

  it('yields the same result in small pieces', () => {
    const small = understood(text, undefined, 7);
    expect(small.pieces).toEqual(output.pieces);
    expect([...small.stacks]).toEqual([...output.stacks]);
    expect(small.windows).toEqual(output.windows);
  });

  it('is incomplete if it ends early', () => {
    expect(understood(text.slice(0, -8)).state).toBe('dumping');
    expect(understood(text.slice(0, text.indexOf('\nended'))).state).toBe('recording');
  });
});

describe('lines that no kdump-mem program prints', () => {
  const text = printed('0.23-6.12');
  const [before, after] = [text.slice(0, text.indexOf('\nheld\n')), '\nheld\n'];

  it('are counted, and yield no blocks', () => {
    const strange = [
      '@b[1]: (16385, -1)',
      '@b[3]: (16385, 17)',
      '@b[x]: (1, 2)',
      '@h[1]: 99999999999999999999',
      'begun 1',
      'window',
      '@i[',
      'no address',
      '\u001b[31mred',
      'x'.repeat(100_000),
    ].join('\n');
    const output = understood(`${before}${after}${strange}\nwhole\n`);
    expect(output.pieces).toEqual([]);
    expect(output.stacks.size).toBe(0);
    expect(output.strange).toBeGreaterThanOrEqual(8);
    expect(output.state).toBe('whole');
  });

  it('are dropped beyond the limits, and counted', () => {
    const output = understood(text, { maxKeys: 100, maxShown: 100_000 });
    expect(output.pieces).toHaveLength(100);
    expect(output.strange).toBeGreaterThan(1000);
    expect(framesThatDoNotAddUp(output)).toBeGreaterThan(0);
  });

  it('of many windows are thinned out', () => {
    const output = understood(text, { maxKeys: 100_000, maxShown: 40 });
    expect(output.windows.length).toBeLessThan(3);
  });

  it('report lost events', () => {
    expect(understood('Lost 12 events\nLost 1 event\n').lost).toBe(13);
  });
});
