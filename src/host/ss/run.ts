import { HostError } from '../../base/errors.js';
import { searchPath } from '../../base/shell.js';
import { asExhausted, endGroup, startGroup } from '../child.js';
import type { OnBytes } from '../host-source.js';

/**
 * Options that an older ss rejects and skcheck can do without: `-O` (iproute2 5.2; without it details follow
 * on separate lines), `-H` (4.10; without it there is a heading), and unknown tables of `-A`, such as mptcp
 * (5.6), vsock_stream (4.15) and sctp (4.18). Learned from its error messages, never from its version.
 */
export class RejectedOptions {
  readonly #options = new Set<string>();
  readonly #tables = new Set<string>();

  /** Returns the arguments without rejected ones; null if no table is left. */
  without(args: readonly string[]): string[] | null {
    const incomplete: string[] = [];
    for (const [index, arg] of args.entries()) {
      if (this.#options.has(arg)) continue;
      const tables = args[index - 1] === '-A' ? this.#known(arg) : [arg];
      if (tables.length === 0) return null;
      incomplete.push(tables.join(','));
    }
    return incomplete;
  }

  /** The rejected tables among the arguments. */
  tablesOf(args: readonly string[]): string[] {
    const tables = args[args.indexOf('-A') + 1] ?? '';
    return args.includes('-A') ? tables.split(',').filter((table) => this.#tables.has(table)) : [];
  }

  /** Learns from an error message of ss run with these arguments. True: retry without what it names. */
  learn(complaint: string, args: readonly string[]): boolean {
    const option = OPTION.exec(complaint)?.[1];
    if (option !== undefined && OPTIONAL_FLAGS.has(`-${option}`) && args.includes(`-${option}`)) {
      this.#options.add(`-${option}`);
      return true;
    }
    const table = TABLE.exec(complaint)?.[1];
    const requested = args[args.indexOf('-A') + 1]?.split(',') ?? [];
    if (table === undefined || !args.includes('-A') || !requested.includes(table)) return false;
    this.#tables.add(table);
    return true;
  }

  #known(tables: string): string[] {
    return tables.split(',').filter((table) => !this.#tables.has(table));
  }
}

const OPTIONAL_FLAGS: ReadonlySet<string> = new Set(['-O', '-H']);

/** getopt_long of glibc, and of musl. */
const OPTION = /^\S+: (?:invalid option -- '|unrecognized option: )(\w)/;
/** Parsing of `-A` in misc/ss.c. */
const TABLE = /^ss: "(\w+)" is illegal socket table id/;

/** Time limit of one `ss`: a quarter of a million sockets take some seconds. */
const TIMEOUT_MS = 60_000;
/** 1 GiB: more than a million TCP sockets with all their details. */
const MAX_BYTES = 1024 ** 3;
const MAX_COMPLAINT = 2000;
const USAGE = 'Usage:';

/** Options that this host's ss rejects: each is tried only once. */
const rejected = new RejectedOptions();

/**
 * Runs `ss` without rejected options. Resolves to the requested tables that it does not support.
 * `netns`: the namespace to enter first, by nsenter(1), which requires CAP_SYS_ADMIN.
 */
export async function runSs(
  args: readonly string[],
  netns: string | null,
  onBytes: OnBytes,
): Promise<readonly string[]> {
  for (;;) {
    const understood = rejected.without(args);
    if (understood === null) return rejected.tablesOf(args);
    const outcome = await runOnce(understood, netns, onBytes, (complaint) => rejected.learn(complaint, understood));
    if (outcome === 'answered') return rejected.tablesOf(args);
  }
}

/**
 * Runs `ss` and passes its output on in pieces, without storing it. Uses node's `spawn`: the output
 * must not be buffered, and importing execa takes as long as a run of ss. `isRefusal` receives its
 * error message if it failed without output.
 */
async function runOnce(
  args: readonly string[],
  netns: string | null,
  onBytes: OnBytes,
  isRefusal: (complaint: string) => boolean,
): Promise<'answered' | 'refused'> {
  const [command, all] = netns === null ? ['ss', args] : ['nsenter', [`--net=${netns}`, '--', 'ss', ...args]];
  const child = startGroup(command, all, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // ss is often in a directory that is only in root's PATH.
    env: { ...process.env, LC_ALL: 'C', PATH: searchPath() },
  });
  let received = 0;
  let usage = false;
  let complaint = '';
  let timer: NodeJS.Timeout | undefined;
  child.stderr?.on('data', (bytes: Buffer) => {
    if (complaint.length < MAX_COMPLAINT) complaint += bytes.toString('utf8');
  });
  try {
    return await new Promise<'answered' | 'refused'>((resolve, reject) => {
      // Does not wait for a process that survives even that.
      const end = (error: unknown) => {
        reject(error);
        endGroup(child);
      };
      timer = setTimeout(
        () => end(new HostError('ss-hung', `ss did not answer within ${TIMEOUT_MS / 1000} s`)),
        TIMEOUT_MS,
      );
      child.stdout?.on('data', (bytes: Buffer) => {
        // Old versions print their usage to stdout, with status 0.
        usage ||= received === 0 && bytes.toString('latin1', 0, USAGE.length) === USAGE;
        received += bytes.length;
        if (usage) return;
        if (received > MAX_BYTES) return end(new HostError('ss-too-much', 'ss printed more than 1 GiB'));
        try {
          onBytes(bytes);
        } catch (error) {
          end(error);
        }
      });
      child.on('error', (cause: NodeJS.ErrnoException) =>
        reject(
          cause.code === 'ENOENT'
            ? missing(command)
            : (asExhausted(command, cause) ??
                new HostError('ss-failed', `ss failed (${cause.code ?? 'unknown'})`, { cause })),
        ),
      );
      child.on('close', (status, signal) => {
        if (status === 0 && !usage) resolve('answered');
        else if ((received === 0 || usage) && isRefusal(complaint)) resolve('refused');
        else reject(failure(status, signal, complaint, netns));
      });
    });
  } finally {
    clearTimeout(timer);
  }
}

function missing(command: string): HostError {
  return command === 'ss'
    ? new HostError('ss-missing', 'ss is not installed (no such command in PATH)')
    : new HostError('netns-closed', 'nsenter (util-linux) is not installed');
}

function failure(status: number | null, signal: string | null, complaint: string, netns: string | null): HostError {
  const message = (complaint.trim().split('\n')[0] ?? '').slice(0, 200);
  if (netns !== null && /^nsenter: .*No such file/.test(message))
    return message.includes('execute')
      ? missing('ss')
      : new HostError('gone', `network namespace ${netns} does not exist`);
  if (netns !== null && message.startsWith('nsenter:'))
    return new HostError('netns-closed', `${netns} cannot be entered: ${message}`);
  const how = status === null ? `(${signal ?? 'unknown'})` : `with status ${status}`;
  return new HostError('ss-failed', `ss failed ${how}${message && `: ${message}`}`);
}
