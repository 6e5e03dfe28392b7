// Short news at the edge of the page: what was done, with a way back, or what failed and why.
import { CircleCheck, OctagonAlert, X } from "lucide-react";
import { useEffect, useSyncExternalStore } from "react";
import { advice, asApiError } from "@/api/problem";

export interface Toast {
  id: number;
  tone: "good" | "bad";
  text: string;
  more?: string;
  action?: { label: string; run: () => void };
}

const SHOWN_MS = 7_000;
const MOST = 3;

let toasts: readonly Toast[] = [];
let next = 1;
const watchers = new Set<() => void>();

function set(value: readonly Toast[]) {
  toasts = value;
  for (const watcher of watchers) watcher();
}

export function dismiss(id: number) {
  set(toasts.filter((toast) => toast.id !== id));
}

export function toast(text: string, options: Partial<Omit<Toast, "id" | "text">> = {}): number {
  const id = next++;
  set([...toasts, { id, text, tone: "good" as const, ...options }].slice(-MOST));
  return id;
}

/** Tells of a failure in full: what happened, what is safe, what to do. */
export function toastError(what: string, error: unknown, action?: Toast["action"]) {
  const told = asApiError(error);
  const { happened, safe, next: then } = advice(told);
  const request = told.problem.request_id ? ` Request ${told.problem.request_id}.` : "";
  toast(what, { tone: "bad", more: `${happened} ${safe} ${then}${request}`, action });
}

function ToastBox({ toast: shown }: { toast: Toast }) {
  useEffect(() => {
    // A failure stays until it was read.
    if (shown.tone === "bad") return;
    const timer = setTimeout(() => dismiss(shown.id), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [shown]);
  const Icon = shown.tone === "bad" ? OctagonAlert : CircleCheck;
  return (
    <div className={`toast ${shown.tone}`}>
      <Icon aria-hidden />
      <div className="text grow">
        <div>{shown.text}</div>
        {shown.more && <div className="muted">{shown.more}</div>}
      </div>
      {shown.action && (
        <button
          type="button"
          className="button small"
          onClick={() => {
            dismiss(shown.id);
            shown.action?.run();
          }}
        >
          {shown.action.label}
        </button>
      )}
      <button type="button" className="button small quiet icon" aria-label="Dismiss" onClick={() => dismiss(shown.id)}>
        <X />
      </button>
    </div>
  );
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => void watchers.delete(watcher);
    },
    () => toasts,
  );
  return (
    <section className="toasts" aria-live="polite" aria-label="Notifications">
      {shown.map((item) => (
        <ToastBox key={item.id} toast={item} />
      ))}
    </section>
  );
}
