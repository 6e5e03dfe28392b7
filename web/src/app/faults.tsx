import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { Compass } from "lucide-react";
import { asApiError } from "@/api/problem";
import { ProblemPage } from "@/ui/Problem";
import { Empty } from "@/ui/parts";

export function NotFound() {
  return (
    <Empty
      icon={<Compass aria-hidden />}
      title="There is no such page"
      action={
        <Link to="/" className="button">
          Go home
        </Link>
      }
    >
      The address may be mistyped, or what it named was deleted.
    </Empty>
  );
}

export function RouteFault({ error, reset }: ErrorComponentProps) {
  return (
    <ProblemPage
      error={error}
      what="This page could not be shown"
      onRetry={asApiError(error).code === "page_missing" ? () => location.reload() : reset}
    />
  );
}
