import { describe, expect, test } from 'vitest';
import { doctorJson, doctorText } from '../../src/answers/doctor/render.js';
import { doctorSchema } from '../../src/answers/doctor/schema.js';
import { HostError, KernelError } from '../../src/base/errors.js';
import { CHECK_CODES, type CheckCode, examine, type Machine, TRIED_BPFTRACES } from '../../src/doctor/checks.js';
import { capabilitiesOf } from '../../src/records/processes.js';
import { textOf } from '../support/documents.js';

const ALL_RIGHTS = 'Name:\tx\nCapEff:\t000001ffffffffff\n';

/** A machine on which everything works. */
const whole: Machine = {
  uid: 0,
  readText: (path) => (path === '/proc/self/status' ? ALL_RIGHTS : 'text'),
  open: () => undefined,
  readLink: () => 'pid:[4026531836]',
  list: () => ['1', 'events', 'self'],
  run: (program, args) => {
    if (args[0] === 'stat') return { line: '12,,page-faults', ok: true };
    if (args[0] === '-l') return { line: args[1] ?? '', ok: true };
    return { line: program === 'bpftrace' ? 'bpftrace v0.23.2' : 'version 1', ok: true };
  },
  openKernel: () => ({ lacking: [], release: '6.1.0' }),
};

const denied = (path: string): never => {
  throw new HostError('denied', `${path}: permission denied`);
};
const gone = (path: string): never => {
  throw new HostError('gone', `${path}: not found`);
};

/** The result of one check on a machine that differs from the working one. */
function resultOf(code: CheckCode, differs: Partial<Machine>) {
  const [check] = examine({ ...whole, ...differs }, [code]);
  return [check?.state, check?.found];
}

test('reports for each check that it works if everything does', () => {
  expect(examine(whole).map(({ state }) => state)).toEqual(CHECK_CODES.map(() => 'works'));
});

