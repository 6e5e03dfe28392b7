import { useMutation, useQueryClient } from "@tanstack/react-query";
import { UserMinus, UserPlus } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { usePages } from "@/api/lists";
import { useMay, useSession } from "@/api/session";
import type { Member, Role } from "@/api/types";
import { useTrail } from "@/app/title";
import { Confirm, Dialog } from "@/ui/Dialog";
import { ProblemNotice, ProblemPage } from "@/ui/Problem";
import { Time } from "@/ui/Time";
import { toast, toastError } from "@/ui/toasts";
import { type Column, VirtualList } from "@/ui/VirtualList";

const ROLES: { value: Role; about: string }[] = [
  { value: "viewer", about: "sees the work" },
  { value: "member", about: "does the work" },
  { value: "admin", about: "everything but make and unmake owners" },
  { value: "owner", about: "everything" },
];

export function MembersPage() {
  const may = useMay();
  const { user } = useSession();
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [leaving, setLeaving] = useState<Member>();
  const { query, items, more } = usePages<Member>({
    queryKey: keys.members,
    fetch: (cursor, signal) => take(api.GET("/members", { params: { query: { cursor, limit: 100 } }, signal })),
  });
  useTrail([{ label: "Settings", to: "/settings" }, { label: "Members" }]);
  const refresh = () => void client.invalidateQueries({ queryKey: keys.members });
  const change = useMutation({
    mutationFn: ({ id, role }: { id: string; role: Role }) =>
      take(api.PATCH("/members/{user_id}", { params: { path: { user_id: id } }, body: { role } })),
    onSuccess: () => toast("The role was changed."),
    onError: (error) => toastError("The role stays as it was.", error),
    onSettled: refresh,
  });
  const remove = useMutation({
    mutationFn: (id: string) => take(api.DELETE("/members/{user_id}", { params: { path: { user_id: id } } })),
    onSuccess: () => toast("Removed from the workspace."),
    onError: (error) => toastError("The member was not removed.", error),
    onSettled: () => {
      setLeaving(undefined);
      refresh();
    },
  });
  const manages = may("members:manage");
  const columns: Column<Member>[] = [
    {
      id: "who",
      title: "Who",
      width: "minmax(0, 1fr)",
      phone: true,
      cell: (member) => (
        <div className="bar">
          <span className="clip">{member.user.full_name ?? member.user.email}</span>
          {member.user.full_name && <span className="clip faint">{member.user.email}</span>}
          {member.user.id === user.id && <span className="chip">you</span>}
        </div>
      ),
    },
    {
      id: "role",
      title: "Role",
      width: "116px",
      phone: true,
      cell: (member) => (
        <select
          className="input small"
          aria-label={`Role of ${member.user.email}`}
          value={member.role}
          disabled={!manages || change.isPending}
          onChange={(event) => change.mutate({ id: member.user.id, role: event.target.value as Role })}
        >
          {ROLES.map((role) => (
            <option key={role.value} value={role.value}>
              {role.value}
            </option>
          ))}
        </select>
      ),
    },
    { id: "since", title: "Since", width: "96px", num: true, cell: (member) => <Time at={member.created_at} /> },
    {
      id: "remove",
      title: "",
      width: "32px",
      phone: true,
      cell: (member) =>
        manages && (
          <button
            type="button"
            className="button small quiet icon"
            aria-label={`Remove ${member.user.email}`}
            title="Remove"
            onClick={() => setLeaving(member)}
          >
            <UserMinus aria-hidden />
          </button>
        ),
    },
  ];
  if (query.error)
    return (
      <ProblemPage error={query.error} what="The members could not be loaded" onRetry={() => void query.refetch()} />
    );
  return (
    <div className="page">
      <div className="page-head">
        <h1>Members</h1>
        {manages && (
          <button type="button" className="button primary small" onClick={() => setAdding(true)}>
            <UserPlus aria-hidden /> Add a member
          </button>
        )}
      </div>
      <VirtualList
        name="members"
        label="Members"
        items={items}
        idOf={(member) => member.user.id}
        columns={columns}
        loading={query.isPending}
        more={more}
      />
      {adding && <AddMember onClose={() => setAdding(false)} onDone={refresh} />}
      {leaving && (
        <Confirm
          danger
          title={`Remove ${leaving.user.full_name ?? leaving.user.email}?`}
          text="They see this workspace no more, and their keys to it stop working. What they did stays."
          action="Remove"
          busy={remove.isPending}
          onConfirm={() => remove.mutate(leaving.user.id)}
          onClose={() => setLeaving(undefined)}
        />
      )}
    </div>
  );
}

function AddMember({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const [draft, setDraft] = useState({ email: "", name: "", password: "", role: "member" as Role });
  const ids = { email: useId(), name: useId(), password: useId(), role: useId() };
  const add = useMutation({
    mutationFn: () =>
      take(
        api.POST("/members", {
          body: {
            email: draft.email.trim(),
            role: draft.role,
            full_name: draft.name.trim() || null,
            password: draft.password || null,
          },
        }),
      ),
    onSuccess: () => {
      toast(`${draft.email.trim()} is a member now.`);
      onDone();
      onClose();
    },
  });
  const set = (fields: Partial<typeof draft>) => setDraft({ ...draft, ...fields });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add.mutate();
  };
  return (
    <Dialog small title="Add a member" onClose={onClose}>
      <form className="stack wide" onSubmit={submit}>
        {add.error && <ProblemNotice error={add.error} what="Nobody was added" />}
        <div className="field">
          <label htmlFor={ids.email}>E-mail</label>
          <input
            id={ids.email}
            className="input"
            type="email"
            required
            value={draft.email}
            onChange={(event) => set({ email: event.target.value })}
          />
        </div>
        <div className="field">
          <label htmlFor={ids.role}>Role</label>
          <select
            id={ids.role}
            className="input"
            value={draft.role}
            onChange={(event) => set({ role: event.target.value as Role })}
          >
            {ROLES.map((role) => (
              <option key={role.value} value={role.value}>
                {role.value} – {role.about}
              </option>
            ))}
          </select>
        </div>
        <div className="field">
          <label htmlFor={ids.name}>Full name</label>
          <input
            id={ids.name}
            className="input"
            value={draft.name}
            onChange={(event) => set({ name: event.target.value })}
          />
        </div>
        <div className="field">
          <label htmlFor={ids.password}>First password</label>
          <input
            id={ids.password}
            className="input"
            type="password"
            autoComplete="new-password"
            value={draft.password}
            onChange={(event) => set({ password: event.target.value })}
          />
          <span className="hint">
            For somebody new here, at least 12 characters. Who is known by the address keeps theirs.
          </span>
        </div>
        <button type="submit" className="button primary" disabled={add.isPending}>
          Add
        </button>
      </form>
    </Dialog>
  );
}
