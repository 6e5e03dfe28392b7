import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { FileUp, FolderPlus } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useMay } from "@/api/session";
import type { Project } from "@/api/types";
import { useHotkeys } from "@/app/hotkeys";
import { useTrail } from "@/app/title";
import { offerUndo } from "@/app/undo";
import { Dialog } from "@/ui/Dialog";
import { ProblemNotice, ProblemPage } from "@/ui/Problem";
import { Empty, FilterSelect, SearchBox } from "@/ui/parts";
import { Status, wordOf } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { toastError } from "@/ui/toasts";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { applySet } from "./actions";
import { Choice } from "./cells";
import { useProjects } from "./queries";
import { PROJECT_STATUSES, type ProjectsSearch, projectsRoute } from "./route";
import "./work.css";

export function ProjectsPage() {
  const filter = projectsRoute.useSearch();
  const navigate = useNavigate();
  const may = useMay();
  const setStatus = useProjectStatus();
  const [making, setMaking] = useState(false);
  const { query, items, more } = useProjects(filter);
  useTrail([{ label: "Work" }]);
  useHotkeys(
    may("projects:write") ? [{ keys: "n", does: "New project", group: "Work", run: () => setMaking(true) }] : [],
  );
  const onFilter = (next: Partial<ProjectsSearch>) =>
    void navigate({ to: "/work", search: { ...filter, ...next }, replace: true });
  const columns: Column<Project>[] = [
    {
      id: "status",
      title: "Status",
      width: "108px",
      phone: true,
      cell: (project) => (
        <Choice
          label={`Status of ${project.name}`}
          value={project.status}
          values={PROJECT_STATUSES}
          disabled={!may("projects:write")}
          onChange={(status) => setStatus.mutate({ project, status })}
        />
      ),
    },
    {
      id: "name",
      title: "Project",
      width: "minmax(0, 1fr)",
      phone: true,
      cell: (project) => (
        <div className="bar">
          <Link to="/work/$projectId" params={{ projectId: project.id }} className="clip">
            {project.name}
          </Link>
          <span className="clip faint">{project.description}</span>
        </div>
      ),
    },
    { id: "priority", title: "Priority", width: "92px", cell: (project) => <Status status={project.priority} /> },
    { id: "updated", title: "Changed", width: "88px", num: true, cell: (project) => <Time at={project.updated_at} /> },
  ];
  const filtered = Boolean(filter.text || filter.status);
  return (
    <div className="page">
      <div className="page-head">
        <h1>Projects</h1>
        <SearchBox
          label="Filter by name"
          value={filter.text ?? ""}
          onChange={(text) => onFilter({ text: text || undefined })}
        />
        <FilterSelect
          label="Status"
          all="Every status"
          value={filter.status}
          options={PROJECT_STATUSES.map((value) => ({ value, label: wordOf(value) }))}
          onChange={(status) => onFilter({ status })}
        />
        {may("tasks:write") && (
          <Link to="/work/import" className="button small">
            <FileUp aria-hidden /> Import
          </Link>
        )}
        {may("projects:write") && (
          <button type="button" className="button primary small" onClick={() => setMaking(true)}>
            <FolderPlus aria-hidden /> New project
          </button>
        )}
      </div>
      {query.error && items.length === 0 ? (
        <ProblemPage error={query.error} what="The projects could not be loaded" onRetry={() => void query.refetch()} />
      ) : (
        <VirtualList
          name="projects"
          label="Projects"
          items={items}
          idOf={(project) => project.id}
          columns={columns}
          loading={query.isPending}
          more={more}
          onOpen={(project) => void navigate({ to: "/work/$projectId", params: { projectId: project.id } })}
          empty={
            <Empty
              icon={<FolderPlus aria-hidden />}
              title={filtered ? "No project fits these filters" : "There is no project yet"}
              action={
                !filtered &&
                may("projects:write") && (
                  <button type="button" className="button primary" onClick={() => setMaking(true)}>
                    Make the first project
                  </button>
                )
              }
            >
              A project holds tasks. People, agents and workflows work on them side by side, and every change can be
              undone.
            </Empty>
          }
        />
      )}
      {making && <NewProject onClose={() => setMaking(false)} />}
    </div>
  );
}

function useProjectStatus() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ project, status }: { project: Project; status: Project["status"] }) =>
      applySet({ project_patches: [{ op: "update", project_id: project.id, body: { status } }] }),
    onSuccess: (result, { project, status }) => {
      offerUndo(client, result, `“${project.name}” is ${wordOf(status).toLowerCase()}`);
      void client.invalidateQueries({ queryKey: keys.projects });
    },
    onError: (error) => toastError("The status stays as it was.", error),
  });
}

function NewProject({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const ids = { name: useId(), description: useId() };
  const make = useMutation({
    mutationFn: () =>
      take(api.POST("/projects", { body: { name: name.trim(), description: description.trim() || null } })),
    onSuccess: (project) => {
      void client.invalidateQueries({ queryKey: keys.projects });
      onClose();
      void navigate({ to: "/work/$projectId", params: { projectId: project.id } });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    make.mutate();
  };
  return (
    <Dialog small title="New project" onClose={onClose}>
      <form className="stack wide" onSubmit={submit}>
        {make.error && <ProblemNotice error={make.error} what="The project was not made" />}
        <div className="field">
          <label htmlFor={ids.name}>Name</label>
          <input
            id={ids.name}
            className="input"
            required
            maxLength={200}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </div>
        <div className="field">
          <label htmlFor={ids.description}>What it is about</label>
          <textarea
            id={ids.description}
            className="input"
            rows={3}
            value={description}
            onChange={(event) => setDescription(event.target.value)}
          />
        </div>
        <button type="submit" className="button primary" disabled={make.isPending}>
          Make the project
        </button>
      </form>
    </Dialog>
  );
}
