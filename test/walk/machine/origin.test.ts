import { expect, test } from 'vitest';
import { kernelOrigin } from '../../../src/walk/machine/origin.js';
import { type Damage, damagedKernel, kernelWith, UNDAMAGED } from '../../support/damaged-kernel.js';
import { fixtureKernel } from '../../support/opened-kernel.js';

const { kernel, lose } = fixtureKernel('6.1');

const bootId = kernel.symbol('sysctl_bootid') ?? 0n;
const UUID = '5a0b3c0e-9a4e-4d4c-8a84-0123456789ab';
const bytes = Buffer.from(UUID.replaceAll('-', ''), 'hex');

/** Fixtures contain only what the commands read: the page of the id may be missing. */
const originWith = (damage: Damage, id: Uint8Array = Buffer.alloc(16)) => {
  const read = (at: bigint, length: number) =>
    at === bootId ? new DataView(Uint8Array.from(id).buffer, 0, length) : kernel.read(at, length);
  return kernelOrigin(damagedKernel(kernelWith(kernel, { read }), damage));
};

test('reports the time of capture and the host of a dump', () => {
  const { at, host, uptimeSeconds } = originWith(UNDAMAGED);
  // The guest was booted on the day the fixtures were made, and dumped seconds later.
  expect(at).toMatch(/^20\d\d-\d\d-\d\dT/);
  expect(uptimeSeconds).toBeGreaterThan(1);
  expect(uptimeSeconds).toBeLessThan(600);
  expect(host).toBe('(none)');
});

test('reports the boot id as /proc prints it, and null before its first read', () => {
  expect(originWith(UNDAMAGED, bytes).bootId).toBe(UUID);
  expect(originWith(UNDAMAGED).bootId).toBeNull();
});

test('reports unreadable values as null', () => {
  expect(originWith(lose('sysctl_bootid', 512), bytes).bootId).toBeNull();
  expect(originWith(lose('init_uts_ns', 512))).toMatchObject({ host: null });
  expect(originWith(lose('shadow_timekeeper', 512))).toMatchObject({ at: null, uptimeSeconds: null });
});
