// Where one can go: a bar at the side that folds to icons, or at the bottom of a phone.
import { Link, useNavigate, useRouterState } from "@tanstack/react-router";
import {
  Building2,
  ChevronsUpDown,
  LogOut,
  Menu as MenuIcon,
  Monitor,
  Moon,
  PanelLeft,
  Sun,
  UserRound,
} from "lucide-react";
import { useState } from "react";
import { useSession, useSessionCalls } from "@/api/session";
import { Menu, MenuItem, MenuLabel, MenuLine } from "@/ui/Menu";
import { toastError } from "@/ui/toasts";
import { useEntries } from "./entries";
import { useHotkeys } from "./hotkeys";
import type { NavEntry } from "./nav";
import { setTheme, type Theme, useTheme } from "./theme";
import { useWaitingCount } from "./waiting";

const FOLDED = "synapscale.sidebar";

export function Sidebar() {
  const [folded, setFolded] = useState(() => localStorage.getItem(FOLDED) === "folded");
  const entries = useEntries();
  const fold = () => {
    localStorage.setItem(FOLDED, folded ? "open" : "folded");
    setFolded(!folded);
  };
  useHotkeys([{ keys: "mod+\\", does: "Fold the side bar", group: "Everywhere", run: fold }]);
  return (
    <nav className={folded ? "sidebar folded" : "sidebar"} aria-label="Pages">
      <WorkspaceMenu />
      <ul className="grow">
        {entries
          .filter((entry) => !entry.low)
          .map((entry) => (
            <NavItem key={entry.to} entry={entry} folded={folded} />
          ))}
      </ul>
      <ul>
        {entries
          .filter((entry) => entry.low)
          .map((entry) => (
            <NavItem key={entry.to} entry={entry} folded={folded} />
          ))}
      </ul>
      <div className="sidebar-foot">
        <UserMenu />
        <button
          type="button"
          className="button small quiet icon"
          aria-label={folded ? "Unfold the side bar" : "Fold the side bar"}
          onClick={fold}
        >
          <PanelLeft />
        </button>
      </div>
    </nav>
  );
}

function NavItem({ entry, folded }: { entry: NavEntry; folded?: boolean }) {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const owner = useEntries().find((other) => other.also?.test(path));
  const here = owner === undefined ? undefined : owner.to === entry.to;
  const waiting = useWaitingCount();
  const badge = entry.badge === "waiting" ? waiting : undefined;
  return (
    <li>
      <Link
        to={entry.to}
        className={here ? "nav-item active" : "nav-item"}
        activeOptions={{ exact: entry.to === "/", includeSearch: false }}
        activeProps={{ className: here === false ? "" : "active" }}
        title={folded ? entry.label : undefined}
      >
        <entry.icon aria-hidden />
        <span className="nav-label">{entry.label}</span>
        {badge && (
          <span className="nav-badge">
            {badge}
            <span className="hidden-text"> waiting</span>
          </span>
        )}
      </Link>
    </li>
  );
}

function WorkspaceMenu() {
  const { workspace, workspaces } = useSession();
  const { switchTo } = useSessionCalls();
  const navigate = useNavigate();
  const change = async (id: string) => {
    try {
      await switchTo(id);
      await navigate({ to: "/" });
    } catch (error) {
      toastError("The workspace could not be switched.", error);
    }
  };
  return (
    <Menu
      trigger={
        <button type="button" className="workspace">
          <span className="hidden-text">Workspace </span>
          <span className="mark" data-letter={workspace.name.slice(0, 1).toUpperCase()} aria-hidden />
          <span className="grow clip nav-label">{workspace.name}</span>
          <ChevronsUpDown className="nav-label" aria-hidden />
        </button>
      }
    >
      <MenuLabel>Workspaces</MenuLabel>
      {workspaces.map((each) => (
        <MenuItem
          key={each.id}
          icon={<Building2 aria-hidden />}
          checked={each.id === workspace.id}
          onSelect={() => each.id !== workspace.id && void change(each.id)}
        >
          {each.name} <span className="faint">{each.role}</span>
        </MenuItem>
      ))}
    </Menu>
  );
}

const THEMES: { value: Theme; label: string; icon: typeof Sun }[] = [
  { value: "system", label: "As the system", icon: Monitor },
  { value: "light", label: "Light", icon: Sun },
  { value: "dark", label: "Dark", icon: Moon },
];

export function UserMenu() {
  const { user } = useSession();
  const { signOut, signOutEverywhere } = useSessionCalls();
  const chosen = useTheme();
  const leave = (how: () => Promise<void>) => () => {
    how().catch((error) => toastError("Signing out failed.", error));
  };
  return (
    <Menu
      side="top"
      trigger={
        <button type="button" className="button small quiet user">
          <UserRound aria-hidden />
          <span className="hidden-text">You: </span>
          <span className="clip nav-label">{user.display_name || user.email}</span>
        </button>
      }
    >
      <MenuLabel>{user.email}</MenuLabel>
      <MenuLine />
      <MenuLabel>Look</MenuLabel>
      {THEMES.map((each) => (
        <MenuItem
          key={each.value}
          icon={<each.icon aria-hidden />}
          checked={each.value === chosen}
          onSelect={() => setTheme(each.value)}
        >
          {each.label}
        </MenuItem>
      ))}
      <MenuLine />
      <MenuItem icon={<LogOut aria-hidden />} onSelect={leave(signOut)}>
        Sign out
      </MenuItem>
      <MenuItem icon={<LogOut aria-hidden />} onSelect={leave(signOutEverywhere)}>
        Sign out everywhere
      </MenuItem>
    </Menu>
  );
}

/** On a phone: the pages one needs most, and all others behind the last. */
export function BottomBar({ onMore }: { onMore: () => void }) {
  const entries = useEntries();
  return (
    <nav className="bottom-bar" aria-label="Pages">
      <ul>
        {entries
          .filter((entry) => entry.phone)
          .map((entry) => (
            <NavItem key={entry.to} entry={entry} />
          ))}
        <li>
          <button type="button" className="nav-item" onClick={onMore}>
            <MenuIcon aria-hidden />
            <span className="nav-label">More</span>
          </button>
        </li>
      </ul>
    </nav>
  );
}
