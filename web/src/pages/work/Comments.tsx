// What people and agents say about a task.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { MessageSquare, Pencil, Trash2 } from "lucide-react";
import { type FormEvent, useEffect, useId, useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { once } from "@/api/lists";
import { useMay, useSession } from "@/api/session";
import type { Comment, Task } from "@/api/types";
import { ActorName, actorOf } from "@/ui/ActorName";
import { Confirm } from "@/ui/Dialog";
import { Markdown } from "@/ui/Markdown";
import { ProblemNotice } from "@/ui/Problem";
import { SkeletonRows } from "@/ui/parts";
import { Time } from "@/ui/Time";
import { toast, toastError } from "@/ui/toasts";
import { useComments } from "./queries";

const MOST = 20_000;
const draftKey = (task: string) => `synapscale.comment.${task}`;

export function Comments({ task }: { task: Task }) {
  const { query, items, more } = useComments(task.id);
  const may = useMay();
  // They come the newest first and are read like a talk.
  const read = once(items, (comment) => comment.id).toReversed();
  return (
    <div className="stack wide">
      {query.error && (
        <ProblemNotice
          error={query.error}
          what="The comments could not be loaded"
          onRetry={() => void query.refetch()}
        />
      )}
      {query.isPending && <SkeletonRows rows={2} />}
      {more.has && (
        <button type="button" className="button small quiet" disabled={more.busy} onClick={more.load}>
          Show older comments
        </button>
      )}
      {query.data && read.length === 0 && (
        <p className="faint bar">
          <MessageSquare size={16} aria-hidden /> Nobody has said anything yet.
        </p>
      )}
      <ul className="stack wide">
        {read.map((comment) => (
          <CommentView key={comment.id} comment={comment} />
        ))}
      </ul>
      {may("tasks:write") && <NewComment task={task} />}
    </div>
  );
}

function useTouch(task: string) {
  const client = useQueryClient();
  return () => {
    void client.invalidateQueries({ queryKey: keys.activity(task) });
    return client.invalidateQueries({ queryKey: keys.comments(task) });
  };
}

function NewComment({ task }: { task: Task }) {
  const [text, setText] = useState(() => sessionStorage.getItem(draftKey(task.id)) ?? "");
  const touch = useTouch(task.id);
  useEffect(() => {
    if (text) sessionStorage.setItem(draftKey(task.id), text);
    else sessionStorage.removeItem(draftKey(task.id));
  }, [text, task.id]);
  const write = useMutation({
    mutationFn: (body: string) =>
      take(api.POST("/tasks/{task_id}/comments", { params: { path: { task_id: task.id } }, body: { body } })),
    onSuccess: async () => {
      setText("");
      await touch();
    },
    onError: (error) => toastError("The comment was not written. It still stands in its field.", error),
  });
  return (
    <CommentForm
      label="Write a comment"
      text={text}
      onText={setText}
      busy={write.isPending}
      action="Comment"
      onSave={() => write.mutate(text.trim())}
    />
  );
}

interface CommentFormProps {
  label: string;
  text: string;
  onText: (text: string) => void;
  busy: boolean;
  action: string;
  onSave: () => void;
  onLeave?: () => void;
}

function CommentForm({ label, text, onText, busy, action, onSave, onLeave }: CommentFormProps) {
  const id = useId();
  const submit = (event?: FormEvent) => {
    event?.preventDefault();
    if (text.trim() && !busy) onSave();
  };
  return (
    <form className="stack" onSubmit={submit}>
      <label htmlFor={id} className="hidden-text">
        {label}
      </label>
      <textarea
        id={id}
        className="input comment-field"
        rows={2}
        maxLength={MOST}
        placeholder={`${label}, in markdown`}
        value={text}
        // biome-ignore lint/a11y/noAutofocus: one just asked to edit what stands here.
        autoFocus={onLeave !== undefined}
        onChange={(event) => onText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) submit();
          if (event.key === "Escape") {
            event.stopPropagation();
            if (onLeave) onLeave();
            else event.currentTarget.blur();
          }
        }}
      />
      {(text.trim() || onLeave) && (
        <div className="bar">
          <button type="submit" className="button primary small" disabled={busy || !text.trim()}>
            {action}
          </button>
          {onLeave && (
            <button type="button" className="button small quiet" onClick={onLeave}>
              Leave it as it was
            </button>
          )}
        </div>
      )}
    </form>
  );
}

function CommentView({ comment }: { comment: Comment }) {
  const { user } = useSession();
  const may = useMay();
  const touch = useTouch(comment.task_id);
  const [typed, setTyped] = useState<string>();
  const [asking, setAsking] = useState(false);
  const own = comment.author === `user:${user.id}`;
  const path = { comment_id: comment.id };
  const change = useMutation({
    mutationFn: (body: string) => take(api.PATCH("/comments/{comment_id}", { params: { path }, body: { body } })),
    onSuccess: async () => {
      await touch();
      setTyped(undefined);
    },
    onError: (error) => toastError("The comment stays as it was.", error),
  });
  const remove = useMutation({
    mutationFn: () => take(api.DELETE("/comments/{comment_id}", { params: { path } })),
    onSuccess: async () => {
      setAsking(false);
      toast("The comment was deleted.");
      await touch();
    },
    onError: (error) => toastError("The comment was not deleted.", error),
  });
  return (
    <li className="comment">
      <div className="comment-head">
        <strong className="clip">
          <ActorName actor={actorOf(comment.author)} />
        </strong>
        <span className="faint grow">
          <Time at={comment.created_at} />
          {comment.revision > 1 && ", edited"}
        </span>
        {own && may("tasks:write") && (
          <button
            type="button"
            className="button small quiet icon"
            aria-label="Edit the comment"
            title="Edit"
            onClick={() => setTyped(comment.body)}
          >
            <Pencil aria-hidden />
          </button>
        )}
        {((own && may("tasks:write")) || may("comments:moderate")) && (
          <button
            type="button"
            className="button small quiet icon"
            aria-label="Delete the comment"
            title="Delete"
            onClick={() => setAsking(true)}
          >
            <Trash2 aria-hidden />
          </button>
        )}
      </div>
      {typed === undefined ? (
        <Markdown text={comment.body} />
      ) : (
        <CommentForm
          label="Edit your comment"
          text={typed}
          onText={setTyped}
          busy={change.isPending}
          action="Save"
          onSave={() => (typed.trim() === comment.body ? setTyped(undefined) : change.mutate(typed.trim()))}
          onLeave={() => setTyped(undefined)}
        />
      )}
      {asking && (
        <Confirm
          title="Delete the comment?"
          text="It goes for good: nothing brings a deleted comment back."
          action="Delete it"
          danger
          busy={remove.isPending}
          onConfirm={() => remove.mutate()}
          onClose={() => setAsking(false)}
        />
      )}
    </li>
  );
}
