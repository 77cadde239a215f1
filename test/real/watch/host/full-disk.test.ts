import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { watchSampleSchema } from '../../../../src/report/watch/sample-schema.js';
import { watchSchema } from '../../../../src/report/watch/schema.js';
import { commandPath } from '../../../support/cli.js';

/** Runs a script where /mnt is a file system that has so much room; root alone may. */
function inSmallRoom(kilobytes: number, script: string) {
  const whole = `set -e; mount -t tmpfs -o size=${kilobytes}k none /mnt; cd /mnt\n${script}`;
  const { stdout, stderr, status } = spawnSync('unshare', ['-m', 'bash', '-c', whole], {
    encoding: 'utf8',
    env: { ...process.env, WATCH: `${process.execPath} ${commandPath('kdump-mem')} watch` },
  });
  return { stdout, stderr, status };
}

test('on a full disk no line is cut, that is said once, and the next that is stored says how many are missing', () => {
  const { stdout, stderr, status } = inSmallRoom(
    1024,
    `$WATCH --interval 0.2 --for 0.5 --store w >/dev/null
head -c 2M /dev/zero > full 2>/dev/null || true
$WATCH --interval 0.2 --for 4 --store w --json > /dev/shm/answer.$$ & watch=$!
sleep 1.5; rm full; wait $watch
cat /dev/shm/answer.$$ | tr -d '\\n'; echo; rm /dev/shm/answer.$$
cat w`,
  );
  expect({ status, stderr: stderr.match(/a sample is not stored: .*/g) }).toEqual({
    status: 0,
    stderr: ['a sample is not stored: w cannot be written (ENOSPC)'],
  });
  const [answer = '', ...lines] = stdout.trimEnd().split('\n');
  const samples = lines.map((line) => watchSampleSchema.parse(JSON.parse(line)));
  const missing = samples.reduce((sum, { lostBefore }) => sum + lostBefore, 0);
  expect(missing).toBeGreaterThan(0);
  const told = watchSchema.parse(JSON.parse(answer));
  expect(told).toMatchObject({ store: { notStored: missing }, complete: false });
  expect(told.samples).toBe(samples.length + missing);
});

test('with few descriptors left a sample is lost, and that is said and counted', () => {
  const script = `ulimit -n 32
$WATCH --interval 0.2 --for 2 --store w --json > /dev/null & watch=$!
sleep 1; prlimit --pid $watch --nofile=1:32; sleep 0.5; prlimit --pid $watch --nofile=32:32; wait $watch
cat w`;
  const { stdout, stderr, status } = inSmallRoom(2048, script);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  expect(stderr).toMatch(/a sample is lost: .*(EMFILE)/);
  const samples = stdout
    .trimEnd()
    .split('\n')
    .map((line) => watchSampleSchema.parse(JSON.parse(line)));
  expect(samples.some(({ lostBefore }) => lostBefore > 0)).toBe(true);
  for (const { processes, drawers } of samples) {
    expect(processes.length).toBeGreaterThan(0);
    expect(drawers).not.toBeNull();
  }
});
