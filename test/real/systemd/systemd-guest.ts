import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeDisk } from '../../../scripts/lab-parts/disk.mjs';
import { bootGuest, type Guest } from '../../../scripts/lab-parts/guest.mjs';
import { shellWord } from '../../../src/base/shell.js';
import { labRoot } from '../../support/lab.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const INIT = join(ROOT, 'scripts/lab-parts/guest/with-systemd');

/** A busy machine needs minutes for what takes seconds. */
export const MOST_MS = 300_000;

/** Diag modules that ss uses; the disk has none to load. */
const DIAG = ['inet', 'tcp', 'udp', 'raw', 'unix', 'af_packet', 'netlink'].map((name) => `${name}_diag`);

/** A Debian with systemd as its first process and our package installed. */
export interface SystemdGuest {
  readonly guest: Guest;
  /** Output of a shell command there; a non-zero status is an error unless `mayFail`. */
  inside(command: string, mayFail?: boolean): Promise<string>;
  /** Runs a command until it succeeds. */
  until(command: string): Promise<void>;
  dispose(): void;
}

/** @param files of its disk, besides Debian's and the package's: path and content */
export async function bootSystemd(files: Readonly<Record<string, string>>): Promise<SystemdGuest> {
  const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-systemd-'));
  try {
    const disk = join(folder, 'disk');
    layOut(join(folder, 'root'), files);
    makeDisk(disk, 900, join(folder, 'root'));
    rmSync(join(folder, 'root'), { recursive: true });
    const guest = await bootGuest({
      kernel: '6.1',
      memoryMiB: 1024,
      append: 'rdinit=/with-systemd psi=1',
      files: [{ path: 'with-systemd', data: readFileSync(INIT) }],
      modules: DIAG,
      disks: [{ path: disk }],
      limitMs: 12 * MOST_MS,
    });
    // Until then the shell and the first process have one root.
    await guest.run('until [ -S /proc/1/root/run/systemd/private ]; do sleep 1; done', { timeoutMs: MOST_MS });
    const inside = async (command: string, mayFail = false) => {
      const line = `chroot /proc/1/root /bin/bash -c ${shellWord(command)}`;
      const { output } = await guest.run(line, { timeoutMs: MOST_MS, mayFail });
      return output.toString();
    };
    const until = async (command: string) => {
      await inside(`until ${command}; do sleep 1; done > /dev/null 2>&1`);
    };
    return {
      guest,
      inside,
      until,
      dispose: () => {
        guest.kill();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Debian, our package unpacked, and these files. */
function layOut(root: string, files: Readonly<Record<string, string>>): void {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const deb = join(ROOT, `dist/release/kdump-mem_${version}-1_amd64.deb`);
  if (!existsSync(deb)) throw new Error(`${deb} is missing: run scripts/release amd64`);
  execFileSync('cp', ['-a', labRoot('bookworm-systemd'), root]);
  execFileSync('dpkg-deb', ['--extract', deb, root]);
  for (const [path, content] of Object.entries(files)) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  // Without one systemd treats this as the first boot, and enables every unit.
  writeFileSync(join(root, 'etc/machine-id'), `${'5'.repeat(32)}\n`);
  chmodSync(root, 0o755);
}
