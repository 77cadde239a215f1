import { z } from 'zod';
import { UNOWNED } from '../../account/owners.js';
import {
  type EarlierLine,
  earlierLineSchema,
  type SummaryJson,
  type TriageEndJson,
  type TriageLineJson,
  triageEndSchema,
} from '../../contracts/triage-line.js';
import type { NotedFacts } from '../../kernel/identity.js';
import type { SymbolFile } from '../../kernel/layout.js';
import { placeOf } from '../../records/cgroups.js';
import { type KernelTriage, releaseOf, type TextTriage } from '../../triage/answer.js';
import type { ResumedLine } from '../../triage/batch/earlier-lines.js';
import type { Found, FoundDump } from '../../triage/batch/search.js';
import type { Shard } from '../../triage/batch/shard.js';
import { type FailOn, isFailing } from '../../triage/finding.js';
import { fingerprint } from '../../triage/fingerprint.js';
import { topOwner } from '../../triage/top-owner.js';
import { textLogJson } from '../log/render.js';
import { findingJson, timesJson, triageJson } from './json.js';

/** Maximum number of categories and cgroups. */
const MAX_CATEGORIES = 8;
const MAX_CGROUPS = 32;

/** A line without the facts of the file system. */
export function summaryJson(answer: KernelTriage, noted: NotedFacts, files: readonly SymbolFile[] = []): SummaryJson {
  const json = triageJson(answer);
  const { time, nodename, uptimeSeconds, panic, findings, memory, rules, complete, warnings } = json;
  const { kernel } = answer;
  const owner = topOwner(answer);
  return {
    ...unreadableJson(noted),
    ok: true,
    error: null,
    release: kernel.release || null,
    time,
    nodename,
    uptimeSeconds,
    panic,
    findings,
    overwritten: json.overwritten,
    noRoom: json.noRoom,
    memory: memory && { ...memory, categories: memory.categories.slice(0, MAX_CATEGORIES) },
    topOwner: owner ? { ...owner, pid: owner.pid ?? null } : null,
    cgroups: cgroupsJson(answer),
    fingerprint: fingerprint(answer, owner),
    symbolFiles: files,
    ...(rules ? { rules } : {}),
    complete,
    warnings: [...warnings, ...files.flatMap(byReleaseAlone)],
  };
}

/** Another build of the same release has other addresses and maybe other structs. */
function byReleaseAlone({ path, by }: SymbolFile): SummaryJson['warnings'] {
  if (by !== 'release') return [];
  const message = `${path} was chosen by its release: it may be from another build`;
  return [{ code: 'by-release', message }];
}

/** Line of an unreadable dump, with the facts of its headers. */
export function failedJson(error: NonNullable<SummaryJson['error']>, noted: NotedFacts = {}): SummaryJson {
  return { ...unreadableJson(noted), error };
}

/** Summary of text logs. */
export function textSummaryJson(answer: TextTriage): SummaryJson {
  const { logs, findings, complete, warnings, rules } = answer;
  const release = releaseOf(logs);
  const message = findings.find(({ severity, title }) => severity === 'critical' && title)?.title;
  const panic = { state: 'unknown', logRead: true, ...(message ? { message } : {}) } as const;
  return {
    ...unreadableJson(release === undefined ? {} : { release }),
    ok: true,
    findings: findings.map(findingJson),
    fingerprint: fingerprint({ findings, machine: { panic } }, undefined),
    logs: logs.map(textLogJson),
    ...(rules ? { rules } : {}),
    complete,
    warnings,
  };
}

function unreadableJson(noted: NotedFacts): SummaryJson {
  const { release, buildId, crashTime } = noted;
  const times = timesJson({ crashTime });
  return {
    key: buildId !== undefined && times.crashTime !== null ? `${buildId}-${crashTime}` : null,
    ok: false,
    error: null,
    release: release ?? null,
    buildId: buildId ?? null,
    ...times,
    nodename: null,
    uptimeSeconds: null,
    panic: null,
    findings: null,
    overwritten: null,
    noRoom: null,
    memory: null,
    topOwner: null,
    cgroups: null,
    fingerprint: null,
    symbolFiles: [],
    complete: false,
    warnings: [],
  };
}

