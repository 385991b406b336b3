//! The body of a request: JSON that is built from leaves, or a form.

use std::fmt;

use bytes::Bytes;
use serde_json::Value as Json;

use super::not_sent::{NotSent, NotSentReason};
use super::place::{RequestFault, RequestPlace};
use super::{Parameter, Which, missing, pairs, parameters, rendered};
use crate::egress::TextSource;
use crate::template::{Rendered, Scope, Sink, Template, View, is_one_expression};

/// Bytes that a body may have.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// The body of a request, as the configuration or a program says it. `Debug` shows no value: there may be a key in it.
#[derive(Clone, Default)]
pub enum BodySource<'a> {
    /// None.
    #[default]
    None,
    /// JSON. Its texts are templates, wherever they stand; the names of its members are not.
    Json(&'a Json),
    /// A form: `application/x-www-form-urlencoded`.
    Form(Vec<(&'a str, TextSource<'a>)>),
}

impl fmt::Debug for BodySource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Json(_) => "Json(…)",
            Self::Form(_) => "Form(…)",
        })
    }
}

/// A checked body.
pub(super) enum Body {
    None,
    Json(Node),
    Form(Vec<Parameter>),
}

/// A part of a JSON body.
pub(super) enum Node {
    /// JSON without any expression, as it goes out.
    Fixed(Box<str>),
    /// One expression: it keeps its type.
    Value(Leaf),
    /// A text with expressions in it.
    Text(Leaf),
    List(Box<[Self]>),
    /// Each name as it is written in JSON.
    Object(Box<[(Box<str>, Self)]>),
}

pub(super) struct Leaf {
    pointer: Box<str>,
    template: Template,
}

impl Leaf {
    fn place(&self) -> RequestPlace {
        RequestPlace::Body(self.pointer.to_string())
    }
}

impl Body {
    pub(super) fn compile(source: BodySource<'_>, scope: Scope<'_>, faults: &mut Vec<RequestFault>) -> Self {
        match source {
            BodySource::None => Self::None,
            BodySource::Json(json) => Self::Json(node(json, &mut String::new(), scope, faults)),
            BodySource::Form(fields) => Self::Form(parameters(fields, RequestPlace::Form, scope, faults)),
        }
    }

    pub(super) fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Json(_) => Some("application/json"),
            Self::Form(_) => Some("application/x-www-form-urlencoded"),
        }
    }

    pub(super) fn templates(&self, which: Which) -> impl Iterator<Item = (RequestPlace, &Template)> {
        let mut found = Vec::new();
        match self {
            Self::None => {}
            Self::Json(node) => node.templates(which, &mut found),
            Self::Form(fields) => {
                found.extend(fields.iter().map(|field| (RequestPlace::Form(field.name.to_string()), &field.value)));
            }
        }
        found.into_iter()
    }

    pub(super) fn render(&self, view: &View) -> Result<Option<Bytes>, NotSent> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Json(node) => {
                let mut out = String::new();
                node.render(view, &mut out)?;
                out
            }
            Self::Form(fields) => pairs(fields, RequestPlace::Form, view)?.as_str().to_owned(),
        };
        if text.len() > MAX_BODY {
            return Err(too_large(RequestPlace::Body(String::new())));
        }
        Ok(Some(text.into()))
    }
}

fn too_large(place: RequestPlace) -> NotSent {
    NotSent::new(NotSentReason::TooLarge, place, format!("would have more than {MAX_BODY} bytes"))
}

