import type { NamedFrame, StackGroup, StacksAnswer } from '../../account/task-stacks.js';
import { hex } from '../../base/hex.js';
import { kernelJson } from '../kernel-json.js';
import type { TaskStacksJson } from './schema.js';

export function taskStacksJson({
  kernel,
  groups,
  tasks,
  complete,
  warnings,
}: StacksAnswer): TaskStacksJson {
  return {
    schema: 'kdump-mem.task-stacks/1',
    kernel: kernelJson(kernel),
    stacks: groups.map(groupJson),
    tasks,
    complete,
    warnings: [...warnings],
  };
}

function groupJson({
  tasks,
  frames,
  end,
  why,
  stop,
}: StackGroup): TaskStacksJson['stacks'][number] {
  return {
    tasks: tasks.map(({ pid, process, comm, state, cpu, registers }) => ({
      pid,
      process,
      comm,
      state,
      cpu: cpu ?? null,
      registers: registers ?? null,
    })),
    frames: frames.map(frameJson),
    end,
    why: why ?? null,
    ...stopJson(stop),
  };
}

/** Of `why`, for programs. */
export function stopJson(stop: StackGroup['stop']) {
  return { code: stop?.code ?? null, at: stop?.at === undefined ? null : hex(stop.at) };
}

/** A frame, as every answer with stacks has it. */
export function frameJson({
  address,
  symbol,
  interrupted,
  guess,
}: NamedFrame): TaskStacksJson['stacks'][number]['frames'][number] {
  return {
    address: hex(address),
    symbol: symbol?.name ?? null,
    offset: symbol?.offset ?? null,
    module: symbol?.module ?? null,
    interrupted,
    guess,
  };
}
