import type { CensusEntry, Grouping } from '../../account/census-entry.js';
import { portsOf } from '../../account/ports.js';
import type { CensusAnswer } from '../../account/sockets.js';
import { formatJson } from '../../base/json.js';
import { type AnswerOptions, answer, streamAnswer } from '../kit/answer.js';
import { UsageError } from '../kit/failure.js';
import { sourceWords } from '../kit/kernel-source.js';
import { Progress } from '../kit/terminal.js';

/** Options of `kdump-mem sockets`. */
export interface SocketsOptions extends AnswerOptions {
  readonly by?: Grouping;
  readonly minBytes: number;
  readonly pid?: number;
  readonly netns?: number;
  readonly state?: string;
  readonly port?: number;
  readonly limit?: number;
  readonly all?: true;
  readonly verbose?: true;
  readonly ndjson?: true;
}

/** Prints all sockets once all are known, largest first. */
export async function answerSockets(options: SocketsOptions): Promise<void> {
  const [
    { checkTargets: checkThere },
    { accountAll },
    { kernelOrigin },
    { socketsJson },
    { socketsText },
  ] = await Promise.all([
    import('../../walk/targets.js'),
    import('../../account/sockets.js'),
    import('../../walk/machine/origin.js'),
    import('../../answers/sockets/json.js'),
    import('../../answers/sockets/text.js'),
  ]);
  const { by, verbose, pid, netns, state, port } = options;
  const limit = limitOf(options);
  const listed = (found: CensusAnswer) => found.sockets.filter((one) => isListed(one, options));
  const select = [pid, netns, state, port].some((value) => value !== undefined)
    ? (entry: CensusEntry) => matches(entry, options)
    : undefined;
  await answer(options, {
    doing: SEARCH,
    ask: (kernel, progress) => {
      checkThere(kernel, options);
      return { ...accountAll(kernel, { by, select, progress }), origin: kernelOrigin(kernel) };
    },
    toJson: (found) => socketsJson(found, listed(found), limit),
    toText: (found, width) => {
      const source = sourceWords(options);
      return socketsText(found, listed(found), { by, limit, verbose, width, source });
    },
  });
}

const SEARCH = 'scanning for sockets';

/** Prints each socket as a line of JSON when it is found. */
export async function streamSockets(options: SocketsOptions): Promise<void> {
  const [{ checkTargets: checkThere }, { accountEach }, { kernelOrigin }, words] =
    await Promise.all([
      import('../../walk/targets.js'),
      import('../../account/sockets.js'),
      import('../../walk/machine/origin.js'),
      import('../../answers/sockets/json.js'),
    ]);
  if (options.engine === 'verify') {
    throw new UsageError('--ndjson: not supported with --engine verify; use --json');
  }
  const limit = limitOf(options);
  const search = new Progress();
  await streamAnswer(options, function* (kernel) {
    checkThere(kernel, options);
    const entries = accountEach(kernel, search.of(SEARCH));
    let [listed, omitted] = [0, 0];
    try {
      for (;;) {
        const { done, value } = entries.next();
        search.clear();
        if (done) {
          const whole = { ...value, origin: kernelOrigin(kernel) };
          yield `${formatJson(words.socketsEnd(whole, listed, omitted))}\n`;
          return value.complete;
        }
        if (!isListed(value, options)) continue;
        if (listed >= limit) {
          omitted++;
          continue;
        }
        listed++;
        yield `${formatJson(words.socketLine(value))}\n`;
      }
    } finally {
      search.clear();
    }
  });
}

function limitOf({ limit, all, json, ndjson }: SocketsOptions): number {
  return limit ?? (all || json || ndjson ? Number.POSITIVE_INFINITY : 20);
}

function isListed(entry: CensusEntry, options: SocketsOptions): boolean {
  return isBigEnough(entry, options) && matches(entry, options);
}

function isBigEnough({ total }: CensusEntry, { all, minBytes }: SocketsOptions): boolean {
  return all === true || !total.complete || total.pinnedBytes >= minBytes;
}

function matches(entry: CensusEntry, options: SocketsOptions): boolean {
  const { socket, holders, mappedBy, connectionHolders } = entry;
  const { pid, netns, state, port } = options;
  const owners = [...holders, ...mappedBy, ...connectionHolders];
  if (pid !== undefined && !owners.some((owner) => owner.pid === pid)) return false;
  if (netns !== undefined && socket.netns !== netns) return false;
  if (state !== undefined && socket.state !== state) return false;
  const { local, peer } = portsOf(socket);
  return port === undefined || [local, peer].includes(String(port));
}
