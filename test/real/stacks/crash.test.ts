import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { STEP_MS } from '../../../scripts/lab-parts/limits.mjs';
import { groupedStacks } from '../../../src/account/task-stacks.js';
import { taskStacksSchema } from '../../../src/contracts/task-stacks.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { kdumpMem } from '../../support/cli.js';
import { labKdump, labKernel, labTool, ofRun } from '../../support/lab.js';

/** Output of crash's `foreach bt`: `function at address [module]` of each frame, by pid. */
function crashStacks(vmlinux: string, vmcore: string): Map<number, string[]> {
  const printed = execFileSync(labTool('crash'), ['-s', vmlinux, vmcore], {
    input: 'foreach bt\nquit\n',
    maxBuffer: 1 << 26,
    timeout: STEP_MS,
  }).toString('latin1');
  const stacks = new Map<number, string[]>();
  for (const part of printed.split(/^PID: /m).slice(1)) {
    const frames = [...part.matchAll(/^ *#\d+ \[[0-9a-f]+\] (\S+) at ([0-9a-f]+)( \[\w+\])?/gm)];
    const pid = Number(/^\d+/.exec(part)?.[0]);
    stacks.set(
      pid,
      frames.map(([, name, address, module = '']) => `${name} at ${address}${module}`),
    );
  }
  return stacks;
}

test.each(ofRun(['5.10', '6.1', '6.12'] as const))(
  '%s after a panic: stacks of sleeping tasks match crash, with names of module functions',
  (name) => {
    const [file = ''] = labKdump(name).formats['lzo-d31'];
    const kernel = openNative({ files: [file] });
    const { stacks, complete } = groupedStacks(kernel, {});
    /**
     * Two functions can share one address (`__do_sys_pause`, `__x64_sys_pause`): both are right.
     */
    const isAlias = (one: string, two: string) => {
      const [name = '', ...rest] = one.split(' ');
      const [other = '', ...others] = two.split(' ');
      const places = kernel.symbols(other).map(({ address }) => address);
      const own = kernel.symbols(name).some(({ address }) => places.includes(address));
      return own && rest.join(' ') === others.join(' ');
    };
    expect(complete).toBe(true);
    const theirs = crashStacks(labKernel(name).vmlinux, file);
    const differ: string[] = [];
    let [same, modules] = [0, 0];
    for (const { frames, tasks } of stacks) {
      const ours = frames.map(({ address, symbol, module }) => {
        if (module !== null) modules++;
        return `${symbol} at ${address.toString(16)}${module === null ? '' : ` [${module}]`}`;
      });
      for (const { pid, cpu } of tasks) {
        if (cpu !== null || pid === 0) continue;
        const other = theirs.get(pid) ?? [];
        const equal =
          other.length === ours.length &&
          ours.every((frame, index) => frame === other[index] || isAlias(frame, other[index] ?? ''));
        if (equal) same++;
        else differ.push(`${pid}: ${ours.join(', ')} | ${other.join(', ')}`);
      }
    }
    kernel.close();
    expect(differ).toEqual([]);
    expect(same).toBeGreaterThan(60);
    expect(modules).toBeGreaterThan(0);
  },
);

test('the command filters by pid, CPU and state, and reports missing ones', async () => {
  const [file = ''] = labKdump('6.1').formats['lzo-d31'];
  const answerOf = async (...options: string[]) => {
    const { stdout, status } = await kdumpMem('stacks', '--json', '--strict', ...options, file);
    expect(status).toBe(0);
    return taskStacksSchema.parse(JSON.parse(stdout));
  };
  const all = await answerOf();
  const threads = all.stacks.flatMap(({ tasks }) => tasks);
  expect(threads.length).toBe(all.tasks);
  const panicked = all.stacks.find(({ frames }) => frames[0]?.symbol === '__crash_kexec');
  expect(panicked?.tasks).toEqual([expect.objectContaining({ comm: 'sh', registers: 'crash_notes' })]);
  const [{ pid = -1, cpu = -1 } = {}] = panicked?.tasks ?? [];
  expect((await answerOf('--cpu', String(cpu))).stacks).toEqual([panicked]);
  expect((await answerOf('--pid', String(pid))).stacks).toEqual([panicked]);
  const idle = (await answerOf('--state', 'I')).stacks.flatMap(({ tasks }) => tasks);
  expect(idle.length).toBe(threads.filter(({ state }) => state === 'I').length);
  expect(idle.length).toBeGreaterThan(0);
  for (const [option, what] of [
    ['--pid', 'no matching thread'],
    ['--cpu', 'no matching task on CPU'],
  ] as const) {
    const { stdout, stderr, status } = await kdumpMem('stacks', option, '4000000', file);
    expect({ stdout, status }).toEqual({ stdout: '', status: 4 });
    expect(stderr).toContain(what);
  }
});
