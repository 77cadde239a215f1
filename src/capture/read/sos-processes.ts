import type { ProcessMemoryRecord, ProcessRecords } from '../../records/processes.js';
import { linesOf } from './lines.js';

/** So many processes are taken. */
const MOST_PROCESSES = 300_000;

/** Of `ps aux`: user, pid, %CPU, %MEM, VSZ and RSS in KiB, terminal, state, begin, time, command. */
const ROW =
  /^\S{1,64} +(\d{1,10}) +\d[\d.]* +\d[\d.]* +(\d{1,15}) +(\d{1,15}) +\S+ +([A-Zt-])\S* +\S+ +\S+ (.*)$/;

/** All that is known of a process by its row is its resident size. */
const UNKNOWN = {
  uid: null,
  nsPids: [],
  cgroup: null,
  threads: null,
  ageSeconds: null,
  oomScore: null,
  oomScoreAdj: null,
  sums: null,
  started: null,
  readAt: null,
  minorFaults: null,
  majorFaults: null,
} as const;

const RSS_ALONE = {
  anonymous: null,
  file: null,
  shmem: null,
  swap: null,
  pageTables: null,
  locked: null,
  hugetlb: null,
} as const;

/** The processes of a sosreport, by what `ps aux` printed. Rows of threads (`m`) have no pid. */
export function processesOfPs(text: string): ProcessRecords {
  const processes: ProcessMemoryRecord[] = [];
  let [kernelThreads, zombies] = [0, 0];
  const seen = new Set<number>();
  for (const line of linesOf(text)) {
    const [, digits, size, resident, state, command = ''] = ROW.exec(line) ?? [];
    const pid = Number(digits);
    if (digits === undefined || seen.has(pid) || seen.size === MOST_PROCESSES) continue;
    seen.add(pid);
    // With `m` a process has no state, its threads have.
    if (state === 'Z' || (size === '0' && command.endsWith('<defunct>'))) zombies++;
    else if (size === '0' && command.startsWith('[')) kernelThreads++;
    else
      processes.push({
        ...UNKNOWN,
        pid,
        comm: nameOf(command),
        status: { ...RSS_ALONE, rss: Number(resident) * 1024 },
      });
  }
  return { processes, kernelThreads, zombies, gone: 0, hidden: !seen.has(1) };
}

/** The file name of a program, as its comm would have it; hostile. */
function nameOf(command: string): string {
  const [program = ''] = command.split(' ');
  return program.slice(program.lastIndexOf('/') + 1).slice(0, 15) || program.slice(0, 15);
}
