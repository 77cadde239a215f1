import { describe, expect, test } from 'vitest';
import { Addresses, Names } from '../../src/extract/anonymize/replacements.js';

const v4 = (text: string) => Uint8Array.from(text.split('.'), Number);
const v6 = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));

describe('replaced addresses', () => {
  test('are equal for equal addresses, and otherwise different', () => {
    const addresses = new Addresses();
    const one = addresses.v4(v4('8.8.8.8'));
    expect(addresses.v4(v4('8.8.8.8'))).toEqual(one);
    expect(addresses.v4(v4('8.8.4.4'))).not.toEqual(one);
    expect([...one]).not.toEqual([8, 8, 8, 8]);
  });

  test.each([
    ['0.0.0.0', '0.0.0.0'],
    ['127.0.0.53', '127.0.0.53'],
    ['255.255.255.255', '255.255.255.255'],
    ['10.20.30.40', '10.0.0.1'],
    ['172.31.1.2', '172.16.0.1'],
    ['192.168.7.7', '192.168.0.1'],
    ['169.254.3.4', '169.254.0.1'],
    ['224.0.0.251', '239.0.0.1'],
    ['93.184.216.34', '240.0.0.1'],
  ])('replace %s by %s', (real, made) => {
    expect(new Addresses().v4(v4(real)).join('.')).toBe(made);
  });

  test.each([
    ['00000000000000000000000000000000', '00000000000000000000000000000000'],
    ['00000000000000000000000000000001', '00000000000000000000000000000001'],
    ['fe80000000000000021122fffe334455', 'fe800000000000000000000000000001'],
    ['fd123456789abcdef000000000000001', 'fd000000000000000000000000000001'],
    ['ff0200000000000000000000000000fb', 'ff020000000000000000000000000001'],
    ['2a00145040010829000000000000200e', '20010db8000000000000000000000001'],
    ['00000000000000000000ffff08080808', '00000000000000000000fffff0000001'],
  ])('replace %s by %s', (real, made) => {
    expect(Buffer.from(new Addresses().v6(v6(real))).toString('hex')).toBe(made);
  });

  test('map a mapped address like the address in it', () => {
    const addresses = new Addresses();
    const plain = addresses.v4(v4('8.8.8.8'));
    expect(addresses.v6(v6('00000000000000000000ffff08080808')).subarray(12)).toEqual(plain);
  });
});

describe('replaced names', () => {
  const of = (names: Names, text: string) => Buffer.from(names.of(Buffer.from(text))).toString();

  test('have the same length, are equal for equal names, and keep paths as paths', () => {
    const names = new Names('p');
    expect(of(names, '/run/feed.sock')).toBe('/p000000000000');
    expect(of(names, '/run/next.sock')).toBe('/p000000000001');
    expect(of(names, '/run/feed.sock')).toBe('/p000000000000');
    expect(of(names, 'ab')).toBe('p0');
    expect(of(names, '')).toBe('');
  });

  test('are different for the shortest names as long as possible', () => {
    const names = new Names('p');
    const made = [...'abcdefghijklmnopqrstuvwxyz0123456789'].map((name) => of(names, name));
    expect(new Set(made).size).toBe(36);
  });
});
