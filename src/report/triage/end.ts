import type { Found, FoundDump } from '../../many/search.js';
import type { Shard } from '../../many/shard.js';
import type { ToldLine } from '../../many/told-lines.js';
import { type FailOn, isFailing } from '../../triage/fail-on.js';
import type { TriageEndJson, TriageLineJson } from './line-schema.js';

/** What the file system says of a dump, as lines have it. */
export function filed({
  dump,
  files,
  size,
  mtime,
}: FoundDump): Pick<TriageLineJson, 'dump' | 'parts' | 'size' | 'mtime'> {
  return { dump, parts: files.length, size, mtime: new Date(mtime).toISOString() };
}

/** What a line says of itself: `end` of the last one, undefined of what is no line of ours. */
export function parseLine(text: string): ToldLine | 'end' | undefined {
  let line: Partial<TriageLineJson> | Partial<TriageEndJson> | null;
  try {
    line = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof line !== 'object' || line === null) return undefined;
  if (line.schema === 'kdump-mem.triage-end/1') return 'end';
  if (line.schema !== 'kdump-mem.triage-line/1') return undefined;
  const { dump, size, mtime, ok, complete, findings } = line;
  if (typeof dump !== 'string' || typeof size !== 'number' || typeof mtime !== 'string')
    return undefined;
  if (typeof ok !== 'boolean' || typeof complete !== 'boolean') return undefined;
  const found = new Map(
    findings?.map(({ code, severity }) => [`${code} ${severity}`, { code, severity }]),
  );
  return { dump, size, mtime, ok, complete, findings: [...found.values()] };
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
export function endJson(lines: readonly ToldLine[], whole: Whole): TriageEndJson {
  const { found, failing, seconds, shard, resumed, kept, otherShards } = whole;
  const told = lines.filter(({ ok }) => ok);
  const isSevere = ({ findings }: ToldLine) =>
    failing !== null && findings.some((one) => isFailing(failing, one));
  return {
    schema: 'kdump-mem.triage-end/1',
    dumps: lines.length,
    told: told.length,
    failed: lines.length - told.length,
    incomplete: told.filter(({ complete }) => !complete).length,
    severe: failing && lines.filter(isSevere).length,
    ...{ resumed, kept, otherShards },
    skipped: { files: found.otherFiles, links: found.links, special: found.special },
    unlisted: found.unlisted.map((one) => ({ ...one })),
    shard: shard && { ...shard },
    seconds: Math.round(seconds * 1000) / 1000,
  };
}
