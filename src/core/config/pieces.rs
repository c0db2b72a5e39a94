//! Owns: where a large file is cut into pieces that are parsed one at a time: the tree of a whole file takes fifty times its
//! size. A cut changes nothing: it stands before a `[token.NAME` that begins another token, and what is not plain is not cut.
//! Does not: parse.

use std::ops::Range;

/// About so many bytes a piece: what its tree takes stays with the allocator, which gives more back to the system each time.
const PIECE: usize = 4 * 1024;

/// The pieces of a text: what stands before the first token, then some tokens each. `None`: it is to be read whole.
///
/// A cut inside a string or an array leaves a piece that does not parse, and then the whole is read, too.
pub(super) fn cut(text: &str) -> Option<Vec<Range<usize>>> {
    if text.len() <= 2 * PIECE {
        return None;
    }
    let (mut cuts, mut last_name, mut at) = (vec![0], None, 0);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if !line.trim_start().starts_with('[') {
            continue;
        }
        let Some(name) = token_of(line) else {
            // Before the first token any table may stand, after it none: two pieces could hold the same one.
            if last_name.is_some() {
                return None;
            }
            continue;
        };
        let is_new = last_name.replace(name) != Some(name);
        let is_full = cuts.len() == 1 || cuts.last().is_some_and(|cut| start - cut >= PIECE);
        if is_new && is_full {
            cuts.push(start);
        }
    }
    let ends = cuts.iter().copied().skip(1).chain([text.len()]);
    Some(cuts.iter().copied().zip(ends).map(|(from, to)| from..to).collect())
}

/// The name of the token to which the table of this header belongs, where it is written the plain way.
fn token_of(header: &str) -> Option<&str> {
    let path = header.strip_prefix("[[token.").or_else(|| header.strip_prefix("[token."))?;
    let end = path.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))?;
    let (name, rest) = path.split_at(end);
    (!name.is_empty() && rest.starts_with(['.', ']'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(number: usize) -> String {
        let one =
            |i| format!("[token.t{i}]\nsource = \"jwt\" # {}\n[[token.t{i}.output]]\npath = \"t\"\n", "x".repeat(50));
        (0..number).map(one).collect()
    }

    #[test]
    fn a_small_text_stays_whole() {
        assert_eq!(cut(&tokens(3)), None);
    }

    #[test]
    fn the_pieces_are_the_text_and_begin_with_another_token() {
        let text = format!("[daemon]\n[defaults]\n{}", tokens(2_000));
        let pieces = cut(&text).unwrap();
        assert!(pieces.len() > 5);
        assert_eq!(&text[pieces[0].clone()], "[daemon]\n[defaults]\n");
        assert_eq!(pieces.iter().map(|piece| &text[piece.clone()]).collect::<String>(), text);
        assert!(pieces.iter().skip(1).all(|piece| text[piece.clone()].starts_with("[token.t")));
    }

    #[test]
    fn what_is_not_plain_stays_whole() {
        let many = tokens(2_000);
        for odd in ["[daemon]", "[token]", " [ token.x ]", "[token.\"a.b\"]", "[\"token\".x]", "[[other]]", "  [1, 2],"]
        {
            assert_eq!(cut(&format!("{many}{odd}\n")), None, "{odd}");
        }
    }
}
