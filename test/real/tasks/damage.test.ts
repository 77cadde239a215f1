import { afterAll, describe, expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { kernelProcesses } from '../../../src/account/processes/kernel.js';
import { accountFd, accountProcess } from '../../../src/account/skb.js';
import { accountAll } from '../../../src/account/sockets.js';
import { groupedStacks } from '../../../src/account/task-stacks.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { triage } from '../../../src/triage/triage.js';
import { taskTable } from '../../../src/walk/tasks/task-table.js';
import type { Task } from '../../../src/walk/tasks/tasks.js';
import { damagedKernel, type Patch } from '../../support/damaged-kernel.js';
import { labDump, ofRun } from '../../support/lab.js';
import { littleEndian } from '../../support/little-endian.js';

describe.each(ofRun(['6.1', '6.12'] as const))('a damaged task of %s', (version) => {
  const kernel = openNative({ files: [labDump(version).elf] });
  afterAll(() => kernel.close());

  const member = (type: string, path: string) => {
    const found = kernel.struct(type)?.member(path);
    if (!found) throw new Error(`struct ${type} has no ${path}`);
    return found;
  };
  const at = (object: bigint, path: string, type = 'task_struct') => object + BigInt(member(type, path).offset);
  const pointer = (address: bigint) => kernel.read(address, 8).getBigUint64(0, true);
  const number = (address: bigint) => kernel.read(address, 4).getUint32(0, true);
  const word = (address: bigint, value: bigint, length = 8): Patch => ({
    address,
    bytes: littleEndian(value, length),
  });
  const set = (object: bigint, path: string, value: bigint, type = 'task_struct') =>
    word(at(object, path, type), value, member(type, path).size);
  const flip = (object: bigint, path: string, bit: bigint, type = 'task_struct') => {
    const address = at(object, path, type);
    const length = member(type, path).size;
    return word(address, (length === 8 ? pointer(address) : BigInt(number(address))) ^ bit, length);
  };

  const sound = taskTable(kernel);
  const census = accountAll(kernel);
  /** The process whose sockets pin most, all of them by its own descriptors. */
  const [culprit, bystander] = (() => {
    const holders = census.sockets.flatMap(({ holders }) => (holders.length === 1 ? holders : []));
    const pids = [...new Set(holders.map(({ pid }) => pid))].slice(0, 2);
    return pids.map((pid) => sound.processes.find((task) => task.pid === pid)!) as [Task, Task];
  })();
  const kernelThread = sound.processes.find(({ pid, kernelThread }) => kernelThread && pid > 10)!;
  const [slot] = census.sockets.flatMap(({ holders }) => holders.filter(({ pid }) => pid === culprit.pid));

  const COMMANDS = {
    sockets: accountAll,
    procs: (kernel) => kernelProcesses(kernel),
    stacks: (kernel) => groupedStacks(kernel, {}),
    memory: (kernel) => accountMemory(kernel, undefined, {}),
    triage: (kernel) => triage(kernel),
    skb: (kernel) => {
      const { total, warnings } = accountProcess(kernel, bystander.pid);
      return { complete: total.complete, warnings };
    },
  } as const satisfies Record<
    string,
    (damagedCopy: typeof kernel) => { complete: boolean; warnings: readonly { message: string }[] }
  >;
  const damaged = (...patches: Patch[]) => damagedKernel(kernel, { patches, denials: [] });
  /** Expects every command to be incomplete, and to name the two facts. */
  const expectReported = (facts: RegExp, ...patches: Patch[]) => {
    const damagedCopy = damaged(...patches);
    for (const [command, ask] of Object.entries(COMMANDS)) {
      const { complete, warnings } = ask(damagedCopy);
      expect([command, complete]).toEqual([command, false]);
      expect(`${command}: ${warnings.map(({ message }) => message).join('\n')}`).toMatch(facts);
    }
    return damagedCopy;
  };
  /** Expects the culprit and its sockets to be found. */
  const expectFound = (damagedCopy: typeof kernel) => {
    const holders = (answer: ReturnType<typeof accountAll>) =>
      answer.sockets.map(({ socket, holders }) => [socket.sock, holders]);
    expect(holders(accountAll(damagedCopy))).toEqual(holders(census));
    const own = ({ processes }: ReturnType<typeof kernelProcesses>) =>
      processes.filter(({ pid }) => pid === culprit.pid).map(({ rss, network }) => [rss, network]);
    expect(own(kernelProcesses(damagedCopy))).toEqual(own(kernelProcesses(kernel)));
  };

  test('undamaged, no command reports a fault', () => {
    expect([sound.faults, sound.lost]).toEqual([[], undefined]);
    for (const [command, ask] of Object.entries(COMMANDS)) {
      const { complete, warnings } = ask(kernel);
      expect([command, complete, warnings]).toEqual([command, true, []]);
    }
  });

  test('PF_KTHREAD set in a process', () => {
    const damagedCopy = expectReported(
      new RegExp(`flags make pid ${culprit.pid} a kernel thread, but its real_parent, pid`),
      flip(culprit.address, 'flags', 0x20_0000n),
    );
    expectFound(damagedCopy);
  });

  test('PF_KTHREAD cleared in a kernel thread', () => {
    const damagedCopy = expectReported(
      new RegExp(`flags make pid ${kernelThread.pid} a user process, but it has no task_struct.mm`),
      flip(kernelThread.address, 'flags', 0x20_0000n),
    );
    expect(kernelProcesses(damagedCopy).kernelThreads).toBe(kernelProcesses(kernel).kernelThreads);
  });

  test.each([
    ['is 0', () => 0n],
    ['of another process', () => pointer(at(bystander.address, 'mm'))],
    ['off by a bit', () => pointer(at(culprit.address, 'mm')) ^ 0x1000n],
  ])('task_struct.mm %s', (_, value) => {
    const damagedCopy = expectReported(
      new RegExp(`task_struct.mm of pid ${culprit.pid} is .*, but its active_mm is 0x`),
      set(culprit.address, 'mm', value()),
    );
    expectFound(damagedCopy);
  });

  test('mm and active_mm of another process', () => {
    const mm = pointer(at(bystander.address, 'mm'));
    expectReported(
      /mm_struct.mm_users at 0x\w+ is 1, but 2 tasks use it/,
      set(culprit.address, 'mm', mm),
      set(culprit.address, 'active_mm', mm),
    );
  });

  test('task_struct.files of another process', () => {
    expectReported(
      /files_struct.count at 0x\w+ is 1, but 2 tasks use it/,
      set(culprit.address, 'files', bystander.files),
    );
  });

  test('no task_struct.files', () => {
    expectReported(
      new RegExp(`pid ${culprit.pid} has no task_struct.files, but is not exiting`),
      set(culprit.address, 'files', 0n),
    );
  });

  /** Its own descriptor table; or one that grew beyond its files_struct. */
  const table = (isGrown: boolean) => {
    const inside = BigInt(member('files_struct', 'fdtab').offset);
    for (const { files, kernelThread } of sound.processes) {
      const fdt = kernelThread || files === 0n ? 0n : pointer(at(files, 'fdt', 'files_struct'));
      if (fdt !== 0n && (fdt !== files + inside) === isGrown) return fdt;
    }
    throw new Error('no process has such a table');
  };

  test.each([
    ...[6n, 10n, 12n, 13n, 20n].map((bit) => ['fd', 1n << bit] as const),
    ...[3n, 6n, 12n].map((bit) => ['open_fds', 1n << bit] as const),
    ...[6n, 8n, 12n].map((bit) => ['max_fds', 1n << bit] as const),
  ])('fdtable.%s off by %i', (path, bit) => {
    for (const isGrown of [false, true]) {
      const { complete } = accountAll(damaged(flip(table(isGrown), path, bit, 'fdtable')));
      expect([isGrown, complete]).toEqual([isGrown, false]);
    }
  });

  test('the fdtable of another process', () => {
    expectReported(
      /files_structs 0x\w+ and 0x\w+ share the fdtable/,
      set(culprit.files, 'fdt', table(true), 'files_struct'),
    );
  });

  test('a task unlinked from the task list', () => {
    const links = at(culprit.address, 'tasks');
    const [next, previous] = [pointer(links), pointer(links + 8n)];
    const damagedCopy = expectReported(
      new RegExp(`pid table .*task list .*are inconsistent: only the first contains pid ${culprit.pid}$`, 'm'),
      word(previous, next),
      word(next + 8n, previous),
    );
    expectFound(damagedCopy);
  });

  test('the task list closed after pid 1', () => {
    const init = at(kernel.symbol('init_task')!, 'tasks');
    const first = at(sound.processes[0]!.address, 'tasks');
    const damagedCopy = expectReported(
      /pid table .*task list .*are inconsistent/,
      word(first, init),
      word(init + 8n, first),
    );
    expectFound(damagedCopy);
    expect(taskTable(damagedCopy).processes).toHaveLength(sound.processes.length);
  });

  test('the task list torn in one place', () => {
    const damagedCopy = expectReported(/is inconsistent/, set(culprit.address, 'tasks.prev', 0n));
    expectFound(damagedCopy);
  });

  test('a struct pid missing from the table', () => {
    const pid = pointer(at(culprit.address, 'thread_pid'));
    expectReported(
      new RegExp(`task list .*pid table .*are inconsistent: only the first contains pid ${culprit.pid}$`, 'm'),
      word(at(pid, 'tasks', 'pid'), 0n),
    );
  });

  test('two pids swapped', () => {
    const swap = (one: Task, other: Task) => ['pid', 'tgid'].map((path) => set(one.address, path, BigInt(other.pid)));
    const damagedCopy = expectReported(
      new RegExp(`has pid ${bystander.pid}, but its struct pid has number ${culprit.pid}`),
      ...swap(culprit, bystander),
      ...swap(bystander, culprit),
    );
    expectFound(damagedCopy);
    expect(accountFd(damagedCopy, culprit.pid, slot!.fd).process).toEqual({
      pid: culprit.pid,
      comm: culprit.comm,
    });
  });

  test('two struct pids swapped', () => {
    const pids = [culprit, bystander].map(({ address }) => pointer(at(address, 'thread_pid')));
    expectReported(
      new RegExp(`pid ${culprit.pid} has its struct pid at 0x\\w+ \\(task_struct.thread_pid\\)`),
      set(culprit.address, 'thread_pid', pids[1]!),
      set(bystander.address, 'thread_pid', pids[0]!),
    );
  });

  test('two tasks on one stack', () => {
    expectReported(
      /pid \d+ and pid \d+ share a kernel stack \(task_struct.stack\)/,
      set(kernelThread.address, 'stack', pointer(at(culprit.address, 'stack'))),
    );
  });

  test('a kernel thread whose stack ends in user space', () => {
    const parent = pointer(at(kernelThread.address, 'real_parent'));
    const { complete, warnings } = groupedStacks(
      damaged(
        set(culprit.address, 'flags', BigInt(number(at(culprit.address, 'flags')) | 0x20_0040)),
        set(culprit.address, 'real_parent', parent),
      ),
      {},
    );
    expect(complete).toBe(false);
    expect(warnings.map(({ message }) => message)).toContain(
      `pid ${culprit.pid} is a kernel thread, but its stack ends in user space`,
    );
  });

  test('a counter that differs from the number of found tasks', () => {
    const counter = kernel.symbol('nr_threads')!;
    const threads = number(counter);
    expectReported(
      new RegExp(`nr_threads counts ${threads + 2} threads, but ${threads} were found$`, 'm'),
      word(counter, BigInt(threads + 2), 4),
    );
  });

  test('a task lost in every way is missing in the kernel stacks', () => {
    const links = at(kernelThread.address, 'tasks');
    const [next, previous] = [pointer(links), pointer(links + 8n)];
    const pid = pointer(at(kernelThread.address, 'thread_pid'));
    const counter = kernel.symbol('nr_threads')!;
    const lost = [
      word(previous, next),
      word(next + 8n, previous),
      word(at(pid, 'tasks', 'pid'), 0n),
      word(counter, BigInt(number(counter) - 1), 4),
    ];
    const reported = (...patches: Patch[]) =>
      accountMemory(damaged(...patches), undefined, {})
        .warnings.map(({ message }) => message)
        .filter((message) => message.includes('kernel stacks'));
    expect(reported(...lost)).toEqual([
      expect.stringMatching(/^the kernel counts \d+ pages of kernel stacks, but \d+ were found/),
    ]);
    // A stack that fork has just cleared belongs to a new thread.
    const top = pointer(at(kernelThread.address, 'stack')) + 16_384n;
    expect(reported(...lost, { address: top - 4096n, bytes: new Uint8Array(4096) })).toEqual([]);
  });

  test('a thread of a process lost from its list', () => {
    const process = sound.processes.find((one) => sound.threads(one).length > 1)!;
    const lost = sound.threads(process).at(-1)!;
    const links = at(lost.address, 'thread_node');
    const [next, previous] = [pointer(links), pointer(links + 8n)];
    const damagedCopy = expectReported(
      new RegExp(`pid table .*thread lists .*are inconsistent: only the first contains pid ${lost.pid}$`, 'm'),
      word(previous, next),
      word(next + 8n, previous),
    );
    const pids = taskTable(damagedCopy)
      .threads(process)
      .map(({ pid }) => pid);
    expect(pids).toContain(lost.pid);
  });
});
