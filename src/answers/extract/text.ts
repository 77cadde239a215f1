import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import type { ExtractJson } from './schema.js';

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
  build: 'the kernel’s build',
  'crash-time': 'the time that its clocks show',
  log: 'the kernel’s log',
};

/** What is inside an extract, for who hands it on. */
export function extractText(found: ExtractJson): string {
  const { file, sizeBytes, pages, partialPages, sockets, anonymized, log, map } = found;
  const size = `${formatSize(sizeBytes)}, ${count(pages, 'page', 'pages')}`;
  const parts = `${formatCount(partialPages)} of them in part`;
  const lines = [`${escapeText(file)}: ${size} (${parts}), ${count(sockets, 'socket', 'sockets')}`];
  if (anonymized) {
    lines.push(`Replaced: ${listed(found, 'replaced') || 'nothing'}.`);
    const kept = listed(found, 'kept');
    if (kept) lines.push(`Kept, since they name nobody: ${kept}.`);
  } else {
    lines.push(`Holds ${listed(found, 'kept') || 'no names'}; --anonymize replaces them.`);
  }
  lines.push(`Stays as it was: ${staysOf(found)}.`);
  if (log === 'unreadable') lines.push('The kernel’s log is not in it: it could not be read.');
  if (map !== null)
    lines.push(`${escapeText(map)} tells what was replaced by what: keep it to yourself.`);
  return lines.join('\n');
}

function staysOf({ stays, release, crashTime }: ExtractJson): string {
  return stays
    .map((what) => {
      if (what === 'build') return `${STAYS.build} (${escapeText(release)})`;
      if (what !== 'crash-time' || crashTime === null) return STAYS[what];
      const at = new Date(crashTime * 1000);
      return Number.isNaN(at.getTime()) ? STAYS[what] : `the time of the crash (${timeText(at)})`;
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
