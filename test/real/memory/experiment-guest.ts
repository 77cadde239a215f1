import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeDisk } from '../../../scripts/lab-parts/disk.mjs';
import { bootGuest, type Guest } from '../../../scripts/lab-parts/guest.mjs';
import { guestModule } from '../../../scripts/lab-parts/guest-module.mjs';
import { guestTool } from '../../../scripts/lab-parts/guest-program.mjs';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { memoryJson } from '../../../src/answers/memory/json.js';
import { type CategoryJson, type MemoryJson, memorySchema } from '../../../src/contracts/memory.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { LAB, type LabKernel } from '../../support/lab.js';
import { AMOUNT } from './experiments.js';

/** Memory of a guest, and its kernel's counters of slabs and vmalloc. */
export interface Look {
  readonly answer: MemoryJson;
  /** Bytes of the leaf categories. */
  readonly categories: ReadonlyMap<string, number>;
  /** Bytes of slab pages of all caches, from /proc/slabinfo. */
  readonly slabs: number;
  /** Bytes of pages of all areas, from /proc/vmallocinfo, including stacks. */
  readonly vmalloc: number;
}

/** `name active objects size objects-per-slab pages-per-slab … : slabdata active-slabs slabs shared` */
const SLABS = { file: '/proc/slabinfo', each: 'NR > 2 { n += $6 * $15 }' };
/** `start-end bytes caller pages=…` */
const AREAS = { file: '/proc/vmallocinfo', each: '/ pages=/ { sub(/.* pages=/, ""); n += $1 }' };

/** Time until the shell that answered is idle again. */
const SETTLE_MS = 300;

/** A guest with programs that allocate memory, and samples of its memory. */
export class ExperimentGuest {
  readonly #guest: Guest;
  readonly #work: string;
  #taken = 0;

  private constructor(guest: Guest, work: string) {
    this.#guest = guest;
    this.#work = work;
  }

  static async boot(kernel: LabKernel): Promise<ExperimentGuest> {
    const work = mkdtempSync(join(LAB, 'experiment-'));
    try {
      const folder = join(work, 'folder');
      mkdirSync(folder);
      writeFileSync(join(folder, 'file'), Buffer.alloc(AMOUNT, 'a file '));
      const disk = join(work, 'disk');
      makeDisk(disk, (2 * AMOUNT) / 2 ** 20, folder);
      const guest = await bootGuest({
        kernel,
        memoryMiB: 640,
        disks: [{ path: disk, readonly: true }],
        files: [guestTool('takeuser', kernel), guestTool('takekernel', kernel), guestModule('plant', kernel)],
        modules: ['zram', 'lzo_rle'],
        append: 'secretmem.enable=1',
      });
      const settings = [
        'mkdir /disk; mount -t ext4 -o ro /dev/vda /disk',
        'cd /proc/sys; echo 100000000 > kernel/keys/root_maxbytes',
        "echo '65536 65536 65536' > net/ipv4/tcp_mem",
      ];
      await guest.run(settings.join('; '));
      return new ExperimentGuest(guest, work);
    } catch (error) {
      rmSync(work, { recursive: true, force: true });
      throw error;
    }
  }

  /**
   * Starts a program that allocates memory and keeps it.
   *
   * @returns the bytes that it reports
   */
  async take(command: string): Promise<number> {
    const file = `/tmp/taken-${this.#taken++}`;
    const { output } = await this.#guest.run(
      `touch ${file}; ${command} > ${file} 2>&1 & until [ -s ${file} ]; do usleep 20000; done; cat ${file}`,
    );
    const bytes = /^ready (\d+)\n$/.exec(output.toString())?.[1];
    if (bytes === undefined) throw new Error(`${command}: ${output.toString()}`);
    return Number(bytes);
  }

  /** Dumps the guest's memory and queries the breakdown. */
  async look(): Promise<Look> {
    const core = join(this.#work, 'vmcore');
    const counters = { slabs: await this.#sum(SLABS), vmalloc: await this.#sum(AREAS) };
    await sleep(SETTLE_MS);
    await this.#guest.pause();
    await this.#guest.dump('elf', core);
    await this.#guest.resume();
    const kernel = openNative({ files: [core] });
    try {
      const answer = memorySchema.parse(memoryJson(accountMemory(kernel)));
      const categories = new Map<string, number>();
      const visit = ({ category, bytes, children }: CategoryJson): void => {
        if (children.length === 0) categories.set(category, bytes);
        else children.forEach(visit);
      };
      visit(answer.memory);
      return { answer, categories, ...counters };
    } finally {
      kernel.close();
      rmSync(core);
    }
  }

  /** Base pages that lines of a file report, in bytes. */
  async #sum({ file, each }: { file: string; each: string }): Promise<number> {
    const { output } = await this.#guest.run(`awk '${each} END { print n }' ${file}`);
    return Number(output.toString()) * 4096;
  }

  async end(): Promise<void> {
    this.#guest.kill();
    await this.#guest.ended;
    rmSync(this.#work, { recursive: true, force: true });
  }
}
