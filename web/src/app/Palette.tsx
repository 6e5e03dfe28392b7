// ⌘K: every page, project, workflow and operation, and the few things one does from anywhere.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Command } from "cmdk";
import {
  Bot,
  Braces,
  CalendarCheck,
  CalendarClock,
  CircleX,
  FileSearch,
  FolderKanban,
  Inbox,
  Keyboard,
  MessageSquarePlus,
  MessagesSquare,
  Moon,
  Plus,
  Redo2,
  Square,
  Sun,
  Undo2,
  Workflow,
} from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { useMay } from "@/api/session";
import { useTimer, useTimerActions } from "@/api/timer";
import { marked } from "@/lib/found-text";
import { useAgents } from "@/pages/agents/queries";
import { useTalk } from "@/pages/agents/talk";
import { useConversations } from "@/pages/chat/queries";
import { useOperations } from "@/pages/operations/queries";
import { Marked } from "@/pages/work/Marked";
import { useFound, useLater } from "@/pages/work/queries";
import { StatusIcon } from "@/ui/Status";
import { useEntries } from "./entries";
import { Keys } from "./KeySheet";
import { isDark, setTheme } from "./theme";
import { redoLast, undoLast } from "./undo";

const UUID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/i;

export default function Palette({ onClose, onKeys }: { onClose: () => void; onKeys: () => void }) {
  const ref = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  useEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement;
    if (dialog && !dialog.open) dialog.showModal();
    dialog?.querySelector("input")?.focus();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it; the click is for pointers on the backdrop.
    <dialog
      ref={ref}
      className="dialog palette"
      aria-label="Search pages and operations"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === ref.current && onClose()}
    >
      <Command label="Search pages and operations" loop>
        <Command.Input
          className="palette-input"
          placeholder="Go to, find or do…"
          value={text}
          onValueChange={setText}
        />
        <Command.List>
          <Command.Empty>Nothing is called that. An id of a run or task works too.</Command.Empty>
          <Places onClose={onClose} />
          <Views onClose={onClose} />
          <Things onClose={onClose} text={text} />
          <Agents onClose={onClose} />
          <Deeds onClose={onClose} onKeys={onKeys} />
          <Operations onClose={onClose} />
          <Tasks onClose={onClose} text={text} />
        </Command.List>
      </Command>
    </dialog>
  );
}

interface EntryProps {
  value: string;
  icon: ReactNode;
  onSelect: () => void;
  children: ReactNode;
  words?: string[];
}

function Entry({ value, icon, onSelect, children, words }: EntryProps) {
  return (
    <Command.Item value={value} keywords={words} onSelect={onSelect}>
      {icon}
      {children}
    </Command.Item>
  );
}

