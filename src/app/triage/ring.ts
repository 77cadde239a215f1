import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { StoredError } from '../../answers/growth/stored.js';
import { storedRecordedHolders, storedWatchSample } from '../../answers/watch/sample.js';
import { HostError } from '../../base/errors.js';
import { PMSG, type RingCopy, readRing } from '../../base/ring.js';
import { RING } from '../../capture/read/manifest.js';
import type { MachineSample } from '../../contracts/growth.js';
import type { RecordedHolders } from '../../contracts/recorded-holders.js';
import { isRetained, ofBoot, type Recorded, recordedGrowth } from '../../growth/recorded.js';
import type { WatchSample } from '../../growth/watch/answer.js';
import { liveHost } from '../../host/live.js';
import { hostOrigin } from '../../host/proc/machine-sample.js';
import type { TriageAnswer } from '../../triage/answer.js';
import { ranked } from '../../triage/answer.js';
import { type Finding, found } from '../../triage/finding.js';
import { THRESHOLDS } from '../../triage/thresholds.js';
import { dumpTime } from '../../walk/machine/clock.js';
import type { MachineFacts } from '../../walk/machine-facts.js';

/** The ring of kdump-mem-ring.service. */
const OWN_RING = `/${RING}`;
/** A ring beside a dump. */
const BESIDE = 'kdump-mem.ring';
/** Where systemd-pstore moves records of pstore. */
const PSTORE = '/var/lib/systemd/pstore';

/** Seconds before the last sample that are compared. */
const WINDOW = 600;
/** The clocks of the last sample and the crash may differ by that much. */
const APART = 600;

/** Rings beside a dump or a log: as a file, and what pstore kept of one. */
export function ringsBeside(path: string): string[] {
  const ring = join(dirname(path), BESIDE);
  const timeOf = (file: string) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  // systemd-pstore moves all records of a boot at once, and replaces older ones of their name.
  const ofLog = pmsgIn(dirname(path)).filter((file) => Math.abs(timeOf(file) - timeOf(path)) <= 1000 * APART);
  return [...(existsSync(ring) ? [ring] : []), ...ofLog];
}

function pmsgIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => PMSG.test(name))
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

/** Which boot of a ring an answer is about. */
export interface RingMoment {
  readonly bootId?: string | null;
  /** It is not this boot: that of the machine that reads a log of an earlier one. */
  readonly notBootId?: string | null;
  /** Time of the crash; null: unknown. */
  readonly at?: string | null;
  /** Host of the dump: the ring of this machine is used only for its own dumps. Undefined: unknown. */
  readonly host?: string | undefined;
}

/** The crash of a dump. */
export function momentOf(machine: MachineFacts): RingMoment {
  return { at: dumpTime(machine)?.at ?? null, host: machine.uts?.nodename };
}

/** The boot of this machine; null: hidden. */
export function bootId(): string | null {
  return hostOrigin(liveHost, null).bootId;
}

/**
 * Adds what grew before the last sample of a recorder.
 *
 * @param ring as named; otherwise those beside the dump, or those of this machine if they are of this crash
 * @param beside rings beside the dump, or in the capture; of several the first has most
 * @throws {HostError} the named file is not readable, or no ring
 */
export function withRing<A extends TriageAnswer>(
  answer: A,
  ring: string | undefined,
  beside: readonly (string | RingCopy)[],
  moment: RingMoment,
): A {
  const mayBeOwn = moment.host !== undefined || moment.bootId != null;
  const isOwn = ring === undefined && beside.length === 0 && mayBeOwn;
  const own = isOwn ? [...(existsSync(OWN_RING) ? [OWN_RING] : []), ...pmsgIn(PSTORE)] : beside;
  const files = ring === undefined ? own : [ring];
  if (files.length === 0) return answer;
  let read: ReturnType<typeof readRecorded>;
  try {
    read = readRecorded(files);
  } catch (error) {
    if (ring !== undefined || !(error instanceof HostError)) throw error;
    return withWarning(answer, error.message);
  }
  const { damaged, losses, ...all } = read;
  const of = boot(all, moment);
  const last = of?.samples.at(-1)?.look.machine;
  const isOther = isOwn && moment.host !== undefined && last?.host !== moment.host;
  if (!of || !last || isOther) {
    if (ring === undefined) return answer;
    const { notBootId } = moment;
    const isOfNow = notBootId != null && all.samples.some(({ look }) => look.machine.bootId === notBootId);
    const hint = isOfNow ? ' (for this boot, run kdump-mem triage without a log)' : '';
    return withWarning(answer, `${ring}: no samples of that boot in the ten minutes before${hint}`);
  }
  const findings = [...answer.findings, ...growthFindings(of)];
  const more = ranked({ ...answer, findings });
  // The last record is torn if the machine ended while it was written: that costs no more than it.
  const lost = losses
    .filter((loss) => loss.bootId === last.bootId && loss.uptime >= last.uptimeSeconds - WINDOW)
    .reduce((sum, { count }) => sum + count, 0);
  return damaged > 1 || lost > 0
    ? withWarning(more, `${files.map(nameOf).join(', ')}: ${Math.max(damaged, lost)} records are damaged or missing`)
    : more;
}

