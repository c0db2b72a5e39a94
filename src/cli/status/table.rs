//! Owns: the table of many tokens: a summary first, the worst next, what is wrong below each row; into a pipe one line a
//! token.
//! Does not: judge, or know of screens.

use super::document::{NextTry, StatusDocument, StatusToken};
use super::line::{Line, Tint, columns, cut, wrap};
use super::trouble::sums;
use super::when::Clock;

/// A longer name stands on a line of its own where room is scarce.
const NAME: usize = 24;

/// What is drawn on: how wide it is (`None`: lines are not folded), and the time.
pub(super) struct Sheet<'s> {
    pub width: Option<usize>,
    pub clock: &'s Clock,
}

impl Sheet<'_> {
    /// How far what belongs to a row stands in.
    pub(super) fn indent(&self) -> usize {
        if self.is_narrow() { 2 } else { 4 }
    }

    pub(super) fn is_narrow(&self) -> bool {
        self.width.is_some_and(|width| width < 60)
    }
}

/// The table in its parts, for a screen that may have no room for all.
pub(super) struct Table<'d> {
    /// The summary, and what is wrong with the whole.
    pub head: Vec<Line>,
    pub titles: Line,
    pub blocks: Vec<TokenRows<'d>>,
}

/// A token's row, and what is wrong with it, sentence by sentence.
pub(super) struct TokenRows<'d> {
    pub token: &'d StatusToken<'d>,
    pub row: Vec<Line>,
    pub troubles: Vec<Vec<Line>>,
}

impl TokenRows<'_> {
    /// With as many sentences below it.
    pub(super) fn lines(&self, sentences: usize) -> impl Iterator<Item = &Line> {
        self.row.iter().chain(self.troubles.iter().take(sentences).flatten())
    }
}

impl Table<'_> {
    pub(super) fn lines(self) -> Vec<Line> {
        let Self { mut head, titles, blocks } = self;
        if !blocks.is_empty() {
            head.push(titles);
        }
        for block in blocks {
            head.extend(block.row);
            head.extend(block.troubles.into_iter().flatten());
        }
        head
    }
}

/// Where what is shown comes from, where no daemon said it.
pub(super) fn origin(document: &StatusDocument<'_>) -> Option<String> {
    let folder = document.state_dir().map(|folder| format!(" in {folder}")).unwrap_or_default();
    let said = format!("no daemon answers: what follows is read from the state{folder} and from the files");
    document.is_from_state().then_some(said)
}

/// What is wrong with the config as a whole.
pub(super) fn config_notes(document: &StatusDocument<'_>) -> Vec<String> {
    let mut notes: Vec<String> = document.config_error().into_iter().map(|error| format!("config: {error}")).collect();
    let restart = document.restart_needed();
    if !restart.is_empty() {
        notes.push(format!("config: [daemon] {} changed: that needs a restart", restart.join(", ")));
    }
    notes
}

/// What stands before the table.
fn head(document: &StatusDocument<'_>, sheet: &Sheet<'_>) -> Vec<Line> {
    let mut said: Vec<(Tint, String)> = origin(document).map(|origin| (Tint::Warn, origin)).into_iter().collect();
    said.push((Tint::Strong, document.summary()));
    said.extend(config_notes(document).into_iter().map(|note| (Tint::Warn, note)));
    let folded = |(tint, text): (Tint, String)| {
        wrap(&text, 0, sheet.width).into_iter().map(|line| Line::of(tint, line)).collect::<Vec<_>>()
    };
    said.into_iter().flat_map(folded).collect()
}

pub(super) fn table<'d>(document: &'d StatusDocument<'d>, sheet: &Sheet<'_>) -> Table<'d> {
    let tokens = document.by_need();
    let rows: Vec<Vec<String>> = tokens.iter().map(|token| cells(token, sheet.clock)).collect();
    let layout = Layout::of(&rows, sheet.width);
    let mut head = head(document, sheet);
    if sheet.width.is_some() && !rows.is_empty() {
        head.push(Line::default());
    }
    let blocks = tokens.into_iter().zip(&rows).map(|(token, cells)| block(token, cells, &layout, sheet)).collect();
    Table { head, titles: layout.titles(), blocks }
}

