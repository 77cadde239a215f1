import { PageTableError, type ReadError } from '../../../base/errors/kernel.js';
import { hex } from '../../../base/hex.js';

/** Says of a page table that cannot be read which address it should have led to. */
export function ofTable(error: ReadError, address: bigint): PageTableError {
  return new PageTableError(error.code, address, tableName(error), { cause: error });
}

/** @param error what reading the table has ended in: its address is the table's */
export function tableName({ address }: ReadError): string {
  return `page table at physical ${hex(address)}`;
}
