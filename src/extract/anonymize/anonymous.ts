import { bytesOf, untilNul } from '../../kernel/bytes.js';
import { UTS, UTS_BYTES } from '../../kernel/layout.js';
import type { NativeKernel } from '../../kernel/native/parts.js';
import { type NamePlace, nameHashes } from '../../walk/files/paths.js';
import { listNodes } from '../../walk/list.js';
import { netNamespaces } from '../../walk/network/net-devices.js';
import { formatAddress } from '../../walk/sockets/sock-words.js';
import { decodeBytes, StructReader } from '../../walk/struct-reader.js';
import { nameHash } from '../../walk/tasks/cgroup.js';
import type { KeptPages } from '../kept-pages.js';
import { attempt, everyTask, threadsOf, type Visited } from '../questions.js';
import { Addresses, Interfaces, Names, Patcher, type Patches, Replacements } from './replacements.js';

/** Replacement of the names in an extract. */
export interface Anonymous {
  readonly patches: Patches;
  readonly names: Replacements;
}

/**
 * Replaces the names in an anonymous extract: addresses and paths of sockets, requested file names, names of
 * processes, cgroups and network devices, and of the machine. Kernel threads keep their names, except for
 * interfaces within them. Unreadable data is not kept either.
 *
 * @param kept pages of the extract: only these are patched
 */
export function anonymous(kernel: NativeKernel, { sockets, fileNames, cgroups }: Visited, kept: KeptPages): Anonymous {
  const work = { kernel, patcher: new Patcher(kernel, kept), names: new Replacements() };
  attempt(() => patchHost(work));
  const directories = new Names('g');
  patchTasks(work, patchInterfaces(work), directories);
  for (const cgroup of cgroups) attempt(() => patchCgroups(work, directories, cgroupNamesUp(kernel, cgroup)));
  const addresses = new Addresses();
  const paths = new Names('p');
  for (const { sock, family } of sockets) {
    attempt(() => patchSock(work, addresses, sock, family));
    if (family === 'AF_UNIX') attempt(() => patchUnix(work, paths, sock));
  }
  patchFiles(work, fileNames);
  return { patches: work.patcher.patches, names: work.names };
}

interface Work {
  readonly kernel: NativeKernel;
  readonly patcher: Patcher;
  readonly names: Replacements;
}

function patchHost({ kernel, patcher, names }: Work): void {
  const address = kernel.symbol('init_uts_ns');
  if (address === undefined) return;
  const offset = new StructReader(kernel, 'uts_namespace', ['name']).offset('name');
  for (const [member, made] of [
    [UTS.nodename, 'host'],
    [UTS.domain, ''],
  ] as const) {
    const at = address + BigInt(offset + member * UTS_BYTES);
    const bytes = Buffer.alloc(UTS_BYTES);
    bytes.write(made);
    if (!patcher.put(at, bytes)) continue;
    const real = kernel.read(at, UTS_BYTES);
    names.add('hosts', decodeBytes(untilNul(bytesOf(real, 0, UTS_BYTES))), made);
  }
}

function patchInterfaces({ kernel, patcher, names }: Work): Interfaces {
  const devices = interfaceNames(kernel);
  const interfaces = new Interfaces(devices, new Names('i'));
  for (const { address, bytes } of devices) {
    const real = untilNul(bytes);
    const made = interfaces.of(real);
    if (patcher.put(address, padded(made, bytes.length))) names.addBytes('interfaces', real, made);
  }
  return interfaces;
}

function patchTasks(work: Work, interfaces: Interfaces, directories: Names): void {
  const { kernel, patcher, names } = work;
  const reader = new StructReader(kernel, 'task_struct', ['comm']);
  const comms = new Names('c');
  for (const process of everyTask(kernel)) {
    for (const { address, kernelThread } of [process, ...threadsOf(kernel, process)]) {
      attempt(() => {
        const view = reader.read(address);
        const bytes = view.bytes('comm');
        const real = untilNul(bytes);
        const made = kernelThread ? interfaces.within(real, bytes.length - 1) : comms.of(real);
        const isPut = patcher.put(view.addressOf('comm'), padded(made, bytes.length));
        if (isPut && !kernelThread) names.addBytes('commands', real, made);
      });
      if (kernelThread) continue;
      attempt(() => patchCgroups(work, directories, cgroupNames(kernel, address)));
    }
  }
}

