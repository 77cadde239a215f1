import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MemoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import { kdumpMem } from '../../../support/cli.js';

const MIB = 2 ** 20;

// With /proc/kcore the list has all files, from page frames.
describe.skipIf(existsSync('/proc/kcore') || process.geteuid?.() !== 0)('files by fincore', () => {
  const folder = mkdtempSync('/var/tmp/cached-files-');
  const script = join(import.meta.dirname, 'cached-files.py');
  const holder = spawn('python3', [script, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
  let answer: MemoryJson;
  let byMincore: Readonly<Record<string, number>> = {};

  const lines = createInterface({ input: holder.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => String((await lines.next()).value);

  beforeAll(async () => {
    expect(await line()).toBe('ready');
    const { stdout } = await kdumpMem('memory', '--live', '--files', '--json');
    answer = memorySchema.parse(JSON.parse(stdout));
    holder.stdin.write('\n');
    byMincore = JSON.parse(await line());
  });
  afterAll(() => {
    holder.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });

  const own = () => answer.cachedFiles?.files.filter(({ pid }) => pid === holder.pid) ?? [];
  const named = (name: string) => own().find(({ path }) => path.endsWith(name));

  test('have the resident bytes that mincore counts', () => {
    const sizes = { open: 8, deleted: 4, 'mapped in part': 8, 'memfd:cached': 3 };
    for (const [name, mib] of Object.entries(sizes)) {
      const file = named(`/${name}`);
      expect(file, name).toBeDefined();
      expect.soft(file?.bytes, name).toBe(byMincore[name.replace(':cached', '')]);
      expect.soft(file?.sizeBytes, name).toBe(mib * MIB);
    }
    expect(named('/open')).toMatchObject({ deleted: false, mapped: false });
    expect(named('/open')?.bytes).toBeGreaterThan(7 * MIB);
    expect(named('/deleted')).toMatchObject({ deleted: true });
    expect(named('/mapped in part')).toMatchObject({ mapped: true });
    expect(named('/mapped in part')?.bytes).toBeLessThan(4 * MIB);
    expect(named('/memfd:cached')).toMatchObject({ fsType: 'tmpfs', deleted: true });
  });

  test('without an open descriptor or mapping are only in the total', () => {
    const { files = [], bytes = 0, elsewhereBytes = null, source } = answer.cachedFiles ?? {};
    expect(files.filter(({ path }) => path === join(folder, 'closed'))).toEqual([]);
    expect(bytes).toBe(files.reduce((sum, one) => sum + one.bytes, 0));
    if (elsewhereBytes !== null) expect(elsewhereBytes).toBeGreaterThan(7 * MIB);
    expect([source, answer.files, answer.complete]).toEqual(['fincore', null, false]);
  });

  test('name their source first, and cannot be listed by cgroup', async () => {
    const { stdout } = await kdumpMem('memory', '--live', '--files');
    expect(stdout).toMatch(/^Source: fincore, open and mapped files only; \/proc\/kcore is not/);
    const refused = await kdumpMem('memory', '--live', '--files', '--cgroup', '/x');
    expect([refused.status, refused.stdout]).toEqual([3, '']);
    expect(refused.stderr).toContain('--cgroup: not available without kernel memory');
    const required = await kdumpMem('memory', '--live', '--files', '--source', 'kcore');
    expect(required.status).toBe(3);
  });
});
