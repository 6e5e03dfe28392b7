// What is wrong with a file's rows, each with its place.
import { CircleAlert, TriangleAlert } from "lucide-react";
import type { Preview } from "./queries";

export function Problems({ problems }: { problems: Preview["problems"] }) {
  const { items, errors, warnings } = problems;
  if (items.length === 0) return null;
  const more = errors + warnings - items.length;
  return (
    <details className="import-problems" open={errors > 0}>
      <summary>
        {errors} left out, {warnings} {warnings === 1 ? "warning" : "warnings"}
      </summary>
      <ul>
        {items.map((problem, index) => (
          <li key={`${index} ${problem.at}`}>
            {problem.level === "error" ? <CircleAlert aria-label="Left out" /> : <TriangleAlert aria-label="Warning" />}
            <span className="faint">{problem.at}</span> {problem.message}
          </li>
        ))}
        {more > 0 && <li className="faint">and {more.toLocaleString("en")} more</li>}
      </ul>
    </details>
  );
}
