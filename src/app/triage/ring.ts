import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { StoredError } from '../../answers/growth/stored.js';
import { dumpTime } from '../../answers/info/answer.js';
import { storedRecordedHolders, storedWatchSample } from '../../answers/watch/sample.js';
import { HostError } from '../../base/errors.js';
import { type RingCopy, readRing } from '../../base/ring.js';
import { RING } from '../../capture/read/manifest.js';
import { ofBoot, type Recorded, type RecordedHolders, recordedGrowth } from '../../growth/recorded.js';
import type { WatchSample } from '../../growth/watch/answer.js';
import { liveHost } from '../../host/live.js';
import { hostOrigin } from '../../host/proc/machine-sample.js';
import type { TriageAnswer } from '../../triage/answer.js';
import { ranked } from '../../triage/answer.js';
import { type Finding, found } from '../../triage/finding.js';
import { THRESHOLDS } from '../../triage/thresholds.js';
import type { MachineFacts } from '../../walk/machine-facts.js';

/** The ring of kdump-mem-ring.service. */
const OWN_RING = `/${RING}`;
/** A ring beside a dump. */
const BESIDE = 'kdump-mem.ring';

/** Seconds before the last sample that are compared. */
const WINDOW = 600;
/** The clocks of the last sample and the crash may differ by that much. */
const APART = 600;

/** The ring beside a dump. */
export function ringBeside(vmcore: string): string {
  return join(dirname(vmcore), BESIDE);
}

/** Which boot of a ring an answer is about. */
export interface RingMoment {
  readonly bootId?: string | null;
  /** It is not this boot: that of the machine that reads a log of an earlier one. */
  readonly notBootId?: string | null;
  /** Time of the crash; null: unknown. */
  readonly at?: Date | null;
  /** Host of the dump: the ring of this machine is used only for its own dumps. Undefined: unknown. */
  readonly host?: string | undefined;
}

/** The crash of a dump. */
export function momentOf(machine: MachineFacts): RingMoment {
  const time = dumpTime(machine, machine.clock);
  return { at: time ? new Date(time.at) : null, host: machine.uts?.nodename };
}

/** The boot of this machine; null: hidden. */
export function bootId(): string | null {
  return hostOrigin(liveHost, null).bootId;
}

/**
 * Adds what grew before the last sample of a recorder.
 *
 * @param ring as named; otherwise the ring beside the dump, or that of this machine if it is of this crash
 * @param beside the ring beside the dump, or in the capture
 * @throws {HostError} the named file is not readable, or no ring
 */
export function withRing<A extends TriageAnswer>(
  answer: A,
  ring: string | undefined,
  beside: string | RingCopy | undefined,
  moment: RingMoment,
): A {
  const isOwn = moment.host !== undefined || moment.bootId != null;
  const exists = (one: string | RingCopy | undefined) =>
    one !== undefined && (typeof one !== 'string' || existsSync(one));
  const named = ring ?? [beside, ...(isOwn ? [OWN_RING] : [])].find(exists);
  if (named === undefined) return answer;
  let read: ReturnType<typeof readRecorded>;
  try {
    read = readRecorded(named);
  } catch (error) {
    if (ring !== undefined || !(error instanceof HostError)) throw error;
    return withWarning(answer, error.message);
  }
  const { damaged, ...all } = read;
  const own = boot(all, moment);
  const last = own?.samples.at(-1)?.look.machine;
  const isOther = named === OWN_RING && moment.host !== undefined && last?.host !== moment.host;
  if (!own || !last || isOther)
    return ring === undefined
      ? answer
      : withWarning(answer, `${ring}: no samples of that boot in the ten minutes before`);
  const findings = [...answer.findings, ...growthFindings(own, last.total ?? 0)];
  const more = ranked({ ...answer, findings });
  // The last record is torn if the machine ended while it was written: that costs no more than it.
  return damaged > 1
    ? withWarning(
        more,
        `${typeof named === 'string' ? named : named.name}: ${damaged} records are damaged, and left out`,
      )
    : more;
}

function withWarning<A extends TriageAnswer>(answer: A, message: string): A {
  return { ...answer, complete: false, warnings: [...answer.warnings, { code: 'unreadable', message }] };
}

function readRecorded(file: string | RingCopy): Recorded & { readonly damaged: number } {
  const { records, damaged } = readRing(file);
  const samples: WatchSample[] = [];
  const holders: RecordedHolders[] = [];
  let foreign = 0;
  for (const { text } of records) {
    const held = storedRecordedHolders(text);
    if (held) {
      holders.push(held);
      continue;
    }
    try {
      const sample = storedWatchSample(text);
      if (sample) samples.push(sample);
      else foreign++;
    } catch (error) {
      if (!(error instanceof StoredError)) throw error;
      foreign++;
    }
  }
  return { samples, holders, damaged: damaged + foreign };
}

/** The boot with this id, or whose last sample is nearest to the crash; otherwise the last one. */
function boot(all: Recorded, { bootId, notBootId, at }: RingMoment): Recorded | undefined {
  const last = new Map(all.samples.map((sample) => [sample.look.machine.bootId, sample.look.machine]));
  if (bootId != null) return last.has(bootId) ? ofBoot(all, bootId) : undefined;
  const apart = (time: Date) => (at ? Math.abs(at.getTime() - time.getTime()) / 1000 : 0);
  const boots = [...last.values()].filter(
    (machine) => apart(machine.at) <= APART && (notBootId == null || machine.bootId !== notBootId),
  );
  const [nearest] = at ? boots.toSorted((a, b) => apart(a.at) - apart(b.at)) : boots.slice(-1);
  return nearest && ofBoot(all, nearest.bootId);
}

/** The kernel reclaims these itself. */
const RECLAIMED = new Set(['page-cache', 'slab-reclaimable', 'swap-cache']);

function growthFindings(own: Recorded, totalBytes: number): Finding[] {
  const { leastBytes, note, warning } = THRESHOLDS['memory-growth'];
  return recordedGrowth(own, WINDOW).flatMap(({ category, beforeBytes, bytes, seconds, endedSeconds, owner }) => {
    const grownBytes = bytes - beforeBytes;
    const isFree = category.startsWith('free-');
    if (isFree || RECLAIMED.has(category) || grownBytes < Math.max(leastBytes, note * totalBytes)) return [];
    const share = totalBytes === 0 ? 0 : grownBytes / totalBytes;
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
      ownerBytes: owner === null || owner.isBound ? null : owner.grownBytes,
      ...(owner?.isBound ? { boundBytes: owner.bytes } : {}),
    };
    return [found('recorded-growth', share >= warning ? 'warning' : 'note', figures)];
  });
}
