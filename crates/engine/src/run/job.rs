//! The product's own background jobs: runs in the system tenant, one for each turn of their period however many processes
//! there are, journalled and tried again like any other.

use crate::engine::Engine;
use crate::run::direct::named_id;
use crate::run::model::NewRun;
use serde_json::{Value, json};
use std::time::Duration;
use synapscale_core::{Ctx, Result, SYSTEM_TENANT};

/// A job that comes back.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// The operation that does it, with no input.
    pub operation: &'static str,
    /// How often.
    pub every: Duration,
}

impl Job {
    /// The number of the turn that the time `now_ms` (milliseconds of the Unix epoch) falls into.
    pub fn turn(&self, now_ms: i64) -> i64 {
        let every = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX).max(1);
        now_ms.div_euclid(every)
    }
}

impl Engine {
    /// Starts the run of a job's turn; false when there is one already, of this process or another.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start_job(&self, job: Job, turn: i64) -> Result<bool> {
        let run_id = named_id(&format!("job\n{}\n{turn}", job.operation));
        let ctx = Ctx::system(self.store().clock().clone()).system_in(SYSTEM_TENANT);
        let started = self
            .store()
            .write(&ctx, |tx| {
                let engine = self.clone();
                async move {
                    let graph_id = engine.put_graph(&tx, &graph(job.operation)).await?;
                    let new = NewRun {
                        id: Some(run_id),
                        graph_id,
                        trigger: "turn".to_owned(),
                        input: json!({ "turn": turn }),
                        workflow: None,
                        principal: tx.ctx().actor(),
                        on_behalf_of: None,
                        priority: 0,
                        correlation: None,
                        private_to: None,
                        parent: None,
                        cause: None,
                    };
                    engine.start(&tx, new).await
                }
            })
            .await;
        match started {
            Ok(_) => Ok(true),
            Err(error) if error.code() == "already_exists" => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn graph(operation: &str) -> Value {
    json!({
        "name": "job",
        "retry": { "max_attempts": 5, "initial_delay_ms": 1000 },
        "nodes": {
            "turn": { "kind": "trigger.manual@1" },
            "work": { "kind": "operation@1", "after": "turn", "with": { "operation": operation, "input": {} } },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_one_another_on_every_process_alike() {
        let job = Job {
            operation: "x",
            every: Duration::from_secs(60),
        };
        assert_eq!(
            [job.turn(0), job.turn(59_999), job.turn(60_000), job.turn(-1)],
            [0, 0, 1, -1]
        );
    }
}