/** File system facts of a dump, and the rules in force. */
type Filed = Pick<TriageLineJson, 'dump' | 'parts' | 'size' | 'mtime' | 'rulesFile'>;

export function lineJson(filed: Filed, summary: SummaryJson, seconds: number): TriageLineJson {
  const { dump, parts, size, mtime, rulesFile } = filed;
  return {
    schema: 'kdump-mem.triage-line/1',
    dump,
    parts,
    size,
    mtime,
    rulesFile,
    ...summary,
    seconds: Math.round(seconds * 1000) / 1000,
  };
}

function cgroupsJson({ census }: KernelTriage): SummaryJson['cgroups'] {
  if (census?.groups === undefined) return null;
  const nobody = new Set<string>(Object.values(UNOWNED));
  return census.groups
    .filter(({ key, total }) => !nobody.has(key) && total.pinnedBytes > 0)
    .slice(0, MAX_CGROUPS)
    .map(({ key, sockets, total }) => {
      const { pod, container } = placeOf(key);
      return { cgroup: key, pod, container, sockets, pinnedBytes: total.pinnedBytes };
    });
}

/** File system facts of a dump for its line, and the rules in force. */
export function filed(
  { dump, files, size, mtime }: FoundDump,
  rulesFile: string | null,
): Pick<TriageLineJson, 'dump' | 'parts' | 'size' | 'mtime' | 'rulesFile'> {
  return { dump, parts: files.length, size, mtime: timeJson(mtime), rulesFile };
}

/** Any number of seconds can be set as the time of a file. */
function timeJson(milliseconds: number | undefined): string | null {
  const date = new Date(milliseconds ?? Number.NaN);
  const year = date.getUTCFullYear();
  return year >= 0 && year <= 9999 ? date.toISOString() : null;
}

/** Parses one of our lines; undefined for any other text, which is untrusted. */
export function earlierLine(text: string): EarlierLine | undefined {
  return earlierLineSchema.safeParse(jsonOf(text)).data;
}

/** Fields of a line: `end` for the last one, undefined for any other text. */
export function parseLine(text: string): ResumedLine | 'end' | undefined {
  const line = jsonOf(text);
  if (endMark.safeParse(line).success) return 'end';
  const parsed = earlierLineSchema.safeParse(line).data;
  if (parsed === undefined) return undefined;
  const { dump, size, mtime, rulesFile, ok, complete, findings } = parsed;
  const known = new Map(findings?.map((finding) => [`${finding.code} ${finding.severity}`, finding]));
  return { dump, size, mtime, rulesFile, ok, complete, findings: [...known.values()] };
}

const endMark = z.object({ schema: triageEndSchema.shape.schema });

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

interface Whole {
  readonly found: Found;
  readonly failing: FailOn | null;
  readonly seconds: number;
  readonly shard: Shard | null;
  readonly resumed: number;
  readonly kept: number;
  readonly otherShards: number;
}

/** The last line. */
export function endJson(lines: readonly ResumedLine[], whole: Whole): TriageEndJson {
  const { found, failing, seconds, shard, resumed, kept, otherShards } = whole;
  const read = lines.filter(({ ok }) => ok);
  const isSevere = ({ findings }: ResumedLine) =>
    failing !== null && findings.some((finding) => isFailing(failing, finding));
  return {
    schema: 'kdump-mem.triage-end/1',
    dumps: lines.length,
    read: read.length,
    failed: lines.length - read.length,
    incomplete: read.filter(({ complete }) => !complete).length,
    severe: failing && lines.filter(isSevere).length,
    resumed,
    kept,
    otherShards,
    skipped: { files: found.otherFiles, links: found.links, special: found.special },
    unlisted: found.unlisted,
    shard,
    seconds: Math.round(seconds * 1000) / 1000,
  };
}
