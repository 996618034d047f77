// Finds where a call names its model. The places stand in the provider rows; here is only how they are compared. Never looks into
// a body.
import type { ModelFacts, ModelPlace } from "./definition.ts";
import { custom } from "./custom-models.ts";
import { compileMembers, foldName, type Member } from "./model-members.ts";

export interface FoundPlace {
  readonly at: ModelPlace["at"];
  readonly name: string;
  /** Of a place in the path: the model, decoded. */
  readonly inPath: string | undefined;
  /** Where a body names it, and what else there names models or makes it unclear; the same of each message of a WebSocket. */
  readonly body: Member;
  /** Whether a body without the place is unclear. */
  readonly isRequired: boolean;
  /** Whether the messages of a WebSocket have to be read. */
  readonly hasMessages: boolean;
  /** Parameters of the query, folded, that make it unclear. */
  readonly rivals: ReadonlySet<string>;
  readonly bodyPrefix: string;
  readonly takesUntyped: boolean;
  readonly rivalHeaders: readonly string[];
  readonly indirect: RegExp | undefined;
  readonly modelTools: RegExp | undefined;
}

export interface ModelCall {
  readonly provider: string;
  /** `WEBSOCKET` for a handshake. */
  readonly method: string;
  /** Raw, as it goes upstream; it has a canonical form. */
  readonly path: string;
  /** That form. */
  readonly canonicalPath: string;
}

/** The place; undefined: none is known; "unclear": servers might find one in other letters than we do. */
export type FindModelPlace = (call: ModelCall) => FoundPlace | "unclear" | undefined;

interface Known {
  readonly method: ModelPlace["method"];
  readonly path: RegExp;
  readonly found: FoundPlace;
}

interface Places {
  readonly inOrder: readonly Known[];
  /** By method and path, of those whose path is nothing but itself: what nearly all calls go to. */
  readonly plain: ReadonlyMap<string, FoundPlace>;
}

// A slash within a segment (of an ARN, say), as canonical paths have it.
const INNER_SLASH = "%2f";

const CUSTOM = compile(custom);

/** Behind one of these, a segment of a custom provider's path names what answers, whatever the body says. */
const NAMING: ReadonlySet<string> = new Set(
  (
    "agent agents assistant assistants deployment deployments endpoint endpoints engine engines model models pipeline pipelines " +
    "publishers run serving-endpoints tunedmodels workflow workflows"
  ).split(" "),
);
/** What stands there in Azure's model inference API, and names none. */
const NO_NAMES: ReadonlySet<string> = new Set(["chat", "embeddings", "images"]);

/** Compiles the rows' places into one look-up. A provider that is no row's is a custom one. */
export function createModelPlaces(
  providers: Iterable<{ readonly name: string; readonly models: ModelFacts }>,
): FindModelPlace {
  const known = new Map<string, Places>();
  for (const { name, models } of providers) known.set(name, compile(models));
  return ({ provider, method, path, canonicalPath }) => {
    const rows = known.get(provider);
    const places = rows ?? CUSTOM;
    const plain = path === canonicalPath ? places.plain.get(`${method} ${path}`) : undefined;
    if (plain !== undefined) return plain;
    const segments = path
      .split("/")
      .filter((segment) => segment !== "")
      .map((segment) => decodeURIComponent(segment).replaceAll("/", INNER_SLASH));
    const text = `/${segments.join("/")}`;
    // In what way ever the canonical form differs, but for capitals: a server might find another name than we do.
    if (text.toLowerCase() !== canonicalPath) return "unclear";
    const found = findIn(places.inOrder, method, text);
    if (rows === undefined) {
      // Who knows what a custom provider makes of a slash within a name.
      if (text.includes(INNER_SLASH)) return "unclear";
      return found && besidePath(found, segments);
    }
    if (!text.includes(INNER_SLASH)) return found;
    const split = findIn(places.inOrder, method, text.replaceAll(INNER_SLASH, "/"));
    return split === undefined || split.inPath === found?.inPath ? found : "unclear";
  };
}

/** What a custom provider's path names has to be allowed beside what the body names: which of them counts isn't known. */
function besidePath(found: FoundPlace, segments: readonly string[]): FoundPlace | "unclear" {
  const named = segments.filter(
    (segment, i) => NAMING.has((segments[i - 1] ?? "").toLowerCase()) && !NO_NAMES.has(segment),
  );
  if (named.length > 1) return "unclear";
  // Google's verbs stand behind a colon.
  const [name] = named;
  return name === undefined ? found : { ...found, inPath: name.replace(/:[a-z]+$/i, "") };
}

function findIn(places: readonly Known[], method: string, path: string): FoundPlace | undefined {
  for (const place of places) {
    if (place.method !== "*" && place.method !== method) continue;
    const match = place.path.exec(path);
    if (match === null) continue;
    const inPath = match[1]?.replaceAll(INNER_SLASH, "/");
    return inPath === undefined ? place.found : { ...place.found, inPath };
  }
  return undefined;
}

function compile(facts: ModelFacts): Places {
  const inOrder: Known[] = [];
  const plain = new Map<string, FoundPlace>();
  for (const place of facts.places) {
    const { method, paths, at, name } = place;
    const body = bodyOf(facts, place);
    const found: FoundPlace = {
      at,
      name,
      inPath: undefined,
      body,
      isRequired: namesModel(at),
      hasMessages: method === "WEBSOCKET" && place.also !== undefined,
      rivals: new Set([...body.members.keys()].filter((it) => it !== foldName(name))),
      bodyPrefix: place.bodyPrefix ?? "",
      takesUntyped: place.takesUntyped ?? false,
      rivalHeaders: facts.rivalHeaders ?? [],
      indirect: facts.indirect,
      modelTools: facts.modelTools,
    };
    for (const path of paths) {
      inOrder.push({ method, path: expression(path), found });
      const first = findIn(inOrder, method, path);
      if (/^[a-z0-9/_.-]+$/.test(path) && first !== undefined)
        plain.set(`${method} ${path}`, first);
    }
  }
  return { inOrder, plain };
}

function bodyOf(facts: ModelFacts, place: ModelPlace): Member {
  const { at, name, also = [], tools = [], rivals = [] } = place;
  return compileMembers([
    ...(namesModel(at) ? [{ path: name, kind: "only" } as const] : []),
    ...[...also, ...tools.map((tool) => `${tool}.model`)].map(
      (path) => ({ path, kind: "model" }) as const,
    ),
    ...tools.map((tool) => ({ path: `${tool}.type`, kind: "tool" }) as const),
    ...[...facts.rivals, ...rivals].map((path) => ({ path, kind: "rival" }) as const),
  ]);
}

/** Whether the body has the model's place. */
function namesModel(at: ModelPlace["at"]): boolean {
  return at === "json" || at === "form" || at === "json form";
}

function expression(path: string): RegExp {
  const deep = path.endsWith("/**");
  const parts = (deep ? path.slice(0, -3) : path).split(/(\*|\{.*?model(?:\.{3})?\})/);
  const pattern = parts.map((part) => {
    if (part === "*") return "[^/]*";
    if (!part.startsWith("{")) return RegExp.escape(part);
    const prefix = RegExp.escape(part.slice(1, part.indexOf("model")));
    return `(${prefix}${part.endsWith("...}") ? ".+?" : "[^/]+?"})`;
  });
  return new RegExp(`^${pattern.join("")}${deep ? "(?:/.*)?" : ""}$`, "is");
}
