import { isHostError } from '../../base/errors/host.js';
import { findNamespaces, type Namespace } from '../../host/namespaces.js';
import { readNetTable } from '../../host/procnet/table.js';
import { ALL_GROUPS, ssCalls } from '../../host/ss/read.js';
import { WithoutKeys } from './ss-keys.js';
import { netTableWithoutNames, UnixNames } from './unix-names.js';
import type { Work } from './work.js';

/** Tables of /proc/net that are read always, and those where ss told nothing. */
const ALWAYS = ['netlink', 'sockstat'];
const INSTEAD_OF_SS = ['packet', 'tcp', 'tcp6', 'udp', 'udp6', 'raw', 'raw6', 'unix'];
const BUCKETS = '/proc/sys/net/ipv4/tcp_max_tw_buckets';

/** What is told of all namespaces together. */
export interface SocketsCaptured {
  readonly namespaces: number;
  /** Those that could not be entered. */
  readonly closed: number;
  /** Tables that this ss does not know. */
  readonly unknown: ReadonlySet<string>;
}

/** The sockets of each network namespace. */
export async function takeSockets(work: Work, at: string): Promise<SocketsCaptured> {
  const namespaces = findNamespaces(work.source, 'all', (pid) =>
    // By the whole path: whoever reads the snapshot knows by it that sockets may be missing.
    work.failures.add(`/proc/${pid}/ns/net`, 'denied', 'its network namespace is not visible'),
  );
  const unknown = new Set<string>();
  let closed = 0;
  for (const namespace of namespaces) {
    const here = `${at}netns-${namespace.inode ?? 0}/`;
    const path = namespace.own ? null : namespace.path;
    const told = await askSs(work, here, path, unknown);
    if (told === 'closed') closed++;
    if (told === 'gone') continue;
    takeTables(work, here, namespace, told);
  }
  return { namespaces: namespaces.length, closed, unknown };
}

type SsCoverage = 'all' | 'some' | 'nothing' | 'closed' | 'gone';

/** Names of the groups in a snapshot. */
const GROUP_FILES = { tcp: 'inet', datagrams: 'inet', unix: 'unix', others: 'others' } as const;

async function askSs(
  work: Work,
  here: string,
  netns: string | null,
  unknown: Set<string>,
): Promise<SsCoverage> {
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
      const asked = source.ss(args, netns, (bytes) =>
        lines ? lines.push(bytes) : member.write(bytes),
      );
      for (const table of await asked) unknown.add(table);
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

function takeTables(work: Work, here: string, namespace: Namespace, told: SsCoverage): void {
  const { source, archive, failures, parts, anonymizer } = work;
  // Nobody but a process in it shows the tables of a namespace that may not be entered.
  if (told === 'closed' && namespace.pid === null) return;
  for (const table of told === 'all' ? ALWAYS : [...ALWAYS, ...INSTEAD_OF_SS])
    try {
      const text = readNetTable(source, namespace, table);
      const shown =
        table === 'unix' && !parts.has('unix-paths') ? netTableWithoutNames(text) : text;
      const told = anonymizer ? anonymizer.netTable(table, shown) : shown;
      if (told !== null) archive.add(`${here}net/${table}`, utf8(told));
      else
        failures.add(
          `${here}net/${table}`,
          'unreadable',
          'it contains addresses: --anonymize requires ss',
        );
    } catch (error) {
      failures.note(`${here}net/${table}`, error, true);
    }
  if (told === 'closed') return;
  try {
    const buckets = namespace.own
      ? source.readText(BUCKETS)
      : source.readTextIn(namespace.path, BUCKETS);
    archive.add(`${here}tcp_max_tw_buckets`, buckets);
  } catch (error) {
    failures.note(`${here}tcp_max_tw_buckets`, error);
  }
}

/** A text as the bytes that an archive takes. */
function utf8(text: string): Buffer {
  return Buffer.from(text, 'utf8');
}
