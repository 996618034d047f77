// Finds where a call names its model. The places stand in the provider rows; here is only how they are compared. Never looks into
// a body.
import type { ModelFacts, ModelPlace } from "./definition.ts";
import { foldName } from "./fold-name.ts";
import { json } from "./model-place-forms.ts";

export interface FoundPlace {
  readonly at: ModelPlace["at"];
  readonly name: string;
  /** Of a place in the path: the model, decoded. */
  readonly inPath: string | undefined;
  /** Of the row and of the place, folded. */
  readonly rivals: ReadonlySet<string>;
  readonly rivalHeaders: readonly string[];
  readonly indirect: RegExp | undefined;
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

const CUSTOM = compile({ places: [json(["/**"])], rivals: [] });

/** Compiles the rows' places into one look-up. A provider that is no row's is a custom one. */
export function createModelPlaces(
  providers: Iterable<{ readonly name: string; readonly models: ModelFacts }>,
): FindModelPlace {
  const known = new Map<string, Places>();
  for (const { name, models } of providers) known.set(name, compile(models));
  return ({ provider, method, path, canonicalPath }) => {
    const places = known.get(provider) ?? CUSTOM;
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
    if (!text.includes(INNER_SLASH)) return found;
    const split = findIn(places.inOrder, method, text.replaceAll(INNER_SLASH, "/"));
    return split === undefined || split.inPath === found?.inPath ? found : "unclear";
  };
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
  for (const { method, paths, at, name, rivals = [] } of facts.places) {
    const found: FoundPlace = {
      at,
      name,
      inPath: undefined,
      rivals: new Set([...facts.rivals, ...rivals].map(foldName)),
      rivalHeaders: facts.rivalHeaders ?? [],
      indirect: facts.indirect,
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
