import { KernelError } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import { ElfFile } from '../native/elf-file.js';
import { openImage } from '../native/image/open.js';
import { checkBuildId } from '../native/symbols-source.js';
import { Vmcoreinfo } from '../native/vmcoreinfo.js';
import { CrashKernel } from './kernel.js';
import { CrashProcess } from './process.js';
import type { CrashSession } from './session.js';

export interface OpenCrashOptions {
  /** Undefined for the live kernel (/proc/kcore). */
  readonly vmcore?: string | undefined;
  /** Required for a dump; for the live kernel, crash searches the usual places. */
  readonly vmlinux?: string | undefined;
  /** Path or name of the program; `crash` by default. */
  readonly crash?: string | undefined;
  /** Milliseconds; by default 600,000 (crash reads all debuginfo before its first output) and 30,000. */
  readonly startTimeout?: number | undefined;
  readonly requestTimeout?: number | undefined;
  /** Called while crash starts, with the seconds since. */
  readonly onWait?: ((seconds: number) => void) | undefined;
  /** Wraps the session, for example in a recorder. */
  readonly wrap?: ((session: CrashSession) => CrashSession) | undefined;
}

/**
 * Opens a dump, or the live kernel, through crash.
 *
 * @throws {KernelError} with crash's own message where that is the reason.
 */
export function openCrash(options: OpenCrashOptions): Kernel {
  if (options.vmcore !== undefined && options.vmlinux === undefined) {
    throw new KernelError('vmlinux-needed', 'crash: requires the vmlinux of the dump’s kernel');
  }
  const crash = options.crash ?? 'crash';
  let session: CrashSession;
  try {
    session = new CrashProcess({
      crash,
      vmlinux: options.vmlinux,
      vmcore: options.vmcore,
      startTimeout: options.startTimeout ?? 600_000,
      requestTimeout: options.requestTimeout ?? 30_000,
      onWait: options.onWait ?? (() => {}),
    });
  } catch (error) {
    throw explain(error, options);
  }
  session = options.wrap?.(session) ?? session;
  try {
    // Debian 12's crash 8.0.2 opens a dump of Debian 12's own kernel but, without an error, knows
    // only the tasks that were on a CPU. Its answers are rejected unless it lists pid 1 and
    // kthreadd, which rarely run, let alone both at once.
    for (const pid of [1, 2]) {
      const [answer = ''] = session.execute([`ps ${pid}`]);
      if (new RegExp(`^>?\\s*${pid}(\\s+\\d+){2}\\s+[0-9a-f]{16}\\s`, 'm').test(answer)) continue;
      throw new KernelError('crash-too-old', `${crash}: does not support this kernel (pid ${pid} not found)`);
    }
    return new CrashKernel(session, options.vmcore === undefined ? 'kcore' : 'vmcore');
  } catch (error) {
    session.close();
    throw error;
  }
}

/** A problem with the files explains more than crash's last lines, which become the cause. */
function explain(error: unknown, { vmcore, vmlinux }: OpenCrashOptions): unknown {
  if (!(error instanceof KernelError) || error.code !== 'crash-failed') return error;
  if (vmcore === undefined || vmlinux === undefined) return error;
  const reason = diagnoseFiles(vmcore, vmlinux);
  return reason ? new KernelError(reason.code, reason.message, { cause: error }) : error;
}

/**
 * Diagnoses from the files why crash cannot open them; undefined if no problem is found. crash's
 * own messages address its developers and can mislead: an old crash reports "do not match" for a
 * kernel that is only too new for it.
 */
function diagnoseFiles(vmcore: string, vmlinux: string): KernelError | undefined {
  try {
    const image = openImage([vmcore]);
    try {
      const cut = image.facts.anomalies.find((anomaly) => anomaly.startsWith('truncated'));
      if (cut !== undefined) return new KernelError('truncated', `${vmcore}: ${cut}`);
      const elf = ElfFile.open(vmlinux);
      try {
        if (image.vmcoreinfo !== undefined) checkBuildId(elf, new Vmcoreinfo(image.vmcoreinfo).buildId);
        if (!elf.section('.debug_info')) {
          return new KernelError('vmlinux-needed', `${vmlinux}: no debug information`);
        }
      } finally {
        elf.close();
      }
    } finally {
      image.close();
    }
  } catch (error) {
    if (error instanceof KernelError) return error;
    throw error;
  }
  return undefined;
}
