import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { HostError } from '../../../base/errors.js';
import { OutputError } from '../../../base/output-file.js';
import { bytesOf } from '../../../base/quantity.js';
import type { HostSource } from '../../../host/host-source.js';
import { oomKillsIn, readMachinePressure } from '../../../host/proc/machine-sample.js';

/** Why a snapshot is due. */
export interface Reason extends Reading {
  /** Condition oom: processes killed since the last snapshot. */
  readonly killed?: number;
}

/**
 * Decides when a snapshot is due: a condition holds, and the last snapshot is at least `apartMs` old. An OOM kill
 * within that time stays pending; other conditions do not.
 */
export class SnapshotTrigger {
  /** OOM kills covered by a snapshot; at first those of the first sample. */
  #kills: number | undefined;
  #seen: number | undefined;
  #lastMs: number | undefined;

  /**
   * @param apartMs minimum time between the starts of two snapshots
   * @param lastMs time of an earlier snapshot; milliseconds of the same clock as those of `due`
   */
  constructor(
    readonly apartMs: number,
    lastMs?: number,
  ) {
    this.#lastMs = lastMs;
  }

  /** Returns the reasons for a snapshot now; empty: none is due. Call {@link snapshotTaken} once it is written. */
  due(readings: readonly Reading[], nowMs: number): Reason[] {
    const kills = readings.find(({ condition }) => condition.kind === 'oom')?.value;
    // A counter that decreased belongs to another boot.
    if (kills !== undefined && (this.#kills === undefined || kills < this.#kills)) this.#kills = kills;
    this.#seen = kills;
    if (this.#lastMs !== undefined && nowMs - this.#lastMs < this.apartMs && nowMs >= this.#lastMs) return [];
    const reasons = readings.flatMap((match) => {
      const reason = this.#reasonOf(match);
      return reason ? [reason] : [];
    });
    if (reasons.length === 0) return [];
    this.#lastMs = nowMs;
    return reasons;
  }

  /** Marks the snapshot as taken. Until then, an OOM kill stays a reason. */
  snapshotTaken(): void {
    this.#kills = this.#seen;
  }

  #reasonOf(reading: Reading): Reason | undefined {
    const { condition, value, limit = 0 } = reading;
    switch (condition.kind) {
      case 'psi':
      case 'psi-full':
        return value >= condition.percent ? reading : undefined;
      case 'available':
        return value < limit ? reading : undefined;
      case 'oom': {
        const killed = value - (this.#kills ?? value);
        return killed > 0 ? { ...reading, killed } : undefined;
      }
    }
  }
}

/** Condition that triggers a snapshot. */
export type Condition =
  /** Some tasks (`full`: all of them) were stalled on memory for at least this share of the last 10 s. */
  | { readonly kind: 'psi' | 'psi-full'; readonly percent: number }
  /** MemAvailable is below the limit. */
  | { readonly kind: 'available'; readonly percent: number }
  | { readonly kind: 'available'; readonly bytes: number }
  /** The OOM killer has killed since the previous sample. */
  | { readonly kind: 'oom' };

/** Valid conditions, for error messages. */
export const CONDITION_FORMS = 'psi=20, psi-full=5, available=5%, available=500M, oom';

/**
 * Parses `psi=20,available=5%,oom`: words without shell redirections.
 *
 * @returns undefined for unknown or duplicate conditions
 */
export function parseConditions(text: string): readonly Condition[] | undefined {
  const conditions = text.split(',').map((word) => conditionOf(word.trim()));
  const known = conditions.filter((condition) => condition !== undefined);
  const kinds = new Set(known.map(({ kind }) => kind));
  return kinds.size === conditions.length ? known : undefined;
}

function conditionOf(word: string): Condition | undefined {
  if (word === 'oom') return { kind: 'oom' };
  const [, kind, figure = ''] = /^(psi|psi-full|available)=([^ ]{1,32})$/.exec(word) ?? [];
  const percent = Number(/^(\d{1,3}(?:\.\d{1,3})?)%?$/.exec(figure)?.[1]);
  const isPercent = percent > 0 && percent <= 100;
  if (kind === 'psi' || kind === 'psi-full') return isPercent ? { kind, percent } : undefined;
  if (kind !== 'available') return undefined;
  if (figure.endsWith('%')) return isPercent ? { kind, percent } : undefined;
  // A number without a unit could be meant as a percentage.
  const bytes = /[a-z]$/i.test(figure) ? bytesOf(figure) : undefined;
  return bytes ? { kind, bytes } : undefined;
}

/** Current value of a condition. */
export interface Reading {
  readonly condition: Condition;
  /** psi: percent; available: bytes; oom: kills since boot. */
  readonly value: number;
  /** Condition available: limit in bytes. */
  readonly limit?: number;
}

/** Reads the current value of each condition. @throws {HostError} `unreadable`: one is not available on this host */
export function readConditions(source: HostSource, conditions: readonly Condition[]): Reading[] {
  return conditions.map((condition) => readCondition(source, condition));
}

function readCondition(source: HostSource, condition: Condition): Reading {
  switch (condition.kind) {
    case 'psi':
    case 'psi-full':
      return { condition, value: pressureOf(source, condition.kind) };
    case 'available':
      return availableOf(source, condition);
    case 'oom':
      return { condition, value: oomKills(source) };
  }
}

function pressureOf(source: HostSource, kind: 'psi' | 'psi-full'): number {
  const reading = readMachinePressure(source);
  if ('why' in reading)
    throw notAvailable(kind, reading.why, 'It requires a kernel with CONFIG_PSI, booted with psi=1.');
  return reading.pressure[kind === 'psi' ? 'some' : 'full'].avg10;
}

function availableOf(source: HostSource, condition: Extract<Condition, { kind: 'available' }>): Reading {
  const text = source.readText('/proc/meminfo');
  const of = (name: string): number => {
    const kib = new RegExp(`^${name}: +(\\d{1,13}) kB$`, 'm').exec(text)?.[1];
    if (kib === undefined)
      throw notAvailable('available', `/proc/meminfo has no ${name}`, 'It requires Linux 3.14 or later.');
    return Number(kib) * 1024;
  };
  const value = of('MemAvailable');
  const limit = 'bytes' in condition ? condition.bytes : Math.floor((of('MemTotal') * condition.percent) / 100);
  return { condition, value, limit };
}

function oomKills(source: HostSource): number {
  const kills = oomKillsIn(source.readText('/proc/vmstat'));
  if (kills === undefined)
    throw notAvailable('oom', '/proc/vmstat has no oom_kill', 'It requires Linux 4.13 or later.');
  return kills;
}

function notAvailable(feature: string, why: string, next: string): HostError {
  return new HostError('unreadable', `--when ${feature} is not available here: ${why}`, {
    next: `${next} Or omit ${feature}.`,
  });
}

/** `snapshot-20261121T180501Z-psi-oom.tar.gz`: time and reasons. */
const NAME = /^snapshot-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z(?:-[a-z]{1,12}){1,8}\.tar\.gz$/;

export function nameOf(at: Date, kinds: readonly string[]): string {
  const time = at.toISOString().replace(/[-:]|\.\d+/g, '');
  return `snapshot-${time}-${[...new Set(kinds)].join('-')}.tar.gz`;
}

/**
 * Snapshots in a folder, oldest first; other files are ignored.
 *
 * @throws {OutputError} the folder cannot be listed
 */
export function snapshotsIn(folder: string): { readonly name: string; readonly at: number }[] {
  return namesIn(folder)
    .flatMap((name) => {
      const [, year, month, day, hour, minute, second] = NAME.exec(name) ?? [];
      if (year === undefined) return [];
      return [{ name, at: Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`) }];
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Removes the oldest snapshots beyond `limit`.
 *
 * @param current the newest snapshot, which is kept even if the clock went back
 * @returns the removed names
 * @throws {OutputError} the folder cannot be listed or modified
 */
export function removeOldest(folder: string, limit: number, current?: string): string[] {
  const all = snapshotsIn(folder);
  const older = all.map(({ name }) => name).filter((name) => name !== current);
  const old = older.slice(0, Math.max(0, all.length - limit));
  for (const name of old) remove(join(folder, name));
  return old;
}

/** Names of partial files (src/base/output-file.ts). */
const PARTIAL = /^\.(snapshot-.{1,200}\.tar\.gz)\.[0-9a-f]{12}\.partial$/;

/** Longer than any snapshot takes, milliseconds. */
const ABANDONED_MS = 2 * 3600 * 1000;

/**
 * Removes partial files left by killed runs, as happens under memory pressure.
 *
 * @param nowMs since 1970
 * @throws {OutputError} the folder cannot be listed or modified
 */
export function removeAbandoned(folder: string, nowMs: number): void {
  for (const name of namesIn(folder)) {
    if (!NAME.test(PARTIAL.exec(name)?.[1] ?? '')) continue;
    const file = join(folder, name);
    const stat = lstatSync(file, { throwIfNoEntry: false });
    if (stat && nowMs - stat.mtimeMs > ABANDONED_MS) remove(file);
  }
}

function remove(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new OutputError('cannot-write', `${file} cannot be removed (${code})`, { cause });
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new OutputError('cannot-write', `${folder} cannot be listed (${code})`, { cause });
  }
}
