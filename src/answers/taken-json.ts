import type { Taken } from '../records/sample-origin.js';
import type { TakenJson } from './taken-schema.js';

/** As `taken-schema.ts` has it. Apart from that, so that answers that tell it load no schema. */
export function takenJson(taken: Taken | undefined): TakenJson {
  if (!taken) return null;
  const { at, host, bootId, uptime } = taken;
  return { at: at?.toISOString() ?? null, host, bootId, uptimeSeconds: uptime };
}
