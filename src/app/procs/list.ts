import type { ChosenProcs, KilledTogether } from '../../account/processes/groups.js';
import type { FoundProcesses } from '../../account/processes/process.js';
import { type HostErrorCode, isHostError, WalkError } from '../../base/errors.js';
import type { ProcsAnswer } from '../../contracts/procs.js';
import type { HostSource } from '../../host/host-source.js';
import { optionalText } from '../../host/proc/process.js';
import type { ProcessRecords } from '../../records/processes.js';
import type { Warning } from '../../walk/warnings.js';
import { answer, present } from '../kit/answer.js';
import { checkPage } from '../kit/html-page.js';
import { sourceWords } from '../kit/kernel-source.js';
import { openProcessHost, type ProcessHost, readSockets, readsHost, recordsOf } from './host.js';
import { type ProcsOptions, selection } from './options.js';
import { checkThresholds, SORT_WORDS } from './thresholds.js';

/**
 * Lists processes, or totals of groups.
 *
 * @param more warnings of the host
 */
export async function listProcesses(options: ProcsOptions, more: readonly Warning[] = []): Promise<void> {
  const [{ chosen, withCgroups }, { procsBlocks }] = await Promise.all([
    import('../../account/processes/groups.js'),
    import('../../answers/procs/document.js'),
  ]);
  checkPage(options);
  const { sort, by, limit = 20, verbose } = options;
  const page = options.html === undefined ? undefined : await import('./page.js');
  const nameOf = options.live ? await userNames() : String;
  let picked: ChosenProcs | undefined;
  const choose = (processes: FoundProcesses, killedTogether?: KilledTogether): ProcsAnswer => {
    const select = selection(options);
    picked = chosen(processes, { sort: SORT_WORDS[sort], by, select }, nameOf, killedTogether);
    if (picked.answer.processes.length === 0) refuseNone(options);
    return picked.answer;
  };
  let release: string | null = null;
  const choice = { limit, verbose, by, source: sourceWords(options) };
  const words = {
    toBlocks: () => (picked ? procsBlocks(picked, choice) : []),
    toPage: () => picked && page?.procsPage(picked, release, options),
  };
  if (readsHost(options)) {
    const host = await openProcessHost(options);
    release = optionalText(host.source, '/proc/sys/kernel/osrelease').trim() || null;
    const answer = choose(await ofHost({ ...host, warnings: [...host.warnings, ...more] }, options));
    if (picked && by === 'cgroup') {
      const { readCgroupMemory } = await import('../../host/proc/machine-sample.js');
      picked = withCgroups(picked, (path) => readCgroupMemory(host.source, path));
    }
    present(picked?.answer ?? answer, options, words);
  } else {
    const [{ surveyProcesses }, { kernelOrigin }] = await Promise.all([
      import('../../account/processes/kernel.js'),
      import('../../walk/machine/origin.js'),
    ]);
    await answer(options, {
      doing: 'reading processes',
      ask: (kernel, progress) => {
        const { answer: processes, killedTogether } = surveyProcesses(kernel, progress, options);
        return choose({ ...processes, origin: kernelOrigin(kernel) }, killedTogether);
      },
      ...words,
    });
  }
  if (picked) fail(picked, options);
}

/** Prints which limits of --fail-on are exceeded, and sets the exit status. */
function fail(picked: ChosenProcs, { failOn }: ProcsOptions): void {
  if (!failOn) return;
  const { status, lines } = checkThresholds(picked, failOn);
  for (const line of lines) process.stderr.write(`kdump-mem: ${line}\n`);
  if (status !== undefined) process.exitCode = status;
}

/**
 * Returns all processes of a host.
 *
 * @throws {HostError}; `unreadable`: a capture contains none
 */
