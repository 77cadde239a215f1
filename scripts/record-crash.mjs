// Records real crash sessions for test/kernel/crash/session.test.ts: every question put to crash
// and its answer, and the figures that came of it.
//
//   npm run build && scripts/lab up 6.1 && node scripts/record-crash.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { accountProcess } from '../dist/account/skb.js';
import { jsonOf } from '../dist/base/util.js';
import { openCrash } from '../dist/kernel/crash/open.js';
import { recordSession } from '../dist/kernel/crash/session.js';

const lab = process.env.KDUMP_MEM_LAB ?? '.lab';
for (const version of ['5.10', '6.1', '6.12']) {
  const folder = `${lab}/dumps/${version}`;
  const truth = JSON.parse(readFileSync(`${folder}/truth.json`, 'utf8'));
  const { pid } = truth.roles.find(({ name }) => name === 'unix-stream');
  let recording = '';
  const kernel = openCrash({
    vmcore: `${folder}/elf.vmcore`,
    vmlinux: `${lab}/kernels/${version}/vmlinux`,
    crash: `${lab}/bin/crash`,
    wrap: (session) => recordSession(session, (line) => (recording += line)),
  });
  const answer = jsonOf(accountProcess(kernel, pid));
  kernel.close();
  const target = `fixtures/crash/${version}`;
  writeFileSync(`${target}.session.jsonl.gz`, gzipSync(recording, { level: 9 }));
  writeFileSync(`${target}.answer.json`, `${JSON.stringify(answer, null, 2)}\n`);
}
