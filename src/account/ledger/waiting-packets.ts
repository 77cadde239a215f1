import { many, type Row } from './unexplained-row.js';

/** Counts packets, and what they pin that nothing before them does. */
export type CountPackets = (skbs: Iterable<bigint>) => { skbs: number; bytes: number | null };

/**
 * The row of packets that wait in one kind of place.
 *
 * @param where that they are, or what they wait for: "in …", "for …", "to be …"
 */
export function waitingPackets(skbs: Iterable<bigint>, where: string, count: CountPackets): Row {
  const found = count(skbs);
  const who = found.skbs === 0 ? 'No packet waits' : `${many(found.skbs, 'packet')} waiting`;
  return { objects: found.skbs, bytes: found.bytes, message: `${who} ${where}.` };
}
