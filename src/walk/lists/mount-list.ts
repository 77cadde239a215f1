import { readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { MountsAnswer } from '../../contracts/lists.js';
import type { Kernel } from '../../kernel/kernel.js';
import { FileSystems, namespaceOf } from '../files/mounts.js';
import { Paths } from '../files/paths.js';
import { closedListNodes } from '../list.js';
import { StructReader, textAt } from '../struct-reader.js';
import { treeNodes } from '../trees.js';
import { addError, type Warnings } from '../warnings.js';

/** Marks the place of a reader of /proc/mounts in the list, from 5.8 to 6.7 (include/linux/mount.h). */
const CURSOR = 0x1000_0000;

/** Flags of `struct super_block` and `struct vfsmount`, in the order of /proc/mounts (fs/proc_namespace.c). */
const SUPER_BLOCK: readonly (readonly [bit: number, name: string])[] = [
  [0x10, 'sync'],
  [0x80, 'dirsync'],
  [0x40, 'mand'],
  [0x200_0000, 'lazytime'],
];
const MOUNT: readonly (readonly [bit: number, name: string])[] = [
  [0x01, 'nosuid'],
  [0x02, 'nodev'],
  [0x04, 'noexec'],
  [0x08, 'noatime'],
  [0x10, 'nodiratime'],
  [0x20, 'relatime'],
  [0x80, 'nosymfollow'],
];
/** SB_RDONLY and MNT_READONLY. */
const [READ_ONLY_SUPER_BLOCK, READ_ONLY_MOUNT] = [1, 0x40];

/** PATH_MAX: mount sources are paths, or texts as long as that. */
const MAX_SOURCE = 4096;

/**
 * Returns the mounts of a mount namespace, in the kernel's order. Their number is compared with the namespace's own
 * count, the namespace with that of each mount.
 *
 * @param pid a process of the namespace (default: the first process)
 * @throws {KernelError} `unsupported-layout`; {@link WalkError} `no-such-pid`; {@link ReadError}
 */
export function mountList(
  kernel: Kernel,
  warnings: Warnings,
  pid: number | undefined,
): Pick<MountsAnswer, 'namespace' | 'mounts'> {
  const address = namespaceOf(kernel, 'mnt_ns', pid);
  const { nodes, count } = linksOf(kernel, address);
  const namespace = new StructReader(kernel, 'mnt_namespace', ['ns.inum']);
  const mount = new StructReader(kernel, 'mount', [
    'mnt_id',
    'mnt_devname',
    'mnt_ns',
    'mnt.mnt_root',
    'mnt.mnt_sb',
    'mnt.mnt_flags',
  ]);
  const inside = new StructReader(kernel, 'mount', ['mnt']);
  const superBlock = new StructReader(kernel, 'super_block', ['s_flags']);
  const dentry = new StructReader(kernel, 'dentry', ['d_sb']);
  const systems = new FileSystems(kernel);
  const paths = new Paths(kernel);
  const code = kernel.facts.live ? 'torn-list' : 'corrupt';
  const mounts: MountsAnswer['mounts'][number][] = [];
  let found = 0;
  const ids = new Set<number>();
  /** Super blocks by the device number, which no other one has. */
  const devices = new Map<string, bigint>();
  /** Reads a text; null: unknown, and a warning says so. */
  const textOf = (what: string, read: () => string) => {
    try {
      return read();
    } catch (error) {
      addError(warnings, what, error);
      return null;
    }
  };
  try {
    for (const at of nodes) {
      found++;
      try {
        const view = mount.read(at);
        const flags = view.number('mnt.mnt_flags');
        if ((flags & CURSOR) !== 0 && view.pointer('mnt.mnt_sb') === 0n) {
          found--;
          continue;
        }
        const id = view.number('mnt_id');
        if (view.pointer('mnt_ns') !== address)
          warnings.add(code, `mount ${id} is listed in a mount namespace that is not its own`);
        if (ids.has(id)) warnings.add(code, `two mounts have the id ${id}`);
        ids.add(id);
        const root = view.pointer('mnt.mnt_root');
        const sb = view.pointer('mnt.mnt_sb');
        const known = readOrNot(() => dentry.read(root).pointer('d_sb')) ?? sb;
        if (known !== sb)
          warnings.add(code, `mount ${id} has the file system at ${hex(sb)}, but its root that at ${hex(known)}`);
        const system = systems.of(sb);
        const other = devices.get(system.device) ?? sb;
        if (other !== sb)
          warnings.add(
            code,
            `mount ${id}: the file systems at ${hex(other)} and ${hex(sb)} have the device ${system.device}`,
          );
        devices.set(system.device, other);
        const own = superBlock.read(sb).number('s_flags');
        const isReadOnly = (own & READ_ONLY_SUPER_BLOCK) | (flags & READ_ONLY_MOUNT);
        const named = ([bit]: readonly [number, string], of: number) => (of & bit) !== 0;
        mounts.push({
          address: at,
          id,
          superBlock: sb,
          ...system,
          source: textOf(`source of mount ${id}`, () =>
            textAt(kernel, 'the source of a mount', view.pointer('mnt_devname'), MAX_SOURCE),
          ),
          path: textOf(`path of mount ${id}`, () => paths.ofPlace(root, inside.addressOf(at, 'mnt')).path),
          options: [
            isReadOnly ? 'ro' : 'rw',
            ...SUPER_BLOCK.filter((flag) => named(flag, own)).map(([, name]) => name),
            ...MOUNT.filter((flag) => named(flag, flags)).map(([, name]) => name),
          ],
        });
      } catch (error) {
        addError(warnings, 'mount', error);
      }
    }
  } catch (error) {
    addError(warnings, 'mounts', error);
  }
  // Each namespace has a root.
  if (found !== count || found === 0)
    warnings.add(code, `the mount namespace counts ${count} mounts, but ${found} were found`);
  return { namespace: namespace.read(address).number('ns.inum'), mounts };
}

/** Addresses of the mounts of a namespace, and their number by its own count. */
function linksOf(kernel: Kernel, namespace: bigint): { readonly nodes: Iterable<bigint>; readonly count: number } {
  const listed = StructReader.ifPresent(kernel, 'mnt_namespace', ['list', 'mounts']);
  if (listed) {
    const link = new StructReader(kernel, 'mount', ['mnt_list']);
    const view = listed.read(namespace);
    return {
      nodes: mapped(closedListNodes(kernel, view.addressOf('list')), (node) => link.containerOf(node, 'mnt_list')),
      count: view.number('mounts'),
    };
  }
  // A tree since 6.8.
  const tree = new StructReader(kernel, 'mnt_namespace', ['mounts.rb_node', 'nr_mounts']);
  const link = new StructReader(kernel, 'mount', ['mnt_node']);
  const view = tree.read(namespace);
  return {
    nodes: mapped(treeNodes(kernel, view.pointer('mounts.rb_node')), (node) => link.containerOf(node, 'mnt_node')),
    count: view.number('nr_mounts'),
  };
}

function* mapped(nodes: Iterable<bigint>, to: (node: bigint) => bigint): Generator<bigint> {
  for (const node of nodes) yield to(node);
}