function patchCgroups({ patcher, names }: Work, directories: Names, cgroups: Iterable<CgroupName>): void {
  for (const { address, bytes, hash } of cgroups) {
    const made = directories.of(bytes);
    if (!patcher.put(address, made)) continue;
    names.addBytes('cgroups', bytes, made);
    const word = Buffer.alloc(4);
    word.writeUInt32LE(nameHash(untilNul(made)));
    patcher.put(hash, word);
  }
}

/** Padded with zeros: remains of an earlier name may follow it. */
function padded(name: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(name);
  return bytes;
}

function patchSock({ kernel, patcher, names }: Work, addresses: Addresses, sock: bigint, family: string): void {
  const v4 = (bytes: Uint8Array) => addresses.v4(bytes);
  const v6 = (bytes: Uint8Array) => addresses.v6(bytes);
  const info = StructReader.ifPresent(kernel, 'inet_sock', ['pinet6']);
  // Source addresses, with which a sock's own are compared.
  const put = (type: string, at: bigint, path: string, make: (bytes: Uint8Array) => Uint8Array) => {
    const member = kernel.struct(type)?.member(path);
    if (member === undefined || at === 0n) return;
    const address = at + BigInt(member.offset);
    attempt(() => patcher.put(address, make(bytesOf(kernel.read(address, member.size), 0, member.size))));
  };
  if (family === 'AF_INET' || family === 'AF_INET6') put('inet_sock', sock, 'inet_saddr', v4);
  if (family === 'AF_INET6') attempt(() => put('ipv6_pinfo', info?.read(sock).pointer('pinet6') ?? 0n, 'saddr', v6));
  const layout = kernel.struct('sock');
  for (const [members, make] of [
    [['__sk_common.skc_daddr', '__sk_common.skc_rcv_saddr'], v4],
    [['__sk_common.skc_v6_daddr', '__sk_common.skc_v6_rcv_saddr'], v6],
    // A hash of the addresses and ports, or of a path.
    [['__sk_common.skc_hash'], (bytes: Uint8Array) => new Uint8Array(bytes.length)],
  ] as const) {
    for (const path of members) {
      const member = layout?.member(path);
      if (member === undefined) continue;
      attempt(() => {
        const address = sock + BigInt(member.offset);
        const real = bytesOf(kernel.read(address, member.size), 0, member.size);
        const made = make(real);
        if (!patcher.put(address, made)) return;
        // Other families have other data there, and IPv6 has both.
        const symbol = path.includes('v6') ? 'AF_INET6' : path.includes('addr') ? 'AF_INET' : '';
        if (family === symbol && real.some((byte) => byte !== 0))
          names.add('addresses', formatAddress(real), formatAddress(made));
      });
    }
  }
}

/** Maximum length of a unix socket's path, `sun_path`, and the length of the family before it. */
const UNIX_PATH_MAX = 108;
const FAMILY_BYTES = 2;

function patchUnix({ kernel, patcher, names }: Work, paths: Names, sock: bigint): void {
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
    const whole = bytesOf(kernel.read(start, length), 0, length);
    // An abstract name begins with NUL and may contain more.
    const isAbstract = whole[0] === 0;
    const real = isAbstract ? whole.subarray(1) : untilNul(whole);
    const made = paths.of(real);
    const bytes = new Uint8Array(length);
    bytes.set(made, isAbstract ? 1 : 0);
    if (!patcher.put(start, bytes) || real.length === 0) continue;
    const at = isAbstract ? '@' : '';
    names.add('paths', at + decodeBytes(real), at + decodeBytes(made));
  }
}

