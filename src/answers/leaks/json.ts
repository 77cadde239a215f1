import { hex } from '../../base/util.js';
import type { LeaksJson } from '../../contracts/leaks.js';
import type { LeakSite, LeaksAnswer } from '../../leaks/answer.js';
import type { Held } from '../../leaks/recording.js';
import type { SiteSurvivors, SocketSum } from '../../leaks/site-survivors.js';
import { socketEnds } from '../../records/socket-ends.js';
import { noteWords } from './words.js';

/** Returns `kdump-mem.leaks/1`. @param limit maximum number of sites; undefined: all */
export function leaksJson(answer: LeaksAnswer, limit?: number): LeaksJson {
  const { recording, sites, lookup, losses, unseen } = { ...answer, ...pick(answer) };
  const listed = limit === undefined ? sites : sites.slice(0, limit);
  return {
    schema: 'kdump-mem.leaks/1',
    type: recording.type,
    method: recording.method,
    seconds: Math.round(answer.duration) / 1000,
    windows: answer.windows,
    sample: { oneIn: recording.sample.oneIn, mask: hex(recording.sample.mask), residue: hex(recording.sample.residue) },
    endedEarly: recording.endedEarly,
    total: heldJson(answer.total),
    sites: listed.map(siteJson),
    omitted: sites.length - listed.length,
    lookedUpBy: lookup.source,
    unavailable: lookup.unavailable,
    lookedUp: answer.lookedUp,
    foundFree: answer.foundFree,
    losses,
    unseen: unseen && {
      allocated: unseen.allocated,
      traced: Math.round(unseen.traced),
      low: Math.round(unseen.low),
      high: Math.round(unseen.high),
    },
    unseenFrees: answer.recording.unseenFrees ?? null,
    tracing: recording.tracing ?? null,
    complete: answer.complete,
    warnings: answer.notes.map((note) => ({
      code: note.code,
      count: note.count ?? null,
      bytes: note.bytes ?? null,
      message: noteWords(note, recording.type),
    })),
  };
}

function pick({ recording: { losses, unseen } }: LeaksAnswer) {
  return { losses, unseen };
}

function heldJson({ bytes, low, high, blocks }: Held) {
  return {
    bytes: Math.round(bytes),
    lowBytes: Math.round(low),
    highBytes: Math.round(high),
    blocks: blocks === null ? null : Math.round(blocks),
  };
}

function siteJson({ verdict, reason, site, held, before, growth, survivors }: LeakSite) {
  return {
    verdict,
    reason,
    kind: site.kind,
    frames: site.frames,
    ...heldJson(held),
    // Per-CPU counters are not read atomically: a sum may be negative.
    beforeBytes: before === null ? null : Math.max(0, before),
    growth,
    survivors: survivors ? survivorsJson(survivors) : null,
  };
}

function survivorsJson({ places, sockets, ages, thirds, commands, ...rest }: SiteSurvivors) {
  return {
    blocks: rest.blocks,
    bytes: rest.bytes,
    order: rest.order,
    places: places.map(({ place, category, cache, why, blocks, bytes }) => ({
      place,
      category,
      cache,
      why,
      blocks,
      bytes,
    })),
    sockets: sockets.map(socketJson),
    ages,
    thirds,
    commands: [...commands].map(([command, blocks]) => ({ command, blocks })),
  };
}

function socketJson({ entry, blocks, bytes }: SocketSum) {
  const { sock, inode, protocol, local, peer } = entry.socket;
  return {
    sock: hex(sock),
    inode,
    protocol,
    local,
    peer,
    ...socketEnds(entry.socket, local, peer),
    holders: entry.holders.map(({ pid, comm, fd }) => ({ pid, comm, fd })),
    blocks,
    bytes,
  };
}
