import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { diffSchema } from '../../../../src/contracts/diff.js';
import { kdumpMem } from '../../../support/cli.js';

/** Bytes of shared memory in an answer. */
const sharedIn = (file: string) =>
  Number(/"category": "shared",\s+"bytes": (\d+)/.exec(readFileSync(file, 'utf8'))?.[1]);

/** Allocates memory when it reads a line, and keeps it until its input ends. */
const TAKERS = {
  memfd: `import os, sys
fd = os.memfd_create('unmapped')
print(flush=True); sys.stdin.readline()
for _ in range(200): os.write(fd, b'x' * (1 << 20))
print(flush=True); sys.stdin.read()`,
  anonymous: `import sys
print(flush=True); sys.stdin.readline()
kept = bytearray(b'x' * (80 << 20))
print(flush=True); sys.stdin.read()`,
} as const;

async function start(program: string) {
  const child = spawn('python3', ['-c', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return {
    take: async () => {
      child.stdin.write('\n');
      await lines.next();
    },
    end: async () => {
      child.stdin.end();
      await once(child, 'close');
    },
  };
}

test('a memfd that no process maps is not attributed to a process that grew otherwise', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-unmapped-'));
  const takers = await Promise.all([start(TAKERS.memfd), start(TAKERS.anonymous)]);
  const keep = async (name: string) => {
    const answers = [
      await kdumpMem('memory', '--live', '--source', 'counters', '--json'),
      await kdumpMem('procs', '--live', '--json'),
    ];
    writeFileSync(join(folder, name), answers.map(({ stdout }) => stdout).join(''));
    return join(folder, name);
  };
  try {
    const before = await keep('before.json');
    for (const taker of takers) await taker.take();
    const after = await keep('after.json');
    const { stdout } = await kdumpMem('diff', before, after, '--json');
    const { summary, categories } = diffSchema.parse(JSON.parse(stdout));
    const leaves = categories?.children.flatMap(({ children }) => children) ?? [];
    const shared = leaves.find(({ category }) => category === 'shared');
    // Counters are of the whole machine, where other growth may come first; the text on shared memory must name no process.
    expect(shared?.changeBytes).toBe(sharedIn(after) - sharedIn(before));
    expect(summary).not.toMatch(/shared memory and tmpfs[^(,]* \(led by/);
    if (summary.includes('shared memory')) expect(summary).toContain('(largest known file now: ');
  } finally {
    await Promise.all(takers.map(({ end }) => end()));
    rmSync(folder, { recursive: true });
  }
});
