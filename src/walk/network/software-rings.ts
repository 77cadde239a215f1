import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { decodeText, StructReader } from '../struct-reader.js';
import { hasNapi } from './gro.js';
import type { NetDevice } from './net-devices.js';

const KINDS: readonly string[] = ['tun', 'macvtap', 'ipvtap', 'veth'];

/**
 * Devices without hardware in whose rings packets wait, by kind. Of `veth` those that have NAPI
 * instances: others have no rings in use (drivers/net/veth.c).
 *
 * @throws {KernelError}, {@link ReadError}
 */
export function devicesWithRings(
  kernel: Kernel,
  devices: readonly NetDevice[],
): Map<string, NetDevice[]> {
  const groups = new Map<string, NetDevice[]>();
  const kinds = new DeviceKinds(kernel);
  for (const device of devices) {
    const kind = kinds.of(device);
    if (kind === undefined || !KINDS.includes(kind)) continue;
    if (kind === 'veth' && !hasNapi(kernel, device)) continue;
    groups.set(kind, [...(groups.get(kind) ?? []), device]);
  }
  return groups;
}

/** Kinds are named as briefly as the modules that bring them (`rtnl-link-…`). */
const NAME_BYTES = 16;

/** Tells what kind of software a network device is. */
export class DeviceKinds {
  readonly #kernel: Kernel;
  readonly #device;
  readonly #ops;
  /** By the address of the `struct rtnl_link_ops`. */
  readonly #known = new Map<bigint, string>();

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#device = new StructReader(kernel, 'net_device', ['rtnl_link_ops']);
    this.#ops = new StructReader(kernel, 'rtnl_link_ops', ['kind']);
  }

  /**
   * `tun`, `veth` (`rtnl_link_ops.kind`); undefined for what was not made as one of a kind; hostile.
   *
   * @throws {ReadError}
   */
  of(device: NetDevice): string | undefined {
    const ops = this.#device.read(device.address).pointer('rtnl_link_ops');
    if (ops === 0n) return undefined;
    let kind = this.#known.get(ops);
    if (kind === undefined) {
      const name = this.#ops.read(ops).pointer('kind');
      const bytes = readPartOf(this.#kernel, 'the name', name, name, NAME_BYTES);
      kind = decodeText(bytes, 0, NAME_BYTES);
      this.#known.set(ops, kind);
    }
    return kind;
  }
}
