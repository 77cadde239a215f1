import type { CensusWhole } from '../../src/account/sockets.js';
import type { SocketsJson } from '../../src/answers/schema.js';
import { ledgerJson } from '../../src/answers/sockets/json.js';

export type LedgerRowJson = SocketsJson['unexplained'][number];

/** What is in no socket's queue, by the rows' names, as it is told. */
export function ledgerOf({
  unexplained,
}: Pick<CensusWhole, 'unexplained'>): Map<string, LedgerRowJson> {
  return new Map(unexplained.map((row) => [ledgerJson(row).what, ledgerJson(row)]));
}
