import { expect, test } from 'vitest';
import { findingWords, titleWords } from '../../src/answers/triage/words.js';
import { type Finding, failOn, isFailing, withNext } from '../../src/triage/finding.js';

test.each([
  [['critical'], { code: 'panic', severity: 'critical' }, true],
  [['critical'], { code: 'panic', severity: 'warning' }, false],
  [['warning'], { code: 'panic', severity: 'critical' }, true],
  [['oom-kill'], { code: 'oom-kill', severity: 'note' }, true],
  [['oom-kill'], { code: 'panic', severity: 'critical' }, false],
  [['critical', 'oom-kill'], { code: 'oom-kill', severity: 'warning' }, true],
  [['critical', 'note'], { code: 'tainted', severity: 'note' }, true],
])('%j fails on %j: %s', (words, finding, fails) => {
  expect(isFailing(failOn(words), finding)).toBe(fails);
});

test('a tmpfs of another mount namespace is named by pod and container, or by cgroup', () => {
  const words = (more: Finding['figures']) =>
    findingWords({
      code: 'shared-memory',
      figures: {
        kind: 'tmpfs',
        name: 'tmpfs /data',
        bytes: 2 ** 30,
        share: 0.1,
        pid: 9,
        comm: 'db',
        inside: 9,
        ...more,
      },
    });
  const where = 'Shared memory: tmpfs /data holds 1.00 GiB (10 % of memory), in the mount namespace of pid 9 (db)';
  const container = 'ab'.repeat(32);
  expect(words({ cgroup: '/a', pod: 'p\n', container })).toBe(`${where}, pod p\\x0a, container abababababab.`);
  expect(words({ cgroup: '/a', container })).toBe(`${where}, container abababababab.`);
  expect(words({ cgroup: '/system.slice/x' })).toBe(`${where}, cgroup /system.slice/x.`);
  expect(words({ cgroup: null })).toBe(`${where}.`);
});

test('a kill by hand is no shortage', () => {
  const figures = { outcome: 'killed', pid: 7, comm: 'sh', invokedBy: 'kworker/0:0', scope: 'machine' };
  const words = (reason: string) => findingWords({ code: 'oom-kill', figures: { ...figures, reason } });
  expect(words('sysrq')).toBe(
    'Kill requested by hand (SysRq-f): the OOM killer killed pid 7 (sh). Memory need not have been short.',
  );
  const unnamed = { ...figures, outcome: 'unknown', invokedBy: null, reason: 'sysrq' };
  expect(findingWords({ code: 'oom-kill', figures: unnamed })).toBe(
    'OOM killer invoked; the log does not name the victim. A person or a program requested it (SysRq-f): memory need not have been short.',
  );
  expect(words('global')).toMatch(/^OOM killer killed pid 7 \(sh\)\. Invoked by kworker\/0:0, which requested memory/);
});

test.each([
  [{ address: null }, 'BUG: unable to handle kernel NULL pointer dereference in f', ' in f: NULL pointer dereference'],
  [{ address: null }, 'BUG: something else in f', ' in f'],
  [{ address: null, trap: 'divide error' }, 'divide error in f', ' in f: divide error'],
  [
    { address: '1c' },
    'BUG: unable to handle kernel NULL pointer dereference in f',
    ': invalid memory access at 0x1c in f',
  ],
])('an oops with %j, %s', (figures, title, words) => {
  const all = { pid: null, comm: null, cpu: null, symbol: 'f', module: null, ...figures };
  expect(findingWords({ code: 'oops', figures: all, title })).toBe(`Kernel oops${words}.`);
});

test.each([
  ['do_init_module', false],
  ['cleanup_module', false],
  ['idempotent_init_module', false],
  ['__do_sys_init_module', false],
  ['__x64_sys_finit_module', false],
  ['__arm64_sys_delete_module', false],
  ['SyS_finit_module', false],
  ['SYSC_delete_module', false],
  ['sys_init_module', false],
  ['corrupted', false],
  ['sysrq_handle_crash', false],
  ['nvidia_init_module', true],
  ['xx_sys_init_module', true],
  ['corrupted_list', true],
])('the title of a bug in %s identifies it: %s', (symbol, identifies) => {
  const title = `general protection fault in ${symbol}`;
  const figures = { address: null, pid: null, comm: null, cpu: null, symbol, module: null };
  expect(titleWords({ code: 'oops', figures, title })).toBe(identifies ? title : undefined);
});

test('a stall has no title: it names the victim', () => {
  const figures = { cpu: 1, pid: 7, comm: 'a', symbol: 'f', module: null, seconds: 22, flavour: 'sched', cpus: '1' };
  for (const code of ['soft-lockup', 'hard-lockup', 'rcu-stall', 'hung-task'] as const)
    expect(titleWords({ code, figures, title: 'BUG: soft lockup in f' })).toBeUndefined();
});

test('a crash that was requested is no fault of the kernel, also before 5.0', () => {
  const figures = { address: null, pid: 7, comm: 'sh', cpu: 1, symbol: 'sysrq_handle_crash', module: null };
  expect(findingWords({ code: 'oops', figures, title: 'BUG: x' })).toBe(
    'Requested crash (SysRq-c): kernel oops in sysrq_handle_crash. CPU 1 was running pid 7 (sh). A user or a program requested this crash (SysRq-c): the kernel reported no fault.',
  );
});

test('more orphans than the limit are reset; at the limit none is', () => {
  const words = (used: number) =>
    findingWords({ code: 'limit-near', figures: { limit: 'tcp_max_orphans', used, most: 60, share: used / 60 } });
  expect(words(61)).toBe(
    'Limit reached: 61 of 60 orphaned TCP sockets (tcp_max_orphans). Each was closed by its process before its peer acknowledged all data. The kernel resets connections above the limit. A higher limit lets them pin more memory: first find the peers that do not acknowledge, with ss -tno state fin-wait-1 state last-ack state closing.',
  );
  expect(words(60)).toBe('Limit reached: 60 of 60 orphaned TCP sockets (tcp_max_orphans).');
});

test('the log is read from 10 s before a finding, for a kill by hand from 5 minutes before', () => {
  const next = (reason: string, seconds: number, more: Finding['figures'] = {}) => {
    const evidence = [{ kind: 'log', text: 'x', seq: 1, timestamp: BigInt(seconds * 1e6) * 1000n }] as const;
    return withNext({ code: 'oom-kill', severity: 'warning', figures: { reason, ...more }, evidence }).next;
  };
  expect(next('global', 27_742.909073)).toBe('log --since 27732.909073');
  expect(next('global', 9)).toBe('log --since 0');
  expect(next('sysrq', 27_742.909073)).toBe('log --since 27442.909073');
  expect(next('sysrq', 299)).toBe('log --since 0');
  expect(next('sysrq', 900, { boots: 2, boot: -1 })).toBe('log --since 600 --boot -1');
  expect(next('global', 900, { log: 'dmesg.1' })).toBeUndefined();
});
