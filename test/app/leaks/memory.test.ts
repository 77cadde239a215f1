import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { leaksSchema } from '../../../src/contracts/leaks.js';
import { commandPath } from '../../support/cli.js';
import { scratchFolder } from '../../support/scratch.js';

const folder = scratchFolder('leaks-memory-');

/** Blocks that are followed at most, and blocks beyond that. */
const KEPT = 500_000;
const BEYOND = 50_000;
const STACKS = 2000;

/** Limit for the whole program including Node, MiB. */
const MAX_MIB = 256;

/**
 * `perf script` output: single pages that are still held, none adjacent, of thousands of stacks.
 */
function events(): string {
  const lines: string[] = [];
  for (let at = 0; at < KEPT + BEYOND; at++) {
    const frame = 2 * at + 2;
    lines.push(
      `a 1 [000] ${10 + Math.floor(at / 1e5)}.${String(at % 1e5).padStart(6, '0')}: kmem:mm_page_alloc: page=0x${frame.toString(16)} pfn=0x${frame.toString(16)} order=0 migratetype=0`,
      `\tffffffff81000010 f${at % STACKS}+0x10 ([kernel.kallsyms])`,
      '',
    );
  }
  lines.push('a 1 [000] 90.000000: kmem:mm_page_free: page=0x1 pfn=0x1 order=0', '');
  return lines.join('\n');
}

test('own memory is bounded if more is held than followed, and the excess is reported', async () => {
  const [input, peak, hook] = ['events.gz', 'peak', 'hook.cjs'].map((name) => join(folder, name));
  writeFileSync(input!, gzipSync(events(), { level: 1 }));
  writeFileSync(
    hook!,
    // ru_maxrss would be that of the test, if larger: exec keeps it (exec_mmap, fs/exec.c).
    `const fs = require('fs'); process.on('exit', () => fs.writeFileSync(${JSON.stringify(peak)}, fs.readFileSync('/proc/self/status')));`,
  );
  const { stdout } = await execa(
    process.execPath,
    ['--require', hook!, commandPath('kdump-mem'), 'leaks', '--from', input!, '--json'],
    { maxBuffer: 2 ** 28 },
  );
  const answer = leaksSchema.parse(JSON.parse(stdout));
  expect(answer.losses.dropped).toBe(BEYOND);
  expect(answer.sites.reduce((sum, { blocks }) => sum + (blocks ?? 0), 0)).toBe(KEPT);
  expect(answer.complete).toBe(false);
  const mebibytes = Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(peak!, 'utf8'))?.[1]) / 1024;
  console.log(`${Math.round(mebibytes)} MiB`);
  expect(mebibytes).toBeLessThan(MAX_MIB);
});
