import { escapeText } from '../base/escape.js';
import { count, formatCount, formatSize, inflect } from '../base/size.js';
import { lackedBy } from '../capture/read/pasted.js';
import type { Captured, Origin } from '../contracts/common.js';
import { CGROUP_FIGURES, type Pasted, type PastedPart } from '../records/pasted.js';
import type { Shortage } from '../triage/thresholds.js';

/** Returns `captured on HOST at TIME`, with a time such as 2026-01-02 03:04:05 UTC. */
export function captureWords({ host, takenAt }: Captured): string {
  const on = host === null ? '' : ` on ${escapeText(host)}`;
  const at = takenAt === null ? 'an unknown time' : `${takenAt.slice(0, 19).replace('T', ' ')} UTC`;
  return `captured${on} at ${at}`;
}

/** Memory that is not short now may have been: OOM kills since boot; empty: none, or unknown. */
export function killWords(origin: Origin | null): string {
  const kills = origin?.oomKills ?? 0;
  return kills === 0
    ? ''
    : `Earlier: ${formatCount(kills)} OOM ${inflect(kills, 'kill', 'kills')} since boot (triage shows those that the log still has).`;
}

/** Says whether memory is short; of a dump or a capture, nothing is true now. */
export function shortageWords(shortage: Exclude<Shortage, null>, file?: 'dump' | 'capture'): string {
  return `${file === undefined ? 'Memory' : `In this ${file}, memory`} is ${shortage}`;
}

/** Most outputs that are named. */
const MAX_PARTS = 12;

const FIGURE_WORDS: Readonly<Record<(typeof CGROUP_FIGURES)[number], string>> = {
  limitBytes: 'limit',
  anonBytes: 'anonymous',
  fileBytes: 'page cache',
  shmemBytes: 'shared memory in it',
  slabReclaimableBytes: 'reclaimable slab',
  slabUnreclaimableBytes: 'unreclaimable slab',
  kernelStackBytes: 'kernel stacks',
  pageTableBytes: 'page tables',
  percpuBytes: 'per-CPU memory',
  socketBytes: 'sockets',
};

/** Memory of a cgroup, without what it has none of. */
function figureWords({ figures }: PastedPart): string[] {
  return CGROUP_FIGURES.flatMap((figure) => {
    const bytes = figures?.[figure] ?? 0;
    return bytes === 0 ? [] : `${FIGURE_WORDS[figure]} ${formatSize(bytes)}`;
  });
}

/** What a text contains, what of it is not used, and which commands print what it lacks; clauses, escaped. */
export function pastedWords(pasted: Pasted): string[] {
  const { parts, hasLog, unknownLines } = pasted;
  const used = parts
    .filter(({ why }) => why === null)
    .map((part) => `${part.kind} (${[count(part.lines, 'line'), ...figureWords(part)].join(', ')})`);
  const named = [...used, ...(hasLog ? ['a kernel log'] : [])];
  const more = named.length - MAX_PARTS;
  const unused = parts.flatMap(({ kind, line, why }) =>
    why === null ? [] : `${kind} at line ${line} (${escapeText(why)})`,
  );
  const lacked = lackedBy(pasted);
  return [
    `the text contains ${named.slice(0, MAX_PARTS).join(', ') || 'nothing that is used'}${more > 0 ? `, and ${more} more` : ''}`,
    ...(unused.length > 0 ? [`not used: ${unused.slice(0, MAX_PARTS).join(', ')}`] : []),
    ...(unknownLines > 0 ? [`not recognized: ${count(unknownLines, 'line')}`] : []),
    ...(lacked.length > 0 ? [`not in the text: the output of ${lacked.join(', ')}`] : []),
  ];
}

export function pastedJson(pasted: Pasted | undefined) {
  if (!pasted) return null;
  const { parts, unknownLines } = pasted;
  return { parts: [...parts], unknownLines, lacks: lackedBy(pasted) };
}
