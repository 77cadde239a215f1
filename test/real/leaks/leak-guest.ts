import { connect, type Socket } from 'node:net';
import { bootGuest, type Guest, type GuestOptions } from '../../../scripts/lab-parts/guest.mjs';
import { guestModule } from '../../../scripts/lab-parts/guest-module.mjs';
import { guestTool } from '../../../scripts/lab-parts/guest-program.mjs';
import { type LeaksAnswer, leaksSchema } from '../../../src/contracts/leaks.js';
import { kdumpMemInGuest, MEMORY_MIB } from '../../support/guest.js';
import type { GuestKernel } from '../../support/lab.js';

/** Functions of guest-modules/leak.c, in the order of its table. */
export const KINDS = [
  'leak_single',
  'leak_third',
  'leak_fifth',
  'leak_parts',
  'leak_bulk',
  'leak_object',
  'leak_area',
  'keep_page',
  'keep_object',
  'ring_page',
  'ring_split',
  'ring_exact',
  'ring_object',
  'ring_area',
  'ring_rcu',
  'leak_pool',
] as const;
export type Kind = (typeof KINDS)[number];

export interface Amount {
  readonly blocks: number;
  readonly bytes: number;
}

/** Memory that the module holds, by its own counters. */
export type Truth = Readonly<Record<Kind, Amount>>;

/** Maximum rate per second: a guest that shares its CPU is slower. */
export type Rates = Partial<Record<Kind, number>>;

function listOf(rates: Rates): string {
  return KINDS.map((kind) => rates[kind] ?? 0).join(',');
}

export const TRACEFS = '/sys/kernel/tracing';

/** Minimum ratio of the slowest third to the fastest, for a steady leak. */
const STEADY = 0.75;
/** A recording that ends later has a last part without allocations of the module. */
const LATE = 1.25;

/** A port of the guest that reads its data, or does not. */
const PORT = 9001;

/** Condition in the guest's shell: `kdump-mem leaks` is recording. */
function recorded(options: string): string {
  // bpftrace starts counting once both page counters are open and read.
  return options.includes('--engine bpftrace')
    ? 'ls -l /proc/$(cat /tmp/pid)/fd | grep -q /proc/vmstat'
    : `grep -q 1 ${TRACEFS}/instances/kdump-mem-$(cat /tmp/pid)-*-allocations/events/kmem/*/enable`;
}

/** A guest with kdump-mem, a module that leaks, and programs that allocate and free memory. */
export class LeakGuest {
  readonly guest: Guest;
  readonly #fed = new Set<Socket>();

  private constructor(guest: Guest) {
    this.guest = guest;
  }

  static async boot(kernel: GuestKernel, options: Partial<GuestOptions> = {}): Promise<LeakGuest> {
    const guest = await bootGuest({
      kernel,
      memoryMiB: MEMORY_MIB,
      tcpPorts: [PORT],
      ...options,
      files: [
        ...kdumpMemInGuest(kernel),
        guestModule('leak', kernel),
        ...['churn', 'reader', 'traffic', 'work'].map((name) => guestTool(name, kernel)),
        ...(options.files ?? []),
      ],
    });
    return new LeakGuest(guest);
  }

  async mount(): Promise<void> {
    await this.guest.run(`mount -t tracefs none ${TRACEFS}; mount -t debugfs none /sys/kernel/debug`);
  }

  /** Loads the module; it allocates nothing before {@link go}. */
  async leaks(rates: Rates, keep = 256): Promise<void> {
    await this.guest.run(`insmod /leak.ko rates=${listOf(rates)} keep=${keep} paused=1`);
  }

  /** Changes the rates. */
  async rates(rates: Rates): Promise<void> {
    await this.guest.run(`echo ${listOf(rates)} > /sys/module/leak/parameters/rates`);
  }

  async go(): Promise<void> {
    await this.#pause(false);
  }

  /** Stops allocations and frees. */
  async halt(): Promise<void> {
    await this.#pause(true);
    // The current operation of its thread ends within this time.
    await this.guest.run('usleep 200000');
  }

