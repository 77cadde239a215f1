import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { CAPTURE_SCRIPT } from '../../../../src/capture/read/script.js';
import { type MemoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import type { NamedKind } from '../../../../src/records/named-memory.js';
import { kdumpMem, kdumpMemJson } from '../../../support/cli.js';
import { scratchFolder } from '../../../support/scratch.js';

export const MIB = 2 ** 20;

type Named = NonNullable<MemoryJson['named']>;

/**
 * A process of this Python program, which prints the pid of its child when both hold their memory, and ends with its stdin;
 * and memory of a kind: live, and in snapshots of both writers.
 */
export function namedScene(program: string, ...args: readonly string[]) {
  const folder = scratchFolder('named-');
  const holder = spawn('python3', ['-c', program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const pids = { holder: holder.pid, child: 0 };
  beforeAll(async () => {
    const [line] = await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')]);
    pids.child = Number(line);
    expect(pids.child).toBeGreaterThan(0);
  });
  afterAll(async () => {
    holder.stdin.end();
    if (holder.exitCode === null) await once(holder, 'exit');
  });

  async function eachSource(kind: NamedKind): Promise<Named[]> {
    const native = join(folder, 'native.tar.gz');
    expect((await kdumpMem('snapshot', '-o', native, '--interval', '0.1')).status).toBe(0);
    const shell = join(folder, 'shell.tar.gz');
    const { status, stdout } = spawnSync('sh', ['-s', '--', '--tmpfs', '-', '0'], {
      input: CAPTURE_SCRIPT,
      maxBuffer: 512 * MIB,
    });
    expect(status).toBe(0);
    writeFileSync(shell, stdout);
    const found: Named[] = [];
    for (const source of [
      ['--live', '--source', 'counters'],
      ['--from', native],
      ['--from', shell],
    ]) {
      const { named } = await kdumpMemJson(memorySchema, 'memory', ...source);
      found.push(named?.filter((one) => one.kind === kind) ?? []);
    }
    return found;
  }
  return { pids, eachSource };
}
