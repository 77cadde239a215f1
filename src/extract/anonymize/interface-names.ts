import type { NativeKernel } from '../../kernel/native/parts.js';
import { listNodes } from '../../walk/list.js';
import { netNamespaces } from '../../walk/network/net-namespaces.js';
import { StructReader } from '../../walk/struct-reader.js';
import { attempt } from '../questions.js';

/** Where the name of a network device lies, and all bytes of its member. */
export interface InterfaceName {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** Names of the devices of all namespaces, as far as the lists can be followed. */
export function interfaceNames(kernel: NativeKernel): InterfaceName[] {
  const found: InterfaceName[] = [];
  attempt(() => {
    const devices = BigInt(
      new StructReader(kernel, 'net', ['dev_base_head']).offset('dev_base_head'),
    );
    const device = new StructReader(kernel, 'net_device', ['name']);
    const link = BigInt(new StructReader(kernel, 'net_device', ['dev_list']).offset('dev_list'));
    for (const namespace of netNamespaces(kernel)) {
      attempt(() => {
        for (const node of listNodes(kernel, namespace + devices)) {
          attempt(() => {
            const view = device.read(node - link);
            found.push({ address: view.addressOf('name'), bytes: view.bytes('name') });
          });
        }
      });
    }
  });
  return found;
}
