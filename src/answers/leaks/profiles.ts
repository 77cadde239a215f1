import { gzipSync } from 'node:zlib';
import { Location, Profile, Function as ProfiledFunction, StringTable } from 'pprof-format';
import type { LeakSite, LeaksAnswer } from '../../contracts/leaks.js';
import { type SiteFrame, untraced } from '../../records/allocation-sites.js';
import { speedscopeFile } from '../speedscope-file.js';
import { siteFrameName } from './site-words.js';

/** Returns the sites that hold memory. */
function heldSites({ sites }: LeaksAnswer): readonly LeakSite[] {
  return sites.filter(({ bytes }) => bytes > 0);
}

/** Returns function names, outermost first. */
function namesOf({ frames }: LeakSite): string[] {
  const own = untraced(frames);
  return own.length === 0 ? ['[no stack]'] : own.toReversed().map(siteFrameName);
}

/**
 * Returns folded stacks, as read by flamegraph.pl and similar tools: one stack per line, with the bytes it
 * holds.
 */
export function leaksFolded(answer: LeaksAnswer): string[] {
  return heldSites(answer).map((site) => {
    // Semicolons separate functions.
    const names = namesOf(site).map((name) => name.replaceAll(';', '\\x3b'));
    return `${names.join(';')} ${site.bytes}`;
  });
}

/** Returns a file for speedscope, weighted by held bytes. */
export function leaksSpeedscope(answer: LeaksAnswer, version: string): object {
  const frames: { name: string; file?: string }[] = [];
  const numbers = new Map<string, number>();
  const numberOf = (name: string): number => {
    const number = numbers.get(name) ?? frames.push({ name }) - 1;
    numbers.set(name, number);
    return number;
  };
  const stacks = heldSites(answer).map((site) => ({ frames: namesOf(site).map(numberOf), bytes: site.bytes }));
  const name = `held after ${answer.seconds.toFixed(1)} s`;
  return speedscopeFile({ version, name, frames, stacks });
}

/**
 * Returns a gzip-compressed pprof profile (profile.proto of github.com/google/pprof): held bytes and blocks,
 * with the verdict as a label.
 */
export function leaksPprof(answer: LeaksAnswer): Buffer {
  const strings = new StringTable();
  const functions: ProfiledFunction[] = [];
  const locations: Location[] = [];
  const ids = new Map<string, number>();
  const locationOf = (name: string, frame?: SiteFrame): number => {
    const known = ids.get(name);
    if (known !== undefined) return known;
    const id = locations.length + 1;
    ids.set(name, id);
    const [, file = '', line = '0'] = /^(.{1,4096}):(\d{1,9})$/.exec(frame?.line ?? '') ?? [];
    const filename = strings.dedup(file === '' ? (frame?.module ?? '') : file);
    functions.push(new ProfiledFunction({ id, name: strings.dedup(name), filename }));
    locations.push(new Location({ id, line: [{ functionId: id, line: Number(line) }] }));
    return id;
  };
  const sample = heldSites(answer).map(({ frames, blocks, bytes, verdict }) => ({
    locationId:
      frames.length === 0
        ? [locationOf('[no stack]')]
        : untraced(frames).map((frame) => locationOf(siteFrameName(frame), frame)),
    value: [blocks ?? 0, bytes],
    label: [{ key: strings.dedup('verdict'), str: strings.dedup(verdict) }],
  }));
  const unit = (type: string, of: string) => ({ type: strings.dedup(type), unit: strings.dedup(of) });
  const sampleType = [unit('inuse_objects', 'count'), unit('inuse_space', 'bytes')];
  const profile = new Profile({
    sampleType,
    sample,
    location: locations,
    function: functions,
    durationNanos: BigInt(Math.round(answer.seconds * 1e9)),
    defaultSampleType: strings.dedup('inuse_space'),
    stringTable: strings,
  });
  return gzipSync(profile.encode());
}
