//! What operators and filters are given, as far as the source says it.

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, UnaryOpKind};
use minijinja::value::ValueKind;

/// Is it a number, or else a failure, whatever the values? A product with anything else could be a text or a list many times
/// over.
pub(super) fn is_number(expression: &Expr<'_>) -> bool {
    match expression {
        Expr::Const(constant) => constant.value.kind() == ValueKind::Number,
        Expr::UnaryOp(op) => matches!(op.op, UnaryOpKind::Neg),
        Expr::BinOp(op) => match op.op {
            // These two also put texts and lists together.
            BinOpKind::Add | BinOpKind::Mul => is_number(&op.left) && is_number(&op.right),
            BinOpKind::Sub | BinOpKind::Div | BinOpKind::FloorDiv | BinOpKind::Rem | BinOpKind::Pow => true,
            _ => false,
        },
        Expr::IfExpr(choice) => is_number(&choice.true_expr) && choice.false_expr.as_ref().is_none_or(is_number),
        Expr::Filter(filter) => match filter.name {
            "abs" | "count" | "length" | "round" => true,
            // What cannot be converted becomes their default.
            "float" | "int" => filter.args.iter().all(is_number_given),
            "d" | "default" => {
                filter.expr.as_ref().is_some_and(is_number) && filter.args.first().is_some_and(is_number_given)
            }
            _ => false,
        },
        _ => false,
    }
}

fn is_number_given(argument: &CallArg<'_>) -> bool {
    matches!(argument, CallArg::Pos(expression) | CallArg::Kwarg(_, expression) if is_number(expression))
}

/// Is it the word `none`?
pub(super) fn is_none(argument: &CallArg<'_>) -> bool {
    let (CallArg::Pos(expression) | CallArg::Kwarg(_, expression)) = argument else { return false };
    matches!(expression, Expr::Const(constant) if constant.value.is_none())
}
