// `scripts/lab dump VER-families`: a guest with sockets of the rarer families, paused and dumped.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootGuest } from './guest.mjs';
import { guestProgram, sourceHash, sourcesIn } from './guest-program.mjs';
import { madeOnce } from './made.mjs';
import { kernelFiles, PARTS } from './paths.mjs';
import { inWords } from './words.mjs';

const SOURCES = sourcesIn('guest-families');

/** What the sockets need; what a kernel lacks or has built in is passed over. */
const MODULES = [
  'aes_generic',
  'aesni_intel',
  'ctr',
  'ghash_generic',
  'gcm',
  'tls',
  'vsock',
  'vmw_vsock_virtio_transport_common',
  'vsock_loopback',
  'l2tp_ip',
  'sctp',
  'af_alg',
  'algif_skcipher',
  'dummy',
  'tun',
  'nf_defrag_ipv6',
];

/**
 * A page of hugetlb whose `struct page`s are mapped to few pages where the kernel can (HVO); and on the
 * newest the slabs that sockets' memory comes from have red zones, and poison in what is free.
 */
const HUGETLB = 'hugetlb_free_vmemmap=on hugepages=1';
const SLUB_DEBUG = 'slub_debug=ZP,skbuff_head_cache,skbuff_fclone_cache,skbuff_small_head,sock_inode_cache,TCP';

await inWords(async () => {
  const [name = ''] = process.argv.slice(2);
  const kernel = name.replace(/-families$/, '');
  const own = ['families.mjs', 'guest-program.mjs'].map((file) => join(PARTS, file));
  const recipe = `${sourceHash(...SOURCES, ...own)} ${kernelFiles(kernel).release}\n`;
  await madeOnce(name, recipe, ['elf.vmcore', 'truth.json'], (work) => dumpInto(work, kernel));
});

/** @param {string} work a folder @param {string} kernel */
async function dumpInto(work, kernel) {
  const guest = await bootGuest({
    kernel,
    memoryMiB: 256,
    files: [guestProgram('families', SOURCES, kernel)],
    modules: MODULES,
    append: kernel === 'newest' ? `${HUGETLB} ${SLUB_DEBUG}` : HUGETLB,
  });
  try {
    await guest.run('families > /tmp/truth 2> /tmp/missing & true');
    const truth = await settled(guest);
    await guest.pause();
    await guest.dump('elf', join(work, 'elf.vmcore'));
    writeFileSync(join(work, 'truth.json'), `${JSON.stringify(truth, null, 1)}\n`);
  } finally {
    guest.kill();
  }
}

/**
 * Waits for the last role, then gives timers and delayed acknowledgements time to end.
 *
 * @param {import('./guest.mjs').Guest} guest
 */
async function settled(guest) {
  for (let tries = 0; tries < 100; tries++) {
    const said = (await guest.run('cat /tmp/truth')).output.toString().trim().split('\n');
    if (said.at(-1)?.includes('"end"')) {
      await sleep(2000);
      const missing = (await guest.run('cat /tmp/missing')).output.toString().trim();
      const roles = said.slice(0, -1).map((line) => JSON.parse(line));
      return { roles, missing: missing === '' ? [] : missing.split('\n') };
    }
    await sleep(200);
  }
  throw new Error(`the families did not come up:\n${(await guest.run('cat /tmp/missing')).output}`);
}
