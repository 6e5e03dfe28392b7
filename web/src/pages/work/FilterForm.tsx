// Keeping, renaming, sharing and deleting filters.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import type { SavedFilter, TaskFilter } from "@/api/types";
import { addressOf, inWords } from "@/lib/task-filter";
import { Confirm, Dialog } from "@/ui/Dialog";
import { ProblemNotice } from "@/ui/Problem";
import { wordOf } from "@/ui/Status";
import { toast, toastError } from "@/ui/toasts";

interface FilterFormProps {
  /** The one that is renamed; else a new one is kept. */
  saved?: SavedFilter;
  filter?: TaskFilter;
  sort?: string;
  onKept?: (filter: SavedFilter) => void;
  onClose: () => void;
}

export function useFiltersTouch() {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: keys.filters });
}

export function FilterForm({ saved, filter, sort, onKept, onClose }: FilterFormProps) {
  const touch = useFiltersTouch();
  const [name, setName] = useState(saved?.name ?? "");
  const [shared, setShared] = useState(saved?.shared ?? false);
  const id = useId();
  const save = useMutation({
    mutationFn: () => {
      const fields = { name: name.trim(), shared };
      if (!saved) return take(api.POST("/filters", { body: { ...fields, filter: filter ?? {}, sort } }));
      return take(api.PATCH("/filters/{filter_id}", { params: { path: { filter_id: saved.id } }, body: fields }));
    },
    onSuccess: async (kept) => {
      await touch();
      onKept?.(kept);
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim()) save.mutate();
  };
  return (
    <Dialog small title={saved ? "Rename the filter" : "Keep the filter"} onClose={onClose}>
      <form className="stack wide" onSubmit={submit}>
        {save.error && <ProblemNotice error={save.error} what="The filter was not kept" />}
        <p className="muted">{inWords(addressOf(saved?.filter ?? filter ?? {}), wordOf) || "all tasks"}</p>
        <div className="field">
          <label htmlFor={id}>Name</label>
          <input
            id={id}
            className="input"
            required
            maxLength={100}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </div>
        <label className="check">
          <input type="checkbox" checked={shared} onChange={(event) => setShared(event.target.checked)} />
          Everybody in the workspace sees it
        </label>
        <button type="submit" className="button primary" disabled={save.isPending || !name.trim()}>
          {saved ? "Save" : "Keep it"}
        </button>
      </form>
    </Dialog>
  );
}

export function useShare() {
  const touch = useFiltersTouch();
  return useMutation({
    mutationFn: (filter: SavedFilter) => {
      const path = { filter_id: filter.id };
      return take(api.PATCH("/filters/{filter_id}", { params: { path }, body: { shared: !filter.shared } }));
    },
    onSuccess: (filter) => {
      toast(filter.shared ? `Everybody here sees “${filter.name}” now.` : `“${filter.name}” is yours alone now.`);
      return touch();
    },
    onError: (error) => toastError("The filter stays as it was.", error),
  });
}

export function ForgetFilter({ filter, onClose }: { filter: SavedFilter; onClose: () => void }) {
  const touch = useFiltersTouch();
  const forget = useMutation({
    mutationFn: () => take(api.DELETE("/filters/{filter_id}", { params: { path: { filter_id: filter.id } } })),
    onSuccess: async () => {
      toast(`The filter “${filter.name}” was deleted.`);
      onClose();
      await touch();
    },
    onError: (error) => toastError("The filter was not deleted.", error),
  });
  return (
    <Confirm
      title={`Delete the filter “${filter.name}”?`}
      text={`It goes for good${filter.shared ? ", for everybody" : ""}. No task is touched.`}
      action="Delete it"
      danger
      busy={forget.isPending}
      onConfirm={() => forget.mutate()}
      onClose={onClose}
    />
  );
}
