import { describe, expect, test } from 'vitest';
import { leafTree, makeCategory } from '../../../src/account/memory/tree.js';
import { checkThresholds, parseThreshold } from '../../../src/app/memory/thresholds.js';
import { kdumpMem } from '../../support/in-process.js';

const memory = (complete = true) =>
  leafTree({
    known: 'walked',
    leaf: (category) =>
      makeCategory({
        category,
        frames: category === 'unattributed' ? 100 : category === 'free-buddy' ? 300 : 0,
        bytes: category === 'unattributed' ? 409_600 : category === 'free-buddy' ? 1_228_800 : 0,
        known: 'walked',
        complete,
        why: complete ? null : 'a list is damaged',
      }),
  });
const checked = (limit: string, complete?: boolean) => checkThresholds(memory(complete), parseThreshold(limit));

describe('limits of --fail-on', () => {
  test('in bytes or as a share fail only if they are exceeded', () => {
    expect(checked('unattributed=25%')).toEqual({ status: undefined, lines: [] });
    expect(checked('unattributed=400k')).toEqual({ status: undefined, lines: [] });
    expect(checked('unattributed=24.9%')).toEqual({
      status: 1,
      lines: ['--fail-on: unattributed is 400 KiB (limit 398 KiB)'],
    });
    expect(checked('unattributed=399k').status).toBe(1);
  });

  test('an incomplete category below its limit is no success', () => {
    expect(checked('unattributed=50%', false)).toEqual({
      status: 5,
      lines: ['--fail-on: unattributed is incomplete, and may exceed the limit 800 KiB (a list is damaged)'],
    });
    expect(checked('unattributed=1%', false).status).toBe(1);
  });

  test('several: the most severe status counts', () => {
    const all = parseThreshold('unattributed=50%', parseThreshold('slab-reclaimable=1M'));
    expect(all.map(({ category }) => category)).toEqual(['slab-reclaimable', 'unattributed']);
    expect(checkThresholds(memory(), all).status).toBeUndefined();
  });

  test.each(['unattributed', 'unattributed=', 'unattributed=10x', 'nothing=1%', 'unattributed=101%'])(
    '%s is refused',
    (text) => {
      expect(() => parseThreshold(text)).toThrow(/It must be|A share/);
    },
  );

  test('a dump: status 0, 1 and 2', async () => {
    const of = (limit: string) => kdumpMem('memory', '--vmcore', 'fixtures/incident.vmcore', '--fail-on', limit);
    const [below, above, wrong] = await Promise.all([
      of('network-sockets=50%'),
      of('network-sockets=20%'),
      of('sockets=1%'),
    ]);
    expect(below).toMatchObject({ status: 0, stderr: '' });
    expect(above.status).toBe(1);
    expect(above.stderr).toBe('kdump-mem: --fail-on: network-sockets is 115 MiB (limit 102 MiB)\n');
    expect(above.stdout).toBe(below.stdout);
    expect(wrong.status).toBe(2);
  });
});
