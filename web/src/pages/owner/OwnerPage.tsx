// The first owner's way in: a one-time link, then a password.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { type FormEvent, type ReactNode, useId, useState } from "react";
import { asApiError } from "@/api/problem";
import { useSessionCalls } from "@/api/session";
import type { OwnerLink } from "@/api/types";
import { forgetOwnerToken, ownerToken } from "@/app/owner-token";
import { useTrail } from "@/app/title";
import { ProblemNotice } from "@/ui/Problem";

/** The server asks for as many; the page says so before it does. */
const MIN_PASSWORD = 12;

export function OwnerPage() {
  const token = ownerToken();
  const { ownerLink } = useSessionCalls();
  useTrail([{ label: "Welcome" }]);
  const link = useQuery({
    queryKey: ["owner-link", token],
    queryFn: () => ownerLink(token ?? ""),
    enabled: token !== undefined,
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (!token) return <Gone />;
  if (link.error) {
    if (asApiError(link.error).status === 410) return <Gone />;
    return (
      <Card title="Welcome">
        <ProblemNotice error={link.error} what="The link could not be checked" onRetry={() => void link.refetch()} />
      </Card>
    );
  }
  if (!link.data) {
    return (
      <Card title="Welcome">
        <span className="skeleton" role="status" aria-label="Loading" />
        <span className="skeleton" />
      </Card>
    );
  }
  return <Accept link={link.data} token={token} />;
}

function Card({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="gate">
      <div className="card">
        <img className="logo" src="/favicon.svg" alt="" />
        <h1>{title}</h1>
        {children}
      </div>
    </main>
  );
}

function Gone() {
  return (
    <Card title="This link no longer opens anything">
      <p className="muted">
        An owner link works once, for a short time, and is not kept when the page is reloaded. Nothing is lost: open the
        link again, or make another on the server with <code>synapscale admin owner-link</code>.
      </p>
      <Link to="/sign-in" className="button">
        Sign in instead
      </Link>
    </Card>
  );
}

function Accept({ link, token }: { link: OwnerLink; token: string }) {
  const { acceptOwnerLink } = useSessionCalls();
  const navigate = useNavigate();
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const ids = { password: useId(), again: useId(), hint: useId() };
  const differs = again !== "" && again !== password;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (password !== again) return;
    setBusy(true);
    try {
      await acceptOwnerLink(token, password);
      forgetOwnerToken();
      await navigate({ to: "/", replace: true });
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <Card title={`Welcome to ${link.workspace_name}`}>
      <p className="muted">
        {link.password_set ? "Choose a new password for" : "Choose a password for"} <strong>{link.email}</strong>, the
        owner of this workspace.
      </p>
      <form className="stack wide" onSubmit={submit}>
        {error !== undefined && <ProblemNotice error={error} what="The password was not set" />}
        <input type="email" autoComplete="username" value={link.email} readOnly hidden />
        <div className="field">
          <label htmlFor={ids.password}>Password</label>
          <input
            id={ids.password}
            className="input"
            type="password"
            autoComplete="new-password"
            required
            minLength={MIN_PASSWORD}
            aria-describedby={ids.hint}
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
          <span className="hint" id={ids.hint}>
            At least {MIN_PASSWORD} characters; a few words in a row are good.
          </span>
        </div>
        <div className="field">
          <label htmlFor={ids.again}>The same again</label>
          <input
            id={ids.again}
            className="input"
            type="password"
            autoComplete="new-password"
            required
            aria-invalid={differs}
            value={again}
            onChange={(event) => setAgain(event.target.value)}
          />
          {differs && <span className="wrong">The two are not the same.</span>}
        </div>
        <button type="submit" className="button primary" disabled={busy || differs}>
          {busy ? "Setting…" : "Set password and go in"}
        </button>
      </form>
    </Card>
  );
}
