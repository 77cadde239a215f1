import { accountFd, accountProcess } from '../../../src/account/skb.js';
import { accountAll } from '../../../src/account/sockets.js';
import { socketsJson } from '../../../src/answers/sockets/json.js';
import { jsonOf } from '../../../src/base/util.js';
import type { Kernel } from '../../../src/kernel/kernel.js';

/** An answer, and whether it reports that anything is missing. */
export interface Said {
  readonly json: unknown;
  readonly complete: boolean;
}

/** The JSON answer of a command, without prose. */
export interface Command {
  readonly name: string;
  ask(kernel: Kernel): Said | Promise<Said>;
}

/** `sockets` with its memory breakdown and its processes, and `skb` for one process per kind of queue. */
export function commandsOf(kernel: Kernel): Command[] {
  const census = accountAll(kernel);
  const commands: Command[] = [sockets()];
  const kinds = new Set<string>();
  const pids = new Set<number>();
  for (const { socket, holders, queues } of census.sockets) {
    const [holder] = holders;
    if (!holder) continue;
    const held = Object.entries(queues).filter(([, queue]) => queue.skbs > 0);
    const kind = `${socket.family} ${socket.protocol} ${held.map(([name]) => name).join(' ')}`;
    if (held.length === 0 || kinds.has(kind)) continue;
    kinds.add(kind);
    commands.push(descriptor(holder.pid, holder.fd));
    if (!pids.has(holder.pid)) commands.push(process(holder.pid));
    pids.add(holder.pid);
  }
  return commands;
}

function sockets(): Command {
  return {
    name: 'sockets',
    ask(kernel) {
      const answer = accountAll(kernel, { by: 'process' });
      const { groups, outsideQueues, ...json } = jsonOf(socketsJson(answer, answer.sockets));
      const processes = groups?.map(({ key, ...group }) => {
        const [pid, ...comm] = key.split(' ');
        return { ...group, pid, comm: comm.join(' ') };
      });
      return {
        json: { ...json, processes, ledger: outsideQueues },
        complete: answer.complete && answer.warnings.length === 0,
      };
    },
  };
}

function process(pid: number): Command {
  return {
    name: `skb --pid ${pid}`,
    ask(kernel) {
      const answer = accountProcess(kernel, pid);
      const complete = answer.total.complete && answer.warnings.length === 0;
      return { json: jsonOf(answer), complete };
    },
  };
}

function descriptor(pid: number, fd: number): Command {
  return {
    name: `skb --pid ${pid} --fd ${fd}`,
    ask(kernel) {
      const answer = accountFd(kernel, pid, fd, true);
      const complete = answer.total.complete && answer.warnings.length === 0;
      return { json: jsonOf(answer), complete };
    },
  };
}
