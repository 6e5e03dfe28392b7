// Looking tasks up by their words: in titles, tags, texts and comments.
import { useNavigate } from "@tanstack/react-router";
import { FileSearch, Search } from "lucide-react";
import { useMemo } from "react";
import type { Found } from "@/api/types";
import { useTrail } from "@/app/title";
import { excerpt, marked } from "@/lib/found-text";
import { isOver } from "@/lib/task-filter";
import { ProblemPage } from "@/ui/Problem";
import { Empty, FilterSelect, SearchBox } from "@/ui/parts";
import { Status } from "@/ui/Status";
import { usePhone } from "@/ui/useMedia";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { Marked } from "./Marked";
import { useAllProjects, useFound } from "./queries";
import { type FindSearch, findRoute } from "./route";
import { Marks } from "./TitleCell";
import "./work.css";

type Hit = Found["items"][number];
const MOST = 200;

export function FindPage() {
  const search = findRoute.useSearch();
  const query = search.q ?? "";
  const navigate = useNavigate();
  const projects = useAllProjects();
  const phone = usePhone();
  const found = useFound({ query, project_id: search.project, archived: search.archived, limit: MOST });
  useTrail([{ label: "Work", to: "/work" }, { label: "Search" }]);
  const set = (next: FindSearch) =>
    void navigate({ to: "/work/search", search: { ...search, ...next }, replace: true });
  const names = useMemo(
    () => new Map(projects.data?.items.map((project) => [project.id, project.name])),
    [projects.data],
  );
  const items = query ? (found.data?.items ?? []) : [];
  const columns: Column<Hit>[] = [
    {
      id: "title",
      title: "Task",
      width: "minmax(0, 1fr)",
      phone: true,
      cell: ({ task }) => (
        <div className="bar">
          {phone && <Status status={task.status} iconOnly />}
          <span className={`clip${isOver(task) ? " is-over" : ""}`}>
            <Marked parts={marked(task.title, query)} />
          </span>
          <Marks task={task} />
          <Why hit={task} query={query} />
        </div>
      ),
    },
    { id: "status", title: "Status", width: "116px", cell: ({ task }) => <Status status={task.status} /> },
    {
      id: "project",
      title: "Project",
      from: 640,
      width: "160px",
      cell: ({ task }) => <span className="clip muted">{names.get(task.project_id) ?? "–"}</span>,
    },
  ];
  return (
    <div className="page">
      <div className="page-head">
        <h1>Search</h1>
        <div className="bar wrap find-head">
          <SearchBox label="Words to look for" value={query} onChange={(q) => set({ q: q || undefined })} />
          <FilterSelect
            label="Project"
            all="Every project"
            value={search.project}
            options={[...names].map(([value, label]) => ({ value, label }))}
            onChange={(project) => set({ project })}
          />
          <label className="check">
            <input
              type="checkbox"
              checked={search.archived ?? false}
              onChange={(event) => set({ archived: event.target.checked || undefined })}
            />
            With the archive
          </label>
        </div>
      </div>
      {found.data && items.length > 0 && <Told found={found.data} count={items.length} />}
      {found.error ? (
        <ProblemPage error={found.error} what="Nothing could be looked for" onRetry={() => void found.refetch()} />
      ) : (
        <VirtualList
          name="found"
          label="Found tasks"
          items={items}
          idOf={(hit) => hit.task.id}
          columns={columns}
          loading={query !== "" && found.isPending && found.fetchStatus !== "idle"}
          onOpen={({ task }) =>
            void navigate({
              to: "/work/$projectId/$taskId",
              params: { projectId: task.project_id, taskId: task.id },
            })
          }
          empty={
            query ? (
              <Empty icon={<FileSearch aria-hidden />} title="No task has all these words">
                Try fewer words, or the beginning of the last one. Tasks in the trash are not looked through
                {search.archived ? "" : ", nor those in the archive"}.
              </Empty>
            ) : (
              <Empty icon={<Search aria-hidden />} title="What are you looking for?">
                Words are found in titles, tags, descriptions and comments, whatever their case and accents; of the last
                word the beginning is enough.
              </Empty>
            )
          }
        />
      )}
    </div>
  );
}

function Told({ found, count }: { found: Found; count: number }) {
  return (
    <p className="kept-filter" role="status">
      {count} {count === 1 ? "task" : "tasks"}, the best first.
      {found.more && " There may be more: add a word."}
      {!found.complete && " Older tasks are still being taken up; some may be missing."}
    </p>
  );
}

/** Where else than in the title it was found. */
function Why({ hit, query }: { hit: Hit["task"]; query: string }) {
  const inText = hit.description ? excerpt(hit.description, query) : undefined;
  if (inText) {
    return (
      <span className="clip faint">
        <Marked parts={inText} />
      </span>
    );
  }
  if (marked(hit.title, query).some((part) => part.hit)) return null;
  return <span className="clip faint">in its tags or comments</span>;
}
