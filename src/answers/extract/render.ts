import { escapeText } from '../../base/escape.js';
import { formatCount, formatSize } from '../../base/size.js';
import { NAME_KINDS } from '../../extract/anonymize/replacements.js';
import type { Extracted } from '../../extract/extract.js';
import type { Warning } from '../../walk/warnings.js';
import { type ExtractJson, extractSchema } from './schema.js';

/** Returns the facts about an extract for `--json`. */
export function extractJson(
  found: Extracted,
  request: { readonly file: string; readonly map?: string; readonly warnings: readonly Warning[] },
): ExtractJson {
  const names = NAME_KINDS.map((kind) => {
    const all = found.names.of(kind);
    const replaced = found.anonymized ? all.filter(({ made, real }) => made !== real).length : 0;
    return [kind, { replaced, kept: all.length - replaced }] as const;
  });
  return extractSchema.parse({
    schema: 'kdump-mem.extract/1',
    file: request.file,
    sizeBytes: found.size,
    pages: found.pages,
    partialPages: found.partialPages,
    sockets: found.sockets,
    anonymized: found.anonymized,
    names: Object.fromEntries(names),
    stays: [
      'ports',
      'pids',
      'inodes',
      'kernel-threads',
      'modules',
      'build',
      'crash-time',
      ...(found.log === 'kept' ? ['log'] : []),
    ],
    release: found.release,
    crashTime: found.crashTime ?? null,
    log: found.log,
    map: request.map ?? null,
    warnings: request.warnings,
  });
}

type Kind = keyof ExtractJson['names'];

const WORDS: Readonly<Record<Kind, readonly [one: string, many: string]>> = {
  addresses: ['address', 'addresses'],
  paths: ['unix socket path', 'unix socket paths'],
  commands: ['command name', 'command names'],
  cgroups: ['cgroup name', 'cgroup names'],
  interfaces: ['interface name', 'interface names'],
  hosts: ['host name', 'host names'],
};

const STAYS: Readonly<Record<ExtractJson['stays'][number], string>> = {
  ports: 'ports',
  pids: 'pids',
  inodes: 'inode numbers',
  'kernel-threads': 'names of kernel threads',
  modules: 'names of modules',
  build: 'kernel build',
  'crash-time': 'clock times',
  log: 'the kernel log',
};

/** Lists the contents of an extract, and what was anonymized. */
export function extractText(found: ExtractJson): string {
  const { file, sizeBytes, pages, partialPages, sockets, anonymized, log, map } = found;
  const size = `${formatSize(sizeBytes)}, ${count(pages, 'page', 'pages')}`;
  const parts = `${formatCount(partialPages)} of them partial`;
  const lines = [`${escapeText(file)}: ${size} (${parts}), ${count(sockets, 'socket', 'sockets')}`];
  if (anonymized) {
    lines.push(`Replaced: ${listed(found, 'replaced') || 'nothing'}.`);
    const kept = listed(found, 'kept');
    if (kept) lines.push(`Not replaced, because they identify nothing: ${kept}.`);
  } else {
    lines.push(`Contains ${listed(found, 'kept') || 'no names'}. --anonymize replaces them.`);
  }
  lines.push(`Unchanged: ${staysOf(found)}.`);
  if (log === 'unreadable') lines.push('Kernel log missing: it could not be read.');
  if (map !== null) lines.push(`${escapeText(map)} contains the original names: keep it private.`);
  return lines.join('\n');
}

function staysOf({ stays, release, crashTime }: ExtractJson): string {
  return stays
    .map((what) => {
      if (what === 'build') return `${STAYS.build} (${escapeText(release)})`;
      if (what !== 'crash-time' || crashTime === null) return STAYS[what];
      const at = new Date(crashTime * 1000);
      return Number.isNaN(at.getTime()) ? STAYS[what] : `crash time (${timeText(at)})`;
    })
    .join(', ');
}

function timeText(at: Date): string {
  return `${at.toISOString().slice(0, 19)}Z`;
}

function listed({ names }: ExtractJson, which: 'replaced' | 'kept'): string {
  return (Object.keys(WORDS) as Kind[])
    .filter((kind) => names[kind][which] > 0)
    .map((kind) => count(names[kind][which], ...WORDS[kind]))
    .join(', ');
}

function count(number: number, one: string, many: string): string {
  return `${formatCount(number)} ${number === 1 ? one : many}`;
}
