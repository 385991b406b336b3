//! Rows as people read them: in columns.

use unicode_width::UnicodeWidthStr;

use super::paint::{Paint, printable};

/// Columns of equal width, two blanks apart, the headings dim.
pub(super) fn table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    paint: Paint,
) -> String {
    let rows: Vec<[String; N]> = rows.into_iter().map(|row| row.map(|cell| printable(&cell))).collect();
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(at, heading)| {
            let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.width());
            cells.fold(heading.width(), usize::max)
        })
        .collect();
    let line = |cells: &[&str]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| {
            let blanks = " ".repeat(width.saturating_sub(cell.width()));
            format!("{cell}{blanks}")
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text = paint.dim(&line(&headings));
    text.push('\n');
    for row in &rows {
        text.push_str(&line(&row.each_ref().map(String::as_str)));
        text.push('\n');
    }
    text
}

/// A day, as rows have it.
pub(super) fn day(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    time.to_string().get(..10).unwrap_or_default().to_owned()
}
