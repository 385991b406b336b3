//! The check when a template is loaded: what it may say, and what it reads. All faults at once, each with its place.

use std::collections::HashSet;
use std::sync::Arc;

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::{Span, parse};
use minijinja::syntax::SyntaxConfig;

use super::fault::TemplateFault;
use super::plain::Plain;
use super::sink::Sink;
use super::uses::{Use, Uses};
use super::{Read, Scope, filters, operands, roots};
use crate::name::nearest;

const SLICE: &str = "slices are not allowed, as one of nothing would be `[]`: write `x | part(0, 8)` for `x[0:8]`";

const PRODUCT: &str = "`*` multiplies numbers, and would repeat a text or a list: \
                       write `| int` or `| float` behind what is no number for sure";

/// What to do about a secret where a model reads.
const ELSEWHERE: &str = "write it into the `headers` of a tool or a context variable, which carry it past the model";

/// What the check of a source found.
pub(super) struct Checked {
    pub(super) reads: Vec<Read>,
    pub(super) uses: Vec<Use>,
    /// Its parts, if it is a plain one.
    pub(super) plain: Option<Plain>,
}

/// Checks a source, and says what it reads.
pub(super) fn check(source: &str, sink: Sink, scope: Scope<'_>) -> Result<Checked, Vec<TemplateFault>> {
    let tree = parse(source, "template", SyntaxConfig::default())
        .map_err(|error| vec![TemplateFault::syntax(source, &error)])?;
    let mut checker = Checker {
        scope,
        sink,
        locals: vec![HashSet::new()],
        reads: Vec::new(),
        uses: Uses::default(),
        faults: Vec::new(),
    };
    checker.statement(&tree);
    let Checker { reads, uses, faults, .. } = checker;
    if faults.is_empty() {
        Ok(Checked { reads, uses: uses.into_found(), plain: Plain::of(&tree) })
    } else {
        Err(faults)
    }
}

struct Checker<'a> {
    scope: Scope<'a>,
    sink: Sink,
    /// Names set by the template itself, innermost last.
    locals: Vec<HashSet<String>>,
    reads: Vec<Read>,
    uses: Uses,
    faults: Vec<TemplateFault>,
}

