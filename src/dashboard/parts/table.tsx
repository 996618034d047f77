// Tables: rows on wide screens, cards on narrow ones, with their loading, empty and error states. The roles are written
// out, since a browser forgets them when a table is laid out as something else.
import type { ReactNode } from "react";
import type { Rows } from "../queries.ts";
import { Button } from "./button.tsx";
import { number } from "../time.ts";
import { ErrorNote, ErrorState, Skeleton } from "./states.tsx";

export interface Column<T> {
  readonly title: string;
  readonly cell: (row: T) => ReactNode;
  /** `main` heads the card, `wide` takes its whole width, `number` is set right, `actions` has no visible heading. */
  readonly kind?: "main" | "wide" | "number" | "actions" | undefined;
}

interface DataTableProps<T> {
  /** What the table lists: its accessible name. */
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly list: Rows<T>;
  readonly rowKey: (row: T) => string;
  /** Shown in place of an empty table. */
  readonly empty: ReactNode;
  readonly loadingRows?: number;
  readonly dense?: boolean;
}

export function DataTable<T>(props: DataTableProps<T>) {
  const { label, columns, list, rowKey, empty, loadingRows = 4, dense = false } = props;
  if (list.error !== null && list.rows.length === 0) {
    return (
      <div className="card">
        <ErrorState error={list.error} retry={list.retry} />
      </div>
    );
  }
  if (!list.loading && list.rows.length === 0) return <div className="card">{empty}</div>;
  return (
    <div className="card table-card" aria-busy={list.loading || undefined}>
      <table role="table" className={dense ? "table dense" : "table"} aria-label={label}>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map(({ title, kind = "" }) => (
              <th key={title} role="columnheader" scope="col" className={kind}>
                {kind === "actions" ? <span className="unseen">{title}</span> : title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup" key={list.loading ? "loading" : "loaded"}>
          {list.loading
            ? Array.from({ length: loadingRows }, (_, index) => (
                <LoadingRow key={index} columns={columns} />
              ))
            : list.rows.map((row) => (
                <tr key={rowKey(row)} role="row">
                  {columns.map(({ title, kind = "", cell }) => (
                    <td key={title} role="cell" className={kind} data-title={title}>
                      {cell(row)}
                    </td>
                  ))}
                </tr>
              ))}
        </tbody>
      </table>
      <TableEnd list={list} />
    </div>
  );
}

/** Up to this many rows are not counted below the table. */
const FEW = 10;

/** The footer of a list: how many rows of how many, a button for more, and an error if it could not be reloaded. */
function TableEnd<T>({ list }: { list: Rows<T> }) {
  const { rows, total, more } = list;
  const counted = total !== null && total > FEW;
  if (!counted && more === undefined && list.error === null) return null;
  return (
    <div className="table-end">
      {list.error !== null && <ErrorNote error={list.error} retry={list.retry} />}
      {counted && (
        <p className="muted">
          {rows.length < total ? `${number(rows.length)} of ${number(total)}` : number(total)}
        </p>
      )}
      {more !== undefined && (
        <Button onClick={more} busy={list.loadingMore}>
          Show more
        </Button>
      )}
    </div>
  );
}

function LoadingRow<T>({ columns }: { columns: readonly Column<T>[] }) {
  return (
    <tr role="row" className="loading">
      {columns.map(({ title, kind = "" }) => (
        <td key={title} role="cell" className={kind} data-title={title}>
          <Skeleton width={kind === "number" ? "3rem" : "70%"} />
        </td>
      ))}
    </tr>
  );
}
