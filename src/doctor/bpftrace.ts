import { NEEDED_PROBE, TRIED_BPFTRACES } from '../host/bpftrace-tried.js';
import type { Check, Here } from './check.js';

/** That it is there does not mean that it may look at the kernel; listing what it could trace starts nothing. */
export function bpftrace(here: Here): Check {
  const code = 'bpftrace';
  const said = here.run('bpftrace', ['--version']);
  if (said === null) return { code, state: 'missing', found: 'there is no bpftrace in PATH' };
  const version = said.ok ? /^bpftrace v(\d+\.\d+(?:\.\d+)?)/.exec(said.line)?.[1] : undefined;
  if (version === undefined) return { code, state: 'refused', found: said.line };
  const [oldest] = TRIED_BPFTRACES;
  const listed = here.run('bpftrace', ['-l', NEEDED_PROBE]);
  if (listed?.line.trim() !== NEEDED_PROBE)
    return {
      ...{ code, state: 'refused' },
      found: `${version}, and it does not list what is to be traced: ${listed?.line}`,
    };
  if (isOlder(version, oldest))
    return {
      ...{ code, state: 'partly' },
      found: `${version}, and none older than ${oldest} was tried`,
    };
  const untried = TRIED_BPFTRACES.some((one) => one === version)
    ? ''
    : `; tried were ${TRIED_BPFTRACES.join(', ')}`;
  return { code, state: 'works', found: `${version}${untried}` };
}

function isOlder(version: string, than: string): boolean {
  const [one, other] = [version, than].map((each) => each.split('.').map(Number));
  for (const [index, part] of (other ?? []).entries()) {
    const own = one?.[index] ?? 0;
    if (own !== part) return own < part;
  }
  return false;
}
