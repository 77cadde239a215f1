import { HostError, isHostError } from '../../base/errors/host.js';
import type { HostSource } from '../host-source.js';

/** A zone of /proc/zoneinfo that has memory; base pages. */
export interface HostZone {
  readonly nodeId: number;
  /** `DMA`, `DMA32`, `Normal`, `Movable`; hostile in a capture. */
  readonly name: string;
  /** First page frame. */
  readonly start: number;
  readonly spanned: number;
  readonly present: number;
  readonly managed: number;
  /** Free blocks of each order (/proc/buddyinfo); none: it does not tell. */
  readonly freeBlocks: readonly number[];
  /** Free pages below which allocations wait or fail, and kswapd wakes and sleeps; null: not shown. */
  readonly watermarks: { readonly min: number; readonly low: number; readonly high: number } | null;
}

/** Of a machine with 1,024 NUMA nodes and all zones. */
const MOST_ZONES = 8192;

/**
 * Zones with memory, as /proc/zoneinfo and /proc/buddyinfo tell them.
 *
 * @throws {HostError} `gone`, `denied`, `unreadable`: of /proc/zoneinfo
 */
export function readZones(source: HostSource): HostZone[] {
  const blocks = freeBlocks(source);
  const zones: HostZone[] = [];
  const parts = source.readText('/proc/zoneinfo').split(/^(?=Node )/m);
  for (const part of parts.slice(0, MOST_ZONES)) {
    const head = /^Node (\d{1,6}), zone +(\S{1,32})$/m.exec(part);
    const figure = (pattern: RegExp) => {
      const digits = pattern.exec(part)?.[1];
      return digits === undefined ? undefined : Number(digits);
    };
    const present = figure(/^ +present +(\d{1,15})$/m);
    if (!head || present === undefined || present === 0) continue;
    const [node, name] = [head[1] ?? '', head[2] ?? ''];
    const [start, spanned, managed] = [
      figure(/^ +start_pfn: +(\d{1,15})$/m),
      figure(/^ +spanned +(\d{1,15})$/m),
      figure(/^ +managed +(\d{1,15})$/m),
    ];
    if (start === undefined || spanned === undefined || managed === undefined)
      throw new HostError('unreadable', `malformed /proc/zoneinfo (zone ${name})`);
    const [min, low, high] = [
      figure(/^ +min +(\d{1,15})$/m),
      figure(/^ +low +(\d{1,15})$/m),
      figure(/^ +high +(\d{1,15})$/m),
    ];
    zones.push({
      nodeId: Number(node),
      name,
      start,
      spanned,
      present,
      managed,
      freeBlocks: blocks.get(`${node} ${name}`) ?? [],
      watermarks:
        min === undefined || low === undefined || high === undefined ? null : { min, low, high },
    });
  }
  if (zones.length === 0) throw new HostError('unreadable', '/proc/zoneinfo has no zone');
  return zones;
}

function freeBlocks(source: HostSource): Map<string, number[]> {
  const found = new Map<string, number[]>();
  let text: string;
  try {
    text = source.readText('/proc/buddyinfo');
  } catch (error) {
    if (!isHostError(error)) throw error;
    return found;
  }
  for (const line of text.split('\n')) {
    const parts = /^Node +(\d{1,6}), zone +(\S{1,32})((?: +\d{1,12}){1,64}) *$/.exec(line);
    if (parts)
      found.set(`${parts[1]} ${parts[2]}`, (parts[3] ?? '').trim().split(/ +/).map(Number));
  }
  return found;
}
