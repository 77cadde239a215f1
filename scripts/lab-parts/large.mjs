// `scripts/lab dump KERNEL-large`: a guest with more than a thousand sockets and 200,000 skbs in their
// queues, dumped.
import { join } from 'node:path';
import { bootGuest } from './guest.mjs';
import { guestTool, sourceHash } from './guest-program.mjs';
import { madeOnce } from './made.mjs';
import { kernelFiles, PARTS } from './paths.mjs';
import { inWords } from './words.mjs';

await inWords(async () => {
  const [name = ''] = process.argv.slice(2);
  const kernel = name.replace(/-large$/, '');
  const sources = ['large.mjs', 'guest-program.mjs', 'guest-programs/crowd.c'].map((file) => join(PARTS, file));
  const recipe = `${sourceHash(...sources)} ${kernelFiles(kernel).release}\n`;
  await madeOnce(name, recipe, ['elf.vmcore'], async (work) => {
    const guest = await bootGuest({ kernel, memoryMiB: 3072, files: [guestTool('crowd', kernel)] });
    try {
      await guest.run('echo 200000 400000 600000 > /proc/sys/net/ipv4/udp_mem');
      await guest.run('echo 200000 400000 600000 > /proc/sys/net/ipv4/tcp_mem');
      await guest.run('crowd');
      await guest.pause();
      await guest.dump('elf', join(work, 'elf.vmcore'));
    } finally {
      guest.kill();
    }
  });
});
