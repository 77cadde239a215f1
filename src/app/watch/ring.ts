import { countedMemory } from '../../account/memory/counted.js';
import { watchSampleLine } from '../../answers/watch/sample.js';
import { ExhaustedError, isHostError, KdumpMemError } from '../../base/errors.js';
import { escapeText } from '../../base/escape.js';
import { MAX_COPIED, MAX_RECORD, Ring } from '../../base/ring.js';
import { inflect } from '../../base/size.js';
import { lockStore } from '../../base/store.js';
import { formatJson } from '../../base/util.js';
import type { MachineSample } from '../../contracts/growth.js';
import type { RecordedHolder, RecordedHolders } from '../../contracts/recorded-holders.js';
import { isRetained, MAX_HOLDERS } from '../../growth/recorded.js';
import { endAll } from '../../host/child.js';
import type { HostSource } from '../../host/host-source.js';
import { liveHost } from '../../host/live.js';
import type { NetnsChoice } from '../../host/namespaces.js';
import { observe } from '../../host/observe.js';
import { isReclaimable, slabLines } from '../../host/proc/details.js';
import { readMachine } from '../../host/proc/machine-sample.js';
import { knownPageSize, readHostCounts } from '../../host/proc/memory.js';
import { startTicks } from '../../host/proc/process.js';
import { sharedFiles } from '../../host/proc/shared-files.js';
import { sharedOwners } from '../../host/proc/shared-owners.js';
import type { HolderScan } from '../../records/holder-scans.js';
import { USER_HZ } from '../../records/processes.js';
import { type SocketMemoryOf, socketMemory } from '../../skcheck/socket-memory.js';
import { pipesByProgram, processesOf } from '../../triage/host-processes.js';
import { HostReader } from '../../triage/host-reader.js';
import { THRESHOLDS } from '../../triage/thresholds.js';
import { SampleLoop } from '../kit/screen.js';
import { categorySample } from './sample.js';

/** Seconds between samples, and at most between lists of holders. */
const INTERVAL = 5;
const HOLDERS_EVERY = 60;
/** Growth of a category that makes a list of holders worthwhile: that which triage reports. */
const { leastBytes: GROWN_BYTES, note: GROWN_SHARE } = THRESHOLDS['memory-growth'];
/** A scan of holders that took a second is not repeated for twenty. */
const REST = 20;
/** Smaller holders are not listed. */
const MIN_BYTES = 2 ** 20;
const MAX_NAME = 64;
/** Where pstore keeps messages of programs in memory that survives a reset. */
const PMSG_DEVICE = '/dev/pmsg0';

/** Records samples of a machine in a ring. */
export class RingRecorder {
  readonly #ring: Pick<Ring, 'append'>;
  readonly #onScanFailure: (error: unknown) => void;
  readonly #source: HostSource;
  readonly #pageSize: number;
  #listed: { readonly uptime: number; readonly categories: ReadonlyMap<string, number> } | undefined;
  #before: MachineSample | undefined;
  #notBefore = 0;
  #netns: NetnsChoice = 'all';
  #socketsNotBefore = 0;
  #sockets: Promise<void> | undefined;

  /** @param onScanFailure receives the error of a scan of sockets, unless the host caused it */
  constructor(ring: Pick<Ring, 'append'>, onScanFailure: (error: unknown) => void, source: HostSource = liveHost) {
    this.#ring = ring;
    this.#onScanFailure = onScanFailure;
    this.#source = source;
    this.#pageSize = knownPageSize(source) ?? 4096;
  }

  /** The scan of sockets that goes on beside samples. */
  get pending(): Promise<void> | undefined {
    return this.#sockets;
  }

