import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { leaksSchema } from '../../../../src/contracts/leaks.js';
import { kdumpMem } from '../../../support/cli.js';
import type { Kind, LeakGuest, Truth } from '../leak-guest.js';
import {
  AREAS,
  bootOwnKernel,
  COPIES,
  type Copy,
  checkHealthy,
  KINDS_IN,
  OBJECTS,
  PAGES,
  REMEMBERS,
  sumOf,
} from '../own-kernel-guest.js';

const REFUSED = 3;
/** Seconds. */
const MIN_UP = 120;
const NAMES = Object.keys(COPIES) as Copy[];

const folder = mkdtempSync(join(tmpdir(), 'own-kernel-'));

describe('copies that cp made in the guest', () => {
  let guest: LeakGuest;
  let before: Truth;
  let after: Truth;

  const file = (name: Copy, at: number) => join(folder, `${name}-${at}`);

  /** The text itself, read by awk. */
  async function byAwk(at: number, kind: Kind): Promise<number> {
    const script = `$0 ~ /func:${kind} / { sum += $1 } END { printf "%d", sum }`;
    const { output } = await guest.guest.run(`awk '${script}' /copies/allocinfo-${at}`);
    return Number(output.toString());
  }

  /** One command for all, so that little time passes between them. */
  const copying = (at: number) =>
    `mkdir -p /copies; ${NAMES.map((name) => `cp ${COPIES[name]} /copies/${name}-${at}`).join('; ')}`;

  /** Copies them out of the guest. */
  async function fetch(at: number, from: LeakGuest = guest): Promise<void> {
    for (const name of NAMES) {
      const { output } = await from.guest.run(`cat /copies/${name}-${at}`);
      writeFileSync(file(name, at), output);
    }
  }

  const typeOf = (name: Copy) => (name === 'kmalloc-1k' ? 'slab' : name === 'vmallocinfo' ? 'vmalloc' : 'page');

  const leaksBetween = (name: Copy, first: number, second: number) =>
    kdumpMem(
      'leaks',
      '--type',
      typeOf(name),
      '--interval',
      '20',
      '--json',
      '--from',
      file(name, first),
      file(name, second),
    );

  beforeAll(async () => {
    guest = await bootOwnKernel(REMEMBERS);
    await guest.leaks({ ...PAGES, ...OBJECTS, ...AREAS });
    // Object ages reveal the order if they exceed the time between the copies.
    await guest.guest.run(`until awk '{ exit $1 < ${MIN_UP} }' /proc/uptime; do sleep 1; done`);
    await guest.guest.run(copying(1));
    before = await guest.truth();
    await guest.load(8);
    await guest.go();
    await guest.guest.run('sleep 8');
    await guest.halt();
    after = await guest.truth();
    await guest.guest.run(copying(2));
    await fetch(1);
    await fetch(2);
  });
  afterAll(() => {
    guest?.end();
    rmSync(folder, { recursive: true });
  });

  test.each(NAMES)('%s: reports outside the guest what the module allocated between them', async (name) => {
    const { stdout, stderr, status } = await leaksBetween(name, 1, 2);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    const answer = leaksSchema.parse(JSON.parse(stdout));
    const kinds = KINDS_IN[name];
    const reportedBytes = kinds.map((kind) => [kind, sumOf(answer, kind, ({ bytes }) => bytes)]);
    console.log(name, JSON.stringify(reportedBytes), answer.warnings.map(({ code }) => code).join(' '));
    expect(reportedBytes).toEqual(kinds.map((kind) => [kind, after[kind].bytes - before[kind].bytes]));
    expect(reportedBytes.every(([, bytes]) => Number(bytes) > 0)).toBe(true);
    if (name === 'allocinfo')
      for (const kind of [...kinds, 'leak_object', 'leak_area', 'ring_page'] as const)
        expect([kind, sumOf(answer, kind, ({ bytes }) => bytes)]).toEqual([
          kind,
          (await byAwk(2, kind)) - (await byAwk(1, kind)),
        ]);
    const objects = sumOf(answer, 'leak_object', ({ blocks }) => blocks ?? 0);
    if (name === 'allocinfo' || name === 'kmalloc-1k')
      expect(objects).toBe(after.leak_object.blocks - before.leak_object.blocks);
    // In order, by their text.
    const isOrderKnown = answer.warnings.every(({ code }) => code !== 'unknown-order');
    expect(isOrderKnown).toBe(name === 'page_owner' || name === 'kmalloc-1k');
    checkHealthy(answer);
  });

  test.each(NAMES)('%s, in reverse order: refused, or reported as unknown order', async (name) => {
    const { stdout, stderr, status } = await leaksBetween(name, 2, 1);
    if (name === 'page_owner' || name === 'kmalloc-1k') {
      expect([status, stdout]).toEqual([REFUSED, '']);
      expect(stderr).toContain('is not later than');
      return;
    }
    expect(status).toBe(0);
    const { warnings, complete } = leaksSchema.parse(JSON.parse(stdout));
    expect(complete).toBe(false);
    const note = warnings.find(({ code }) => code === 'unknown-order');
    expect(note?.message).toMatch(/were freed; in the reverse order, they leaked/);
  });

  test('reports a truncated copy', async () => {
    for (const name of NAMES) {
      const path = file(name, 3);
      await guest.guest.run(`cp ${COPIES[name]} /copies/cut`);
      const { output } = await guest.guest.run('cat /copies/cut');
      writeFileSync(path, output);
      truncateSync(path, Math.floor(output.length / 2) + (output.at(output.length / 2 - 1) === 10 ? 1 : 0));
      const { stdout, status } = await leaksBetween(name, 1, 3);
      expect([name, status]).toEqual([name, 0]);
      const { warnings, complete } = leaksSchema.parse(JSON.parse(stdout));
      const codes = warnings.map(({ code }) => code);
      expect([name, complete, codes]).toEqual([name, false, expect.arrayContaining(['source-truncated'])]);
    }
  });

  test('refuses page_owner of another boot as a later copy', async () => {
    const other = await bootOwnKernel(REMEMBERS);
    try {
      await other.guest.run(copying(4));
      await fetch(4, other);
    } finally {
      other.end();
    }
    for (const [first, second] of [
      [1, 4],
      [4, 2],
    ] as const) {
      const { stdout, stderr, status } = await leaksBetween('page_owner', first, second);
      expect([status, stdout]).toEqual([REFUSED, '']);
      expect(stderr).toMatch(/is not later than|from different machines or boots/);
    }
  });
});
