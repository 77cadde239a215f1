import { groupsOfMappings, totalOfMappings } from '../../account/processes/mapping-groups.js';
import type { ProcessAnswer } from '../../account/processes/mappings.js';
import { hex } from '../../base/hex.js';
import type { Mapping, MappingSizes } from '../../records/mappings.js';
import { capturedJson } from '../captured.js';
import { kernelJson } from '../kernel-json.js';
import { processJson as recordJson } from '../procs/json.js';
import type { ProcessJson } from './schema.js';

export function processJson(answer: ProcessAnswer): ProcessJson {
  const { kernel, process, mappings, complete, warnings } = answer;
  const total = totalOfMappings(mappings);
  return {
    schema: 'kdump-mem.process/1',
    kernel: kernel === undefined ? null : kernelJson(kernel),
    source: kernel === undefined ? 'proc' : kernel.source,
    captured: capturedJson(answer.captured),
    ...recordJson(process),
    mappings: mappings.map(mappingJson),
    groups: groupsOfMappings(mappings).map(({ kind, name, mappings: many, size, ...sizes }) => ({
      kind,
      path: name === '' ? null : name,
      mappings: many,
      sizeBytes: size,
      ...sizesJson(sizes),
    })),
    mapped: { mappings: total.mappings, sizeBytes: total.size, ...sizesJson(total) },
    complete,
    warnings: [...warnings],
  };
}

function mappingJson(mapping: Mapping): ProcessJson['mappings'][number] {
  const { start, end, permissions, offset, kind, name } = mapping;
  return {
    start: hex(start),
    end: hex(end),
    permissions,
    offset: hex(offset),
    kind,
    path: name === '' ? null : name,
    sizeBytes: Number(end - start),
    ...sizesJson(mapping),
  };
}

function sizesJson(sizes: MappingSizes) {
  return {
    rssBytes: sizes.rss,
    pssBytes: sizes.pss,
    privateCleanBytes: sizes.privateClean,
    privateDirtyBytes: sizes.privateDirty,
    sharedCleanBytes: sizes.sharedClean,
    sharedDirtyBytes: sizes.sharedDirty,
    referencedBytes: sizes.referenced,
    anonBytes: sizes.anonymous,
    anonHugeBytes: sizes.anonymousHuge,
    shmemHugeBytes: sizes.shmemHuge,
    fileHugeBytes: sizes.fileHuge,
    privateHugetlbBytes: sizes.privateHugetlb,
    sharedHugetlbBytes: sizes.sharedHugetlb,
    swapBytes: sizes.swap,
    swapPssBytes: sizes.swapPss,
    lockedBytes: sizes.locked,
  };
}
