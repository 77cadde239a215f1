import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { makeDisk } from '../../scripts/lab-parts/disk.mjs';
import { bootGuest, type Guest, type GuestAnswer, type GuestOptions } from '../../scripts/lab-parts/guest.mjs';
import { guestModule } from '../../scripts/lab-parts/guest-module.mjs';
import { guestTool } from '../../scripts/lab-parts/guest-program.mjs';
import { folder, machineProgram, toolProgram } from '../../scripts/lab-parts/programs.mjs';
import { commandPath } from './cli.js';
import { type GuestKernel, LAB } from './lab.js';

export { FOUR_LEVELS, type Guest } from '../../scripts/lab-parts/guest.mjs';

const REPO = fileURLToPath(new URL('../../', import.meta.url));
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
    { path: 'bin/kdump-mem', data: `#!/bin/sh\nexec ${node} ${HOME}/dist/bin/kdump-mem.js "$@"\n` },
    { path: 'etc/passwd', data: 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n', mode: 0o100644 },
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
export async function jsonInGuest(guest: Pick<Guest, 'run'>, command: string): Promise<unknown> {
  const { status, output } = await inGuest(guest, `${command} --json`);
  if (status !== 0) throw new Error(`kdump-mem ${command}: status ${status}: ${output}`);
  return JSON.parse(output.toString()) as unknown;
}

/** Runs `kdump-mem` in a guest; its stderr comes last. */
export function inGuest(guest: Pick<Guest, 'run'>, command: string): Promise<GuestAnswer> {
  return guest.run(`kdump-mem ${command} 2>/tmp/stderr; s=$?; cat /tmp/stderr; exit $s`, { mayFail: true });
}

/** A file of a disk. */
export type DiskFile = readonly [path: string, bytes: Uint8Array];

export interface TestGuestOptions extends Omit<GuestOptions, 'kernel' | 'disks'> {
  /** Programs of scripts/lab-parts/guest-programs, in /bin. */
  readonly tools?: readonly string[];
  /** Kernel modules of scripts/lab-parts/guest-modules, as /NAME.ko. */
  readonly insmod?: readonly string[];
  /** `kdump-mem` is installed, and the guest has the memory for it. */
  readonly kdumpMem?: boolean;
  /** Images, or paths of writable ones. */
  readonly disks?: readonly (string | { path: string; readonly?: boolean })[];
}

/** A guest of a test file or a `describe`, and a folder of the lab for its files. Both end with its tests. */
export class TestGuest {
  readonly kernel: GuestKernel;
  #machine: Guest | undefined;
  #bootedAtMs = 0;
  #folder: string | undefined;

  constructor(kernel: GuestKernel) {
    this.kernel = kernel;
  }

  get machine(): Guest {
    if (!this.#machine) throw new Error('the guest was not booted');
    return this.#machine;
  }

  /** Seconds since it was started: no wait inside it can be longer. */
  get ageSeconds(): number {
    return (performance.now() - this.#bootedAtMs) / 1000;
  }

  /** A path in its folder, which is created when the first path is asked for. */
  path(name: string): string {
    this.#folder ??= mkdtempSync(join(LAB, 'guest-'));
    return join(this.#folder, name);
  }

  /**
   * Makes an ext4 image.
   *
   * @returns its path
   */
  disk(name: string, mebibytes: number, files: readonly DiskFile[] = [], journal = false): string {
    const content = files.length === 0 ? undefined : this.path(`${name}-content`);
    for (const [path, bytes] of files) {
      mkdirSync(dirname(join(content!, path)), { recursive: true });
      writeFileSync(join(content!, path), bytes);
    }
    makeDisk(this.path(name), mebibytes, content, journal);
    return this.path(name);
  }

  /** Boots it; a guest that runs already is ended first. */
  async boot({ tools = [], insmod = [], kdumpMem = false, files = [], disks = [], ...options }: TestGuestOptions = {}) {
    const { kernel } = this;
    this.#machine?.kill();
    this.#bootedAtMs = performance.now();
    this.#machine = await bootGuest({
      kernel,
      ...(kdumpMem ? { memoryMiB: MEMORY_MIB } : {}),
      ...options,
      files: [
        ...files,
        ...(kdumpMem ? kdumpMemInGuest(kernel) : []),
        ...tools.map((name) => guestTool(name, kernel)),
        ...insmod.map((name) => guestModule(name, kernel)),
      ],
      disks: disks.map((disk) => (typeof disk === 'string' ? { path: disk } : disk)),
    });
  }

  run(command: string, options: { mayFail?: boolean } = {}): Promise<GuestAnswer> {
    return this.machine.run(command, options);
  }

  /** Output of a command of its shell: stdout and stderr. */
  async output(command: string): Promise<string> {
    return (await this.run(command)).output.toString();
  }

  /** Writes its memory to `vmcore` in its folder; it stays paused. */
  async dump(): Promise<string> {
    await this.machine.pause();
    await this.machine.dump('elf', this.path('vmcore'));
    return this.path('vmcore');
  }

  /** Dumps it, and ends it. */
  async lastDump(): Promise<string> {
    const dump = await this.dump();
    this.machine.kill();
    return dump;
  }

  async end(): Promise<void> {
    this.#machine?.kill();
    await this.#machine?.ended;
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A guest that ends with the tests of this file or `describe`. */
export function testGuest(kernel: GuestKernel): TestGuest {
  const guest = new TestGuest(kernel);
  afterAll(() => guest.end());
  return guest;
}
