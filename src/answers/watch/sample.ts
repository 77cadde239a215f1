import { z } from 'zod';
import { formatJson } from '../../base/util.js';
import { type RecordedHolders, recordedHoldersSchema } from '../../contracts/recorded-holders.js';
import { type WatchSampleJson, watchSampleSchema } from '../../contracts/watch.js';
import type { WatchSample } from '../../growth/watch/answer.js';
import { laterMachineShape, machineOf, processOf, StoredError, wrongWords } from '../growth/stored.js';

/** Maximum length of a cgroup path in a line; those of Kubernetes have 200 characters. */
const MAX_PATH = 240;

/** Maximum number of devices in a line, the largest first. */
export const MAX_DEVICES = 8;

/** pid namespaces are nested, at most 32 deep. */
const MAX_NAMESPACES = 4;

/** The line of a sample; less than 64 KiB, whatever names are. */
export function watchSampleLine(sample: WatchSample): WatchSampleJson {
  const { look, ledger, devices = null, noCategories, noCategoriesCode, hidden, interval, lost } = sample;
  return {
    schema: 'kdump-mem.watch-sample/1',
    ...look.machine,
    intervalSeconds: interval,
    lostBefore: lost,
    source: ledger?.source ?? null,
    categories: ledger && Object.fromEntries(ledger.categories),
    noCategories,
    noCategoriesCode: noCategoriesCode ?? null,
    processes: look.processes.map(({ pod: _, container: _id, cgroupPressure: _psi, ...process }) => ({
      ...process,
      nsPids: process.nsPids.slice(-MAX_NAMESPACES),
      cgroup: formatJson(process.cgroup).length > MAX_PATH ? null : process.cgroup,
    })),
    devices: devices?.devices.filter(({ name }) => formatJson(name).length <= MAX_PATH) ?? null,
    unreadDevices: devices?.unread ?? [],
    otherProcesses: look.others ?? { processes: 0, takenBytes: 0, seenBytes: 0 },
    allListed: look.whole,
    hidden,
  };
}

/** Fields read from a stored line; those of a later release may have more. */
const storedSample = z.object({
  ...watchSampleSchema.shape,
  ...laterMachineShape,
  noCategoriesCode: watchSampleSchema.shape.noCategoriesCode.catch(null),
  devices: watchSampleSchema.shape.devices.catch(null),
  unreadDevices: watchSampleSchema.shape.unreadDevices.catch([]),
  processes: z.array(z.object(watchSampleSchema.shape.processes.element.shape)),
  otherProcesses: z.object(watchSampleSchema.shape.otherProcesses.shape),
});

/**
 * The sample of a line.
 *
 * @returns null: incomplete JSON, as an interrupted write leaves it
 * @throws {StoredError} it is complete, and no sample
 */
export function storedWatchSample(line: string): WatchSample | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  const parsed = storedSample.safeParse(value);
  if (!parsed.success) throw new StoredError(wrongWords(parsed.error, value, 'kdump-mem watch --store'));
  const { data: stored } = parsed;
  const { processes, source, categories, otherProcesses: others } = stored;
  return {
    look: {
      machine: machineOf(stored),
      processes: processes.map((process) => processOf({ ...process, cgroupPressure: null })),
      whole: stored.allListed,
      others,
    },
    ledger: source === null || categories === null ? null : { source, categories: new Map(entriesOf(categories)) },
    devices: stored.devices && { devices: stored.devices, unread: stored.unreadDevices },
    noCategories: stored.noCategories,
    noCategoriesCode: stored.noCategoriesCode,
    hidden: stored.hidden,
    interval: stored.intervalSeconds,
    lost: stored.lostBefore,
  };
}

const storedHolders = z.object({
  ...recordedHoldersSchema.shape,
  holders: z.array(z.object(recordedHoldersSchema.shape.holders.element.shape)),
});

/** The holders of a record; null: it is another record. */
export function storedRecordedHolders(text: string): RecordedHolders | null {
  if (!text.startsWith('{"schema":"kdump-mem.recorded-holders/1"')) return null;
  try {
    return storedHolders.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

function entriesOf<Key extends string>(record: Partial<Record<Key, number>>): [Key, number][] {
  return Object.entries(record) as [Key, number][];
}
