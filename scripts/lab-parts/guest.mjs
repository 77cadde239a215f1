// Boots a kernel of the lab in QEMU, with a shell in it, and dumps its memory.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { initramfs } from './initramfs.mjs';
import { STEP_MS, WHOLE_MS } from './limits.mjs';
import { machineOf } from './machines.mjs';
import { BY_HAND, numaMachine } from './numa.mjs';
import { kernelFiles, LAB } from './paths.mjs';
import { Qmp } from './qmp.mjs';
import { GuestShell } from './shell.mjs';

/**
 * @typedef {object} GuestOptions
 * @property {string} kernel a kernel of the lab: 5.10, 6.1, 6.12, newest, 6.12-arm64, …
 * @property {number} [memoryMiB] 512 unless told
 * @property {number} [cpus] 2 unless told
 * @property {boolean} [counted] its clock goes by instructions, 2 ns each, and leaps where it has none to
 *   run: how long something takes is then what it costs, whatever else this machine does
 * @property {string} [cpu] QEMU's -cpu; the machine's own unless told (four-level paging of x86_64)
 * @property {boolean} [numa] memory in two nodes, and more that the guest can take (numa.mjs)
 * @property {string} [append] more of the kernel's command line
 * @property {{ path: string, from?: string, data?: Uint8Array | string, mode?: number }[]} [files]
 *   more of the initramfs: a file of this machine (`from`) or bytes; executable unless told
 * @property {string[]} [modules] more kernel modules than the lab's own
 * @property {boolean} [balloon] it has a balloon of virtio; MemTotal excludes what is in it
 * @property {string[]} [qemu] more arguments of QEMU
 * @property {{ path: string, readonly?: boolean }[]} [disks] raw images: /dev/vda, /dev/vdb, …
 * @property {number[]} [tcpPorts] guest ports that this machine reaches on 127.0.0.1
 * @property {number[]} [udpPorts] the same for UDP
 */

export { FIVE_LEVELS, FOUR_LEVELS } from './machines.mjs';

/** From this size on memory is a sparse file on the disk. */
const IN_FILE_MIB = 8192;
/** Programs end in milliseconds, also in a guest that shares its CPU. */
const COME_TO_REST_MS = 1_000;

/** @type {Set<Guest>} */
const alive = new Set();
const killAll = () => {
  for (const guest of alive) guest.kill();
};
process.on('exit', killAll);
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.once(signal, () => {
    killAll();
    process.kill(process.pid, signal);
  });
}

/**
 * Boots a guest and waits until its shell answers.
 *
 * @param {GuestOptions} options
 */
export async function bootGuest(options) {
  const guest = new Guest();
  alive.add(guest);
  try {
    await guest.boot(options);
    return guest;
  } catch (error) {
    guest.kill();
    throw new Error(`the ${options.kernel} guest did not boot; ${guest.lastWords()}`, { cause: error });
  }
}

export class Guest {
  /** All that the guest has printed on its serial line. */
  console = '';
  /** Guest port → port of 127.0.0.1 on this machine. */
  tcpPorts = /** @type {Map<number, number>} */ (new Map());
  udpPorts = /** @type {Map<number, number>} */ (new Map());
  /** Resolves when QEMU has ended, by itself or killed. */
  ended = /** @type {Promise<void>} */ (Promise.resolve());

  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;
  /** @type {Qmp | undefined} */
  #qmp;
  /** @type {GuestShell | undefined} */
  #shell;
  /** @type {NodeJS.Timeout | undefined} */
  #limit;
  #folder = mkdtempSync(join(tmpdir(), 'kdump-mem-guest-'));
  #gone = false;

