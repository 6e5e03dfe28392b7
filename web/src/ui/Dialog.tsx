// A modal dialog: the browser's own, which traps focus, closes on Escape and needs no style injected.
import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ReactNode;
  foot?: ReactNode;
  small?: boolean;
  /** For what must be answered: neither Escape nor a click beside it closes it. */
  firm?: boolean;
}

export function Dialog({ title, onClose, children, foot, small, firm }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    // Where focus was is where it goes back to when the dialog is gone.
    const before = document.activeElement;
    if (dialog && !dialog.open) dialog.showModal();
    // What one came to fill in, rather than the button that closes.
    const fields = dialog?.querySelectorAll<HTMLInputElement>(
      ".dialog-body :is(input, select, textarea):not([hidden])",
    );
    const empty = [...(fields ?? [])].find((field) => field.value === "") ?? fields?.[0];
    empty?.focus();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it; the click is for pointers on the backdrop.
    <dialog
      ref={ref}
      className={small ? "dialog small" : "dialog"}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (!firm) onClose();
      }}
      onClick={(event) => {
        if (event.target === ref.current && !firm) onClose();
      }}
    >
      <div className="dialog-head">
        <h1 id={id} className="grow">
          {title}
        </h1>
        {!firm && (
          <button type="button" className="button small quiet icon" aria-label="Close" onClick={onClose}>
            <X />
          </button>
        )}
      </div>
      <div className="dialog-body">{children}</div>
      {foot && <div className="dialog-foot">{foot}</div>}
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  text: ReactNode;
  action: string;
  danger?: boolean;
  busy?: boolean;
  onConfirm: () => void;
  onClose: () => void;
}

export function Confirm({ title, text, action, danger, busy, onConfirm, onClose }: ConfirmProps) {
  return (
    <Dialog
      small
      title={title}
      onClose={onClose}
      foot={
        <>
          <button type="button" className="button" onClick={onClose}>
            Keep
          </button>
          <button
            type="button"
            className={danger ? "button danger" : "button primary"}
            disabled={busy}
            onClick={onConfirm}
          >
            {action}
          </button>
        </>
      }
    >
      <div className="muted">{text}</div>
    </Dialog>
  );
}
