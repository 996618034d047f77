// The dashboard's composition root: the API's client, the query cache, the pages.
import { CSPProvider } from "@base-ui/react/csp-provider";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createBrowserRouter, RouterProvider } from "react-router";
import type { AnswerShapes } from "./answer-shapes.ts";
import { ApiProblem, createCall, createDownload } from "./api.ts";
import { App } from "./app.tsx";
import { BrokenPage } from "./parts/failure.tsx";
import { ToastProvider } from "./parts/toasts.tsx";
import { createProofDesk, ProofDialog } from "./proof.tsx";
import { browserSecret } from "./session-secret.ts";
import { ApiProvider, refreshMe, rememberMe } from "./session.tsx";
import "./theme.ts";
import "./style/tokens.css";
import "./style/base.css";
import "./style/controls.css";
import "./style/layout.css";
import "./style/tables.css";
import "./style/dialogs.css";
import "./style/pages.css";

/** The build replaces this name by the shapes. */
declare const ANSWER_SHAPES: AnswerShapes;

const MAX_TRIES = 2;
const FINAL: ReadonlySet<string> = new Set(["unexpected_answer", "offline"]);

/** Retry only failures that may pass: no answer, or a service that is busy or away. While offline, the browser says when it is over. */
function tryAgain(failures: number, error: Error): boolean {
  const passing = error instanceof ApiProblem && (error.status === 0 || error.status === 503);
  return passing && !FINAL.has(error.code) && failures < MAX_TRIES;
}

const client = new QueryClient({
  defaultOptions: {
    // Also when offline: then it fails and says so. A paused query would wait silently.
    queries: {
      ...{ retry: tryAgain, staleTime: 5000, gcTime: 300_000 },
      ...{ networkMode: "always", refetchOnReconnect: true },
    },
    // Forget results at once: a value, token or link that is shown once must not outlive its form.
    mutations: { gcTime: 0, networkMode: "always" },
  },
});
const desk = createProofDesk();
const events = {
  signedOut: () => rememberMe(client, null),
  secondFactorRequired: () => refreshMe(client),
  prove: () => desk.ask(),
};
const call = createCall(events, browserSecret, ANSWER_SHAPES);
const download = createDownload(events, browserSecret);
// Another tab may have signed in or out meanwhile.
addEventListener("storage", () => refreshMe(client));

const router = createBrowserRouter([{ path: "*", element: <App />, errorElement: <BrokenPage /> }]);

const place = document.querySelector("#app");
if (place === null) throw new Error("the page has no place for the app");

createRoot(place).render(
  <StrictMode>
    <CSPProvider disableStyleElements>
      <QueryClientProvider client={client}>
        <ApiProvider call={call} download={download}>
          <ToastProvider>
            <RouterProvider router={router} />
            <ProofDialog desk={desk} />
          </ToastProvider>
        </ApiProvider>
      </QueryClientProvider>
    </CSPProvider>
  </StrictMode>,
);
