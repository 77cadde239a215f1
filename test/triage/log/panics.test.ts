import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { findingWords } from '../../../src/answers/triage/words.js';
import { logFindings } from '../../../src/triage/log/log-findings.js';
import { recordsOf } from './records.js';

const LOGS = new URL('../../../fixtures/logs/', import.meta.url);
const named = (name: string) => readFileSync(new URL(`panic-${name}.log`, LOGS), 'utf8');
const found = (text: string) => logFindings(recordsOf(text), 4096);

const IN_MODULE = { symbol: 'panics_do', module: 'panics', comm: 'insmod', number: 1, times: 1 };
const LIST = { place: 'lib/list_debug.c:62', symbol: '__list_del_entry_valid_or_report' };
const LOCKUP = { comm: 'insmod', times: 1 };
const HANG = { comm: 'panics-hang', seconds: 2 };
const CACHE = { cache: 'kmalloc-64', what: 'Object already free' };
const GUARD = { kind: 'stack guard page was hit', symbol: 'panics_recurse', module: 'panics' };

/** The findings besides the panic in each log, in order: real logs, as guests of the lab printed them. */
const TOLD: Readonly<Record<string, readonly (readonly [code: string, figures: object])[]>> = {
  'null-5.10': [['oops', { ...IN_MODULE, address: '0000000000000000', cpu: 0, pid: 109 }]],
  'null-7.2': [['oops', { ...IN_MODULE, address: '0000000000000000', cpu: 0, pid: 132 }]],
  'bug-5.10': [['oops', { ...IN_MODULE, place: 'panics.c:85', cpu: 1, pid: 109 }]],
  'bug-7.2': [['oops', { ...IN_MODULE, place: 'panics.c:85', cpu: 1, pid: 132 }]],
  'wild-7.2': [['oops', { ...IN_MODULE, trap: 'general protection fault', cpu: 1, pid: 131 }]],
  'stack-5.10': [['oops', { ...GUARD, cpu: 0, pid: 108, number: 1 }]],
  'stack-7.2': [['oops', { ...GUARD, cpu: 1, pid: 131, number: 1 }]],
  'double-free-5.10': [['oops', { place: 'mm/slub.c:305', symbol: 'kfree', cpu: 1, pid: 108 }]],
  'double-free-7.2': [
    ['memory-corruption', CACHE],
    ['kernel-warning', { symbol: 'object_err' }],
  ],
  'list-7.2': [
    ['memory-corruption', { list: expect.stringContaining('list_del corruption') }],
    ['oops', { ...LIST, cpu: 1, pid: 131, number: 1, times: 1 }],
  ],
  'soft-lockup-5.10': [['soft-lockup', LOCKUP]],
  'soft-lockup-7.2': [['soft-lockup', { ...LOCKUP, cpu: 1, seconds: 6, pid: 130 }]],
  'hung-task-5.10': [['hung-task', { ...HANG, pid: 113 }]],
  'hung-task-7.2': [['hung-task', { ...HANG, pid: 134 }]],
  'rcu-stall-7.2': [['rcu-stall', { flavour: 'rcu_preempt' }]],
  'warning-7.2': [['kernel-warning', { symbol: 'panics_do', place: 'panics.c:95' }]],
  'nmi-5.10': [],
  'nmi-7.2': [],
};

test.each(Object.entries(TOLD))('%s: reports the panic, and each fault once', (name, expected) => {
  const findings = found(named(name));
  const others = findings.filter(({ code }) => code !== 'panic');
  expect(findings.length - others.length).toBe(1);
  expect(others.map(({ code, figures }) => [code, figures])).toEqual(
    expected.map(([code, figures]) => [code, expect.objectContaining(figures)]),
  );
});

test('has an expectation for each panic log', () => {
  const logs = readdirSync(LOGS).flatMap((file) => /^panic-(.*)\.log$/.exec(file)?.[1] ?? []);
  expect(logs.toSorted()).toEqual(Object.keys(TOLD).toSorted());
});

test('describes a fault by its function and task', () => {
  const [oops] = found(named('null-7.2'));
  expect(oops && findingWords(oops)).toBe(
    'Kernel oops: invalid memory access at 0x0000000000000000 in panics_do [panics]. CPU 0 was running pid 132 (insmod). The fault is in kernel code; the process need not be the cause.',
  );
  expect(oops?.title).toBe('BUG: unable to handle kernel NULL pointer dereference in panics_do');
});

