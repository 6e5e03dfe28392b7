import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useMay } from "@/api/session";
import type { Workspace } from "@/api/types";
import { useTrail } from "@/app/title";
import { ProblemNotice, ProblemPage } from "@/ui/Problem";
import { CopyId, SkeletonRows } from "@/ui/parts";
import { Time } from "@/ui/Time";
import { toast } from "@/ui/toasts";

export function WorkspacePage() {
  useTrail([{ label: "Settings", to: "/settings" }, { label: "Workspace" }]);
  const query = useQuery({
    queryKey: keys.workspace,
    queryFn: ({ signal }) => take(api.GET("/workspace", { signal })),
  });
  if (query.error)
    return (
      <ProblemPage error={query.error} what="The workspace could not be loaded" onRetry={() => void query.refetch()} />
    );
  if (!query.data) return <SkeletonRows rows={3} />;
  return (
    <div className="page-body padded">
      <div className="stack wide settings-form">
        <h1>Workspace</h1>
        <NameForm key={query.data.revision} workspace={query.data} />
        <dl className="facts">
          <dt>Short name</dt>
          <dd>{query.data.slug}</dd>
          <dt>Since</dt>
          <dd>
            <Time at={query.data.created_at} />
          </dd>
          <dt>Id</dt>
          <dd>
            <CopyId id={query.data.id} />
          </dd>
        </dl>
      </div>
    </div>
  );
}

function NameForm({ workspace }: { workspace: Workspace }) {
  const client = useQueryClient();
  const may = useMay();
  const [name, setName] = useState(workspace.name);
  const id = useId();
  const save = useMutation({
    mutationFn: () => take(api.PATCH("/workspace", { body: { name: name.trim() } })),
    onSuccess: () => {
      toast("Saved.");
      void client.invalidateQueries({ queryKey: keys.workspace });
      void client.invalidateQueries({ queryKey: keys.session });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <form className="stack wide" onSubmit={submit}>
      {save.error && <ProblemNotice error={save.error} what="Nothing was saved" />}
      <div className="field">
        <label htmlFor={id}>Name</label>
        <input
          id={id}
          className="input"
          required
          maxLength={200}
          readOnly={!may("workspaces:write")}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
      </div>
      {may("workspaces:write") && (
        <div>
          <button type="submit" className="button primary" disabled={save.isPending || name.trim() === workspace.name}>
            Save
          </button>
        </div>
      )}
    </form>
  );
}