fn node(json: &Json, pointer: &mut String, scope: Scope<'_>, faults: &mut Vec<RequestFault>) -> Node {
    let length = pointer.len();
    let made = match json {
        Json::String(text) => leaf(text, pointer, scope, faults),
        Json::Array(items) => {
            let mut nodes = Vec::with_capacity(items.len());
            for (at, item) in items.iter().enumerate() {
                pointer.push_str(&format!("/{at}"));
                nodes.push(node(item, pointer, scope, faults));
                pointer.truncate(length);
            }
            Node::List(nodes.into())
        }
        Json::Object(members) => {
            let mut nodes = Vec::with_capacity(members.len());
            for (name, member) in members {
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                nodes.push((quoted(name).into(), node(member, pointer, scope, faults)));
                pointer.truncate(length);
            }
            Node::Object(nodes.into())
        }
        fixed => Node::Fixed(fixed.to_string().into()),
    };
    let is_fixed = match &made {
        Node::List(items) => items.iter().all(|item| matches!(item, Node::Fixed(_))),
        Node::Object(members) => members.iter().all(|(_, member)| matches!(member, Node::Fixed(_))),
        _ => false,
    };
    if is_fixed { Node::Fixed(json.to_string().into()) } else { made }
}

fn leaf(text: &str, pointer: &str, scope: Scope<'_>, faults: &mut Vec<RequestFault>) -> Node {
    // Block scalars of YAML end with a line break, which is no part of an expression.
    let one = text.trim();
    let one_expression = is_one_expression(one);
    let compiled = if one_expression {
        Template::compile(one, Sink::Json, scope)
    } else {
        Template::compile(text, Sink::Text, scope)
    };
    match compiled {
        // What has no expression goes out as it was written, to the last line break.
        Ok(template) if template.as_literal().is_some() => Node::Fixed(quoted(text).into()),
        Ok(template) => {
            let leaf = Leaf { pointer: pointer.into(), template };
            if one_expression { Node::Value(leaf) } else { Node::Text(leaf) }
        }
        Err(found) => {
            let place = RequestPlace::Body(pointer.to_owned());
            faults.extend(found.into_iter().map(|fault| RequestFault::template(&place, fault)));
            Node::Fixed("null".into())
        }
    }
}

/// A text as JSON writes it.
fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

impl Node {
    fn templates<'a>(&'a self, which: Which, found: &mut Vec<(RequestPlace, &'a Template)>) {
        match self {
            Self::Fixed(_) => {}
            Self::Value(leaf) | Self::Text(leaf) => found.push((leaf.place(), &leaf.template)),
            Self::List(items) => items.iter().for_each(|item| item.templates(which, found)),
            Self::Object(members) => {
                let members = members.iter().map(|(_, member)| member);
                let wanted = members.filter(|member| which == Which::All || !member.may_be_left_out());
                wanted.for_each(|member| member.templates(which, found));
            }
        }
    }

    /// As a member of an object: one expression, and not made of a secret.
    fn may_be_left_out(&self) -> bool {
        matches!(self, Self::Value(leaf) if !leaf.template.names_secret())
    }

    fn render(&self, view: &View, out: &mut String) -> Result<(), NotSent> {
        match self {
            Self::Fixed(json) => out.push_str(json),
            Self::Value(leaf) => out.push_str(&rendered(&leaf.template, view, || leaf.place())?),
            Self::Text(leaf) => out.push_str(&quoted(&rendered(&leaf.template, view, || leaf.place())?)),
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.render(view, out)?;
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                let mut first = true;
                for (name, member) in members {
                    let before = out.len();
                    if !first {
                        out.push(',');
                    }
                    out.push_str(name);
                    out.push(':');
                    if member.render_member(view, out)? {
                        first = false;
                    } else {
                        out.truncate(before);
                    }
                }
                out.push('}');
            }
        }
        if out.len() > MAX_BODY {
            return Err(too_large(RequestPlace::Body(String::new())));
        }
        Ok(())
    }

    /// A member, unless it is one expression without a value: that is left out. Made of a secret, it stops the call.
    fn render_member(&self, view: &View, out: &mut String) -> Result<bool, NotSent> {
        let Self::Value(leaf) = self else { return self.render(view, out).map(|()| true) };
        let view = view.for_sink(Sink::Json);
        match leaf.template.render(&view) {
            Ok(Rendered::Text(json)) => out.push_str(&json),
            Ok(Rendered::Missing) if self.may_be_left_out() => return Ok(false),
            Ok(Rendered::Missing) => return Err(missing(&leaf.template, &view, leaf.place())),
            Err(error) => return Err(NotSent::failed(leaf.place(), &error)),
        }
        Ok(true)
    }
}
