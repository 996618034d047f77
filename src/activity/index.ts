// Activity, summed up for people: exchanges by minute, agent and provider; which agents use which version of a key; what needs attention.
// Must never slow down a request, or hold anything of it but the fields of its record.
export { createRecorder, type Recorder } from "./recorder.ts";
export { createRetention, type Retention } from "./retention.ts";
export { createCallViews, type CallViews, type ContextUse } from "./call-views.ts";
export {
  createActivityViews,
  type ActivityRow,
  type ActivityViews,
  type AgentUse,
  type VersionUse,
} from "./views.ts";
export type { KeyRefusals } from "./key-refusals.ts";
export { rotationDueAt, type WorkspaceRules } from "./workspace-rules.ts";
