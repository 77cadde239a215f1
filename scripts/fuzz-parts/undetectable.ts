import { readFileSync } from 'node:fs';

/** Undetected differences of an answer if some members have another value: a row of docs/internals/undetectable.md. */
export interface Undetectable {
  /** As the fuzzer names them: `sk_buff.truesize`, `variable nr_vmalloc_pages`. */
  readonly members: readonly string[];
  /** Fields of the answers, with everything in them; see fieldOf. */
  readonly differs: readonly string[];
  /** Only in extracts of earlier versions: a complete dump has a second place. */
  readonly inExtracts: boolean;
  /** Only in kernels without this member, which is a second place. */
  readonly without?: string;
}

/** Names of several fields, which the page explains. */
const SEVERAL: Readonly<Record<string, readonly string[]>> = {
  // Freed bytes, and figures from them: how they are shared, never what is pinned.
  freed: ['exclusiveBytes', 'sharedBytes', 'freedIfKilled', 'freedIfKilledBytes', 'total.freedIfKilledBytes'],
  // Figures that are missing without a socket.
  gone: ['sockets gone', 'sockets', 'total.sockets', 'processes gone'],
};

function fieldsOf(name: string): readonly string[] {
  const row = /^ledger\.[\w-]+$/.exec(name);
  return row ? ['objects', 'bytes', 'message'].map((field) => `${row[0]}.${field}`) : (SEVERAL[name] ?? [name]);
}

/**
 * Every member with undetectably wrong values.
 *
 * @param page text of docs/internals/undetectable.md
 * @throws Error for a row of the tables of members that has another form
 */
export function undetectableOf(page: string): Undetectable[] {
  const [, tables = ''] = page.split('\n## No second fact\n');
  const [whole = '', extracts = ''] = tables.split('\n## Extracts\n');
  return [whole, extracts].flatMap((part, index) =>
    part
      .split('\n')
      .filter((line) => line.startsWith('| ') && !/^\| (?:Members|---) /.test(line))
      .map((line): Undetectable => {
        const [, members = '', without, fields = ''] =
          /^\| ((?:`[^`|]+`(?:, )?)+)(?: without `([^`|]+)`)? \| ((?:`[^`|]+`(?:, )?)+) \| [^|]+ \|$/.exec(line) ?? [];
        if (members === '') throw new Error(`docs/internals/undetectable.md: a row has another form: ${line}`);
        const named = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
        const differs = named(fields).flatMap(fieldsOf);
        return { members: named(members), differs, inExtracts: index === 1, ...(without && { without }) };
      }),
  );
}

const UNDETECTABLE = undetectableOf(readFileSync('docs/internals/undetectable.md', 'utf8'));

/**
 * Members that may have any value in an undamaged kernel, so that another value is another answer, not
 * damage: nothing else in memory repeats the value, except data that drifts from it.
 */
const FREE: readonly RegExp[] = [
  // Names and numbers that are printed unchanged.
  /^task_struct\.comm$/,
  /^(module|proto|net_device)\.name$/,
  /^net\.ns\.inum$/,
  /^inode\.i_ino$/,
  /^vfs_inode\.i_ino$/,
  /^unix_(sock|address)\./,
  /^sock\.__sk_common\.skc_(state|dport|num|daddr|rcv_saddr|v6_daddr|v6_rcv_saddr|prot|net\.net)$/,
  /^sock_common\./,
  // The position of a reader: any offset in the first skb is valid.
  /^(unix_skb_parms\.consumed|mptcp_skb_cb\.offset|tcp_sock\.copied_seq)$/,
  // Charged by rules of each protocol.
  /^sk_buff\.truesize$/,
  // If it is all zeros, memory reads as the shared info of an skb without frags.
  /^sk_buff\.end$/,
  // A red leaf may fall off a tree without making it uneven.
  /^rb_node\.rb_(left|right)$/,
  // References: excess ones may have any owner; only missing ones are reported.
  /\.(refs|refcnt|refcount|dataref|f_count|fclone_ref)\b/,
  /^sk_buff\.(cloned|fclone)$/,
  /^page\._refcount/,
  // Another object of the same kind is equally valid.
  /^(file\.(f_op|private_data|f_inode)|socket\.file|request_sock\.|socket_alloc\.|sockfs_inode\.|sock\.sk_socket|rq\.)/,
  // Only the size of a CPU's sheaf shows which objects it contains (docs/internals/undetectable.md).
  /^slab_sheaf\.size$/,
  // A task without a page to send from may have the size of its parent's (docs/internals/undetectable.md).
  /^(task_struct\.task_frag|sock\.sk_frag)\.page$/,
  /^timekeeper\./,
  // Bytes that are printed individually.
  /^memory$/,
];

/** The same for extracts of earlier versions, which lack the second places. */
const FREE_IN_EXTRACTS: readonly RegExp[] = [
  /^(task_struct\.(flags|files|tasks)|(fdtable|files_struct)\..*|(cgroup|css_set|kernfs).*)$/,
];

/**
 * Whether another value in a member with this label (`sk_buff.len`) can be detected.
 *
 * @param lacking the dump is an extract that lacks second places
 */
export function isDetectable(label: string, lacking: boolean): boolean {
  const free = lacking ? [...FREE, ...FREE_IN_EXTRACTS] : FREE;
  return !free.some((pattern) => pattern.test(label));
}

/**
 * Which field of an answer a path of a difference leads to, whichever command gave the answer:
 * `sockets.*.queues.receive.skbs` and `queues.write.skbs` are `queue.skbs`.
 */
export function fieldOf(path: string): string {
  return path
    .replace(/^(?:sockets|processes)\.\*( gone| new)?\.?/, (_, end: string | undefined) =>
      end === undefined ? '' : `${path.split('.')[0]}${end}`,
    )
    .replace(/^files\.files\.\*/, 'file')
    .replace(/^messages\.\*/, 'message')
    .replace(/^(mount|module|cpu|lock)s\.\*/, '$1')
    .replace(/^threads\.\*/, 'thread')
    .replace(/^queues\.\w+/, 'queue')
    .replace(/^skbs\.\w+\.\*/, 'skb')
    .replace(/^totals\./, 'total.');
}

/** The same by whose field it is, where that is not a socket: `process.total.skbs`, `asked.totals.skbs`. */
function ownedField(path: string): string | undefined {
  if (path.startsWith('processes.*.')) return `process.${path.slice('processes.*.'.length)}`;
  return /^(?:sockets|processes|ledger)\b/.test(path) ? undefined : `asked.${path}`;
}

/**
 * Whether changed members are known to change a field of the answer undetectably.
 *
 * @param lacking the dump is an extract that lacks second places
 * @param has whether the kernel has a member, as `struct.member`
 */
export function isExplained(
  members: readonly string[],
  path: string,
  lacking = false,
  has: (member: string) => boolean = () => false,
): boolean {
  const names = [fieldOf(path), ownedField(path) ?? ''];
  const isNamed = (one: string) => names.some((name) => name === one || name.startsWith(`${one}.`));
  return UNDETECTABLE.some(
    (rule) =>
      (lacking || !rule.inExtracts) &&
      !(rule.without !== undefined && has(rule.without)) &&
      rule.members.some((member) => members.includes(member)) &&
      rule.differs.some(isNamed),
  );
}
