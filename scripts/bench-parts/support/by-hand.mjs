// Prints the crash commands that a user would type for the query of `kdump-mem skb`: the
// process's files, the queue, then each skb, its shared info, and the struct page of each frag.
//
//   node by-hand.mjs VMCORE PID FD

import { accountFd } from '../../../dist/account/skb.js';
import { openNative } from '../../../dist/kernel/native/open.js';
import { PageReader } from '../../../dist/walk/pages/pages.js';
import { SkbReader } from '../../../dist/walk/skbs/skb.js';
import { StructReader } from '../../../dist/walk/struct-reader.js';

const [vmcore, pid, fd] = process.argv.slice(2);
const kernel = openNative({ files: [vmcore] });
const answer = accountFd(kernel, Number(pid), Number(fd), true);
const hex = (address) => address.toString(16);
const commands = [`files ${pid}`, `struct sock.sk_receive_queue ${hex(answer.socket.sock)}`];
const pages = new Set();
const reader = new SkbReader(kernel, new PageReader(kernel));
const heads = new StructReader(kernel, 'sk_buff', ['head', 'end']);
const none = () => {};
for (const { address } of answer.skbs.receive) {
  const skb = heads.read(address);
  commands.push(`struct sk_buff.len,truesize,head,end ${hex(address)}`);
  commands.push(`struct skb_shared_info ${hex(skb.pointer('head') + BigInt(skb.number('end')))}`);
  reader.read(address, {
    page: (frame) => pages.add(kernel.pages.pageOfFrame(frame)),
    lentPage: none,
    slot: none,
    soleSlot: none,
    cloneFrags: none,
    clone: () => true,
    incomplete: none,
    remark: none,
  });
}
for (const page of pages) commands.push(`struct page.flags,compound_head ${hex(page)}`);
kernel.close();
process.stdout.write(`${commands.join('\n')}\nexit\n`);
