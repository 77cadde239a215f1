import { spawnSync } from 'node:child_process';
import { HostError } from '../base/errors.js';
import { searchPath } from '../base/shell.js';
import { withValues } from '../base/util.js';
import { asExhausted } from './child.js';
import { PERL, PYTHON } from './netlink/generated.js';

/**
 * Node opens no netlink socket: perl or python3 lists interfaces (rtnetlink), page pools (family `netdev`,
 * since 6.8) and rings (family `ethtool`, since 5.6) of network namespaces, and memory regions of RDMA (NETLINK_RDMA, since
 * 4.17). The script only sends requests that list: RTM_GETLINK, CTRL_CMD_GETFAMILY, NETDEV_CMD_PAGE_POOL_GET,
 * ETHTOOL_MSG_RINGS_GET; where a device is, RDMA_NLDEV_CMD_GET and RDMA_NLDEV_CMD_RES_MR_GET.
 *
 * Arguments: the number of setns(2), and paths of namespaces (`/proc/PID/ns/net`), `-` for its own. It prints lines
 * `KIND NAMESPACE ATTRIBUTE=VALUE …`: the namespace by its place, attributes by their numbers in if_link.h, netdev.h,
 * ethtool_netlink.h and rdma_netlink.h of include/uapi, names in hexadecimal. `closed N`: the namespace cannot be entered; `lacks N
 * KIND`: the kernel does not have the request. `refused N KIND`: the request failed. The last line is `end`.
 */
const DUMPS = [
  // IFLA_IFNAME, IFLA_MTU, IFLA_OPERSTATE, IFLA_NUM_RX_QUEUES.
  'link - 18 3,4,16,32',
  // NETDEV_A_PAGE_POOL_*: ID to IO_URING.
  'pool netdev 5 1,2,3,4,5,6,7,8',
  // ETHTOOL_A_RINGS_*: HEADER (its ETHTOOL_A_HEADER_DEV_INDEX), RX, RX_BUF_LEN.
  'ring ethtool 15 1,6,10',
  // RDMA_NL_NLDEV << 10 | RDMA_NLDEV_CMD_RES_MR_GET; RDMA_NLDEV_ATTR_*: RES_PID, RES_KERN_NAME (only whether), RES_MRLEN, RES_MRN.
  'region rdma 5133 28,29,45,63',
];

/** Time limit of one reply in seconds, and maximum number of messages of one request. */
const REPLY_SECONDS = 2;
const MAX_MESSAGES = 100_000;

/** What stands in netlink/list.pl and list.py between two pairs of underscores. */
const VALUES = { REPLY_SECONDS, MAX_MESSAGES, DUMPS: DUMPS.map((dump) => `'${dump}'`).join(', ') };
export const NETLINK_SCRIPTS = { perl: withValues(PERL, VALUES), python: withValues(PYTHON, VALUES) };

/** Perl starts in a fifth of the time. */
export const NETLINK_PROGRAMS = [
  ['perl', ['-e', NETLINK_SCRIPTS.perl, '--']],
  ['python3', ['-I', '-S', '-c', NETLINK_SCRIPTS.python]],
] as const;

/** Number of setns(2) (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h). */
export const SETNS = { x64: 308, arm64: 268 } as const;

/** Time limit of the program in milliseconds, and maximum bytes of its output. */
export const TIMEOUT_MS = 5000;
const MAX_BYTES = 64 * 2 ** 20;

/**
 * Lists interfaces, page pools, rings and regions, in the format above.
 *
 * @param namespaces paths; `-`: our own
 * @param programs those to try
 * @throws {HostError} `gone`: no program; `unreadable`: it failed; {@link ExhaustedError}
 */
export function askNetlink(
  namespaces: readonly string[],
  programs: (typeof NETLINK_PROGRAMS)[number][] = [...NETLINK_PROGRAMS],
): string {
  for (const [program, args] of programs) {
    const { status, stdout, error } = spawnSync(
      program,
      [...args, `${SETNS[process.arch as keyof typeof SETNS] ?? 0}`, ...namespaces],
      {
        encoding: 'latin1',
        stdio: ['ignore', 'pipe', 'ignore'],
        timeout: TIMEOUT_MS,
        killSignal: 'SIGKILL',
        maxBuffer: MAX_BYTES,
        env: { PATH: searchPath(), LC_ALL: 'C' },
        cwd: '/',
      },
    );
    const exhausted = asExhausted(program, error);
    if (exhausted) throw exhausted;
    if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') continue;
    if (status !== 0 || !stdout.endsWith('\nend\n'))
      throw new HostError(
        'unreadable',
        `page pools, rings and regions: ${program} failed (${error?.message ?? `status ${status}`})`,
      );
    return stdout;
  }
  throw new HostError('gone', 'page pools, rings of network interfaces, RDMA: needs python3 or perl');
}