describe('reports failures', () => {
  const program = (line: string, ok = false) => ({ run: () => ({ line, ok }) });
  const bpftraceOf = (version: string, listed?: string): Partial<Machine> => ({
    run: (_, [first, probe = '']) =>
      first === '--version'
        ? { line: `bpftrace v${version}`, ok: true }
        : { line: listed ?? probe, ok: listed === undefined },
  });
  const without = (file: string, fail: (path: string) => never) => ({
    readText: (path: string) => (path === file ? fail(path) : whole.readText(path)),
  });

  test.each<[CheckCode, Partial<Machine>, string, string]>([
    ['root', { uid: 7, readText: () => 'CapEff:\t0000000000000000\n' }, 'missing', 'user 7 without'],
    ['root', { readText: () => 'CapEff:\t000001fffff7ffff\n' }, 'partly', 'root without CAP_SYS_PTRACE'],
    ['root', { readText: () => 'no such line\n' }, 'missing', 'root without CAP_SYS_PTRACE, '],
    ['root', without('/proc/self/status', gone), 'missing', '/proc/self/status: not found'],
    ['processes', without('/proc/1/status', gone), 'missing', 'hidepid'],
    ['processes', { open: denied }, 'partly', '1 visible'],
    [
      'processes',
      {
        list: (path) => (path === '/proc' ? ['1', '7', '9', 'self'] : ['3']),
        open: (path) => (/\/[79]\//.test(path) ? denied(path) : undefined),
      },
      'partly',
      'mappings of 2 processes are not readable (/proc/7/smaps_rollup: permission denied)',
    ],
    [
      'processes',
      {
        list: (path) => (path === '/proc' ? ['1', '7', '9'] : ['3']),
        readLink: (path) => (path === '/proc/9/fd/3' ? denied(path) : whole.readLink(path)),
      },
      'partly',
      'descriptors of 1 process are not readable (/proc/9/fd/3: permission denied)',
    ],
    [
      'processes',
      { readLink: () => 'pid:[4026532201]' },
      'partly',
      '1 visible, kernel threads included; other pid namespaces are not visible',
    ],
    ['processes', { readLink: denied }, 'partly', 'other pid namespaces are not visible'],
    ['namespaces', { run: () => null }, 'missing', 'nsenter not found in PATH'],
    [
      'namespaces',
      {
        run: (_, [first]) =>
          first === '--version' ? { line: 'nsenter 2', ok: true } : { line: 'Operation not permitted', ok: false },
      },
      'refused',
      'nsenter 2, but cannot enter a namespace: Operation not permitted',
    ],
    ['ss', { run: () => null }, 'missing', 'ss not found in PATH'],
    ['ss', program('ss cannot be started (EACCES)'), 'refused', 'EACCES'],
    ['counters', without('/proc/zoneinfo', denied), 'partly', 'without /proc/zoneinfo'],
    ['counters', without('/proc/meminfo', denied), 'missing', '/proc/meminfo cannot be read'],
    ['pageflags', { open: denied }, 'refused', '/proc/kpageflags: permission denied'],
    ['pressure', { open: gone }, 'missing', '/proc/pressure/memory: not found'],
    [
      'perf',
      {
        run: (_, [first]) =>
          first === 'stat' ? { line: 'Error: no access', ok: false } : { line: 'perf 6', ok: true },
      },
      'refused',
      'perf 6, but cannot count events: Error: no access',
    ],
    [
      'perf',
      { run: (_, [first]) => ({ line: first === 'stat' ? '<not supported>,,page-faults' : 'perf 6', ok: true }) },
      'refused',
      'cannot count events: <not supported>',
    ],
    ['bpftrace', { run: () => null }, 'missing', 'bpftrace not found in PATH'],
    ['bpftrace', program('cannot be started'), 'refused', 'cannot be started'],
    ['bpftrace', program('some other program', true), 'refused', 'some other program'],
    ['bpftrace', bpftraceOf('0.17.0'), 'works', '0.17.0'],
    ['bpftrace', bpftraceOf('0.20.1'), 'works', '0.20.1; tested: 0.17.0, 0.23.2, 0.27.1'],
    ['bpftrace', bpftraceOf('1.2'), 'works', '1.2; tested: '],
    ['bpftrace', bpftraceOf('0.9.4'), 'partly', '0.9.4; versions before 0.17.0 are untested'],
    [
      'bpftrace',
      bpftraceOf('0.17.0', 'ERROR: bpftrace currently only supports running as the root user.'),
      'refused',
      'does not list the required tracepoint: ERROR: bpftrace currently only',
    ],
    ['tracefs', { list: denied }, 'refused', '/sys/kernel/tracing: permission denied'],
    ['tracefs', { list: () => [] }, 'missing', 'not mounted at'],
    [
      'tracefs',
      { list: (path) => (path === '/sys/kernel/debug/tracing' ? ['events'] : []) },
      'works',
      '/sys/kernel/debug/tracing',
    ],
    [
      'kcore',
      {
        openKernel: () => {
          throw new KernelError('no-live-memory', 'no /proc/kcore');
        },
      },
      'missing',
      'no /proc/kcore',
    ],
    [
      'kcore',
      {
        openKernel: () => {
          throw new KernelError('permission', 'may not be read');
        },
      },
      'refused',
      'may not be read',
    ],
    ['kcore', { openKernel: () => ({ lacking: ['no types: no BTF'], release: '6.1' }) }, 'partly', 'no types: no BTF'],
  ])('%s', (code, differs, state, words) => {
    expect(resultOf(code, differs)).toEqual([state, expect.stringContaining(words)]);
  });

  test('rethrows an internal error', () => {
    const broken = {
      openKernel: () => {
        throw new TypeError('ours');
      },
    };
    expect(() => resultOf('kcore', broken)).toThrow(TypeError);
  });
});

test('docs/internals/leaks.md lists the tested versions of bpftrace', () => {
  const rows = [...textOf('docs/internals/leaks.md').matchAll(/^\| (0\.\d+\.\d+) \(/gm)];
  expect(rows.map(([, version]) => version)).toEqual(TRIED_BPFTRACES);
});

test('reads effective capabilities', () => {
  const status = 'CapPrm:\t000001ffffffffff\nCapEff:\t0000000000080000\n';
  expect(capabilitiesOf(status)).toEqual(['sys_ptrace']);
});

test('prints one line per check, and for a failure the affected commands and advice', () => {
  const checks = examine({ ...whole, run: () => null });
  const text = doctorText(checks, 'kdump-mem 1.2.3', null);
  expect(text).toMatch(/^kdump-mem 1\.2\.3 with Node [\d.]+: 7 of 12 features work here; see below for the others\.$/m);
  expect(text).toContain('missing  ss          ss not found in PATH\n');
  expect(text).toContain('ss: used by skcheck, kdump-mem procs --live --sockets.\n  Without it: ');
  for (const line of doctorText(checks, 'kdump-mem 1.2.3', 80).split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('escapes output of a program', () => {
  const checks = examine({ ...whole, run: () => ({ line: '\u001b[31mred', ok: true }) });
  expect(doctorText(checks, 'x 1', null)).not.toContain('\u001b');
});

test('returns JSON that matches its schema, with the words of each check', () => {
  const json = doctorJson(examine({ ...whole, open: denied }), '1.2.3');
  expect(doctorSchema.parse(JSON.parse(JSON.stringify(json)))).toEqual(json);
  expect(json.checks.find(({ code }) => code === 'pageflags')).toMatchObject({
    state: 'refused',
    needs: ['kdump-mem memory --live --source pageflags'],
  });
});
