// Types of guest.mjs, for tests.

export interface GuestOptions {
  /** A kernel of the lab: 5.10, 6.1, 6.12, newest, 6.12-arm64, … */
  kernel: string;
  /** 512 unless told. */
  memoryMiB?: number;
  /** 2 unless told. */
  cpus?: number;
  /** Its clock goes by instructions, 2 ns each: how long something takes is then what it costs. */
  counted?: boolean;
  /** QEMU's -cpu; the machine's own unless told (four-level paging of x86_64). */
  cpu?: string;
  /** Memory in two nodes, and more that the guest can take. */
  numa?: boolean;
  /** More of the kernel's command line. */
  append?: string;
  /** More of the initramfs: a file of this machine (`from`) or bytes; executable unless told. */
  files?: { path: string; from?: string; data?: Uint8Array | string; mode?: number }[];
  /** More kernel modules than the lab's own. */
  modules?: string[];
  /** It has a balloon of virtio; MemTotal excludes what is in it. */
  balloon?: boolean;
  /** More arguments of QEMU. */
  qemu?: string[];
  /** Raw images: /dev/vda, /dev/vdb, … */
  disks?: { path: string; readonly?: boolean }[];
  /** Guest ports that this machine reaches on 127.0.0.1. */
  tcpPorts?: number[];
  udpPorts?: number[];
}

export interface GuestAnswer {
  status: number;
  /** stdout and stderr together. */
  output: Buffer;
}

/** A running guest; it dies with this process, however that ends. */
export declare class Guest {
  /** All that the guest has printed on its serial line. */
  console: string;
  /** Guest port → port of 127.0.0.1 on this machine. */
  tcpPorts: Map<number, number>;
  udpPorts: Map<number, number>;
  /** Resolves when QEMU has ended, by itself or killed. */
  ended: Promise<void>;
  /** Runs a command line in the guest's busybox shell and waits for its end. */
  run(command: string, options?: { mayFail?: boolean }): Promise<GuestAnswer>;
  /** Waits until the serial line has said something. */
  waitFor(words: RegExp, from?: number): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Asks the balloon driver to leave the guest that much memory. */
  balloonTo(bytes: number): Promise<void>;
  /** An interrupt that cannot be masked, as of the button on servers. */
  nmi(): Promise<void>;
  /** Withholds what is read from and written to a disk, by its index in the options, after the requests in flight. */
  stall(disk: number): Promise<void>;
  /** Writes the guest's memory to a file, whole or not at all. Pause it before. */
  dump(format: 'elf' | 'kdump-zlib', path: string): Promise<void>;
  lastWords(): string;
  /** Copies a disk as it would be if QEMU was killed now. */
  copyDisk(image: string, to: string): void;
  /** Ends QEMU at once. Safe to call twice. */
  kill(): void;
}

export declare const FOUR_LEVELS: string;
export declare const FIVE_LEVELS: string;

/** Boots a guest and waits until its shell answers. */
export declare function bootGuest(options: GuestOptions): Promise<Guest>;
