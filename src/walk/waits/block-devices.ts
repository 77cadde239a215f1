import { damaged, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { MappedFileReader } from '../files/mapped-file.js';
import { deviceNumber } from '../files/mounts.js';
import { hlistNodes } from '../list.js';
import { disksOf, hardwareQueues } from '../memory/block-requests.js';
import { findOrNot, pointerPartOf, pointersPartOf } from '../named-read.js';
import { MappedPageReader } from '../processes/mapped-page.js';
import { StructReader, textAt } from '../struct-reader.js';
import { XarrayReader } from '../trees.js';

/** Where a task waits for input or output. */
export interface WaitDevice {
  /** Type of the file system, such as `ext4`; null: none, or unknown. Untrusted. */
  readonly fileSystem: string | null;
  /** Name of the disk or partition; of a file system without one, what the file system calls itself. Untrusted. */
  readonly name: string | null;
  /** `major:minor`. */
  readonly number: string;
  /** Whether the file system is frozen (fsfreeze), or the queue. */
  readonly frozen: boolean;
  /** Address of the `struct request_queue`; null: no block device. */
  readonly queue: bigint | null;
}

/** Requests of a block device that have a tag: the driver has them, or gets them next. */
export interface DeviceRequests {
  readonly outstanding: number;
  /** Of these, those that the driver has (`MQ_RQ_IN_FLIGHT`). */
  readonly started: number;
  /** When the oldest began, in nanoseconds of the monotonic clock; null: none, or the device has no statistics. */
  readonly oldest: bigint | null;
  /** Numbers of the hardware queues that have them. */
  readonly hardwareQueues: readonly number[];
}

interface Disk {
  readonly address: bigint;
  readonly name: string;
  readonly number: string;
}

/** BLK_MQ_MAX_DEPTH (include/linux/blk-mq.h). */
const MAX_TAGS = 10_240;
/** Maximum number of bios of one request, and length of the name of a device. */
const [MAX_BIOS, MAX_NAME] = [1024, 64];
/** SB_RDONLY, and SB_FREEZE_COMPLETE, which a read-only file system is given at once (include/linux/fs.h). */
const [SB_RDONLY, FREEZE_COMPLETE] = [1, 4] as const;

/**
 * Whether the semaphores of a super block fit the level of its freeze: sb_wait_write() in fs/super.c blocks one of three
 * for each level, after it has set the level.
 */
const isFreezeOf = (level: number, blocked: readonly boolean[]): boolean =>
  level <= FREEZE_COMPLETE &&
  blocked.every((isBlocked, index) => index === level - 1 || isBlocked === index < level - 1);
/** MTD_BLOCK_MAJOR (include/linux/mtd/mtd.h). */
const MTD_MAJOR = 31;
/** __PERCPU_REF_DEAD (include/linux/percpu-refcount.h). */
const DEAD = 2n;

/** Finds the block devices that tasks wait for, and their requests. */
export class BlockDevices {
  readonly #kernel: Kernel;
  readonly #odd: (words: string) => void;
  #disks: ReadonlyMap<bigint, Disk> | undefined;
  readonly #requests = new Map<bigint, DeviceRequests | null>();
  /** Queue of each bio of a request, by what waits for its end (`bi_private`). */
  readonly #waitedFor = new Map<bigint, bigint>();

  /** @param odd receives contradictions */
  constructor(kernel: Kernel, odd: (words: string) => void) {
    this.#kernel = kernel;
    this.#odd = odd;
  }

  /** The disk of a request queue. @throws as disksOf */
  ofQueue(queue: bigint): WaitDevice | undefined {
    const disk = this.#all().get(queue);
    if (disk === undefined) return undefined;
    const freeze = new StructReader(this.#kernel, 'request_queue', [
      'mq_freeze_depth',
      'q_usage_counter.percpu_count_ptr',
    ]);
    const view = freeze.read(queue);
    const frozen = view.number('mq_freeze_depth') !== 0;
    if (frozen !== ((view.pointer('q_usage_counter.percpu_count_ptr') & DEAD) !== 0n))
      this.#odd(`the queue of ${disk.name} is frozen according to one of two words`);
    return { fileSystem: null, name: disk.name, number: disk.number, frozen, queue };
  }

  /** The queue that contains an address, such as that of a wait queue; undefined: none. */
  queueAround(address: bigint): bigint | undefined {
    const size = BigInt(this.#kernel.struct('request_queue')?.size ?? 0);
    for (const queue of this.#all().keys()) if (address >= queue && address < queue + size) return queue;
    return undefined;
  }

  /** The queue whose hardware queues have these tags; undefined: none, or several disks share them. */
  queueOfTags(inside: bigint): bigint | undefined {
    const tags = new StructReader(this.#kernel, 'blk_mq_hw_ctx', ['tags']);
    const known = StructReader.ifPresent(this.#kernel, 'blk_mq_tags', ['bitmap_tags.sb']);
    const pointers = StructReader.ifPresent(this.#kernel, 'blk_mq_tags', ['bitmap_tags']);
    const size = BigInt(this.#kernel.struct('blk_mq_tags')?.size ?? 0);
    const queues = [...this.#all().keys()].filter((queue) => {
      if (!this.#hasTags(queue)) return false;
      for (const context of hardwareQueues(this.#kernel, queue)) {
        const own = tags.read(context).pointer('tags');
        if (known ? inside >= own && inside < own + size : inside === pointers?.read(own).pointer('bitmap_tags'))
          return true;
      }
      return false;
    });
    return queues.length === 1 ? queues[0] : undefined;
  }

  /** The queue of a bio that a task waits for; undefined: none of these is one. @param waits its `bi_private` */
  queueOfBio(bios: Iterable<bigint>, waits: bigint): bigint | undefined {
    const device = this.#kernel.struct('bio')?.member('bi_bdev') ? 'bi_bdev' : 'bi_disk';
    const reader = new StructReader(this.#kernel, 'bio', ['bi_private', device]);
    for (const address of bios) {
      const bio = readOrNot(() => reader.read(address));
      if (bio?.pointer('bi_private') !== waits) continue;
      const of = bio.pointer(device);
      const queue = device === 'bi_disk' ? this.#queueOfDisk(of) : readOrNot(() => this.#queueOf(of));
      if (queue === undefined) continue;
      this.#check(waits, queue, `the bio at ${hex(address)}`);
      return queue;
    }
    return undefined;
  }

  /** The device that a buffer is read from or written to. */
  ofBuffer(buffer: bigint): WaitDevice | undefined {
    const device = new StructReader(this.#kernel, 'buffer_head', ['b_bdev']).read(buffer);
    const queue = this.#queueOf(device.pointer('b_bdev'));
    if (queue === undefined) throw damaged(`the buffer_head at ${hex(buffer)} names no block device`);
    this.#check(buffer, queue, `the buffer_head at ${hex(buffer)}`);
    return this.ofQueue(queue);
  }

  /** The file system of a page, or its block device; undefined: the page is in no file. */
  ofPage(frame: number): WaitDevice | undefined {
    const page = new MappedPageReader(this.#kernel);
    page.read(frame);
    if (page.mapping === 0n || page.index === undefined) return undefined;
    const file = new MappedFileReader(this.#kernel).read(page.mapping);
    const pages = StructReader.ifPresent(this.#kernel, 'address_space', ['i_pages.xa_head']);
    const head = pages?.read(page.mapping).pointer('i_pages.xa_head');
    const own = this.#kernel.pages.pageOfFrame(frame);
    const stored = head === undefined ? own : new XarrayReader(this.#kernel).load(head, page.index);
    // A large folio is there by its first page.
    const size = BigInt(this.#kernel.struct('page')?.size ?? 64);
    if (stored > own || own - stored >= size * 512n)
      this.#odd(`the file at inode ${hex(file.inode)} has another page than the one that names it`);
    const entry = StructReader.ifPresent(this.#kernel, 'dentry', ['d_u.d_alias', 'd_sb']);
    const first = pointerPartOf(this.#kernel, 'the inode', file.inode, file.dentries);
    const name = entry && first !== 0n ? entry.readContainer(first, 'd_u.d_alias') : undefined;
    if (name && name.pointer('d_sb') !== file.superBlock)
      this.#odd(`the inode at ${hex(file.inode)} and its name are in different file systems`);
    if (file.blockDevice === undefined) return this.ofSuperBlock(file.superBlock);
    const both = new StructReader(this.#kernel, 'bdev_inode', ['bdev', 'vfs_inode']);
    const queue = this.#queueOf(both.addressOf(both.containerOf(file.inode, 'vfs_inode'), 'bdev'));
    return queue === undefined ? undefined : this.ofQueue(queue);
  }

  /** A file system, and its block device if it has one. */
  ofSuperBlock(address: bigint): WaitDevice {
    const kernel = this.#kernel;
    const reader = new StructReader(kernel, 'super_block', [
      's_dev',
      's_type',
      's_bdev',
      's_id',
      's_flags',
      's_writers.frozen',
      's_writers.rw_sem',
    ]);
    const view = reader.read(address);
    const type = new StructReader(kernel, 'file_system_type', ['name', 'fs_supers']).read(view.pointer('s_type'));
    const instance = new StructReader(kernel, 'super_block', ['s_instances']);
    const node = instance.addressOf(address, 's_instances');
    if (![...hlistNodes(kernel, type.addressOf('fs_supers'))].includes(node))
      this.#odd(`the super block at ${hex(address)} is not on the list of its file system`);
    const fileSystem = textAt(kernel, 'the name of a file system', type.pointer('name'), MAX_NAME);
    const number = deviceNumber(view.number('s_dev'));
    const block = new StructReader(kernel, 'percpu_rw_semaphore', ['block.counter']);
    const semaphores = view.addressOf('s_writers.rw_sem');
    const blocked = [0, 1, 2].map(
      (index) => block.read(block.element(semaphores, index)).number('block.counter') !== 0,
    );
    const frozen = blocked.includes(true);
    const level = view.number('s_writers.frozen');
    const isReadOnly = (view.number('s_flags') & SB_RDONLY) !== 0;
    if (!isFreezeOf(level, blocked) && !(isReadOnly && level === FREEZE_COMPLETE && !frozen))
      this.#odd(`the super block at ${hex(address)} is frozen according to one of two words`);
    const base = { fileSystem, name: view.text('s_id') || null, number, frozen };
    const device = view.pointer('s_bdev');
    // File systems without a device have the major number 0; those of flash memory (jffs2) have an MTD device.
    const ofFlash = StructReader.ifPresent(kernel, 'super_block', ['s_mtd']);
    const flash = ofFlash?.read(address).pointer('s_mtd') ?? 0n;
    const info = StructReader.ifPresent(kernel, 'mtd_info', ['index']);
    const index = flash === 0n ? undefined : info?.read(flash).number('index');
    const isFlash = number === `${MTD_MAJOR}:${index ?? number.split(':')[1]}`;
    const isOdd = flash === 0n ? (device === 0n) !== number.startsWith('0:') : !isFlash || device !== 0n;
    if (isOdd)
      this.#odd(`the super block at ${hex(address)} has the device number ${number}, but its s_bdev is ${hex(device)}`);
    if (device === 0n) return { ...base, queue: null };
    const own = new StructReader(kernel, 'block_device', ['bd_dev']).read(device).number('bd_dev');
    if (deviceNumber(own) !== number)
      this.#odd(`the super block at ${hex(address)} names two devices, ${number} and ${deviceNumber(own)}`);
    const queue = this.#queueOf(device);
    if (queue === undefined) this.#odd(`the super block at ${hex(address)} is on a disk that is not listed (removed?)`);
    else if (!base.name?.startsWith(this.#all().get(queue)?.name ?? ''))
      this.#odd(`the super block at ${hex(address)} is on a disk that it does not name`);
    return { ...base, queue: queue ?? null };
  }

  /** The super block that contains an address; undefined: none. */
  superBlockAround(address: bigint): bigint | undefined {
    const list = this.#kernel.symbol('super_blocks');
    const reader = StructReader.ifPresent(this.#kernel, 'super_block', ['s_list']);
    if (list === undefined || !reader) return undefined;
    for (const superBlock of reader.entryAddresses(list, 's_list'))
      if (address >= superBlock && address < superBlock + BigInt(reader.size)) return superBlock;
    return undefined;
  }

  /** Outstanding requests; null: the device has no tags, as those have that pass bios on (dm, md). */
  requestsOf(queue: bigint): DeviceRequests | null {
    const known = this.#requests.get(queue);
    if (known !== undefined) return known;
    const requests = this.#hasTags(queue) ? this.#read(queue) : null;
    this.#requests.set(queue, requests);
    return requests;
  }

  #read(queue: bigint): DeviceRequests {
    const kernel = this.#kernel;
    const context = new StructReader(kernel, 'blk_mq_hw_ctx', ['tags', 'queue_num']);
    const tags = new StructReader(kernel, 'blk_mq_tags', ['nr_tags', 'nr_reserved_tags', 'rqs']);
    const request = new StructReader(kernel, 'request', [
      'q',
      'mq_hctx',
      'tag',
      'state',
      'ref',
      'start_time_ns',
      'bio',
      'end_io_data',
    ]);
    const inFlight = Number(kernel.enumerators('mq_rq_state')?.get('MQ_RQ_IN_FLIGHT') ?? 1);
    const requests = { outstanding: 0, started: 0, oldest: null as bigint | null };
    const queues = new Set<number>();
    // Hardware queues may share tags.
    const seen = new Set<bigint>();
    const numbers = new Map<bigint, number>();
    const contexts = [...hardwareQueues(kernel, queue)].map((at) => context.read(at));
    const set = this.#tagSet(queue);
    const counts = new StructReader(kernel, 'blk_mq_tag_set', ['nr_hw_queues']).read(set);
    if (contexts.length < counts.number('nr_hw_queues'))
      this.#odd(`the queue at ${hex(queue)} has fewer hardware queues than its tags`);
    for (const context of contexts) numbers.set(context.address, context.number('queue_num'));
    for (const own of contexts) {
      const at = own.pointer('tags');
      if (at === 0n || seen.has(at)) continue;
      seen.add(at);
      const view = tags.read(at);
      const count = view.number('nr_tags');
      if (count > MAX_TAGS) throw damaged(`a block device has ${count} tags`);
      const used = this.#usedTags(at, count, view.number('nr_reserved_tags'));
      const all = pointersPartOf(kernel, 'the requests', at, view.pointer('rqs'), count);
      for (const [tag, pointer] of all.entries()) {
        if (pointer === 0n && used.has(tag))
          this.#odd(`tag ${tag} of the queue at ${hex(queue)} is in use, but has no request`);
        if (pointer === 0n) continue;
        const view = request.read(pointer);
        const of = view.pointer('q');
        if (of !== queue && readOrNot(() => this.#tagSet(of)) !== set)
          this.#odd(`request ${hex(pointer)} has a tag of another queue than its own`);
        if (of !== queue) continue;
        const isOwn = view.number('tag') === tag && view.number('ref') !== 0;
        const isStarted = isOwn && view.number('state') === inFlight;
        if (isOwn !== used.has(tag))
          this.#odd(
            `request ${hex(pointer)} with tag ${tag} of the queue at ${hex(queue)} is ${isOwn ? 'in use, but its tag is free' : 'free, but its tag is in use'}`,
          );
        if (!isOwn && !used.has(tag)) continue;
        requests.outstanding++;
        if (isStarted) requests.started++;
        const start = view.pointer('start_time_ns');
        if (start !== 0n && (requests.oldest === null || start < requests.oldest)) requests.oldest = start;
        queues.add(numbers.get(view.pointer('mq_hctx')) ?? own.number('queue_num'));
        this.#waitedFor.set(view.pointer('end_io_data'), queue);
        this.#noteBios(view.pointer('bio'), queue);
      }
    }
    return { ...requests, hardwareQueues: [...queues].toSorted((a, b) => a - b) };
  }

  /** The queue with the request for which a task waits; undefined: none. @param waits `bi_private` or `end_io_data` */
  queueOfRequest(waits: bigint): bigint | undefined {
    for (const queue of this.#all().keys()) findOrNot(() => this.requestsOf(queue));
    return this.#waitedFor.get(waits);
  }

  /** Notes what waits for the bios of a request. */
  #noteBios(first: bigint, queue: bigint): void {
    const bio = new StructReader(this.#kernel, 'bio', ['bi_next', 'bi_private']);
    let at = first;
    for (let passed = 0; at !== 0n && passed < MAX_BIOS; passed++) {
      const view = readOrNot(() => bio.read(at));
      if (view === undefined) return;
      this.#waitedFor.set(view.pointer('bi_private'), queue);
      at = view.pointer('bi_next');
    }
  }

  /** Compares the queue of what a task waits for with the requests of all queues. */
  #check(waits: bigint, queue: bigint, what: string): void {
    const other = this.queueOfRequest(waits);
    if (other !== undefined && other !== queue) this.#odd(`${what} names another block device than its request`);
  }

  /** Tags whose bits are set: in `word` and not in `cleared` (include/linux/sbitmap.h). */
  #usedTags(tags: bigint, count: number, reserved: number): Set<number> {
    const kernel = this.#kernel;
    // Pointers in 5.10 to 5.16.
    const embedded = kernel.struct('blk_mq_tags')?.member('bitmap_tags.sb') !== undefined;
    const maps = new StructReader(kernel, 'blk_mq_tags', ['bitmap_tags', 'breserved_tags']);
    const map = new StructReader(kernel, 'sbitmap_queue', ['sb.depth', 'sb.shift', 'sb.map']);
    const word = new StructReader(kernel, 'sbitmap_word', ['word', 'cleared']);
    const used = new Set<number>();
    if (count <= reserved) this.#odd(`the tags at ${hex(tags)} are none, or all reserved`);
    for (const [path, first, last] of [
      ['breserved_tags', 0, reserved],
      ['bitmap_tags', reserved, count],
    ] as const) {
      if (first >= last) continue;
      const at = maps.addressOf(tags, path);
      const view = map.read(embedded ? at : pointerPartOf(kernel, 'the tags', tags, at));
      const shift = view.number('sb.shift');
      // `depth` is lower if the queue was limited since; bits above it may still be set.
      if (first + view.number('sb.depth') > last) this.#odd(`the tags at ${hex(tags)} have more bits than tags`);
      if (shift > 6) throw damaged(`the words of a map of tags have 2^${shift} bits`);
      for (let index = 0; first + (index << shift) < last; index++) {
        const bits = word.read(word.element(view.pointer('sb.map'), index));
        const set = bits.pointer('word') & ~bits.pointer('cleared');
        for (let bit = 0; bit < 1 << shift; bit++)
          if ((set >> BigInt(bit)) & 1n) used.add(first + (index << shift) + bit);
      }
    }
    return used;
  }

  #hasTags(queue: bigint): boolean {
    const ops = new StructReader(this.#kernel, 'request_queue', ['mq_ops']).read(queue);
    const hasTags = this.#tagSet(queue) !== 0n;
    if (hasTags !== (ops.pointer('mq_ops') !== 0n))
      this.#odd(`the queue at ${hex(queue)} has tags according to one of two words`);
    return hasTags;
  }

  #tagSet(queue: bigint): bigint {
    const reader = new StructReader(this.#kernel, 'request_queue', ['tag_set']);
    return reader.read(queue).pointer('tag_set');
  }

  /** The queue of a `struct block_device`. */
  #queueOf(device: bigint): bigint | undefined {
    const reader = new StructReader(this.#kernel, 'block_device', ['bd_disk']);
    return this.#queueOfDisk(reader.read(device).pointer('bd_disk'));
  }

  #queueOfDisk(disk: bigint): bigint | undefined {
    for (const [queue, { address }] of this.#all()) if (address === disk) return queue;
    return undefined;
  }

  #all(): ReadonlyMap<bigint, Disk> {
    if (this.#disks !== undefined) return this.#disks;
    const kernel = this.#kernel;
    const disks = new Map<bigint, Disk>();
    this.#disks = disks;
    const reader = new StructReader(kernel, 'gendisk', ['disk_name', 'major', 'first_minor', 'part0']);
    const device = new StructReader(kernel, 'device', ['kobj.name', 'devt']);
    // Before 5.11 the first partition is embedded in the disk.
    const now = StructReader.ifPresent(kernel, 'block_device', ['bd_device']);
    const old = StructReader.ifPresent(kernel, 'hd_struct', ['__dev']);
    // The queue names its disk, too, or before 5.16 has the device as its parent.
    const ofQueue = StructReader.ifPresent(kernel, 'request_queue', ['disk']);
    const parent = ofQueue ? undefined : new StructReader(kernel, 'request_queue', ['kobj.parent']);
    const seen = new Set<bigint>();
    for (const { disk, queue } of disksOf(kernel)) {
      if (queue === 0n || seen.has(disk)) continue;
      seen.add(disk);
      const view = reader.read(disk);
      const name = view.text('disk_name');
      const number = `${view.number('major')}:${view.number('first_minor')}`;
      disks.set(queue, { address: disk, name, number });
      const part = now ? view.pointer('part0') : view.addressOf('part0');
      const at = now?.addressOf(part, 'bd_device') ?? old?.addressOf(part, '__dev');
      if (at === undefined) continue;
      const own = device.read(at);
      const back = readOrNot(() =>
        ofQueue ? ofQueue.read(queue).pointer('disk') === disk : parent?.read(queue).pointer('kobj.parent') === at,
      );
      if (back !== true) this.#odd(`the disk at ${hex(disk)} has a queue that is not its own`);
      const ownName = textAt(kernel, 'the name of a device', own.pointer('kobj.name'), MAX_NAME);
      if (ownName !== name || deviceNumber(own.number('devt')) !== number)
        this.#odd(`the disk at ${hex(disk)} and its device have different names or numbers`);
    }
    return disks;
  }
}
