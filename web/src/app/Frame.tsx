// Around every page: side bar, top bar, the live stream, and the sign-in that comes up when a session ends.
import { useQueryClient } from "@tanstack/react-query";
import { Outlet, useNavigate, useRouter, useRouterState } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { LiveProvider } from "@/api/live/live";
import { SessionProvider, useSessionQuery } from "@/api/session";
import type { Session } from "@/api/types";
import { SignInAgain } from "@/pages/sign-in/SignInForm";
import { ProblemPage } from "@/ui/Problem";
import { usePhone } from "@/ui/useMedia";
import { useEntries } from "./entries";
import { type Hotkey, useHotkeys } from "./hotkeys";
import { KeySheet } from "./KeySheet";
import { LiveBar } from "./LiveBar";
import { BottomBar, Sidebar } from "./Sidebar";
import { TopBar } from "./TopBar";
import { useCrumbs } from "./title";
import { redoLast, undoLast } from "./undo";

const Palette = lazy(() => import("./Palette"));

export function Frame() {
  const query = useSessionQuery();
  // Kept so that a session that ends does not take what was typed with it.
  const last = useRef<Session | null>(null);
  if (query.data) last.current = query.data;
  const session = query.data ?? last.current;
  if (query.isPending) return <div className="frame-wait" role="status" aria-label="Loading" />;
  if (!session && query.error) {
    return (
      <ProblemPage
        error={query.error}
        what="The server could not be asked who you are"
        onRetry={() => void query.refetch()}
      />
    );
  }
  if (!session) return <ToSignIn />;
  return (
    <SessionProvider session={session}>
      <LiveProvider key={session.workspace.id} workspace={session.workspace.id}>
        <Framed key={session.workspace.id} />
        {query.data === null && <SignInAgain email={session.user.email} workspace={session.workspace.id} />}
      </LiveProvider>
    </SessionProvider>
  );
}

/** Once: the way back is the place where one was when it turned out that nobody is signed in. */
function ToSignIn() {
  const router = useRouter();
  useEffect(() => {
    const { href } = router.state.location;
    void router.navigate({ to: "/sign-in", search: href === "/" ? {} : { to: href }, replace: true });
  }, [router]);
  return <div className="frame-wait" role="status" aria-label="Loading" />;
}

function Framed() {
  const [sheet, setSheet] = useState<"palette" | "keys" | undefined>();
  const phone = usePhone();
  const close = () => setSheet(undefined);
  usePreload();
  useFrameKeys((next) => setSheet((now) => (now === next ? undefined : next)));
  return (
    <div className="frame">
      <a className="skip" href="#main">
        Skip to the page
      </a>
      {!phone && <Sidebar />}
      <div className="frame-main">
        <TopBar onSearch={() => setSheet("palette")} />
        <LiveBar />
        <Main />
      </div>
      {phone && <BottomBar onMore={() => setSheet("palette")} />}
      {sheet === "palette" && (
        <Suspense fallback={null}>
          <Palette onClose={close} onKeys={() => setSheet("keys")} />
        </Suspense>
      )}
      {sheet === "keys" && <KeySheet onClose={close} />}
    </div>
  );
}

const IDLE_AFTER_MS = 2_000;
/** Between the code of one page and the next, so that what is done here meanwhile does not wait. */
const BETWEEN_MS = 150;

/** Fetches the other pages' code once there is nothing better to do: going there is instant then. */
function usePreload() {
  const router = useRouter();
  const entries = useEntries();
  const places = entries.map((entry) => entry.to).join(" ");
  useEffect(() => {
    const left = places.split(" ");
    let timer: ReturnType<typeof setTimeout>;
    // One page at a time: all at once would hold up the page that somebody reads.
    const next = async () => {
      const to = left.shift();
      if (to === undefined) return;
      await router.preloadRoute({ to }).catch(() => {});
      timer = setTimeout(() => void next(), BETWEEN_MS);
    };
    timer = setTimeout(() => void next(), IDLE_AFTER_MS);
    return () => {
      left.length = 0;
      clearTimeout(timer);
    };
  }, [router, places]);
}

function Main() {
  const ref = useRef<HTMLElement>(null);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const before = useRef(path);
  useEffect(() => {
    // A reader that speaks follows to the new page; within a page, panes keep the focus where it is.
    if (before.current.split("/")[1] !== path.split("/")[1]) ref.current?.focus({ preventScroll: true });
    before.current = path;
  }, [path]);
  return (
    <main id="main" ref={ref} tabIndex={-1}>
      <Outlet />
    </main>
  );
}

function useFrameKeys(show: (sheet: "palette" | "keys") => void) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const above = useCrumbs().findLast((crumb) => crumb.to)?.to;
  const places = useEntries().filter((entry) => entry.key);
  const hotkeys: Hotkey[] = [
    {
      keys: "mod+k",
      does: "Search pages and operations",
      group: "Everywhere",
      always: true,
      run: () => show("palette"),
    },
    { keys: "?", does: "Show the keys", group: "Everywhere", run: () => show("keys") },
    { keys: "mod+z", does: "Undo what you did last", group: "Everywhere", run: () => void undoLast(client) },
    {
      keys: "mod+shift+z",
      does: "Do again what you undid last",
      group: "Everywhere",
      run: () => void redoLast(client),
    },
    { keys: "u", does: "Up, to the list", group: "Everywhere", run: () => above && void navigate({ to: above }) },
    { keys: "/", does: "Filter the list", group: "Everywhere", run: focusSearch },
    ...places.map((entry) => ({
      keys: `g ${entry.key}`,
      does: `Go to ${entry.label}`,
      group: "Go",
      run: () => void navigate({ to: entry.to }),
    })),
  ];
  useHotkeys(hotkeys);
}

function focusSearch() {
  document.querySelector<HTMLInputElement>("[data-search]")?.focus();
}
