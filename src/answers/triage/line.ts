import { UNOWNED } from '../../account/owners.js';
import type { SymbolFile } from '../../kernel/symbol-file.js';
import { placeOf } from '../../records/cgroup-place.js';
import { type Fingerprint, fingerprint } from '../../triage/fingerprint.js';
import { releaseOf, type TextTriage } from '../../triage/text.js';
import { topOwner } from '../../triage/top-owner.js';
import type { TriageAnswer } from '../../triage/triage.js';
import { dumpTime, type NotedFacts } from '../info/answer.js';
import { textLogJson } from '../log/json.js';
import { findingJson, rulesJson, triageJson } from './json.js';
import type { SummaryJson, TriageLineJson } from './line-schema.js';

/** Maximum number of categories and cgroups. */
const MOST_CATEGORIES = 8;
const MOST_CGROUPS = 32;

/** A line without the facts of the file system. */
export function summaryJson(
  answer: TriageAnswer,
  noted: NotedFacts,
  files: readonly SymbolFile[] = [],
): SummaryJson {
  const found = triageJson(answer);
  const { nodename, uptimeSeconds, panic, findings, memory, rules, complete, warnings } = found;
  const { kernel, machine } = answer;
  const time = dumpTime(noted, machine.clock);
  const owner = topOwner(answer);
  const print = fingerprint(answer, owner);
  return {
    ...unreadableJson(noted),
    ok: true,
    error: null,
    release: kernel.release || null,
    time: time ? { at: new Date(time.at).toISOString(), from: time.from } : null,
    nodename,
    uptimeSeconds,
    panic,
    findings,
    overwritten: found.overwritten,
    noRoom: found.noRoom,
    memory: memory && { ...memory, categories: memory.categories.slice(0, MOST_CATEGORIES) },
    topOwner: owner ? { ...owner, pid: owner.pid ?? null } : null,
    cgroups: cgroupsJson(answer),
    fingerprint: fingerprintJson(print),
    symbolFiles: files.map((file) => ({ ...file })),
    ...(rules ? { rules } : {}),
    complete,
    warnings: [...warnings, ...files.flatMap(byReleaseAlone)],
  };
}

function fingerprintJson(print: Fingerprint | undefined): SummaryJson['fingerprint'] {
  return print ? { ...print, functions: [...print.functions], owner: print.owner ?? null } : null;
}

/** Another build of the same release has other addresses and maybe other structs. */
function byReleaseAlone({ path, by }: SymbolFile): SummaryJson['warnings'] {
  if (by !== 'release') return [];
  const message = `${path} was chosen by its release: it may be from another build`;
  return [{ code: 'by-release', message }];
}

/** Of a dump that could not be looked at, with what its headers say all the same. */
export function failedJson(
  error: NonNullable<SummaryJson['error']>,
  noted: NotedFacts = {},
): SummaryJson {
  return { ...unreadableJson(noted), error };
}

/** Of logs that are text. */
export function textSummaryJson(answer: TextTriage): SummaryJson {
  const { logs, findings, complete, warnings, rules } = answer;
  const release = releaseOf(logs);
  const message = findings.find(({ severity, title }) => severity === 'critical' && title)?.title;
  const panic = { state: 'unknown', logRead: true, ...(message ? { message } : {}) } as const;
  const print = fingerprint({ findings, machine: { panic } }, undefined);
  return {
    ...unreadableJson(release === undefined ? {} : { release }),
    ok: true,
    findings: findings.map(findingJson),
    fingerprint: fingerprintJson(print),
    logs: logs.map(textLogJson),
    ...(rules ? { rules: rulesJson(rules) } : {}),
    complete,
    warnings: [...warnings],
  };
}

function unreadableJson(noted: NotedFacts): SummaryJson {
  const { release, buildId, crashTime } = noted;
  const crash = dumpTime({ crashTime });
  const at = crash ? new Date(crash.at).toISOString() : null;
  return {
    key: buildId !== undefined && at !== null ? `${buildId}-${crashTime}` : null,
    ok: false,
    error: null,
    release: release ?? null,
    buildId: buildId ?? null,
    crashTime: at,
    time: at === null ? null : { at, from: 'crash' },
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

/** What the file system says of a dump, and which rules hold. */
type Filed = Pick<TriageLineJson, 'dump' | 'parts' | 'size' | 'mtime' | 'rulesFile'>;

export function lineJson(filed: Filed, told: SummaryJson, seconds: number): TriageLineJson {
  const { dump, parts, size, mtime, rulesFile } = filed;
  return {
    schema: 'kdump-mem.triage-line/1',
    dump,
    parts,
    size,
    mtime,
    rulesFile,
    ...told,
    seconds: Math.round(seconds * 1000) / 1000,
  };
}

function cgroupsJson({ census }: TriageAnswer): SummaryJson['cgroups'] {
  if (census?.groups === undefined) return null;
  const nobody = new Set<string>(Object.values(UNOWNED));
  return census.groups
    .filter(({ key, total }) => !nobody.has(key) && total.pinnedBytes > 0)
    .slice(0, MOST_CGROUPS)
    .map(({ key, sockets, total }) => {
      const { pod, container } = placeOf(key);
      return { cgroup: key, pod, container, sockets, pinnedBytes: total.pinnedBytes };
    });
}
