import { blockedSchema } from '../contracts/blocked.js';
import { diffSchema } from '../contracts/diff.js';
import { explainSchema } from '../contracts/explain.js';
import { extractSchema } from '../contracts/extract.js';
import { processSampleSchema, procsEndSchema, procsGrowthSchema, procsSampleSchema } from '../contracts/growth.js';
import { infoSchema } from '../contracts/info.js';
import { leakMethodsSchema, leaksSchema } from '../contracts/leaks.js';
import { modulesSchema, mountsSchema, runQueuesSchema, sharedMemorySchema, swapSchema } from '../contracts/lists.js';
import { logEndSchema, logMessageSchema, logSchema } from '../contracts/log.js';
import { memoryEndSchema, memorySchema } from '../contracts/memory.js';
import { processFdsSchema, processSchema } from '../contracts/process.js';
import { procsSchema } from '../contracts/procs.js';
import { recordedHoldersSchema } from '../contracts/recorded-holders.js';
import { refsSchema } from '../contracts/refs.js';
import {
  snapshotDueEndSchema,
  snapshotDueSchema,
  snapshotSchema,
  snapshotVerifySchema,
} from '../contracts/snapshot.js';
import {
  skbProcessSchema,
  skbSchema,
  socketLineSchema,
  socketsEndSchema,
  socketsSchema,
} from '../contracts/sockets.js';
import { stacksSchema } from '../contracts/stacks.js';
import { instanceSchema, structSchema } from '../contracts/struct.js';
import { taskStacksSchema } from '../contracts/task-stacks.js';
import { triageSchema, triageWatchEndSchema } from '../contracts/triage.js';
import { triageEndSchema, triageLineSchema } from '../contracts/triage-line.js';
import { unattributedSchema } from '../contracts/unattributed.js';
import { unreachableSchema } from '../contracts/unreachable.js';
import { verifySchema } from '../contracts/verify.js';
import { watchSampleSchema, watchSchema } from '../contracts/watch.js';
import { whatisSchema } from '../contracts/whatis.js';
import { mapSchema } from '../extract/map/schema.js';
import { doctorSchema } from './doctor/schema.js';
import { mcpAnswerSchema } from './mcp/schema.js';
import { readSchema } from './read/schema.js';
import { skcheckSchema } from './skcheck/schema.js';

/**
 * Schemas of all answers and JSON lines that the commands print, by the value of their field `schema`. The
 * directory `schemas/` contains them as JSON Schema.
 */
export const schemas = {
  'kdump-mem.blocked/1': blockedSchema,
  'kdump-mem.diff/1': diffSchema,
  'kdump-mem.doctor/1': doctorSchema,
  'kdump-mem.explain/1': explainSchema,
  'kdump-mem.extract/1': extractSchema,
  'kdump-mem.info/1': infoSchema,
  'kdump-mem.leak-methods/1': leakMethodsSchema,
  'kdump-mem.leaks/1': leaksSchema,
  'kdump-mem.log/1': logSchema,
  'kdump-mem.log-end/1': logEndSchema,
  'kdump-mem.log-message/1': logMessageSchema,
  'kdump-mem.map/1': mapSchema,
  'kdump-mem.mcp-answer/1': mcpAnswerSchema,
  'kdump-mem.memory/1': memorySchema,
  'kdump-mem.memory-end/1': memoryEndSchema,
  'kdump-mem.memory-unattributed/1': unattributedSchema,
  'kdump-mem.memory-unreachable/1': unreachableSchema,
  'kdump-mem.modules/1': modulesSchema,
  'kdump-mem.mounts/1': mountsSchema,
  'kdump-mem.process/1': processSchema,
  'kdump-mem.process-fds/1': processFdsSchema,
  'kdump-mem.process-sample/1': processSampleSchema,
  'kdump-mem.procs/1': procsSchema,
  'kdump-mem.procs-end/1': procsEndSchema,
  'kdump-mem.procs-growth/1': procsGrowthSchema,
  'kdump-mem.procs-sample/1': procsSampleSchema,
  'kdump-mem.read/1': readSchema,
  'kdump-mem.refs/1': refsSchema,
  'kdump-mem.run-queues/1': runQueuesSchema,
  'kdump-mem.shared-memory/1': sharedMemorySchema,
  'kdump-mem.skb/1': skbSchema,
  'kdump-mem.skb-process/1': skbProcessSchema,
  'kdump-mem.snapshot/1': snapshotSchema,
  'kdump-mem.snapshot-due/1': snapshotDueSchema,
  'kdump-mem.snapshot-due-end/1': snapshotDueEndSchema,
  'kdump-mem.snapshot-verify/1': snapshotVerifySchema,
  'kdump-mem.socket/1': socketLineSchema,
  'kdump-mem.sockets/1': socketsSchema,
  'kdump-mem.sockets-end/1': socketsEndSchema,
  'kdump-mem.stacks/1': stacksSchema,
  'kdump-mem.struct/1': structSchema,
  'kdump-mem.struct-instance/1': instanceSchema,
  'kdump-mem.swap/1': swapSchema,
  'kdump-mem.task-stacks/1': taskStacksSchema,
  'kdump-mem.triage/1': triageSchema,
  'kdump-mem.triage-end/1': triageEndSchema,
  'kdump-mem.triage-line/1': triageLineSchema,
  'kdump-mem.triage-watch-end/1': triageWatchEndSchema,
  'kdump-mem.verify/1': verifySchema,
  'kdump-mem.watch/1': watchSchema,
  'kdump-mem.watch-sample/1': watchSampleSchema,
  'kdump-mem.recorded-holders/1': recordedHoldersSchema,
  'skcheck/1': skcheckSchema,
  'kdump-mem.whatis/1': whatisSchema,
} as const;
