import type { CAPTURE_FAULT_CODES } from '../../records/snapshot-parts.js';

/** A file found in a capture. */
export interface CapturedFile {
  /** Its full size, also if only its beginning was read. */
  readonly size: number;
  readonly read: number;
  /** Checksum by `cksum` of the bytes read. */
  readonly sum: number;
  /** Number of occurrences in the archive. */
  readonly times: number;
}

export interface CaptureFault {
  readonly code: (typeof CAPTURE_FAULT_CODES)[number];
  /** The affected file; null: the whole archive. Hostile. */
  readonly path: string | null;
  readonly words: string;
}

const FAULT_WORDS: Record<CaptureFault['code'], string> = {
  'archive-damaged': 'the archive is truncated or corrupt',
  'archive-unreadable': 'the archive cannot be read',
  'manifest-missing': 'the manifest is missing',
  'manifest-damaged': 'the manifest is corrupt',
  'file-missing': 'is missing',
  'file-changed': 'differs from the captured file',
  'file-foreign': 'is not in the manifest',
  'file-twice': 'occurs more than once',
  'file-too-large': 'is too large to checksum',
};

/** @param detail for the archive: why it cannot be read */
export function fault(code: CaptureFault['code'], path?: string, detail?: string): CaptureFault {
  const words = `${path === undefined ? '' : `${path} `}${detail ?? FAULT_WORDS[code]}`;
  return { code, path: path ?? null, words };
}

/**
 * Verifies a capture against its manifest: a line `CHECKSUM SIZE ./NAME` for each other file, as
 * printed by cksum, and a last one, `whole COUNT`. Empty: it is complete.
 *
 * @param files by name below the top directory; irrelevant ones may be missing, according to `wanted`
 */
export function checkManifest(
  manifest: string,
  files: ReadonlyMap<string, CapturedFile>,
  wanted: (name: string) => boolean,
): CaptureFault[] {
  const lines = manifest.split('\n');
  const count = /^whole (\d{1,9})$/.exec(lines.at(-2) ?? '')?.[1];
  if (lines.at(-1) !== '' || count === undefined || Number(count) !== lines.length - 2)
    return [fault('manifest-damaged')];
  const problems: CaptureFault[] = [];
  const named = new Set<string>();
  for (const line of lines.slice(0, -2)) {
    const [, sum, size, name = ''] = /^(\d{1,10}) (\d{1,15}) \.\/(\S+)$/.exec(line) ?? [];
    if (name === '' || named.has(name)) return [fault('manifest-damaged')];
    named.add(name);
    const file = files.get(name);
    if (!file) {
      if (wanted(name)) problems.push(fault('file-missing', name));
    } else if (file.read < file.size) continue;
    else if (file.size !== Number(size) || file.sum !== Number(sum)) problems.push(fault('file-changed', name));
  }
  for (const [name] of files) if (name !== MANIFEST && !named.has(name)) problems.push(fault('file-foreign', name));
  return problems;
}

export const MANIFEST = 'manifest';

/** A path component. */
const NAME = String.raw`[\w][\w.@:-]*`;

/** Machine-wide files of /proc, below proc/ or sample-N/proc/. */
const MACHINE_FILES = [
  'meminfo|slabinfo|buddyinfo|zoneinfo|pagetypeinfo|vmstat|vmallocinfo|swaps|modules|devices|misc|cgroups',
  'uptime|loadavg|locks|key-users|stat|version|cmdline|iomem|allocinfo|net/(?:sockstat6?|protocols)',
  String.raw`pressure/\w+|self/(?:mountinfo|auxv)|sysvipc/(?:shm|msg)`,
  String.raw`sys/(?:kernel|vm|fs)/(?:\w+/)?\w[\w.-]*|sys/net/(?:core|ipv4|netfilter)/\w+`,
  // A copied tree of /proc.
  String.raw`\d{1,10}/(?:status|comm|stat|cgroup|smaps_rollup|oom_score|oom_score_adj)`,
].join('|');

