//! What this crate's operations show of its tables; `synapscale db check` holds it against schemas and entities.

use crate::view::{ServerView, ToolView};
use synapscale_ops::{Faces, View};

pub(crate) fn faces() -> Faces {
    Faces::default()
        .view(
            View::of::<ServerView>("mcp_servers")
                .made_of(&[
                    ("secrets", &["secret_names", "secrets_sealed"]),
                    ("tools", &["tool_count"]),
                    ("unusable", &["unusable_count"]),
                ])
                .computed(&["health"]),
        )
        .view(
            View::of::<ToolView>("mcp_tool_lists")
                .made_of(&[
                    ("tool", &["tools"]),
                    ("title", &["tools"]),
                    ("description", &["tools"]),
                    ("effect", &["tools"]),
                    ("destructive", &["tools"]),
                    ("usable", &["tools"]),
                    ("problem", &["tools"]),
                    ("input_schema", &["tools"]),
                    ("output_schema", &["tools"]),
                ])
                .computed(&["name", "wire_name", "server", "always_ask", "health"]),
        )
        .hidden("mcp_tool_lists", &["id"])
        .assembled(&["mcp.call", "mcp.servers.delete", "mcp.servers.test"])
}
