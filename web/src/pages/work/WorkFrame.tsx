// Around the pages of work: where one goes among them, and the filters that somebody kept.
import { Link, type LinkProps, Outlet, useParams, useSearch } from "@tanstack/react-router";
import {
  Archive,
  CalendarCheck,
  Ellipsis,
  FolderKanban,
  History,
  ListChecks,
  ListFilter,
  type LucideIcon,
  Search,
  Trash2,
  UsersRound,
} from "lucide-react";
import { useState } from "react";
import { useMay, useSession } from "@/api/session";
import type { SavedFilter } from "@/api/types";
import { addressOf, inWords } from "@/lib/task-filter";
import { Menu, MenuItem } from "@/ui/Menu";
import { wordOf } from "@/ui/Status";
import { useMedia } from "@/ui/useMedia";
import { FilterForm, ForgetFilter, useShare } from "./FilterForm";
import { useSavedFilters } from "./queries";
import { ALL } from "./route";
import "./work.css";

interface Place {
  link: Pick<LinkProps, "to" | "params" | "search">;
  icon: LucideIcon;
  label: string;
  permission: string;
}

const PLACES: Place[] = [
  { link: { to: "/work/mine" }, icon: CalendarCheck, label: "My work today", permission: "tasks:read" },
  { link: { to: "/work" }, icon: FolderKanban, label: "Projects", permission: "projects:read" },
  {
    link: { to: "/work/$projectId", params: { projectId: ALL } },
    icon: ListChecks,
    label: "All tasks",
    permission: "tasks:read",
  },
  { link: { to: "/work/search" }, icon: Search, label: "Search", permission: "tasks:read" },
  {
    link: { to: "/work/$projectId", params: { projectId: ALL }, search: { view: "table", archived: "only" } },
    icon: Archive,
    label: "Archive",
    permission: "tasks:read",
  },
  { link: { to: "/work/trash" }, icon: Trash2, label: "Trash", permission: "tasks:read" },
  { link: { to: "/work/history" }, icon: History, label: "History", permission: "patches:read" },
];

export function WorkFrame() {
  const may = useMay();
  const { taskId } = useParams({ strict: false });
  const small = useMedia("(max-width: 1279px)");
  const tight = useMedia("(max-width: 1680px)") && taskId !== undefined;
  return (
    <div className={small || tight ? "work lying" : "work"}>
      <nav className="work-side" aria-label="Work">
        <ul>
          {PLACES.filter((place) => may(place.permission)).map(({ link, icon: Icon, label }) => (
            <li key={label}>
              <Link
                {...link}
                className="nav-item"
                activeOptions={{ exact: true, includeSearch: link.params !== undefined, explicitUndefined: true }}
                activeProps={{ className: "active" }}
              >
                <Icon aria-hidden />
                <span>{label}</span>
              </Link>
            </li>
          ))}
        </ul>
        <SavedFilters />
      </nav>
      <div className="work-main">
        <Outlet />
      </div>
    </div>
  );
}

function SavedFilters() {
  const { data, error } = useSavedFilters();
  const items = data?.items ?? [];
  return (
    <section className="saved" aria-label="Saved filters">
      <h2>Saved filters</h2>
      {error && <p className="faint">They could not be loaded.</p>}
      {data && items.length === 0 && <p className="faint saved-none">Filter some tasks, then keep the filter here.</p>}
      <ul>
        {items.map((filter) => (
          <Saved key={filter.id} filter={filter} />
        ))}
      </ul>
    </section>
  );
}

type Doing = "rename" | "forget";

function Saved({ filter }: { filter: SavedFilter }) {
  const { user } = useSession();
  const may = useMay();
  const share = useShare();
  const { saved } = useSearch({ strict: false });
  const [doing, setDoing] = useState<Doing>();
  const own = filter.owner === `user:${user.id}`;
  const manages = may("tasks:write") && (own || may("filters:manage"));
  const words = addressOf(filter.filter);
  const here = saved === filter.id;
  return (
    <li className="saved-item">
      <Link
        to="/work/$projectId"
        params={{ projectId: filter.filter.project_id ?? ALL }}
        search={{ ...words, sort: filter.sort ?? undefined, saved: filter.id }}
        className={here ? "nav-item active" : "nav-item"}
        activeProps={{ className: "" }}
        aria-current={here ? "page" : undefined}
        title={inWords(words, wordOf) || "All tasks"}
      >
        {filter.shared ? <UsersRound aria-hidden /> : <ListFilter aria-hidden />}
        <span className="clip grow">{filter.name}</span>
        {filter.shared && <span className="hidden-text"> (shared)</span>}
      </Link>
      {manages && (
        <Menu
          align="end"
          trigger={
            <button type="button" className="button small quiet icon" aria-label={`What to do with ${filter.name}`}>
              <Ellipsis aria-hidden />
            </button>
          }
        >
          <MenuItem onSelect={() => setDoing("rename")}>Rename…</MenuItem>
          <MenuItem onSelect={() => share.mutate(filter)}>
            {filter.shared ? "Keep it to myself" : "Share with everybody here"}
          </MenuItem>
          <MenuItem onSelect={() => setDoing("forget")}>Delete…</MenuItem>
        </Menu>
      )}
      {doing === "rename" && <FilterForm saved={filter} onClose={() => setDoing(undefined)} />}
      {doing === "forget" && <ForgetFilter filter={filter} onClose={() => setDoing(undefined)} />}
    </li>
  );
}
