// Failures as people need them: what happened, what is safe, what to do next, and the request id.
import { CloudOff, OctagonAlert } from "lucide-react";
import type { ReactNode } from "react";
import { advice, asApiError } from "@/api/problem";
import { CopyId } from "./parts";

interface ProblemProps {
  error: unknown;
  /** What was being tried, such as "The runs could not be loaded". */
  what?: string;
  onRetry?: () => void;
  children?: ReactNode;
}

/** In the place of, or beside, what could not be done. */
export function ProblemNotice({ error, what, onRetry, children }: ProblemProps) {
  const told = asApiError(error);
  const { happened, safe, next } = advice(told);
  return (
    <div className="notice bad" role="alert">
      {told.code === "unreachable" ? <CloudOff aria-hidden /> : <OctagonAlert aria-hidden />}
      <div className="stack grow">
        <div>
          <strong>{what ?? told.problem.title}.</strong> {happened}
        </div>
        <FieldList error={error} />
        <div>
          {safe} {next}
        </div>
        <div className="bar wrap">
          {onRetry && (
            <button type="button" className="button small" onClick={onRetry}>
              Try again
            </button>
          )}
          {children}
          {told.problem.request_id && (
            <span className="faint">
              Request <CopyId id={told.problem.request_id} />
            </span>
          )}
        </div>
      </div>
    </div>
  );
}

function FieldList({ error }: { error: unknown }) {
  const fields = asApiError(error).problem.errors ?? [];
  if (fields.length < 2) return null;
  return (
    <ul>
      {fields.slice(0, 8).map((field) => (
        <li key={field.pointer + field.code}>
          <code>{field.pointer || "/"}</code> {field.detail}
        </li>
      ))}
    </ul>
  );
}

/** For a whole page. */
export function ProblemPage(props: ProblemProps) {
  return (
    <div className="page-body padded">
      <div style={{ maxWidth: 640, margin: "32px auto" }}>
        <ProblemNotice {...props} />
      </div>
    </div>
  );
}
