import { type FormEvent, useId, useState } from "react";
import { ApiError, asApiError } from "@/api/problem";
import { useSessionCalls } from "@/api/session";
import { Dialog } from "@/ui/Dialog";
import { ProblemNotice } from "@/ui/Problem";

interface FormProps {
  email?: string;
  workspace?: string;
  onDone?: () => void;
}

export function SignInForm({ email: known = "", workspace, onDone }: FormProps) {
  const { signIn } = useSessionCalls();
  const [email, setEmail] = useState(known);
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const ids = { email: useId(), password: useId() };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await signIn(email.trim(), password, workspace);
      onDone?.();
    } catch (failure) {
      setError(told(asApiError(failure)));
      setPassword("");
    } finally {
      setBusy(false);
    }
  };
  return (
    <form className="stack wide" onSubmit={submit}>
      {error && <ProblemNotice error={error} what="You could not be signed in" />}
      <div className="field">
        <label htmlFor={ids.email}>E-mail</label>
        <input
          id={ids.email}
          className="input"
          type="email"
          autoComplete="username"
          required
          value={email}
          onChange={(event) => setEmail(event.target.value)}
        />
      </div>
      <div className="field">
        <label htmlFor={ids.password}>Password</label>
        <input
          id={ids.password}
          className="input"
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
      </div>
      <button type="submit" className="button primary" disabled={busy}>
        {busy ? "Signing in…" : "Sign in"}
      </button>
    </form>
  );
}

/** The words of a failed sign-in; the server's own say little on purpose. */
function told(error: ApiError): ApiError {
  if (error.status === 401) {
    const detail = "E-mail and password do not belong together.";
    return new ApiError({ ...error.problem, code: "invalid", detail });
  }
  if (error.status === 423 || error.status === 429) {
    const wait = error.problem.retry_after;
    const detail = `Too many tries${wait ? `; wait ${wait} seconds` : ""}.`;
    return new ApiError({ ...error.problem, code: "rate_limited", detail });
  }
  return error;
}

/** Over the page, when the session ended while it was open: what is on it stays. */
export function SignInAgain({ email, workspace }: { email: string; workspace: string }) {
  return (
    <Dialog small firm title="Your session ended" onClose={() => {}}>
      <div className="stack wide">
        <p className="muted">Sign in again to go on where you were. What you typed is still here.</p>
        <SignInForm email={email} workspace={workspace} />
      </div>
    </Dialog>
  );
}
