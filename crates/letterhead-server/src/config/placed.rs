//! A value that knows where it stands.

use super::pointer::Pointer;

/// A value of the configuration, and its place in the file: what finds a fault of it later can mark it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub pointer: Pointer,
}

impl<T> Placed<T> {
    pub(super) fn new(value: T, pointer: &Pointer) -> Self {
        Self { value, pointer: pointer.clone() }
    }
}
