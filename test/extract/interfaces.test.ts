import { expect, test } from 'vitest';
import { Interfaces, Names } from '../../src/extract/anonymize/replacements.js';

function interfaces(...names: readonly string[]) {
  const found = names.map((name) => {
    const bytes = Buffer.alloc(16);
    bytes.write(name);
    return { address: 0n, bytes };
  });
  return new Interfaces(found, new Names('i'));
}

const of = (known: Interfaces, name: string) => Buffer.from(known.of(Buffer.from(name))).toString();
const within = (known: Interfaces, comm: string) => Buffer.from(known.within(Buffer.from(comm), 15)).toString();

test('renames interfaces, except loopback', () => {
  const known = interfaces('lo', 'eth0', 'enp0s31f6');
  expect(of(known, 'lo')).toBe('lo');
  expect(of(known, 'eth0')).toBe('i000');
  expect(of(known, 'enp0s31f6')).toBe('i00000000');
});

test.each([
  ['napi/eth0-8193', 'napi/i000-8193'],
  ['irq/28-eth0', 'irq/28-i000'],
  ['wg-crypt-wg0', 'wg-crypt-i00'],
  ['eth0.100', 'i0000000'],
  // Truncated by the kernel after 15 characters.
  ['irq/128-enp0s31', 'irq/128-i000000'],
  ['kworker/0:1', 'kworker/0:1'],
  ['methanol/0', 'methanol/0'],
  ['kworker/lo', 'kworker/lo'],
])('renames the kernel thread %s to %s', (comm, made) => {
  const known = interfaces('lo', 'eth0', 'wg0', 'eth0.100', 'enp0s31f6');
  expect(within(known, comm)).toBe(made);
});
