//! Columns for people: Chinese and Latin text side by side on a terminal, and times.

use chrono::{DateTime, Utc};
use medrelay_core::time::Timestamp;

/// A moment to the minute, in UTC.
pub(super) fn moment(at: Timestamp) -> String {
    let time = DateTime::<Utc>::from_timestamp_micros(at.micros()).unwrap_or_default();
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// Lays rows out under their headings, two spaces between columns, each line indented by two.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| width(cell)).chain([width(heading)]).max().unwrap_or_default()
        })
        .collect();
    let headings: Vec<String> = headings.iter().map(ToString::to_string).collect();
    let mut text = line(&headings, &widths);
    for row in rows {
        text.push_str(&line(row, &widths));
    }
    text
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> = cells
        .iter()
        .zip(widths)
        .map(|(cell, &wide)| format!("{cell}{}", " ".repeat(wide.saturating_sub(width(cell)))))
        .collect();
    format!("  {}\n", padded.join("  ").trim_end())
}

/// Columns of a terminal that a text takes: characters of East Asian scripts take two.
fn width(text: &str) -> usize {
    text.chars().map(|c| if c >= '\u{2e80}' { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_and_latin_cells_line_up() {
        let rows =
            [vec!["青山".to_owned(), "1".to_owned()], vec!["abcde".to_owned(), "2".to_owned()]];
        assert_eq!(moment(Timestamp::from_micros(1_767_576_600_000_000)), "2026-01-05 01:30 UTC");
        assert_eq!(table(&["name", "n"], &rows), "  name   n\n  青山   1\n  abcde  2\n");
    }
}