/** Files of a supportconfig that contain sections of files and commands. */
export const SUPPORTCONFIG =
  /^(?:basic-environment|basic-health-check|memory|proc|env|modules|network|plugin-kdump_mem)\.txt$/;

/** The ring of kdump-mem-ring.service, in a report of sos. */
export const RING = 'var/lib/kdump-mem-ring/ring';
/** Answers of kdump-mem in JSON: of its plugin of sos, and beside dumps. */
export const RECORDED =
  /^(?:sos_commands\/kdump_mem\/(?:kdump-mem|skcheck)_[\w.-]*--json|var\/(?:crash|lib\/systemd\/pstore)\/(?:[^/]{1,255}\/){0,3}(?:[^/]{1,200}\.)?kdump-mem\.json)$/;

const WANTED = new RegExp(
  `^(?:${[
    String.raw`version|taken|taken-by|asked|left-out|errors|log|cgroups|files-in-memory|fdinfo|netlink|message-queues|ipc-\d+|unknown-tables|manifest|hostname|dmesg`,
    `(?:sample-\\d/)?proc/(?:${MACHINE_FILES})`,
    `slab-attributes|etc/os-release|sys/kernel/mm/(?:${NAME}/){0,4}${NAME}`,
    String.raw`sys/devices/system/node/node\d+/(?:\w+|hugepages/hugepages-\d+kB/\w+)|sys/block/zram\d+/mm_stat`,
    String.raw`proc/spl/kstat/zfs/a\w+stats|sys/kernel/debug/(?:hv-balloon|vmmemctl)`,
    String.raw`sys/bus/virtio/drivers/virtio_balloon/virtio\d+/features|sys/devices/system/xen_memory/xen_memory\d+/info/\w+`,
    String.raw`sys/kernel/tracing/(?:instances/[^/]{1,255}/)?buffer_total_size_kb`,
    String.raw`sample-\d/(?:\w+|netns-\d+/(?:\w+|net/\w+))`,
    String.raw`sos_commands/(?:networking/.*ss_-\w+|process/ps_aux\w*|date/date(?:_--utc)?|\w+/getconf_-a|host/hostname.*|kernel/(?:uname.*|sysctl_-a|dmesg(?:_-T)?|lsmod)|memory/.*meminfo)`,
    SUPPORTCONFIG.source.slice(1, -1),
    RECORDED.source.slice(1, -1),
    RING,
  ].join('|')})$`,
);

/** Top-level directories within a capture, which cannot be its enclosing one: proc/cgroups is not its file cgroups. */
const OWN = /^(?:proc|sys|etc|var|sample-\d|sos_commands|insights_commands)\//;

/** Names of other collectors: insights archives, and files of /proc by names without a slash. */
const OTHER_NAMES: readonly (readonly [form: RegExp, name: string])[] = [
  [/^insights_commands\/(uname_-a|sysctl_-a|dmesg(?:_-T)?|lsmod)$/, 'sos_commands/kernel/$1'],
  [/^insights_commands\/(ps_aux)\w*$/, 'sos_commands/process/$1'],
  [/^insights_commands\/(date(?:_--utc)?)$/, 'sos_commands/date/$1'],
  [/^insights_commands\/(hostname)$/, 'sos_commands/host/$1'],
  [/^insights_commands\/(getconf_)(?:-a|PAGE_?SIZE)$/, 'sos_commands/libraries/$1-a'],
  [/^proc_(meminfo|vmstat|zoneinfo|slabinfo|buddyinfo|vmallocinfo|modules|version)$/, 'proc/$1'],
];

/** Files of a folder that is itself a copy of /proc. */
const BARE = new RegExp(`^(?!version$|cgroups$|stat$|cmdline$|locks$)(?:${MACHINE_FILES})$`);

/** Parts of a capture to read. */
export interface WantedParts {
  /** Mappings of each process, if captured. */
  readonly mappings?: boolean;
  /** Logs besides the capture's own. */
  readonly logs?: boolean;
  /** Outputs of commands in a text. */
  readonly pasted?: false;
}

