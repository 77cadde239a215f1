import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shellWord } from '../../../../src/base/shell.js';
import { scratchFolder } from '../../../support/scratch.js';
import { until } from '../../skcheck/stage.js';
import { copyWithPackage } from '../systemd-guest.js';

/** systemd as the first process of namespaces, as containers have it: in seconds, but without devices and cgroups of memory. */
const PREPARE = `set -e
mount --make-rprivate /; mount --bind "$1" "$1"; cd "$1"
mount -t proc proc proc; mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup; mkdir sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd || mount -t cgroup2 cgroup sys/fs/cgroup
mount -t tmpfs tmpfs run; mount -t tmpfs tmpfs tmp; mount -t tmpfs tmpfs dev
for one in null zero full random urandom tty; do touch dev/$one; mount --bind /dev/$one dev/$one; done
mkdir -p run/systemd/system/kdump-mem-vmcore.service.d run/systemd/system/kdump-mem-triage.service.d
printf '[Unit]\\nConditionPathExists=\\n[Service]\\nStandardOutput=journal\\n' > run/systemd/system/kdump-mem-vmcore.service.d/test.conf
printf '[Service]\\nPrivateDevices=no\\n' > run/systemd/system/kdump-mem-triage.service.d/test.conf
exec env -i container=lxc PATH=/usr/bin:/usr/sbin chroot . /usr/lib/systemd/systemd`;

const root = join(scratchFolder('first-crash-'), 'root');
let outside: ChildProcess;
beforeAll(() => {
  copyWithPackage(root, 'bookworm-systemd');
  const apart = '--mount --pid --fork --kill-child --uts --ipc --net --cgroup'.split(' ');
  outside = spawn('unshare', [...apart, 'sh', '-c', PREPARE, 'sh', root], { stdio: 'ignore' });
});
afterAll(async () => {
  outside.kill('SIGKILL');
  await until(() => outside.exitCode !== null || outside.signalCode !== null);
});

function inside(command: string): string {
  const [first = ''] = readFileSync(`/proc/${outside.pid}/task/${outside.pid}/children`, 'utf8').split(' ');
  const enter = ['-t', first, '-m', '-u', '-i', '-n', '-p', '-r', '-w', '/bin/bash', '-c'];
  const { stdout } = spawnSync('nsenter', [...enter, `PATH=/usr/bin:/usr/sbin; ${command}`], { encoding: 'utf8' });
  return stdout;
}

// kdump-config makes it when it is first called, which may be later than these units.
test.each(['kdump-mem-triage', 'kdump-mem-vmcore'])('%s starts before there is a /var/crash', async (unit) => {
  await until(() => /^(?:running|degraded)$/m.test(inside('systemctl is-system-running')));
  const start = `rmdir /var/crash; ls -d /var/crash; systemctl start ${shellWord(unit)}; echo $?`;
  expect(inside(`(${start}) 2> /dev/null`)).toBe('0\n');
  expect(inside("stat -c '%a %U' /var/crash")).toBe('755 root\n');
});