/** Each name in a path, and its hash, by which the kernel finds it. */
function patchFiles({ kernel, patcher, names }: Work, places: readonly NamePlace[]): void {
  const made = new Names('f');
  for (const { dentry, parent, address, length } of places) {
    attempt(() => {
      const real = bytesOf(kernel.read(address, length), 0, length);
      // The root has the same name on every machine.
      if (real.length === 0 || decodeBytes(real) === '/') return;
      const name = made.of(real);
      if (patcher.put(address, name)) names.addBytes('paths', real, name);
      if (dentry === 0n) return;
      const hash = new StructReader(kernel, 'dentry', ['d_name.hash']);
      const word = Buffer.alloc(4);
      if (parent !== dentry) word.writeUInt32LE(nameHashes(parent, name)[0]);
      patcher.put(hash.addressOf(dentry, 'd_name.hash'), word);
    });
  }
}

/** Address of the name of a network device, and all bytes of its member. */
interface InterfaceName {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** Returns the names of the devices of all namespaces, as far as the lists can be read. */
function interfaceNames(kernel: NativeKernel): InterfaceName[] {
  const names: InterfaceName[] = [];
  attempt(() => {
    const devices = BigInt(new StructReader(kernel, 'net', ['dev_base_head']).offset('dev_base_head'));
    const device = new StructReader(kernel, 'net_device', ['name']);
    const link = BigInt(new StructReader(kernel, 'net_device', ['dev_list']).offset('dev_list'));
    for (const namespace of netNamespaces(kernel)) {
      attempt(() => {
        for (const node of listNodes(kernel, namespace + devices)) {
          attempt(() => {
            const view = device.read(node - link);
            names.push({ address: view.addressOf('name'), bytes: view.bytes('name') });
          });
        }
      });
    }
  });
  return names;
}

/** Maximum depth of a cgroup. */
const MAX_DEPTH = 128;
/** NAME_MAX plus NUL. */
const MAX_NAME = 256;

/** Name of a cgroup's kernfs node. */
interface CgroupName {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  /** Address of the node's name hash (`unsigned int`). */
  readonly hash: bigint;
}

/** Addresses of the names of a task's cgroups, from each leaf up; the root has none. */
function* cgroupNames(kernel: NativeKernel, task: bigint): Generator<CgroupName> {
  const set = new StructReader(kernel, 'css_set', ['dfl_cgrp', 'subsys']);
  const view = set.read(new StructReader(kernel, 'task_struct', ['cgroups']).read(task).pointer('cgroups'));
  yield* cgroupNamesUp(kernel, view.pointer('dfl_cgrp'));
  const states = kernel.read(view.addressOf('subsys'), (set.members.subsys.count ?? 0) * 8);
  const state = new StructReader(kernel, 'cgroup_subsys_state', ['cgroup']);
  for (let at = 0; at < states.byteLength; at += 8) {
    const address = states.getBigUint64(at, true);
    if (address !== 0n) yield* cgroupNamesUp(kernel, state.read(address).pointer('cgroup'));
  }
}

/** Yields the same for a `struct cgroup`. */
function* cgroupNamesUp(kernel: NativeKernel, cgroup: bigint): Generator<CgroupName> {
  // Since 6.15 the parent is RCU-protected and has another name.
  const parent = kernel.struct('kernfs_node')?.member('__parent') ? '__parent' : 'parent';
  const reader = new StructReader(kernel, 'kernfs_node', [parent, 'name', 'hash']);
  if (cgroup === 0n) return;
  let node = new StructReader(kernel, 'cgroup', ['kn']).read(cgroup).pointer('kn');
  for (let depth = 0; node !== 0n && depth < MAX_DEPTH; depth++) {
    const view = reader.read(node);
    const above = view.pointer(parent);
    const address = view.pointer('name');
    const hash = view.addressOf('hash');
    if (above !== 0n) yield { address, bytes: nameAt(kernel, address), hash };
    node = above;
  }
}

function nameAt(kernel: NativeKernel, address: bigint): Uint8Array {
  const bytes: number[] = [];
  for (let at = 0; at < MAX_NAME; at++) {
    const byte = kernel.read(address + BigInt(at), 1).getUint8(0);
    if (byte === 0) break;
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
