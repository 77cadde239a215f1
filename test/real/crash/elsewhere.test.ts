import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KernelError } from '../../../src/base/errors.js';
import { openCrash } from '../../../src/kernel/crash/open.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { labDump, labKernel, labTool } from '../../support/lab.js';

/** Typical wrappers of crash; `$CRASH` is the lab's. */
const WRAPPERS = {
  changesFolder: 'cd / && exec "$CRASH" "$@"',
  hidesFolder: `exec unshare -rm sh -c 'mount -t tmpfs none /dev/shm && exec "$CRASH" "$@"' sh "$@"`,
  changesRoot: `exec unshare -rm sh -c '
    mount --rbind / "$ROOT" && mount -t tmpfs none "$ROOT/dev/shm" && exec chroot "$ROOT" "$CRASH" "$@"
  ' sh "$@"`,
  // It copies the files, as a container's own mounts do, and then writes where kdump-mem cannot see
  // it.
  copiesFolder: `exec unshare -rm sh -c '
    for file; do last=$file; done
    folder=\${last%/*} vmlinux=$(readlink "\${last%/*}/vmlinux") vmcore=$(readlink "$last")
    mount -t tmpfs none /dev/shm && mkdir "$folder" && cd "$folder" &&
      ln -s "$vmlinux" vmlinux && ln -s "$vmcore" vmcore && exec "$CRASH" "$@"
  ' sh "$@"`,
} as const;

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'elsewhere-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function open(name: keyof typeof WRAPPERS) {
  const wrapper = join(folder, name);
  const root = mkdtempSync(join(folder, 'root-'));
  const settings = `CRASH='${labTool('crash')}' ROOT='${root}'; export CRASH ROOT`;
  writeFileSync(wrapper, `#!/bin/sh\n${settings}\n${WRAPPERS[name]}\n`, { mode: 0o755 });
  const { elf } = labDump('6.1');
  const { vmlinux } = labKernel('6.1');
  return openCrash({ vmcore: elf, vmlinux, crash: wrapper });
}

test('a wrapper that changes the folder does not change the answers', () => {
  const crash = open('changesFolder');
  const native = openNative({ files: [labDump('6.1').elf] });
  try {
    const at = native.symbol('linux_banner') ?? 0n;
    expect(crash.symbol('linux_banner')).toBe(at);
    expect(crash.read(at, 64)).toEqual(native.read(at, 64));
  } finally {
    crash.close();
    native.close();
  }
});

describe('a wrapper under which crash sees another /dev/shm', () => {
  test.each(['hidesFolder', 'changesRoot', 'copiesFolder'] as const)('%s is reported', (name) => {
    let failure: KernelError | undefined;
    try {
      open(name).close();
    } catch (error) {
      failure = error as KernelError;
    }
    expect(failure?.code).toBe('crash-elsewhere');
    expect(failure?.message).toMatch(/cannot see these files of kdump-mem: \/dev\/shm\/kdump-mem-\w+, /);
  });
});
