//! Tables that can be read by people (Markdown) and by programs (JSON).

use std::fmt;

use serde_json::{Map, Value, json};

use crate::stats::Spread;

/// What one place of a table shows, and the number behind it.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    value: Value,
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { value: Value::from(text.clone()), text }
    }

    /// A place with nothing to show.
    pub(crate) fn none() -> Self {
        Self { text: "–".to_owned(), value: Value::Null }
    }

    pub(crate) fn count(count: usize) -> Self {
        Self { text: count.to_string(), value: Value::from(count) }
    }

    /// A number with its unit, with as many decimals as it deserves.
    pub(crate) fn amount(number: f64, unit: &str) -> Self {
        Self { text: format!("{} {unit}", short(number)), value: json!({ "value": number, "unit": unit }) }
    }

    /// The median in bold between the extremes.
    pub(crate) fn spread(spread: Spread, unit: &str) -> Self {
        let Spread { min, median, max } = spread;
        Self {
            text: format!("{} · **{}** · {} {unit}", short(min), short(median), short(max)),
            value: json!({ "min": min, "median": median, "max": max, "unit": unit }),
        }
    }
}

fn short(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// A title, a head, rows of the head's length, and what has to be known to read them.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<Cell>>,
    pub(crate) note: String,
}

impl Table {
    /// The rows as objects with the head's names.
    pub(crate) fn to_json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let members = self.head.iter().zip(row).map(|(name, cell)| ((*name).to_owned(), cell.value.clone()));
                Value::Object(members.collect::<Map<_, _>>())
            })
            .collect();
        json!({ "title": self.title, "note": self.note, "rows": rows })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "### {}\n", self.title)?;
        writeln!(out, "| {} |", self.head.join(" | "))?;
        let rules: Vec<&str> = (0..self.head.len()).map(|n| if n == 0 { "---" } else { "---:" }).collect();
        writeln!(out, "| {} |", rules.join(" | "))?;
        for row in &self.rows {
            let texts: Vec<&str> = row.iter().map(|cell| cell.text.as_str()).collect();
            writeln!(out, "| {} |", texts.join(" | "))?;
        }
        writeln!(out, "\n{}", self.note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_two_readers() {
        let table = Table {
            title: "T".into(),
            head: vec!["a", "b", "c"],
            rows: vec![vec![Cell::text("x"), Cell::amount(12.345, "µs"), Cell::none()]],
            note: "N".into(),
        };
        assert_eq!(table.to_string(), "### T\n\n| a | b | c |\n| --- | ---: | ---: |\n| x | 12.3 µs | – |\n\nN\n");
        assert_eq!(table.to_json()["rows"][0], json!({ "a": "x", "b": { "value": 12.345, "unit": "µs" }, "c": null }));
    }
}
