import fs from 'node:fs';
import type { Command } from 'commander';
import { KernelError } from '../kernel/error.js';
import type { Kernel } from '../kernel/kernel.js';
import { UsageError } from './failure.js';
import { Progress } from './progress.js';

/** Where a command's kernel comes from; every command takes the same options. */
export interface SourceOptions {
  readonly vmcore?: string;
  readonly vmlinux?: string;
  readonly live?: true;
  readonly crash?: string;
}

export function addSourceOptions(command: Command): Command {
  return command
    .option('--vmcore <file>', 'the dump to read')
    .option('--live', 'read this machine’s own kernel, through /proc/kcore')
    .option('--vmlinux <file>', 'the kernel with its debuginfo, for crash')
    .option('--crash <path>', 'the crash program to use (default: crash)');
}

/**
 * Opens the kernel that the options name.
 *
 * @throws {UsageError} if they name none or two; {@link KernelError} if it cannot be opened.
 */
export async function openSource(options: SourceOptions): Promise<Kernel> {
  if ((options.vmcore === undefined) === (options.live === undefined)) {
    throw new UsageError('say what to read: either --vmcore FILE or --live');
  }
  for (const file of [options.vmcore, options.vmlinux]) {
    if (file !== undefined) checkFile(file);
  }
  if (options.live) checkKcore();
  const progress = new Progress();
  const { openCrash } = await import('../kernel/crash/open.js');
  try {
    return openCrash({
      ...options,
      onWait: (seconds) => progress.show(`crash starts … ${seconds.toFixed(0)} s`),
    });
  } finally {
    progress.clear();
  }
}

function checkFile(file: string): void {
  try {
    fs.accessSync(file, fs.constants.R_OK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') {
      throw new KernelError('permission', `${file} may not be read`, { cause });
    }
    throw new KernelError('no-such-file', `there is no file ${file}`, { cause });
  }
}

function checkKcore(): void {
  if (!fs.existsSync('/proc/kcore')) {
    throw new KernelError('no-live-memory', 'this kernel has no /proc/kcore');
  }
  checkFile('/proc/kcore');
}
