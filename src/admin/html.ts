// HTML from template literals. Values are escaped, unless they are HTML that was made here.

export const HTML_TYPE = "text/html; charset=utf-8";

export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Part = string | number | undefined | Html | readonly Html[];

/** A tag for template literals; undefined becomes nothing. Put values only into text and into attribute values in double quotes. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(
    strings.map((text, at) => text + (at < parts.length ? render(parts[at]) : "")).join(""),
  );
}

/** A text as HTML; words between backticks become `code`. */
export function prose(text: string): Html[] {
  return text
    .split("`")
    .map((part, at) => (at % 2 === 1 ? html`<code>${part}</code>` : html`${part}`));
}

function render(part: Part): string {
  if (part === undefined) return "";
  if (part instanceof Html) return part.text;
  if (typeof part === "object") return part.map(({ text }) => text).join("");
  return String(part).replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0) ?? 0};`);
}
