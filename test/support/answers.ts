import { accountProcess } from '../../src/account/skb.js';
import { accountAll } from '../../src/account/sockets.js';
import { KdumpMemError } from '../../src/base/errors.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { TaskReader } from '../../src/walk/tasks/tasks.js';

/** All answers about the sockets of a kernel, as text: of each process, and the census. */
export function answers(kernel: Kernel): { processes: string[]; census: string } {
  const { engine: _, ...facts } = kernel.facts;
  const processes = [...new TaskReader(kernel).processes()].map(({ pid }) => {
    return text(() => ({ ...accountProcess(kernel, pid), kernel: facts }));
  });
  const census = () => ({ ...accountAll(kernel, { by: 'cgroup' }), kernel: facts });
  return { processes, census: text(census) };
}

function text(answer: () => unknown): string {
  let value: unknown;
  try {
    value = answer();
  } catch (error) {
    if (!(error instanceof KdumpMemError)) throw error;
    value = { code: error.code };
  }
  return JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? `0x${one.toString(16)}` : one));
}
