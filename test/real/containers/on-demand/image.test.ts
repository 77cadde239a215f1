import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { skcheckSchema } from '../../../../src/answers/skcheck/schema.js';
import { kdumpMem } from '../../../support/cli.js';
import { fixture } from '../../../support/fixtures.js';
import { labRoot } from '../../../support/lab.js';
import { STALLED_BYTES, STALLED_READER } from '../../../support/stalled-reader.js';
import { ociConfig, type PodManifest, podOf, type Run } from '../oci.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const CONTAINERFILE = join(ROOT, 'deploy/container/Containerfile');
const SKCHECK = podOf(join(ROOT, 'deploy/kubernetes/skcheck-daemonset.yaml'));
const SNAPSHOT = podOf(join(ROOT, 'deploy/kubernetes/snapshot-daemonset.yaml'));

const work = mkdtempSync('/var/tmp/containers-');
const started: ChildProcess[] = [];
/** The root file system of the image. */
let image: string;

function buildah(...args: string[]): string {
  const storage = ['--root', join(work, 'graph'), '--runroot', join(work, 'run')];
  const options = { encoding: 'utf8', cwd: ROOT, maxBuffer: 64 << 20 } as const;
  const made = spawnSync('buildah', [...storage, '--storage-driver', 'vfs', ...args], options);
  expect({ args, status: made.status, said: made.status === 0 ? '' : made.stderr }).toMatchObject({ status: 0 });
  return made.stdout.trim();
}

beforeAll(async () => {
  // A Debian from debootstrap replaces the base image of Docker Hub.
  const base = buildah('from', 'scratch');
  buildah('add', '--quiet', base, labRoot('bookworm'), '/');
  buildah('commit', '--quiet', '--rm', base, 'localhost/debian');
  const build = ['bud', '--isolation', 'chroot', '--build-arg', 'BASE=localhost/debian'];
  buildah(...build, '--file', CONTAINERFILE, '--tag', 'kdump-mem:test', 'dist/release');
  buildah('from', '--name', 'ours', 'localhost/kdump-mem:test');
  image = buildah('mount', 'ours');
  const program = join(work, 'stalled.pl');
  writeFileSync(program, STALLED_READER);
  chmodSync(work, 0o755);
  const lo = 'ip link set lo up';
  const user = 'exec setpriv --reuid 65534 --regid 65534 --clear-groups --pdeathsig KILL';
  // One in the network namespace of this machine, one in its own, both of another user.
  for (const [enter, line] of [
    [[], `${user} perl ${program}`],
    [['unshare', '--net'], `${lo}; ${user} perl ${program}`],
  ] as const) {
    const [command, ...rest] = [...enter, 'sh', '-c', line];
    started.push(spawn(command, rest, { stdio: 'ignore' }));
  }
  await delay(2000);
});
afterAll(() => {
  for (const each of started) each.kill('SIGKILL');
  rmSync(work, { recursive: true, force: true });
});

const inImage = (...args: string[]) => buildah('run', '--isolation', 'chroot', 'ours', '--', ...args);

describe('the image', () => {
  test('contains both commands and the programs that they run', () => {
    expect(inImage('skcheck', '--version')).toMatch(/^\d+\.\d+\.\d+$/);
    expect(inImage('kdump-mem', '--version')).toBe(inImage('skcheck', '--version'));
    expect(inImage('ss', '-V')).toMatch(/^ss utility/);
    expect(inImage('nsenter', '--version')).toMatch(/^nsenter from util-linux/);
    expect(inImage('dmesg', '--version')).toMatch(/^dmesg from util-linux/);
    for (const left of ['tmp/kdump-mem.deb', 'var/lib/apt/lists/lock'])
      expect(existsSync(join(image, left)), left).toBe(false);
  });

  test('reads a dump', async () => {
    const { vmcore } = fixture('6.1');
    const mount = `${dirname(vmcore)}:/dumps:ro`;
    const run = ['run', '--isolation', 'chroot', '--volume', mount, 'ours', '--'];
    const output = buildah(...run, 'kdump-mem', 'info', '--json', '/dumps/6.1.vmcore');
    const { stdout } = await kdumpMem('info', '--json', vmcore);
    expect(JSON.parse(output).kernel).toEqual(JSON.parse(stdout).kernel);
  });
});

