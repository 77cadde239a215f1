import type { SiteFrame } from '../recording.js';

/** Spaces, `=> ` of traces, function, offset and length, and a module with its build id (lib/vsprintf.c, %pS, %ps). */
const FRAME =
  /^(?:=> )?(?<symbol>[^\s+]{1,512})(?:\+0x(?<offset>[0-9a-f]{1,8})(?:\/0x[0-9a-f]{1,8})?)?(?: \[(?<module>[^\] ]{1,64})[^\]]*\])?(?: <[0-9a-f]{1,16}>)?$/;

/** A bare address is what no symbol covers. */
const ADDRESS = /^0x[0-9a-f]{1,16}$/;

/** A function on a stack, as the kernel prints it; null: it is none. */
export function parseSymbolFrame(text: string): SiteFrame | null {
  const found = FRAME.exec(text.trim())?.groups;
  if (!found) return null;
  const { symbol = '', offset, module } = found;
  return {
    symbol: ADDRESS.test(symbol) ? null : symbol,
    offset: offset === undefined ? null : Number.parseInt(offset, 16),
    module: module ?? null,
    line: null,
  };
}