function Places({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  return (
    <Command.Group heading="Go to">
      {useEntries().map((entry) => (
        <Entry
          key={entry.to}
          value={`page ${entry.label}`}
          icon={<entry.icon aria-hidden />}
          onSelect={() => {
            onClose();
            void navigate({ to: entry.to });
          }}
        >
          <span className="grow">{entry.label}</span>
          {entry.key && <Keys keys={`g ${entry.key}`} />}
        </Entry>
      ))}
    </Command.Group>
  );
}

/** Views of pages that one looks for by what they show. */
function Views({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const may = useMay();
  const then = (go: () => Promise<void>) => () => {
    onClose();
    void go();
  };
  return (
    <Command.Group heading="Look at">
      {may("runs:read") && (
        <Entry
          value="what failed failed and paused runs of the last day"
          icon={<CircleX aria-hidden />}
          onSelect={then(() => navigate({ to: "/runs", search: { status: "paused,failed", since: "1d" } }))}
        >
          What failed in the last day
        </Entry>
      )}
      {may("workflows:read") && (
        <Entry
          value="schedules next turns cron"
          icon={<CalendarClock aria-hidden />}
          onSelect={then(() => navigate({ to: "/triggers", search: { kind: "schedule" } }))}
        >
          Schedules and their next turns
        </Entry>
      )}
      {may("events:manage") && (
        <Entry
          value="dead letters replay given up"
          icon={<Inbox aria-hidden />}
          onSelect={then(() => navigate({ to: "/consumers" }))}
        >
          Dead letters
        </Entry>
      )}
    </Command.Group>
  );
}

function Things({ onClose, text }: { onClose: () => void; text: string }) {
  const navigate = useNavigate();
  const may = useMay();
  const workflows = useQuery({
    queryKey: keys.workflows,
    queryFn: ({ signal }) => take(api.GET("/workflows", { params: { query: { limit: 200 } }, signal })),
    enabled: may("workflows:read"),
  });
  const projects = useQuery({
    queryKey: [...keys.projects, "palette"],
    queryFn: ({ signal }) => take(api.GET("/projects", { params: { query: { limit: 200 } }, signal })),
    enabled: may("projects:read"),
  });
  const then = (go: () => Promise<void>) => () => {
    onClose();
    void go();
  };
  const id = text.trim();
  return (
    <Command.Group heading="Workflows and projects">
      {UUID.test(id) && (
        <>
          <Entry
            value={`run ${id}`}
            icon={<Workflow aria-hidden />}
            onSelect={then(() => navigate({ to: "/runs/$runId", params: { runId: id } }))}
          >
            Open the run {id}
          </Entry>
          <Entry
            value={`task ${id}`}
            icon={<FolderKanban aria-hidden />}
            onSelect={then(() =>
              navigate({ to: "/work/$projectId/$taskId", params: { projectId: "all", taskId: id } }),
            )}
          >
            Open the task {id}
          </Entry>
        </>
      )}
      {workflows.data?.items.map((flow) => (
        <Entry
          key={flow.id}
          value={`workflow ${flow.name}`}
          words={[flow.title]}
          icon={<Workflow aria-hidden />}
          onSelect={then(() => navigate({ to: "/workflows/$name", params: { name: flow.name } }))}
        >
          <span className="grow clip">{flow.title || flow.name}</span>
          <span className="faint">workflow</span>
        </Entry>
      ))}
      {projects.data?.items.map((project) => (
        <Entry
          key={project.id}
          value={`project ${project.name} ${project.id}`}
          icon={<FolderKanban aria-hidden />}
          onSelect={then(() => navigate({ to: "/work/$projectId", params: { projectId: project.id } }))}
        >
          <span className="grow clip">{project.name}</span>
          <span className="faint">project</span>
        </Entry>
      ))}
    </Command.Group>
  );
}

function Agents({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const may = useMay();
  const agents = useAgents();
  const talks = useConversations({});
  const talk = useTalk();
  const then = (go: () => unknown) => () => {
    onClose();
    void go();
  };
  return (
    <Command.Group heading="Agents">
      {may("agents:write") && (
        <Entry
          value="new agent make an agent"
          icon={<Plus aria-hidden />}
          onSelect={then(() => navigate({ to: "/agents/new" }))}
        >
          New agent
        </Entry>
      )}
      {may("models:write") && (
        <Entry
          value="add a provider of models"
          icon={<Plus aria-hidden />}
          onSelect={then(() => navigate({ to: "/models", search: { provider: "new" } }))}
        >
          Add a provider of models
        </Entry>
      )}
      {agents.items.map((agent) => (
        <Entry
          key={agent.id}
          value={`agent ${agent.name}`}
          words={[agent.title]}
          icon={<Bot aria-hidden />}
          onSelect={then(() => navigate({ to: "/agents/$agentId", params: { agentId: agent.id } }))}
        >
          <span className="grow clip">{agent.title || agent.name}</span>
          <span className="faint">agent</span>
        </Entry>
      ))}
      {talk.may &&
        agents.items
          .filter((agent) => agent.status === "active")
          .map((agent) => (
            <Entry
              key={`talk ${agent.id}`}
              value={`talk to ${agent.name}`}
              words={[agent.title, "start a conversation", "chat"]}
              icon={<MessageSquarePlus aria-hidden />}
              onSelect={then(() => talk.start(agent))}
            >
              Talk to {agent.title || agent.name}
            </Entry>
          ))}
      {talks.items.map((conversation) => (
        <Entry
          key={conversation.id}
          value={`conversation ${conversation.title} ${conversation.id}`}
          words={[conversation.agent_title]}
          icon={<MessagesSquare aria-hidden />}
          onSelect={then(() =>
            navigate({
              to: "/agents/$agentId/c/$conversationId",
              params: { agentId: conversation.agent_id, conversationId: conversation.id },
            }),
          )}
        >
          <span className="grow clip">{conversation.title || "New conversation"}</span>
          <span className="faint">conversation</span>
        </Entry>
      ))}
    </Command.Group>
  );
}

const MOST_TASKS = 8;
const TYPED_MS = 150;

/** Tasks by their words. They stand last: what is called just so comes before what merely has the words. */
function Tasks({ onClose, text }: { onClose: () => void; text: string }) {
  const navigate = useNavigate();
  const may = useMay();
  const query = useLater(text.trim(), TYPED_MS);
  const asked = query.length > 1 && may("tasks:read");
  const found = useFound({ query, limit: MOST_TASKS }, asked);
  const then = (go: () => Promise<void>) => () => {
    onClose();
    void go();
  };
  // The server has found them; here they fit whatever is typed, but less than all else.
  const words = [`x${text}`];
  if (!asked) return null;
  return (
    <Command.Group heading="Tasks">
      {found.data?.items.map(({ task }) => (
        <Entry
          key={task.id}
          value={`found ${task.id}`}
          words={words}
          icon={<StatusIcon status={task.status} />}
          onSelect={then(() =>
            navigate({
              to: "/work/$projectId/$taskId",
              params: { projectId: task.project_id, taskId: task.id },
            }),
          )}
        >
          <span className="grow clip">
            <Marked parts={marked(task.title, query)} />
          </span>
          <span className="faint">task</span>
        </Entry>
      ))}
      <Entry
        value="found all"
        words={words}
        icon={<FileSearch aria-hidden />}
        onSelect={then(() => navigate({ to: "/work/search", search: { q: text.trim() } }))}
      >
        <span className="grow clip">Look for “{text.trim()}” in all tasks</span>
      </Entry>
    </Command.Group>
  );
}

function Deeds({ onClose, onKeys }: { onClose: () => void; onKeys: () => void }) {
  const client = useQueryClient();
  const dark = isDark();
  const navigate = useNavigate();
  const may = useMay();
  const timer = useTimer().data?.timer;
  const { stop } = useTimerActions();
  return (
    <Command.Group heading="Do">
      {timer && (
        <Entry
          value="stop the timer"
          icon={<Square aria-hidden />}
          onSelect={() => {
            onClose();
            void stop();
          }}
        >
          Stop the timer
        </Entry>
      )}
      {may("tasks:read") && (
        <Entry
          value="see what I have to do today"
          icon={<CalendarCheck aria-hidden />}
          onSelect={() => {
            onClose();
            void navigate({ to: "/work/mine" });
          }}
        >
          See what I have to do today
        </Entry>
      )}
      <Entry
        value="undo what I did last"
        icon={<Undo2 aria-hidden />}
        onSelect={() => {
          onClose();
          void undoLast(client);
        }}
      >
        <span className="grow">Undo what I did last</span>
        <Keys keys="mod+z" />
      </Entry>
      <Entry
        value="redo do again what I undid last"
        icon={<Redo2 aria-hidden />}
        onSelect={() => {
          onClose();
          void redoLast(client);
        }}
      >
        <span className="grow">Do again what I undid last</span>
        <Keys keys="mod+shift+z" />
      </Entry>
      <Entry
        value="light dark theme look"
        icon={dark ? <Sun aria-hidden /> : <Moon aria-hidden />}
        onSelect={() => {
          setTheme(dark ? "light" : "dark");
          onClose();
        }}
      >
        {dark ? "Make it light" : "Make it dark"}
      </Entry>
      <Entry value="keys keyboard help" icon={<Keyboard aria-hidden />} onSelect={onKeys}>
        <span className="grow">Show the keys</span>
        <Keys keys="?" />
      </Entry>
    </Command.Group>
  );
}

function Operations({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const query = useOperations();
  return (
    <Command.Group heading="Operations">
      {query.data?.map((operation) => (
        <Entry
          key={operation.name}
          value={`operation ${operation.name}`}
          words={[operation.title]}
          icon={<Braces aria-hidden />}
          onSelect={() => {
            onClose();
            void navigate({ to: "/operations/$operation", params: { operation: operation.name } });
          }}
        >
          <span className="grow clip">{operation.title}</span>
          <span className="faint mono">{operation.name}</span>
        </Entry>
      ))}
    </Command.Group>
  );
}
