// Who is signed in, and the calls that change it.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useCallback, useContext } from "react";
import { allows } from "@/lib/permissions";
import { keys } from "./cache";
import { raw, setCsrf } from "./client";
import { asApiError } from "./problem";
import type { OwnerLink, Session } from "./types";

async function fetchSession(): Promise<Session | null> {
  try {
    const session = (await raw("GET", "/auth/session")) as Session;
    setCsrf(session.csrf_token);
    return session;
  } catch (error) {
    if (asApiError(error).status === 401) return null;
    throw error;
  }
}

/** The session; null when nobody is signed in. */
export function useSessionQuery() {
  return useQuery({ queryKey: keys.session, queryFn: fetchSession, staleTime: 300_000, retry: 1 });
}

/** Every way into, out of and between sessions. */
export function useSessionCalls() {
  const client = useQueryClient();
  const enter = useCallback(
    (session: Session) => {
      setCsrf(session.csrf_token);
      const before = client.getQueryData<Session | null>(keys.session);
      // Another person or workspace must not see what was cached for the one before.
      const same = before?.workspace.id === session.workspace.id && before.user.id === session.user.id;
      if (!same) client.removeQueries({ predicate: (query) => query.queryKey[0] !== "session" });
      client.setQueryData(keys.session, session);
      // What was refused while nobody was signed in is asked for again.
      void client.invalidateQueries({ predicate: (query) => query.state.status === "error" });
      return session;
    },
    [client],
  );
  const leave = useCallback(async (path: string) => {
    await raw("POST", path);
    // A fresh start: nothing of what was seen stays in the page's memory.
    globalThis.location.assign("/sign-in");
  }, []);
  return {
    signIn: async (email: string, password: string, workspace_id?: string) =>
      enter((await raw("POST", "/auth/sign-in", { email, password, workspace_id })) as Session),
    ownerLink: async (token: string) => (await raw("POST", "/auth/owner-link", { token })) as OwnerLink,
    acceptOwnerLink: async (token: string, password: string) =>
      enter((await raw("POST", "/auth/owner-link/accept", { token, password })) as Session),
    switchTo: async (workspace_id: string) => enter((await raw("POST", "/auth/switch", { workspace_id })) as Session),
    signOut: () => leave("/auth/sign-out"),
    signOutEverywhere: () => leave("/auth/sign-out-everywhere"),
  };
}

const SessionContext = createContext<Session | undefined>(undefined);

export function SessionProvider({ session, children }: { session: Session; children: ReactNode }) {
  return <SessionContext.Provider value={session}>{children}</SessionContext.Provider>;
}

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error("There is no session here.");
  return session;
}

/** Whether the signed-in person may do this. The server decides; pages only leave out what would be refused. */
export function useMay(): (permission: string) => boolean {
  const { permissions } = useSession();
  return (permission) => allows(permissions, permission);
}
