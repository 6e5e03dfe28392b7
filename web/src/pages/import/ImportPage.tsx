// A file of tasks: chosen, read, shown, imported, and undone.
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { FileUp } from "lucide-react";
import { type DragEvent, useId, useState } from "react";
import { keys } from "@/api/cache";
import { useTrail } from "@/app/title";
import { MAX_FILE } from "@/lib/transfer";
import { ProblemNotice, ProblemPage } from "@/ui/Problem";
import { PreviewPart } from "./PreviewPart";
import { ProgressPart } from "./ProgressPart";
import { upload, useImport } from "./queries";
import { route } from "./route";
import "./import.css";

export function ImportPage() {
  const search = route.useSearch();
  const found = useImport(search.import);
  useTrail([{ label: "Work", to: "/work" }, { label: "Import" }]);
  return (
    <div className="page">
      <div className="page-head">
        <h1>Import tasks</h1>
      </div>
      <div className="import stack">
        {search.import === undefined ? (
          <Choose project={search.project} />
        ) : found.error && !found.data ? (
          <ProblemPage error={found.error} what="The import could not be loaded" onRetry={() => void found.refetch()} />
        ) : found.data?.status === "uploading" ? (
          <PreviewPart found={found.data} project={search.project} />
        ) : (
          found.data && <ProgressPart found={found.data} />
        )}
      </div>
    </div>
  );
}

function Choose({ project }: { project: string | undefined }) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const id = useId();
  const [over, setOver] = useState(false);
  const [sent, setSent] = useState<number>();
  const [fault, setFault] = useState<{ error: unknown; name: string }>();
  const choose = async (file: File | undefined) => {
    if (!file || sent !== undefined) return;
    setFault(undefined);
    if (file.size > MAX_FILE || file.size === 0) {
      const words = file.size === 0 ? "The file is empty." : "A file may have 16 MiB.";
      setFault({ error: new Error(words), name: file.name });
      return;
    }
    setSent(0);
    try {
      const found = await upload(file, setSent);
      client.setQueryData(keys.import(found.id), found);
      void navigate({ to: "/work/import", search: { import: found.id, project } });
    } catch (error) {
      setFault({ error, name: file.name });
    } finally {
      setSent(undefined);
    }
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void choose(event.dataTransfer.files[0]);
  };
  return (
    <>
      {fault && <ProblemNotice error={fault.error} what={`${fault.name} was not taken`} />}
      <label
        htmlFor={id}
        className={`import-drop${over ? " is-over-it" : ""}`}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <FileUp aria-hidden />
        <span>{sent === undefined ? "Choose a file, or drop it here" : "The file is on its way"}</span>
        {sent !== undefined && <progress aria-label="Uploaded" value={sent} max={1} />}
        <input
          id={id}
          type="file"
          accept=".csv,.tsv,.txt,.json"
          disabled={sent !== undefined}
          onChange={(event) => void choose(event.target.files?.[0])}
        />
      </label>
      <p className="faint">
        CSV with a line of headers, our own JSON export, Todoist (a project as CSV, or its sync API), Taskwarrior’s{" "}
        <code>task export</code>, or GitHub’s list of issues. UTF-8, 16 MiB and 50,000 tasks at most. Nothing is made
        before you have seen what would be. The same file again changes nothing; a changed one changes what it brought.
      </p>
    </>
  );
}
