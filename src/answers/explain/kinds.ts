import type { FrameNote, MemoryAnswer } from '../../account/memory/answer.js';
import type { UnnamedCharges } from '../../account/memory/cgroups.js';
import type { UnnamedFiles } from '../../account/memory/files.js';
import type { SiteSourceName } from '../../account/memory/sites.js';
import type { OutsideCode } from '../../account/outside-queues/row.js';
import type {
  HostErrorCode,
  KernelErrorCode,
  ReadErrorCode,
  StoreErrorCode,
  TraceErrorCode,
  WalkErrorCode,
} from '../../base/errors.js';
import type { CaptureFault } from '../../capture/read/manifest.js';
import type { Condition } from '../../capture/write/when/trigger.js';
import type { OwnerState } from '../../contracts/blocked.js';
import type { Course } from '../../contracts/growth.js';
import type { TypesVerified } from '../../contracts/info.js';
import type { Corruption } from '../../contracts/log-reports.js';
import type { AllocationStacks } from '../../contracts/stacks.js';
import type { UnreachableGroup } from '../../contracts/unreachable.js';
import type { WatchDoubtCode, WatchJson } from '../../contracts/watch.js';
import type { Status } from '../../diff/lists.js';
import type { Measure, Note } from '../../diff/state.js';
import type { CheckCode, CheckState } from '../../doctor/checks.js';
import type { MethodRefusal } from '../../leaks/readings/methods.js';
import type { StacksWarning } from '../../profile/faults/counts.js';
import type { CategoryName } from '../../records/categories.js';
import type { LeftOutReason } from '../../records/files.js';
import type { LeakNoteCode, LeakReason, LeakVerdict, LookupSource, Place, Unplaced } from '../../records/leak-codes.js';
import type { NamedKind } from '../../records/named-memory.js';
import type { QueueName } from '../../records/queues.js';
import type { FailureCode, LeftOut } from '../../records/snapshot-parts.js';
import type { STACK_STOP_CODES } from '../../records/stacks.js';
import type {
  CauseRelation,
  Confidence,
  HostCheckName,
  RuleDoubt,
  SearchErrorCode,
  Severity,
} from '../../records/triage-codes.js';
import type { WaitCause, WaitKind } from '../../records/waits.js';
import type { VerdictCode } from '../../skcheck/verdict.js';
import type { WorkerFailureCode } from '../../triage/batch/worker.js';
import type { FindingCode } from '../../triage/findings/all.js';
import type { WarningCode } from '../../walk/warnings.js';
import type { SkcheckReason } from '../skcheck/reasons.js';
import type { SkcheckWarning } from '../skcheck/schema.js';

/**
 * The codes of each kind, in the order of `kdump-mem explain`; two kinds can have the same code. src/codes has a section
 * for each kind, with the explanations of its codes.
 */
export interface CodesOf {
  finding: FindingCode;
  corruption: Corruption;
  'host-check': HostCheckName;
  warning: WarningCode;
  category: CategoryName;
  'named-memory': NamedKind;
  'slab-cache': string;
  row: OutsideCode;
  queue: QueueName;
  verdict: VerdictCode | 'fd-leak';
  'skcheck-reason': SkcheckReason['code'];
  'skcheck-warning': SkcheckWarning['code'];
  'diff-note': Note['code'];
  'snapshot-error': FailureCode;
  'capture-fault': CaptureFault['code'];
  'stack-stop': (typeof STACK_STOP_CODES)[number];
  wait: WaitKind;
  'wait-cause': WaitCause['kind'];
  'unreachable-reason': NonNullable<UnreachableGroup['reason']>;
  'owner-state': OwnerState;
  'rule-doubt': RuleDoubt;
  'open-error': KernelErrorCode;
  'read-error': ReadErrorCode;
  'not-there': WalkErrorCode;
  'types-verified': TypesVerified;
  'worker-failure': WorkerFailureCode;
  'search-error': SearchErrorCode;
  'host-error': HostErrorCode;
  'store-error': StoreErrorCode;
  'watch-doubt': WatchDoubtCode;
  'leak-reason': LeakReason;
  'leak-note': LeakNoteCode;
  'leak-verdict': LeakVerdict;
  'leak-place': Place;
  'leak-unplaced': Unplaced;
  'leak-method-refusal': MethodRefusal;
  'watch-verdict': WatchJson['verdict'];
  course: Course;
  'loss-explanation': 'categories' | 'processes' | 'nothing';
  'diff-status': Status;
  'diff-measure': Measure;
  'frame-note': FrameNote['note'];
  unnamed: UnnamedCharges['reason'] | UnnamedFiles['reason'];
  'file-left-out': LeftOutReason;
  source: MemoryAnswer['source'] | LookupSource | SiteSourceName | 'proc';
  cause: CauseRelation;
  confidence: Confidence;
  severity: Severity | 'silent';
  certainty: 'proved' | 'likely';
  'panic-state': 'panicked' | 'running' | 'unknown';
  'stacks-warning': StacksWarning['code'];
  ending: AllocationStacks['ended'] | 'signal' | 'stored';
  'snapshot-condition': Condition['kind'];
  'snapshot-left-out': LeftOut;
  'doctor-check': CheckCode;
  'doctor-state': CheckState;
  'trace-error': TraceErrorCode;
}
