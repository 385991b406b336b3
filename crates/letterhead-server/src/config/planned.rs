//! What belongs to the design but not to this version, so that a key of tomorrow is not called unknown today.

use super::{
    pointer::Pointer,
    tree::{Node, Value},
};

/// A key, or a form of a value, of a later release. That release deletes the row.
pub(super) struct Planned {
    place: &'static str,
    form: Form,
    /// What it is for.
    pub(super) what: &'static str,
}

enum Form {
    /// The key itself, whatever its value.
    Any,
    /// A map, where this version takes a name.
    Map,
    /// A text that begins so.
    Text(&'static str),
}

/// In a place, `*` stands for any one segment.
const TABLE: &[Planned] = &[
    Planned { place: "/context", form: Form::Any, what: "context variables" },
    Planned { place: "/tools", form: Form::Any, what: "tools that call an HTTP API" },
    Planned { place: "/mcp_servers", form: Form::Any, what: "tools of MCP servers" },
    Planned { place: "/external_agents", form: Form::Any, what: "agents behind A2A" },
    Planned { place: "/history", form: Form::Any, what: "shortening of long conversations" },
    Planned { place: "/egress", form: Form::Any, what: "rules for private addresses" },
    Planned { place: "/credentials", form: Form::Any, what: "credentials from files" },
    Planned { place: "/auth/jwt", form: Form::Any, what: "verification of tokens" },
    Planned { place: "/sessions/lease", form: Form::Any, what: "several nodes on one store" },
    Planned { place: "/limits/requests_per_minute", form: Form::Any, what: "limits per caller" },
    Planned { place: "/limits/concurrent_turns", form: Form::Any, what: "limits per caller" },
    Planned { place: "/agents/*/output", form: Form::Any, what: "structured output" },
    Planned { place: "/agents/*/tools", form: Form::Any, what: "tools of agents" },
    Planned { place: "/agents/*/delegates/*", form: Form::Map, what: "delegates that see the conversation" },
    Planned { place: "/store", form: Form::Text("postgres://"), what: "the PostgreSQL store" },
    Planned { place: "/store", form: Form::Text("postgresql://"), what: "the PostgreSQL store" },
];

/// The row for a place that this version does not take.
pub(super) fn find(pointer: &Pointer, node: Option<&Node>) -> Option<&'static Planned> {
    TABLE.iter().find(|planned| planned.is_at(pointer) && planned.form.fits(node))
}

impl Planned {
    /// Whether the key itself is of a later release, rather than a form of its value.
    pub(super) fn is_key(&self) -> bool {
        matches!(self.form, Form::Any)
    }

    fn is_at(&self, pointer: &Pointer) -> bool {
        let mut wanted = self.place.split('/').skip(1);
        pointer.segments().all(|segment| wanted.next().is_some_and(|want| want == "*" || want == segment))
            && wanted.next().is_none()
    }
}

impl Form {
    fn fits(&self, node: Option<&Node>) -> bool {
        match self {
            Self::Any => true,
            Self::Map => node.is_some_and(|node| matches!(node.value, Value::Map(_))),
            Self::Text(begin) => node.and_then(Node::scalar).is_some_and(|scalar| scalar.text.starts_with(begin)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::find;
    use crate::config::pointer::Pointer;

    #[test]
    fn a_star_is_one_segment() {
        assert!(find(&Pointer::from("/agents/a/tools"), None).is_some());
        assert!(find(&Pointer::from("/agents/a/b/tools"), None).is_none());
        assert!(find(&Pointer::from("/agents/tools"), None).is_none());
        assert!(find(&Pointer::from("/agents/a/delegates/0"), None).is_none());
        assert!(find(&Pointer::from("/store"), None).is_none());
    }
}