fn block<'d>(token: &'d StatusToken<'d>, cells: &[String], layout: &Layout, sheet: &Sheet<'_>) -> TokenRows<'d> {
    let troubles = token.troubles(sheet.clock);
    let mut row = layout.row(cells, token.tint());
    if sheet.width.is_none() {
        if let Some(line) = row.last_mut() {
            line.push(Tint::Plain, format!("  {}", troubles.join("; ")));
        }
        return TokenRows { token, row, troubles: Vec::new() };
    }
    let folded = |sentence: &String| wrap(sentence, sheet.indent(), sheet.width).into_iter().map(Line::plain).collect();
    TokenRows { token, row, troubles: troubles.iter().map(folded).collect() }
}

const TITLES: [&str; 6] = ["NAME", "STATE", "AGE", "LEFT", "NEXT", "SHA256"];
/// Where room is scarce these go, one after another.
const SPARE: [usize; 4] = [5, 2, 4, 3];

fn cells(token: &StatusToken<'_>, clock: &Clock) -> Vec<String> {
    let dash = || "-".to_owned();
    let left = match token.expires_at {
        Some(end) if clock.is_past(end) => clock.away(end),
        Some(end) => clock.distance(end),
        None if token.issued_at.is_some() => "never expires".into(),
        None => dash(),
    };
    let next = match token.next_try {
        NextTry::At(at) => Some(at),
        // It fails, and is not tried by itself: the planned time would not be true.
        NextTry::Never if token.state != "valid" && token.reason.is_some() => None,
        NextTry::Never | NextTry::Unknown => token.next_rotation_at,
    };
    let next = next.map(|at| if clock.is_past(at) { "now".into() } else { clock.distance(at) });
    vec![
        token.name.clone(),
        token.state.clone(),
        token.issued_at.map_or_else(dash, |at| clock.distance(at)),
        left,
        next.unwrap_or_else(dash),
        token.sha256.clone().unwrap_or_else(dash),
    ]
}

/// Which columns stand, and how wide each is.
struct Layout {
    shown: Vec<(usize, usize)>,
    width: Option<usize>,
}

impl Layout {
    fn of(rows: &[Vec<String>], width: Option<usize>) -> Self {
        let widest = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell));
            cells.chain(TITLES.get(column).map(|title| title.len())).max().unwrap_or(0)
        };
        let all: Vec<(usize, usize)> = (0..TITLES.len()).map(|column| (column, widest(column))).collect();
        let Some(room) = width else { return Self { shown: all, width } };
        let mut shown = all;
        let mut spare = SPARE.iter();
        loop {
            let others: usize = shown.iter().skip(1).map(|(_, width)| width + 2).sum();
            let name = shown.first().map_or(0, |(_, width)| *width);
            let least = name.min(NAME);
            if least + others <= room {
                set_name(&mut shown, name.min(room - others));
                return Self { shown, width };
            }
            match spare.next() {
                Some(goes) => shown.retain(|(column, _)| column != goes),
                None => {
                    set_name(&mut shown, least.min(room.saturating_sub(others)).max(1));
                    return Self { shown, width };
                }
            }
        }
    }

    fn titles(&self) -> Line {
        let titles: Vec<String> = TITLES.iter().map(|title| (*title).to_owned()).collect();
        let mut line = self.row(&titles, Tint::Faint).pop().unwrap_or_default();
        if self.width.is_none() {
            line.push(Tint::Faint, "  ERROR");
            return line;
        }
        Line::of(Tint::Faint, line.paint(false))
    }

    /// One line; two or more where the name is longer than its column.
    fn row(&self, cells: &[String], tint: Tint) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut line = Line::default();
        let mut end = 0;
        for (number, (column, width)) in self.shown.iter().enumerate() {
            if number > 0 {
                end += 2;
                line.pad(end);
            }
            let cell = cells.get(*column).map(String::as_str).unwrap_or_default();
            if *column == 0 && columns(cell) > *width {
                let pieces = cut(cell, self.width.unwrap_or(usize::MAX).max(1));
                lines.extend(pieces.into_iter().map(Line::plain));
            } else {
                line.push(if *column == 1 { tint } else { Tint::Plain }, cell);
            }
            end += width;
            line.pad(end);
        }
        lines.push(line);
        lines
    }
}

fn set_name(shown: &mut [(usize, usize)], width: usize) {
    if let Some((_, name)) = shown.first_mut() {
        *name = width;
    }
}

/// What did not find room: `... and 12 more, all valid`.
pub(super) fn more(tokens: &[&StatusToken<'_>]) -> String {
    let sums = sums(tokens);
    let joint = if sums.starts_with("all ") { "," } else { ":" };
    format!("... and {} more{joint} {sums}", tokens.len())
}
