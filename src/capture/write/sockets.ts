import { isHostError } from '../../base/errors.js';
import { isHeading, LineCutter } from '../../host/lines.js';
import { findNamespaces, type Namespace } from '../../host/namespaces.js';
import { readNetTable } from '../../host/proc/net-tables.js';
import { ALL_GROUPS, ssCalls } from '../../host/ss/read.js';
import { RARE } from '../../host/unlisted-sockets.js';
import { LEFT_OUT_NAME } from '../read/contents.js';
import { WithoutKeys } from './ss-keys.js';
import type { Work } from './work.js';

/** Tables of /proc/net that are always read, and those read where ss failed. */
const ALWAYS = ['netlink', 'sockstat'];
const INSTEAD_OF_SS = ['packet', 'tcp', 'tcp6', 'udp', 'udp6', 'raw', 'raw6', 'unix'];
const BUCKETS = '/proc/sys/net/ipv4/tcp_max_tw_buckets';

/** Summary over all namespaces. */
export interface SocketsCaptured {
  readonly namespaces: number;
  /** Namespaces that could not be entered. */
  readonly closed: number;
  /** Tables that this ss does not support. */
  readonly unknown: ReadonlySet<string>;
}

/**
 * Records the sockets of each network namespace.
 *
 * @param links links of namespaces that were just read, by path
 */
export async function recordSockets(
  work: Work,
  at: string,
  links: ReadonlyMap<string, string>,
): Promise<SocketsCaptured> {
  const source = { ...work.source, readLink: (path: string) => links.get(path) ?? work.source.readLink(path) };
  const namespaces = findNamespaces(source, 'all', (pid) =>
    // The full path tells readers of the snapshot that sockets may be missing.
    work.failures.add(`/proc/${pid}/ns/net`, 'denied', 'its network namespace is not visible'),
  );
  const unknown = new Set<string>();
  let closed = 0;
  for (const namespace of namespaces) {
    const here = `${at}netns-${namespace.inode ?? 0}/`;
    const path = namespace.own ? null : namespace.path;
    const coverage = await recordSs(work, here, path, unknown);
    if (coverage === 'closed') closed++;
    if (coverage === 'gone') continue;
    if (at === 'sample-1/' && (coverage === 'all' || coverage === 'some')) await recordRare(work, here, path);
    recordTables(work, here, namespace, coverage);
  }
  return { namespaces: namespaces.length, closed, unknown };
}

type SsCoverage = 'all' | 'some' | 'nothing' | 'closed' | 'gone';

/** File names of the groups in a snapshot. */
const GROUP_FILES = { tcp: 'inet', datagrams: 'inet', unix: 'unix', others: 'others' } as const;

async function recordSs(work: Work, here: string, netns: string | null, unknown: Set<string>): Promise<SsCoverage> {
  const { source, archive, failures, deadline, parts, anonymizer } = work;
  const lost: string[] = [];
  for (const { group, args } of ssCalls(ALL_GROUPS)) {
    const file = GROUP_FILES[group];
    const member = archive.member(`${here}${file}`);
    const write = (text: Buffer | string) => member.write(text);
    const lines =
      file === 'unix'
        ? parts.has('unix-paths')
          ? undefined
          : new UnixNames(write)
        : (anonymizer?.ssRows(write) ?? new WithoutKeys(write));
    try {
      deadline.check(`${here}${file}`);
      const answer = source.ss(args, netns, (bytes) => (lines ? lines.push(bytes) : member.write(bytes)));
      for (const table of await answer) unknown.add(table);
      lines?.end();
      member.end();
    } catch (error) {
      if (isHostError(error, 'ss-missing')) {
        failures.add('ss', 'absent', error.message);
        return 'nothing';
      }
      if (isHostError(error, 'gone')) return 'gone';
      if (isHostError(error, 'netns-closed', 'denied')) {
        failures.add(netns ?? here, 'denied', error.message);
        archive.add(`${here}closed`, `${anonymizer ? 'permission denied' : error.message}\n`);
        return 'closed';
      }
      failures.note(`${here}${file}`, error);
      lost.push(file);
    }
  }
  if (lost.length > 0) archive.add(`${here}failed`, `${lost.join(' ')}\n`);
  return lost.includes('inet') ? 'some' : 'all';
}

