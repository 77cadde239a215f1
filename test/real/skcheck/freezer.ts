import { existsSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './stage.js';

/** A cgroup hierarchy that can freeze: version 2, or version 1's freezer. */
export interface Freezer {
  readonly version: 'v1' | 'v2';
  /** Its mount point. */
  readonly mount: string;
}

/** Hierarchies of this machine; the tests need at least one. */
export function freezers(): Freezer[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return mounts.flatMap((line): Freezer[] => {
    const [, mount = '', type = '', options = ''] = /^\S+ \S+ \S+ \/ (\S+) .* - (\S+) \S+ (\S+)$/.exec(line) ?? [];
    if (type === 'cgroup2') return [{ version: 'v2', mount }];
    return type === 'cgroup' && options.split(',').includes('freezer') ? [{ version: 'v1', mount }] : [];
  });
}

/** Freezes a process in its own cgroup; the returned function thaws it and removes the cgroup. */
export async function freeze({ version, mount }: Freezer, pid: number): Promise<() => void> {
  const group = mkdtempSync(join(mount, 'skcheck-test-'));
  const procs = join(group, 'cgroup.procs');
  writeFileSync(procs, `${pid}`);
  const [file, frozen, thawed] = version === 'v2' ? ['cgroup.freeze', '1', '0'] : ['freezer.state', 'FROZEN', 'THAWED'];
  writeFileSync(join(group, file), frozen);
  const state = version === 'v2' ? join(group, 'cgroup.events') : join(group, file);
  await until(() => /^(?:FROZEN|frozen 1)$/m.test(readFileSync(state, 'utf8')));
  return () => {
    if (!existsSync(group)) return;
    writeFileSync(join(group, file), thawed);
    writeFileSync(join(mount, 'cgroup.procs'), `${pid}`);
    rmdirSync(group);
  };
}
