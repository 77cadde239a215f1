import { listedRow } from '../../src/account/outside-queues/row.js';
import type { CensusWhole } from '../../src/account/sockets.js';
import type { SocketsJson } from '../../src/contracts/sockets.js';

export type LedgerRowJson = SocketsJson['outsideQueues'][number];

/** Memory outside socket queues by row name, as reported. */
export function ledgerOf({ outsideQueues }: Pick<CensusWhole, 'outsideQueues'>): Map<string, LedgerRowJson> {
  return new Map(outsideQueues.map((row) => [row.what, listedRow(row)]));
}
