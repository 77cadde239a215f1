import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Guest, GuestAnswer, GuestOptions } from '../../../scripts/lab-parts/guest.mjs';
import { folder, machineProgram, toolProgram } from '../../../scripts/lab-parts/programs.mjs';
import { commandPath } from '../../support/cli.js';
import { type GuestKernel, LAB } from '../../support/lab.js';

const REPO = fileURLToPath(new URL('../../../', import.meta.url));
const HOME = '/kdump-mem';

/** Guest memory for Node and the built kdump-mem, which need as much to run. */
export const MEMORY_MIB = 1024;

type Files = NonNullable<GuestOptions['files']>;

/**
 * Files that give a guest `kdump-mem`, run by this Node, and the user nobody. A guest of another
 * architecture uses Debian's Node.
 *
 * @param kernel of the guest: a kernel of the lab
 */
export function kdumpMemInGuest(kernel: GuestKernel = 'newest'): Files {
  commandPath('kdump-mem');
  const node = kernel.includes('-arm64') ? '/bin/node' : process.execPath;
  const scripts = (file: string) => /\.(m?js|cjs|json)$/.test(file);
  return [
    ...(node === process.execPath ? machineProgram(node) : foreignNode(kernel)),
    ...folder(`${REPO}dist/bin`, `${HOME}/dist/bin`, scripts),
    {
      path: 'bin/kdump-mem',
      data: `#!/bin/sh\nexec ${node} ${HOME}/dist/bin/kdump-mem.js "$@"\n`,
    },
    {
      path: 'etc/passwd',
      data: 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n',
      mode: 0o100644,
    },
  ];
}

/** Debian's Node with its libraries. */
function foreignNode(kernel: GuestKernel): Files {
  const modules = (file: string) =>
    ['undici/undici-fetch.js', 'acorn/dist/acorn.js', 'acorn-walk/dist/walk.js'].includes(file);
  return [
    ...toolProgram('usr/bin/node', kernel),
    ...folder(join(LAB, 'tools-arm64/usr/share/nodejs'), '/usr/share/nodejs', modules),
  ];
}

/**
 * Runs `kdump-mem … --json` in a guest.
 *
 * @throws {Error} if it fails or prints anything else
 */
export async function jsonInGuest(guest: Guest, command: string, timeoutMs = 120_000): Promise<unknown> {
  const { status, output } = await inGuest(guest, `${command} --json`, timeoutMs);
  if (status !== 0) throw new Error(`kdump-mem ${command}: status ${status}: ${output}`);
  return JSON.parse(output.toString()) as unknown;
}

/** Runs `kdump-mem` in a guest; its stderr comes last. */
export function inGuest(guest: Guest, command: string, timeoutMs = 120_000): Promise<GuestAnswer> {
  return guest.run(`kdump-mem ${command} 2>/tmp/stderr; s=$?; cat /tmp/stderr; exit $s`, {
    timeoutMs,
    mayFail: true,
  });
}
