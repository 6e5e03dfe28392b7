// Failures as the pages show them: what happened, what is safe, what to do, and the request id.

export interface FieldProblem {
  pointer: string;
  code: string;
  detail: string;
}

/** `application/problem+json` as the server answers it. */
export interface Problem {
  status: number;
  title: string;
  detail: string;
  code: string;
  request_id?: string;
  retry_after?: number;
  errors?: FieldProblem[];
}

export class ApiError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail || problem.title);
    this.name = "ApiError";
    this.problem = problem;
  }

  get code() {
    return this.problem.code;
  }

  get status() {
    return this.problem.status;
  }
}

/** The server was not reached, so nothing is known of the call. */
export function unreachable(): ApiError {
  return new ApiError({
    status: 0,
    code: "unreachable",
    title: "No connection",
    detail: "The server did not answer.",
  });
}

/** Reads a failed response; proxies in between may answer with something other than a problem. */
export async function problemOf(response: Response, body?: unknown): Promise<ApiError> {
  const found = body ?? (await response.json().catch(() => undefined));
  if (isProblem(found)) return new ApiError({ ...found, status: response.status });
  return new ApiError({
    status: response.status,
    code: `http_${response.status}`,
    title: response.statusText || `Status ${response.status}`,
    detail: `The answer had status ${response.status} and no explanation.`,
    request_id: response.headers.get("x-request-id") ?? undefined,
  });
}

function isProblem(value: unknown): value is Problem {
  return typeof value === "object" && value !== null && "code" in value && "detail" in value;
}

export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  // `fetch` rejects with a TypeError when there is no connection.
  if (error instanceof TypeError && /fetch|network|load failed/i.test(error.message)) return unreachable();
  // A chunk of the page did not come: the server is away, or has another version by now.
  if (error instanceof Error && /preload|dynamically imported|importing a module/i.test(error.message)) {
    return new ApiError({
      status: 0,
      code: "page_missing",
      title: "Not loaded",
      detail: "A part of the page did not come.",
    });
  }
  const detail = error instanceof Error ? error.message : String(error);
  return new ApiError({ status: 0, code: "page_fault", title: "This page has a fault", detail });
}

export interface Advice {
  happened: string;
  safe: string;
  next: string;
}

const ADVICE: Record<string, Omit<Advice, "happened">> = {
  unreachable: { safe: "What was saved before is safe.", next: "Check that the server runs, then try again." },
  unauthenticated: { safe: "What you typed stays on this page.", next: "Sign in again." },
  forbidden: { safe: "Nothing was changed.", next: "Ask an owner of the workspace for the permission." },
  csrf_failed: { safe: "Nothing was changed.", next: "Reload the page, then try again." },
  not_found: { safe: "Nothing was changed.", next: "It may have been deleted, or belong to another workspace." },
  rate_limited: { safe: "Nothing was changed.", next: "Wait a moment, then try again." },
  stale_revision: {
    safe: "The other change was kept; yours was not made.",
    next: "Look at it as it is now, then decide again.",
  },
  undo_conflict: {
    safe: "Nothing was undone.",
    next: "Somebody changed the same rows since. Change them back by hand.",
  },
  already_undone: { safe: "Nothing was changed.", next: "It was undone before." },
  invalid: { safe: "Nothing was changed.", next: "Correct what is named, then try again." },
  outcome_unknown: { safe: "It may have been done.", next: "Look whether it was, before you try again." },
  page_missing: {
    safe: "Your data is not touched by it.",
    next: "Check that the server runs, then load the page again; after an update of the server that is needed once.",
  },
  page_fault: { safe: "Your data is not touched by it.", next: "Reload the page. If it comes back, report it." },
};

/** What a person should know about a failure. */
export function advice(error: ApiError): Advice {
  const known = ADVICE[error.code];
  const happened = error.message;
  if (known) return { happened, ...known };
  if (error.status >= 500) return { happened, safe: "What was saved before is safe.", next: "Try again in a moment." };
  return { happened, safe: "Nothing was changed.", next: "Correct it and try again." };
}
