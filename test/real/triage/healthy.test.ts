import { expect, test } from 'vitest';
import { openNative } from '../../../src/kernel/native/open.js';
import { triage } from '../../../src/triage/triage.js';
import { DUMPS, labDump, labVmcore, PANICKED_KERNELS } from '../../support/lab.js';

/** Codes above a note, without those of the stalled readers in the scenario, which are correct. */
function grave(file: string, roles: readonly { pid: number; fd: number; bytes: number | null }[]) {
  const kernel = openNative({ files: [file] });
  try {
    return triage(kernel)
      .findings.filter(({ severity }) => severity !== 'note')
      .filter(({ code, figures: { pid, fd } }) => {
        const isOfScenario = roles.some((one) => one.pid === pid && one.fd === fd);
        return !(code === 'stalled-reader' && isOfScenario);
      })
      .map(({ code, evidence }) => ({ code, evidence: evidence[0] }));
  } finally {
    kernel.close();
  }
}

test.each([...DUMPS, '6.12-arm64-16k'] as const)('%s: a guest without problems has only notes', (name) => {
  const { elf, truth } = labDump(name);
  expect(grave(elf, truth.roles)).toEqual([]);
});

test.each(PANICKED_KERNELS)('%s: a guest that panicked has the panic as its only finding', (name) => {
  const { elf, truth } = labVmcore(name);
  expect(grave(elf, truth.roles).map(({ code }) => code)).toEqual(['panic']);
});
