import { writeFileSync } from 'node:fs';
import { bootGuest, type Guest } from '../../../scripts/lab-parts/guest.mjs';
import { guestTool } from '../../../scripts/lab-parts/guest-program.mjs';
import { machineProgram } from '../../../scripts/lab-parts/programs.mjs';
import { kdumpMem } from '../../support/cli.js';
import { inGuest, kdumpMemInGuest, MEMORY_MIB } from '../../support/guest.js';
import type { LabKernel } from '../../support/lab.js';

const SCENE = [
  'mount -t cgroup2 none /sys/fs/cgroup; cd /sys/fs/cgroup',
  'echo "+memory +pids" > cgroup.subtree_control; mkdir lives limited',
];

/** A guest with kdump-mem, a cgroup for each scene, and a program that allocates memory. */
export async function guestWithCgroups(kernel: LabKernel): Promise<Guest> {
  const guest = await bootGuest({
    kernel,
    memoryMiB: MEMORY_MIB,
    files: [
      ...kdumpMemInGuest(kernel),
      guestTool('takeuser', kernel),
      // The lab's busybox has neither, and the script uses both.
      ...['/usr/bin/cksum', '/usr/bin/printenv'].flatMap(machineProgram),
    ],
    append: 'psi=1',
  });
  await guest.run(SCENE.join('\n'));
  return guest;
}

/** Runs a command in a cgroup, which is charged for it. */
export const within = (group: string, command: string): string =>
  `sh -c 'echo $$ > /sys/fs/cgroup/${group}/cgroup.procs; ${command}'`;

/**
 * A program that has allocated this many bytes, and sleeps.
 *
 * @returns its pid
 */
export async function takes(guest: Guest, bytes: number, group: string): Promise<number> {
  const start = within(group, `exec takeuser anonymous ${bytes} > /tmp/taken 2>&1`);
  const { output } = await guest.run(
    `rm -f /tmp/taken; ${start} < /dev/null & pid=$!; until [ -s /tmp/taken ]; do usleep 20000; done; echo $pid`,
  );
  return Number(output.toString());
}

/** Takes a snapshot with `kdump-mem snapshot` in a guest, and copies it to this machine. */
export async function snapshotOf(
  guest: Guest,
  file: string,
  { options = '', group }: { readonly options?: string; readonly group?: string } = {},
): Promise<{ readonly status: number; readonly said: string }> {
  const command = `kdump-mem snapshot -o /s.tar.gz --force --tmpfs ${options} > /tmp/said 2>&1`;
  const line = group === undefined ? command : within(group, command);
  const { status } = await guest.run(line, { mayFail: true });
  const said = (await guest.run('cat /tmp/said')).output.toString();
  if (status === 0) await bring(guest, '/s.tar.gz', file);
  return { status, said };
}

/** Copies a file from a guest to this machine. */
export async function bring(guest: Guest, from: string, file: string): Promise<void> {
  writeFileSync(file, (await guest.run(`cat ${from}`)).output);
}

/** An answer from the snapshot, as JSON. */
export async function fromJson(command: string, file: string, ...more: string[]): Promise<unknown> {
  const { stdout, stderr, status } = await kdumpMem(command, '--json', '--from', file, ...more);
  if (status !== 0) throw new Error(`${command} --from: status ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

/** JSON output of kdump-mem in a guest. */
export async function liveJson(guest: Guest, command: string): Promise<unknown> {
  const { status, output } = await inGuest(guest, `${command} --json`);
  if (status !== 0) throw new Error(`${command}: status ${status}: ${output}`);
  return JSON.parse(output.toString());
}
