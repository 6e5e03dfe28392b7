import { useRouter } from "@tanstack/react-router";
import { useEffect } from "react";
import { useSessionQuery } from "@/api/session";
import { useTrail } from "@/app/title";
import { route } from "./route";
import { SignInForm } from "./SignInForm";

export function SignInPage() {
  const { to } = route.useSearch();
  const { data: session } = useSessionQuery();
  const router = useRouter();
  useTrail([{ label: "Sign in" }]);
  const known = Boolean(session);
  useEffect(() => {
    if (known) router.history.replace(to ?? "/");
  }, [known, router, to]);
  if (known) return null;
  return (
    <main className="gate">
      <div className="card">
        <img className="logo" src="/favicon.svg" alt="" />
        <h1>Sign in to SynapScale</h1>
        <SignInForm />
        <p className="muted">
          The first owner signs in by the link that the server prints when it starts. Lost it? Run{" "}
          <code>synapscale admin owner-link</code> on the server for another.
        </p>
      </div>
    </main>
  );
}
