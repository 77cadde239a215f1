import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { scratchFolder } from '../../support/scratch.js';

const folder = scratchFolder('bundles-');
const PLUGIN = 'deploy/supportconfig/kdump_mem';

/** Runs the plugin with these programs before those of the system. */
function supportconfig(programs: Readonly<Record<string, string>>) {
  const bin = join(folder, `bin-${Object.keys(programs).length}`);
  mkdirSync(bin);
  for (const [name, text] of Object.entries(programs))
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return execa('/bin/sh', [PLUGIN], { env: { PATH: `${bin}:/usr/bin:/bin` }, extendEnv: false, reject: false });
}

test('the plugin of supportconfig prints what kdump-mem reports, and never fails', async () => {
  const { exitCode, stdout } = await supportconfig({ 'kdump-mem': 'echo "ran $*"; [ "$1" != memory ]' });
  expect(exitCode).toBe(0);
  for (const words of ['--version', 'triage', 'memory --live', 'procs --live'])
    expect(stdout).toContain(`\nran ${words}\n`);
  expect(stdout).toContain('ran memory --live\n# ended with status 1\n');
});

test('without kdump-mem it prints a line', async () => {
  const { exitCode, stdout } = await supportconfig({});
  expect([exitCode, stdout.split('\n')[0]]).toEqual([0, '# kdump-mem is not installed']);
});
