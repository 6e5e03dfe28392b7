// What is to be seen: the words of the address, as fields.
import { ListFilter } from "lucide-react";
import { useState } from "react";
import { type FilterSearch, PRIORITIES, readFilter, TASK_STATUSES, WHENS, wordOfWhen } from "@/lib/task-filter";
import { usePeople } from "@/ui/ActorName";
import { FilterSelect, SearchBox } from "@/ui/parts";
import { wordOf } from "@/ui/Status";

interface FiltersProps {
  filter: FilterSearch;
  onFilter: (next: FilterSearch) => void;
}

type Option = { value: string; label: string };
const STATUS_OPTIONS: Option[] = TASK_STATUSES.map((value) => ({ value, label: wordOf(value) }));
const PRIORITY_OPTIONS: Option[] = PRIORITIES.map((value) => ({ value, label: wordOf(value) }));
const WHEN_OPTIONS = WHENS.map((value) => ({ value, label: wordOfWhen(value) }));

/** Several at once come from saved filters; they are shown as one more choice. */
function withSeveral(options: readonly Option[], value: string | undefined): readonly Option[] {
  if (!value?.includes(",")) return options;
  return [{ value, label: value.split(",").map(wordOf).join(", ") }, ...options];
}

/** How many of those words are set that stand in the second row. */
function furtherSet(filter: FilterSearch): number {
  const { status: _, priority: __, text: ___, ...further } = readFilter({ ...filter });
  return Object.values(further).filter((value) => value !== undefined).length;
}

export function useFilters({ filter, onFilter }: FiltersProps) {
  const [open, setOpen] = useState(false);
  const further = furtherSet(filter);
  const shown = open || further > 0;
  const first = (
    <div className="bar wrap">
      <SearchBox
        label="Filter by text"
        value={filter.text ?? ""}
        onChange={(text) => onFilter({ text: text || undefined })}
      />
      <FilterSelect
        label="Status"
        all="Every status"
        value={filter.status}
        options={withSeveral(STATUS_OPTIONS, filter.status)}
        onChange={(status) => onFilter({ status })}
      />
      <FilterSelect
        label="Priority"
        all="Every priority"
        value={filter.priority}
        options={withSeveral(PRIORITY_OPTIONS, filter.priority)}
        onChange={(priority) => onFilter({ priority })}
      />
      <button
        type="button"
        className="button small icon"
        aria-label="More filters"
        title="More filters"
        aria-expanded={shown}
        aria-pressed={shown}
        onClick={() => setOpen(!shown)}
      >
        <ListFilter aria-hidden />
      </button>
    </div>
  );
  return { first, further: shown ? <Further filter={filter} onFilter={onFilter} /> : null };
}

const YES_NO = { yes: true, no: false } as const;

function Further({ filter, onFilter }: FiltersProps) {
  const people = usePeople();
  const who = filter.unassigned ? "nobody" : filter.assignee;
  const names = filter.assignee && !people.includes(filter.assignee) ? [filter.assignee, ...people] : people;
  return (
    <section className="filters" aria-label="More filters">
      <FilterSelect
        label="Who"
        all="Whosever"
        value={who}
        options={[
          { value: "nobody", label: "Nobody's" },
          ...names.map((name) => ({ value: name, label: `${name}'s` })),
        ]}
        onChange={(value) =>
          onFilter(
            value === "nobody" ? { unassigned: true, assignee: undefined } : { assignee: value, unassigned: undefined },
          )
        }
      />
      <SearchBox label="Tagged with" value={filter.tag ?? ""} onChange={(tag) => onFilter({ tag: tag || undefined })} />
      <FilterSelect
        label="Due"
        all="Due whenever"
        value={filter.due}
        options={WHEN_OPTIONS.map((each) => ({ ...each, label: `Due ${each.label.toLowerCase()}` }))}
        onChange={(due) => onFilter({ due })}
      />
      <FilterSelect
        label="Scheduled"
        all="Scheduled whenever"
        value={filter.scheduled}
        options={WHEN_OPTIONS.map((each) => ({ ...each, label: `Scheduled ${each.label.toLowerCase()}` }))}
        onChange={(scheduled) => onFilter({ scheduled })}
      />
      <FilterSelect<keyof typeof YES_NO>
        label="Waiting"
        all="Waiting or not"
        value={filter.blocked === undefined ? undefined : filter.blocked ? "yes" : "no"}
        options={[
          { value: "yes", label: "Waits for others" },
          { value: "no", label: "Waits for none" },
        ]}
        onChange={(value) => onFilter({ blocked: value && YES_NO[value] })}
      />
      <FilterSelect<"included" | "only">
        label="Archive"
        all="Without the archive"
        value={filter.archived}
        options={[
          { value: "included", label: "With the archive" },
          { value: "only", label: "Only the archive" },
        ]}
        onChange={(archived) => onFilter({ archived })}
      />
      {filter.search && <span className="chip">words: {filter.search}</span>}
    </section>
  );
}
