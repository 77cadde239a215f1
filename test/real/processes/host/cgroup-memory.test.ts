import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProcsAnswer } from '../../../../src/contracts/procs.js';
import { kdumpMem } from '../../../support/cli.js';
import { removeCgroup } from '../../skcheck/stage.js';

const V1 = '/sys/fs/cgroup/memory';
const isV1 = existsSync(V1);
const root = isV1 ? V1 : '/sys/fs/cgroup';
// A pid of a namespace is not unique in cgroups.
const parent = `${root}/kdump-mem-procs-${randomUUID()}`;
const path = `${parent}/app`;
const LIMIT = 256 * 2 ** 20;
const HELD = 48 * 2 ** 20;

function made(): boolean {
  try {
    mkdirSync(path, { recursive: true });
    writeFileSync(`${parent}/memory.${isV1 ? 'limit_in_bytes' : 'max'}`, `${LIMIT}`);
    return existsSync(`${path}/memory.${isV1 ? 'usage_in_bytes' : 'current'}`);
  } catch {
    return false;
  }
}

describe.skipIf(process.geteuid?.() !== 0 || !made())('procs --by cgroup (needs root and writable cgroups)', () => {
  const program = `$0 = 'x'; my $held = ''; vec($held, ${HELD}, 8) = 1; $| = 1; print "ready\\n"; sleep 300`;
  const child = spawn('sh', [
    '-c',
    `echo $$ > ${path}/cgroup.procs; exec perl -e '${program.replaceAll("'", `'"'"'`)}'`,
  ]);
  beforeAll(() => Promise.race([once(child.stdout, 'data'), once(child, 'exit')]));
  afterAll(async () => {
    child.kill('SIGKILL');
    await removeCgroup(path);
    await removeCgroup(parent);
  });

  test('reports the kernel’s charge, and the limit of an ancestor', async () => {
    const { stdout } = await kdumpMem('procs', '--live', '--by', 'cgroup', '--json');
    const { groups = [] } = JSON.parse(stdout) as ProcsAnswer;
    const name = path.slice(root.length);
    const group = groups.find(({ key }) => key === name);
    const { cgroup } = group ?? {};
    expect(cgroup).toMatchObject({ limitBytes: LIMIT, limitCgroup: name.replace('/app', '') });
    const now = Number(readFileSync(`${path}/memory.${isV1 ? 'usage_in_bytes' : 'current'}`, 'utf8'));
    // The program sleeps: only per-CPU batches change.
    expect(Math.abs((cgroup?.currentBytes ?? 0) - now)).toBeLessThan(2 ** 20);
    expect(cgroup?.anonBytes).toBeGreaterThanOrEqual(HELD);
    expect(cgroup?.anonBytes).toBeLessThan(HELD + 8 * 2 ** 20);
    const { stdout: text } = await kdumpMem('procs', '--live', '--by', 'cgroup');
    expect(text).toMatch(/Charged to each cgroup/);
    expect(text).toMatch(new RegExp(`${name} +[\\d.]+ MiB +256 MiB`));
  });
});
