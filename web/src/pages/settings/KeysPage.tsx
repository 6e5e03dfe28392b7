import { useMutation, useQueryClient } from "@tanstack/react-query";
import { KeyRound, Trash2 } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { usePages } from "@/api/lists";
import { useMay } from "@/api/session";
import type { Key, NewKey } from "@/api/types";
import { useTrail } from "@/app/title";
import { Confirm, Dialog } from "@/ui/Dialog";
import { ProblemNotice, ProblemPage } from "@/ui/Problem";
import { CopyId, Empty } from "@/ui/parts";
import { Time } from "@/ui/Time";
import { toast, toastError } from "@/ui/toasts";
import { type Column, VirtualList } from "@/ui/VirtualList";

export function KeysPage() {
  const may = useMay();
  const client = useQueryClient();
  const [making, setMaking] = useState(false);
  const [ending, setEnding] = useState<Key>();
  const { query, items, more } = usePages<Key>({
    queryKey: keys.apiKeys,
    fetch: (cursor, signal) => take(api.GET("/keys", { params: { query: { cursor, limit: 100 } }, signal })),
  });
  useTrail([{ label: "Settings", to: "/settings" }, { label: "Keys" }]);
  const refresh = () => void client.invalidateQueries({ queryKey: keys.apiKeys });
  const revoke = useMutation({
    mutationFn: (id: string) => take(api.DELETE("/keys/{key_id}", { params: { path: { key_id: id } } })),
    onSuccess: () => toast("The key opens nothing any more."),
    onError: (error) => toastError("The key was not revoked.", error),
    onSettled: () => {
      setEnding(undefined);
      refresh();
    },
  });
  const manages = may("keys:manage");
  const columns: Column<Key>[] = [
    {
      id: "name",
      title: "Key",
      width: "minmax(0, 1fr)",
      phone: true,
      cell: (key) => <div className="clip">{key.name}</div>,
    },
    {
      id: "prefix",
      title: "Begins with",
      width: "120px",
      cell: (key) => <span className="mono clip">{key.prefix}</span>,
    },
    {
      id: "scopes",
      title: "May",
      width: "minmax(0, 200px)",
      cell: (key) => <Scopes scopes={key.scopes as string[] | null} />,
    },
    {
      id: "used",
      title: "Last used",
      width: "88px",
      num: true,
      phone: true,
      cell: (key) => <Time at={key.last_used_at} />,
    },
    { id: "until", title: "Until", width: "88px", num: true, cell: (key) => <Time at={key.expires_at} /> },
    {
      id: "revoke",
      title: "",
      width: "32px",
      phone: true,
      cell: (key) =>
        manages && (
          <button
            type="button"
            className="button small quiet icon"
            aria-label={`Revoke ${key.name}`}
            title="Revoke"
            onClick={() => setEnding(key)}
          >
            <Trash2 aria-hidden />
          </button>
        ),
    },
  ];
  if (query.error)
    return <ProblemPage error={query.error} what="The keys could not be loaded" onRetry={() => void query.refetch()} />;
  return (
    <div className="page">
      <div className="page-head">
        <h1>API keys</h1>
        {manages && (
          <button type="button" className="button primary small" onClick={() => setMaking(true)}>
            <KeyRound aria-hidden /> New key
          </button>
        )}
      </div>
      <VirtualList
        name="keys"
        label="API keys"
        items={items}
        idOf={(key) => key.id}
        columns={columns}
        loading={query.isPending}
        more={more}
        empty={
          <Empty icon={<KeyRound aria-hidden />} title="There is no key">
            A key lets a program or the command line call this workspace, with no more rights than you give it.
          </Empty>
        }
      />
      {making && <MakeKey onClose={() => setMaking(false)} onDone={refresh} />}
      {ending && (
        <Confirm
          danger
          title={`Revoke “${ending.name}”?`}
          text="Whatever uses it is refused from now on. This cannot be undone; a new key can be made."
          action="Revoke"
          busy={revoke.isPending}
          onConfirm={() => revoke.mutate(ending.id)}
          onClose={() => setEnding(undefined)}
        />
      )}
    </div>
  );
}

function Scopes({ scopes }: { scopes: string[] | null }) {
  const text = !scopes || scopes.includes("*") ? "whatever its member may" : scopes.join(", ");
  return (
    <div className="clip muted" title={text}>
      {text}
    </div>
  );
}

function MakeKey({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const [made, setMade] = useState<NewKey>();
  const [draft, setDraft] = useState({ name: "", scopes: "", until: "" });
  const ids = { name: useId(), scopes: useId(), until: useId() };
  const make = useMutation({
    mutationFn: () => {
      const scopes = draft.scopes.split(/[\s,]+/).filter(Boolean);
      return take(
        api.POST("/keys", {
          body: {
            name: draft.name.trim(),
            scopes: scopes.length ? scopes : null,
            expires_at: draft.until ? new Date(draft.until).toISOString() : null,
          },
        }),
      );
    },
    onSuccess: (key) => {
      setMade(key);
      onDone();
    },
  });
  const set = (fields: Partial<typeof draft>) => setDraft({ ...draft, ...fields });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    make.mutate();
  };
  if (made) return <Made secret={made.secret} name={draft.name} onClose={onClose} />;
  return (
    <Dialog small title="New key" onClose={onClose}>
      <form className="stack wide" onSubmit={submit}>
        {make.error && <ProblemNotice error={make.error} what="The key was not made" />}
        <div className="field">
          <label htmlFor={ids.name}>What it is for</label>
          <input
            id={ids.name}
            className="input"
            required
            maxLength={200}
            value={draft.name}
            onChange={(event) => set({ name: event.target.value })}
          />
        </div>
        <div className="field">
          <label htmlFor={ids.scopes}>What it may do</label>
          <input
            id={ids.scopes}
            className="input mono"
            placeholder="tasks:* projects:read"
            value={draft.scopes}
            onChange={(event) => set({ scopes: event.target.value })}
          />
          <span className="hint">Permissions with spaces in between. Left empty, it may do what you may.</span>
        </div>
        <div className="field">
          <label htmlFor={ids.until}>Until</label>
          <input
            id={ids.until}
            className="input"
            type="datetime-local"
            value={draft.until}
            onChange={(event) => set({ until: event.target.value })}
          />
          <span className="hint">Left empty, it stays good until it is revoked.</span>
        </div>
        <button type="submit" className="button primary" disabled={make.isPending}>
          Make the key
        </button>
      </form>
    </Dialog>
  );
}

function Made({ secret, name, onClose }: { secret: string; name: string; onClose: () => void }) {
  return (
    <Dialog
      small
      firm
      title={`The key “${name}”`}
      onClose={onClose}
      foot={
        <button type="button" className="button primary" onClick={onClose}>
          I have kept it
        </button>
      }
    >
      <div className="stack wide">
        <p>It is shown this once. Keep it where passwords are kept; the server keeps only a digest of it.</p>
        <code className="secret">{secret}</code>
        <div>
          <CopyId id={secret} label="Copy the key" />
        </div>
      </div>
    </Dialog>
  );
}
