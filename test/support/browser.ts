// Chromium for the tests of the dashboard: Debian's, installed where that can be done. Every page is watched: whatever
// the Content-Security-Policy blocks, and every error of a script, is collected.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";

// The headless shell first: it is the same engine without a browser around it, at a third of the processor's time.
const PLACES = [
  "/usr/bin/chromium-headless-shell",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
const COMMAND = "sudo apt-get install -y chromium-headless-shell";
const INSTALL =
  "apt-get -qq update; for it in chromium-headless-shell chromium; do apt-get -qq install -y --no-install-recommends $it && break; done";
const WAIT_MS = 15_000;

const AXE = readFileSync(
  fileURLToPath(new URL("../../node_modules/axe-core/axe.min.js", import.meta.url)),
  "utf8",
);

export interface PageOptions {
  readonly width?: number;
  readonly colorScheme?: "light" | "dark";
  /** Where the person sits, as in "Europe/Berlin". */
  readonly zone?: string;
}

export interface WatchedPage {
  readonly page: Page;
  /** What the policy blocked, and what scripts threw. */
  readonly complaints: string[];
  /** Fails when axe finds anything on the page as it is; by default by all of its rules. */
  readonly assertAccessible: (rules?: readonly string[]) => Promise<void>;
  /** Fails when the page scrolls sideways. */
  readonly assertFits: () => Promise<void>;
  /** How much has moved by itself since the page was loaded (https://web.dev/articles/cls, without its windows). */
  readonly layoutShift: () => Promise<number>;
  /** Another page of the same person: with the same cookies, and complaints of its own. */
  readonly openTab: (url: string) => Promise<WatchedPage>;
}

const UNUSED_MS = 1000;

let shared: Promise<Browser> | undefined;
let users = 0;
let closing: NodeJS.Timeout | undefined;

/** The browser of all tests of this process. It closes itself once no test has used it for a second. */
function share(t: TestContext): Promise<Browser> {
  clearTimeout(closing);
  users++;
  t.after(() => {
    if (--users > 0) return;
    closing = setTimeout(() => {
      void shared?.then((browser) => browser.close());
      shared = undefined;
    }, UNUSED_MS);
  });
  return (shared ??= launch());
}

/**
 * A browser, the same for all tests; each page has cookies of its own, and is gone when the test ends. `localName`: a host name
 * that leads it to this machine, in a browser of its own; so is one with `scrollbars`, which Chromium hides from tests.
 */
export async function openBrowser(
  t: TestContext,
  { localName, scrollbars = false }: { localName?: string; scrollbars?: boolean } = {},
): Promise<{
  open(url: string, options?: PageOptions): Promise<WatchedPage>;
}> {
  let browser: Browser;
  if (localName === undefined && !scrollbars) {
    browser = await share(t);
  } else {
    const rules = localName && [`--host-resolver-rules=MAP ${localName} 127.0.0.1`];
    browser = await launch(rules || [], scrollbars);
    t.after(() => browser.close());
  }
  return { open: (url, options = {}) => openPage(t, browser, url, options) };
}

function launch(args: readonly string[] = [], scrollbars = false): Promise<Browser> {
  // Chromium's own sandbox needs rights that root in a container does not have.
  const asRoot = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({
    executablePath: findChromium(),
    args: ["--disable-gpu", ...asRoot, ...args],
    ...(scrollbars && { ignoreDefaultArgs: ["--hide-scrollbars"] }),
  });
}

async function openPage(
  t: TestContext,
  browser: Browser,
  url: string,
  { width = 1280, colorScheme = "light", zone }: PageOptions,
): Promise<WatchedPage> {
  const context = await browser.newContext({
    viewport: { width, height: 800 },
    colorScheme,
    reducedMotion: "reduce",
    ...(zone !== undefined && { timezoneId: zone }),
    permissions: ["clipboard-read", "clipboard-write"],
  });
  t.after(() => context.close());
  return openTab(context, url);
}

async function openTab(context: BrowserContext, url: string): Promise<WatchedPage> {
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    // Chromium reports a blocked script or style here; refusals of the API, too, which are answers like others.
    const text = message.text();
    if (message.type() === "error" && !text.startsWith("Failed to load resource")) {
      complaints.push(text);
    }
  });
  await page.goto(url);
  return {
    ...{ page, complaints },
    assertAccessible: (rules) => assertAccessible(page, rules),
    assertFits: () => assertFits(page),
    layoutShift: () => page.evaluate<number>(LAYOUT_SHIFT),
    openTab: (other) => openTab(context, other),
  };
}

const LAYOUT_SHIFT = `new Promise((resolve) => {
  let sum = 0;
  const add = (entries) => {
    for (const { hadRecentInput, value } of entries) if (!hadRecentInput) sum += value;
  };
  const observer = new PerformanceObserver((list) => add(list.getEntries()));
  observer.observe({ type: "layout-shift", buffered: true });
  // What was painted last is reported with the frame after it.
  requestAnimationFrame(() => requestAnimationFrame(() => {
    add(observer.takeRecords());
    observer.disconnect();
    resolve(sum);
  }));
})`;

async function assertFits(page: Page): Promise<void> {
  const outside = await page.evaluate<string[]>(OUTSIDE);
  assert.deepEqual(outside, [], `${page.url()} scrolls sideways`);
}

// What sticks out, where the page as a whole can be scrolled to it.
const OUTSIDE = `document.scrollingElement.scrollWidth <= document.scrollingElement.clientWidth ? [] :
  [...document.querySelectorAll("body *")]
    .filter((each) => each.getBoundingClientRect().right > document.scrollingElement.clientWidth)
    .map((each) => each.outerHTML.slice(0, 120))`;

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly help: string;
    readonly nodes: readonly {
      readonly target: readonly string[];
      readonly failureSummary?: string;
    }[];
  }[];
}

async function assertAccessible(page: Page, rules?: readonly string[]): Promise<void> {
  // By the debugger's door, to which the page's policy does not apply.
  if (!(await page.evaluate<boolean>("'axe' in window"))) await page.evaluate(AXE);
  // Of what is right it need not say where.
  const options = { resultTypes: ["violations"], ...(rules !== undefined && { runOnly: rules }) };
  const { violations } = await page.evaluate<AxeResult>(`axe.run(${JSON.stringify(options)})`);
  const found = violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${node.target.join(" ")}: ${node.failureSummary ?? ""}`),
  );
  assert.deepEqual(found, [], `on ${page.url()}`);
}

function findChromium(): string {
  const found = PLACES.find((place) => existsSync(place));
  if (found !== undefined) return found;
  if (existsSync("/etc/debian_version") && process.getuid?.() === 0) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    // One after the other: two test files may find it missing at once.
    execFileSync("flock", ["/tmp/x3sproxy-chromium.lock", "sh", "-c", INSTALL], {
      env,
      stdio: ["ignore", "ignore", "inherit"],
    });
    const installed = PLACES.find((place) => existsSync(place));
    if (installed !== undefined) return installed;
  }
  throw new Error(`The dashboard's tests need Chromium. Install it: ${COMMAND}`);
}