function withWarning<A extends TriageAnswer>(answer: A, message: string): A {
  return { ...answer, complete: false, warnings: [...answer.warnings, { code: 'unreadable', message }] };
}

const nameOf = (ring: string | RingCopy) => (typeof ring === 'string' ? ring : ring.name);

/** Records that are missing between two of a boot, the second of this time. */
interface Loss {
  readonly bootId: string | null;
  readonly uptime: number;
  readonly count: number;
}

/** @throws {HostError} one of them is not readable, or no ring */
function readRecorded(
  files: readonly (string | RingCopy)[],
): Recorded & { readonly damaged: number; readonly losses: readonly Loss[] } {
  const rings = files.map(readRing);
  const damaged = rings.reduce((sum, ring) => sum + ring.damaged, 0);
  const samples = new Map<string, WatchSample>();
  const holders = new Map<string, RecordedHolders>();
  const losses: Loss[] = [];
  let foreign = 0;
  let before: string | null | undefined;
  // pstore has copies of records, shortened.
  const add = <T>(all: Map<string, T>, key: string, item: T) => all.set(key, all.get(key) ?? item);
  for (const { text, lostBefore: count } of rings.flatMap(({ records }) => records)) {
    // Between two boots, the machine ended before its last records were on the disk.
    const place = (bootId: string | null, uptime: number) => {
      if (count > 0 && bootId === before) losses.push({ bootId, uptime, count });
      before = bootId;
    };
    const held = storedRecordedHolders(text);
    if (held) {
      place(held.bootId, held.uptimeSeconds);
      add(holders, `${held.bootId} ${held.uptimeSeconds} ${held.scans}`, held);
      continue;
    }
    try {
      const sample = storedWatchSample(text);
      if (sample) {
        const { machine } = sample.look;
        place(machine.bootId, machine.uptimeSeconds);
        add(samples, `${machine.bootId} ${machine.uptimeSeconds}`, sample);
      } else foreign++;
    } catch (error) {
      if (!(error instanceof StoredError)) throw error;
      foreign++;
    }
  }
  return { samples: [...samples.values()], holders: [...holders.values()], damaged: damaged + foreign, losses };
}

/** The boot with this id, or whose last sample is nearest to the crash; otherwise the last one. */
function boot(all: Recorded, { bootId, notBootId, at }: RingMoment): Recorded | undefined {
  const last = new Map(all.samples.map((sample) => [sample.look.machine.bootId, sample.look.machine]));
  if (bootId != null) return last.has(bootId) ? ofBoot(all, bootId) : undefined;
  const apart = (machine: MachineSample) => (at ? Math.abs(Date.parse(at) - Date.parse(machine.at)) / 1000 : 0);
  const boots = [...last.values()].filter(
    (machine) => apart(machine) <= APART && (notBootId == null || machine.bootId !== notBootId),
  );
  const [nearest] = at ? boots.toSorted((a, b) => apart(a) - apart(b)) : boots.slice(-1);
  return nearest && ofBoot(all, nearest.bootId);
}

function growthFindings(own: Recorded): Finding[] {
  const totalBytes =
    own.samples.findLast(({ look }) => look.machine.memTotalBytes !== null)?.look.machine.memTotalBytes ?? null;
  const { leastBytes, note, warning } = THRESHOLDS['memory-growth'];
  return recordedGrowth(own, WINDOW).flatMap(({ category, beforeBytes, bytes, seconds, endedSeconds, owner }) => {
    const grownBytes = bytes - beforeBytes;
    if (!isRetained(category) || grownBytes < Math.max(leastBytes, note * (totalBytes ?? 0))) return [];
    const share = totalBytes === null ? null : grownBytes / totalBytes;
    const isProcess = owner !== null && owner.pid !== null;
    const figures = {
      category,
      grownBytes,
      beforeBytes,
      bytes,
      share,
      seconds: Math.round(seconds),
      endedSeconds: Math.round(endedSeconds),
      perMinuteBytes: Math.round((60 * grownBytes) / Math.max(seconds, 1)),
      pid: owner?.pid ?? null,
      comm: isProcess ? owner.name : null,
      cache: isProcess || owner === null ? null : owner.name,
      owner: owner?.name ?? null,
      ownerBytes: owner === null || owner.bound ? null : owner.grownBytes,
      ownerShare: owner?.share ?? null,
      ownerScan: owner?.scan ?? null,
      ...(owner?.bound ? { boundBytes: owner.bytes } : {}),
    };
    // Of a memory whose size is unknown, it may be most.
    return [found('recorded-growth', share === null || share >= warning ? 'warning' : 'note', figures)];
  });
}
