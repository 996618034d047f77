// The queries of all pages, by resource: one hook each. A list is loaded page by page and shown as one.
import {
  keepPreviousData,
  useInfiniteQuery,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import type { AnswerOf, Overview, RequestOf, RequestParts, Route } from "../contract/client.ts";
import { usePresence } from "./presence.ts";
import { useCall } from "./session.tsx";

const REFRESH_MS = 30_000;
/** The interval while a user waits for the first call. */
const FIRST_STEPS_MS = 2_000;
/** The largest page of the API. */
const MOST_ROWS = 200;

/** The reload interval in ms; none while the user is away. */
function useRefreshInterval(): number | false {
  return usePresence() ? REFRESH_MS : false;
}

export interface Rows<T> {
  readonly rows: readonly T[];
  /** The number of all rows. Null if they are not counted. */
  readonly total: number | null;
  readonly loading: boolean;
  readonly error: Error | null;
  readonly retry: () => void;
  /** Loads the next page. Undefined if there is none. */
  readonly more: (() => void) | undefined;
  readonly loadingMore: boolean;
}

/** A list that is there already. */
export const listOf = <T>(rows: readonly T[]): Rows<T> => ({
  ...{ rows, total: null, loading: false, error: null, more: undefined, loadingMore: false },
  retry: () => undefined,
});

interface ListOptions<R extends Route> {
  readonly params?: RequestOf<R>["params"];
  readonly query?: RequestOf<R>["query"];
  readonly enabled?: boolean;
  readonly refresh?: boolean;
  /** Loads the whole list at once, for statements about all rows. */
  readonly whole?: boolean;
  /** During a search, keep showing the previous results. */
  readonly search?: boolean;
}

/** The paging fields of a list's answer; none if the list comes in one page. */
interface PageEnd {
  readonly nextCursor?: string | null;
  readonly total?: number | null;
}

type CallPage = <R extends Route>(
  route: R,
  request: RequestParts & { readonly signal: AbortSignal },
) => Promise<AnswerOf<R> & PageEnd>;

function useRows<R extends Route, T>(
  key: string,
  route: R,
  rowsOf: (page: AnswerOf<R>) => readonly T[],
  o: ListOptions<R> = {},
): Rows<T> & { readonly first: AnswerOf<R> | undefined } {
  const call = useCall() as CallPage;
  const interval = useRefreshInterval();
  const { params, query: asked = {}, whole = false } = o;
  const query = useInfiniteQuery({
    queryKey: [key, route, params, asked, whole],
    enabled: o.enabled ?? true,
    initialPageParam: "",
    queryFn: async ({ pageParam, signal }) => {
      const items: T[] = [];
      let total: number | null = null;
      for (let cursor = pageParam; ;) {
        const page = await call(route, {
          params,
          query: {
            ...asked,
            ...(whole && { limit: MOST_ROWS }),
            ...(cursor !== "" && { cursor }),
          },
          signal,
        });
        items.push(...rowsOf(page));
        total ??= page.total ?? null;
        const next = page.nextCursor ?? null;
        // Continue a search that has found nothing yet.
        const enough = !whole && items.length > 0;
        if (enough || next === null) return { page, items, total, next };
        cursor = next;
      }
    },
    getNextPageParam: ({ next }) => next,
    refetchInterval: o.refresh === true ? interval : false,
    ...(o.search === true && { placeholderData: keepPreviousData }),
  });
  return {
    first: query.data?.pages[0]?.page,
    rows: query.data?.pages.flatMap((page) => page.items) ?? [],
    total: query.data?.pages[0]?.total ?? null,
    loading: query.isPending,
    error: query.error,
    retry: () => void query.refetch(),
    more: query.hasNextPage ? () => void query.fetchNextPage() : undefined,
    loadingMore: query.isFetchingNextPage,
  };
}

/** `query`: a text in the name or similar fields. Empty: all. */
const searchFor = (query: string) => ({ query: query === "" ? {} : { query }, search: true });

export const useSecrets = (query = "") =>
  useRows("secrets", "GET /secrets", ({ secrets }) => secrets, {
    refresh: true,
    ...searchFor(query),
  });
/** The key of a provider in an environment, as a list of one or none. Without a provider: none. */
export const useSecretsAt = (provider: string, environment: string) =>
  useRows("secrets", "GET /secrets", ({ secrets }) => secrets, {
    query: { provider, environment },
    enabled: provider !== "",
  });
export const useAgents = (query = "") =>
  useRows("agents", "GET /agents", ({ agents }) => agents, { refresh: true, ...searchFor(query) });

/** Rows for which every condition in `which` holds. */
interface AgentFilter {
  readonly environment?: string;
  readonly mayUse?: string;
  readonly used?: string;
}

/** All rows, over all pages. */
export const useAllAgents = (which: AgentFilter = {}, enabled = true) =>
  useRows("agents", "GET /agents", ({ agents }) => agents, {
    query: { ...which },
    whole: true,
    enabled,
  });
/** Only the first row, and the number of all. */
export const useAgentCount = () =>
  useRows("agents", "GET /agents", ({ agents }) => agents, { query: { limit: 1 } });
export const useProviders = () =>
  useRows("providers", "GET /providers", ({ providers }) => providers);
export const useRegistrations = (agent: string) =>
  useRows("agents", "GET /agents/:name/registrations", ({ registrations }) => registrations, {
    params: { name: agent },
    refresh: true,
  });
export const useScopeTemplates = () =>
  useRows("scope-templates", "GET /scope-templates", ({ templates }) => templates);
export const useUsers = () => useRows("users", "GET /users", ({ users }) => users);
export const useInvitations = () =>
  useRows("invitations", "GET /invitations", ({ invitations }) => invitations);
export const useApiKeys = () => useRows("api-keys", "GET /api-keys", ({ apiKeys }) => apiKeys);
export const useWorkspaces = () =>
  useRows("workspaces", "GET /workspaces", ({ workspaces }) => workspaces);
export const useEnvironments = () =>
  useRows("environments", "GET /environments", ({ environments }) => environments);
export const useSessions = () =>
  useRows("sessions", "GET /me/sessions", ({ sessions }) => sessions);
export const useVersions = (id: string) =>
  useRows("secrets", "GET /secrets/:id/versions", ({ versions }) => versions, { params: { id } });
export const useUse = (id: string) =>
  useRows("secrets", "GET /secrets/:id/use", ({ use }) => use, {
    params: { id },
    refresh: true,
    whole: true,
  });
export const useActivity = (query: Readonly<Record<string, string>>) =>
  useRows("activity", "GET /activity", ({ activity }) => activity, { query, refresh: true });
export const useAudit = (query: Readonly<Record<string, string>>) =>
  useRows("audit", "GET /audit", ({ events }) => events, { query });

export const useContexts = (query: Readonly<Record<string, string>>) =>
  useRows("contexts", "GET /contexts", ({ contexts }) => contexts, { query });

export function useOverview(hours: 24 | 168) {
  const call = useCall();
  const interval = useRefreshInterval();
  return useQuery({
    queryKey: ["overview", hours],
    queryFn: async ({ signal }) =>
      (await call("GET /overview", { query: { hours }, signal })).overview,
    refetchInterval: ({ state: { data } }) =>
      interval !== false && data !== undefined && areOpen(data.firstSteps)
        ? FIRST_STEPS_MS
        : interval,
    placeholderData: (before) => before,
  });
}

export function useSecret(id: string) {
  const call = useCall();
  const refetchInterval = useRefreshInterval();
  return useQuery({
    queryKey: ["secrets", id],
    queryFn: async ({ signal }) =>
      (await call("GET /secrets/:id", { params: { id }, signal })).secret,
    refetchInterval,
  });
}

/** Whether some of the first steps are not done. */
export function areOpen(steps: Overview["firstSteps"]): boolean {
  return steps !== null && !(steps.key && steps.agent && steps.call);
}

export function useAgent(name: string) {
  const call = useCall();
  const refetchInterval = useRefreshInterval();
  return useQuery({
    queryKey: ["agents", name],
    queryFn: async ({ signal }) =>
      (await call("GET /agents/:name", { params: { name }, signal })).agent,
    refetchInterval,
  });
}

export function useWorkspace(enabled = true) {
  const call = useCall();
  const refetchInterval = useRefreshInterval();
  return useQuery({
    queryKey: ["workspace"],
    enabled,
    queryFn: async ({ signal }) => (await call("GET /workspace", { signal })).workspace,
    refetchInterval,
  });
}

/** What new agents get. Its query key is below the workspace's, so both are reloaded together. */
export function useNewAgents() {
  const call = useCall();
  return useQuery({
    queryKey: ["workspace", "new-agents"],
    queryFn: async ({ signal }) => (await call("GET /workspace/new-agents", { signal })).newAgents,
  });
}

/** The resources that a change makes outdated. */
export type Resource =
  | "secrets"
  | "agents"
  | "providers"
  | "users"
  | "invitations"
  | "api-keys"
  | "sessions"
  | "workspace"
  | "workspaces"
  | "environments"
  | "audit";

/** Reloads the changed resources, and the overview, which counts them. */
export function useRefresh(): (...changed: Resource[]) => Promise<void> {
  const client = useQueryClient();
  return async (...changed) => {
    await Promise.all(
      [...changed, "overview"].map((key) => client.invalidateQueries({ queryKey: [key] })),
    );
  };
}
