import { isIPv6 } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatInet } from '../../src/walk/address.js';

const v6 = (...groups: number[]) =>
  Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));

test.each([
  [Uint8Array.of(10, 0, 2, 15), 9000, '10.0.2.15:9000'],
  [v6(0, 0, 0, 0, 0, 0, 0, 1), 80, '[::1]:80'],
  [v6(0, 0, 0, 0, 0, 0, 0, 0), 0, '[::]:0'],
  [v6(0xfe80, 0, 0, 0, 1, 0, 0, 2), 1, '[fe80::1:0:0:2]:1'],
  [v6(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1), 443, '[2001:db8:0:1::1]:443'],
  [v6(1, 0, 2, 3, 4, 5, 6, 7), 2, '[1:0:2:3:4:5:6:7]:2'],
  [v6(0, 0, 0, 0, 0, 0xffff, 0x0a00, 0x020f), 9000, '[::ffff:10.0.2.15]:9000'],
])('%j port %d is %s', (address, port, text) => expect(formatInet(address, port)).toBe(text));

test('every IPv6 address comes out as one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (address) => {
      const text = /^\[(.*)\]:7$/.exec(formatInet(address, 7))?.[1] ?? '';
      expect(isIPv6(text)).toBe(true);
    }),
  );
});