/** A file of a capture. */
export interface Located {
  /** Name below its top directory. */
  readonly inner: string;
  /** The directory (`kdump-mem-snapshot/`, `sosreport-…/`, of any depth); two hosts in one input have two. */
  readonly top: string;
}

/** Returns the name below the top directory; null if it is not needed. */
export function wantedName(name: string, parts: WantedParts): string | null {
  return located(name, parts)?.inner ?? null;
}

/** Finds the place of a file in a capture; null if it is not needed. */
export function located(name: string, { mappings = false, logs = false }: WantedParts): Located | null {
  const plain = name.replace(/^(?:\.?\/)+/, '');
  if (plain.split('/').includes('..')) return null;
  // Names in a manifest, or in an unpacked directory, lack the top directory.
  const below = OWN.test(plain) ? 0 : plain.indexOf('/') + 1;
  for (const from of [0, ...Array.from(plain.matchAll(/\//g), ({ index }) => index + 1)]) {
    const [at, top, isShallow] = [plain.slice(from), plain.slice(0, from), from === 0 || from === below];
    if (logs && isShallow && isOfLogs(at)) return { inner: at, top };
    const [form, other = ''] = OTHER_NAMES.find(([pattern]) => pattern.test(at)) ?? [];
    const inner = form === undefined ? at : at.replace(form, other);
    if ((isShallow || form !== undefined || OWN.test(at) || (at === NODE_LOG && NODE.test(top))) && WANTED.test(inner))
      return mappings || !isOfMappings(inner) ? { inner, top } : null;
    const isCopy = isShallow || !/(?:^|\/)(?:proc|sys|etc|var|sos_commands)\//.test(top);
    if (isCopy && BARE.test(at)) return { inner: `proc/${at}`, top: `${top}${BARE_TOP}` };
  }
  return null;
}

/** Folder of a node in a must-gather, and its log there. Elsewhere, such as in var/log, it is one of many logs. */
export const NODE = /(?:^|\/)nodes\/[^/]+\/$/;
export const NODE_LOG = 'dmesg';

/** The own log of a capture: of a snapshot, of sos, of a must-gather's node. */
export const OWN_LOGS = ['log', 'sos_commands/kernel/dmesg', 'sos_commands/kernel/dmesg_-T', NODE_LOG] as const;

/** Ends the top of files in a copy of /proc without the folder `proc`. */
export const BARE_TOP = '(proc)';

/** Whether it is a list of all processes: potentially large. */
export function isOfProcesses(name: string): boolean {
  return /^sample-\d\/(?:before|after|memory|namespaces|descriptors)$/.test(name);
}

/** Whether it contains the mappings of every process: large, and needed for a single query only. */
export function isOfMappings(name: string): boolean {
  return /^sample-\d\/smaps$/.test(name);
}

/** Logs of a sosreport, a supportconfig, a folder of kdump or of pstore, besides a capture's own. */
const LOGS = [
  // kdump writes the log next to the dump (RHEL, SUSE, Debian); sos copies it.
  /^(?:var\/crash\/[^/]{1,100}\/)?(?:vmcore-dmesg(?:-incomplete)?\.txt|kexec-dmesg\.log|dmesg\.(?:txt|\d{12}))$/,
  // pstore, and records that systemd-pstore moved: one folder per dump.
  /^(?:sys\/fs\/pstore\/|var\/lib\/systemd\/pstore\/(?:\d+\/){0,2})?(?:dmesg(?:-[a-z_]+-\d{1,20}(?:\.enc\.z)?|\.txt)|console-[a-z]+(?:-\d{1,20})?)$/,
  // sos: its dmesg is the capture's own log.
  /^sos_commands\/logs\/journalctl_--no-pager(?:_--catalog)?(?:_--boot(?:_-\d+)?)?$/,
  /^var\/log\/(?:messages|kern\.log|syslog|dmesg)(?:[.-]\d{1,8}(?:-\d{1,10})?)?(?:\.(?:gz|xz|bz2|zst))?$/,
  // supportconfig.
  /^(?:boot|messages|crash)\.txt$/,
] as const;

export function isOfLogs(name: string): boolean {
  return LOGS.some((kind) => kind.test(name));
}
