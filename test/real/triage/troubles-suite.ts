import { beforeAll, describe, expect, test } from 'vitest';
import { triageSchema } from '../../../src/contracts/triage.js';
import { kdumpMem } from '../../support/cli.js';
import { testGuest } from '../../support/guest.js';
import type { LabKernel } from '../../support/lab.js';

type TriageJson = ReturnType<typeof triageSchema.parse>;

const LIMIT = 24 * 2 ** 20;

/** A cgroup of the guest, whose name could confuse a parser. */
const GROUP = '/pod,task=x,pid=1/c1';

/** A guest is made to log known problems, and is stopped and dumped. */
export function troublesSuite(kernel: LabKernel): void {
  describe(`findings of a guest of ${kernel} with problems`, () => {
    const guest = testGuest(kernel);
    let answer: TriageJson;
    let text: string;
    let dump: string;
    let victims: { cgroup: number; machine: number };
    let hung: number;

    beforeAll(async () => {
      await guest.boot({
        memoryMiB: 256,
        tools: ['takeuser'],
        insmod: ['trouble'],
        append: 'slub_debug=FZ,kmalloc-64',
      });
      const run = async (command: string) => (await guest.run(command, { mayFail: true })).output.toString();
      await run(
        'cd /proc/sys/kernel; echo 2 > hung_task_timeout_secs; echo 1 > hung_task_check_interval_secs; echo 3 > watchdog_thresh',
      );
      await run(
        `mkdir -p /cg; mount -t cgroup2 none /cg; echo +memory > /cg/cgroup.subtree_control; mkdir -p '/cg${GROUP}'; echo +memory > "/cg$(dirname '${GROUP}')/cgroup.subtree_control"; echo ${LIMIT} > '/cg${GROUP}/memory.max'`,
      );
      const inGroup = await run(
        `sh -c 'echo $$ > "/cg${GROUP}/cgroup.procs"; echo $$; exec takeuser anonymous ${2 * LIMIT}' 2>&1`,
      );
      const alone = await run(
        'takeuser anonymous 100000000 > /tmp/a 2>&1 & echo $!; echo 900 > /proc/$!/oom_score_adj; until [ -s /tmp/a ]; do usleep 20000; done; takeuser anonymous 130000000 > /tmp/b 2>&1 & sleep 5; kill $!; wait; true',
      );
      victims = { cgroup: Number.parseInt(inGroup, 10), machine: Number.parseInt(alone, 10) };
      for (const what of ['warn', 'alloc', 'twice', 'lockup', 'hang,corrupt'])
        await run(`insmod /trouble.ko what=${what}; true`);
      hung = Number(await run('sleep 12; for p in /proc/[0-9]*; do grep -q trouble-hang $p/comm && basename $p; done'));
      dump = await guest.lastDump();
      answer = triageSchema.parse(JSON.parse((await kdumpMem('triage', '--vmcore', dump, '--json')).stdout));
      text = (await kdumpMem('triage', '--vmcore', dump)).stdout;
    });

    const found = (code: string) => answer.findings.filter((finding) => finding.code === code);

    test('the most severe come first, and notes last', () => {
      const order = ['critical', 'warning', 'note'];
      const ranks = answer.findings.map(({ severity }) => order.indexOf(severity));
      expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
      expect(answer.warnings).toEqual([]);
      expect(answer.complete).toBe(true);
      expect(answer.panic?.state).toBe('running');
    });

    test('the OOM victim, the reason and the cgroup', () => {
      const kills = found('oom-kill').map(({ figures }) => figures);
      const inGroup = kills.find(({ scope }) => scope === 'cgroup');
      expect(inGroup).toMatchObject({
        pid: victims.cgroup,
        comm: 'takeuser',
        cgroup: GROUP,
        limitBytes: LIMIT,
        invokedBy: 'takeuser',
        victimCgroup: GROUP,
        uid: 0,
        times: 1,
      });
      expect(inGroup?.usageBytes).toBeGreaterThan(0.95 * LIMIT);
      const machine = kills.find(({ scope }) => scope === 'machine');
      expect(machine).toMatchObject({ pid: victims.machine, comm: 'takeuser', oomScoreAdj: 900 });
      expect(machine?.victimAnonBytes).toBeGreaterThan(97_000_000 * 0.9);
      // The two programs had most of it, and little is in no counter.
      const [managed, anonymous] = [Number(machine?.managedBytes), Number(machine?.anonBytes)];
      expect(managed).toBeGreaterThan(180 * 2 ** 20);
      expect(anonymous).toBeGreaterThan(0.7 * managed);
      expect(Math.abs(Number(machine?.unattributedBytes))).toBeLessThan(0.15 * managed);
      expect(machine?.tasks).toBeGreaterThanOrEqual(3);
    });

    test('a failed block allocation, and the free memory at that time', () => {
      const [failure] = found('allocation-failure');
      expect(failure?.figures).toMatchObject({ comm: 'insmod', order: 9 });
      expect(failure?.figures.gfp).toContain('NORETRY');
      expect(failure?.figures.freeBytes).toBeGreaterThan(0);
      expect(failure?.figures.freeInLargeBlocksBytes).toBeLessThan(Number(failure?.figures.freeBytes));
    });

    test('a hung task, by its pid', () => {
      expect(hung).toBeGreaterThan(1);
      const [task, ...others] = found('hung-task');
      expect(task?.figures).toMatchObject({ comm: 'trouble-hang', pid: hung });
      expect(task?.figures.seconds).toBeGreaterThanOrEqual(2);
      expect(others).toEqual([]);
      const waits = found('blocked-tasks').find(({ figures }) => figures.pid === hung);
      expect(waits?.figures).toMatchObject({ comm: 'trouble-hang', symbol: 'trouble_sleep', tasks: 1 });
      const [stack] = waits?.evidence ?? [];
      const frames = stack?.kind === 'stack' ? stack.frames : [];
      const own = frames.find(({ symbol }) => symbol === 'trouble_sleep');
      expect(own).toMatchObject({ module: 'trouble', guess: false });
      expect(frames.map(({ symbol }) => symbol)).toContain('kthread');
    });

    test('a soft lockup, a warning, and corrupted memory', () => {
      const [lockup] = found('soft-lockup');
      expect(lockup?.figures).toMatchObject({ comm: 'insmod' });
      expect(lockup?.figures.seconds).toBeGreaterThanOrEqual(5);
      const warned = found('kernel-warning').map(({ figures }) => figures.symbol);
      expect(warned).toEqual(expect.arrayContaining(['trouble']));
      const corrupted = JSON.stringify(found('memory-corruption'));
      expect(corrupted).toContain('kmalloc-64');
      expect(corrupted).toMatch(/list_del corruption/);
      expect(found('tainted')).toHaveLength(1);
    });

    test('a sentence for each', () => {
      expect(text).toContain(`pid ${victims.cgroup} (takeuser)`);
      expect(text).toContain(`Memory cgroup ${GROUP} was at its limit of 24.0 MiB`);
      expect(text).toContain('trouble-hang');
    });

    test('--fail-on sets the exit status for scripts', async () => {
      expect((await kdumpMem('triage', '--vmcore', dump, '--fail-on', 'critical')).status).toBe(1);
    });
  });
}
