import { withValues } from '../../base/util.js';
import { NETLINK_SCRIPTS, SETNS, TIMEOUT_MS } from '../../host/netlink.js';
import { DEVICE_LINKS } from '../../host/proc/graphics.js';
import { MAX_ENTERED } from '../../host/proc/interfaces.js';
import { MAX_NAMESPACES as MAX_QUEUE_NAMESPACES, MAX_QUEUES } from '../../host/proc/message-queues.js';
import { PERF_LINES, PERF_LINK } from '../../host/proc/rings.js';
import { DETACHED_BYTES, LOCAL, MAX_CAPTURED, MAX_NAMESPACES, MIN_BYTES } from '../../host/proc/shared-files.js';
import { URING_LINES, URING_LINK } from '../../host/proc/uring-buffers.js';
import { RARE_TABLES } from '../../host/unlisted-sockets.js';
import { LARGE_BYTES } from '../../records/pss.js';
import { NEVER_TAKEN, SCRIPT_PARTS, SECRET_PARTS } from '../../records/snapshot-parts.js';
import { COMMAND_LINE_SED } from './command-line.js';
import {
  CGROUP_FILES,
  CGROUP_ROOT,
  HOST_FILES,
  HOST_PATTERNS,
  LAST_PROCESS_FILES,
  LAYOUT_VERSION,
  LEFT_OUT_NAME,
  MAX_BYTES,
  MAX_CGROUPS,
  MAX_ERRORS,
  MAX_PROCESS_BYTES,
  NAMESPACES,
  OWN_NAMESPACES,
  PROCESS_FILES,
  SAMPLED_FILES,
  SLAB_ATTRIBUTES,
  SYSV_QUEUES,
  THREAD_STATUS,
  TOP_DIRECTORY,
  WAIT_FILES,
  WITH_ARGUMENTS,
} from './contents.js';
import { SCRIPT } from './script/generated.js';

/** Maximum number of descriptors, and of files in tmpfs mounts: stat, sed and sort take about 1 s for so many. */
const MAX_FILES = 20_000;
/** Time limit for names, each of which needs a process. Seconds. */
const MAX_SECONDS = 2;

/** Maximum number of processes whose mappings are read. */
const MAX_SHARING = 64;

/** Sorts behind each pid: a file that no process has open; with a further 0 and a pid: one that is only mapped. */
const NO_PID = '9999999999';

/** Formats a list for `for`, one item per line. */
const list = (paths: readonly string[]): string => paths.join(' \\\n  ');

/** Names of files of all processes. */
const ofEach = (files: readonly string[]): string => files.map((name) => `$(each ${name})`).join(' ');

/** A pattern of sed for the beginning of links. */
const pattern = (links: readonly string[]): string =>
  links.map((start) => start.replaceAll(/[/[\]]/g, '\\$&')).join('\\|');

/** What stands in snapshot.sh between two pairs of underscores. */
const VALUES: Readonly<Record<string, string | number>> = {
  CGROUP_FILES: CGROUP_FILES.map((name) => `g;s/$/${name}/p`).join('\n'),
  CGROUP_ROOT,
  DETACHED_BYTES,
  DEVICE_LINKS: DEVICE_LINKS.map((start) => `' -> ${start}'`).join(' '),
  DEVICE_PATTERN: pattern(DEVICE_LINKS.filter((link) => link !== URING_LINK && link !== PERF_LINK)),
  PERF_LINES,
  PERF_PATTERN: pattern([PERF_LINK]),
  URING_PATTERN: pattern([URING_LINK]),
  URING_LINES,
  HOST_FILES: list(HOST_FILES),
  HOST_PATTERNS: list(HOST_PATTERNS),
  LARGE_KILOBYTES: LARGE_BYTES / 1024,
  LAYOUT_VERSION,
  LEFT_OUT_NAME,
  LOCAL: [...LOCAL].join('|'),
  MAX_BYTES,
  MAX_CAPTURED,
  MAX_CGROUPS,
  MAX_ERRORS,
  MAX_FILES,
  MAX_ENTERED,
  MAX_NAMESPACES,
  MAX_PROCESS_BYTES,
  MAX_QUEUE_NAMESPACES,
  MAX_QUEUES,
  MAX_SECONDS,
  MAX_SHARING,
  MIN_BLOCKS: MIN_BYTES / 512,
  MIN_BYTES,
  NAMESPACE_LINKS: NAMESPACES.map((name) => `/proc/[0-9]*/ns/${name}`).join(' '),
  NAMESPACE_NAMES: NAMESPACES.map((name) => `${name}:\\[`).join('\\|'),
  NETLINK_PERL: NETLINK_SCRIPTS.perl.trimEnd(),
  NETLINK_PYTHON: NETLINK_SCRIPTS.python.trimEnd(),
  NETLINK_SECONDS: TIMEOUT_MS / 1000,
  NEVER_TAKEN: NEVER_TAKEN.join(' '),
  NO_PID,
  OWN_NAMESPACES: OWN_NAMESPACES.join(' '),
  PARTS: SCRIPT_PARTS.join(' '),
  PART_PATTERN: SCRIPT_PARTS.join(' | '),
  LAST_PROCESS_FILES: ofEach(LAST_PROCESS_FILES),
  PROCESS_FILES: ofEach(PROCESS_FILES),
  RARE_TABLES,
  SAMPLED_FILES: SAMPLED_FILES.join(' '),
  SECRET_PARTS: SECRET_PARTS.join(' '),
  SETNS_ARM64: SETNS.arm64,
  SETNS_X64: SETNS.x64,
  SLAB_ATTRIBUTES: SLAB_ATTRIBUTES.map((name) => `/sys/kernel/slab/*/${name}`).join(' '),
  SYSV_QUEUES,
  THREAD_STATUS: THREAD_STATUS.source,
  TOO_MANY_FILES: MAX_FILES + 1,
  TOP_DIRECTORY,
  WAIT_FILES: WAIT_FILES.map((name) => `${name}/p;s/${name}$/`).join(''),
  WITHOUT_COMMAND_LINE: COMMAND_LINE_SED.map((command) => `-e '${command}'`).join(' '),
  WITH_ARGUMENTS: WITH_ARGUMENTS.join(' '),
};

/**
 * The collector in POSIX sh, with tar, cat, ls, grep, sed, find, xargs, cksum, tr, cut, head, wc, sort,
 * mkdir, mktemp, sleep, gzip; `ss`, and `nsenter` or `ip`, `dd`, `dmesg`, `stat`, `renice`, `ionice` if
 * available. For hosts without Node, and for `skcheck --capture`. contents.ts lists what it reads, and
 * docs/internals/snapshot.md describes the archive. It modifies nothing.
 *
 * It writes a complete archive or exits with status 3 and one line; 2 for an invalid command line. The
 * last member of the archive, `manifest`, lists all others with the output of cksum; see manifest.ts.
 */
export const CAPTURE_SCRIPT = withValues(SCRIPT, VALUES);
