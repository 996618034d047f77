// The reference page's table of a body's or an answer's fields, from their JSON Schema.
import { Html, html, prose } from "./html.ts";
import type { JsonSchema, OpenApiDocument } from "./openapi.ts";

/** The id of the heading of a named object. */
export function objectId(name: string): string {
  return `object-${name}`;
}

export interface Row {
  readonly name: string;
  readonly note?: string;
  readonly required: boolean;
  readonly type: Html;
  readonly text: string;
}

/** One row a field or parameter. */
export function table(rows: readonly Row[]): Html {
  if (rows.length === 0) return html`<p class="muted">Nothing.</p>`;
  return html`<div class="table">
    <table>
      <thead>
        <tr>
          <th scope="col">field</th>
          <th scope="col">type</th>
          <th scope="col">meaning</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ({ name, note, required, type, text }) =>
            html` <tr>
              <td>
                <code>${name}</code
                >${note === undefined ? undefined : html` <span class="muted">${note}</span>`}${required ? undefined : html` <span class="muted">optional</span>`}
              </td>
              <td>${type}</td>
              <td>${prose(text)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** The fields of an object. Those of nested objects have a dot in their name. */
export function fieldsTable(schema: JsonSchema, document: OpenApiDocument): Html {
  return table(rowsOf(schema, document, ""));
}

function rowsOf(schema: JsonSchema, document: OpenApiDocument, prefix: string): Row[] {
  const { properties = {}, required = [] } = schema;
  return Object.entries(properties).flatMap(([name, property]) => {
    const field = property as JsonSchema;
    const { inner, suffix } = innermost(field);
    const text = [field.description, limits(field)].filter(
      (part) => part !== undefined && part !== "",
    );
    const isRequired = required.includes(name) && field.default === undefined;
    return [
      {
        name: prefix + name,
        required: isRequired,
        type: typeOf(field, document),
        text: text.join(" "),
      },
      ...(inner.properties === undefined
        ? []
        : rowsOf(inner, document, `${prefix}${name}${suffix}.`)),
    ];
  });
}

/** Strips arrays and null, to find an object with fields of its own. */
function innermost(schema: JsonSchema): { inner: JsonSchema; suffix: string } {
  const options = (schema.anyOf ?? []).filter((option) => option.type !== "null");
  const [only] = options;
  if (options.length === 1 && only !== undefined) return innermost(only);
  if (schema.type === "array" && schema.items !== undefined && !Array.isArray(schema.items)) {
    const { inner, suffix } = innermost(schema.items as JsonSchema);
    return { inner, suffix: `[]${suffix}` };
  }
  return { inner: schema, suffix: "" };
}

/** A type in words. A named one links to its description. */
export function typeOf(schema: JsonSchema, document: OpenApiDocument): Html {
  const {
    $ref,
    anyOf,
    type,
    enum: values,
    const: only,
    items,
    format,
    additionalProperties,
  } = schema;
  if ($ref !== undefined) {
    const name = $ref.slice($ref.lastIndexOf("/") + 1);
    return html`<a href="#${objectId(name)}">${name}</a>`;
  }
  if (anyOf !== undefined) {
    const options = anyOf.map((option) => typeOf(option, document).text);
    return joined([...new Set(options)]);
  }
  if (only !== undefined) return html`<code>${JSON.stringify(only)}</code>`;
  if (values !== undefined) {
    return values.length > 8
      ? html`string`
      : joined(values.map((value) => html`<code>${String(value)}</code>`.text));
  }
  if (type === "array") return html`list of ${typeOf((items ?? {}) as JsonSchema, document)}`;
  if (type === "object" && typeof additionalProperties === "object") {
    return html`map to ${typeOf(additionalProperties, document)}`;
  }
  if (format === "date-time") return html`time`;
  const types: readonly string[] = Array.isArray(type) ? type : [type ?? "anything"];
  return html`${types.join(" or ")}`;
}

function joined(texts: readonly string[]): Html {
  return new Html(texts.join(" or "));
}

/** The constraints of a schema, beside its type. */
export function limits({
  minimum,
  maximum,
  minLength,
  maxLength,
  default: byDefault,
}: JsonSchema): string {
  const parts: string[] = [];
  if (minimum !== undefined && maximum !== undefined) parts.push(`${minimum} to ${maximum}.`);
  else if (maximum !== undefined) parts.push(`At most ${maximum}.`);
  else if (minimum !== undefined) parts.push(`At least ${minimum}.`);
  if (minLength !== undefined) parts.push(`At least ${minLength} characters.`);
  if (maxLength !== undefined) parts.push(`At most ${maxLength} characters.`);
  if (byDefault !== undefined) parts.push(`By default \`${JSON.stringify(byDefault)}\`.`);
  return parts.join(" ");
}