  /** @throws {HostError} /proc is not available; the error of the write */
  sample(at: Date): void {
    const readAt = this.#source.now();
    const machine = this.#machine(at);
    const ledger = categorySample(countedMemory(readHostCounts(this.#source)));
    const look = { machine, processes: [], whole: false };
    const sample = { look, ledger, noCategories: null, hidden: false, interval: INTERVAL, lost: 0 };
    this.#ring.append(formatJson(watchSampleLine(sample)));
    const least = Math.max(GROWN_BYTES, GROWN_SHARE * (machine.memTotalBytes ?? 0));
    const grown = new Set(
      [...ledger.categories]
        .filter(([name, bytes]) => bytes - (this.#listed?.categories.get(name) ?? bytes) >= least)
        .map(([name]) => name)
        .filter(isRetained),
    );
    const { uptimeSeconds: uptime } = machine;
    const isDue = !this.#listed || uptime - this.#listed.uptime >= HOLDERS_EVERY - INTERVAL / 2;
    if (!(isDue || grown.size > 0) || uptime < this.#notBefore) return;
    const begun = this.#source.now();
    this.#append(machine, ...this.#holders(grown));
    this.#notBefore = uptime + (REST * (this.#source.now() - begun)) / 1000;
    this.#listed = { uptime, categories: ledger.categories };
    if (!grown.has('unattributed') || this.#sockets || uptime < this.#socketsNotBefore) return;
    this.#sockets = this.#scanSockets(machine, readAt)
      .catch(this.#onScanFailure)
      .finally(() => {
        this.#sockets = undefined;
      });
  }

  /** What identifies the machine is the last that was read: a sample without it would be one of another boot. */
  #machine(at: Date): MachineSample {
    const read = readMachine(this.#source, at);
    const { bootId = null, host = null, memTotalBytes = null } = this.#before ?? {};
    this.#before = {
      ...read,
      bootId: read.bootId ?? bootId,
      host: read.host ?? host,
      memTotalBytes: read.memTotalBytes ?? memTotalBytes,
    };
    return this.#before;
  }

  #append(
    { bootId, uptimeSeconds }: MachineSample,
    scans: readonly HolderScan[],
    all: readonly RecordedHolder[],
    takenSeconds?: number,
  ): void {
    // The smallest are cut where a record is full.
    const bySize = all.toSorted((a, b) => b.bytes - a.bytes);
    const holders = bySize.map((holder) => ({
      ...holder,
      name: holder.name.slice(0, MAX_NAME),
      ...(holder.pid !== null && BY_START.has(holder.scan) ? startOf(this.#source, holder.pid, holder.key) : {}),
    }));
    const textOf = (count: number) => {
      const unlistedBytes = holders[count]?.bytes ?? 0;
      return formatJson({
        schema: 'kdump-mem.recorded-holders/1',
        bootId,
        uptimeSeconds,
        ...(takenSeconds === undefined ? {} : { takenSeconds }),
        scans,
        holders: holders.slice(0, count),
        unlistedBytes,
      } satisfies RecordedHolders);
    };
    this.#ring.append(cut(holders.length, MAX_RECORD, textOf), cut(holders.length, MAX_COPIED, textOf));
  }

  /** @param grown categories whose owners are worth a slow scan */
  #holders(grown: ReadonlySet<string>): [HolderScan[], RecordedHolder[]] {
    const [source, host] = [this.#source, new HostReader(this.#source, this.#pageSize)];
    const scans: HolderScan[] = [];
    const all: RecordedHolder[] = [];
    const add = (scan: HolderScan, some: () => readonly Found[]) => {
      try {
        all.push(...largest(some()).map((holder) => ({ ...NOT_OF_PROCESS, scan, ...holder })));
        scans.push(scan);
      } catch (error) {
        // Other holders are still known; a list without these names no owner.
        if (!(error instanceof KdumpMemError)) throw error;
      }
    };
    add('processes', () =>
      processesOf(host).flatMap(({ pid, name, rssAnonBytes, shmemBytes, tableBytes }) =>
        (
          [
            ['anonymous', rssAnonBytes],
            ['shared', shmemBytes],
            ['page-tables', tableBytes],
          ] as const
        ).map(([category, bytes]) => ({ category, key: `${pid}`, name: name ?? '?', pid, bytes })),
      ),
    );
    add('caches', () =>
      slabLines(source).flatMap(({ name, slabs, pagesPerSlab }) => {
        const bytes = slabs * pagesPerSlab * this.#pageSize;
        const reclaimable = bytes < MIN_BYTES || isReclaimable(source, name);
        // If it is unknown, the cache is only a possible owner.
        return reclaimable
          ? []
          : [{ category: 'slab-unreclaimable', key: name, name, bytes, bound: reclaimable === null }];
      }),
    );
    if (grown.has('shared') && source.file)
      add('files', () =>
        sharedOwners(
          source,
          sharedFiles(source, () => undefined),
          GROWN_BYTES,
        ).map(({ name, bytes, pid = null, comm }) => {
          const key = `file ${name.slice(0, MAX_NAME)} ${pid}`;
          return { category: 'shared', key, name: comm === null ? name : `${comm}: ${name}`, pid, bytes };
        }),
      );
    if (grown.has('unattributed'))
      add('pipes', () =>
        pipesByProgram(host, GROWN_BYTES).map(({ pid, comm, pipes, mostBytes }) => {
          const name = `${comm ?? '?'} (${pipes} pipes)`;
          return { category: 'unattributed', key: `pipes ${comm}`, name, pid, bytes: mostBytes, bound: true };
        }),
      );
    return [scans, all];
  }

  /**
   * Lists the owners of sockets. Samples do not wait for it: ss may take seconds where sockets are many.
   *
   * @param readAt milliseconds on the source's clock at which the sample was read
   * @throws the error of the write, or of a bug
   */
  async #scanSockets(machine: MachineSample, readAt: number): Promise<void> {
    const begun = this.#source.now();
    try {
      const observation = await observe(this.#source, { intervalMs: 0, netns: this.#netns, reader: 'auto' });
      // Each namespace that cannot be entered costs a process.
      if (observation.losses.closed.length > 0) this.#netns = 'own';
      const owners = largest(socketMemory(observation).map(socketHolder)).map(
        (holder): RecordedHolder => ({ ...NOT_OF_PROCESS, scan: 'sockets', ...holder }),
      );
      const { startedMs, endedMs } = observation.first;
      const later = ((startedMs + endedMs) / 2 - readAt) / 1000;
      this.#append(machine, ['sockets'], owners, machine.uptimeSeconds + later);
    } catch (error) {
      // A list without sockets names no owner of them.
      if (!isHostError(error) && !(error instanceof ExhaustedError)) throw error;
    } finally {
      const rest = (REST * (this.#source.now() - begun)) / 1000;
      // Two lists show what grew: one a minute is always possible.
      this.#socketsNotBefore = machine.uptimeSeconds + Math.min(rest, HOLDERS_EVERY);
    }
  }
}

type Found = Omit<RecordedHolder, 'scan' | keyof typeof NOT_OF_PROCESS> &
  Partial<Pick<RecordedHolder, keyof typeof NOT_OF_PROCESS>>;
const NOT_OF_PROCESS = { pid: null, beganSeconds: null, bound: false } as const;

function socketHolder({ kind, pid, comm, sockets, pinned }: SocketMemoryOf) {
  const owner = { process: comm ?? '?', orphans: 'orphaned', unknown: 'owner unknown' }[kind];
  return {
    category: 'unattributed' as const,
    key: `sockets ${pid ?? kind}`,
    name: `${owner} (${sockets} ${inflect(sockets, 'socket')})`,
    pid,
    bytes: pinned.likely,
  };
}

/** Scans whose holders are single processes. With the pid, the start identifies one. */
const BY_START: ReadonlySet<HolderScan> = new Set(['processes', 'sockets']);

function startOf(source: HostSource, pid: number, key: string): Pick<RecordedHolder, 'key' | 'beganSeconds'> {
  const ticks = startTicks(source, pid);
  return { key: `${key} ${ticks}`, beganSeconds: ticks === null ? null : Number(ticks) / USER_HZ };
}

/** The largest holders of each category of a scan. */
function largest<Holder extends Pick<RecordedHolder, 'category' | 'bytes'>>(all: readonly Holder[]): Holder[] {
  const counts = new Map<string, number>();
  return all
    .filter(({ bytes }) => bytes >= MIN_BYTES)
    .toSorted((a, b) => b.bytes - a.bytes)
    .filter(({ category }) => {
      const count = (counts.get(category) ?? 0) + 1;
      counts.set(category, count);
      return count <= MAX_HOLDERS;
    });
}

/** The text of as many holders as a record can have; names are untrusted, and may be long. */
function cut(holders: number, most: number, textOf: (count: number) => string): string {
  for (let count = holders; ; count = Math.floor(count / 2)) {
    const text = textOf(count);
    if (Buffer.byteLength(text) <= most || count === 0) return text;
  }
}

/** Prints each failure once, until a success. */
function reporter(what: string) {
  let last = '';
  return {
    failed: (error: unknown) => {
      const why = error instanceof KdumpMemError ? error.message : String(error);
      if (why !== last) process.stderr.write(`kdump-mem: ${what}: ${escapeText(why)}\n`);
      last = why;
    },
    succeeded: () => {
      last = '';
    },
  };
}

/**
 * Records until a signal. A sample that fails is reported once, and the next one is taken.
 *
 * @throws {StoreError} the ring cannot be written, or another process writes to it
 * @throws {HostError} the first sample fails
 */
export async function recordRing(file: string, seconds = Number.POSITIVE_INFINITY): Promise<void> {
  const unlock = await lockStore(file);
  const ring = Ring.open(file, PMSG_DEVICE);
  const recorder = new RingRecorder(ring, reporter('scan of sockets failed').failed);
  const samples = reporter('sample failed');
  const loop = new SampleLoop();
  try {
    await loop.run(INTERVAL, Math.max(1, seconds / INTERVAL), async () => {
      try {
        recorder.sample(new Date());
        samples.succeeded();
      } catch (error) {
        if (!(error instanceof Error) || loop.count === 1) throw error;
        samples.failed(error);
      }
    });
  } finally {
    endAll();
    await recorder.pending;
    ring.close();
    unlock();
  }
}
