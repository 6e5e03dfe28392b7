// Below a list that is filtered: what it shows, in words, and a way to keep that.
import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { BookmarkPlus, Save, X } from "lucide-react";
import { useState } from "react";
import { api, take } from "@/api/client";
import { useMay, useSession } from "@/api/session";
import { addressOf, apiFilter, inWords, isFiltered, NO_FILTER, sameFilter } from "@/lib/task-filter";
import { wordOf } from "@/ui/Status";
import { toast, toastError } from "@/ui/toasts";
import { FilterForm, useFiltersTouch } from "./FilterForm";
import { useSavedFilters } from "./queries";
import { ALL, type TasksSearch } from "./route";

export function KeepFilter({ project, filter }: { project: string; filter: TasksSearch }) {
  const may = useMay();
  const { user } = useSession();
  const navigate = useNavigate();
  const filters = useSavedFilters();
  const touch = useFiltersTouch();
  const [naming, setNaming] = useState(false);
  const body = { filter: apiFilter(filter, project === ALL ? undefined : project), sort: filter.sort };
  const saved = filters.data?.items.find((each) => each.id === filter.saved);
  const own = saved && (saved.owner === `user:${user.id}` || may("filters:manage"));
  const same = saved && sameFilter(addressOf(saved.filter), filter) && (saved.sort ?? undefined) === filter.sort;
  const change = useMutation({
    mutationFn: (id: string) => take(api.PATCH("/filters/{filter_id}", { params: { path: { filter_id: id } }, body })),
    onSuccess: (kept) => {
      toast(`“${kept.name}” means this now.`);
      return touch();
    },
    onError: (error) => toastError("The filter stays as it was.", error),
  });
  const to = (search: TasksSearch) => void navigate({ to: ".", search, replace: true });
  if (!isFiltered(filter)) return null;
  return (
    <section className="kept-filter" aria-label="Filter">
      <span className="clip grow" title={inWords(filter, wordOf)}>
        {saved && <strong>{saved.name}: </strong>}
        {inWords(filter, wordOf)}
      </span>
      {may("tasks:write") && saved && own && !same && (
        <button
          type="button"
          className="button small quiet"
          disabled={change.isPending}
          onClick={() => change.mutate(saved.id)}
        >
          <Save aria-hidden /> Save to “{saved.name}”
        </button>
      )}
      {may("tasks:write") && !same && (
        <button type="button" className="button small quiet" onClick={() => setNaming(true)}>
          <BookmarkPlus aria-hidden /> Keep filter
        </button>
      )}
      <button
        type="button"
        className="button small quiet"
        onClick={() => to({ ...filter, ...NO_FILTER, saved: undefined })}
      >
        <X aria-hidden /> No filter
      </button>
      {naming && (
        <FilterForm {...body} onKept={(kept) => to({ ...filter, saved: kept.id })} onClose={() => setNaming(false)} />
      )}
    </section>
  );
}
