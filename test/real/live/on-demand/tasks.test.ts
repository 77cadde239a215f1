import { beforeAll, describe, expect, test } from 'vitest';
import { WHOLE_MS } from '../../../../scripts/lab-parts/limits.mjs';
import { memorySchema } from '../../../../src/contracts/memory.js';
import { socketsSchema } from '../../../../src/contracts/sockets.js';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { inGuest, testGuest } from '../../../support/guest.js';
import { LAB_KERNELS } from '../../../support/lab.js';

// Override for more rounds: KDUMP_MEM_TASK_ROUNDS=10.
const ROUNDS = Number(process.env.KDUMP_MEM_TASK_ROUNDS ?? 2);

/** Completeness and warnings of each command. */
const COMMANDS = {
  sockets: (json: unknown) => {
    const { warnings, totals } = socketsSchema.parse(json);
    return { warnings, complete: totals.complete };
  },
  memory: (json: unknown) => memorySchema.parse(json),
  triage: (json: unknown) => triageSchema.parse(json),
};

/** Warnings of src/walk/tasks/task-table.ts. */
const OF_TASKS =
  /process list|^threads of pid|init_pid_ns|task_struct|mm_users|files_struct|kernel stack \(|two processes/;

for (const kernel of LAB_KERNELS)
  describe(`${kernel}: tasks of every kind come and go`, () => {
    const guest = testGuest(kernel);

    beforeAll(async () => {
      await guest.boot({ kdumpMem: true, tools: ['tasks'], insmod: ['borrow'] });
      // It outlives the guest.
      await guest.run(`insmod /borrow.ko pid=$(tasks ${WHOLE_MS / 1000})`);
    });

    test.each(Object.entries(COMMANDS))(
      '%s --live: the task table is consistent and complete',
      async (command, parse) => {
        const answers: Pick<ReturnType<typeof parse>, 'complete' | 'warnings'>[] = [];
        for (let round = 0; round < ROUNDS; round++) {
          const { status, output } = await inGuest(guest, `${command} --live --json`);
          expect(status, output.toString().slice(-2000)).toBe(0);
          const { complete, warnings } = parse(JSON.parse(output.toString()));
          console.log(kernel, command, { complete }, warnings);
          answers.push({ complete, warnings });
        }
        for (const { complete, warnings } of answers) {
          expect(warnings.filter(({ message }) => OF_TASKS.test(message))).toEqual([]);
          // An exit during the read is a normal change. The guest has no cgroups.
          const others = warnings.filter(({ message }) => !message.startsWith('cgroups: /sys/fs/cgroup: no memory'));
          expect(others.filter(({ code }) => code !== 'freed-while-read')).toEqual([]);
          expect(complete).toBe(others.length === warnings.length);
        }
      },
    );
  });
