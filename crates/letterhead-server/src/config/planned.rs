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
}

/// In a place, `*` stands for any one segment.
const TABLE: &[Planned] = &[
    Planned { place: "/external_agents", form: Form::Any, what: "agents behind A2A" },
    Planned { place: "/history", form: Form::Any, what: "shortening of long conversations" },
    Planned { place: "/agents/*/delegates/*", form: Form::Map, what: "delegates that see the conversation" },
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, Planned, find};
    use crate::config::pointer::Pointer;

    #[test]
    fn a_star_is_one_segment() {
        let row = Planned { place: "/agents/*/delegates/*", form: Form::Map, what: "" };
        let is_at = |place: &str| row.is_at(&Pointer::from(place));
        assert!(is_at("/agents/a/delegates/0"));
        assert!(!is_at("/agents/a/b/delegates/0"));
        assert!(!is_at("/agents/delegates/0"));
        assert!(!is_at("/agents/a/delegates"));
        assert!(find(&Pointer::from("/agents/a/delegates/0"), None).is_none(), "it is the map that is planned");
        assert!(find(&Pointer::from("/store"), None).is_none());
    }
}
