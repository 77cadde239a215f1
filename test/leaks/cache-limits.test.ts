import { expect, test } from 'vitest';
import { HostError } from '../../src/base/errors.js';
import { cacheLimits } from '../../src/leaks/survivors/lookup.js';

const FOLDER = '/proc/sys/net/netfilter/';

const limitsOf = (files: Readonly<Record<string, string>>) =>
  cacheLimits({
    readText: (path) => {
      const text = files[path.replace(FOLDER, '')];
      if (text === undefined) throw new HostError('gone', `${path}: not found`);
      return text;
    },
  });

test('reads count and limit of tracked connections', () => {
  const limits = limitsOf({ nf_conntrack_count: '812\n', nf_conntrack_max: '65536\n' });
  expect([...limits]).toEqual([['nf_conntrack', { held: 812, most: 65_536 }]]);
});

test.each([
  ['without netfilter', {}],
  ['with one missing', { nf_conntrack_count: '812\n' }],
  ['without a limit', { nf_conntrack_count: '812\n', nf_conntrack_max: '0\n' }],
  ['with text in place of numbers', { nf_conntrack_count: '812\n', nf_conntrack_max: 'many\n' }],
])('reports no limits for a kernel %s', (_, files) => {
  expect(limitsOf(files).size).toBe(0);
});
