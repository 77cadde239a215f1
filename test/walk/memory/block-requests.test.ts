import { expect, test } from 'vitest';
import { devicesOf } from '../../../src/walk/memory/block-requests.js';
import { made, madeKernel } from '../../support/made-kernel.js';

const [SET, OWN, NAME, ONE, TWO] = [0x100, 0x200, 0x400, 0x500, 0x600] as const;
const ENTRY = OWN + 24 + 8;
const LIST = OWN + 72;

/** The class `block` with two devices, whose nodes are at these offsets. */
function devices(members: Readonly<Record<string, Readonly<Record<string, number>>>>, node: number) {
  const struct = (name: string, own: Readonly<Record<string, number>>) => [
    name,
    { size: 128, members: { ...own, ...members[name] } },
  ];
  const kernel = madeKernel({
    structs: Object.fromEntries([
      struct('kset', { list: 0, kobj: 16 }),
      struct('kobject', { name: 0, entry: 8 }),
      struct('subsys_private', { subsys: 8, 'klist_devices.k_list': 72 }),
      struct('device_private', { device: 64 }),
      struct('device', {}),
      struct('list_head', { next: 0, prev: 8 }),
    ]),
    symbols: { class_kset: 0x80 },
    words: {
      [0x80]: made(SET),
      [SET]: made(ENTRY),
      [SET + 8]: made(ENTRY),
      [OWN + 24]: made(NAME),
      [ENTRY]: made(SET),
      [ENTRY + 8]: made(SET),
      [NAME]: Buffer.from('block\0\0\0').readBigUInt64LE(),
      [LIST]: made(ONE + node),
      [LIST + 8]: made(TWO + node),
      [ONE + node]: made(TWO + node),
      [ONE + node + 8]: made(LIST),
      [TWO + node]: made(LIST),
      [TWO + node + 8]: made(ONE + node),
      [ONE + 64]: made(0x1000),
      [TWO + 64]: made(0x2000),
    },
  });
  return [...devicesOf(kernel, 'class', 'block')];
}

test('finds the devices of a class by their private part', () => {
  const found = devices({ device_private: { 'knode_class.n_node': 16 } }, 16);
  expect(found).toEqual([made(0x1000), made(0x2000)]);
});

test('finds them by the node in each device before 5.1', () => {
  const found = devices({ device: { 'knode_class.n_node': 32 } }, 32);
  expect(found).toEqual([made(ONE), made(TWO)]);
});
