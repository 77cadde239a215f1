import { z } from 'zod';
import type { ResumedLine } from '../../triage/batch/earlier-lines.js';
import type { Found, FoundDump } from '../../triage/batch/search.js';
import type { Shard } from '../../triage/batch/shard.js';
import { type FailOn, isFailing } from '../../triage/fail-on.js';
import {
  type EarlierLine,
  earlierLineSchema,
  type TriageEndJson,
  type TriageLineJson,
  triageEndSchema,
} from './line-schema.js';

/** What the file system says of a dump, as lines have it, and which rules hold. */
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

/** A line of ours; undefined of all else, which is as hostile as any file. */
export function earlierLine(text: string): EarlierLine | undefined {
  return earlierLineSchema.safeParse(jsonOf(text)).data;
}

/** What a line says of itself: `end` of the last one, undefined of what is no line of ours. */
export function parseLine(text: string): ResumedLine | 'end' | undefined {
  const line = jsonOf(text);
  if (endMark.safeParse(line).success) return 'end';
  const told = earlierLineSchema.safeParse(line).data;
  if (told === undefined) return undefined;
  const { dump, size, mtime, rulesFile, ok, complete, findings } = told;
  const found = new Map(findings?.map((one) => [`${one.code} ${one.severity}`, one]));
  return { dump, size, mtime, rulesFile, ok, complete, findings: [...found.values()] };
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
    failing !== null && findings.some((one) => isFailing(failing, one));
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
    unlisted: found.unlisted.map((one) => ({ ...one })),
    shard: shard && { ...shard },
    seconds: Math.round(seconds * 1000) / 1000,
  };
}
