import type { Held, ProcessSample } from '../../src/account/processes/process.js';
import type { ProcessesAtTime } from '../../src/growth/processes.js';
import type { MachineSample } from '../../src/records/machine-sample.js';

const MIB = 2 ** 20;

/** A process that holds this many MiB. */
export function held(
  pid: number,
  mib: number | null,
  more: Partial<ProcessSample> & { readonly by?: Held['by']; readonly comm?: string } = {},
): ProcessSample {
  const { by = 'pss', comm = 'worker', ...rest } = more;
  const bytes = mib === null ? null : Math.round(mib * MIB);
  return {
    who: { pid, comm, nsPids: [pid], cgroup: null, pod: null, container: null },
    held: bytes === null ? null : { bytes, taken: bytes, by },
    started: 100 + pid,
    readAt: null,
    minorFaults: 0,
    majorFaults: 0,
    pressure: null,
    ...rest,
  };
}

/** A machine this many seconds after its boot. */
export function look(
  uptime: number,
  processes: readonly ProcessSample[],
  machine: Partial<MachineSample> = {},
  whole = true,
): ProcessesAtTime {
  return {
    machine: {
      at: new Date(1e12 + 1000 * uptime),
      uptime,
      bootId: 'first',
      host: 'made-up',
      total: 1024 * MIB,
      available: 512 * MIB,
      swapTotal: 0,
      swapFree: 0,
      pressure: null,
      noPressure: 'none here',
      noPressureCode: 'gone',
      ...machine,
    },
    processes,
    whole,
  };
}
