import { describe, expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { kernelProcesses } from '../../../src/account/processes/kernel.js';
import { accountFd, accountProcess } from '../../../src/account/skb.js';
import { accountAll } from '../../../src/account/sockets.js';
import { groupedStacks } from '../../../src/account/task-stacks.js';
import { triage } from '../../../src/triage/triage.js';
import { taskTable } from '../../../src/walk/tasks/task-table.js';
import type { Task } from '../../../src/walk/tasks/tasks.js';
import type { Damage } from '../../support/damaged-kernel.js';
import { ofRun } from '../../support/lab.js';
import { dumpKernel } from '../../support/opened-kernel.js';

describe.each(ofRun(['6.1', '6.12'] as const))('a damaged task of %s', (version) => {
  const { kernel, addressOf, read, set, add, clear, swap, unlink, damagedBy } = dumpKernel(version);
  const flip = (object: bigint, part: string, bit: bigint) => set(object, part, read(object, part) ^ bit);

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
  /** Expects every command to be incomplete, and to name the two facts. */
  const expectReported = (facts: RegExp, ...damages: Damage[]) => {
    const damagedCopy = damagedBy(...damages);
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
      processes
        .filter(({ pid }) => pid === culprit.pid)
        .map(({ rssBytes: rss, networkPinnedBytes: network }) => [rss, network]);
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
      flip(culprit.address, 'task_struct.flags', 0x20_0000n),
    );
    expectFound(damagedCopy);
  });

  test('PF_KTHREAD cleared in a kernel thread', () => {
    const damagedCopy = expectReported(
      new RegExp(`flags make pid ${kernelThread.pid} a user process, but it has no task_struct.mm`),
      flip(kernelThread.address, 'task_struct.flags', 0x20_0000n),
    );
    expect(kernelProcesses(damagedCopy).kernelThreads).toBe(kernelProcesses(kernel).kernelThreads);
  });

  test.each([
    ['is 0', () => 0n],
    ['of another process', () => read(bystander.address, 'task_struct.mm')],
    ['off by a bit', () => read(culprit.address, 'task_struct.mm') ^ 0x1000n],
  ])('task_struct.mm %s', (_, value) => {
    const damagedCopy = expectReported(
      new RegExp(`task_struct.mm of pid ${culprit.pid} is .*, but its active_mm is 0x`),
      set(culprit.address, 'task_struct.mm', value()),
    );
    expectFound(damagedCopy);
  });

  test('mm and active_mm of another process', () => {
    const mm = read(bystander.address, 'task_struct.mm');
    expectReported(
      /mm_struct.mm_users at 0x\w+ is 1, but 2 tasks use it/,
      set(culprit.address, 'task_struct.mm', mm),
      set(culprit.address, 'task_struct.active_mm', mm),
    );
  });

  test('task_struct.files of another process', () => {
    expectReported(
      /files_struct.count at 0x\w+ is 1, but 2 tasks use it/,
      set(culprit.address, 'task_struct.files', bystander.files),
    );
  });

  test('no task_struct.files', () => {
    expectReported(
      new RegExp(`pid ${culprit.pid} has no task_struct.files, but is not exiting`),
      set(culprit.address, 'task_struct.files', 0n),
    );
  });

  /** Its own descriptor table; or one that grew beyond its files_struct. */
  const table = (isGrown: boolean) => {
    for (const { files, kernelThread } of sound.processes) {
      const fdt = kernelThread || files === 0n ? 0n : read(files, 'files_struct.fdt');
      if (fdt !== 0n && (fdt !== addressOf(files, 'files_struct.fdtab')) === isGrown) return fdt;
    }
    throw new Error('no process has such a table');
  };

  test.each([
    ...[6n, 10n, 12n, 13n, 20n].map((bit) => ['fd', 1n << bit] as const),
    ...[3n, 6n, 12n].map((bit) => ['open_fds', 1n << bit] as const),
    ...[6n, 8n, 12n].map((bit) => ['max_fds', 1n << bit] as const),
  ])('fdtable.%s off by %i', (path, bit) => {
    for (const isGrown of [false, true]) {
      const { complete } = accountAll(damagedBy(flip(table(isGrown), `fdtable.${path}`, bit)));
      expect([isGrown, complete]).toEqual([isGrown, false]);
    }
  });

  test('the fdtable of another process', () => {
    expectReported(
      /files_structs 0x\w+ and 0x\w+ share the fdtable/,
      set(culprit.files, 'files_struct.fdt', table(true)),
    );
  });

  test('a task unlinked from the task list', () => {
    const damagedCopy = expectReported(
      new RegExp(`pid table .*task list .*are inconsistent: only the first contains pid ${culprit.pid}$`, 'm'),
      unlink(culprit.address, 'task_struct.tasks'),
    );
    expectFound(damagedCopy);
  });

  test('the task list closed after pid 1', () => {
    const init = addressOf('init_task', 'task_struct.tasks');
    const first = addressOf(sound.processes[0]!.address, 'task_struct.tasks');
    const damagedCopy = expectReported(
      /pid table .*task list .*are inconsistent/,
      set(first, 8, init),
      set(init + 8n, 8, first),
    );
    expectFound(damagedCopy);
    expect(taskTable(damagedCopy).processes).toHaveLength(sound.processes.length);
  });

  test('the task list torn in one place', () => {
    const damagedCopy = expectReported(/is inconsistent/, set(culprit.address, 'task_struct.tasks.prev', 0n));
    expectFound(damagedCopy);
  });

  test('a struct pid missing from the table', () => {
    const pid = read(culprit.address, 'task_struct.thread_pid');
    expectReported(
      new RegExp(`task list .*pid table .*are inconsistent: only the first contains pid ${culprit.pid}$`, 'm'),
      set(pid, 'pid.tasks', 0n),
    );
  });

  test('two pids swapped', () => {
    const damagedCopy = expectReported(
      new RegExp(`has pid ${bystander.pid}, but its struct pid has number ${culprit.pid}`),
      swap(culprit.address, 'task_struct.pid', bystander.address),
      swap(culprit.address, 'task_struct.tgid', bystander.address),
    );
    expectFound(damagedCopy);
    expect(accountFd(damagedCopy, culprit.pid, slot!.fd).process).toEqual({ pid: culprit.pid, comm: culprit.comm });
  });

  test('two struct pids swapped', () => {
    expectReported(
      new RegExp(`pid ${culprit.pid} has its struct pid at 0x\\w+ \\(task_struct.thread_pid\\)`),
      swap(culprit.address, 'task_struct.thread_pid', bystander.address),
    );
  });

  test('two tasks on one stack', () => {
    expectReported(
      /pid \d+ and pid \d+ share a kernel stack \(task_struct.stack\)/,
      set(kernelThread.address, 'task_struct.stack', read(culprit.address, 'task_struct.stack')),
    );
  });

  test('a kernel thread whose stack ends in user space', () => {
    const parent = read(kernelThread.address, 'task_struct.real_parent');
    const { complete, warnings } = groupedStacks(
      damagedBy(
        set(culprit.address, 'task_struct.flags', read(culprit.address, 'task_struct.flags') | 0x20_0040n),
        set(culprit.address, 'task_struct.real_parent', parent),
      ),
      {},
    );
    expect(complete).toBe(false);
    expect(warnings.map(({ message }) => message)).toContain(
      `pid ${culprit.pid} is a kernel thread, but its stack ends in user space`,
    );
  });

  test('a counter that differs from the number of found tasks', () => {
    const threads = read('nr_threads', 4);
    expectReported(
      new RegExp(`nr_threads counts ${threads + 2n} threads, but ${threads} were found$`, 'm'),
      add('nr_threads', 4, 2n),
    );
  });

  test('a task lost in every way is missing in the kernel stacks', () => {
    const lost = [
      unlink(kernelThread.address, 'task_struct.tasks'),
      set(read(kernelThread.address, 'task_struct.thread_pid'), 'pid.tasks', 0n),
      add('nr_threads', 4, -1n),
    ];
    const reported = (...damages: Damage[]) =>
      accountMemory(damagedBy(...damages), undefined, {})
        .warnings.map(({ message }) => message)
        .filter((message) => message.includes('kernel stacks'));
    expect(reported(...lost)).toEqual([
      expect.stringMatching(/^the kernel counts \d+ pages of kernel stacks, but \d+ were found/),
    ]);
    // A stack that fork has just cleared belongs to a new thread.
    const top = read(kernelThread.address, 'task_struct.stack') + 16_384n;
    expect(reported(...lost, clear(top - 4096n, 4096))).toEqual([]);
  });

  test('a thread of a process lost from its list', () => {
    const process = sound.processes.find((one) => sound.threads(one).length > 1)!;
    const lost = sound.threads(process).at(-1)!;
    const damagedCopy = expectReported(
      new RegExp(`pid table .*thread lists .*are inconsistent: only the first contains pid ${lost.pid}$`, 'm'),
      unlink(lost.address, 'task_struct.thread_node'),
    );
    const pids = taskTable(damagedCopy)
      .threads(process)
      .map(({ pid }) => pid);
    expect(pids).toContain(lost.pid);
  });
});