/** Records tables that only the search for unlisted sockets needs: in one sample. */
async function recordRare(
  { source, archive, failures, anonymizer }: Work,
  here: string,
  netns: string | null,
): Promise<void> {
  const member = archive.member(`${here}rare`);
  const lines = anonymizer?.ssRows((text) => member.write(text));
  try {
    await source.ss(RARE, netns, (bytes) => (lines ? lines.push(bytes) : member.write(bytes)));
    lines?.end();
  } catch (error) {
    // An ss without one of them lists none: their sockets are not listed there either.
    if (!isHostError(error, 'gone', 'ss-failed')) return failures.note(`${here}rare`, error);
  }
  member.end();
}

function recordTables(work: Work, here: string, namespace: Namespace, coverage: SsCoverage): void {
  const { source, archive, failures, deadline, parts, anonymizer } = work;
  // A namespace that cannot be entered is only readable through a process in it.
  if (coverage === 'closed' && namespace.pid === null) return;
  for (const table of coverage === 'all' ? ALWAYS : [...ALWAYS, ...INSTEAD_OF_SS])
    try {
      // With many sockets the kernel takes seconds for one.
      if (INSTEAD_OF_SS.includes(table)) deadline.check(`${here}net/${table}`);
      const text = readNetTable(source, namespace, table);
      const shown = table === 'unix' && !parts.has('unix-paths') ? netTableWithoutNames(text) : text;
      const written = anonymizer ? anonymizer.netTable(table, shown) : shown;
      if (written !== null) archive.add(`${here}net/${table}`, utf8(written));
      else failures.add(`${here}net/${table}`, 'unreadable', 'it contains addresses: --anonymize requires ss');
    } catch (error) {
      failures.note(`${here}net/${table}`, error, true);
    }
  if (coverage === 'closed') return;
  try {
    const buckets = namespace.own ? source.readText(BUCKETS) : source.readTextIn(namespace.path, BUCKETS);
    archive.add(`${here}tcp_max_tw_buckets`, buckets);
  } catch (error) {
    failures.note(`${here}tcp_max_tw_buckets`, error);
  }
}

/** Encodes text as the bytes for an archive. */
function utf8(text: string): Buffer {
  return Buffer.from(text, 'utf8');
}

/** Fields of a unix socket in ss output before its names, and after them. */
const HEAD = /^u_[a-z]{3} +[A-Z0-9-]+ +\d+ +\d+ */;
const TAIL = / *skmem:\([a-z0-9,]*\) [-<>]+(?: ino:\d* dev:\d*\/\d*)*(?: peers:[ \d]*)* *$/;
const SHORT_TAIL = / *<-> *$/;

/**
 * Replaces the names in a line of `ss -x`. A name is a path that may contain blanks and line breaks, so
 * every word in the position of a name is replaced, and rows stay parsable. Numbers and `*` stay, since
 * such a word in a name cannot be told from an inode. `nameless` in the script does the same.
 *
 * @param first whether it is the first line, which is a heading if this ss lacks -H
 */
function withoutNames(line: string, first: boolean): string {
  if (first && isHeading(line)) return line;
  const head = HEAD.exec(line)?.[0] ?? '';
  const rest = line.slice(head.length);
  const tail = (TAIL.exec(rest) ?? SHORT_TAIL.exec(rest))?.[0] ?? '';
  const names = rest.slice(0, rest.length - tail.length);
  return head + names.replaceAll(/[^ ]*[^ 0-9*][^ ]*/g, LEFT_OUT_NAME) + tail;
}

/** The same for a stream. Lines too long for a row are passed on as one word. */
export class UnixNames {
  readonly #lines: LineCutter;
  #first = true;

  constructor(write: (text: string) => void) {
    this.#lines = new LineCutter((bytes, from, to) => {
      write(`${withoutNames(bytes.toString('latin1', from, to), this.#first)}\n`);
      this.#first = false;
    });
  }

  push(bytes: Buffer): void {
    this.#lines.push(bytes);
  }

  end(): void {
    this.#lines.end();
  }
}

/** Removes the names at the ends of rows of /proc/net/unix. */
function netTableWithoutNames(text: string): string {
  const row = /^[0-9A-Fa-f]*: [0-9A-F]* [0-9A-F]* [0-9A-F]* [0-9A-F]* [0-9A-F]* *[0-9]*/;
  return text
    .split('\n')
    .map((line, index) => (index === 0 || line === '' ? line : (row.exec(line)?.[0] ?? LEFT_OUT_NAME)))
    .join('\n');
}
