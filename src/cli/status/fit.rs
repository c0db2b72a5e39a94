//! Owns: what of a drawing finds room on a screen, and the line that tells what does not.
//! Does not: write to a screen.

use super::line::{Line, Tint};
use super::table::{Table, TokenRows, more};

/// The first lines, and how many more there are.
pub(super) fn cut_off(mut lines: Vec<Line>, height: usize) -> Vec<Line> {
    if lines.len() > height {
        let rest = lines.len() - height.saturating_sub(1);
        lines.truncate(height.saturating_sub(1));
        lines.push(Line::of(Tint::Faint, format!("... and {rest} more lines")));
    }
    lines
}

/// As many tokens as there is room for, the worst first, with as much of what is wrong as lets all that need attention
/// be seen; then how many are left out.
pub(super) fn fit(table: Table<'_>, height: usize) -> Vec<Line> {
    let Table { head, titles, blocks } = table;
    let mut lines = head;
    if lines.len() > (height / 2).max(1) {
        lines.truncate((height / 2).max(1));
        // The first line stays: the sums.
        if let Some(last) = lines.get_mut(1..).and_then(<[Line]>::last_mut) {
            *last = Line::of(Tint::Faint, "...");
        }
    }
    let mut room = height.saturating_sub(lines.len() + 1);
    if !blocks.is_empty() && room > 0 {
        lines.push(titles);
    }
    let sentences = match blocks.iter().map(|block| block.lines(usize::MAX).count()).sum::<usize>() {
        all if all <= room => vec![usize::MAX; blocks.len()],
        _ => {
            // For the line that tells what is left out.
            room = room.saturating_sub(1);
            sentences(&blocks, room)
        }
    };
    for (shown, (block, sentences)) in blocks.iter().zip(sentences).enumerate() {
        let rows: Vec<&Line> = block.lines(sentences).collect();
        if rows.len() > room {
            let left: Vec<_> = blocks.iter().skip(shown).map(|block| block.token).collect();
            lines.push(Line::of(Tint::Faint, more(&left)));
            return lines;
        }
        room -= rows.len();
        lines.extend(rows.into_iter().cloned());
    }
    lines
}

/// How much of what is wrong with each token is shown: the rows of all that need attention go before sentences, the first
/// sentence of each before the others, and the worst before the rest.
fn sentences(blocks: &[TokenRows<'_>], room: usize) -> Vec<usize> {
    let mut shown = vec![0; blocks.len()];
    let needy = || blocks.iter().enumerate().filter(|(_, block)| block.token.needs_attention());
    let mut used: usize = needy().map(|(_, block)| block.lines(0).count()).sum();
    for sentences in [1, usize::MAX] {
        for (number, block) in needy() {
            let Some(now) = shown.get_mut(number) else { continue };
            let with = used - block.lines(*now).count() + block.lines(sentences).count();
            if with <= room {
                (used, *now) = (with, sentences);
            }
        }
    }
    shown
}
