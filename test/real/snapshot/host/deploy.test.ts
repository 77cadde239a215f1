import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { parseConditions } from '../../../../src/capture/write/when/trigger.js';
import { commandPath } from '../../../support/cli.js';

const DEPLOY = fileURLToPath(new URL('../../../../deploy/', import.meta.url));
const UNIT = join(DEPLOY, 'systemd/kdump-mem-snapshot.service');
const SET = join(DEPLOY, 'kubernetes/snapshot-daemonset.yaml');
const folder = mkdtempSync('/var/tmp/snapshot-deploy-');
afterAll(() => rmSync(folder, { recursive: true }));

/** The command of the unit, as systemd parses it: %% is a percent sign. */
const unitArguments = () =>
  (/^ExecStart=\/usr\/local\/bin\/kdump-mem (.*)$/m.exec(readFileSync(UNIT, 'utf8'))?.[1] ?? '')
    .replaceAll('%%', '%')
    .split(' ');

/** Starts it with a folder of the test, and stops it as soon as it waits. */
async function started(args: readonly string[]) {
  const own = args.map((word, at) => (args[at - 1] === '--into' ? folder : word));
  const child = spawn(process.execPath, [commandPath('kdump-mem'), ...own]);
  let said = '';
  child.stderr.on('data', (bytes) => {
    said += bytes;
    if (said.includes('waiting for')) child.kill('SIGTERM');
  });
  const [status] = await once(child, 'close');
  return { said, status };
}

/** A host without PSI refuses with a message; all others wait. */
function expectWaits({ said, status }: Awaited<ReturnType<typeof started>>): void {
  if (status === 0)
    expect(said).toMatch(/waiting for memory pressure \(some\) of 20 %, or MemAvailable below .* OOM killer/);
  else {
    expect(status).toBe(3);
    expect(said).toMatch(/^kdump-mem: --when psi is not available here: .*Or omit psi\.\n$/);
  }
}

describe('the systemd unit', () => {
  test('is accepted by systemd', () => {
    const copy = join(folder, 'kdump-mem-snapshot.service');
    const text = readFileSync(UNIT, 'utf8');
    writeFileSync(copy, text.replace('/usr/local/bin/kdump-mem', '/bin/true'));
    const verify = () => spawnSync('systemd-analyze', ['verify', '--man=no', copy], { encoding: 'utf8' });
    expect(verify()).toMatchObject({ status: 0, stderr: '' });
    writeFileSync(copy, text.replace('Type=exec', 'Type=sometimes'));
    expect(verify().stderr).toContain('sometimes');
  });

  test('starts a waiting command, with a directory to write to', async () => {
    expectWaits(await started(unitArguments()));
    const into = unitArguments()[unitArguments().indexOf('--into') + 1];
    expect(readFileSync(UNIT, 'utf8')).toContain(`StateDirectory=${into?.replace('/var/lib/', '')}\n`);
  });
});

describe('the DaemonSet', () => {
  const [document, ...more] = parseAllDocuments(readFileSync(SET, 'utf8'));
  const set = document?.toJS();
  const { spec, metadata } = set.spec.template;
  const [container] = spec.containers;

  test('is valid, with only the privileges that it needs', () => {
    expect([document?.errors, document?.warnings, more]).toEqual([[], [], []]);
    expect(set).toMatchObject({ apiVersion: 'apps/v1', kind: 'DaemonSet' });
    expect(metadata.labels).toMatchObject(set.spec.selector.matchLabels);
    expect(spec).toMatchObject({ hostPID: true, automountServiceAccountToken: false });
    expect(container.securityContext).toMatchObject({ readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
    expect(container.securityContext.privileged).toBeUndefined();
    // The API rejects false in combination with CAP_SYS_ADMIN.
    expect(container.securityContext.allowPrivilegeEscalation).toBeUndefined();
    const unit = /^CapabilityBoundingSet=(.*)$/m.exec(readFileSync(UNIT, 'utf8'))?.[1]?.split(' ');
    const added: string[] = container.securityContext.capabilities.add;
    expect(added.map((name) => `CAP_${name}`).toSorted()).toEqual(unit?.toSorted());
  });

  test('starts a waiting command, which writes to the one writable folder', async () => {
    expectWaits(await started([...container.command.slice(1), ...container.args]));
    const into = container.args[container.args.indexOf('--into') + 1];
    const writable = container.volumeMounts.filter(({ readOnly }: { readOnly?: boolean }) => !readOnly);
    expect(writable).toMatchObject([{ mountPath: into }]);
    expect(parseConditions(container.args[1])).toHaveLength(3);
  });
});
