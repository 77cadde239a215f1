import { expect, test } from 'vitest';
import { type NetDevice, netDevices } from '../../../src/walk/network/net-devices.js';
import { QdiscReader } from '../../../src/walk/network/qdisc.js';
import { hasNapi } from '../../../src/walk/network/softnet.js';
import { virtioNetMemory } from '../../../src/walk/network/virtqueues.js';
import { SkbLists } from '../../../src/walk/queues/skb-lists.js';
import { fixtureKernel } from '../../support/opened-kernel.js';

const { kernel, addressOf, set, damagedBy } = fixtureKernel('6.1');

const devices = [...netDevices(kernel)];
const named = (name: string): NetDevice => devices.find((device) => device.name === name)!;
// The guest was booted with one card; every network namespace has a loopback device.
const card = devices.find(({ driver }) => driver === 'virtio_net')!;

test('finds driver and rings of the guest’s card, and none of loopback', () => {
  expect(card.name).toBe('eth0');
  expect(named('lo')).toMatchObject({ driver: undefined, parent: 0n });
  expect(hasNapi(kernel, card)).toBe(true);
  expect(hasNapi(kernel, named('lo'))).toBe(false);
  // QEMU's card has 256 descriptors; the driver keeps the ring full.
  const { buffers } = virtioNetMemory(kernel, card);
  expect(buffers.length).toBeGreaterThan(100);
  expect(buffers.length).toBeLessThanOrEqual(256);
});

test('returns every qdisc once, however many queues share it', () => {
  const reader = new QdiscReader(kernel, new SkbLists(kernel));
  const qdiscs = devices.flatMap((device) => [...reader.ofDevice(device)]);
  expect(qdiscs.length).toBeGreaterThan(0);
  expect(new Set(qdiscs.map(({ qdisc }) => qdisc)).size).toBe(qdiscs.length);
  expect(devices.flatMap((device) => [...reader.ofDevice(device)])).toEqual([]);
});

test('reports a torn list of devices', () => {
  const damaged = damagedBy(
    set(card.address, 'net_device.dev_list.next', addressOf(card.address, 'net_device.dev_list')),
  );
  expect(() => [...netDevices(damaged)]).toThrow(/is inconsistent/);
});

test('reports an impossible number of transmit queues as damage', () => {
  const damaged = damagedBy(set(card.address, 'net_device.num_tx_queues', 70_000n));
  expect(() => [...netDevices(damaged)]).toThrow('70000 transmit queues');
});

test('refuses the memory of a card whose rings belong to another device', () => {
  const damaged = damagedBy(set(card.privateData, 'virtnet_info.dev', named('lo').address));
  expect(() => virtioNetMemory(damaged, card)).toThrow('its virtnet_info belongs to another device');
});
