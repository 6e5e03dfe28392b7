// The tasks of a project as a file.
import { Download } from "lucide-react";
import { useState } from "react";
import { api, take } from "@/api/client";
import { allPages } from "@/lib/transfer";
import { Menu, MenuItem } from "@/ui/Menu";
import { toast, toastError } from "@/ui/toasts";

const FORMATS = [
  ["json", "JSON, to import again"],
  ["csv", "CSV, for spreadsheets"],
  ["taskwarrior", "Taskwarrior"],
] as const;

/** Loads all pages, and hands the file to the browser. */
async function save(format: (typeof FORMATS)[number][0], project: string | undefined) {
  let named = { file_name: "tasks", media_type: "text/plain" };
  const contents = await allPages(async (cursor) => {
    const query = { format, project_id: project, cursor };
    const page = await take(api.GET("/export/tasks", { params: { query } }));
    named = page;
    return page;
  });
  const url = URL.createObjectURL(new Blob(contents, { type: named.media_type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = named.file_name;
  link.click();
  URL.revokeObjectURL(url);
  return named.file_name;
}

export function ExportMenu({ project }: { project: string | undefined }) {
  const [busy, setBusy] = useState(false);
  const run = async (format: (typeof FORMATS)[number][0]) => {
    setBusy(true);
    try {
      toast(`${await save(format, project)} was written`);
    } catch (error) {
      toastError("The tasks were not exported.", error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Menu
      align="end"
      trigger={
        <button type="button" className="button small icon" title="Export" aria-label="Export" disabled={busy}>
          <Download aria-hidden />
        </button>
      }
    >
      {FORMATS.map(([format, label]) => (
        <MenuItem key={format} onSelect={() => void run(format)}>
          {label}
        </MenuItem>
      ))}
    </Menu>
  );
}
