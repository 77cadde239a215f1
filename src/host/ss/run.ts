import { HostError } from '../../base/errors/host.js';
import { searchPath } from '../../base/program-path.js';
import { asExhausted, endGroup, startGroup } from '../child.js';
import type { OnBytes } from '../host-source.js';

/**
 * What an older ss refuses and skcheck can do without: `-O` (iproute2 5.2; without it details follow on
 * lines of their own), `-H` (4.10; a heading then), and tables of `-A` that it does not know, such as mptcp
 * (5.6), vsock_stream (4.15) and sctp (4.18). Learned from its own answers, never from its version.
 */
export class Refusals {
  readonly #options = new Set<string>();
  readonly #tables = new Set<string>();

  /** The arguments without what was refused; null when no table is left to ask for. */
  without(args: readonly string[]): string[] | null {
    const left: string[] = [];
    for (const [index, arg] of args.entries()) {
      if (this.#options.has(arg)) continue;
      const tables = args[index - 1] === '-A' ? this.#known(arg) : [arg];
      if (tables.length === 0) return null;
      left.push(tables.join(','));
    }
    return left;
  }

  /** The tables among the arguments that were refused. */
  tablesOf(args: readonly string[]): string[] {
    const tables = args[args.indexOf('-A') + 1] ?? '';
    return args.includes('-A') ? tables.split(',').filter((each) => this.#tables.has(each)) : [];
  }

  /** Learns from a complaint of ss run with these arguments. True: try without what it names. */
  learn(complaint: string, args: readonly string[]): boolean {
    const option = OPTION.exec(complaint)?.[1];
    if (option !== undefined && DISPENSABLE.has(`-${option}`) && args.includes(`-${option}`)) {
      this.#options.add(`-${option}`);
      return true;
    }
    const table = TABLE.exec(complaint)?.[1];
    const asked = args[args.indexOf('-A') + 1]?.split(',') ?? [];
    if (table === undefined || !args.includes('-A') || !asked.includes(table)) return false;
    this.#tables.add(table);
    return true;
  }

  #known(tables: string): string[] {
    return tables.split(',').filter((each) => !this.#tables.has(each));
  }
}

const DISPENSABLE: ReadonlySet<string> = new Set(['-O', '-H']);

/** getopt_long of glibc, and of musl. */
const OPTION = /^\S+: (?:invalid option -- '|unrecognized option: )(\w)/;
/** The parsing of `-A` in misc/ss.c. */
const TABLE = /^ss: "(\w+)" is illegal socket table id/;

/** How long one `ss` may take: a quarter of a million sockets take it some seconds. */
const TIMEOUT_MS = 60_000;
/** 1 GiB: more than a million TCP sockets with all their details. */
const MAX_BYTES = 1024 ** 3;
const MAX_COMPLAINT = 2000;
const USAGE = 'Usage:';

/** What the ss of this host refused: it is asked for it once. */
const refusals = new Refusals();

/**
 * Runs `ss`, without what it refuses. Resolves to the tables asked for that it does not know.
 * `netns`: the namespace to enter first, by nsenter(1), which needs CAP_SYS_ADMIN.
 */
export async function runSs(
  args: readonly string[],
  netns: string | null,
  onBytes: OnBytes,
): Promise<readonly string[]> {
  for (;;) {
    const understood = refusals.without(args);
    if (understood === null) return refusals.tablesOf(args);
    const outcome = await runOnce(understood, netns, onBytes, (complaint) =>
      refusals.learn(complaint, understood),
    );
    if (outcome === 'answered') return refusals.tablesOf(args);
  }
}

/**
 * Runs `ss` and hands on what it prints as it comes; nothing of it is kept. Through node's own
 * `spawn`: the output must not be collected, and execa's import takes as long as a run of ss.
 * `isRefusal` is told of its complaint when it failed before it printed anything.
 */
async function runOnce(
  args: readonly string[],
  netns: string | null,
  onBytes: OnBytes,
  isRefusal: (complaint: string) => boolean,
): Promise<'answered' | 'refused'> {
  const [command, all] =
    netns === null ? ['ss', args] : ['nsenter', [`--net=${netns}`, '--', 'ss', ...args]];
  const child = startGroup(command, all, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // ss often lies in a directory that only root has in its PATH.
    env: { ...process.env, LC_ALL: 'C', PATH: searchPath() },
  });
  let taken = 0;
  let usage = false;
  let complaint = '';
  let timer: NodeJS.Timeout | undefined;
  child.stderr?.on('data', (bytes: Buffer) => {
    if (complaint.length < MAX_COMPLAINT) complaint += bytes.toString('utf8');
  });
  try {
    return await new Promise<'answered' | 'refused'>((resolve, reject) => {
      // What does not end even so is not waited for.
      const end = (error: unknown) => {
        reject(error);
        endGroup(child);
      };
      timer = setTimeout(
        () => end(new HostError('ss-hung', `ss did not answer within ${TIMEOUT_MS / 1000} s`)),
        TIMEOUT_MS,
      );
      child.stdout?.on('data', (bytes: Buffer) => {
        // Old ones explain themselves on stdout, and with status 0.
        usage ||= taken === 0 && bytes.toString('latin1', 0, USAGE.length) === USAGE;
        taken += bytes.length;
        if (usage) return;
        if (taken > MAX_BYTES)
          return end(new HostError('ss-too-much', 'ss printed more than 1 GiB'));
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
        else if ((taken === 0 || usage) && isRefusal(complaint)) resolve('refused');
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

function failure(
  status: number | null,
  signal: string | null,
  complaint: string,
  netns: string | null,
): HostError {
  const said = (complaint.trim().split('\n')[0] ?? '').slice(0, 200);
  if (netns !== null && /^nsenter: .*No such file/.test(said))
    return said.includes('execute')
      ? missing('ss')
      : new HostError('gone', `network namespace ${netns} does not exist`);
  if (netns !== null && said.startsWith('nsenter:'))
    return new HostError('netns-closed', `${netns} cannot be entered: ${said}`);
  const how = status === null ? `(${signal ?? 'unknown'})` : `with status ${status}`;
  return new HostError('ss-failed', `ss failed ${how}${said && `: ${said}`}`);
}
