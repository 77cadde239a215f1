import { afterAll, expect, test } from 'vitest';
import { kernelOrigin } from '../../../src/walk/machine/origin.js';
import { type Damage, damagedKernel, UNDAMAGED } from '../../support/damaged-kernel.js';
import { fixtureKernel } from '../../support/fixture-kernel.js';

const { kernel } = fixtureKernel('6.1');
afterAll(() => kernel.close());

const bootId = kernel.symbol('sysctl_bootid') ?? 0n;
const UUID = '5a0b3c0e-9a4e-4d4c-8a84-0123456789ab';
const bytes = Buffer.from(UUID.replaceAll('-', ''), 'hex');

/** Fixtures contain only what the commands read: the page of the id may be missing. */
const originWith = (damage: Damage, id: Uint8Array = Buffer.alloc(16)) =>
  kernelOrigin(
    damagedKernel(
      new Proxy(kernel, {
        get: (target, name) => {
          if (name === 'read')
            return (at: bigint, length: number) =>
              at === bootId ? new DataView(Uint8Array.from(id).buffer, 0, length) : target.read(at, length);
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      }),
      damage,
    ),
  );

test('reports the time of capture and the host of a dump', () => {
  const { at, host, uptime } = originWith(UNDAMAGED);
  // The guest was booted on the day the fixtures were made, and dumped seconds later.
  expect(at?.toISOString()).toMatch(/^20\d\d-\d\d-\d\dT/);
  expect(uptime).toBeGreaterThan(1);
  expect(uptime).toBeLessThan(600);
  expect(host).toBe('(none)');
});

test('reports the boot id as /proc prints it, and null before its first read', () => {
  expect(originWith(UNDAMAGED, bytes).bootId).toBe(UUID);
  expect(originWith(UNDAMAGED).bootId).toBeNull();
});

test('reports unreadable values as null', () => {
  const gone = (symbol: string): Damage => ({
    patches: [],
    denials: [{ address: kernel.symbol(symbol) ?? 0n, length: 512, code: 'filtered' }],
  });
  expect(originWith(gone('sysctl_bootid'), bytes).bootId).toBeNull();
  expect(originWith(gone('init_uts_ns'))).toMatchObject({ host: null });
  expect(originWith(gone('shadow_timekeeper'))).toMatchObject({ at: null, uptime: null });
});
