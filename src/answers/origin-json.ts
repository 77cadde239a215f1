import type { Origin } from '../records/sample-origin.js';
import type { OriginJson } from './origin-schema.js';

/** As `taken-schema.ts` has it. Apart from that, so that answers that tell it load no schema. */
export function originJson(origin: Origin | undefined): OriginJson {
  if (!origin) return null;
  const { at, host, bootId, uptime } = origin;
  return { at: at?.toISOString() ?? null, host, bootId, uptimeSeconds: uptime };
}
