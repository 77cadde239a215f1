import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { kdumpMem } from '../../../support/cli.js';
import { scratchFolder } from '../../../support/scratch.js';

const CAPTURED = fileURLToPath(new URL('../../../leaks/from/captured/', import.meta.url));
const folder = scratchFolder('pprof-');
const profile = join(folder, 'leaks.pb.gz');

/** Debian's golang-go. */
const pprof = (...options: string[]) =>
  execFileSync('go', ['tool', 'pprof', ...options, profile], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, HOME: folder, PPROF_TMPDIR: folder },
  });

beforeAll(async () => {
  const from = ['alloc', 'free'].map((part) => join(CAPTURED, `6.1-page.${part}.txt.gz`));
  const { status } = await kdumpMem('leaks', '--from', ...from, '--pprof', profile);
  expect(status).toBe(0);
});

test('go tool pprof reads --pprof: bytes and blocks of each function match the module’s counters', () => {
  const cumulated = (text: string) =>
    new Map(
      text.split('\n').flatMap((line) => {
        const [, , , value, , name] = line.trim().split(/ +/);
        return name === undefined ? [] : [[name, value] as const];
      }),
    );
  const bytes = cumulated(pprof('-top', '-unit=B', '-nodefraction=0', '-sample_index=inuse_space'));
  expect(bytes.get('leak_single')).toBe('184320B');
  expect(bytes.get('leak_fifth')).toBe('393216B');
  expect(bytes.get('ring_split')).toBe('1441792B');
  const blocks = cumulated(pprof('-top', '-nodefraction=0', '-sample_index=inuse_objects'));
  expect(blocks.get('leak_single')).toBe('45');
  expect(blocks.get('leak_fifth')).toBe('3');
});

test('verdicts are labels', () => {
  expect(pprof('-tags')).toMatch(/verdict: Total .*\n +.*: growing/);
});
