import type { KernelFacts } from '../../kernel/kernel.js';
import type { CaptureOrigin } from '../../records/capture-origin.js';
import type { Origin } from '../../records/sample-origin.js';
import type { Warning } from '../../walk/warnings.js';
import type { MachinePages } from './machine-pages.js';
import type { ProcessFigures } from './process.js';

/** The answer to `procs`: what each process really holds. */
export interface ProcsAnswer {
  /** Undefined: /proc told it, and no kernel's memory was read. */
  readonly kernel: KernelFacts | undefined;
  /** Of a host that was captured; undefined: it is this machine, or a dump. */
  readonly captured?: CaptureOrigin;
  /** When, and of which boot; undefined: nobody asked. */
  readonly origin?: Origin | undefined;
  readonly processes: readonly ProcessFigures[];
  readonly kernelThreads: number;
  /** They have ended, and have no memory. */
  readonly zombies: number;
  /** They ended while others were looked at. */
  readonly gone: number;
  /** There are others that we may not see, nobody knows how many. */
  readonly hidden?: boolean;
  /** Processes of which some figure may not be seen. */
  readonly notShown: number;
  /** Of a dump whose processes could all be read: what they map, and what nobody does. */
  readonly pages?: MachinePages | undefined;
  readonly warnings: readonly Warning[];
  readonly complete: boolean;
}
