import { QdiscReader } from '../../walk/network/qdisc.js';
import type { Step } from './pipeline.js';
import type { LedgerTools } from './tools.js';
import { packetsOf } from './waiting-packets.js';

/** The row of queueing disciplines: what these keep in structures of their own is counted by them. */
export function qdiscs(tools: LedgerTools): Step<'qdiscs'> {
  return {
    code: 'qdiscs',
    count(known) {
      const reader = new QdiscReader(tools.kernel, tools.lists);
      const putBack: bigint[] = [];
      let queued = 0;
      for (const device of tools.devices()) {
        for (const content of reader.ofDevice(device)) {
          queued += content.queued;
          putBack.push(...content.putBack);
        }
      }
      const found = packetsOf(tools, known, putBack);
      const packets = queued + found.packets;
      const bytes = queued === 0 ? found.bytes : null;
      const figures = { packets, queued };
      return { told: 'counted', objects: packets, bytes, figures, holds: found.holds };
    },
  };
}