impl Checker<'_> {
    fn fault(&mut self, span: Span, message: impl Into<String>) {
        self.faults.push(TemplateFault::at(span, message));
    }

    fn read(&mut self, read: Read) {
        if !self.reads.contains(&read) {
            self.reads.push(read);
        }
    }

    fn statements(&mut self, statements: &[Stmt<'_>]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        let refused = match statement {
            Stmt::Template(template) => return self.statements(&template.children),
            Stmt::EmitExpr(emit) => return self.expression(&emit.expr),
            Stmt::EmitRaw(_) => return,
            Stmt::IfCond(condition) => {
                let asked = self.asked(&condition.expr);
                self.statements(&condition.true_body);
                self.statements(&condition.false_body);
                return self.uses.forget(asked);
            }
            Stmt::ForLoop(each) => {
                self.guarded(&each.iter);
                self.locals.push(HashSet::from(["loop".to_owned()]));
                self.assign(&each.target);
                if let Some(filter) = &each.filter_expr {
                    self.expression(filter);
                }
                if each.recursive {
                    self.fault(each.span(), "a recursive `for` is not allowed");
                }
                self.statements(&each.body);
                self.locals.pop();
                return self.statements(&each.else_body);
            }
            Stmt::Set(set) => {
                self.expression(&set.expr);
                return self.assign(&set.target);
            }
            Stmt::SetBlock(block) => (block.span(), "a `set` block (use `set name = expression`)"),
            Stmt::WithBlock(block) => (block.span(), "`with`"),
            Stmt::AutoEscape(block) => (block.span(), "`autoescape` (each destination has its own escaping)"),
            Stmt::FilterBlock(block) => (block.span(), "a `filter` block (filter the expression instead)"),
            Stmt::Block(block) => (block.span(), "`block`"),
            Stmt::Import(import) => (import.span(), "`import`"),
            Stmt::FromImport(import) => (import.span(), "`import`"),
            Stmt::Extends(extends) => (extends.span(), "`extends`"),
            Stmt::Include(include) => (include.span(), "`include`"),
            Stmt::Macro(defined) => (defined.span(), "`macro`"),
            Stmt::CallBlock(call) => (call.span(), "`call`"),
            Stmt::Do(call) => (call.span(), "`do`"),
        };
        self.fault(
            refused.0,
            format!("{} is not allowed: templates have `if`, `for`, `set`, `raw` and expressions", refused.1),
        );
    }

    fn assign(&mut self, target: &Expr<'_>) {
        match target {
            Expr::Var(var) => {
                if self.is_root(var.id) {
                    self.fault(
                        var.span(),
                        format!("`{}` is a root and cannot be assigned: choose another name", var.id),
                    );
                } else if let Some(scope) = self.locals.last_mut() {
                    scope.insert(var.id.to_owned());
                }
            }
            Expr::List(list) => list.items.iter().for_each(|item| self.assign(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.assign(item)),
            other => self.fault(other.span(), "only a name can be assigned"),
        }
    }

    fn is_root(&self, name: &str) -> bool {
        self.roots().any(|root| root == name)
    }

    fn roots(&self) -> impl Iterator<Item = &str> {
        roots::all().map(|root| -> &str { root }).chain(self.scope.variables.iter().map(String::as_str))
    }

    fn expressions<'e, 's: 'e>(&mut self, expressions: impl IntoIterator<Item = &'e Expr<'s>>) {
        for expression in expressions {
            self.expression(expression);
        }
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) {
        for argument in arguments {
            match argument {
                CallArg::Pos(expr) | CallArg::Kwarg(_, expr) => self.expression(expr),
                CallArg::PosSplat(expr) | CallArg::KwargSplat(expr) => {
                    self.fault(expr.span(), "`*` arguments are not allowed");
                }
            }
        }
    }

    fn expression(&mut self, expression: &Expr<'_>) {
        match expression {
            Expr::Const(_) => {}
            Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_) => {
                if let Some((steps, _)) = self.steps(expression) {
                    self.uses.note(steps);
                }
                self.chain(expression);
            }
            Expr::Slice(slice) => {
                self.fault(slice.span(), SLICE);
                self.expression(&slice.expr);
                self.expressions([&slice.start, &slice.stop, &slice.step].into_iter().flatten());
            }
            Expr::UnaryOp(op) => self.expression(&op.expr),
            Expr::BinOp(op) => {
                if matches!(op.op, BinOpKind::Concat) {
                    self.fault(op.span(), "`~` is not allowed: write the parts side by side, or `[a, b] | join`");
                }
                if matches!(op.op, BinOpKind::Mul) && !operands::is_number(expression) {
                    self.fault(op.span(), PRODUCT);
                }
                if matches!(op.op, BinOpKind::ScAnd | BinOpKind::ScOr) {
                    let asked = self.asked(&op.left);
                    self.expression(&op.right);
                    return self.uses.forget(asked);
                }
                self.expressions([&op.left, &op.right]);
            }
            Expr::Compare(compare) => {
                self.expression(&compare.expr);
                self.expressions(compare.ops.iter().map(|op| &op.expr));
            }
            Expr::IfExpr(choice) => {
                let asked = self.asked(&choice.test_expr);
                self.expression(&choice.true_expr);
                self.expressions(choice.false_expr.as_ref());
                self.uses.forget(asked);
            }
            Expr::Filter(filter) => {
                self.listed("filter", filter.name, filter.span(), &filters::FILTERS, &[]);
                match &filter.expr {
                    Some(subject) if matches!(filter.name, "default" | "d") => self.guarded(subject),
                    subject => self.expressions(subject.as_ref()),
                }
                if !matches!(filter.name, "default" | "d") && filter.args.iter().any(operands::is_none) {
                    self.fault(filter.span(), "a filter of or with nothing is nothing: leave the argument `none` out");
                }
                self.arguments(&filter.args);
            }
            Expr::Test(test) => {
                self.listed("test", test.name, test.span(), &filters::TESTS, &filters::MORE_TESTS);
                self.guarded(&test.expr);
                self.arguments(&test.args);
            }
            Expr::Call(call) => self.fault(call.span(), "functions and methods cannot be called: use a filter"),
            Expr::List(list) => self.expressions(&list.items),
            Expr::Tuple(tuple) => self.expressions(&tuple.items),
            Expr::Map(map) => {
                self.expressions(&map.keys);
                self.expressions(&map.values);
            }
        }
    }

    /// A name, and what is read of it.
    fn chain(&mut self, expression: &Expr<'_>) {
        match expression {
            Expr::Var(var) => self.root(var.id, var.span()),
            Expr::GetAttr(attr) => match &attr.expr {
                Expr::Var(var) if !self.is_local(var.id) => self.member(var.id, var.span(), Some(attr.name)),
                inner => self.chain(inner),
            },
            Expr::GetItem(item) => {
                let key = item.subscript_expr.as_const();
                match &item.expr {
                    Expr::Var(var) if !self.is_local(var.id) => {
                        self.member(var.id, var.span(), key.as_ref().and_then(minijinja::Value::as_str));
                    }
                    inner => self.chain(inner),
                }
                self.expression(&item.subscript_expr);
            }
            other => self.expression(other),
        }
    }

    /// The path that is read, as far as the source says it, and whether it says all of it. None of what the template itself
    /// has set.
    fn steps(&self, expression: &Expr<'_>) -> Option<(Vec<Box<str>>, bool)> {
        let (inner, member) = match expression {
            Expr::Var(var) => return (!self.is_local(var.id)).then(|| (vec![var.id.into()], true)),
            Expr::GetAttr(attr) => (&attr.expr, Some(attr.name.to_owned())),
            Expr::GetItem(item) => {
                let key = item.subscript_expr.as_const();
                (&item.expr, key.filter(|key| key.as_str().is_some() || key.is_integer()).map(|key| key.to_string()))
            }
            _ => return None,
        };
        let (mut steps, whole) = self.steps(inner)?;
        let Some(member) = member.filter(|_| whole) else { return Some((steps, false)) };
        let is_header = matches!(steps.as_slice(), [root] if &**root == "headers");
        let name = if is_header { self.scope.schema.field(&member)?.name() } else { &member };
        steps.push(name.into());
        Some((steps, true))
    }

    /// An expression that may well be missing.
    fn guarded(&mut self, expression: &Expr<'_>) {
        self.uses.guard();
        self.expression(expression);
        self.uses.unguard();
    }

    /// A condition: what it asks for is guarded in what follows, until [`Uses::forget`].
    fn asked(&mut self, condition: &Expr<'_>) -> usize {
        let heard = self.uses.listen();
        self.guarded(condition);
        self.uses.learn(heard)
    }

    fn listed(&mut self, what: &str, name: &str, span: Span, listed: &[&str], more: &[&str]) {
        if listed.contains(&name) || more.contains(&name) {
            return;
        }
        let hint = nearest(name, listed.iter().copied());
        let hint =
            hint.map_or_else(|| format!("there are {}", listed.join(", ")), |near| format!("did you mean `{near}`?"));
        self.fault(span, format!("there is no {what} `{name}`: {hint}"));
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().any(|scope| scope.contains(name))
    }

    /// A root used whole.
    fn root(&mut self, name: &str, span: Span) {
        if !self.is_local(name) {
            self.member(name, span, None);
        }
    }

    /// A root, and the member that is read of it where the source says which.
    fn member(&mut self, root: &str, span: Span, member: Option<&str>) {
        match root {
            "headers" => self.header(span, member),
            "env" => self.env(span, member),
            "credentials" => self.credential(span, member),
            "args" if self.sink.is_model_visible() => {
                self.fault(
                    span,
                    "`args` is for the requests of tools: the model that reads this has just written them",
                );
            }
            "args" if !self.scope.args => self.fault(span, "`args` is not available here: only a tool has arguments"),
            "args" => self.read(Read::Root(roots::path(root, member))),
            _ if roots::OPEN.contains(&root) => self.read(Read::Root(roots::path(root, member))),
            _ if self.scope.variables.iter().any(|name| name == root) => self.read(Read::Variable(Arc::from(root))),
            _ => match roots::KNOWN.iter().find(|(name, _)| *name == root) {
                Some((_, members)) => match member {
                    Some(member) if !members.contains(&member) => {
                        let there = members.iter().map(|m| format!("`{root}.{m}`")).collect::<Vec<_>>().join(", ");
                        self.fault(span, format!("there is no `{root}.{member}`: there is {there}"));
                    }
                    _ => self.read(Read::Root(roots::path(root, member))),
                },
                None => {
                    let hint = self.instead(root);
                    self.fault(span, format!("there is no `{root}`: {hint}"));
                }
            },
        }
    }

    /// What somebody means who writes a root that there is not.
    fn instead(&self, unknown: &str) -> String {
        let declared = || self.scope.schema.field(unknown).map(|field| format!("headers.{}", field.name()));
        let known = || roots::with_member(unknown).map(|root| format!("{root}.{unknown}"));
        let near = || nearest(unknown, self.there()).map(ToOwned::to_owned);
        // In a tool, what has no root is most likely the model's to say.
        let has_arguments = self.scope.args && !self.sink.is_model_visible();
        let meant =
            declared().or_else(known).or_else(near).or_else(|| has_arguments.then(|| format!("args.{unknown}")));
        match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("roots are {}", self.there().collect::<Vec<_>>().join(", ")),
        }
    }

    /// The roots that can be read here.
    fn there(&self) -> impl Iterator<Item = &str> {
        let is_hidden = self.sink.is_model_visible();
        let is_there = move |root: &&str| match *root {
            "args" => !is_hidden && self.scope.args,
            "env" => !is_hidden && !self.scope.env.is_empty(),
            "credentials" => !is_hidden && !self.scope.credentials.is_empty(),
            _ => true,
        };
        self.roots().filter(is_there)
    }

    fn header(&mut self, span: Span, member: Option<&str>) {
        let Some(name) = member else {
            return self.fault(span, "`headers` can be used only as `headers.name` or `headers['name']`");
        };
        let Some(field) = self.scope.schema.field(name) else {
            let hint = self.scope.schema.nearest(name).map(|near| format!("did you mean `headers.{near}`?"));
            let hint = hint.unwrap_or_else(|| "declare it under `headers.properties`".to_owned());
            return self.fault(span, format!("the header `{name}` is not declared: {hint}"));
        };
        let (name, secret) = (field.shared_name(), field.is_secret());
        if secret && self.sink.is_model_visible() {
            let message =
                format!("`headers.{name}` is a secret (`writeOnly`), and a model would read it here: {ELSEWHERE}");
            self.fault(span, message);
        }
        self.read(Read::Header { name, secret });
    }

    fn env(&mut self, span: Span, member: Option<&str>) {
        if self.sink.is_model_visible() {
            return self.fault(span, format!("`env` is not for what a model reads: {ELSEWHERE}"));
        }
        match member {
            Some(name) if self.scope.env.iter().any(|listed| listed == name) => {
                self.read(Read::Root(roots::path("env", member)));
            }
            Some(name) => self.fault(span, format!("`env.{name}` is not listed: add `{name}` to `env:`")),
            None => self.fault(span, "`env` can be used only as `env.NAME`"),
        }
    }

    fn credential(&mut self, span: Span, member: Option<&str>) {
        if self.sink.is_model_visible() {
            return self.fault(span, format!("`credentials` is not for what a model reads: {ELSEWHERE}"));
        }
        match member {
            Some(name) if self.scope.credentials.iter().any(|listed| listed == name) => {
                self.read(Read::Root(roots::path("credentials", member)));
            }
            Some(name) => {
                let hint = nearest(name, self.scope.credentials.iter().map(String::as_str));
                let hint = hint.map_or_else(
                    || format!("add `{name}` to `credentials:`"),
                    |near| format!("did you mean `credentials.{near}`?"),
                );
                self.fault(span, format!("there is no `credentials.{name}`: {hint}"));
            }
            None => self.fault(span, "`credentials` can be used only as `credentials.NAME`"),
        }
    }
}
