//! The operations of this domain.

mod approvals;
mod hooks;
mod many;
mod runs;
mod workflows;

use crate::{Flows, catalog, triggers};
use synapscale_ops::Operation;

/// All of them, in the order of lists and documents.
pub(crate) fn all(flows: &Flows) -> Vec<Operation> {
    let mut all = workflows::all(flows);
    all.extend(runs::all(flows));
    all.extend(many::all(flows));
    all.extend(approvals::all(flows));
    all.extend(hooks::all(flows));
    all.extend(triggers::ops::all(flows));
    all.extend(catalog::all(flows));
    all
}
