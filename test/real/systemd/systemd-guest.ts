import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeDisk } from '../../../scripts/lab-parts/disk.mjs';
import { bootGuest, type Guest } from '../../../scripts/lab-parts/guest.mjs';
import { initramfs } from '../../../scripts/lab-parts/initramfs.mjs';
import { kernelFiles } from '../../../scripts/lab-parts/paths.mjs';
import { shellWord } from '../../../src/base/shell.js';
import { labRoot } from '../../support/lab.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Roots of the lab, and the kernel that each boots. */
const KERNELS = { 'bookworm-systemd': '6.1', 'bookworm-kdump': '6.1', 'trixie-kdump': '6.12' } as const;
type Root = keyof typeof KERNELS;
const INIT = join(ROOT, 'scripts/lab-parts/guest/with-systemd');
const WITH_SYSTEMD = { path: 'with-systemd', data: readFileSync(INIT) };

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

/** Files of a disk, besides Debian's and the package's: path and content. */
type Files = Readonly<Record<string, string | Uint8Array>>;

interface DiskOptions {
  readonly root?: Root;
  readonly mebibytes?: number;
  /** Its file system survives the end of QEMU at any moment. */
  readonly journal?: boolean;
}

/** A disk with Debian and our package, for one boot after the other. */
export class SystemdDisk {
  readonly #folder = mkdtempSync(join(tmpdir(), 'kdump-mem-systemd-'));
  readonly #kernel: string;
  #guest: Guest | undefined;

  constructor(files: Files, { root = 'bookworm-systemd', mebibytes = 900, journal = false }: DiskOptions = {}) {
    this.#kernel = KERNELS[root];
    try {
      layOut(join(this.#folder, 'root'), root, files);
      makeDisk(this.path, mebibytes, join(this.#folder, 'root'), journal);
      rmSync(join(this.#folder, 'root'), { recursive: true });
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  get path(): string {
    return join(this.#folder, 'disk');
  }

  /** Boots it. @param append words for the kernel's command line */
  async boot({ memoryMiB = 1024, cpus = 2, append = '' } = {}): Promise<SystemdGuest> {
    const guest = await bootGuest({
      kernel: this.#kernel,
      memoryMiB,
      cpus,
      append: `rdinit=/with-systemd psi=1 ${append}`,
      files: [WITH_SYSTEMD],
      modules: DIAG,
      disks: [{ path: this.path }],
    });
    this.#guest = guest;
    // Until then the shell and the first process have one root.
    await guest.run('until [ -S /proc/1/root/run/systemd/private ]; do sleep 1; done');
    const inside = async (command: string, mayFail = false) => {
      const line = `chroot /proc/1/root /bin/bash -c ${shellWord(command)}`;
      const { output } = await guest.run(line, { mayFail });
      return output.toString();
    };
    // Many short commands: a test may wait for longer than a command.
    const until = async (command: string) => {
      while ((await inside(`${command} > /dev/null 2>&1 && echo true || sleep 1`)) !== 'true\n');
    };
    return { guest, inside, until, dispose: () => this.dispose() };
  }

  dispose(): void {
    this.#guest?.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Boots a disk that ends with its guest. */
export async function bootSystemd(files: Files, memoryMiB?: number): Promise<SystemdGuest> {
  const disk = new SystemdDisk(files);
  try {
    return await disk.boot({ memoryMiB });
  } catch (error) {
    disk.dispose();
    throw error;
  }
}

/** Kernel and initramfs of a capture kernel where kdump-tools loads them, for a disk of this root. */
export function captureKernel(root: Root): Files {
  const { release, vmlinuz, modules } = kernelFiles(KERNELS[root]);
  return {
    [`boot/vmlinuz-${release}`]: readFileSync(vmlinuz),
    [`var/lib/kdump/initrd.img-${release}`]: initramfs(modules, { files: [WITH_SYSTEMD] }),
    // Otherwise kdump-config makes an initramfs of its own, which does not find this disk.
    [`var/lib/kdump/latest_sysctls-${release}`]: readFileSync(join(labRoot(root), 'etc/kdump/sysctl.conf')),
  };
}

/** Copies a root of the lab, with our package unpacked. */
export function copyWithPackage(root: string, lab: string): void {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const deb = join(ROOT, `dist/release/kdump-mem_${version}-1_amd64.deb`);
  if (!existsSync(deb)) throw new Error(`${deb} is missing: run scripts/release amd64`);
  execFileSync('cp', ['-a', labRoot(lab), root]);
  execFileSync('dpkg-deb', ['--extract', deb, root]);
}

/** Debian, our package unpacked, and these files. */
function layOut(root: string, lab: Root, files: Files): void {
  copyWithPackage(root, lab);
  for (const [path, content] of Object.entries(files)) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  // Without one systemd treats this as the first boot, and enables every unit.
  writeFileSync(join(root, 'etc/machine-id'), `${'5'.repeat(32)}\n`);
  chmodSync(root, 0o755);
}
