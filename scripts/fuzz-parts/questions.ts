import { blockedTasks } from '../../src/account/blocked.js';
import { accountFd, accountProcess } from '../../src/account/skb.js';
import { accountAll } from '../../src/account/sockets.js';
import { blockedBlocks } from '../../src/answers/blocked/document.js';
import { describeInfo } from '../../src/answers/info/answer.js';
import { readList } from '../../src/answers/info/lists/lists.js';
import { listText } from '../../src/answers/info/lists/text.js';
import { infoText } from '../../src/answers/info/text.js';
import { processBlocks, skbBlocks } from '../../src/answers/skb/document.js';
import { socketsBlocks } from '../../src/answers/sockets/document.js';
import { socketsJson } from '../../src/answers/sockets/json.js';
import { instanceText } from '../../src/answers/struct/instance.js';
import { type Block, blockTexts } from '../../src/answers/text/blocks.js';
import { jsonOf } from '../../src/base/util.js';
import { blockedSchema } from '../../src/contracts/blocked.js';
import { infoSchema } from '../../src/contracts/info.js';
import { skbProcessSchema, skbSchema, socketsSchema } from '../../src/contracts/sockets.js';
import { instanceSchema } from '../../src/contracts/struct.js';
import { kernelIdentity } from '../../src/kernel/identity.js';
import { describeDump } from '../../src/kernel/native/image/open.js';
import type { NativeKernel } from '../../src/kernel/native/kernel.js';
import { namedTypes } from '../../src/kernel/native/named-types.js';
import { notedIn } from '../../src/kernel/native/vmcoreinfo.js';
import { InstanceReader } from '../../src/walk/values/instance.js';
import { Unknowns } from '../../src/walk/warnings.js';
import type { Answered } from './rules.js';

/** A query of a command to a kernel, with its answer in both forms. */
export interface Question {
  readonly name: string;
  /** Another answer is no fault: test/real damages what it reads word by word, and has the members without a second fact. */
  readonly lenient?: true;
  ask(kernel: NativeKernel): Answered;
}

/** Every query to a kernel, about the sockets that hold most of each kind. */
export function questionsOf(kernel: NativeKernel): Question[] {
  const questions: Question[] = [info(kernel), instance('task_struct', 'init_task')];
  const census = accountAll(kernel);
  questions.push(all(), blocked(), ...LISTS.map(listed));
  const processes = new Set<number>();
  const kinds = new Set<string>();
  for (const { socket, holders, queues } of census.sockets) {
    const held = Object.entries(queues).filter(([, queue]) => queue.skbs > 0);
    const holder = holders[0];
    if (!holder || held.length === 0) continue;
    const kind = `${socket.family} ${socket.protocol} ${held.map(([name]) => name).join(' ')}`;
    if (kinds.has(kind)) continue;
    kinds.add(kind);
    questions.push(descriptor(holder.pid, holder.fd, kind));
    if (!processes.has(holder.pid)) questions.push(process(holder.pid));
    processes.add(holder.pid);
  }
  return questions;
}

const textOf = (blocks: readonly Block[]) => blockTexts(blocks, null).join('\n\n');

const LISTS = ['modules', 'mounts', 'swap', 'shared-memory', 'run-queues'] as const;

function listed(list: (typeof LISTS)[number]): Question {
  return {
    name: `info --${list}`,
    lenient: true,
    ask(kernel) {
      const found = readList(list, kernel);
      return { kind: 'answered', text: listText(list, found, 80), json: jsonOf(found), complete: found.complete };
    },
  };
}

function blocked(): Question {
  return {
    name: 'blocked',
    lenient: true,
    ask(kernel) {
      const answer = blockedTasks(kernel, { all: true });
      const json = jsonOf(answer);
      blockedSchema.parse(json);
      const text = blockTexts(blockedBlocks(answer, { limit: 6, verbose: true }), 80).join('\n\n');
      return { kind: 'answered', text, json, complete: answer.complete };
    },
  };
}

function descriptor(pid: number, fd: number, kind: string): Question {
  return {
    name: `skb --pid ${pid} --fd ${fd} (${kind})`,
    ask(kernel) {
      const answer = accountFd(kernel, pid, fd, true);
      const json = jsonOf(answer);
      skbSchema.parse(json);
      const complete = answer.total.complete && answer.warnings.length === 0;
      return { kind: 'answered', text: textOf(skbBlocks(answer, 'vmcore')), json, complete };
    },
  };
}

function process(pid: number): Question {
  return {
    name: `skb --pid ${pid}`,
    ask(kernel) {
      const answer = accountProcess(kernel, pid);
      const json = jsonOf(answer);
      skbProcessSchema.parse(json);
      const complete = answer.total.complete && answer.warnings.length === 0;
      return { kind: 'answered', text: textOf(processBlocks(answer, 'vmcore')), json, complete };
    },
  };
}

function all(): Question {
  return {
    name: 'sockets',
    ask(kernel) {
      const answer = accountAll(kernel, { by: 'cgroup' });
      const whole = jsonOf(socketsJson(answer, answer.sockets));
      socketsSchema.parse(whole);
      // A row without a figure has a reason.
      const claims = whole.outsideQueues.filter(({ objects }) => objects !== null).map((row) => JSON.stringify(row));
      const json = { ...whole, outsideQueues: [] };
      const complete = answer.totals.complete && answer.warnings.length === 0;
      const text = textOf(socketsBlocks(answer, answer.sockets, { by: 'cgroup', limit: 1000 }));
      return { kind: 'answered', text, json, claims, complete };
    },
  };
}

function info(clean: NativeKernel): Question {
  const dump = describeDump(clean.image);
  return {
    name: 'info',
    ask(kernel) {
      const answer = describeInfo(dump, notedIn(clean.image, kernel.vmcoreinfo), new Unknowns(), kernel);
      const json = jsonOf(answer);
      infoSchema.parse(json);
      return { kind: 'answered', text: infoText(answer, null, ''), json, complete: answer.missing.length === 0 };
    },
  };
}

function instance(typeName: string, symbol: string): Question {
  return {
    name: `struct ${typeName} ${symbol}`,
    ask(kernel) {
      const [named] = namedTypes(kernel, typeName);
      const address = kernel.symbol(symbol);
      if (!named || address === undefined) throw new Error(`no ${typeName} ${symbol}`);
      const reader = new InstanceReader({ read: (at, length) => kernel.read(at, length) }, { elements: 200 });
      const value = reader.read(named.type, address);
      const { failure } = reader;
      if (failure && !reader.readable) throw failure;
      const json = jsonOf({
        schema: 'kdump-mem.struct-instance/1',
        kernel: kernelIdentity(kernel.facts),
        type: named.type.spelling,
        address,
        value,
        warnings: failure ? [{ code: 'unreadable', message: failure.message }] : [],
      });
      instanceSchema.parse(json);
      const text = instanceText(named.type, value, { hex: false });
      return { kind: 'answered', text, json, complete: failure === undefined };
    },
  };
}
