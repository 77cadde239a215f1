import { UNKNOWN_HELD } from '../../src/account/processes/process.js';
import type { MachineSample, ProcessSample } from '../../src/contracts/growth.js';
import type { ProcessesAtTime } from '../../src/growth/processes.js';

const MIB = 2 ** 20;

/** A process that holds this many MiB. */
export function held(
  pid: number,
  mib: number | null,
  { heldBy = 'pss', ...more }: Partial<ProcessSample> = {},
): ProcessSample {
  const bytes = mib === null ? null : Math.round(mib * MIB);
  return {
    pid,
    comm: 'worker',
    nsPids: [pid],
    cgroup: null,
    pod: null,
    container: null,
    startTicks: 100 + pid,
    uptimeSeconds: null,
    ...(bytes === null ? UNKNOWN_HELD : { heldBytes: bytes, takenBytes: bytes, heldBy }),
    minorFaults: 0,
    majorFaults: 0,
    cgroupPressure: null,
    ...more,
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
      at: new Date(1e12 + 1000 * uptime).toISOString(),
      host: 'made-up',
      bootId: 'first',
      uptimeSeconds: uptime,
      memTotalBytes: 1024 * MIB,
      memAvailableBytes: 512 * MIB,
      swapTotalBytes: 0,
      swapFreeBytes: 0,
      pressure: null,
      noPressure: 'none here',
      noPressureCode: 'gone',
      ...machine,
    },
    processes,
    whole,
  };
}
