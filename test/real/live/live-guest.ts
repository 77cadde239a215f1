import { fileURLToPath } from 'node:url';
import type { Guest, GuestAnswer, GuestOptions } from '../../../scripts/lab-parts/guest.mjs';
import { folder, machineProgram } from '../../../scripts/lab-parts/programs.mjs';
import { commandPath } from '../../support/cli.js';

const REPO = fileURLToPath(new URL('../../../', import.meta.url));
const HOME = '/kdump-mem';

/** Node and the built kdump-mem take this much of a guest's memory; it needs as much to run. */
export const MEMORY_MIB = 1024;

/** Files that give a guest `kdump-mem`, run by the Node that runs this, and a user called nobody. */
export function kdumpMemInGuest(): NonNullable<GuestOptions['files']> {
  commandPath('kdump-mem');
  const scripts = (file: string) => /\.(m?js|cjs|json)$/.test(file);
  return [
    ...machineProgram(process.execPath),
    ...folder(`${REPO}dist/bin`, `${HOME}/dist/bin`, scripts),
    {
      path: 'bin/kdump-mem',
      data: `#!/bin/sh\nexec ${process.execPath} ${HOME}/dist/bin/kdump-mem.js "$@"\n`,
    },
    {
      path: 'etc/passwd',
      data: 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n',
      mode: 0o100644,
    },
  ];
}

/** Runs `kdump-mem … --json` in a guest. @throws {Error} if it fails or prints anything else */
export async function jsonInGuest(
  guest: Guest,
  command: string,
  timeoutMs = 120_000,
): Promise<unknown> {
  const { status, output } = await inGuest(guest, `${command} --json`, timeoutMs);
  if (status !== 0) throw new Error(`kdump-mem ${command}: status ${status}: ${output}`);
  return JSON.parse(output.toString()) as unknown;
}

/** Runs `kdump-mem` in a guest; what it prints on stderr comes last. */
export function inGuest(guest: Guest, command: string, timeoutMs = 120_000): Promise<GuestAnswer> {
  return guest.run(`kdump-mem ${command} 2>/tmp/stderr; s=$?; cat /tmp/stderr; exit $s`, {
    timeoutMs,
    mayFail: true,
  });
}
