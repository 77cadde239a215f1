import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { decodeText, StructReader } from '../struct-reader.js';
import type { NetDevice } from './net-devices.js';

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