  async #pause(paused: boolean): Promise<void> {
    await this.guest.run(`echo ${paused ? 1 : 0} > /sys/module/leak/parameters/paused`);
  }

  async truth(): Promise<Truth> {
    return this.#held('/proc/leak');
  }

  /**
   * Whether the module allocated at the same rate in each third of {@link traced}, by its own
   * counts: a starved guest does not.
   */
  async #steady(): Promise<boolean> {
    const counts: number[] = [];
    for (const third of [1, 2, 3]) counts.push((await this.#held(`/tmp/leak.${third}`)).leak_single.blocks);
    const thirds = counts.map((count, index) => count - (counts[index - 1] ?? 0));
    const isSteady = Math.min(...thirds) >= STEADY * Math.max(...thirds);
    if (!isSteady) console.log(`uneven: ${thirds.join(', ')} allocations`);
    return isSteady;
  }

  async #held(path: string): Promise<Truth> {
    const { output } = await this.guest.run(`cat ${path}`);
    const amounts = output
      .toString()
      .trim()
      .split('\n')
      .map((line) => {
        const [kind, blocks, bytes] = line.split(' ');
        return [kind, { blocks: Number(blocks), bytes: Number(bytes) }];
      });
    return Object.fromEntries(amounts) as Truth;
  }

  /** Starts processes, tmpfs files and sockets that come and go for this time. */
  async load(seconds: number): Promise<void> {
    const folder = 'mkdir -p /work; mountpoint -q /work || mount -t tmpfs none /work';
    // On a slow machine the recorder goes first: the load takes what is left.
    const later = '(sleep 1; renice -n 19 -p $(pidof churn traffic)) > /dev/null 2>&1 &';
    await this.guest.run(`${folder}; churn ${seconds} /work; traffic ${seconds}; ${later}`);
  }

  /**
   * Waits until all that {@link load} started has exited: its frees would match no allocation of a
   * later recording.
   */
  async unloaded(): Promise<void> {
    await this.guest.run('while pidof churn traffic > /dev/null; do usleep 200000; done');
  }

  /**
   * Sends data through virtio-net, as fast as it is read, or until the buffers of a stalled reader
   * are full.
   */
  async fed(starving = false): Promise<void> {
    await this.guest.run(`reader ${PORT} ${starving ? 'starving' : ''}`);
    for (let many = starving ? 4 : 1; many > 0; many--) this.#connect(starving);
  }

  #connect(starving: boolean): void {
    const port = this.guest.tcpPorts.get(PORT) ?? 0;
    const socket = connect(port, '127.0.0.1').setNoDelay();
    this.#fed.add(socket);
    // Queued data pins one driver buffer per segment, even of a small one.
    const chunk = Buffer.alloc(starving ? 10 : 16_384, 'x');
    const clock = setInterval(() => {
      if (socket.writableLength < chunk.length) socket.write(chunk);
    }, 10).unref();
    // The guest's exit reports the reason.
    socket.on('error', () => {});
    socket.on('close', () => {
      clearInterval(clock);
      if (this.#fed.delete(socket)) setTimeout(() => this.#connect(starving), 200).unref();
    });
  }

  /**
   * Runs `kdump-mem leaks … --json`, and lets the module allocate from the start of the recording
   * until shortly before its end: the expected report is what it holds then.
   */
  async traced(
    options: string,
    seconds: number,
    begun: () => Promise<unknown> = async () => {},
  ): Promise<{ answer: LeaksAnswer; truth: Truth; steady: boolean }> {
    await this.start(`${options} --interval ${seconds} --json`);
    await begun();
    const paused = '/sys/module/leak/parameters/paused';
    // One command: a busy guest is slow to accept another.
    const third = `sleep ${(seconds - 4) / 3}; cat /proc/leak > /tmp/leak`;
    await this.guest.run(`echo 0 > ${paused}; ${third}.1; ${third}.2; ${third}.3; echo 1 > ${paused}`);
    const { status, stdout, stderr } = await this.finish();
    if (status !== 0) throw new Error(`status ${status}: ${stderr}`);
    const answer = leaksSchema.parse(JSON.parse(stdout));
    const onTime = answer.seconds <= LATE * seconds;
    const steady = await this.#steady();
    if (!onTime) console.log(`late: ${answer.seconds} s`);
    return { answer, truth: await this.truth(), steady: onTime && steady };
  }

  /**
   * Runs `kdump-mem leaks` in the background, until it records events or another condition holds.
   */
  async start(options: string, begun = recorded(options)): Promise<void> {
    const command = `echo $$ > /tmp/pid; exec kdump-mem leaks ${options} > /tmp/stdout 2> /tmp/stderr < /dev/null`;
    await this.guest.run(
      `rm -f /tmp/status /tmp/pid; (time -v sh -c '${command}' 2> /tmp/time; echo $? > /tmp/status) > /dev/null 2>&1 &
       until ${begun}; do
         [ -e /tmp/status ] && { cat /tmp/stderr; exit 1; }
         usleep 100000
       done 2> /dev/null`,
    );
  }

  /** Signals the process of {@link start}. */
  async signal(name: string): Promise<void> {
    await this.guest.run(`kill -${name} $(cat /tmp/pid)`);
  }

  /** Waits for its exit. */
  async finish(): Promise<{ status: number; stdout: string; stderr: string }> {
    const said = async (command: string) => (await this.guest.run(command)).output.toString();
    const status = Number(await said('until [ -s /tmp/status ]; do usleep 100000; done; cat /tmp/status'));
    return { status, stdout: await said('cat /tmp/stdout'), stderr: await said('cat /tmp/stderr') };
  }

  /** Peak memory of the process of {@link start} in bytes, from its parent's wait status. */
  async peakBytes(): Promise<number> {
    const { output } = await this.guest.run('cat /tmp/time');
    const kilobytes = /Maximum resident set size \(kbytes\): (\d+)/.exec(output.toString())?.[1];
    if (kilobytes === undefined) throw new Error(`time tells no peak: ${output.toString()}`);
    return Number(kilobytes) * 1024;
  }

  /** Instances of tracefs. */
  async instances(): Promise<string[]> {
    const { output } = await this.guest.run(`ls ${TRACEFS}/instances`);
    return output.toString().split('\n').filter(Boolean);
  }

  end(): void {
    for (const socket of this.#fed) {
      this.#fed.delete(socket);
      socket.destroy();
    }
    this.guest.kill();
  }
}
