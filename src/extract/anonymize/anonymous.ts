import { bytesOf, untilNul } from '../../kernel/bytes.js';
import type { NativeKernel } from '../../kernel/native/kernel.js';
import { UTS, UTS_BYTES } from '../../kernel/utsname.js';
import { StructReader } from '../../walk/struct-reader.js';
import { type AskedSocket, attempt, everyTask, threadsOf } from '../questions.js';
import { Addresses } from './addresses.js';
import { cgroupNames } from './cgroup-names.js';
import { Names } from './names.js';

/** Bytes to put in place of others, by page number, at bytes from its start. */
export type Patches = ReadonlyMap<number, readonly Patch[]>;

export interface Patch {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/**
 * What an anonymous extract says instead of the truth: of sockets their addresses and paths, of
 * processes and cgroups their names, of the machine its name. Kernel threads are called what the
 * kernel's code calls them. What cannot be read is not kept either.
 */
export function anonymous(kernel: NativeKernel, sockets: readonly AskedSocket[]): Patches {
  const patcher = new Patcher(kernel);
  attempt(() => patchHost(kernel, patcher));
  patchTasks(kernel, patcher);
  const addresses = new Addresses();
  const paths = new Names('p');
  const unix = { kernel, patcher, paths };
  for (const { sock, family } of sockets) {
    attempt(() => patchSock(kernel, patcher, addresses, sock));
    if (family === 'AF_UNIX') attempt(() => patchUnix(unix, sock));
  }
  return patcher.patches;
}

/** Collects patches at virtual addresses. */
class Patcher {
  readonly patches = new Map<number, Patch[]>();
  readonly #kernel: NativeKernel;

  constructor(kernel: NativeKernel) {
    this.#kernel = kernel;
  }

  put(address: bigint, bytes: Uint8Array): void {
    const { pageSize } = this.#kernel.facts;
    for (let done = 0; done < bytes.length; ) {
      const physical = this.#kernel.physicalOf(address + BigInt(done));
      if (physical === undefined) return;
      const at = physical % pageSize;
      const length = Math.min(bytes.length - done, pageSize - at);
      const page = Math.floor(physical / pageSize);
      const list = this.patches.get(page) ?? [];
      list.push({ at, bytes: bytes.subarray(done, done + length) });
      this.patches.set(page, list);
      done += length;
    }
  }
}

function patchHost(kernel: NativeKernel, patcher: Patcher): void {
  const address = kernel.symbol('init_uts_ns');
  if (address === undefined) return;
  const names = new StructReader(kernel, 'uts_namespace', ['name']).offset('name');
  const host = Buffer.alloc(UTS_BYTES);
  host.write('host');
  patcher.put(address + BigInt(names + UTS.nodename * UTS_BYTES), host);
  patcher.put(address + BigInt(names + UTS.domain * UTS_BYTES), Buffer.alloc(UTS_BYTES));
}

function patchTasks(kernel: NativeKernel, patcher: Patcher): void {
  const reader = new StructReader(kernel, 'task_struct', ['comm']);
  const comms = new Names('c');
  const directories = new Names('g');
  for (const process of everyTask(kernel)) {
    for (const { address, kernelThread } of [process, ...threadsOf(kernel, process)]) {
      if (kernelThread) continue;
      attempt(() => {
        const view = reader.read(address);
        const comm = view.bytes('comm');
        // Behind its end may be what it was called before.
        const bytes = new Uint8Array(comm.length);
        bytes.set(comms.of(untilNul(comm)));
        patcher.put(view.addressOf('comm'), bytes);
      });
      attempt(() => {
        for (const name of cgroupNames(kernel, address))
          patcher.put(name.address, directories.of(name.bytes));
      });
    }
  }
}

function patchSock(
  kernel: NativeKernel,
  patcher: Patcher,
  addresses: Addresses,
  sock: bigint,
): void {
  const layout = kernel.struct('sock');
  for (const [members, make] of [
    [
      ['__sk_common.skc_daddr', '__sk_common.skc_rcv_saddr'],
      (bytes: Uint8Array) => addresses.v4(bytes),
    ],
    [
      ['__sk_common.skc_v6_daddr', '__sk_common.skc_v6_rcv_saddr'],
      (bytes: Uint8Array) => addresses.v6(bytes),
    ],
    // Made of the addresses and ports, or of a path.
    [['__sk_common.skc_hash'], (bytes: Uint8Array) => new Uint8Array(bytes.length)],
  ] as const) {
    for (const path of members) {
      const member = layout?.member(path);
      if (member === undefined) continue;
      attempt(() => {
        const address = sock + BigInt(member.offset);
        const view = kernel.read(address, member.size);
        patcher.put(address, make(bytesOf(view, 0, member.size)));
      });
    }
  }
}

/** Longest address of a unix socket, `sun_path`, and what comes before it: the family. */
const UNIX_PATH_MAX = 108;
const FAMILY_BYTES = 2;

function patchUnix(
  unix: { readonly kernel: NativeKernel; readonly patcher: Patcher; readonly paths: Names },
  sock: bigint,
): void {
  const { kernel, patcher, paths } = unix;
  const reader = new StructReader(kernel, 'unix_sock', ['addr', 'peer']);
  const name = new StructReader(kernel, 'unix_address', ['len', 'name']);
  const own = reader.read(sock);
  const peer = own.pointer('peer');
  for (const view of peer === 0n ? [own] : [own, reader.read(peer)]) {
    const address = view.pointer('addr');
    if (address === 0n) continue;
    const length = Math.min(
      new StructReader(kernel, 'unix_address', ['len']).read(address).number('len') - FAMILY_BYTES,
      UNIX_PATH_MAX,
    );
    if (length <= 0) continue;
    const start = address + BigInt(name.offset('name') + FAMILY_BYTES);
    const read = kernel.read(start, length);
    const whole = bytesOf(read, 0, length);
    const bytes = new Uint8Array(length);
    // An abstract name begins with NUL and may hold more of them.
    if (whole[0] === 0) bytes.set(paths.of(whole.subarray(1)), 1);
    else bytes.set(paths.of(untilNul(whole)));
    patcher.put(start, bytes);
  }
}
