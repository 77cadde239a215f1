import type { CgroupsAnswer, ChargedPart } from '../../account/memory/cgroups.js';
import type { CgroupsJson } from './schema.js';

/** Memory cgroups and what is charged to them, as the JSON contract has them. */
export function cgroupsJson(answer: CgroupsAnswer): CgroupsJson {
  return {
    cgroups: answer.cgroups.map((cgroup) => ({
      path: cgroup.path,
      dying: cgroup.dying,
      ...charged(cgroup),
      slabObjects: cgroup.slabObjects,
      slabObjectBytes: cgroup.slabBytes,
      usageBytes: cgroup.usageBytes ?? null,
    })),
    nobody: charged(answer.nobody),
    slabs: charged(answer.slabs),
    unnamed: answer.unnamed.map((one) => ({
      reason: one.reason,
      ...charged(one),
      why: one.why ?? null,
    })),
    empty: answer.empty,
  };
}

function charged({ bytes, drawers }: ChargedPart) {
  return { bytes, drawers: drawers.map((one) => ({ ...one })) };
}
