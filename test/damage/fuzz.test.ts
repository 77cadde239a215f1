import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Lane, openLane, type Runner } from '../../scripts/fuzz-parts/lanes.js';
import { Broken } from '../../scripts/fuzz-parts/rules.js';

const SEED = 20_261_120;
const FRESH = Math.floor(Math.random() * 2 ** 31);

const dump = (name: string) =>
  fileURLToPath(new URL(`../../fixtures/dumps/${name}.vmcore`, import.meta.url));

/** What `scripts/fuzz` does for hours, for some seconds: cases of a fixed seed, and of a fresh one. */
const LANES: readonly { lane: Lane; fixed: number; fresh: number }[] = [
  { lane: { name: 'synthetic', kind: 'synthetic' }, fixed: 1000, fresh: 100 },
  { lane: { name: 'arm64', kind: 'arm64' }, fixed: 2000, fresh: 200 },
  {
    lane: { name: 'opening:6.12-arm64-16k.vmcore', kind: 'opening', dump: dump('6.12-arm64-16k') },
    fixed: 20,
    fresh: 5,
  },
  {
    lane: { name: 'opening:6.1-arm64.vmcore', kind: 'opening', dump: dump('6.1-arm64') },
    fixed: 5,
    fresh: 2,
  },
  ...['5.10', 'newest'].map((name) => ({
    lane: { name: `walk:${name}.vmcore`, kind: 'walk' as const, dump: dump(name) },
    fixed: 1000,
    fresh: 100,
  })),
  {
    lane: { name: 'walk:6.12-arm64-16k.vmcore', kind: 'walk', dump: dump('6.12-arm64-16k') },
    fixed: 200,
    fresh: 20,
  },
  {
    lane: { name: 'meaning:6.12.vmcore', kind: 'meaning', dump: dump('6.12') },
    fixed: 60,
    // What no seed has tried yet is for scripts/fuzz, not for a test of something else.
    fresh: 0,
  },
  {
    lane: { name: 'file:6.1.vmcore', kind: 'file', dump: dump('6.1') },
    fixed: 30,
    fresh: 10,
  },
];

describe.each(LANES)('damage, $lane.name', ({ lane, fixed, fresh }) => {
  let runner: Runner;
  beforeAll(async () => {
    runner = await openLane(lane);
  });
  afterAll(() => runner.dispose());

  const seeds: [number, number][] = [[SEED, fixed]];
  if (fresh > 0) seeds.push([FRESH, fresh]);
  test.each(seeds)(
    'seed %i: %i cases end in an answer that says what it lacks, or in one line',
    async (seed, cases) => {
      const broken: string[] = [];
      for (let index = 0; index < cases; index++) {
        try {
          await runner.run(seed, index);
        } catch (error) {
          if (!(error instanceof Broken)) throw error;
          broken.push(
            `--seed ${seed} --case ${lane.name}/${index}: ${error.rule} ${error.message}`,
          );
        }
      }
      expect(broken).toEqual([]);
    },
    300_000,
  );
});
