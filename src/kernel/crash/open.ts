import { KernelError } from '../error.js';
import type { Kernel } from '../kernel.js';
import { diagnoseFiles } from './diagnose.js';
import { CrashKernel } from './kernel.js';
import { CrashProcess } from './process.js';
import type { CrashSession } from './session.js';

export interface OpenCrashOptions {
  /** Undefined for the live kernel (/proc/kcore). */
  readonly vmcore?: string | undefined;
  /** Needed for a dump; for the live kernel crash looks in the usual places. */
  readonly vmlinux?: string | undefined;
  /** Path or name of the program; `crash` by default. */
  readonly crash?: string | undefined;
  /** Milliseconds; 600,000 (crash reads all debuginfo before it says a word) and 30,000 by default. */
  readonly startTimeout?: number | undefined;
  readonly requestTimeout?: number | undefined;
  /** Told, while crash starts, how many seconds it has taken. */
  readonly onWait?: ((seconds: number) => void) | undefined;
  /** Put around the session: a recorder, for example. */
  readonly wrap?: ((session: CrashSession) => CrashSession) | undefined;
}

/**
 * Opens a dump, or the live kernel, through crash.
 *
 * @throws {KernelError} with crash's own words where they are the reason.
 */
export function openCrash(options: OpenCrashOptions): Kernel {
  if (options.vmcore !== undefined && options.vmlinux === undefined) {
    throw new KernelError('vmlinux-needed', 'crash needs the vmlinux of the dump’s kernel');
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
    // Debian 12's crash 8.0.2 opens a dump of Debian 12's own kernel and then knows only the tasks
    // that were on a CPU, without an error. Its answer is not believed until it lists pid 1 and
    // kthreadd, which do not run all the time, let alone both at once.
    for (const pid of [1, 2]) {
      const [answer = ''] = session.ask([`ps ${pid}`]);
      if (new RegExp(`^>?\\s*${pid}(\\s+\\d+){2}\\s+[0-9a-f]{16}\\s`, 'm').test(answer)) continue;
      throw new KernelError(
        'crash-too-old',
        `${crash} opens this kernel but does not find pid ${pid} in it, so nothing it says can be believed`,
      );
    }
    return new CrashKernel(session, options.vmcore === undefined ? 'kcore' : 'vmcore');
  } catch (error) {
    session.close();
    throw error;
  }
}

/** What is wrong with the files says more than crash's last words; those stay as the cause. */
function explain(error: unknown, { vmcore, vmlinux }: OpenCrashOptions): unknown {
  if (!(error instanceof KernelError) || error.code !== 'crash-failed') return error;
  if (vmcore === undefined || vmlinux === undefined) return error;
  const reason = diagnoseFiles(vmcore, vmlinux);
  return reason ? new KernelError(reason.code, reason.message, { cause: error }) : error;
}