test('reports two faults separately, each with its own figures', () => {
  const joined = `${named('null-7.2').split('Kernel panic')[0]}\n${named('bug-7.2')}`;
  const [first, second] = found(joined).filter(({ code }) => code === 'oops');
  expect(first?.figures).toMatchObject({ pid: 132, address: '0000000000000000' });
  expect(second?.figures).toMatchObject({ place: 'panics.c:85', cpu: 1 });
  expect(second?.figures.address).toBeUndefined();
});

test('reads a command name that contains words of a report', () => {
  const comm = 'a Not tainted b';
  const [oops] = found(named('null-5.10').replace('Comm: insmod', `Comm: ${comm}`));
  expect(oops?.figures.comm).toBe(comm);
});

test.each([
  ['Panic#2 Part1', ['panic', 'Kernel panic: the log does not contain the reason.']],
  ['---[ end Kernel panic - not syncing: Fatal exception ]---', ['panic', 'Kernel panic: Fatal exception.']],
  ['Oops#1 Part1', ['oops', 'Kernel oops.']],
  [
    'EIP: [<f88dec25>] radeon_cp_init_ring_buffer+0x90/0x302 [radeon] SS:ESP 0068:f0a0cf08',
    ['oops', 'Kernel oops in radeon_cp_init_ring_buffer [radeon].'],
  ],
  ['RIP  [<ffffffff8118d2d7>] kfree+0x57/0x140', ['oops', 'Kernel oops in kfree.']],
  [
    '---[ end trace 056472c3176dbd80 ]---',
    ['kernel-warning', 'Kernel warning or oops: the log has only the end of its report.'],
  ],
])('reports a crash of which the log has only the end: %s', (line, expected) => {
  const report = `<4>[    1.000000]  [<f88e11c7>] radeon_cp_resume+0x7d/0xbc [radeon]\n<4>[    1.000001] ${line}\n`;
  const of = (text: string) => found(text).map((finding) => [finding.code, findingWords(finding)]);
  expect(of(report)).toEqual([expected]);
  expect(found(report)[0]?.report?.corrupted).toBe('no-first-lines');
  // A program may write such a line.
  expect(of(report.replace(line, `cat: ${line}`))).toEqual([]);
  // After a whole report it says nothing new.
  const whole = named('null-7.2');
  expect(of(`${whole}\n${report}`)).toEqual(of(whole));
});

test.each(Object.keys(TOLD))(
  '%s: a panic is counted once, also where its first line is within another report',
  (name) => {
    expect(found(named(name)).filter(({ code, figures }) => code === 'panic' && figures.times !== 1)).toEqual([]);
  },
);

test.each(Object.keys(TOLD))('%s: a log that begins anywhere before the end of a report is never clean', (name) => {
  const lines = named(name).split('\n');
  const last = lines.findLastIndex((line) => /---\[ end |Kernel panic - not syncing/.test(line));
  for (let from = 0; from <= last; from++) expect(found(lines.slice(from).join('\n'))).not.toEqual([]);
});

test('says what only detects, and what a test of the kernel may do on purpose', () => {
  const words = (...lines: readonly string[]) =>
    found(lines.map((line) => `<0>[    1.000000] ${line}\n`).join('')).map((finding) => findingWords(finding));
  expect(words('Kernel panic - not syncing: hung_task: blocked tasks')).toEqual([
    'Kernel panic: hung_task: blocked tasks. khungtaskd only detects hung tasks, and the setting hung_task_panic requested the panic.',
  ]);
  const kasan = (caller: string) => [
    'BUG: KASAN: slab-out-of-bounds in kmalloc_oob_right+0x190/0x3b8',
    'Write of size 1 at addr ffff000005c8d573 by task kunit_try_catch/134',
    'Call trace:',
    ` kmalloc_oob_right+0x190/0x3b8`,
    ` ${caller}+0x170/0x3f0`,
  ];
  const onPurpose = 'A test of the kernel (KUnit) was running: it may do this on purpose.';
  expect(words(...kasan('kunit_try_run_case'))[0]).toContain(onPurpose);
  expect(words(...kasan('ext4_write_begin'))[0]).not.toContain(onPurpose);
});

test('a report has its modules, and which are no part of the kernel', () => {
  const report = (text: string) => found(text).find(({ code }) => code === 'oops')?.report;
  const real = named('null-7.2');
  expect(report(real)).toMatchObject({ outOfTree: ['panics'] });
  expect(report(real)?.modules).toContain('panics');
  const none = real.replace(/(Modules linked in:).*/, '$1 a b(E) c(P-)');
  expect(report(none)).toMatchObject({ modules: ['a', 'b', 'c'], outOfTree: [] });
});