  /** @param {GuestOptions} options */
  async boot(options) {
    const files = kernelFiles(options.kernel);
    const machine = machineOf(options.kernel);
    const initrd = join(this.#folder, 'initrd');
    writeFileSync(initrd, initramfs(files.modules, { ...options, busybox: files.busybox }));

    // QEMU connects to us, so that its sockets close with this process.
    const qmp = await listen(join(this.#folder, 'qmp'));
    const shell = await listen(join(this.#folder, 'shell'));
    const { tcpPorts = [], udpPorts = [], memoryMiB = 512 } = options;
    // QEMU takes ports that are free: one that was found free here may be taken by then.
    const forwards = [
      ...tcpPorts.map((port) => `hostfwd=tcp:127.0.0.1:0-:${port}`),
      ...udpPorts.map((port) => `hostfwd=udp:127.0.0.1:0-:${port}`),
    ];
    const args = [
      ...machine.args,
      ...(options.qemu ?? []),
      // All CPUs in one thread: with a thread each, one CPU may run code that another has just patched
      // (jump labels), which the kernel takes for a breakpoint of nobody's and panics. It takes no longer.
      '-accel',
      'tcg,thread=single',
      '-cpu',
      options.cpu ?? machine.cpu,
      ...(options.counted ? ['-icount', 'shift=1,sleep=off'] : []),
      '-smp',
      String(options.cpus ?? 2),
      ...(options.numa ? numaMachine(memoryMiB) : ['-m', String(memoryMiB)]),
      // More than this machine may have. A dump reads pages that the guest never touched: anonymous memory would be
      // allocated for them where the kernel has no zero page, holes of a file (unlinked at once) are page cache.
      ...(memoryMiB > IN_FILE_MIB
        ? [
            '-object',
            `memory-backend-file,id=ram,size=${memoryMiB}M,mem-path=${LAB},share=on,discard-data=on`,
            '-machine',
            'memory-backend=ram',
          ]
        : []),
      '-display',
      'none',
      '-serial',
      'stdio',
      '-monitor',
      'none',
      '-no-reboot',
      '-nodefaults',
      '-kernel',
      files.vmlinuz,
      '-initrd',
      initrd,
      '-append',
      // An emulated timer can be too slow for the kernel's own test of it.
      [
        `console=${machine.console} panic=-1 loglevel=4 no_timer_check`,
        ...(options.numa ? [BY_HAND] : []),
        ...(options.append ? [options.append] : []),
      ].join(' '),
      '-netdev',
      ['user', 'id=n0', ...forwards].join(','),
      '-device',
      'virtio-net-pci,netdev=n0,mrg_rxbuf=on,romfile=',
      '-device',
      'vmcoreinfo',
      '-chardev',
      `socket,id=shell,path=${shell.path}`,
      '-device',
      'virtio-serial-pci',
      '-device',
      'virtserialport,chardev=shell,name=lab',
      ...(options.balloon ? ['-device', 'virtio-balloon-pci'] : []),
      '-qmp',
      `unix:${qmp.path}`,
      ...(options.disks ?? []).flatMap(({ path, readonly }) => [
        '-drive',
        `if=virtio,format=raw,file=${path},cache=unsafe${readonly ? ',readonly=on' : ''}`,
      ]),
    ];
    // The kernel kills QEMU even when this process dies without a word.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', machine.qemu, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    this.ended = new Promise((resolve) => {
      child.once('error', () => resolve());
      child.once('close', () => resolve());
    }).then(() => this.kill());
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.console += text;
      });
    }
    this.#limit = setTimeout(() => {
      this.console += `\n(killed here: it has run for ${WHOLE_MS} ms)\n`;
      this.kill();
    }, WHOLE_MS).unref();

    const failed = this.ended.then(() => {
      throw new Error('QEMU ended');
    });
    this.#qmp = new Qmp(await Promise.race([qmp.connection, failed]));
    this.#shell = new GuestShell(await Promise.race([shell.connection, failed]));
    failed.catch(() => {});
    await this.#qmp.execute('qmp_capabilities');
    const network = await this.#qmp.execute('human-monitor-command', { 'command-line': 'info usernet' });
    takePorts(String(network), 'TCP', tcpPorts, this.tcpPorts);
    takePorts(String(network), 'UDP', udpPorts, this.udpPorts);
    await Promise.race([this.#shell.run('true'), failed]);
  }

  /**
   * Runs a command line in the guest's busybox shell and waits for its end.
   *
   * @param {string} command
   * @param {{ mayFail?: boolean }} [options]
   * @returns {Promise<{ status: number, output: Buffer }>} stdout and stderr together
   */
  async run(command, { mayFail = false } = {}) {
    if (this.#shell === undefined) throw new Error('the guest has not booted');
    const answer = await this.#shell.run(command).catch((error) => {
      throw new Error(`${error.message}: ${command}; ${this.lastWords()}`, { cause: error });
    });
    if (answer.status !== 0 && !mayFail) {
      throw new Error(`in the guest, status ${answer.status}: ${command}\n${answer.output}`);
    }
    return answer;
  }

  /**
   * Waits until the serial line has said something.
   *
   * @param {RegExp} words
   * @param {number} [from] where in `console` to begin looking
   */
  async waitFor(words, from = 0) {
    const until = Date.now() + STEP_MS;
    while (!words.test(this.console.slice(from))) {
      if (this.#gone) throw new Error(`the guest ended before it said ${words}; ${this.lastWords()}`);
      if (Date.now() > until) {
        throw new Error(`the guest did not say ${words} in ${STEP_MS} ms; ${this.lastWords()}`);
      }
      await sleep(50);
    }
  }

  /** The end of what the guest printed, for an error. */
  lastWords() {
    return `its last words:\n${this.console.split('\n').slice(-25).join('\n')}`;
  }

  /**
   * Stops its CPUs. First the program that wrote the last answer gets time to end: a CPU that stops amid
   * that leaves counters of pages that no longer have them.
   */
  async pause() {
    await sleep(COME_TO_REST_MS);
    await this.#qmp?.execute('stop');
  }

  async resume() {
    await this.#qmp?.execute('cont');
  }

  /**
   * Asks the balloon driver to leave the guest that much memory.
   *
   * @param {number} bytes
   */
  async balloonTo(bytes) {
    await this.#qmp?.execute('balloon', { value: bytes });
  }

  /** An interrupt that cannot be masked, as of the button on servers. */
  async nmi() {
    await this.#qmp?.execute('inject-nmi');
  }

  /**
   * Withholds what is read from and written to a disk: it gets one byte a second, after the requests in flight.
   *
   * @param {number} disk its index in the options
   */
  async stall(disk) {
    const none = { bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
    await this.#qmp?.execute('block_set_io_throttle', { device: `virtio${disk}`, bps: 1, ...none });
  }

  /**
   * Writes the guest's memory to a file, whole or not at all. Pause it before.
   *
   * @param {'elf' | 'kdump-zlib'} format
   * @param {string} path
   */
  async dump(format, path) {
    if (this.#qmp === undefined) throw new Error('the guest has not booted');
    const partial = `${path}.partial`;
    rmSync(partial, { force: true });
    await this.#qmp.execute('dump-guest-memory', {
      paging: false,
      protocol: `file:${partial}`,
      ...(format === 'elf' ? {} : { format }),
    });
    chmodSync(partial, 0o644);
    renameSync(partial, path);
  }

  /**
   * Copies a disk as it would be if QEMU was killed now.
   *
   * @param {string} image
   * @param {string} to
   */
  copyDisk(image, to) {
    this.#process?.kill('SIGSTOP');
    try {
      execFileSync('cp', ['--sparse=always', image, to]);
    } finally {
      this.#process?.kill('SIGCONT');
    }
  }

  /** Ends QEMU at once. Safe to call twice. */
  kill() {
    if (this.#gone) return;
    this.#gone = true;
    clearTimeout(this.#limit);
    alive.delete(this);
    this.#process?.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/**
 * Waits for one connection on a unix socket.
 *
 * @param {string} path
 * @returns {Promise<{ path: string, connection: Promise<import('node:net').Socket> }>}
 */
async function listen(path) {
  const server = createServer();
  const connection = new Promise((resolve) => {
    server.once('connection', (socket) => {
      server.close();
      resolve(socket);
    });
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve(undefined));
  });
  server.unref();
  return { path, connection };
}

/**
 * @param {string} network QEMU's `info usernet`: protocol, descriptor, address and port of this
 *   machine, address and port of the guest
 * @param {'TCP' | 'UDP'} protocol
 * @param {number[]} ports of the guest
 * @param {Map<number, number>} taken guest port → port of this machine, filled here
 */
function takePorts(network, protocol, ports, taken) {
  const line = new RegExp(`${protocol}\\[HOST_FORWARD\\]\\s+\\d+\\s+\\S+\\s+(\\d+)\\s+\\S+\\s+(\\d+)`, 'g');
  for (const [, here, guest] of network.matchAll(line)) taken.set(Number(guest), Number(here));
  const missing = ports.find((port) => !taken.has(port));
  if (missing !== undefined) throw new Error(`QEMU forwards no ${protocol} port ${missing}:\n${network}`);
}