async function ofHost(host: ProcessHost, options: ProcsOptions): Promise<FoundProcesses> {
  const { source, captured, warnings, psText } = host;
  const [{ hostOrigin }, { hostProcesses }, { kilobytesOf, knownPageSize }, { chargedSocketPages }] = await Promise.all(
    [
      import('../../host/proc/machine-sample.js'),
      import('../../account/processes/host.js'),
      import('../../host/proc/memory.js'),
      import('../../host/proc/net-tables.js'),
    ],
  );
  const origin = hostOrigin(source, captured ? captured.takenAt : new Date().toISOString());
  const meminfo = `\n${optionalText(source, '/proc/meminfo')}`;
  const [charged, pageSize] = options.sockets ? [null] : [chargedSocketPages(source), knownPageSize(source)];
  const totalBytes = kilobytesOf(meminfo, 'MemTotal');
  const chargedBytes = charged == null || pageSize === undefined ? null : charged * pageSize;
  const machine = {
    totalBytes,
    availableBytes: kilobytesOf(meminfo, 'MemAvailable'),
    // More than there is would be no figure.
    ...(chargedBytes === null || chargedBytes > (totalBytes ?? 0) ? {} : { chargedSocketBytes: chargedBytes }),
  };
  const records = await recordsOf(host, options.from ?? '', { withoutOom: !showsOom(options), pss: options.pss });
  // A text has the processes that were copied into it.
  const isPasted = 'kind' in source && source.kind === 'pasted';
  const sockets = options.sockets && (await readSockets(source, captured !== undefined));
  const byPs = psText === undefined ? {} : { why: 'a sosreport contains RSS only' };
  const lacks = captured && psText === undefined ? whyNotShown(source, records) : {};
  return {
    ...hostProcesses(isPasted ? { ...records, hidden: false } : records, sockets, {
      captured: captured ?? null,
      warnings,
      ...byPs,
      ...lacks,
    }),
    origin,
    machine,
  };
}

/** @throws {WalkError} `no-such-pid`: no process matches */
function refuseNone({ container, pid }: ProcsOptions): void {
  if (container !== undefined) throw new WalkError('no-such-pid', 'no process with memory matches --container');
  if (pid !== undefined) throw new WalkError('no-such-pid', `no pid ${pid} with memory of its own`);
}

function showsOom({ json, verbose, sort }: ProcsOptions): boolean {
  return json === true || verbose === true || sort === 'oom';
}

/** Returns user names by /etc/passwd; other users are shown by uid. */
async function userNames(): Promise<(uid: number) => string> {
  const { readFileSync } = await import('node:fs');
  const names = new Map<number, string>();
  try {
    for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
      const [name = '', , uid = ''] = line.split(':');
      if (/^\d{1,10}$/.test(uid) && !names.has(Number(uid))) names.set(Number(uid), name);
    }
  } catch {
    // Without names, uids are shown.
  }
  return (uid) => names.get(uid) ?? String(uid);
}

/** Reasons why a capture lacks smaps_rollup of a process. */
const NOT_CAPTURED: Readonly<Partial<Record<HostErrorCode, string>>> = {
  gone: 'the processes had exited',
  denied: 'permission denied',
  unreadable: 'the capture timed out, or the kernel did not answer (see kdump-mem snapshot --timeout)',
};

/** A folder or archive that is no snapshot has what was copied into it, and records no reasons. */
const NOT_COPIED = 'the input has no smaps_rollup of them';

function whyNotShown(source: HostSource, { processes }: ProcessRecords): { whyMemory?: string } {
  const whys = new Set<string>();
  const isCopy = 'kind' in source && source.kind !== 'capture';
  for (const { pid, sums, isLarge } of processes) {
    if (sums !== null || isLarge) continue;
    try {
      source.readText(`/proc/${pid}/smaps_rollup`);
    } catch (error) {
      if (!isHostError(error)) throw error;
      whys.add(isCopy && error.code === 'gone' ? NOT_COPIED : (NOT_CAPTURED[error.code] ?? error.message));
    }
  }
  return whys.size === 0 ? {} : { whyMemory: [...whys].join(', or ') };
}
