//! What of outputs a run holds: how long they are together, and which are still in their blobs.

use crate::graph::{Node, NodeState, OnError, StepKey};
use crate::run::journal;
use crate::run::state::{Row, RunState, What};
use serde_json::Value;
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_store::Tx;

/// Most that the outputs of a run's nodes and children come to which it may still look at, in bytes of JSON.
pub(crate) const MAX_HELD: usize = 64 * 1024 * 1024;

impl RunState {
    /// Notes how long an output is, and whether it is only the name of its blob.
    pub(super) fn weigh(&mut self, key: StepKey, output: &Value, away: bool) {
        self.weights.insert(key.clone(), journal::weight(output, away));
        match away {
            true => self.away.insert(key),
            false => self.away.remove(&key),
        };
    }

    /// Fails once the outputs that the run holds are longer together than one may hold.
    pub fn check_weight(&self) -> Result<()> {
        let sum = self
            .weights
            .values()
            .fold(0, |sum: usize, weight| sum.saturating_add(*weight));
        match sum > MAX_HELD {
            true => Err(Error::too_large("sum of a run's outputs", "64 MiB")),
            false => Ok(()),
        }
    }

    /// How long the outputs of a step's children are together, in bytes of JSON.
    pub fn weight_of_children(&self, key: &StepKey) -> usize {
        let is_child = |other: &StepKey| other.node == key.node && other.parent().as_ref() == Some(key);
        let weights = self.weights.iter().filter(|(other, _)| is_child(other));
        weights.fold(0, |sum: usize, (_, weight)| sum.saturating_add(*weight))
    }

    /// Whether taking this row in looks at outputs: a failure tells its branch what the step was given.
    pub fn looks_at_outputs(&self, row: &Row) -> bool {
        let fails = matches!(row.what, What::Failed { retry_at: None, .. });
        let branches = |node: &Node| node.on_error == OnError::Branch;
        fails && self.head.graph.nodes().get(row.key.node).is_some_and(branches)
    }

    /// Fetches the outputs that are still in their blobs, but for those of children whose step is done.
    ///
    /// # Errors
    /// `too_large` for more than a run may hold.
    pub async fn bring(&mut self, tx: &Tx) -> Result<()> {
        let done = |state: &Self, key: &StepKey| {
            let parent = key.parent();
            parent.is_some_and(|parent| matches!(state.frontier.state(&parent), Some(NodeState::Done { .. })))
        };
        let wanted: Vec<StepKey> = self.away.iter().filter(|key| !done(self, key)).cloned().collect();
        self.fetch(tx, wanted).await
    }

    /// As [`RunState::bring`], for the children of a step, done or not.
    pub async fn bring_children(&mut self, tx: &Tx, key: &StepKey) -> Result<()> {
        let is_child = |other: &&StepKey| other.parent().as_ref() == Some(key);
        let wanted: Vec<StepKey> = self.away.iter().filter(is_child).cloned().collect();
        self.fetch(tx, wanted).await
    }

    async fn fetch(&mut self, tx: &Tx, wanted: Vec<StepKey>) -> Result<()> {
        if wanted.is_empty() {
            return Ok(());
        }
        self.check_weight()?;
        for key in wanted {
            self.away.remove(&key);
            let Some((parent, name)) = key.parent().zip(key.child_name()) else {
                if let Some(output) = self.outputs.get_mut(&key.node) {
                    *output = Arc::new(journal::fetch(tx, (**output).clone()).await?);
                }
                continue;
            };
            let children = self.children.get_mut(&parent).map(Arc::make_mut);
            if let Some(Ok(output)) = children.and_then(|all| Some(&mut all.0.get_mut(name)?.result)) {
                *output = Arc::new(journal::fetch(tx, (**output).clone()).await?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{IterationPath, compile};
    use crate::nodes::Catalog;
    use crate::run::state::RunHead;
    use chrono::Utc;
    use serde_json::json;
    use synapscale_core::{Actor, TenantId};
    use uuid::Uuid;

    fn state() -> RunState {
        let mut nodes = json!({ "start": { "kind": "trigger.manual" } });
        for node in 0..70 {
            nodes[format!("n{node}")] = json!({ "kind": "set", "after": "start", "with": {} });
        }
        let graph = compile(&json!({ "name": "wide", "nodes": nodes }), &Catalog).expect("a graph");
        RunState::new(RunHead {
            id: Uuid::nil(),
            tenant: TenantId(Uuid::nil()),
            graph_id: Uuid::nil(),
            entry: graph.index("start").expect("a trigger"),
            graph: Arc::new(graph),
            input: Arc::new(Value::Null),
            workflow: None,
            principal: Actor::SYSTEM,
            on_behalf_of: None,
            priority: 0,
            correlation: Uuid::nil(),
            private_to: None,
            parent: None,
            depth: 0,
            created_at: chrono::DateTime::<Utc>::UNIX_EPOCH,
        })
    }

    #[test]
    fn what_a_run_holds_has_an_end() {
        let mut state = state();
        let output = Arc::new(Value::String("x".repeat(1024 * 1024)));
        let done = |output: &Arc<Value>| What::Completed {
            port: "out".to_owned(),
            output: output.clone(),
        };
        let at = state.head.created_at;
        let key = |state: &RunState, id: &str| StepKey::root(state.head.graph.index(id).expect("a node"));
        for node in 0..64 {
            assert!(state.check_weight().is_ok(), "{node}");
            let key = key(&state, &format!("n{node}"));
            state.record(key, 1, done(&output), at);
        }
        assert_eq!(state.check_weight().expect_err("too much").code(), "too_large");
        // What takes the place of another counts alone; so does what is only named.
        let key = key(&state, "n0");
        assert!(state.weight_of_children(&key) == 0 && key.path == IterationPath::default());
        state.record(key, 2, done(&Arc::new(Value::Null)), at);
        assert!(state.check_weight().is_ok());
    }

    #[test]
    fn a_step_knows_what_its_children_weigh() {
        let mut state = state();
        let key = StepKey::root(1);
        for name in ["i0", "i1"] {
            let output = Arc::new(json!({ "$blob": Uuid::nil(), "size": 1_000 }));
            state.weigh(key.child(name), &output, true);
        }
        assert_eq!(state.weight_of_children(&key), 2_000);
        assert_eq!(state.away.len(), 2);
        assert_eq!(state.weight_of_children(&StepKey::root(2)), 0);
    }
}
