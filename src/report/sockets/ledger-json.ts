import { type LedgerRow, rowName } from '../../account/ledger/row.js';
import type { SocketsJson } from '../schema.js';
import { ledgerWords } from './ledger-words.js';

/** A row of what is in no socket's queue as the JSON contract has it. */
export function ledgerJson(row: LedgerRow): SocketsJson['unexplained'][number] {
  const { objects, bytes, complete } = row;
  const [what, message] = [rowName(row), ledgerWords(row)];
  // Keys stand where they always stood.
  return row.told === 'at-most' || row.told === 'not-counted'
    ? { what, objects, bytes, message, complete }
    : { what, complete, objects, bytes, message };
}
