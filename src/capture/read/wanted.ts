/** A part of a path. */
const NAME = String.raw`[\w][\w.@:-]*`;

/** Files of /proc that tell of the whole machine, below proc/ or sample-N/proc/. */
const OF_MACHINE = [
  'meminfo|slabinfo|buddyinfo|zoneinfo|pagetypeinfo|vmstat|vmallocinfo|swaps|modules|cgroups',
  'uptime|loadavg|stat|version|cmdline|iomem|allocinfo|net/(?:sockstat6?|protocols)',
  String.raw`pressure/\w+|self/(?:mountinfo|auxv)`,
  String.raw`sys/(?:kernel|vm|fs)/(?:\w+/)?\w[\w.-]*|sys/net/(?:core|ipv4)/\w+`,
].join('|');

const WANTED = new RegExp(
  `^(?:${[
    'version|taken|taken-by|asked|left-out|errors|log|cgroups|unknown-tables|manifest|hostname',
    `(?:sample-\\d/)?proc/(?:${OF_MACHINE})`,
    `slab-attributes|etc/os-release|sys/kernel/mm/(?:${NAME}/){0,4}${NAME}`,
    String.raw`sys/devices/system/node/node\d+/\w+|sys/block/zram\d+/mm_stat`,
    String.raw`sample-\d/(?:\w+|netns-\d+/(?:\w+|net/\w+))`,
    String.raw`sos_commands/(?:networking/.*ss_-\w+|process/ps_aux\w*|date/date(?:_--utc)?|\w+/getconf_-a|host/hostname.*|kernel/(?:uname.*|sysctl_-a|dmesg)|memory/.*meminfo)`,
  ].join('|')})$`,
);

/** Directories of a capture, and none that it lies in: proc/cgroups is not its file cgroups. */
const OWN = /^(?:proc|sys|etc|var|sample-\d|sos_commands)\//;

/** What is read of a capture. */
export interface WantedParts {
  /** What each process maps too, where that was captured. */
  readonly mappings?: boolean;
  /** Logs beside the capture's own. */
  readonly logs?: boolean;
}

/** The name below the top directory (`kdump-mem-snapshot/`, `sosreport-…/`), null when it is not wanted. */
export function wantedName(
  name: string,
  { mappings = false, logs = false }: WantedParts,
): string | null {
  const plain = name.replace(/^(?:\.?\/)+/, '');
  // Names that a manifest has, or a directory that was unpacked, begin below the top directory.
  const below = OWN.test(plain) ? plain : plain.slice(plain.indexOf('/') + 1);
  if (plain.startsWith('../')) return null;
  for (const inner of [plain, below]) {
    if (logs && isOfLogs(inner)) return inner;
    if (WANTED.test(inner)) return mappings || !isOfMappings(inner) ? inner : null;
  }
  return null;
}

/** A list of all processes: with many of them it is large. */
export function isOfProcesses(name: string): boolean {
  return /^sample-\d\/(?:before|after|memory|namespaces|descriptors)$/.test(name);
}

/** What every process maps: large, and of use to one question alone. */
export function isOfMappings(name: string): boolean {
  return /^sample-\d\/smaps$/.test(name);
}

/** Logs of a sosreport, a supportconfig, a folder of kdump or of pstore, beside a capture's own. */
const LOGS = [
  // kdump writes the log beside the dump (RHEL, SUSE, Debian); sos copies it.
  /^(?:var\/crash\/[^/]{1,100}\/)?(?:vmcore-dmesg(?:-incomplete)?\.txt|dmesg\.(?:txt|\d{12}))$/,
  // pstore, and what systemd-pstore moved away: a folder for each dump.
  /^(?:sys\/fs\/pstore\/|var\/lib\/systemd\/pstore\/(?:\d+\/){1,2})?dmesg(?:-[a-z_]+-\d{1,20}(?:\.enc\.z)?|\.txt)$/,
  // sos: its dmesg is the capture's own log.
  /^sos_commands\/logs\/journalctl_--no-pager(?:_--catalog)?(?:_--boot(?:_-\d+)?)?$/,
  /^var\/log\/(?:messages|kern\.log|syslog)(?:[.-]\d{1,8}(?:-\d{1,10})?)?(?:\.(?:gz|xz|bz2|zst))?$/,
  // supportconfig.
  /^(?:boot|messages|crash)\.txt$/,
] as const;

export function isOfLogs(name: string): boolean {
  return LOGS.some((kind) => kind.test(name));
}