/**
 * Runs the image as a manifest specifies, with its capabilities, system calls, namespaces and
 * mounts, by an OCI runtime. The runtime refuses hierarchies of both cgroup versions, so it gets
 * version 2 only.
 */
async function runPod(pod: PodManifest, run: Omit<Run, 'root'>) {
  const bundle = mkdtempSync(join(work, 'bundle-'));
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(ociConfig(pod, { ...run, root: image })));
  const crun = `exec crun --root ${work}/crun --cgroup-manager=disabled run --bundle ${bundle} c${process.pid}`;
  const alone = 'mount --make-rprivate / && umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup';
  const child = spawn('unshare', ['--mount', 'sh', '-c', `${alone} && ${crun}`]);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (bytes) => {
    stdout += bytes;
  });
  child.stderr.on('data', (bytes) => {
    stderr += bytes;
  });
  const [status] = await once(child, 'close');
  return { status, stdout, stderr };
}

describe('skcheck in a container of its DaemonSet', () => {
  const look = async (without?: string) => {
    const args = ['skcheck', '--json', '--stale'];
    const seen = await runPod(SKCHECK, { args, ...(without ? { without } : {}) });
    const report = skcheckSchema.parse(JSON.parse(seen.stdout));
    const owners = report.sockets.filter(({ unreadBytes }) => unreadBytes === STALLED_BYTES);
    return { ...seen, report, owners: owners.map(({ comm }) => comm) };
  };

  test('reports stalled readers in every namespace', async () => {
    const { report, owners } = await look();
    expect(owners).toEqual(['stalled', 'stalled']);
    expect(report.complete).toBe(true);
  });

  test.each([
    ['SYS_ADMIN', 'netns-closed', ['stalled'], false],
    ['SYS_PTRACE', 'netns-hidden', [null], false],
    ['DAC_READ_SEARCH', 'owner-unknown', [null, null], true],
  ])('without %s sees less, and reports that', async (right, code, expected, complete) => {
    expect(SKCHECK.container.securityContext.capabilities.add).toContain(right);
    const { report, owners, stderr } = await look(right);
    expect(owners).toEqual(expected);
    expect(report.complete).toBe(complete);
    expect(report.warnings.map((warning) => warning.code)).toContain(code);
    expect(stderr).toContain(`Already root, but without CAP_${right}`);
  });

  test('these are all capabilities in the manifest', () => {
    expect(SKCHECK.container.securityContext.capabilities.add).toHaveLength(3);
  });
});

test('a snapshot in a container of its DaemonSet has all processes, namespaces and the log', async () => {
  const folder = join(work, 'snapshots');
  mkdirSync(folder);
  const [mount = ''] = (SNAPSHOT.container.volumeMounts ?? [])
    .filter(({ readOnly }) => !readOnly)
    .map(({ mountPath }) => mountPath);
  const { status, stdout, stderr } = await runPod(SNAPSHOT, {
    args: ['kdump-mem', 'snapshot', '-o', `${mount}/one.tar.gz`, '--json'],
    volumes: { [mount]: folder },
  });
  expect({ status, stderr }).toMatchObject({ status: 0 });
  const snapshot = JSON.parse(stdout);
  expect(snapshot.closedNamespaces).toBe(0);
  expect(snapshot.namespaces).toBeGreaterThanOrEqual(2);
  const file = join(folder, 'one.tar.gz');
  expect((await kdumpMem('log', '--from', file)).status).toBe(0);
  const { stdout: procs } = await kdumpMem('procs', '--json', '--from', file);
  const stalled = JSON.parse(procs).processes.filter(
    ({ comm, complete }: { comm: string; complete: boolean }) => comm === 'stalled' && complete,
  );
  expect(stalled).toHaveLength(2);
});
