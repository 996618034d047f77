// The signed-in user (the answer of /me) and the API's client, for every page. Pages call the API through this file.
import { useQuery, useQueryClient, type QueryClient } from "@tanstack/react-query";
import { createContext, use, type ReactNode } from "react";
import { Navigate, useLocation } from "react-router";
import type { Me } from "../contract/client.ts";
import { ApiProblem, type Call, type Download } from "./api.ts";
import { PATHS } from "./paths.ts";
import { ErrorState } from "./parts/states.tsx";
import { may, type Permission } from "./roles.ts";

const ME = ["me"] as const;
const CallContext = createContext<Call | undefined>(undefined);
const DownloadContext = createContext<Download | undefined>(undefined);
const MeContext = createContext<Me | undefined>(undefined);

interface ApiProviderProps {
  readonly call: Call;
  readonly download: Download;
  readonly children: ReactNode;
}

export function ApiProvider({ call, download, children }: ApiProviderProps) {
  return (
    <CallContext value={call}>
      <DownloadContext value={download}>{children}</DownloadContext>
    </CallContext>
  );
}

export function useCall(): Call {
  const call = use(CallContext);
  if (call === undefined) throw new Error("used outside of ApiProvider");
  return call;
}

export function useDownload(): Download {
  const download = use(DownloadContext);
  if (download === undefined) throw new Error("used outside of ApiProvider");
  return download;
}

/** The signed-in user. Only for components inside SignedIn. */
export function useMe(): Me {
  const me = use(MeContext);
  if (me === undefined) throw new Error("used outside of SignedIn");
  return me;
}

export function useMay(permission: Permission): boolean {
  return may(useMe(), permission);
}

/** `data` is null if nobody is signed in. */
export function useSession() {
  const call = useCall();
  return useQuery({
    queryKey: ME,
    queryFn: async ({ signal, client }): Promise<Me | null> => {
      try {
        const { me } = await call("GET /me", { signal });
        forgetOthers(client, me); // another tab may have signed in as somebody else
        return me;
      } catch (error) {
        if (error instanceof ApiProblem && error.status === 401) return null;
        throw error;
      }
    },
    staleTime: 60_000,
  });
}

/** Sets the signed-in user, and forgets what was loaded for another one. */
export function rememberMe(client: QueryClient, me: Me | null): void {
  forgetOthers(client, me);
  client.setQueryData(ME, me);
}

function forgetOthers(client: QueryClient, me: Me | null): void {
  const before = client.getQueryData<Me | null>(ME);
  if (before?.id === me?.id) return;
  client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== ME[0] });
}

export function useRememberMe(): (me: Me | null) => void {
  const client = useQueryClient();
  return (me) => rememberMe(client, me);
}

/** Asks again who is signed in: after a refusal, the rights may have changed. */
export const refreshMe = (client: QueryClient): void =>
  void client.invalidateQueries({ queryKey: ME });

/** Shows `children` to a signed-in user. Others go to sign-in, and then back to the requested page. */
export function SignedIn({ enrolling = false, children }: SignedInProps) {
  const { data: me, error, refetch } = useSession();
  const { pathname, search } = useLocation();
  if (me === undefined) {
    return error === null ? null : (
      <main className="entry">
        <h1 className="unseen">x3sproxy</h1>
        <ErrorState error={error} retry={() => void refetch()} />
      </main>
    );
  }
  if (me === null) {
    const to = pathname + search;
    const query = to === PATHS.overview ? "" : `?${new URLSearchParams({ to }).toString()}`;
    return <Navigate to={PATHS.signIn + query} replace />;
  }
  if (me.mustEnrol && !enrolling) return <Navigate to={PATHS.enrolment} replace />;
  return <MeContext value={me}>{children}</MeContext>;
}

interface SignedInProps {
  /** The page for enrolling a second factor, for users who must have one. */
  readonly enrolling?: boolean;
  readonly children: ReactNode;
}
