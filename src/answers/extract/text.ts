import { escapeText } from '../../base/escape.js';
import { count, formatCount, formatSize } from '../../base/size.js';
import type { ExtractAnswer } from '../../contracts/extract.js';

type Kind = keyof ExtractAnswer['names'];

const WORDS: Readonly<Record<Kind, readonly [noun: string, plural?: string]>> = {
  addresses: ['address', 'addresses'],
  paths: ['unix socket path'],
  commands: ['command name'],
  cgroups: ['cgroup name'],
  interfaces: ['interface name'],
  hosts: ['host name'],
};

const STAYS: Readonly<Record<ExtractAnswer['stays'][number], string>> = {
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
export function extractText(answer: ExtractAnswer): string {
  const { file, sizeBytes, pages, partialPages, sockets, anonymized, log, map } = answer;
  const size = `${formatSize(sizeBytes)}, ${count(pages, 'page')}`;
  const parts = `${formatCount(partialPages)} of them partial`;
  const lines = [`${escapeText(file)}: ${size} (${parts}), ${count(sockets, 'socket')}`];
  if (anonymized) {
    lines.push(`Replaced: ${listed(answer, 'replaced') || 'nothing'}.`);
    const kept = listed(answer, 'kept');
    if (kept) lines.push(`Not replaced, because they identify nothing: ${kept}.`);
  } else {
    lines.push(`Contains ${listed(answer, 'kept') || 'no names'}. --anonymize replaces them.`);
  }
  lines.push(`Unchanged: ${staysOf(answer)}.`);
  if (log === 'unreadable') lines.push('Kernel log missing: it could not be read.');
  if (map !== null) lines.push(`${escapeText(map)} contains the original names: keep it private.`);
  return lines.join('\n');
}

function staysOf({ stays, release, crashTime }: ExtractAnswer): string {
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

function listed({ names }: ExtractAnswer, which: 'replaced' | 'kept'): string {
  return (Object.keys(WORDS) as Kind[])
    .filter((kind) => names[kind][which] > 0)
    .map((kind) => count(names[kind][which], ...WORDS[kind]))
    .join(', ');
}
