//! What every layer shares and none owns: ids, context, grants, effects, events, errors and the clock.
//! No I/O happens here.

mod clock;
mod ctx;
mod effect;
mod error;
mod event;
mod grants;
mod ids;
pub mod net;

pub use clock::{Clock, TestClock};
pub use ctx::{Actor, ActorKind, Channel, Ctx, Origin, Privilege};
pub use effect::Effect;
pub use error::{Error, ErrorKind, FieldError, Result};
pub use event::{Change, Changes, EventKind, EventPayload, NewEvent, diff};
pub use grants::{Grants, PatternError, PermissionSet};
pub use ids::{SYSTEM_TENANT, TenantId, new_id};
