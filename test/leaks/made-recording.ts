import type { Held, Recording, Survivor } from '../../src/leaks/recording.js';
import type { Site, SiteFrame } from '../../src/records/allocation-sites.js';

/** Frames of these functions, innermost first: `name`, `name+0x1f` or `name [module]`. */
export function framesOf(...names: string[]): SiteFrame[] {
  return names.map((name) => {
    const [, symbol, offset, module] = /^([^+ ]+)(?:\+0x([0-9a-f]+))?(?: \[(.+)\])?$/.exec(name)!;
    return {
      symbol: symbol!,
      offset: Number.parseInt(offset ?? '10', 16),
      module: module ?? null,
      line: null,
      guess: false,
    };
  });
}

export function siteOf(id: string, ...names: string[]): Site {
  return { id, kind: 'stack', frames: framesOf(...names) };
}

/** Counted exactly. */
export function exactly(bytes: number, blocks: number | null = null): Held {
  return { bytes, blocks, lowBytes: bytes, highBytes: bytes, sampled: null };
}

export function survivor(site: string, one: Partial<Survivor> = {}): Survivor {
  return { site, place: 0n, bytes: 4096, order: 0, since: 0, tid: null, command: null, ...one };
}

/**
 * @param windows blocks that each site holds at the end of each one-minute window
 * @param sizes block size of a site in bytes, if it is not one page
 */
export function made(
  sites: readonly Site[],
  windows: Readonly<Record<string, readonly number[]>>,
  more: Partial<Recording> = {},
  sizes: Readonly<Record<string, number>> = {},
): Recording {
  const count = Math.max(0, ...Object.values(windows).map((values) => values.length));
  const readings = Array.from({ length: count + 1 }, (_, index) => ({
    at: 60_000 * index,
    held: new Map(
      Object.entries(windows).flatMap(([id, values]) => {
        const bytes = index === 0 ? 0 : (values[index - 1] ?? 0);
        return bytes === 0 ? [] : [[id, exactly(bytes, bytes / (sizes[id] ?? 4096))] as const];
      }),
    ),
  }));
  return {
    type: 'page',
    method: 'tracefs',
    sample: { oneIn: 1, mask: 0n, residue: 0n },
    sites: new Map(sites.map((site) => [site.id, site])),
    readings,
    survivors: [],
    survivorsLeftOut: 0,
    losses: { overrun: 0, unknownFrees: 0, missedFrees: 0, withoutStack: 0, dropped: 0 },
    unseen: null,
    endedEarly: false,
    ...more,
  };
}
