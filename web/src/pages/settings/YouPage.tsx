import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import type { Me } from "@/api/types";
import { setTheme, type Theme, useTheme } from "@/app/theme";
import { useTrail } from "@/app/title";
import { ProblemNotice, ProblemPage } from "@/ui/Problem";
import { SkeletonRows } from "@/ui/parts";
import { toast } from "@/ui/toasts";

export function YouPage() {
  useTrail([{ label: "Settings", to: "/settings" }, { label: "You" }]);
  const query = useQuery({ queryKey: keys.me, queryFn: ({ signal }) => take(api.GET("/me", { signal })) });
  if (query.error)
    return (
      <ProblemPage error={query.error} what="Your profile could not be loaded" onRetry={() => void query.refetch()} />
    );
  if (!query.data) return <SkeletonRows rows={3} />;
  return (
    <div className="page-body padded">
      <div className="stack wide settings-form">
        <h1>You</h1>
        <ProfileForm me={query.data} />
        <ThemeField />
      </div>
    </div>
  );
}

function ProfileForm({ me }: { me: Me }) {
  const client = useQueryClient();
  const [name, setName] = useState(me.user.full_name ?? "");
  const [zone, setZone] = useState(me.user.timezone);
  const ids = { email: useId(), name: useId(), zone: useId() };
  const save = useMutation({
    mutationFn: () => take(api.PATCH("/me", { body: { full_name: name.trim() || null, timezone: zone } })),
    onSuccess: () => {
      toast("Saved.");
      void client.invalidateQueries({ queryKey: keys.me });
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
        <label htmlFor={ids.email}>E-mail</label>
        <input id={ids.email} className="input" value={me.user.email} readOnly />
      </div>
      <div className="field">
        <label htmlFor={ids.name}>Full name</label>
        <input
          id={ids.name}
          className="input"
          value={name}
          maxLength={200}
          onChange={(event) => setName(event.target.value)}
        />
      </div>
      <div className="field">
        <label htmlFor={ids.zone}>Time zone</label>
        <select id={ids.zone} className="input" value={zone} onChange={(event) => setZone(event.target.value)}>
          {[...new Set([zone, "UTC", ...Intl.supportedValuesOf("timeZone")])].map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      </div>
      <div>
        <button type="submit" className="button primary" disabled={save.isPending}>
          Save
        </button>
      </div>
    </form>
  );
}

function ThemeField() {
  const id = useId();
  const theme = useTheme();
  return (
    <div className="field">
      <label htmlFor={id}>Look</label>
      <select id={id} className="input" value={theme} onChange={(event) => setTheme(event.target.value as Theme)}>
        <option value="system">As the system</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
      <span className="hint">Kept on this device.</span>
    </div>
  );
}
